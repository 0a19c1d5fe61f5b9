"""The moment by which all that is waited for has ended.

A verb that reads has such a moment from its begin; a signal draws it near for an apply, which ends what is in flight.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE = 0.25
"""The longest wait, in seconds, before the deadline is looked at again: a signal may have drawn it near.

It also bounds how late a signal is heard. Python hears one between its own steps, and a wait for a lock that has just
begun, or that another thread's signal does not break, goes on to its end.
"""


class Deadline:
    """The moment by which requests, pauses and questions to a database have ended; it is only ever drawn nearer.

    Without `seconds` there is none. Safe to use from several threads, and `draw_near` also from a signal handler.
    """

    def __init__(self, seconds: float = math.inf, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left; negative ones are over."""
        return self._at - self._clock()

    def draw_near(self, seconds: float) -> None:
        """Let everything end within `seconds` from now, if it would not end earlier."""
        self._at = min(self._at, self._clock() + seconds)

    def sleep(self, seconds: float) -> None:
        """Pause for `seconds`, or until the deadline."""
        until = self._clock() + seconds
        while (rest := min(until - self._clock(), self.left())) > 0:
            time.sleep(min(SLICE, rest))
