"""How anything wrong with the files is said: where it is, what may stand there, and what was likely meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siteward.access.diagnostic import Span


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the one of the known words that was likely meant, if any comes close."""
    import difflib  # noqa: PLC0415 — nobody needs it while all is well

    by_fold = {word.casefold(): word for word in known}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def problem(  # noqa: PLR0913 — one keyword for each thing a diagnostic can say
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
    """Return a diagnostic; where `word` is near to one of the `known` (or `allowed`) words, that is suggested."""
    meant = near(word, known or allowed) if word is not None else None
    return Diagnostic(
        code=code,
        severity=severity,
        message=message,
        at=at,
        hint=hint,
        allowed=tuple(allowed),
        related=related,
        suggestion=meant if meant != word else None,
        instance=instance,
    )
