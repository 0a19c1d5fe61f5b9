"""The reading of CSV exports: of Entra ID, of Google Workspace, and of tables whose columns carry our own names.

A table is known by its header (names without case, in any order). Only the columns that are needed are looked at: an
export holds private addresses and numbers too, and no message repeats a row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Span
from siteward.directory.listing import MAX_TEXT, Listing, ListingError, Person, collect, malformed

Row = Mapping[str, str]
"""A row of a table by its header in small letters; empty cells are left out."""

_SPREADSHEET = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
"""A long number as a spreadsheet writes it: its last digits are lost."""

_GUEST = "#ext#@"
"""What Entra ID puts into the sign-in name of a guest, which is no address."""


class _UnknownWordError(Exception):
    """A cell that holds none of the words that its column knows."""

    def __init__(self, column: str, allowed: Sequence[str]) -> None:
        super().__init__(column)
        self.column, self.allowed = column, tuple(allowed)


class Dialect(Struct, frozen=True):
    """A kind of table: the columns that it is known by, of which `ids` hold the id, and how a row is read.

    `read` returns the fields of a person but `id` and `at`. `lack` says what to do where no column of `ids` is there.
    """

    name: str
    columns: frozenset[str]
    ids: tuple[str, ...]
    read: Callable[[Row], dict[str, str | bool | None]]
    lack: str


def _read_own(row: Row) -> dict[str, str | bool | None]:
    """Read a row whose columns carry our own names."""
    state = _word(row, "state", {"": True, "active": True, "suspended": False})
    return {
        "handle": row.get("handle"),
        "email": row.get("email"),
        "name": row.get("name"),
        "active": state,
        "until": _day(row),
    }


def _day(row: Row) -> str | None:
    """Return the cell of `until`, which holds a day as YYYY-MM-DD."""
    text = row.get("until")
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat() if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else _refuse_day()
    except ValueError as wrong:
        raise _UnknownWordError("until", ("2026-12-31",)) from wrong


def _refuse_day() -> str:
    raise _UnknownWordError("until", ("2026-12-31",))


def _read_entra(row: Row) -> dict[str, str | bool | None]:
    """Read a row of Entra ID's "Download users"; a guest's sign-in name is no address."""
    sign_in = row.get("userprincipalname")
    own = sign_in if sign_in and _GUEST not in sign_in.casefold() else None
    return {
        "handle": own.partition("@")[0] if own else None,
        "email": row.get("mail") or own,
        "name": row.get("displayname"),
        "active": _word(row, "accountenabled", {"": True, "true": True, "false": False}),
    }


def _read_google(row: Row) -> dict[str, str | bool | None]:
    """Read a row of Google Workspace's "Download users"."""
    names = (row.get("first name [required]"), row.get("last name [required]"))
    email = row.get("email address [required]")
    return {
        "handle": email.partition("@")[0] if email else None,
        "email": email,
        "name": " ".join(name for name in names if name) or None,
        "active": _word(row, "status [read only]", {"": True, "active": True, "suspended": False}),
    }


def _word(row: Row, column: str, words: Mapping[str, bool]) -> bool:
    """Return what the word of a cell means; raises `_UnknownWordError` for one that is not known."""
    word = row.get(column, "").casefold()
    if word not in words:
        raise _UnknownWordError(column, [known for known in words if known])
    return words[word]


DIALECTS = (
    Dialect(
        "Entra ID",
        frozenset({"userprincipalname", "displayname"}),
        ("id", "objectid"),
        _read_entra,
        "download the users anew, with the column `id`",
    ),
    Dialect(
        "Google Workspace",
        frozenset({"email address [required]", "status [read only]"}),
        ("employee id",),
        _read_google,
        "Google's table has no id that stays: keep the Employee ID of everybody there, or export a table with an `id`",
    ),
    Dialect(
        "a table with our names", frozenset({"id", "email"}), ("id",), _read_own, "give each person an `id` that stays"
    ),
)
"""The kinds of tables that are known, the most special first."""

_UPLOADS = ("version:", "name [displayname] required")
"""How the tables begin that Entra ID takes for uploads; nobody is listed in them."""


def read_table(called: str, text: str) -> Listing:
    """Return the listing of a CSV export; raises `ListingError` for one that is not as its kind demands.

    `called` is the file's name in places. The separator is taken from the header alone. In a table with our names the
    column `groups` holds a person's groups, separated by `|`.
    """
    rows = _parse(called, text)
    header, first = next(rows, ((), 1))
    names = [name.strip().casefold() for name in header]
    at = Span(called, first, 1)
    if any(name.startswith(_UPLOADS) for name in names):
        hint = "name what `Download users` gave"
        raise ListingError(malformed("this is a table for uploads, not a list of people", at, hint=hint))
    dialect = next((dialect for dialect in DIALECTS if dialect.columns <= set(names)), None)
    if dialect is None:
        hint = "known are Entra ID's and Google's `Download users`, and columns named id, email, name, handle, state, until, groups"
        raise ListingError(malformed("the header is of no known export", at, hint=hint))
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise ListingError(malformed(f"the column `{twice[0]}` stands there twice", at))
    column = next((name for name in dialect.ids if name in names), None)
    if column is None:
        raise ListingError(malformed(f"{dialect.name}: no column holds the person's id", at, hint=dialect.lack))
    return _list_people(called, names, column, dialect, rows)


def _list_people(
    called: str, names: Sequence[str], column: str, dialect: Dialect, rows: Iterator[tuple[Sequence[str], int]]
) -> Listing:
    """Return the listing of the rows below the header."""
    people: list[Person] = []
    faults: list[Diagnostic] = []
    groups: dict[str, list[str]] = {}
    for cells, line in rows:
        at = Span(called, line, 1)
        if len(cells) != len(names):
            faults.append(malformed(f"{len(cells)} cells under {len(names)} columns", at))
            continue
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
        fault = _find_fault(row, column, at)
        try:
            fields = dialect.read(row)
        except _UnknownWordError as wrong:
            hint = f"known are {', '.join(wrong.allowed)}"
            fault = fault or malformed(f"the column `{wrong.column}` holds a word that is not known", at, hint=hint)
        if fault is not None:
            faults.append(fault)
            continue
        people.append(Person(id=row[column], at=at, **fields))  # type: ignore[arg-type]  # each dialect reads these fields
        for group in row.get("groups", "").split("|") if dialect.read is _read_own else ():
            if group.strip():
                groups.setdefault(group.strip(), []).append(row[column])
    taken = {name: tuple(members) for name, members in groups.items()}
    return Listing(people=collect(people, faults), groups=MappingProxyType(taken))


def _find_fault(row: Row, column: str, at: Span) -> Diagnostic | None:
    """Return what is wrong with a row, whatever its kind: no id, an id that is none any more, a text without bounds."""
    id_ = row.get(column)
    if id_ is None:
        return malformed(f"the column `{column}` is empty", at, hint="one id is one person: each row needs it")
    if _SPREADSHEET.fullmatch(id_):
        return malformed(
            f"the id `{id_}` was shortened by a spreadsheet", at, hint="take the export as it was downloaded"
        )
    if any(len(cell) > MAX_TEXT for cell in row.values()):
        return malformed(f"a cell of more than {MAX_TEXT:,} characters", at)
    return None


def _parse(called: str, text: str) -> Iterator[tuple[Sequence[str], int]]:
    """Yield the rows of a CSV text that are not empty, each with the number of its line; raises `ListingError`."""
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as wrong:
            raise ListingError(malformed(f"this is no CSV: {wrong}", Span(called, line, 1))) from wrong
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield cells, line
        line = reader.line_num + 1
