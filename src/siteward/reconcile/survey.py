"""The survey of one instance: what is live, what is desired, and what would follow, by reading alone."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.accounts import without_resending
from siteward.access.approvals import NOBODY, Approvers, approvers_named, asks_for_approvals, require_approvals
from siteward.access.case import unreachable_steps
from siteward.access.change import deletes_account
from siteward.access.gains import Gains
from siteward.access.guards import PASSWORDS, judge
from siteward.access.identity import follow
from siteward.access.key_inventory import hold_keys, judge_keys
from siteward.access.known_names import KnownNames, account_names
from siteward.access.model import Access, account_of
from siteward.access.needs import NEEDS
from siteward.access.plan import InstancePlan, Need, compose
from siteward.access.proposal import manage
from siteward.access.waivers import silenced
from siteward.declaration.resolve import resolve
from siteward.platforms.known import only_read
from siteward.reconcile.apply.admission import pathless_bond
from siteward.reconcile.apply.consent import CONSENTS, accepted_on
from siteward.reconcile.apply.passwords import undeliverable
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import Fresh
from siteward.reconcile.approvals import approvers_on
from siteward.reconcile.dated import (
    Revisions,
    find_alternatives,
    let_ends_pass,
)
from siteward.reconcile.drift import find_undone
from siteward.reconcile.forecast import Basis, expect
from siteward.reconcile.own_account import claim_of, own_account
from siteward.reconcile.selection import confine
from siteward.reconcile.unsettled import settled
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from siteward.access.api_key import HeldKey
    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.limits import Begun
    from siteward.access.model import Accounts, Key, Resource
    from siteward.access.plan import Step
    from siteward.access.proposal import Proposal
    from siteward.access.state import Desired, Live, Memory
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Onboarding
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.platforms.interface import Platform
    from siteward.reconcile.apply.passwords import Passwords
    from siteward.reconcile.revisions.base_policy import BasePolicy
    from siteward.reconcile.selection import Selection
    from siteward.transport.http import Reader
    from siteward.transport.pace import Speed


_TOLD = 5.0
"""The shortest time that a plan tells, in seconds."""
Snapshot: TypeAlias = "tuple[Traits, Live]"


class Survey(Struct, frozen=True, kw_only=True):
    """The state of one instance: live, desired, and the proposal that follows.

    `before` are the changes that the files at the base ask for, `None` without one.
    `confirmed` is true where more than the file names the account of the credentials.
    `cut_off` is true where an apply was interrupted here; `journal_head` is the last sum of its journal,
    which has the live state of `recorded_at` last, and `records` tells whether it ever had one between two runs.
    `approvers` are those who may approve what is given here. `keys` are those that are live or in the file, and
    `keys_unseen` says why not all live ones are shown.
    """

    name: str
    origin: str
    platform: Platform
    traits: Traits
    live: Live
    desired: Desired
    proposal: Proposal
    memory: Memory | None
    as_of: datetime
    base_policy: BasePolicy | None = None
    confirmed: bool = False
    cut_off: bool = False
    before: frozenset[Change] | None = None
    journal_head: str = ""
    recorded_at: datetime | None = None
    records: bool = False
    approvers: Approvers = NOBODY
    keys: tuple[HeldKey, ...] = ()
    keys_unseen: str = ""

    def desired_by(self, declaration: Declaration) -> Desired:
        """Return what other files than those at hand would desire here, all else being equal."""
        return resolve(declaration, self.name, self.traits, self.live, as_of=self.as_of, memory=self.memory)

    def _review(self, proposal: Proposal) -> Iterable[Diagnostic]:
        return self.platform.review(proposal.changes, self.live, self.memory)

    def verdict(
        self, allowance: Allowance, keys: Collection[Key] | None = None, begun: Begun | None = None
    ) -> tuple[Diagnostic, ...]:
        """Return the diagnostics of guards, rules, platform and password delivery on all changes, or on some keys.

        Where a base policy is known, the proposal is judged with the users as they were at the base too.
        """
        proposal = self.proposal if keys is None else _select_changes(self.proposal, keys)
        changes = proposal.changes if allowance.asks else ()
        review = _insert_name(without_resending(self._review(proposal), self.desired), self.name)
        remarks = (
            *let_ends_pass(review, proposal),
            *undeliverable(self.name, changes, self.desired.declared_users, self.traits, allowance.passwords),
            *(self.base_policy.objections(self.name, proposal) if self.base_policy else ()),
        )
        before = self.base_policy.as_before(self.name, proposal, self.as_of) if self.base_policy else ()
        variants = (proposal, *before)
        if allowance.asks:
            remarks = (*remarks, *self._unapproved(variants, allowance.approved))
        judged = (
            diagnostic
            for variant in variants
            for diagnostic in judge(
                variant,
                as_of=self.as_of,
                accept=accepted_on(self.name, allowance.accept)
                if allowance.asks
                else dict.fromkeys(CONSENTS.values(), ""),
                allow_delete=allowance.allow_delete or not allowance.asks,
                confirmed=self.confirmed,
                remarks=remarks,
                begun=begun,
            )
            if allowance.asks or diagnostic.code not in CONSENTS
        )
        found = tuple(dict.fromkeys((*remarks, *(_insert_variable(diagnostic, self.name) for diagnostic in judged))))
        return (*found, *self._left_over(proposal, found))

    def _left_over(self, proposal: Proposal, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Return the platform's errors on the changes that are left once those that `found` blocks are taken out.

        A change may need another one done that stands behind it: an invitation needs a site to invite to. What lacks only
        a need is left in, since it may yet be given.
        """
        blocked = {said.about for said in found if said.blocks and said.about is not None and said.code not in NEEDS}
        more: list[Diagnostic] = []
        while blocked and not blocked.issuperset(keys := {change.key for change in proposal.changes}):
            proposal = _select_changes(proposal, keys - unreachable_steps(blocked, proposal))
            objections = _insert_name(without_resending(self._review(proposal), self.desired), self.name)
            new = [said for said in objections if said.blocks and said.about in keys and said.about not in blocked]
            more += new
            blocked = {said.about for said in new if said.about is not None}
        return tuple(more)

    def _unapproved(self, variants: Iterable[Proposal], approved: frozenset[str]) -> tuple[Diagnostic, ...]:
        """Return the errors on steps that lack an approval, by the rules on any variant of a proposal."""
        found = (
            said
            for variant in variants
            for said in require_approvals(Gains(variant, self.as_of), self.approvers, approved)
        )
        return tuple(dict.fromkeys(found))

    def standing(self, keys: Collection[Key]) -> tuple[Diagnostic, ...]:
        """Return the errors from before judging, about the whole instance or these keys."""
        found = (*self.proposal.diagnostics, *self.desired.diagnostics)
        return tuple(
            diagnostic
            for diagnostic in found
            if diagnostic.blocks_all or (diagnostic.blocks and diagnostic.about in keys)
        )

    def accounts(self, declared: Mapping[str, str | None] = MappingProxyType({})) -> dict[str, str | None]:
        """Return every known account name of the instance, with the handle of its declared user, if it has one."""
        return account_names(self.live, self.desired, self.memory, declared)

    def unwanted(self, resources: Collection[Resource]) -> frozenset[Key]:
        """Return the keys of those resources that the file would have changed or removed if they were live."""
        names = {account_of(resource.key) for resource in resources}
        wishes = (resource for resource in self.desired.access.values() if account_of(resource.key) in names)
        desired = replace(self.desired, access=Access(wishes))
        live = replace(self.live, access=Access(resources), pending=frozenset(), findings=())
        ours = {change.key for change in manage(live, desired, self.traits, self.proposal.policy, self.memory).changes}
        return frozenset(resource.key for resource in resources if resource.key in ours)

    def plan(self, allowance: Allowance, *, speed: Speed | None = None, only: Selection | None = None) -> InstancePlan:
        """Return the plan that follows; with `only`, that part of it.

        A part is judged as if the rest was not there; the steps that are left out are named. With the `speed` of the
        reading it tells how many requests applying is expected to send, and how long that takes.
        """
        whole = self._compose(self.proposal, self.verdict(allowance), speed if only is None else None)
        if only is None:
            return whole

        def part(keys: Collection[Key], remarks: Iterable[Diagnostic]) -> InstancePlan:
            """Return the plan of the changes of these keys alone, with more diagnostics."""
            proposal = _select_changes(self.proposal, keys)
            return self._compose(proposal, (*self.verdict(allowance, keys), *remarks), speed)

        return confine(whole, only, part)

    def needs(self, part: InstancePlan, passwords: Passwords) -> Mapping[Need, int]:
        """Return how many steps of its plan need a named destination for passwords, consent to delete, or whose approval.

        Steps that are blocked by more than such a need do not count. The needs have no numbers of their own.
        """
        open_steps = [
            step
            for step in part.steps
            if not step.blocked or all(said.code in NEEDS for said in step.diagnostics if said.blocks)
        ]
        changes = [step.change for step in open_steps]
        nowhere = undeliverable(
            self.name, changes, self.desired.declared_users, self.traits, replace(passwords, out=None)
        )
        approvals = Counter(
            Need(need="approval", by=people, steps=0)
            for step in open_steps
            if step.diagnostics
            for people in approvers_named(step.diagnostics)
        )
        return {
            Need(need="passwords", steps=0): sum(said.code == PASSWORDS for said in nowhere),
            Need(need="deletions", steps=0): sum(map(deletes_account, changes)),
            **approvals,
        }

    def _compose(self, proposal: Proposal, remarks: Iterable[Diagnostic], speed: Speed | None) -> InstancePlan:
        read_requests = 0 if speed is None else speed.requests
        part = compose(proposal, remarks, instance=self.name, origin=self.origin, read_requests=read_requests)
        part = part if speed is None else self._foresee(part, speed)
        told = silenced(part.diagnostics, self.name, proposal.policy.waivers, self.as_of)
        undone = find_undone(part, self.live, self.desired, self.memory, self.traits)
        marks = undone or self.before is not None
        steps = tuple([self._mark(step, undone) for step in part.steps]) if marks else part.steps
        return replace(part, diagnostics=told, steps=steps)

    def _foresee(self, part: InstancePlan, speed: Speed) -> InstancePlan:
        """Return a plan with what applying is expected to take; whoever applies gives what steps only wait for.

        A few seconds are told as none, since nobody waits for them.
        """
        basis = Basis(platform=self.platform, traits=self.traits, live=self.live, speed=speed, unwanted=self.unwanted)
        expected = expect(part.given.runnable, basis)
        seconds = float(round(expected.seconds(expected.whole)))
        return replace(part, requests=expected.whole.requests, seconds=seconds if seconds >= _TOLD else 0.0)

    def _mark(self, step: Step, undone: Collection[Key]) -> Step:
        """Return a step with what it undoes, and whether it is of this change of the files."""
        pending = None if self.before is None else step.change in self.before
        undoes = step.change.key in undone
        return replace(step, undoes=undoes, pending=pending) if undoes or pending is not None else step

    def fresh(self, passwords: Passwords) -> Fresh:
        """Return the instance as apply takes it: planned without any acceptance, with new passwords for `passwords`."""
        as_planned = Allowance(passwords=passwords, accept={}, allow_delete=False)
        on_all, every = self.verdict(as_planned), frozenset(proposed.key for proposed in self.proposal.proposed)

        def verdict(
            keys: Collection[Key],
            *,
            accept: Mapping[str, str],
            allow_delete: bool,
            approved: frozenset[str] = frozenset(),
            begun: Begun | None = None,
        ) -> tuple[Diagnostic, ...]:
            allowance = Allowance(passwords=passwords, accept=accept, allow_delete=allow_delete, approved=approved)
            is_known = begun is None and allowance == as_planned and every.issubset(keys)
            return (*self.standing(keys), *(on_all if is_known else self.verdict(allowance, keys, begun)))

        return Fresh(
            traits=self.traits,
            live=self.live,
            desired=self.desired,
            plan=self._compose(self.proposal, on_all, None),
            judge=verdict,
            confirmed=self.confirmed,
            unwanted=replace(self, proposal=replace(self.proposal, proposed=(), held_back=())).unwanted,
        )


