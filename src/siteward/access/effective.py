"""Effective access: the own grants of accounts, those of their groups, and the rights that admins have anyway.

Of several ways to one scope the strongest counts; nothing denies. Grants on a meta site and on a site do not
imply each other. Whoever holds the top account role has everything. A `Ledger` sets who holds what live beside what is
declared, for matrices and access reviews; there the top account role is told once, on the whole instance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

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
from siteward.access.state import DeclaredUser, Desired, Live, Origin, with_defaults
from siteward.access.traits import Traits, declarable, is_public, is_site


class Way(Struct, frozen=True):
    """One way on which somebody has access: a grant, and the group of the platform it came through, if one."""

    grant: Grant
    group: str | None = None
    power: Power = Power.NONE


class Effect(Struct, frozen=True):
    """The effective access of an account on a scope; `ways` lead there, the one that counts first."""

    account: str
    scope: Scope
    power: Power
    ways: tuple[Way, ...] = ()
    active: bool = True

    @property
    def role(self) -> str | None:
        """The native role of the way that counts."""
        return self.ways[0].grant.role if self.ways else None


Agreement = Literal["same", "missing", "extra", "differs"]
Held = tuple[Grant, str | None]
"""A grant, and the group of the platform that it comes through, if one."""


Ways = Mapping[Scope, list[Held]]


class Index(Struct, frozen=True, dict=True):
    """The grants of one access by holder, found once for all who ask: members, groups, and the grants of each account."""

    access: Access

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The platform's own groups of each account that is in any, by name."""
        return _group_sorted((member.account, member.group) for member in self.access.members())

    @cached_property
    def members(self) -> Mapping[str, tuple[str, ...]]:
        """The accounts in each group that has any, by name."""
        return _group_sorted((member.group, member.account) for member in self.access.members())

    @cached_property
    def shared(self) -> Mapping[str, tuple[Grant, ...]]:
        """The grants of each group that has any, by scope."""
        found: dict[str, list[Grant]] = defaultdict(list)
        for grant in self.access.grants():
            if grant.subject.kind == "group":
                found[grant.subject.name].append(grant)
        return {group: tuple(sorted(grants, key=lambda grant: grant.scope)) for group, grants in found.items()}

    @cached_property
    def by_account(self) -> Mapping[str, Ways]:
        """The grants of each account by scope, its own first and then those of its groups."""
        found: dict[str, dict[Scope, list[Held]]] = defaultdict(lambda: defaultdict(list))
        for grant in self.access.grants():
            if grant.subject.kind == "account":
                found[grant.subject.name][grant.scope].append((grant, None))
        for account, groups in self.groups.items() if self.shared else ():
            for group in groups:
                for grant in self.shared.get(group, ()):
                    found[account][grant.scope].append((grant, group))
        return found

    def own(self, kind: SubjectKind, name: str) -> tuple[Grant, ...]:
        """Return the grants of an account or a group itself, without those of the groups an account is in."""
        if kind == "group":
            return self.shared.get(name, ())
        return tuple(grant for held in self.ways(name).values() for grant, group in held if group is None)

    def ways(self, account: str) -> Ways:
        """Return the grants of an account by scope."""
        return self.by_account.get(account, {})


def _group_sorted(pairs: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(sorted(values)) for key, values in found.items()}


def strongest(held: Iterable[Held], traits: Traits) -> Held | None:
    """Return the grant that counts and the group it comes through; between equals, one's own; `None` for none."""
    return max(held, key=lambda way: (traits.power(way[0]), way[1] is None), default=None)


def effective(access: Access, traits: Traits, account: str, scope: Scope, index: Index | None = None) -> Effect:
    """Return what `account` can do on `scope`, with every way that leads there, strongest first.

    `index` is that of the same access, for callers that ask for many.
    """
    groups = (index or Index(access)).groups.get(account, ())
    ways = sorted(_ways(access, traits, account, scope, groups), key=_strongest_first)
    held = access.get(account_key(account))
    active = not isinstance(held, Account) or held.status == "active"
    return Effect(account, scope, ways[0].power if ways else Power.NONE, tuple(ways), active)


