"""Fetches the lists of an account, several at once, in the fewest requests (API.md section 10).

Apps and meta sites become scopes here, with labels that are unique and the hosts that selectors compare.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.model import Scope
from siteward.access.state import Site
from siteward.platforms.piwikpro.roles import ENTITY, level_path
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
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Reader

USERS, GROUPS, APPS, METAS = "/api/users/v2", "/api/user-groups/v1", "/api/apps/v2", "/api/meta-sites/v1"
MODULES_BY_USERS, MOST_BY_USERS = "/api/modules/v1/by-users", 100


class Gathering(Struct):
    """The rows of all lists; several threads fill it, each a field or key of its own."""

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
        """Run the tasks in the reader's threads."""
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
        self.hosts[app] = hosts_of(ask(self.reader, f"{APPS}/{app}", One[WholeApp]).data.attributes.urls)

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

    def settle_sites(self) -> None:
        """Give every app and meta site its scope, with the hosts of its addresses if `sites_by` is `address`."""
        if self.settings.sites_by == "address":
            self.at_once(*(partial(self.read_hosts, app.id) for app in self.apps))
        apps = {app.id: app.attributes.name for app in self.apps}
        self.sites = scopes("site", apps, self.hosts)
        self.sites |= scopes("metasite", {meta.id: meta.attributes.name for meta in self.metas}, {})


def _call_task(task: Callable[[], None]) -> None:
    task()


def managed_ids(reader: Reader) -> frozenset[str]:
    """Return the ids of the apps and meta sites on which the caller may set levels; these lists do not page."""
    return frozenset(
        row.id
        for entity in ENTITY.values()
        for row in ask(reader, f"/api/access-control/v2/entry/ppms/{entity}/action/manage", Rows[Entity]).data
    )


# --- scopes -----------------------------------------------------------------------------------------------------------


def scopes(kind: str, names: Mapping[str, str], hosts: Mapping[str, Sequence[str]]) -> dict[Scope, Site]:
    """Return the scopes of all apps (or meta sites), given their names and, where known, the hosts of each, by id.

    Names need not be unique (API.md section 5); those that are not become `name#id`.
    """
    labels = {at: next(iter(hosts.get(at, ())), folded(name)) for at, name in names.items()}
    seen = Counter(labels.values())
    found: dict[Scope, Site] = {}
    for at, label in labels.items():
        unique = label if seen[label] == 1 else f"{label}#{at}"
        domains = tuple(hosts.get(at, ())) or (label,)
        found[Scope(kind, unique)] = Site(id=at, label=unique, name=names[at], domains=domains)
    return found


def hosts_of(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts of an app's addresses, without repetition, in their order."""
    return tuple(dict.fromkeys(host for url in urls if (host := domain_in(url))))


def folded(name: str) -> str:
    """Return a name as selectors compare it: a domain where it looks like one, as it is otherwise."""
    name = name.strip()
    host = domain_in(name)
    return name if "." not in host or any(character.isspace() for character in host) else host
