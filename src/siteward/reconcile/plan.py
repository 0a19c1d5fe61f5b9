"""Planning: from a project and its live instances to a plan, by reading alone.

declaration ─ resolve ─▶ desired ─┐
                                  ├─ manage ─▶ proposal ─ judge, review ─▶ compose ─▶ plan
reader ─ probe, read ───▶ live ───┘
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward import __version__
from siteward.access import codec
from siteward.access.diagnostic import Diagnostic, error, note
from siteward.access.key_inventory import OF_LISTED, settled_rows
from siteward.access.plan import InstancePlan, Need, Plan
from siteward.access.report import Report
from siteward.declaration.checks.services import overdue
from siteward.declaration.unmatched import nowhere
from siteward.declaration.waivers import judge_ends, waivers_of
from siteward.platforms.interface import no_blame
from siteward.reconcile.apply.target import RESUME, Fresh
from siteward.reconcile.dated import (
    Revisions,
    describe_dates,
    describe_record,
    note_dates,
    revisions_of,
)
from siteward.reconcile.drift import drift as drifted
from siteward.reconcile.history import History, add_history, later_starts, read_history
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.reading import tell_heads
from siteward.reconcile.offboard import tell_open
from siteward.reconcile.project import known_accounts
from siteward.reconcile.selection import find_unknown
from siteward.reconcile.survey import Snapshot, Survey, names_shown, surveyed, take_survey
from siteward.reconcile.waivers import find_unused, list_waived
from siteward.transport.errors import PlatformError
from siteward.transport.pace import Speed
from siteward.transport.threads import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.model import Key
    from siteward.access.report import DriftItem
    from siteward.access.state import Memory
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.platforms.interface import Platform
    from siteward.reconcile.apply.passwords import Passwords
    from siteward.reconcile.apply.revalidate import Allowance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.project import Project
    from siteward.reconcile.revisions.base_policy import BasePolicy
    from siteward.reconcile.selection import Selection
    from siteward.transport.http import Doors, Reader


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
        seen = take_survey(
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


def plan(
    project: Project, instances: Sequence[Instance], journals: Journals, run: Run, *, command: str = "plan"
) -> Report:
    """Return the report of a plan for `instances`; each fails by itself, as a diagnostic that names it."""
    report, _ = plan_and_survey(project, instances, journals, run, command=command)
    return report


def plan_and_survey(
    project: Project,
    instances: Sequence[Instance],
    journals: Journals,
    run: Run,
    *,
    command: str = "plan",
    steps: bool = True,
    sealed: bool = True,
) -> tuple[Report, tuple[Survey, ...]]:
    """Return the report of a plan, and the survey of each instance that could be read.

    All journals are read first, then the instances, each with the history from its journal. Without `steps` the plan only
    names the instances, has no digest, and says what is wrong with them: for answers that are made of the surveys. Nor has
    it one where it is not `sealed`: for who saves it, and takes the digest as it is written.
    """
    revisions = revisions_of(project)
    histories = {instance.name: _history_or_problem(project, instance, journals) for instance in instances}
    seen = in_parallel(
        lambda instance: _survey_or_problem(project, instance, histories[instance.name], run, journals, revisions),
        instances,
    )
    surveys = tuple(result for result, _ in seen if isinstance(result, Survey))
    problems = tuple(result for result, _ in seen if isinstance(result, Diagnostic))
    parts = tuple(
        result.plan(run.allowance, speed=speed, only=run.only) if steps else _name(result, run)
        for result, speed in seen
        if isinstance(result, Survey)
    )
    unmatched = nowhere(project.declaration, {survey.name: survey.live for survey in surveys})
    waivers = _judge_waivers(project, parts if steps else (), run)
    said = (*_without_settled(project.said, surveys), *unmatched, *problems, *waivers)
    made = replace(_join(project, parts, run), diagnostics=said, needs=_sum_needs(surveys, parts, run))
    known = known_accounts(project.loaded.accounts, project.base_policy)
    accounts = names_shown(surveys, known)
    report = replace(_report_on(project, command), accounts=accounts)
    if not parts:
        return replace(report, diagnostics=made.diagnostics), ()
    if run.only is not None and (unknown := find_unknown(run.only, project, surveys, accounts)):
        return replace(report, diagnostics=(*problems, *unknown)), ()
    command_next = RESUME if any(survey.cut_off for survey in surveys) else None
    dates = tuple(note_dates({survey.name: survey.memory for survey in surveys})) if command == "plan" else ()
    made = codec.seal(made) if steps and sealed else made
    return replace(report, plan=made, next=command_next, diagnostics=dates), surveys


def _name(survey: Survey, run: Run) -> InstancePlan:
    """Return a plan without steps; where a row of the file is in error the whole one, which says what that leaves open."""
    if survey.desired.flawed:
        return survey.plan(run.allowance)
    policy = survey.proposal.policy
    return InstancePlan(
        instance=survey.name, platform=survey.traits.platform, origin=survey.origin, mode=policy.mode,
        listings=survey.live.listings, unreadable=survey.live.unreadable,
    )  # fmt: skip


def _join(project: Project, parts: tuple[InstancePlan, ...], run: Run) -> Plan:
    """Return the plan of a project's instances, without what is said of it as a whole."""
    loaded = project.loaded
    return Plan(
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
        timezone=str(project.declaration.timezone),
        instances=parts,
        waived=list_waived(parts),
    )


