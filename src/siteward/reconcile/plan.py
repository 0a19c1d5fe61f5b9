"""From a project to a plan, by reading alone: the way of the data, as code.

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
from siteward.access.diagnostic import Diagnostic, error, note
from siteward.access.guards import judge
from siteward.access.model import Access, account_of
from siteward.access.plan import InstancePlan, Plan, compose
from siteward.access.proposal import manage
from siteward.access.report import Report
from siteward.access.state import account_names
from siteward.declaration.resolve import nowhere, resolve
from siteward.platforms.interface import no_blame
from siteward.reconcile.apply.admission import remarks_on
from siteward.reconcile.apply.consent import CONSENTS
from siteward.reconcile.apply.passwords import undeliverable
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import RESUME, Fresh
from siteward.reconcile.drift import drift as drifted
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.journal import path_of, recall
from siteward.reconcile.own_account import claim_of, own_account
from siteward.reconcile.project import known_accounts
from siteward.reconcile.unsettled import is_cut_off, late, remarks_on_open_ends, settled
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
    from siteward.reconcile.journal.journal import Recalled
    from siteward.reconcile.project import Project
    from siteward.reconcile.revisions.base_policy import BasePolicy
    from siteward.transport.http import Doors, Reader

T = TypeVar("T")
Snapshot: TypeAlias = "tuple[Traits, Live]"


class Survey(Struct, frozen=True, kw_only=True):
    """One instance seen whole: what is there, what is wished, and what would follow.

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

    def verdict(self, allowance: Allowance, keys: Collection[Key] | None = None) -> tuple[Diagnostic, ...]:
        """Return what guards, rules, the platform and the delivery of passwords say, of all changes or of some."""
        proposal = self.proposal if keys is None else _narrow(self.proposal, keys)
        changes = proposal.changes if allowance.asks else ()
        remarks = (
            *_with_its_name(self.platform.review(proposal.changes, self.live, self.memory), self.name),
            *undeliverable(self.name, changes, self.desired.declared_users, self.traits, allowance.passwords),
            *(self.base_policy.objections(self.name, proposal) if self.base_policy else ()),
        )
        before = self.base_policy.as_before(self.name, proposal, self.as_of) if self.base_policy else ()
        judged = (
            diagnostic
            for side in (proposal, *before)
            for diagnostic in judge(
                side,
                as_of=self.as_of,
                accept=allowance.accept if allowance.asks else dict.fromkeys(CONSENTS.values(), ""),
                allow_delete=allowance.allow_delete or not allowance.asks,
                confirmed=self.confirmed,
                remarks=remarks,
            )
            if allowance.asks or diagnostic.code not in CONSENTS
        )
        return tuple(dict.fromkeys((*remarks, *(_with_variable(diagnostic, self.name) for diagnostic in judged))))

    def standing(self, keys: Collection[Key]) -> tuple[Diagnostic, ...]:
        """Return the errors that were found before anything was judged: about the whole instance, or these keys."""
        said = (*self.proposal.diagnostics, *self.desired.diagnostics)
        return tuple(
            diagnostic
            for diagnostic in said
            if diagnostic.blocks and (diagnostic.about is None or diagnostic.about in keys)
        )

    def accounts(self, declared: Mapping[str, str | None] = MappingProxyType({})) -> dict[str, str | None]:
        """Return every account name that is known of the instance, with the handle of the declared user behind it."""
        return account_names(self.live, self.desired, self.memory, declared)

    def unwanted(self, resources: Collection[Resource]) -> frozenset[Key]:
        """Return the keys of those resources, were they live, that the file would have changed or taken away."""
        names = {account_of(resource.key) for resource in resources}
        wishes = (resource for resource in self.desired.access.values() if account_of(resource.key) in names)
        desired = replace(self.desired, access=Access(wishes))
        live = replace(self.live, access=Access(resources), pending=frozenset(), findings=())
        ours = {change.key for change in manage(live, desired, self.traits, self.proposal.policy, self.memory).changes}
        return frozenset(resource.key for resource in resources if resource.key in ours)

    def plan(self, allowance: Allowance, *, read_requests: int = 0) -> InstancePlan:
        """Return the plan that follows, with its expected cost."""
        bundles = self.platform.bundle(self.proposal.changes, self.live)
        return compose(
            self.proposal,
            self.verdict(allowance),
            instance=self.name,
            origin=self.origin,
            requests=sum(bundle.requests for bundle in bundles),
            seconds=math.fsum(bundle.seconds for bundle in bundles),
            read_requests=read_requests,
        )


