"""Edits of the file on the command line: shown as a patch, and written."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.session import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.cli.session import Session
    from siteward.declaration.edited import Edit


def patch_of(edit: Edit) -> Iterator[str]:
    """Yield the edit as a patch that git and patch understand."""
    for name, text in sorted(edit.texts.items()):
        before = _lines(edit.before[name] if name in edit.before else Path(name).read_bytes().decode())
        shown = name.lstrip("/")  # no patch is about a place outside of where it is applied
        for line in unified_diff(before, _lines(text), f"a/{shown}", f"b/{shown}", n=1):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def show_edit(session: Session, edit: Edit) -> None:
    """Print an edit as a patch; on stderr where stdout is for programs."""
    click.echo("".join(patch_of(edit)), nl=False, err=session.formats != ("text",))


def _lines(text: str) -> list[str]:
    """Return the lines as patches count them, each with its end."""
    *lines, last = text.split("\n")
    return [*(f"{line}\n" for line in lines), *([last] if last else ())]


def write_edits(edit: Edit, command: str) -> None:
    """Write all files of an edit, or none.

    Raises `StoppedError` for a link and for a file that has changed since it was read, and `ClickException`.
    """
    from siteward.reconcile.certify import write_all
    from siteward.reconcile.sheets import BadDecisionsError

    try:
        write_all(edit)
    except OSError as problem:
        raise click.ClickException(f"cannot write {problem.filename}: {problem.strerror}") from problem
    except BadDecisionsError as problem:
        told = error("cannot-write", str(problem))
        raise StoppedError(Report(command=command, diagnostics=(told,))) from problem
