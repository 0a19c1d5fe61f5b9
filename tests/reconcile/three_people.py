"""Three people with a view of one site, on the three platforms that keep an id of an account, and what befalls one of them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rig import NOW, Rig, part
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from siteward.access.plan import Plan
    from siteward.access.report import Report

SHOP, BLOG = "shop.example.org", "blog.example.org"
PEOPLE = ("anna", "ben", "dora")
ADDRESSED = {"piwik-pro"}
PLATFORMS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "umami": ("3.2", "team-view-only", "siteward", {"layout": "per-site", "accept_blind": ["board-links"]}),
    "matomo": ("5.3", "view", "root", {}),
    "piwik-pro": ("current", "view", "siteward@example.org", {}),
}
EVERY = tuple(PLATFORMS)


def login(platform: str, name: str) -> str:
    return f"{name}@example.org" if platform in ADDRESSED else name


def document(platform: str, **changed: Any) -> dict[str, Any]:
    """Return a file that gives three people a view of the shop; `anna` are more keys of hers."""
    users = {name: {"email": f"{name}@example.org"} for name in PEOPLE}
    users["anna"] |= changed.pop("anna", {})
    own, settings = PLATFORMS[platform][2], PLATFORMS[platform][3]
    instance = {
        "platform": platform,
        "url": "http://127.0.0.1:1",
        "self": own,
        **settings,
        **changed.pop("instance", {}),
    }
    return {
        "version": 1,
        "instances": {"it": instance},
        "users": users,
        "policy": {"admins": {"min": 1}, "limits": {"removals": {"percent": 100}, "revocations": {"percent": 100}}},
        "grants": [{"to": [*PEOPLE], "role": "view", "sites": SHOP}],
        **changed,
    }


def rig_of(folder: Path, platform: str, *, there: Sequence[str] = PEOPLE, known: bool = True, **changed: Any) -> Rig:
    """Return a rig whose world is as the file says, for who is `there`; with `known` an apply has met everybody."""
    release, role, own, _ = PLATFORMS[platform]
    names = [login(platform, name) for name in there]
    accounts = [WorldAccount(login=name, email=f"{name.partition('@')[0]}@example.org") for name in names]
    if platform in ADDRESSED:
        accounts.append(WorldAccount(login=own, role="owner"))
    world = World(
        accounts=tuple(accounts),
        sites=tuple(WorldSite(name=site, domain=site) for site in (SHOP, BLOG)),
        grants=tuple(WorldGrant(account=name, site=SHOP, role=role) for name in names),
        more={"self": own, "throttles": False} if platform in ADDRESSED else {},
    )
    rig = Rig(folder, platforms.fake(platform).of(world, release, clock=lambda: NOW), document(platform, **changed))
    if known:
        assert part(rig.plan()).steps == ()
        apply(rig)
    return rig


def apply(rig: Rig, **options: Any) -> Report:
    return rig.apply(plan_of(rig.plan()), **options)


def plan_of(report: Report) -> Plan:
    assert report.plan is not None, report.diagnostics
    return report.plan


def recreate(rig: Rig, name: str = "anna", *, access: bool = False) -> None:
    """Delete an account by hand and make another of its name; with `access` it has all that the former had."""
    fake: Any = rig.fake
    state, platform = fake.state, rig.instance.platform.name
    if platform == "matomo":
        state.user(name).registered += timedelta(days=1)
        if not access:
            state._rows.pop(state.key(name))
    elif platform == "umami":
        user = state.names[name]
        old, user.id = user.id, state.new_id()
        state.users[user.id] = state.users.pop(old)
        for team, members in state.members.items():
            state.members[team] = [member for member in members if access or member.user != old]
            for member in members:
                member.user = user.id if member.user == old else member.user
    else:
        person = state.named(login(platform, name))
        old, person.id = person.id, str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        state.people = {row.id: row for row in state.people.values()}
        levels = {(*key[:3], person.id if key[3] == old else key[3]): level for key, level in state.levels.items()}
        state.levels = {key: level for key, level in levels.items() if access or key[3] != person.id}
    fake._writes += 1


def rename(rig: Rig, new: str, name: str = "anna") -> None:
    """Give an account another name on the server."""
    fake: Any = rig.fake
    if rig.instance.platform.name == "umami":
        fake.state.rename(fake.state.names[name], new)
    else:
        fake.state.named(login("piwik-pro", name)).email = login("piwik-pro", new)
    fake._writes += 1


def about(report: Report, code: str) -> list[Any]:
    plan = part(report)
    diagnostics = (*plan.diagnostics, *(diagnostic for step in plan.steps for diagnostic in step.diagnostics))
    return [diagnostic for diagnostic in diagnostics if diagnostic.code == code]


def moves(report: Report) -> list[tuple[str, bool, str]]:
    """Return the steps: on whose account, whether blocked, and why."""
    return [(" ".join(step.change.key), step.blocked, step.cause) for step in part(report).steps]
