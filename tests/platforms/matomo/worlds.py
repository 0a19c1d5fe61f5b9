"""Random worlds within what a release can hold, for the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SETTINGS = {"self": "root"}
LOGINS = ("anna", "ben", "Carla", "d.eng", "12345", "müller", "f_g-h+i")
DOMAINS = ("shop.example.org", "blog.example.org", "a.b.example.org", "other.test")
CAPABILITIES = {
    "view": ("tagmanager_write", "tagmanager_publish_live_container", "tagmanager_use_custom_templates"),
    "write": ("tagmanager_publish_live_container", "tagmanager_use_custom_templates"),
    "admin": (),
}


@st.composite
def worlds(draw: st.DrawFn, release: str) -> World:
    """Draw a world: people, some pending or superusers, sites, and what everybody and each person may there.

    Everybody is named `<login>@example.org` (in ASCII, as Matomo wants it), so that one world's account means the same person in another; sites
    keep their ids, so that two worlds of one draw are two states of one instance.
    """
    invites = release in {"5.3", "4.16"}
    roles = ("view", "admin") if release == "2.18" else ("view", "write", "admin")
    accounts = [draw(_account(login, invites=invites)) for login in draw(st.sets(st.sampled_from(LOGINS)))]
    sites = [WorldSite(name=domain, domain=domain, id=str(at + 1)) for at, domain in enumerate(DOMAINS)]
    plain = sorted(account.login for account in accounts if account.role is None)
    grants = [draw(_grant(login, site, roles, capable=release != "2.18")) for login in plain for site in DOMAINS]
    public = [
        WorldGrant(account="anonymous", site=domain, role="view") for domain in draw(st.sets(st.sampled_from(DOMAINS)))
    ]
    return World(
        accounts=tuple(sorted(accounts, key=lambda account: account.login)),
        sites=tuple(sites),
        grants=tuple(grant for grant in (*grants, *public) if grant is not None),
    )


@st.composite
def _account(draw: st.DrawFn, login: str, *, invites: bool) -> WorldAccount:
    status = draw(st.sampled_from(("active", "active", "active", "pending", "expired"))) if invites else "active"
    role = draw(st.sampled_from((None, None, None, "superuser")))
    email = f"{login.replace('@', '.').replace('ü', 'ue')}@example.org"
    return WorldAccount.model_validate({"login": login, "email": email, "role": role, "status": status})


def _grant(login: str, site: str, roles: tuple[str, ...], *, capable: bool) -> SearchStrategy[WorldGrant | None]:
    def made(role: str, extras: set[str]) -> WorldGrant:
        kept = tuple(sorted(extra for extra in extras if capable and extra in CAPABILITIES[role]))
        return WorldGrant(account=login, site=site, role=role, extras=kept)

    every = st.sets(st.sampled_from(CAPABILITIES["view"]))
    return st.one_of(st.none(), st.builds(made, st.sampled_from(roles), every))
