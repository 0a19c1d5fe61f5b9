"""Long runs of plain rows, read without the YAML parser, which still decides where they stand.

Nearly all of a large file are rows that hold nothing but short texts and lists of them, thousands in a row:

    grants:                   users:                        sites:
      - to: anna                anna:                         shop: {domain: shop.example.org}
        role: view                email: anna@example.org     blog: {domain: blog.example.org}
        sites: [shop, blog]       until: 2027-03-31

The parser makes several objects of each word in them. So `take_out` reads such rows by a regular expression, and leaves
a stand-in in their place: an empty text in quotes, and blank lines, so that all that follows keeps its line. Where the
parser meets that stand-in, as an item or key of a list or table in lines, the rows are put there.

What is more than a short text is not plain: numbers, truth values, null, anchors, comments, escapes. If the parser
finds any fault, or does not meet each stand-in (it is in a comment or in a longer text), the whole text is read again
by the parser alone, which also words all faults. So there is one reading of a file, whichever way was taken.
"""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING

from siteward.declaration.source import COLUMN_BITS, PLAIN_PAIR, Items, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

FEWEST = 8
"""The fewest rows that are worth a run."""

# A text without quotes begins with a letter or a date, and not with one of YAML's words; in a line it may hold colons.
_BEGIN = r"(?=[^\W\d]|\d{4}-\d\d-\d\d\b)(?![TtFfNn](?:rue|RUE|alse|ALSE|ull|ULL)\b)"
_WORD = r"[\w.@+/-]++"
_QUOTED = r"\"[^\"\\\n]*+\"|'[^'\n]*+'"
_IN_LINE = rf"(?:{_BEGIN}{_WORD}(?::{_WORD})*+(?: {_WORD}(?::{_WORD})*+)*+|{_QUOTED})"
_IN_BRACES = rf"(?:{_BEGIN}{_WORD}(?: {_WORD})*+|{_QUOTED})"
_ITEM = rf"(?:{_BEGIN}{_WORD}(?: {_WORD})*+|\"[^\"\\\n,\]]*+\"|'[^'\n,\]]*+')"
_LIST = rf"\[{_ITEM}(?:, {_ITEM})*+\]"
_KEY = r"\w[\w.@-]{0,200}+"
_LINE = rf"{_KEY}: (?:{_IN_LINE}|{_LIST})\n"
_PAIR = rf"{_KEY}: (?:{_IN_BRACES}|{_LIST})"
_BRACES = rf"\{{((?:{_PAIR}(?:, {_PAIR})*+)?)\}}\n"
_ROW = (
    rf"^(?P<margin> *+)"
    rf"(?:(?:-|({_KEY}):) {_BRACES}"
    rf"|- ({_LINE}(?:(?P=margin)  {_LINE})*+)"
    rf"|({_KEY}):\n(?P<inner>(?P=margin) ++)({_LINE}(?:(?P=inner){_LINE})*+))"
    rf"(?!\n*+(?P=margin) )"  # a deeper line would belong to the row too
)


class Run:
    """Rows that stand one after the other behind the same margin: by key in a table, or the items of a list.

    They are the part of the text from `start` up to `stop`, on the lines from `line` up to `end`, counted from 0.
    `places` are those of each key and its value, or of each item; `values` counts the values in the rows.
    """

    __slots__ = ("end", "keyed", "keys", "line", "margin", "places", "rows", "start", "stop", "values")

    def __init__(self, margin: str, *, keyed: bool, start: int, line: int) -> None:
        self.margin = margin
        self.keyed = keyed
        self.start = self.stop = start
        self.line = self.end = line
        self.keys: list[str] = []
        self.rows: list[Table] = []
        self.places: array[int] = array("Q")
        self.values = 0

    @property
    def place(self) -> int:
        """Where its stand-in is."""
        return self.line << COLUMN_BITS | len(self.margin) + (0 if self.keyed else 2)

    @property
    def stand_in(self) -> str:
        """What stands for it, on as many lines."""
        return self.margin + ('"": ""' if self.keyed else '- ""') + "\n" * (self.end - self.line)


