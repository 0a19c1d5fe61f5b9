"""Changes between two states of access: `diff` and `patch`, their direction, and their safe order.

A change is a resource before and after; action and inverse follow from the two. `diff` knows neither platform nor
policy.

The order has two rules: create, then open, then close; and nobody who keeps a role is without it in between. `order`
sorts changes by that; `dependencies` gives the changes that each one needs, so that the rules also hold when a
change fails.

Laws (tests/laws): ``patch(live, diff(live, desired)) == desired``, ``diff(x, x) == ()``, ``diff(a, b)`` is
the inverse of ``diff(b, a)``, and ``order`` is a permutation in which every dependency comes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import force_setattr

from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Grants,
    Group,
    Key,
    Member,
    Resource,
    Scope,
    account_of,
    differing,
)
from siteward.access.traits import Traits, is_site

Action = Literal["create", "update", "delete"]
Direction = Literal["open", "close", "turn"]


class Change(Struct, frozen=True, cache_hash=True, gc=False):
    """A resource before and after; at least one side is there, and both have the same `key`.

    The key is found once, for it is asked for 55 times of each step of a plan; it is empty for a change without sides.
    The collector of cycles has nothing to find in what plans have a hundred thousand of (`gc=False`): 8 MB less.
    """

    before: Resource | None
    after: Resource | None
    key: Key = ()

    def __post_init__(self) -> None:
        side = self.before if self.after is None else self.after
        if side is not None:
            force_setattr(self, "key", side.key)

    @property
    def action(self) -> Action:
        """The action: create, update or delete."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"

    @property
    def inverse(self) -> Change:
        """The change that reverts this one."""
        return Change(self.after, self.before)


def diff(live: Access, desired: Access, apart: Grants | None = None) -> tuple[Change, ...]:
    """Return the changes that lead from `live` to `desired`: first wished resources, then removals; not sorted.

    `apart` are the wished grants that alone may not be live as wished, where that is known: no others are looked at.
    """
    return (*_differences(live, desired, apart), *_removals(live, desired, apart))


def _differences(live: Access, desired: Access, apart: Grants | None) -> Iterator[Change]:
    """Yield the change of each wished resource that is not live as wished."""
    find = live.find
    for key, wish in desired.of_others():
        held = find(key)
        if held is not wish and held != wish:
            yield Change(held, wish)
    for subject, wishes in desired.by_subject() if apart is None else apart.items():
        rights = live.rights(subject)
        for scope, wished in differing(wishes, rights) if wishes is not rights else ():
            right = rights.get(scope)
            if right != wished:
                yield Change(right, wished)


def _removals(live: Access, desired: Access, apart: Grants | None) -> Iterator[Change]:
    """Yield the removal of each live resource under whose key nothing is wished."""
    find = desired.find
    for key, held in live.of_others():
        if find(key) is None:
            yield Change(held, None)
    for subject, rights in live.by_subject():
        wishes = desired.rights(subject)
        if rights is wishes or (apart is not None and _keeps_all(rights, wishes, apart.get(subject, {}))):
            continue
        yield from [Change(right, None) for scope, right in rights.items() if scope not in wishes]


def _keeps_all(rights: Mapping[Scope, Grant], wishes: Mapping[Scope, Grant], apart: Mapping[Scope, Grant]) -> bool:
    """Return whether there is a wish in the place of each live right: `apart` has all that are in no place of one."""
    new = sum([scope not in rights for scope in apart])
    return len(rights) + new == len(wishes)


def patch(access: Access, changes: Iterable[Change]) -> Access:
    """Return the access after the changes are made."""
    return access.patched(map(_RESULT, changes))


_RESULT = attrgetter("key", "after")
"""What is there after a change, with its key."""


def rights(grant: Grant, traits: Traits) -> frozenset[str]:
    """Return the extras that a grant gives, with those that are part of its role."""
    included = traits.includes(grant.role)
    return included | grant.extras if grant.extras else included


def direction(change: Change, traits: Traits) -> Direction:
    """Return `open` for a change that only grants, `close` for one that only revokes, else `turn`.

    Between two roles the platform's order decides; a change between incomparable roles is a `turn`, as is one that is
    not about access (an e-mail, a new login).
    """
    before, after = change.before, change.after
    if before is None:
        return "open"
    if after is None:
        return "close"
    if isinstance(before, Grant) and isinstance(after, Grant):
        return _grant_direction(before, after, traits)
    return "turn"


def _grant_direction(before: Grant, after: Grant, traits: Traits) -> Direction:
    gives, takes = traits.exchange(after.scope.kind, before.role, after.role)
    if before.extras or after.extras:
        held, wished = rights(before, traits), rights(after, traits)
        gives, takes = gives or bool(wished - held), takes or bool(held - wished)
    return "turn" if gives == takes else "open" if gives else "close"


def deletes_account(change: Change) -> bool:
    """Return whether a change deletes an account."""
    return change.after is None and isinstance(change.before, Account)


