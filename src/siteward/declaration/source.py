"""One file as data: plain tables and lists, with the place of every key and value.

The places of a file stand in one array of integers, line and column in one number, counted from 0. A table or list
holds the index (`base`) at which its own place stands; those of its keys and values follow. A `Span` is made only
when it is asked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, cast

from siteward.access.diagnostic import Span

if TYPE_CHECKING:
    from array import array

Path: TypeAlias = tuple[str | int, ...]

COLUMN_BITS = 25
"""The number of bits of a place that hold the column; enough for a line as long as the largest file."""

_COLUMN = (1 << COLUMN_BITS) - 1

# Patterns that few files need stay texts: `re` compiles them at their first use.
PLAIN_PAIR = r"([\w.@-]+): (\"[^\"]*\"|'[^']*'|\[[^\]]*\]|[^,}\n]+)"
"""A key and its value in what is known to be a plain row (see `plain_rows`)."""
_PLAIN_ITEM = r"\"[^\"]*\"|'[^']*'|[^\s,\]][^,\]]*"


class Table(dict[str, "Value"]):
    """A mapping of the file; after its own place, at `base`, come those of each key and its value.

    Below 0, `base` is the complement of where the text of a plain row begins, in which they are found when asked for.
    """

    __slots__ = ("base",)
    base: int


class Items(list["Value"]):
    """A list of the file; after its own place, at `base`, come those of its items. Below 0, `base` is as in `Table`."""

    __slots__ = ("base",)
    base: int


Value: TypeAlias = str | int | bool | Table | Items


class Source:
    """One file: its data, its text, and the places in the text by path in the data.

    `holes` are the paths of values that were refused (null, a tag), so that they are not reported as missing too.
    """

    __slots__ = ("_begins", "_index", "_places", "_unified", "data", "file", "holes", "text")

    def __init__(self, file: str, text: str, data: Table, places: array[int], holes: frozenset[Path]) -> None:
        self.file = file
        self.text = text
        self.data = data
        self.holes = holes
        self._places = places
        self._unified = unify_breaks(text)
        self._begins = [0]  # where each line begins, as far as one was asked for
        self._index: dict[int, dict[str, int]] = {}  # by identity: an alias may be renamed in one place alone

    def at(self, path: Path) -> Span:
        """Return the place of the value at `path`, or of the nearest thing around it that is there."""
        return self._span(*self._find(path, key=False))

    def key_at(self, path: Path) -> Span:
        """Return the place of the key (or list item) at the end of `path`, or of the nearest thing around it."""
        return self._span(*self._find(path, key=True))

    def pair_at(self, path: Path) -> Span:
        """Return the place of the key at the end of `path` with its value, over all the lines of that."""
        key, (place, value) = self.key_at(path), self._find(path, key=False)
        end = self._span(place, value)
        more = value.count("\n") if isinstance(value, str) else 0
        return Span(self.file, key.line, key.column, end.end_line + more, end.end_column)

    def mark(self, container: Table | Items, number: int) -> Span:
        """Return the place, without an end, of a container's key or item by its number; far cheaper than `key_at`."""
        place = self._place(container, number, key=True)
        return Span(self.file, (place >> COLUMN_BITS) + 1, (place & _COLUMN) + 1)

    def has(self, path: Path) -> bool:
        """Return whether there is a value at `path`, or one that was refused."""
        node: Value = self.data
        for step in path:
            if self._number_of(node, step) is None:
                return path in self.holes
            node = node[step]  # type: ignore[index]
        return True

    def renamed(self, names: Mapping[Path, str]) -> Source:
        """Return the file with some keys renamed in its data; text and places stay as they are.

        `names` are the new names by path. The caller sees to it that no new name is a key of its table already.
        """
        around = {path[:depth] for path in names for depth in range(len(path))}
        holes = frozenset(
            tuple(names.get(hole[: depth + 1], step) for depth, step in enumerate(hole)) for hole in self.holes
        )
        data = cast("Table", _rename_keys(self.data, names, around, ()))
        return Source(self.file, self.text, data, self._places, holes)

    def _find(self, path: Path, *, key: bool) -> tuple[int, Value | None]:
        """Return the place of the nearest thing on `path`, and the value that stands there (for a key, its text)."""
        node: Value = self.data
        place = self._places[self.data.base]
        for depth, step in enumerate(path, start=1):
            number = self._number_of(node, step)
            if number is None:
                break
            if isinstance(node, Table):
                wants_key = key and depth == len(path)
                place = self._place(node, number, key=wants_key)
                if wants_key:
                    return place, str(step)
                node = node[str(step)]
            elif isinstance(node, Items):
                place = self._place(node, number, key=False)
                node = node[number]
        return place, node

    def _place(self, container: Table | Items, number: int, *, key: bool) -> int:
        """Return the place of a container's value, or of the `key` of it, by its number."""
        base = container.base
        if base >= 0:
            return self._places[base + 1 + (2 * number + (not key) if isinstance(container, Table) else number)]
        offset = _find_plain(self.text, container, number, key=key)
        line = self._line_at(offset)
        return line << COLUMN_BITS | offset - self._begins[line]

    def _number_of(self, node: Value, step: str | int) -> int | None:
        """Return the number of a key or item in a container; `None` where there is no such one."""
        if isinstance(node, Table):
            index = self._index.get(id(node))
            if index is None:
                index = self._index[id(node)] = {key: number for number, key in enumerate(node)}
            return index.get(str(step))
        if isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node):
            return step
        return None

    def _span(self, place: int, value: Value | None) -> Span:
        line, column = place >> COLUMN_BITS, place & _COLUMN
        text = self._line(line)
        return Span(self.file, line + 1, column + 1, line + 1, _find_end(text, column, value) + 1)

    def _find_next_line(self) -> bool:
        """Note where the line after the last known one begins; return whether there is one."""
        end = self._unified.find("\n", self._begins[-1])
        if end >= 0:
            self._begins.append(end + 1)
        return end >= 0

    def _line_at(self, offset: int) -> int:
        """Return the number of the line, from 0, that holds a character of the text."""
        while self._begins[-1] <= offset and self._find_next_line():
            pass
        return bisect_right(self._begins, offset) - 1

    def _line(self, number: int) -> str:
        """Return a line without its end, by its number from 0; empty beyond the last. A large file is not split for a few."""
        text, begins = self._unified, self._begins
        while len(begins) <= number + 1 and self._find_next_line():
            pass
        if number >= len(begins):
            return ""
        return text[begins[number] : begins[number + 1] - 1 if number + 1 < len(begins) else len(text)]


