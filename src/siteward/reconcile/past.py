"""Past moments: the access that the journals recorded then, and what the file of the run then in force asked for.

Nothing of today is shown under a past date: where no state was recorded by then, there is no answer, and where it is not
known what the file asked for, nothing is said to be declared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward import __version__
from siteward.access.diagnostic import Diagnostic, error, plural
from siteward.access.model import Access
from siteward.access.plan import Plan, compose
from siteward.access.proposal import Proposal
from siteward.access.report import Missing, Report
from siteward.access.state import Listing, Live, Record, Site
from siteward.declaration.resolve import resolve
from siteward.reconcile.dated import declaration_of
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.entries import PartsErased, RunStarted, StateRecorded
from siteward.reconcile.journal.reading import STATES, path_of, read
from siteward.reconcile.journal.recorded import state_before
from siteward.reconcile.survey import Survey, names_shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from siteward.access.explanation import Explanation
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.journal.entries import RunEnded, StateCompared
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.reconcile.plan import Run
    from siteward.reconcile.project import Project


class NotRecordedError(Exception):
    """No state of an instance was recorded by a moment; the message says from when on there is one."""

    code = "not-recorded"
    hint = "siteward history tells what the journal has"


class PastState(Struct, frozen=True, kw_only=True):
    """The state of an instance as recorded: at the record `at`, with the next one at `until`, if there is one.

    `number` is that of the record, `unread` names what was not read for it, and `began` is the run it ended.
    `checked` is false where no key was there to check the seals, and `erased` counts parts that were erased.
    """

    live: Live
    at: datetime
    number: int
    until: datetime | None
    unread: tuple[str, ...]
    began: RunStarted | None
    checked: bool = True
    erased: int = 0


def past_surveys(
    project: Project, instances: Sequence[Instance], journals: Journals, run: Run, *, command: str
) -> tuple[Report, tuple[Survey, ...]]:
    """Return the surveys of instances as they were recorded at the moment of a run, and a report that says so.

    Nothing is contacted. An instance without a recorded state is a diagnostic of the report.
    """
    surveys: list[Survey] = []
    unchecked = False
    notes: list[Missing] = []
    problems: list[Diagnostic] = []
    for instance in instances:
        try:
            then = state_at(journals, instance, run.as_of)
        except (NotRecordedError, JournalBrokenError) as problem:
            problems.append(replace(error(problem.code, str(problem), hint=problem.hint), instance=instance.name))
            continue
        unchecked = unchecked or not then.checked
        declaration, words = _declared_then(project, instance, then)
        surveys.append(_take_survey(declaration, instance, then.live, run.as_of))
        notes.append(Missing(instance=instance.name, partly=True, why=f"{_describe(then)}; {words}"))
    known = project.loaded.accounts
    accounts = names_shown(surveys, known)
    report = Report(
        command=command, plan=_build_plan(surveys, run), diagnostics=tuple(problems), accounts=accounts,
        texts=project.loaded.texts, recorded=tuple(notes), stale=unchecked,
    )  # fmt: skip
    return report, tuple(surveys)


def _take_survey(declaration: Declaration, instance: Instance, live: Live, as_of: datetime) -> Survey:
    """Return what was live and what the files asked for; nothing is proposed for the past."""
    traits = instance.platform.widest
    desired = resolve(declaration, instance.name, traits, live, as_of=as_of)
    policy = declaration.instances[instance.name].policy
    return Survey(
        name=instance.name, origin=instance.origin, platform=instance.platform, traits=traits, live=live, desired=desired,
        proposal=Proposal(live=live, desired=desired, traits=traits, policy=policy), memory=None, as_of=as_of,
        keys_unseen="no journal records keys",
    )  # fmt: skip


def _build_plan(surveys: Sequence[Survey], run: Run) -> Plan:
    """Return a plan without steps, which names the instances."""
    parts = tuple(compose(survey.proposal, instance=survey.name, origin=survey.origin) for survey in surveys)
    return Plan(tool=__version__, created=run.created, as_of=run.as_of, as_of_given=True, instances=parts)


def as_recorded(explanation: Explanation) -> Explanation:
    """Return an explanation without what only a plan of today could say: why something is missing, or stays."""
    return replace(explanation, why_not=None, why_kept=None)


def state_at(journals: Journals, instance: Instance, moment: datetime) -> PastState:
    """Return the last state of an instance that was recorded by a moment.

    Raises `NotRecordedError` and `JournalBrokenError`.
    """
    path = path_of(journals.folder, instance.name)
    content = read(path, journals.key)
    records = content.chain.records
    moments = [
        (number, entry)
        for number, (entry, _) in enumerate(content.marked[content.older :])
        if isinstance(entry, STATES)
    ]
    begun = [number for number, entry in moments if isinstance(entry, StateRecorded)]
    known = [(number, entry) for number, entry in moments if begun and number >= begun[0]]
    by_then = [(number, entry) for number, entry in known if entry.at <= moment]
    if not by_then:
        first = f"the first is of {known[0][1].at:%Y-%m-%d %H:%M}Z" if known else "the journal has none"
        raise NotRecordedError(f"no state of {instance.name} was recorded by {moment:%Y-%m-%d %H:%M}Z: {first}")
    number, entry = by_then[-1]
    later = next((other.at for place, other in known if place > number), None)
    access = Access.of(state_before(path, records, number + 1))
    began = _find_run(content, content.older + number)
    return PastState(
        live=_build_live(access, entry, began), at=entry.at, number=content.older + number + 1, until=later,
        unread=entry.unread, began=began, checked=content.standing.checked,
        erased=sum(entry.count for entry in content.entries if isinstance(entry, PartsErased)),
    )  # fmt: skip


def _find_run(content: JournalContent, number: int) -> RunStarted | None:
    """Return the last run that began by the entry of that number, counted from 0."""
    entries = (entry for entry, _ in reversed(content.marked[: number + 1]))
    return next((entry for entry in entries if isinstance(entry, RunStarted)), None)


def _build_live(access: Access, entry: StateRecorded | RunEnded | StateCompared, began: RunStarted | None) -> Live:
    """Return the live state that a record tells; of sites it has no more than their names."""
    scopes = {grant.scope for grant in access.grants() if grant.scope.kind in {"site", "metasite"}}
    sites = {scope: Site(id="", label=scope.name, name=scope.name, domains=(scope.name,)) for scope in scopes}
    listing = Listing(name="the journal", rows=len(access), complete=entry.complete, proof="recorded")
    return Live(access=access, sites=sites, me=began.me if began is not None else None, listings=(listing,))


def _declared_then(project: Project, instance: Instance, then: PastState) -> tuple[Declaration, str]:
    """Return the declaration of the run then in force, and in words which it is; one without grants where it is unknown."""
    began = then.began
    if began is not None:
        commit = None if began.dirty else began.commit
        record = Record(as_of=began.as_of, commit=commit, config_digest=began.config_digest)
        declaration = declaration_of(project, record)
        if declaration is not None and instance.name in declaration.instances:
            which = f"commit {began.commit[:12]}" if began.commit else "the files at hand, which are the same"
            return declaration, f"declared is what {which} asked for"
    words = "what the file asked for then is not recorded, so nothing is shown as declared"
    return replace(project.declaration, grants=None), words


def _describe(then: PastState) -> str:
    """Return in words of when a state is, and what between the records around it is not known."""
    number = f"record {then.number}"
    words = f"shown as recorded on {then.at:%Y-%m-%d %H:%M}Z ({number})"
    words += f", the next record is of {then.until:%Y-%m-%d %H:%M}Z" if then.until else ", the last record there is"
    words += "; what changed between records is told by the later one"
    words += f"; not read for it: {', '.join(then.unread)}" if then.unread else ""
    words += f"; {plural(then.erased, 'part')} of the journal erased on request" if then.erased else ""
    return words + ("" if then.checked else "; its seals are not checked: SITEWARD_JOURNAL_KEY is not set")