def take_out(text: str, shared: dict[str, str]) -> tuple[str, dict[int, Run]]:
    """Return the text with a stand-in for each run, and the runs by the places of those.

    No line of the text ends in CR. `shared` are the texts of the file, so that equal ones are one object.
    """
    kept: list[str] = []
    runs: dict[int, Run] = {}
    end = 0
    for run in _Finder(text, shared).runs():
        if len(run.rows) >= FEWEST:
            kept += [text[end : run.start], run.stand_in]
            runs[run.place] = run
            end = run.stop
    return "".join([*kept, text[end:]]), runs


class _Texts(dict[str, str]):
    """The texts by how they are written; equal ones are one object, as they are where the parser reads."""

    def __init__(self, shared: dict[str, str]) -> None:
        super().__init__()
        self._shared = shared

    def __missing__(self, written: str) -> str:
        text = written[1:-1] if written[0] in "\"'" else written
        text = self[written] = self._shared.setdefault(text, text)
        return text


class _Finder:
    """What finds the plain rows of a text."""

    def __init__(self, text: str, shared: dict[str, str]) -> None:
        self._text = text
        self._texts = _Texts(shared)
        self._pairs_of = re.compile(PLAIN_PAIR).findall

    def runs(self) -> Iterator[Run]:
        """Yield the runs in the text, also those of a few rows."""
        text = self._text
        run = Run("", keyed=False, start=0, line=0)
        for found in re.finditer(_ROW, text, re.MULTILINE):
            start, stop = found.span()
            margin, key_of_braces, _, _, key_of_lines, *_ = parts = found.groups()
            keyed = key_of_braces is not None or key_of_lines is not None
            if start != run.stop or margin != run.margin or keyed is not run.keyed:
                yield run
                run = Run(margin, keyed=keyed, start=start, line=run.end + text.count("\n", run.stop, start))
            self._add(run, parts, stop)
        yield run

    def _add(self, run: Run, parts: tuple[str | None, ...], stop: int) -> None:
        """Add a row to a run; one that has a key twice is left to the parser, so that the run ends before it.

        `parts` are the groups of its match, which ends at `stop`.
        """
        _, key_of_braces, braces, item_lines, key_of_lines, inner, lines = parts
        margin, key = len(run.margin), key_of_braces or key_of_lines
        body = braces or item_lines or lines or ""
        in_lines = braces is None
        indent = margin + 2 if inner is None else len(inner)
        pairs = self._pairs_of(body)
        row, values = self._read(pairs, stop - len(body) - (0 if in_lines else 2), indent + 3 if in_lines else 4)
        if len(row) < len(pairs):
            return
        place = run.end << COLUMN_BITS | margin
        if key is None:
            run.places.append(place + 2)
        else:
            run.keys.append(self._texts[key])
            run.places.append(place)
            run.places.append((run.end + 1) << COLUMN_BITS | indent if in_lines else place + len(key) + 2)
        run.rows.append(row)
        run.values += values
        run.end += len(pairs) + (key is not None) if in_lines else 1
        run.stop = stop

    def _read(self, pairs: list[tuple[str, str]], begin: int, gap: int) -> tuple[Table, int]:
        """Return a row of pairs as they are written, and the number of values in it.

        `begin` is where in the text the first key is, and `gap` how far the end of a pair is from the next key, with
        the `: ` in the pair.
        """
        texts, row, values, at = self._texts, Table(), len(pairs), begin
        row.base = ~begin
        for key, value in pairs:
            if value[0] == "[":
                items = row[texts[key]] = Items([texts[item] for item in value[1:-1].split(", ")])
                items.base = ~(at + len(key) + 3)
                values += len(items)
            else:
                row[texts[key]] = texts[value]
            at += len(key) + len(value) + gap
        return row, values
