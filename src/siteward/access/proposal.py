"""The proposal for one instance: which differences are ours to act on, by the policy, and why.

`settle` fills the wish with what the file does not speak of, `manage` compares it with the live access and
says of each difference whether it is ours, and why: the proposal that the guards judge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from siteward.access.accounts import GONE, Classification, UnmanagedAccount, findings, tally
from siteward.access.change import Change, demoted, dependencies, diff, direction, is_regrant, order, patch
from siteward.access.diagnostic import Diagnostic, warning
from siteward.access.effective import Index, Reach, reach, reach_after
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Group,
    Key,
    Member,
    Scope,
    Subject,
    account_of,
)
from siteward.access.policy import Policy
from siteward.access.state import (
    NOTHING_HELD,
    Cause,
    DeclaredUser,
    Desired,
    Ending,
    Live,
    Memory,
    Origin,
    with_defaults,
)
from siteward.access.traits import Traits, declarable, is_site

KEPT = "kept-by-error"
"""The rule id of what is said of a change that is held back because of a row in error."""


class Proposed(Struct, frozen=True, kw_only=True):
    """One difference that is ours, with why: the cause, the place in the file, and the person behind it."""

    change: Change
    cause: Cause
    origin: Origin | None = None
    declared_user: DeclaredUser | None = None
    person: str | None = None

    @property
    def key(self) -> Key:
        """The key of what changes."""
        return self.change.key


class Proposal(Struct, frozen=True, kw_only=True, dict=True):
    """The changes proposed for one instance, in order, and all that a guard needs to judge it.

    `accounts`, `sites` and `grants` count what is live and managed; budgets are measured against them.
    """

    live: Live
    desired: Desired
    traits: Traits
    policy: Policy
    memory: Memory | None = None
    proposed: tuple[Proposed, ...] = ()
    held_back: tuple[Proposed, ...] = ()
    unmanaged: tuple[UnmanagedAccount, ...] = ()
    waiting: tuple[Key, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    accounts: int = 0
    sites: int = 0
    grants: int = 0

    @property
    def changes(self) -> tuple[Change, ...]:
        """The proposed changes, in order."""
        return tuple(proposed.change for proposed in self.proposed)

    @cached_property
    def needs(self) -> Mapping[Key, tuple[Key, ...]]:
        """The keys of the changes that must be done before each change."""
        needs = dict(dependencies(self.changes, self.traits, self.live.access))
        for key in demoted(self.changes, self.traits).values() if self._promotions_needed else ():
            needs[key] = (*needs.get(key, ()), *self._promotions)
        return needs

    @cached_property
    def _promotions(self) -> tuple[Key, ...]:
        tops = (
            change.key
            for change in self.changes
            if isinstance(change.after, Grant) and self.traits.is_top(change.after)
        )
        return tuple(tops)

    @property
    def _promotions_needed(self) -> bool:
        """True if too few declared admins are left without those that this proposal makes."""
        gone = demoted(self.changes, self.traits)
        tops = {grant.subject.name for grant in self.tops} - set(gone)
        declared_users = [
            self.desired.declared_users[top]
            for top in tops
            if top in self.desired.declared_users and top != self.live.me
        ]
        left = [user for user in declared_users if user.kind != "service" and user.ending is None]
        return len(left) < self.policy.admins_min

    @cached_property
    def tops(self) -> tuple[Grant, ...]:
        """The live grants of the top account role."""
        return tuple(filter(self.traits.is_top, self.live.access.grants()))

    @cached_property
    def reach(self) -> Reach:
        """The reach of everybody's access now."""
        return reach(self.live.access, self.traits)

    def reach_after(self, unreachable_steps: Collection[Key]) -> Reach:
        """Return how far it reaches once everything proposed is done but for what is stuck."""
        return reach_after(
            self.reach, (change for change in self.changes if change.key not in unreachable_steps), self.traits
        )

    @cached_property
    def index(self) -> Index:
        """The live grants by holder."""
        return Index(self.live.access)

    @cached_property
    def projected_index(self) -> Index:
        """The grants by holder once everything proposed is done."""
        return Index(self.projected)

    @cached_property
    def projected(self) -> Access:
        """The access as it is once everything proposed is done."""
        return patch(self.live.access, self.changes)


