"""Work in other threads, and waits for them that a deadline or a signal ends.

What Python needs for that is imported where it is used: a plan of one instance from recorded answers needs none of it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from siteward.transport.deadline import SLICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor, Future

T = TypeVar("T")
R = TypeVar("R")


def in_time(call: Callable[[], T], left: Callable[[], float], *, drop: Callable[[T], object] = lambda _: None) -> T:
    """Return what `call` returns, or raise what it raises; raises `TimeoutError` once nothing is `left` for it.

    It runs in a thread of its own, which nobody waits for at the end of the process. `drop` takes what comes too late.
    """
    from concurrent.futures import Future, wait  # noqa: PLC0415 — see above

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
    from concurrent.futures import wait  # noqa: PLC0415 — see above

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
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 — see above

    pool = ThreadPoolExecutor(len(items), thread_name_prefix="parallel")
    try:
        return map_in(pool, function, items)
    finally:
        pool.shutdown(wait=to_the_end, cancel_futures=True)
