"""Comparison of two revisions of a declaration by effective access: the gains and losses of each person.

People are identified by their handle, so that a changed login is a move and not a loss and a gain. The future is
compared too, at each moment at which something begins.
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
from siteward.access.state import DeclaredUser, Desired, Origin, home_of, is_external, through
from siteward.access.traits import Traits

Kind = Literal[
    "gained", "raised", "wider", "changed", "moved", "longer", "shorter", "narrower", "lowered", "lost", "deleted"
]  # fmt: skip
Band = Literal["escalation", "outsider", "loss", "gain", "dates"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BANDS: tuple[Band, ...] = get_args(Band)
ACCOUNT = Scope("account")
"""Where the movement of an account itself is, which is none on a site."""
GAINS: frozenset[Kind] = frozenset({"gained", "raised", "wider", "changed", "moved", "longer"})


class Side(Struct, frozen=True, kw_only=True):
    """The right of a person on one scope at one revision, with the account that holds it and its origin."""

    account: str
    grant: Grant
    power: Power
    group: str | None = None
    origin: Origin | None = None

    @property
    def until(self) -> datetime | None:
        """The end of the right; `None` where it has none."""
        return self.origin.until if self.origin else None


class Movement(Struct, frozen=True, kw_only=True):
    """A change for one person on one scope; `begins` is its moment if later than now, `ending` the reason of a loss.

    An account that is to be deleted has no sides: `origin` is the line that asks for it.
    """

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
    origin: Origin | None = None

    @property
    def gains(self) -> bool:
        """True if the person has more access, or has it longer."""
        return self.kind in GAINS

    @property
    def band(self) -> Band:
        """The heading under which outputs show it."""
        if self.raises:
            return "escalation"
        if self.external and self.gains:
            return "outsider"
        if self.kind in {"narrower", "lowered", "lost", "deleted"}:
            return "loss"
        return "dates" if self.kind in {"longer", "shorter"} else "gain"


class Revision(Struct, frozen=True, kw_only=True):
    """One instance at one revision: the desired state at each compared moment, the first being now.

    `renamed` maps handles of this revision to those that the same people have at the other.
    """

    traits: Traits
    wished: Mapping[datetime, Desired]
    renamed: Mapping[str, str] = MappingProxyType({})


class Comparison(Struct, frozen=True, kw_only=True):
    """All differences between two revisions; `notices` are other changes that a reviewer must see.

    `unresolved` names the instances whose sites are not known, so that selectors are compared as they are written.
    `accounts` are the account names of either revision, as in `Report.accounts`.
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
        """Return the numbers that every output shows: movements by kind, people, escalations, externals, notices."""
        kinds = Counter(movement.kind for movement in self.movements)
        return {
            **{kind: kinds[kind] for kind in KINDS},
            "people": len({movement.person for movement in self.movements}),
            "escalations": sum(movement.raises for movement in self.movements),
            "outsiders": len({movement.person for movement in self.movements if movement.external and movement.gains}),
            "notices": sum(bool(notice.severity) for notice in self.notices),
        }

    @property
    def exit_code(self) -> int:
        """2 if anything differs, else 0."""
        return 2 if self.movements or any(notice.severity for notice in self.notices) else 0

    def by_band(self) -> Mapping[Band, tuple[Movement, ...]]:
        """Return the movements by band, the most dangerous band first, without empty bands."""
        bands = {band: tuple(movement for movement in self.movements if movement.band == band) for band in BANDS}
        return {band: movements for band, movements in bands.items() if movements}


_GROUP = "group "

Sides = Mapping[tuple[str, Scope], Side]
"""The rights at one moment of one revision, by person and scope."""


def compare(instance: str, before: Revision | None, after: Revision | None) -> tuple[Movement, ...]:
    """Return the movements on one instance, sorted by danger.

    `None` stands for a revision without the instance. A new instance had nobody on it. An instance that the file no
    longer names is left as it is, which takes nothing from anybody.
    """
    if after is None:
        return ()
    moments = sorted({*(before.wished if before else ()), *after.wished})
    held: dict[tuple[str, Scope], set[tuple[bool, str]]] = {}
    movements = list(_find_deletions(instance, before, after, moments[0]))
    for number, moment in enumerate(moments):
        old, new = _collect_sides(before, moment), _collect_sides(after, moment)
        old = _rename_accounts(old, new, before, after)
        current = _find_movements(instance, old, new, after.wished.get(moment), after.traits)
        movements += (
            current
            if not number
            else (replace(movement, begins=moment) for movement in current if _begins(movement, held))
        )
        for now, sides in ((False, old), (True, new)):
            for key, side in sides.items():
                held.setdefault(key, set()).add((now, _write_role(side)))
    return tuple(sorted(movements, key=_rank))


