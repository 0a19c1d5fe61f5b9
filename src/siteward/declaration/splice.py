"""The edit of a YAML text by splices: what is meant to change is changed, and every other byte stays.

`Editable` gives the data of a file as tables and lists that may be edited in place or given other values. Its `text`
compares them with what was read, and writes the difference alone: a row that goes takes its own lines with it, a row
that comes stands below the one it follows, a value is replaced where it stands. Comments on lines of their own, line
ends, anchors, document markers and layout are never touched. Before the text is handed out, it is read again, and has
to be just what is meant.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from siteward.access.diagnostic import Span
from siteward.declaration.nodes import Entry, Layout, Node, compose
from siteward.declaration.row_text import UnprintableError, plain, same, with_quotes
from siteward.declaration.source import Items, Table
from siteward.declaration.splices import Splices
from siteward.declaration.yaml_reader import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.declaration.source import Source, Value


class CannotEditError(ValueError):
    """An edit that would change more than is meant, or that cannot be proven; the message names the places."""


class Keys(dict[str, Any]):
    """A table of the file; `read` has what stood there, by key."""

    __slots__ = ("node", "read")
    node: Node
    read: dict[str, tuple[Any, Entry]]

    def put_after(self, before: str, key: str, value: Any) -> None:
        """Add a key right after another, or at the end where that one is not there."""
        later = list(self)[list(self).index(before) + 1 :] if before in self else []
        self[key] = value
        for name in later:
            self[name] = self.pop(name)


class Rows(list[Any]):
    """A list of the file; `read` has what stood there, in order."""

    __slots__ = ("node", "read")
    node: Node
    read: list[tuple[Any, Entry]]


def directory_of(source: Source) -> str | None:
    """Return the directory whose people a file holds, which no edit of ours may touch; `None` for any other file."""
    directory = source.data.get("directory")
    return directory if isinstance(directory, str) else None


def refuse_directory(file: str, text: str) -> None:
    """Raise `CannotEditError` for a file with the people of a directory, by its text before an edit."""
    source, _ = read(file, text)
    directory = directory_of(source) if source is not None else None
    if directory is not None:
        raise CannotEditError(
            f"{file} is written by `siteward people refresh {directory}` alone: change it in the directory"
        )


class Editable:
    """A file that is edited: `data` may be changed in place, `text` returns the file that means it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.before = source.text
        self.layout = Layout(source.text)
        self.root = compose(self.layout)
        self._known: dict[int, Any] = {}
        self._at: dict[int, Entry] = {}
        self.data: Keys = self._pair(source.data, self.root)

    def text(self) -> str:
        """Return the text that means what `data` is now.

        Raises `CannotEditError` where other places would change too, or where the new text is not read as is meant.
        """
        splices = Splices(self.layout, self.root)
        try:
            self._compare_table(splices, self.data, self.data)
            for node in splices.touched:
                self._refuse_shared(node)
            for node in splices.gone:
                self._refuse_used(node)
            texts = splices.apply()
        except UnprintableError as problem:
            raise CannotEditError(str(problem)) from problem
        proven = next(filter(self._is_meant, texts), None)
        if proven is None:
            raise CannotEditError(f"{self.source.file} cannot be edited surely: edit it by hand")
        return proven

    # -- what was read

    def _pair(self, value: Value, node: Node) -> Any:
        """Return a value of the file with its node: the same object wherever an alias repeats it."""
        node = node.target or node
        known = self._known.get(id(node))
        if known is not None:
            return known
        if isinstance(value, Table):
            keys = self._known[id(node)] = Keys()
            keys.node, keys.read = node, {}
            for entry, (name, inner) in zip(self._entries(value, node), value.items(), strict=True):
                paired = self._pair(inner, entry.value)
                keys.read[name] = (paired, entry)
                dict.__setitem__(keys, name, paired)
            return keys
        if isinstance(value, Items):
            rows = self._known[id(node)] = Rows()
            rows.node = node
            rows.read = [
                (self._pair(inner, entry.value), entry)
                for entry, inner in zip(self._entries(value, node), value, strict=True)
            ]
            rows.extend(inner for inner, _ in rows.read)
            return rows
        return with_quotes(value, node.style) if isinstance(value, str) else value

    def _entries(self, container: Table | Items, node: Node) -> Iterator[Entry]:
        """Yield the entries of a node that were read: refused ones are not among the values."""
        by_place = {entry.start: entry for entry in node.entries}
        for number in range(len(container)):
            mark = self.source.mark(container, number)
            yield by_place[self.layout.offset(mark.line - 1, mark.column - 1)]

    # -- what differs

    def _compare(self, splices: Splices, entry: Entry, parent: Node, was: Any, now: Any) -> None:
        """Find what differs between a value that was read and the one that is meant."""
        if not isinstance(now, Keys | Rows) and not isinstance(was, Keys | Rows):
            if not same(plain(was), plain(now)):
                splices.replace(entry, parent, now)
            return
        if same(_as_read(was), plain(now)):
            return
        shared = entry.value.kind == "alias" and now is not was
        if isinstance(was, Keys) and isinstance(now, dict) and not shared:
            self._compare_table(splices, was, now)
        elif isinstance(was, Rows) and isinstance(now, list) and not shared:
            self._compare_list(splices, was, now)
        else:
            splices.replace(entry, parent, now)

    def _compare_table(self, splices: Splices, was: Keys, now: dict[str, Any]) -> None:
        node, gone = was.node, [name for name in was.read if name not in now]
        written = {entry.key.value: entry for entry in node.entries if entry.key is not None}
        added: list[tuple[Entry | None, str, Any]] = []
        before: Entry | None = None
        for name, value in now.items():
            if name in was.read:
                inner, before = was.read[name]
                self._compare(splices, before, node, inner, value)
            elif name in written:  # it stands there without a value, or with one that was refused
                splices.replace(written[name], node, value)
            else:
                last = before if before is not None or not node.entries else node.entries[-1]
                added.append((last, name, value))
        if gone or added:
            splices.edit(node, [was.read[name][1] for name in gone], added, plain(now))

    def _compare_list(self, splices: Splices, was: Rows, now: list[Any]) -> None:
        node, rows = was.node, was.read
        gone: list[Entry] = []
        added: list[tuple[Entry | None, str | None, Any]] = []
        for tag, begin, end, first, last in _match(was, now):
            if tag == "equal":
                for (inner, entry), value in zip(rows[begin:end], now[first:last], strict=True):
                    self._compare(splices, entry, node, inner, value)
                continue
            if end - begin == last - first and not _rows_among(now[first:last]):
                for (_, entry), value in zip(rows[begin:end], now[first:last], strict=True):
                    splices.replace(entry, node, value)
                continue
            gone += [entry for _, entry in rows[begin:end]]
            after = rows[end - 1][1] if end else None
            added += [(after, None, value) for value in now[first:last]]
        if gone or added:
            splices.edit(node, gone, added, plain(now))

    # -- what must not happen

    def _refuse_shared(self, node: Node) -> None:
        """Raise `CannotEditError` where what is edited is repeated elsewhere by an alias."""
        for around in node.around():
            if around.uses:
                self._refuse(around, around.uses)

    def _refuse_used(self, node: Node) -> None:
        """Raise `CannotEditError` where what goes has an anchor that is used by what stays."""
        for inner in node.inside():
            left = [use for use in inner.uses if not node.start <= use.start < node.end]
            if left:
                self._refuse(inner, left)

    def _refuse(self, node: Node, uses: Iterable[Node]) -> None:
        anchor = self.before[node.start : self.layout.skip_properties(node.start)]
        places = ", ".join(str(self._span(use)) for use in uses)
        raise CannotEditError(
            f"`{anchor}` at {self._span(node)} is repeated at {places}, which would change too: write both out by hand"
        )

    def _span(self, node: Node) -> Span:
        return Span(self.source.file, *self.layout.place(node.start))

    def _is_meant(self, after: str) -> bool:
        """Return whether a text is read as what is meant, with no fault that was not there."""
        _, faults_before = read(self.source.file, self.before)
        source, faults = read(self.source.file, after)
        return (
            source is not None
            and len(faults) <= len(faults_before)
            and same(plain(source.data), _as_written(self.data))
        )


