"""The extents of all that stands in a YAML text: where each key, value and row begins and ends, anchors included.

The nodes come from the events of the parser that the loader uses, so that an edit sees what was loaded. A collection in
lines (no brackets) ends where its last value does: comments and blank lines behind it are nobody's.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Literal

from siteward.declaration.yaml_reader import kind_of, open_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.declaration.yaml_reader import Event, Position

Kind = Literal["map", "list", "scalar", "alias"]

_BREAK = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*")


class Node:
    """A value or key of the text, from `start` up to `end`; `start` is before its anchor.

    `entries` are what a map or list holds. `bracketed` is true for a map or list in brackets; `style` is a scalar's
    quote or block sign. An alias has the `target` that it repeats, and that one the aliases in its `uses`.
    """

    __slots__ = ("bracketed", "end", "entries", "kind", "parent", "start", "style", "target", "uses", "value")

    def __init__(self, kind: Kind, start: int, end: int, *, value: str = "", style: str = "") -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.value = value
        self.style = style
        self.bracketed = False
        self.entries: list[Entry] = []
        self.parent: Node | None = None
        self.target: Node | None = None
        self.uses: list[Node] = []

    def around(self) -> Iterator[Node]:
        """Yield the node and all that it stands in, from the inside."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def inside(self) -> Iterator[Node]:
        """Yield the node and all that stands in it."""
        yield self
        for entry in self.entries:
            if entry.key is not None:
                yield entry.key
            yield from entry.value.inside()


class Entry:
    """What a map or list holds: a key with its value, or a value alone."""

    __slots__ = ("key", "value")

    def __init__(self, key: Node | None, value: Node) -> None:
        self.key = key
        self.value = value

    @property
    def start(self) -> int:
        """Where the key, or a value alone, begins."""
        return self.value.start if self.key is None else self.key.start

    @property
    def end(self) -> int:
        """Where the value ends."""
        return self.value.end if self.key is None else max(self.key.end, self.value.end)


class Layout:
    """A text with its lines, and what stands between its values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place whose line and column count from 0."""
        return self._starts[line] + column if line < len(self._starts) else len(self.text)

    def line_start(self, at: int) -> int:
        """Return where the line of an offset begins."""
        return self._starts[bisect_right(self._starts, at) - 1]

    def line_end(self, at: int) -> int:
        """Return where the line of an offset ends, after its line break if it has one."""
        match = _LINE.match(self.text, at)
        return match.end() if match else at

    def breaks(self, end: int) -> str:
        """Return the line break before an offset; empty where there is none."""
        before = self.text[max(end - 2, 0) : end]
        return before if before == "\r\n" else before[-1:] if before[-1:] in {"\r", "\n"} else ""

    def line_break(self, at: int) -> str:
        """Return the line break that a new line at an offset is to have: that of the line before, or of the file."""
        found = self.breaks(at)
        if not found:
            first = self.line_end(0)
            found = self.breaks(first) or "\n"
        return found

    def column(self, at: int) -> int:
        """Return the column of an offset, from 0."""
        return at - self.line_start(at)

    def begins_line(self, at: int) -> bool:
        """Return whether nothing but blanks stands before an offset in its line."""
        return not self.text[self.line_start(at) : at].strip(" \t")

    def ends_line(self, at: int) -> bool:
        """Return whether nothing but blanks and a comment stand after an offset in its line."""
        rest = self.text[at : self.line_end(at)].strip(" \t\r\n")
        return not rest or rest.startswith("#")

    def skip(self, at: int) -> int:
        """Return the offset of the next thing that is no blank, line break or comment."""
        match = _BETWEEN.match(self.text, at)
        return match.end() if match else at

    def skip_properties(self, at: int) -> int:
        """Return where the anchor at an offset ends; the offset itself where there is none."""
        match = _PROPERTY.match(self.text, at)
        return match.end() if match else at

    def place(self, at: int) -> tuple[int, int]:
        """Return line and column of an offset, counted from 1."""
        return bisect_right(self._starts, at), self.column(at) + 1


def compose(layout: Layout) -> Node:
    """Return the root of a text's only document, which was read without a fault of syntax before."""
    return _Composer(layout).document()


class _Composer:
    """The builder of nodes from events."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._next: Callable[[], Event] = open_events(layout.text)
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        event = self._next()
        while kind_of(event) is None:
            event = self._next()
        return self._compose(event, None)

    def _compose(self, event: Event, parent: Node | None) -> Node:
        kind = kind_of(event) or "scalar"
        node = Node(kind, self._offset(event.start_mark), self._offset(event.end_mark))
        node.parent = parent
        if kind == "alias":
            node.target = self._anchors.get(event.anchor or "")
            if node.target is not None:
                node.target.uses.append(node)
            return node
        if kind == "scalar":
            node.value, node.style = event.value, event.style or ""
            if node.style in {"|", ">"}:
                node.end = self._end_of_block(node)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if kind in {"map", "list"}:
            self._fill(node)
        return node

    def _fill(self, node: Node) -> None:
        while True:
            event = self._next()
            if kind_of(event) is None:
                break
            first = self._compose(event, node)
            entry = Entry(first, self._compose(self._next(), node)) if node.kind == "map" else Entry(None, first)
            node.entries.append(entry)
        begins = self.layout.skip(self.layout.skip_properties(node.start))
        node.bracketed = self.layout.text[begins : begins + 1] in {"[", "{"} and self._closes(node, event)
        if node.bracketed:
            node.end = self._offset(event.end_mark)
        elif node.entries:
            node.end = node.entries[-1].end

    def _closes(self, node: Node, end: Event) -> bool:
        """Return whether an event is the closing bracket of the node."""
        sign = "}" if node.kind == "map" else "]"
        at = self._offset(end.end_mark)
        return self._offset(end.start_mark) < at and self.layout.text[at - 1 : at] == sign

    def _end_of_block(self, node: Node) -> int:
        """Return where a scalar after `|` or `>` ends: at its last line's end, without blank lines that do not count."""
        text, end = self.layout.text, node.end
        header = text[node.start : self.layout.line_end(node.start)]
        if "+" in header.split("#", 1)[0]:
            return end - len(self.layout.breaks(end))
        return node.start + len(text[node.start : end].rstrip(" \t\r\n"))

    def _offset(self, mark: Position) -> int:
        return self.layout.offset(mark.line, mark.column)
