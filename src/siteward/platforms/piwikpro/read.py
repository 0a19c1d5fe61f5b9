"""The whole account → `Live`, in the fewest requests there are (API.md section 10).

    users · groups · apps · meta sites                                   four lists at once
    └─ members of each group · levels of people on each app · levels of
       each group on all apps · both kinds of levels on each meta site ·
       open modules of people by the hundred                             all of these at once

Levels of people can be read by app only; those of groups by group, which is cheaper. With the key of somebody who is
no owner only the apps that person manages are read, and the traits name what is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from siteward.access.diagnostic import note, warning
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Scope, Subject, account_key
from siteward.access.state import Listing, Live, Site
from siteward.platforms.piwikpro.picture import Picture
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
from siteward.platforms.piwikpro.session import own
from siteward.platforms.piwikpro.sites import hosts_of, scopes
from siteward.transport.errors import Incomplete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.traits import Traits
    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Reader

USERS, GROUPS, APPS, METAS = "/api/users/v2", "/api/user-groups/v1", "/api/apps/v2", "/api/meta-sites/v1"
MODULES_BY_USERS, MOST_BY_USERS = "/api/modules/v1/by-users", 100


def read(reader: Reader, settings: Settings, traits: Traits) -> Live:
    """Return the state of the account.

    Raises `Incomplete` when a list did not add up, and whatever else the server says; half an answer is none.
    """
    gathering = _Gathering(reader, settings, own(reader))
    return _whole(gathering) if listed(traits) else _managed(gathering)


@dataclass(slots=True)
class _Gathering:
    """The rows of all lists as they come in, from several threads, each of which fills a place of its own."""

    reader: Reader
    settings: Settings
    me: Row[User]
    users: Sequence[Row[User]] = ()
    groups: Sequence[Row[UserGroup]] = ()
    apps: Sequence[Row[Named]] = ()
    metas: Sequence[Row[Named]] = ()
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sites: dict[Scope, Site] = field(default_factory=dict)
    members: dict[str, Sequence[Row[MemberOf]]] = field(default_factory=dict)
    people: dict[Scope, Sequence[Row[PersonLevel]]] = field(default_factory=dict)
    crews: dict[Scope, Sequence[Row[GroupLevel]]] = field(default_factory=dict)
    reaches: dict[str, Sequence[Row[GroupAccess]]] = field(default_factory=dict)
    modules: dict[str, frozenset[str]] = field(default_factory=dict)

    def at_once(self, *tasks: Callable[[], None]) -> None:
        """Run the tasks in the reader's threads."""
        self.reader.map(_run, tasks)

    def read_users(self) -> None:
        self.users = listing(self.reader, USERS, User, {"sort": "email"})

    def read_groups(self) -> None:
        self.groups = listing(self.reader, GROUPS, UserGroup, {"sort": "name"})

    def read_apps(self) -> None:
        self.apps = listing(self.reader, APPS, Named, {"sort": "name"})

    def read_metas(self) -> None:
        self.metas = listing(self.reader, METAS, Named, {"sort": "name"})

    def read_hosts(self, app: str) -> None:
        self.hosts[app] = hosts_of(ask(self.reader, f"{APPS}/{app}", One[WholeApp]).data.attributes.urls)

    def read_members(self, group: str) -> None:
        self.members[group] = listing(self.reader, f"{GROUPS}/{group}/users", MemberOf, {"sort": "email"})

    def read_reach(self, group: str) -> None:
        path = f"{APPS}/user-group/{group}/permissions"
        self.reaches[group] = listing(self.reader, path, GroupAccess, {"sort": "name"})

    def read_people(self, scope: Scope) -> None:
        self.people[scope] = listing(self.reader, level_path(scope, self.sites[scope].id, "user"), PersonLevel)

    def read_crew(self, scope: Scope) -> None:
        path = level_path(scope, self.sites[scope].id, "user-group")
        self.crews[scope] = listing(self.reader, path, GroupLevel, {"sort": "name"})

    def read_modules(self, ids: Sequence[str]) -> None:
        """Ask for the open modules of at most a hundred people; a POST that only reads."""
        body = {"data": [{"type": "ppms/user", "id": each} for each in ids]}
        answer = self.reader.call(MODULES_BY_USERS, json=body)
        if answer.status != 200:
            raise refusal(self.reader, answer)
        told = {each.id: frozenset(each.attributes.modules) for each in parse(Rows[OpenModules], answer).data}
        if missing := set(ids) - told.keys():
            raise Incomplete(f"{MODULES_BY_USERS} left out {len(missing)} of {len(ids)} people")
        self.modules |= told

    def settle_sites(self) -> None:
        """Give every app and meta site its scope, with the hosts of its addresses where the file wants these."""
        if self.settings.sites_by == "address":
            self.at_once(*(partial(self.read_hosts, each.id) for each in self.apps))
        apps = {each.id: each.attributes.name for each in self.apps}
        self.sites = scopes("site", apps, self.hosts)
        self.sites |= scopes("metasite", {each.id: each.attributes.name for each in self.metas}, {})


