"""Random worlds that a Piwik PRO account can be in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.piwikpro.fake.state import LEVELS, LICENSED

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SELF = "siteward@example.org"
PEOPLE = tuple(f"{name}@example.org" for name in ("ana", "Ben.O", "cai", "dörte", "eve"))
SITES = tuple(f"{name}.example.org" for name in ("blog", "docs", "shop"))
METAS = ("Europe", "All sites")
GROUPS = ("Analysts", "tag editors")
SETTINGS = {"self": SELF}


def _levels(kind: str, names: tuple[str, ...]) -> SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), st.sampled_from(LEVELS[kind][1:]))


@st.composite
def worlds(draw: st.DrawFn, release: str = "current", *, whole: bool = False) -> World:
    """Draw a world: owners and users with levels, groups of both kinds, meta sites, modules and languages.

    With `whole` everybody is there, so that two worlds differ in what people may do alone. Owners have no levels of
    their own, as these would sleep unseen.
    """
    names = PEOPLE if whole else tuple(sorted(draw(st.sets(st.sampled_from(PEOPLE), min_size=1))))
    owners = draw(st.sets(st.sampled_from(names), max_size=2))
    users = tuple(name for name in names if name not in owners)
    return World(
        accounts=(
            WorldAccount(login=SELF, role="owner"),
            *(WorldAccount(login=name, role="owner" if name in owners else None) for name in names),
        ),
        sites=tuple(WorldSite(name=domain, domain=domain) for domain in SITES),
        grants=tuple(
            WorldGrant(account=name, site=site, role=role)
            for name in users
            for site, role in draw(_levels("app", SITES)).items()
        ),
        more={
            "self": SELF,
            "throttles": False,
            "groups": [draw(_group(name, names)) for name in GROUPS],
            "metasites": [
                {"name": name, "sites": SITES[:2], "grants": draw(_levels("meta-site", users)) if users else {}}
                for name in METAS
            ],
            "modules": {name: sorted(draw(st.sets(st.sampled_from(sorted(LICENSED))))) for name in users},
            "languages": {name: draw(st.sampled_from(["en-US", "de-DE", "fi-FI"])) for name in names},
        },
    )


def _group(name: str, people: tuple[str, ...]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "name": st.just(name),
            "members": st.sets(st.sampled_from(people)).map(sorted),
            "sites": _levels("app", SITES),
            "metasites": _levels("meta-site", METAS),
        }
    )
