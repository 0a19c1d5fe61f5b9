"""Reads a whole account in the fewest requests (API.md section 10), and builds `Live` from it.

    users · groups · apps · meta sites                                   four lists at once
    └─ members of each group · levels of people on each app · levels of
       each group on all apps · both kinds of levels on each meta site ·
       open modules of people by the hundred                             all of these at once

Levels of people can be read by app only; those of groups by group, which is cheaper. With the key of a user who is no
owner, only the apps that the user manages are read, and the traits name what is not.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import note, plural, warning
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Scope, Subject, account_key
from siteward.access.state import Listing, Live, Site
from siteward.platforms.piwikpro.native_state import NativeState
from siteward.platforms.piwikpro.roles import ENTITY, NO_ACCESS, ON, OWNER, level_path, listed
from siteward.platforms.piwikpro.rows import (
    Entity,
    GroupAccess,
    GroupLevel,
    MemberOf,
    Named,
    One,
    OpenModules,
    PersonLevel,
    Row,
    Rows,
    User,
    UserGroup,
    WholeApp,
    ask,
    listing,
    parse,
    refusal,
)
from siteward.platforms.piwikpro.session import own_user
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.traits import Traits
    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Reader


USERS, GROUPS, APPS, METAS = "/api/users/v2", "/api/user-groups/v1", "/api/apps/v2", "/api/meta-sites/v1"
MODULES_BY_USERS, MOST_BY_USERS = "/api/modules/v1/by-users", 100


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return all access in the account that the key shows.

    Raises `PlatformError`, as `IncompleteError` if a list does not add up.
    """
    lists = _Lists(reader, settings, own_user(reader))
    return _read_all(lists) if listed(traits) else _read_managed(lists)


def managed_ids(reader: Reader) -> frozenset[str]:
    """Return the ids of the apps and meta sites on which the caller may set levels; these lists do not page."""
    return frozenset(
        row.id
        for entity in ENTITY.values()
        for row in ask(reader, f"/api/access-control/v2/entry/ppms/{entity}/action/manage", Rows[Entity]).data
    )


# --- requests ---------------------------------------------------------------------------------------------------------