class Texts(Mapping[str, tuple[str, ...]]):
    """The lines of each file by its name; a text is split only when its lines are asked for."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lines: dict[str, tuple[str, ...]] = {}

    def add(self, file: str, text: str) -> None:
        """Remember a file's text."""
        self._texts[file] = text

    def whole(self, file: str) -> str:
        """Return a file's text as it was read, line breaks included."""
        return self._texts[file]

    def __getitem__(self, file: str) -> tuple[str, ...]:
        if file not in self._lines:
            self._lines[file] = split_lines(self._texts[file])
        return self._lines[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _rename_keys(value: Value, names: Mapping[Path, str], around: set[Path], at: Path) -> Value:
    """Return the value at a path with its keys renamed; only containers on the way to a name (`around`) are copied."""
    if at not in around:
        return value
    if isinstance(value, Table):
        table = Table(
            (names.get((*at, key), key), _rename_keys(inner, names, around, (*at, key))) for key, inner in value.items()
        )
        table.base = value.base
        return table
    if isinstance(value, Items):
        items = Items(_rename_keys(item, names, around, (*at, number)) for number, item in enumerate(value))
        items.base = value.base
        return items
    return value


def _find_plain(text: str, container: Table | Items, number: int, *, key: bool) -> int:
    """Return where in the text the value with this number is in a plain row, or in a list there; or the `key` of it."""
    row = isinstance(container, Table)
    parts = re.compile(PLAIN_PAIR if row else _PLAIN_ITEM).finditer(text, ~container.base)
    return next(islice(parts, number, None)).start(2 if row and not key else 0)


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text as YAML 1.2 counts them: they end at CR LF, LF or CR, and nowhere else."""
    return tuple(unify_breaks(text).split("\n"))


def unify_breaks(text: str) -> str:
    """Return a text in which every line ends in LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _find_end(line: str, column: int, value: Value | None) -> int:
    """Return the column after the value that begins at `column`.

    A scalar ends where it does; a bracket at its partner, or at the end of the line; columns count from 0.
    """
    rest = line[column:]
    if isinstance(value, str) and value and rest[0] not in "\"'" and rest.startswith(value):
        return column + len(value)
    match = re.match(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,\]}]+""", rest)
    if not isinstance(value, Table | Items):
        return column + (match.end() if match else 0)
    if not rest.startswith(("[", "{")):
        return column + len(rest.split(" #", 1)[0].rstrip())
    depth = 0
    for token in re.finditer(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[\[\]{}]""", rest):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            return column + token.end()
    return len(line.rstrip())
