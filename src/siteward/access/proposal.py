"""The proposal for one instance: which differences are ours to act on, by the policy, and why.

`settle` fills the wish with what the file does not speak of, `manage` compares it with the live access and
says of each difference whether it is ours, and why: the proposal that the guards judge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

from msgspec import Struct

from siteward.access.accounts import Classification, UnmanagedAccount, find_mismatched, findings, tally
from siteward.access.addresses import warn_address_changes
from siteward.access.change import Change, demoted, dependencies, diff, is_regrant, order, patch
from siteward.access.dates import NO_ALTERNATIVES, Alternatives, Timing, Wished, find_timings
from siteward.access.defaults import with_defaults
from siteward.access.diagnostic import Diagnostic, plural, warning
from siteward.access.effective import Index, Reach, reach, reach_after
from siteward.access.excess import Excess, Remaining, report_excess
from siteward.access.identity import OtherAccount, find_others
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Grant,
    Key,
    account_of,
)
from siteward.access.openness import judged
from siteward.access.ownership import Ownership, Proposed, Series, find_series
from siteward.access.patterns import matching
from siteward.access.policy import Policy
from siteward.access.state import (
    Cause,
    Desired,
    Live,
    Memory,
)
from siteward.access.traits import Traits


class Proposal(Struct, frozen=True, kw_only=True, dict=True):
    """The changes proposed for one instance, in order, and all that a guard needs to judge it.

    `accounts`, `sites` and `grants` count what is live and managed; budgets are measured against them. `declared` counts
    the live accounts of declared users. `others` are the
    accounts that bear the login of a known one and are not that one, `remade` such that a directory or sign-on may have
    made anew. `mismatched` has, by account, the objection to a declared user's account that no run knows and that has
    another e-mail. `excess` is what declared people hold beyond the declaration and no step takes.
    """

    live: Live
    desired: Desired
    traits: Traits
    policy: Policy
    memory: Memory | None = None
    proposed: tuple[Proposed, ...] = ()
    held_back: tuple[Proposed, ...] = ()
    excess: tuple[Excess, ...] = ()
    unmanaged: tuple[UnmanagedAccount, ...] = ()
    waiting: tuple[Key, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    others: Mapping[str, OtherAccount] = MappingProxyType({})
    mismatched: Mapping[str, Diagnostic] = MappingProxyType({})
    remade: Mapping[str, OtherAccount] = MappingProxyType({})
    accounts: int = 0
    sites: int = 0
    grants: int = 0
    declared: int = 0

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The proposed changes, in order."""
        return tuple([proposed.change for proposed in self.proposed])

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The proposed changes, in order, those in a row that differ in nothing but the scope together."""
        return find_series(self.proposed)

    def series_without(self, keys: Collection[Key]) -> tuple[Series, ...]:
        """Return the series without the changes of some keys."""
        if not keys:
            return self.series
        rest = (tuple([proposed for proposed in series if proposed.key not in keys]) for series in self.series)
        return tuple(filter(None, rest))

    @cached_property
    def demotions(self) -> Mapping[str, Key]:
        """The accounts that lose the top role, each with the key of the change that takes it."""
        return demoted([series[0].change for series in self.series], self.traits)

    @cached_property
    def needs(self) -> Mapping[Key, tuple[Key, ...]]:
        """The keys of the changes that must be done before each change.

        What ends by its date waits for nothing but what a date causes too.
        """
        needs = dependencies(self.changes, self.traits, self.live.access)
        for key in self.demotions.values() if self.demotions and self._promotions_needed else ():
            needs[key] = (*needs.get(key, ()), *self._promotions)
        dated = {proposed.key for series in self.series if series[0].due is not None for proposed in series}
        for proposed in self.proposed if dated else ():
            if proposed.ends and proposed.key in needs:
                needs[proposed.key] = tuple(key for key in needs[proposed.key] if key in dated)
        return {key: needed for key, needed in needs.items() if needed} if dated else needs

    @cached_property
    def _promotions(self) -> tuple[Key, ...]:
        firsts = (series[0].change for series in self.series)  # of one: a top role is on one scope
        tops = (change.key for change in firsts if isinstance(change.after, Grant) and self.traits.is_top(change.after))
        return tuple(tops)

    @property
    def _promotions_needed(self) -> bool:
        """True if too few declared admins are left without those that this proposal makes."""
        tops = {grant.subject.name for grant in self.tops} - self.demotions.keys()
        declared_users = [
            self.desired.declared_users[top]
            for top in tops
            if top in self.desired.declared_users and top != self.live.me and top not in self.others
        ]
        left = [user for user in declared_users if user.kind != "service" and user.ending is None]
        return len(left) < self.policy.admins_min

    @cached_property
    def tops(self) -> tuple[Grant, ...]:
        """The live grants of the top account role."""
        on_all = (rights.get(EVERYWHERE) for _, rights in self.live.access.by_subject())
        return tuple(grant for grant in on_all if grant is not None and self.traits.is_top(grant))

    @cached_property
    def reach(self) -> Reach:
        """The reach of everybody's access now."""
        return reach(self.live.access, self.traits)

    def reach_after(self, unreachable_steps: Collection[Key]) -> Reach:
        """Return how far it reaches once everything proposed is done but for what is stuck."""
        return reach_after(self.reach, (change for change in self.changes if change.key not in unreachable_steps))

    @cached_property
    def index(self) -> Index:
        """The live grants by holder."""
        return Index(self.live.access)

    @cached_property
    def projected_index(self) -> Index:
        """The grants by holder once everything proposed is done."""
        return Index(self.projected)

    @cached_property
    def projected_members(self) -> Mapping[str, tuple[str, ...]]:
        """The accounts in each group once everything proposed is done."""
        moves = any(series[0].key[0] == "member" for series in self.series)
        return self.projected_index.members if moves else self.index.members

    @cached_property
    def projected(self) -> Access:
        """The access as it is once everything proposed is done."""
        return patch(self.live.access, self.changes)


