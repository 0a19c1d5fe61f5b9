"""The edges of a window of time as files write them: dates, and instants with an offset."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import tzinfo

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)? ?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?")


def write_edge(at: datetime, zone: tzinfo, *, last: bool) -> str:
    """Return an edge of a window as files write it: a day of `zone`, or an instant where it is no midnight.

    An end (`last`) is the last day within the window.
    """
    local = at.astimezone(zone)
    if local.time() != clock():
        return local.isoformat()
    return (local.date() - timedelta(days=1 if last else 0)).isoformat()


class BadDateError(ValueError):
    """A text that is no date; `code` is the rule it breaks."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def moment(text: str, zone: tzinfo, edge: Literal["from", "until"]) -> datetime:
    """Return the instant a date or instant means at that edge of a window; raises `BadDateError`.

    A date `from` begins at 00:00 of that day in `zone`; a date `until` ends at 24:00 of it.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            if edge == "until":
                day += timedelta(days=1)
            return datetime.combine(day, clock(), zone).astimezone(UTC)
        if match := _INSTANT.fullmatch(text):
            if match[3] is None:
                raise BadDateError(
                    "instant-without-offset",
                    f"`{text}` does not say in which time zone",
                    f"write {text}Z for UTC, or with an offset such as +01:00",
                )
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as problem:
        if isinstance(problem, BadDateError):
            raise
        hint = "leave it out for no end" if text.startswith("9999") else "write it as 2027-03-31"
        raise BadDateError("bad-date", f"`{text}` is not a valid day of the calendar", hint) from problem
    raise BadDateError("bad-date", f"`{text}` is not a valid date", "write 2027-03-31, or 2027-03-31T12:00:00+01:00")
