"""The time that is given to a write whose answer was lost: how long its effect is looked for, and how often.

A server may still be at work behind a gateway that has given up, or behind our own time-out. So
what such a write was to change is read again until it shows, or until nothing has changed for long enough. That is two
minutes, or three times the slowest answer of this run, and never more than ten minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SHORTEST, LONGEST = 120.0, 600.0
"""The seconds without a change after which reading ends, at least, and those after which it ends in any case."""
MOST_REPEATS = 4
"""How often one command that may be repeated is sent again."""
_SLOWEST_TIMES = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_SLICE = 0.5


class _Look(Struct, Generic[T], frozen=True):
    """What one reading showed, or why it showed nothing."""

    value: T | None = None
    problem: PlatformError | None = None

    def equals(self, other: _Look[T]) -> bool:
        """Return whether two readings showed the same; one that could not be read shows no change."""
        return self.problem is not None or other.problem is not None or self.value == other.value


class Patience:
    """Reads on after a lost answer; one for each writer, because it remembers how this run goes.

    `slowest` tells the seconds of the slowest answer so far, `waiting` hears of every pause. While `is_cancelled` says so,
    nothing is waited for. Where ten minutes in a row were waited in vain, later answers are looked for only twice, until
    one of them shows: the server does not carry out what it is sent.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        slowest: Callable[[], float] = lambda: 0.0,
        waiting: Callable[[float, str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._slowest = slowest
        self._waiting = waiting
        self._unseen = 0.0
        self._in_vain = 0.0
        self.is_cancelled: Callable[[], bool] = lambda: False

    def watch(
        self, look: Callable[[], T], is_done: Callable[[T], bool], *, again: Callable[[], bool] | None, reason: str
    ) -> T:
        """Read with `look` until the state `is_done`, or has not changed for long enough; return what was read last.

        `again` sends the command again, once two readings in a row were equal; it returns whether that was answered, and
        then one more reading is the last. `None` stands for a command that must not be repeated. `reason` is told to those
        who wait. Raises what the last reading raised.
        """
        begun = changed = self._now()
        limit = self._limit()
        pause, repeats = _FIRST_PAUSE, 0
        before = _read(look)
        while not _is_reached(before, is_done) and not self.is_cancelled():
            if self._now() - changed >= limit or self._now() - begun >= LONGEST:
                self._in_vain += self._now() - begun
                break
            self._pause(min(pause, max(_FIRST_PAUSE, limit - (self._now() - changed))), reason)
            pause = min(2 * pause, _LONGEST_PAUSE)
            now = _read(look)
            changed = changed if now.equals(before) else self._now()
            is_same = now.problem is None and before.problem is None and now.value == before.value
            before = now
            if again is None or not is_same or _is_reached(now, is_done) or repeats == MOST_REPEATS:
                continue
            if self.is_cancelled():
                break
            repeats += 1
            answered, changed = again(), self._now()
            if answered:
                before = _read(look)
                break
        return self._result(before, is_done)

    def pause(self, number: int, reason: str) -> bool:
        """Wait before another try at something that no reading shows; return whether there is one, of `number` so far."""
        if number >= MOST_REPEATS or self.is_cancelled():
            return False
        self._pause(_FIRST_PAUSE * 2.0**number, reason)
        return not self.is_cancelled()

    def _limit(self) -> float:
        if self._in_vain >= LONGEST:
            return _FIRST_PAUSE
        return min(LONGEST, max(SHORTEST, _SLOWEST_TIMES * self._slowest()))

    def _result(self, last: _Look[T], is_done: Callable[[T], bool]) -> T:
        if _is_reached(last, is_done):
            self._in_vain = 0.0
        if last.problem is not None:
            raise last.problem
        return last.value  # type: ignore[return-value]  # there is a problem or a value

    def _now(self) -> float:
        """Return the time by the clock, with the pauses that it did not show."""
        return self._clock() + self._unseen

    def _pause(self, seconds: float, reason: str) -> None:
        """Wait, in small parts so that a cancellation ends it at once."""
        if self._waiting:
            self._waiting(seconds, reason)
        begun, left = self._clock(), seconds
        while left > 0 and not self.is_cancelled():
            self._sleep(min(_SLICE, left))
            left -= _SLICE
        self._unseen += max(0.0, seconds - max(0.0, left) - (self._clock() - begun))


def _read(look: Callable[[], T]) -> _Look[T]:
    try:
        return _Look(look())
    except PlatformError as problem:
        return _Look(problem=problem)


def _is_reached(look: _Look[T], is_done: Callable[[T], bool]) -> bool:
    return look.problem is None and is_done(look.value)  # type: ignore[arg-type]  # there is a problem or a value
