"""The reading of JSON exports: a SCIM list (RFC 7644), Okta's array of users, and Google's `users.list`.

A list that names its own total proves that it is whole, and one that contradicts it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from siteward.access.diagnostic import Diagnostic, Span
from siteward.directory.listing import MAX_TEXT, Listing, ListingError, Person, collect, incomplete, malformed

Entry = Mapping[str, Any]

_OKTA_PAGE = 200
"""The most users on a page of Okta's; where the next one is stands in a header, which no saved page has."""

_OKTA_THERE = frozenset({"ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT"})
_OKTA_NOT_YET = frozenset({"STAGED", "PROVISIONED"})
_OKTA_GONE = frozenset({"DEPROVISIONED", "SUSPENDED"})


def read_json(called: str, text: str) -> Listing:
    """Return the listing of a JSON export; raises `ListingError` for one that is cut, or not as its kind demands."""
    start = Span(called, 1, 1)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as wrong:
        at = Span(called, wrong.lineno, wrong.colno)
        raise ListingError(malformed(f"this is no JSON: {wrong.msg}", at)) from wrong
    except RecursionError as wrong:
        raise ListingError(malformed("the JSON is nested too deeply", start)) from wrong
    if isinstance(data, dict) and "users" in (folded := _fold(data)):
        return _read_google(folded, start)
    if isinstance(data, dict):
        return _read_scim(_fold(data), start)
    if isinstance(data, list):
        return _read_okta(data, start)
    raise ListingError(malformed("this is neither a SCIM list nor a list of users", start))


def _read_scim(data: Entry, start: Span) -> Listing:
    """Return the listing of a SCIM list, which holds all that it counts."""
    entries = _list_of(data.get("resources", []), "Resources", start)
    total = data.get("totalresults")
    if type(total) is not int:
        raise ListingError(incomplete("the list has no `totalResults`, and proves nothing", start))
    if total != len(entries) or data.get("startindex", 1) != 1:
        message = f"the list counts {total:,} and holds {len(entries):,}, from number {data.get('startindex', 1)} on"
        raise ListingError(incomplete(message, start, hint="join all pages into one list that begins with number 1"))
    users = [entry for entry in entries if not _is_group(entry)]
    faults: list[Diagnostic] = []
    people = list(_read_each(users, _read_scim_user, start, faults))
    groups: dict[str, list[str]] = {}
    strays: dict[str, list[str]] = {}
    ids = {person.id for person in people}
    for entry in entries:
        if _is_group(entry):
            for member in _members(entry):
                place = groups if member in ids else strays
                place.setdefault(str(entry.get("displayname", "")), []).append(member)
            groups.setdefault(str(entry.get("displayname", "")), [])
        else:
            for group in _values(entry.get("groups")):
                groups.setdefault(str(group.get("display") or group.get("value")), []).append(str(entry.get("id")))
    told = ("some people have no `active` and are taken for active",) if any("active" not in e for e in users) else ()
    return Listing(people=collect(people, faults), groups=_freeze(groups), told=told, strays=_freeze(strays))


def _read_scim_user(entry: Entry, at: Span) -> Person:
    """Return a person of a SCIM list; the primary address counts, else the first."""
    emails = sorted(_values(entry.get("emails")), key=lambda email: email.get("primary") is not True)
    name = entry.get("displayname") or _fold(entry.get("name") or {}).get("formatted")
    login = _text(entry, "username", at)
    return Person(
        id=_id(entry, at),
        handle=login.partition("@")[0] if login else None,
        email=str(emails[0]["value"])
        if emails and emails[0].get("value")
        else login
        if login and "@" in login
        else None,
        name=str(name) if name else None,
        active=_is_active(entry, at),
        at=at,
    )


def _is_active(entry: Entry, at: Span) -> bool:
    """Return whether a SCIM user is active; some clients write the word instead of the truth value."""
    active = entry.get("active", True)
    if active in (True, "true", "True"):
        return True
    if active in (False, "false", "False"):
        return False
    raise ListingError(malformed("`active` is neither true nor false", at))


def _read_okta(entries: list[Any], start: Span) -> Listing:
    """Return the listing of Okta's array of users; whoever is deprovisioned is left out there and leaves by it."""
    if entries and len(entries) % _OKTA_PAGE == 0:
        message = f"{len(entries)} users are whole pages, and no saved page says whether another one follows"
        raise ListingError(incomplete(message, start, hint="save all pages, and `id,email,name` of them as CSV"))
    faults: list[Diagnostic] = []
    users = [_fold(entry) for entry in _list_of(entries, "the list", start)]
    waiting = [user for user in users if user.get("status") in _OKTA_NOT_YET]
    people = list(_read_each([user for user in users if user not in waiting], _read_okta_user, start, faults))
    told = (f"{len(waiting)} who are not active yet are left out",) if waiting else ()
    return Listing(people=collect(people, faults), told=told)


