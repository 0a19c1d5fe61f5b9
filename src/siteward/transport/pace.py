"""The pace of requests: limits that a platform declares, and pauses that a server asks for."""

from __future__ import annotations

import threading
import time
from collections import deque
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Rate(Struct, frozen=True):
    """At most `calls` requests in any `seconds`."""

    calls: int
    seconds: float


def duration(rates: Sequence[Rate], calls: int) -> float:
    """Return the seconds that `calls` requests take at least under `rates`, begun with nothing used up."""
    return max((max(0, calls - 1) // rate.calls * rate.seconds for rate in rates), default=0.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks us to wait, or `None` where it does not say so in a form that is known.

    `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3). A date is measured against the
    server's own `Date`, so that neither our clock nor its difference from theirs matters.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        until, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


class Pace:
    """Keeps requests of many threads within several rates, and behind pauses.

    Each request gets its moment when it asks; moments never run backwards, so a window holds exactly when the
    request `calls` places earlier is `seconds` old. `waited` is the total of all pauses, in seconds; `waiting`
    hears of each when it begins.
    """

    def __init__(
        self,
        rates: Sequence[Rate] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        waiting: Callable[[float, str], None] | None = None,
    ) -> None:
        self._windows = [(rate.seconds, deque[float](maxlen=rate.calls)) for rate in rates]
        self._clock = clock
        self._sleep = sleep
        self._waiting = waiting
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._reason = ""
        self.waited = 0.0

    def take(self) -> None:
        """Return when the next request may go out."""
        with self._lock:
            now = self._clock()
            limit = max((self._free(*window) for window in self._windows), default=0.0)
            moment = max(now, self._not_before, limit)
            for _, window in self._windows:
                window.append(moment)
            reason = self._reason if self._not_before > limit else "rate limit"
            self.waited += moment - now
        if moment > now:
            if self._waiting:
                self._waiting(moment - now, reason)
            self._sleep(moment - now)

    def hold(self, seconds: float, reason: str) -> None:
        """Let no further request of any thread out for that long, and say why to those who wait."""
        with self._lock:
            until = self._clock() + seconds
            if until > self._not_before:
                self._not_before, self._reason = until, reason

    @staticmethod
    def _free(seconds: float, window: deque[float]) -> float:
        return window[0] + seconds if len(window) == window.maxlen else 0.0
