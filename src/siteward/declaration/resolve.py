"""The resolution of a declaration into the wanted state of one instance at one moment.

Groups are expanded, roles translated, selectors matched with live sites, and windows compared with one clock value.
Every wanted resource keeps the place of the grant that wants it, as its origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Severity, error, note, warning
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    ByKey,
    Grant,
    Member,
    Scope,
    account_key,
    grant_key,
)
from siteward.access.state import Claim, Desired, Ended, Origin, joined
from siteward.access.traits import SITE_KINDS
from siteward.access.window import ALWAYS
from siteward.declaration.declared import NO_FAULTS
from siteward.declaration.draft import Draft, Gift
from siteward.declaration.found import find_beyond
from siteward.declaration.groups import expand
from siteward.declaration.held import Holding, Suspects
from siteward.declaration.openness import find_public
from siteward.declaration.roles import Elsewhere, Lack, Meaning, meaning
from siteward.declaration.selectors import Choice, Scopes, Unresolved
from siteward.declaration.subjects import Principal, Principals, ends, identities, standing
from siteward.declaration.unmatched import PIN, describe_unmatched, list_sites

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.model import Key, Subject
    from siteward.access.state import Live, Memory
    from siteward.access.traits import Role, Traits
    from siteward.declaration.declared import Declaration, User
    from siteward.declaration.declared import Grant as Line
    from siteward.declaration.groups import Way
    from siteward.declaration.subjects import Identities, Identity

_INSTANCE = Choice((EVERYWHERE,))
"""The choice of a grant of an account role."""

_Part: TypeAlias = "tuple[str, Choice, Meaning | Lack | Elsewhere | None]"
"""What a line grants on one kind of scope: the scopes, and the meaning of its role there; `None` where it selects none."""


def resolve(
    declaration: Declaration,
    instance: str,
    traits: Traits,
    live: Live | None,
    *,
    as_of: datetime,
    memory: Memory | None = None,
) -> Desired:
    """Return the wanted state of one instance at `as_of`.

    `traits` and `live` are those of the server. Before it was asked, `traits` are the widest of its platform and `live`
    is `None`; then selectors stand for themselves. `memory` holds the users whom the last run knew. Diagnostics that
    are about no key are errors of the file that only the live state can show.
    """
    people = identities(declaration, instance, traits, live, as_of=as_of, memory=memory)
    draft = Draft(traits, live.access if live is not None else Access(), diagnostics=people.diagnostics)
    here = declaration.instances[instance]
    native = here.native and "group" in traits.manages
    suspects = Suspects(declaration)
    principals = Principals(
        declaration, instance, people.by_handle, expand(declaration.groups), native, live, as_of, draft, suspects.groups
    )  # fmt: skip
    scopes = {kind: _index_scopes(declaration, instance, live, kind) for kind in SITE_KINDS}
    holding = Holding(declaration, people.by_handle, principals.groups, memory, live)
    resolution = _Resolution(
        declaration, instance, traits, live, as_of, people, draft, principals, scopes, holding, suspects, memory,
    )  # fmt: skip
    return resolution.desired()


def _index_scopes(declaration: Declaration, instance: str, live: Live | None, kind: str) -> Scopes | Unresolved:
    if live is None:
        return Unresolved(declaration.sites, instance, kind)
    scopes = Scopes(declaration.sites, instance, live, kind)
    scopes.manage(declaration.instances[instance].manages)
    return scopes


class _Resolution(Struct):
    """The state of one call of `resolve`; `_meanings` are those found so far, by role, extras and kind of scope."""

    declaration: Declaration
    instance: str
    traits: Traits
    live: Live | None
    as_of: datetime
    people: Identities
    draft: Draft
    principals: Principals
    scopes: Mapping[str, Scopes | Unresolved]
    holding: Holding
    suspects: Suspects
    memory: Memory | None
    _meanings: dict[tuple[str, frozenset[str] | None, str], Meaning | Lack | Elsewhere] = {}

    def desired(self) -> Desired:
        """Return everything the file wants here."""
        self._hold_users()
        for line in self.declaration.grants or ():
            if line.reaches(self.instance):
                self._resolve_line(line)
        for lost in self.declaration.faults.lost:
            self.holding.hold_lost(lost, self.instance, self.scopes["site"])
        self.principals.keep_named_groups()
        self._want_accounts()
        modules = self._want_modules()
        subsumed = self._subsume()
        self._end_live_access()
        draft, here = self.draft, self.declaration.instances[self.instance]
        scopes = self.scopes["site"]
        public = (
            {} if isinstance(scopes, Unresolved) else find_public(self.declaration, here, self.traits, scopes, draft)
        )
        held = draft.held
        if not all(held.values()):  # who has nothing left is in no access
            held = {subject: rights for subject, rights in held.items() if rights}
        return Desired(
            access=Access.held_by(held, draft.others, draft.sequence),
            origins=ByKey(draft.other_origins, draft.held_origins, draft.sequence),
            declared_users=self.people.declared_users,
            ended=draft.ended,
            managed=self._find_managed(),
            public={scope: wish for scope, (wish, _) in public.items()},
            closed_at={scope: at for scope, (wish, at) in public.items() if not wish},
            closed=here.location.at("public") if here.closed else None,
            subsumed=subsumed,
            modules=modules,
            claims=draft.claims,
            names=self._find_names(),
            renamed=self.people.renamed,
            memberships=self.principals.groups,
            awaited=draft.awaited,
            empty=self.declaration.grants == () and not self.declaration.faults.lost,
            flawed=self.declaration.faults is not NO_FAULTS
            or any(diagnostic.blocks and diagnostic.about is None for diagnostic in draft.diagnostics),
            held=self.holding.held(),
            beyond=find_beyond(here, self.people, draft, self.live, self.scopes, self.memory),
            diagnostics=tuple(draft.diagnostics),
        )

    def _resolve_line(self, line: Line) -> None:
        parts: list[_Part] = []
        if line.sites:
            parts.append(self._part_of(line, "site", self.scopes["site"].choose(line.sites, line.bound)))
        if line.metasites:
            parts.append(self._part_of(line, "metasite", self.scopes["metasite"].choose(line.metasites, line.bound)))
        if not parts:
            parts.append(self._part_of(line, "instance", _INSTANCE))
        at = self.suspects.cause(line) or self._report_problems(line, parts)
        for _, choice, means in parts:
            if isinstance(means, Meaning):
                principals = self.principals.of(line.to)
                for principal in principals:
                    known = principal.identity is None or principal.identity.account not in self.holding.users
                    gives, shared = at is None and known, len(principals) > 1
                    self._want_grants(line, means, choice, principal, gives=gives, shared=shared)
        if at is not None:
            self._hold(line, parts, at)

    def _part_of(self, line: Line, kind: str, choice: Choice) -> _Part:
        """Return a kind of scope with what a line selects there, and what its role means there."""
        key = (line.role, line.extras, kind)
        means = self._meanings.get(key)
        if means is None:
            means = meaning(self.declaration.roles, line.role, line.extras, self.traits, kind)
            self._meanings[key] = means
        return kind, choice, means if choice.scopes else None

    def _report_problems(self, line: Line, parts: Sequence[_Part]) -> Span | None:
        """Add what is to be said of a line; return the place of what cannot be resolved in it, if anything."""
        found: Span | None = None
        for kind, choice, means in parts:
            if not choice.remarkable and isinstance(means, Meaning):
                continue  # as nearly all
            remarks = [*self._describe_choice(line, kind, choice)] if choice.remarkable else []
            if isinstance(means, Lack):
                remarks.append(error(means.code, means.message, at=line.location.at("role"), hint=means.hint))
            for remark in remarks:
                self.draft.say(replace(remark, local=True) if remark.blocks else remark)
                found = found or (remark.at if remark.blocks else None)
            vanished = choice.idle and not choice.scopes and self._were_here(line, kind, choice.idle)
            found = found or (line.at if vanished else None)
        self.principals.of(line.to)
        if line.to in self.principals.nameless and any(choice.scopes for _, choice, _ in parts):
            self.principals.refuse_nameless(line.to)
        return found or self.principals.refused.get(line.to)

    def _hold(self, line: Line, parts: Sequence[_Part], at: Span) -> None:
        """Hold what all have whom a line in error names, or, where some of them are not known, all on its scopes."""
        self.holding.hold_names(line.to, at)
        if not self.suspects.is_whole(line) or line.to in self.principals.refused:
            scopes = [scope for _, choice, _ in parts for scope in choice.scopes]
            whole = not any(choice.missing or choice.idle for _, choice, _ in parts)
            self.holding.hold_scopes(scopes, at, whole=whole)

    def _hold_users(self) -> None:
        """Hold the users whose own row is in error, or of whom the row tells no login here."""
        for handle, at in self.declaration.faults.users.items():
            self.holding.hold_user(handle, at, gains=False)
        self._refuse_ourselves()
        modules = self.traits.roles.get("module", ())
        for user in self.declaration.users.values():
            if user.handle not in self.people.by_handle:
                self.holding.hold_user(user.handle, user.at, gains=True)
            elif self.instance in user.modules and not modules:
                at = user.location.at("modules", self.instance)
                message = f"{self.traits.platform} has no modules to switch"
                self.draft.say(error("no-modules", message, at=at, local=True))
                self.holding.hold_user(user.handle, at, gains=False)
            if self.instance in user.ids and self.live is not None and self.traits.ids == "none":
                at = user.location.at("ids", self.instance)
                message = f"{self.traits.platform} shows no id of accounts here, so `ids` can confirm nobody"
                self.draft.say(error("no-account-ids", message, at=at, local=True))
                self.holding.hold_user(user.handle, at, gains=False)

    def _want_grants(
        self, line: Line, means: Meaning, choice: Choice, principal: Principal, *, gives: bool, shared: bool
    ) -> None:
        """Want the grants of one line for one subject, or remember that they are over or not yet due.

        A line that gives nothing keeps what is live of it; a `shared` one is for others too.
        """
        now = principal.usual
        if line.window is not ALWAYS:
            now = standing(line.window, principal.ways, principal.identity, line.at, self.as_of)
        subject, identity, draft = principal.subject, principal.identity, self.draft
        if now.way is None:
            self._end_grants(line, choice, principal, now.over)
            return
        via = now.way.via if means.via is None else (*now.way.via, means.via)
        ticket, reason = _causes(now.way, line, identity)
        origin = Origin(line.at, via, ticket, reason, now.until)
        over = now.until is not None and ends(line.window, principal.ways)
        # Of several ways one may end now and another begin later: what is given so does not end for good.
        resumes = now.until is not None and not over and (identity is None or identity.user.window.end is None)
        if identity is not None and gives:
            draft.wanted.setdefault(identity.user.handle, origin)
            if identity.awaited:
                draft.awaited |= {grant_key(subject, scope): origin for scope in choice.scopes}
                return
        gift = Gift(subject, means.role.name, means.extras, origin, over, resumes, shared)
        if choice.plain and gives and not resumes and draft.give_block(gift, choice):
            return
        scopes = choice.scopes if gives else self._live_ones(choice, means, subject)
        for wish in draft.give_each(gift, scopes, choice.matches):
            if choice.ambiguous and wish.scope in choice.ambiguous:
                self._refuse_ambiguous(wish.key, choice, line, wish.scope)

    def _end_grants(self, line: Line, choice: Choice, principal: Principal, over: Ended | None) -> None:
        """Record that what one line gives one subject is over or not yet due, where it is (`over`)."""
        if over is not None:
            ended = _tell_why(over, line, principal.identity)
            for scope in choice.scopes:
                key = grant_key(principal.subject, scope)
                known = self.draft.ended.setdefault(key, ended)
                if ended.tells_more(known):
                    self.draft.ended[key] = ended

    def _live_ones(self, choice: Choice, means: Meaning, subject: Subject) -> Iterator[Scope]:
        """Yield the scopes on which what a line would give is live already, so that it is no gain there."""
        for scope in choice.scopes:
            kind, rank = scope.kind, self.traits.rank
            have = self.live.access.grant(subject, scope) if self.live is not None else None
            if have is None or rank(kind, have.role) < rank(kind, means.role.name):
                continue
            if (means.extras or frozenset()) <= (have.extras or frozenset()):
                yield scope

    # -- where a grant holds

    def _describe_choice(self, line: Line, kind: str, choice: Choice) -> Iterator[Diagnostic]:
        """Yield what is wrong with the selectors of a line on this instance."""
        key = f"{kind}s"
        alone = line.on == (self.instance,) or len(self.declaration.instances) == 1
        missing = choice.missing if alone else self._were_here(line, kind, choice.missing)
        idle = choice.idle if alone else ()
        if missing or idle:
            yield from describe_unmatched(line, kind, missing, idle, {self.instance: self.scopes[kind]})
        yield from self._lost_exclusions(line, kind, choice, alone=alone)
        for number, sites in choice.skipped.items():
            if alone and number in choice.idle:
                continue  # the warning about it lists them already
            message = f"`{line.named(kind)[number]}` skips {list_sites(sites)}, matched by id alone"
            yield note("skips-sites", message, at=line.location.at(key, number), hint=PIN)
        for scope in choice.beyond:
            yield error("beyond-include", f"this file may not grant on {scope}", at=line.location.at(key))
        # A grant without `on` is meant for the instances that manage the site; with `on` it was meant for this one.
        meant = line.on is not None or len(self.declaration.instances) == 1
        for scope in choice.unmanaged:
            message = f"{scope} is out of scope: `manages` does not cover it on {self.instance}"
            hint = "nothing is granted or taken there"
            diagnostic = warning("not-managed", message, at=line.location.at(key), hint=hint)
            yield diagnostic if meant else replace(diagnostic, severity=Severity.NOTE)

    def _were_here(self, line: Line, kind: str, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Return which of the sites that a line names, and that are not here, the last run left access to."""
        written = line.named(kind)
        return tuple(number for number in numbers if self.holding.was_here(kind, written[number]))

    def _lost_exclusions(self, line: Line, kind: str, choice: Choice, *, alone: bool) -> Iterator[Diagnostic]:
        """Yield an error for each site that a line leaves out and that is not there: it may have another name now."""
        written = line.named(kind)
        for number in (
            choice.unmatched_exclusions if alone else self._were_here(line, kind, choice.unmatched_exclusions)
        ):
            message = f"no {kind} of {self.instance} is called `{written[number].removeprefix('!')}`, which this line leaves out"
            hint = "nothing is given by this line until it names a live site, or no longer leaves this one out"
            yield error("unknown-site", message, at=line.location.at(f"{kind}s", number), hint=hint)

    def _refuse_ambiguous(self, key: Key, choice: Choice, line: Line, scope: Scope) -> None:
        name, scopes = choice.ambiguous[scope], self.scopes[scope.kind]
        if not isinstance(scopes, Scopes):
            return
        ids = scopes.ids(candidate for candidate, selector in choice.ambiguous.items() if selector == name)
        number = line.named(scope.kind).index(name)
        message = f"`{name}` means several sites of {self.instance}: {ids}"
        hint = f"declare it under `sites` with its id: `on: {{{self.instance}: ID}}`"
        self.draft.say(
            error("ambiguous-site", message, about=key, at=line.location.at(f"{scope.kind}s", number), hint=hint)
        )

    def _find_managed(self) -> frozenset[Scope] | None:
        """Return the live scopes that `manages` leaves in; `None` where the files have no `grants`."""
        if self.declaration.grants is None:
            return None
        managed = [scopes.managed for scopes in self.scopes.values() if isinstance(scopes, Scopes)]
        return frozenset[Scope]().union(*managed)

    def _find_names(self) -> Mapping[Scope, frozenset[str]]:
        """Return the handles, domains and tags that the file has for live sites."""
        by_kind = (scopes.names() for scopes in self.scopes.values() if isinstance(scopes, Scopes))
        return {scope: names for by_scope in by_kind for scope, names in by_scope.items()}

    def _refuse_ourselves(self) -> None:
        """Refuse a user that turns out to be the account whose credentials are used."""
        me = self.live.me.lower() if self.live is not None and self.live.me is not None else None
        for identity in self.people.by_handle.values() if me is not None else ():
            if identity.account.lower() == me:
                message = f"`{identity.account}` is the account Siteward itself uses on {self.instance}"
                hint = "`self` is always protected and never declared"
                self.draft.say(error("self-declared", message, at=identity.user.at, hint=hint, local=True))
                self.holding.hold_user(identity.user.handle, identity.user.at, gains=False)

    def _want_accounts(self) -> None:
        """Want the accounts of users who are granted something, and those that `accounts` asks for."""
        wanted = self.draft.wanted
        for user in self.declaration.users.values():
            identity = self.people.by_handle.get(user.handle) if self.instance in user.accounts else None
            known = identity is not None and identity.account not in self.holding.users
            if known and identity is not None and identity.ending is None:
                wanted.setdefault(user.handle, Origin(user.at, ticket=user.ticket, reason=user.reason))
        sets_email = self.traits.keeps_email and self.traits.login != "email"
        for handle, origin in wanted.items():
            identity = self.people.by_handle[handle]
            if identity.awaited:
                self._say_awaited(identity, origin)
                continue
            email = identity.user.email if sets_email and not identity.managed else None
            language = identity.user.language if self.traits.keeps_language and not identity.managed else None
            self.draft.want(Account(identity.account, email, language, identity.renamed), origin)

    def _say_awaited(self, identity: Identity, origin: Origin) -> None:
        """Add the warning that a user is granted something and that the account is not made yet, by whatever makes it."""
        user, manager = identity.user, identity.user.manager(self.declaration.instances[self.instance])
        maker = "the directory makes it" if manager == "directory" else "the first sign-in makes it"
        message = f"`{user.handle}` has no account {identity.account} on {self.instance} yet, and is given nothing"
        hint = f"{maker}; what the file grants follows with the next plan"
        related = (origin.at,) if origin.at != user.at else ()
        self.draft.say(warning("account-not-there", message, at=user.at, hint=hint, related=related, differs=True))

    def _want_modules(self) -> frozenset[str]:
        """Want the modules that users declare, and return the accounts whose modules are declared."""
        roles = self.traits.roles.get("module", ())
        accounts: set[str] = set()
        for user in self.declaration.users.values():
            identity = self.people.by_handle.get(user.handle) if self.instance in user.modules else None
            if identity is None:
                continue
            if not roles or identity.account in self.holding.users:
                continue
            if not self._is_top(identity):
                accounts.add(identity.account)
            if identity.ending is None and self._has_account(identity):
                self._switch_on(user, identity, roles[-1])
        return frozenset(accounts)

    def _has_account(self, identity: Identity) -> bool:
        """Return whether there is an account whose modules can be switched, or will be once it is created."""
        is_live = self.live is None or account_key(identity.account) in self.live.access
        return is_live or (identity.user.handle in self.draft.wanted and not identity.awaited)

    def _is_top(self, identity: Identity) -> bool:
        """Return whether a user is wanted as an admin on a platform where an admin has every module anyway."""
        wish = self.draft.grant(identity.subject, EVERYWHERE)
        return wish is not None and self.traits.admin_excludes_grants and self.traits.is_top(wish)

    def _switch_on(self, user: User, identity: Identity, on: Role) -> None:
        """Want the modules that a user declares; `on` is the platform's role for a module that is switched on."""
        for name in user.modules[self.instance]:
            origin = Origin(user.at, ticket=user.ticket, reason=user.reason)
            self.draft.want(Grant(identity.subject, Scope("module", name), on.name), origin)

    # -- access that ends

    def _subsume(self) -> Mapping[Key, Origin]:
        """Drop the site grants and modules of admins where the platform cannot hold both, and return them."""
        if not self.traits.admin_excludes_grants:
            return {}
        held, claims, kinds = self.draft.held, self.draft.claims, {*SITE_KINDS, "module"}
        subsumed: dict[Key, Origin] = {}
        for subject, rights in list(held.items()):
            if not any(self.traits.is_top(grant) for grant in rights.values()):
                continue
            own, origins = self.draft.of(subject)
            for scope in [scope for scope in own if scope.kind in kinds]:
                wish, origin = own.pop(scope), origins.pop(scope)
                subsumed[wish.key] = origin
                claims.setdefault(wish.key, (Claim(wish, origin, origin.until is not None),))
        return subsumed

    def _end_live_access(self) -> None:
        """Record all live access of users whose time is over as ended, so that every mode lets it end."""
        ended, wanted = self.draft.ended, Access.held_by(self.draft.held, self.draft.others)
        for key in [key for key in ended if key in wanted]:  # another grant still gives it
            del ended[key]
        over = {
            identity.account: identity.ended(identity.ending)
            for identity in self.people.by_handle.values()
            if identity.ending
        }
        if self.live is None or not over:
            return
        for key, resource in self.live.access.items():
            match resource:
                case Member(account=name):
                    known = over.get(name)
                case Grant(subject=subject) if subject.kind == "account":
                    known = over.get(subject.name)
                case _:
                    known = None
            if known is not None:
                ended.setdefault(key, known)


def _causes(way: Way | Ended, line: Line, identity: Identity | None) -> tuple[str | None, str | None]:
    """Return the tickets and the reasons of a membership, the user and the line of `grants`, in this order."""
    if identity is None:
        return joined(way.ticket, line.ticket), joined(way.reason, line.reason)
    user = identity.user
    if way.ticket is way.reason is user.ticket is user.reason is None:
        return line.ticket, line.reason
    return joined(way.ticket, user.ticket, line.ticket), joined(way.reason, user.reason, line.reason)


def _tell_why(over: Ended, line: Line, identity: Identity | None) -> Ended:
    """Return why something is over with the causes of the user and the line, unless the user's own row ends it."""
    if identity is not None and identity.ending is not None:
        return over
    ticket, reason = _causes(over, line, identity)
    return over._replace(ticket=ticket, reason=reason)
