"""The policy that a change of the files must pass: that of the revision it would be merged into, beside its own.

The base's policy, its kinds of users and what it looks at judge together with those of the checkout, and the
strictest wins. Who asks is known from the forge, never from git, where everybody writes any name.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import direction
from siteward.access.diagnostic import error, warning
from siteward.access.diff import Revision, compare
from siteward.access.hosts import domain_in
from siteward.access.model import account_of, scope_of
from siteward.access.policy import strictest
from siteward.access.traits import SITE_KINDS, is_site
from siteward.declaration.build import variable
from siteward.declaration.resolve import resolve
from siteward.declaration.selectors import Scopes, names_of
from siteward.declaration.subjects import identities
from siteward.reconcile.revisions.policy_changes import changed_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Scope
    from siteward.access.policy import Policy
    from siteward.access.proposal import Proposal
    from siteward.access.state import DeclaredUser, Desired, Kind, Live
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Instance
    from siteward.declaration.load import Declaration

Actor = tuple[str, str]
"""A forge and the login there; the forge is empty where any will do."""


class BasePolicy(Struct, frozen=True, kw_only=True, dict=True):
    """The checkout's declaration, that of the base, that from which the checkout went its own way, and who asks.

    `ref` is what people call the base; where it is given without a declaration, the base had none yet.
    """

    head: Declaration
    ref: str = ""
    base: Declaration | None = None
    fork: Declaration | None = None
    actors: frozenset[Actor] = frozenset()

    @cached_property
    def remarks(self) -> tuple[Diagnostic, ...]:
        """The changes of what judges access."""
        if self.base is not None:
            return changed_rules(self.base, self.head)
        message = f"there is no such file at {self.ref}: only the rules of this checkout apply"
        return (warning("base-without-file", message, at=self.head.root),) if self.ref else ()

    @cached_property
    def persons(self) -> frozenset[str]:
        """The handles of those who ask, as either revision knows them."""
        sides = (self.head, *((self.base,) if self.base is not None else ()))
        wanted = {(forge.casefold(), login.casefold()) for forge, login in self.actors}
        users = (user for side in sides for user in side.users.values())
        return frozenset(
            user.handle
            for user in users
            for forge, login in user.forge.items()
            if not wanted.isdisjoint({(forge.casefold(), login.casefold()), ("", login.casefold())})
        )

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The kinds that users had at the base and have no longer, by handle."""
        if self.base is None:
            return {}
        both = self.base.users.keys() & self.head.users.keys()
        pairs = ((handle, self.base.users[handle].kind) for handle in both)
        return {handle: kind for handle, kind in pairs if kind != self.head.users[handle].kind}

    def as_judged(self) -> Declaration:
        """Return the checkout's declaration with the strictest policies, and users of the kinds they were."""
        instances = {
            name: replace(instance, policy=self.policy(name)) for name, instance in self.head.instances.items()
        }
        former = {name: replace(self.head.users[name], kind=kind) for name, kind in self.kinds.items()}
        names: dict[str, frozenset[str]] = {}
        for site in self.base.sites.values() if self.base is not None else ():
            host = domain_in(site.domain)
            names[host] = names.get(host, frozenset()) | names_of(site)
        return replace(self.head, instances=instances, users={**self.head.users, **former}, former_names=names)

    def as_named(self, instance: str, desired: Desired, live: Live) -> Desired:
        """Return what is wished with the names that the base has for live sites, by which its rules call them."""
        before = self._before(instance)
        if before is None or self.base is None:
            return desired
        names = dict(desired.names)
        for kind in SITE_KINDS:
            for scope, former in Scopes(self.base.sites, before.name, live, kind).names().items():
                names[scope] = names.get(scope, frozenset()) | former
        return replace(desired, names=names)

    def policy(self, instance: str) -> Policy:
        """Return the policy that holds on an instance of the checkout."""
        own, before = self.head.instances[instance].policy, self._before(instance)
        return own if before is None else strictest(own, self._elsewhere(before.policy))

    def _elsewhere(self, policy: Policy) -> Policy:
        """Return the base's policy with rules that say whose they are, and claim no line of the checkout."""
        return replace(policy, rules=tuple(replace(rule, revision=self.ref, at=None) for rule in policy.rules))

    def earlier(self, instance: str, traits: Traits, live: Live, as_of: datetime) -> Mapping[str, str] | None:
        """Return the logins of those who were declared before; `None` without a base."""
        before = self._before(instance)
        side = self.fork or self.base
        if before is None or side is None or before.name not in side.instances:
            return None
        found = identities(side, before.name, traits, live, as_of=as_of, memory=None)
        former = {name.casefold() for user in self.head.users.values() for name in user.previously}
        return {
            handle: identity.account for handle, identity in found.by_handle.items() if handle.casefold() not in former
        }

    def as_before(self, instance: str, proposal: Proposal, as_of: datetime) -> Iterator[Proposal]:
        """Yield the proposal with users of the kinds they were, by handle, and with those whose accounts these were."""
        declared_users, accounts = proposal.desired.declared_users, self._users_before(instance, proposal, as_of)
        for former in (
            {name: replace(user, kind=self.kinds.get(user.handle, user.kind)) for name, user in declared_users.items()},
            {
                name: replace(user, handle=was.handle, kind=was.kind) if (was := accounts.get(name)) else user
                for name, user in declared_users.items()
            },
        ):
            if former != declared_users:
                proposed = tuple(
                    replace(proposed, declared_user=former.get(account_of(proposed.key) or "", proposed.declared_user))
                    for proposed in proposal.proposed
                )
                yield replace(proposal, desired=replace(proposal.desired, declared_users=former), proposed=proposed)

    def _users_before(self, instance: str, proposal: Proposal, as_of: datetime) -> Mapping[str, DeclaredUser]:
        """Return the users of the base by the accounts that they resolve to."""
        before = self._before(instance)
        if before is None or self.base is None:
            return {}
        found = identities(self.base, before.name, proposal.traits, proposal.live, as_of=as_of, memory=None)
        return found.declared_users

    def objections(self, instance: str, proposal: Proposal) -> Iterator[Diagnostic]:
        """Yield what is said of single steps: they reach what the base does not look at, or serve who asks for them."""
        managed = self._managed(instance, proposal.live)
        for proposed in proposal.proposed:
            scope = scope_of(proposed.key)
            if managed is not None and scope is not None and is_site(scope) and scope not in managed:
                message = "before this change, this site was out of scope of `manages`"
                hint = "merge the wider `manages` first, and the rest after it"
                yield error("not-managed-before", message, about=proposed.key, hint=hint)
            gives = proposed.change.after is not None and direction(proposed.change, proposal.traits) != "close"
            if gives and proposed.person in self.persons:
                message = f"{proposed.person}, who asks for this change, gains from it"
                yield warning("grants-oneself", message, about=proposed.key, hint="somebody else should approve it")

    def extended(
        self, instance: str, desired: Desired, live: Live, traits: Traits, as_of: datetime
    ) -> Iterator[Diagnostic]:
        """Yield where those who ask only gain time, which is no step."""
        before = self._before(instance)
        if not self.persons or before is None or self.base is None:
            return
        was = resolve(self.base, before.name, traits, live, as_of=as_of)
        sides = (Revision(traits=traits, wished={as_of: wish}) for wish in (was, desired))
        for movement in compare(instance, *sides):
            if (
                movement.kind == "longer"
                and movement.person in self.persons
                and movement.after
                and movement.after.origin
            ):
                message = (
                    f"{movement.person}, who asks for this change, has access to {movement.scope} for longer by it"
                )
                yield warning(
                    "extends-own-end", message, at=movement.after.origin.at, hint="somebody else should approve it"
                )

    def _managed(self, instance: str, live: Live) -> frozenset[Scope] | None:
        """Return the sites the base looks at; `None` where the base does not narrow them."""
        before = self._before(instance)
        if before is None or self.base is None or before.manages is None:
            return None
        found: frozenset[Scope] = frozenset()
        for kind in SITE_KINDS:
            scopes = Scopes(self.base.sites, before.name, live, kind)
            scopes.manage(before.manages)
            found |= scopes.managed
        return found

    def _before(self, instance: str) -> Instance | None:
        """Return the instance at the base that goes by the same credentials."""
        known = self.base.instances if self.base is not None else {}
        same = (item for name, item in known.items() if variable(name) == variable(instance))
        return known.get(instance) or next(same, None)