class _Ownership(Struct, frozen=True, kw_only=True, dict=True):
    """The decision of each difference: whether it is ours to act on, and why."""

    live: Live
    desired: Desired
    traits: Traits
    policy: Policy
    classification: Classification
    wanted: Access

    def cause(self, change: Change) -> Cause | None:  # noqa: PLR0911 — one for each kind of resource
        """Return why a change should be made; `None` for one that is none of our business."""
        if change.key[0] not in self.traits.manages:
            return None
        match change.after if change.after is not None else change.before:
            case Account() as account:
                return self._account_cause(change, account)
            case Group():
                return None if change.after is None else "granted"
            case Member() as member:
                return self._member_cause(change, member)
            case Grant(subject=Subject("group")) as grant:
                return self._group_cause(change, grant)
            case Grant() as grant:
                return self._grant_cause(change, grant)
            case None:
                return None

    def _account_cause(self, change: Change, account: Account) -> Cause | None:
        account_class = self.classification.classify(account.name)
        if account_class in {"public", "ignored"}:
            return None
        if change.after is not None:
            return "renamed" if account.renamed else "granted"
        if account_class == "declared" and self.classification.ending(account.name) == "absent":
            return "absent" if self.traits.deletes else None
        ours = account_class == "stranger" and self.policy.unmanaged == "remove" and self.desired.managed is not None
        return "unmanaged" if ours and self.traits.deletes else None

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
        return self.desired.ended[change.key][0] if change.key in self.desired.ended else "silence"

    def _grant_cause(self, change: Change, grant: Grant) -> Cause | None:
        name = grant.subject.name
        if self.classification.classify(name) == "public":
            return "public" if grant.scope in self.desired.public and self._looked_at(grant.scope) else None
        if not self._looked_at(grant.scope):
            return None
        if change.after is None:
            return self._cause_of_taking(name, change.key) if self._takeable(grant) else None
        if self.classification.classify(name) == "ignored":
            return None
        lowered = direction(change, self.traits) != "open"
        return self._ending_of(name, change.key) or "granted" if lowered else "granted"

    def _looked_at(self, scope: Scope) -> bool:
        managed = self.desired.managed
        return managed is None or not is_site(scope) or scope in managed

    def _takeable(self, grant: Grant) -> bool:
        """Return whether a live grant may be taken at all, now that the file does not wish it."""
        name, kind = grant.subject.name, grant.scope.kind
        if not declarable(grant, self.traits):
            return False
        if self.classification.ending(name) in GONE:
            return True
        role = self.traits.role(kind, grant.role)
        if kind == "team":  # nothing the file speaks of, but a way in for who is not declared
            return self.classification.classify(name) == "stranger"
        if role is not None and role.lingers:
            return False
        if kind == "module":
            return name in self._spoken_modules
        return not (is_site(grant.scope) and self._subsumed(name))

    @cached_property
    def _spoken_modules(self) -> frozenset[str]:
        wished = {grant.subject.name for grant in self.desired.access.grants() if grant.scope.kind == "module"}
        return self.desired.modules | wished

    def _subsumed(self, name: str) -> bool:
        top = self.wanted.grant(Subject("account", name), EVERYWHERE) if self.traits.admin_excludes_grants else None
        return top is not None and self.traits.is_top(top)

    def _ending_of(self, name: str, key: Key) -> Ending | None:
        """Return how the file itself names this as over, if it does."""
        ending = self.classification.ending(name)
        if ending is not None:
            return ending
        return self.desired.ended[key][0] if key in self.desired.ended else None

    def _cause_of_taking(self, name: str, key: Key) -> Cause | None:
        match self.classification.classify(name):
            case "declared" | "left":
                return self._ending_of(name, key) or ("silence" if self.desired.managed is not None else None)
            case "stranger":
                ours = self.policy.unmanaged != "report" and self.desired.managed is not None
                return "unmanaged" if ours else None
            case "self" | "public" | "ignored":
                return None

    def held_back(self, proposed: Proposed) -> bool:
        """Return whether this is left undone, by the mode or because a row in error may speak of it.

        Mode observe leaves all undone, mode add-only what follows only from silence.
        """
        mode = self.policy.mode
        return mode == "observe" or (mode == "add-only" and self._is_silence(proposed)) or self._is_doubtful(proposed)

    def _is_silence(self, proposed: Proposed) -> bool:
        """Return whether this follows from what the file does not say, and not from an end that it names."""
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

    def explained(self, change: Change, cause: Cause) -> Proposed:
        """Return the change with its cause, the place in the file that tells it, and the person behind it."""
        name = account_of(change.key)
        declared_user = self.desired.declared_users.get(name) if name is not None else None
        person = self.classification.person(name) if name is not None else None
        return Proposed(
            change=change,
            cause=cause,
            origin=self._origin(change, declared_user),
            declared_user=declared_user,
            person=person,
        )

    def _origin(self, change: Change, declared_user: DeclaredUser | None) -> Origin | None:
        key = change.key
        if change.after is None and key in self.desired.ended:
            return Origin(self.desired.ended[key][1])
        if change.after is not None and key in self.desired.origins:
            return self.desired.origins[key]
        return (
            Origin(declared_user.at, ticket=declared_user.ticket, reason=declared_user.reason)
            if declared_user is not None
            else None
        )


