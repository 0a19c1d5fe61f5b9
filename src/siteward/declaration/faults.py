"""Rows in error: which rows of the files the errors stand in, and what can still be told of them.

An error in one row keeps nobody else's lines from being carried out. A row in error counts as declared; it gives
nothing and takes nothing (see `siteward.declaration.held`). Everything outside rows is fatal: a file that is no YAML,
a wrong version, a broken include, `instances`, `policy`, and keys that are unknown or given twice outside rows.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.window import ALWAYS
from siteward.declaration.build import Builder
from siteward.declaration.declared import Faults, LostLine
from siteward.declaration.document import GroupRow, Members, UserRow
from siteward.declaration.grammar import fitted
from siteward.declaration.groups import cycle
from siteward.declaration.references import canonical
from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.declared import Declaration, Group, Location, User
    from siteward.declaration.source import Path, Source, Value

_NO_ROW = -1
"""The number of a line of `grants` of which nothing is left."""

ROWS = ("users", "groups", "sites", "roles", "grants")
"""The sections whose rows stand for themselves."""

Row: TypeAlias = tuple[str, str | int]
"""A section, and the handle or number of a row in it."""

_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[A-Za-z0-9_]", re.MULTILINE)


class _Index:
    """The places of the rows of one file, in their order."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._places: list[tuple[int, int]] = []
        self._rows: list[Row | None] = []
        for number, section in enumerate(source.data):
            self._add(source.mark(source.data, number), None)
            rows = source.data[section]
            if section in ROWS and isinstance(rows, Table | Items):
                names: Iterable[str | int] = rows if isinstance(rows, Table) else range(len(rows))
                for position, name in enumerate(names):
                    self._add(source.mark(rows, position), (section, name))

    def _add(self, at: Span, row: Row | None) -> None:
        self._places.append((at.line, at.column))
        self._rows.append(row)

    @cached_property
    def reliable(self) -> bool:
        """True if each place belongs to one row: no row stands where another row's content is repeated (an alias)."""
        return self._places == sorted(self._places) and _ALIAS.search(self.source.text) is None

    def row_at(self, at: Span) -> Row | None:
        """Return the row that a place is in; `None` for a place outside rows."""
        number = bisect_right(self._places, (at.line, at.column)) - 1
        return self._rows[number] if number >= 0 else None

    def begins_at(self, at: Span) -> bool:
        """Return whether a key of the file or of a section begins at a place."""
        return (at.line, at.column) in self._places


def with_faults(
    declaration: Declaration,
    errors: Sequence[Diagnostic],
    sources: Sequence[Source],
    guessed: Collection[tuple[str, Path]],
) -> Declaration | None:
    """Return a declaration with its rows in error; `None` where an error is about more than rows.

    What was only `guessed` of them, from a misspelt key, is not taken for said: no end follows from it.
    """
    declaration = _without_guesses(declaration, guessed)
    found = _find_faults(errors, sources, declaration)
    if found is None:
        return None
    faults, users, groups = found
    every, cut = _without_cycles({**declaration.groups, **groups})
    doubtful = {**dict.fromkeys(cut, declaration.root), **faults.groups}
    wrong = replace(
        declaration, faults=replace(faults, groups=doubtful), users={**declaration.users, **users}, groups=every
    )
    return canonical(wrong)


def rows_in_error(errors: Iterable[Diagnostic], sources: Sequence[Source]) -> Mapping[tuple[str, Row], Span] | None:
    """Return the rows that errors stand in, by file, each with the place of its first error.

    `None` if an error is about more than rows, so that nothing of the files may be carried out.
    """
    errors = tuple(errors)
    found = _rows_with_holes(errors, sources)
    if found is None:
        return None
    indexes = {source.file: _Index(source) for source in sources}
    for error in errors:
        if error.code in _REFUSED_VALUES:
            continue
        index = indexes.get(error.at.file) if error.at is not None else None
        if index is None or not index.reliable or _is_between_rows(error, index):
            return None
        rows = {(at.file, row): at for at in _places_of(error) if (row := _row_at(at, indexes)) is not None}
        if error.at is None or _row_at(error.at, indexes) is None:
            return None
        found = {**rows, **found}
    return found


_REFUSED_VALUES = frozenset({"null", "unquoted", "tag", "key-not-text"})
"""What the YAML reader says of a value that it leaves out, or of a key whose value it leaves out."""


def _rows_with_holes(errors: Sequence[Diagnostic], sources: Sequence[Source]) -> dict[tuple[str, Row], Span] | None:
    """Return the rows in which the YAML reader refused a value; `None` if it refused more, such as a key."""
    found: dict[tuple[str, Row], Span] = {}
    for source in sources:
        told = [
            error for error in errors if error.code in _REFUSED_VALUES and error.at and error.at.file == source.file
        ]
        if len(told) != len(source.holes):
            return None
        for hole in source.holes:
            if len(hole) < 2 or hole[0] not in ROWS:
                return None
            name = _NO_ROW if hole[0] == "grants" and len(hole) == 2 else hole[1]
            found.setdefault((source.file, (str(hole[0]), name)), source.key_at(hole))
    return found


def _places_of(error: Diagnostic) -> Iterator[Span]:
    """Yield the places whose rows an error is about: two rows that contradict each other are both in error."""
    if error.at is not None:
        yield error.at
    if error.code not in _ELSEWHERE:
        yield from error.related


_ELSEWHERE = frozenset({"beyond-include", "duplicate-key"})
"""Errors whose related places are no rows in error: the bounds of an include, the first of two equal keys."""


def _row_at(at: Span, indexes: Mapping[str, _Index]) -> Row | None:
    index = indexes.get(at.file)
    return index.row_at(at) if index is not None else None


