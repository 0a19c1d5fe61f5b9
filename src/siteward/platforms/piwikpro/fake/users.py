"""The stand-in's users (API.md section 3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from siteward.platforms.piwikpro.fake.state import Person
from siteward.platforms.piwikpro.fake.wire import Asked, ProblemError, Row, done, known_uuid, one, stamp
from siteward.platforms.piwikpro.roles import LANGUAGES, REGIONS

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PASSWORD = re.compile(r"(?=.*\d)(?=.*[A-Z])(?=.*[a-z]).{12,128}")


def list_users(asked: Asked) -> Response:
    """List everybody; newest first unless `sort` says otherwise."""
    asked.owners_only()
    rows = asked.found([user_row(person) for person in reversed(asked.state.people.values())], "email")
    return asked.listing(asked.sorted(rows, {"email": "email", "addedAt": "addedAt", "role": "role"}, "-addedAt"))


def get_user(asked: Asked, user: str) -> Response:
    """Show one person."""
    person = _person(asked, user)
    if person is not asked.caller:
        asked.owners_only()
    return one(user_row(person))


def get_me(asked: Asked) -> Response:
    """Show whose key this is."""
    return one(user_row(asked.caller))


def invite(asked: Asked) -> Response:
    """Make an account and send the mail with which its person gets in; it is always a mere user."""
    asked.owners_only()
    given = _user_fields(asked)
    person = _add(asked, given, role="USER")
    asked.state.mails.append(person.email)
    row = dict(user_row(person))
    row["attributes"] = {name: value for name, value in dict(user_fields(person)).items() if name != "organization"}
    return one(row, 201)


def create_user(asked: Asked) -> Response:
    """Make an account with a password, the deprecated way; no mail goes out (inferred)."""
    asked.owners_only()
    given = _user_fields(asked)
    if not PASSWORD.fullmatch(str(given.get("password", ""))):
        raise _invalid("users.error.invalid-new-password", "password rule not met", "/password")
    return one(user_row(_add(asked, given, role=str(given.get("role", "USER")))), 201)


def edit_user(asked: Asked, user: str) -> Response:
    """Change role or language; `data.id` must be given and agree with the path."""
    person = _person(asked, user)
    if person is not asked.caller:
        asked.owners_only()
    given = _user_fields(asked, of=person)
    if "role" in given:
        _set_role(asked, person, str(given["role"]))
    if "language" in given:
        person.language = _language(str(given["language"]))
        asked.wrote("user.edited", person.id)
    return done()


def edit_me(asked: Asked) -> Response:
    """Change one's own language; the own role is fixed."""
    return edit_user(asked, asked.caller.id)


def change_role(asked: Asked, user: str) -> Response:
    """Make somebody an owner, or a user again."""
    asked.owners_only()
    person = _person(asked, user)
    given = _user_fields(asked, of=person)
    _set_role(asked, person, str(given.get("role", "")))
    return done()


def delete_user(asked: Asked, user: str) -> Response:
    """Delete for good. The last owner and the caller stay."""
    asked.owners_only()
    person = _person(asked, user)
    if asked.state.owners() == [person]:
        raise ProblemError(400, "users.error.cannot-delete-last-owner", "last owner stays")
    if person is asked.caller:
        raise ProblemError(400, "users.error.cannot-delete-own-account", "own account stays")
    asked.state.forget(person)
    asked.wrote("user.deleted", person.id, email=person.email)
    return done()


def user_row(person: Person) -> Row:
    """Return a person as a resource."""
    return {"id": person.id, "type": "ppms/user", "attributes": user_fields(person)}


def user_fields(person: Person) -> Row:
    """Return all that is told of a person."""
    return {
        "email": person.email,
        "role": person.role,
        "organization": person.organization,
        "addedAt": stamp(person.added),
        "language": person.language,
    }


def _person(asked: Asked, user: str) -> Person:
    person = asked.state.people.get(known_uuid(user))
    if person is None:
        raise ProblemError(404, "users.error.user-does-not-exist", "no such user")
    return person


def _user_fields(asked: Asked, of: Person | None = None) -> Row:
    if asked.request.mimetype != "application/vnd.api+json":
        raise ProblemError(400, "error.json-api-content-type", "JSON:API content type expected")
    body = asked.body()
    if body.get("type") != "ppms/user":
        raise ProblemError(400, "error.json-api-resource-type", "resource type must be ppms/user")
    if of is not None and "id" not in body:
        raise ProblemError(400, "error.json-api-resource-id-not-provided", "id missing in data")
    if of is not None and body["id"] != of.id:
        raise ProblemError(409, "error", detail="data.id differs from the path", pointer="/data")
    given = body.get("attributes")
    if not isinstance(given, dict):
        raise ProblemError(400, "error.json-api-content", "attributes missing")
    return given


def _add(asked: Asked, given: Row, *, role: str) -> Person:
    email = given.get("email")
    if not isinstance(email, str) or not email:
        raise _invalid("error.not-blank", "must not be blank", "/email")
    if not EMAIL.fullmatch(email):
        raise _invalid("users.error.invalid-email", "not an address", "/email")
    if asked.state.named(email) or email.casefold() in asked.state.elsewhere:
        raise _invalid("users.error.user-already-exists", "address already registered", "/email")
    person = Person(
        asked.state.new_id(),
        email,
        _role(role),
        asked.now,
        _language(str(given.get("language", "en-US"))),
        set(asked.state.licensed),
    )
    asked.state.people[person.id] = person
    asked.wrote("user.invited", person.id, email=email)
    return person


def _set_role(asked: Asked, person: Person, role: str) -> None:
    if person is asked.caller:
        raise ProblemError(400, "users.error.cannot-change-own-role", "own role is fixed")
    person.role = _role(role)
    asked.wrote("user.role.changed", person.id, role=role)


def _role(text: str) -> Literal["OWNER", "USER"]:
    match text:
        case "OWNER" | "USER":
            return text
        case _:
            raise _invalid("users.error.invalid-role", "OWNER or USER only", "/role")


def _language(tag: str) -> str:
    language, dash, region = tag.partition("-")
    if not dash:
        raise _invalid("users.error.unsupported-language-tag", "not an IETF tag", "/language")
    if language not in LANGUAGES:
        raise _invalid("users.error.unsupported-language", f"{language} is not offered", "/language")
    if region not in REGIONS:
        raise _invalid("users.error.unsupported-language", f"{region} is not an ISO 3166-1 region", "/language")
    return tag


def _invalid(code: str, detail: str, pointer: str) -> ProblemError:
    return ProblemError(400, code, "Invalid form", detail, pointer)