def manage(
    live: Live,
    desired: Desired,
    traits: Traits,
    policy: Policy,
    memory: Memory | None,
    *,
    base: Mapping[str, str] | None = None,
    alternatives: Alternatives = NO_ALTERNATIVES,
) -> Proposal:
    """Return what should be changed on an instance, and what is left alone.

    `memory` is what the journal knows of the instance. `base` maps the handles declared at an earlier revision
    to their logins here; who is in it, or in the memory, and no longer in the file, has left. `alternatives` are what
    would be desired without some dates, by which the changes that a date causes are told.
    """
    found = find_others(live, desired, traits, memory)
    others, remade = (_leave_alone(accounts, live, policy) for accounts in found)
    earlier = _find_earlier(memory, base)
    ours = _own(live, desired, traits, policy, earlier, others)
    classification, wanted = ours.classification, ours.wanted
    mismatched = find_mismatched(classification, memory)
    taken, left = _split(ours)
    causes, changes = {change.key: cause for change, cause in taken}, [change for change, _ in taken]
    timings = _find_timings(taken, ours, alternatives, earlier)
    row = [
        ours.explained(change, causes[change.key], timings.get(change.key) if timings else None)
        for change in order(changes, traits)
    ]
    mine, back = _hold_back(row, ours)
    made = [proposed.change for proposed in mine]
    counts = tally(live, desired, traits, classification, include_unmanaged=policy.unmanaged != "report")
    excess = _find_excess(changes, left, ours)
    return Proposal(
        live=live, desired=desired, traits=traits, policy=policy, memory=memory, proposed=mine, held_back=back,
        excess=excess, unmanaged=counts.unmanaged,
        waiting=tuple(sorted([key for key in live.pending if _is_as_wished(key, wanted, live.access)])),
        diagnostics=(
            *judged(live, desired),
            *_describe_held(desired, back),
            *report_excess(excess, desired),
            *findings(classification, wanted, memory, made, counts.unmanaged, mismatched, left),
            *_warn_without_identities(classification, memory, base),
            *warn_address_changes(classification, made),
        ),
        others=others,
        mismatched=mismatched,
        remade=remade,
        accounts=counts.accounts, sites=len(desired.managed or ()), grants=counts.grants, declared=counts.declared,
    )  # fmt: skip


def _is_as_wished(key: Key, wanted: Access, live: Access) -> bool:
    wish = wanted.find(key)
    return wish is not None and wish == live.find(key)


def _leave_alone(others: Mapping[str, OtherAccount], live: Live, policy: Policy) -> Mapping[str, OtherAccount]:
    """Return the accounts that are not the known ones of their login, without the account in use and ignored ones."""
    return {
        name: other for name, other in others.items() if not live.is_self(name) and not matching(policy.ignore, name)
    }