def who_can(access: Access, traits: Traits, power: Power, scope: Scope) -> tuple[Effect, ...]:
    """Return everybody who has at least `power` on `scope` in effect, strongest first, then by name."""
    index = Index(access)
    names = {account.name for account in access.accounts()} | set(index.groups)
    names |= {grant.subject.name for grant in access.grants() if grant.subject.kind == "account"}
    found = (effective(access, traits, name, scope, index) for name in names)
    able = (effect for effect in found if effect.ways and effect.power >= max(power, Power.VIEW))
    return tuple(sorted(able, key=lambda effect: (-effect.power, effect.account)))


def _ways(access: Access, traits: Traits, account: str, scope: Scope, groups: tuple[str, ...]) -> Iterator[Way]:
    subjects = (Subject("account", account), *(Subject("group", group) for group in groups))
    for subject in subjects:
        group = subject.name if subject.kind == "group" else None
        everywhere = access.grant(subject, EVERYWHERE)
        if everywhere is not None and (traits.is_top(everywhere) or scope == EVERYWHERE):
            yield Way(everywhere, group, traits.power(everywhere))
        here = access.grant(subject, scope) if scope != EVERYWHERE else None
        if here is not None:
            yield Way(here, group, traits.power(here))


def _strongest_first(way: Way) -> tuple[int, bool, str, str]:
    return (-way.power, way.group is not None, way.group or "", way.grant.role)


class Reach(Struct, frozen=True):
    """On how many scopes each account and group has access, and who is in which group.

    What opens nothing by itself does not count: what lingers (Umami's global `user`), and teams without sites.
    """

    scopes: Counter[tuple[str, str]]
    groups: Mapping[str, frozenset[str]]

    def of(self, account: str) -> int:
        """Return on how many scopes an account has access, by itself and through its groups."""
        return self.scopes["account", account] + sum(
            self.scopes["group", group] for group in self.groups.get(account, ())
        )


def reach(access: Access, traits: Traits) -> Reach:
    """Return how far the access of everybody reaches."""
    lingering = _lingering(traits)
    scopes: Counter[tuple[str, str]] = Counter(
        [(grant.subject.kind, grant.subject.name) for grant in access.grants() if _opens(grant, lingering)]
    )
    return Reach(scopes, {account: frozenset(groups) for account, groups in Index(access).groups.items()})


def reach_after(before: Reach, changes: Iterable[Change], traits: Traits) -> Reach:
    """Return how far everybody reaches once these changes are made, without looking at anything else."""
    lingering, scopes, groups = _lingering(traits), before.scopes.copy(), dict(before.groups)
    for change in changes:
        for side, sign in ((change.before, -1), (change.after, 1)):
            match side:
                case Grant(subject=subject):
                    scopes[subject.kind, subject.name] += sign if _opens(side, lingering) else 0
                case Member(group=group, account=account):
                    mine = groups.get(account, frozenset())
                    groups[account] = mine | {group} if sign > 0 else mine - {group}
                case _:
                    pass
    return Reach(scopes, groups)


def _opens(grant: Grant, lingering: frozenset[tuple[str, str]]) -> bool:
    """Tell whether a grant opens anything by itself; a scope of the kind `team` is one that has no site."""
    return grant.scope.kind != "team" and (grant.scope.kind, grant.role) not in lingering


def _lingering(traits: Traits) -> frozenset[tuple[str, str]]:
    return frozenset((kind, role.name) for kind, roles in traits.roles.items() for role in roles if role.lingers)


