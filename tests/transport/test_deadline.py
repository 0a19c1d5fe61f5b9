"""One deadline for a request, whatever the server does with its time: head and body by the byte, and no end of 1xx."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest

from siteward.transport import deadline as deadlines
from siteward.transport.deadline import Deadline
from siteward.transport.errors import OutcomeUnknownError, OutOfTimeError, UnreachableError
from siteward.transport.http import Link, open_doors
from siteward.transport.network import Bounds, network_transport
from siteward.transport.threads import in_time, map_in
from transport.servers import READS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
DRIP = (b"a" for _ in itertools.count())
SLOW: dict[str, Callable[[], Iterable[bytes]]] = {
    "nothing": lambda: iter(lambda: b"", None),
    "head": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX-Slow: "], DRIP),
    "body": lambda: itertools.chain([HEAD], DRIP),
    "1xx": lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@contextlib.contextmanager
def serving(pieces: Callable[[], Iterable[bytes]], pause: float) -> Iterator[str]:
    """Answer every request with these pieces, a pause before each, until the other side has gone."""
    stopped = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for piece in pieces():
                if stopped.wait(pause):
                    return
                connection.sendall(piece)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", SLOW)
def test_a_request_ends_at_its_deadline(kind: str) -> None:
    """Every byte begins the wait for the next one anew; the time of the whole request goes on."""
    begun = time.monotonic()
    with (
        serving(SLOW[kind], pause=0.05) as url,
        open_doors(Link(url=url, budget=0.6, tries=1), reads=READS) as open_,
        pytest.raises(UnreachableError, match=r"not to the end within 0\.6 s"),
    ):
        open_.reader.query("/api/x")
    assert time.monotonic() - begun > 0.5


@pytest.mark.parametrize("kind", ["head", "body"])
def test_a_command_without_an_answer_in_time_is_of_unknown_outcome(kind: str) -> None:
    with (
        serving(SLOW[kind], pause=0.05) as url,
        open_doors(Link(url=url, budget=0.4), reads=READS) as open_,
        pytest.raises(OutcomeUnknownError),
    ):
        open_.writer.command("POST", "/api/x")


def test_informational_answers_are_bounded() -> None:
    """A server that sends them as fast as it can is given up after some of them, and not by the deadline."""
    with (
        serving(SLOW["1xx"], pause=0.0) as url,
        open_doors(Link(url=url, tries=1), reads=READS) as open_,
        pytest.raises(UnreachableError, match="not valid HTTP"),
    ):
        open_.reader.query("/api/x")


def test_some_informational_answers_are_fine() -> None:
    whole = [SLOW["1xx"]().__iter__().__next__()] * 20 + [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]
    with serving(lambda: whole, pause=0.0) as url, open_doors(Link(url=url, tries=1), reads=READS) as open_:
        assert open_.reader.query("/api/x").json() == {}


def test_the_deadline_of_a_run_ends_its_requests_and_its_pauses() -> None:
    """It is over for all that was begun, and nothing more is sent."""
    begun, deadline = time.monotonic(), Deadline(0.5)
    with (
        serving(SLOW["nothing"], pause=0.05) as url,
        open_doors(Link(url=url, deadline=deadline), reads=READS) as open_,
    ):
        for _ in range(2):
            with pytest.raises(OutOfTimeError, match="time of this run was over"):
                open_.reader.query("/api/x")
        assert open_.reader.requests == 1
        deadline.sleep(600)
    assert time.monotonic() - begun < 60


def test_a_deadline_that_is_drawn_near_ends_what_is_in_flight() -> None:
    """As a signal does: also for an answer that another thread waits for already."""
    deadline = Deadline()
    threading.Timer(0.2, deadline.draw_near, [0.2]).start()
    with (
        serving(SLOW["body"], pause=0.05) as url,
        open_doors(Link(url=url, deadline=deadline), reads=READS) as open_,
        pytest.raises(OutcomeUnknownError),
    ):
        open_.writer.command("POST", "/api/x")


def test_a_deadline_is_only_ever_drawn_nearer() -> None:
    now = [0.0]
    deadline = Deadline(10, clock=lambda: now[0])
    deadline.draw_near(60)
    assert deadline.left() == 10
    deadline.draw_near(5)
    assert deadline.left() == 5
    now[0] = 7
    assert deadline.left() == -2
    assert Deadline().left() == float("inf")


def test_a_call_that_cannot_be_told_to_end_is_left_behind() -> None:
    """Such as looking up a name; what it brings in the end is put away."""
    going, dropped = threading.Event(), threading.Event()
    deadline = Deadline(deadlines.SLICE)
    with pytest.raises(TimeoutError):
        in_time(going.wait, deadline.left, drop=lambda _: dropped.set())
    assert not dropped.is_set()
    going.set()
    assert dropped.wait(60)
    assert in_time(lambda: 1, lambda: 1.0) == 1
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 / 0, lambda: 1.0)


def test_a_signal_ends_a_wait_for_other_threads_whichever_of_them_gets_it() -> None:
    """Raised in another thread it breaks no wait of this one, as one does not that comes just before a wait begins."""
    going, over = threading.Event(), list[int]()

    def work(number: int) -> None:
        if number:
            signal.raise_signal(signal.SIGINT)
        if not going.wait(20):
            over.append(number)

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(KeyboardInterrupt):
            map_in(pool, work, range(2))
        going.set()
    assert not over


class _Late(httpcore.NetworkBackend):
    """A network whose connections come about when the test says so."""

    def __init__(self) -> None:
        self.asked, self.come = threading.Event(), threading.Event()
        self.made = httpcore.MockStream([])

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self.asked.set()
        assert self.come.wait(60)
        return self.made


def test_a_connection_that_comes_while_the_client_is_closed_is_closed_too() -> None:
    """A failure in one thread closes the client under the others; httpcore's pool does not know of such a connection."""
    network = _Late()
    at = Link(url="http://127.0.0.1:1", tries=1)
    transport = network_transport(at, Bounds(at))
    transport._inner._pool._network_backend._inner = network  # type: ignore[attr-defined]
    failed: list[Exception] = []

    def ask() -> None:
        try:
            transport.handle_request(httpx.Request("GET", at.url))
        except httpx.ConnectError as error:
            failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert network.asked.wait(60)
    transport.close()
    network.come.set()
    asking.join(60)
    assert failed
    assert network.made._closed
