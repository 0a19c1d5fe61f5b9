"""Pace: any window of any declared rate holds, whatever the threads do."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from siteward.transport.pace import Pace, Rate, duration, retry_after
from transport.servers import Clock

rates = st.lists(st.builds(Rate, st.integers(1, 5), st.floats(0.5, 20)), max_size=3)


@given(rates, st.lists(st.floats(0, 5), max_size=40))
def test_no_window_ever_holds_more_than_it_may(limits: list[Rate], gaps: list[float]) -> None:
    """However requests arrive, any `calls + 1` of them are at least `seconds` apart."""
    clock = Clock()
    pace = Pace(limits, clock=clock, sleep=clock.sleep)
    moments = []
    for gap in gaps:
        clock.now += gap
        pace.take()
        moments.append(clock.now)
    for rate in limits:
        for first, later in zip(moments, moments[rate.calls :], strict=False):
            assert later - first >= rate.seconds - 1e-6


@given(rates, st.integers(0, 30))
def test_the_time_that_a_plan_shows_is_the_time_it_takes(limits: list[Rate], calls: int) -> None:
    """`duration` is what a single thread waits, or less where windows lie across each other."""
    clock = Clock()
    pace = Pace(limits, clock=clock, sleep=clock.sleep)
    begun = clock.now
    for _ in range(calls):
        pace.take()
    assert clock.now - begun >= duration(limits, calls) - 1e-6
    if len(limits) == 1:
        assert clock.now - begun <= duration(limits, calls) + 1e-6


def test_a_pause_holds_for_everybody_and_says_why() -> None:
    """What the server told one thread, all threads keep."""
    clock, told = Clock(), []
    pace = Pace(clock=clock, sleep=clock.sleep, waiting=lambda seconds, why: told.append((seconds, why)))
    pace.hold(4, "the server answered 429")
    pace.hold(2, "something shorter")
    pace.take()
    pace.take()
    assert told == [(4.0, "the server answered 429")]
    assert pace.waited == 4.0


def test_threads_share_the_limits() -> None:
    """Forty requests of eight threads get forty different moments of one window."""
    pauses: list[float] = []
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            pauses.append(round(seconds, 6))

    pace = Pace([Rate(1, 1)], clock=lambda: 0.0, sleep=sleep)

    def work() -> None:
        for _ in range(5):
            pace.take()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(pauses) == [float(number) for number in range(1, 40)]


def test_retry_after_knows_both_forms_and_nothing_else() -> None:
    """Seconds, a date against the server's own, and None for anything that is neither."""
    day = "Sun, 22 Nov 2026 03:00:00 GMT"
    assert retry_after({"retry-after": "120"}) == 120
    assert retry_after({"retry-after": "Sun, 22 Nov 2026 03:01:30 GMT", "date": day}) == 90
    assert retry_after({"retry-after": "Sun, 22 Nov 2026 02:00:00 GMT", "date": day}) == 0
    for text in ("", "-5", "soon", "١٢", "1e3"):
        assert retry_after({"retry-after": text, "date": day}) is None
