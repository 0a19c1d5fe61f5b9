"""What a converter makes of a folder of access files: the root file, the files it includes, and the server they are for.

Names of people are hashed, in one case where all their spellings are in one: whoever stands in two spellings there
stands in two here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from siteward.platforms.fakery import World, WorldAccount, WorldSite

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Row: TypeAlias = dict[str, Any]
ROLES: Mapping[str, str] = {
    "read": "view",
    "triage": "triage",
    "write": "edit",
    "maintain": "maintain",
    "admin": "manage",
}
OWN_ROLES: dict[str, Row] = {
    "triage": {"umami": "view", "matomo": "view"},
    "maintain": {"umami": "manage", "matomo": "manage"},
}
"""The permissions on a repository as roles, and those of them that the file has to declare."""
WIDE = {"count": 1_000_000}
SELF = {"umami": "siteward", "matomo": "root"}
SETTINGS: Mapping[str, Row] = {"umami": {"layout": "per-site", "accept_blind": ["board-links"]}, "matomo": {}}


@dataclass
class Converted:
    """A declaration in parts: `included` are files with the sites that each may grant on, `None` for any."""

    users: dict[str, Row] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)
    sites: dict[str, Row] = field(default_factory=dict)
    roles: dict[str, Row] = field(default_factory=dict)
    policy: Row = field(default_factory=dict)
    grants: list[Row] = field(default_factory=list)
    included: dict[str, tuple[list[str] | None, Row]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _spelt: dict[str, str] = field(default_factory=dict)

    def declare(self, handle: str, row: Row) -> None:
        """Add a user, unless there is one of that name in any letter case: references find it in all of them."""
        first = self._spelt.setdefault(handle.casefold(), handle)
        self.users.setdefault(first, row)

    def root(self, platform: str, url: str, instance: str = "stats") -> Row:
        """Return the root file for one instance; people without an address have accounts that something else makes."""
        row = {"platform": platform, "url": url, "self": SELF[platform], "unmanaged": "revoke", **SETTINGS[platform]}
        users = self.users
        if platform == "matomo":
            users = {
                handle: user if "email" in user or "state" in user else {**user, "managed_by": "directory"}
                for handle, user in users.items()
            }
        limits = dict.fromkeys(("removals", "revocations", "escalations", "expiries", "mails"), WIDE)
        return {
            "version": 1,
            "instances": {instance: row},
            "policy": {"limits": limits, **self.policy},
            "include": [
                {"path": path} | ({"sites": sites} if sites else {}) for path, (sites, _) in self.included.items()
            ],
            "users": users,
            "groups": self.groups,
            "sites": self.sites,
            "roles": self.roles,
            "grants": self.grants,
        }

    def world(self, platform: str) -> World:
        """Return a server with the sites, and with the accounts that others have made."""
        users = self.root(platform, "")["users"].items()
        made = (handle for handle, user in users if user.get("managed_by"))
        accounts = tuple(WorldAccount(login=handle, email=f"{handle.lower()}@directory.test") for handle in made)
        sites = (WorldSite(name=row["domain"], domain=row["domain"]) for row in self.sites.values())
        return World(accounts=accounts, sites=tuple(sites))

    def write(self, folder: Path, platform: str, url: str, instance: str = "stats") -> Path:
        """Write the files into a folder and return the root file."""
        folder.mkdir(parents=True, exist_ok=True)
        for path, (_, row) in self.included.items():
            (folder / path).write_text(printed(row), encoding="utf-8")
        file = folder / "access.yaml"
        file.write_text(printed(self.root(platform, url, instance)), encoding="utf-8")
        (folder / "world.json").write_text(json.dumps(self.world(platform).model_dump()), encoding="utf-8")
        return file


def printed(rows: Row) -> str:
    """Return rows as YAML, without sections that hold nothing."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    rows = {key: value for key, value in rows.items() if value or key in {"version", "grants"}}
    return yaml.dump(rows, Dumper=dumper, sort_keys=False, width=140, allow_unicode=True, default_flow_style=None)


def read(path: Path) -> Any:
    """Return what a YAML file of a source holds."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def hashed(name: str) -> str:
    """Return a name for a person that is not theirs; another spelling of the same name gives another spelling of it."""
    handle = "p" + hashlib.sha256(name.casefold().encode()).hexdigest()[:11]
    return handle if name == name.lower() else handle.capitalize()


def hashed_id(number: object) -> str:
    """Return an id that is not the person's."""
    return "id-" + hashlib.sha256(f"id {number}".encode()).hexdigest()[:12]


def person(handle: str, **more: Any) -> Row:
    """Return the row of a person, with an address that nobody has."""
    return {"email": f"{handle.lower()}@people.test", **more}


def service(handle: str, owner: str | None, **more: Any) -> Row:
    """Return the row of a service, with who answers for it."""
    return person(handle, kind="service", **({"owner": owner} if owner else {}), **more)


def listed(names: Iterable[str]) -> list[str]:
    """Return names in their order, each once."""
    return list(dict.fromkeys(names))
