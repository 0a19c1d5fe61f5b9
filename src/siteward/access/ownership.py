"""The decision of each difference: whether it is ours to act on, by the policy, and why."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TypeAlias

from msgspec import Struct

from siteward.access.accounts import Classification
from siteward.access.change import Change, direction
from siteward.access.dates import Due, Timing
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Grants,
    Group,
    Key,
    Member,
    Resource,
    Scope,
    account_of,
)
from siteward.access.policy import Policy
from siteward.access.standing import Grounds
from siteward.access.state import (
    NOTHING_HELD,
    Cause,
    DeclaredUser,
    Desired,
    Ending,
    Live,
    Origin,
)
from siteward.access.traits import Traits, declarable


class Proposed(Struct, frozen=True, kw_only=True, gc=False):
    """One difference that is ours, with why: the cause, the place in the file, and the person behind it.

    `due` is the date that causes it, if one does; `waits` is true if it gives what nobody has agreed to yet (see
    `siteward.access.dates`).
    """

    change: Change
    cause: Cause
    due: Due | None = None
    waits: bool = False
    origin: Origin | None = None
    declared_user: DeclaredUser | None = None
    person: str | None = None

    @property
    def key(self) -> Key:
        """The key of what changes."""
        return self.change.key

    @property
    def ends(self) -> bool:
        """True if it takes or lowers what is over by its date."""
        return self.due == "end" and self.change.before is not None


Series: TypeAlias = tuple[Proposed, ...]
"""Changes in a row that differ in nothing but the scope, on scopes of one kind: what a line of the file gives a person.

