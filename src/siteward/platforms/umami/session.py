"""The doors into one Umami, its reading calls, and commands with their read-back."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from siteward.platforms.confirm import Verdict, confirm, failed
from siteward.platforms.umami.rows import ONE_PAGE, Listings, Page, SiteRow, TeamRow, UserRow, parse, refusal, words_of
from siteward.transport.errors import ForbiddenError, PlatformError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.platforms.umami.login import Own
    from siteward.platforms.umami.settings import Settings
    from siteward.transport.http import Answer, Doors, Link, Reader, Writer
    from siteward.transport.secrets import Secrets

T = TypeVar("T")
R = TypeVar("R", UserRow, TeamRow, SiteRow)
Release = Literal["3.4", "3.3", "3.2", "3.1", "3.0", "2.20"]

CLOUD = ("umami.is",)
_API_KEY = re.compile(r"umami_[A-Za-z0-9_-]{32}")
_ID = "[^/]+"
READING_CALLS = (
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/verify"),
    ("GET", "/api/config"),
    ("GET", "/api/boards"),
    ("GET", "/api/2fa/status"),
    ("GET", "/api/me/api-keys"),
    ("GET", "/api/admin/(users|teams|websites)"),
    ("GET", f"/api/admin/users/{_ID}/2fa"),
    ("GET", f"/api/users/{_ID}(/teams|/websites)?"),
    ("GET", f"/api/teams/{_ID}(/users|/websites)?"),
    ("GET", f"/api/websites/{_ID}"),
)


def connect(_settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors to a self-hosted Umami.

    Raises `ForbiddenError` for Umami Cloud before anything is sent: its API has no calls for users (API.md section 0).
    """
    from siteward.platforms.umami.login import Login  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415

    host = urlsplit(link.url).hostname or ""
    if any(host == name or host.endswith(f".{name}") for name in CLOUD):
        raise ForbiddenError(
            "Umami Cloud has no way to manage users through its API; only self-hosted Umami has",
            hint="manage the members of a Cloud team in Umami itself",
        )
    _refuse_api_key(secrets)
    reads = [Reading(*route) for route in READING_CALLS]
    return open_doors(link, reads=reads, auth=Login(link.url, secrets), scrub=secrets.scrub)


def _refuse_api_key(secrets: Secrets) -> None:
    """Raise `ForbiddenError` for a password that is an API key of 3.4: no call about people takes one (read, not driven)."""
    if _API_KEY.fullmatch(secrets.get("password").reveal()):
        raise ForbiddenError(
            "the PASSWORD is an API key of Umami, and a key can manage neither accounts nor teams",
            hint="give the name and the password of an admin account of Siteward's own",
        )


def own(reader: Reader) -> Own:
    """Return the account that is logged in; raises `UnauthenticatedError` before the first request, which logs in."""
    from siteward.platforms.umami.login import Login  # noqa: PLC0415 — see above

    account = reader.auth.own if isinstance(reader.auth, Login) else None
    if account is None:
        raise UnauthenticatedError("nobody is logged in to Umami yet")
    return account


def ask_listings(reader: Reader, meanwhile: Callable[[Page[SiteRow] | Answer], None] = lambda _: None) -> Listings:
    """Ask for the listings of users, teams and sites at once, each on one page; return them, good or bad.

    Each is decoded as it comes, and `meanwhile` gets that of the sites while the others are still on their way.
    """

    def ask_sites() -> Page[SiteRow] | Answer:
        sites = _ask_listing(reader, "websites", Page[SiteRow])
        meanwhile(sites)
        return sites

    asked: tuple[Callable[[], Any], ...] = (
        lambda: _ask_listing(reader, "users", Page[UserRow]),
        lambda: _ask_listing(reader, "teams", Page[TeamRow]),
        ask_sites,
    )
    return Listings(*reader.map(lambda ask: ask(), asked))


def _ask_listing(reader: Reader, name: str, kind: type[T]) -> T | Answer:
    """Ask for a listing and return its rows; an answer that is none as it is, for whoever knows what it means."""
    answer = reader.query(path("admin", name), ONE_PAGE)
    try:
        return parse(kind, answer) if answer.status == 200 else answer
    except PlatformError:
        return answer


def page_of(reader: Reader, listing: Page[R] | Answer, kind: type[Page[R]]) -> Page[R]:
    """Return a listing that was asked for; raises the `PlatformError` of an answer that is none."""
    if isinstance(listing, Page):
        return listing
    if listing.status != 200:
        raise refusal(reader, listing)
    return parse(kind, listing)


def path(*parts: str) -> str:
    """Return the path of an API call, its parts encoded so that no id can lead anywhere else."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def command(  # noqa: PLR0913 — the call, what it accepts, and how it is read back
    writer: Writer,
    method: Literal["POST", "DELETE"],
    path: str,
    body: object,
    kind: type[object],
    is_done: Callable[[], bool],
    *,
    repeatable: bool,
    no: frozenset[int] = frozenset(),
) -> Verdict:
    """Send a command and return its outcome; `is_done` reads whether the state is as the command wants it.

    `repeatable` tells that it sets a state or creates under a unique name: Umami sends no mails.
    `kind` is the type of an answer that accepts. Umami answers 500 with an empty body, or 400, both to a write that is
    done already and to one that is impossible (API.md sections 1 and 11), so every refusal is read back, except those
    with a status in `no`, which are sure.
    """

    def judge(answer: Answer) -> Verdict:
        if answer.ok:
            return Verdict(status="sent", answer=answer)
        return failed(describe_refusal(writer, answer), sure=answer.status in no)

    send = partial(writer.command, method, path, json=body)
    return confirm(writer, send, judge, is_done, repeatable=repeatable, parse=partial(parse, kind))


def describe_refusal(writer: Writer, answer: Answer) -> str:
    """Return what Umami said to a command that it did not accept."""
    words = words_of(writer, answer)
    return f"Umami answered {answer.status}" + (f": {words}" if words else " without a word")
