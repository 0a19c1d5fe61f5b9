"""The stand-in's module switches (API.md section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.fake.state import MODULES, Person
from siteward.platforms.piwikpro.fake.wire import JSON_API, Asked, ProblemError, Row, answer, done, one

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

MOST_USERS = 100


def my_modules(asked: Asked) -> Response:
    """List the modules that are open to the caller."""
    held = asked.state.effective_modules(asked.caller)
    return answer({"data": [{"id": each, "type": "ppms/module"} for each in MODULES if each in held]})


def my_module(asked: Asked, module: str) -> Response:
    """Say whether one module is open to the caller."""
    if module not in MODULES:
        raise ProblemError(404, "modules.error.module-not-exists", detail="no such module")
    if module not in asked.state.effective_modules(asked.caller):
        raise ProblemError(403, "modules.error.access-denied", detail="module switched off for this user")
    return one({"id": module, "type": "ppms/module"})


def modules_of(asked: Asked, user: str) -> Response:
    """List the switches of one person: own, and through groups."""
    asked.owners_only()
    person = _module_user(asked, user)
    opened = {each: asked.state.module_groups(each, person.id) for each in MODULES}
    return answer(
        {
            "data": [
                {
                    "id": each,
                    "type": "module/access/user",
                    "attributes": {
                        "group_access": {"group_names": opened[each], "access": bool(opened[each])},
                        "access": each in asked.state.licensed and (person.role == "OWNER" or each in person.modules),
                    },
                }
                for each in MODULES
            ]
        }
    )


def set_modules(asked: Asked, user: str) -> Response:
    """Set several switches of one person at once."""
    asked.owners_only()
    if asked.request.mimetype != JSON_API:
        raise ProblemError(415, "unsupported_media_type", detail="media type not supported", pointer="/data")
    person = _module_user(asked, user)
    wanted = {str(body.get("id")): _switch(body) for body in asked.bodies()}
    missing = sorted(wanted.keys() - asked.state.licensed)
    if missing:
        raise ProblemError(403, "modules.error.unlicensed-module", detail=f"not licensed: {', '.join(missing)}")
    person.modules = {each for each in MODULES if wanted.get(each, each in person.modules)}
    asked.wrote("module.access.changed", person.id)
    return done()


def modules_by_users(asked: Asked) -> Response:
    """Say what is open, own or through groups, to a hundred people at most; a POST, so it spends the quota of writes."""
    asked.owners_only()
    wanted = [str(body.get("id")) for body in asked.bodies()]
    if len(wanted) > MOST_USERS:
        raise ProblemError(
            400, "modules.error.too-many-users", detail=f"{len(wanted)} given, {MOST_USERS} allowed", pointer="/data"
        )
    people = [asked.state.people[each] for each in wanted if each in asked.state.people]
    return answer(
        {
            "data": [
                {
                    "type": "ppms/user/modules",
                    "id": person.id,
                    "attributes": {
                        "modules": [name for name in MODULES if name in asked.state.effective_modules(person)]
                    },
                }
                for person in people
            ]
        }
    )


def _module_user(asked: Asked, user: str) -> Person:
    person = asked.state.people.get(user)
    if person is None:
        raise ProblemError(404, "modules.error.user-not-exists", detail="no such user")
    return person


def _switch(row: Row) -> bool:
    given = row.get("attributes")
    return bool(given.get("access")) if isinstance(given, dict) else False
