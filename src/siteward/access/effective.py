"""What people can do in effect: their own grants, those of their groups, and what admins have anyway.

Of several ways to one scope the strongest counts; nothing denies. Grants on a meta site and on a site do not
imply each other. Whoever holds the top account role has everything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from siteward.access.change import Change
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Member, Power, Scope, Subject, account_key
from siteward.access.traits import Traits


class Way(Struct, frozen=True):
    """One way on which somebody has access: a grant, and the group of the platform it came through, if one."""

    grant: Grant
    group: str | None = None
    power: Power = Power.NONE


class Effect(Struct, frozen=True):
    """What an account can do on a scope in effect; `ways` lead there, the one that counts first."""

    account: str
    scope: Scope
    power: Power
    ways: tuple[Way, ...] = ()
    active: bool = True

    @property
    def role(self) -> str | None:
        """The native role of the way that counts."""
        return self.ways[0].grant.role if self.ways else None


def groups_of(access: Access) -> Mapping[str, tuple[str, ...]]:
    """Return the platform's own groups of each account that is in any."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in access.members():
        found[each.account].append(each.group)
    return {account: tuple(sorted(groups)) for account, groups in found.items()}


def effective(
    access: Access, traits: Traits, account: str, scope: Scope, groups: Mapping[str, tuple[str, ...]] | None = None
) -> Effect:
    """Return what `account` can do on `scope`, with every way that leads there, strongest first.

    `groups` is what `groups_of` says of the same access, for callers that ask for many.
    """
    enrolled = groups_of(access) if groups is None else groups
    ways = sorted(_ways(access, traits, account, scope, enrolled.get(account, ())), key=_strongest_first)
    held = access.get(account_key(account))
    active = not isinstance(held, Account) or held.status == "active"
    return Effect(account, scope, ways[0].power if ways else Power.NONE, tuple(ways), active)


def who_can(access: Access, traits: Traits, power: Power, scope: Scope) -> tuple[Effect, ...]:
    """Return everybody who has at least `power` on `scope` in effect, strongest first, then by name."""
    groups = groups_of(access)
    names = {each.name for each in access.accounts()} | set(groups)
    names |= {each.subject.name for each in access.grants() if each.subject.kind == "account"}
    found = (effective(access, traits, name, scope, groups) for name in names)
    able = (each for each in found if each.ways and each.power >= max(power, Power.VIEW))
    return tuple(sorted(able, key=lambda each: (-each.power, each.account)))


def _ways(access: Access, traits: Traits, account: str, scope: Scope, groups: tuple[str, ...]) -> Iterator[Way]:
    subjects = (Subject("account", account), *(Subject("group", each) for each in groups))
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
            self.scopes["group", each] for each in self.groups.get(account, ())
        )


def reach(access: Access, traits: Traits) -> Reach:
    """Return how far the access of everybody reaches."""
    lingering = _lingering(traits)
    scopes: Counter[tuple[str, str]] = Counter(
        [(each.subject.kind, each.subject.name) for each in access.grants() if _opens(each, lingering)]
    )
    return Reach(scopes, {account: frozenset(groups) for account, groups in groups_of(access).items()})


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
    return frozenset((kind, each.name) for kind, roles in traits.roles.items() for each in roles if each.lingers)
