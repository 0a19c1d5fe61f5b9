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
from siteward.transport.errors import Incomplete

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

    Raises `Incomplete` when a list did not add up, and whatever else the server says; half an answer is none.
    """
    gathering = Gathering(reader, settings, own(reader))
    return _whole(gathering) if listed(traits) else _managed(gathering)


# --- with an owner's key ---------------------------------------------------------------------------------------------


def _whole(found: Gathering) -> Live:
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
        for each in rows:
            level = each.attributes.permission
            if level != NO_ACCESS:
                name = _known(names, each.id, each.attributes.email)
                yield Grant(Subject("account", name), scope, level)


def _reaches(found: Gathering, groups: dict[str, str], scope_of: dict[str, Scope]) -> Iterator[Resource]:
    for group, rows in found.reaches.items():
        for each in rows:
            if each.attributes.access != NO_ACCESS:
                if each.id not in scope_of:
                    raise Incomplete("an app was made while the account was read", hint="try again")
                yield Grant(Subject("group", groups[group]), scope_of[each.id], each.attributes.access)


def _crews(found: Gathering) -> Iterator[Resource]:
    for scope, rows in found.crews.items():
        for each in rows:
            if each.attributes.permission != NO_ACCESS:
                yield Grant(Subject("group", each.attributes.name), scope, each.attributes.permission)


def _modules(found: Gathering, names: dict[str, str]) -> Iterator[Resource]:
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


def _beside_the_file(found: Gathering, names: dict[str, str]) -> Iterator[Diagnostic]:
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
            f"{_counted(len(people), 'account')} can reach {_counted(sites, 'site')} through the group {name}, {why}",
            hint="`siteward who-can` tells who" + ("" if found.settings.native else "; `native: true` manages groups"),
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
        "levels of groups": sum(map(len, (*found.reaches.values(), *found.crews.values()))),
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
