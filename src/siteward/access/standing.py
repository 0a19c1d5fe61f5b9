"""Whether a live right is a difference from the declaration: the one answer that the plan, the matrix and all others use.

A right is covered if what is declared on the same scope gives all of it. What is not covered is a difference, unless
there is a reason to leave it: `Grounds.leave` names these reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from siteward.access.defaults import with_defaults
from siteward.access.model import EVERYWHERE, Access, Grant, Group, Key, Member, Resource, Scope, Subject
from siteward.access.state import Desired, Ending, Live
from siteward.access.traits import Traits, declarable, is_site

GONE: frozenset[str | None] = frozenset({"suspended", "absent", "left"})
"""The endings after which a user is to keep nothing at all."""

OWN_ACCOUNT = "the account in use here"
FACT = "a fact of the platform, which no file declares"
OUT_OF_SCOPE = "out of scope"
NOTHING_MANAGED = "the file has no `grants`"
NO_SITE = "a team without sites"
LINGERS = "stays until the account goes"
NOT_SPOKEN_OF = "the file does not speak of this module"
SUBSUMED = "part of the role on the whole instance"


class Grounds(Struct, frozen=True, kw_only=True, dict=True):
    """The facts by which a live right that is not declared is left alone; `wanted` is the declared access."""

    live: Live
    desired: Desired
    traits: Traits
    wanted: Access

    def looked_at(self, scope: Scope) -> bool:
        """Return whether a scope is managed; what is no site always is."""
        managed = self.desired.managed
        return managed is None or not is_site(scope) or scope in managed

    def leave(self, grant: Grant, account: str, ending: Ending | None, *, declared: bool = True) -> str | None:
        """Return in words why a live grant is no difference although nobody wishes it; `None` where it is one.

        `account` is the account that has it, by itself or through a group, `ending` the end of its user, and `declared`
        is false for an account that no user of the file has.
        """
        if self.live.is_self(account):
            return OWN_ACCOUNT
        if not declarable(grant, self.traits):
            return None if ending in GONE else FACT
        if declared and self.desired.managed is None and ending is None and grant.key not in self.desired.ended:
            return NOTHING_MANAGED
        if not self.looked_at(grant.scope):
            return OUT_OF_SCOPE
        return None if ending in GONE else self._leave_of_present(grant, account, declared=declared)

    def _leave_of_present(self, grant: Grant, account: str, *, declared: bool) -> str | None:
        role, kind = self.traits.role(grant.scope.kind, grant.role), grant.scope.kind
        if kind == "team":  # nothing the file speaks of, but a way in for who is not declared
            return NO_SITE if declared else None
        if role is not None and role.lingers:
            return LINGERS
        if kind == "module":
            return None if account in self._spoken_modules else NOT_SPOKEN_OF
        return SUBSUMED if is_site(grant.scope) and self._subsumes(account) else None

    @cached_property
    def _spoken_modules(self) -> frozenset[str]:
        return spoken_modules(self.desired)

    def _subsumes(self, account: str) -> bool:
        """Return whether the declared top role of an account includes all grants on sites, which cannot stand beside it."""
        top = self.wanted.grant(Subject("account", account), EVERYWHERE) if self.traits.admin_excludes_grants else None
        return top is not None and self.traits.is_top(top)


def spoken_modules(desired: Desired) -> frozenset[str]:
    """Return the accounts of whose modules the file speaks; those of others are no difference."""
    return desired.modules | {grant.subject.name for grant in desired.access.grants() if grant.scope.kind == "module"}


def covered(held: Grant, wishes: Iterable[Grant], traits: Traits) -> bool:
    """Return whether grants on the same scope, or the top role, give all that a held grant gives."""
    every = tuple(wishes)
    if any(traits.is_top(wish) for wish in every):
        return True
    role = any(_reaches(wish, held, traits) for wish in every)
    return role and all(_has_extra(extra, every, traits) for extra in held.extras or ())


def _reaches(wish: Grant, held: Grant, traits: Traits) -> bool:
    if wish.scope.kind != held.scope.kind:
        return False
    if wish.role == held.role:
        return True
    kind = held.scope.kind
    higher = traits.rank(kind, wish.role) > traits.rank(kind, held.role)
    return higher and frozenset({wish.role, held.role}) not in traits.incomparable


def _has_extra(extra: str, wishes: Iterable[Grant], traits: Traits) -> bool:
    return any(extra in (wish.extras or ()) or wish.role in traits.included.get(extra, ()) for wish in wishes)


def declared_access(desired: Desired, live: Live, traits: Traits) -> Access:
    """Return the declared access as it is compared with the live one.

    What the file leaves open is taken from the live access, and the members of a declared group that a directory owns
    are those that it has. Where a live fact (such as owning a site) stands in the place of a wish, the wish is kept.
    """
    wanted, _ = with_defaults(desired, live, traits)
    facts = _overridden_wishes(desired, wanted, traits)
    members = {member.key: member for member in _external_members(wanted, live)}
    return Access.of({**wanted, **facts, **members}) if facts or members else wanted


def _overridden_wishes(desired: Desired, wanted: Access, traits: Traits) -> dict[Key, Resource]:
    """Return, by key, the wishes in whose place a live fact stands."""
    if all(role.declarable for roles in traits.roles.values() for role in roles):
        return {}
    facts: dict[Key, Resource] = {}
    for key, wish in desired.access.items():
        found = wanted.find(key)
        if isinstance(wish, Grant) and isinstance(found, Grant) and not declarable(found, traits):
            facts[key] = wish
    return facts


def _external_members(wanted: Access, live: Live) -> Iterator[Member]:
    """Yield the live members of the declared groups whose members come from a directory."""
    names = {key[1] for key, group in wanted.items() if isinstance(group, Group) and group.external}
    if names:
        yield from (member for member in live.access.members() if member.group in names)
