"""Two revisions of a declaration by what they mean: who would gain and lose what, and by which way.

People are told apart by their handle, so that a changed login is a move and not a loss and a gain. What lies in
the future is compared too, at each moment at which something begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, direction, escalates
from siteward.access.diagnostic import Diagnostic
from siteward.access.effective import Index
from siteward.access.model import EVERYWHERE, Accounts, Grant, Member, Power, Scope
from siteward.access.state import DeclaredUser, Desired, Origin, home_of, is_external
from siteward.access.traits import Traits

Kind = Literal["gained", "raised", "wider", "changed", "moved", "longer", "shorter", "narrower", "lowered", "lost"]
Band = Literal["escalation", "outsider", "loss", "gain", "dates"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BANDS: tuple[Band, ...] = get_args(Band)
GAINS: frozenset[Kind] = frozenset({"gained", "raised", "wider", "changed", "moved", "longer"})


class Side(Struct, frozen=True, kw_only=True):
    """A right of somebody on one scope at one revision, with the account that holds it and why."""

    account: str
    grant: Grant
    power: Power
    group: str | None = None
    origin: Origin | None = None

    @property
    def until(self) -> datetime | None:
        """When it ends."""
        return self.origin.until if self.origin else None


class Movement(Struct, frozen=True, kw_only=True):
    """A change for one person on one scope. `begins` is when, where that is not now; `ending` is why it is lost."""

    instance: str
    person: str
    scope: Scope
    kind: Kind
    before: Side | None = None
    after: Side | None = None
    begins: datetime | None = None
    raises: bool = False
    external: bool = False
    ending: str | None = None

    @property
    def gains(self) -> bool:
        """Return whether the person has more, or has it longer."""
        return self.kind in GAINS

    @property
    def band(self) -> Band:
        """Under which heading a reviewer looks for it, the most dangerous first."""
        if self.raises:
            return "escalation"
        if self.external and self.gains:
            return "outsider"
        if self.kind in {"narrower", "lowered", "lost"}:
            return "loss"
        return "dates" if self.kind in {"longer", "shorter"} else "gain"


class Revision(Struct, frozen=True, kw_only=True):
    """One instance at one revision: what is wanted at each moment looked at, the first being now.

    `renamed` maps handles of this revision to those that the same people have at the other.
    """

    traits: Traits
    wished: Mapping[datetime, Desired]
    renamed: Mapping[str, str] = MappingProxyType({})


class Comparison(Struct, frozen=True, kw_only=True):
    """All that differs between two revisions. `notices` tell what else changed that a reviewer must see.

    `unresolved` names the instances whose sites are not known, so that selectors stand for themselves. `accounts` are
    the account names that either revision speaks of, as in `Report.accounts`.
    """

    base: str
    head: str
    as_of: datetime
    movements: tuple[Movement, ...] = ()
    notices: tuple[Diagnostic, ...] = ()
    unresolved: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    accounts: Accounts = MappingProxyType({})

    def counts(self) -> Mapping[str, int]:
        """Return the numbers every output shows: by kind, and the people, escalations and outsiders among them."""
        found = Counter(movement.kind for movement in self.movements)
        return {
            **{kind: found[kind] for kind in KINDS},
            "people": len({movement.person for movement in self.movements}),
            "escalations": sum(movement.raises for movement in self.movements),
            "outsiders": len({movement.person for movement in self.movements if movement.external and movement.gains}),
            "notices": sum(bool(notice.severity) for notice in self.notices),
        }

    @property
    def exit_code(self) -> int:
        """2 where anything differs, else 0."""
        return 2 if self.movements or any(notice.severity for notice in self.notices) else 0

    def by_band(self) -> Mapping[Band, tuple[Movement, ...]]:
        """Return the movements under their headings, the most dangerous first, without those that are empty."""
        found = {band: tuple(movement for movement in self.movements if movement.band == band) for band in BANDS}
        return {band: every for band, every in found.items() if every}


Sides = Mapping[tuple[str, Scope], Side]


def compare(instance: str, before: Revision | None, after: Revision | None) -> tuple[Movement, ...]:
    """Return what changes on one instance, person by person.

    An instance that is new had nobody on it. One that the file does not name any more is left as it is, which takes
    nothing from anybody.
    """
    if after is None:
        return ()
    moments = sorted({*(before.wished if before else ()), *after.wished})
    held: dict[tuple[str, Scope], set[tuple[bool, str]]] = {}
    found: list[Movement] = []
    for number, moment in enumerate(moments):
        old, new = _sides(before, moment), _sides(after, moment)
        old = _as_called_now(old, new, before, after)
        here = _differences(instance, old, new, after.wished.get(moment), after.traits)
        found += (
            here if not number else (replace(movement, begins=moment) for movement in here if _begins(movement, held))
        )
        for now, sides in ((False, old), (True, new)):
            for key, side in sides.items():
                held.setdefault(key, set()).add((now, _role_of(side)))
    return tuple(sorted(found, key=_weight))


def _as_called_now(old: Sides, new: Sides, before: Revision | None, after: Revision) -> Sides:
    """Return what people had under the accounts they have now, where the platform renames accounts in place."""
    if before is None or not before.renamed or not after.traits.renames:
        return old
    known = frozenset(before.renamed.values())
    return {
        key: replace(side, account=new[key].account) if key[0] in known and key in new else side
        for key, side in old.items()
    }


def _begins(movement: Movement, held: Mapping[tuple[str, Scope], set[tuple[bool, str]]]) -> bool:
    """Return whether a later difference is something that begins then; that something has ended, its dates have told."""
    known = held.get((movement.person, movement.scope), set())
    sides = ((False, movement.before), (True, movement.after))
    dated = movement.kind in {"longer", "shorter"}
    return not dated and any(side is not None and (now, _role_of(side)) not in known for now, side in sides)


def _role_of(side: Side) -> str:
    return " +".join((side.grant.role, *sorted(side.grant.extras or ())))


def _weight(movement: Movement) -> tuple[int, int, str, str, str, Scope]:
    at = movement.begins.isoformat() if movement.begins else ""
    power = max(side.power if side else Power.NONE for side in (movement.before, movement.after))
    return BANDS.index(movement.band), -power, movement.person, movement.instance, at, movement.scope


def _differences(instance: str, old: Sides, new: Sides, wish: Desired | None, traits: Traits) -> Iterator[Movement]:
    """Yield what differs between the two sides at one moment."""
    externals = _externals(wish)
    declared_users = {user.handle: user for user in wish.declared_users.values()} if wish is not None else {}
    for person, scope in sorted(old.keys() | new.keys()):
        was, is_ = old.get((person, scope)), new.get((person, scope))
        kind = _movement_kind(was, is_, traits)
        if kind is None or _subsumed(was, is_, person, scope, old, new):
            continue
        yield Movement(
            instance=instance,
            person=person,
            scope=scope,
            kind=kind,
            before=was,
            after=is_,
            raises=is_ is not None and escalates(Change(_kept(was, is_), is_.grant), traits),
            external=person in externals,
            ending=None
            if is_ is not None or wish is None or was is None
            else _ending(wish, declared_users, person, was),
        )


def _sides(revision: Revision | None, moment: datetime) -> Sides:
    """Return what each person has, the strongest way to each scope."""
    desired = revision.wished.get(moment) if revision else None
    if desired is None or revision is None:
        return {}
    found: dict[tuple[str, Scope], Side] = {}
    index = Index(desired.access)
    for account, scopes in index.by_account.items():
        for scope, ways in scopes.items():
            side = max(
                (_side_of(account, grant, group, desired, revision.traits) for grant, group in ways),
                key=lambda way: (way.power, way.group is None),
            )
            person = _person_of(desired, account)
            key = revision.renamed.get(person, person), scope
            if key not in found or found[key].power < side.power:
                found[key] = side
    return _by_pattern({**found, **_external(desired, index, revision.traits)})


def _by_pattern(sides: Sides) -> Sides:
    """Let a pattern go by itself, without what is left out of it, where it is the only one of its kind."""
    plain = Counter((person, _pattern(scope)) for person, scope in sides)
    return {
        (person, _pattern(scope) if plain[person, _pattern(scope)] == 1 else scope): side
        for (person, scope), side in sides.items()
    }


def _pattern(scope: Scope) -> Scope:
    return Scope(scope.kind, scope.name.partition(" !")[0])


def _left_out(side: Side) -> frozenset[str]:
    return frozenset(side.grant.scope.name.split(" !")[1:])


def _side_of(account: str, grant: Grant, group: str | None, desired: Desired, traits: Traits) -> Side:
    origin = desired.origins.get(grant.key)
    joined = desired.origins.get(Member(group, account).key) if group is not None else None
    if origin is not None and joined is not None:
        ends = [end for end in (origin.until, joined.until) if end is not None]
        origin = replace(origin, via=(f"group {group}", *origin.via), until=min(ends, default=None))
    return Side(account=account, grant=grant, power=traits.power(grant), group=group, origin=origin)


def _external(desired: Desired, index: Index, traits: Traits) -> Sides:
    """Return what groups hold whose members the file does not know: the group stands for them."""
    return {
        (f"group {group}", grant.scope): Side(
            account=group, grant=grant, power=traits.power(grant), origin=desired.origins.get(grant.key)
        )
        for group, grants in index.shared.items()
        if group not in index.members
        for grant in grants
    }


def _person_of(desired: Desired, account: str) -> str:
    declared_user = desired.declared_users.get(account)
    return declared_user.handle if declared_user else account


def _externals(desired: Desired | None) -> frozenset[str]:
    declared_users = tuple(desired.declared_users.values()) if desired else ()
    home = home_of(declared_users)
    return frozenset(
        declared_user.handle
        for declared_user in declared_users
        if is_external(declared_user.kind, declared_user.email, home)
    )


def _kept(was: Side | None, is_: Side) -> Grant | None:
    """Return what the same account held before; another account of the same person gains all it has."""
    return _earlier_grant(was, is_) if was is not None and was.account == is_.account else None


def _earlier_grant(was: Side | None, is_: Side) -> Grant | None:
    """Return the earlier grant as the same subject's, so that the two can be held against each other."""
    return None if was is None else replace(was.grant, subject=is_.grant.subject, scope=is_.grant.scope)


