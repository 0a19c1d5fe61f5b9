"""Effective access: the own grants of accounts, those of their groups, and the rights that the top role includes.

Of several ways to one scope the strongest counts; there are no denials. Grants on a meta site and on a site do not
imply each other. The top account role includes everything. A `Ledger` compares live and declared grants of every
account, for matrices and access reviews; there the top account role stands once, on the whole instance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from siteward.access.change import Change
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Member,
    Power,
    Scope,
    Status,
    Subject,
    SubjectKind,
    account_key,
)
from siteward.access.standing import FACT, OWN_ACCOUNT, SUBSUMED, Grounds, covered, declared_access
from siteward.access.state import DeclaredUser, Desired, Live, Origin, through
from siteward.access.traits import Traits, declarable, is_public, is_site


class Way(Struct, frozen=True):
    """One way to access: a grant, and the platform's group that it comes through, if any."""

    grant: Grant
    group: str | None = None
    power: Power = Power.NONE


class Effect(Struct, frozen=True):
    """The effective access of an account on a scope, with the `ways` to it, the strongest first."""

    account: str
    scope: Scope
    power: Power
    ways: tuple[Way, ...] = ()
    active: bool = True

    @property
    def role(self) -> str | None:
        """The native role of the strongest way; `None` without access."""
        return self.ways[0].grant.role if self.ways else None


Agreement = Literal["same", "missing", "extra", "differs"]
Held = tuple[Grant, str | None]
"""A grant, and the platform's group that it comes through, if any."""


Ways = Mapping[Scope, list[Held]]


class Index(Struct, frozen=True, dict=True):
    """An index of one access, computed once: members, groups, and the grants of each account."""

    access: Access

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The platform's groups of each account that is in any, sorted by name."""
        return _group_sorted((member.account, member.group) for member in self.access.members())

    @cached_property
    def members(self) -> Mapping[str, tuple[str, ...]]:
        """The accounts in each group that has any, sorted by name."""
        return _group_sorted((member.group, member.account) for member in self.access.members())

    @cached_property
    def shared(self) -> Mapping[str, tuple[Grant, ...]]:
        """The grants of each group that has any, by scope."""
        return {
            subject.name: tuple([grants[scope] for scope in sorted(grants)])
            for subject, grants in self.access.by_subject()
            if subject.kind == "group"
        }

    @cached_property
    def by_account(self) -> Mapping[str, Ways]:
        """The grants of each account by scope, its own first and then those of its groups."""
        names = dict.fromkeys([subject.name for subject, _ in self.access.by_subject() if subject.kind == "account"])
        names |= dict.fromkeys(
            [name for name, groups in self.groups.items() if not self.shared.keys().isdisjoint(groups)]
        )
        return {name: self.ways(name) for name in names}

    def own(self, kind: SubjectKind, name: str) -> tuple[Grant, ...]:
        """Return the direct grants of an account or a group, without those through groups."""
        if kind == "group":
            return self.shared.get(name, ())
        return tuple(grant for held in self.ways(name).values() for grant, group in held if group is None)

    def ways(self, account: str) -> Ways:
        """Return the grants of an account by scope, directly and through groups."""
        ways = self._ways.get(account)
        if ways is None:
            ways = self._ways[account] = self._collect_ways(account)
        return ways

    @cached_property
    def _ways(self) -> dict[str, Ways]:
        """The ways of the accounts that were asked for."""
        return {}

    def _collect_ways(self, account: str) -> Ways:
        own = self.access.rights(Subject("account", account))
        ways: dict[Scope, list[Held]] = {scope: [(grant, None)] for scope, grant in own.items()}
        for group in self.groups.get(account, ()):
            for grant in self.shared.get(group, ()):
                ways.setdefault(grant.scope, []).append((grant, group))
        return ways

    def ways_to(self, account: str, scope: Scope, traits: Traits) -> list[Held]:
        """Return the grants that give an account access to a scope, the role on the whole instance among them."""
        ways = self.ways(account)
        everywhere = () if scope == EVERYWHERE else ways.get(EVERYWHERE, ())
        return [*ways.get(scope, ()), *(way for way in everywhere if traits.is_top(way[0]))]


