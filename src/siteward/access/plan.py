"""The plan: ordered changes with their diagnostics and risks, as data that is complete before the first write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from operator import is_
from types import MappingProxyType
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.accounts import UnmanagedAccount
from siteward.access.case import unreachable_steps
from siteward.access.change import Change, escalates
from siteward.access.dates import Due
from siteward.access.diagnostic import Diagnostic, Severity, error
from siteward.access.limits import emptied, takes
from siteward.access.model import (
    Account,
    Grant,
    Key,
    Member,
    Power,
    Resource,
    Scope,
    SubjectKind,
    account_key,
    account_of,
    scope_key,
)
from siteward.access.needs import DEPENDS, give
from siteward.access.ownership import Proposed, Series, find_series
from siteward.access.policy import Mode
from siteward.access.proposal import Proposal
from siteward.access.risks import Risk, Risks, is_top
from siteward.access.state import Cause, DeclaredUser, Listing, Live, Origin, home_of, is_external
from siteward.access.step_counts import StepCounts, count_steps
from siteward.access.traits import Traits

__all__ = ["Cause", "InstancePlan", "Need", "Plan", "Risk", "Step", "UnmanagedAccount", "Waived", "compose"]


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """One change in a plan.

    `id` is unique in its instance's plan (`s1`, `s2`, … in order of execution). `person` is the declared
    handle behind the account, if there is one. `ids` pins the platform's own ids of what is touched, by key,
    so that a thing deleted and made anew between plan and apply is not taken for the old one. `due` is the date that
    causes the step, if one does: an end that has passed or a start that has come; where it also `waits`, it gives what
    the file at the last completed apply did not, and only an apply of everything does it.
    `depends_on` lists the ids of steps that must be done first. `undoes` is true where it puts back what the last run
    left and others have changed since; `pending` where the files at the base ask for it too, and not only this change
    of them; without a base it is `None`.
    """

    id: str
    change: Change
    cause: Cause
    due: Due | None = None
    waits: bool = False
    origin: Origin | None = None
    person: str | None = None
    before_power: Power = Power.NONE
    after_power: Power = Power.NONE
    raises: bool = False
    external: bool = False
    risk: Risk = "low"
    risks: tuple[str, ...] = ()
    ids: Mapping[Key, str] = MappingProxyType({})
    depends_on: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    undoes: bool = False
    pending: bool | None = None

    @property
    def blocked(self) -> bool:
        """True if a diagnostic of this step is an error."""
        said = self.diagnostics
        return bool(said) and Severity.ERROR in [diagnostic.severity for diagnostic in said]

    @property
    def kept(self) -> bool:
        """True if this is held back because a row of the file in error may speak of it."""
        return any(diagnostic.code == "kept-by-error" for diagnostic in self.diagnostics)

    def effects(self, effect: str) -> tuple[Diagnostic, ...]:
        """Return the consequences of one kind that the platform announced for this step."""
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.effect == effect)


class InstancePlan(Struct, frozen=True, kw_only=True, dict=True):
    """The steps that one instance needs, and the knowledge that they were planned on.

    `origin` is scheme, host, port and base path. `held_back` are steps that the mode leaves undone; `accounts`, `sites`
    and `grants` count what was read and is managed, `declared` the live accounts of declared users, `read_accounts`,
    `read_sites` and `read_grants` all that was read. `requests` and `seconds` are all that applying is expected to send
    and to take, the reading before, between and after its changes included. `waiting` are keys already as wanted but for somebody's acceptance. `flawed` is true if the file asks
    for what does not exist here, so that its wish is not wholly known. `emptied` are the
    accounts that lose all access. `left_out` are the steps that a selection leaves out (see `Plan.only`).
    """

    instance: str
    platform: str
    origin: str
    mode: Mode
    version: str = ""
    edition: str = ""
    me: str | None = None
    steps: tuple[Step, ...] = ()
    held_back: tuple[Step, ...] = ()
    left_out: tuple[Step, ...] = ()
    unmanaged: tuple[UnmanagedAccount, ...] = ()
    waiting: tuple[Key, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    listings: tuple[Listing, ...] = ()
    unreadable: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    accepted_blind: tuple[str, ...] = ()
    accounts: int = 0
    sites: int = 0
    grants: int = 0
    declared: int = 0
    admins_before: int = 0
    admins_after: int = 0
    read_accounts: int = 0
    read_sites: int = 0
    read_grants: int = 0
    read_requests: int = 0
    requests: int = 0
    seconds: float = 0.0
    flawed: bool = False
    emptied: tuple[str, ...] = ()

    @property
    def read(self) -> tuple[int, int, int]:
        """The numbers of accounts, sites and grants that were read; a plan without them tells those that are managed."""
        read = (self.read_accounts, self.read_sites, self.read_grants)
        return read if any(read) else (self.accounts, self.sites, self.grants)

    @property
    def blocked(self) -> bool:
        """True if an error is about the instance as a whole, so that no step may be done."""
        return any(diagnostic.blocks_all for diagnostic in self.diagnostics)

    @cached_property
    def counts(self) -> StepCounts:
        """The numbers of the steps that may be done."""
        return count_steps(self.instance, self.runnable)

    @cached_property
    def runnable(self) -> tuple[Step, ...]:
        """The steps that may be done: none where the instance is blocked, else those that are not blocked."""
        return () if self.blocked else tuple([step for step in self.steps if not step.blocked])

    @property
    def given(self) -> InstancePlan:
        """The plan in which the steps that lack nothing but a need are not blocked, as whoever reviews it reads it."""
        return self if self._given is None else self._given

    @cached_property
    def _given(self) -> InstancePlan | None:
        """That plan, where it is another: found once, with all that is counted of it."""
        steps = give(self.steps)
        return None if all(map(is_, steps, self.steps)) else replace(self, steps=steps)


class Need(Struct, frozen=True, kw_only=True):
    """Something that whoever applies has to give, and the number of steps that need it.

    `passwords` is a destination for new passwords, `deletions` the consent to delete accounts, `approval` that of one of
    the people in `by`.
    """

    need: Literal["passwords", "deletions", "approval"]
    steps: int
    by: tuple[str, ...] = ()


class Waived(Struct, frozen=True, kw_only=True):
    """A finding about something that the policy waives, until the end of a date."""

    rule: str
    about: str
    until: str


class Plan(Struct, frozen=True, kw_only=True, weakref=True):
    """The steps of one run on all its instances. `digest` covers everything else (see codec).

    `only` are the words of the selection that the plan is confined to; empty for a whole plan. `timezone` is that of the
    policy, in which people read its moments.
    """

    tool: str
    created: datetime
    as_of: datetime
    as_of_given: bool = False
    config: str = ""
    config_digest: str = ""
    commit: str | None = None
    dirty: bool = False
    files: int = 0
    only: tuple[str, ...] = ()
    timezone: str = "UTC"
    instances: tuple[InstancePlan, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    needs: tuple[Need, ...] = ()
    waived: tuple[Waived, ...] = ()
    digest: str = ""

    @property
    def given(self) -> Plan:
        """The plan in which the steps that lack nothing but a need are not blocked."""
        return replace(self, instances=tuple([part.given for part in self.instances])) if self.needs else self

    def instance(self, name: str) -> InstancePlan | None:
        """Return the plan of that instance, or `None`."""
        return next((instance for instance in self.instances if instance.instance == name), None)


def compose(
    proposal: Proposal,
    remarks: Iterable[Diagnostic] = (),
    *,
    instance: str,
    origin: str,
    read_requests: int = 0,
) -> InstancePlan:
    """Return the plan of one instance: the proposed steps in order, each with its diagnostics and risks.

    `remarks` are the diagnostics of the guards and the platform's review; those of the proposal and of resolving the
    file are added. `origin` is as in the plan.
    """
    view = _View(proposal, remarks)
    steps, held_back = view.steps(proposal.series, "s"), view.steps(find_series(proposal.held_back), "h")
    live, traits, policy = proposal.live, proposal.traits, proposal.policy
    return InstancePlan(
        instance=instance,
        platform=traits.platform,
        origin=origin,
        mode=policy.mode,
        version=traits.version,
        edition=traits.edition,
        me=live.me,
        steps=steps,
        held_back=held_back,
        unmanaged=proposal.unmanaged,
        waiting=proposal.waiting,
        diagnostics=view.other_diagnostics(),
        listings=live.listings,
        unreadable=live.unreadable,
        blind_spots=traits.blind_spots,
        accepted_blind=tuple(spot for spot in traits.blind_spots if spot in policy.accept_blind),
        accounts=proposal.accounts,
        sites=proposal.sites,
        grants=proposal.grants,
        declared=proposal.declared,
        read_accounts=len(_account_names(live)),
        read_sites=len(live.sites),
        read_grants=live.access.count_grants(),
        admins_before=view.admins(),
        admins_after=view.admins(() if view.blocked else view.done),
        read_requests=read_requests,
        emptied=() if view.blocked else tuple(sorted(view.emptied)),
        flawed=proposal.desired.flawed,
    )


def _account_names(live: Live) -> set[str]:
    """Return the names of all live accounts, also of those that the platform shows by their grants alone."""
    names = {account.name for account in live.access.accounts()}
    return names | {subject.name for subject, _ in live.access.by_subject() if subject.kind == "account"}


_Needed: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""The ids of the steps that a step depends on, and of those of them that are blocked."""


