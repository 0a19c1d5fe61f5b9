"""Makes foreign text safe to show: characters that are invisible or would control a terminal or a log are written out.

Every renderer sends foreign text through `show` before it applies the escapes of its own format. Excerpts of files and
the advice of diagnostics are made here too, since several formats share them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span


_INVISIBLE = (
    "\x00-\x1f\x7f-\xa0\xad"  # C0, C1, no-break space, soft hyphen
    "\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f"  # spaces, zero-width, bidi marks, separators
    "\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"  # surrogates and private use: no agreed picture
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]+")
_STEERING = re.compile(r"#(?=\[|vso\[)", re.IGNORECASE)
# GitHub's runner looks for "::" behind any blanks; colour goes through it unseen.
_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*)::", re.MULTILINE)


def show(text: str) -> str:
    r"""Return `text` with invisible and controlling characters as visible escapes (`\\x1b`, `\\u202e`).

    The result is one line, valid in UTF-8, and different for different texts.
    """
    if text.isascii() and text.isprintable() and "\\" not in text and "##" not in text:
        return text  # as nearly every text, so that most runs need not compile the pattern
    return _unsafe().sub(lambda found: "".join(map(_write_out, found.group())), text)


@cache
def _unsafe() -> re.Pattern[str]:
    """Return the pattern of what must be escaped.

    A backslash is doubled where it would read as one of our own escapes, so that two names never look alike; the
    runners of GitHub Actions and Azure take "##[" and "##vso[" for a command wherever it stands in a line.
    """
    return re.compile(rf"\\(?=[xuU\\{_INVISIBLE}])|[{_INVISIBLE}]|##(?=\[|[vV][sS][oO]\[)")


def as_json(document: object, indent: int) -> str:
    """Return plain data as JSON in ASCII, ending with a line break; a name in it steers no log, and is read as it was."""
    import json  # noqa: PLC0415 — text for people has no use for it

    return _STEERING.sub(r"\\u0023", json.dumps(document, indent=indent)) + "\n"


def in_ascii(written: bytes) -> str:
    """Return JSON, or a piece of it that ends outside of a text, in ASCII as `as_json` has it."""
    text = written.decode()
    if not text.isascii() or "\x7f" in text:
        text = _BEYOND_ASCII.sub(lambda found: "".join(map(_escape_for_json, found.group())), text)
    return _STEERING.sub(r"\\u0023", text)


def _escape_for_json(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def no_commands(text: str) -> str:
    """Return finished text in which the log of GitHub Actions takes no line for a command."""
    if "::" not in text:
        return text  # as most, so that not each line of many is looked at
    return _COMMAND.sub(r"\1\\x3a:", text)


def _write_out(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return r"\\"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def cells(text: str) -> int:
    """Return the width of `text` in terminal columns (wide characters take two, combining ones none)."""
    return len(text) if text.isascii() else _wide_cells(text)


@lru_cache(maxsize=1024)
def _wide_cells(text: str) -> int:
    """Return the width of a text with other characters than those of ASCII, which many lines have in common."""
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


TAB = 4
CONTEXT = 1


class Excerpt(Struct, frozen=True):
    """Numbered lines of a file, and the columns to underline, in terminal cells from 0."""

    lines: tuple[tuple[int, str], ...]
    start: int
    length: int


def excerpt(at: Span, texts: Mapping[str, Sequence[str]]) -> Excerpt | None:
    """Return the line of `at` with the one before it, or `None` if the text of its file is not in `texts`."""
    lines = texts.get(at.file, ())
    if not 1 <= at.line <= len(lines):
        return None
    line = lines[at.line - 1].rstrip("\r\n")
    first = max(1, at.line - CONTEXT)
    shown = tuple((number, _expand(lines[number - 1].rstrip("\r\n"))) for number in range(first, at.line + 1))
    start = cells(_expand(line[: at.column - 1]))
    return Excerpt(shown, start, max(1, cells(_expand(line[at.column - 1 : _end_column(at, line)]))))


def _end_column(at: Span, line: str) -> int:
    """Return the exclusive end of the span on its first line."""
    if at.end_line == at.line and at.end_column > at.column:
        return at.end_column - 1
    return len(line.rstrip()) if at.end_line > at.line else at.column


def _expand(text: str) -> str:
    """Return a line with tabs as spaces and invisible characters written out, so that underlines can be aligned."""
    return (" " * TAB).join(map(show, text.split("\t")))


def _quote(suggestion: str) -> str:
    """Return a suggestion in quotes; one that is quoted already, as YAML needs it, stays as it is."""
    return suggestion if suggestion[:1] in {'"', "'"} else f'"{suggestion}"'


def advice(said: Diagnostic, digest: str = "") -> tuple[str, ...]:
    """Return the advice of a diagnostic as phrases: a suggestion, the allowed values, the hint with the digest."""
    guess = f"did you mean {_quote(said.suggestion)}?" if said.suggestion else ""
    allowed = f"allowed: {', '.join(said.allowed)}" if said.allowed else ""
    return tuple(filter(None, (guess, allowed, name_digest(said.hint or "", digest))))


def name_digest(hint: str, digest: str) -> str:
    """Return a hint with the digest of the plan: a guard cannot know that of the plan it becomes part of."""
    return hint.replace("<digest>", digest) if digest else hint
