"""One file as data: plain tables and lists that know the place of every key and value.

Places are kept in one array of integers and become a `Span` only when somebody asks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias, cast

from siteward.access.diagnostic import Span

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping, Sequence

Path: TypeAlias = tuple[str | int, ...]

COLUMN_BITS = 25
"""How many bits of a place hold the column: no line is longer than the largest file."""

_COLUMN = (1 << COLUMN_BITS) - 1


class Table(dict[str, "Value"]):
    """A mapping of the file; `base` is where its places begin."""

    __slots__ = ("base",)
    base: int


class Items(list["Value"]):
    """A list of the file; `base` is where its places begin."""

    __slots__ = ("base",)
    base: int


Value: TypeAlias = str | int | bool | Table | Items


class Source:
    """One file: its data, its text, and the way from a path in the data to a place in the text.

    `holes` are paths whose value was refused (null, a tag), so that nobody complains that they are missing.
    """

    __slots__ = ("_index", "_lines", "_places", "data", "file", "holes", "text")

    def __init__(self, file: str, text: str, data: Table, places: array[int], holes: frozenset[Path]) -> None:
        self.file = file
        self.text = text
        self.data = data
        self.holes = holes
        self._places = places
        self._lines: Sequence[str] | None = None
        self._index: dict[int, dict[str, int]] = {}  # by identity: an alias may be renamed in one place alone

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the text, without their ends."""
        if self._lines is None:
            self._lines = split_lines(self.text)
        return self._lines

    def at(self, path: Path) -> Span:
        """Return the place of the value at `path`, or of the nearest thing around it that is there."""
        return self._span(*self._find(path, key=False))

    def key_at(self, path: Path) -> Span:
        """Return the place of the key (or list item) at the end of `path`, or of the nearest thing around it."""
        return self._span(*self._find(path, key=True))

    def mark(self, declared_user: Table | Items, at: int) -> Span:
        """Return where the key (or item) number `at` of `holder` begins, without its end; costs next to nothing."""
        step = 1 + (2 * at if isinstance(declared_user, Table) else at)
        place = self._places[declared_user.base + step]
        return Span(self.file, (place >> COLUMN_BITS) + 1, (place & _COLUMN) + 1)

    def has(self, path: Path) -> bool:
        """Tell whether something stands at `path`, be it a value that was refused."""
        node: Value = self.data
        for step in path:
            if self._number(node, step) is None:
                return path in self.holes
            node = node[step]  # type: ignore[index]
        return True

    def renamed(self, names: Mapping[Path, str]) -> Source:
        """Return the file with some keys called otherwise, each at the place where it stands.

        `names` are the new names by path; none of them is taken in its table.
        """
        around = {path[:depth] for path in names for depth in range(len(path))}
        holes = frozenset(
            tuple(names.get(hole[: depth + 1], step) for depth, step in enumerate(hole)) for hole in self.holes
        )
        data = cast("Table", _renamed(self.data, names, around, ()))
        return Source(self.file, self.text, data, self._places, holes)

    def _find(self, path: Path, *, key: bool) -> tuple[int, Value | None]:
        node: Value = self.data
        place = self._places[self.data.base]
        for depth, step in enumerate(path, start=1):
            at = self._number(node, step)
            if at is None:
                break
            if isinstance(node, Table):
                wants_key = key and depth == len(path)
                place = self._places[node.base + 1 + 2 * at + (not wants_key)]
                if wants_key:
                    return place, str(step)
                node = node[str(step)]
            elif isinstance(node, Items):
                place = self._places[node.base + 1 + at]
                node = node[at]
        return place, node

    def _number(self, node: Value, step: str | int) -> int | None:
        if isinstance(node, Table):
            index = self._index.get(id(node))
            if index is None:
                index = self._index[id(node)] = {key: at for at, key in enumerate(node)}
            return index.get(str(step))
        if isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node):
            return step
        return None

    def _span(self, place: int, value: Value | None) -> Span:
        line, column = place >> COLUMN_BITS, place & _COLUMN
        text = self.lines[line] if line < len(self.lines) else ""
        return Span(self.file, line + 1, column + 1, line + 1, _end(text, column, value) + 1)


def _renamed(value: Value, names: Mapping[Path, str], around: set[Path], at: Path) -> Value:
    if at not in around:
        return value
    if isinstance(value, Table):
        table = Table(
            (names.get((*at, key), key), _renamed(inner, names, around, (*at, key))) for key, inner in value.items()
        )
        table.base = value.base
        return table
    if isinstance(value, Items):
        items = Items(_renamed(item, names, around, (*at, number)) for number, item in enumerate(value))
        items.base = value.base
        return items
    return value


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text as YAML counts them."""
    return tuple(re.split(r"\r\n|\n|\r", text))


def _end(line: str, column: int, value: Value | None) -> int:
    """Return the column after what begins at `column`: a scalar whole, a bracket to its partner or the line's end."""
    rest = line[column:]
    if isinstance(value, str) and value and rest[0] not in "\"'" and rest.startswith(value):
        return column + len(value)
    match = re.match(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,\]}]+""", rest)
    if not isinstance(value, Table | Items):
        return column + (match.end() if match else 0)
    if not rest.startswith(("[", "{")):
        return column + len(rest.split(" #", 1)[0].rstrip())
    depth = 0
    for found_match in re.finditer(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[\[\]{}]""", rest):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found_match.group(), 0)
        if depth == 0:
            return column + found_match.end()
    return len(line.rstrip())
