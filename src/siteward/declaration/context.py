"""What the checks of a declaration look at."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.declaration.roles import Elsewhere, Lack, Meaning, meaning
from siteward.declaration.subjects import DIRECT, People, Way, cycle, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, Grant, Instance


class Context(Struct, frozen=True, dict=True):
    """A declaration as far as it could be read, and what is known of platforms.

    `dropped` names rows, as (section, name), that were refused already, so that what speaks of them is not
    called unknown.
    """

    declaration: Declaration
    dropped: frozenset[tuple[str, str]]
    widest_of: Callable[[str], Traits | None]
    platforms: Sequence[str] = ()
    _meanings: dict[tuple[str, frozenset[str] | None, str, str], Meaning | Lack | Elsewhere] = {}
    _people: dict[tuple[str, ...], People] = {}

    @cached_property
    def traits(self) -> Mapping[str, Traits]:
        """What each instance's platform can do at its best; instances of unknown platforms are left out."""
        found = {name: self.widest_of(instance.platform) for name, instance in self.declaration.instances.items()}
        return {name: item for name, item in found.items() if item is not None}

    @cached_property
    def group_cycle(self) -> tuple[str, ...] | None:
        """The names of a cycle of groups, if there is one."""
        return cycle(self.declaration.groups)

    @cached_property
    def groups(self) -> Mapping[str, People]:
        """Who each group means; nobody, while groups go in a circle."""
        return {} if self.group_cycle is not None else expand(self.declaration.groups)

    def known(self, section: str, name: str) -> bool:
        """Tell whether a name is declared, or would be if its row were right."""
        held: Mapping[str, object] = getattr(self.declaration, section)
        return name in held or (section, name) in self.dropped

    def some_include_is_missing(self) -> bool:
        """Tell whether a file could not be read, so that an unknown name may be its."""
        return any(section == "include" for section, _ in self.dropped)

    def people(self, grant: Grant) -> People:
        """Return the declared users a grant is for, with the ways that lead to each."""
        found = self._people.get(grant.to)
        if found is None:
            found = self._people[grant.to] = self._found(grant.to)
        return found

    def _found(self, names: tuple[str, ...]) -> People:
        users = self.declaration.users
        if len(names) == 1 and names[0] in users:
            return {names[0]: DIRECT}
        ways: dict[str, tuple[Way, ...]] = {}
        for name in names:
            inner = {name: DIRECT} if name in users else self.groups.get(name, {})
            for handle, theirs in inner.items():
                if handle in users:
                    ways[handle] = (*ways.get(handle, ()), *theirs)
        return ways

    def instances(self, grant: Grant) -> Mapping[str, Instance]:
        """Return the instances a grant may reach, as far as the file tells."""
        every = self.declaration.instances
        return every if grant.on is None else {name: every[name] for name in grant.on if name in every}

    def meaning(self, grant: Grant, instance: Instance, kind: str) -> Meaning | Lack | Elsewhere | None:
        """Return what the grant's role means there; `None` for an unknown platform."""
        key = (grant.role, grant.extras, instance.platform, kind)
        found = self._meanings.get(key)
        if found is None:
            traits = self.traits.get(instance.name)
            if traits is None:
                return None
            found = meaning(self.declaration.roles, grant.role, grant.extras, traits, kind)
            self._meanings[key] = found
        return found
