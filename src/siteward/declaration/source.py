"""Text → data, with the place of every key and value.

The events of libyaml's parser are composed into plain tables and lists. Scalars are YAML 1.2's, cut down to
what the grammar needs: text, `true`/`false` and decimal numbers; `no`, `on`, `012` and dates stay text, and
null is refused wherever it stands. Duplicate keys, tags, a second document and aliases without bound are
refused too. Places are kept in one array of integers and become a `Span` only when somebody asks.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from siteward.access.diagnostic import Diagnostic, Severity, Span
from siteward.declaration.flaw import YamlFlaw, of_error, stray_character

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml.events import Event

Path: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_ALIASED = 100_000
"""How many values aliases may add to a file, all together."""

_COLUMNS = 25  # bits of a place that hold the column: no line is longer than the largest file
_COLUMN_MASK = (1 << _COLUMNS) - 1
_NOT_TEXT = frozenset("-0123456789tTfFnN~")  # what a plain scalar that is no text can begin with
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


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
        self._index: dict[int, dict[str, int]] = {}

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

    def mark(self, holder: Table | Items, at: int) -> Span:
        """Return where the key (or item) number `at` of `holder` begins, without its end; costs next to nothing."""
        step = 1 + (2 * at if isinstance(holder, Table) else at)
        place = self._places[holder.base + step]
        return Span(self.file, (place >> _COLUMNS) + 1, (place & _COLUMN_MASK) + 1)

    def _find(self, path: Path, *, key: bool) -> tuple[int, Value | None]:
        node: Value = self.data
        place = self._places[self.data.base]
        for depth, step in enumerate(path, start=1):
            at = self._number(node, step)
            if at is None:
                break
            assert isinstance(node, Table | Items)
            if isinstance(node, Table):
                wants_key = key and depth == len(path)
                place = self._places[node.base + 1 + 2 * at + (not wants_key)]
                if wants_key:
                    return place, str(step)
                node = node[str(step)]
            else:
                place = self._places[node.base + 1 + at]
                node = node[at]
        return place, node

    def _number(self, node: Value, step: str | int) -> int | None:
        if isinstance(node, Table):
            index = self._index.get(node.base)
            if index is None:
                index = self._index[node.base] = {key: at for at, key in enumerate(node)}
            return index.get(str(step))
        if isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node):
            return step
        return None

    def _span(self, place: int, value: Value | None) -> Span:
        line, column = place >> _COLUMNS, place & _COLUMN_MASK
        text = self.lines[line] if line < len(self.lines) else ""
        return Span(self.file, line + 1, column + 1, line + 1, _end(text, column, value) + 1)


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text as YAML counts them."""
    return tuple(re.split(r"\r\n|\n|\r", text))


def _end(line: str, column: int, value: Value | None) -> int:
    """Return the column after what begins at `column`: a scalar whole, a bracket to its partner or the line's end."""
    rest = line[column:]
    if isinstance(value, str) and value and rest.startswith(value):
        return column + len(value)
    match = re.match(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,\]}]+""", rest)
    if not isinstance(value, Table | Items):
        return column + (match.end() if match else 0)
    if not rest.startswith(("[", "{")):
        return column + len(rest.split(" #", 1)[0].rstrip())
    depth = 0
    for each in re.finditer(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[\[\]{}]""", rest):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(each.group(), 0)
        if depth == 0:
            return column + each.end()
    return len(line.rstrip())


def read(file: str, text: str) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """Return the file's data with its places, and all that is wrong with its YAML.

    There is no `Source` where the text does not parse, or is not one document with a mapping in it.
    """
    stray = stray_character(file, text)
    if stray is not None:
        return None, (stray,)
    composer = _Composer(file, text)
    try:
        data = composer.document()
    except YamlFlaw as flaw:
        return None, (*composer.flaws, flaw.diagnostic)
    except yaml.YAMLError as problem:
        return None, (*composer.flaws, of_error(file, text, problem))
    return Source(file, text, data, composer.places, frozenset(composer.holes)), tuple(composer.flaws)


def _events(text: str) -> Callable[[], Event]:
    if yaml.__with_libyaml__:
        from yaml.cyaml import CParser  # noqa: PLC0415 — the extension may be missing

        fast: Callable[[], Event] = CParser(text).get_event
        return fast
    from yaml.parser import Parser  # noqa: PLC0415 — the slow parser is needed only here
    from yaml.reader import Reader  # noqa: PLC0415
    from yaml.scanner import Scanner  # noqa: PLC0415

    class Slow(Reader, Scanner, Parser):
        """The same events from the parser in Python, some eighteen times slower."""

        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)

    slow: Callable[[], Event] = Slow(text).get_event
    return slow


