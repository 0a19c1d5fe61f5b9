"""The file that a directory's people are written to: read as it stands, and printed sorted, without any time in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Span, problem
from siteward.declaration.document import DirectoryFile
from siteward.declaration.generate import quoted
from siteward.declaration.grammar import fitted, said
from siteward.declaration.yaml_reader import read
from siteward.directory.listing import ListingError
from siteward.directory.refresh import Known, People

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FIELDS = ("id", "login", "email", "name", "until")


def read_people(path: Path, called: str) -> People:
    """Return what a directory's file holds, nothing where there is none; raises `ListingError` for a broken one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return People()
    except OSError as trouble:
        message = f"{called} cannot be read: {trouble.strerror}"
        raise ListingError(problem("unreadable", message, Span(called, 1, 1))) from trouble
    except UnicodeDecodeError as wrong:
        message = f"{called} is not UTF-8, so it is not what was written; restore it"
        raise ListingError(problem("not-utf-8", message, Span(called, 1, 1))) from wrong
    source, faults = read(called, text)
    if source is None or faults:
        raise ListingError(*faults)
    file = fitted(source.data, DirectoryFile, source)
    if isinstance(file, tuple):
        raise ListingError(*said(file))
    return People(
        users={
            handle: Known(
                handle=handle,
                id=str(row.id),
                login=row.login,
                email=row.email,
                name=row.name,
                suspended=row.state is not None,
                until=row.until,
            )
            for handle, row in file.users.items()
        },
        groups={name: tuple(row.members) for name, row in file.groups.items()},
    )


def print_people(directory: str, people: People) -> str:
    """Return the text of a directory's file; the same people give the same text, to the byte."""
    return "\n".join(_print_lines(directory, people)) + "\n"


def _print_lines(directory: str, people: People) -> Iterator[str]:
    """Yield the lines of the file."""
    yield f"# `siteward people refresh {directory}` writes this file: nobody edits it."
    yield f"directory: {quoted(directory)}"
    yield "users:" if people.users else "users: {}"
    for handle, known in sorted(people.users.items()):
        values = [(name, getattr(known, name)) for name in _FIELDS]
        if known.suspended:
            values.append(("state", "suspended"))
        row = ", ".join(f"{name}: {quoted(value)}" for name, value in values if value is not None)
        yield f"  {quoted(handle)}: {{{row}}}"
    if people.groups:
        yield "groups:"
    for name, members in sorted(people.groups.items()):
        yield f"  {quoted(name)}: {{members: [{', '.join(map(quoted, members))}]}}"
