"""References to users and groups, read in any letter case: each is given the spelling in which its name is declared.

A reference that is a declared name as it stands means that one; of two names that differ in letter case alone, which is
an error of its own (`handle-twice`), any other spelling means the first.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.declared import Declaration, Faults, Grant, Group, Site, User


def lowered(name: str) -> str:
    """Return a name as references compare it: in lower case and one Unicode form; `straße` and `strasse` stay apart."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name.lower())


class Names:
    """The `declared` names of users and groups, found in any letter case."""

    def __init__(self, declared: Iterable[str]) -> None:
        self.declared = frozenset(names := tuple(declared))
        self._by_fold: dict[str, str] = {}
        for name in names:
            self._by_fold.setdefault(lowered(name), name)
        self._found: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return self.find(name) in self.declared

    def find(self, name: str) -> str:
        """Return the declared spelling of a name; the name itself where nobody is called so."""
        return name if name in self.declared else self._by_fold.get(lowered(name), name)

    def find_all(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the declared spellings of names, and the very same tuple where these are theirs."""
        if self.declared.issuperset(names):
            return names
        found = self._found.get(names)
        if found is None:
            spelt = tuple(map(self.find, names))
            found = self._found[names] = names if spelt == names else spelt
        return found


def respelt(base: Declaration, head: Declaration) -> dict[str, str]:
    """Return, by the handle at the base, the handle of each user whom the head writes in another letter case alone."""
    return _respelt(base.users, head.users)


def _respelt(before: Collection[str], after: Collection[str]) -> dict[str, str]:
    former = {lowered(handle): handle for handle in before if handle not in after}
    return (
        {former[name]: handle for handle in after if handle not in before and (name := lowered(handle)) in former}
        if former
        else {}
    )


def renamed_users(base: Declaration, head: Declaration) -> dict[str, str]:
    """Return the new handle of each user of the base that the head has renamed: by `previously`, or in letter case."""
    return _renamed(base.users, head.users)


def renamed_groups(base: Declaration, head: Declaration) -> dict[str, str]:
    """Return the new handle of each group of the base that the head has renamed: by `previously`, or in letter case."""
    return _renamed(base.groups, head.groups)


def _renamed(before: Collection[str], after: Mapping[str, User] | Mapping[str, Group]) -> dict[str, str]:
    return _respelt(before, after) | {
        former: row.handle
        for row in after.values()
        for former in row.previously
        if former in before and former not in after and row.handle not in before
    }


def describe_unknown(declaration: Declaration, name: str, at: Span | None, known: Iterable[str]) -> Diagnostic:
    """Return the error that nobody is called so: with what a user or group of that former name is called now, if there is one."""
    message, wanted = f"there is no user or group `{name}`", lowered(name)
    rows: tuple[User | Group, ...] = (*declaration.groups.values(), *declaration.users.values())
    now = next((row.handle for row in rows if wanted in map(lowered, row.previously)), None)
    if now is None:
        return problem("unknown-user", message, at, word=name, known=known, hint="declare it under `users`")
    found = problem("unknown-user", message, at, hint=f"`{name}` is called `{now}` now")
    return replace(found, suggestion=now)


def names_of(declaration: Declaration, dropped: Iterable[tuple[str, str]] = ()) -> Names:
    """Return the names of a declaration's users and groups; `dropped` are refused rows, as (section, name)."""
    refused = sorted(name for section, name in dropped if section in {"users", "groups"})
    return Names((*declaration.users, *declaration.groups, *refused))


def canonical(declaration: Declaration, dropped: Iterable[tuple[str, str]] = ()) -> Declaration:
    """Return a declaration in which all references to users and groups have the declared spelling.

    `dropped` are the refused rows, as (section, name), which references may mean as well.
    """
    names = names_of(declaration, dropped)
    grants = declaration.grants
    return replace(
        declaration,
        users=_spell_users(declaration.users, names),
        groups=_spell_groups(declaration.groups, names),
        sites=_spell_sites(declaration.sites, names),
        grants=None if grants is None else tuple(_spell_grant(grant, names) for grant in grants),
        faults=_spell_faults(declaration.faults, names),
    )


def _spell_grant(grant: Grant, names: Names) -> Grant:
    to = names.find_all(grant.to)
    return grant if to is grant.to else replace(grant, to=to)


def _spell_users(users: Mapping[str, User], names: Names) -> Mapping[str, User]:
    return {
        handle: user
        if user.owner is None or (owner := names.find(user.owner)) == user.owner
        else replace(user, owner=owner)
        for handle, user in users.items()
    }


def _spell_groups(groups: Mapping[str, Group], names: Names) -> Mapping[str, Group]:
    return {handle: _spell_group(group, names) for handle, group in groups.items()}


def _spell_group(group: Group, names: Names) -> Group:
    written = tuple(member.name for member in group.members)
    spelt = names.find_all(written)
    members = group.members
    if spelt is not written:
        members = tuple(
            member if member.name == name else replace(member, name=name)
            for member, name in zip(members, spelt, strict=True)
        )
    owner = names.find_all(group.owner)
    return group if members is group.members and owner is group.owner else replace(group, members=members, owner=owner)


def _spell_sites(sites: Mapping[str, Site], names: Names) -> Mapping[str, Site]:
    return {
        handle: site if (owner := names.find_all(site.owner)) is site.owner else replace(site, owner=owner)
        for handle, site in sites.items()
    }


def _spell_faults(faults: Faults, names: Names) -> Faults:
    if not faults.lost:
        return faults
    return replace(faults, lost=tuple(replace(lost, to=names.find_all(lost.to)) for lost in faults.lost))