def _find_deletions(instance: str, before: Revision | None, after: Revision, moment: datetime) -> Iterator[Movement]:
    """Yield a movement for each user whose account is to be deleted now, and was not before."""
    known = before.renamed if before is not None else {}
    gone = {known.get(user.handle, user.handle) for user in _list_absent(before, moment)}
    for user in _list_absent(after, moment):
        if user.handle not in gone:
            yield Movement(
                instance=instance, person=user.handle, scope=ACCOUNT, kind="deleted", ending=user.ending,
                origin=Origin(user.at, ticket=user.ticket, reason=user.reason),
            )  # fmt: skip


def _list_absent(revision: Revision | None, moment: datetime) -> tuple[DeclaredUser, ...]:
    """Return the users whose account a revision deletes: who is absent, where accounts are made and deleted by us."""
    desired = revision.wished.get(moment) if revision is not None else None
    if revision is None or desired is None or not (revision.traits.deletes and "account" in revision.traits.manages):
        return ()
    users = desired.declared_users.values()
    return tuple(user for user in users if user.ending == "absent" and not user.managed)


def _rename_accounts(old: Sides, new: Sides, before: Revision | None, after: Revision) -> Sides:
    """Return the old rights under the new accounts of people, and names of groups, which the platform renames in place."""
    known = {
        name
        for name in (before.renamed.values() if before is not None else ())
        if (after.traits.renames_groups if name.startswith(_GROUP) else after.traits.renames)
    }
    if not known:
        return old
    return {
        key: replace(side, account=new[key].account) if key[0] in known and key in new else side
        for key, side in old.items()
    }


def _begins(movement: Movement, held: Mapping[tuple[str, Scope], set[tuple[bool, str]]]) -> bool:
    """Return whether a difference at a later moment begins then; an end is in the dates of the earlier movement."""
    known = held.get((movement.person, movement.scope), set())
    sides = ((False, movement.before), (True, movement.after))
    dated = movement.kind in {"longer", "shorter"}
    return not dated and any(side is not None and (now, _write_role(side)) not in known for now, side in sides)


def _write_role(side: Side) -> str:
    return " +".join((side.grant.role, *sorted(side.grant.extras or ())))


def _rank(movement: Movement) -> tuple[int, int, str, str, str, Scope]:
    at = movement.begins.isoformat() if movement.begins else ""
    power = max(side.power if side else Power.NONE for side in (movement.before, movement.after))
    power = Power.ADMIN if movement.kind == "deleted" else power  # nothing takes more
    return BANDS.index(movement.band), -power, movement.person, movement.instance, at, movement.scope


def _find_movements(instance: str, old: Sides, new: Sides, wish: Desired | None, traits: Traits) -> Iterator[Movement]:
    """Yield the movement of each person and scope whose right differs at one moment."""
    externals = _find_externals(wish)
    declared_users = {user.handle: user for user in wish.declared_users.values()} if wish is not None else {}
    for person, scope in sorted(old.keys() | new.keys()):
        was, is_ = old.get((person, scope)), new.get((person, scope))
        kind = _classify(was, is_, traits)
        if kind is None or _is_subsumed(was, is_, person, scope, old, new):
            continue
        yield Movement(
            instance=instance,
            person=person,
            scope=scope,
            kind=kind,
            before=was,
            after=is_,
            raises=is_ is not None and escalates(Change(_find_kept_grant(was, is_), is_.grant), traits),
            external=person in externals,
            ending=None
            if is_ is not None or wish is None or was is None
            else _find_ending(wish, declared_users, person, was),
        )


def _collect_sides(revision: Revision | None, moment: datetime) -> Sides:
    """Return the strongest right of each person on each scope at a moment."""
    desired = revision.wished.get(moment) if revision else None
    if desired is None or revision is None:
        return {}
    sides: dict[tuple[str, Scope], Side] = {}
    index = Index(desired.access)
    for account, scopes in index.by_account.items():
        for scope, ways in scopes.items():
            side = max(
                (_build_side(account, grant, group, desired, revision.traits) for grant, group in ways),
                key=lambda way: (way.power, way.group is None),
            )
            person = _find_person(desired, account)
            key = revision.renamed.get(person, person), scope
            if key not in sides or sides[key].power < side.power:
                sides[key] = side
    memberless = _collect_memberless(desired, index, revision.traits)
    of_groups = {(revision.renamed.get(name, name), scope): side for (name, scope), side in memberless.items()}
    return _fold_patterns({**sides, **of_groups})


