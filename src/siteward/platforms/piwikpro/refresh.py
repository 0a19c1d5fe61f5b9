"""Reads the resources of some keys again, by the narrowest requests.

A single person on an app is searched for by e-mail; for several, the whole list is one request as well.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Scope, Subject, account_key
from siteward.platforms.piwikpro.roles import NO_ACCESS, ON, OWNER, level_path
from siteward.platforms.piwikpro.rows import (
    GroupLevel,
    MemberOf,
    PersonLevel,
    Rows,
    Switch,
    User,
    UserGroup,
    listing,
    parse,
    refusal,
    search,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from siteward.access.model import Key, Resource, SubjectKind
    from siteward.access.state import Live
    from siteward.platforms.piwikpro.rows import Row
    from siteward.transport.http import Reader

Seen = dict["Key", "Resource | None"]
USERS, GROUPS = "/api/users/v2", "/api/user-groups/v1"


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return the resource of each key as it is now, `None` where there surely is none; keys that cannot be read are left out.

    Levels of owners are in no list (API.md section 6), so for owners the result is `None`. Raises `PlatformError`.
    """
    wanted = Wanted()
    for key in keys:
        wanted.note(key)
    tasks: list[Callable[[], Seen]] = [
        partial(_refresh_people, reader, wanted.people),
        partial(_refresh_groups, reader, wanted.groups),
        *(partial(_refresh_members, reader, group, names, live) for group, names in wanted.members.items()),
        *(partial(_refresh_levels, reader, scope, names, live) for scope, names in wanted.levels.items()),
        *(partial(_refresh_group_levels, reader, scope, names, live) for scope, names in wanted.group_levels.items()),
        *(partial(_refresh_modules, reader, name, modules, live) for name, modules in wanted.modules.items()),
    ]
    seen: Seen = {}
    for part in reader.map(_call_task, tasks):
        seen |= part
    return {key: seen[key] for key in keys if key in seen}


def person(reader: Reader, name: str) -> Row[User] | None:
    """Return the account with that address, or `None`."""
    rows = search(reader, USERS, User, name)
    return next((row for row in rows if row.attributes.email.casefold() == name.casefold()), None)


def group_named(reader: Reader, name: str) -> Row[UserGroup] | None:
    """Return the group of that name, or `None`."""
    rows = search(reader, GROUPS, UserGroup, name)
    return next((row for row in rows if row.attributes.name == name), None)


def members_of(reader: Reader, group_id: str) -> tuple[Row[MemberOf], ...]:
    """Return the members of a group."""
    return listing(reader, f"{GROUPS}/{group_id}/users", MemberOf, {"sort": "email"})


def level_of(reader: Reader, scope: Scope, scope_id: str, name: str) -> Row[PersonLevel] | None:
    """Return a person's row on a site; `None` for owners and for accounts that do not exist."""
    rows = search(reader, level_path(scope, scope_id, "user"), PersonLevel, name)
    return next((row for row in rows if row.attributes.email.casefold() == name.casefold()), None)


def switches_of(reader: Reader, person_id: str) -> Mapping[str, Switch] | None:
    """Return a person's own switches by module; `None` if there is no such person."""
    answer = reader.query(f"/api/modules/v1/access/user/{person_id}")
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise refusal(reader, answer)
    return {row.id: row.attributes for row in parse(Rows[Switch], answer).data}


class Wanted:
    """The keys to read, by the list that contains them."""

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.groups: set[str] = set()
        self.members: dict[str, set[str]] = defaultdict(set)
        self.levels: dict[Scope, set[str]] = defaultdict(set)
        self.group_levels: dict[Scope, set[str]] = defaultdict(set)
        self.modules: dict[str, set[str]] = defaultdict(set)

    def note(self, key: Key) -> None:
        """Add a key to those of its list; a key of a kind that Piwik PRO does not have is left out."""
        match key:
            case ("account", name) | ("grant", "account", name, "instance", _):
                self.people.add(name)
            case ("group", name):
                self.groups.add(name)
            case ("member", group, name):
                self.members[group].add(name)
            case ("grant", "account", name, "module", module):
                self.modules[name].add(module)
            case ("grant", "account", name, kind, label):
                self.levels[Scope(kind, label)].add(name)
            case ("grant", "group", name, kind, label):
                self.group_levels[Scope(kind, label)].add(name)
            case _:
                pass


