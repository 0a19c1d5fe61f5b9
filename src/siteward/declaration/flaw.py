"""What a YAML parser stumbles over, said in words that name the next step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml.error import MarkedYAMLError, YAMLError

from siteward.access.diagnostic import Diagnostic, Severity, Span

if TYPE_CHECKING:
    from yaml.error import Mark

_STRAY = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_UNPRINTABLE = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # the same among ASCII, which is what most files are
_RESERVED = {"*": "an alias", "!": "a tag", "&": "an anchor", "@": "reserved", "`": "reserved", "%": "a directive"}


class YamlFlaw(Exception):  # noqa: N818 — it carries the diagnostic to the reader and is seen by nobody else
    """The file cannot be read any further."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def flawed(code: str, message: str, at: Span, *, hint: str | None = None) -> Diagnostic:
    """Return an error about a place in a file."""
    return Diagnostic(code=code, severity=Severity.ERROR, message=message, at=at, hint=hint)


def stray_character(file: str, text: str) -> Diagnostic | None:
    """Return what is wrong with the first character that YAML texts must not hold, if there is one.

    Besides control characters these are the byte order mark and the three line separators that YAML 1.1 and
    1.2 count differently, so that every reader sees the same lines.
    """
    if text.startswith("\ufeff"):
        return flawed(
            "byte-order-mark",
            "the file begins with a byte order mark",
            Span(file, 1, 1),
            hint="save it as UTF-8 without BOM",
        )
    found = re.search(_UNPRINTABLE if text.isascii() else _STRAY, text)
    if found is None:
        return None
    before = text[: found.start()]
    lines = re.split(r"\r\n|\n|\r", before)
    return flawed(
        "bad-character",
        f"the character U+{ord(found.group()):04X} cannot stand in a YAML file",
        Span(file, len(lines), len(lines[-1]) + 1),
        hint=r'remove it, or write it as an escape in double quotes: "\x1b"',
    )


def of_error(file: str, text: str, problem: YAMLError) -> Diagnostic:
    """Return what a parser's exception means, in our words and at our place."""
    if not isinstance(problem, MarkedYAMLError):
        return flawed("yaml", f"not YAML: {problem}", Span(file, 1, 1))
    mark: Mark | None = problem.problem_mark or problem.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    at = Span(file, line + 1, column + 1)
    lines = re.split(r"\r\n|\n|\r", text)
    here = lines[line] if line < len(lines) else ""
    if re.match(r" *\t", here):
        return flawed(
            "tab",
            "a tab where YAML wants spaces",
            Span(file, line + 1, here.index("\t") + 1),
            hint="indent with spaces",
        )
    if (quoted := _to_quote(file, problem, lines)) is not None:
        return quoted
    message = (problem.problem or "cannot be read").replace(
        "found character that cannot start any token", "a character that cannot begin a value"
    )
    if problem.context and problem.context_mark and problem.context_mark.line != line:
        message = f"{message} ({problem.context} that begins on line {problem.context_mark.line + 1})"
    hint = None
    if "mapping values are not allowed" in message:
        message, hint = "a second `: ` in one line", "quote the value, or begin a new line"
    return flawed("yaml", f"not YAML: {message}", at, hint=hint)


def _to_quote(file: str, problem: MarkedYAMLError, lines: list[str]) -> Diagnostic | None:
    """Return the advice to quote, where a value begins with a character that YAML keeps for itself."""
    for mark in (problem.context_mark, problem.problem_mark):
        if mark is None or mark.line >= len(lines):
            continue
        rest = lines[mark.line][mark.column :]
        if rest[:1] in _RESERVED:
            word = re.match(r"[^\s,\]}]*", rest)
            text = word.group() if word else rest[:1]
            return Diagnostic(
                code="unquoted",
                severity=Severity.ERROR,
                message=f"`{text}` without quotes is {_RESERVED[rest[0]]} to YAML",
                at=Span(file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1 + len(text)),
                hint=f'quote it: "{text}"',
                suggestion=f'"{text}"',
            )
    return None
