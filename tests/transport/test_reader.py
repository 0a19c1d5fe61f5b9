"""Questions: asked again where that helps, within bounds, and never answered by somebody else."""

from __future__ import annotations

import gc
import json
import ssl
import threading
from email.utils import formatdate
from functools import partial

import httpx
import pytest

from siteward.transport.errors import NotThePlatformError, RedirectedError, RefusedError, UnreachableError
from siteward.transport.http import Exchange, Rate, open_doors
from transport.servers import READS, Clock, Server, doors, link

OK = httpx.Response(200, json={"fine": True})


def busy(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_not_now_is_asked_again(status: int) -> None:
    """A busy server and a gateway without one are waited for, with growing pauses."""
    clock, server = Clock(), Server(busy(status), busy(status), OK)
    with doors(server, clock) as open_:
        assert open_.reader.query("/api/x").json() == {"fine": True}
        assert open_.reader.requests == 3
        assert open_.reader.waited == pytest.approx(sum(clock.slept))
    assert len(clock.slept) == 2
    assert 0.125 <= clock.slept[0] <= 0.25 <= clock.slept[1] <= 0.5


def test_the_server_says_how_long_in_seconds() -> None:
    """Retry-After as a number."""
    clock = Clock()
    with doors(Server(busy(429, retry_after="7"), OK), clock) as open_:
        open_.reader.query("/api/x")
    assert clock.slept == [7.0]


def test_the_server_says_until_when_by_its_own_clock() -> None:
    """Retry-After as a date counts from the server's Date, whatever our clock says."""
    clock = Clock()
    answer = busy(503, retry_after=formatdate(5_000_012, usegmt=True), date=formatdate(5_000_000, usegmt=True))
    with doors(Server(answer, OK), clock) as open_:
        open_.reader.query("/api/x")
    assert clock.slept == [12.0]


def test_a_date_without_a_date_is_no_answer_to_how_long() -> None:
    """Without the server's Date nothing can be measured, and our own pauses hold."""
    clock = Clock()
    with doors(Server(busy(503, retry_after=formatdate(5_000_012, usegmt=True)), OK), clock) as open_:
        open_.reader.query("/api/x")
    assert clock.slept[0] <= 0.25


def test_patience_ends_with_the_tries() -> None:
    """Five tries, then the truth."""
    server = Server(busy(503))
    with doors(server) as open_, pytest.raises(UnreachableError, match="kept answering 503"):
        open_.reader.query("/api/x")
    assert len(server.seen) == 5


def test_patience_ends_with_the_time() -> None:
    """A pause that would outlast the budget is not begun."""
    clock = Clock()
    with doors(Server(busy(429, retry_after="3600")), clock) as open_, pytest.raises(RefusedError) as caught:
        open_.reader.query("/api/x")
    assert caught.value.status == 429
    assert clock.slept == []


@pytest.mark.parametrize("writes", [False, True])
def test_an_answer_is_let_go_without_garbage_collection(*, writes: bool) -> None:
    """The program turns it off: answers that hold themselves in a circle would all stay until the end of a long run."""
    left = []
    gc.disable()
    try:
        with doors(Server(OK)) as open_:
            ask = partial(open_.writer.command, "POST") if writes else open_.reader.query
            for _ in range(3):
                assert ask("/api/x").ok
                left.append(sum(type(found) is httpx.Response for found in gc.get_objects()))
    finally:
        gc.enable()
    assert len(set(left)) == 1, left


def test_a_lost_answer_is_asked_for_again() -> None:
    """Reading twice does no harm."""
    with doors(Server(httpx.ReadError("cut"), httpx.RemoteProtocolError("half"), OK)) as open_:
        assert open_.reader.query("/api/x").ok


def test_an_error_of_the_server_is_an_answer() -> None:
    """500 says something; what, the adapter knows."""
    server = Server(busy(500))
    with doors(server) as open_:
        assert open_.reader.query("/api/x").status == 500
    assert len(server.seen) == 1


def test_a_certificate_is_not_asked_twice() -> None:
    """What cannot get better is not repeated, and the way out is named."""
    error = httpx.ConnectError("tls")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    error.__cause__.verify_message = "self-signed certificate"
    server = Server(error)
    with doors(server) as open_, pytest.raises(UnreachableError, match="not trusted: self-signed") as caught:
        open_.reader.query("/api/x")
    assert "ca_file" in (caught.value.hint or "")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("t"), "took no connection within 10 s"),
        (httpx.ReadTimeout("t"), "did not answer within 60 s"),
        (httpx.ReadError("t"), "broke off its answer"),
        (httpx.ConnectError("t"), "cannot be reached"),
    ],
)
def test_no_answer_is_told_in_words(error: Exception, words: str) -> None:
    """The message names the server and what happened, not a class of a library."""
    with doors(Server(error)) as open_, pytest.raises(UnreachableError, match=words) as caught:
        open_.reader.query("/api/x")
    assert "https://umami.example.test" in str(caught.value)


