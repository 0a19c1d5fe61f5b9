"""The state that the demo shows: the same people and sites as on the other platforms, and some years of use."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.matomo.fake import worlds
from siteward.platforms.matomo.fake.state import ANONYMOUS, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.platforms.matomo.fake.release import Release
    from siteward.platforms.matomo.fake.state import State

SUPERUSERS = "anna ben breakglass-1 tmp-agency"
PEOPLE = (
    "carla dmitri elif fatou george hana ivan jonas julia kofi lena marco mia nadia old-ed omar petra quentin reports "
    "rosa sven tess umut vera"
)
EMAILS = {
    "breakglass-1": "ops@example.org", "tmp-agency": "it@agency.test", "hana": "yasmin@example.org",
    "jonas": "jonas@partner.test", "old-ed": "ed@example.org", "reports": "bi@example.org", "vera": "vera@agency.test",
}  # fmt: skip
SITES = {"shop": "production", "blog": "production", "docs": "production", "staging": "test", "www": "production"}
# Days since somebody opened a page; `reports` works through the API, which nothing counts.
SEEN = {"anna": 0, "ben": 2, "carla": 1, "marco": 30, "julia": 5, "rosa": 12, "old-ed": 410, "petra": 240}


def world(release: Release) -> World:
    """Return the demo's world as far as a release can hold it."""
    invited = {"sven": "pending", "tess": "expired"} if release.since(4, 11) else {}
    return World(
        accounts=tuple(
            WorldAccount.model_validate({
                "login": login,
                "email": EMAILS.get(login, f"{login}@example.org"),
                "role": worlds.SUPERUSER if login in SUPERUSERS.split() else None,
                "status": invited.get(login, "active"),
            })
            for login in f"{SUPERUSERS} {PEOPLE}".split()
        ),
        sites=tuple(
            WorldSite(name=name.capitalize(), domain=f"{name}.example.org", group=group) for name, group in SITES.items()
        ),
        grants=tuple(_grants(release)),
    )  # fmt: skip


def _grants(release: Release) -> Iterator[WorldGrant]:
    edit = "write" if release.since(3, 6) else "view"
    capable = ("tagmanager_publish_live_container",) if release.since(3, 6) else ()
    yield from _to("shop", "view", "carla dmitri jonas mia reports")
    yield from _to("shop", edit, "elif old-ed")
    yield from _to("blog", "view", f"fatou george hana reports sven {ANONYMOUS}")
    yield from _to("blog", edit, "julia ivan", *capable)
    yield from _to("docs", "view", "kofi lena reports tess")
    yield from _to("docs", edit, "marco")
    yield from _to("staging", "admin", "jonas old-ed")
    yield from _to("staging", edit, "elif omar")
    yield from _to("www", "view", "petra quentin reports carla umut vera nadia")
    yield from _to("www", edit, "rosa")


def _to(site: str, role: str, logins: str, *extras: str) -> Iterator[WorldGrant]:
    for login in logins.split():
        yield WorldGrant(account=login, site=f"{site}.example.org", role=role, extras=extras)


def lived_in(state: State) -> str:
    """Fill `state` with the demo's world and the traces of its use; return the superuser's token."""
    token = worlds.of(state, world(state.release))
    for login, days in SEEN.items():
        state.last_seen[state.key(login)] = state.now() - timedelta(days=days)
    state.reports.append(Report(state.next("report"), "old-ed", 1, "weekly figures"))
    return token
