"""A clock that goes forward only when somebody sleeps by it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class FastClock:
    """Call it for the time; `sleep` moves it. Client and stand-in share one, so a minute takes no time."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        """Return the same time as the client counts it."""
        return (self.now - BEGINNING).total_seconds()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += timedelta(seconds=seconds)