def test_a_refused_connection_is_told(unused_port: int) -> None:
    """Nobody listens there."""
    from siteward.transport.http import Link

    away = Link(url=f"http://127.0.0.1:{unused_port}", sleep=lambda _: None)
    with open_doors(away, reads=READS) as open_, pytest.raises(UnreachableError, match="refuses connections"):
        open_.reader.query("/api/x")


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    "place", ["https://evil.test/api/x?token=s3cret", "/login", "https://umami.example.test/base/api/x/"]
)
def test_no_redirect_is_followed(place: str) -> None:
    """Neither elsewhere nor here; the place is told without its query."""
    server = Server(httpx.Response(302, headers={"Location": place}))
    with doors(server) as open_, pytest.raises(NotThePlatformError, match="redirects /base/api/x to") as caught:
        open_.reader.query("/api/x")
    assert len(server.seen) == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("http://127.0.0.1:18431/x", "http://127.0.0.1:18431/x"),
        ("http://[::1]:8443/x?token=s3cret#s3cret", "http://[::1]:8443/x"),
        ("https://anna:s3cret@other.test:443/", "https://other.test/"),
        ("//other.test:8080", "https://other.test:8080/"),
        ("elsewhere", "https://umami.example.test/base/api/elsewhere"),
        ("/%1b%5b31m", "https://umami.example.test/%1b%5b31m"),
    ],
)
def test_a_redirect_is_told_with_its_port_and_nothing_secret(place: str, told: str) -> None:
    """What is told is what the hint says to write into the file."""
    with (
        doors(Server(httpx.Response(301, headers={"Location": place}))) as open_,
        pytest.raises(RedirectedError) as caught,
    ):
        open_.reader.query("/api/x")
    assert str(caught.value).endswith(f" to {told}; nothing was sent there")
    assert "write the address that answers by itself" in (caught.value.hint or "")
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "gate"),
    [
        ("https://umami.example.test/base/api/x/", False),
        ("/other/base/api/x", False),
        ("http://umami.example.test/base/api/x", False),
        ("/oauth2/sign_in?rd=/base/api/x", True),
        ("https://sso.example.test/base/api/x", True),
    ],
)
def test_a_redirect_to_another_page_may_be_a_gate_s(place: str, gate: bool) -> None:  # noqa: FBT001 — a line of a table
    """Only the same page at another address of this host is a server that has moved, and nothing else."""
    with doors(Server(httpx.Response(302, headers={"Location": place}))) as open_:
        with pytest.raises(RedirectedError) as caught:
            open_.reader.query("/api/x")
        assert ("_HEADERS" in (caught.value.hint or "")) is gate


def test_an_answer_has_a_longest_length() -> None:
    """A server cannot fill our memory."""
    server = Server(httpx.Response(200, content=b"x" * 2000))

    def streamed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([server(request).content]))

    with (
        open_doors(link(streamed, size=1000), reads=READS) as open_,
        pytest.raises(NotThePlatformError, match="longer"),
    ):
        open_.reader.query("/api/x")


