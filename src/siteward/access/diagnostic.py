"""The one diagnostic: what a check, guard, rule or platform says about a file or a plan."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from msgspec import Struct

from siteward.access.model import Key

Effect = Literal["mail", "destroys", "creates", "moves", "gap", "irreversible", "manual", "waiting", "opens"]


class Severity(IntEnum):
    """How much a diagnostic weighs; an error blocks the step it is about."""

    NOTE = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """The name people read."""
        return self.name.lower()


class Span(Struct, frozen=True, order=True):
    """A place in a declaration: path as people know it; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Diagnostic(Struct, frozen=True, kw_only=True):
    """One thing a person should know.

    `code` is the stable rule id, in kebab case. `about` hangs it on the change of that key. `effect` says
    what kind of consequence a platform announces; `count` and `who` belong to it (mails: to whom).
    `suggestion` is text that may replace what `at` spans; `allowed` lists what would be right there.
    `instance` is the instance it speaks of, if one.
    """

    code: str
    severity: Severity
    message: str
    at: Span | None = None
    about: Key | None = None
    hint: str | None = None
    suggestion: str | None = None
    allowed: tuple[str, ...] = ()
    related: tuple[Span, ...] = ()
    effect: Effect | None = None
    count: int = 1
    who: str | None = None
    instance: str | None = None

    @property
    def blocks(self) -> bool:
        """Tell whether this keeps what it is about from being done."""
        return self.severity is Severity.ERROR


def error(
    code: str, message: str, *, about: Key | None = None, at: Span | None = None, hint: str | None = None
) -> Diagnostic:
    """Return an error, the severity that blocks."""
    return Diagnostic(code=code, severity=Severity.ERROR, message=message, about=about, at=at, hint=hint)


def warning(
    code: str, message: str, *, about: Key | None = None, at: Span | None = None, hint: str | None = None
) -> Diagnostic:
    """Return a warning: something a reviewer should look at."""
    return Diagnostic(code=code, severity=Severity.WARNING, message=message, about=about, at=at, hint=hint)


def note(
    code: str, message: str, *, about: Key | None = None, at: Span | None = None, hint: str | None = None
) -> Diagnostic:
    """Return a note: a fact worth a line."""
    return Diagnostic(code=code, severity=Severity.NOTE, message=message, about=about, at=at, hint=hint)
