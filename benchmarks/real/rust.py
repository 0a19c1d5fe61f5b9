"""rust-lang/team: `people/*.toml`, `teams/*.toml` and `repos/<org>/*.toml`.

Repositories, private channels and the project's tools are sites. Leads are a tag, so that the team of all leads computes;
who is named as a former member alone has left (`alumni`).
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from converted import OWN_ROLES, ROLES, Converted, Row, hashed, hashed_id, listed, person, service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

COMPUTED: Mapping[str, Row] = {
    "include-all-team-members": {"all": "members"},
    "include-team-leads": {"tag": "lead"},
    "include-wg-leads": {"tag": "wg-lead"},
    "include-project-group-leads": {"tag": "group-lead"},
}
LEADS: Mapping[str, str] = {"team": "lead", "working-group": "wg-lead", "project-group": "group-lead"}
OWNERS = "infra"


def convert(folder: Path, instance: str) -> Converted:
    """Return the declaration of the project."""
    teams = {team["name"]: team for team in _all(folder / "teams", "*.toml")}
    known = {row["github"]: row for row in _all(folder / "people", "*.toml")}
    made = Converted(roles=OWN_ROLES, users=_people(known, teams), policy={"wildcards": {"at_most": "edit"}})
    answers = next(map(hashed, _names(teams.get(OWNERS, {}), "leads")), None)
    for name, team in teams.items():
        if not team["people"].get("include-all-alumni"):
            made.groups[name] = _group(team, teams)
            made.grants += _tools(name, team)
            _add_channels(made, name, team, teams)
    for row in known.values():
        made.grants += _tools(hashed(row["github"]), row)
    for file in sorted((folder / "repos").glob("*/*.toml")):
        if file.parent.name != "archive":
            _add_repository(made, _read_access(file), answers)
    for grant in made.grants:
        for site in grant["sites"]:
            made.sites.setdefault(site.removesuffix(".rust.test"), {"domain": site})
    made.grants.append({"to": OWNERS, "role": "admin", "on": instance})
    return made


def _all(folder: Path, pattern: str) -> Iterator[Row]:
    for file in sorted(folder.glob(pattern)):
        yield tomllib.loads(file.read_text(encoding="utf-8"))


def _read_access(file: Path) -> Row:
    """Return what a repository's file says of access; tables of other things may be of a newer TOML."""
    parts = re.split(r"(?m)^(?=\[)", file.read_text(encoding="utf-8"))
    return tomllib.loads("".join([parts[0], *(part for part in parts[1:] if part.startswith("[access"))]))


def _names(team: Row, key: str) -> list[str]:
    """Return who is listed under a key of a team; a row with roles is a table."""
    rows = team.get("people", {}).get(key) or ()
    return [row if isinstance(row, str) else row["github"] for row in rows]


def _people(known: Mapping[str, Row], teams: Mapping[str, Row]) -> dict[str, Row]:
    """Return the users: with the id that stays, their addresses if they have one, tags, and what they hold elsewhere."""
    active = {name for team in teams.values() for name in (*_names(team, "members"), *_names(team, "leads"))}
    former = {name for team in teams.values() for name in _names(team, "alumni")}
    tags: dict[str, list[str]] = {}
    for team in teams.values():
        for name in _names(team, "leads"):
            tags.setdefault(name, []).append(LEADS.get(team.get("kind", "team"), "marker-lead"))
        for name in _names(team, "alumni"):
            tags.setdefault(name, []).append(f"was-in-{team['name']}")
    users: dict[str, Row] = {}
    for name in listed((*known, *sorted(former - known.keys()))):
        row = known.get(name, {})
        user = person(hashed(name))
        if not row.get("email"):
            del user["email"]
        user |= {"id": hashed_id(row["github-id"])} if "github-id" in row else {}
        user |= {"tags": found} if (found := listed(tags.get(name, ()))) else {}
        user |= {"forge": {"zulip": hashed_id(row["zulip-id"])}} if "zulip-id" in row else {}
        user |= (
            {"also": [f"the hardware key {hashed_id(key)}" for key in keys]}
            if (keys := row.get("hardware-keys"))
            else {}
        )
        users[hashed(name)] = user | ({"state": "alumni"} if name in former - active and not _has_own(row) else {})
    return users