def escalates(change: Change, traits: Traits) -> bool:
    """Return whether a grant gains a role or extra that the platform lists as powerful, also at its creation."""
    before, after = change.before, change.after
    if not isinstance(after, Grant) or direction(change, traits) == "close":
        return False
    gained = traits.powerful & {after.role, *rights(after, traits)}
    if gained and isinstance(before, Grant):
        gained -= {before.role, *rights(before, traits)}
    return bool(gained)


class _Phase(IntEnum):
    """The phases of `order`, in order."""

    CREATE = 0
    PROMOTE = 1
    OPEN = 2
    TURN = 3
    CLOSE = 4
    DEMOTE = 5
    REGRANT = 6
    RENAME = 7
    DELETE = 8


_PHASES: Mapping[Direction, _Phase] = {"open": _Phase.OPEN, "close": _Phase.CLOSE, "turn": _Phase.TURN}


def demoted(changes: Iterable[Change], traits: Traits) -> Mapping[str, Key]:
    """Return the accounts that lose the top role, each with the key of the change that takes it."""
    return {
        change.before.subject.name: change.key
        for change in changes
        if isinstance(change.before, Grant)
        and traits.is_top(change.before)
        and not (isinstance(change.after, Grant) and traits.is_top(change.after))
    }


def is_regrant(change: Change, traits: Traits, demotions: Mapping[str, Key]) -> bool:
    """Return whether a grant can only be given once its account is demoted (Matomo, Piwik PRO)."""
    after = change.after
    return (
        traits.admin_excludes_grants
        and isinstance(after, Grant)
        and after.subject.kind == "account"
        and after.subject.name in demotions
        and (is_site(after.scope) or after.scope.kind == "module")
    )


def order(changes: Iterable[Change], traits: Traits) -> tuple[Change, ...]:
    """Return the changes in a safe order: create, open, close, rename, delete.

    Admins are made before the first is removed. The order is the same for the same set of changes.
    """
    unordered = tuple(changes)
    demotions = demoted(unordered, traits)

    def place(change: Change) -> tuple[_Phase, str, Key]:
        """Return where a change stands: of one phase, all of a person are together."""
        return _phase(change, traits, demotions), account_of(change.key) or "", change.key

    return tuple(sorted(unordered, key=place))


def _phase(change: Change, traits: Traits, demotions: Mapping[str, Key]) -> _Phase:
    side = change.after if change.after is not None else change.before
    if isinstance(side, Grant):
        if side.scope == EVERYWHERE:
            return _Phase.PROMOTE if direction(change, traits) == "open" else _Phase.DEMOTE
        if demotions and is_regrant(change, traits, demotions):
            return _Phase.REGRANT
    elif isinstance(side, Account | Group):
        return _subject_phase(change)
    return _PHASES[direction(change, traits)]


def _subject_phase(change: Change) -> _Phase:
    if change.action == "create":
        return _Phase.CREATE
    if change.action == "delete":
        return _Phase.DELETE
    return _Phase.RENAME if isinstance(change.after, Account | Group) and change.after.renamed else _Phase.TURN