def manage(
    live: Live,
    desired: Desired,
    traits: Traits,
    policy: Policy,
    memory: Memory | None,
    *,
    base: Mapping[str, str] | None = None,
) -> Proposal:
    """Return what should be changed on an instance, by the words of DESIGN section 2, and what was left alone.

    `memory` is what the journal knows of the instance. `base` maps the handles declared at an earlier revision
    to their logins here; who is in it, or in the memory, and no longer in the file, has left.
    """
    wanted = with_defaults(desired, live, traits)
    earlier = None if memory is None and base is None else {**(memory.users if memory else {}), **(base or {})}
    classification = Classification(live, desired, traits, policy.ignore, earlier)
    ours = _Ownership(
        live=live, desired=desired, traits=traits, policy=policy, classification=classification, wanted=wanted
    )
    causes = {change: cause for change in diff(live.access, wanted) if (cause := ours.cause(change)) is not None}
    row = tuple(ours.explained(change, causes[change]) for change in order(causes, traits))
    held = _held_back(row, ours)
    mine = tuple(proposed for proposed in row if proposed.key not in held)
    counts = tally(live, desired, traits, classification, include_unmanaged=policy.unmanaged != "report")
    return Proposal(
        live=live,
        desired=desired,
        traits=traits,
        policy=policy,
        memory=memory,
        proposed=mine,
        held_back=tuple(proposed for proposed in row if proposed.key in held),
        unmanaged=counts.unmanaged,
        waiting=tuple(sorted(key for key in live.pending if key in wanted and wanted[key] == live.access.get(key))),
        diagnostics=(
            *live.findings,
            *_describe_held(desired, [proposed for proposed in row if proposed.key in held]),
            *findings(classification, wanted, memory, [proposed.change for proposed in mine], counts.unmanaged),
        ),
        accounts=counts.accounts,
        sites=len(desired.managed or ()),
        grants=counts.grants,
    )


def _held_back(row: Sequence[Proposed], ours: _Ownership) -> set[Key]:
    held = {proposed.key for proposed in row if ours.held_back(proposed)}
    kept = {
        name: key for name, key in demoted((proposed.change for proposed in row), ours.traits).items() if key in held
    }
    return held | {proposed.key for proposed in row if is_regrant(proposed.change, ours.traits, kept)}


def _describe_held(desired: Desired, held: Iterable[Proposed]) -> Iterator[Diagnostic]:
    """Yield, for each change that is held back because of a row in error, the place of that error."""
    for proposed in held:
        at = desired.held.cause(proposed.key)
        if at is not None:
            message = "kept, because a row of the file that may speak of it is in error"
            yield warning(KEPT, message, about=proposed.key, at=at, hint="correct that row; then plan again")