def _group_sorted(pairs: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    lists: dict[str, list[str]] = defaultdict(list)
    for name, related in pairs:
        lists[name].append(related)
    return {name: tuple(sorted(names)) for name, names in lists.items()}


def strongest(held: Iterable[Held], traits: Traits) -> Held | None:
    """Return the strongest grant and the group it comes through; of equal ones the direct grant; `None` for none."""
    return max(held, key=lambda way: (*_strength(way[0], traits), way[1] is None), default=None)


def _strength(grant: Grant, traits: Traits) -> tuple[Power, int]:
    """Return by what grants are ordered: their power, then the place of the role among those of its kind."""
    return traits.power(grant), traits.rank(grant.scope.kind, grant.role)


def effective(access: Access, traits: Traits, account: str, scope: Scope, index: Index | None = None) -> Effect:
    """Return the effective access of an account on a scope.

    `index` is that of the same access, for callers that need it for many accounts.
    """
    groups = (index or Index(access)).groups.get(account, ())
    found = _find_ways(access, traits, account, scope, groups)
    ways = sorted(found, key=lambda way: _strongest_first(way, traits))
    held = access.get(account_key(account))
    active = not isinstance(held, Account) or held.status == "active"
    return Effect(account, scope, ways[0].power if ways else Power.NONE, tuple(ways), active)


def who_can(access: Access, traits: Traits, power: Power, scope: Scope) -> tuple[Effect, ...]:
    """Return the effective access of all accounts with at least `power` on `scope`, strongest first, then by name."""
    index = Index(access)
    names = {account.name for account in access.accounts()} | set(index.groups)
    names |= {grant.subject.name for grant in access.grants() if grant.subject.kind == "account"}
    effects = (effective(access, traits, name, scope, index) for name in names)
    able = (effect for effect in effects if effect.ways and effect.power >= max(power, Power.VIEW))
    return tuple(sorted(able, key=lambda effect: (-effect.power, effect.account)))


def _find_ways(access: Access, traits: Traits, account: str, scope: Scope, groups: tuple[str, ...]) -> Iterator[Way]:
    subjects = (Subject("account", account), *(Subject("group", group) for group in groups))
    for subject in subjects:
        group = subject.name if subject.kind == "group" else None
        everywhere = access.grant(subject, EVERYWHERE)
        if everywhere is not None and (traits.is_top(everywhere) or scope == EVERYWHERE):
            yield Way(everywhere, group, traits.power(everywhere))
        here = access.grant(subject, scope) if scope != EVERYWHERE else None
        if here is not None:
            yield Way(here, group, traits.power(here))


def _strongest_first(way: Way, traits: Traits) -> tuple[int, int, bool, str, str]:
    power, rank = _strength(way.grant, traits)
    return (-power, -rank, way.group is not None, way.group or "", way.grant.role)


class Reach(Struct, frozen=True):
    """The accounts and groups that have access to anything, and the groups of each account.

    Grants that give no access by themselves do not count: lingering roles (Umami's global `user`), and teams without
    sites. `changed` is by how many of those that count changes have made a subject's more or fewer: of a million grants a
    few change, and only as many are looked at as it takes to know.
    """

    access: Access
    traits: Traits
    groups: Mapping[str, frozenset[str]]
    changed: Mapping[Subject, int]

    def has_access(self, account: str) -> bool:
        """Return whether an account has access to anything, directly or through groups."""
        groups = self.groups.get(account, ())
        return self._opens_any(Subject("account", account)) or any(
            self._opens_any(Subject("group", group)) for group in groups
        )

    def _opens_any(self, subject: Subject) -> bool:
        more = self.changed.get(subject, 0)
        opening = (True for grant in self.access.rights(subject).values() if opens(grant, self.traits))
        return more > 0 or next(islice(opening, -more, None), False)


def reach(access: Access, traits: Traits) -> Reach:
    """Return the reach of all accounts and groups."""
    groups = {account: frozenset(groups) for account, groups in Index(access).groups.items()}
    return Reach(access, traits, groups, {})


def reach_after(before: Reach, changes: Iterable[Change]) -> Reach:
    """Return the reach of all after these changes, computed from the reach before and the changes alone."""
    changed, groups = Counter(before.changed), dict(before.groups)
    for change in changes:
        for resource, sign in ((change.before, -1), (change.after, 1)):
            match resource:
                case Grant(subject=subject):
                    changed[subject] += sign if opens(resource, before.traits) else 0
                case Member(group=group, account=account):
                    own = groups.get(account, frozenset())
                    groups[account] = own | {group} if sign > 0 else own - {group}
                case _:
                    pass
    return Reach(before.access, before.traits, groups, changed)


def opens(grant: Grant, traits: Traits) -> bool:
    """Return whether a grant gives access by itself; a scope of the kind `team` is a team without sites."""
    return grant.scope.kind != "team" and (grant.scope.kind, grant.role) not in traits.lingering


class Holding(Struct, frozen=True, kw_only=True):
    """The strongest live and declared grant of one account on one scope, with the origin of the declared one.

    `group` is the platform's own group that the live grant comes through. `pending` is true if it has yet to be
    accepted. `stands` is true if the live grant is more than declared and still no difference, and `why` says in words
    why: a fact such as ownership, a lingering role, or a grant of the account in use. `unmet` is true if the
    account's own grant is another one than is declared, also where a group gives as much.
    """

    scope: Scope
    live: Grant | None = None
    declared: Grant | None = None
    live_power: Power = Power.NONE
    declared_power: Power = Power.NONE
    group: str | None = None
    origin: Origin | None = None
    pending: bool = False
    stands: bool = False
    why: str | None = None
    unmet: bool = False

    @property
    def agreement(self) -> Agreement:
        """The relation of live and declared; `missing` is declared only, `extra` is live only."""
        if self.stands:
            return "same"
        if self.live is None or self.declared is None:
            return "missing" if self.live is None else "extra"
        same = (self.live.role, self.live.extras) == (self.declared.role, self.declared.extras)
        return "same" if same and not self.unmet else "differs"


class Entry(Struct, frozen=True, kw_only=True):
    """One account of an instance with all its holdings.

    `kind` is the declared user's, else `undeclared`, `self` or `public`. `facts` are the platform's data about the
    account (`created`, `last_seen`).
    """

    account: str
    kind: str
    handle: str | None = None
    email: str | None = None
    status: Status = "active"
    until: datetime | None = None
    facts: Mapping[str, str] = MappingProxyType({})
    holdings: tuple[Holding, ...] = ()


class Ledger(Struct, frozen=True, kw_only=True):
    """All entries of one instance. Where it is not `complete`, more may be live than is listed.

    `last_seen` is true if the platform keeps when an account was last used.
    """

    instance: str
    platform: str
    origin: str = ""
    complete: bool = True
    last_seen: bool = True
    sites: tuple[Scope, ...] = ()
    entries: tuple[Entry, ...] = ()


def ledger(instance: str, origin: str, desired: Desired, live: Live, traits: Traits) -> Ledger:
    """Return the ledger of an instance, its entries in the order of account names."""
    compared = compare(desired, live, traits)
    wish = compared.grounds.wanted
    names = (
        {account.name for access in (live.access, wish) for account in access.accounts()}
        | compared.live.by_account.keys()
        | compared.wish.by_account.keys()
    )
    scopes = {grant.scope for access in (live.access, wish) for grant in access.grants() if is_site(grant.scope)}
    return Ledger(
        instance=instance,
        platform=traits.platform,
        origin=origin,
        complete=live.complete,
        last_seen=traits.last_seen,
        sites=tuple(sorted(scopes | {site for site in live.sites if is_site(site)})),
        entries=tuple(_build_entry(name, compared) for name in sorted(names)),
    )


def compare(desired: Desired, live: Live, traits: Traits) -> Comparison:
    """Return the comparison of the declared and the live access of an instance."""
    wish = declared_access(desired, live, traits)
    grounds = Grounds(live=live, desired=desired, traits=traits, wanted=wish)
    return Comparison(grounds=grounds, live=Index(live.access), wish=Index(wish))


class Comparison(Struct, frozen=True, kw_only=True):
    """The live and the declared grants by holder, and the facts by which differences are judged."""

    grounds: Grounds
    live: Index
    wish: Index

    def leave(self, grant: Grant, account: str) -> str | None:
        """Return why a live grant that nobody declares is no difference; `None` where it is one."""
        desired, live = self.grounds.desired, self.grounds.live
        declared_user = desired.declared_users.get(account)
        if declared_user is not None:
            return self.grounds.leave(grant, account, declared_user.ending)
        if _classify(account, None, live, self.grounds.traits) == "self":
            return OWN_ACCOUNT
        return None if declarable(grant, self.grounds.traits) else FACT

    def exceeds(self, way: Held, account: str, scope: Scope) -> bool:
        """Return whether a way of an account gives more than is declared, and that is a difference."""
        traits = self.grounds.traits
        whole = way[1] is not None or traits.admin_excludes_grants
        own = self.wish.ways(account).get(way[0].scope, ())  # an admin's right on a site is the one on the instance
        declared = self.wish.ways_to(account, scope, traits) if whole else own
        return not covered(way[0], (grant for grant, _ in declared), traits) and self.leave(way[0], account) is None

    def agreement(self, account: str, scope: Scope) -> Agreement:
        """Return the relation of all that an account has on a scope, its role on the whole instance among it."""
        traits = self.grounds.traits
        ways = self.live.ways_to(account, scope, traits)
        held = [grant for grant, _ in ways]
        wished = [grant for grant, _ in self.wish.ways_to(account, scope, traits)]
        if not held:
            return "missing" if wished else "same"
        if any(self.exceeds(way, account, scope) for way in ways):
            return "differs" if wished else "extra"
        lacks = any(not covered(wish, held, traits) for wish in wished)
        return "differs" if lacks or self.own_differs(account, scope) else "same"

    def own_differs(self, account: str, scope: Scope) -> bool:
        """Return whether the grant of the account itself is another one than is declared, and that is a difference."""
        held, wished = (
            next((grant for grant, group in index.ways(account).get(scope, ()) if group is None), None)
            for index in (self.live, self.wish)
        )
        if held == wished or held is None:
            return held != wished
        less = wished is not None and covered(held, (wished,), self.grounds.traits)
        return less or self.leave(held, account) is None


def _build_entry(name: str, compared: Comparison) -> Entry:
    desired, live = compared.grounds.desired, compared.grounds.live
    declared_user, key = desired.declared_users.get(name), account_key(name)
    have = live.access.get(key) or compared.grounds.wanted.get(key)
    account = have if isinstance(have, Account) else Account(name)
    return Entry(
        account=name,
        kind=_classify(name, declared_user, live, compared.grounds.traits),
        handle=declared_user.handle if declared_user else None,
        email=account.email or (declared_user.email if declared_user else None),
        status="pending" if key in live.pending else account.status,
        until=declared_user.until if declared_user else None,
        facts=live.facts.get(key, MappingProxyType({})),
        holdings=tuple(_build_holdings(name, compared)),
    )


def _classify(name: str, declared_user: DeclaredUser | None, live: Live, traits: Traits) -> str:
    if declared_user is not None:
        return declared_user.kind
    if live.is_self(name):
        return "self"
    return "public" if is_public(traits, name) else "undeclared"


def _build_holdings(account: str, compared: Comparison) -> Iterator[Holding]:
    """Yield the holding of each scope on which an account has a live or a declared grant."""
    have, wish = compared.live.ways(account), compared.wish.ways(account)
    for scope in sorted(have.keys() | wish.keys()):
        yield _build_holding(account, scope, have.get(scope, ()), wish.get(scope, ()), compared)


def _build_holding(
    account: str, scope: Scope, have: Sequence[Held], wish: Sequence[Held], compared: Comparison
) -> Holding:
    traits = compared.grounds.traits
    plain = len(have) == len(wish) == 1 and have[0] == wish[0]  # as nearly all
    own_differs = not plain and compared.own_differs(account, scope)
    beyond = [] if plain else [way for way in have if compared.exceeds(way, account, scope)]
    now, group = strongest(beyond or have, traits) or (None, None)
    wanted, by = strongest(wish, traits) or (None, None)
    origins = compared.grounds.desired.origins
    origin = origins.get(wanted.key) if wanted else None
    if origin is not None and by is not None:
        origin = through(origin, origins.get(Member(by, account).key))
    why = None
    if now is not None and not beyond and not covered(now, (grant for grant, _ in wish), traits):
        why = compared.leave(now, account) or SUBSUMED
    return Holding(
        scope=scope,
        live=now,
        declared=wanted,
        live_power=traits.power(now),
        declared_power=traits.power(wanted),
        group=group,
        origin=origin,
        pending=now is not None and now.key in compared.grounds.live.pending,
        stands=why is not None and not own_differs,
        why=why,
        unmet=own_differs,
    )
