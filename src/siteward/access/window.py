"""Windows of time, and the times that several of them cover."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct


class Window(Struct, frozen=True):
    """A time from `start` (inclusive) to `end` (exclusive), instants in UTC; `None` is open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Return whether `at` lies within the window."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def meet(self, other: Window) -> Window:
        """Return the intersection, which may be empty."""
        if other is ALWAYS:
            return self
        if self is ALWAYS:
            return other
        starts = [start for start in (self.start, other.start) if start is not None]
        ends = [end for end in (self.end, other.end) if end is not None]
        return Window(max(starts, default=None), min(ends, default=None))

    @property
    def empty(self) -> bool:
        """True if no instant lies within the window."""
        return self.start is not None and self.end is not None and self.end <= self.start


ALWAYS = Window()


def last_end(windows: Iterable[Window], at: datetime) -> datetime | None:
    """Return the end of the time after `at` that the windows cover without a gap; `None` where it never ends."""
    end = at
    for window in sorted(windows, key=lambda window: (window.start is not None, window.start or at)):
        if window.start is not None and window.start > end:
            break
        if window.end is None:
            return None
        end = max(end, window.end)
    return end


def stretch(windows: Iterable[Window], at: datetime) -> Window | None:
    """Return the first time from `at` on that the windows cover without a gap; `None` where all are over."""
    left = [window for window in windows if not window.empty and (window.end is None or window.end > at)]
    if not left:
        return None
    start = max(at, min(window.start or at for window in left))
    return Window(start, last_end(left, start))