class _Lists(Struct):
    """The rows of all lists; several threads fill it, each a field or key of its own.

    `me` is the user who made the key. `hosts`, `reaches` and `modules` are by the id of the app, group or person,
    `members` by that of the group; `reaches` has the levels of groups on apps, `group_levels` those on meta sites (and
    on apps too, if the key is no owner's).
    """

    reader: Reader
    settings: Settings
    me: Row[User]
    users: Sequence[Row[User]] = ()
    groups: Sequence[Row[UserGroup]] = ()
    apps: Sequence[Row[Named]] = ()
    metas: Sequence[Row[Named]] = ()
    hosts: dict[str, tuple[str, ...]] = {}
    sites: dict[Scope, Site] = {}
    members: dict[str, Sequence[Row[MemberOf]]] = {}
    people: dict[Scope, Sequence[Row[PersonLevel]]] = {}
    group_levels: dict[Scope, Sequence[Row[GroupLevel]]] = {}
    reaches: dict[str, Sequence[Row[GroupAccess]]] = {}
    modules: dict[str, frozenset[str]] = {}

    def at_once(self, *tasks: Callable[[], None]) -> None:
        """Run the tasks in the reader's threads; raises what one of them raises."""
        self.reader.map(_call_task, tasks)

    def read_users(self) -> None:
        """Fetch all accounts."""
        self.users = listing(self.reader, USERS, User, {"sort": "email"})

    def read_groups(self) -> None:
        """Fetch the groups."""
        self.groups = listing(self.reader, GROUPS, UserGroup, {"sort": "name"})

    def read_apps(self) -> None:
        """Fetch the apps that the caller may see."""
        self.apps = listing(self.reader, APPS, Named, {"sort": "name"})

    def read_metas(self) -> None:
        """Fetch the meta sites that the caller may see."""
        self.metas = listing(self.reader, METAS, Named, {"sort": "name"})

    def read_hosts(self, app: str) -> None:
        """Fetch the hosts of one app."""
        self.hosts[app] = _list_hosts(ask(self.reader, f"{APPS}/{app}", One[WholeApp]).data.attributes.urls)

    def read_members(self, group: str) -> None:
        """Fetch the people of one group."""
        self.members[group] = listing(self.reader, f"{GROUPS}/{group}/users", MemberOf, {"sort": "email"})

    def read_reach(self, group: str) -> None:
        """Fetch the levels of one group on all apps."""
        path = f"{APPS}/user-group/{group}/permissions"
        self.reaches[group] = listing(self.reader, path, GroupAccess, {"sort": "name"})

    def read_people(self, scope: Scope) -> None:
        """Fetch the levels of all accounts but owners on one site."""
        self.people[scope] = listing(self.reader, level_path(scope, self.sites[scope].id, "user"), PersonLevel)

    def read_group_levels(self, scope: Scope) -> None:
        """Fetch the levels of all groups on one site."""
        path = level_path(scope, self.sites[scope].id, "user-group")
        self.group_levels[scope] = listing(self.reader, path, GroupLevel, {"sort": "name"})

    def read_modules(self, ids: Sequence[str]) -> None:
        """Fetch the open modules of at most a hundred people, by a POST that only reads; raises `IncompleteError`."""
        body = {"data": [{"type": "ppms/user", "id": user} for user in ids]}
        answer = self.reader.call(MODULES_BY_USERS, json=body)
        if answer.status != 200:
            raise refusal(self.reader, answer)
        open_modules = {row.id: frozenset(row.attributes.modules) for row in parse(Rows[OpenModules], answer).data}
        if missing := set(ids) - open_modules.keys():
            raise IncompleteError(f"{MODULES_BY_USERS} left out {len(missing)} of {len(ids)} people")
        self.modules |= open_modules

    def name_sites(self) -> None:
        """Give every app and meta site its scope, with the hosts of its addresses if `sites_by` is `address`."""
        if self.settings.sites_by == "address":
            self.at_once(*(partial(self.read_hosts, app.id) for app in self.apps))
        apps = {app.id: app.attributes.name for app in self.apps}
        self.sites = _build_sites("site", apps, self.hosts)
        self.sites |= _build_sites("metasite", {meta.id: meta.attributes.name for meta in self.metas}, {})


def _call_task(task: Callable[[], None]) -> None:
    task()


# --- with an owner's key ----------------------------------------------------------------------------------------------


def _read_all(lists: _Lists) -> Live:
    lists.at_once(lists.read_users, lists.read_groups, lists.read_apps, lists.read_metas)
    lists.name_sites()
    people = [user.id for user in lists.users if user.attributes.role == "USER"] + [lists.me.id]
    batches = [people[start : start + MOST_BY_USERS] for start in range(0, len(people), MOST_BY_USERS)]
    lists.at_once(
        *(partial(lists.read_people, site) for site in lists.sites),
        *(partial(lists.read_members, group.id) for group in lists.groups),
        *(partial(lists.read_reach, group.id) for group in lists.groups),
        *(partial(lists.read_group_levels, site) for site in lists.sites if site.kind == "metasite"),
        *(partial(lists.read_modules, batch) for batch in batches),
    )
    names = {user.id: user.attributes.email for user in lists.users}
    group_names = {group.id: group.attributes.name for group in lists.groups}
    scope_of = {site.id: scope for scope, site in lists.sites.items()}
    access = Access(
        (
            *_build_accounts(lists),
            *_build_groups(lists, names),
            *_build_levels(lists, names),
            *_build_group_levels_on_apps(lists, group_names, scope_of),
            *_build_group_levels(lists),
            *_build_modules(lists, names),
        )
    )
    return Live(
        access=access,
        sites=lists.sites,
        me=lists.me.attributes.email,
        ids=_collect_ids(names, group_names),
        facts={account_key(user.attributes.email): _collect_facts(user) for user in lists.users},
        listings=_build_listings(lists),
        findings=tuple(_report_groups(lists, names)),
        native=NativeState(
            whole=True,
            native=lists.settings.native,
            licensed=lists.modules[lists.me.id],
        ),
    )


