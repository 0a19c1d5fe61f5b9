"""Random declarations about a world: what people might write, within what the platform can express."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from siteward.access.traits import Traits
from siteward.platforms.fakery import World

NEWCOMERS = ("gina", "hugo")


@st.composite
def wishes(draw: st.DrawFn, platform: str, traits: Traits, world: World, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Draw a valid declaration: some people declared, some not, some suspended or absent, new ones, groups, roles."""
    known = [account for account in world.accounts if account.login != settings["self"]]
    people = {world_account.login: world_account.email for world_account in known if draw(st.booleans())}
    people |= {each: f"{each}@example.org" for each in NEWCOMERS if draw(st.booleans())}
    users = {_handle(name): _user(draw, name, email, traits) for name, email in people.items()}
    document: dict[str, Any] = {
        "version": 1,
        "instances": {
            "it": {
                "platform": platform,
                "url": "http://127.0.0.1:1",
                "mode": draw(st.sampled_from(("full", "full", "full", "add-only"))),
                "unmanaged": draw(st.sampled_from(("report", "report", "revoke"))),
                **settings,
            }
        },
        "users": users,
        "policy": {"admins": {"min": 1}, "limits": _limits(draw)},
    }
    active = [name for name, user in users.items() if "state" not in user]
    document["grants"] = _grants(draw, active, traits, world, settings["self"])
    if not document["grants"]:
        del document["grants"]
    return document


def _handle(name: str) -> str:
    return name.partition("@")[0]


def _user(draw: st.DrawFn, name: str, email: str | None, traits: Traits) -> dict[str, Any]:
    user: dict[str, Any] = {"email": email or f"{_handle(name)}@example.org"}
    state = draw(st.sampled_from((None, None, None, "suspended", "absent")))
    if state:
        user["state"] = state
    elif draw(st.integers(0, 5)) == 0:
        user["until"] = draw(st.sampled_from(("2026-01-31", "2027-12-31")))
    return user


def _grants(draw: st.DrawFn, users: list[str], traits: Traits, world: World, own: str) -> list[dict[str, Any]]:
    roles = [role.portable for role in traits.roles["site"] if role.declarable and role.portable]
    # A site of somebody else is named by its id alone; to name it is an error in the file, which is seldom drawn.
    foreign = draw(st.integers(0, 9)) == 0
    sites = [site for site in world.sites if site.owner in {None, own} or foreign]
    grants = []
    for user in users:
        for site in sites:
            if draw(st.integers(0, 2)) == 0:
                grants.append({"to": user, "role": draw(st.sampled_from(roles)), "sites": site.domain})
        if traits.top and draw(st.integers(0, 4)) == 0:
            grants.append({"to": user, "role": "admin", "on": "it"})
    everywhere: bool = draw(st.booleans())
    if users and everywhere:
        grants.append({"to": draw(st.sampled_from(users)), "role": "view", "sites": "*"})
    return grants


def _limits(draw: st.DrawFn) -> dict[str, Any]:
    wide = {"count": 1000, "percent": 100}
    names = ("removals", "revocations", "escalations", "expiries", "mails")
    return dict.fromkeys(names, wide) if draw(st.integers(0, 9)) else {}
