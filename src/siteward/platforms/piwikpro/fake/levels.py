"""The stand-in's access control (API.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.fake.apps import ACTIONS, may
from siteward.platforms.piwikpro.fake.state import LEVELS, EntityKind, HolderKind, Person
from siteward.platforms.piwikpro.fake.wire import Asked, ProblemError, Row, answer, done, known_uuid, one

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response


def people_on(kind: EntityKind) -> Callable[..., Response]:
    """Return the handler that lists every non-owner with the own level and the highest through groups."""

    def handler(asked: Asked, entity: str) -> Response:
        _managed(asked, kind, entity, refusal=404)
        rows = [
            _person_row(asked, kind, entity, person) for person in asked.state.people.values() if person.role == "USER"
        ]
        return asked.listing(asked.sorted(asked.found(rows, "email"), {"email": "email"}, "email"))

    return handler


def groups_on(kind: EntityKind) -> Callable[..., Response]:
    """Return the handler that lists every group with its level."""

    def handler(asked: Asked, entity: str) -> Response:
        _managed(asked, kind, entity, refusal=403 if kind == "app" else 404)
        rows: list[Row] = [
            {
                "id": group.id,
                "type": f"{kind}/permission/user-group",
                "attributes": {
                    "name": group.name,
                    "permission": asked.state.level(kind, entity, "user-group", group.id),
                },
            }
            for group in asked.state.groups.values()
        ]
        return asked.listing(asked.sorted(asked.found(rows, "name"), {"name": "name"}, "name"))

    return handler


def set_level(kind: EntityKind, declared_user: HolderKind) -> Callable[..., Response]:
    """Return the handler that sets a level. There is no other way to revoke than `no-access`."""

    def handler(asked: Asked, entity: str, holder_id: str) -> Response:
        _managed(asked, kind, entity, refusal=403)
        level, held = (
            _wanted_level(asked, kind, declared_user),
            asked.state.level(kind, entity, declared_user, known_uuid(holder_id)),
        )
        known = asked.state.people if declared_user == "user" else asked.state.groups
        if holder_id not in known:
            raise ProblemError(400, title="Invalid form", detail=f"no such {declared_user}", pointer="/data")
        if held == "manage" != level and not asked.is_owner:
            raise ProblemError(403)  # only owners hold `demote_app_manager`
        asked.state.levels[kind, entity, declared_user, holder_id] = level
        asked.wrote(
            f"permission.{declared_user.replace('-', '_')}.changed.{kind.replace('-', '_')}",
            holder_id,
            id=entity,
            permission=level,
        )
        return done()

    return handler


def global_actions(asked: Asked) -> Response:
    """Say what the caller may do on the whole account."""
    held = {
        "ppms/app": ["add"],
        "ppms/user": ["list", "add", "demote_app_manager", "demote_meta_site_manager"],
        "ppms/meta-site": ["add", "delete"],
    }
    return answer(
        {
            "data": [
                {
                    "id": kind,
                    "type": "ppms/permissions/global",
                    "attributes": {"permissions": names if asked.is_owner else []},
                }
                for kind, names in held.items()
            ]
        }
    )


def entity_actions(asked: Asked, entity: str) -> Response:
    """Say what the caller may do on one app or meta site."""
    kind: EntityKind = "app" if known_uuid(entity) in asked.state.apps else "meta-site"
    names = [action for action, level in ACTIONS.items() if may(asked, kind, entity, level)]
    return one({"type": "ppms/permission/entity/actions", "id": entity, "attributes": {"actions": names}})


def entities_with(kind: EntityKind) -> Callable[..., Response]:
    """Return the handler that lists where the caller may do `action`; it does not page."""

    def handler(asked: Asked, action: str) -> Response:
        known = asked.state.apps if kind == "app" else asked.state.metas
        return _entities(
            f"ppms/{kind}", [each for each in known if may(asked, kind, each, ACTIONS.get(action, action))]
        )

    return handler


def people_with(asked: Asked, action: str) -> Response:
    """List whom the caller may list, edit or delete: everybody else for an owner, nobody for others."""
    others = [person.id for person in asked.state.people.values() if person is not asked.caller]
    return _entities("ppms/user", others if asked.is_owner and action else [])


def _entities(kind: str, ids: list[str]) -> Response:
    return answer(
        {
            "meta": {"total": len(ids)},
            "data": [
                {"id": each, "type": "ppms/permission/entity", "attributes": {"entityType": kind}} for each in ids
            ],
        }
    )


def _managed(asked: Asked, kind: EntityKind, entity: str, *, refusal: int) -> None:
    known = asked.state.apps if kind == "app" else asked.state.metas
    if known_uuid(entity) not in known:
        raise ProblemError(404)
    if not may(asked, kind, entity, "manage"):
        raise ProblemError(refusal)


def _person_row(asked: Asked, kind: EntityKind, entity: str, person: Person) -> Row:
    level, names = asked.state.through_groups(kind, entity, person.id)
    return {
        "id": person.id,
        "type": f"{kind}/permission/user",
        "attributes": {
            "email": person.email,
            "group_permissions": {"group_names": names, "permission": level},
            "permission": asked.state.level(kind, entity, "user", person.id),
        },
    }


def _wanted_level(asked: Asked, kind: EntityKind, declared_user: HolderKind) -> str:
    body = asked.body()
    given = body.get("attributes")
    if body.get("type") != f"{kind}/permission/{declared_user}":
        raise ProblemError(400, title="Invalid form", detail="resource type not accepted", pointer="/data/type")
    level = given.get("permission") if isinstance(given, dict) else None
    if level not in LEVELS[kind]:
        raise ProblemError(
            400,
            title="Invalid form",
            detail=f"level not offered for {kind.replace('-', ' ')}s",
            pointer="/data/attributes/permission",
        )
    return str(level)
