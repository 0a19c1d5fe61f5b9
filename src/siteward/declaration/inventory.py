"""The rows that declare what is live on one instance: users, sites, groups and grants, as plain values.

`generate` writes them as a first file. Where there is a file already, a `Meeting` says whom and what it declares, so that
they are named and not declared a second time, and `merge` puts the rest into that file.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.lookalikes import normal
from siteward.access.model import Account, Grant, Group, Scope
from siteward.access.traits import declarable, fold_login, is_public, is_site
from siteward.declaration.checks.names import name_fault
from siteward.declaration.checks.users import is_address
from siteward.declaration.roles import PORTABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.declaration.meeting import Meeting

_GROUP_NAMES = {"view": "viewers", "edit": "editors", "publish": "publishers", "manage": "managers", "admin": "admins"}

Keys = dict[str, object]
"""The keys of a row, and their values."""

Right = tuple[str, tuple[str, ...]]
"""A role as the file names it, and the extras beside it, sorted."""

Rights = dict[tuple[str, Right], list[str]]
"""The rights of a user or group: by kind of scope and right, the sites as the file names them."""


class Rows(Struct, frozen=True, kw_only=True):
    """The rows of one instance.

    `groups` has the members of a group, or the whole row of one that the platform has. `own` has the groups that are not
    the platform's. `native` is true where the platform's groups are declared. `asides` are sentences about what is live
    and in none of the rows.
    """

    users: Mapping[str, Keys]
    sites: Mapping[str, Keys]
    groups: Mapping[str, object]
    grants: Sequence[Keys]
    native: bool
    asides: tuple[str, ...]


class _ListedUser(Struct):
    """A user of the file: the live account, and the keys of the entry under `users`; `None` for one who is declared."""

    handle: str
    account: Account
    keys: Keys | None


def rows_of(instance: str, self_account: object, live: Live, traits: Traits, meeting: Meeting | None = None) -> Rows:
    """Return the rows that want exactly what is live and can be declared.

    `self_account` is the file's `self`, which is not declared. With a `meeting` who and what the file declares already
    gets no row, and each grant names the instance.
    """
    return _Inventory(instance, self_account, live, traits, meeting).rows()


class _Inventory(Struct):
    """The collection of the rows: `taken` are the folded names in use, `asides` what is in none of the rows."""

    instance: str
    self_account: object
    live: Live
    traits: Traits
    meeting: Meeting | None
    taken: set[str] = set()
    asides: list[str] = []

    def rows(self) -> Rows:
        """Return all rows."""
        if self.meeting is not None:
            self.taken |= self.meeting.names()
        native = "group" in self.traits.manages and any(
            isinstance(resource, Group) for resource in self.live.access.values()
        )
        users = self._list_users()
        sites = self._name_sites()
        native_groups = self._name_native_groups(users) if native else {}
        granted = self._collect_rights(users, sites, native_groups)
        shared = {} if native else self._form_groups(granted)
        self.asides += [finding.message for finding in self.live.findings]
        self.asides += [f"not read: {name}" for name in self.live.unreadable]
        return Rows(
            users={user.handle: user.keys for user in users.values() if user.keys is not None},
            sites={
                handle: keys for scope, (handle, keys) in sites.items() if scope.kind == "site" and keys is not None
            },
            groups={
                **self._list_native_groups(native_groups, users),
                **{name: sorted(handles) for name, handles in shared.items()},
            },
            grants=tuple(self._list_grants(granted, shared)),
            native=native,
            asides=tuple(self.asides),
        )

    # -- users

    def _list_users(self) -> dict[str, _ListedUser]:
        """Return a user for each account that can be declared, by account name."""
        users: dict[str, _ListedUser] = {}
        logins: set[str] = set()
        spellings: dict[str, str] = {}
        emails: set[str] = self.meeting.emails() if self.meeting is not None else set()
        ours = {login.casefold() for login in (self.live.me, self.self_account) if isinstance(login, str)}
        for account in sorted(self._find_accounts(), key=lambda account: account.name.casefold()):
            if account.name.casefold() in ours or is_public(self.traits, account.name):
                continue
            login = fold_login(account.name, self.traits)
            fault = name_fault(account.name)
            other = spellings.setdefault(normal(account.name), account.name)
            if fault is not None or login in logins or other.lower() != account.name.lower():
                twice = (
                    "another account differs from it only in case"
                    if login in logins
                    else "another account has the same name in another spelling"
                )
                why = fault[1] if fault is not None else twice
                self.asides.append(f"the account {account.name}: {why}")
                continue
            logins.add(login)
            users[account.name] = self._list_user(account, emails)
        if self.meeting is not None:
            new = {name: user.handle for name, user in users.items() if user.keys is not None}
            self.meeting.flag_equal_logins(new)
        return users

    def _find_accounts(self) -> Iterable[Account]:
        """Return the live accounts; on platforms that list none, those that hold a grant."""
        listed = tuple(self.live.access.accounts())
        if self.traits.accounts_listed:
            return listed
        names = {account.name for account in listed}
        held = (grant.subject for grant in self.live.access.grants() if grant.subject.kind == "account")
        return (*listed, *(Account(name) for name in sorted({subject.name for subject in held} - names)))

    def _list_user(self, account: Account, emails: set[str]) -> _ListedUser:
        """Return the user of an account, and add its e-mail to `emails`, the folded ones of the users so far."""
        by_email = self.traits.login == "email"
        email = account.name if by_email else account.email if self.traits.keeps_email else None
        declared = self.meeting.meet(account, email) if self.meeting is not None else None
        if declared is not None and self.meeting is not None:
            self.meeting.take_address(declared, email, emails)
            return _ListedUser(declared, account, None)
        keys: Keys = {}
        if email and is_address(email) and email.casefold() not in emails and name_fault(email) is None:
            emails.add(email.casefold())
            keys["email"] = email
        elif email:
            self.asides.append(f"the e-mail of {account.name}, {email}: it is none, or another account has it too")
        local = account.name.partition("@")[0]
        handle = self._take_name(local if by_email or "@" in account.name else account.name)
        login = email if by_email else handle
        if (by_email and "email" not in keys) or fold_login(login or "", self.traits) != fold_login(
            account.name, self.traits
        ):
            keys["logins"] = {self.instance: account.name}
        return _ListedUser(handle, account, keys)

    def _take_name(self, wish: str, other: str | None = None) -> str:
        """Return a handle that is readable, valid and not taken, and take it; `other` is what is wished for next."""
        flat = unicodedata.normalize("NFKD", wish).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", flat).strip("-._") or "account"
        base = base[:60]
        if other is not None and base.casefold() in self.taken:
            return self._take_name(other)
        name, number = base, 1
        while name.casefold() in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name.casefold())
        return name

    def _take_group_name(self, wish: str) -> str:
        """Return a name for a group; one that the file has is lengthened by the name of the instance."""
        return self._take_name(wish, f"{wish[:40]}-{self.instance}" if self.meeting is not None else None)

    # -- sites

    def _name_sites(self) -> dict[Scope, tuple[str, Keys | None]]:
        """Return the name and keys in the file of each live site and meta site; no keys for one that is declared."""
        named: dict[Scope, tuple[str, Keys | None]] = {}
        names: set[str] = self.meeting.site_names() if self.meeting is not None else set()
        hosts: dict[str, int] = defaultdict(int)
        for site in self.live.sites.values():
            for host in {domain_in(domain) for domain in site.domains}:
                hosts[host] += not site.by_id_only
        held = self.live.access.by_subject()
        opened = {scope for subject, rights in held if is_public(self.traits, subject.name) for scope in rights}
        for scope, site in sorted(self.live.sites.items()):
            if scope.kind == "metasite":
                named[scope] = (f"id:{site.id}", None)
                continue
            domain = next((domain for domain in site.domains if name_fault(domain) is None), None)
            host = domain_in(domain) if domain else ""
            pinned = site.by_id_only or hosts[host] != 1
            declared = (
                self.meeting.find_site(host, site.id if pinned else None, opened=scope in opened)
                if self.meeting is not None
                else None
            )
            if declared is not None:
                named[scope] = (declared, None)
                continue
            handle = take_site_handle(host or site.name or site.id, names)
            keys: Keys = {"domain": host or handle}
            if pinned or (self.meeting is not None and self.meeting.has_host(host)):
                keys["on"] = {self.instance: site.id}
            if scope in opened:
                keys["public"] = {self.instance: True}
            named[scope] = (handle, keys)
        return named

    # -- groups and grants

    def _name_native_groups(self, users: dict[str, _ListedUser]) -> dict[str, str]:
        """Return the handles of the platform's groups, by their names.

        The members of a group whose name cannot be declared are removed from `users`: declared, they would lose it.
        """
        handles: dict[str, str] = {}
        for resource in self.live.access.values():
            if isinstance(resource, Group):
                fault = name_fault(resource.name)
                if fault is None:
                    handles[resource.name] = self._take_group_name(resource.name)
                    continue
                self.asides.append(f"the group {resource.name}: {fault[1]}; its members are left out with it")
                for member in self.live.access.members():
                    if member.group == resource.name:
                        users.pop(member.account, None)
        return handles

    def _list_native_groups(self, groups: Mapping[str, str], users: Mapping[str, _ListedUser]) -> dict[str, object]:
        """Return the rows of the platform's groups."""
        members: dict[str, list[str]] = defaultdict(list)
        for member in self.live.access.members():
            if member.account in users:
                members[member.group].append(users[member.account].handle)
        rows: dict[str, object] = {}
        for name, handle in groups.items():
            group = self.live.access[("group", name)]
            outside = isinstance(group, Group) and group.external is not None
            rows[handle] = {"native": name, "members": "external" if outside else sorted(members[name])}
        return rows

    def _collect_rights(
        self,
        users: Mapping[str, _ListedUser],
        sites: Mapping[Scope, tuple[str, Keys | None]],
        groups: Mapping[str, str],
    ) -> dict[str, Rights]:
        """Return the rights by handle; those that cannot be declared go into the asides."""
        granted: dict[str, Rights] = {}
        handles = {("account", name): user.handle for name, user in users.items()}
        handles |= {("group", name): handle for name, handle in groups.items()}
        rights: dict[tuple[str, str, frozenset[str] | None], Right | None] = {}
        for grant in self.live.access.grants():
            subject, scope = grant.subject, grant.scope
            handle = handles.get((subject.kind, subject.name))
            if handle is None:
                continue
            kind = scope.kind, grant.role, grant.extras  # a hundred thousand grants are of a few kinds
            if kind not in rights:
                rights[kind] = self._find_right(grant)
            right = rights[kind]
            if right is None or (scope.kind != "instance" and scope not in sites):
                self._set_aside(grant)
                continue
            places = granted.setdefault(handle, {}).setdefault((scope.kind, right), [])
            places.append(sites[scope][0] if scope in sites else "")
        return granted

    def _find_right(self, grant: Grant) -> Right | None:
        """Return a grant's role as the file names it, and its extras; `None` where it cannot be declared."""
        if self.traits.role(grant.scope.kind, grant.role) is None or not declarable(grant, self.traits):
            return None
        return self._choose_role(grant), tuple(sorted(grant.extras or ()))

    def _set_aside(self, grant: Grant) -> None:
        if grant.scope.kind != "module":  # switched by `modules`, which a first file leaves alone
            role = self.traits.role(grant.scope.kind, grant.role)
            owner = role is not None and role.owns and is_site(grant.scope)
            why = "which `siteward adopt` can say by `owner`, and no grant" if owner else "which no file can declare"
            self.asides.append(f"{grant.subject.name} is {grant.role} of {grant.scope}, {why}")

    def _choose_role(self, grant: Grant) -> str:
        """Return the portable name of a role where it means this role and no other, else the platform's own."""
        role = self.traits.role(grant.scope.kind, grant.role)
        portable = role.portable if role is not None else None
        if portable in PORTABLE and portable is not None and self.traits.native(grant.scope.kind, portable) == role:
            return portable
        return f"{self.traits.platform}:{grant.role}"

    def _form_groups(self, granted: dict[str, Rights]) -> dict[str, list[str]]:
        """Form groups of users whose rights on sites are equal, move these rights there, and return the members."""
        alike: dict[tuple[tuple[tuple[str, Right], tuple[str, ...]], ...], list[str]] = defaultdict(list)
        for handle, rights in granted.items():
            same = tuple(sorted((key, tuple(sorted(where))) for key, where in rights.items() if key[0] != "instance"))
            if same:
                alike[same].append(handle)
        groups: dict[str, list[str]] = {}
        for same, handles in alike.items():
            if len(handles) < 2:
                continue
            name = self._take_group_name(_name_group(same))
            groups[name] = handles
            granted[name] = {key: list(where) for key, where in same}
            for handle in handles:
                for key, _ in same:
                    del granted[handle][key]
        return groups

    def _list_grants(self, granted: Mapping[str, Rights], shared: Mapping[str, object]) -> Iterator[Keys]:
        """Yield the grants, those to groups first; subjects with the same right on the same sites share a grant."""
        rows: dict[tuple[str, Right, tuple[str, ...]], list[str]] = defaultdict(list)
        for handle in sorted(granted, key=lambda name: (name not in shared, name)):
            for (kind, right), sites in sorted(granted[handle].items()):
                rows[kind, right, tuple(sorted(sites))].append(handle)
        for (kind, (role, extras), where), handles in rows.items():
            row: Keys = {"to": _one_or_all(handles), "role": role}
            if extras:
                row["extras"] = list(extras)
            if kind != "instance":
                row[f"{kind}s"] = _one_or_all(where)
            if kind == "instance" or self.meeting is not None:
                row["on"] = self.instance
            yield row


def _one_or_all(names: Sequence[str]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


def take_site_handle(host: str, names: set[str]) -> str:
    """Return a short name for a site, the first part of its domain or all of it, and add it to the taken `names`."""
    flat = re.sub(r"[^a-z0-9.-]+", "-", host.lower()).strip("-.") or "site"
    first, whole = flat.removeprefix("www.").partition(".")[0], flat
    number = 1
    for candidate in (first, whole):
        if candidate not in names:
            names.add(candidate)
            return candidate
    while f"{whole}-{number}" in names:
        number += 1
    names.add(f"{whole}-{number}")
    return f"{whole}-{number}"


def _name_group(same: Sequence[tuple[tuple[str, Right], tuple[str, ...]]]) -> str:
    """Return a name for a group with these rights, which are pairs of a kind and right with the sites."""
    (_, (role, _)), where = same[0]
    name = _GROUP_NAMES.get(role, "team")
    if len(same) > 1:
        return "team"
    return f"{where[0]}-{name}" if len(where) == 1 else name
