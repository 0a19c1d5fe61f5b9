"""One small Umami, a file that declares just what is live there, and somebody who interferes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from rig import NOW, URL, Rig, codes, deletion, made, outcomes, part, statuses, step
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.platforms.umami.fake import FAKE, UmamiFake

if TYPE_CHECKING:
    from pathlib import Path


__all__ = [
    "ADMINS", "BLOG", "LAB", "SHOP", "WIDE", "Small", "Somebody", "codes", "deletion", "document", "edit", "fake", "made",
    "members", "outcomes", "part", "rig", "role", "statuses", "step", "texts", "view", "world", "written",
]  # fmt: skip
SHOP, BLOG, LAB = "shop.example.org", "blog.example.org", "lab.example.org"
ADMINS = {"to": ["anna", "ben"], "role": "admin", "on": "it"}
WIDE = {
    limit: {"count": 99, "percent": 100} for limit in ("removals", "revocations", "escalations", "expiries", "mails")
}


def world(**more: Any) -> World:
    """Two admins beside ourselves, a shop with a reader and an editor, a blog of our own, a lab of Petra's."""
    accounts = [WorldAccount(login=name, role="admin") for name in ("anna", "ben")]
    accounts += [WorldAccount(login=name, role="view-only") for name in ("carla", "dora", "petra")]
    return World(
        accounts=tuple(accounts),
        sites=(
            WorldSite(name="Shop", domain=SHOP),
            WorldSite(name="Blog", domain=BLOG, owner="siteward"),
            WorldSite(name="Lab", domain=LAB, owner="petra"),
        ),
        grants=(
            WorldGrant(account="carla", site=SHOP, role="team-view-only"),
            WorldGrant(account="dora", site=SHOP, role="team-member"),
        ),
        more=more,
    )


def fake(start: World | None = None, release: str = "3.2") -> UmamiFake:
    made = FAKE.of(start or world(), release, clock=lambda: NOW)
    assert isinstance(made, UmamiFake)
    return made


def view(to: object, site: str = SHOP, **more: Any) -> dict[str, Any]:
    return {"to": to, "role": "view", "sites": site, **more}


def edit(to: object, site: str = SHOP, **more: Any) -> dict[str, Any]:
    return {"to": to, "role": "edit", "sites": site, **more}


def document(**changed: Any) -> dict[str, Any]:
    """Return the declaration of what is live; `instance`, `users` and `policy` are merged, `grants` taken as given."""
    base: dict[str, Any] = {
        "version": 1,
        "instances": {
            "it": {
                "platform": "umami",
                "url": URL,
                "self": "siteward",
                "layout": "per-site",
                "accept_blind": ["board-links"],
            }
        },
        "users": {name: {} for name in ("anna", "ben", "carla", "dora")},
        "grants": [deepcopy(ADMINS), view("carla"), edit("dora")],
        "policy": {"admins": {"min": 1}, "limits": deepcopy(WIDE)},
    }
    base["instances"]["it"] |= changed.pop("instance", {})
    for name, value in changed.items():
        base[name] = {**base.get(name, {}), **value} if isinstance(value, Mapping) else value
    return base


@dataclass
class Small(Rig):
    """A rig on an Umami."""

    fake: UmamiFake


def rig(folder: Path, server: UmamiFake | None = None, **changed: Any) -> Small:
    """Return a rig on that server (the small world by default), with that declaration."""
    return Small(folder, server or fake(), document(**changed))


def role(server: UmamiFake, login: str) -> str:
    """Return an account's role, as the stand-in keeps it."""
    return server.state.names[login].role


def members(server: UmamiFake, site: str = SHOP) -> dict[str, str]:
    """Return who is in the team of a site, with what role, but for ourselves."""
    team = next(team for team in server.state.teams.values() if team.name == f"acl:{site}")
    names = {user.id: user.username for user in server.state.users.values()}
    rows = ((names.get(member.user, member.user), member.role) for member in server.state.members[team.id])
    return {name: role for name, role in rows if name != "siteward"}


class Somebody:
    """An admin in the web interface, who knows nothing of us."""

    def __init__(self, server: UmamiFake) -> None:
        self.server = server
        self.http = httpx.Client(transport=in_process(server), base_url=URL)
        token = self.http.post("/api/auth/login", json=server.credentials).json()["token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def _team(self, site: str) -> str:
        return next(team.id for team in self.server.state.teams.values() if team.name == f"acl:{site}")

    def sets(self, login: str, role: str, site: str = SHOP) -> None:
        """Change a member's role."""
        user = self.server.state.names[login].id
        self.http.post(f"/api/teams/{self._team(site)}/users/{user}", json={"role": role}).raise_for_status()

    def takes(self, login: str, site: str = SHOP) -> None:
        """Take a member out."""
        user = self.server.state.names[login].id
        self.http.delete(f"/api/teams/{self._team(site)}/users/{user}").raise_for_status()

    def adds(self, login: str, role: str, site: str = SHOP) -> None:
        """Put an account into a team."""
        body = {"userId": self.server.state.names[login].id, "role": role}
        self.http.post(f"/api/teams/{self._team(site)}/users", json=body).raise_for_status()

    def makes(self, login: str, role: str = "view-only") -> None:
        """Make an account."""
        body = {"username": login, "password": "somebody-else", "role": role}
        self.http.post("/api/users", json=body).raise_for_status()


def written(server: UmamiFake, since: int = 0) -> list[str]:
    """Return the calls that changed something."""
    return [f"{call.method} {call.path}" for call in server.calls[since:] if call.wrote]


def texts(folder: Path, but: Iterable[str] = ()) -> str:
    """Return everything that stands in the files below a folder, but for those named."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in but)
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