def _as_read(value: Any) -> Any:
    """Return a value of the file as it was read, whatever has become of it."""
    if isinstance(value, Keys):
        return {name: _as_read(inner) for name, (inner, _) in value.read.items()}
    return [_as_read(inner) for inner, _ in value.read] if isinstance(value, Rows) else plain(value)


def _as_written(value: Any) -> Any:
    """Return a value as it is now, with each key as the file writes it: a misspelt one may have been corrected."""
    if isinstance(value, dict):
        written = (
            {name: entry.key.value for name, (_, entry) in value.read.items() if entry.key}
            if isinstance(value, Keys)
            else {}
        )
        return {written.get(name, str(name)): _as_written(inner) for name, inner in value.items()}
    return [_as_written(inner) for inner in value] if isinstance(value, list | tuple) else plain(value)


def _match(was: Rows, now: list[Any]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield how a list became another one: rows that were edited in place are still the same rows."""
    inner = {id(value): number for number, (value, _) in enumerate(was.read) if isinstance(value, Keys | Rows)}
    taken = {id(value) for value in now if id(value) in inner}
    like: dict[str, list[int]] = {}
    for number, (value, _) in enumerate(was.read):
        if id(value) in inner and id(value) not in taken:
            like.setdefault(repr(_as_read(value)), []).append(number)

    def token(value: Any) -> tuple[str, object]:
        if id(value) in inner:
            return "row", inner[id(value)]
        if isinstance(value, dict | list):
            known = like.get(repr(plain(value)))
            return ("row", known.pop(0)) if known else ("new", id(value))
        return (type(plain(value)).__name__, plain(value))

    old = [("row", number) if id(value) in inner else token(value) for number, (value, _) in enumerate(was.read)]
    yield from SequenceMatcher(None, old, [token(value) for value in now], autojunk=False).get_opcodes()


def _rows_among(values: Iterable[Any]) -> bool:
    return any(isinstance(value, dict | list) for value in values)
