"""Holding to the vendor's description is no empty word: it refuses what it does not describe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml

from platforms.piwikpro.clocks import FastClock
from platforms.piwikpro.held import BUNDLE, judge, needs_description
from platforms.piwikpro.opened import opened
from siteward.platforms.piwikpro.fake import FAKE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLE = b'{"data":{"id":"23f32013-b1d9-4e70-903c-d7b99e0908d2","type":"ppms/user","attributes":{"role":"%s"}}}'
HEADERS = {"Authorization": "Bearer x"}
JSON_API = {"Content-Type": "application/vnd.api+json"}


def _exchange(method: str, path: str, body: bytes, answer: bytes, **query: str) -> tuple[httpx.Request, httpx.Response]:
    headers = HEADERS | (JSON_API if body else {})
    request = httpx.Request(method, f"https://x.piwik.pro{path}", params=query, headers=headers, content=body)
    return request, httpx.Response(200, headers=JSON_API, content=answer, request=request)


@needs_description
def test_an_answer_as_described_passes() -> None:
    """So that what follows fails for the right reason."""
    judge(*_exchange("GET", "/api/users/v2/me", b"", ROLE % b"OWNER"))


@needs_description
@pytest.mark.parametrize(
    ("path", "query", "answer"),
    [
        ("/api/users/v2/me", {}, ROLE % b"ADMIN"),
        ("/api/users/v2", {"limit": "1001"}, b'{"meta":{"total":0},"data":[]}'),
        ("/api/users/v2", {"sort": "lastLogin"}, b'{"meta":{"total":0},"data":[]}'),
        ("/api/nothing/v1", {}, b"{}"),
    ],
)
def test_what_is_not_described_is_caught(path: str, query: Mapping[str, str], answer: bytes) -> None:
    """An unknown role, a limit or an order that there is not, a call nobody described."""
    with pytest.raises(Exception, match=r"."):
        judge(*_exchange("GET", path, b"", answer, **query))


@needs_description
def test_every_call_of_the_stand_in_is_described() -> None:
    """And of the described ones only the deprecated ones, and one's own password, are left out."""

    def shapes(calls: set[tuple[str, str]]) -> set[tuple[str, str]]:
        return {(method, re.sub(r"[{<][^}>]+[}>]", "*", path)) for method, path in calls}

    paths = yaml.safe_load(BUNDLE.read_text(encoding="utf-8"))["paths"]
    described = shapes(
        {(method.upper(), path) for path, calls in paths.items() for method in calls if method != "parameters"}
    )
    answered = shapes(set(FAKE.fresh("current", clock=FastClock()).routes()))

    assert answered <= described
    assert {path for _, path in described - answered} == {
        "/api/users/v2/me/change-password",
        "/api/users/v2/me/details",
        "/api/user-groups/v1/*/permissions",
        "/api/access-control/v2/entry/group",
        "/api/access-control/v2/entry/groups/ppms/app/*",
    }


def test_reading_needs_no_description() -> None:
    """The descriptions are data kept elsewhere; the adapter reads without them."""
    assert opened(through=lambda fake: httpx.WSGITransport(app=fake)).live().complete
