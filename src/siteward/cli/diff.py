"""`siteward diff`: the access that people gain and lose by a change of the files, without server or credentials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.paths import revisions
from siteward.cli.session import Session, StoppedError, find_config, now, parse_instant, with_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.state import Live
    from siteward.declaration.load import Declaration, Loaded

CHECKOUT = "checkout"
"""The name of the head where no revision is given: the files as they lie in the checkout."""


@click.command("diff")
@click.argument("base", shell_complete=revisions)
@click.argument("head", required=False, shell_complete=revisions)
@click.option("--as-of", metavar="DATE", help="Compare as if it were this date or instant.")
@click.option(
    "--snapshot",
    "snapshots",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The known sites of an instance, or a folder of such files; see `plan --save-snapshot`.",
)
@with_session("text", "markdown", "json", without=("--group-by",))
def command(session: Session, base: str, head: str | None, as_of: str | None, snapshots: tuple[Path, ...]) -> int:
    """Show who gains and loses what between the revisions BASE and HEAD, by effective access.

    HEAD is what lies in the checkout, if it is not given. Nothing is contacted: where no snapshot tells which sites
    there are, selectors stand for themselves.
    """
    from siteward.reconcile.revisions.diff import Question, compared
    from siteward.render.diff import render

    path = find_config(session)
    old, new = _declaration_at(path, base, must=False), _declaration_at(path, head, must=True)
    if new is None:
        raise StoppedError(_report_of("no-declaration", f"{path} does not exist at {head}"))
    question = Question(
        base=base,
        head=head or CHECKOUT,
        as_of=parse_instant(as_of, str(new.timezone)) or now(),
        sites=_read_snapshots(snapshots),
    )
    comparison = compared(old, new, question)
    session.answer(lambda form, options: render(comparison, form, options, str(new.timezone)), Report(command="diff"))
    return 0 if session.exit_zero else comparison.exit_code


def _declaration_at(path: Path, ref: str | None, *, must: bool) -> Declaration | None:
    """Return the declaration at a revision, or in the checkout; `None` where that revision has no such file.

    Raises `StoppedError` for an unknown revision and for files that are not valid; `must` puts their faults first.
    """
    from siteward.reconcile.project import read
    from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, read_at

    try:
        loaded = read(path) if ref is None else read_at(path, commit_at(path.parent, ref))
    except NoSuchRevisionError as problem:
        raise StoppedError(_report_of("no-revision", str(problem), problem.hint)) from problem
    if loaded is None:
        return None
    return loaded.declaration or _refuse_invalid(loaded, ref, must=must)


def _refuse_invalid(loaded: Loaded, ref: str | None, *, must: bool) -> NoReturn:
    faults = [diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks]
    where = f" at {ref}" if ref is not None else ""
    head = error("not-valid", f"the declaration{where} is not valid, so nothing can be compared with it")
    shown = (*faults, head) if must or ref is None else (head, *faults)
    raise StoppedError(Report(command="diff", diagnostics=shown, texts=loaded.texts, files=loaded.files))


def _read_snapshots(paths: tuple[Path, ...]) -> Mapping[str, Live]:
    """Return the sites of each instance from snapshot files, or folders of them."""
    from siteward.reconcile.snapshot import BadSnapshotError, read

    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else (path,))]
    try:
        return dict(map(read, files))
    except OSError as problem:
        raise click.ClickException(f"cannot read {problem.filename}: {problem.strerror}") from problem
    except BadSnapshotError as problem:
        raise click.ClickException(str(problem)) from problem


def _report_of(code: str, message: str, hint: str | None = None) -> Report:
    return Report(command="diff", diagnostics=(error(code, message, hint=hint),))
