"""Edits of the files of a declaration on the command line: shown as a patch, or written for a pull request."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.session import Session, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def show_edit(session: Session, texts: Mapping[str, str]) -> None:
    """Print an edit as a patch that git and patch understand; on stderr where stdout is for programs."""
    click.echo(patch_of(texts), nl=False, err=session.formats != ("text",))


def write_edits(texts: Mapping[str, str], command: str) -> None:
    """Write the edited files. Raises `ClickException` where that fails, and `StoppedError` for a link."""
    from siteward.reconcile.certify import BadDecisionsError, write_edit

    for name, text in texts.items():
        try:
            write_edit(Path(name), text)
        except OSError as problem:
            raise click.ClickException(f"cannot write {name}: {problem.strerror}") from problem
        except BadDecisionsError as problem:
            told = error("cannot-write", str(problem))
            raise StoppedError(Report(command=command, diagnostics=(told,))) from problem


def patch_of(texts: Mapping[str, str]) -> str:
    """Return an edit of files, as they are now, as a patch."""
    return "".join(_patch(texts))


def _patch(texts: Mapping[str, str]) -> Iterator[str]:
    for name, text in sorted(texts.items()):
        before = Path(name).read_bytes().decode("utf-8").splitlines(keepends=True)
        shown = name.lstrip("/")  # no patch is about a place outside of where it is applied
        for line in unified_diff(before, text.splitlines(keepends=True), f"a/{shown}", f"b/{shown}", n=1):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