def test_an_answer_that_is_no_json_is_not_the_platform() -> None:
    """A page in the place of data is told as what it is, without quoting it."""
    with doors(Server(httpx.Response(200, text="secret words"))) as open_:
        answer = open_.reader.query("/api/x")
        with pytest.raises(NotThePlatformError) as caught:
            answer.json()
    assert "secret words" not in str(caught.value)


def test_map_keeps_the_order_and_the_number_of_threads() -> None:
    """Eight fixed threads, results in the order of the items."""
    names = set()

    def work(item: int) -> int:
        names.add(threading.current_thread().name)
        return item * item

    with doors(Server(OK)) as open_:
        assert open_.reader.map(work, range(200)) == [number * number for number in range(200)]
    assert len(names) <= 8


def test_map_raises_the_first_failure() -> None:
    """Half a result is none."""

    def work(item: int) -> int:
        if item == 3:
            raise RefusedError("no")
        return item

    with doors(Server(OK)) as open_, pytest.raises(RefusedError):
        open_.reader.map(work, range(100))


def test_more_than_sixteen_workers_are_refused() -> None:
    """Above that the client becomes slower, so nobody can ask for it."""
    with pytest.raises(ValueError, match="from 1 to 16"):
        link(Server(OK), workers=17)


def test_the_log_has_no_query_header_or_body() -> None:
    """What -vv shows is method, path, status, time and size."""
    told: list[Exchange] = []
    with open_doors(link(Server(OK), observer=told.append), reads=READS) as open_:
        open_.reader.query("/api/x", {"token": "s3cret"})
        open_.reader.call("/api/login", json={"password": "s3cret"})
    assert [(exchange.method, exchange.path, exchange.status) for exchange in told] == [
        ("GET", "/base/api/x", 200),
        ("POST", "/base/api/login", 200),
    ]
    assert "s3cret" not in repr(told)


def test_declared_limits_are_kept() -> None:
    """Two in ten seconds means that the third waits, and says so."""
    clock, told = Clock(), []
    settings = link(Server(OK), clock, waiting=lambda seconds, why: told.append((seconds, why)))
    with open_doors(settings, reads=READS, rates=[Rate(2, 10)]) as open_:
        for _ in range(3):
            open_.reader.query("/api/x")
    assert told == [(10.0, "rate limit")]


@pytest.mark.parametrize(
    "body", [rb'["\ud800"]', rb'{"\uDFFFx": 1}', b'["\xed\xa0\x80"]'], ids=["escaped", "in a key", "raw"]
)
def test_half_a_character_is_not_valid_json(body: bytes) -> None:
    """It could be written to no file and shown on no terminal, so it is refused where answers are read."""
    with (
        doors(Server(httpx.Response(200, content=body))) as open_,
        pytest.raises(NotThePlatformError, match="not valid"),
    ):
        open_.reader.query("/api/x").json()


def test_a_character_in_two_halves_is_whole() -> None:
    """As PHP writes all that is not ASCII."""
    with doors(Server(httpx.Response(200, content=rb'["\ud83d\ude00"]'))) as open_:
        assert open_.reader.query("/api/x").json() == ["\U0001f600"]


@pytest.mark.parametrize(
    "body",
    [b'\xef\xbb\xbf{"a": 1}', b'{"a": 1, "a": 2}', "[1]".encode("utf-16"), b"[1e400, -0.0, 1.0, 18446744073709551616]"],
    ids=["mark", "twice", "utf-16", "numbers"],
)
def test_an_answer_means_what_pythons_parser_takes_it_for(body: bytes) -> None:
    """Also where the faster parser, which is asked first, refuses it."""
    with doors(Server(httpx.Response(200, content=body))) as open_:
        assert repr(open_.reader.query("/api/x").json()) == repr(json.loads(body))
