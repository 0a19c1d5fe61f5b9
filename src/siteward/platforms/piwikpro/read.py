"""The whole account → `Live`, in the fewest requests there are (API.md section 10).

    users · groups · apps · meta sites                                   four lists at once
    └─ members of each group · levels of people on each app · levels of
       each group on all apps · both kinds of levels on each meta site ·
       open modules of people by the hundred                             all of these at once

Levels of people can be read by app only; those of groups by group, which is cheaper. With the key of somebody who is
no owner only the apps that person manages are read, and the traits name what is not.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from siteward.access.diagnostic import note, warning
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Scope, Subject, account_key
from siteward.access.state import Listing, Live
from siteward.platforms.piwikpro.gather import MOST_BY_USERS, Gathering, managed_ids
from siteward.platforms.piwikpro.native_state import NativeState
from siteward.platforms.piwikpro.roles import NO_ACCESS, ON, OWNER, listed
from siteward.platforms.piwikpro.session import own
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.traits import Traits
    from siteward.platforms.piwikpro.rows import Row, User
    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Reader


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return the state of the account.

    Raises `IncompleteError` when a list did not add up, and whatever else the server says; half an answer is none.
    """
    gathering = Gathering(reader, settings, own(reader))
    return _whole(gathering) if listed(traits) else _managed(gathering)


# --- with an owner's key ---------------------------------------------------------------------------------------------


def _whole(found: Gathering) -> Live:
    found.at_once(found.read_users, found.read_groups, found.read_apps, found.read_metas)
    found.settle_sites()
    people = [user.id for user in found.users if user.attributes.role == "USER"] + [found.me.id]
    found.at_once(
        *(partial(found.read_people, site) for site in found.sites),
        *(partial(found.read_members, group.id) for group in found.groups),
        *(partial(found.read_reach, group.id) for group in found.groups),
        *(partial(found.read_group_members, site) for site in found.sites if site.kind == "metasite"),
        *(partial(found.read_modules, people[at : at + MOST_BY_USERS]) for at in range(0, len(people), MOST_BY_USERS)),
    )
    names = {user.id: user.attributes.email for user in found.users}
    group_names = {group.id: group.attributes.name for group in found.groups}
    scope_of = {site.id: scope for scope, site in found.sites.items()}
    access = Access(
        (
            *_accounts(found),
            *_groups(found, names),
            *_levels(found, names),
            *_reaches(found, group_names, scope_of),
            *_group_members(found),
            *_modules(found, names),
        )
    )
    return Live(
        access=access,
        sites=found.sites,
        me=found.me.attributes.email,
        ids=_ids(names, group_names),
        facts={account_key(user.attributes.email): _facts(user) for user in found.users},
        listings=_listings(found),
        findings=tuple(_beside_the_file(found, names)),
        native=NativeState(
            whole=True,
            native=found.settings.native,
            licensed=found.modules[found.me.id],
        ),
    )


def _accounts(found: Gathering) -> Iterator[Resource]:
    for each in found.users:
        user = each.attributes
        yield Account(user.email, user.email, user.language)
        if user.role == "OWNER":
            yield Grant(Subject("account", user.email), EVERYWHERE, OWNER)


def _groups(found: Gathering, names: dict[str, str]) -> Iterator[Resource]:
    for each in found.groups:
        group = each.attributes
        yield Group(group.name, group.external_id)
        for member in found.members[each.id]:
            yield Member(group.name, _known(names, member.id, member.attributes.email))


def _levels(found: Gathering, names: dict[str, str]) -> Iterator[Resource]:
    for scope, rows in found.people.items():
        for row in rows:
            level = row.attributes.permission
            if level != NO_ACCESS:
                name = _known(names, row.id, row.attributes.email)
                yield Grant(Subject("account", name), scope, level)


def _reaches(found: Gathering, groups: dict[str, str], scope_of: dict[str, Scope]) -> Iterator[Resource]:
    for group, rows in found.reaches.items():
        for row in rows:
            if row.attributes.access != NO_ACCESS:
                if row.id not in scope_of:
                    raise IncompleteError("an app was made while the account was read", hint="try again")
                yield Grant(Subject("group", groups[group]), scope_of[row.id], row.attributes.access)


