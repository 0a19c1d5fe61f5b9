"""What may have changed at Piwik PRO since its specifications of January 2025: met in words, never taken for nothing."""

from __future__ import annotations

import httpx
import pytest

from platforms.every import instance_of, read
from platforms.piwikpro.clocks import BEGINNING
from platforms.proxy import Page, Proxy
from siteward.access.change import Change
from siteward.access.model import Grant, Scope, Subject
from siteward.platforms.fakery import in_process
from siteward.platforms.instance import Instance
from siteward.platforms.interface import Bundle
from siteward.platforms.piwikpro.fake import FAKE
from siteward.platforms.piwikpro.platform import PLATFORM
from siteward.transport.errors import NotThePlatformError

LISTS = ("/api/users/v2/me", "/api/users/v2$", "/api/apps/v2", "/api/access-control")


def behind() -> tuple[Proxy, Instance]:
    fake = FAKE.lived_in("current", clock=lambda: BEGINNING)
    proxy = Proxy(in_process(fake))
    return proxy, instance_of(fake, "http://127.0.0.1:1", proxy)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("status", "content"), [(404, b""), (410, b'{"errors":[{"status":"410"}]}')])
def test_an_interface_that_is_gone_is_never_an_empty_list(path: str, status: int, content: bytes) -> None:
    proxy, instance = behind()
    proxy.pages.append(Page(f"GET {path}", status=status, content=content, times=0))
    with pytest.raises(NotThePlatformError, match="does not have this interface") as told:
        read(instance)
    assert "report it" in (told.value.hint or "")


def test_an_unknown_role_is_mapped_to_none_of_ours() -> None:
    proxy, instance = behind()
    fake_answer = b'{"data":{"id":"1","type":"ppms/user","attributes":{"email":"a@example.org","role":"AUDITOR"}}}'
    proxy.pages.append(Page("GET /api/users/v2/me", content=fake_answer, times=0))
    with instance.reading() as reader, pytest.raises(NotThePlatformError, match="role"):
        PLATFORM.probe(reader, instance.settings)


@pytest.mark.parametrize("header", ["deprecation", "sunset"])
def test_doctor_passes_on_the_announced_end_of_an_interface(header: str) -> None:
    proxy, instance = behind()
    with instance.reading() as reader:
        traits, _ = PLATFORM.probe(reader, instance.settings)
        assert not any("announces" in note for note in PLATFORM.reach(reader, instance.settings, traits).notes)
        answer = reader.query("/api/users/v2/me")
        proxy.pages.append(Page("GET /api/users/v2/me", content=answer.content, headers={header: "2027-01-01"}))
        notes = PLATFORM.reach(reader, instance.settings, traits).notes
    assert any(f"/api/users/v2/me announces its end ({header}: 2027-01-01)" in note for note in notes)


def test_a_token_that_says_no_end_is_good_for_half_an_hour() -> None:
    proxy, instance = behind()
    given = httpx.Client(transport=proxy.behind).post(
        "http://127.0.0.1:1/auth/token",
        json={"grant_type": "client_credentials", **{
            name.removeprefix("SITEWARD_IT_").lower(): value for name, value in instance.env.items()
        }},
    ).json()  # fmt: skip
    content = httpx.Response(200, json={"token_type": "Bearer", "access_token": given["access_token"]}).content
    proxy.pages.append(Page("POST /auth/token", content=content))
    with instance.reading() as reader:
        assert PLATFORM.probe(reader, instance.settings)[0].version == "current"


def test_a_write_answered_202_is_not_done_before_reading_shows_it() -> None:
    """The vendor's tag manager answers so; none of our calls was seen to."""
    proxy, instance = behind()
    with instance.reading() as reader:
        traits, seed = PLATFORM.probe(reader, instance.settings)
        live = PLATFORM.read(reader, instance.settings, traits, seed)
    held = next(
        grant for grant in live.access.grants() if grant.scope.kind == "site" and grant.subject.kind == "account"
    )
    site = next(scope for scope in live.sites if live.access.find(Grant(held.subject, scope, "view").key) is None)
    change = Change(None, Grant(Subject("account", held.subject.name), Scope("site", site.name), "view"))
    proxy.pages.append(Page("PUT /api/access-control", status=202, content=b"", times=0))
    proxy.pages.append(Page("POST /api/access-control", status=202, content=b"", times=0))
    proxy.pages.append(Page("PATCH /api/access-control", status=202, content=b"", times=0))
    with instance.writing() as writer:
        (bundle,) = PLATFORM.bundle([change], live)
        (receipt,) = PLATFORM.write(writer, Bundle(changes=bundle.changes), live)
    assert receipt.status == "unknown"
