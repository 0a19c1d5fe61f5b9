"""Holds every exchange with the stand-in to the vendor's descriptions, where those are at hand.

The descriptions are data kept outside the repository. Without them `held` hands back the plain transport, and
the tests that are about the descriptions skip, saying so.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from siteward.platforms.fakery import Fake, in_process

FACTS = Path(__file__).parents[4] / "shared" / "platforms" / "piwikpro"
BUNDLE = FACTS / "openapi" / "bundle_repaired.yaml"
EXAMPLES = FACTS / "examples.jsonl"


@cache
def description() -> Any:
    """Return the vendor's description as openapi-core reads it, or `None` where one of the two is not at hand."""
    try:
        from openapi_core import OpenAPI
    except ImportError:
        return None
    return OpenAPI.from_file_path(str(BUNDLE)) if BUNDLE.exists() else None


needs_description = pytest.mark.skipif(
    description() is None, reason=f"needs openapi-core and the vendor's description at {BUNDLE}"
)
needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason=f"needs the recorded examples at {EXAMPLES}")


class Held(httpx.BaseTransport):
    """Answers from `inner`, and fails on any exchange that the description does not allow."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        judge(request, response)
        return response


def held(fake: Fake) -> httpx.BaseTransport:
    """Return a transport that answers from `fake` and holds each exchange to the description, if there is one."""
    return Held(in_process(fake)) if description() else in_process(fake)


def judge(request: httpx.Request, response: httpx.Response) -> None:
    """Raise for an exchange that the description does not allow; requests that were refused may be wrong ones.

    What a proxy answers in the server's place (5xx) is nobody's promise.
    """
    if response.status_code >= 500:
        return
    asked = _request(request)
    if response.status_code < 400:
        description().validate_request(asked)
    if response.status_code == 204:
        assert not response.content, "204 with a body"
    if response.content or response.status_code < 400:
        description().validate_response(asked, _response(response))


def _request(request: httpx.Request) -> Any:
    from openapi_core.testing import MockRequest

    return MockRequest(
        "https://example.piwik.pro",
        request.method,
        request.url.path,
        args=dict(request.url.params),
        headers=dict(request.headers),
        data=request.content or None,
        content_type=request.headers.get("Content-Type", ""),
    )


def _response(response: httpx.Response) -> Any:
    from openapi_core.testing import MockResponse

    return MockResponse(
        response.content, status_code=response.status_code, content_type=response.headers.get("Content-Type", "")
    )
