"""The one diagnostic of checks, guards, rules and platforms about a file or a plan, and how it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Literal, TypedDict, Unpack

from msgspec import Struct

from siteward.access.model import Key

FORMERLY: Mapping[str, str] = MappingProxyType(
    {
        "existing-account": "first-meeting",
        "out-of-scope": "outside-manages",
        "unmanaged-group": "group-beside-the-file",
        "external-gains": "outsider-gains",
    }
)
"""The former id of each rule that was renamed, by its id now; told beside the new one in every format for programs."""

_SHOWN = 10  # names that a message lists before it only counts

Effect = Literal["mail", "destroys", "creates", "moves", "gap", "irreversible", "manual", "waiting", "opens"]


class Severity(IntEnum):
    """The weight of a diagnostic; an error blocks the step it is about."""

    NOTE = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """The name people read."""
        return self.name.lower()


class Span(Struct, frozen=True, order=True, gc=False):
    """A place in a declaration: path as people know it; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Accepted(Struct, frozen=True):
    """Why the owners live with a finding, and until when, as their waiver says it."""

    reason: str
    until: str


class Diagnostic(Struct, frozen=True, kw_only=True):
    """One thing a person should know.

    `code` is the stable rule id, in kebab case, and `formerly` the one it had before, if it was renamed. `about` hangs
    it on the change of that key. `effect` is the kind of consequence that a platform announces; `count` and `who`
    belong to it (mails: to whom). `local` is true for an error of one row of the file, which keeps nobody else's access
    from being changed; `differs` for a difference between live and declared access that no step changes.
    `suggestion` is text that may replace what `at` spans; `allowed` lists what would be right there, `related` the
    other places that matter. `instance` is the instance it speaks of, if one. `thing` names what a waiver may be
    about, `facts` are what makes it this finding and no other; from them comes `seen`, its fingerprint (see
    `access.waivers`), and `waived` is what a waiver says of it.
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
    formerly: str | None = None
    local: bool = False
    differs: bool = False
    thing: str | None = None
    facts: tuple[str, ...] = ()
    seen: str | None = None
    waived: Accepted | None = None

    @property
    def blocks_all(self) -> bool:
        """True if this keeps everything on its instance from being done."""
        return self.blocks and self.about is None and not self.local

    @property
    def blocks(self) -> bool:
        """True if this keeps what it is about from being done."""
        return self.severity is Severity.ERROR


class Fields(TypedDict, total=False):
    """The optional fields of a diagnostic, beside its rule id, severity and message."""

    at: Span | None
    about: Key | None
    hint: str | None
    suggestion: str | None
    allowed: tuple[str, ...]
    related: tuple[Span, ...]
    effect: Effect | None
    count: int
    who: str | None
    instance: str | None
    local: bool
    differs: bool
    thing: str | None
    facts: tuple[str, ...]


def diagnostic(severity: Severity, code: str, message: str, **fields: Unpack[Fields]) -> Diagnostic:
    """Return a diagnostic of that severity; the former id of a renamed rule is added."""
    return Diagnostic(code=code, severity=severity, message=message, formerly=FORMERLY.get(code), **fields)


def error(code: str, message: str, **fields: Unpack[Fields]) -> Diagnostic:
    """Return an error, the severity that blocks."""
    return diagnostic(Severity.ERROR, code, message, **fields)


def warning(code: str, message: str, **fields: Unpack[Fields]) -> Diagnostic:
    """Return a warning: something a reviewer should look at."""
    return diagnostic(Severity.WARNING, code, message, **fields)


def note(code: str, message: str, **fields: Unpack[Fields]) -> Diagnostic:
    """Return a note: a fact worth a line."""
    return diagnostic(Severity.NOTE, code, message, **fields)


def problem(  # noqa: PLR0913 — one keyword for each thing a complaint about a file can say
    code: str,
    message: str,
    at: Span | None,
    *,
    hint: str | None = None,
    allowed: Sequence[str] = (),
    word: str | None = None,
    known: Iterable[str] = (),
    related: tuple[Span, ...] = (),
    instance: str | None = None,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    """Return a diagnostic about a file; where `word` is near to one of `known` (or `allowed`), that is suggested."""
    meant = near(word, known or allowed) if word is not None else None
    return diagnostic(
        severity,
        code,
        message,
        at=at,
        hint=hint,
        allowed=tuple(allowed),
        related=related,
        suggestion=meant if meant != word else None,
        instance=instance,
    )


def plural(count: int, singular: str, several: str = "") -> str:
    """Return a number with its noun (``1 grant``, ``2 grants``); `several` is the plural where it is no mere `s`."""
    return f"{count} {singular if count == 1 else several or singular + 's'}"


def round_time(seconds: float) -> str:
    """Return a length of time as people tell it: `40 s`, `12 min` from two minutes on, `3 h` from two hours on."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h"


def join_some(names: Sequence[str]) -> str:
    """Return the first few names, and the number of the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the one of the known words that was likely meant, or `None` if none comes close."""
    import difflib  # noqa: PLC0415 — nobody needs it while all is well

    by_fold = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None
