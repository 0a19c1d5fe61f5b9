"""The roles and traits of Plausible, by edition.

Two layers grant access (MAPPING.md section 1): guests of single sites, which is what Siteward manages, and members of
the team, who reach all its sites. Members show as roles on every site that cannot be declared, where they show at
all: Community Edition's database has them, the Sites API does not.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from siteward.access.model import Power
from siteward.access.traits import Role, Traits
from siteward.platforms.plausible.settings import NAME

Edition = Literal["cloud", "enterprise", "cloud or enterprise", "ce"]
"""The edition as far as it is known: Cloud and Enterprise have the same API, and neither says which it is."""

# Billing is not meant to see dashboards and does (API.md section 7).
TEAM_ROLES: dict[str, str] = {
    "billing": "team-billing",
    "viewer": "team-viewer",
    "editor": "team-editor",
    "admin": "team-admin",
    "owner": "team-owner",
}
_SITE_ROLES = (
    Role(name="viewer", power=Power.VIEW, portable="view"),
    Role(name="team-billing", power=Power.VIEW, declarable=False),
    Role(name="team-viewer", power=Power.VIEW, declarable=False),
    Role(name="editor", power=Power.EDIT, portable="edit"),
    Role(name="team-editor", power=Power.EDIT, declarable=False),
    Role(name="team-admin", power=Power.MANAGE, declarable=False),
    Role(name="team-owner", power=Power.MANAGE, declarable=False, owns=True),
)

# The Sites API shows neither members nor visibility, and makes shared links without listing them (API.md section 3).
_UNSEEN = {
    "team-members": "members of the team, who see all its sites",
    "shared-links": "public dashboards and shared links, by which a site is seen without an account",
}

GUESTS_ONLY = "guest layer only"

WIDEST = Traits(
    platform=NAME,
    roles={"site": _SITE_ROLES},
    manages=frozenset({"grant"}),
    accounts_listed=False,
    knows_self=False,
    keeps_email=False,
    login="email",
    ids="unique",
    deletes=False,
    role_change="in-place",
    onboarding=frozenset({"invite"}),
    last_seen=True,
    shows_public=True,
    blind_spots=tuple(_UNSEEN),
    unseen=_UNSEEN,
    keys_unseen="no call lists API keys; their owners see them in Settings, API Keys",
)


def traits_of(edition: Edition, version: str = "", keys_unseen: str = "") -> Traits:
    """Return the traits of an edition; `version` and `keys_unseen` are of Community Edition only, whose database is read."""
    if edition == "ce":
        return replace(
            WIDEST, edition=edition, version=version, knows_self=True, blind_spots=(), keys_unseen=keys_unseen
        )
    # The head of every plan shows this, so that "in sync" is not read as a statement about the team (MAPPING.md section 1).
    seen = f"{edition}, {GUESTS_ONLY}"
    guests = {"site": tuple(role for role in _SITE_ROLES if role.declarable)}
    return replace(
        WIDEST, edition=seen, roles=guests, role_change="reinvite", last_seen=False, ids="none", shows_public=False
    )