class Holding(Struct, frozen=True, kw_only=True):
    """The grants of one account on one scope: the strongest grant on each side, and why it is declared.

    `group` is the platform's own group that the live grant comes through. `pending` is true if somebody has yet to
    accept. `stands` is true if the live grant is no difference though nobody declares it: a fact such as ownership, a
    role that silence does not take, or what the account in use has.
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

    @property
    def agreement(self) -> Agreement:
        """The relation of live and declared; `missing` is declared only, `extra` is live only."""
        if self.stands:
            return "same"
        if self.live is None or self.declared is None:
            return "missing" if self.live is None else "extra"
        same = (self.live.role, self.live.extras) == (self.declared.role, self.declared.extras)
        return "same" if same else "differs"


class Entry(Struct, frozen=True, kw_only=True):
    """One account of an instance with all it holds.

    `kind` is the declared user's, else `undeclared`, `self` or `public`. `facts` are the platform's words about the
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
    """All entries of one instance. Where it is not `complete`, more may be live than is told."""

    instance: str
    platform: str
    origin: str = ""
    complete: bool = True
    sites: tuple[Scope, ...] = ()
    entries: tuple[Entry, ...] = ()


def ledger(instance: str, origin: str, desired: Desired, live: Live, traits: Traits) -> Ledger:
    """Return who holds what on an instance, in the order of names."""
    wish = with_defaults(desired, live, traits)
    sides = Index(live.access), Index(wish)
    names = (
        {account.name for access in (live.access, wish) for account in access.accounts()}
        | sides[0].by_account.keys()
        | sides[1].by_account.keys()
    )
    scopes = {grant.scope for access in (live.access, wish) for grant in access.grants() if is_site(grant.scope)}
    return Ledger(
        instance=instance,
        platform=traits.platform,
        origin=origin,
        complete=live.complete,
        sites=tuple(sorted(scopes | {site for site in live.sites if is_site(site)})),
        entries=tuple(_entry_of(name, desired, live, wish, sides, traits) for name in sorted(names)),
    )


def _entry_of(
    name: str,
    desired: Desired,
    live: Live,
    wish: Access,
    sides: tuple[Index, Index],
    traits: Traits,
) -> Entry:
    declared_user, key = desired.declared_users.get(name), account_key(name)
    have = live.access.get(key) or wish.get(key)
    account = have if isinstance(have, Account) else Account(name)
    return Entry(
        account=name,
        kind=_kind_of(name, declared_user, live, traits),
        handle=declared_user.handle if declared_user else None,
        email=account.email or (declared_user.email if declared_user else None),
        status="pending" if key in live.pending else account.status,
        until=declared_user.until if declared_user else None,
        facts=live.facts.get(key, MappingProxyType({})),
        holdings=tuple(
            replace(
                holding, stands=holding.declared is None and _stands(holding.live, name, declared_user, live, traits)
            )
            for holding in _holdings(sides[0].ways(name), sides[1].ways(name), desired, live, traits)
        ),
    )


def _kind_of(name: str, declared_user: DeclaredUser | None, live: Live, traits: Traits) -> str:
    if declared_user is not None:
        return declared_user.kind
    if live.me is not None and name.casefold() == live.me.casefold():
        return "self"
    return "public" if is_public(traits, name) else "undeclared"


def _stands(grant: Grant | None, name: str, declared_user: DeclaredUser | None, live: Live, traits: Traits) -> bool:
    """Return whether a live grant that nobody declares is left alone all the same."""
    if grant is None:
        return False
    if _kind_of(name, declared_user, live, traits) == "self" or not declarable(grant, traits):
        return True
    role = traits.role(grant.scope.kind, grant.role)
    return bool(role and role.lingers and declared_user is not None and declared_user.ending is None)


def _holdings(have: Ways, wish: Ways, desired: Desired, live: Live, traits: Traits) -> Iterator[Holding]:
    for scope in sorted(have.keys() | wish.keys()):
        now, group = strongest(have.get(scope, ()), traits) or (None, None)
        wanted, _ = strongest(wish.get(scope, ()), traits) or (None, None)
        yield Holding(
            scope=scope,
            live=now,
            declared=wanted,
            live_power=traits.power(now),
            declared_power=traits.power(wanted),
            group=group,
            origin=desired.origins.get(wanted.key) if wanted else None,
            pending=now is not None and now.key in live.pending,
        )
