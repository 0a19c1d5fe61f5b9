"""The first declaration file of an instance, generated from its live access (`siteward import`).

The text is the smallest file that, loaded and resolved, wants exactly what is live; live access that cannot be declared
is listed in comments.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.lookalikes import normal
from siteward.access.model import Account, Grant, Group, Scope
from siteward.access.traits import declarable, fold_login, is_public
from siteward.declaration.checks.names import name_fault
from siteward.declaration.checks.users import is_address
from siteward.declaration.roles import PORTABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.state import Live
    from siteward.access.traits import Traits

WIDTH = 110
"""The length of a generated line, in characters."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.@/+-]*(?: [A-Za-z0-9_.@/+-]+)*")
_SPECIAL = re.compile(r"(?i)true|false|yes|no|on|off|null|y|n")
_GROUP_NAMES = {"view": "viewers", "edit": "editors", "publish": "publishers", "manage": "managers", "admin": "admins"}

Right = tuple[str, tuple[str, ...]]
"""A role as the file names it, and the extras beside it, sorted."""

Rights = dict[tuple[str, Right], list[str]]
"""The rights of a user or group: by kind of scope and right, the sites as the file names them."""

SiteNames = dict[Scope, tuple[str, dict[str, str]]]
"""By live scope, the selector that names it in the file, and the keys of its entry under `sites`, as YAML."""


def first_file(instance: str, block: Mapping[str, object], live: Live, traits: Traits, *, timezone: str = "UTC") -> str:
    """Return the text of a first `access.yaml` for one instance.

    `block` are the keys of the instance (`platform`, `url`, `self`, the platform's own) in the order of the text.
    `timezone` is the one in which the file's days begin. Unmanaged accounts get `unmanaged: report`. Loading and
    resolving the text against `live` wants nothing that is not there, and everything there that can be declared.
    """
    return _FileGenerator(instance, block, live, traits, timezone).text()


class _ListedUser(Struct):
    """A user of the file: the live account, and the keys of the entry under `users`, as YAML."""

    handle: str
    account: Account
    keys: dict[str, str]