def _report_on(project: Project, command: str) -> Report:
    """Return a report that says nothing yet, with the texts and the time zone of the files."""
    loaded, zone = project.loaded, str(project.declaration.timezone)
    return Report(command=command, texts=loaded.texts, files=loaded.files, timezone=zone)


def _without_settled(said: Iterable[Diagnostic], surveys: Iterable[Survey]) -> tuple[Diagnostic, ...]:
    """Return what the files alone tell, without what is told of the same keys by what is live."""
    settled = frozenset(at for survey in surveys for at in settled_rows(survey.keys))
    return tuple(told for told in said if told.code not in OF_LISTED or told.at not in settled)


def _judge_waivers(project: Project, parts: Sequence[InstancePlan], run: Run) -> tuple[Diagnostic, ...]:
    """Return what is to be said of the waivers of the files; what is of nothing is told of a whole plan alone."""
    waivers, every = waivers_of(project.declaration), project.declaration.instances
    unused = () if run.only is not None else find_unused(waivers, parts, every, run.as_of)
    return (*judge_ends(waivers, run.as_of, run.created), *unused)


def _sum_needs(surveys: Sequence[Survey], parts: Sequence[InstancePlan], run: Run) -> tuple[Need, ...]:
    """Return what whoever applies has to give, with the numbers of steps on all instances that need it."""
    steps: Counter[Need] = Counter()
    for survey, part in zip(surveys, parts, strict=True):
        steps.update(survey.needs(part, run.allowance.passwords))
    return tuple(replace(need, steps=count) for need, count in steps.items() if count)


def drift(
    project: Project,
    instances: Sequence[Instance],
    journals: Journals,
    run: Run,
    record: Callable[[Survey], Iterable[Diagnostic]] = lambda _: (),
) -> Report:
    """Return the report of drift: differences between live and declared access, by how they came about.

    `record` is called with what was read of each instance, and returns what is to be said of that. It only reads: a change that needs a consent to be applied is a difference here and no block.
    """
    run = replace(run, allowance=replace(run.allowance, asks=False))
    report, surveys = plan_and_survey(project, instances, journals, run, command="drift")
    if report.plan is None:
        return report
    items: list[DriftItem] = []
    unnamed: list[Diagnostic] = []
    dates = [describe_dates(part, survey.memory) for survey in surveys if (part := report.plan.instance(survey.name))]
    dates += [
        describe_record(survey.name, survey.recorded_at, run.created, records=survey.records) for survey in surveys
    ]
    dates += [diagnostic for survey in surveys for diagnostic in record(survey)]
    dates += tell_open(project.declaration, surveys, journals)
    if any(survey.proposal.policy.reviews for survey in surveys):
        from siteward.reconcile.confirmed import warn_overdue  # noqa: PLC0415 — few files ask for reviews

        dates += warn_overdue(project.declaration, journals, instances, surveys, run.as_of)
    dates += _without_settled(overdue(project.declaration, run.as_of), surveys)
    for survey in surveys:
        part = report.plan.instance(survey.name)
        known = (survey.live, survey.desired, survey.memory, survey.proposal.excess)
        drifts = drifted(part, *known) if part is not None else ()
        if survey.name not in run.snapshots:
            instance = next(instance for instance in instances if instance.name == survey.name)
            drifts, problem = _note_causes(drifts, instance, survey)
            unnamed += [problem] if problem else []
        items += drifts
    where, heads = tell_heads(
        journals.folder, {survey.name: survey.journal_head for survey in surveys if survey.journal_head}
    )
    diagnostics = (*report.diagnostics, *unnamed, *dates)
    return replace(report, drift=tuple(items), diagnostics=diagnostics, journal=where, journal_head=heads)


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


def _history_or_problem(project: Project, instance: Instance, journals: Journals) -> History | Diagnostic:
    """Return the history of an instance, or the error for which its journal cannot be relied on."""
    try:
        return read_history(instance, journals)
    except JournalBrokenError as problem:
        return _describe_problem(project, instance, problem)


def _survey_or_problem(
    project: Project,
    instance: Instance,
    history: History | Diagnostic,
    run: Run,
    journals: Journals,
    revisions: Revisions,
) -> tuple[Survey | Diagnostic, Speed]:
    """Return the survey of one instance, or the error for which there is none; and how fast it was read."""
    if isinstance(history, Diagnostic):
        return history, Speed()
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
            return seen, Speed()
        with instance.reading() as reader:
            seen = take_survey(
                project.declaration,
                instance,
                reader,
                as_of=run.as_of,
                memory=history.memory,
                revisions=revisions,
            )
            speed = reader.speed
            more = later_starts(project, seen, run, revisions)
            return add_history(seen, history, run, journals, more), speed
    except PlatformError as problem:
        return _describe_problem(project, instance, problem), Speed()


def _describe_problem(project: Project, instance: Instance, problem: PlatformError | JournalBrokenError) -> Diagnostic:
    """Return an error as a diagnostic at the place of the instance in the file."""
    at = project.declaration.instances[instance.name].at
    return replace(error(problem.code, str(problem), hint=problem.hint, at=at), instance=instance.name)
