"""Live access → the first file that says the same, for people to take over from there.

What is written is the smallest file that, loaded and resolved, wishes for exactly what is live; what cannot be
declared stands in comments.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.model import Account, Grant, Group, Scope
from siteward.access.traits import declarable, is_public
from siteward.declaration.checks.names import name_fault
from siteward.declaration.checks.users import is_address
from siteward.declaration.roles import PORTABLE
from siteward.declaration.subjects import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.state import Live
    from siteward.access.traits import Traits

WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.@/+-]*(?: [A-Za-z0-9_.@/+-]+)*")
_SPECIAL = re.compile(r"(?i)true|false|yes|no|on|off|null|y|n")
_CROWD = {"view": "viewers", "edit": "editors", "publish": "publishers", "manage": "managers", "admin": "admins"}

Right = tuple[str, tuple[str, ...]]
"""A role as the file names it, and the extras beside it."""


def first_file(instance: str, block: Mapping[str, object], live: Live, traits: Traits, *, timezone: str = "UTC") -> str:
    """Return the text of a first `access.yaml` for one instance.

    `block` are the keys of the instance (`platform`, `url`, `self`, the platform's own) in the order in which
    they shall stand. Accounts nobody declared stay `report`ed. Loading and resolving the text against `live`
    wants nothing that is not there, and everything there that can be declared.
    """
    return _FileGenerator(instance, block, live, traits, timezone).text()


class _Person(Struct):
    handle: str
    account: Account
    keys: dict[str, str]


class _FileGenerator(Struct):
    """One import: names that are taken, and what was left for comments."""

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
        people = self._people()
        sites = self._sites()
        groups = self._native_groups(people) if native else {}
        granted = self._granted(people, sites, groups)
        shared = {} if native else self._shared(granted)
        lines = [*self._head(native=native), *self._site_lines(sites), "", "users:"]
        lines += [f"  {quoted(person.handle)}: {_table(person.keys)}" for person in people.values()] or ["  {}"]
        if groups or shared:
            lines += ["", "groups:", *self._group_lines(groups, people), *_shared_lines(shared)]
        lines += ["", *_grant_lines(granted, shared, self.instance)]
        self.asides += [finding.message for finding in self.live.findings]
        self.asides += [f"not read: {name}" for name in self.live.unreadable]
        if self.asides:
            lines += ["", "# Live, and not managed above:", *(f"# - {harmless(aside)}" for aside in self.asides)]
        return "\n".join(lines) + "\n"

    def _head(self, *, native: bool) -> Iterator[str]:
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
        yield from self._unseen()
        yield "    unmanaged: report    # accounts that are not in this file; `revoke` is where this leads"
        if self.timezone != "UTC":
            yield from ("", f"policy: {{timezone: {quoted(self.timezone)}}}")

    def _unseen(self) -> Iterator[str]:
        """Yield the line that accepts what the platform can never show, with a comment for each thing."""
        spots = self.traits.blind_spots
        if spots:
            yield from (f"    # Never shown here: {harmless(self.traits.unseen.get(spot, spot))}." for spot in spots)
            yield f"    accept_blind: {_flow(spots, 6)}    # as imported; until named here, it counts as unread"

    # -- who

    def _people(self) -> dict[str, _Person]:
        """Return those accounts that can be declared, by account name."""
        found: dict[str, _Person] = {}
        logins: set[str] = set()
        emails: set[str] = set()
        ours = {entry.casefold() for entry in (self.live.me, self.block.get("self")) if isinstance(entry, str)}
        for account in sorted(self._accounts(), key=lambda item: item.name.casefold()):
            if account.name.casefold() in ours or is_public(self.traits, account.name):
                continue
            login = folded(account.name, self.traits)
            fault = name_fault(account.name)
            if fault is not None or login in logins:
                why = fault[1] if fault is not None else "another account differs from it only in case"
                self.asides.append(f"the account {account.name}: {why}")
                continue
            logins.add(login)
            found[account.name] = self._person(account, emails)
        return found

    def _accounts(self) -> Iterable[Account]:
        """Return the live accounts; where none are listed, whoever holds something has one."""
        listed = tuple(self.live.access.accounts())
        if self.traits.accounts_listed:
            return listed
        names = {account.name for account in listed}
        held = (grant.subject for grant in self.live.access.grants() if grant.subject.kind == "account")
        return (*listed, *(Account(name) for name in sorted({subject.name for subject in held} - names)))

    def _person(self, account: Account, emails: set[str]) -> _Person:
        by_email = self.traits.login == "email"
        email = account.name if by_email else account.email if self.traits.keeps_email else None
        keys = {}
        if email and is_address(email) and email.casefold() not in emails and name_fault(email) is None:
            emails.add(email.casefold())
            keys["email"] = quoted(email)
        elif email:
            self.asides.append(f"the e-mail of {account.name}, {email}: it is none, or another account has it too")
        local = account.name.partition("@")[0]
        handle = self._name(local if by_email or "@" in account.name else account.name)
        login = email if by_email else handle
        if (by_email and "email" not in keys) or folded(login or "", self.traits) != folded(account.name, self.traits):
            keys["logins"] = f"{{{quoted(self.instance)}: {quoted(account.name)}}}"
        return _Person(handle, account, keys)

    def _name(self, wish: str) -> str:
        """Return a handle that is readable, valid and not taken."""
        flat = unicodedata.normalize("NFKD", wish).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", flat).strip("-._") or "account"
        base = base[:60]
        name, number = base, 1
        while name.casefold() in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name.casefold())
        return name

    # -- where

    def _sites(self) -> dict[Scope, tuple[str, dict[str, str]]]:
        """Return what each live site is called in the file, and what is said of it."""
        found: dict[Scope, tuple[str, dict[str, str]]] = {}
        names: set[str] = set()
        hosts: dict[str, int] = defaultdict(int)
        for site in self.live.sites.values():
            for name in {domain_in(host) for host in site.domains}:
                hosts[name] += not site.by_id_only
        opened = {grant.scope for grant in self.live.access.grants() if is_public(self.traits, grant.subject.name)}
        for scope, site in sorted(self.live.sites.items()):
            if scope.kind == "metasite":
                found[scope] = (f"id:{site.id}", {})
                continue
            domain = next((domain for domain in site.domains if name_fault(domain) is None), None)
            host = domain_in(domain) if domain else ""
            handle = _site_handle(host or site.name or site.id, names)
            keys = {"domain": quoted(host or handle)}
            if site.by_id_only or hosts[host] != 1:
                keys["on"] = f"{{{quoted(self.instance)}: {quoted(site.id)}}}"
            if scope in opened:
                keys["public"] = f"{{{quoted(self.instance)}: true}}"
            found[scope] = (handle, keys)
        return found

    def _site_lines(self, sites: Mapping[Scope, tuple[str, dict[str, str]]]) -> Iterator[str]:
        named = [(handle, keys) for scope, (handle, keys) in sites.items() if scope.kind == "site"]
        if named:
            yield from ("", "sites:")
            yield from (f"  {quoted(handle)}: {_table(keys)}" for handle, keys in named)

    # -- what

    def _native_groups(self, people: dict[str, _Person]) -> dict[str, str]:
        """Return the handle of each of the platform's groups, by its name."""
        found: dict[str, str] = {}
        for resource in self.live.access.values():
            if isinstance(resource, Group):
                fault = name_fault(resource.name)
                if fault is None:
                    found[resource.name] = self._name(resource.name)
                    continue
                self.asides.append(f"the group {resource.name}: {fault[1]}; its members are left out with it")
                for member in self.live.access.members():
                    if member.group == resource.name:
                        people.pop(member.account, None)
        return found

    def _group_lines(self, groups: Mapping[str, str], people: Mapping[str, _Person]) -> Iterator[str]:
        members: dict[str, list[str]] = defaultdict(list)
        for member in self.live.access.members():
            if member.account in people:
                members[member.group].append(people[member.account].handle)
        for name, handle in groups.items():
            group = self.live.access[("group", name)]
            outside = isinstance(group, Group) and group.external is not None
            inside = "external" if outside else _flow(sorted(members[name]), 6)
            yield f"  {quoted(handle)}: {{native: {quoted(name)}, members: {inside}}}"

    def _granted(
        self,
        people: Mapping[str, _Person],
        sites: Mapping[Scope, tuple[str, dict[str, str]]],
        groups: Mapping[str, str],
    ) -> dict[str, dict[tuple[str, Right], list[str]]]:
        """Return what each handle holds: by kind of scope and right, the sites."""
        granted: dict[str, dict[tuple[str, Right], list[str]]] = {}
        declared_users = {("account", name): person.handle for name, person in people.items()}
        declared_users |= {("group", name): handle for name, handle in groups.items()}
        for grant in self.live.access.grants():
            handle = declared_users.get((grant.subject.kind, grant.subject.name))
            if handle is None:
                continue
            if not self._can_be_declared(grant, sites):
                self._aside(grant)
                continue
            right = (self._role(grant), tuple(sorted(grant.extras or ())))
            places = granted.setdefault(handle, {}).setdefault((grant.scope.kind, right), [])
            places.append(sites[grant.scope][0] if grant.scope in sites else "")
        return granted

    def _can_be_declared(self, grant: Grant, sites: Mapping[Scope, object]) -> bool:
        known = grant.scope.kind == "instance" or grant.scope in sites
        return known and self.traits.role(grant.scope.kind, grant.role) is not None and declarable(grant, self.traits)

    def _aside(self, grant: Grant) -> None:
        if grant.scope.kind != "module":
            self.asides.append(f"{grant.subject.name} is {grant.role} of {grant.scope}, which no file can declare")

    def _role(self, grant: Grant) -> str:
        role = self.traits.role(grant.scope.kind, grant.role)
        portable = role.portable if role is not None else None
        if portable in PORTABLE and portable is not None and self.traits.native(grant.scope.kind, portable) == role:
            return portable
        return f"{self.traits.platform}:{grant.role}"

    def _shared(self, granted: dict[str, dict[tuple[str, Right], list[str]]]) -> dict[str, list[str]]:
        """Put those who hold exactly the same on sites into groups, and move what they hold there."""
        alike: dict[tuple[tuple[tuple[str, Right], tuple[str, ...]], ...], list[str]] = defaultdict(list)
        for handle, rights in granted.items():
            same = tuple(sorted((key, tuple(sorted(where))) for key, where in rights.items() if key[0] != "instance"))
            if same:
                alike[same].append(handle)
        groups: dict[str, list[str]] = {}
        for same, handles in alike.items():
            if len(handles) < 2:
                continue
            name = self._name(_crowd(same))
            groups[name] = handles
            granted[name] = {key: list(where) for key, where in same}
            for handle in handles:
                for key, _ in same:
                    del granted[handle][key]
        return groups


def _site_handle(host: str, names: set[str]) -> str:
    """Return a short name for a site: the first part of its domain, or all of it where that is taken."""
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


def _crowd(same: Sequence[tuple[tuple[str, Right], tuple[str, ...]]]) -> str:
    """Return a name for those who hold the same."""
    (_, (role, _)), where = same[0]
    crowd = _CROWD.get(role, "team")
    if len(same) > 1:
        return "team"
    return f"{where[0]}-{crowd}" if len(where) == 1 else crowd


def _shared_lines(shared: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, handles in shared.items():
        yield f"  {quoted(name)}: {_flow(sorted(handles), 4)}"


def _grant_lines(
    granted: Mapping[str, Mapping[tuple[str, Right], Sequence[str]]], shared: Mapping[str, object], instance: str
) -> Iterator[str]:
    """Yield the grants, groups first; whoever holds the same right on the same sites shares a line."""
    lines: dict[tuple[str, Right, tuple[str, ...]], list[str]] = defaultdict(list)
    for handle in sorted(granted, key=lambda name: (name not in shared, name)):
        for (kind, right), where in sorted(granted[handle].items()):
            lines[kind, right, tuple(sorted(where))].append(handle)
    if not lines:
        yield "grants: []"
        return
    yield "grants:"
    for (kind, (role, extras), where), handles in lines.items():
        parts = [f"to: {_few(handles)}", f"role: {quoted(role)}"]
        if extras:
            parts.append(f"extras: {_flow(extras, 6)}")
        if kind == "instance":
            parts.append(f"on: {quoted(instance)}")
        else:
            parts.append(f"{kind}s: {_few(where)}")
        line = ", ".join(parts)
        yield f"  - {{{line}}}" if len(line) < WIDTH else "  - " + "\n    ".join(parts)


def _few(words: Sequence[str]) -> str:
    return quoted(words[0]) if len(words) == 1 else _flow(words, 6)


def _table(keys: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


def _flow(words: Iterable[str], indent: int) -> str:
    """Return a list in brackets, broken into lines where it is long."""
    rows: list[str] = [""]
    for word in words:
        text = quoted(word)
        if rows[-1] and len(rows[-1]) + len(text) > WIDTH - indent - 4:
            rows.append("")
        rows[-1] += f"{', ' if rows[-1] else ''}{text}"
    return "[" + (",\n" + " " * indent).join(rows) + "]"


def quoted(text: str) -> str:
    """Return a text as YAML, in quotes where any reader of YAML might take it for something else."""
    if _PLAIN.fullmatch(text) and not _SPECIAL.fullmatch(text):
        return text
    return "".join(_escaped(dump) for dump in json.dumps(text, ensure_ascii=False))


def written(value: object) -> str:
    """Return any value of a file as YAML on one line."""
    return quoted(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def harmless(text: str) -> str:
    """Return a text for a comment: on one line, and with nothing that hides or reorders."""
    return "".join(_escaped(name) for name in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}:
        code = ord(character)
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character
