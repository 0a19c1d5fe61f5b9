"""Promise 1, at run time: a reader's transport lets nothing through that has not been named as reading."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import httpx
import pytest

from siteward.transport.errors import ReadOnlyError
from siteward.transport.http import Reading, open_doors
from transport.servers import Server, doors, link

if TYPE_CHECKING:
    from collections.abc import Generator

OK = httpx.Response(200, json={})


def test_what_is_named_passes_below_the_base_path() -> None:
    """Paths are named below the base of the instance, wherever that is."""
    server = Server(OK)
    with doors(server) as open_:
        assert open_.reader.query("/api/users").ok
    assert server.seen[0].url.path == "/base/api/users"


@pytest.mark.parametrize("path", ["/other", "/api", "/apifake/users", "/api/../../elsewhere"])
def test_a_path_that_is_not_named_is_not_sent(path: str) -> None:
    """A reading method alone does not make a reading call."""
    server = Server(OK)
    with doors(server) as open_, pytest.raises(ReadOnlyError):
        open_.reader.query(path if path != "/api/../../elsewhere" else "/../elsewhere")
    assert server.seen == []


def test_a_named_path_with_another_method_is_not_sent() -> None:
    """GET on a path says nothing about POST on it."""
    server = Server(OK)
    with doors(server) as open_, pytest.raises(ReadOnlyError, match="POST /base/api/users"):
        open_.reader.call("/api/users", json={"username": "eve"})
    assert server.seen == []


def test_the_body_decides_where_the_path_does_not() -> None:
    """One path may serve reading and writing; then the adapter judges the body."""
    server = Server(OK)
    reads = [Reading("POST", "/index.php", lambda body: b"method=Sites.get" in body)]
    with open_doors(link(server), reads=reads) as open_:
        assert open_.reader.call("/index.php", form={"method": "Sites.getAll"}).ok
        with pytest.raises(ReadOnlyError):
            open_.reader.call("/index.php", form={"method": "Users.add"})
    assert len(server.seen) == 1


class Meddling(httpx.Auth):
    """An authentication that tries to write on the way."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield httpx.Request("DELETE", "https://umami.example.test/base/api/users/1")
        yield request


def test_not_even_the_login_can_write_while_reading() -> None:
    """The gate is below the authentication."""
    server = Server(OK)
    with doors(server, auth=Meddling()) as open_, pytest.raises(ReadOnlyError, match="DELETE"):
        open_.reader.query("/api/users")
    assert server.seen == []


def test_the_writer_reads_through_the_gate_too() -> None:
    """What a writer asks is held to the same list; only its commands are free."""
    server = Server(OK)
    with doors(server) as open_:
        with pytest.raises(ReadOnlyError):
            open_.writer.call("/api/users")
        assert open_.writer.command("POST", "/api/users").ok
    assert [request.method for request in server.seen] == ["POST"]


def test_a_reader_sends_nothing_that_is_not_named_by_any_way_it_has() -> None:
    """Whatever takes a path, today and when another way is added, is held back by the gate."""
    server = Server(OK)
    given = {"method": "DELETE", "path": "/outside/1", "json": {"role": "admin"}}
    with doors(server) as open_:
        reader = open_.reader
        ways = {
            name: inspect.signature(way).parameters
            for name, way in inspect.getmembers(reader, callable)
            if not name.startswith("_") and "path" in inspect.signature(way).parameters
        }
        assert len(ways) >= 2
        for name, parameters in ways.items():
            with pytest.raises(ReadOnlyError):
                getattr(reader, name)(**{word: value for word, value in given.items() if word in parameters})
    assert server.seen == []