def _fold_patterns(sides: Sides) -> Sides:
    """Return the rights with exclusions (` !…`) dropped from each pattern that a person has only once.

    A changed exclusion is then a movement on one scope, and not a loss and a gain.
    """
    plain = Counter((person, _strip_exclusions(scope)) for person, scope in sides)
    return {
        (person, _strip_exclusions(scope) if plain[person, _strip_exclusions(scope)] == 1 else scope): side
        for (person, scope), side in sides.items()
    }


def _strip_exclusions(scope: Scope) -> Scope:
    return Scope(scope.kind, scope.name.partition(" !")[0])


def _list_exclusions(side: Side) -> frozenset[str]:
    return frozenset(side.grant.scope.name.split(" !")[1:])


def _build_side(account: str, grant: Grant, group: str | None, desired: Desired, traits: Traits) -> Side:
    origin = desired.origins.get(grant.key)
    joined = desired.origins.get(Member(group, account).key) if group is not None else None
    if origin is not None and joined is not None:
        ends = [end for end in (origin.until, joined.until) if end is not None]
        origin = replace(through(origin, joined), via=(f"group {group}", *origin.via), until=min(ends, default=None))
    return Side(account=account, grant=grant, power=traits.power(grant), group=group, origin=origin)


def name_group(name: str) -> str:
    """Return the subject under which the rights of a group stand whose members the file does not know."""
    return _GROUP + name


def _collect_memberless(desired: Desired, index: Index, traits: Traits) -> Sides:
    """Return the rights of groups whose members the file does not know, under the name of the group."""
    return {
        (name_group(group), grant.scope): Side(
            account=group, grant=grant, power=traits.power(grant), origin=desired.origins.get(grant.key)
        )
        for group, grants in index.shared.items()
        if group not in index.members
        for grant in grants
    }


def _find_person(desired: Desired, account: str) -> str:
    """Return the handle of an account's declared user, else its name."""
    declared_user = desired.declared_users.get(account)
    return declared_user.handle if declared_user else account


def _find_externals(desired: Desired | None) -> frozenset[str]:
    declared_users = tuple(desired.declared_users.values()) if desired else ()
    home = home_of(declared_users)
    return frozenset(
        declared_user.handle
        for declared_user in declared_users
        if is_external(declared_user.kind, declared_user.email, home)
    )


def _find_kept_grant(was: Side | None, is_: Side) -> Grant | None:
    """Return the earlier grant of the same account; another account of the same person gains all it has."""
    return _earlier_grant(was, is_) if was is not None and was.account == is_.account else None


def _earlier_grant(was: Side | None, is_: Side) -> Grant | None:
    """Return the earlier grant with the later one's subject and scope, so that the two can be compared."""
    return None if was is None else replace(was.grant, subject=is_.grant.subject, scope=is_.grant.scope)


def _classify(was: Side | None, is_: Side | None, traits: Traits) -> Kind | None:
    """Return the kind of movement between two rights, or `None` where they do not differ."""
    if was is None or is_ is None:
        return "gained" if was is None else "lost"
    if (was.grant.role, was.grant.extras) != (is_.grant.role, is_.grant.extras):
        way = direction(Change(_earlier_grant(was, is_), is_.grant), traits)
        return "raised" if way == "open" else "lowered" if way == "close" else "changed"
    if was.account != is_.account:
        return "moved"
    if _list_exclusions(was) != _list_exclusions(is_):
        return "wider" if _list_exclusions(was) - _list_exclusions(is_) else "narrower"
    if was.until == is_.until:
        return None
    return "longer" if is_.until is None or (was.until is not None and is_.until > was.until) else "shorter"


def _is_subsumed(was: Side | None, is_: Side | None, person: str, scope: Scope, old: Sides, new: Sides) -> bool:
    """Return whether the top role explains a movement: a site's right is replaced by it, or comes back after it."""
    if scope == EVERYWHERE:
        return False
    had, has = (
        (held := sides.get((person, EVERYWHERE))) is not None and held.power is Power.ADMIN for sides in (old, new)
    )
    return (had and has) or (has and is_ is None) or (had and was is None)


def _find_ending(wish: Desired, declared_users: Mapping[str, DeclaredUser], person: str, was: Side) -> str:
    """Return the reason of a loss: the ending of the user or grant, or `silence`."""
    declared_user = declared_users.get(person)
    if declared_user is None:
        return "left" if not person.startswith(_GROUP) else "silence"
    if declared_user.ending is not None:
        return declared_user.ending
    ended = wish.ended.get(was.grant.key)
    return ended[0] if ended else "silence"


def merged(parts: Iterable[Sequence[Movement]]) -> tuple[Movement, ...]:
    """Return the movements of several instances, the most dangerous first."""
    return tuple(sorted((movement for part in parts for movement in part), key=_rank))
