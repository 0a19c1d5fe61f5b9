"""Faults of a YAML text in our words: characters that no file may hold, and the parser's exceptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml.error import MarkedYAMLError

from siteward.access.diagnostic import Diagnostic, Span, error
from siteward.declaration.source import split_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yaml.error import Mark, YAMLError

_STRAY = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_PRINTABLE = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_RESERVED = {"*": "an alias", "!": "a tag", "&": "an anchor", "@": "reserved", "`": "reserved", "%": "a directive"}


class YamlSyntaxError(Exception):
    """A fault after which a file cannot be read any further."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def find_stray_character(file: str, text: str) -> Diagnostic | None:
    """Return an error about the first character that YAML texts must not hold, if there is one.

    Besides control characters these are the byte order mark and the three line separators that YAML 1.1 and
    1.2 count differently, so that every reader sees the same lines.
    """
    if text.startswith("\ufeff"):
        return error(
            "byte-order-mark",
            "the file begins with a byte order mark",
            at=Span(file, 1, 1),
            hint="save it as UTF-8 without BOM",
        )
    if text.isascii() and not text.encode().translate(None, _PRINTABLE):  # as most files, and far faster
        return None
    stray = re.search(_STRAY, text)
    if stray is None:
        return None
    before = text[: stray.start()]
    lines = split_lines(before)
    return error(
        "bad-character",
        f"the character U+{ord(stray.group()):04X} cannot stand in a YAML file",
        at=Span(file, len(lines), len(lines[-1]) + 1),
        hint=r'remove it, or write it as an escape in double quotes: "\x1b"',
    )


def explain(file: str, text: str, problem: YAMLError) -> Diagnostic:
    """Return a parser's exception as a diagnostic, in our words and with a place counted from 1."""
    if not isinstance(problem, MarkedYAMLError):
        return error("yaml", f"not YAML: {problem}", at=Span(file, 1, 1))
    mark: Mark | None = problem.problem_mark or problem.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    at = Span(file, line + 1, column + 1)
    lines = split_lines(text)
    shown = lines[line] if line < len(lines) else ""
    if re.match(r" *\t", shown):
        return error(
            "tab",
            "a tab where YAML wants spaces",
            at=Span(file, line + 1, shown.index("\t") + 1),
            hint="indent with spaces",
        )
    if (quoted := _advise_quotes(file, problem, lines)) is not None:
        return quoted
    message = (problem.problem or "cannot be read").replace(
        "found character that cannot start any token", "a character that cannot begin a value"
    )
    if problem.context and problem.context_mark and problem.context_mark.line != line:
        message = f"{message} ({problem.context} that begins on line {problem.context_mark.line + 1})"
    hint = None
    if "mapping values are not allowed" in message:
        message, hint = "a second `: ` in one line", "quote the value, or begin a new line"
    return error("yaml", f"not YAML: {message}", at=at, hint=hint)


def _advise_quotes(file: str, problem: MarkedYAMLError, lines: Sequence[str]) -> Diagnostic | None:
    """Return the advice to quote, where a value begins with a character that YAML keeps for itself."""
    for mark in (problem.context_mark, problem.problem_mark):
        if mark is None or mark.line >= len(lines):
            continue
        rest = lines[mark.line][mark.column :]
        if rest[:1] in _RESERVED:
            word = re.match(r"[^\s,\]}]*", rest)
            text = word.group() if word else rest[:1]
            return error(
                "unquoted",
                f"`{text}` without quotes is {_RESERVED[rest[0]]} to YAML",
                at=Span(file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1 + len(text)),
                hint=f'quote it: "{text}"',
                suggestion=f'"{text}"',
            )
    return None
