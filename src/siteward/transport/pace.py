"""The pace of requests: rate limits that a platform declares, and pauses that a server asks for."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Rate(Struct, frozen=True):
    """A rate limit: at most `calls` requests in any period of `seconds`."""

    calls: int
    seconds: float


def duration(rates: Sequence[Rate], calls: int) -> float:
    """Return the least number of seconds that `calls` requests take under `rates`, if none went out before."""
    return max((max(0, calls - 1) // rate.calls * rate.seconds for rate in rates), default=0.0)


class Speed(Struct, frozen=True, kw_only=True):
    """How fast a server has answered so far: the measure by which the time of what is still to be sent is told.

    `requests` were sent in `seconds`, logins included and what was made of the answers, and an answer usually took `answer`
    seconds: the median, so that neither the first connection nor one long listing counts for all. `workers` requests may travel at once. `rates`
    bound all requests, `command_rates` those that count as writes. Without a measure all are zero or empty.
    """

    requests: int = 0
    seconds: float = 0.0
    answer: float = 0.0
    workers: int = 8
    rates: tuple[Rate, ...] = ()
    command_rates: tuple[Rate, ...] = ()

    def least(self, requests: int, commands: int) -> float:
        """Return the least number of seconds that the rates let so many more requests take, `commands` of them writes."""
        before = duration(self.rates, self.requests)
        return max(duration(self.rates, self.requests + requests) - before, duration(self.command_rates, commands))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, or `None` without a valid `Retry-After`.

    `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3). A date is measured against the
    server's own `Date`, so that a difference between the two clocks does not matter.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 — few servers ask for a pause, and fewer name its end

    try:
        until, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


class Pace:
    """A pace that requests of many threads share: it delays them to stay within several rates, and behind pauses.

    Each request is given its moment when it asks for one. Moments never run backwards, so a rate is kept exactly when
    the request `calls` places earlier is `seconds` old. `waited` is the total of all pauses, in seconds; `waiting` is
    called when one begins, with its seconds and the reason.
    """

    def __init__(
        self,
        rates: Sequence[Rate] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        waiting: Callable[[float, str], None] | None = None,
    ) -> None:
        self.rates = tuple(rates)
        self._windows = [(rate.seconds, deque[float](maxlen=rate.calls)) for rate in rates]
        self._clock = clock
        self._sleep = sleep
        self._waiting = waiting
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._reason = ""
        self.waited = 0.0

    def take(self) -> None:
        """Block until the next request may go out."""
        with self._lock:
            now = self._clock()
            limit = max((self._opens_at(*window) for window in self._windows), default=0.0)
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
        """Hold back all further requests of all threads for `seconds`; `reason` is given to `waiting`."""
        with self._lock:
            until = self._clock() + seconds
            if until > self._not_before:
                self._not_before, self._reason = until, reason

    @staticmethod
    def _opens_at(seconds: float, window: deque[float]) -> float:
        """Return the moment at which a full window lets the next request through; 0 for one that is not full."""
        return window[0] + seconds if len(window) == window.maxlen else 0.0
