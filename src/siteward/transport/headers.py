"""Extra request headers that open a gate before a platform: lines `Name: value`, and which names are refused.

A gate (single sign-on, a tunnel, a proxy with a password) lets a program through by a header of its own. Such headers
stand beside the credentials and are secrets as they are. They must not change what a request is: whom it logs in as, which
address and method the server sees, where its body ends, or how its answer is coded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from siteward.transport.errors import BadHeadersError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 8192
"""The most bytes that all lines may have together; servers take no more in one request."""
ALLOWED = "lines `Name: value`: letters, digits, - and _ in a name, printable ASCII in a value"

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]+")
_WRITTEN_END = re.compile(r"\\[nr]")
_LOGIN = "Siteward logs in with it"
_ADDRESS = "it changes the address that the server sees"
_METHOD = "it changes the method that the server sees"
_FRAMING = "it says where a request ends, or is between two hosts alone"
_BODY = "Siteward sets it for what it sends and takes"
_PARTS = "it asks for less than the whole answer"
_REFUSED = (
    (_LOGIN, r"authorization|cookie2?|set-cookie2?|x-csrf-token|x-xsrf-token"),
    (
        _ADDRESS,
        r"(x-|x-http-)?host(-override)?|forwarded|x-forwarded-(host|server|port|uri|path|prefix)|x-(original|rewrite)-ur[il]",
    ),
    (_METHOD, r"x-http-method.*|x-method-override|x-(original|forwarded)-method"),
    (
        _FRAMING,
        r"content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|http2-settings|via",
    ),
    (_BODY, r"content-.*|accept|accept-.*|user-agent|prefer"),
    (_PARTS, r"range|if-.*"),
)
"""Why headers are refused, with the names in lower case; servers take `_` for `-`."""
_REASONS = tuple((reason, re.compile(names)) for reason, names in _REFUSED)


def read_headers(text: str, source: str) -> tuple[tuple[str, str], ...]:
    """Return the names and values of header lines, in their order; blank lines are left out.

    `source` is where the text was found. Raises `BadHeadersError`, which tells of every line that is wrong, by its number:
    what stands there may be a secret, and is not quoted unless it is a name that is refused.
    """
    found: dict[str, tuple[str, str]] = {}
    faults = [] if len(text.encode("utf-8", "replace")) <= LONGEST else [f"there are more than {LONGEST} bytes"]
    for number, line in enumerate((line.removesuffix("\r") for line in text.split("\n")), 1):
        if not line.strip(" \t"):
            continue
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        problem = next(_faults_of(name, value, found), None) if colon else "no colon"
        if problem is None:
            found[_folded(name)] = (name, value)
        else:
            faults.append(f"line {number}: {problem}")
    if not found and not faults:
        faults.append("there is no line")
    if faults:
        said = f"{source} holds what cannot be sent as headers: {'; '.join(faults)}; nothing was sent"
        raise BadHeadersError(said, hint=f"write {ALLOWED}; docs/gates.md lists the names that are refused, and why")
    return tuple(found.values())


def refused(name: str) -> str | None:
    """Return why a header of that name cannot be given, or `None` for one that can."""
    folded = _folded(name)
    return next((reason for reason, names in _REASONS if names.fullmatch(folded)), None)


def _faults_of(name: str, value: str, found: dict[str, tuple[str, str]]) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "the name is no header name, or a space stands before or behind it"
    if reason := refused(name):
        yield f"{name} is refused, for {reason}"
    if _folded(name) in found:
        yield "the name was given before"
    if not value:
        yield "there is no value"
    elif not _VALUE.fullmatch(value):
        yield "the value has a character that is not printable ASCII"
    elif _WRITTEN_END.search(value):
        yield "the value has a line end that is written as letters; write a real one between two headers"


def _folded(name: str) -> str:
    """Return a name as servers compare it that hand headers on as variables."""
    return name.lower().replace("_", "-")
