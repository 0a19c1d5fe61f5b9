"""A YAML text read into data with places, from the events of libyaml's parser; faults are diagnostics.

Scalars are YAML 1.2's, cut down to what the grammar needs: text, `true`/`false` and whole numbers; `no`, `on` and dates
stay text. Null is refused wherever it stands, and so is a number written in any other way (`1.20`, `012`, `5e1`):
readers of YAML disagree about some, and give back another text than was written. Duplicate keys, tags, a second
document and aliases without bound are refused too. Where reading can go on, the refused part is reported and left out,
so that one run shows all faults.
"""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING, Literal, Protocol, cast

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from siteward.access.diagnostic import Span, error
from siteward.declaration.plain_rows import take_out
from siteward.declaration.source import COLUMN_BITS, Items, Source, Table, split_lines
from siteward.declaration.yaml_faults import YamlSyntaxError, explain, find_stray_character

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.plain_rows import Run
    from siteward.declaration.source import Path, Value


LARGE = 100_000
"""The fewest characters of a text that is searched for plain rows first."""

MAX_DEPTH = 32
"""The most levels of nesting."""

MAX_ALIASED = 100_000
"""The most values that all aliases of a file may repeat together."""

_NOT_TEXT = frozenset("-+.0123456789tTfFnN~")  # what a plain scalar that is no text can begin with
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_ASKS = r"(?:^|[\s{\[,])\?\s*$"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
# Patterns that few files need stay texts: `re` compiles them at their first use.
_LONG_NUMBER = r"-?[1-9][0-9]*"  # stays text: an id keeps its digits, and no amount is so large
_ODD_NUMBER = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
# Events are told apart by their exact class, which is the fastest way; as objects, because the parser in C and the
# one in Python share these classes and nothing that a type checker could see.
_ALIAS: object = AliasEvent
_SCALAR: object = ScalarEvent
_TABLE: object = MappingStartEvent
_TABLE_END: object = MappingEndEvent
_ITEMS: object = SequenceStartEvent
_ITEMS_END: object = SequenceEndEvent
_DOCUMENT: object = DocumentStartEvent
_DOCUMENT_END: object = DocumentEndEvent
_STREAM_END: object = StreamEndEvent
_BEGINS = frozenset({_TABLE, _ITEMS})
_KINDS: Mapping[object, Literal["map", "list", "scalar", "alias"]] = {
    _TABLE: "map", _ITEMS: "list", _SCALAR: "scalar", _ALIAS: "alias",
}  # fmt: skip
_ENDS = frozenset({_TABLE_END, _ITEMS_END})


class Position(Protocol):
    """A place in a text, counted from 0."""

    line: int
    column: int


class Event(Protocol):
    """An event of the parser; all but the marks only where the class of the event has them."""

    start_mark: Position
    end_mark: Position
    anchor: str | None
    tag: str | None
    value: str
    style: str | None
    flow_style: bool | None


def read(file: str, text: str) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """Return the file's data with its places, and an error for each fault of its YAML.

    There is no `Source` where the text does not parse, or is not one document with a mapping in it.
    """
    stray = find_stray_character(file, text)
    if stray is not None:
        return None, (stray,)
    if len(text) >= LARGE and (source := _read_large(file, text)) is not None:
        return source, ()
    reader = _YamlReader(file, text)
    try:
        data = reader.document()
    except YamlSyntaxError as fault:
        return None, (*reader.faults, fault.diagnostic)
    except yaml.YAMLError as problem:
        return None, (*reader.faults, explain(file, text, problem))
    return Source(file, text, data, reader.places, frozenset(reader.holes)), tuple(reader.faults)


def _read_large(file: str, text: str) -> Source | None:
    """Return a file's data, its runs of plain rows read without the parser; `None` where it is better read without them."""
    if "\r" in text or "?" in text:
        return None
    shared: dict[str, str] = {}
    shortened, runs = take_out(text, shared)
    if not runs:
        return None
    reader = _YamlReader(file, shortened, shared, runs)
    try:
        data = reader.document()
    except (YamlSyntaxError, yaml.YAMLError):
        return None
    if reader.faults or reader.runs:
        return None
    return Source(file, text, data, reader.places, frozenset())


