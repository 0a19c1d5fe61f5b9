"""Calls of Matomo's API, sent in bulks; every single answer is checked (API.md sections 1.1 to 1.7)."""

from __future__ import annotations

import html
import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from msgspec import Struct

from siteward.transport.errors import (
    ForbiddenError,
    GateError,
    NotThePlatformError,
    RefusedError,
    UnauthenticatedError,
)
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
# Up to fifty calls are safe in a bulk, also where a release bounds it (API.md section 1.6).
MOST_CALLS = 50
WRONG_PASSWORD = "The current password you entered is not correct"  # noqa: S105 — the server's words
_BAD_TOKEN = "Unable to authenticate with the provided token"  # noqa: S105 — the same
_LOCKED_OUT = "Too many failed logins"
_NO_SUPERUSER = "requires a 'superuser' access"
_LONGEST_WORDS = 300
_TOO_MANY, _LIMIT = 400, "API_bulk_request_limit"
_PAGE = 200
# From 6.0 on Matomo itself may answer so, behind a proxy (developer changelog; read, not driven).
_UNTRUSTED = "or is it Matomo's own warning, because the host in `url` is not one of `trusted_hosts` in its config?"
# Cloud: 350 requests in a minute and 2,000 in ten, by address; 429 says for how long nothing (vendor's FAQ, August 2026).
_CLOUD, _CLOUD_RATES = ".matomo.cloud", ((5, 1.0), (350, 60.0), (2000, 600.0))

# Methods that change nothing; a bulk of others does not pass the reading side.
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
    """A call of a method with its arguments, which may hold a password and are never shown."""

    method: str
    arguments: Mapping[str, str | tuple[str, ...]] = MappingProxyType({})

    def fields(self) -> list[tuple[str, str]]:
        """Return the arguments as form fields; those of a list are all called `name[]`."""
        fields: list[tuple[str, str]] = []
        for name, argument in self.arguments.items():
            fields += [(name, argument)] if isinstance(argument, str) else [(f"{name}[]", part) for part in argument]
        return fields

    def numbered(self) -> Iterator[tuple[str, str]]:
        """Yield the arguments as form fields with distinct names, which our transport needs; a list is `name[0]` and so on."""
        for name, argument in self.arguments.items():
            if isinstance(argument, str):
                yield name, argument
            else:
                yield from ((f"{name}[{position}]", part) for position, part in enumerate(argument))

    def entry(self) -> str:
        """Return the call as an entry of a bulk."""
        return urlencode([("method", self.method), *self.fields()])


class Failed(Struct, frozen=True):
    """A refusal of one call: the server's message in place of a result."""

    words: str


def query(method: str) -> dict[str, str]:
    """Return the query of a call.

    Without `filter_limit=-1` every list is silently cut to 100. The language is fixed, because messages depend on it.
    With the method in the query, errors of authentication come back as JSON (API.md section 0).
    """
    return {"module": "API", "method": method, "format": "JSON", "filter_limit": "-1", "language": "en"}


def bulk_form(calls: Iterable[Call]) -> dict[str, str]:
    """Return the entries of a bulk as form fields."""
    return {f"urls[{position}]": call.entry() for position, call in enumerate(calls)}


def reads_only(body: bytes) -> bool:
    """Return whether the form body of a bulk holds nothing but reading calls; every field is checked."""
    fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    entries = [entry for name, entry in fields if name != "token_auth"]
    known = all(name == "token_auth" or name.startswith("urls[") for name, _ in fields)
    return known and bool(entries) and all(_entry_reads_only(entry) for entry in entries)


def _entry_reads_only(entry: str) -> bool:
    methods = [value for name, value in parse_qsl(entry, keep_blank_values=True) if name == "method"]
    return len(methods) == 1 and methods[0] in READING


def ask(reader: Reader, calls: Sequence[Call]) -> list[object]:
    """Return the answer to each reading call, `Failed` for those that the server refuses.

    Raises `UnauthenticatedError` for a token that is not accepted, after which nothing more is sent, and
    `NotThePlatformError` for a page, or for another number of results than of calls.
    """

    def send(batch: Sequence[Call]) -> Answer:
        try:
            return reader.call(PATH, params=query(BULK), form=token_of(reader).form(bulk_form(batch)))
        except GateError as gate:
            if gate.status == _PAGE:
                gate.hint = f"{gate.hint}; {_UNTRUSTED}" if gate.hint else _UNTRUSTED
            raise

    return in_bulks(reader, calls, send)


