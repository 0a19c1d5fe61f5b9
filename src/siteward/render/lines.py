"""Writes lines of text for terminals and logs: columns are padded, then coloured; nothing is ever cut or wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from siteward.render.safe import cells, no_commands, show
from siteward.render.words import ARROW

if TYPE_CHECKING:
    from siteward.render.context import Options

Style = Literal["", "bold", "dim", "red", "green", "yellow", "alarm"]
_CODES: dict[Style, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "alarm": "1;31",
}
Glyph = Literal[
    "+", "~", "-", "high", "blocked", "undeclared", "held", "failed", "skipped", "refused", "unknown", "done"
]
# The shape in a terminal, the word in plain mode, the colour.
_GLYPHS: dict[Glyph, tuple[str, str, Style]] = {
    "+": ("+", "add", "green"),
    "~": ("~", "change", "yellow"),
    "-": ("-", "revoke", "red"),
    "high": ("!", "HIGH RISK", "alarm"),
    "blocked": ("⊘", "BLOCKED", "alarm"),
    "undeclared": ("?", "undeclared", "yellow"),
    "held": ("=", "skipped", "dim"),
    "failed": ("✗", "FAILED", "alarm"),
    "skipped": ("·", "skipped", "dim"),
    "refused": ("≠", "REFUSED", "yellow"),
    "unknown": ("?", "UNKNOWN", "alarm"),
    "done": ("✓", "done", "green"),
}
LAYOUT = 120
WIDEST = 44


class Cell(Struct, frozen=True):
    """A cell of a line: text that is safe to show, its style, and its width, which is found once."""

    text: str
    style: Style = ""
    width: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "width", cells(self.text))


Row = Sequence[Cell]


class Palette(Struct, frozen=True):
    """Writes text as the options ask: with or without colour, in symbols or in words."""

    options: Options

    def text(self, raw: str) -> str:
        """Return foreign text made safe to show."""
        return show(raw)

    @property
    def arrow(self) -> str:
        """The sign between a value before and after a change."""
        return " to " if self.options.plain else ARROW

    def cell(self, raw: str, style: Style = "") -> Cell:
        """Return foreign text as a cell."""
        return _foreign_cell(raw, style)

    def glyph(self, name: Glyph) -> Cell:
        """Return a sign as a cell: a shape, or a word in plain mode."""
        shape, word, style = _GLYPHS[name]
        return Cell(word if self.options.plain else shape, style)

    def join(self, parts: Sequence[str]) -> str:
        """Return phrases in one line."""
        return ("; " if self.options.plain else " · ").join(self.text(part) for part in parts if part)

    def paint(self, text: str, style: Style) -> str:
        """Return finished text in colour, if colour was asked for."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style and text and self.options.color else text

    def table(self, rows: Sequence[Row], indent: int) -> list[str]:
        """Return rows as lines with their columns aligned; the last column of a row is left as it is."""
        widths = _widths(rows)
        return [self._line(row, widths, indent) for row in rows]

    def warn(self, texts: Iterable[str]) -> list[str]:
        """Return warnings as lines that stand above all others, followed by an empty line; no lines without any."""
        mark = "ATTENTION:" if self.options.plain else "!"
        lines = [self.paint(f"{mark} {self.text(text)}", "alarm") for text in texts]
        return [*lines, ""] if lines else []

    def page(self, lines: Iterable[str]) -> str:
        """Return finished lines as a whole text, in which a log recognizes no commands; it has one line at least."""
        return no_commands("\n".join((*lines, "")) or "\n")  # joined once: a hundred thousand lines are large

    def _line(self, row: Row, widths: Sequence[int], indent: int) -> str:
        parts = [
            self.paint(cell.text, cell.style) + " " * (width - cell.width)
            for cell, width in zip(row, widths, strict=False)
        ]
        return (" " * indent + "  ".join(parts)).rstrip()

    def table_within(self, rows: Sequence[Row], indent: int) -> Iterator[tuple[str, bool]]:
        """Yield rows as `table` returns them, each with whether it fits the layout, or a narrower terminal.

        One that does not is without its last cell.
        """
        limit, widths = min(self.options.width or LAYOUT, LAYOUT), _widths(rows)
        for row in rows:
            whole = indent + _width_of(row, widths) <= limit
            yield self._line(row if whole else row[:-1], widths, indent), whole


def _widths(rows: Sequence[Row]) -> list[int]:
    """Return the width of each column but the last; cells wider than `WIDEST` do not count, and stick out."""
    columns = max((len(row) for row in rows), default=0)
    sizes = ({row[column].width for row in rows if column < len(row) - 1} for column in range(columns))
    return [max((size for size in column if size <= WIDEST), default=0) for column in sizes]


def _width_of(row: Row, widths: Sequence[int]) -> int:
    """Return the width of a row in its table, with the last column unpadded."""
    return sum([max(width, cell.width) + 2 for cell, width in zip(row[:-1], widths, strict=False)]) + row[-1].width


@lru_cache(maxsize=4096)
def _foreign_cell(raw: str, style: Style) -> Cell:
    """Return foreign text as a cell; the lines of a table name few people and places many times."""
    return Cell(show(raw), style)
