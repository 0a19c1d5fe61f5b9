"""Random worlds within what a Plausible team can hold, and what a declaration about them says of the instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from platforms.plausible.at import needs_postgres
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from collections.abc import Mapping

SELF = "siteward@example.org"
PEOPLE = tuple(f"{name}@example.org" for name in ("ana", "Ben", "cleo", "dan", "eva"))
COLLEAGUES = ("finn@example.org", "gus@example.org")
SITES = ("a.example.org", "b.example.org", "c.test", "d.test/blog")
SETTINGS: Mapping[str, Any] = {
    "self": SELF,
    "role_change": "reinvite",
    "team_members": {"finn@example.org": "viewer", "gus@example.org": "admin"},
}


@st.composite
def worlds(draw: st.DrawFn, release: str = "cloud") -> World:
    """Draw sites, guests who have accepted or not, members of the team, people on their way into it, and keys."""
    if release == "ce-3":
        needs_postgres()
    people = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    colleagues = draw(st.lists(st.sampled_from(COLLEAGUES), unique=True))
    domains = draw(st.lists(st.sampled_from(SITES), unique=True, min_size=1))
    roles = st.sampled_from(("viewer", "editor"))
    grants = [
        WorldGrant(
            account=who, site=site, role=draw(roles), status="invited" if draw(st.integers(0, 2)) == 0 else "accepted"
        )
        for site in domains
        for who in people
        if draw(st.booleans())
    ]
    joining = [email for email in COLLEAGUES if email not in colleagues and draw(st.booleans())]
    keyed = [email for email in (*people, *colleagues, "gone@example.org") if draw(st.booleans())]
    return World(
        accounts=(
            *(WorldAccount(login=person) for person in people),
            *(WorldAccount(login=colleague, role=SETTINGS["team_members"][colleague]) for colleague in colleagues),
        ),
        sites=tuple(WorldSite(name=domain, domain=domain) for domain in domains),
        grants=tuple(grants),
        more={
            "limits": False,
            "joining": [{"email": email, "role": SETTINGS["team_members"][email]} for email in joining],
            "keys": [{"owner": email, "name": "k"} for email in keyed],
        },
    )