def _call_task(task: Callable[[], Seen]) -> Seen:
    return task()


def _refresh_people(reader: Reader, names: Collection[str]) -> Seen:
    seen: Seen = {}
    if len(names) > 1:
        users = {row.attributes.email.casefold(): row for row in listing(reader, USERS, User, {"sort": "email"})}
        rows = {name: users.get(name.casefold()) for name in names}
    else:
        rows = {name: person(reader, name) for name in names}
    for name, row in rows.items():
        user = row.attributes if row else None
        ownership = Grant(Subject("account", name), EVERYWHERE, OWNER)
        seen[account_key(name)] = Account(name, user.email, user.language) if user else None
        seen[ownership.key] = ownership if user and user.role == "OWNER" else None
    return seen


def _refresh_groups(reader: Reader, names: Collection[str]) -> Seen:
    rows = listing(reader, GROUPS, UserGroup, {"sort": "name"}) if names else ()
    known = {row.attributes.name: Group(row.attributes.name, row.attributes.external_id) for row in rows}
    return {Group(name).key: known.get(name) for name in names}


def _refresh_members(reader: Reader, group: str, names: Collection[str], live: Live) -> Seen:
    at = live.ids.get(Group(group).key)
    if at is None:
        row = group_named(reader, group)
        at = row.id if row else None
    path, only = f"{GROUPS}/{at}/users", next(iter(names))
    rows = () if at is None else search(reader, path, MemberOf, only) if len(names) == 1 else members_of(reader, at)
    present = {row.attributes.email.casefold() for row in rows}
    return {Member(group, name).key: Member(group, name) if name.casefold() in present else None for name in names}


def _refresh_levels(reader: Reader, scope: Scope, names: Collection[str], live: Live) -> Seen:
    site = live.sites.get(scope)
    if site is None:
        return {}
    path, only = level_path(scope, site.id, "user"), next(iter(names))
    rows = search(reader, path, PersonLevel, only) if len(names) == 1 else listing(reader, path, PersonLevel)
    held = {row.attributes.email.casefold(): row.attributes.permission for row in rows}
    return _build_grants("account", scope, {name: held.get(name.casefold(), NO_ACCESS) for name in names})


def _refresh_group_levels(reader: Reader, scope: Scope, names: Collection[str], live: Live) -> Seen:
    site = live.sites.get(scope)
    if site is None:
        return {}
    rows = listing(reader, level_path(scope, site.id, "user-group"), GroupLevel, {"sort": "name"})
    held = {row.attributes.name: row.attributes.permission for row in rows}
    return _build_grants("group", scope, {name: held.get(name, NO_ACCESS) for name in names})


def _build_grants(kind: SubjectKind, scope: Scope, levels: Mapping[str, str]) -> Seen:
    held = [Grant(Subject(kind, name), scope, level) for name, level in levels.items()]
    return {grant.key: grant if grant.role != NO_ACCESS else None for grant in held}


def _refresh_modules(reader: Reader, name: str, modules: Iterable[str], live: Live) -> Seen:
    at = live.ids.get(account_key(name))
    if at is None:
        row = person(reader, name)
        at = row.id if row else None
    switches = (switches_of(reader, at) if at else None) or {}
    seen: Seen = {}
    for module in modules:
        grant, switch = Grant(Subject("account", name), Scope("module", module), ON), switches.get(module)
        seen[grant.key] = grant if switch and (switch.access or switch.group_access.access) else None
    return seen
