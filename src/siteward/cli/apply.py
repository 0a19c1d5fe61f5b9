"""`siteward apply`: carries out a plan, exactly as reviewed."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import Severity, diagnostic
from siteward.access.model import account_of
from siteward.access.report import Report, exit_code
from siteward.cli.base_option import option
from siteward.cli.names import check_blocks, instance_option, journal_option, names_with
from siteward.cli.paths import NewFile
from siteward.cli.selection import check_names, only_option, selection_of
from siteward.cli.session import NOTICE, Session, StoppedError, now, with_session
from siteward.render import formats_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siteward.access.plan import InstancePlan, Plan, Step
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.apply.target import Acceptance, Options
    from siteward.reconcile.approvals import Counted
    from siteward.reconcile.selection import Selection
    from siteward.reconcile.survey import Survey

EMPTY = "empty"
"""The one name that `--accept` takes without a digest: it is about the file, which says `grants: []`."""


def _hours(_ctx: click.Context, _param: click.Parameter, value: float) -> timedelta:
    try:
        return timedelta(hours=value)
    except (ValueError, OverflowError) as problem:
        raise click.BadParameter("that is not a valid number of hours") from problem


@click.command("apply")
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
@instance_option
@journal_option
@click.option("--yes", is_flag=True, help="Do not ask. Blocked steps stay blocked.")
@click.option("--resume", is_flag=True, help="Finish the run that was interrupted.")
@click.option("--resend", metavar="LOGIN@INSTANCE", help="Send one invitation again, and do nothing else.")
@click.option(
    "--expect",
    metavar="DIGEST",
    help="Refuse any other plan than the reviewed one: its digest, or at least 16 digits of it.",
)
@click.option(
    "--max-age", metavar="HOURS", type=click.FloatRange(min=0), default=24.0, show_default=True, callback=_hours
)
@click.option("--as-of", metavar="DATE", help="Evaluate at DATE; must match the plan.")
@click.option(
    "--accept",
    multiple=True,
    metavar="NAME=DIGEST",
    help="Override one limit or block, or confirm one account (identity:LOGIN@INSTANCE=DIGEST), for this plan only; DIGEST as for --expect.",
)
@click.option("--reason", default="", help="Why what --accept overrides is right; written to the journal.")
@only_option
@click.option("--allow-delete", is_flag=True, help="Let accounts that the file declares absent be deleted.")
@click.option("--passwords-out", type=NewFile(), help="Append new passwords to this file, mode 0600.")
@option
@with_session(*formats_of("apply"), folders=(NOTICE,))
def command(
    session: Session,
    base: str | None,
    plan_file: Path | None,
    instances: tuple[str, ...],
    resend: str | None,
    expect: str | None,
    max_age: timedelta,
    as_of: str | None,
    accept: tuple[str, ...],
    reason: str,
    only: tuple[str, ...],
    passwords_out: Path | None,
    *,
    yes: bool,
    resume: bool,
    allow_delete: bool,
) -> int:
    """Carry out a saved PLAN, or plan, show, ask, and carry out that.

    Every touched thing is read again first; what changed since the review is refused. Every write is journalled
    before and after, and counts as done only when reading shows it. `-o notice:DIR` writes a text for each person whose
    access it changed, or who loses some soon; nothing is sent.
    """
    if resend:
        return _resend(session, resend)
    from siteward.cli.checkout import open_checkout
    from siteward.cli.notices import folder_for
    from siteward.reconcile.apply.target import Options
    from siteward.reconcile.approvals import count_approvals

    checkout = open_checkout(
        session, "apply", names=instances, as_of=as_of, passwords_out=passwords_out, writes=True, with_base=True, base=base
    )  # fmt: skip
    counted = count_approvals(checkout.project, checkout.journals.actor)
    options = Options(
        passwords=checkout.passwords,
        approved=counted.approved,
        accept=_read_acceptances(accept, reason),
        allow_delete=allow_delete,
        expect=expect,
        max_age=max_age,
        as_of=checkout.as_of if checkout.as_of_given else None,
        only=selection_of(only, checkout.project.declaration),
        words=only,
    )
    with folder_for(session) as notices:
        report = _apply(session, checkout, options, plan_file, counted, yes=yes, resume=resume)
        return _finish(session, checkout, report, notices)


def _apply(
    session: Session,
    checkout: Checkout,
    options: Options,
    plan_file: Path | None,
    counted: Counted,
    *,
    yes: bool,
    resume: bool,
) -> Report:
    """Finish the interrupted run, or choose a plan, ask, and carry it out; return the report."""
    from siteward.reconcile.apply import apply as engine

    if resume:
        _refuse_plan(plan_file)
        return _carry_out(session, checkout, None, options, engine.resume)
    from siteward.reconcile.approvals import tell_approved

    plan, options = _choose_plan(session, checkout, options, plan_file)
    _confirm(session, plan, options, yes=yes, shown=plan_file is None and session.formats == ("text",))
    report = _carry_out(session, checkout, plan, options, engine.apply)
    said = tell_approved(plan, counted, checkout.journals.actor)
    return replace(report, diagnostics=(*report.diagnostics, *said))


def _finish(session: Session, checkout: Checkout, report: Report, notices: Path | None) -> int:
    """Print the report, then write the notices of what was done, where a folder for them is given; return the exit code."""
    from siteward.cli.notices import write_notices

    code = session.leave(report)
    if notices is not None:
        write_notices(session, checkout, report, notices)
    return code


def _resend(session: Session, address: str) -> int:
    """Send one invitation again, and say that a mail went; `address` is LOGIN@INSTANCE. Return the exit code."""
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.apply.apply import resend

    login, _, name = address.rpartition("@")
    if not login:
        raise click.UsageError(f"--resend {address}: write LOGIN@INSTANCE")
    checkout = open_checkout(session, "apply", names=(name,))
    report = resend(checkout.instances[0], login, checkout.journals, now)
    code = session.leave(replace(report, accounts=names_with(checkout.project.declaration, login)))
    if code == 0:
        session.say(f"sent: a mail with the invitation to {name} went to {login}")
    return code


def _carry_out(
    session: Session,
    checkout: Checkout,
    plan: Plan | None,
    options: Options,
    verb: Callable[..., Report],
) -> Report:
    """Call `apply` with a plan, or `resume` with none, and show the progress of its steps."""
    from siteward.cli.progress import progress_on_stderr

    with progress_on_stderr(session, plan) as listener:
        report = verb(
            *(() if plan is None else (plan,)),
            checkout.targets(),
            checkout.journals,
            options,
            config_digest=checkout.project.loaded.digest,
            clock=now,
            on_progress=listener,
        )
    return replace(report, timezone=str(checkout.project.declaration.timezone))


def _refuse_plan(plan_file: Path | None) -> None:
    """Raise `UsageError` for a plan beside `--resume`."""
    if plan_file:
        raise click.UsageError("--resume finishes the interrupted run; it takes no plan")


def _choose_plan(
    session: Session, checkout: Checkout, options: Options, plan_file: Path | None
) -> tuple[Plan, Options]:
    """Return the saved plan, or a new one, and the options for it; a new one is made of the part that is asked for."""
    if plan_file:
        plan, options = _read_plan(plan_file, options.only, checkout), replace(options, document=plan_file)
    else:
        plan, options = _plan_now(session, checkout, options), replace(options, only=None)
    return plan, _tie_to_plan(options, plan)


def _read_plan(path: Path, selection: Selection | None, checkout: Checkout) -> Plan:
    """Return a saved plan; raises `StoppedError` where a selection names nobody it knows, or no step of it."""
    from siteward.cli.names import read_plan

    plan = read_plan(path, "apply")
    if selection is not None:
        check_names(selection, checkout.project.declaration, plan)
        _stop_where_nothing_is_chosen(plan, selection)
    return plan


def _plan_now(session: Session, checkout: Checkout, options: Options) -> Plan:
    """Make a plan, or the part that is asked for, and show it; raises `StoppedError` where nothing could be applied."""
    from siteward.reconcile.plan import plan_and_survey

    accept = {name: acceptance.reason for name, acceptance in options.accept.items()}
    run = checkout.run(accept=accept, allow_delete=options.allow_delete, approved=options.approved)
    run = replace(run, only=options.only)
    report, surveys = plan_and_survey(checkout.project, checkout.instances, checkout.journals, run)
    report = replace(report, applying=True)
    records = report.plan is not None and _is_recorded_empty(report.plan)
    if report.plan is None or not (records or any(part.runnable for part in report.plan.instances)):
        whole = options.only is None
        raise StoppedError(
            _begin_journals(checkout, report, surveys, options) if whole else _tell_nothing_chosen(report)
        )
    if session.formats == ("text",):
        session.show(report)
    return report.plan


def _begin_journals(checkout: Checkout, report: Report, surveys: tuple[Survey, ...], options: Options) -> Report:
    """Record the instances on which nothing is to be done; return the report with what is to be said of that."""
    from siteward.reconcile.apply.admission import objections_to
    from siteward.reconcile.apply.beginning import Beginning, begin_journals

    if report.plan is None or options.only is not None:
        return report
    if options.accept.keys() - {EMPTY}:  # they are for a plan that was reviewed, and this one is new
        objections = objections_to(report.plan, _tie_to_plan(options, report.plan), now())
        return replace(report, diagnostics=(*report.diagnostics, *objections))
    given = Beginning(
        plan=report.plan,
        journals=checkout.journals,
        clock=now,
        passwords=checkout.passwords,
    )
    return replace(report, diagnostics=(*report.diagnostics, *begin_journals(given, surveys)))


def _is_recorded_empty(plan: Plan) -> bool:
    """Return whether a plan is applied though it may have no step: the journal is to know of starts to come."""
    said = (diagnostic for part in plan.instances for diagnostic in part.diagnostics)
    return any(diagnostic.code == "begins-later" for diagnostic in said)


def _tell_nothing_chosen(report: Report) -> Report:
    """Return the report of a part without steps: one line where all was well, else everything that was found."""
    chosen = report.plan is not None and any(part.steps for part in report.plan.instances)
    if report.plan is None or chosen or exit_code(report) not in {0, 2}:
        return report
    left_out = [step for part in report.plan.instances for step in part.left_out]
    return _nothing_chosen(left_out, report)


def _stop_where_nothing_is_chosen(plan: Plan, selection: Selection) -> None:
    """Raise `StoppedError`, with exit code 0, where `--only` names no step of the plan."""
    steps = [(part.instance, step) for part in plan.instances for step in part.steps]
    if not any(selection(instance, step) for instance, step in steps):
        raise StoppedError(_nothing_chosen([step for _, step in steps], Report(command="apply")))


def _nothing_chosen(left_out: Sequence[Step], report: Report) -> Report:
    """Return the report that no step was chosen, with those that were left out counted and named."""
    from siteward.reconcile.selection import name_people

    rest = f"; left out: {name_people(left_out)}" if left_out else ""
    message = f"no step of this plan is among what --only names, so nothing was done{rest}"
    weight = Severity.WARNING if left_out else Severity.NOTE
    nothing = diagnostic(weight, "nothing-chosen", message, count=max(1, len(left_out)))
    return Report(command="apply", diagnostics=(nothing,), confined=True, accounts=report.accounts, texts=report.texts)


def _confirm(session: Session, plan: Plan, options: Options, *, yes: bool, shown: bool) -> None:
    """Ask before anything is changed: yes or no, or for high risk the names of the instances, typed out.

    `shown` tells that the plan was printed already. Raises `Abort` where the answer is no, and `UsageError` without a
    terminal to ask at.
    """
    chosen = {part.instance: steps for part in plan.instances if (steps := _steps_within(part, options))}
    if yes or not chosen:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at; review the plan and say --yes")
    if not shown:
        _show(session, Report(command="show", plan=plan))
    from siteward.access.diagnostic import plural

    people = {step.person or account_of(step.change.key) for steps in chosen.values() for step in steps}
    click.echo(f"This will change {plural(len(people), 'person', 'people')} on {', '.join(chosen)}.", err=True)
    risky = " ".join(name for name, steps in chosen.items() if any(step.risk == "high" for step in steps))
    if not risky:
        agreed = click.confirm("apply?", err=True)
    else:
        question = f"There are changes of high risk. Type {risky!r} to apply"
        agreed = click.prompt(question, err=True, default="", show_default=False) == risky
    if not agreed:
        raise click.Abort("not confirmed; nothing was changed")


def _steps_within(part: InstancePlan, options: Options) -> tuple[Step, ...]:
    """Return the steps that this run may carry out, including those whose block its options may lift."""
    lifts = options.accept or options.allow_delete or options.approved or options.passwords.out is not None
    return part.steps if lifts else part.runnable


def _show(session: Session, report: Report) -> None:
    """Show the plan that is asked about; on stderr where stdout is for programs."""
    session.show(report, err=session.formats != ("text",))


def _read_acceptances(given: tuple[str, ...], reason: str) -> dict[str, Acceptance]:
    from siteward.reconcile.apply.target import Acceptance

    # A login may hold a `=`, and a digest does not.
    pairs = [text.rpartition("=") if "=" in text else (text, "", "") for text in given]
    check_blocks(name for name, *_ in pairs)
    for name, _, digest in pairs:
        if not digest and name != EMPTY:
            raise click.UsageError(f"--accept {name}: write {name}=DIGEST, with the digest of the plan it is for")
    if {name for name, *_ in pairs} - {EMPTY} and not reason:
        raise click.UsageError("--accept needs --reason TEXT; it is written to the journal")
    return {name: Acceptance(digest=digest, reason=reason or "asked for") for name, _, digest in pairs}


def _tie_to_plan(options: Options, plan: Plan) -> Options:
    """Give `--accept empty`, which was written without a digest, the digest of the plan at hand."""
    accept = {
        name: replace(acceptance, digest=acceptance.digest or plan.digest)
        for name, acceptance in options.accept.items()
    }
    return replace(options, accept=accept)