class _Composer:
    """Builds tables and lists from events, and collects what is wrong on the way."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.places: array[int] = array("Q")
        self.flaws: list[Diagnostic] = []
        self.holes: list[Path] = []
        self._next = _events(text)
        self._shared: dict[str, str] = {}
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._open: set[str] = set()
        self._path: list[str | int] = []
        self._values = 0
        self._aliased = 0

    def document(self) -> Table:
        """Return the root mapping of the only document."""
        self._next()
        event = self._next()
        if isinstance(event, StreamEndEvent):
            raise self._flaw("empty-file", "the file is empty", event, hint="begin it with `version: 1`")
        event = self._next()
        if isinstance(event, ScalarEvent) and not event.style and event.value in _NULLS:
            raise self._flaw("empty-file", "the file is empty", event, hint="begin it with `version: 1`")
        if not isinstance(event, MappingStartEvent):
            found = "a list" if isinstance(event, SequenceStartEvent) else "a single value"
            raise self._flaw("not-a-mapping", f"the file must hold keys and values, found {found}", event)
        root = self._container(event)
        assert isinstance(root, Table)
        end = self._next()
        while isinstance(end, DocumentEndEvent):
            end = self._next()
        if isinstance(end, DocumentStartEvent):
            raise self._flaw(
                "several-documents",
                "the file holds more than one YAML document",
                end,
                hint="remove the `---` and what follows, or move it into an include",
            )
        return root

    def _container(self, event: Event) -> Table | Items:
        """Build the table or list that `event` begins."""
        assert isinstance(event, MappingStartEvent | SequenceStartEvent)
        if len(self._path) >= MAX_DEPTH:
            raise self._flaw("too-deep", f"more than {MAX_DEPTH} levels of nesting", event)
        if event.tag is not None:
            self._tagged(event)
        anchor, before = event.anchor, self._values
        if anchor is not None:
            self._open.add(anchor)
        built = self._table(event) if isinstance(event, MappingStartEvent) else self._items(event)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (built, self._values - before + 1)
        return built

    def _table(self, start: MappingStartEvent) -> Table:
        table, mark = Table(), start.start_mark
        places = [mark.line << _COLUMNS | mark.column]
        following, shared, path = self._next, self._shared, self._path
        while type(event := following()) is not MappingEndEvent:
            key = self._key(event)
            value_event = following()
            if key is None or key in table:
                self._discarded(value_event)
                if key is not None:
                    self._twice(table, places, key, event)
                continue
            if (
                type(value_event) is ScalarEvent
                and value_event.anchor is None is value_event.tag
                and (text := value_event.value)
                and (value_event.style or text[0] not in _NOT_TEXT)
            ):
                value: Value | None = shared.setdefault(text, text)
                self._values += 1
            else:
                path.append(key)
                value = self._value(value_event)
                path.pop()
                if value is None:
                    continue
            mark = event.start_mark
            places.append(mark.line << _COLUMNS | mark.column)
            mark = value_event.start_mark
            places.append(mark.line << _COLUMNS | mark.column)
            table[key] = value
        table.base = len(self.places)
        self.places.extend(places)
        return table

    def _items(self, start: SequenceStartEvent) -> Items:
        items, mark = Items(), start.start_mark
        places = [mark.line << _COLUMNS | mark.column]
        following, shared, path = self._next, self._shared, self._path
        while type(event := following()) is not SequenceEndEvent:
            if (
                type(event) is ScalarEvent
                and event.anchor is None is event.tag
                and (text := event.value)
                and (event.style or text[0] not in _NOT_TEXT)
            ):
                value: Value | None = shared.setdefault(text, text)
                self._values += 1
            else:
                path.append(len(items))
                value = self._value(event)
                path.pop()
                if value is None:
                    continue
            mark = event.start_mark
            places.append(mark.line << _COLUMNS | mark.column)
            items.append(value)
        items.base = len(self.places)
        self.places.extend(places)
        return items

    def _key(self, event: Event) -> str | None:
        """Return the text of a key; `None`, and a diagnostic, for what is none."""
        if isinstance(event, ScalarEvent) and event.tag is None and event.anchor is None and event.value:
            return self._shared.setdefault(event.value, event.value)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            raise self._flaw(
                "key-not-text", "a key must be plain text", event, hint="quote it if it begins with [ or {"
            )
        if isinstance(event, AliasEvent):
            raise self._flaw("unquoted", f"`*{event.anchor}` is YAML's way to repeat a value", event, hint="quote it")
        assert isinstance(event, ScalarEvent)
        if event.tag is not None:
            self._tagged(event)
        elif event.anchor is not None:
            self._report("unquoted", f"`&{event.anchor}` cannot stand before a key", event, hint="quote it")
        else:
            self._report("key-not-text", "a key must not be empty", event)
        return None

    def _value(self, event: Event) -> Value | None:
        """Return any value; `None`, and a diagnostic, for one that is refused."""
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            return self._container(event)
        if isinstance(event, AliasEvent):
            return self._alias(event)
        assert isinstance(event, ScalarEvent)
        self._values += 1
        value = None if self._tagged(event) else self._scalar(event)
        if value is None:
            self.holes.append(tuple(self._path))
        elif event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        return value

    def _scalar(self, event: ScalarEvent) -> Value | None:
        text = event.value
        if event.style:
            return self._shared.setdefault(text, text)
        if text in _NULLS:
            key = self._path[-1] if self._path and isinstance(self._path[-1], str) else None
            what = f"`{key}` has no value" if key else "an item has no value"
            self._report(
                "null",
                what if text == "" else f"{what}: `{text}` is YAML's null",
                event,
                hint='leave it out, or write what you mean: [], {}, "" or a quoted word',
            )
            return None
        if text in _WORDS:
            return _WORDS[text]
        return int(text) if _NUMBER.fullmatch(text) else self._shared.setdefault(text, text)

    def _alias(self, event: AliasEvent) -> Value | None:
        name = event.anchor
        if name in self._open:
            raise self._flaw("alias-loop", f"`*{name}` repeats something that holds it", event)
        found = self._anchors.get(name)
        if found is None:
            self.holes.append(tuple(self._path))
            self._report(
                "unquoted",
                f"`*{name}` is YAML's way to repeat a value, and there is no `&{name}` before it",
                event,
                hint=f'quote it: "*{name}"',
                suggestion=f'"*{name}"',
            )
            return None
        value, weight = found
        self._values += weight
        self._aliased += weight
        if self._aliased > MAX_ALIASED:
            raise self._flaw(
                "alias-bomb",
                f"aliases repeat more than {MAX_ALIASED} values",
                event,
                hint="write the values out, or use groups, tags and roles instead",
            )
        return value

    def _tagged(self, event: NodeEvent) -> bool:
        """Refuse a tag, which most often is an exclusion that somebody forgot to quote."""
        tag: str | None = event.tag  # type: ignore[attr-defined]  # the stubs know it of two of the three events
        if tag is None:
            return False
        if tag.startswith("!") and isinstance(event, ScalarEvent):
            text = f"{tag} {event.value}".strip() if event.value else tag
            self._report(
                "unquoted",
                f"`{text}` without quotes is a YAML tag",
                event,
                hint=f'quote it: "{text}"',
                suggestion=f'"{text}"',
            )
        else:
            self._report("tag", f"the YAML tag `{tag}` has no meaning here", event, hint="remove it")
        return True

    def _discarded(self, event: Event) -> None:
        """Read over the value of a key that is refused."""
        depth = 0
        while True:
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                depth += 1
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                depth -= 1
            if depth == 0:
                return
            event = self._next()

    def _twice(self, table: Table, places: Sequence[int], key: str, event: Event) -> None:
        first = places[1 + 2 * list(table).index(key)]
        before = Span(self.file, (first >> _COLUMNS) + 1, (first & _COLUMN_MASK) + 1)
        self._report("duplicate-key", f"`{key}` is given twice, first on line {before.line}", event, related=(before,))

    def _report(
        self,
        code: str,
        message: str,
        event: Event,
        *,
        hint: str | None = None,
        suggestion: str | None = None,
        related: tuple[Span, ...] = (),
    ) -> None:
        self.flaws.append(
            Diagnostic(
                code=code,
                severity=Severity.ERROR,
                message=message,
                at=self._at(event),
                hint=hint,
                suggestion=suggestion,
                related=related,
            )
        )

    def _flaw(self, code: str, message: str, event: Event, *, hint: str | None = None) -> YamlFlaw:
        return YamlFlaw(Diagnostic(code=code, severity=Severity.ERROR, message=message, at=self._at(event), hint=hint))

    def _at(self, event: Event) -> Span:
        start, end = event.start_mark, event.end_mark
        if end is None or end.line != start.line:
            return Span(self.file, start.line + 1, start.column + 1)
        return Span(self.file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def walk(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Yield every value under `value` with its path, itself first."""
    yield path, value
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from walk(each, (*path, key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from walk(each, (*path, at))
