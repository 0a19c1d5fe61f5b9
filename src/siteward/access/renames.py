"""Renamed accounts and groups: one under two names while a plan is carried out.

A plan names an account by the login it had when it was reviewed, also in the steps that come after its renaming; the
live state shows the new one. So it is with the groups of a platform. The functions here turn the old name into the new
one, in resources, keys and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.model import Access, Account, Grant, Group, Key, Member, Resource, account_key, group_key

_NAMED = (Account, Group)
Renames = Mapping[Key, str]
"""The new name of each renamed account and group, by the key of the old one."""


def renames_in(changes: Iterable[Change]) -> Renames:
    """Return the new name by the key of the old one, for the changes that rename an account or a group."""
    return _renames_of(change.after for change in changes)


def _renames_of(resources: Iterable[Resource | None]) -> Renames:
    return {side.key: side.renamed for side in resources if isinstance(side, _NAMED) and side.renamed}


def of_accounts(names: Mapping[str, str]) -> Renames:
    """Return new logins by old ones as renames."""
    return {account_key(old): new for old, new in names.items()}


def subjects_of(key: Key) -> Iterator[Key]:
    """Yield the keys of the account and the group that a resource is about."""
    match key:
        case ("account" | "group", _):
            yield key
        case ("member", group, account):
            yield group_key(group)
            yield account_key(account)
        case ("grant", kind, name, *_):
            yield (kind, name)
        case _:
            pass


def under(resource: Resource, names: Renames) -> Resource:
    """Return a resource under the name that its account or group has now."""
    match resource:
        case Grant(subject=subject):
            new = names.get((subject.kind, subject.name))
            return resource if new is None else replace(resource, subject=replace(subject, name=new))
        case Member(group=group, account=account):
            now = names.get(group_key(group), group), names.get(account_key(account), account)
            return resource if now == (group, account) else Member(*now)
        case Account() | Group():
            new = names.get(resource.key)
            return resource if new is None else replace(resource, name=new, renamed=None)


def key_under(key: Key, names: Renames) -> Key:
    """Return the key under which a resource stands now."""
    match key:
        case ("account" | "group" as kind, name):
            return (kind, names.get(key, name))
        case ("member", group, account):
            return ("member", names.get(group_key(group), group), names.get(account_key(account), account))
        case ("grant", kind, name, *scope):
            return ("grant", kind, names.get((kind, name), name), *scope)
        case _:
            return key


def touched(*changes: Change) -> frozenset[Key]:
    """Return the keys to look at to see whether changes took place: their own, and the new one of what is renamed."""
    new = renames_in(changes)
    keys = frozenset([change.key for change in changes])
    return keys.union([(key[0], name) for key, name in new.items()]) if new else keys


def change_under(change: Change, names: Renames) -> Change:
    """Return a change to what stands under the new name; the renaming itself stays as it is."""
    if _renames_of((change.after,)):
        return change
    before, after = (None if side is None else under(side, names) for side in (change.before, change.after))
    return Change(before, after)


def at_rest(access: Access) -> Access:
    """Return an access in which every account and group stands under the name it was renamed to."""
    names = _renames_of(access.values())
    return Access(under(resource, names) for resource in access.values()) if names else access
