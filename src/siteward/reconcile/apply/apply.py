"""Apply: exactly what a reviewed plan says, or less.

    plan ─ is it the reviewed one, young, for these origins? ─▶ every instance: lock its journal, read it again,
    sift what may still be done (recheck) ─▶ begin all journals ─▶ write, one instance after the other (execute)
    ─▶ read what is left behind, end the journals ─▶ report

It can veto and never add. Instances fail apart: what goes wrong with one is a diagnostic and the outcomes of its
steps, and the others go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import error, warning
from siteward.access.report import Report
from siteward.reconcile.apply.admission import objections_to
from siteward.reconcile.apply.consent import asked_again
from siteward.reconcile.apply.run import Session, trouble
from siteward.reconcile.apply.target import quiet
from siteward.reconcile.journal import journal
from siteward.reconcile.journal.chain import JournalBrokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Plan
    from siteward.reconcile.apply.target import Book, Clock, Listener, Options, Target
    from siteward.reconcile.journal.journal import Run


def apply(
    plan: Plan,
    targets: Mapping[str, Target],
    book: Book,
    options: Options,
    *,
    config_digest: str,
    clock: Clock,
    on_progress: Listener = quiet,
) -> Report:
    """Apply a reviewed plan and report one outcome for each of its chosen steps.

    `targets` are the instances of the checkout, `config_digest` that of its files, `clock` gives the time in UTC.
    Whoever calls has asked already; nothing here asks. Raises nothing for what one instance does.
    """
    session = Session(plan, targets, book, options, clock, on_progress, options.as_of or clock())
    return session.run(objections_to(plan, options, clock()), config_digest)


def resume(
    targets: Mapping[str, Target],
    book: Book,
    options: Options,
    *,
    config_digest: str,
    clock: Clock,
    on_progress: Listener = quiet,
) -> Report:
    """Finish the run that has no end: settle by reading what was in flight, then apply what is left of its plan.

    What was allowed when the run began is allowed still where its lines are sealed with the journal key, else it has
    to be said again; what it was confined to confines it still. Where several plans have such runs, the one that began
    last is finished and the others are named.
    """
    found, diagnostics = _unfinished(targets, book)
    if not found:
        nothing = warning("nothing-to-resume", "every run in the journals has an end")
        return Report(command="apply", diagnostics=diagnostics or (nothing,))
    digest = max(found.values(), key=lambda each: each.began.at).began.plan
    try:
        plan = journal.kept_plan(book.folder, digest)
    except (OSError, ValueError) as problem:
        lost = error("plan-lost", f"the plan of the unfinished run is not to be had: {problem}", hint="siteward plan")
        return Report(command="apply", diagnostics=(*diagnostics, lost))
    runs = {name: run for name, run in found.items() if run.began.plan == digest}
    options = _said_again(options, plan, digest, is_sealed=all(run.is_sealed for run in runs.values()))
    objections = (
        *objections_to(plan, options, clock()),
        *asked_again(runs, plan, options, keyed=book.key is not None),
        *diagnostics,
        *_other_runs(found, digest),
    )
    begun = frozenset(name for name in targets if _begun(book, name, digest)) - found.keys()
    plan = replace(plan, instances=tuple(instance for instance in plan.instances if instance.instance not in begun))
    moment = options.as_of or clock()
    session = Session(plan, targets, book, options, clock, on_progress, moment, resuming=True)
    return session.run(objections, config_digest)


def _said_again(options: Options, plan: Plan, digest: str, *, is_sealed: bool) -> Options:
    """Return the options of a run that goes on: what was said now, and the plan's own moment where seals prove it.

    A consent without a digest speaks of the plan at hand.
    """
    moment = plan.as_of if plan.as_of_given and is_sealed else None
    accept = {
        name: replace(acceptance, digest=acceptance.digest or digest) for name, acceptance in options.accept.items()
    }
    return replace(options, accept=accept, as_of=options.as_of or moment)


def _unfinished(targets: Mapping[str, Target], book: Book) -> tuple[dict[str, Run], tuple[Diagnostic, ...]]:
    found: dict[str, Run] = {}
    diagnostics = []
    for name in targets:
        try:
            run = journal.recall(journal.path_of(book.folder, name), book.key).unfinished
        except JournalBrokenError as problem:
            diagnostics.append(trouble(name, problem))
        else:
            if run is not None:
                found[name] = run
    return found, tuple(diagnostics)


def _begun(book: Book, instance: str, digest: str) -> bool:
    """Tell whether a plan was ever begun on an instance."""
    try:
        known = journal.runs(journal.path_of(book.folder, instance), book.key)
    except JournalBrokenError:  # has been told, and whoever opens the journal tells it again
        return False
    return any(run.began.plan == digest for run in known)


def _other_runs(found: Mapping[str, Run], digest: str) -> tuple[Diagnostic, ...]:
    return tuple(
        warning("another-run", f"run {run.began.run} of another plan has no end either", instance=name)
        for name, run in found.items()
        if run.began.plan != digest
    )