def take_survey(
    declaration: Declaration,
    instance: Instance,
    reader: Reader,
    *,
    as_of: datetime,
    memory: Memory | None,
    revisions: Revisions,
) -> Survey:
    """Read one instance and compute what should change there. Raises `PlatformError`."""
    platform = instance.platform
    probed, seed = platform.probe(reader, instance.settings)
    traits = _narrow_onboarding(probed, declaration.instances[instance.name].onboarding)
    live = platform.read(reader, instance.settings, traits, seed)
    return surveyed(declaration, instance, traits, live, as_of=as_of, memory=memory, revisions=revisions)


def surveyed(
    declaration: Declaration,
    instance: Instance,
    traits: Traits,
    live: Live,
    *,
    as_of: datetime,
    memory: Memory | None,
    revisions: Revisions,
) -> Survey:
    """Compute what should change on an instance that has been read; sends nothing."""
    declared, base_policy = declaration.instances[instance.name], revisions.base_policy
    confirmed = instance.confirmed() or traits.knows_self
    live = replace(live, findings=_insert_name(live.findings, instance.name))
    live, objections = own_account(live, traits, claim_of(instance, declared.self_account, declared.at))
    memory = settled(follow(memory, live, traits), live)
    desired = resolve(declaration, instance.name, traits, live, as_of=as_of, memory=memory)
    desired = base_policy.as_named(instance.name, desired, live) if base_policy else desired
    policy = base_policy.policy(instance.name) if base_policy else declared.policy
    earlier = base_policy.earlier(instance.name, traits, live, as_of, memory) if base_policy else None
    longer = base_policy.extended(instance.name, desired, live, traits, as_of) if base_policy else ()
    alternatives = find_alternatives(
        declaration, instance.name, desired,
        lambda other: resolve(other, instance.name, traits, live, as_of=as_of, memory=memory),
        as_of=as_of, memory=memory, recorded=revisions.recorded,
    )  # fmt: skip
    proposal = manage(live, desired, traits, policy, memory, base=earlier, alternatives=alternatives)
    keys = hold_keys(proposal, as_of, instance.name)
    said = (*proposal.diagnostics, *only_read(instance.platform.known, traits), *judge_keys(keys, traits.keys_unseen))
    told = _insert_name(said, instance.name)
    before = base_policy.asked_before(instance.name, traits, live, as_of, memory) if base_policy else None
    approvers = NOBODY
    if asks_for_approvals(policy):
        approvers = approvers_on(instance.name, declaration, desired, base_policy, traits, live, as_of)
    return Survey(
        name=instance.name, origin=instance.origin, platform=instance.platform, traits=traits, live=live, desired=desired,
        proposal=replace(proposal, diagnostics=(*pathless_bond(instance), *objections, *longer, *told)),
        memory=memory, as_of=as_of, base_policy=base_policy, confirmed=confirmed, before=before, approvers=approvers,
        keys=keys, keys_unseen=traits.keys_unseen,
    )  # fmt: skip


