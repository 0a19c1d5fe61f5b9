"""Planning: from a project and its live instances to a plan, by reading alone.

declaration ─ resolve ─▶ desired ─┐
                                  ├─ manage ─▶ proposal ─ judge, review ─▶ compose ─▶ plan
reader ─ probe, read ───▶ live ───┘
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from siteward import __version__
from siteward.access import codec
from siteward.access.accounts import without_resending
from siteward.access.diagnostic import Diagnostic, error, note
from siteward.access.guards import judge
from siteward.access.identity import follow
from siteward.access.model import Access, account_of
from siteward.access.plan import InstancePlan, Plan, compose
from siteward.access.proposal import manage
from siteward.access.report import Report
from siteward.access.state import account_names
from siteward.declaration.resolve import resolve
from siteward.declaration.unmatched import nowhere
from siteward.platforms.interface import no_blame
from siteward.reconcile.apply.admission import pathless_bond
from siteward.reconcile.apply.consent import CONSENTS, accepted_on
from siteward.reconcile.apply.passwords import undeliverable
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import RESUME, Fresh
from siteward.reconcile.dated import (
    NO_REVISIONS,
    Revisions,
    describe_dates,
    find_alternatives,
    let_ends_pass,
    revisions_of,
)
from siteward.reconcile.drift import drift as drifted
from siteward.reconcile.history import History, add_history, later_starts, read_history
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.own_account import claim_of, own_account
from siteward.reconcile.project import known_accounts
from siteward.reconcile.selection import confine, find_unknown
from siteward.reconcile.unsettled import settled
from siteward.transport.errors import PlatformError
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.model import Key, Resource
    from siteward.access.proposal import Proposal
    from siteward.access.report import DriftItem
    from siteward.access.state import Desired, Live, Memory
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Onboarding
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.platforms.interface import Platform
    from siteward.reconcile.apply.passwords import Passwords
    from siteward.reconcile.apply.target import Book
    from siteward.reconcile.project import Project
    from siteward.reconcile.revisions.base_policy import BasePolicy
    from siteward.reconcile.selection import Selection
    from siteward.transport.http import Doors, Reader

T = TypeVar("T")
Snapshot: TypeAlias = "tuple[Traits, Live]"


class Survey(Struct, frozen=True, kw_only=True):
    """The state of one instance: live, desired, and the proposal that follows.

    `confirmed` is true where more than the file names the account of the credentials.
    `cut_off` is true where an apply was interrupted here.
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

    def _review(self, proposal: Proposal) -> Iterable[Diagnostic]:
        return self.platform.review(proposal.changes, self.live, self.memory)

    def verdict(self, allowance: Allowance, keys: Collection[Key] | None = None) -> tuple[Diagnostic, ...]:
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
        judged = (
            diagnostic
            for variant in (proposal, *before)
            for diagnostic in judge(
                variant,
                as_of=self.as_of,
                accept=accepted_on(self.name, allowance.accept)
                if allowance.asks
                else dict.fromkeys(CONSENTS.values(), ""),
                allow_delete=allowance.allow_delete or not allowance.asks,
                confirmed=self.confirmed,
                remarks=remarks,
            )
            if allowance.asks or diagnostic.code not in CONSENTS
        )
        return tuple(dict.fromkeys((*remarks, *(_insert_variable(diagnostic, self.name) for diagnostic in judged))))

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

    def plan(self, allowance: Allowance, *, read_requests: int = 0, only: Selection | None = None) -> InstancePlan:
        """Return the plan that follows, with the expected requests and seconds; with `only`, that part of it.

        A part is judged as if the rest was not there; the steps that are left out are named.
        """
        whole = self._compose(self.proposal, self.verdict(allowance), read_requests)
        if only is None:
            return whole

        def part(keys: Collection[Key], remarks: Iterable[Diagnostic]) -> InstancePlan:
            """Return the plan of the changes of these keys alone, with more diagnostics."""
            proposal = _select_changes(self.proposal, keys)
            return self._compose(proposal, (*self.verdict(allowance, keys), *remarks), read_requests)

        return confine(whole, only, part)

    def _compose(self, proposal: Proposal, remarks: Iterable[Diagnostic], read_requests: int) -> InstancePlan:
        bundles = self.platform.bundle(proposal.changes, self.live)
        return compose(
            proposal,
            remarks,
            instance=self.name,
            origin=self.origin,
            requests=sum(bundle.requests for bundle in bundles),
            seconds=math.fsum(bundle.seconds for bundle in bundles),
            read_requests=read_requests,
        )

    def fresh(self, passwords: Passwords) -> Fresh:
        """Return the instance as apply takes it: planned without any acceptance, with new passwords for `passwords`."""

        def verdict(keys: Collection[Key], *, accept: Mapping[str, str], allow_delete: bool) -> tuple[Diagnostic, ...]:
            allowance = Allowance(passwords=passwords, accept=accept, allow_delete=allow_delete)
            return (*self.standing(keys), *self.verdict(allowance, keys))

        return Fresh(
            traits=self.traits,
            live=self.live,
            desired=self.desired,
            plan=self.plan(Allowance(passwords=passwords, accept={}, allow_delete=False)),
            judge=verdict,
            confirmed=self.confirmed,
            unwanted=self.unwanted,
        )


