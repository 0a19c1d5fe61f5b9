"""The grammar of the journal: one model for each kind of line, and one for the picture that a run leaves.

Read back from a file, so these are pydantic models; nothing of them travels beyond the journal but `Result`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from siteward.access.change import Change
from siteward.access.codec import decode_resource, encode_resource
from siteward.access.report import OutcomeStatus

if TYPE_CHECKING:
    from siteward.access.model import Resource

Shape: TypeAlias = dict[str, object]


def _shape(side: Resource | None) -> Shape | None:
    return None if side is None else encode_resource(side)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Line(_Strict):
    at: AwareDatetime
    run: str


class RunStarted(_Line):
    """A run begins: the plan by digest, who was declared (handle → login), which accounts they met, what was there.

    `instance` is the name in the file and `me` the account in use; journals of before that was written down have none.
    `chosen` are the steps that this run is confined to, `None` for all; `lifted` those that were blocked when they
    were reviewed and that whoever applies has allowed.
    """

    kind: Literal["run"] = "run"
    format: Literal["siteward.journal/1"] = "siteward.journal/1"
    plan: str
    tool: str
    created: AwareDatetime
    as_of: AwareDatetime
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
    users: dict[str, str]
    accounts: tuple[str, ...]
    sites: int
    grants: int


class BlockWaived(_Line):
    """A block that the owners lifted for this plan, with their reason."""

    kind: Literal["waiver"] = "waiver"
    name: str
    digest: str
    reason: str


class Intent(_Strict):
    """One step of a write that is about to be sent."""

    step: str
    before: Shape | None
    after: Shape | None

    @classmethod
    def of(cls, step: str, change: Change) -> Intent:
        """Return the intent to make a change."""
        return cls(step=step, before=_shape(change.before), after=_shape(change.after))

    @property
    def change(self) -> Change:
        """The change, decoded."""
        return Change(*(None if side is None else decode_resource(side) for side in (self.before, self.after)))


class StepsIntended(_Line):
    """A write is about to be sent."""

    kind: Literal["intent"] = "intent"
    steps: tuple[Intent, ...]


class Result(_Strict):
    """What became of one step; `sends` counts the mails that went out for it."""

    step: str
    status: OutcomeStatus
    message: str = ""
    sends: int = 0


class StepsFinished(_Line):
    """What became of steps: after a write, or without one where nothing had to be sent."""

    kind: Literal["outcome"] = "outcome"
    results: tuple[Result, ...]


class RunResumed(_Line):
    """A run that had no end goes on, with what was allowed for that; journals of before it was asked have none."""

    kind: Literal["resume"] = "resume"
    allow_delete: bool = False
    lifted: tuple[str, ...] = ()


class RunAbandoned(_Line):
    """A run that had no end is given up, because another plan is applied."""

    kind: Literal["abandoned"] = "abandoned"


class Truncated(_Line):
    """A line that a crash had cut off was taken away."""

    kind: Literal["torn"] = "torn"
    bytes: int


class InvitationResent(_Line):
    """An invitation is about to be sent again (`intent`), or what became of that; it belongs to no run."""

    kind: Literal["resend"] = "resend"
    login: str
    status: Literal["intent", "sent", "failed", "unknown"]
    message: str = ""


class RunEnded(_Line):
    """A run ends; `snapshot` is the digest of what it left in `<instance>.last.json`."""

    kind: Literal["end"] = "end"
    outcomes: dict[OutcomeStatus, int]
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
ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


class LastApplied(_Strict):
    """The file beside the journal: what the last ended run left, as the codec writes a memory."""

    format: Literal["siteward.last/1"] = "siteward.last/1"
    run: str
    memory: Shape
