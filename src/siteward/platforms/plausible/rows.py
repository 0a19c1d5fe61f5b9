"""The types of the Sites API's answers, and the errors that its refusals stand for.

401, 402 and 404 mean different things and none of them ever means "empty" (API.md section 3).
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from siteward.platforms.decode import (
    Api,
    RefusalError,
    Some,
)
from siteward.platforms.plausible.native_state import Standing  # noqa: TC001 — msgspec reads it at run time
from siteward.transport.errors import ForbiddenError, NotThePlatformError, UnauthenticatedError

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Reader

T = TypeVar("T")


class Meta(Struct, frozen=True):
    """The place of a page in its listing: `after` is the cursor of the next one, `None` at the end."""

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
    """A site, known by its domain alone."""

    domain: Some


class SitePage(Struct, frozen=True):
    """One page of sites."""

    sites: tuple[SiteRow, ...]
    meta: Meta


class GuestRow(Struct, frozen=True):
    """A guest of a site, or an address invited as guest."""

    email: Some
    role: str
    status: Standing


class GuestPage(Struct, frozen=True):
    """One page of guests."""

    guests: tuple[GuestRow, ...]
    meta: Meta


class Deleted(Struct, frozen=True):
    """The answer to every deletion, whether it deleted anything or not."""

    deleted: bool


class _Fault(Struct, frozen=True):
    error: str

    @property
    def words(self) -> str:
        return self.error


def _explain_status(  # noqa: PLR0911 — one for each status
    refused: RefusalError, site: str | None = None, *, writing: bool = False
) -> PlatformError | None:
    """Return the error for a status with a meaning of its own, else `None`; `site` is the site in question, if any."""
    said = refused.said
    match refused.answer.status:
        case 401 if site and not writing:
            return ForbiddenError(
                f"{said}; {site} belongs to another team now",
                hint="was it handed over, or has its owner created a team, which takes all personal sites along? It is not gone; "
                "until that is clear nothing on it is managed",
            )
        case 401 if writing:
            return ForbiddenError(said, hint="a Stats key may only read: make a Sites key; or the site left the team")
        case 401:
            return UnauthenticatedError(said, hint="is the key still there, and its user still in the team?")
        case 402:
            return ForbiddenError(said, hint="the subscription has lapsed, or the plan has no Sites API")
        case 404 if refused.words:
            return ForbiddenError(
                f"{said}; there is no such site, or the role of the key's user is too low",
                hint="the key's user must be owner or admin of the team" if writing else None,
            )
        case 404 | 406:
            return NotThePlatformError(said, hint="Community Edition has no Sites API: write `edition: ce`")
        case _:
            return None


API = Api(
    product="Plausible",
    hint="does `url` lead to Plausible itself, and not to a page before it?",
    fault=_Fault,
    meaning=_explain_status,
    unwell="look at its log, and at a proxy before it; then try again",
)
parse, ask, words_of = API.parse, API.ask, API.words_of


def refusal(reader: Reader, answer: Answer, site: str | None = None, *, writing: bool = False) -> PlatformError:
    """Return the error for an answer of another status than expected; `site` is the site in question, if any."""
    return API.refusal(reader, answer, site or "", partial(_explain_status, site=site, writing=writing))


def server_time(answer: Answer) -> datetime | None:
    """Return the server's time from the header `Date` of an answer, or `None`."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
