"""Who holds what on one instance, live and declared side by side: what matrices and access reviews are made of.

Grants of the platform's own groups are told of each member. Whoever holds the top account role is told once, on
the whole instance, and not on every site.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.effective import groups_of
from siteward.access.model import Access, Account, Grant, Power, Scope, Status, account_key
from siteward.access.settle import settle
from siteward.access.state import Desired, Holder, Live, Origin
from siteward.access.traits import Traits, declarable, is_public, is_site

Agreement = Literal["same", "missing", "extra", "differs"]


class Holding(Struct, frozen=True, kw_only=True):
    """What one account has on one scope: the strongest grant on each side, and why it is declared.

    `group` is the platform's own group that the live grant comes through. `pending` tells that somebody has yet to
    accept. `stands` tells that what is live is no difference though nobody declares it: a fact such as ownership, a
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
        """Tell how live and declared stand to each other; `missing` is declared only, `extra` is live only."""
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
    wish = settle(desired, live, traits)
    sides = by_account(live.access), by_account(wish)
    names = (
        {each.name for access in (live.access, wish) for each in access.accounts()} | sides[0].keys() | sides[1].keys()
    )
    scopes = {each.scope for access in (live.access, wish) for each in access.grants() if is_site(each.scope)}
    return Ledger(
        instance=instance,
        platform=traits.platform,
        origin=origin,
        complete=live.complete,
        sites=tuple(sorted(scopes | {each for each in live.sites if is_site(each)})),
        entries=tuple(_entry(name, desired, live, wish, sides, traits) for name in sorted(names)),
    )


Ways = Mapping[Scope, list[tuple[Grant, str | None]]]


def by_account(access: Access) -> Mapping[str, Ways]:
    """Return the grants of each account by scope, its own and those of its groups."""
    found: dict[str, dict[Scope, list[tuple[Grant, str | None]]]] = defaultdict(lambda: defaultdict(list))
    of_group: dict[str, list[Grant]] = defaultdict(list)
    for each in access.grants():
        if each.subject.kind == "account":
            found[each.subject.name][each.scope].append((each, None))
        else:
            of_group[each.subject.name].append(each)
    for account, groups in groups_of(access).items():
        for group in groups:
            for each in of_group[group]:
                found[account][each.scope].append((each, group))
    return found


def _entry(
    name: str,
    desired: Desired,
    live: Live,
    wish: Access,
    sides: tuple[Mapping[str, Ways], Mapping[str, Ways]],
    traits: Traits,
) -> Entry:
    holder, key = desired.holders.get(name), account_key(name)
    have = live.access.get(key) or wish.get(key)
    account = have if isinstance(have, Account) else Account(name)
    return Entry(
        account=name,
        kind=_kind(name, holder, live, traits),
        handle=holder.handle if holder else None,
        email=account.email or (holder.email if holder else None),
        status="pending" if key in live.pending else account.status,
        until=holder.until if holder else None,
        facts=live.facts.get(key, MappingProxyType({})),
        holdings=tuple(
            replace(each, stands=each.declared is None and _stands(each.live, name, holder, live, traits))
            for each in _holdings(sides[0].get(name, {}), sides[1].get(name, {}), desired, live, traits)
        ),
    )


def _kind(name: str, holder: Holder | None, live: Live, traits: Traits) -> str:
    if holder is not None:
        return holder.kind
    if live.me is not None and name.casefold() == live.me.casefold():
        return "self"
    return "public" if is_public(traits, name) else "undeclared"


def _stands(grant: Grant | None, name: str, holder: Holder | None, live: Live, traits: Traits) -> bool:
    """Tell whether a live grant that nobody declares is left alone all the same."""
    if grant is None:
        return False
    if _kind(name, holder, live, traits) == "self" or not declarable(grant, traits):
        return True
    role = traits.role(grant.scope.kind, grant.role)
    return bool(role and role.lingers and holder is not None and holder.ending is None)


def _holdings(have: Ways, wish: Ways, desired: Desired, live: Live, traits: Traits) -> Iterator[Holding]:
    for scope in sorted(have.keys() | wish.keys()):
        now, group = _strongest(have.get(scope, []), traits)
        wanted, _ = _strongest(wish.get(scope, []), traits)
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


def _strongest(ways: list[tuple[Grant, str | None]], traits: Traits) -> tuple[Grant | None, str | None]:
    """Return the grant that counts and the group it came through; between equals, one's own."""
    return max(ways, key=lambda way: (traits.power(way[0]), way[1] is None)) if ways else (None, None)