What depends on neither the scope nor its key is judged once for all of them, by the first.
"""


def find_series(row: Iterable[Proposed]) -> tuple[Series, ...]:
    """Return changes in their order, those in a row that differ in nothing but the scope together."""
    found: list[list[Proposed]] = []
    for proposed in row:
        if found and _continues(found[-1][0], proposed):
            found[-1].append(proposed)
        else:
            found.append([proposed])
    return tuple(map(tuple, found))


def _continues(first: Proposed, other: Proposed) -> bool:
    """Return whether another change differs from the first of a series in nothing but the scope."""
    if (
        first.origin is not other.origin
        or first.cause != other.cause
        or first.due != other.due
        or first.waits != other.waits
    ):
        return False
    (before, after), (then, now) = (first.change.before, first.change.after), (other.change.before, other.change.after)
    return (
        _is_same_but_for_scope(after, now)
        and _is_same_but_for_scope(before, then)
        and first.declared_user is other.declared_user
        and first.person == other.person
    )


def _is_same_but_for_scope(one: Resource | None, other: Resource | None) -> bool:
    """Return whether two sides are none, or grants of one subject that differ in nothing but the scope of one kind."""
    if type(one) is not Grant or type(other) is not Grant:
        return one is None and other is None
    return (
        one.subject == other.subject
        and one.role == other.role
        and one.scope.kind == other.scope.kind
        and one.extras == other.extras
    )


class Ownership(Struct, frozen=True, kw_only=True, dict=True):
    """The decision of each difference: whether it is ours to act on, and why; `apart` is as in `diff`."""

    live: Live
    desired: Desired
    traits: Traits
    policy: Policy
    classification: Classification
    wanted: Access
    apart: Grants | None

    def cause(self, change: Change) -> Cause | None:
        """Return why a change should be made; `None` for one that is none of our business."""
        if change.key[0] not in self.traits.manages:
            return None
        match change.after if change.after is not None else change.before:
            case Grant() as grant:  # as nearly all
                return (self._grant_cause if grant.subject.kind == "account" else self._group_cause)(change, grant)
            case Account() as account:
                return self._account_cause(change, account)
            case Group(renamed=renamed):
                return None if change.after is None else "renamed" if renamed else "granted"
            case Member() as member:
                return self._member_cause(change, member)
            case None:
                return None

    def _account_cause(self, change: Change, account: Account) -> Cause | None:
        account_class = self.classification.classify(account.name)
        if account_class in {"public", "ignored"}:
            return None
        if change.after is not None:
            return "renamed" if account.renamed else "granted"
        if account_class in {"declared", "stranger"} and self.classification.ending(account.name) == "absent":
            return "absent" if self.traits.deletes and not self._is_managed(account.name) else None
        ours = account_class == "stranger" and self.policy.unmanaged == "remove" and self.desired.managed is not None
        return "unmanaged" if ours and self.traits.deletes else None

    def _is_managed(self, name: str) -> bool:
        """Return whether a directory or sign-on makes and deletes an account."""
        user = self.desired.declared_users.get(name)
        return user is not None and user.managed

    def _member_cause(self, change: Change, member: Member) -> Cause | None:
        if self._external(member.group) or self.classification.classify(member.account) == "ignored":
            return None
        return "granted" if change.after is not None else self._cause_of_taking(member.account, member.key)

    def _external(self, group: str) -> bool:
        sides = (self.live.access.get(("group", group)), self.wanted.get(("group", group)))
        return any(isinstance(side, Group) and side.external for side in sides)

    def _group_cause(self, change: Change, grant: Grant) -> Cause | None:
        if ("group", grant.subject.name) not in self.wanted or not self._looked_at(grant.scope):
            return None
        if change.after is not None:
            return "granted"
        if not declarable(grant, self.traits) or self.desired.managed is None:
            return None
        return self.desired.ending(change.key) or "silence"

    def _grant_cause(self, change: Change, grant: Grant) -> Cause | None:
        name = grant.subject.name
        account_class = self.classification.classify(name)
        if not self._looked_at(grant.scope):
            return None
        if account_class == "public":
            return "public" if grant.scope in self.desired.public else None
        if change.after is None:
            return self._cause_of_taking(name, change.key) if self._takeable(grant) else None
        if account_class == "ignored":
            return None
        way = direction(change, self.traits)
        if way == "close" and name in self.classification.others:
            return None  # it is unmanaged: that the file asks for less is not said of it
        return "granted" if way == "open" else self._ending_of(name, change.key) or "granted"

    @cached_property
    def grounds(self) -> Grounds:
        """The facts by which live rights are left alone."""
        return Grounds(live=self.live, desired=self.desired, traits=self.traits, wanted=self.wanted)

    def _looked_at(self, scope: Scope) -> bool:
        return self.grounds.looked_at(scope)

    def _takeable(self, grant: Grant) -> bool:
        """Return whether a live grant may be taken at all, now that the file does not wish it."""
        name = grant.subject.name
        declared = self.classification.classify(name) != "stranger"
        why = self.grounds.leave(grant, name, self.classification.ending(name), declared=declared)
        return why is None and declarable(grant, self.traits)

    def _ending_of(self, name: str, key: Key) -> Ending | None:
        """Return how the file itself names this as over, if it does."""
        return self.classification.ending(name) or self.desired.ending(key)

    def _cause_of_taking(self, name: str, key: Key) -> Cause | None:
        match self.classification.classify(name):
            case "declared" | "left":
                return self._ending_of(name, key) or ("silence" if self.desired.managed is not None else None)
            case "stranger":
                ours = self.policy.unmanaged != "report" and self.desired.managed is not None
                ended = self._ending_of(name, key) if name in self.classification.others else None
                return ended or ("unmanaged" if ours else None)
            case "self" | "public" | "ignored":
                return None

    @property
    def holds_nothing_back(self) -> bool:
        """True if neither the mode nor a row in error leaves anything undone."""
        return self.policy.mode == "full" and self.desired.held is NOTHING_HELD

    def held_back(self, proposed: Proposed) -> bool:
        """Return whether this is left undone, by the mode or because a row in error may speak of it.

        Mode observe leaves all undone, mode add-only what follows only from silence.
        """
        mode = self.policy.mode
        return mode == "observe" or (mode == "add-only" and self._is_silence(proposed)) or self._is_doubtful(proposed)

    def _is_silence(self, proposed: Proposed) -> bool:
        """Return whether this follows from what the file does not say, and not from an end that it names."""
        if proposed.ends:
            return False
        if proposed.cause in {"silence", "unmanaged"}:
            return True
        change = proposed.change
        return (
            proposed.cause == "granted" and isinstance(change.after, Grant) and direction(change, self.traits) != "open"
        )

    def _is_doubtful(self, proposed: Proposed) -> bool:
        """Return whether a row in error may speak of this: it takes nothing, and nobody has left by it."""
        held, key = self.desired.held, proposed.key
        if held is NOTHING_HELD or held.cause(key) is None:
            return False
        nothing_given = proposed.cause in {"granted", "renamed"} and account_of(key) in held.users
        return nothing_given or proposed.cause == "left" or self._is_silence(proposed)

    def explained(self, change: Change, cause: Cause, timing: Timing | None) -> Proposed:
        """Return the change with its cause, the place in the file that tells it, and the person behind it."""
        name = account_of(change.key)
        declared_user = self.desired.declared_users.get(name) if name is not None else None
        person = self.classification.person(name) if name is not None else None
        return Proposed(
            change=change,
            cause=cause,
            due=timing.due if timing is not None else None,
            waits=timing is not None and timing.waits,
            origin=self._origin(change, declared_user),
            declared_user=declared_user,
            person=person,
        )

    def _origin(self, change: Change, declared_user: DeclaredUser | None) -> Origin | None:
        if change.after is None:
            over = self.desired.ended.get(change.key)
            origin = Origin(over.at, ticket=over.ticket, reason=over.reason) if over is not None else None
        else:
            origin = self.desired.origins.get(change.key)
        if origin is not None:
            return origin
        return (
            Origin(declared_user.at, ticket=declared_user.ticket, reason=declared_user.reason)
            if declared_user is not None
            else None
        )
