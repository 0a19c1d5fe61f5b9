"""`siteward review`: every right as an item to decide on; and what was decided, as an edit of the files."""

from __future__ import annotations

from datetime import timedelta
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import error, warning
from siteward.access.report import Report, missing
from siteward.cli.names import instance_option
from siteward.cli.session import Session, StoppedError, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.certification import Review
    from siteward.cli.checkout import Checkout
    from siteward.declaration.rewrite import Edit
    from siteward.reconcile.plan import Survey


@click.command("review")
@instance_option
@click.option("--as-of", metavar="DATE", help="Evaluate at this date or instant.")
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
    soon: int,
    unused: int,
    decisions: Path | None,
    *,
    write: bool,
) -> int:
    """List who holds what, since which commit and why; what stands out first.

    Decide in the CSV or JSON that it writes: keep, revoke, change ROLE, change until DATE. Given back with
    --decisions, while nothing has changed since, they become an edit of the files: shown as a patch, or written.
    """
    from siteward.access.certification import Horizon, review
    from siteward.cli.checkout import ask, open_checkout
    from siteward.reconcile.certify import commits, ledgers
    from siteward.render.certification import render

    if write and decisions is None:
        raise click.UsageError("--write goes with --decisions FILE")
    checkout = open_checkout(session, "review", names=instances, as_of=as_of)
    report, surveys = ask(checkout, "review")
    every = ledgers(checkout.project.declaration, surveys)
    horizon = Horizon(as_of=checkout.as_of, soon=timedelta(days=soon), unused=timedelta(days=unused))
    found = review(every, horizon, commits(every, checkout.project.path.parent), missing(report))
    found = replace(found, accounts=report.accounts or {})
    if decisions is not None:
        return _decided(session, checkout, surveys, found, decisions, write=write)
    code = session.answer(lambda form, options: render(found, form, options), report)
    return code or (0 if session.exit_zero or not found.incomplete else 4)


def _decided(
    session: Session, checkout: Checkout, surveys: tuple[Survey, ...], found: Review, path: Path, *, write: bool
) -> int:
    """Show or write the edit that follows from decisions; 4 where they are of another picture, 3 where some are left."""
    from siteward.reconcile.certify import BadDecisionsError, changed_since, check_names, edited, read_decisions
    from siteward.render.certification import items

    try:
        decisions = read_decisions(path)
        if decisions.digest != found.digest:
            raise _stale(decisions.digest, found.digest, changed_since(decisions, items(found)))
        check_names(decisions, items(found), items(found, "handles"))
        edit = edited(checkout.project, surveys, found, decisions)
    except OSError as problem:
        raise click.ClickException(f"cannot read {path}: {problem.strerror}") from problem
    except BadDecisionsError as problem:
        told = error("bad-decisions", str(problem))
        raise StoppedError(Report(command="review", diagnostics=(told,))) from problem
    click.echo("".join(_patch(edit)), nl=False)
    if write:
        for name, text in edit.texts.items():
            Path(name).write_text(text, encoding="utf-8")
    for answer in edit.needless:
        session.say(f"nothing to edit: {answer}")
    for answer in edit.undone:
        session.say(f"left to you: {answer}")
    from siteward.access.diagnostic import plural

    count, done = len(found.items) - len(decisions.answers), "written" if write else "to be written with --write"
    session.say(f"{len(decisions.answers)} decided, {count} not; {plural(len(edit.texts), 'file')} {done}")
    return 3 if edit.undone and not session.exit_zero else 0


def _stale(theirs: str, ours: str, changed: tuple[str, ...]) -> StoppedError:
    told = warning(
        "review-changed",
        f"refused: these decisions are of review {theirs}, and what is held now is review {ours}",
        hint=f"make a new one; not as they were seen: {', '.join(changed) or 'the order of lines in the files'}",
    )
    return StoppedError(replace(Report(command="review", diagnostics=(told,)), stale=True))


def _patch(edit: Edit) -> Iterator[str]:
    """Yield the edit as a patch that git and patch understand."""
    for name, text in sorted(edit.texts.items()):
        before = Path(name).read_text(encoding="utf-8").splitlines(keepends=True)
        yield from unified_diff(before, text.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=1)
