"""Random worlds within what the template's server can hold, and what a declaration says of the instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

SELF = "siteward"
LOGINS = ("ana", "ben", "cleo", "dan")
SITES = ("a.example.org", "b.example.org", "c.test")
SETTINGS: Mapping[str, Any] = {"self": SELF}


@st.composite
def worlds(draw: st.DrawFn, release: str = "1") -> World:
    """Draw accounts, some of them admins, and what they may do on sites."""
    logins = draw(st.lists(st.sampled_from(LOGINS), unique=True))
    sites = draw(st.lists(st.sampled_from(SITES), unique=True, min_size=1))
    return World(
        accounts=(
            WorldAccount(login=SELF, role="admin"),
            *(WorldAccount(login=login, role=draw(st.sampled_from((None, None, "admin")))) for login in logins),
        ),
        sites=tuple(WorldSite(name=site, domain=site) for site in sites),
        grants=tuple(
            WorldGrant(account=login, site=site, role=draw(st.sampled_from(("viewer", "editor"))))
            for login in logins
            for site in sites
            if draw(st.booleans())
        ),
    )
