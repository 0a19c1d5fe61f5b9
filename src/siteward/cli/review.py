"""`siteward review`: an access certification. Lists every right to decide on; turns decisions into an edit of the files."""

from __future__ import annotations

from datetime import timedelta
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import error, warning
from siteward.access.report import Report, doubtful, missing
from siteward.cli.names import at_option, instance_option, journal_option
from siteward.cli.session import Session, StoppedError, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.certification import Review
    from siteward.cli.checkout import Checkout
    from siteward.declaration.rewrite import Edit
    from siteward.reconcile.survey import Survey


@click.command("review")
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Evaluate at this date or instant.")
@at_option
@click.option("--soon", type=click.IntRange(min=0), default=30, show_default=True, help="Days in which an end is near.")
@click.option(
    "--unused", type=click.IntRange(min=1), default=180, show_default=True, help="Days until unused is stale."
)
@click.option(
    "--decisions", type=click.Path(path_type=Path), metavar="FILE", help="Turn decisions (CSV or JSON) into an edit."
)
@click.option("--write", is_flag=True, help="With --decisions: write the edit to the files, for a pull request.")
@with_session("text", "html", "csv", "json", without=("--group-by",))
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

    Decide in the CSV or JSON that it writes: keep, revoke, change ROLE, change until DATE; remove for a line of the
    file that gives nothing any more. Given back with
    --decisions, while nothing has changed since, they become an edit of the files: shown as a patch, or written.
    """
    from siteward.access.certification import Horizon, review
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.reconcile.certify import commits, dead_rows, ledgers
    from siteward.render.certification import render

    if write and decisions is None:
        raise click.UsageError("--write goes with --decisions FILE")
    if at is not None and decisions is not None:
        raise click.UsageError("--decisions are about what is live now, not about what was recorded (--at)")
    checkout = open_checkout(session, "review", names=instances, as_of=as_of, at=at, asks=True)
    report, surveys = read_instances(checkout, "review")
    all_ledgers = ledgers(checkout.project.declaration, surveys)
    horizon = Horizon(as_of=checkout.as_of, soon=timedelta(days=soon), unused=timedelta(days=unused))
    dead = () if checkout.past else dead_rows(checkout.project.declaration, checkout.as_of)
    changed = {} if checkout.past else commits(all_ledgers, checkout.project.path.parent, dead)
    current = review(all_ledgers, horizon, changed, (*missing(report), *doubtful(report)), dead)
    current = replace(current, accounts=report.accounts or {})
    if decisions is not None:
        return _turn_into_edit(session, checkout, surveys, current, decisions, write=write)
    code = session.answer(lambda form, options: render(current, form, options), report, long=True)
    return code or (0 if session.exit_zero or not current.incomplete else 4)


def _turn_into_edit(
    session: Session, checkout: Checkout, surveys: tuple[Survey, ...], current: Review, path: Path, *, write: bool
) -> int:
    """Show or write the edit that follows from the decisions in `path`; return the exit code.

    That is 3 where the edit leaves some of them to people. Raises `StoppedError` for decisions of another review
    (exit code 4) and for a file that holds none.
    """
    from siteward.reconcile.certify import (
        BadDecisionsError,
        changed_since,
        check_names,
        edited,
        read_decisions,
    )
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
        unreadable = error("bad-decisions", str(problem))
        raise StoppedError(Report(command="review", diagnostics=(unreadable,))) from problem
    click.echo("".join(_patch(edit)), nl=False)
    if write:
        _write_all(edit)
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


def _write_all(edit: Edit) -> None:
    from siteward.reconcile.certify import BadDecisionsError, write_edit

    for name, text in edit.texts.items():
        try:
            write_edit(Path(name), text)
        except OSError as problem:
            raise click.ClickException(f"cannot write {name}: {problem.strerror}") from problem
        except BadDecisionsError as problem:
            told = error("bad-decisions", str(problem))
            raise StoppedError(Report(command="review", diagnostics=(told,))) from problem


def _refusal(theirs: str, ours: str, changed: tuple[str, ...]) -> StoppedError:
    """Return the error for decisions of the review `theirs` where `ours` is the current one; `changed` names the items."""
    stale = warning(
        "review-changed",
        f"refused: these decisions are of review {theirs}, and what is held now is review {ours}",
        hint=f"make a new one; not as they were seen: {', '.join(changed) or 'the order of lines in the files'}",
    )
    return StoppedError(Report(command="review", diagnostics=(stale,), stale=True))


def _patch(edit: Edit) -> Iterator[str]:
    """Yield the edit as a patch that git and patch understand."""
    for name, text in sorted(edit.texts.items()):
        before = Path(name).read_text(encoding="utf-8").splitlines(keepends=True)
        yield from unified_diff(before, text.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=1)
