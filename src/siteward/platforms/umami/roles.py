"""The roles and traits of Umami, by release.

A site belongs to one account or to one team, and nothing else grants access to it (MAPPING.md section 1), so the
roles on a site are the roles in its team. The global role `view-only` is the absence of any account role: it opens
nothing and, unlike its name, caps nothing (API.md section 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.model import Power
from siteward.access.traits import Role, Traits
from siteward.platforms.umami.settings import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.platforms.umami.session import Release

OWNER = "owner"
TEAM_OWNER = "team-owner"
NOBODY_SPECIAL = "view-only"
ADMIN = "admin"

_TEAM_ROLES = (
    Role(name="team-view-only", power=Power.VIEW, portable="view"),
    Role(name="team-member", power=Power.EDIT, portable="edit"),
    Role(name="team-manager", power=Power.MANAGE, portable="manage"),
    Role(name=OWNER, power=Power.MANAGE, declarable=False, owns=True),
)
_ACCOUNT_ROLES = (
    Role(name="user", power=Power.VIEW, portable="member", lingers=True),
    Role(name="admin", power=Power.ADMIN, portable="admin"),
)

BOARD_LINKS = "board-links"
API_KEYS = "api-keys"
# 2.20 lists sites and teams only by account (API.md section 8), so what no account leads to is never seen.
_UNSEEN_IN_2 = ("teams-without-members", "orphan-sites")
# Boards came with 3.1. Whoever has the role `user` or above, or had it once, may have shared one publicly, and no list
# that an admin may ask for shows it (REAL-2026-11.md, F1). Our own account is an admin, so there always is somebody.
# API keys came with 3.4: only their owner may list them, and a new password does not end them (read, not driven).
_UNSEEN: Mapping[str, tuple[str, ...]] = {"2.20": _UNSEEN_IN_2, "3.0": (), "3.4": (BOARD_LINKS, API_KEYS)}
_WORDS: Mapping[str, str] = {
    "teams-without-members": "teams that nobody is in",
    "orphan-sites": "sites that belong to nobody",
    BOARD_LINKS: "public links to boards, which anybody with the role `user` or above can make",
    API_KEYS: "API keys, which only their owner sees and a new password does not end",
}

_KEYS_UNSEEN = "API keys are listed to their owner alone"
_NO_KEYS = "releases before 3.4 have no API keys, so programs log in with a password"

# All releases taken together: a file is checked against these before any server is asked.
WIDEST = Traits(
    platform=NAME,
    edition="self-hosted",
    roles={"site": _TEAM_ROLES, "team": _TEAM_ROLES, "instance": _ACCOUNT_ROLES},
    top="admin",
    keeps_email=False,
    # As JavaScript's toLowerCase does: `straße` and `strasse` are two accounts (recording 20_questions, 13 to 22).
    renames=True,
    ids="unique",
    shows_public=True,
    powerful=frozenset({"admin", "team-manager"}),
    blind_spots=(*_UNSEEN_IN_2, BOARD_LINKS, API_KEYS),
    unseen=_WORDS,
    keys_unseen=_KEYS_UNSEEN,
)


def traits_of(release: Release) -> Traits:
    """Return the traits of a release."""
    unseen = _UNSEEN.get(release, (BOARD_LINKS,))
    keys_unseen = _KEYS_UNSEEN if API_KEYS in unseen else _NO_KEYS
    return replace(WIDEST, version=release, blind_spots=unseen, keys_unseen=keys_unseen)


def has_factors(traits: Traits) -> bool:
    """Return whether this release has two-factor login."""
    return traits.version in {"3.3", "3.4"}
