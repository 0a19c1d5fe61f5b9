"""The stand-in's user groups (API.md section 4). Every error of this API comes without a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.fake.state import UserGroup
from siteward.platforms.piwikpro.fake.wire import Asked, ProblemError, Row, done, known_uuid, one, zulu

if TYPE_CHECKING:
    from werkzeug.wrappers import Response


def list_groups(asked: Asked) -> Response:
    """List all groups, by name."""
    asked.owners_only()
    rows = asked.found([group_row(group) for group in asked.state.groups.values()], "name", "external_id")
    names = {"name": "name", "created_at": "created_at", "updated_at": "updated_at"}
    return asked.listing(asked.sorted(rows, names, "name"))


def get_group(asked: Asked, group: str) -> Response:
    """Show one group."""
    asked.owners_only()
    return one(group_row(_group(asked, group)))


def create_group(asked: Asked) -> Response:
    """Make a group; its name must be new."""
    asked.owners_only()
    name = _group_fields(asked).get("name")
    if not isinstance(name, str) or not name or _name_taken(asked, name):
        raise ProblemError(400)
    group = UserGroup(asked.state.new_id(), name, asked.now, asked.now)
    asked.state.groups[group.id] = group
    asked.wrote("user_group.added", group.id, name=name)
    row = dict(group_row(group))
    row["attributes"] = {"name": name, "created_at": zulu(asked.now), "updated_at": zulu(asked.now)}
    return one(row, 201)


def edit_group(asked: Asked, group: str) -> Response:
    """Rename a group or tie it to a group of the identity provider."""
    asked.owners_only()
    found, given = _group(asked, group), _group_fields(asked)
    name = given.get("name", found.name)
    if not isinstance(name, str) or not name or (name != found.name and _name_taken(asked, name)):
        raise ProblemError(400)
    found.name, found.updated = name, asked.now
    external = given.get("external_id", found.external_id)
    found.external_id = None if external is None else str(external)
    asked.wrote("user_group.edited", found.id, name=name)
    return done()


def delete_group(asked: Asked, group: str) -> Response:
    """Delete a group and all it granted."""
    asked.owners_only()
    found = _group(asked, group)
    del asked.state.groups[found.id]
    asked.state.levels = {
        key: level for key, level in asked.state.levels.items() if key[2:] != ("user-group", found.id)
    }
    asked.wrote("user_group.deleted", found.id, name=found.name)
    return done()


def list_members(asked: Asked, group: str) -> Response:
    """List the people of a group, by address."""
    asked.owners_only()
    return _people(asked, _group(asked, group).members)


def list_others(asked: Asked, group: str) -> Response:
    """List the people who are not in a group."""
    asked.owners_only()
    return _people(asked, asked.state.people.keys() - _group(asked, group).members)


def add_members(asked: Asked, group: str) -> Response:
    """Add many. One who is in it already makes the whole call fail: the stern reading of what is not stated."""
    asked.owners_only()
    found, wanted = _group(asked, group), _wanted_people(asked)
    if wanted & found.members:
        raise ProblemError(400)
    found.members |= wanted
    for each in sorted(wanted):
        asked.wrote("user_group.user.added", each, id=found.id)
    return done()


def remove_members(asked: Asked, group: str) -> Response:
    """Take many out; a DELETE that has a body."""
    asked.owners_only()
    found, wanted = _group(asked, group), _wanted_people(asked)
    found.members -= wanted
    for each in sorted(wanted):
        asked.wrote("user_group.user.removed", each, id=found.id)
    return done()


def group_row(group: UserGroup) -> Row:
    """Return a group as a resource."""
    return {
        "type": "ppms/user-group",
        "id": group.id,
        "attributes": {
            "name": group.name,
            "created_at": zulu(group.created),
            "updated_at": zulu(group.updated),
            "external_id": group.external_id,
        },
    }


def _people(asked: Asked, wanted: set[str]) -> Response:
    rows: list[Row] = [
        {"id": each, "type": "ppms/user", "attributes": {"email": asked.state.people[each].email}} for each in wanted
    ]
    return asked.listing(asked.sorted(asked.found(rows, "email"), {"email": "email"}, "email"))


def _group(asked: Asked, group: str) -> UserGroup:
    found = asked.state.groups.get(known_uuid(group))
    if found is None:
        raise ProblemError(400)  # the description of this API has no 404
    return found


def _group_fields(asked: Asked) -> Row:
    body = asked.body()
    given = body.get("attributes")
    if body.get("type") != "ppms/user-group" or not isinstance(given, dict):
        raise ProblemError(400)
    return given


def _name_taken(asked: Asked, name: str) -> bool:
    return any(group.name == name for group in asked.state.groups.values())


def _wanted_people(asked: Asked) -> set[str]:
    wanted = {str(body.get("id")) for body in asked.bodies()}
    if not wanted <= asked.state.people.keys():
        raise ProblemError(400)
    return wanted
