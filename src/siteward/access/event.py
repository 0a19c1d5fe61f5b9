"""Events: one change of somebody's access as a journal tells it, ours or somebody else's."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from siteward.access.change import Change, direction
from siteward.access.model import Account, Grant, Group, Member, Scope, account_of, scope_of
from siteward.access.report import OutcomeStatus
from siteward.access.state import Origin
from siteward.access.traits import Traits

EventKind: TypeAlias = Literal[
    "gained",
    "lost",
    "raised",
    "lowered",
    "changed",
    "created",
    "deleted",
    "joined",
    "left",
    "invited",
    "offboarded",
    "reviewed",
]


class Ran(Struct, frozen=True, kw_only=True):
    """The run that made a change: its plan (a digest), commit, `actor` (as the environment said, `how`) and `approvers`.

    The approvers are those that the forge told of; none of it is proven.
    """

    run: str
    plan: str
    commit: str | None = None
    dirty: bool = False
    actor: str | None = None
    how: str | None = None
    approvers: tuple[str, ...] = ()


class Judged(Struct, frozen=True, kw_only=True):
    """A decision of the review of that `name` on one item: what was decided, by whom as the sheet says, and why.

    `group` is the platform's group through which the right was held. `rest` is true where nobody had decided.
    """

    name: str
    item: str
    decision: str
    by: str
    reason: str
    account: str
    group: str | None = None
    rest: bool = False


class Event(Struct, frozen=True, kw_only=True):
    """One change on one instance, at the moment it was recorded, in the record of that `number`.

    `person` is the declared handle of the account, as of the run before or of that run. `ran` is the run that made it as
    the `step` of its plan, and `status` what became of it; `ran` is `None` for what others did, between `since`, the
    moment of the record before, and `at`. `origin` is why the file wanted it, `due` the date that caused it.
    `is_sealed` is true where the journal key proves the record. `review` is set where a right was reviewed, and the change
    has it on both sides; `ran` is who closed the review then.
    """

    at: datetime
    instance: str
    number: int
    is_sealed: bool
    kind: EventKind
    account: str
    person: str | None
    change: Change
    ran: Ran | None = None
    step: str = ""
    status: OutcomeStatus = "done"
    message: str = ""
    since: datetime | None = None
    origin: Origin | None = None
    due: str | None = None
    review: Judged | None = None

    @property
    def by_others(self) -> bool:
        """True for a change that no run made."""
        return self.ran is None

    @property
    def scope(self) -> Scope | None:
        """The scope of a grant."""
        return scope_of(self.change.key)


def describe_review(judged: Judged | None) -> dict[str, object] | None:
    """Return a decision of a review as plain data, without what the event says of the right."""
    if judged is None:
        return None
    names = ("name", "item", "decision", "by", "reason", "group", "rest")
    return {name: getattr(judged, name) for name in names}


def classify(change: Change, traits: Traits) -> EventKind:
    """Return what a change is for the account that it concerns."""
    side = change.after or change.before
    match side:
        case Grant() if change.before is None:
            return "gained"
        case Grant() if change.after is None:
            return "lost"
        case Grant():
            turns = {"open": "raised", "close": "lowered", "turn": "changed"}
            return turns[direction(change, traits)]  # type: ignore[return-value]  # its values are kinds
        case Member():
            return "joined" if change.before is None else "left"
        case Account() | Group() if change.before is None:
            return "created"
        case _:
            return "deleted" if change.after is None else "changed"


def concerned(change: Change) -> str:
    """Return the account that a change concerns, or the group that it is about."""
    return account_of(change.key) or change.key[2 if change.key[0] == "grant" else 1]