class _DependencyIndex(Struct):
    """An index of changes for `dependencies`: grants given by subject and scope, memberships, removals by subject."""

    traits: Traits
    demotions: Mapping[str, Key]
    phases: dict[Key, _Phase] = {}
    created: set[Key] = set()
    own: dict[str, dict[Scope, Key]] = field(default_factory=lambda: defaultdict(dict))
    shared: dict[str, dict[Scope, Key]] = field(default_factory=lambda: defaultdict(dict))
    joins: dict[str, list[Key]] = field(default_factory=lambda: defaultdict(list))
    closings: dict[tuple[str, str], list[Key]] = field(default_factory=lambda: defaultdict(list))
    groups_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    members_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    scopes_of: dict[str, set[Scope]] = field(default_factory=lambda: defaultdict(set))

    def add_live(self, live: Access) -> None:
        """Add the live memberships, and the scopes of the groups that have members."""
        for member in live.members():
            self.add_member(member)
        if self.members_of:
            for grant in live.grants():
                if grant.subject.kind == "group":
                    self.scopes_of[grant.subject.name].add(grant.scope)

    def add_member(self, member: Member) -> None:
        """Add a membership that is live or will be made."""
        self.groups_of[member.account].add(member.group)
        self.members_of[member.group].add(member.account)

    def add_change(self, change: Change) -> None:
        """Add one of the changes."""
        key, after, phase = change.key, change.after, _phase(change, self.traits, self.demotions)
        self.phases[key] = phase
        if phase is _Phase.CREATE:
            self.created.add(key)
        elif after is None and phase in {_Phase.CLOSE, _Phase.DEMOTE}:
            for owner in _subjects(key):
                self.closings[owner].append(key)
        elif isinstance(after, Grant) and phase in {_Phase.PROMOTE, _Phase.OPEN}:
            (self.own if after.subject.kind == "account" else self.shared)[after.subject.name][after.scope] = key
        elif isinstance(after, Member) and phase is _Phase.OPEN:
            self.add_member(after)
            self.joins[after.account].append(key)

    def list_needs(self, change: Change) -> tuple[Key, ...]:
        """Return the keys of the changes that must be done before `change`, each once."""
        if change.before is None and self.phases[change.key] <= _Phase.OPEN:  # as most where much is new
            return tuple([subject for subject in _subjects(change.key) if subject in self.created])
        return tuple(dict.fromkeys(self.needs(change)))

    def needs(self, change: Change) -> Iterator[Key]:
        """Yield the keys of the changes that must be done before `change`."""
        key = change.key
        phase = self.phases[key]
        if phase is _Phase.DELETE:
            yield from self.closings.get((key[0], key[1]), ())
        elif change.before is None:
            yield from (subject for subject in _subjects(key) if subject in self.created)
        if phase is _Phase.REGRANT:
            yield self.demotions[key[2]]
        elif phase in {_Phase.TURN, _Phase.CLOSE, _Phase.DEMOTE} and key[0] in {"grant", "member"}:
            yield from self._find_replacements(key)

    def _find_replacements(self, key: Key) -> Iterator[Key]:
        """Yield the keys of the changes that replace what a removal or change of `key` takes."""
        match key:
            case ("member", group, account):
                yield from self._find_grants_on(account, sorted(self.scopes_of.get(group, ())))
            case ("grant", "account", account, kind, name):
                scope = Scope(kind, name)
                yield from self._find_grants_on(account, None if scope == EVERYWHERE else (scope,))
            case ("grant", "group", group, kind, name):
                for account in sorted(self.members_of.get(group, ())):
                    yield from self._find_grants_on(account, (Scope(kind, name),))
            case _:
                pass

    def _find_grants_on(self, account: str, scopes: Iterable[Scope] | None) -> Iterator[Key]:
        """Yield the changes that grant `account` something on these scopes (`None`: any) or on the whole instance."""
        for by_scope in self._list_grants(account):
            if scopes is None:
                yield from by_scope.values()
            else:
                yield from (by_scope[scope] for scope in (*scopes, EVERYWHERE) if scope in by_scope)
        yield from self.joins.get(account, ())

    def _list_grants(self, account: str) -> Iterator[Mapping[Scope, Key]]:
        """Yield the granting changes of an account, and of each of its groups, by scope."""
        if account in self.own:
            yield self.own[account]
        if self.shared:
            yield from (self.shared[group] for group in sorted(self.groups_of.get(account, ())) if group in self.shared)


def _subjects(key: Key) -> tuple[tuple[str, str], ...]:
    """Return the keys of the accounts and groups of a grant or membership."""
    if key[0] == "grant":
        return ((key[1], key[2]),)
    return (("account", key[2]), ("group", key[1])) if key[0] == "member" else ()


def dependencies(changes: Sequence[Change], traits: Traits, live: Access) -> dict[Key, tuple[Key, ...]]:
    """Return, for each change that has any, the keys of the changes that must be done before it.

    A grant depends on the creation of its account or group; a removal on everything that grants the same account
    something on the same scope in its place; a grant that Matomo and Piwik PRO only allow after a demotion on that
    demotion; a deletion on all removals from its account. Each of these is in an earlier phase of `order`, so there are
    no cycles.
    """
    if all(change.before is None for change in changes):  # as of a first plan
        return _list_makers(changes)
    if all(_stands_alone(change.key) for change in changes):  # as where people, groups and admins stay who they are
        return {}
    index = _DependencyIndex(traits, demoted(changes, traits))
    index.add_live(live)
    for change in changes:
        index.add_change(change)
    same: dict[tuple[Key, ...], tuple[Key, ...]] = {}  # what a new account is given needs all the same
    needed = ((change.key, index.list_needs(change)) for change in changes)
    return {key: same.setdefault(keys, keys) for key, keys in needed if keys}


def _stands_alone(key: Key) -> bool:
    """Return whether what changes is all that gives it or takes its place: a grant of an account, not on everything."""
    return key[0] == "grant" and key[1] == "account" and key[3] != EVERYWHERE.kind


def _list_makers(changes: Sequence[Change]) -> dict[Key, tuple[Key, ...]]:
    """Return, of changes that take nothing, the keys of those that make the accounts and groups of the others."""
    keys_of_all = [change.key for change in changes]
    makers: dict[Key, tuple[Key, ...]] = {key: (key,) for key in keys_of_all if key[0] in {"account", "group"}}
    needs: dict[Key, tuple[Key, ...]] = {}
    for key in keys_of_all if makers else ():
        if key[0] == "grant":
            keys = makers.get(key[1:3], ())
        else:
            keys = tuple([subject for subject in _subjects(key) if subject in makers])
        if keys:
            needs[key] = keys
    return needs