def slow_events(text: str) -> Callable[[], Event]:
    """Return a function that returns the next event of the parser in Python, about 18 times slower than libyaml's."""
    from yaml.parser import Parser  # noqa: PLC0415 — needed only where the extension is missing
    from yaml.reader import Reader  # noqa: PLC0415 — the same
    from yaml.scanner import Scanner  # noqa: PLC0415 — the same

    class Slow(Reader, Scanner, Parser):
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)

    slow: Callable[[], Event] = Slow(text).get_event
    return slow


def open_events(text: str) -> Callable[[], Event]:
    """Return a function that returns the next event of the fastest parser there is."""
    if not yaml.__with_libyaml__:
        return slow_events(text)
    from yaml._yaml import CParser  # noqa: PLC0415 — the extension may be missing

    return cast("Callable[[], Event]", CParser(text).get_event)


def kind_of(event: Event) -> Literal["map", "list", "scalar", "alias"] | None:
    """Return what an event begins; `None` for the end of a map or list, and for what is no value."""
    return _KINDS.get(type(event))


def _pack_place(event: Event) -> int:
    """Return where an event begins, line and column in one number."""
    mark = event.start_mark
    return mark.line << COLUMN_BITS | mark.column


class _YamlReader:
    """A builder of tables and lists from events, which collects faults, and the paths of values left out (`holes`).

    `runs` are the rows that stand-ins in the text stand for, by place; those that were not met yet.
    """

    def __init__(
        self, file: str, text: str, shared: dict[str, str] | None = None, runs: dict[int, Run] | None = None
    ) -> None:
        self.file = file
        self.places: array[int] = array("Q")
        self.faults: list[Diagnostic] = []
        self.holes: list[Path] = []
        self._next = open_events(text)
        self._asking = split_lines(text) if "?" in text else None
        self._shared = {} if shared is None else shared
        self.runs = runs or {}
        self._plain: set[str] = set()  # those known to be text, although they begin as other values can
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._open: set[str] = set()
        self._path: list[str | int] = []
        self._values = 0
        self._aliased = 0

    def document(self) -> Table:
        """Return the root mapping of the only document; raises `YamlSyntaxError` where there is none or a second one."""
        self._next()
        event = self._next()
        if type(event) is not _STREAM_END:
            event = self._next()
        if type(event) is _STREAM_END or (type(event) is _SCALAR and not event.style and event.value in _NULLS):
            raise self._fault("empty-file", "the file is empty", event, hint="begin it with `version: 1`")
        if type(event) is not _TABLE:
            kind = "a list" if type(event) is _ITEMS else "a single value"
            raise self._fault("not-a-mapping", f"the file must hold keys and values, found {kind}", event)
        self._refuse_tag(event)
        root = self._read_table(event)
        end = self._next()
        while type(end) is _DOCUMENT_END:
            end = self._next()
        if type(end) is _DOCUMENT:
            hint = "remove the `---` and what follows, or move it into an include"
            raise self._fault("several-documents", "the file holds more than one YAML document", end, hint=hint)
        return root

    def _read_container(self, event: Event) -> Table | Items:
        """Build the table or list that `event` begins."""
        if len(self._path) >= MAX_DEPTH:
            raise self._fault("too-deep", f"more than {MAX_DEPTH} levels of nesting", event)
        if event.tag is event.anchor is None:
            return self._read_table(event) if type(event) is _TABLE else self._read_items(event)
        self._refuse_tag(event)
        anchor, before = event.anchor, self._values
        if anchor is not None:
            self._open.add(anchor)
        built = self._read_table(event) if type(event) is _TABLE else self._read_items(event)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (built, self._values - before + 1)
        return built

    def _read_table(self, start: Event) -> Table:
        # This loop and the next are most of the time of an offline plan, so the usual text is handled in place.
        table, places = Table(), [_pack_place(start)]
        following, shared, plain, path, plain_keys = (
            self._next,
            self._shared,
            self._plain,
            self._path,
            self._asking is None,
        )
        while type(event := following()) is not _TABLE_END:
            if type(event) is _SCALAR and plain_keys and event.tag is event.anchor is None and (text := event.value):
                key: str | None = shared.setdefault(text, text)
            elif (run := self._meet(start, event)) is not None:
                following()
                self._add_rows(table, run, event)
                places += run.places
                continue
            else:
                key = self._read_key(event)
            value_event = following()
            if key is None or key in table:
                self._discard(value_event)
                if key is not None:
                    self._report_twice(table, places, key, event)
                continue
            if (
                type(value_event) is _SCALAR
                and value_event.tag is value_event.anchor is None
                and (text := value_event.value)
                and (value_event.style or text[0] not in _NOT_TEXT or text in plain)
            ):
                value: Value | None = shared.setdefault(text, text)
            else:
                path.append(key)
                value = (
                    self._read_container(value_event) if type(value_event) in _BEGINS else self._read_value(value_event)
                )
                path.pop()
            if value is not None:
                mark = event.start_mark
                places.append(mark.line << COLUMN_BITS | mark.column)
                mark = value_event.start_mark
                places.append(mark.line << COLUMN_BITS | mark.column)
                table[key] = value
        self._values += len(table)
        table.base = len(self.places)
        self.places.extend(places)
        return table

    def _read_items(self, start: Event) -> Items:
        items, places = Items(), [_pack_place(start)]
        following, shared, plain, path = self._next, self._shared, self._plain, self._path
        while type(event := following()) is not _ITEMS_END:
            if (
                type(event) is _SCALAR
                and event.tag is event.anchor is None
                and (text := event.value)
                and (event.style or text[0] not in _NOT_TEXT or text in plain)
            ):
                value: Value | None = shared.setdefault(text, text)
            elif (run := self._meet(start, event)) is not None:
                items += run.rows
                places += run.places
                continue
            else:
                path.append(len(items))
                value = self._read_container(event) if type(event) in _BEGINS else self._read_value(event)
                path.pop()
            if value is not None:
                mark = event.start_mark
                places.append(mark.line << COLUMN_BITS | mark.column)
                items.append(value)
        self._values += len(items)
        items.base = len(self.places)
        self.places.extend(places)
        return items

    def _meet(self, start: Event, event: Event) -> Run | None:
        """Return the rows for which an event stands, if it does, in what `start` begins, and they may be there."""
        run = self.runs.get(_pack_place(event)) if self.runs else None
        if run is None or type(event) is not _SCALAR or event.value or not event.style:
            return None
        of_lines = not start.flow_style and run.keyed is (type(start) is _TABLE) and event.tag is event.anchor is None
        if not of_lines or len(self._path) + 2 >= MAX_DEPTH:
            return None
        self._values += run.values
        return self.runs.pop(run.place)

    def _add_rows(self, table: Table, run: Run, event: Event) -> None:
        """Add rows to a table; raises `YamlSyntaxError` where it has one of their keys, which is told after a second reading."""
        expected = len(table) + len(run.rows)
        table.update(zip(run.keys, run.rows, strict=True))
        if len(table) < expected:
            raise self._fault("duplicate-key", "a key is given twice", event)

    def _read_key(self, event: Event) -> str | None:
        """Return the text of a key; `None`, with a diagnostic, where it is refused."""
        if type(event) is _ALIAS:
            hint = f'quote it: "*{event.anchor}"'
            raise self._fault("unquoted", f"`*{event.anchor}` is YAML's way to repeat a value", event, hint=hint)
        if type(event) is not _SCALAR:
            hint = "quote it, if it begins with [ or {"
            raise self._fault("key-not-text", "a key must be plain text", event, hint=hint)
        if self._asking is not None:
            self._refuse_explicit(event, self._asking)
        if event.tag is event.anchor is None and event.value:
            return self._shared.setdefault(event.value, event.value)
        if event.anchor is not None:
            self._report("unquoted", f"`&{event.anchor}` cannot stand before a key", event, hint="quote it")
        elif not self._refuse_tag(event):
            self._report("key-not-text", "a key must not be empty", event)
        return None

    def _refuse_explicit(self, event: Event, lines: Sequence[str]) -> None:
        """Refuse `? key`: of `{?x: 1}` one reader of YAML makes the key `x`, another `?x`."""
        mark = event.start_mark
        if re.search(_ASKS, lines[mark.line][: mark.column]):
            hint = f'write it without `?`, or quote all of it: "?{event.value}"'
            raise self._fault(
                "unquoted", f"`?` before `{event.value}` is YAML's long way to write a key", event, hint=hint
            )

    def _read_value(self, event: Event) -> Value | None:
        """Return a value that is no table and no list; `None`, with a diagnostic, where it is refused."""
        if type(event) is _ALIAS:
            return self._repeat_alias(event)
        value = None if self._refuse_tag(event) else self._read_scalar(event)
        if value is None:
            self.holes.append(tuple(self._path))
        elif event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        return value

    def _read_scalar(self, event: Event) -> Value | None:
        text = event.value
        if event.style:
            return self._shared.setdefault(text, text)
        if text in _NULLS:
            key = self._path[-1] if self._path else ""
            missing = f"`{key}` has no value" if isinstance(key, str) else "an item has no value"
            message = f"{missing}: `{text}` is YAML's null" if text else missing
            hint = 'leave it out, or write what you mean: [], {}, "" or a quoted word'
            self._report("null", message, event, hint=hint)
            return None
        if text in _WORDS:
            return _WORDS[text]
        if _NUMBER.fullmatch(text):
            return int(text)
        if re.fullmatch(_ODD_NUMBER, text) and not re.fullmatch(_LONG_NUMBER, text):
            message = f"`{text}` without quotes is a number that is not read as it is written"
            hint = f'quote it: "{text}", or write a whole number in plain digits'
            self._report("unquoted", message, event, hint=hint, suggestion=f'"{text}"')
            return None
        self._plain.add(text)
        return self._shared.setdefault(text, text)

    def _repeat_alias(self, event: Event) -> Value | None:
        name = event.anchor or ""
        if name in self._open:
            raise self._fault("alias-loop", f"`*{name}` repeats something that holds it", event)
        anchored = self._anchors.get(name)
        if anchored is None:
            self.holes.append(tuple(self._path))
            message = f"`*{name}` is YAML's way to repeat a value, and there is no `&{name}` before it"
            self._report("unquoted", message, event, hint=f'quote it: "*{name}"', suggestion=f'"*{name}"')
            return None
        value, weight = anchored
        self._values += weight
        self._aliased += weight
        if self._aliased > MAX_ALIASED:
            hint = "write the values out, or use groups, tags and roles instead"
            raise self._fault("alias-bomb", f"aliases repeat more than {MAX_ALIASED} values", event, hint=hint)
        return value

    def _refuse_tag(self, event: Event) -> bool:
        """Report a tag, most often an exclusion without quotes; return whether there is one."""
        if event.tag is None:
            return False
        if event.tag.startswith("!") and type(event) is _SCALAR:
            text = f"{event.tag} {event.value}".strip()
            message = f"`{text}` without quotes is a YAML tag"
            self._report("unquoted", message, event, hint=f'quote it: "{text}"', suggestion=f'"{text}"')
        else:
            self._report("tag", f"the YAML tag `{event.tag}` has no meaning here", event, hint="remove it")
        return True

    def _discard(self, event: Event) -> None:
        """Skip the value of a refused key, with all that is in it."""
        depth = 0
        while True:
            depth += (type(event) in _BEGINS) - (type(event) in _ENDS)
            if depth == 0:
                return
            event = self._next()

    def _report_twice(self, table: Table, places: Sequence[int], key: str, event: Event) -> None:
        first = places[1 + 2 * list(table).index(key)]
        before = Span(self.file, (first >> COLUMN_BITS) + 1, (first & ((1 << COLUMN_BITS) - 1)) + 1)
        message = f"`{key}` is given twice, first on line {before.line}"
        self._report("duplicate-key", message, event, related=(before,))

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
        self.faults.append(error(code, message, at=self._at(event), hint=hint, suggestion=suggestion, related=related))

    def _fault(self, code: str, message: str, event: Event, *, hint: str | None = None) -> YamlSyntaxError:
        return YamlSyntaxError(error(code, message, at=self._at(event), hint=hint))

    def _at(self, event: Event) -> Span:
        start, end = event.start_mark, event.end_mark
        if end.line != start.line:
            return Span(self.file, start.line + 1, start.column + 1)
        return Span(self.file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)
