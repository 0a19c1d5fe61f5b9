"""N access grants, the same for everybody, in Siteward's own file and in Umami's own answers.

What is granted comes from the yardsticks' `gen.py` (`dataset`, `mutate`), which lies beside this project and not in
it. As for the other tools there, a group's grants count as those of one more account, so that each tool gets N.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

YARDSTICKS = Path(os.environ.get("YARDSTICKS", "yardsticks")).resolve()
"""The folder of the reference pipeline and its generator, which is no part of the project."""
REFERENCE = Path(os.environ["REFERENCE"]).resolve() if os.environ.get("REFERENCE") else None
"""The checkout of an earlier revision that figures are divided by, if there is one."""
ROLES = {"view": "view", "write": "edit", "admin": "manage"}
TEAM_ROLES = {"view": "team-view-only", "write": "team-member", "admin": "team-manager"}
HEAD = """\
version: 1

instances:
  stats:
    platform: umami
    url: https://stats.example.org
    self: siteward
    layout: per-site

policy:
  admins: {min: 1}
  limits: {removals: {count: 100000}, revocations: {count: 100000}, escalations: {count: 100000}}
"""
ADMIN = "olga"


@dataclass(frozen=True, slots=True)
class Sample:
    """A folder with one data set: `access.yaml` wants what `users.json`, `teams.json` and `websites.json` differ from."""

    folder: Path
    grants: int


def gen() -> Any:
    """Return the yardsticks' generator; raises `FileNotFoundError` where it is not there."""
    if not (YARDSTICKS / "gen.py").is_file():
        raise FileNotFoundError(f"the yardsticks are not at {YARDSTICKS}")
    if str(YARDSTICKS) not in sys.path:
        sys.path.insert(0, str(YARDSTICKS))
    return import_module("gen")


def write(folder: Path, grants: int) -> Sample:
    """Write a data set of that many grants, 1 % of which differ between the file and what is live."""
    made = gen()
    live = made.dataset(grants)
    desired = made.mutate(live)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "access.yaml").write_text(declaration(desired, made.user_grants_n(desired)), encoding="utf-8")
    for name, rows in answers(live, made.user_grants_n(live)).items():
        (folder / f"{name}.json").write_text(json.dumps({"data": rows, "count": len(rows)}), encoding="utf-8")
    return Sample(folder, grants)


def change(kept: Path, changed: Path) -> None:
    """Write a copy of recorded listings in which one of a hundred memberships is missing or has another role."""
    changed.mkdir(parents=True, exist_ok=True)
    for name in ("access.yaml", "users.json", "websites.json"):
        shutil.copy(kept / name, changed / name)
    listing, draw = json.loads((kept / "teams.json").read_bytes()), Random(5)
    for team in listing["data"]:
        members = []
        for member in team["members"]:
            chance = 1.0 if member["role"] == "team-owner" else draw.random()
            if chance >= 0.005:
                members.append({**member, "role": "team-member"} if chance < 0.01 else member)
        team |= {"members": members, "_count": {"members": len(members)}}
    (changed / "teams.json").write_text(json.dumps(listing), encoding="utf-8")


def declaration(data: dict[str, Any], grants: dict[tuple[str, str], str]) -> str:
    """Return the file that grants this."""
    lines = [HEAD, "sites:"]
    lines += [f'  {site["key"]}: {{domain: {site["domain"]}, name: "{site["name"]}"}}' for site in data["sites"]]
    lines.append("\nusers:")
    for user in data["users"]:
        lines += [f"  {user['login']}:", f"    email: {user['email']}"]
        lines += [f"    until: {user['expires']}"] if "expires" in user else []
    lines += [f"  {group['key']}: {{kind: service, email: {group['key']}@example.org}}" for group in data["groups"]]
    lines += [f"  {ADMIN}: {{email: {ADMIN}@example.org}}", "\ngrants:", f"  - {{to: {ADMIN}, role: admin, on: stats}}"]
    for (login, role), sites in _together(grants).items():
        lines += [f"  - to: {login}", f"    role: {role}", f"    sites: [{', '.join(sites)}]"]
    return "\n".join(lines) + "\n"


def answers(data: dict[str, Any], grants: dict[tuple[str, str], str]) -> dict[str, list[dict[str, object]]]:
    """Return what Umami 3.2 lists of this: users, teams with their members, and websites, one managed team a site."""
    logins = [
        "siteward",
        ADMIN,
        *(user["login"] for user in data["users"]),
        *(group["key"] for group in data["groups"]),
    ]
    ids = {login: _id("a", at) for at, login in enumerate(logins)}
    users = [
        {"id": at, "username": login, "role": "admin" if login in {"siteward", ADMIN} else "user", "createdAt": _MADE}
        for login, at in ids.items()
    ]
    members: dict[str, list[tuple[str, str]]] = {
        site["key"]: [(ids["siteward"], "team-owner")] for site in data["sites"]
    }
    for (login, site), role in grants.items():
        members[site].append((ids[login], TEAM_ROLES[role]))
    teams, websites = [], []
    for at, site in enumerate(data["sites"]):
        rows = [
            {"id": _id("c", at * 100_000 + place), "userId": user, "role": role, "user": {"id": user}}
            for place, (user, role) in enumerate(members[site["key"]])
        ]
        name = f"acl:{site['domain']}"
        teams.append({"id": _id("b", at), "name": name, "members": rows, "_count": {"members": len(rows)}})
        websites.append({"id": _id("d", at), "name": site["name"], "domain": site["domain"], "teamId": _id("b", at)})
    return {"users": users, "teams": teams, "websites": websites}


_MADE = "2026-01-01T00:00:00.000Z"


def _id(kind: str, at: int) -> str:
    return f"{kind}0000000-0000-4000-8000-{at:012x}"


def _together(grants: dict[tuple[str, str], str]) -> dict[tuple[str, str], list[str]]:
    """Return the sites by login and role: one entry of the file each."""
    found: dict[tuple[str, str], list[str]] = {}
    for (login, site), role in grants.items():
        found.setdefault((login, ROLES[role]), []).append(site)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "change":
        change(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        write(Path(sys.argv[1]), int(sys.argv[2]))
