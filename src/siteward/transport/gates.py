"""Answers of a gate: something before a platform that wants a login of its own, or shows a page of its own.

Taken for the platform's own word, such an answer would look like a wrong password. What shows it: a page of HTML where a
program asked (401 and 403, or a login page with 200), or `WWW-Authenticate`, which no platform here sends; but a server
may refuse a `Bearer` token that it was sent in just that way.

The wire marks each response, and whoever takes it from there raises: a login, so that it is not tried again, and the
reader and writer for all else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from siteward.transport.errors import GateError

if TYPE_CHECKING:
    from siteward.transport._httpx import httpx
    from siteward.transport.link import Link

_GATE, _PAGE_OF, _HINT = "siteward.gate", "siteward.page", "siteward.gate-hint"
_NO = frozenset({401, 403, 407})
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|title|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_BEGINNING = 4096
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")
_NO_HEADERS = "SITEWARD_<INSTANCE>_HEADERS"


def mark_gate(response: httpx.Response, request: httpx.Request, link: Link, *, pages: bool) -> None:
    """Note on a response whether it is a gate's, and what to do then.

    With `pages` the platform itself answers this request with pages, also with 403; then a page with 200 or 403 is only
    noted, for `foreign_page`.
    """
    response.extensions[_HINT] = link.headers_variable
    page = _describe_page(response)
    asked = _describe_challenge(response, request)
    if page is None and asked is None:
        return
    error = GateError(
        f"{request.method} {request.url.path} was answered {response.status_code} by something before the platform: "
        f"{asked or page}",
        request,
        status=response.status_code,
        hint=_hint(link),
    )
    own = asked is None and pages and response.status_code in {200, 403}
    response.extensions[_PAGE_OF if own else _GATE] = error


def raise_gate(response: httpx.Response) -> None:
    """Raise the `GateError` of a response that a gate gave."""
    found = response.extensions.get(_GATE)
    if isinstance(found, GateError):
        raise found


def foreign_page(response: httpx.Response) -> GateError | None:
    """Return the error for a page that turned out to be none of the platform's; `None` for what is no page."""
    found = response.extensions.get(_PAGE_OF)
    return found if isinstance(found, GateError) else None


def headers_variable(response: httpx.Response) -> str:
    """Return the name of the variable that gives extra headers to the instance that a response came from."""
    return str(response.extensions.get(_HINT, _NO_HEADERS))


def _describe_challenge(response: httpx.Response, request: httpx.Request) -> str | None:
    """Return what a refusal asks for in `WWW-Authenticate`; `None` if nothing, or a token that we sent."""
    asked = response.headers.get("www-authenticate")
    if asked is None or response.status_code not in _NO:
        return None
    scheme = _SCHEME.match(asked.strip())
    sent = request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme is not None and scheme[0].lower() == "bearer" == sent:
        return None
    return f"it asks for a login of its own (WWW-Authenticate{f': {scheme[0]}' if scheme else ''})"


def _describe_page(response: httpx.Response) -> str | None:
    """Return what kind of page a response is; `None` for none, or for one that says something else."""
    status = response.status_code
    if (status != 200 and status not in _NO) or not _PAGE.match(response.content[:_BEGINNING]):
        return None
    return "it shows a page for people" if status == 200 else "it refuses with a page for people"


def _hint(link: Link) -> str:
    variable = link.headers_variable
    if link.headers:
        names = ", ".join(link.headers)
        return f"the headers of {variable} ({names}) did not open it: look at their values, and in the gate's own log"
    return (
        f"if it is a gate of yours, give the headers that let a program pass in {variable}; if there is none, look "
        "whether `url` leads to the platform itself"
    )
