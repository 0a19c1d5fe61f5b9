"""The moment by which all that is waited for has ended, and waits for other threads that a deadline or a signal ends.

A verb that reads has such a moment from its begin; a signal draws it near for an apply, which ends what is in flight.
"""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
R = TypeVar("R")

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


def in_time(call: Callable[[], T], left: Callable[[], float], *, drop: Callable[[T], object] = lambda _: None) -> T:
    """Return what `call` returns, or raise what it raises; raises `TimeoutError` once nothing is `left` for it.

    It runs in a thread of its own, which nobody waits for at the end of the process. `drop` takes what comes too late.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as problem:  # noqa: BLE001 — it is raised in the thread that waits
            future.set_exception(problem)

    threading.Thread(target=run, name="in-time", daemon=True).start()
    while not wait([future], timeout=max(0.0, min(SLICE, left()))).done:
        if left() <= 0:
            future.add_done_callback(lambda late: None if late.exception() else drop(late.result()))
            raise TimeoutError
    return future.result()


def map_in(pool: Executor, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what `function` returns for each of `items`, called in the threads of `pool`, in the order of the items.

    The first failure is raised, and what has not begun is dropped; so it is where a signal ends the wait.
    """
    futures = [pool.submit(function, item) for item in items]
    try:
        return [_result_of(future) for future in futures]
    finally:
        for future in futures:
            future.cancel()


def _result_of(future: Future[T]) -> T:
    while not future.done():
        wait([future], timeout=SLICE)
    return future.result()


def in_parallel(function: Callable[[T], R], items: Sequence[T], *, to_the_end: bool = False) -> list[R]:
    """Return what `function` returns for each of `items`, in their order; raises what the first that failed raised.

    Each has a thread of its own, because each waits for a server of its own; one alone is worked on in this thread. An
    interruption waits for none of them or, `to_the_end`, for all: those that write know of it from elsewhere, and what they
    journal is not taken from under them.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(len(items), thread_name_prefix="parallel")
    try:
        return map_in(pool, function, items)
    finally:
        pool.shutdown(wait=to_the_end, cancel_futures=True)