def survey(
    declaration: Declaration,
    instance: Instance,
    reader: Reader,
    *,
    as_of: datetime,
    memory: Memory | None,
    base_policy: BasePolicy | None = None,
) -> Survey:
    """Read one instance and work out what should change there. Raises `PlatformError`."""
    platform = instance.platform
    probed, seed = platform.probe(reader, instance.settings)
    traits = _narrow_onboarding(probed, declaration.instances[instance.name].onboarding)
    live = platform.read(reader, instance.settings, traits, seed)
    return surveyed(declaration, instance, traits, live, as_of=as_of, memory=memory, base_policy=base_policy)


def surveyed(
    declaration: Declaration,
    instance: Instance,
    traits: Traits,
    live: Live,
    *,
    as_of: datetime,
    memory: Memory | None,
    base_policy: BasePolicy | None = None,
) -> Survey:
    """Work out what should change on an instance that has been read; pure but for the platform's own word."""
    declared = declaration.instances[instance.name]
    confirmed = instance.confirmed() or traits.knows_self
    live = replace(live, findings=_with_its_name(live.findings, instance.name))
    memory = settled(memory, live)
    live, objections = own_account(live, traits, claim_of(instance, declared.self_account, declared.at))
    desired = resolve(declaration, instance.name, traits, live, as_of=as_of, memory=memory)
    desired = base_policy.as_named(instance.name, desired, live) if base_policy else desired
    policy = base_policy.policy(instance.name) if base_policy else declared.policy
    earlier = base_policy.earlier(instance.name, traits, live, as_of) if base_policy else None
    longer = base_policy.extended(instance.name, desired, live, traits, as_of) if base_policy else ()
    proposal = manage(live, desired, traits, policy, memory, base=earlier)
    return Survey(
        name=instance.name,
        origin=instance.origin,
        platform=instance.platform,
        traits=traits,
        live=live,
        desired=desired,
        proposal=replace(proposal, diagnostics=(*objections, *longer, *proposal.diagnostics)),
        memory=memory,
        as_of=as_of,
        base_policy=base_policy,
        confirmed=confirmed,
    )


def _with_variable(diagnostic: Diagnostic, instance: str) -> Diagnostic:
    """Return a guard's diagnostic with the name of the variable that names the account of the credentials."""
    if not diagnostic.hint:
        return diagnostic
    hint = diagnostic.hint.replace("SITEWARD_<INSTANCE>_SELF", variable(instance, "self"))
    return replace(diagnostic, hint=hint)


def _with_its_name(said: Iterable[Diagnostic], instance: str) -> tuple[Diagnostic, ...]:
    """Return an adapter's words with the instance's name in the hints; it does not know what the file calls it."""
    return tuple(
        replace(diagnostic, hint=diagnostic.hint.replace("<instance>", instance)) if diagnostic.hint else diagnostic
        for diagnostic in said
    )


def _narrow_onboarding(traits: Traits, wish: Onboarding | None) -> Traits:
    """Narrow how accounts are made to the way the file asks for, where the platform has it."""
    return replace(traits, onboarding=frozenset({wish})) if wish in traits.onboarding and wish is not None else traits


