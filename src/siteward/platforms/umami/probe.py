"""Which Umami this is, and what the credentials may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from siteward.platforms.interface import Reach
from siteward.platforms.umami.roles import traits_of
from siteward.platforms.umami.rows import parse, refusal
from siteward.platforms.umami.session import own
from siteward.transport.errors import Forbidden

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.platforms.umami.session import Release
    from siteward.platforms.umami.settings import Settings
    from siteward.transport.http import Reader


@dataclass(frozen=True, slots=True)
class _Config:
    cloud: Annotated[bool, Field(validation_alias="cloudMode")] = False
    # A boolean that only 3.1 has (API.md section 0); no endpoint returns the version itself.
    current: Annotated[bool | None, Field(validation_alias="currentVersion")] = None


def probe(reader: Reader, _settings: Settings) -> Traits:
    """Return what the server can express, found out with one or two requests after the login.

    Raises `Forbidden` for Umami Cloud and for an account that is no admin, and whatever the login raises.
    """
    release = _release(reader)
    account = own(reader)
    if account.role != "admin":
        raise Forbidden(
            f"{account.username} has the role {account.role} in Umami; reading users and teams needs the role admin",
            hint="give Siteward an admin account of its own",
        )
    return traits_of(release)


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


def _release(reader: Reader) -> Release:
    """Tell the release by what it answers (API.md section 0)."""
    answer = reader.query("/api/config")
    if answer.status == 404:
        return "2.20"
    if answer.status != 200:
        raise refusal(reader, answer)
    config = parse(_Config, answer)
    if config.cloud:
        raise Forbidden("Umami Cloud has no way to manage users through its API; only self-hosted Umami has")
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
    if traits.version == "2.20":
        notes.append("2.20 does not show teams without members, nor websites that belong to nobody")
    if traits.version == "3.0":
        notes.append("3.0 was read in source only, never driven live; 3.1 or later is advised")
    return tuple(notes)
