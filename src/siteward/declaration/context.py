"""The input of the checks: a declaration, and the abilities of the platforms that it names."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.policy import Times
from siteward.declaration.groups import DIRECT, People, Way, cycle, expand
from siteward.declaration.references import lowered
from siteward.declaration.roles import Elsewhere, Lack, Meaning, meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, Grant, Instance


class Context(Struct, frozen=True, dict=True):
    """A declaration as far as it could be read, with questions that several checks ask of it.

    `dropped` are the refused rows, as (section, name), so that names which refer to them are not reported as unknown.
    `widest_of` returns the most that any server of a platform can do, `None` for an unknown platform; `platforms` are
    the names of those that exist. `as_of` is the moment at which rights are judged; without it nothing is judged that
    depends on the moment.
    """

    declaration: Declaration
    dropped: frozenset[tuple[str, str]]
    widest_of: Callable[[str], Traits | None]
    platforms: Sequence[str] = ()
    as_of: datetime | None = None
    _meanings: dict[tuple[str, frozenset[str] | None, str, str], Meaning | Lack | Elsewhere] = {}
    _people: dict[tuple[str, ...], People] = {}

    @cached_property
    def traits(self) -> Mapping[str, Traits]:
        """The widest abilities of each instance's platform, by instance; unknown platforms are left out."""
        widest = {name: self.widest_of(instance.platform) for name, instance in self.declaration.instances.items()}
        return {name: traits for name, traits in widest.items() if traits is not None}

    @cached_property
    def group_cycle(self) -> tuple[str, ...] | None:
        """The groups of a cycle, or of a nesting that is too deep (see `subjects.cycle`), if there is one."""
        return cycle(self.declaration.groups)

    @cached_property
    def groups(self) -> Mapping[str, People]:
        """The users of each group, with the ways that lead to them; empty while there is a cycle."""
        return {} if self.group_cycle is not None else expand(self.declaration.groups)

    @cached_property
    def addressees(self) -> frozenset[str]:
        """The names after `to` of all grants: whoever asks something of each name asks it once."""
        return frozenset(chain.from_iterable([grant.to for grant in self.declaration.grants or ()]))

    @cached_property
    def selecting(self) -> frozenset[str]:
        """The words by which all grants select sites and meta sites."""
        grants = self.declaration.grants or ()
        sites, metasites = [grant.sites for grant in grants], [grant.metasites for grant in grants if grant.metasites]
        return frozenset(chain.from_iterable(chain(sites, metasites)))

    @cached_property
    def spellings(self) -> tuple[tuple[str, ...], ...]:
        """The names of users and groups that differ in letter case alone, each with its other spellings."""
        names = {*self.declaration.users, *self.declaration.groups}
        if len(set(map(lowered, names))) == len(names):
            return ()
        by_fold: dict[str, dict[str, None]] = {}
        for name in (*self.declaration.users, *self.declaration.groups):
            by_fold.setdefault(lowered(name), {})[name] = None
        return tuple(tuple(names) for names in by_fold.values() if len(names) > 1)

    @cached_property
    def twice(self) -> frozenset[str]:
        """The names that are declared in several spellings: one error tells it, and other checks are quiet."""
        return frozenset(name for names in self.spellings for name in names)

    @cached_property
    def times(self) -> Times | None:
        """The moment at which rights are judged, with the times of memberships, if there is one."""
        return None if self.as_of is None else Times(self.as_of, self.groups)

    def known(self, section: str, name: str) -> bool:
        """Return whether a name is declared in a section, or would be if its row were right."""
        declared: Mapping[str, object] = getattr(self.declaration, section)
        return name in declared or (section, name) in self.dropped

    def some_include_is_missing(self) -> bool:
        """Return whether an included file could not be read, which may declare names that are unknown now."""
        return any(section == "include" for section, _ in self.dropped)

    def knows_person(self, name: str) -> bool:
        """Return whether a name is a user's or a group's, or may be that of one which could not be read."""
        return self.known("users", name) or self.known("groups", name) or self.some_include_is_missing()

    def people(self, grant: Grant) -> People:
        """Return the declared users a grant is for, with the ways that lead to each."""
        people = self._people.get(grant.to)
        if people is None:
            people = self._people[grant.to] = self._find_people(grant.to)
        return people

    def _find_people(self, names: tuple[str, ...]) -> People:
        users = self.declaration.users
        if len(names) == 1 and names[0] in users:
            return {names[0]: DIRECT}
        ways: dict[str, tuple[Way, ...]] = {}
        for name in names:
            members = {name: DIRECT} if name in users else self.groups.get(name, {})
            for handle, member_ways in members.items():
                if handle in users:
                    ways[handle] = (*ways.get(handle, ()), *member_ways)
        return ways

    def instances(self, grant: Grant) -> Mapping[str, Instance]:
        """Return the instances that a grant may reach as far as the file tells, by name."""
        every = self.declaration.instances
        return every if grant.on is None else {name: every[name] for name in grant.on if name in every}

    def meaning(self, grant: Grant, instance: Instance, kind: str) -> Meaning | Lack | Elsewhere | None:
        """Return the meaning of the grant's role on scopes of `kind` there; `None` for an unknown platform."""
        key = (grant.role, grant.extras, instance.platform, kind)
        means = self._meanings.get(key)
        if means is None:
            traits = self.traits.get(instance.name)
            if traits is None:
                return None
            means = meaning(self.declaration.roles, grant.role, grant.extras, traits, kind)
            self._meanings[key] = means
        return means
