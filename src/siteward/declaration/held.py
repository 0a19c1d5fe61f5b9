"""The effect of rows in error on one instance: lines that give nothing, and whom nothing is taken from.

For everybody whom a row in error names, what follows from silence is held back, as in mode add-only. Where it cannot be
told whom a row names, nothing is taken on the sites of that row; where these cannot be told either, nothing on the
whole instance.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import scope_of
from siteward.access.patterns import matching
from siteward.access.state import NOTHING_HELD, Held
from siteward.declaration.declared import NO_FAULTS
from siteward.declaration.selector import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.access.diagnostic import Span
    from siteward.access.model import Scope
    from siteward.access.state import Live, Memory
    from siteward.declaration.declared import Declaration, Grant, LostLine
    from siteward.declaration.groups import People
    from siteward.declaration.selectors import Scopes, Unresolved
    from siteward.declaration.subjects import Identity


class Suspects(Struct, frozen=True, dict=True):
    """The rows of a declaration that rows in error make doubtful."""

    declaration: Declaration

    @cached_property
    def groups(self) -> Mapping[str, Span]:
        """The groups in error, and those that have one of them inside."""
        found = dict(self.declaration.faults.groups)
        more = True
        while more:
            more = False
            for group in self.declaration.groups.values():
                inner = next((found[member.name] for member in group.members if member.name in found), None)
                if group.handle not in found and inner is not None:
                    found[group.handle] = inner
                    more = True
        return found

    def cause(self, line: Grant) -> Span | None:
        """Return the place of the error that makes a line of `grants` doubtful, if there is one."""
        faults = self.declaration.faults
        if faults is NO_FAULTS:
            return None
        found = faults.lines.get(line.at) or faults.roles.get(line.role)
        found = found or next((self.groups[name] for name in line.to if name in self.groups), None)
        return found or (self._cause_in_sites(line) if faults.sites else None)

    def _cause_in_sites(self, line: Grant) -> Span | None:
        """Return the place of the error in a site that a line names, or may mean by a tag."""
        sites = self.declaration.faults.sites
        bounds = line.bound.sites or () if line.bound is not None else ()
        for selector in (*map(parse, (*line.sites, *line.metasites)), *bounds):
            if selector.text in sites:
                return sites[selector.text]
            if selector.kind == "tag":
                return next(iter(sites.values()))
        return None

    def is_whole(self, line: Grant) -> bool:
        """Return whether all whom a line names are known."""
        known = (self.declaration.users, self.declaration.groups)
        return all(any(name in names for names in known) and name not in self.groups for name in line.to)


class Holding(Struct, dict=True):
    """What is held on one instance, while it is collected."""

    declaration: Declaration
    people: Mapping[str, Identity]
    groups: Mapping[str, People]
    memory: Memory | None
    live: Live | None = None
    accounts: dict[str, Span] = {}
    native: dict[str, Span] = {}
    scopes: dict[Scope, Span] = {}
    users: set[str] = set()
    everything: Span | None = None

    def hold_user(self, handle: str, at: Span, *, gains: bool) -> None:
        """Hold what a user has; without `gains` the user is given nothing either."""
        identity = self.people.get(handle)
        known = self.memory.users.get(handle) if self.memory is not None else None
        account = identity.account if identity is not None else known
        if account is not None:
            self.accounts.setdefault(account, at)
            if not gains:
                self.users.add(account)

    def hold_names(self, names: Iterable[str], at: Span) -> None:
        """Hold what these users and groups have, with all who are in the groups."""
        for name in names:
            group = self.declaration.groups.get(name)
            if group is not None:
                self.native.setdefault(group.native or group.handle, at)
            for handle in (name, *self.groups.get(name, ())):
                self.hold_user(handle, at, gains=True)

    def hold_scopes(self, scopes: Iterable[Scope], at: Span, *, whole: bool) -> None:
        """Hold what anybody has on these scopes; if they are not `whole`, what anybody has anywhere."""
        for scope in scopes:
            self.scopes.setdefault(scope, at)
        if not whole:
            self.everything = self.everything or at

    def hold_lost(self, lost: LostLine, instance: str, sites: Scopes | Unresolved) -> None:
        """Hold what a line of `grants` that does not fit the grammar may be about on an instance."""
        elsewhere = lost.on is not None and instance not in lost.on
        if elsewhere and set(lost.on or ()) <= self.declaration.instances.keys():
            return
        self.hold_names(lost.to, lost.at)
        known = self.declaration.users.keys() | self.declaration.groups.keys()
        if lost.whole and known >= set(lost.to):
            return
        choice = sites.choose(lost.sites, None) if lost.sites else None
        whole = choice is not None and not choice.missing and not choice.idle
        self.hold_scopes(choice.scopes if choice else (), lost.at, whole=whole)

    def was_here(self, kind: str, written: str) -> bool:
        """Return whether the last run left access to a site that a selector meant, and that is not there any more."""
        names, selector = self._gone[kind], parse(written)
        if selector.kind == "pattern":
            return any(matching((selector.text,), name) for name in names)
        declared = self.declaration.sites
        if selector.kind == "tag":
            return any(site.domain.lower() in names for site in declared.values() if selector.text in site.tags)
        site = declared.get(selector.text)
        return selector.text.lower() in names or (site is not None and site.domain.lower() in names)

    @cached_property
    def _gone(self) -> Mapping[str, set[str]]:
        """The names and hosts of the scopes on which the last run left access and that are not live, by kind.

        They are in lower case. A scope that is live and not selected was not selected by that run either: a site that
        becomes somebody else's, to be matched by its id alone, gets another name.
        """
        last = self.memory.last if self.memory is not None else None
        there = self.live.sites if self.live is not None else {}
        names: dict[str, set[str]] = defaultdict(set)
        for key in last or ():
            scope = scope_of(key)
            if scope is not None and scope not in there:
                name = scope.name.lower()
                names[scope.kind] |= {name, name.partition("#")[0]}
        return names

    def held(self) -> Held:
        """Return what was collected."""
        if not (self.accounts or self.native or self.scopes or self.everything):
            return NOTHING_HELD
        return Held(
            accounts=self.accounts, groups=self.native, scopes=self.scopes,
            users=frozenset(self.users), everything=self.everything,
        )  # fmt: skip