def _build_accounts(lists: _Lists) -> Iterator[Resource]:
    for row in lists.users:
        user = row.attributes
        yield Account(user.email, user.email, user.language)
        if user.role == "OWNER":
            yield Grant(Subject("account", user.email), EVERYWHERE, OWNER)


def _build_groups(lists: _Lists, names: dict[str, str]) -> Iterator[Resource]:
    for row in lists.groups:
        group = row.attributes
        yield Group(group.name, group.external_id)
        for member in lists.members[row.id]:
            yield Member(group.name, _name_of_person(names, member.id, member.attributes.email))


def _build_levels(lists: _Lists, names: dict[str, str]) -> Iterator[Resource]:
    """Yield the levels of people on sites; `names` are those of accounts, by id."""
    for scope, rows in lists.people.items():
        for row in rows:
            level = row.attributes.permission
            if level != NO_ACCESS:
                name = _name_of_person(names, row.id, row.attributes.email)
                yield Grant(Subject("account", name), scope, level)


def _build_group_levels_on_apps(
    lists: _Lists, groups: dict[str, str], scope_of: dict[str, Scope]
) -> Iterator[Resource]:
    """Yield the levels of groups on apps; raises `IncompleteError` for an app that was not listed."""
    for group, rows in lists.reaches.items():
        for row in rows:
            if row.attributes.access != NO_ACCESS:
                if row.id not in scope_of:
                    raise IncompleteError("an app was made while the account was read", hint="try again")
                yield Grant(Subject("group", groups[group]), scope_of[row.id], row.attributes.access)


def _build_group_levels(lists: _Lists) -> Iterator[Resource]:
    """Yield the levels of groups that were read by site: on meta sites, or with a narrow key on all."""
    for scope, rows in lists.group_levels.items():
        for row in rows:
            if row.attributes.permission != NO_ACCESS:
                yield Grant(Subject("group", row.attributes.name), scope, row.attributes.permission)


def _build_modules(lists: _Lists, names: dict[str, str]) -> Iterator[Resource]:
    """Yield the open modules of accounts that are no owners; owners always have all modules (API.md section 8).

    Our own are asked for although the list of users may lack us; then there is no account to say it of, and a guard
    refuses such a list (`self-not-listed`).
    """
    owners = {user.id for user in lists.users if user.attributes.role == "OWNER"}
    for person_id, modules in lists.modules.items():
        if person_id in names and person_id not in owners:
            for module in sorted(modules):
                yield Grant(Subject("account", names[person_id]), Scope("module", module), ON)


def _name_of_person(names: dict[str, str], person_id: str, email: str) -> str:
    """Return the name of an account by its id; raises `IncompleteError` if it appeared while the account was read."""
    if person_id not in names:
        raise IncompleteError(f"{email} appeared while the account was read", hint="try again")
    return names[person_id]


def _collect_ids(names: dict[str, str], groups: dict[str, str]) -> dict[Key, str]:
    return {
        **{account_key(name): person_id for person_id, name in names.items()},
        **{Group(name).key: group_id for group_id, name in groups.items()},
    }


def _collect_facts(user: Row[User]) -> dict[str, str]:
    return {"created": user.attributes.added} if user.attributes.added else {}


def _report_groups(lists: _Lists, names: dict[str, str]) -> Iterator[Diagnostic]:
    """Report the groups that give access which no plan takes: external ones, and all if groups are not managed."""
    owners = {user.id for user in lists.users if user.attributes.role == "OWNER"}
    group_levels = [(scope, row) for scope, rows in lists.group_levels.items() for row in rows]
    for group in lists.groups:
        name, external = group.attributes.name, group.attributes.external_id
        people = {member.id for member in lists.members[group.id]} & names.keys() - owners
        reached = [
            f"{row.id} {row.attributes.access}" for row in lists.reaches[group.id] if row.attributes.access != NO_ACCESS
        ]
        reached += [
            f"{scope} {row.attributes.permission}"
            for scope, row in group_levels
            if row.id == group.id and row.attributes.permission != NO_ACCESS
        ]
        if not people or not reached or (lists.settings.native and not external):
            continue
        source = f"whose members come from {external}" if lists.settings.native else "and groups are not managed here"
        yield (note if lists.settings.native else warning)(
            "unmanaged-group",
            f"{plural(len(people), 'account')} can reach {plural(len(reached), 'site')} through the group {name}, {source}",
            hint="`siteward who-can` shows who" + ("" if lists.settings.native else "; `native: true` manages groups"),
            thing=name,
            facts=(group.id, *(f"member {person}" for person in people), *(f"reaches {place}" for place in reached)),
        )


