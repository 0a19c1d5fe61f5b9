"""Random worlds within what Umami can hold, and random declarations about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

SELF = "siteward"
LOGINS = ("ana", "ben", "cleo", "dan", "eva", "finn")
SITES = ("a.example.org", "b.example.org", "c.test", "d.test")
TEAM_ROLES = ("team-view-only", "team-member", "team-manager")
SETTINGS: Mapping[str, Any] = {"self": SELF, "layout": "per-site", "accept_blind": ["board-links", "api-keys"]}


@st.composite
def worlds(draw: st.DrawFn, release: str = "3.2") -> World:
    """Draw accounts with every role, sites of ours and of others, shared teams, ghosts, links and grants."""
    logins = draw(st.lists(st.sampled_from(LOGINS), unique=True, max_size=len(LOGINS)))
    roles = st.sampled_from(("admin", "user", "view-only"))
    accounts = [
        WorldAccount(login=SELF, role="admin"),
        *(WorldAccount(login=login, role=draw(roles)) for login in logins),
    ]
    domains = draw(st.lists(st.sampled_from(SITES), unique=True, min_size=1, max_size=len(SITES)))
    owners = st.sampled_from((None, None, None, SELF, *logins))
    sites = [WorldSite(name=domain, domain=domain, owner=draw(owners)) for domain in domains]
    grants = [
        WorldGrant(account=login, site=site.domain, role=draw(st.sampled_from(TEAM_ROLES)))
        for site in sites
        if site.owner is None
        for login in logins
        if draw(st.booleans())
    ]
    teamed = [site.domain for site in sites if site.owner is None]
    more: dict[str, Any] = {}
    haunted: bool = draw(st.booleans())
    if teamed and haunted:
        more["rows"] = [{"site": draw(st.sampled_from(teamed)), "account": "ghost", "role": "team-view-only"}]
    if draw(st.booleans()):
        more["shares"] = [{"site": draw(st.sampled_from(domains)), "slug": "abcdefgh12345678"}]
    return World(accounts=tuple(accounts), sites=tuple(sites), grants=tuple(grants), more=more)