def _run(task: Callable[[], None]) -> None:
    task()


# --- with an owner's key ---------------------------------------------------------------------------------------------


def _whole(found: _Gathering) -> Live:
    found.at_once(found.read_users, found.read_groups, found.read_apps, found.read_metas)
    found.settle_sites()
    people = [each.id for each in found.users if each.attributes.role == "USER"] + [found.me.id]
    found.at_once(
        *(partial(found.read_people, each) for each in found.sites),
        *(partial(found.read_members, each.id) for each in found.groups),
        *(partial(found.read_reach, each.id) for each in found.groups),
        *(partial(found.read_crew, each) for each in found.sites if each.kind == "metasite"),
        *(partial(found.read_modules, people[at : at + MOST_BY_USERS]) for at in range(0, len(people), MOST_BY_USERS)),
    )
    names = {each.id: each.attributes.email for each in found.users}
    group_names = {each.id: each.attributes.name for each in found.groups}
    scope_of = {site.id: scope for scope, site in found.sites.items()}
    access = Access(
        (
            *_accounts(found),
            *_groups(found, names),
            *_levels(found, names),
            *_reaches(found, group_names, scope_of),
            *_crews(found),
            *_modules(found, names),
        )
    )
    return Live(
        access=access,
        sites=found.sites,
        me=found.me.attributes.email,
        ids=_ids(names, group_names),
        facts={account_key(each.attributes.email): _facts(each) for each in found.users},
        listings=_listings(found),
        findings=tuple(_beside_the_file(found, names)),
        native=Picture(
            whole=True,
            native=found.settings.native,
            licensed=found.modules[found.me.id],
        ),
    )


def _accounts(found: _Gathering) -> Iterator[Resource]:
    for each in found.users:
        user = each.attributes
        yield Account(user.email, user.email, user.language)
        if user.role == "OWNER":
            yield Grant(Subject("account", user.email), EVERYWHERE, OWNER)


def _groups(found: _Gathering, names: dict[str, str]) -> Iterator[Resource]:
    for each in found.groups:
        group = each.attributes
        yield Group(group.name, group.external_id)
        for member in found.members[each.id]:
            yield Member(group.name, _known(names, member.id, member.attributes.email))


def _levels(found: _Gathering, names: dict[str, str]) -> Iterator[Resource]:
    for scope, rows in found.people.items():
        for each in rows:
            level = each.attributes.permission
            if level != NO_ACCESS:
                name = _known(names, each.id, each.attributes.email)
                yield Grant(Subject("account", name), scope, level)


def _reaches(found: _Gathering, groups: dict[str, str], scope_of: dict[str, Scope]) -> Iterator[Resource]:
    for group, rows in found.reaches.items():
        for each in rows:
            if each.attributes.access != NO_ACCESS:
                if each.id not in scope_of:
                    raise Incomplete("an app was made while the account was read", hint="try again")
                yield Grant(Subject("group", groups[group]), scope_of[each.id], each.attributes.access)


def _crews(found: _Gathering) -> Iterator[Resource]:
    for scope, rows in found.crews.items():
        for each in rows:
            if each.attributes.permission != NO_ACCESS:
                yield Grant(Subject("group", each.attributes.name), scope, each.attributes.permission)


def _modules(found: _Gathering, names: dict[str, str]) -> Iterator[Resource]:
    """Yield the open modules of those who are no owners; owners always have all of them (API.md section 8)."""
    owners = {each.id for each in found.users if each.attributes.role == "OWNER"}
    for person, modules in found.modules.items():
        if person not in owners:
            for each in sorted(modules):
                yield Grant(Subject("account", names[person]), Scope("module", each), ON)


