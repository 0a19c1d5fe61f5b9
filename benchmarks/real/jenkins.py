"""jenkins-infra/repository-permissions-updater: `permissions/*.yml` and `teams/*.yml`.

Each component is a site that its developers own. A robot that publishes it is a service with a key; where nobody may
publish, the site stands without a grant, and whoever is found there loses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converted import Converted, Row, hashed, listed, person, read, service

if TYPE_CHECKING:
    from pathlib import Path


def convert(folder: Path, instance: str) -> Converted:
    """Return the declaration of the project."""
    made = Converted()
    for file in sorted((folder / "teams").glob("*.yml")):
        team = read(file)
        made.groups[f"team-{team['name']}"] = {"members": _names(made, team), "description": f"The team {team['name']}"}
    for file in sorted((folder / "permissions").glob("*.yml")):
        _add(made, read(file), file.stem, instance)
    return made


def _names(made: Converted, row: Row) -> list[str]:
    """Return the developers of a row, and declare them; `@team` is a group."""
    names = listed(str(name) for name in row.get("developers") or ())
    people = [hashed(name) for name in names if not name.startswith("@")]
    for name in people:
        made.declare(name, person(name))
    return listed(people + [f"team-{name[1:]}" for name in names if name.startswith("@")])


def _add(made: Converted, row: Row, handle: str, instance: str) -> None:
    site, names = f"{handle}.jenkins.test".lower().replace("_", "-"), _names(made, row)
    owners: Row = {"owner": names} if names else {}
    made.sites[handle] = {"domain": site, **owners}
    robot: dict[str, Any] = row.get("cd") or {}
    if robot.get("enabled"):
        name, people = f"cd-{handle}", [one for one in names if one in made.users]
        key = {"name": "publish", "on": instance, "holds": "edit", "used_by": "the job that publishes"}
        made.users[name] = service(name, people[0] if people else None, keys=[key])
        made.grants.append({"to": name, "role": "edit", "sites": site})
    if names:
        role = "view" if robot.get("exclusive") else "edit"
        made.grants.append({"to": names, "role": role, "sites": site})