def _build_listings(lists: _Lists) -> tuple[Listing, ...]:
    counted = {
        "accounts": len(lists.users),
        "groups": len(lists.groups),
        "sites": len(lists.apps),
        "meta sites": len(lists.metas),
        "group members": sum(map(len, lists.members.values())),
        "levels of people": sum(map(len, lists.people.values())),
        "levels of groups": sum(map(len, (*lists.reaches.values(), *lists.group_levels.values()))),
        "open modules": len(lists.modules),
    }
    proof = {"open modules": "one row for each person asked about"}
    return tuple(
        Listing(name=name, rows=rows, complete=True, proof=proof.get(name, "rows add up to meta.total"))
        for name, rows in counted.items()
    )


# --- with the key of a user who is no owner ---------------------------------------------------------------------------


def _read_managed(lists: _Lists) -> Live:
    lists.at_once(lists.read_apps, lists.read_metas)
    ids = managed_ids(lists.reader)
    lists.apps = [app for app in lists.apps if app.id in ids]
    lists.metas = [meta for meta in lists.metas if meta.id in ids]
    lists.name_sites()
    lists.at_once(
        *(partial(lists.read_people, site) for site in lists.sites),
        *(partial(lists.read_group_levels, site) for site in lists.sites),
    )
    names = {row.id: row.attributes.email for rows in lists.people.values() for row in rows}
    groups = {row.id: row.attributes.name for rows in lists.group_levels.values() for row in rows}
    access = Access(
        (
            *(Account(name, name) for name in names.values()),
            *(Group(group) for group in groups.values()),
            *_build_levels(lists, names),
            *_build_group_levels(lists),
        )
    )
    return Live(
        access=access,
        sites=lists.sites,
        me=lists.me.attributes.email,
        ids=_collect_ids(names, groups),
        listings=_build_listings(lists),
        findings=_report_narrow_key(lists),
        native=NativeState(whole=False, native=False),
    )


def _report_narrow_key(lists: _Lists) -> tuple[Diagnostic, ...]:
    """Report that the key shows only part of the account, because no owner has made it."""
    managed = f"only the {plural(len(lists.sites), 'site')} it manages can be read and changed"
    extent = managed if lists.sites else "nothing can be changed"
    return (
        warning(
            "key-of-no-owner",
            f"the key belongs to {lists.me.attributes.email}, who is no owner: {extent}; accounts, owners, group members "
            "and modules stay unseen",
            hint="make the key with an owner's account that is Siteward's own",
        ),
    )


# --- scopes -----------------------------------------------------------------------------------------------------------


def _build_sites(kind: str, names: Mapping[str, str], hosts: Mapping[str, Sequence[str]]) -> dict[Scope, Site]:
    """Return all apps (or meta sites) by scope, given their names and, where known, the hosts of each, by id.

    Names need not be unique (API.md section 5); those that are not become `name#id`.
    """
    labels = {site_id: next(iter(hosts.get(site_id, ())), _normalize_name(name)) for site_id, name in names.items()}
    times = Counter(labels.values())
    sites: dict[Scope, Site] = {}
    for site_id, label in labels.items():
        unique = label if times[label] == 1 else f"{label}#{site_id}"
        domains = tuple(hosts.get(site_id, ())) or (label,)
        sites[Scope(kind, unique)] = Site(id=site_id, label=unique, name=names[site_id], domains=domains)
    return sites


def _list_hosts(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts of an app's addresses, without repetition, in their order."""
    return tuple(dict.fromkeys(host for url in urls if (host := domain_in(url))))


def _normalize_name(name: str) -> str:
    """Return a name as selectors compare it: as a domain if it looks like one, otherwise unchanged."""
    name = name.strip()
    host = domain_in(name)
    return name if "." not in host or any(character.isspace() for character in host) else host
