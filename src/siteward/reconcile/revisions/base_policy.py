"""The policy that a change of the files must pass: its own, and that of the base branch it would be merged into.

The base's policy, kinds of users and `manages` apply together with those of the checkout, and the strictest wins.
The authors of a change (`actors`) are known from the forge, never from git, where anybody can write any name.
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
from siteward.access.proposal import manage
from siteward.access.traits import SITE_KINDS, is_site
from siteward.declaration.found import accounts_beyond
from siteward.declaration.groups import expand
from siteward.declaration.instances import variable
from siteward.declaration.references import renamed_groups, renamed_users, respelt
from siteward.declaration.resolve import resolve
from siteward.declaration.selectors import Scopes, names_of
from siteward.declaration.subjects import identities
from siteward.reconcile.revisions.policy_changes import changed_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Scope
    from siteward.access.policy import Policy
    from siteward.access.proposal import Proposal
    from siteward.access.state import DeclaredUser, Desired, Kind, Live, Memory, Timed
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Instance
    from siteward.declaration.load import Declaration

Actor = tuple[str, str]
"""A forge and the login there; an empty forge stands for any."""


class BasePolicy(Struct, frozen=True, kw_only=True, dict=True):
    """The declarations of the checkout (`head`), the base and the fork point, and the authors of the change.

    `ref` is the name of the base; where it is given without a declaration, the base had none yet.
    """

    head: Declaration
    ref: str = ""
    base: Declaration | None = None
    fork: Declaration | None = None
    actors: frozenset[Actor] = frozenset()

    @cached_property
    def remarks(self) -> tuple[Diagnostic, ...]:
        """The warnings about changed policy and settings, or about a base without the file."""
        if self.base is not None:
            return changed_rules(self.base, self.head)
        message = f"there is no such file at {self.ref}: only the rules of this checkout apply"
        return (warning("base-without-file", message, at=self.head.root),) if self.ref else ()

    @cached_property
    def persons(self) -> frozenset[str]:
        """The handles of the actors, by the forge logins of either revision."""
        revisions = (self.head, *((self.base,) if self.base is not None else ()))
        wanted = {(forge.casefold(), login.casefold()) for forge, login in self.actors}
        users = (user for declaration in revisions for user in declaration.users.values())
        return frozenset(
            user.handle
            for user in users
            for forge, login in user.forge.items()
            if not wanted.isdisjoint({(forge.casefold(), login.casefold()), ("", login.casefold())})
        )

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The kinds at the base of the users whose kind has changed, by handle."""
        if self.base is None:
            return {}
        both = {handle: handle for handle in self.base.users.keys() & self.head.users.keys()}
        both |= respelt(self.base, self.head)
        pairs = ((handle, self.base.users[before].kind) for before, handle in both.items())
        return {handle: kind for handle, kind in pairs if kind != self.head.users[handle].kind}

    def as_judged(self) -> Declaration:
        """Return the checkout's declaration with the strictest policies, and users of their kinds at the base."""
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
        """Return `desired` with the base's names of live sites added, so that the base's rules match on them.

        So are those of its groups that the head has no more; who is in one under its new name is in it, too.
        """
        before = self._find_before(instance)
        if before is None or self.base is None:
            return desired
        names = dict(desired.names)
        for kind in SITE_KINDS:
            for scope, former in Scopes(self.base.sites, before.name, live, kind).names().items():
                names[scope] = names.get(scope, frozenset()) | former
        asked = {rule.not_with for rule in before.policy.rules} - desired.memberships.keys()
        gone = self._expand_former() if asked & self.base.groups.keys() else {}
        for group, handle in renamed_groups(self.base, self.head).items() if gone else ():
            gone[group] = {**gone[group], **desired.memberships.get(handle, {})}
        return replace(desired, names=names, memberships={**gone, **desired.memberships})

    def _expand_former(self) -> dict[str, Mapping[str, Sequence[Timed]]]:
        """Return the users of each group at the base, under the handles that they have now."""
        if self.base is None:
            return {}
        renamed = renamed_users(self.base, self.head)
        return {
            group: {renamed.get(handle, handle): ways for handle, ways in people.items()}
            for group, people in expand(self.base.groups).items()
        }

    def policy(self, instance: str) -> Policy:
        """Return the policy that holds on an instance of the checkout; what the base does not know, nothing waives."""
        own, before = self.head.instances[instance].policy, self._find_before(instance)
        if before is None:
            return replace(own, waivers=()) if self.base is not None or self.ref else own
        return strictest(own, self._label_rules(before.policy))

    def _label_rules(self, policy: Policy) -> Policy:
        """Return the base's policy with rules that name the base as their revision, and no line of the checkout."""
        return replace(policy, rules=tuple(replace(rule, revision=self.ref, at=None) for rule in policy.rules))

    def earlier(
        self, instance: str, traits: Traits, live: Live, as_of: datetime, memory: Memory | None
    ) -> Mapping[str, str] | None:
        """Return the login of each user of the fork point (else the base), by handle; `None` without a base.

        Users that the head has renamed are left out, and those of files with bounds whose accounts have rights beyond them
        and no run has met: that their rows are gone ends nothing.
        """
        before = self._find_before(instance)
        declaration = self.fork or self.base
        if before is None or declaration is None or before.name not in declaration.instances:
            return None
        known = identities(declaration, before.name, traits, live, as_of=as_of, memory=None)
        former = {name.casefold() for user in self.head.users.values() for name in user.previously}
        beyond = frozenset[str]()
        if any(user.bound is not None for user in declaration.users.values()):
            beyond = accounts_beyond(resolve(declaration, before.name, traits, live, as_of=as_of, memory=memory))
        return {
            handle: identity.account
            for handle, identity in known.by_handle.items()
            if handle.casefold() not in former and identity.account not in beyond
        }

    def asked_before(
        self, instance: str, traits: Traits, live: Live, as_of: datetime, memory: Memory | None
    ) -> frozenset[Change] | None:
        """Return the changes that the files at the base ask for on what was read; `None` without such files."""
        before = self._find_before(instance)
        if before is None or self.base is None:
            return None
        wish = resolve(self.base, before.name, traits, live, as_of=as_of, memory=memory)
        return frozenset(manage(live, wish, traits, before.policy, memory).changes)

    def as_before(self, instance: str, proposal: Proposal, as_of: datetime) -> Iterator[Proposal]:
        """Yield the proposal with its users as at the base, where that differs: the rules must hold for these too.

        First with the kinds that the users had, by handle; then with the users who had the accounts.
        """
        declared_users, accounts = proposal.desired.declared_users, self._find_users_before(instance, proposal, as_of)
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

    def _find_users_before(self, instance: str, proposal: Proposal, as_of: datetime) -> Mapping[str, DeclaredUser]:
        """Return the users of the base by the accounts that they resolve to."""
        before = self._find_before(instance)
        if before is None or self.base is None:
            return {}
        former = identities(self.base, before.name, proposal.traits, proposal.live, as_of=as_of, memory=None)
        return former.declared_users

    def objections(self, instance: str, proposal: Proposal) -> Iterator[Diagnostic]:
        """Yield the objections to steps out of the base's `manages`, and to steps by which an actor gains access."""
        managed = self._find_managed(instance, proposal.live)
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
        """Yield a warning for each access of an actor that ends later than at the base, which no step shows."""
        before = self._find_before(instance)
        if not self.persons or before is None or self.base is None:
            return
        was = resolve(self.base, before.name, traits, live, as_of=as_of)
        revisions = (Revision(traits=traits, wished={as_of: wish}) for wish in (was, desired))
        for movement in compare(instance, *revisions):
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

    def named_before(self, instance: str) -> str | None:
        """Return the name at the base of an instance; `None` where the base does not know it."""
        before = self._find_before(instance)
        return before.name if before is not None else None

    def _find_managed(self, instance: str, live: Live) -> frozenset[Scope] | None:
        """Return the live sites that the base's `manages` selects; `None` where the base has none."""
        before = self._find_before(instance)
        if before is None or self.base is None or before.manages is None:
            return None
        managed: frozenset[Scope] = frozenset()
        for kind in SITE_KINDS:
            scopes = Scopes(self.base.sites, before.name, live, kind)
            scopes.manage(before.manages)
            managed |= scopes.managed
        return managed

    def _find_before(self, instance: str) -> Instance | None:
        """Return the instance at the base of the same name, or one whose name means the same credential variables."""
        known = self.base.instances if self.base is not None else {}
        namesakes = (former for name, former in known.items() if variable(name) == variable(instance))
        return known.get(instance) or next(namesakes, None)
