"""What is wanted of one instance, while it comes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, Severity
from siteward.access.model import Grant
from siteward.access.state import Claim

if TYPE_CHECKING:
    from siteward.access.diagnostic import Span
    from siteward.access.model import Key, Resource
    from siteward.access.state import Ending, Origin
    from siteward.access.traits import Role, Traits

Over: TypeAlias = "tuple[Ending, Span]"
"""Why something that the file names does not hold, and the place that says so."""


class Draft(Struct):
    """The wanted resources with their origins and claims, what is over, whose account is wanted, and what was said."""

    traits: Traits
    resources: dict[Key, Resource] = {}
    origins: dict[Key, Origin] = {}
    ended: dict[Key, Over] = {}
    claims: dict[Key, tuple[Claim, ...]] = {}
    wanted: dict[str, Origin] = {}
    diagnostics: list[Diagnostic] = []

    def want(self, resource: Resource, origin: Origin) -> None:
        """Want a resource; the first reason stays."""
        key = resource.key
        self.resources[key] = resource
        self.origins.setdefault(key, origin)

    def say(self, found: Diagnostic) -> None:
        """Add a diagnostic, once."""
        if found not in self.diagnostics:
            self.diagnostics.append(found)

    def unite(self, key: Key, wish: Grant, origin: Origin, *, ends: bool) -> None:
        """Want a grant beside the one that is wanted already: the greater role, all extras, the reasons of both."""
        first, first_origin = self.resources[key], self.origins[key]
        if not isinstance(first, Grant):
            raise TypeError(f"{key} is no grant")
        before = self.claims.get(key) or (Claim(first, first_origin, first_origin.until is not None),)
        self.claims[key] = (*before, Claim(wish, origin, ends))
        self._compare(key, first, wish, origin)
        greater, lesser, why, other = first, wish, first_origin, origin
        if self._rank(wish, origin) > self._rank(first, first_origin):
            greater, lesser, why, other = wish, first, origin, first_origin
        named = [each.extras for each in (greater, lesser) if each.extras is not None]
        self.resources[key] = replace(greater, extras=frozenset().union(*named) if named else None)
        self.origins[key] = replace(why, others=(*why.others, replace(other, others=()), *other.others))

    def _compare(self, key: Key, one: Grant, two: Grant, at: Origin) -> None:
        if frozenset((one.role, two.role)) in self.traits.incomparable and one.role != two.role:
            self.diagnostics.append(
                Diagnostic(
                    code="incomparable-roles",
                    severity=Severity.ERROR,
                    message=f"`{one.role}` and `{two.role}` on {one.scope}, and neither holds the other",
                    about=key,
                    at=at.at,
                    related=(self.origins[key].at,),
                    hint="grant one of them",
                )
            )

    def _rank(self, wish: Grant, origin: Origin) -> tuple[int, int, bool]:
        """Return what decides between two wishes: power, the platform's order, to be named and not matched."""
        role: Role | None = self.traits.role(wish.scope.kind, wish.role)
        power = role.power if role is not None else 0
        return power, self.traits.rank(wish.scope.kind, wish.role), origin.wildcard is None