def _movement_kind(was: Side | None, is_: Side | None, traits: Traits) -> Kind | None:
    if was is None or is_ is None:
        return "gained" if was is None else "lost"
    if (was.grant.role, was.grant.extras) != (is_.grant.role, is_.grant.extras):
        way = direction(Change(_earlier_grant(was, is_), is_.grant), traits)
        return "raised" if way == "open" else "lowered" if way == "close" else "changed"
    if was.account != is_.account:
        return "moved"
    if _left_out(was) != _left_out(is_):
        return "wider" if _left_out(was) - _left_out(is_) else "narrower"
    if was.until == is_.until:
        return None
    return "longer" if is_.until is None or (was.until is not None and is_.until > was.until) else "shorter"


def _subsumed(was: Side | None, is_: Side | None, person: str, scope: Scope, old: Sides, new: Sides) -> bool:
    """Return whether a right on a site only makes room for, or returns after, the top role over everything."""
    if scope == EVERYWHERE:
        return False
    had, has = (
        (held := side.get((person, EVERYWHERE))) is not None and held.power is Power.ADMIN for side in (old, new)
    )
    return (had and has) or (has and is_ is None) or (had and was is None)


def _ending(wish: Desired, declared_users: Mapping[str, DeclaredUser], person: str, was: Side) -> str:
    """Return in a word why something is over."""
    declared_user = declared_users.get(person)
    if declared_user is None:
        return "left" if not person.startswith("group ") else "silence"
    if declared_user.ending is not None:
        return declared_user.ending
    ended = wish.ended.get(was.grant.key)
    return ended[0] if ended else "silence"


def merged(parts: Iterable[Sequence[Movement]]) -> tuple[Movement, ...]:
    """Return the movements of several instances in one row, the most dangerous first."""
    return tuple(sorted((movement for part in parts for movement in part), key=_weight))