def _group_members(found: Gathering) -> Iterator[Resource]:
    for scope, rows in found.group_members.items():
        for row in rows:
            if row.attributes.permission != NO_ACCESS:
                yield Grant(Subject("group", row.attributes.name), scope, row.attributes.permission)


def _modules(found: Gathering, names: dict[str, str]) -> Iterator[Resource]:
    """Yield the open modules of those who are no owners; owners always have all of them (API.md section 8)."""
    owners = {user.id for user in found.users if user.attributes.role == "OWNER"}
    for person, modules in found.modules.items():
        if person not in owners:
            for module in sorted(modules):
                yield Grant(Subject("account", names[person]), Scope("module", module), ON)


def _known(names: dict[str, str], person: str, email: str) -> str:
    """Return the account's name; somebody who came in while we read makes the reading worthless."""
    if person not in names:
        raise IncompleteError(f"{email} appeared while the account was read", hint="try again")
    return names[person]


def _ids(names: dict[str, str], groups: dict[str, str]) -> dict[Key, str]:
    return {
        **{account_key(name): at for at, name in names.items()},
        **{Group(name).key: at for at, name in groups.items()},
    }


def _facts(user: Row[User]) -> dict[str, str]:
    return {"created": user.attributes.added} if user.attributes.added else {}


def _beside_the_file(found: Gathering, names: dict[str, str]) -> Iterator[Diagnostic]:
    """Say which groups give people something that no plan here takes: all, or those a directory fills."""
    owners = {user.id for user in found.users if user.attributes.role == "OWNER"}
    group_members = [(scope, row) for scope, rows in found.group_members.items() for row in rows]
    for group in found.groups:
        name, external = group.attributes.name, group.attributes.external_id
        people = {member.id for member in found.members[group.id]} & names.keys() - owners
        sites = sum(row.attributes.access != NO_ACCESS for row in found.reaches[group.id])
        sites += sum(row.id == group.id and row.attributes.permission != NO_ACCESS for _, row in group_members)
        if not people or not sites or (found.settings.native and not external):
            continue
        why = f"whose members come from {external}" if found.settings.native else "and groups are not managed here"
        yield (note if found.settings.native else warning)(
            "group-beside-the-file",
            f"{_counted(len(people), 'account')} can reach {_counted(sites, 'site')} through the group {name}, {why}",
            hint="`siteward who-can` shows who" + ("" if found.settings.native else "; `native: true` manages groups"),
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _listings(found: Gathering) -> tuple[Listing, ...]:
    counted = {
        "accounts": len(found.users),
        "groups": len(found.groups),
        "sites": len(found.apps),
        "meta sites": len(found.metas),
        "group members": sum(map(len, found.members.values())),
        "levels of people": sum(map(len, found.people.values())),
        "levels of groups": sum(map(len, (*found.reaches.values(), *found.group_members.values()))),
        "open modules": len(found.modules),
    }
    proof = {"open modules": "one row for each person asked about"}
    return tuple(
        Listing(name=name, rows=rows, complete=True, proof=proof.get(name, "rows add up to meta.total"))
        for name, rows in counted.items()
    )


# --- with the key of somebody who is no owner ------------------------------------------------------------------------


def _managed(found: Gathering) -> Live:
    found.at_once(found.read_apps, found.read_metas)
    ids = managed_ids(found.reader)
    found.apps = [app for app in found.apps if app.id in ids]
    found.metas = [meta for meta in found.metas if meta.id in ids]
    found.settle_sites()
    found.at_once(
        *(partial(found.read_people, site) for site in found.sites),
        *(partial(found.read_group_members, site) for site in found.sites),
    )
    names = {row.id: row.attributes.email for rows in found.people.values() for row in rows}
    groups = {row.id: row.attributes.name for rows in found.group_members.values() for row in rows}
    access = Access(
        (
            *(Account(name, name) for name in names.values()),
            *(Group(group) for group in groups.values()),
            *_levels(found, names),
            *_group_members(found),
        )
    )
    return Live(
        access=access,
        sites=found.sites,
        me=found.me.attributes.email,
        ids=_ids(names, groups),
        listings=_listings(found),
        findings=_narrowed(found),
        native=NativeState(whole=False, native=False),
    )


def _narrowed(found: Gathering) -> tuple[Diagnostic, ...]:
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
