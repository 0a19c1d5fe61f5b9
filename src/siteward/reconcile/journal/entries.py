"""The entries of the journal, one class for each kind, and the last-applied file that a run leaves beside it.

They are what the lines of either format say (`records`, `first_format`), and are read strictly
(`siteward.access.serialize`). An unknown kind, format or member raises an error of its own, because a newer release may
have written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypedDict

from siteward.access.change import Change
from siteward.access.documents import Approvals
from siteward.access.model import Key, Resource
from siteward.access.report import OutcomeStatus
from siteward.access.serialize import CodecError, Data, UnknownMemberError, WithDefaults, shape
from siteward.access.state import Memory

NOT_BEGUN: Final = "interrupted before it was sent"
"""The message of a step that was left alone because somebody interrupted the run."""
ResendStatus: TypeAlias = Literal["intent", "sent", "failed", "unknown"]


class _Entry(WithDefaults, frozen=True, kw_only=True):
    """The members of every entry: the moment in UTC, and the run it belongs to (empty for none)."""

    at: datetime
    run: str


class Actor(WithDefaults, frozen=True, kw_only=True):
    """Who runs this, as the environment says: nothing proves it.

    `how` names where that is from; `triggered_by` is who re-ran it, `run_url` the run in CI, and `approvals` are those
    of the change, as the forge told them.
    """

    actor: str
    how: str
    triggered_by: str | None = None
    run_url: str | None = None
    approvals: Approvals | None = None


class RunStarted(_Entry, frozen=True, kw_only=True):
    """A run begins: its plan, and the memory of the instance then.

    `plan` is the digest; `users` maps handles of declared users to logins, `accounts` are the known accounts and `ids`
    the platform's ids of declared ones by login; `sites` and `grants` are counts of what is live. `instance` is the name
    in the file and `me` the account in use; the first journals have neither. `chosen` are the steps that this run is
    confined to, `None` for all, and `only` the words that chose them; `lifted` are the steps whose block whoever applies
    has lifted, `accepted` the kinds of blocks. `config_digest` is that of the files the plan was made from.
    """

    kind: Literal["run"] = "run"
    plan: str
    tool: str
    created: datetime
    as_of: datetime
    as_of_given: bool = False
    allow_delete: bool = False
    chosen: tuple[str, ...] | None = None
    only: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    config_digest: str = ""
    commit: str | None = None
    dirty: bool = False
    instance: str | None = None
    me: str | None = None
    platform: str
    origin: str
    users: Mapping[str, str]
    ids: Mapping[str, str] = MappingProxyType({})
    accounts: tuple[str, ...]
    sites: int
    grants: int
    actor: Actor | None = None


class RunFacts(TypedDict, total=False):
    """The fields of `RunStarted` that only the caller knows; the others stand in the plan."""

    platform: str
    origin: str
    users: Mapping[str, str]
    ids: Mapping[str, str]
    accounts: tuple[str, ...]
    sites: int
    grants: int
    me: str | None
    allow_delete: bool
    chosen: tuple[str, ...] | None
    only: tuple[str, ...]
    lifted: tuple[str, ...]
    accepted: tuple[str, ...]
    actor: Actor | None


class BlockWaived(_Entry, frozen=True, kw_only=True):
    """A block (`name`, as `--accept` takes it) was lifted for the plan of that digest, for a reason."""

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

    @property
    def key(self) -> Key:
        """The key of the change; empty where neither side is there."""
        side = self.before if self.after is None else self.after
        return side.key if side is not None else ()


class StepsIntended(_Entry, frozen=True, kw_only=True):
    """A write is about to be sent."""

    kind: Literal["intent"] = "intent"
    steps: tuple[Intent, ...]


class Result(WithDefaults, frozen=True, kw_only=True):
    """The result of one step; `sends` counts the mails that went out for it.

    `account_id` is the platform's id of the account that the step made, where its answer has one.
    """

    step: str
    status: OutcomeStatus
    message: str = ""
    sends: int = 0
    account_id: str | None = None


class StepsFinished(_Entry, frozen=True, kw_only=True):
    """The results of steps: after a write, or without one where nothing had to be sent."""

    kind: Literal["outcome"] = "outcome"
    results: tuple[Result, ...]


class RunResumed(_Entry, frozen=True, kw_only=True):
    """An unfinished run goes on, with the consents given for that; older journals have none here."""

    kind: Literal["resume"] = "resume"
    allow_delete: bool = False
    lifted: tuple[str, ...] = ()
    actor: Actor | None = None


class RunAbandoned(_Entry, frozen=True, kw_only=True):
    """An unfinished run is given up, because another plan is applied."""

    kind: Literal["abandoned"] = "abandoned"


class Truncated(_Entry, frozen=True, kw_only=True):
    """A line that a crash had cut off was removed; `bytes` is its length."""

    kind: Literal["torn"] = "torn"
    bytes: int


class InvitationResent(_Entry, frozen=True, kw_only=True):
    """An invitation is about to be sent again (`intent`), or the result of that; it belongs to no run."""

    kind: Literal["resend"] = "resend"
    login: str
    status: ResendStatus
    message: str = ""


class Leaving(WithDefaults, frozen=True, kw_only=True):
    """The decision on one thing that somebody who leaves had: `open`, or `done`, by whom and how that is known, and why.

    `what` says what it is; `is_read` is true where reading alone shows it to be gone.
    """

    item: str
    decision: Literal["open", "done"]
    what: str
    is_read: bool = False
    by: str = ""
    how: str = ""
    reason: str = ""


class Offboarded(_Entry, frozen=True, kw_only=True):
    """Decisions were taken on what a `user` (a handle) who leaves had; it belongs to no run."""

    kind: Literal["offboard"] = "offboard"
    user: str
    items: tuple[Leaving, ...]


class Reviewed(WithDefaults, frozen=True, kw_only=True):
    """The decision on one item of a review: on which right, held through which group, and by whom, as the sheet says.

    `decision` is as it was written, or `overdue` where nobody decided in time. `by` is empty where nobody did.
    """

    item: str
    right: Resource
    group: str | None = None
    decision: str
    by: str = ""
    reason: str = ""


class ReviewClosed(_Entry, frozen=True, kw_only=True):
    """Decisions of a review (a campaign, by name) were taken: of which state, due when, and who closed it.

    `rest` is what was decided for what nobody decided on.
    """

    kind: Literal["review"] = "review"
    review: str
    digest: str
    due: str
    rest: Literal["revoke", "overdue"] | None = None
    actor: Actor | None = None
    decisions: tuple[Reviewed, ...]


class RunEnded(_Entry, frozen=True, kw_only=True):
    """A run ends: the number of outcomes by status, and the SHA-256 of `<instance>.last.json` (`last`).

    Its parts have what changed in the live state. Where that was not read whole it is not `complete`, and `unread` says
    in words what was not read: this is as the line before that read it.
    """

    kind: Literal["end"] = "end"
    outcomes: Mapping[OutcomeStatus, int]
    complete: bool = True
    unread: tuple[str, ...] = ()
    last: str


class StateCompared(_Entry, frozen=True, kw_only=True):
    """The live state was compared between two runs (`drift --record`); the members and parts are as in `RunEnded`."""

    kind: Literal["record"] = "record"
    complete: bool = True
    unread: tuple[str, ...] = ()
    last: str


class StateRecorded(_Entry, frozen=True, kw_only=True):
    """The whole live state is in the parts; the changes in later ends go on from it."""

    kind: Literal["state"] = "state"
    complete: bool = True
    unread: tuple[str, ...] = ()


class JournalContinued(_Entry, frozen=True, kw_only=True):
    """The journal goes on from a file of an older format (`of`), with its number of lines and its last seal (`head`).

    `sealed_since` is the number of its first line that a key has sealed, or 0; `open_run` is the run that had no end
    there, and is given up. `last` is the SHA-256 of `<instance>.last.json`, if there is one.
    """

    kind: Literal["continues"] = "continues"
    of: str
    lines: int
    head: str
    sealed_since: int = 0
    open_run: str | None = None
    last: str | None = None
    reason: str | None = None


class PartsErased(_Entry, frozen=True, kw_only=True):
    """The parts that concern somebody were erased: their number, why, and the SHA-256 of `<instance>.last.json` since."""

    kind: Literal["erased"] = "erased"
    count: int
    reason: str = ""
    last: str | None = None


Entry: TypeAlias = (
    RunStarted
    | BlockWaived
    | StepsIntended
    | StepsFinished
    | RunResumed
    | RunAbandoned
    | Truncated
    | InvitationResent
    | Offboarded
    | ReviewClosed
    | RunEnded
    | StateRecorded
    | StateCompared
    | JournalContinued
    | PartsErased
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
        "offboard": Offboarded,
        "review": ReviewClosed,
        "end": RunEnded,
        "state": StateRecorded,
        "record": StateCompared,
        "continues": JournalContinued,
        "erased": PartsErased,
    }
)


class Difference(WithDefaults, frozen=True, kw_only=True, gc=False):
    """One resource that differs: as the memory has it, and as it is live."""

    before: Resource | None
    after: Resource | None


class LastApplied(WithDefaults, frozen=True, kw_only=True):
    """The content of `<instance>.last.json`: the memory that the last ended run left.

    `beyond` are the differences from the access in it to the live state when it was written: what others changed and
    drift goes on reporting. It is `None` where that is not known, as in files of the first format.
    """

    format: Literal["siteward.last/1", "siteward.last/2"] = "siteward.last/2"
    run: str
    memory: Memory
    beyond: tuple[Difference, ...] | None = None


def encode_entry(entry: Entry | LastApplied) -> dict[str, Data]:
    """Return an entry, or a last-applied record, as plain data with all its members."""
    data: dict[str, Data] = shape(type(entry)).encode(entry)
    return data


def decode_entry(data: Mapping[str, object]) -> Entry:
    """Return the entry of plain data.

    Raises `UnknownMemberError` for a kind or member that this version does not know, and `CodecError` for anything else
    that no version has written.
    """
    kind = data.get("kind")
    if not isinstance(kind, str):
        raise CodecError("/kind", "is missing" if kind is None else "should be string")
    if kind not in _KINDS:
        raise UnknownMemberError("/kind", f"{kind} is not known")
    entry: Entry = shape(_KINDS[kind]).decode(data, "")
    return entry


def decode_last(data: object) -> LastApplied:
    """Return the last-applied record of plain data; raises as `decode_entry` does."""
    name = data.get("format") if isinstance(data, dict) else None
    if isinstance(name, str) and name not in {"siteward.last/1", "siteward.last/2"}:
        raise UnknownMemberError("/format", f"{name} is not known")
    last: LastApplied = shape(LastApplied).decode(data, "")
    return last