def _find_earlier(memory: Memory | None, base: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return the logins of the users of an earlier run and revision by handle; `None` where neither is known."""
    if memory is None or memory.blank:
        return base
    return {**memory.users, **{handle: memory.renamed.get(login, login) for handle, login in (base or {}).items()}}


def _warn_without_identities(
    classification: Classification, memory: Memory | None, base: Mapping[str, str] | None
) -> Iterator[Diagnostic]:
    """Warn where an earlier revision has users here and no journal knows whether their accounts are still the same."""
    if classification.traits.ids == "none" or (memory is not None and (memory.accounts or memory.last is not None)):
        return
    known = [login for login in (base or {}).values() if classification.live_account(login)]
    if known:
        yield warning(
            "identities-unknown",
            f"no journal knows the accounts of {plural(len(known), 'user')} of the base, so it cannot be told whether "
            "somebody else's accounts bear their names now",
            hint="keep the journal where every run finds it",
        )


def _without_live(wanted: Access, live: Access, others: Collection[str]) -> Access:
    """Return the wanted access without what accounts that are not those of declared users have already."""
    return Access.of(
        {
            key: resource
            for key, resource in wanted.items()
            if key[0] == "account" or key not in live or account_of(key) not in others
        }
    )


def _split(ours: Ownership) -> tuple[list[tuple[Change, Cause]], list[Change]]:
    """Return the differences that are ours to act on, with the causes, and those that are not."""
    taken: list[tuple[Change, Cause]] = []
    left: list[Change] = []
    for change in diff(ours.live.access, ours.wanted, ours.apart):
        cause = ours.cause(change)
        if cause is None:
            left.append(change)
        else:
            taken.append((change, cause))
    return taken, left


def _find_excess(changes: Sequence[Change], left: Sequence[Change], ours: Ownership) -> tuple[Excess, ...]:
    """Return what people hold beyond the declaration once `changes` are made; `left` are the other differences."""
    return Remaining(
        changes=changes,
        left=left,
        grounds=ours.grounds,
        classification=ours.classification,
        unmanaged_too=ours.policy.unmanaged != "report",
    ).find()


def _find_timings(
    taken: Sequence[tuple[Change, Cause]],
    ours: Ownership,
    alternatives: Alternatives,
    earlier: Mapping[str, str] | None,
) -> Mapping[Key, Timing]:
    """Return the timing of each change that a date causes; `earlier` is as in `Classification`."""

    def wished(alternative: Desired | None) -> Wished | None:
        """Return the changes that an alternative asks for."""
        if alternative is None:
            return None
        same = alternative is ours.desired
        others = ours.classification.others
        own = taken if same else _split(_own(ours.live, alternative, ours.traits, ours.policy, earlier, others))[0]
        return {change.key: change.after for change, _ in own}

    return find_timings(
        taken,
        ours.traits,
        endless=wished(alternatives.endless),
        unbegun=wished(alternatives.unbegun),
        recorded=wished(alternatives.recorded),
    )


def _own(
    live: Live,
    desired: Desired,
    traits: Traits,
    policy: Policy,
    earlier: Mapping[str, str] | None,
    others: Mapping[str, OtherAccount],
) -> Ownership:
    """Return the decisions about the differences between `live` and `desired`; `others` are not the known accounts."""
    classification = Classification(live, desired, traits, policy.ignore, earlier, others)
    wanted, apart = with_defaults(desired, live, traits, classification.is_present)
    whole = not others or policy.unmanaged == "report"
    if not whole:
        wanted = _without_live(wanted, live.access, others)
    return Ownership(
        live=live,
        desired=desired,
        traits=traits,
        policy=policy,
        classification=classification,
        wanted=wanted,
        apart=apart if whole else None,
    )


def _hold_back(row: Sequence[Proposed], ours: Ownership) -> tuple[tuple[Proposed, ...], tuple[Proposed, ...]]:
    """Return the changes to be made, and those that the mode or a row in error leaves undone."""
    if ours.holds_nothing_back:
        return tuple(row), ()
    held = {proposed.key for proposed in row if ours.held_back(proposed)}
    kept = {
        name: key for name, key in demoted((proposed.change for proposed in row), ours.traits).items() if key in held
    }
    held |= {proposed.key for proposed in row if is_regrant(proposed.change, ours.traits, kept)}
    mine = tuple(proposed for proposed in row if proposed.key not in held)
    return mine, tuple(proposed for proposed in row if proposed.key in held)


def _describe_held(desired: Desired, held: Iterable[Proposed]) -> Iterator[Diagnostic]:
    """Yield, for each change that is held back because of a row in error, the place of that error."""
    for proposed in held:
        at = desired.held.cause(proposed.key)
        if at is not None:
            message = "kept, because a row of the file that may speak of it is in error"
            yield warning("kept-by-error", message, about=proposed.key, at=at, hint="correct that row; then plan again")
