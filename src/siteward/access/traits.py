"""The traits of a platform: everything that it can express, as data.

A platform's folder gives one table for validation without a server (the union of what all supported
releases can) and its `probe` gives one for the server at hand. The core reads these tables and knows
no platform by name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from siteward.access.model import EVERYWHERE, Grant, Power, Scope


class Role(Struct, frozen=True, kw_only=True):
    """One native role on one kind of scope, with the power it carries.

    `portable` is the name that means this role on every platform that has it (`view`, `edit`, …).
    `declarable` is false for what is a fact and not a right to hand out (Umami's `owner`): such a role
    satisfies any weaker wish and no change to it is ever planned.
    `lingers` is true for what silence does not take away (Umami's global `user`): it goes only when the
    file names the account as suspended, absent or left. `owns` is true for the role of who owns what it is on.
    """

    name: str
    power: Power
    portable: str | None = None
    declarable: bool = True
    lingers: bool = False
    owns: bool = False


class Traits(Struct, frozen=True, kw_only=True, dict=True):
    """The abilities of one server (or, before any was asked, a platform at its best) can express.

    `roles` maps a scope kind to its roles, weakest first; of two roles in one tuple the later satisfies
    the earlier unless `incomparable` names the pair. `top` is the account role that admins hold.
    `extras` maps an extra to the power it adds, `included` an extra to the roles it is part of anyway.
    `folds_case` tells that logins differing in letter case are one account (compared by `lower`, which keeps `straße` and
    `strasse` apart), `keeps_case` that a new one is made in the case it was written in nevertheless. `blind_spots` are
    things this platform can never show, in words people can put into `accept_blind`; `unseen` says in a sentence part
    what each of them is. `ids` says what the platform keeps for good of an account: an id that no other one has or had
    (`unique`), the moment of its making (`date`), or nothing that is shown. `shows_public` tells that links and pages which open
    a site to everybody are read (`Live.open`), although none is opened or closed from here. `keys_unseen` says in a sentence
    part why the keys of the platform cannot all be read (`Live.keys`), and is empty where they are.
    """

    platform: str
    version: str = ""
    edition: str = ""
    roles: Mapping[str, tuple[Role, ...]]
    manages: frozenset[Literal["account", "group", "member", "grant"]] = frozenset({"account", "grant"})
    top: str | None = None
    extras: Mapping[str, Power] = MappingProxyType({})
    included: Mapping[str, frozenset[str]] = MappingProxyType({})
    incomparable: frozenset[frozenset[str]] = frozenset()
    admin_excludes_grants: bool = False
    accounts_listed: bool = True
    knows_self: bool = True
    keeps_email: bool = True
    keeps_language: bool = False
    login: Literal["handle", "email"] = "handle"
    folds_case: bool = True
    keeps_case: bool = False
    renames: bool = False
    renames_groups: bool = False
    ids: Literal["unique", "date", "none"] = "none"
    deletes: bool = True
    role_change: Literal["in-place", "reinvite"] = "in-place"
    onboarding: frozenset[Literal["invite", "password"]] = frozenset({"password"})
    powerful: frozenset[str] = frozenset()
    public_account: str | None = None
    shows_public: bool = False
    last_seen: bool = False
    blind_spots: tuple[str, ...] = ()
    unseen: Mapping[str, str] = MappingProxyType({})
    keys_unseen: str = "no call lists keys"

    @property
    def tells_public(self) -> bool:
        """True if it is told which sites everybody may see."""
        return self.public_account is not None or self.shows_public

    @cached_property
    def _ranked(self) -> Mapping[tuple[str, str], tuple[int, Role]]:
        return {(kind, role.name): (at, role) for kind, roles in self.roles.items() for at, role in enumerate(roles)}

    @cached_property
    def lingering(self) -> frozenset[tuple[str, str]]:
        """The roles that linger, each with the kind of its scopes."""
        return frozenset((kind, role.name) for kind, roles in self.roles.items() for role in roles if role.lingers)

    @cached_property
    def _includes(self) -> dict[str, frozenset[str]]:
        return {}

    def includes(self, role: str) -> frozenset[str]:
        """Return the extras that are part of a role."""
        found = self._includes.get(role)
        if found is None:
            extras = (extra for extra, roles in self.included.items() if role in roles)
            found = self._includes[role] = frozenset(extras)
        return found

    def role(self, kind: str, name: str) -> Role | None:
        """Return the native role `name` on scopes of `kind`, if the platform has it."""
        found = self._ranked.get((kind, name))
        return found[1] if found is not None else None

    def rank(self, kind: str, name: str) -> int:
        """Return the place of a role among those of its kind, weakest first; -1 for none or an unknown one."""
        found = self._ranked.get((kind, name))
        return found[0] if found is not None else -1

    @cached_property
    def _exchanges(self) -> dict[tuple[str, str, str], tuple[bool, bool]]:
        return {}

    def exchange(self, kind: str, held: str, wished: str) -> tuple[bool, bool]:
        """Return whether the role `wished` gives what `held` does not, and whether it lacks what that gives."""
        found = self._exchanges.get((kind, held, wished))
        if found is None:
            step = self.rank(kind, wished) - self.rank(kind, held)
            apart = held != wished and (step == 0 or frozenset((held, wished)) in self.incomparable)
            found = self._exchanges[kind, held, wished] = apart or step > 0, apart or step < 0
        return found

    def power(self, grant: Grant | None) -> Power:
        """Return the power a grant carries, by its role and its extras; `NONE` for no grant."""
        if grant is None:
            return Power.NONE
        found = self._ranked.get((grant.scope.kind, grant.role))
        base = found[1].power if found is not None else Power.NONE
        return max((base, *(self.extras.get(extra, Power.NONE) for extra in grant.extras))) if grant.extras else base

    def is_top(self, grant: Grant) -> bool:
        """Return whether a grant is the platform's highest account role."""
        return grant.role == self.top and grant.scope == EVERYWHERE

    def native(self, kind: str, portable: str) -> Role | None:
        """Return the native role that a portable name means on scopes of `kind`, if there is one."""
        return next((role for role in self.roles.get(kind, ()) if role.portable == portable), None)

    def covers(self, held: Grant, wished: Grant) -> bool:
        """Return whether a held, undeclarable role already gives what is wished on the same scope."""
        role = self.role(held.scope.kind, held.role)
        return bool(
            role
            and not role.declarable
            and self.rank(wished.scope.kind, wished.role) <= self.rank(held.scope.kind, held.role)
        )


SITE_KINDS = ("site", "metasite")


def is_site(scope: Scope) -> bool:
    """Return whether a scope is something a `sites:` or `metasites:` selector may name."""
    return scope.kind in SITE_KINDS


def is_public(traits: Traits, account: str) -> bool:
    """Return whether an account stands for everybody (Matomo's `anonymous`, in any spelling of case and accents)."""
    if traits.public_account is None:
        return False
    plain = account if account.isascii() else _without_accents(account)
    return traits.public_account.lower() == plain.lower()


def _without_accents(text: str) -> str:
    return "".join(
        character for character in unicodedata.normalize("NFKD", text) if not unicodedata.combining(character)
    )


def declarable(grant: Grant, traits: Traits) -> bool:
    """Return whether a grant's role is a right to hand out and not a fact such as ownership."""
    role = traits.role(grant.scope.kind, grant.role)
    return role is None or role.declarable


def fold_login(login: str, traits: Traits) -> str:
    """Return a login in the form in which the platform compares two of them.

    It is lower-cased and not casefolded, which would make one of `ß` and `ss`.
    """
    return login.lower() if traits.folds_case or traits.login == "email" else login
