"""The line, the caret under it, and what would be right there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.render.safe import cells, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span

TAB = 4
CONTEXT = 1


class Excerpt(Struct, frozen=True):
    """A piece of a file: numbered lines, and the columns (counted in terminal cells, from 0) to underline."""

    lines: tuple[tuple[int, str], ...]
    start: int
    length: int


def excerpt(at: Span, texts: Mapping[str, Sequence[str]]) -> Excerpt | None:
    """Return the line that `at` speaks of with the one before it, or `None` if the text is not at hand."""
    lines = texts.get(at.file, ())
    if not 1 <= at.line <= len(lines):
        return None
    line = lines[at.line - 1].rstrip("\r\n")
    first = max(1, at.line - CONTEXT)
    shown = tuple((number, _visible(lines[number - 1].rstrip("\r\n"))) for number in range(first, at.line + 1))
    start = cells(_visible(line[: at.column - 1]))
    return Excerpt(shown, start, max(1, cells(_visible(line[at.column - 1 : _end(at, line)]))))


def _end(at: Span, line: str) -> int:
    """Return the exclusive end of what is meant, on the first line of the span."""
    if at.end_line == at.line and at.end_column > at.column:
        return at.end_column - 1
    return len(line.rstrip()) if at.end_line > at.line else at.column


def _visible(text: str) -> str:
    """Return a line with tabs as spaces and the invisible written out, so that what follows can be aligned."""
    return (" " * TAB).join(show(part) for part in text.split("\t"))


def advice(said: Diagnostic, digest: str = "") -> tuple[str, ...]:
    """Return what would help: the likely meaning, what is allowed, the hint; each a phrase of its own.

    A hint may speak of `<digest>`: a guard cannot know the digest of the plan that it becomes part of.
    """
    guess = f'did you mean "{said.suggestion}"?' if said.suggestion else ""
    allowed = f"allowed: {', '.join(said.allowed)}" if said.allowed else ""
    hint = (said.hint or "").replace("<digest>", digest) if digest else said.hint or ""
    return tuple(each for each in (guess, allowed, hint) if each)
