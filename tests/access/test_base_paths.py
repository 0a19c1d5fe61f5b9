"""The address that an instance is told apart by: its origin and its base path, as they are sent."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteward.access.hosts import AddressError, address_of, covers, origin_of

HOST = "https://stats.example.org"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (HOST, HOST),
        (f"{HOST}/", HOST),
        ("HTTPS://STATS.example.org:443/stats/", f"{HOST}/stats"),
        (f"{HOST}:8443/a/b//", f"{HOST}:8443/a/b"),
        (f"{HOST}/matomo/index.php", f"{HOST}/matomo/index.php"),
        (f"{HOST}/Stats", f"{HOST}/Stats"),
        (f"{HOST}/st%61ts%7e", f"{HOST}/stats~"),
        (f"{HOST}/zähler", f"{HOST}/z%C3%A4hler"),
        (f"{HOST}/z%c3%a4hler", f"{HOST}/z%C3%A4hler"),
        (f"{HOST}/our%20stats", f"{HOST}/our%20stats"),
    ],
)
def test_one_address_has_one_form(url: str, address: str) -> None:
    """Whatever is the same on the wire is the same here; letter case in a path is not."""
    assert address_of(url) == address


@pytest.mark.parametrize(
    "path",
    [
        "/a/../b", "/..", "/.", "/a/./b", "/%2e%2e/b", "/.%2E/b", "/%252e%252e/b", "//b", "/a//b", "/a%2fb", "/a%5cb",
        "/a;x/b", "/..;/b", "/a%3bx", "/a%", "/a%zz", "/a%00", "/a%0d%0a", "/a|b", '/"a"', "/<a>",
    ],
)  # fmt: skip
def test_a_path_with_two_readings_is_refused(path: str) -> None:
    """Servers decode and shorten such paths each in a way of its own, so nobody could say where one leads."""
    with pytest.raises(AddressError, match="servers read in different ways") as caught:
        address_of(HOST + path)
    assert caught.value.code == "bad-url"
    assert "https://example.org/stats" in caught.value.hint


paths = st.text(st.one_of(st.sampled_from("/.%2eE5;c~aß "), st.characters(exclude_categories=["Cs"])), max_size=12)


@given(paths)
@example("/%c3%9f")
@example("/a/b/")
@example("/a+b@c:d=e,f&g$h!i'j(k)*")
def test_the_address_is_what_httpx_sends_to(path: str) -> None:
    """The path is sent just as it stands in the address, and writing it again changes nothing."""
    try:
        address = address_of(f"{HOST}/{path}")
    except AddressError:
        return
    assert address_of(address) == address
    base = address.removeprefix(HOST)
    assert httpx.URL(address).raw_path.decode() == (base or "/")
    client = httpx.Client(base_url=address)
    sent = client.build_request("GET", "/api/users").url.raw_path.decode()
    assert sent == f"{base}/api/users"
    assert covers(base, sent)


@pytest.mark.parametrize(
    "path", ["/stats", "/stats/", "/stats/api/users", "/stats/a%2Fb", "/stats//x", "/stats/..a/b.."]
)
def test_what_is_below_a_path_is_covered(path: str) -> None:
    """The base itself, and everything under it."""
    assert covers("/stats", path)
    assert covers("", path)


@pytest.mark.parametrize(
    "path",
    [
        "/stats2", "/stats2/api", "/stat", "/", "", "//stats/api", "/Stats/api", "/stats%2Fapi", "/stats/../evil", "/stats/%2e%2e/x",
        "/stats/..%2fx", "/stats/%252e%252e/x", "/stats/..%5cx", "/stats/..;/x", "/stats/.%2e", "/stats/a/%2E%2E/%2e./x",
        "/stats//..%2fx", "/stats/.%2f..%2fstats/x",
    ],
)  # fmt: skip
def test_what_may_lead_out_of_a_path_is_not_covered(path: str) -> None:
    """Neither a longer name, nor dots in any coding that some server undoes."""
    assert not covers("/stats", path)


@given(st.text(st.sampled_from("/.%2e5fab\\"), max_size=14))
def test_nothing_covered_climbs(path: str) -> None:
    """However often a server decodes a covered path, it stays below the base when its dots are resolved."""
    path = f"/stats/{path}"
    if covers("/stats", path):
        for _ in range(5):
            resolved = posixpath.normpath(re.sub(r"[/\\]+", "/", path))
            assert resolved == "/stats" or resolved.startswith("/stats/")
            path = unquote(path)


def test_the_origin_is_as_before() -> None:
    """Who asks for the host alone is told the host alone."""
    assert origin_of(f"{HOST}/stats/x") == HOST