class _View:
    """A proposal with all diagnostics on it, from which its steps are built."""

    def __init__(self, proposal: Proposal, remarks: Iterable[Diagnostic]) -> None:
        self.proposal = proposal
        self.traits: Traits = proposal.traits
        self.diagnostics = tuple(dict.fromkeys((*remarks, *proposal.diagnostics, *proposal.desired.diagnostics)))
        self.by_key: dict[Key, list[Diagnostic]] = defaultdict(list)
        for diagnostic in self.diagnostics:
            if diagnostic.about is not None:
                self.by_key[diagnostic.about].append(diagnostic)
        blocked = (
            diagnostic.about for diagnostic in self.diagnostics if diagnostic.blocks and diagnostic.about is not None
        )
        left_out = unreachable_steps(blocked, proposal)
        self.done = tuple([series[0] for series in proposal.series_without(left_out)])
        self.home = home_of(proposal.desired.declared_users.values())
        self.powers = _greatest_powers(proposal)
        self.emptied = emptied(proposal, left_out, [first for first in self.done if takes(first.change, self.traits)])
        self.risks = Risks(proposal, self.emptied)
        self._told: set[Key] = set()
        self._externals: dict[str, bool] = {}
        self._weights: dict[tuple[object, ...], tuple[Power, Power, bool]] = {}
        self._site_ids: dict[Scope, Mapping[Key, str]] = {}

    @cached_property
    def blocked(self) -> bool:
        """True if an error is about the instance as a whole."""
        return any(diagnostic.blocks_all for diagnostic in self.diagnostics)

    def steps(self, row: Iterable[Series], prefix: str) -> tuple[Step, ...]:
        """Return the steps of the proposed changes, numbered in order, with the steps they depend on."""
        needs, made = self.proposal.needs, dict[Key, Step]()
        after: dict[tuple[Key, ...], _Needed] = {}  # what a new account is given waits for the same
        for series in row:
            model = self._build_model(series[0])
            for proposed in series:
                keys = needs.get(proposed.change.key, ())
                needed = after.get(keys)
                if needed is None:
                    before = tuple([made[key] for key in keys if key in made])
                    needed = tuple([step.id for step in before]), tuple([step.id for step in before if step.blocked])
                    if len(before) == len(keys):
                        after[keys] = needed
                made[proposed.change.key] = self._build_step(proposed, model, f"{prefix}{len(made) + 1}", needed)
        return tuple(made.values())

    def other_diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return the diagnostics that are about none of the steps that were built."""
        return tuple(
            diagnostic
            for diagnostic in self.diagnostics
            if diagnostic.about is None or diagnostic.about not in self._told
        )

    def admins(self, firsts: Iterable[Proposed] = ()) -> int:
        """Count the accounts with the top role once these series are done, without the account in use."""
        held = {grant.subject.name for grant in self.proposal.tops}
        for change in [first.change for first in firsts]:
            name = account_of(change.key) or ""
            if is_top(change.after, self.traits):
                held.add(name)
            elif is_top(change.before, self.traits) or (change.after is None and change.key[0] == "account"):
                held.discard(name)
        return sum(not self.proposal.live.is_self(name) for name in held)

    def _build_model(self, first: Proposed) -> Step:
        """Return what is the same of all steps of the series that begins so, of which nothing is said.

        Its `ids` are those of the account and the group that the series is about.
        """
        before, after, raises = self._weigh(first.change)
        external = self._is_external(first)
        risks, risk = self.risks.of(first, (), after, external=external, raises=raises)
        return Step(
            id="",
            change=first.change,
            cause=first.cause,
            due=first.due,
            waits=first.waits,
            origin=first.origin,
            person=first.person,
            before_power=before,
            after_power=after,
            raises=raises,
            external=external,
            risk=risk,
            risks=risks,
            ids=self._pin_subjects(first.key),
        )

    def _build_step(self, proposed: Proposed, model: Step, name: str, first: _Needed) -> Step:
        change, (depends_on, blocked), said = proposed.change, first, self.by_key.get(proposed.change.key, ())
        ids = self._pin_ids(change, model.ids)
        if not said and not blocked:
            return replace(model, id=name, change=change, ids=ids, depends_on=depends_on)
        if said:
            self._told.add(change.key)
        diagnostics = tuple(said)
        if blocked:
            message = f"this needs {', '.join(blocked)}, which cannot be done"
            diagnostics = (*diagnostics, error(DEPENDS, message, about=change.key))
        risks, risk = self.risks.of(
            proposed, diagnostics, model.after_power, external=model.external, raises=model.raises
        )
        return replace(
            model,
            id=name,
            change=change,
            ids=ids,
            depends_on=depends_on,
            diagnostics=diagnostics,
            risks=risks,
            risk=risk,
        )

    def _weigh(self, change: Change) -> tuple[Power, Power, bool]:
        """Return the powers before and after, and whether powers are raised; of grants, once for each pair of roles."""
        before, after = change.before, change.after
        side = before if after is None else after
        if not isinstance(side, Grant):
            return self._power_of(before), self._power_of(after), self._raises(change)
        held = (before.role, before.extras) if isinstance(before, Grant) else None
        kind = (side.scope.kind, held, (after.role, after.extras) if isinstance(after, Grant) else None)
        known = self._weights.get(kind)
        if known is None:
            known = self._weights[kind] = self._power_of(before), self._power_of(after), self._raises(change)
        return known

    def _power_of(self, side: Resource | None) -> Power:
        match side:
            case Grant():
                return self.traits.power(side)
            case Member(group=group):
                return self.powers.get(("group", group), Power.NONE)
            case Account(name=name):
                return self.powers.get(("account", name), Power.NONE)
            case _:
                return Power.NONE

    def _raises(self, change: Change) -> bool:
        joins = change.before is None and isinstance(change.after, Member)
        return self._power_of(change.after) >= Power.MANAGE if joins else escalates(change, self.traits)

    def _is_external(self, proposed: Proposed) -> bool:
        """Return whether the person is external: by kind, or by an e-mail domain that is not ours."""
        name = account_of(proposed.key)
        if name is None:
            return False
        known = self._externals.get(name)
        if known is None:
            known = self._externals[name] = self._is_name_external(name, proposed.declared_user)
        return known

    def _is_name_external(self, name: str, declared_user: DeclaredUser | None) -> bool:
        account = self.proposal.live.access.find(account_key(name))
        live = account.email if isinstance(account, Account) else None
        email = (declared_user.email if declared_user is not None else None) or live
        return is_external(declared_user.kind if declared_user is not None else None, email, self.home)

    def _pin_subjects(self, key: Key) -> Mapping[Key, str]:
        """Return the platform's ids of the account and the group that a change of that key touches."""
        ids, name = self.proposal.live.ids, account_of(key)
        account = None if name is None else ids.get(account_key(name))
        pinned = {} if account is None or name is None else {account_key(name): account}
        if key[:2] == ("grant", "group") or key[0] == "member":
            group: Key = ("group", key[2] if key[0] == "grant" else key[1])
            pinned |= {group: ids[group]} if group in ids else {}
        return pinned

    def _pin_ids(self, change: Change, subjects: Mapping[Key, str]) -> Mapping[Key, str]:
        """Return the platform's ids of the resource and the site that a change touches, with those of its subjects."""
        own, side = self.proposal.live.ids.get(change.key), change.before if change.after is None else change.after
        site = self._pin_site(side.scope) if isinstance(side, Grant) else _NO_IDS
        if own is None and not subjects:
            return site  # the same for everybody who gets it
        return {change.key: own, **subjects, **site} if own is not None else {**subjects, **site}

    def _pin_site(self, scope: Scope) -> Mapping[Key, str]:
        """Return the platform's id of a site by its key."""
        ids = self._site_ids.get(scope)
        if ids is None:
            site = self.proposal.live.sites.get(scope)
            ids = self._site_ids[scope] = {scope_key(scope): site.id} if site is not None else _NO_IDS
        return ids


_NO_IDS: Mapping[Key, str] = MappingProxyType({})


def _greatest_powers(proposal: Proposal) -> Mapping[tuple[SubjectKind, str], Power]:
    """Return the greatest power of the groups that are joined or left, and of the accounts that are deleted."""
    wanted: set[tuple[SubjectKind, str]] = set()
    for change in [series[0].change for series in proposal.series if series[0].key[0] != "grant"]:
        match change:
            case Change(before=Member(group=group)) | Change(after=Member(group=group)):
                wanted.add(("group", group))
            case Change(before=Account(name=name), after=None):
                wanted.add(("account", name))
            case _:
                pass
    indexes = (proposal.index, proposal.projected_index) if wanted else ()
    return {
        subject: max(
            (proposal.traits.power(grant) for index in indexes for grant in index.own(*subject)), default=Power.NONE
        )
        for subject in wanted
    }