def survey(
    declaration: Declaration,
    instance: Instance,
    reader: Reader,
    *,
    as_of: datetime,
    memory: Memory | None,
    revisions: Revisions = NO_REVISIONS,
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
    revisions: Revisions = NO_REVISIONS,
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
    earlier = base_policy.earlier(instance.name, traits, live, as_of) if base_policy else None
    longer = base_policy.extended(instance.name, desired, live, traits, as_of) if base_policy else ()
    alternatives = find_alternatives(
        declaration,
        instance.name,
        desired,
        lambda other: resolve(other, instance.name, traits, live, as_of=as_of, memory=memory),
        as_of=as_of,
        record=memory.completed if memory is not None else None,
        recorded=revisions.recorded,
    )
    proposal = manage(live, desired, traits, policy, memory, base=earlier, alternatives=alternatives)
    return Survey(
        name=instance.name,
        origin=instance.origin,
        platform=instance.platform,
        traits=traits,
        live=live,
        desired=desired,
        proposal=replace(
            proposal,
            diagnostics=(
                *pathless_bond(instance),
                *objections,
                *longer,
                *_insert_name(proposal.diagnostics, instance.name),
            ),
        ),
        memory=memory,
        as_of=as_of,
        base_policy=base_policy,
        confirmed=confirmed,
    )


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


class Target(Struct, frozen=True, kw_only=True):
    """One instance of a checkout, as apply needs it (see `siteward.reconcile.apply.target.Target`)."""

    declaration: Declaration
    instance: Instance
    passwords: Passwords
    base_policy: BasePolicy | None = None

    @property
    def name(self) -> str:
        """The instance's name in the file."""
        return self.instance.name

    @property
    def origin(self) -> str:
        """Scheme, host, port and base path."""
        return self.instance.origin

    @property
    def platform(self) -> Platform:
        """The adapter of its platform."""
        return self.instance.platform

    @property
    def declared(self) -> Collection[str]:
        """The names of all instances in the file, chosen for this run or not."""
        return self.declaration.instances.keys()

    def open(self) -> Doors:
        """Return its reader and writer; raises `PlatformError` where credentials are missing or bound elsewhere."""
        return self.instance.open()

    def plan(self, reader: Reader, *, as_of: datetime, memory: Memory | None) -> Fresh:
        """Read and plan it again, without any acceptance. Raises `PlatformError`."""
        seen = survey(
            self.declaration,
            self.instance,
            reader,
            as_of=as_of,
            memory=memory,
            revisions=Revisions(base_policy=self.base_policy),
        )
        return seen.fresh(self.passwords)


class Run(Struct, frozen=True, kw_only=True):
    """The parameters of planning: the moments, the consents, and instances that were read earlier.

    Validity windows are checked at `as_of`; `as_of_given` is true where a person chose it, and apply then asks for it
    again. `snapshots` are instances that were read earlier, by name; nothing is sent for them. `only` is the part of the
    plan that is asked for, `None` for the whole.
    """

    created: datetime
    as_of: datetime
    as_of_given: bool = False
    allowance: Allowance
    snapshots: Mapping[str, Snapshot] = MappingProxyType({})
    only: Selection | None = None


def plan(project: Project, instances: Sequence[Instance], book: Book, run: Run, *, command: str = "plan") -> Report:
    """Return the report of a plan for `instances`; each fails by itself, as a diagnostic that names it."""
    report, _ = plan_and_survey(project, instances, book, run, command=command)
    return report


def plan_and_survey(
    project: Project, instances: Sequence[Instance], book: Book, run: Run, *, command: str = "plan"
) -> tuple[Report, tuple[Survey, ...]]:
    """Return the report of a plan, and the survey of each instance that could be read.

    All journals are read first, then the instances, each with the history from its journal.
    """
    revisions = revisions_of(project)
    histories = {instance.name: _history_or_problem(project, instance, book) for instance in instances}
    seen = _in_parallel(
        lambda instance: _survey_or_problem(project, instance, histories[instance.name], run, book, revisions),
        instances,
    )
    surveys = tuple(result for result, _ in seen if isinstance(result, Survey))
    problems = tuple(result for result, _ in seen if isinstance(result, Diagnostic))
    parts = tuple(
        result.plan(run.allowance, read_requests=requests, only=run.only)
        for result, requests in seen
        if isinstance(result, Survey)
    )
    loaded = project.loaded
    made = Plan(
        tool=__version__,
        created=run.created,
        as_of=run.as_of,
        as_of_given=run.as_of_given,
        config=project.path.name,
        config_digest=loaded.digest,
        commit=project.commit.id if project.commit else None,
        dirty=bool(project.commit and project.commit.dirty),
        files=loaded.files,
        only=run.only.words if run.only else (),
        instances=parts,
        diagnostics=(
            *project.said,
            *nowhere(project.declaration, {survey.name: survey.live for survey in surveys}),
            *problems,
        ),
    )
    accounts = known_accounts(loaded.accounts, project.base_policy)
    accounts |= {survey.name: survey.accounts(accounts.get(survey.name, {})) for survey in surveys}
    report = Report(command=command, texts=loaded.texts, files=loaded.files, accounts=accounts)
    if not parts:
        return replace(report, diagnostics=made.diagnostics), ()
    if run.only is not None and (unknown := find_unknown(run.only, project, surveys, accounts)):
        return replace(report, diagnostics=(*problems, *unknown)), ()
    command_next = RESUME if any(survey.cut_off for survey in surveys) else None
    report = replace(report, plan=codec.seal(made), next=command_next)
    return report, surveys


def drift(project: Project, instances: Sequence[Instance], book: Book, run: Run) -> Report:
    """Return the report of drift: differences between live and declared access, by how they came about.

    It only reads: a change that needs a consent to be applied is a difference here and no block.
    """
    run = replace(run, allowance=replace(run.allowance, asks=False))
    report, surveys = plan_and_survey(project, instances, book, run, command="drift")
    if report.plan is None:
        return report
    items: list[DriftItem] = []
    unnamed: list[Diagnostic] = []
    dates = [describe_dates(part, survey.memory) for survey in surveys if (part := report.plan.instance(survey.name))]
    for survey in surveys:
        part = report.plan.instance(survey.name)
        known = (survey.live, survey.desired, survey.memory, survey.proposal.excess)
        drifts = drifted(part, *known) if part is not None else ()
        if survey.name not in run.snapshots:
            instance = next(instance for instance in instances if instance.name == survey.name)
            drifts, problem = _note_causes(drifts, instance, survey)
            unnamed += [problem] if problem else []
        items += drifts
    return replace(report, drift=tuple(items), diagnostics=(*report.diagnostics, *unnamed, *dates))


def _note_causes(
    items: tuple[DriftItem, ...], instance: Instance, seen: Survey
) -> tuple[tuple[DriftItem, ...], Diagnostic | None]:
    """Return the items with notes on who caused them and when, by the platform's own record, if it keeps one.

    The second value is a note on why that record could not be read.
    """
    keys = tuple(key for item in items if item.kind != "unapplied" and (key := _key_of(item)) is not None)
    if not keys or seen.platform.blame is no_blame:
        return items, None
    try:
        with instance.reading() as reader:
            causes = seen.platform.blame(reader, keys, seen.live, seen.memory.last_at if seen.memory else None)
    except PlatformError as problem:
        why = note(problem.code, f"who caused the drift could not be read: {problem}", hint=problem.hint)
        return items, replace(why, instance=seen.name)
    return tuple(_add_cause(item, causes) for item in items), None


def _add_cause(item: DriftItem, causes: Mapping[Key, str]) -> DriftItem:
    key = _key_of(item)
    cause = causes.get(key) if key is not None else None
    return replace(item, note="; ".join(filter(None, (item.note, cause)))) if cause else item


def _key_of(item: DriftItem) -> Key | None:
    resource = item.live or item.declared or item.journalled
    return resource.key if resource is not None else None


def _history_or_problem(project: Project, instance: Instance, book: Book) -> History | Diagnostic:
    """Return the history of an instance, or the error for which its journal cannot be relied on."""
    try:
        return read_history(instance, book)
    except JournalBrokenError as problem:
        return _describe_problem(project, instance, problem)


def _survey_or_problem(
    project: Project, instance: Instance, history: History | Diagnostic, run: Run, book: Book, revisions: Revisions
) -> tuple[Survey | Diagnostic, int]:
    """Return the survey of one instance, or the error for which there is none; and the number of requests sent."""
    if isinstance(history, Diagnostic):
        return history, 0
    try:
        if instance.name in run.snapshots:
            traits, live = run.snapshots[instance.name]
            seen = surveyed(
                project.declaration,
                instance,
                traits,
                live,
                as_of=run.as_of,
                memory=history.memory,
                revisions=revisions,
            )
            return seen, 0
        with instance.reading() as reader:
            seen = survey(
                project.declaration,
                instance,
                reader,
                as_of=run.as_of,
                memory=history.memory,
                revisions=revisions,
            )
            more = later_starts(project, seen, run, revisions)
            return add_history(seen, history, run, book, more), reader.requests
    except PlatformError as problem:
        return _describe_problem(project, instance, problem), 0


def _describe_problem(project: Project, instance: Instance, problem: PlatformError | JournalBrokenError) -> Diagnostic:
    """Return an error as a diagnostic at the place of the instance in the file."""
    at = project.declaration.instances[instance.name].at
    return replace(error(problem.code, str(problem), hint=problem.hint, at=at), instance=instance.name)


def _in_parallel(function: Callable[[Instance], T], instances: Sequence[Instance]) -> list[T]:
    """Return the results of `function` for each instance, run in threads: each waits for a server of its own."""
    if len(instances) < 2:
        return [function(instance) for instance in instances]
    with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
        return list(pool.map(function, instances))
