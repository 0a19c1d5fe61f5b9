"""The Sites API's answers, as far as access needs them, and what its refusals mean.

401, 402 and 404 mean different things and none of them ever means "empty" (API.md section 3).
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from siteward.platforms.decode import Misshapen, decoded, parsed
from siteward.platforms.plausible.native_state import Standing  # noqa: TC001 — msgspec reads it at run time
from siteward.transport.errors import Forbidden, NotThePlatform, Refused, Unauthenticated
from siteward.transport.texts import Some  # noqa: TC001 — msgspec reads it at run time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Reader

T = TypeVar("T")

_LONGEST_WORDS = 200


class Meta(Struct, frozen=True):
    """Where a page stands: `after` is the cursor of the next one, `None` at the end."""

    after: str | None
    before: str | None
    limit: int


class TeamRow(Struct, frozen=True):
    """A team that the key sees; a team never set up has the fixed name "My personal sites"."""

    id: Some
    name: str
    api_available: bool = True


class TeamPage(Struct, frozen=True):
    """One page of teams."""

    teams: tuple[TeamRow, ...]
    meta: Meta


class SiteRow(Struct, frozen=True):
    """A site; the domain is all there is to tell it by."""

    domain: Some


class SitePage(Struct, frozen=True):
    """One page of sites."""

    sites: tuple[SiteRow, ...]
    meta: Meta


class GuestRow(Struct, frozen=True):
    """A guest of a site, or somebody invited to be one."""

    email: Some
    role: str
    status: Standing


class GuestPage(Struct, frozen=True):
    """One page of guests."""

    guests: tuple[GuestRow, ...]
    meta: Meta


class Deleted(Struct, frozen=True):
    """What every deletion answers, whether it did anything or not."""

    deleted: bool


class _Fault(Struct, frozen=True):
    error: str


def parse(kind: type[T], answer: Answer) -> T:
    """Return the answer's body as `kind`; raises `NotThePlatform` for any other shape, without quoting the body."""
    return parsed(kind, answer, "Plausible", "does `url` lead to Plausible itself, and not to a page before it?")


def ask(reader: Reader, path: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> T:
    """Ask by GET and return the parsed answer; raises `PlatformError` for any status but 200."""
    answer = reader.query(path, params)
    if answer.status != 200:
        raise refusal(reader, answer)
    return parse(kind, answer)


def refusal(reader: Reader, answer: Answer, site: str | None = None, *, writing: bool = False) -> PlatformError:  # noqa: PLR0911 — one for each status
    """Return the error for an answer that is none of the good ones; `site` is what it was about, if one."""
    words = words_of(reader, answer)
    about = f" about {site}" if site else ""
    said = f"{answer.path} was answered {answer.status}{about}" + (f": {words}" if words else "")
    match answer.status:
        case 401 if site and not writing:
            return Forbidden(
                f"{said}; {site} belongs to another team now",
                hint="was it handed over? Until that is clear nothing on it is managed",
            )
        case 401 if writing:
            return Forbidden(said, hint="a Stats key may only read: make a Sites key; or the site left the team")
        case 401:
            return Unauthenticated(said, hint="is the key still there, and its user still in the team?")
        case 402:
            return Forbidden(said, hint="the subscription has lapsed, or the plan has no Sites API")
        case 404 if words:
            return Forbidden(
                f"{said}; there is no such site, or the role of the key's user is too low",
                hint="the key's user must be owner or admin of the team" if writing else None,
            )
        case 404 | 406:
            return NotThePlatform(said, hint="Community Edition has no Sites API: write `edition: ce`")
        case _:
            told = words and answer.status < 500
            hint = None if told else "look at its log, and at a proxy before it; then try again"
            return Refused(said, status=answer.status, words=words, hint=hint)


def words_of(reader: Reader, answer: Answer) -> str:
    """Return the server's own words about an error, scrubbed and bounded; empty where it gave none."""
    try:
        fault = decoded(_Fault, answer.content)
    except Misshapen:
        return ""
    return reader.scrub(fault.error)[:_LONGEST_WORDS]


def told(answer: Answer) -> datetime | None:
    """Return the server's clock, as the answer's `Date` has it."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
