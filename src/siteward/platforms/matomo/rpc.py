"""Calling Matomo's API: one bulk carries many calls, and every answer is looked at (API.md sections 1.1 to 1.7)."""

from __future__ import annotations

import html
import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from siteward.transport.errors import ForbiddenError, NotThePlatformError, RefusedError, UnauthenticatedError
from siteward.transport.redacted import Redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.platforms.matomo.settings import Settings
    from siteward.platforms.matomo.token import Token
    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Doors, Link, Reader
    from siteward.transport.secrets import Secrets


PATH = "/index.php"
BULK = "API.getBulkRequest"
# 5.8 is said to bound a bulk; up to 50 is safe by every account (API.md section 1.6).
MOST = 50
WRONG_PASSWORD = "The current password you entered is not correct"  # noqa: S105 — the server's words
_BAD_TOKEN = "Unable to authenticate with the provided token"  # noqa: S105 — the same
_LOCKED_OUT = "Too many failed logins"
_NO_SUPERUSER = "requires a 'superuser' access"
_LONGEST_WORDS = 300
_TOO_MANY, _LIMIT = 400, "API_bulk_request_limit"

READING = frozenset({
    "API.getPiwikVersion",
    "API.getMatomoVersion",
    "API.isPluginActivated",
    "UsersManager.hasSuperUserAccess",
    "UsersManager.getAvailableCapabilities",
    "UsersManager.getUsers",
    "UsersManager.getUser",
    "UsersManager.getSitesAccessFromUser",
    "UsersManager.getUsersSitesFromAccess",
    "GroupPermissions.getAllGroups",
    "GroupPermissions.getMembersOfGroup",
    "GroupPermissions.getGroupAccessFromSite",
    "SitesManager.getSitesWithAtLeastViewAccess",
})  # fmt: skip


class Call(Redacted, frozen=True):
    """One call of a method with its arguments, which may hold a password and are never shown; a list is `name[]`."""

    method: str
    arguments: Mapping[str, str | tuple[str, ...]] = MappingProxyType({})

    def fields(self) -> list[tuple[str, str]]:
        """Return the arguments as form fields."""
        found: list[tuple[str, str]] = []
        for name, value in self.arguments.items():
            found += [(name, value)] if isinstance(value, str) else [(f"{name}[]", text) for text in value]
        return found

    def numbered(self) -> Iterator[tuple[str, str]]:
        """Yield the arguments as form fields whose names differ, as a form of our transport wants them."""
        for name, value in self.arguments.items():
            if isinstance(value, str):
                yield name, value
            else:
                yield from ((f"{name}[{at}]", text) for at, text in enumerate(value))

    def entry(self) -> str:
        """Return the call as an entry of a bulk."""
        return urlencode([("method", self.method), *self.fields()])


class Failed(Struct, frozen=True):
    """What the server said instead of a result."""

    words: str


def query(method: str) -> dict[str, str]:
    """Return the query of a call.

    Without `filter_limit=-1` every list is silently cut to 100; the language is pinned because messages follow it;
    with the method in the query, errors of authentication come back as JSON (API.md section 0).
    """
    return {"module": "API", "method": method, "format": "JSON", "filter_limit": "-1", "language": "en"}


def bulk_form(calls: Iterable[Call]) -> dict[str, str]:
    """Return the entries of a bulk as form fields."""
    return {f"urls[{at}]": call.entry() for at, call in enumerate(calls)}


def reads_only(body: bytes) -> bool:
    """Tell whether the form body of a bulk holds nothing but reading calls; every field is looked at."""
    fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    entries = [value for name, value in fields if name != "token_auth"]
    named = all(name == "token_auth" or name.startswith("urls[") for name, _ in fields)
    return named and bool(entries) and all(_reads(entry) for entry in entries)


def _reads(entry: str) -> bool:
    fields = parse_qsl(entry, keep_blank_values=True)
    return [value in READING for name, value in fields if name == "method"] == [True]