def names_shown(surveys: Iterable[Survey], declared: Accounts) -> Accounts:
    """Return the account names in the files, with all that surveys show of their instances."""
    shown = {survey.name: survey for survey in surveys}

    def find(instance: str) -> Mapping[str, str | None]:
        """Return the account names of one instance, with the handles of their declared users."""
        survey, written = shown.get(instance), declared.get(instance, {})
        return written if survey is None else survey.accounts(written)

    return KnownNames((*declared, *shown), find)


def _insert_variable(diagnostic: Diagnostic, instance: str) -> Diagnostic:
    """Return a guard's diagnostic with the instance's name and its own variable in the hint."""
    if not diagnostic.hint:
        return diagnostic
    hint = diagnostic.hint.replace("SITEWARD_<INSTANCE>_SELF", variable(instance, "self"))
    return replace(diagnostic, hint=hint.replace("<instance>", instance))


def _insert_name(diagnostics: Iterable[Diagnostic], instance: str) -> tuple[Diagnostic, ...]:
    """Return an adapter's diagnostics with the instance's name in the hints: adapters do not know it."""
    return tuple(
        replace(diagnostic, hint=diagnostic.hint.replace("<instance>", instance)) if diagnostic.hint else diagnostic
        for diagnostic in diagnostics
    )


def _narrow_onboarding(traits: Traits, wish: Onboarding | None) -> Traits:
    """Return traits with just the `onboarding` (way of creating accounts) of the file, where the platform has it."""
    return replace(traits, onboarding=frozenset({wish})) if wish in traits.onboarding and wish is not None else traits


def _select_changes(proposal: Proposal, keys: Collection[Key]) -> Proposal:
    return replace(proposal, proposed=tuple(proposed for proposed in proposal.proposed if proposed.key in keys))