def _has_own(row: Row) -> bool:
    return bool(row.get("permissions"))


def _group(team: Row, teams: Mapping[str, Row]) -> Row:
    """Return a team as a group: whoever has a role in it has that as the reason of the membership."""
    people = team["people"]
    computed = [term for key, term in COMPUTED.items() if people.get(key)]
    rows: list[Any] = [*people.get("included-teams", ())]
    for row in people.get("members") or ():
        roles = [] if isinstance(row, str) else row.get("roles", [])
        name = hashed(row if isinstance(row, str) else row["github"])
        rows.append({"user": name, "reason": ", ".join(roles)} if roles else name)
    leads = listed(map(hashed, people.get("leads") or ()))
    named = {row if isinstance(row, str) else row["user"] for row in rows}
    text = team.get("website", {}).get("description") or f"The team {team['name']}"
    above = team.get("subteam-of")
    return {
        **({"from": computed} if computed else {}),
        **(
            {"members": found}
            if (found := [*rows, *(lead for lead in leads if lead not in named)]) or not computed
            else {}
        ),
        "description": text.strip(),
        **({"owner": owner} if (owner := leads or ([above] if above in teams else [])) else {}),
    }


def _tools(subject: str, row: Row) -> list[Row]:
    """Return what a team or a person may use of the project's tools, each a site."""
    found = row.get("permissions", {})
    tools = [name for name, value in found.items() if value is True]
    tools += [f"bors-{name}" for name, value in found.get("bors", {}).items() if value.get("review")]
    tries = [f"bors-{name}" for name, value in found.get("bors", {}).items() if value.get("try")]
    pairs: Iterable[tuple[str, list[str]]] = (("edit", tools), ("view", tries))
    return [
        {"to": subject, "role": role, "sites": [f"{name}.tools.rust.test" for name in names]}
        for role, names in pairs
        if names
    ]


def _add_channels(made: Converted, name: str, team: Row, teams: Mapping[str, Row]) -> None:
    """Add the private channels of a team: its people and those of other teams, but for some."""
    for at, channel in enumerate(team.get("zulip-streams", ())):
        extra = [other for other in channel.get("extra-teams", ()) if other in teams]
        out = [f"!{hashed(one)}" for one in channel.get("excluded-people", ())]
        people = [hashed(one) for one in channel.get("extra-people", ())]
        own = [name] if channel.get("include-team-members", True) else []
        members = [*own, *extra, *people, *out]
        if not members:
            continue
        group = f"{name}-channel-{at}"
        made.groups[group] = {"members": members, "description": f"The channel {channel['name']}", "owner": name}
        host = "".join(letter if letter.isalnum() else "-" for letter in channel["name"].lower()).strip("-")
        made.grants.append({"to": group, "role": "view", "sites": [f"{host}.channels.rust.test"]})


def _add_repository(made: Converted, row: Row, answers: str | None) -> None:
    """Add a repository: teams and individuals by their levels, and its bots, which are services."""
    site = f"{row['name'].lower().replace('.', '-').replace('_', '-')}.{row['org'].lower()}.rust.test"
    made.sites[site.removesuffix(".rust.test")] = {"domain": site}
    access = row.get("access", {})
    by_role: dict[str, list[str]] = {}
    for team, level in access.get("teams", {}).items():
        if team in made.groups:
            by_role.setdefault(ROLES[level], []).append(team)
    for name, level in access.get("individuals", {}).items():
        by_role.setdefault(ROLES[level], []).append(hashed(name))
    for bot in row.get("bots", ()):
        made.users.setdefault(f"bot-{bot}", service(f"bot-{bot}", answers))
        by_role.setdefault("edit", []).append(f"bot-{bot}")
    made.grants += [{"to": names, "role": role, "sites": [site]} for role, names in by_role.items()]