class _FileGenerator(Struct):
    """The generator of one file: `taken` are the folded names in use, `asides` the lines of the closing comment."""

    instance: str
    block: Mapping[str, object]
    live: Live
    traits: Traits
    timezone: str
    taken: set[str] = set()
    asides: list[str] = []

    def text(self) -> str:
        """Return the whole file."""
        native = "group" in self.traits.manages and any(
            isinstance(resource, Group) for resource in self.live.access.values()
        )
        users = self._list_users()
        sites = self._name_sites()
        groups = self._name_native_groups(users) if native else {}
        granted = self._collect_rights(users, sites, groups)
        shared = {} if native else self._form_groups(granted)
        lines = [*self._write_head(native=native), *self._write_sites(sites), "", "users:"]
        lines += [f"  {quoted(user.handle)}: {_write_mapping(user.keys)}" for user in users.values()] or ["  {}"]
        if groups or shared:
            lines += ["", "groups:", *self._write_native_groups(groups, users), *_write_groups(shared)]
        lines += ["", *_write_grants(granted, shared, self.instance)]
        self.asides += [finding.message for finding in self.live.findings]
        self.asides += [f"not read: {name}" for name in self.live.unreadable]
        if self.asides:
            lines += ["", "# Live, and not managed above:", *(f"# - {harmless(aside)}" for aside in self.asides)]
        return "\n".join(lines) + "\n"

    def _write_head(self, *, native: bool) -> Iterator[str]:
        """Yield the lines before the sites: how an editor helps, the version, the instance and the policy."""
        yield "# An editor helps once `siteward schema > access.schema.json` has run and the first line is:"
        yield "# yaml-language-server: $schema=./access.schema.json"
        yield f"# Written by `siteward import` from what is live on {self.instance}: read it, then make it yours."
        yield "version: 1"
        yield ""
        yield "instances:"
        yield f"  {quoted(self.instance)}:"
        own = {"native", "unmanaged", "accept_blind"}
        yield from (f"    {key}: {written(value)}" for key, value in self.block.items() if key not in own)
        if native:
            yield "    native: true"
        yield from self._write_blind_spots()
        yield "    unmanaged: report    # accounts that are not in this file; `revoke` is where this leads"
        if self.timezone != "UTC":
            yield from ("", f"policy: {{timezone: {quoted(self.timezone)}}}")

    def _write_blind_spots(self) -> Iterator[str]:
        """Yield the line that accepts the platform's blind spots, after a comment for each of them."""
        spots = self.traits.blind_spots
        if spots:
            yield from (f"    # Never shown here: {harmless(self.traits.unseen.get(spot, spot))}." for spot in spots)
            yield f"    accept_blind: {_write_list(spots, 6)}    # as imported; until named here, it counts as unread"

    # -- users

    def _list_users(self) -> dict[str, _ListedUser]:
        """Return a user for each account that can be declared, by account name."""
        users: dict[str, _ListedUser] = {}
        logins: set[str] = set()
        spellings: dict[str, str] = {}
        emails: set[str] = set()
        ours = {login.casefold() for login in (self.live.me, self.block.get("self")) if isinstance(login, str)}
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
        keys = {}
        if email and is_address(email) and email.casefold() not in emails and name_fault(email) is None:
            emails.add(email.casefold())
            keys["email"] = quoted(email)
        elif email:
            self.asides.append(f"the e-mail of {account.name}, {email}: it is none, or another account has it too")
        local = account.name.partition("@")[0]
        handle = self._take_name(local if by_email or "@" in account.name else account.name)
        login = email if by_email else handle
        if (by_email and "email" not in keys) or fold_login(login or "", self.traits) != fold_login(
            account.name, self.traits
        ):
            keys["logins"] = f"{{{quoted(self.instance)}: {quoted(account.name)}}}"
        return _ListedUser(handle, account, keys)

    def _take_name(self, wish: str) -> str:
        """Return a handle that is readable, valid and not taken, and take it."""
        flat = unicodedata.normalize("NFKD", wish).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", flat).strip("-._") or "account"
        base = base[:60]
        name, number = base, 1
        while name.casefold() in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name.casefold())
        return name

    # -- sites

    def _name_sites(self) -> SiteNames:
        """Return the name and keys in the file of each live site and meta site."""
        named: SiteNames = {}
        names: set[str] = set()
        hosts: dict[str, int] = defaultdict(int)
        for site in self.live.sites.values():
            for host in {domain_in(domain) for domain in site.domains}:
                hosts[host] += not site.by_id_only
        opened = {grant.scope for grant in self.live.access.grants() if is_public(self.traits, grant.subject.name)}
        for scope, site in sorted(self.live.sites.items()):
            if scope.kind == "metasite":
                named[scope] = (f"id:{site.id}", {})
                continue
            domain = next((domain for domain in site.domains if name_fault(domain) is None), None)
            host = domain_in(domain) if domain else ""
            handle = _take_site_handle(host or site.name or site.id, names)
            keys = {"domain": quoted(host or handle)}
            if site.by_id_only or hosts[host] != 1:
                keys["on"] = f"{{{quoted(self.instance)}: {quoted(site.id)}}}"
            if scope in opened:
                keys["public"] = f"{{{quoted(self.instance)}: true}}"
            named[scope] = (handle, keys)
        return named

    def _write_sites(self, sites: SiteNames) -> Iterator[str]:
        named = [(handle, keys) for scope, (handle, keys) in sites.items() if scope.kind == "site"]
        if named:
            yield from ("", "sites:")
            yield from (f"  {quoted(handle)}: {_write_mapping(keys)}" for handle, keys in named)

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
                    handles[resource.name] = self._take_name(resource.name)
                    continue
                self.asides.append(f"the group {resource.name}: {fault[1]}; its members are left out with it")
                for member in self.live.access.members():
                    if member.group == resource.name:
                        users.pop(member.account, None)
        return handles

    def _write_native_groups(self, groups: Mapping[str, str], users: Mapping[str, _ListedUser]) -> Iterator[str]:
        members: dict[str, list[str]] = defaultdict(list)
        for member in self.live.access.members():
            if member.account in users:
                members[member.group].append(users[member.account].handle)
        for name, handle in groups.items():
            group = self.live.access[("group", name)]
            outside = isinstance(group, Group) and group.external is not None
            inside = "external" if outside else _write_list(sorted(members[name]), 6)
            yield f"  {quoted(handle)}: {{native: {quoted(name)}, members: {inside}}}"

    def _collect_rights(
        self, users: Mapping[str, _ListedUser], sites: SiteNames, groups: Mapping[str, str]
    ) -> dict[str, Rights]:
        """Return the rights by handle; those that cannot be declared go into the closing comment."""
        granted: dict[str, Rights] = {}
        handles = {("account", name): user.handle for name, user in users.items()}
        handles |= {("group", name): handle for name, handle in groups.items()}
        for grant in self.live.access.grants():
            handle = handles.get((grant.subject.kind, grant.subject.name))
            if handle is None:
                continue
            if not self._can_be_declared(grant, sites):
                self._set_aside(grant)
                continue
            right = (self._choose_role(grant), tuple(sorted(grant.extras or ())))
            places = granted.setdefault(handle, {}).setdefault((grant.scope.kind, right), [])
            places.append(sites[grant.scope][0] if grant.scope in sites else "")
        return granted

    def _can_be_declared(self, grant: Grant, sites: Mapping[Scope, object]) -> bool:
        known = grant.scope.kind == "instance" or grant.scope in sites
        return known and self.traits.role(grant.scope.kind, grant.role) is not None and declarable(grant, self.traits)

    def _set_aside(self, grant: Grant) -> None:
        if grant.scope.kind != "module":  # switched by `modules`, which a first file leaves alone
            self.asides.append(f"{grant.subject.name} is {grant.role} of {grant.scope}, which no file can declare")

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
            name = self._take_name(_name_group(same))
            groups[name] = handles
            granted[name] = {key: list(where) for key, where in same}
            for handle in handles:
                for key, _ in same:
                    del granted[handle][key]
        return groups