def _known(names: dict[str, str], person: str, email: str) -> str:
    """Return the account's name; somebody who came in while we read makes the reading worthless."""
    if person not in names:
        raise Incomplete(f"{email} appeared while the account was read", hint="try again")
    return names[person]


def _ids(names: dict[str, str], groups: dict[str, str]) -> dict[Key, str]:
    return {
        **{account_key(name): at for at, name in names.items()},
        **{Group(name).key: at for at, name in groups.items()},
    }


def _facts(user: Row[User]) -> dict[str, str]:
    return {"created": user.attributes.added} if user.attributes.added else {}


def _beside_the_file(found: _Gathering, names: dict[str, str]) -> Iterator[Diagnostic]:
    """Say which groups give people something that no plan here takes: all, or those a directory fills."""
    owners = {each.id for each in found.users if each.attributes.role == "OWNER"}
    crews = [(scope, row) for scope, rows in found.crews.items() for row in rows]
    for group in found.groups:
        name, external = group.attributes.name, group.attributes.external_id
        people = {each.id for each in found.members[group.id]} & names.keys() - owners
        sites = sum(each.attributes.access != NO_ACCESS for each in found.reaches[group.id])
        sites += sum(row.id == group.id and row.attributes.permission != NO_ACCESS for _, row in crews)
        if not people or not sites or (found.settings.native and not external):
            continue
        why = f"whose members come from {external}" if found.settings.native else "and groups are not managed here"
        yield (note if found.settings.native else warning)(
            "group-beside-the-file",
            f"{len(people)} people have something on {sites} sites through the group {name}, {why}",
            hint="`siteward who-can` tells who" + ("" if found.settings.native else "; `native: true` manages groups"),
        )


def _listings(found: _Gathering) -> tuple[Listing, ...]:
    counted = {
        "accounts": len(found.users),
        "groups": len(found.groups),
        "sites": len(found.apps),
        "meta sites": len(found.metas),
        "group members": sum(map(len, found.members.values())),
        "levels of people": sum(map(len, found.people.values())),
        "levels of groups": sum(map(len, (*found.reaches.values(), *found.crews.values()))),
        "open modules": len(found.modules),
    }
    proof = {"open modules": "one row for each person asked about"}
    return tuple(
        Listing(name=name, rows=rows, complete=True, proof=proof.get(name, "rows add up to meta.total"))
        for name, rows in counted.items()
    )


# --- with the key of somebody who is no owner ------------------------------------------------------------------------


def managed_ids(reader: Reader) -> frozenset[str]:
    """Return the ids of the apps and meta sites on which the caller may set levels; these lists do not page."""
    return frozenset(
        each.id
        for entity in ENTITY.values()
        for each in ask(reader, f"/api/access-control/v2/entry/ppms/{entity}/action/manage", Rows[Entity]).data
    )


def _managed(found: _Gathering) -> Live:
    found.at_once(found.read_apps, found.read_metas)
    ids = managed_ids(found.reader)
    found.apps = [each for each in found.apps if each.id in ids]
    found.metas = [each for each in found.metas if each.id in ids]
    found.settle_sites()
    found.at_once(
        *(partial(found.read_people, each) for each in found.sites),
        *(partial(found.read_crew, each) for each in found.sites),
    )
    names = {each.id: each.attributes.email for rows in found.people.values() for each in rows}
    groups = {each.id: each.attributes.name for rows in found.crews.values() for each in rows}
    access = Access(
        (
            *(Account(each, each) for each in names.values()),
            *(Group(each) for each in groups.values()),
            *_levels(found, names),
            *_crews(found),
        )
    )
    return Live(
        access=access,
        sites=found.sites,
        me=found.me.attributes.email,
        ids=_ids(names, groups),
        listings=_listings(found),
        findings=_narrowed(found),
        native=Picture(whole=False, native=False),
    )


def _narrowed(found: _Gathering) -> tuple[Diagnostic, ...]:
    what = (
        f"only the {len(found.sites)} sites it manages can be read and changed"
        if found.sites
        else "nothing can be changed"
    )
    return (
        warning(
            "key-of-no-owner",
            f"the key belongs to {found.me.attributes.email}, who is no owner: {what}; accounts, owners, group members "
            "and modules stay unseen",
            hint="make the key with an owner's account that is Siteward's own",
        ),
    )
