"""Detection of Umami's release, and of the rights of the credentials (API.md section 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.platforms.interface import Reach
from siteward.platforms.umami.roles import API_KEYS, BOARD_LINKS, has_factors, traits_of
from siteward.platforms.umami.rows import Page, SiteRow, parse, refusal, words_of
from siteward.platforms.umami.session import ask_listings, own, page_of
from siteward.transport.errors import ForbiddenError

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.platforms.umami.rows import Listings
    from siteward.platforms.umami.session import Release
    from siteward.platforms.umami.settings import Settings
    from siteward.transport.http import Answer, Reader


FACTOR_STATUS = "/api/2fa/status"


class _Factor(Struct, frozen=True):
    """The answer to `GET /api/2fa/status`."""

    required: bool | None = field(default=None, name="isRequired")
    reason: str | None = field(default=None, name="requiredReason")


class _Config(Struct, frozen=True):
    cloud: bool = field(default=False, name="cloudMode")
    # A boolean that only 3.1 has (API.md section 0); no endpoint returns the version itself.
    current: bool | None = field(default=None, name="currentVersion")


def probe(reader: Reader, _settings: Settings) -> tuple[Traits, Listings | None]:
    """Return the traits of this server, and the listings of 3.x for `read`.

    Where there is a site, the release shows in the listings, which `read` needs anyway: this costs no request of its own
    for 3.1, one for 3.2 and two for later ones (see `_detect_newer`). A 3.x without sites is asked once or twice more; 2.20
    is asked for two lists it does not have.

    Raises `ForbiddenError` for Umami Cloud and for an account that is no admin, and whatever the login raises.
    """
    try:
        release, listings = _detect_release(reader)
    except ForbiddenError:
        _require_admin(reader)
        raise
    _require_admin(reader)
    return traits_of(release), listings


def reach(reader: Reader, settings: Settings, traits: Traits) -> Reach:
    """Return the account of the credentials and its rights, for `doctor`; `probe` must have been called before."""
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
        notes=(*_list_notes(settings, traits), *([_describe_factor(reader)] if has_factors(traits) else ())),
    )


def _require_admin(reader: Reader) -> None:
    """Raise `ForbiddenError` if the account in use has not the role admin."""
    account = own(reader)
    if account.role != "admin":
        raise ForbiddenError(
            f"the account in use has the role {account.role} in Umami; reading users and teams needs the role admin",
            hint="give Siteward an admin account of its own",
        )


def _detect_release(reader: Reader) -> tuple[Release, Listings | None]:
    """Return the release by the form of the listings, and the listings themselves where `read` can use them.

    2.20 lists sites only for a named account, and refuses without (recordings/v2.20.2); a site of 3.2 has a recorder
    where one of 3.1 has a replay (API.md section 6).
    """
    found: list[tuple[Release, bool]] = []
    listings = ask_listings(reader, lambda sites: found.append(_judge_sites(reader, sites)))
    release, usable = found[0]
    return release, listings if usable else None


def _judge_sites(reader: Reader, sites: Page[SiteRow] | Answer) -> tuple[Release, bool]:
    """Return the release by the listing of the sites, and whether `read` can use the listings."""
    if not isinstance(sites, Page) and sites.status != 200:
        return ("2.20" if sites.status == 400 else _detect_without_sites(reader)), False
    rows = page_of(reader, sites, Page[SiteRow]).data
    if any(site.recorder is not None for site in rows):
        return _detect_newer(reader), True
    if any(site.replay is not None for site in rows):
        return "3.1", True
    return _detect_without_sites(reader), True


def _detect_without_sites(reader: Reader) -> Release:
    """Return the release of a server whose sites do not show it, because it has none (API.md section 0)."""
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
    return "3.0" if reader.query("/api/boards").status == 404 else _detect_newer(reader)


def _detect_newer(reader: Reader) -> Release:
    """Return which of 3.2, 3.3 and 3.4 a server is, by what it has: two-factor login, API keys (read, not driven).

    One request where it is 3.2, else two. A server that refuses one of them has it, so that no blind spot is missed.
    """
    if not _has(reader, FACTOR_STATUS):
        return "3.2"
    return "3.4" if _has(reader, "/api/me/api-keys") else "3.3"


def _has(reader: Reader, path: str) -> bool:
    """Return whether a server has a path: what it has not it answers with a page and 404."""
    try:
        answer = reader.query(path)
    except ForbiddenError:
        return True
    if answer.status == 404 and words_of(reader, answer):
        raise ForbiddenError("Umami Cloud has no way to manage users through its API; only self-hosted Umami has")
    if answer.status >= 500:
        raise refusal(reader, answer)
    return answer.status != 404


def _describe_factor(reader: Reader) -> str:
    """Return in a sentence whether a second factor is required of our account, which has none, and why."""
    answer = reader.query(FACTOR_STATUS)
    status = parse(_Factor, answer) if answer.status == 200 else _Factor()
    if status.required is None:
        return f"whether two-factor login is required of this account is not known: {FACTOR_STATUS} was answered {answer.status}"
    if not status.required:
        return "two-factor login is not required of this account, which has none; nor may it be, since a program cannot give it"
    why = {"global": "everybody", "team": "a team it is in", "user": "this account"}.get(status.reason or "", "it")
    return (
        f"two-factor login is required of {why}, and this account has none: Umami may shut Siteward out; exempt it, or take "
        "the requirement back"
    )


def _list_notes(settings: Settings, traits: Traits) -> tuple[str, ...]:
    """Return the notes of `doctor` for this layout and release."""
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
    if API_KEYS in traits.blind_spots:
        notes.append(
            "API keys outlive a new password; a key does what its owner may do at the time, and goes when the account is deleted"
        )
    if traits.version == "2.20":
        notes.append("2.20 does not show teams without members, nor websites that belong to nobody")
    if traits.version == "3.0":
        notes.append("3.0 was read in source only, never driven live; 3.1 or later is advised")
    return tuple(notes)
