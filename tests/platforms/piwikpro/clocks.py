"""A clock that goes forward only when somebody sleeps by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FastClock:
    """Call it for the time; `sleep` moves it. Client and stand-in share one, so a minute takes no time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        self.slept = 0.0

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.slept += seconds
