"""Random worlds and declarations from one generator of numbers, sharp where the guards must bite.

Half of all worlds have just as many admins as the policy asks, or one more, and a file that makes and unmakes admins in
one plan; some admins end by date, are services, or have not accepted yet. The same seed gives the same world.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rig import NOW
from siteward import platforms
from siteward.access.traits import Traits
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

PAST, SOON, FAR = (f"{NOW + timedelta(days=days):%Y-%m-%d}" for days in (-30, 9, 400))
WIDE = {"count": 1000, "percent": 100}
LIMITS = ("removals", "revocations", "escalations", "expiries", "mails")
DOMAINS = ("shop.example.org", "blog.example.org", "docs.test")
NAMES = ("ana", "ben", "cleo", "dan", "eva", "finn", "gus")
NEWCOMERS = ("hugo", "ida")
ACCEPTED_BLIND = {"umami": ["board-links", "api-keys"], "plausible": ["team-members", "shared-links"]}


@dataclass(frozen=True)
class Start:
    """What a story starts with: a platform, its world, and one or two declarations, applied one after the other."""

    platform: str
    release: str
    world: World
    own: str
    documents: tuple[dict[str, Any], ...]
    logins: dict[str, str] = field(default_factory=dict)


def draw(dice: random.Random, platform: str, release: str) -> Start:
    """Return a world of one release and what its owners declare; a third of all have applied another file before."""
    traits = platforms.load(platform).widest
    names = sorted(dice.sample(NAMES, dice.randint(2, len(NAMES))))
    logins = {name: _login(traits, name) for name in (*names, *NEWCOMERS)}
    world, own = _WORLDS[platform](dice, release, [logins[name] for name in names])
    count = 2 if dice.random() < 0.35 else 1
    documents = []
    for _ in range(count):
        documents.append(_document(dice, platform, traits, world, own, names, logins))
    return Start(platform, release, world, own, tuple(documents), logins)


def _login(traits: Traits, name: str) -> str:
    return f"{name}@example.org" if traits.login == "email" else name


# Worlds


def _some(dice: random.Random, names: Sequence[str], chance: float) -> list[str]:
    return [name for name in names if dice.random() < chance]


def _sites(dice: random.Random) -> list[str]:
    return sorted(dice.sample(DOMAINS, dice.randint(1, len(DOMAINS))))


def _grants(dice: random.Random, logins: Sequence[str], sites: Sequence[str], roles: Sequence[str]) -> list[WorldGrant]:
    return [
        WorldGrant(account=login, site=site, role=dice.choice(roles))
        for login in logins
        for site in sites
        if dice.random() < 0.4
    ]


def _umami(dice: random.Random, release: str, logins: list[str]) -> tuple[World, str]:
    admins = _some(dice, logins, 0.5)
    others = {login: dice.choice(("user", "view-only")) for login in logins}
    sites = [
        WorldSite(name=domain, domain=domain, owner=dice.choice((None, None, None, "siteward", *logins[:1])))
        for domain in _sites(dice)
    ]
    teamed = [site.domain for site in sites if site.owner is None]
    more: dict[str, Any] = {}
    if teamed and dice.random() < 0.3:
        more["rows"] = [{"site": dice.choice(teamed), "account": "ghost", "role": "team-view-only"}]
    if dice.random() < 0.3:
        more["shares"] = [{"site": sites[0].domain, "slug": "abcdefgh12345678"}]
    world = World(
        accounts=(
            WorldAccount(login="siteward", role="admin"),
            *(WorldAccount(login=login, role="admin" if login in admins else others[login]) for login in logins),
        ),
        sites=tuple(sites),
        grants=tuple(_grants(dice, logins, teamed, ("team-view-only", "team-member", "team-manager"))),
        more=more,
    )
    return world, "siteward"


def _matomo(dice: random.Random, release: str, logins: list[str]) -> tuple[World, str]:
    admins = _some(dice, logins, 0.5)
    states = ("active", "active", "active", "active", "pending", "expired")
    invites = release in {"5.3", "4.16"}
    accounts = [
        WorldAccount.model_validate(
            {
                "login": login,
                "email": f"{login}@example.org",
                "role": "superuser" if login in admins else None,
                "status": dice.choice(states) if invites else "active",
            }
        )
        for login in logins
    ]
    sites = _sites(dice)
    roles = ("view", "admin") if release == "2.18" else ("view", "write", "admin")
    plain = [login for login in logins if login not in admins]
    grants = _grants(dice, plain, sites, roles)
    if release != "2.18":
        grants = [_with_extra(dice, grant) for grant in grants]
    grants += [WorldGrant(account="anonymous", site=site, role="view") for site in _some(dice, sites, 0.2)]
    world = World(
        accounts=tuple(accounts),
        sites=tuple(WorldSite(name=site, domain=site, id=str(at)) for at, site in enumerate(sites, 1)),
        grants=tuple(grants),
    )
    return world, "root"


def _with_extra(dice: random.Random, grant: WorldGrant) -> WorldGrant:
    if grant.role != "view" or dice.random() < 0.7:
        return grant
    return grant.model_copy(update={"extras": ("tagmanager_write",)})


def _piwik_pro(dice: random.Random, release: str, logins: list[str]) -> tuple[World, str]:
    own = "siteward@example.org"
    owners = _some(dice, logins, 0.5)
    users = [login for login in logins if login not in owners]
    sites = _sites(dice)
    levels = ("view", "edit", "edit-publish", "manage")
    group = {
        "name": "Analysts",
        "members": _some(dice, logins, 0.4),
        "sites": {site: dice.choice(levels) for site in _some(dice, sites, 0.5)},
        "metasites": {},
    }
    metas = [{"name": "Europe", "sites": sites[:2], "grants": dict.fromkeys(_some(dice, users, 0.2), "view")}]
    world = World(
        accounts=(
            WorldAccount(login=own, role="owner"),
            *(WorldAccount(login=login, role="owner" if login in owners else None) for login in logins),
        ),
        sites=tuple(WorldSite(name=site, domain=site) for site in sites),
        grants=tuple(_grants(dice, users, sites, levels)),
        more={
            "self": own,
            "throttles": False,
            "groups": [group],
            "metasites": metas,
            "modules": {login: _some(dice, ("analytics", "tag_manager"), 0.6) for login in users},
        },
    )
    return world, own


def _plausible(dice: random.Random, release: str, logins: list[str]) -> tuple[World, str]:
    sites = _sites(dice)
    grants = [
        grant.model_copy(update={"status": "invited"}) if dice.random() < 0.3 else grant
        for grant in _grants(dice, logins, sites, ("viewer", "editor"))
    ]
    world = World(
        accounts=(
            *(WorldAccount(login=login) for login in logins),
            WorldAccount(login="olga@example.org", role="admin"),
        ),
        sites=tuple(WorldSite(name=site, domain=site) for site in sites),
        grants=tuple(grants),
        more={"limits": False},
    )
    return world, "siteward@example.org"


_WORLDS = {"umami": _umami, "matomo": _matomo, "piwik-pro": _piwik_pro, "plausible": _plausible}


# Declarations


def _document(
    dice: random.Random,
    platform: str,
    traits: Traits,
    world: World,
    own: str,
    names: Sequence[str],
    logins: dict[str, str],
) -> dict[str, Any]:
    """Return a valid declaration about a world; its admins and the policy's minimum lie close together."""
    users = {name: _user(dice, name) for name in (*_some(dice, names, 0.85), *_some(dice, NEWCOMERS, 0.4))}
    steward = {"steward": {"email": "steward@example.org", "state": "suspended"}}
    active = [name for name, user in users.items() if "state" not in user]
    tops = _tops(dice, traits, world, users, active, logins)
    document: dict[str, Any] = {
        "version": 1,
        "instances": {"it": _instance(dice, platform, own)},
        "users": {**users, **(steward if any(user.get("kind") == "service" for user in users.values()) else {})},
        "policy": {
            "admins": _admins(dice, traits, world, tops),
            "limits": dict.fromkeys(LIMITS, WIDE) if dice.random() < 0.9 else {},
        },
    }
    grants = [*tops, *_site_grants(dice, traits, world, own, active)]
    if grants:
        document["grants"] = grants
    return document


