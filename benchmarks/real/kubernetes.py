"""kubernetes/org: `config/<org>/org.yaml`, `config/<org>/<sig>/teams.yaml` and `config/restrictions.yaml`, for one organisation.

Each file of teams stays a file of its own, which may grant on the repositories that the restrictions name for it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from converted import OWN_ROLES, ROLES, Converted, Row, hashed, listed, person, read, service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EVERYBODY = "everybody"


def convert(folder: Path, instance: str, org: str = "kubernetes", everybody: str = "*") -> Converted:
    """Return the declaration of an organisation; its members may view the sites that the pattern `everybody` means."""
    config = folder / "config"
    made, root = Converted(roles=OWN_ROLES), read(config / org / "org.yaml")
    bounds = _bounds(config / "restrictions.yaml", org)
    for file in (config / org / "org.yaml", *sorted((config / org).glob("*/teams.yaml"))):
        path = file.relative_to(config).as_posix()
        groups, grants = _teams(read(file).get("teams") or {}, org)
        allowed = _widened(made, path, bounds.get(path), grants)
        made.included[path.replace("/", "-")] = allowed, {"groups": groups, "grants": grants}
    admins = listed(map(hashed, root.get("admins") or ()))
    made.users = _people(root, admins, _in_teams(made), org)
    made.groups[EVERYBODY] = {"from": {"tag": org}, "description": "Every member of the organisation"}
    made.grants.append({"to": admins, "role": "admin", "on": instance})
    if root.get("default_repository_permission") not in {None, "none"}:
        made.grants.append({"to": EVERYBODY, "role": "view", "sites": everybody})
    named = {site for _, rows in made.included.values() for grant in rows["grants"] for site in grant["sites"]}
    made.sites = {site.removesuffix(f".{org}.test"): {"domain": site} for site in sorted(named)}
    return made


def _widened(made: Converted, path: str, allowed: list[str] | None, grants: list[Row]) -> list[str] | None:
    """Return the bounds of a file with the repositories that it names beyond them, which the source's own check lets through."""
    if allowed is None:
        return None
    beyond = [site for grant in grants for site in grant["sites"] if not any(fnmatchcase(site, one) for one in allowed)]
    if beyond:
        made.notes.append(
            f"{path} names {len(beyond)} times a repository beyond its bounds: {', '.join(sorted({*beyond}))}"
        )
    return listed((*allowed, *beyond))


def _people(root: Row, admins: list[str], in_teams: list[str], org: str) -> dict[str, Row]:
    """Return the users in the spelling in which they come first; robots are services that an admin answers for."""
    ours = [*(root.get("admins") or ()), *(root.get("members") or ())]
    robots = {hashed(name).casefold() for name in ours if name.endswith(("-robot", "-bot"))}
    members = {hashed(name).casefold() for name in ours}
    answers = next((name for name in admins if name.casefold() not in robots), None)
    first: dict[str, str] = {}
    for name in (*map(hashed, ours), *in_teams):
        first.setdefault(name.casefold(), name)
    return {
        name: (service(name, answers) if key in robots else person(name)) | ({"tags": [org]} if key in members else {})
        for key, name in first.items()
    }


def _in_teams(made: Converted) -> list[str]:
    """Return everybody who is named in a team."""
    groups = {name for _, rows in made.included.values() for name in rows["groups"]}
    named = (group for _, rows in made.included.values() for group in rows["groups"].values())
    return listed(name for group in named for name in group["members"] if name not in groups)


def _bounds(file: Path, org: str) -> dict[str, list[str]]:
    """Return the patterns of the repositories that each file may name; `^name` means whatever begins so."""
    rows = read(file)["restrictions"] if file.exists() else ()
    return {
        row["path"]: [
            f"{allowed.removeprefix('^').rstrip('$')}{'' if allowed.endswith('$') else '*'}.{org}.test"
            for allowed in row["allowedRepos"]
        ]
        for row in rows
        if row["path"].startswith(f"{org}/")
    }


def _teams(teams: Mapping[str, Any], org: str) -> tuple[Row, list[Row]]:
    """Return the groups and grants of teams and of the teams within them, whose members are the outer ones' too."""
    groups: Row = {}
    grants: list[Row] = []
    for name, team in teams.items():
        inner, more = _teams(team.get("teams") or {}, org)
        leads, members = (listed(map(hashed, team.get(key) or ())) for key in ("maintainers", "members"))
        groups |= inner
        groups[name] = {
            "members": listed((*leads, *members, *(team.get("teams") or ()))),
            **({"description": text} if (text := (team.get("description") or "").strip()) else {}),
            **({"owner": leads} if leads else {}),
            **({"previously": former} if (former := team.get("previously")) else {}),
        }
        by_role: dict[str, list[str]] = {}
        for repository, level in (team.get("repos") or {}).items():
            by_role.setdefault(ROLES[level], []).append(f"{repository.lower()}.{org}.test")
        grants += [{"to": name, "role": role, "sites": sites} for role, sites in by_role.items()]
        grants += more
    return groups, grants