def _is_between_rows(error: Diagnostic, index: _Index) -> bool:
    """Return whether an error is about the keys of a section: one given twice, be it in two files."""
    twice = error.code == "duplicate-key" and any(map(index.begins_at, error.related))
    return twice or error.code == "declared-twice"


def _find_faults(
    errors: Iterable[Diagnostic], sources: Sequence[Source], declaration: Declaration
) -> tuple[Faults, Mapping[str, User], Mapping[str, Group]] | None:
    """Return the rows in error, with the users and groups among them as far as they can be read; `None` if fatal.

    `declaration` is what could be read of the files without the rows that do not fit the grammar.
    """
    rows = rows_in_error(errors, sources)
    if rows is None:
        return None
    recovered = _Recovery(declaration)
    by_name: dict[str, dict[str, Span]] = {section: {} for section in ROWS}
    lines: dict[Span, Span] = {}
    lost: list[LostLine] = []
    known = {line.at for line in declaration.grants or ()}
    by_file = {source.file: source for source in sources}
    for (file, (section, name)), at in rows.items():
        source = by_file[file]
        if isinstance(name, str):
            by_name[section][name] = at
            recovered.take(source, section, name)
            continue
        items = source.data["grants"]
        if not isinstance(items, Items) or not 0 <= name < len(items):
            lost.append(_lost_line("", at))
        elif (mark := source.mark(items, name)) in known:
            lines[mark] = at
        else:
            lost.append(_lost_line(items[name], at))
    faults = Faults(
        users=by_name["users"], groups=by_name["groups"], sites=by_name["sites"], roles=by_name["roles"],
        lines=lines, lost=tuple(lost),
    )  # fmt: skip
    return faults, recovered.users, recovered.groups


class _Recovery(Struct):
    """The users and groups that do not fit the grammar, as far as they can be read."""

    declaration: Declaration
    users: dict[str, User] = {}
    groups: dict[str, Group] = {}

    def take(self, source: Source, section: str, name: str) -> None:
        """Read what is legible of a row, unless the declaration has it."""
        builder = Builder(source, self.declaration.timezone)
        rows = source.data[section]
        written = rows.get(name, "") if isinstance(rows, Table) else ""
        if section == "users" and name not in self.declaration.users:
            self.users.update({user.handle: user for user in builder.users({name: _user_row(source, name, written)})})
        if section == "groups" and name not in self.declaration.groups:
            members: dict[str, Members | GroupRow] = {name: [*_members(written)]}
            self.groups.update({group.handle: group for group in builder.groups(members)})


def _user_row(source: Source, name: str, written: Value) -> UserRow:
    """Return what fits the grammar in a user's row, key by key."""
    kept: dict[str, Value] = {}
    for key, value in written.items() if isinstance(written, Table) else ():
        alone = fitted({key: value}, UserRow, source, ("users", name))
        if not isinstance(alone, tuple):
            kept[key] = value
    row = fitted(kept, UserRow, source, ("users", name))
    return UserRow() if isinstance(row, tuple) else row


def _members(written: Value) -> list[str]:
    """Return the names of members that can be read in a group's row."""
    members = written.get("members", "") if isinstance(written, Table) else written
    return [name for name in _names(members) if name != "external"]


def _names(value: Value) -> list[str]:
    """Return the names in a list, or the one that stands alone."""
    names: list[str] = []
    for name in value if isinstance(value, Items) else [value]:
        user = name.get("user") if isinstance(name, Table) else name
        if isinstance(user, str) and user:
            names.append(user)
    return names


def _lost_line(written: Value, at: Span) -> LostLine:
    """Return what can be told of a line of `grants` that does not fit the grammar."""
    row = written if isinstance(written, Table) else Table()
    to = row.get("to", "")
    whole = bool(to) and len(_names(to)) == len(to if isinstance(to, Items) else [to])
    on = _names(row["on"]) if "on" in row else []
    sites = tuple(_names(row.get("sites", ""))) or None
    return LostLine(
        to=tuple(_names(to)),
        whole=whole,
        sites=sites if "metasites" not in row else None,
        on=tuple(on) or None,
        at=at,
    )


def _without_cycles(groups: Mapping[str, Group]) -> tuple[dict[str, Group], tuple[str, ...]]:
    """Return the groups without memberships that lead in a circle or too deep, and the groups that lost one."""
    left, cut = dict(groups), dict[str, None]()
    while (names := cycle(left)) is not None:
        for name in set(names):
            members = tuple(member for member in left[name].members if member.name not in names)
            if members != left[name].members:
                left[name] = replace(left[name], members=members)
                cut[name] = None
    return left, tuple(cut)


def _without_guesses(declaration: Declaration, guessed: Collection[tuple[str, Path]]) -> Declaration:
    """Return a declaration in which rows with a misspelt key have no ends, dates or states, and groups no dates.

    `guessed` are the files and paths of such rows.
    """
    if not guessed:
        return declaration

    def is_guessed(location: Location) -> bool:
        return (location.source.file, location.path) in guessed

    users = {
        handle: replace(user, window=ALWAYS, states={}) if is_guessed(user.location) else user
        for handle, user in declaration.users.items()
    }
    grants = declaration.grants
    lines = (
        None
        if grants is None
        else tuple(replace(line, window=ALWAYS) if is_guessed(line.location) else line for line in grants)
    )
    groups = {
        handle: replace(group, members=tuple(replace(member, window=ALWAYS) for member in group.members))
        if is_guessed(group.location)
        else group
        for handle, group in declaration.groups.items()
    }
    return replace(declaration, users=users, grants=lines, groups=groups)
