"""Which Umami this is, and what the credentials may do there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.platforms.interface import Reach
from siteward.platforms.umami.roles import BOARD_LINKS, traits_of
from siteward.platforms.umami.rows import Listings, Page, SiteRow, parse, refusal
from siteward.platforms.umami.session import ask_listings, own
from siteward.transport.errors import ForbiddenError

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.platforms.umami.session import Release
    from siteward.platforms.umami.settings import Settings
    from siteward.transport.http import Reader


class _Config(Struct, frozen=True):
    cloud: bool = field(default=False, name="cloudMode")
    # A boolean that only 3.1 has (API.md section 0); no endpoint returns the version itself.
    current: bool | None = field(default=None, name="currentVersion")


def probe(reader: Reader, _settings: Settings) -> tuple[Traits, Listings | None]:
    """Return what the server can express, and the listings of 3.x for `read`.

    Where there is a site this costs no request of its own: the listings, one of which tells the release, are those that
    `read` needs anyway. Only an empty 3.x is asked once or twice more; 2.20 is asked for two lists it does not have.

    Raises `ForbiddenError` for Umami Cloud and for an account that is no admin, and whatever the login raises.
    """
    try:
        release, listings = _release(reader)
    except ForbiddenError:
        _need_admin(reader)
        raise
    _need_admin(reader)
    return traits_of(release), listings


def reach(reader: Reader, settings: Settings, traits: Traits) -> Reach:
    """Return who the credentials are and what that account may do, for `doctor`; `probe` must have been asked before."""
    account = own(reader)
    return Reach(
        account=account.username,
        role=account.role,
        may=(
            "read every account, team and website",
            "create, rename, promote and delete accounts",
            "manage the members of every team, also of teams it is not in",
        ),
        may_not=(
            "move a website that belongs to another account, or to nobody",
            "take a website out of a team that it does not own",
            "see when somebody last logged in: Umami does not keep it",
        ),
        notes=_notes(settings, traits),
    )


def _need_admin(reader: Reader) -> None:
    account = own(reader)
    if account.role != "admin":
        raise ForbiddenError(
            f"the account in use has the role {account.role} in Umami; reading users and teams needs the role admin",
            hint="give Siteward an admin account of its own",
        )


def _release(reader: Reader) -> tuple[Release, Listings | None]:
    """Return the release, told by what the server answers, and the listings that told it where `read` can use them.

    2.20 lists sites only for a named account, and refuses without (recordings/v2.20.2); a site of 3.2 has a recorder
    where one of 3.1 has a replay (API.md section 6).
    """
    users, teams, sites = ask_listings(reader)
    if sites.status == 400:
        return "2.20", None
    if sites.status != 200:
        return _release_of_an_empty(reader), None
    page = parse(Page[SiteRow], sites)
    listings = Listings(users, teams, page)
    if any(site.recorder is not None for site in page.data):
        return "3.2", listings
    if any(site.replay is not None for site in page.data):
        return "3.1", listings
    return _release_of_an_empty(reader), listings


def _release_of_an_empty(reader: Reader) -> Release:
    """Tell the release where no site tells it (API.md section 0)."""
    answer = reader.query("/api/config")
    if answer.status == 404:
        return "2.20"
    if answer.status != 200:
        raise refusal(reader, answer)
    config = parse(_Config, answer)
    if config.cloud:
        raise ForbiddenError("Umami Cloud has no way to manage users through its API; only self-hosted Umami has")
    if config.current is not None:
        return "3.1"
    return "3.0" if reader.query("/api/boards").status == 404 else "3.2"


def _notes(settings: Settings, traits: Traits) -> tuple[str, ...]:
    notes = [
        (
            "every member of a team can read its access code and join again with it; block POST /api/teams/join at the "
            "proxy, besides the new code that Siteward sets after each revocation"
        ),
        "a share link's token outlives the link; only a new APP_SECRET ends it",
    ]
    if settings.layout == "per-site":
        notes.append("this account owns the managed teams: deleting it would delete them all")
    if BOARD_LINKS in traits.blind_spots:
        notes.append(
            "whoever has the role user or above can share boards publicly, and no list shows these links; new accounts "
            "begin as view-only, which cannot"
        )
    if traits.version == "2.20":
        notes.append("2.20 does not show teams without members, nor websites that belong to nobody")
    if traits.version == "3.0":
        notes.append("3.0 was read in source only, never driven live; 3.1 or later is advised")
    return tuple(notes)
