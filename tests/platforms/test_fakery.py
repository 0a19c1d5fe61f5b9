"""What all stand-ins share: routes, faults, windows, and the socket they answer on."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import ValidationError
from werkzeug.wrappers import Response

from siteward.platforms.fakery import FAULT_KINDS, Call, Fake, Fault, World, in_process, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from werkzeug.wrappers import Request


@dataclass
class Shelf(Fake):
    """A server that keeps things by name and refuses a second one of a name, as far as it looks."""

    things: list[str] = field(default_factory=list)

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        return {("GET", "/things"): self.every, ("POST", "/things/<name>"): self.put}

    def every(self, request: Request) -> Response:
        return Response(",".join(self.things))

    def put(self, request: Request, name: str) -> Response:
        if name in self.things:
            return Response("taken", status=409)
        self.window()
        self.things.append(name)
        self.touch()
        return Response("put")


def shelf(*faults: str) -> Shelf:
    return Shelf("shelf", "1", {}, faults=[Fault.parse(fault) for fault in faults])


@pytest.fixture(params=["in process", "on a socket"])
def asking(request: pytest.FixtureRequest) -> Iterator[Callable[[Fake], httpx.Client]]:
    """Give a client of a stand-in, either way that one can be reached."""
    opened: list[Callable[[], None]] = []

    def client(fake: Fake) -> httpx.Client:
        if request.param == "in process":
            made = httpx.Client(transport=in_process(fake), base_url=fake.url)
        else:
            box = serve(fake)
            opened.append(box.close)
            made = httpx.Client(base_url=box.url)
        opened.append(made.close)
        return made

    yield client
    for close in reversed(opened):
        close()


def test_a_fault_is_written_as_one_word() -> None:
    """Kind, after how many, how often, and on what: each part may be left out."""
    fault = Fault.parse("500-after-write@3x2:POST /api/users$")
    assert (fault.kind, fault.after, fault.times, fault.method, fault.path) == (
        "500-after-write",
        3,
        2,
        "POST",
        "/api/users$",
    )
    assert (Fault.parse("cut").after, Fault.parse("cut").times, Fault.parse("429x0:/a").path) == (0, 1, "/a")


@pytest.mark.parametrize("text", ["", "nonsense", "cut@", "cut@x", "429@1x"])
def test_a_fault_that_is_none_is_refused_with_the_ones_there_are(text: str) -> None:
    """Whoever mistypes one is told what there is."""
    with pytest.raises(ValueError, match="500-after-write") as caught:
        Fault.parse(text)
    assert all(kind in str(caught.value) for kind in FAULT_KINDS)


def test_methods_and_paths_are_told_apart(asking: Callable[[Fake], httpx.Client]) -> None:
    """An unknown path is 404, an unknown method on a known one 405, and HEAD is GET without its body."""
    with asking(shelf()) as client:
        assert client.get("/nothing").status_code == 404
        assert client.put("/things").status_code == 405
        assert (client.head("/things").status_code, client.head("/things").content) == (200, b"")


def test_faults_strike_in_their_turn(asking: Callable[[Fake], httpx.Client]) -> None:
    """After so many requests that fit, so many are hit, and others are none of its business."""
    with asking(shelf("500@1x2:GET /things", "429:POST")) as client:
        assert [client.get("/things").status_code for _ in range(4)] == [200, 500, 500, 200]
        throttled = client.post("/things/a")
        assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "1")
        assert client.post("/things/a").text == "put"


def test_a_page_instead_of_an_answer(asking: Callable[[Fake], httpx.Client]) -> None:
    """What a proxy says when the server behind it is gone."""
    with asking(shelf("html")) as client:
        answer = client.get("/things")
        assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_a_lost_answer_may_have_been_a_write(asking: Callable[[Fake], httpx.Client]) -> None:
    """The write took place, and the client cannot know; before the write, nothing did."""
    fake = shelf("cut:POST", "500-after-write", "cut-after-write@1")
    with asking(fake) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/things/a")
        assert (fake.things, fake.writes) == ([], 0)
        assert (client.post("/things/a").status_code, client.post("/things/a").status_code) == (500, 409)
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/things/b")
    assert (fake.things, fake.writes) == (["a", "b"], 2)
    assert fake.calls == [
        Call("POST", "/things/a", 0, wrote=False),
        Call("POST", "/things/a", 500, wrote=True),
        Call("POST", "/things/a", 409, wrote=False),
        Call("POST", "/things/b", 0, wrote=True),
    ]


def test_a_gateway_may_give_up_before_the_server_does(asking: Callable[[Fake], httpx.Client]) -> None:
    """The answer is 504, and the write takes place some requests later; 503 is a proxy that lets nothing through."""
    fake = shelf("late:POST", "504-after-write", "503:PUT")
    fake.lateness = 1
    with asking(fake) as client:
        assert client.post("/things/a").status_code == 504
        assert [client.get("/things").text for _ in range(3)] == ["", "a", "a"]
        assert client.post("/things/b").status_code == 504
        assert client.put("/things/c").status_code == 503
    assert (fake.things, fake.writes) == (["a", "b"], 2)
    assert [call.wrote for call in fake.calls] == [False, False, True, False, False, True, False]


def test_a_cut_connection_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that was asked for does not fill the terminal with tracebacks."""
    with caplog.at_level(logging.INFO), serve(shelf("cut")) as box, httpx.Client(base_url=box.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/things")
        assert client.get("/things").status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_requests_race_where_the_server_leaves_a_window(asking: Callable[[Fake], httpx.Client]) -> None:
    """Between the look and the write others get in, as soon as there are others."""
    fake = shelf()
    fake.race, fake.shared = 0.05, True
    with asking(fake) as client, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.post("/things/same").status_code, range(6)))
    assert fake.things.count("same") == answers.count(200) > 1


def test_without_others_there_is_no_race() -> None:
    """One request at a time finds what the one before it left, and waits for nobody."""
    fake = shelf()
    fake.race = 60
    with httpx.Client(transport=in_process(fake), base_url=fake.url) as client:
        assert [client.post("/things/same").status_code for _ in range(3)] == [200, 409, 409]


def test_a_sandbox_leaves_nothing_behind() -> None:
    """Threads and port are free when it is closed, even while a client still holds a connection; twice is as once."""
    before = set(threading.enumerate())
    box = serve(shelf())
    port = int(box.url.rpartition(":")[2])
    with httpx.Client(base_url=box.url) as client:
        assert client.get("/things").status_code == 200
        box.close()
        box.close()
        assert set(threading.enumerate()) == before
    with serve(shelf(), port=port) as again:
        assert again.url == box.url


def test_a_taken_port_is_an_error_of_the_system() -> None:
    """Nothing is left open by a sandbox that could not begin; a name is as good as an address."""
    with serve(shelf(), host="localhost") as box:
        assert httpx.get(f"{box.url}/things").status_code == 200
        with pytest.raises(OSError, match="in use"):
            serve(shelf(), host="localhost", port=int(box.url.rpartition(":")[2]))


def test_a_world_says_what_it_does_not_know() -> None:
    """A misspelt key of a world file is an error, not a world without it."""
    with pytest.raises(ValidationError):
        World.model_validate({"acounts": []})
