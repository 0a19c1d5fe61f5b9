"""`siteward review`: an access certification. Lists every right to decide on; turns decisions into an edit of the files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from msgspec.structs import replace

from siteward.access.diagnostic import warning
from siteward.access.report import Report
from siteward.cli import review_rounds
from siteward.cli.edits import patch_of, write_edits
from siteward.cli.names import at_option, instance_option, journal_option
from siteward.cli.review_edit import make_review, refuse
from siteward.cli.session import Session, StoppedError, with_session

if TYPE_CHECKING:
    from siteward.access.certification import Review
    from siteward.access.diagnostic import Diagnostic
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.survey import Survey
    from siteward.render import Options


@click.group("review", invoke_without_command=True)
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Evaluate at this date or instant.")
@at_option
@click.option("--soon", type=click.IntRange(min=0), default=30, show_default=True, help="Days in which an end is near.")
@click.option(
    "--unused", type=click.IntRange(min=1), default=180, show_default=True, help="Days until unused is stale."
)
@click.option(
    "--decisions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Turn decisions (CSV, JSON, .xlsx) into an edit.",
)
@click.option("--write", is_flag=True, help="With --decisions: write the edit to the files, for a pull request.")
@with_session("text", "html", "csv", "json", "xlsx", without=("--group-by",))
def command(
    session: Session,
    instances: tuple[str, ...],
    as_of: str | None,
    at: str | None,
    soon: int,
    unused: int,
    decisions: Path | None,
    *,
    write: bool,
) -> int:
    """List who holds what, since which commit and why; what stands out first.

    Decide in the CSV, JSON or .xlsx that it writes: keep, revoke, change ROLE, change until DATE; remove for a line of the
    file that gives nothing any more. Given back with
    --decisions, while nothing has changed since, they become an edit of the files: shown as a patch, or written.

    A review by several people over some weeks is a round: `start` writes a sheet for each, `close` takes their decisions.
    """
    from siteward.access.certification import Horizon
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.reconcile.confirmed import tell_overdue

    if click.get_current_context().invoked_subcommand is not None:
        return _refuse_options()
    session = _workbook_to_file(session)
    if write and decisions is None:
        raise click.UsageError("--write goes with --decisions FILE")
    if at is not None and decisions is not None:
        raise click.UsageError("--decisions are about what is live now, not about what was recorded (--at)")
    checkout = open_checkout(session, "review", names=instances, as_of=as_of, at=at, asks=True)
    report, surveys = read_instances(checkout, "review", steps=False)
    horizon = Horizon(as_of=checkout.as_of, soon=timedelta(days=soon), unused=timedelta(days=unused))
    current, confirmed = make_review(checkout, report, surveys, horizon)
    if decisions is not None:
        return _turn_into_edit(session, checkout, surveys, current, decisions, write=write)
    said = tell_overdue(current, confirmed)
    code = session.answer(lambda form, options: _render(current, form, options, said), report, long=True)
    return code or (0 if session.exit_zero or not current.incomplete else 4)


def _refuse_options() -> int:
    """Return 0 for the verb of a round to go on; raises `UsageError` for options before its name."""
    context = click.get_current_context()
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"write options behind the verb: siteward review {context.invoked_subcommand} …")
    return 0


def _workbook_to_file(session: Session) -> Session:
    """Return the session without a workbook on stdout; raises `UsageError` where none is written to a file either.

    Raises `ClickException` where the extra for it is missing, before anything is read.
    """
    to_file = "xlsx" in {form for form, _ in session.outputs}
    if "xlsx" in session.formats and not to_file:
        raise click.UsageError("a workbook is no text for a terminal or a pipe: -o FILE.xlsx")
    if to_file:
        from siteward.reconcile.workbook import WorkbookError, require_workbooks

        try:
            require_workbooks()
        except WorkbookError as missing:
            raise click.ClickException(str(missing)) from missing
    return replace(session, formats=tuple(form for form in session.formats if form != "xlsx"))


def _render(review: Review, form: str, options: Options, said: tuple[Diagnostic, ...]) -> str | bytes:
    """Return a review in a format; a workbook as its bytes."""
    from siteward.render.certification import render, sheet

    if form != "xlsx":
        return render(review, form, options, said)
    from siteward.reconcile.workbook import WorkbookError, write_workbook

    try:
        return write_workbook(*sheet(review, options.privacy), "review")
    except WorkbookError as problem:
        raise click.ClickException(str(problem)) from problem


def _turn_into_edit(
    session: Session, checkout: Checkout, surveys: tuple[Survey, ...], current: Review, path: Path, *, write: bool
) -> int:
    """Show or write the edit that follows from the decisions in `path`; return the exit code.

    That is 3 where the edit leaves some of them to people. Raises `StoppedError` for decisions of another review
    (exit code 4) and for a file that holds none.
    """
    from siteward.reconcile.certify import edited
    from siteward.reconcile.sheets import BadDecisionsError, changed_since, check_names, read_decisions
    from siteward.render.certification import items

    try:
        decisions = read_decisions(path)
        if decisions.digest != current.digest:
            raise _refusal(decisions.digest, current.digest, changed_since(decisions, items(current)))
        check_names(decisions, items(current), items(current, "handles"))
        edit = edited(checkout.project, surveys, current, decisions)
    except OSError as problem:
        raise click.ClickException(f"cannot read {path}: {problem.strerror}") from problem
    except BadDecisionsError as problem:
        raise refuse(*problem.args) from problem
    click.echo("".join(patch_of(edit)), nl=False)
    if write:
        write_edits(edit, "review")
    for decision in edit.needless:
        session.say(f"nothing to edit: {decision}")
    for decision in edit.undone:
        session.say(f"left to you: {decision}")
    from siteward.access.diagnostic import plural

    count, done = (
        len(current.items) + len(current.dead) - len(decisions.answers),
        "written" if write else "to be written with --write",
    )
    session.say(f"{len(decisions.answers)} decided, {count} not; {plural(len(edit.texts), 'file')} {done}")
    return 3 if edit.undone and not session.exit_zero else 0


def _refusal(theirs: str, ours: str, changed: tuple[str, ...]) -> StoppedError:
    """Return the error for decisions of the review `theirs` where `ours` is the current one; `changed` names the items."""
    stale = warning(
        "review-changed",
        f"refused: these decisions are of review {theirs}, and what is held now is review {ours}",
        hint=f"make a new one; not as they were seen: {', '.join(changed) or 'the order of lines in the files'}",
    )
    return StoppedError(Report(command="review", diagnostics=(stale,), stale=True))


for verb in (review_rounds.start, review_rounds.status, review_rounds.close):
    command.add_command(verb)