def _take_site_handle(host: str, names: set[str]) -> str:
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


def _write_groups(groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, handles in groups.items():
        yield f"  {quoted(name)}: {_write_list(sorted(handles), 4)}"


def _write_grants(granted: Mapping[str, Rights], shared: Mapping[str, object], instance: str) -> Iterator[str]:
    """Yield the grants, those to groups first; subjects with the same right on the same sites share a grant."""
    lines: dict[tuple[str, Right, tuple[str, ...]], list[str]] = defaultdict(list)
    for handle in sorted(granted, key=lambda name: (name not in shared, name)):
        for (kind, right), sites in sorted(granted[handle].items()):
            lines[kind, right, tuple(sorted(sites))].append(handle)
    if not lines:
        yield "grants: []"
        return
    yield "grants:"
    for (kind, (role, extras), where), handles in lines.items():
        parts = [f"to: {_write_names(handles)}", f"role: {quoted(role)}"]
        if extras:
            parts.append(f"extras: {_write_list(extras, 6)}")
        if kind == "instance":
            parts.append(f"on: {quoted(instance)}")
        else:
            parts.append(f"{kind}s: {_write_names(where)}")
        line = ", ".join(parts)
        yield f"  - {{{line}}}" if len(line) < WIDTH else "  - " + "\n    ".join(parts)


def _write_names(names: Sequence[str]) -> str:
    return quoted(names[0]) if len(names) == 1 else _write_list(names, 6)


def _write_mapping(keys: Mapping[str, str]) -> str:
    """Return a mapping in braces; its values are YAML already."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


def _write_list(words: Iterable[str], indent: int) -> str:
    """Return a list in brackets, broken where it is long into lines that are indented by `indent` spaces."""
    lines: list[str] = [""]
    for word in words:
        text = quoted(word)
        if lines[-1] and len(lines[-1]) + len(text) > WIDTH - indent - 4:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else ''}{text}"
    return "[" + (",\n" + " " * indent).join(lines) + "]"


def quoted(text: str) -> str:
    """Return a text as YAML, in quotes where any reader of YAML might take it for something else."""
    if _PLAIN.fullmatch(text) and not _SPECIAL.fullmatch(text):
        return text
    return "".join(map(_escape, json.dumps(text, ensure_ascii=False)))


def written(value: object) -> str:
    """Return any value that JSON can write as YAML on one line."""
    return quoted(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def harmless(text: str) -> str:
    """Return a text for a comment: on one line, and with nothing that hides or reorders."""
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    """Return a character, or its escape where it hides, reorders or controls text."""
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}:
        code = ord(character)
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character
