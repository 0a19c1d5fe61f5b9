"""A gate before any platform: told as one, and opened by headers on every request, the login's included."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import httpx
import pytest

from platforms.every import NEWEST, RELEASES, instance_of, lived_in, read
from siteward.platforms.fakery import GateKind, SandboxGate, in_process
from siteward.transport.errors import GateError, NotThePlatformError, OutcomeUnknownError, RedirectedError
from siteward.transport.headers import refused
from siteward.transport.http import open_doors
from transport.servers import READS, Server, doors, link

if TYPE_CHECKING:
    from collections.abc import Generator

    from siteward.platforms.fakery import Fake
    from siteward.platforms.instance import Instance

URL = "http://127.0.0.1:1"
VALUE = "g4te-s3cret-value"
KINDS: tuple[GateKind, ...] = get_args(GateKind)


@dataclass
class Seen(httpx.BaseTransport):
    """What is behind it, and the headers of every request that came."""

    fake: Fake
    headers: list[httpx.Headers] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers.copy())
        return in_process(self.fake).handle_request(request)


def gated(platform: str, release: str, kind: GateKind, **env: str) -> tuple[Instance, Seen]:
    """Return an instance behind a gate, and what sees its requests."""
    fake = lived_in(platform, release)
    fake.gate = SandboxGate(kind, VALUE)
    seen = Seen(fake)
    return instance_of(fake, URL, seen, **env), seen


@pytest.mark.parametrize(("platform", "release"), NEWEST)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "redirect"])
def test_a_gate_is_told_as_one(platform: str, release: str, kind: GateKind) -> None:
    """Not as a wrong password or another product, whatever answers first, with the variable to set."""
    instance, seen = gated(platform, release, kind)
    with pytest.raises(GateError) as caught:
        read(instance)
    assert caught.value.code == "gate-before-platform"
    assert "something before the platform" in str(caught.value)
    assert "SITEWARD_IT_HEADERS" in (caught.value.hint or "")
    assert len(seen.headers) <= 8


@pytest.mark.parametrize(("platform", "release"), NEWEST)
def test_a_redirect_to_a_login_names_the_variable_too(platform: str, release: str) -> None:
    """It may be a moved server as well, so both next steps are told."""
    instance, _ = gated(platform, release, "redirect")
    with pytest.raises(NotThePlatformError, match=r"to https://sso\.invalid/login; nothing was sent there") as caught:
        read(instance)
    assert "`url`" in (caught.value.hint or "")
    assert "SITEWARD_IT_HEADERS" in (caught.value.hint or "")


@pytest.mark.parametrize(("platform", "release"), RELEASES)
def test_the_headers_open_it_on_every_request(platform: str, release: str) -> None:
    """Both doors of Plausible, logins and tokens included."""
    plain = lived_in(platform, release)
    without = read(instance_of(plain, URL, in_process(plain)))
    instance, seen = gated(platform, release, "401", SITEWARD_IT_HEADERS=f"Sandbox-Gate: {VALUE}\nX-Other: two\n")
    assert read(instance).access == without.access
    assert seen.headers
    assert all((told["sandbox-gate"], told["x-other"]) == (VALUE, "two") for told in seen.headers)


def test_the_web_forms_of_plausible_pass_and_are_told() -> None:
    """The login by pages, which answers with pages itself."""
    instance, seen = gated("plausible", "ce-3", "login", SITEWARD_IT_HEADERS=f"Sandbox-Gate: {VALUE}")
    with instance.writing() as writer:
        assert writer.command("POST", "/sites/none/memberships/invite", form={}, redirects=True).status == 404
    assert all(told["sandbox-gate"] == VALUE for told in seen.headers)
    for kind in KINDS:
        instance, _ = gated("plausible", "ce-3", kind)
        with instance.writing() as writer, pytest.raises((GateError, RedirectedError, NotThePlatformError)) as caught:
            writer.command("POST", "/sites/none/memberships/invite", form={}, redirects=True)
        assert "SITEWARD_IT_HEADERS" in (caught.value.hint or "")
        assert isinstance(caught.value, GateError) or kind == "redirect"


@pytest.mark.parametrize("kind", ["401", "403", "basic"])
def test_headers_that_do_not_open_it_are_named_without_their_values(kind: GateKind) -> None:
    """Whoever set them learns that these are what to look at."""
    instance, _ = gated("umami", "3.2", kind, SITEWARD_IT_HEADERS="Sandbox-Gate: wr0ng-value\nX-Other: two-secret")
    with pytest.raises(GateError) as caught:
        read(instance)
    told = f"{caught.value} {caught.value.hint}"
    assert "SITEWARD_IT_HEADERS (Sandbox-Gate, X-Other) did not open it" in told
    assert "wr0ng" not in told
    assert "two-secret" not in told


@pytest.mark.parametrize("kind", ["401", "403", "basic"])
def test_a_gate_that_closes_before_a_command_leaves_it_open(kind: GateKind) -> None:
    """Whether the platform heard of it only reading can show; it is never sent again."""
    instance, seen = gated("umami", "3.2", kind, SITEWARD_IT_HEADERS=f"Sandbox-Gate: {VALUE}")
    with instance.writing() as writer:
        writer.query("/api/config")
        seen.fake.gate = SandboxGate(kind, "changed")
        before = len(seen.headers)
        with pytest.raises(OutcomeUnknownError, match="something before the platform"):
            writer.command("POST", "/api/users", json={})
    assert len(seen.headers) == before + 1


@pytest.mark.parametrize(("platform", "release"), RELEASES)
def test_what_an_adapter_sets_cannot_be_given(platform: str, release: str) -> None:
    """Whatever header goes out with reading, logging in and writing, it is refused as an extra one."""
    fake = lived_in(platform, release)
    seen = Seen(fake)
    instance = instance_of(fake, URL, seen)
    read(instance)
    with instance.writing() as writer:
        writer.command("POST", "/api/nothing-there", redirects=True, json={})
        writer.command("POST", "/api/nothing-there", redirects=True, form={})
    names = {name for told in seen.headers for name in told}
    assert not [name for name in names if refused(name) is None]


def test_a_refusal_of_our_own_token_is_the_platforms() -> None:
    """Servers refuse a dead token so; a gate asks for another scheme, or where no token was sent."""

    class WithToken(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            request.headers["Authorization"] = "Bearer t"
            yield request

    refusal = httpx.Response(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}, json={})
    with open_doors(link(Server(refusal)), reads=READS, auth=WithToken()) as open_:
        assert open_.reader.query("/api/x").status == 401
    with (
        open_doors(link(Server(refusal)), reads=READS) as doors,
        pytest.raises(GateError, match="WWW-Authenticate: Bearer"),
    ):
        doors.reader.query("/api/x")


PAGES = (
    "<html>\r\n<head><title>401 Authorization Required</title></head>",
    "<!DOCTYPE HTML PUBLIC '-//IETF//DTD HTML 2.0//EN'>\n<html>",
    "\ufeff<!-- made by a proxy -->\n<!doctype html>",
    '<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">',
)


@pytest.mark.parametrize("text", PAGES)
@pytest.mark.parametrize("status", [401, 403, 200])
def test_pages_are_known_as_such(text: str, status: int) -> None:
    """As servers and proxies write them, whatever the content type says; nothing of them is quoted."""
    with doors(Server(httpx.Response(status, text=text))) as open_, pytest.raises(GateError) as caught:
        open_.reader.query("/api/x")
    assert not re.search("proxy|IETF|Required", str(caught.value))


@pytest.mark.parametrize("text", ['{"a": "<html>"}', "", "<br />\n<b>Warning</b>: x", "[]", "plain words"])
@pytest.mark.parametrize("status", [401, 403, 200])
def test_what_is_no_page_is_left_to_the_adapter(text: str, status: int) -> None:
    """Data, nothing, and what a program prints before its data."""
    with doors(Server(httpx.Response(status, text=text))) as open_:
        assert open_.reader.query("/api/x").status == status


def test_a_page_of_many_comments_is_looked_at_once() -> None:
    """However it begins, what is looked at is bounded, and no comment is read in two ways."""
    text = "<!-- --> " * 20_000
    with doors(Server(httpx.Response(200, text=text))) as open_:
        assert open_.reader.query("/api/x").status == 200
    with doors(Server(httpx.Response(200, text="<!-- a -->" * 9 + "<html>"))) as open_, pytest.raises(GateError):
        open_.reader.query("/api/x")