def ask(reader: Reader, calls: Sequence[Call]) -> list[object]:
    """Return what each reading call answers, `Failed` for those that the server refuses.

    Raises `UnauthenticatedError` and closes the door for a token that is not accepted; `NotThePlatformError` for a page, or for
    another number of results than of calls.
    """

    def send(some: Sequence[Call]) -> Answer:
        return reader.call(PATH, params=query(BULK), form=token_of(reader).form(bulk_form(some)))

    return in_bulks(reader, calls, send)


def in_bulks(
    reader: Reader, calls: Sequence[Call], send: Callable[[Sequence[Call]], Answer], *, after_others: bool = False
) -> list[object]:
    """Return what calls are answered, sent in as many bulks as the server lets them be.

    A bulk that is refused whole with 400 has run nothing (`API_bulk_request_limit`, 5.8 and later): it is halved and
    sent again, and later ones are no longer. Raises as `ask` does; but a refusal after a bulk that ran, or
    `after_others` that did, is the answer to what was left.
    """
    door = token_of(reader)
    found: list[object] = []
    while len(found) < len(calls):
        some = calls[len(found) : len(found) + door.most]
        answer = send(some)
        if answer.status == _TOO_MANY and len(some) > 1:
            door.most = len(some) // 2
            continue
        try:
            found += results(reader, answer, len(some))
        except RefusedError as problem:
            if not found and not after_others:
                raise
            found += [Failed(str(problem))] * (len(calls) - len(found))
    return found


def results(reader: Reader, answer: Answer, wanted: int) -> list[object]:
    """Return the results in the answer to a bulk of `wanted` calls; raises as `ask` does."""
    body = answer.json()
    if isinstance(body, dict):
        raise refusal(reader, words_of(reader, body, inner=False), answer.status)
    if not isinstance(body, list) or len(body) != wanted:
        raise NotThePlatformError(f"a bulk of {wanted} calls was answered with something else than {wanted} results")
    return [_result(reader, item) for item in body]


def _result(reader: Reader, body: object) -> object:
    if not (isinstance(body, dict) and body.get("result") == "error"):
        return body
    words = words_of(reader, body, inner=True)
    if _LOCKED_OUT in words:
        raise refusal(reader, words, 200)
    return Failed(words)


def words_of(reader: Reader, body: Mapping[str, object], *, inner: bool) -> str:
    """Return the server's message; at the top level it is HTML-escaped once, inside a bulk not (API.md 1.1)."""
    message = str(body.get("message", "it gave no reason"))
    return reader.scrub(message if inner else html.unescape(message))[:_LONGEST_WORDS]


def refusal(reader: Reader, words: str, status: int) -> PlatformError:
    """Return the error for a refused call, and close the door where the credentials were what was refused."""
    door = token_of(reader)
    if _BAD_TOKEN in words:
        return door.close("Matomo does not accept the token: it is wrong, has expired or was deleted")
    if _LOCKED_OUT in words:
        return door.close(
            "Matomo has locked this address out after too many failed log-ins; it ends by itself within an hour"
        )
    if _NO_SUPERUSER in words:
        return ForbiddenError(f"Matomo refuses: {words}", hint="the token must be one of a superuser")
    hint = f"the server may bound bulks: look at {_LIMIT} in the section [General] of its config"
    return RefusedError(
        f"Matomo refuses: {words}", status=status, words=words, hint=hint if status == _TOO_MANY else None
    )


def token_of(reader: Reader) -> Token:
    """Return the token that a reader of this adapter goes with."""
    from siteward.platforms.matomo.token import Token  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP

    if not isinstance(reader.auth, Token):
        raise UnauthenticatedError("this door was not opened by the Matomo adapter")
    return reader.auth


def connect(_settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors; nothing is sent yet.

    Matomo answers questions and takes commands at one address, by POST. So the reading side lets one thing through:
    a bulk, with exactly our query, of which every entry calls a method that only reads.
    """
    from siteward.platforms.matomo.token import Token  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415

    bulk = Reading("POST", re.escape(PATH), body=reads_only, query=re.escape(urlencode(query(BULK))))
    auth = Token(secrets.get("token"), secrets.optional("password"))
    return open_doors(link, reads=[bulk], auth=auth, scrub=secrets.scrub)