def _instance(dice: random.Random, platform: str, own: str) -> dict[str, Any]:
    instance: dict[str, Any] = {
        "platform": platform,
        "url": "http://127.0.0.1:1",
        "self": own,
        "mode": "add-only" if dice.random() < 0.08 else "full",
        "unmanaged": dice.choice(("report", "revoke", "revoke")),
    }
    if platform in ACCEPTED_BLIND:
        instance["accept_blind"] = ACCEPTED_BLIND[platform]
    if platform == "umami":
        instance["layout"] = "per-site"
    if platform == "plausible":
        instance |= {"role_change": "reinvite", "team_members": {"olga@example.org": "admin"}}
    return instance


def _user(dice: random.Random, name: str) -> dict[str, Any]:
    user: dict[str, Any] = {"email": f"{name}@example.org"}
    fate = dice.random()
    if fate < 0.22:
        user["state"] = dice.choice(("suspended", "absent"))
    elif fate < 0.34:
        user["until"] = dice.choice((PAST, SOON, FAR))
    elif fate < 0.40:
        user |= {"kind": "service", "owner": "steward"}
    return user


def _tops(
    dice: random.Random,
    traits: Traits,
    world: World,
    users: dict[str, Any],
    active: Sequence[str],
    logins: dict[str, str],
) -> list[dict[str, Any]]:
    """Return the grants of the top role: some admins stay, some go, some are new."""
    if not traits.top:
        return []
    now = {account.login for account in world.accounts if account.role == traits.top}
    chosen = [name for name in active if dice.random() < (0.55 if logins[name] in now else 0.3)]
    return [
        {
            "to": name,
            "role": "admin",
            "on": "it",
            **({"until": dice.choice((PAST, SOON, FAR))} if dice.random() < 0.2 else {}),
        }
        for name in chosen
    ]


def _admins(dice: random.Random, traits: Traits, world: World, tops: Sequence[object]) -> dict[str, int]:
    """Return a minimum that lies at the number of admins now or afterwards, or next to it; seldom a maximum."""
    now = sum(account.role == traits.top for account in world.accounts) if traits.top else 1
    near = dice.choice((now, now, now - 1, len(tops), len(tops) + 1, 1))
    least = min(max(1, near), 6)
    return {"min": least, **({"max": least + dice.randint(0, 3)} if dice.random() < 0.15 else {})}


def _site_grants(
    dice: random.Random, traits: Traits, world: World, own: str, active: Sequence[str]
) -> list[dict[str, Any]]:
    roles = [role.portable for role in traits.roles["site"] if role.declarable and role.portable]
    sites = [site.domain for site in world.sites if site.owner in {None, own}]
    grants: list[dict[str, Any]] = []
    for name in active:
        for site in sites:
            if dice.random() < 0.35:
                grants.append({"to": name, "role": dice.choice(roles), "sites": site})
    if active and dice.random() < 0.2:
        grants.append({"to": dice.choice(active), "role": "view", "sites": "*"})
    return grants