def in_bulks(
    reader: Reader, calls: Sequence[Call], send: Callable[[Sequence[Call]], Answer], *, after_others: bool = False
) -> list[object]:
    """Return the answers to calls, which are sent in as many bulks as the server's limit takes.

    A bulk that is refused whole with 400 has run nothing (`API_bulk_request_limit`, 5.8 and later): it is sent again
    in halves, and later bulks are as short. Raises as `ask` does; but once a bulk has run, here or before if
    `after_others`, a refusal becomes the answer to all calls that are left.
    """
    token = token_of(reader)
    answers: list[object] = []
    while len(answers) < len(calls):
        batch = calls[len(answers) : len(answers) + token.most_calls]
        answer = send(batch)
        if answer.status == _TOO_MANY and len(batch) > 1:
            token.most_calls = len(batch) // 2
            continue
        try:
            answers += parse_results(reader, answer, len(batch))
        except RefusedError as problem:
            if not answers and not after_others:
                raise
            answers += [Failed(str(problem))] * (len(calls) - len(answers))
    return answers


def parse_results(reader: Reader, answer: Answer, wanted: int) -> list[object]:
    """Return the results in the answer to a bulk of `wanted` calls; raises as `ask` does."""
    body = answer.json()
    if isinstance(body, dict):
        raise refusal(reader, words_of(reader, body, inner=False), answer.status)
    if not isinstance(body, list) or len(body) != wanted:
        raise NotThePlatformError(f"a bulk of {wanted} calls was answered with something else than {wanted} results")
    return [_parse_result(reader, result) for result in body]


def _parse_result(reader: Reader, body: object) -> object:
    if not (isinstance(body, dict) and body.get("result") == "error"):
        return body
    words = words_of(reader, body, inner=True)
    if _LOCKED_OUT in words:
        raise refusal(reader, words, 200)
    return Failed(words)


def words_of(reader: Reader, body: Mapping[str, object], *, inner: bool) -> str:
    """Return the server's message, scrubbed and shortened.

    At the top level it is HTML-escaped once; inside a bulk (`inner`) it is not (API.md section 1.1).
    """
    message = str(body.get("message", "it gave no reason"))
    return reader.scrub(message if inner else html.unescape(message))[:_LONGEST_WORDS]


def refusal(reader: Reader, words: str, status: int) -> PlatformError:
    """Return the error for a refused call; if the credentials were refused, nothing more is sent with them.

    `status` is that of the answer: inside a bulk, 200.
    """
    token = token_of(reader)
    if _BAD_TOKEN in words:
        return token.close("Matomo does not accept the token: it is wrong, has expired or was deleted")
    if _LOCKED_OUT in words:
        return token.close(
            "Matomo has locked this address out after too many failed log-ins; it ends by itself within an hour"
        )
    if _NO_SUPERUSER in words:
        return ForbiddenError(f"Matomo refuses: {words}", hint="the token must be one of a superuser")
    hint = f"the server may bound bulks: look at {_LIMIT} in the section [General] of its config"
    return RefusedError(
        f"Matomo refuses: {words}", status=status, words=words, hint=hint if status == _TOO_MANY else None
    )


def token_of(reader: Reader) -> Token:
    """Return the credentials of a reader; raises `UnauthenticatedError` if another adapter has opened it."""
    from siteward.platforms.matomo.token import Token  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP

    if not isinstance(reader.auth, Token):
        raise UnauthenticatedError("this door was not opened by the Matomo adapter")
    return reader.auth


def connect(_settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors; nothing is sent yet.

    Matomo has one address for reading and writing, both by POST. So the reading side lets just one thing through: a
    bulk with exactly our query, every entry of which calls a method that only reads.
    """
    from siteward.platforms.matomo.token import Token  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP
    from siteward.transport.http import Rate, Reading, open_doors  # noqa: PLC0415

    bulk = Reading("POST", re.escape(PATH), body=reads_only, query=re.escape(urlencode(query(BULK))))
    auth = Token(secrets.get("token"), secrets.optional("password"))
    cloud = (urlsplit(link.url).hostname or "").endswith(_CLOUD)
    rates = [Rate(*rate) for rate in _CLOUD_RATES] if cloud else []
    return open_doors(link, reads=[bulk], auth=auth, rates=rates, scrub=secrets.scrub)