def _narrow(proposal: Proposal, keys: Collection[Key]) -> Proposal:
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
        """Scheme, host and port."""
        return self.instance.origin

    @property
    def platform(self) -> Platform:
        """Its platform."""
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
        seen = survey(self.declaration, self.instance, reader, as_of=as_of, memory=memory, base_policy=self.base_policy)

        def verdict(keys: Collection[Key], *, accept: Mapping[str, str], allow_delete: bool) -> tuple[Diagnostic, ...]:
            allowance = Allowance(passwords=self.passwords, accept=accept, allow_delete=allow_delete)
            return (*seen.standing(keys), *seen.verdict(allowance, keys))

        return Fresh(
            traits=seen.traits,
            live=seen.live,
            desired=seen.desired,
            plan=seen.plan(Allowance(passwords=self.passwords, accept={}, allow_delete=False)),
            judge=verdict,
            confirmed=seen.confirmed,
            unwanted=seen.unwanted,
        )


class Run(Struct, frozen=True, kw_only=True):
    """One planning run: which instances, at what moment, and what it allows.

    `as_of_given` is true where a person chose the moment; apply then asks for it again. `snapshots` are instances
    that were read earlier, by name; nothing is sent for them.
    """

    created: datetime
    as_of: datetime
    as_of_given: bool = False
    allowance: Allowance
    snapshots: Mapping[str, Snapshot] = MappingProxyType({})


def plan(project: Project, instances: Sequence[Instance], book: Book, run: Run, *, command: str = "plan") -> Report:
    """Return the report of a plan for `instances`; each fails apart, as a diagnostic that names it."""
    report, _ = plan_and_survey(project, instances, book, run, command=command)
    return report


def plan_and_survey(
    project: Project, instances: Sequence[Instance], book: Book, run: Run, *, command: str = "plan"
) -> tuple[Report, tuple[Survey, ...]]:
    """Return the report of a plan, and the survey of each instance that could be read.

    All journals are read first; then the instances are, each with the history that its journal tells.
    """
    histories = {instance.name: _read_journal(project, instance, book) for instance in instances}
    seen = _in_parallel(lambda instance: _look_at(project, instance, histories[instance.name], run, book), instances)
    surveys = tuple(found for found, _ in seen if isinstance(found, Survey))
    problems = tuple(found for found, _ in seen if isinstance(found, Diagnostic))
    parts = tuple(found.plan(run.allowance, read_requests=cost) for found, cost in seen if isinstance(found, Survey))
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
    onward = RESUME if any(survey.cut_off for survey in surveys) else None
    report = replace(report, plan=codec.seal(made), next=onward)
    return report, surveys


def drift(project: Project, instances: Sequence[Instance], book: Book, run: Run) -> Report:
    """Return the report of live against declared, told apart by how the difference came about.

    It only reads: what an apply would ask a consent for, is a difference here and no block.
    """
    run = replace(run, allowance=replace(run.allowance, asks=False))
    report, surveys = plan_and_survey(project, instances, book, run, command="drift")
    if report.plan is None:
        return report
    items: list[DriftItem] = []
    unnamed: list[Diagnostic] = []
    for survey in surveys:
        part = report.plan.instance(survey.name)
        found = drifted(part, survey.live, survey.desired, survey.memory) if part is not None else ()
        if survey.name not in run.snapshots:
            instance = next(instance for instance in instances if instance.name == survey.name)
            found, problem = _with_causes(found, instance, survey)
            unnamed += [problem] if problem else []
        items += found
    return replace(report, drift=tuple(items), diagnostics=(*report.diagnostics, *unnamed))


def _with_causes(
    items: tuple[DriftItem, ...], instance: Instance, seen: Survey
) -> tuple[tuple[DriftItem, ...], Diagnostic | None]:
    """Note beside each item who caused it and when, where the platform keeps a record, or return why nobody can be named."""
    keys = tuple(key for item in items if item.kind != "unapplied" and (key := _key_of(item)) is not None)
    if not keys or seen.platform.blame is no_blame:
        return items, None
    try:
        with instance.reading() as reader:
            told = seen.platform.blame(reader, keys, seen.live, seen.memory.last_at if seen.memory else None)
    except PlatformError as problem:
        why = note(problem.code, f"who caused the drift could not be read: {problem}", hint=problem.hint)
        return items, replace(why, instance=seen.name)
    return tuple(_with_note(item, told) for item in items), None


