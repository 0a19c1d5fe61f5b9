"""Extra headers: what may be given, what is refused and why, and that nobody sees a value."""

from __future__ import annotations

import pickle
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from siteward.transport.errors import (
    BadHeadersError,
    InsecureError,
    OriginMismatchError,
    SecretMissingError,
    UnreachableError,
)
from siteward.transport.headers import LONGEST, read_headers, refused
from siteward.transport.http import open_doors
from siteward.transport.secrets import Secret, Secrets, dotenv, find
from transport.servers import READS, link

URL = "https://stats.example.org"
BOUND = {"SITEWARD_STATS_URL": URL, "SITEWARD_STATS_TOKEN": "t0ken-of-ours"}
SOURCE = "SITEWARD_STATS_HEADERS"
TWO = "CF-Access-Client-Id: a1b2.access\nCF-Access-Client-Secret:  s3cret value \n"


def test_lines_are_names_and_values() -> None:
    """In their order; space around a value is none of it, and blank lines and ends of Windows are left out."""
    assert read_headers(TWO, SOURCE) == (
        ("CF-Access-Client-Id", "a1b2.access"),
        ("CF-Access-Client-Secret", "s3cret value"),
    )
    assert read_headers("\r\nX-A: 1:2\r\n\r\nX_B:\tz\r\n", SOURCE) == (("X-A", "1:2"), ("X_B", "z"))


REFUSED = (
    "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Host", "X-Host", "Forwarded", "X-Forwarded-Host",
    "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Connection", "Expect",
    "Content-Type", "Content-Encoding", "Accept-Encoding", "Accept", "User-Agent", "X-HTTP-Method", "X-HTTP-Method-Override",
    "X-Method-Override", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-CSRF-Token", "Range", "If-None-Match",
)  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_changes_a_request_is_refused(name: str) -> None:
    """In any letter case, and with `_` for `-`, as servers hand headers on; each with its reason."""
    for written in (name, name.lower(), name.upper(), name.replace("-", "_")):
        with pytest.raises(BadHeadersError, match="nothing was sent") as caught:
            read_headers(f"X-A: 1\n{written}: s3cret", SOURCE)
        assert f"line 2: {written} is refused, for {refused(name)}" in str(caught.value)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["CF-Access-Client-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Api-Key", "X-Gate"])
def test_what_opens_gates_is_not(name: str) -> None:
    """What tunnels and proxies ask for."""
    assert refused(name) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3cret", "line 1: no colon"),
        ("X-A s3cret: x", "line 1: the name is no header name"),
        ("X-A : s3cret", "line 1: the name is no header name"),
        (" X-A: s3cret", "line 1: the name is no header name"),
        (": s3cret", "line 1: the name is no header name"),
        ("Ünique: s3cret", "line 1: the name is no header name"),
        ("X-A:", "line 1: there is no value"),
        ("X-A: s3cret\rX-B: y", "line 1: the value has a character"),
        ("X-A: s3cret\0", "line 1: the value has a character"),
        ("X-A: s3crét", "line 1: the value has a character"),
        ("X-A: s3cret\u2028X-B: y", "line 1: the value has a character"),
        ("X-A: s3cret\udcff", "line 1: the value has a character"),
        (r"X-A: s3cret\nX-B: y", "line 1: the value has a line end that is written as letters"),
        ("X-A: s3cret\nx_a: s3cret", "line 2: the name was given before"),
        ("X-A: " + "s3cret" * LONGEST, "more than 8192 bytes"),
        ("\n \n", "there is no line"),
    ],
)
def test_what_is_no_header_is_told_by_its_line(text: str, said: str) -> None:
    """What is allowed stands beside it, and nothing that stands there is quoted."""
    with pytest.raises(BadHeadersError) as caught:
        read_headers(text, SOURCE)
    assert caught.value.code == "bad-headers"
    assert said in str(caught.value)
    assert "`Name: value`" in (caught.value.hint or "")
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_everything_wrong_is_told_at_once() -> None:
    """One look is enough."""
    with pytest.raises(BadHeadersError) as caught:
        read_headers("Host: a\nX-A: fine\nnothing\nCookie: b\nX-A: again", SOURCE)
    assert [f"line {number}" in str(caught.value) for number in (1, 2, 3, 4, 5)] == [True, False, True, True, True]


@given(st.text(st.sampled_from("X-Aa_: \t\r\n\0é1"), max_size=30))
@example("X-A: a\r\nX-B: b")
def test_whatever_is_taken_can_be_sent_as_it_is(text: str) -> None:
    """No line end, no other character and no second name gets onto the wire."""
    try:
        taken = read_headers(text, SOURCE)
    except BadHeadersError:
        return
    request = httpx.Request("GET", URL, headers=dict(taken))
    for name, value in taken:
        assert request.headers[name] == value
        assert not set(name + value) & set("\r\n\0é:") - {":"}
    assert len({name.lower() for name, _ in taken}) == len(taken)


