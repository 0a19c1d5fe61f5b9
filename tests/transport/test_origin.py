"""What is connected to is what was judged, and nothing is sent anywhere else."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from siteward.transport.errors import OriginMismatchError, UnreachableError
from siteward.transport.http import open_doors
from siteward.transport.secrets import bound
from transport.servers import READS, Server, doors, link

OK = httpx.Response(200, json={})


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://other.example.test/base/api/x",
        "https://umami.example.test:8443/base/api/x",
        "http://umami.example.test/base/api/x",
    ],
)
def test_a_request_that_would_leave_the_origin_is_not_sent(elsewhere: str) -> None:
    """Whoever built it: the last thing before the network looks at where it goes."""
    server = Server(OK)
    with doors(server) as open_:
        with pytest.raises(OriginMismatchError, match="nothing was sent"):
            open_.reader.query(elsewhere)
        with pytest.raises(OriginMismatchError, match="nothing was sent"):
            open_.writer.command("POST", elsewhere)
        assert open_.reader.query("https://UMAMI.example.test:443/base/api/x").ok
    assert len(server.seen) == 1


class Straying(httpx.Auth):
    """Logs in at another server."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield httpx.Request("POST", "https://other.example.test/base/api/login", json={"password": "s3cret"})
        yield request


def test_a_login_does_not_leave_the_origin_either() -> None:
    """The request that carries the password is one like all."""
    server = Server(OK)
    with doors(server, auth=Straying()) as open_, pytest.raises(OriginMismatchError):
        open_.writer.command("POST", "/api/x")
    assert server.seen == []


@pytest.mark.parametrize(
    "url", ["HTTPS://stats.example.test:443", "https://xn--strae-oqa.example", "http://[::FFFF]:80"]
)
def test_every_origin_that_is_taken_can_be_sent_to(url: str) -> None:
    """However the address writes it."""
    server = Server(OK)
    transport = httpx.MockTransport(server)
    with open_doors(link(server).__class__(url=url, transport=transport), reads=READS) as open_:
        assert open_.reader.query("/api/x").ok


@pytest.mark.parametrize("letter", "ßς\u200c\u200d")
def test_an_address_of_other_letters_binds_and_leads_nowhere(letter: str) -> None:
    """In the file or beside the credentials: words, and nothing is sent."""
    odd, plain = f"https://fa{letter}bc.example", "https://fassbc.example"
    for url, bond in ((odd, plain), (plain, odd), (odd, odd)):
        with pytest.raises(OriginMismatchError, match=r"is not usable.*nothing was sent"):
            bound("stats", url, {"SITEWARD_STATS_URL": bond})


def test_the_form_to_write_is_named() -> None:
    """Whoever meant that server knows what to do."""
    with pytest.raises(OriginMismatchError) as caught:
        bound("stats", "https://x.example", {"SITEWARD_STATS_URL": "https://straße.example"})
    assert "xn--strae-oqa.example" in (caught.value.hint or "")
    assert "SITEWARD_STATS_URL" in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:3000", "http://localhost:3000", "http://[::1]:3000"])
@pytest.mark.parametrize("bond", ["https://stats.example.org", "http://127.0.0.1:3001", "https://127.0.0.1:3000"])
def test_this_machine_is_no_exception_to_a_bond(url: str, bond: str) -> None:
    """Credentials that are for one server go nowhere else, not home either."""
    with pytest.raises(OriginMismatchError, match="but they are for"):
        bound("stats", url, {"SITEWARD_STATS_URL": bond})


def test_this_machine_needs_no_word_for_plain_http() -> None:
    """Nothing travels."""
    bound("stats", "http://localhost:3000/x", {"SITEWARD_STATS_URL": "http://localhost:3000"})


def test_a_redirect_to_a_host_that_cannot_be_read_is_told() -> None:
    """httpx takes such a name and fails when it shows it."""

    def away(_: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": "https://xn--zz.example/"}, content=iter([b""]))

    with open_doors(link(away), reads=READS) as open_, pytest.raises(UnreachableError):
        open_.reader.query("/api/x")
