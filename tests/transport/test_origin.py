"""What is connected to is what was judged, and nothing is sent anywhere else."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from siteward.transport.errors import OriginMismatchError, UnreachableError
from siteward.transport.http import open_doors
from siteward.transport.secrets import bound, pathless_bond
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


@pytest.mark.parametrize(
    "path", ["/base2/api/x", "/other/api/x", "/", "/base/%2e%2e/other/api/x", "/base/..%2fother/x"]
)
def test_a_request_that_would_leave_the_base_path_is_not_sent(path: str) -> None:
    """Another path of the host is another server's, also where dots in some coding lead there."""
    server = Server(OK)
    with doors(server) as open_:
        with pytest.raises(OriginMismatchError, match=r"left https://umami.example.test/base for another"):
            open_.writer.command("POST", f"https://umami.example.test{path}")
        assert open_.writer.command("POST", "/api/x").ok
    assert [request.url.path for request in server.seen] == ["/base/api/x"]


@pytest.mark.parametrize(
    ("url", "bond", "good"),
    [
        ("https://h.example/stats", "https://h.example/stats", True),
        ("https://h.example/stats/", "https://H.example:443/stats", True),
        ("https://h.example/stats", "https://h.example", True),
        ("https://h.example/stats", "https://h.example/", True),
        ("https://h.example/stats2", "https://h.example/stats", False),
        ("https://h.example/stats/x", "https://h.example/stats", False),
        ("https://h.example", "https://h.example/stats", False),
        ("https://h.example/Stats", "https://h.example/stats", False),
    ],
)
def test_a_bond_with_a_path_is_for_that_path(url: str, bond: str, *, good: bool) -> None:
    """One without a path is for every path of its host, in this release."""
    env = {"SITEWARD_STATS_URL": bond}
    if good:
        bound("stats", url, env)
    else:
        with pytest.raises(OriginMismatchError, match="nothing was sent"):
            bound("stats", url, env)
    without_path = bond.rstrip("/") == "https://h.example"
    expected = ("SITEWARD_STATS_URL", "https://h.example/stats") if without_path else None
    assert pathless_bond("stats", url, env) == expected


@pytest.mark.parametrize(
    "url", ["https://h.example/a/../stats", "https://h.example/%2e%2e/stats", "https://h.example//stats"]
)
def test_a_path_with_two_readings_binds_nothing(url: str) -> None:
    """On either side: words, and nothing is sent."""
    for one, other in ((url, "https://h.example/stats"), ("https://h.example/stats", url)):
        with pytest.raises(OriginMismatchError, match=r"is not usable.*nothing was sent"):
            bound("stats", one, {"SITEWARD_STATS_URL": other})
    assert pathless_bond("stats", "https://h.example/stats", {"SITEWARD_STATS_URL": url}) is None
