"""The lines of the journal, one class for each kind, and the picture that a run leaves beside it.

They are written with all their members and read strictly (`siteward.access.serialize`): an unknown kind, format or
member is told apart from what is wrong, because a newer release may have written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypedDict

from siteward.access.change import Change
from siteward.access.model import Resource
from siteward.access.report import OutcomeStatus
from siteward.access.serialize import CodecError, Data, UnknownMemberError, WithDefaults, shape
from siteward.access.state import Memory

NOT_BEGUN: Final = "interrupted before it was sent"
"""The message of a step that was left alone because somebody interrupted the run."""
ResendStatus: TypeAlias = Literal["intent", "sent", "failed", "unknown"]


class _Line(WithDefaults, frozen=True, kw_only=True):
    """The members of every line: the moment in UTC, and the run it belongs to (empty for none)."""

    at: datetime
    run: str


class RunStarted(_Line, frozen=True, kw_only=True):
    """A run begins: the plan by digest, the declared users (handle → login), the accounts they met, the counts.

    `instance` is the name in the file and `me` the account in use; older journals have neither. `chosen` are the steps
    that this run is confined to, `None` for all; `lifted` those that were blocked when they were reviewed and that
    whoever applies has allowed.
    """

    kind: Literal["run"] = "run"
    format: Literal["siteward.journal/1"] = "siteward.journal/1"
    plan: str
    tool: str
    created: datetime
    as_of: datetime
    as_of_given: bool = False
    allow_delete: bool = False
    chosen: tuple[str, ...] | None = None
    lifted: tuple[str, ...] = ()
    commit: str | None = None
    dirty: bool = False
    instance: str | None = None
    me: str | None = None
    platform: str
    origin: str
    users: Mapping[str, str]
    accounts: tuple[str, ...]
    sites: int
    grants: int


class RunFacts(TypedDict, total=False):
    """The fields of `RunStarted` that only the caller knows; the others stand in the plan."""

    platform: str
    origin: str
    users: Mapping[str, str]
    accounts: tuple[str, ...]
    sites: int
    grants: int
    me: str | None
    allow_delete: bool
    chosen: tuple[str, ...] | None
    lifted: tuple[str, ...]


class BlockWaived(_Line, frozen=True, kw_only=True):
    """A block that the owners lifted for this plan, with their reason."""

    kind: Literal["waiver"] = "waiver"
    name: str
    digest: str
    reason: str


class Intent(WithDefaults, frozen=True, kw_only=True):
    """One step of a write that is about to be sent: the resource before and after."""

    step: str
    before: Resource | None
    after: Resource | None

    @property
    def change(self) -> Change:
        """The change to be made."""
        return Change(self.before, self.after)


class StepsIntended(_Line, frozen=True, kw_only=True):
    """A write is about to be sent."""

    kind: Literal["intent"] = "intent"
    steps: tuple[Intent, ...]


class Result(WithDefaults, frozen=True, kw_only=True):
    """The result of one step; `sends` counts the mails that went out for it."""

    step: str
    status: OutcomeStatus
    message: str = ""
    sends: int = 0


class StepsFinished(_Line, frozen=True, kw_only=True):
    """The results of steps: after a write, or without one where nothing had to be sent."""

    kind: Literal["outcome"] = "outcome"
    results: tuple[Result, ...]


class RunResumed(_Line, frozen=True, kw_only=True):
    """A run that had no end goes on, with what was allowed for that; older journals name no consents here."""

    kind: Literal["resume"] = "resume"
    allow_delete: bool = False
    lifted: tuple[str, ...] = ()


class RunAbandoned(_Line, frozen=True, kw_only=True):
    """A run that had no end is given up, because another plan is applied."""

    kind: Literal["abandoned"] = "abandoned"


class Truncated(_Line, frozen=True, kw_only=True):
    """A line that a crash had cut off was taken away; `bytes` is its length."""

    kind: Literal["torn"] = "torn"
    bytes: int


class InvitationResent(_Line, frozen=True, kw_only=True):
    """An invitation is about to be sent again (`intent`), or the result of that; it belongs to no run."""

    kind: Literal["resend"] = "resend"
    login: str
    status: ResendStatus
    message: str = ""


class RunEnded(_Line, frozen=True, kw_only=True):
    """A run ends; `snapshot` is the digest of what it left in `<instance>.last.json`."""

    kind: Literal["end"] = "end"
    outcomes: Mapping[OutcomeStatus, int]
    snapshot: str


Entry: TypeAlias = (
    RunStarted
    | BlockWaived
    | StepsIntended
    | StepsFinished
    | RunResumed
    | RunAbandoned
    | Truncated
    | InvitationResent
    | RunEnded
)
_KINDS: Final[Mapping[str, type[Entry]]] = MappingProxyType(
    {
        "run": RunStarted,
        "waiver": BlockWaived,
        "intent": StepsIntended,
        "outcome": StepsFinished,
        "resume": RunResumed,
        "abandoned": RunAbandoned,
        "torn": Truncated,
        "resend": InvitationResent,
        "end": RunEnded,
    }
)
_FORMATS: Final = frozenset({"siteward.journal/1", "siteward.last/1"})


class LastApplied(WithDefaults, frozen=True, kw_only=True):
    """The file beside the journal: what the last ended run left."""

    format: Literal["siteward.last/1"] = "siteward.last/1"
    run: str
    memory: Memory


def encode_entry(entry: Entry | LastApplied) -> dict[str, Data]:
    """Return a line, or the picture that a run leaves, as plain data with all its members."""
    data: dict[str, Data] = shape(type(entry)).encode(entry)
    return data


def decode_entry(data: Mapping[str, object]) -> Entry:
    """Return the line that plain data says.

    Raises `UnknownMemberError` for a kind, format or member of which this version knows nothing, and `CodecError` for
    all else that no version of this format has written.
    """
    word = data.get("kind")
    if not isinstance(word, str):
        raise CodecError("/kind", "is missing" if word is None else "should be string")
    if word not in _KINDS:
        raise UnknownMemberError("/kind", f"{word} is not known")
    _check_format(data)
    entry: Entry = shape(_KINDS[word]).decode(data, "")
    return entry


def decode_last(data: object) -> LastApplied:
    """Return the picture that plain data says; raises as `decode_entry` does."""
    if isinstance(data, dict):
        _check_format(data)
    last: LastApplied = shape(LastApplied).decode(data, "")
    return last


def _check_format(data: Mapping[str, object]) -> None:
    word = data.get("format")
    if isinstance(word, str) and word not in _FORMATS:
        raise UnknownMemberError("/format", f"{word} is not known")