def _read_okta_user(entry: Entry, at: Span) -> Person:
    """Return a user of Okta's; the address is the profile's, not the login."""
    profile = _fold(entry.get("profile") or {})
    status = entry.get("status")
    if status not in _OKTA_THERE | _OKTA_GONE:
        raise ListingError(malformed("the status is none that is known", at))
    login = _text(profile, "login", at)
    names = (_text(profile, "firstname", at), _text(profile, "lastname", at))
    return Person(
        id=_id(entry, at),
        handle=login.partition("@")[0] if login else None,
        email=_text(profile, "email", at),
        name=" ".join(name for name in names if name) or None,
        active=status in _OKTA_THERE,
        at=at,
    )


def _read_google(data: Entry, start: Span) -> Listing:
    """Return the listing of Google's `users.list`; one that names a further page is cut."""
    if data.get("nextpagetoken"):
        raise ListingError(incomplete("a `nextPageToken` says that another page follows", start))
    faults: list[Diagnostic] = []
    users = [_fold(entry) for entry in _list_of(data["users"], "users", start)]
    return Listing(people=collect(_read_each(users, _read_google_user, start, faults), faults))


def _read_google_user(entry: Entry, at: Span) -> Person:
    """Return a user of Google's directory."""
    email = _text(entry, "primaryemail", at)
    name = _fold(entry.get("name") or {}).get("fullname")
    return Person(
        id=_id(entry, at),
        handle=email.partition("@")[0] if email else None,
        email=email,
        name=str(name) if name else None,
        active=not (entry.get("suspended") is True or entry.get("archived") is True),
        at=at,
    )


def _read_each(
    entries: list[Entry], read: Callable[[Entry, Span], Person], start: Span, faults: list[Diagnostic]
) -> Iterator[Person]:
    """Yield the person of each entry; what is wrong with one is added to `faults`, with its number."""
    for number, entry in enumerate(entries, 1):
        try:
            yield read(entry, start)
        except ListingError as wrong:
            faults += [malformed(f"number {number}: {fault.message}", start) for fault in wrong.diagnostics]


def _id(entry: Entry, at: Span) -> str:
    """Return an entry's id; raises `ListingError` for one without."""
    id_ = entry.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int) or id_ == "":
        raise ListingError(malformed("there is no `id`", at))
    return _bound(str(id_), at)


def _text(entry: Entry, key: str, at: Span) -> str | None:
    """Return a text of an entry, `None` where it is empty or not there; raises `ListingError` for anything else."""
    value = entry.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ListingError(malformed(f"`{key}` is no text", at))
    return _bound(value, at)


def _bound(text: str, at: Span) -> str:
    """Return a text within bounds; raises `ListingError` for a longer one."""
    if len(text) > MAX_TEXT:
        raise ListingError(malformed(f"a text of more than {MAX_TEXT:,} characters", at))
    return text


def _fold(entry: object) -> Entry:
    """Return an object with the names of its members in small letters: SCIM's have no case."""
    return {str(key).casefold(): value for key, value in entry.items()} if isinstance(entry, dict) else {}


def _list_of(value: object, name: str, at: Span) -> list[Entry]:
    """Return a list of objects, folded; raises `ListingError` for anything else."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ListingError(malformed(f"`{name}` is no list of objects", at))
    return [_fold(entry) for entry in value]


def _values(value: object) -> list[Entry]:
    """Return the objects of a many-valued attribute."""
    return [_fold(entry) for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _is_group(entry: Entry) -> bool:
    """Return whether a resource of a SCIM list is a group."""
    schemas = entry.get("schemas")
    return isinstance(schemas, list) and any(str(schema).casefold().endswith(":group") for schema in schemas)


def _members(entry: Entry) -> Iterator[str]:
    """Yield the ids of a group's members."""
    yield from (str(member["value"]) for member in _values(entry.get("members")) if member.get("value"))


def _freeze(groups: Mapping[str, list[str]]) -> Mapping[str, tuple[str, ...]]:
    """Return groups with each member once."""
    return MappingProxyType({name: tuple(dict.fromkeys(members)) for name, members in groups.items()})