def _with_note(item: DriftItem, told: Mapping[Key, str]) -> DriftItem:
    key = _key_of(item)
    said = told.get(key) if key is not None else None
    return replace(item, note="; ".join(filter(None, (item.note, said)))) if said else item


def _key_of(item: DriftItem) -> Key | None:
    side = item.live or item.declared or item.journalled
    return side.key if side is not None else None


class _History(Struct, frozen=True, kw_only=True):
    """The journal of one instance, read before planning: what it recalls, if there is one, and what is odd about it."""

    recalled: Recalled | None = None
    remarks: tuple[Diagnostic, ...] = ()

    @property
    def memory(self) -> Memory | None:
        """The memory of earlier runs."""
        return self.recalled.memory if self.recalled is not None else None


def _read_journal(project: Project, instance: Instance, book: Book) -> _History | Diagnostic:
    """Return the history of an instance, or why its journal cannot be relied on."""
    try:
        recalled = _recall(book, instance.name)
        if recalled is None:
            return _History()
        remarks = remarks_on(recalled.standing, instance.platform.name, instance.origin, book.key)
    except JournalBrokenError as problem:
        return _problem_of(project, instance, problem)
    return _History(recalled=recalled, remarks=remarks)


def _recall(book: Book, instance: str) -> Recalled | None:
    """Return what the journal of an instance recalls, `None` without a folder; raises `JournalBrokenError`."""
    try:
        book.folder.stat()
    except FileNotFoundError:  # nothing was ever applied from here
        return None
    except OSError:  # reading the journal names the problem
        pass
    return recall(path_of(book.folder, instance), book.key)


def _look_at(
    project: Project, instance: Instance, history: _History | Diagnostic, run: Run, book: Book
) -> tuple[Survey | Diagnostic, int]:
    """Return the survey of one instance and the requests it cost, or the problem that stood in the way."""
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
                base_policy=project.base_policy,
            )
            return seen, 0
        with instance.reading() as reader:
            seen = survey(
                project.declaration,
                instance,
                reader,
                as_of=run.as_of,
                memory=history.memory,
                base_policy=project.base_policy,
            )
            return _with_history(seen, history, run, book), reader.requests
    except PlatformError as problem:
        return _problem_of(project, instance, problem), 0


def _problem_of(project: Project, instance: Instance, problem: PlatformError | JournalBrokenError) -> Diagnostic:
    """Return a problem as a diagnostic at the place of the instance in the file."""
    at = project.declaration.instances[instance.name].at
    return replace(error(problem.code, str(problem), hint=problem.hint, at=at), instance=instance.name)


def _with_history(seen: Survey, history: _History, run: Run, book: Book) -> Survey:
    """Return a survey that tells what is odd about the journal, and what a run without an end has left open."""
    recalled = history.recalled
    if recalled is None:
        return seen
    unfinished, must_finish = recalled.unfinished, seen.platform.finish is not None and late(seen.memory, seen.live)
    cut_off = unfinished is not None and (bool(must_finish) or is_cut_off(unfinished, book.folder))
    open_ends = remarks_on_open_ends(
        seen.memory, seen.live, seen.proposal.changes, run.created,
        cut_off=cut_off, unfinished=unfinished is not None, blocks=run.allowance.asks,
    )  # fmt: skip
    diagnostics = (*seen.proposal.diagnostics, *history.remarks, *open_ends)
    return replace(seen, proposal=replace(seen.proposal, diagnostics=diagnostics), cut_off=cut_off)


def _in_parallel(function: Callable[[Instance], T], instances: Sequence[Instance]) -> list[T]:
    """Apply `function` to each instance, all at once: each waits for a server of its own."""
    if len(instances) < 2:
        return [function(instance) for instance in instances]
    with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
        return list(pool.map(function, instances))