@pytest.mark.parametrize("way", ["", "_FILE", "_COMMAND", "keyring"])
def test_they_come_from_where_credentials_come_from(way: str, tmp_path: Path) -> None:
    """The value itself, a file, a command, the keyring; names and place are told, values are not."""
    file = tmp_path / "headers"
    file.write_text(TWO)
    given_by = {"": TWO, "_FILE": str(file), "_COMMAND": f"cat '{file}'"}
    env = BOUND | ({SOURCE + way: given_by[way]} if way in given_by else {})
    kept = {("siteward", "stats/headers"): TWO}
    secrets = find(
        "stats", ["token"], url=URL, env=env,
        keyring=(lambda service, user: kept.get((service, user))) if way == "keyring" else None,
    )  # fmt: skip
    assert {name: value.reveal() for name, value in secrets.headers.items()} == dict(read_headers(TWO, SOURCE))
    place = "keyring" if way == "keyring" else SOURCE + way
    assert secrets.origins()["headers"] == f"{place} (CF-Access-Client-Id, CF-Access-Client-Secret)"
    assert "s3cret" not in f"{secrets!r} {secrets.origins()} {secrets.headers}"


def test_they_are_optional_and_never_looked_up_for_another_address(tmp_path: Path) -> None:
    """As every credential: first the bond."""
    assert find("stats", ["token"], url=URL, env=BOUND).headers == {}
    with pytest.raises(OriginMismatchError):
        find("stats", ["token"], url="https://evil.test", env=BOUND | {SOURCE: "not even looked at"})
    with pytest.raises(SecretMissingError):
        find("stats", ["token"], url=URL, env=BOUND | {f"{SOURCE}_FILE": str(tmp_path / "missing")})


@pytest.mark.parametrize("name", [SOURCE, f"{SOURCE}_FILE", f"{SOURCE}_COMMAND"])
def test_a_dotenv_gives_none(name: str, tmp_path: Path) -> None:
    """A branch may have brought it along."""
    file = tmp_path / ".env"
    file.write_text(f"{name}='X-A: 1'\n")
    file.chmod(0o600)
    with pytest.raises(InsecureError, match=":1: "):
        dotenv(file, {})


def test_values_are_masked_whole_and_in_their_words() -> None:
    """A server that quotes what it was sent, or only the key behind a word, tells nobody."""
    secrets = Secrets(
        {"headers": Secret("X-Gate: Token abcdefgh12\nX-B: other-value", SOURCE), "token": Secret("t0ken-of-ours")}
    )
    told = secrets.scrub("bad key abcdefgh12 of Token abcdefgh12, t0ken-of-ours")
    assert "abcdefgh12" not in told
    assert "t0ken" not in told
    assert "Token" in secrets.scrub("a Token was expected")


def test_they_are_on_what_is_sent_and_on_nothing_that_an_error_carries() -> None:
    """Only the last thing before the network puts them on."""
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.copy())
        raise httpx.ReadError("gone", request=request)

    here = replace(link(answer, tries=1), headers={"X-Gate": Secret("g4te-secret", "X-Gate")})
    assert "g4te" not in repr(here)
    with open_doors(here, reads=READS) as doors, pytest.raises(UnreachableError) as caught:
        doors.reader.query("/api/x")
    assert [told["x-gate"] for told in seen] == ["g4te-secret"]
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.RequestError)
    assert "x-gate" not in cause.request.headers
    with pytest.raises(TypeError):
        pickle.dumps(here.headers["X-Gate"])


@pytest.mark.parametrize("where", ["https://other.example.test/base/api/x", "https://umami.example.test/other/api/x"])
def test_they_leave_for_the_bound_address_alone(where: str) -> None:
    """Neither another host nor another path sees them."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"Location": where})

    here = replace(link(answer), headers={"X-Gate": Secret("g4te-secret", "X-Gate")})
    with open_doors(here, reads=READS) as doors:
        with pytest.raises(OriginMismatchError):
            doors.writer.command("POST", where)
        assert seen == []
        assert doors.writer.command("POST", "/api/x", redirects=True).status == 302
    assert [str(request.url) for request in seen] == ["https://umami.example.test/base/api/x"]


def test_the_page_names_what_is_refused() -> None:
    """Everything that the list refuses is written down, in one of its rows."""
    page = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8").lower()
    covered = ("x-forwarded-", "content-", "accept-", "proxy-", "if-", "x-http-method")
    for name in map(str.lower, REFUSED):
        beginning = next((start for start in covered if name.startswith(start)), None)
        assert f"`{name}`" in page or (beginning is not None and beginning in page), name
