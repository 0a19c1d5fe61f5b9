"""Renamed accounts: one account under two logins while a plan is carried out.

A plan names an account by the login it had when it was reviewed, also in the steps that come after its renaming; the
live state shows the new one. The functions here turn the old login into the new one, in resources, keys and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.model import Access, Account, Grant, Group, Key, Member, Resource, account_key

Renames = Mapping[str, str]


def renames_in(changes: Iterable[Change]) -> Renames:
    """Return the new login by the old one, for the changes that rename an account."""
    sides = (change.after for change in changes)
    return {side.name: side.renamed for side in sides if isinstance(side, Account) and side.renamed}


def under(resource: Resource, names: Renames) -> Resource:
    """Return a resource under the login its account has now."""
    match resource:
        case Grant(subject=subject) if subject.kind == "account" and subject.name in names:
            return replace(resource, subject=replace(subject, name=names[subject.name]))
        case Member(account=account) if account in names:
            return replace(resource, account=names[account])
        case Account(name=name) if name in names:
            return replace(resource, name=names[name], renamed=None)
        case Account() | Group() | Member() | Grant():
            return resource


def key_under(key: Key, names: Renames) -> Key:
    """Return the key under which a resource stands now."""
    match key:
        case ("account", name) if name in names:
            return ("account", names[name])
        case ("member", group, name) if name in names:
            return ("member", group, names[name])
        case ("grant", "account", name, *scope) if name in names:
            return ("grant", "account", names[name], *scope)
        case _:
            return key


def touched(change: Change) -> frozenset[Key]:
    """Return the keys to look at to see whether a change took place: its own, and the new one of a renamed account."""
    new = change.after.renamed if isinstance(change.after, Account) else None
    return frozenset({change.key} if new is None else {change.key, account_key(new)})


def change_under(change: Change, names: Renames) -> Change:
    """Return a change to what stands under the new login; the renaming itself stays as it is."""
    if isinstance(change.after, Account) and change.after.renamed is not None:
        return change
    before, after = (None if side is None else under(side, names) for side in (change.before, change.after))
    return Change(before, after)


def at_rest(access: Access) -> Access:
    """Return an access in which every account stands under the login it was renamed to."""
    names = {account.name: account.renamed for account in access.accounts() if account.renamed}
    return Access(under(resource, names) for resource in access.values()) if names else access
