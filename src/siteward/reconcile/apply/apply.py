"""Apply: exactly what a reviewed plan says, or less.

    plan ─ admission: digest, age, origins ─▶ every instance: lock its journal, read it again,
    check what may still be done (revalidate) ─▶ begin all journals ─▶ write, one instance after the other (execute)
    ─▶ read what is left behind, end the journals ─▶ report

It can veto and never add. Instances fail apart: what goes wrong with one is a diagnostic and the outcomes of its
steps, and the others go on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, note, warning
from siteward.access.report import Report
from siteward.reconcile.apply.admission import objections_to
from siteward.reconcile.apply.consent import find_missing_consents
from siteward.reconcile.apply.execute import CancellationToken, cancelled_by_signals
from siteward.reconcile.apply.inputs import TROUBLE, ApplyInput, describe_trouble
from siteward.reconcile.apply.run import run as run_apply
from siteward.reconcile.apply.target import quiet
from siteward.reconcile.journal import plans, reading
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.entries import NOT_BEGUN
from siteward.reconcile.journal.journal import opened
from siteward.transport.errors import OutcomeUnknownError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Plan
    from siteward.platforms.instance import Instance
    from siteward.platforms.interface import Receipt
    from siteward.reconcile.apply.target import Clock, Journals, Listener, Options, Target
    from siteward.reconcile.journal.journal import Journal
    from siteward.reconcile.journal.runs import Run


def apply(
    plan: Plan,
    targets: Mapping[str, Target],
    journals: Journals,
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
    given = ApplyInput(
        plan=plan, targets=targets, journals=journals, options=options, clock=clock, tell=on_progress,
        moment=options.as_of or clock(),
    )  # fmt: skip
    return run_apply(given, objections_to(plan, options, clock()), config_digest)


def resume(
    targets: Mapping[str, Target],
    journals: Journals,
    options: Options,
    *,
    config_digest: str,
    clock: Clock,
    on_progress: Listener = quiet,
) -> Report:
    """Finish the run that has no end: find out by reading what was in flight, then apply the rest of its plan.

    Consents that the run began with still hold where its lines are sealed with the journal key, else they have
    to be given again; it stays confined to the steps it began with. Where several plans have such runs, the one that
    began last is finished and the others are named.
    """
    unfinished, diagnostics = _find_unfinished(targets, journals)
    if not unfinished:
        nothing = warning("nothing-to-resume", "every run in the journals has an end")
        return Report(command="apply", diagnostics=diagnostics or (nothing,))
    digest = max(unfinished.values(), key=lambda run: run.began.at).began.plan
    try:
        plan = plans.kept_plan(journals.folder, digest)
    except (OSError, ValueError) as problem:
        lost = error("plan-lost", f"the plan of the unfinished run is not to be had: {problem}", hint="siteward plan")
        return Report(command="apply", diagnostics=(*diagnostics, lost))
    runs = {name: run for name, run in unfinished.items() if run.began.plan == digest}
    options = _options_to_resume(options, plan, digest, is_sealed=all(run.is_sealed for run in runs.values()))
    options = replace(options, document=plans.path_of_plan(journals.folder, digest))
    objections = (
        *objections_to(plan, options, clock()),
        *find_missing_consents(runs, plan, options, keyed=journals.key is not None),
        *diagnostics,
        *_warn_other_runs(unfinished, digest),
    )
    begun = frozenset(name for name in targets if name not in unfinished and _was_begun(journals, name, digest))
    plan = replace(plan, instances=tuple(instance for instance in plan.instances if instance.instance not in begun))
    given = ApplyInput(
        plan=plan, targets=targets, journals=journals, options=options, clock=clock, tell=on_progress,
        moment=options.as_of or clock(), resuming=True,
    )  # fmt: skip
    return run_apply(given, objections, config_digest)


def _options_to_resume(options: Options, plan: Plan, digest: str, *, is_sealed: bool) -> Options:
    """Return the options of a run that goes on: those given now, and the plan's `as_of` where seals prove it.

    An acceptance without a digest is for the plan at hand.
    """
    moment = plan.as_of if plan.as_of_given and is_sealed else None
    accept = {
        name: replace(acceptance, digest=acceptance.digest or digest) for name, acceptance in options.accept.items()
    }
    return replace(options, accept=accept, as_of=options.as_of or moment)


def _find_unfinished(
    targets: Mapping[str, Target], journals: Journals
) -> tuple[dict[str, Run], tuple[Diagnostic, ...]]:
    """Return the run without an end of each instance that has one, and the problems with journals."""
    unfinished: dict[str, Run] = {}
    diagnostics = []
    for name in targets:
        try:
            run = reading.recall(reading.path_of(journals.folder, name), journals.key).unfinished
        except JournalBrokenError as problem:
            diagnostics.append(describe_trouble(name, problem))
        else:
            if run is not None:
                unfinished[name] = run
    return unfinished, tuple(diagnostics)


def _was_begun(journals: Journals, instance: str, digest: str) -> bool:
    """Return whether a plan was ever begun on an instance."""
    try:
        known = reading.runs(reading.path_of(journals.folder, instance), journals.key)
    except JournalBrokenError:  # reported by `_find_unfinished`
        return False
    return any(run.began.plan == digest for run in known)


def _warn_other_runs(unfinished: Mapping[str, Run], digest: str) -> tuple[Diagnostic, ...]:
    """Return a warning for each unfinished run of another plan."""
    return tuple(
        warning("another-run", f"run {run.began.run} of another plan has no end either", instance=name)
        for name, run in unfinished.items()
        if run.began.plan != digest
    )


def resend(instance: Instance, login: str, journals: Journals, clock: Clock) -> Report:
    """Send the invitation of `login` again, journalled before and after; return a report of one diagnostic.

    An invitation whose answer was lost is not sent a second time: the person may have it already. What is in flight at
    a signal has the time that apply gives it.
    """
    send, cancellation = instance.platform.resend, CancellationToken()
    try:
        if send is None:
            words = f"{instance.platform.title} has no invitation that could be sent again"
            diagnostic = error("nothing-to-resend", words)
        else:
            with (
                opened(journals.folder, instance.name, key=journals.key, clock=clock) as journal,
                instance.open() as doors,
            ):
                traits, seed = instance.platform.probe(doors.writer, instance.settings)
                live = instance.platform.read(doors.writer, instance.settings, traits, seed)
                with cancelled_by_signals([doors.deadline]) as cancellation:
                    call = partial(send, doors.writer, login, live)
                    diagnostic = _send_again(login, call, journal, cancellation)
    except TROUBLE as problem:
        diagnostic = describe_trouble(instance.name, problem)
    said = (replace(diagnostic, instance=instance.name),)
    return Report(command="apply", diagnostics=said, applied=True, interrupted=cancellation.cancelled)


def _send_again(
    login: str, send: Callable[[], Receipt], journal: Journal, cancellation: CancellationToken
) -> Diagnostic:
    """Send an invitation, journalled before and after; return a note or the error.

    Raises `PlatformError` where it surely was not sent, and `OSError` of the journal.
    """
    journal.resent(login, "intent")
    if cancellation.cancelled:
        journal.resent(login, "failed", NOT_BEGUN)
        return error("interrupted", f"the invitation of {login} was {NOT_BEGUN}")
    try:
        receipt = send()
    except OutcomeUnknownError as lost:
        journal.resent(login, "unknown", str(lost))
        return error("outcome-unknown", str(lost), hint=f"ask {login} whether the mail came before sending it again")
    except PlatformError as problem:
        journal.resent(login, "failed", str(problem))
        raise
    journal.resent(login, receipt.status, receipt.message)
    return _describe_receipt(login, receipt)


def _describe_receipt(login: str, receipt: Receipt) -> Diagnostic:
    if receipt.status == "sent":
        return note("invitation-sent", f"the invitation of {login} was sent again; its former link is dead")
    return error("nothing-to-resend", receipt.message, hint=receipt.hint)
