"""One difference between two pictures of access, the algebra of differences, and their safe order.

A change is two sides; the verb, the undo and the staleness test are read off them. `diff` is total and
knows neither platform nor policy.

Order is two sentences: create, open, close; nobody who keeps a role is without it on the way. `order` puts
changes in a row by that, `dependencies` says which of them must have been done, so that it also holds when
something on the way fails.

Laws (tests/laws): ``patch(live, diff(live, desired)) == desired``, ``diff(x, x) == ()``, ``diff(a, b)`` is
the inverse of ``diff(b, a)``, and ``order`` is a permutation in which every dependency comes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Literal

from msgspec import Struct, field

from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Key, Member, Resource, Scope, account_of
from siteward.access.traits import Traits, is_site

Action = Literal["create", "update", "delete"]
Direction = Literal["open", "close", "turn"]


class Change(Struct, frozen=True):
    """A resource before and after; at least one side is there, and both have the same key."""

    before: Resource | None
    after: Resource | None

    @property
    def key(self) -> Key:
        """The key of what changes."""
        side = self.after if self.after is not None else self.before
        if side is None:
            raise ValueError("a change needs at least one side")
        return side.key

    @property
    def action(self) -> Action:
        """The verb, read off the two sides."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"

    @property
    def inverse(self) -> Change:
        """The change that takes this one back."""
        return Change(self.after, self.before)


def diff(live: Access, desired: Access) -> tuple[Change, ...]:
    """Return every difference that leads from `live` to `desired`, in key order of neither."""
    find = live.find
    wanted = [Change(held, wish) for key, wish in desired.items() if (held := find(key)) is not wish and held != wish]
    wished = desired.find
    return (*wanted, *[Change(held, None) for key, held in live.items() if wished(key) is None])


def patch(access: Access, changes: Iterable[Change]) -> Access:
    """Return `access` as it is once the changes are made."""
    resources = access.to_dict()
    for change in changes:
        if change.after is None:
            resources.pop(change.key, None)
        else:
            resources[change.key] = change.after
    return Access.of(resources)


def rights(grant: Grant, traits: Traits) -> frozenset[str]:
    """Return the extras a grant gives, those that are part of its role anyway included."""
    part = frozenset(extra for extra, roles in traits.included.items() if grant.role in roles)
    return part | (grant.extras or frozenset())


def direction(change: Change, traits: Traits) -> Direction:
    """Return whether a change only gives (`open`), only takes (`close`), or turns one thing into another.

    Between two roles the platform's order decides; of two that cannot be compared one is turned into the
    other. What is not about access (an e-mail, a new login) is a turn as well.
    """
    match change:
        case Change(before=None):
            return "open"
        case Change(after=None):
            return "close"
        case Change(before=Grant() as before, after=Grant() as after):
            return _grant_direction(before, after, traits)
        case _:
            return "turn"


def _grant_direction(before: Grant, after: Grant, traits: Traits) -> Direction:
    step = traits.rank(after.scope.kind, after.role) - traits.rank(before.scope.kind, before.role)
    apart = before.role != after.role and (step == 0 or frozenset((before.role, after.role)) in traits.incomparable)
    if before.extras or after.extras:
        held, wished = rights(before, traits), rights(after, traits)
        gives, takes = apart or step > 0 or bool(wished - held), apart or step < 0 or bool(held - wished)
    else:
        gives, takes = apart or step > 0, apart or step < 0
    return "turn" if gives == takes else "open" if gives else "close"


def deletes_account(change: Change) -> bool:
    """Return whether a change deletes an account."""
    return change.after is None and isinstance(change.before, Account)


def escalates(change: Change, traits: Traits) -> bool:
    """Return whether a grant gains something that the platform lists as powerful, at its creation too."""
    before, after = change.before, change.after
    if not isinstance(after, Grant) or direction(change, traits) == "close":
        return False
    had = {before.role, *rights(before, traits)} if isinstance(before, Grant) else set()
    return not traits.powerful.isdisjoint({after.role, *rights(after, traits)} - had)


class _Phase(IntEnum):
    CREATE = 0
    PROMOTE = 1
    OPEN = 2
    TURN = 3
    CLOSE = 4
    DEMOTE = 5
    REGRANT = 6
    RENAME = 7
    DELETE = 8


def demoted(changes: Iterable[Change], traits: Traits) -> Mapping[str, Key]:
    """Return the accounts that stop being top, each with the key of the change that does it."""
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
    """Return the changes in the order in which they are safe: create, open, close, rename, delete.

    Admins are made before the first is unmade. The order is the same for the same set of changes.
    """
    every = tuple(changes)
    demotions = demoted(every, traits)
    return tuple(sorted(every, key=lambda change: (_phase(change, traits, demotions), *_person_first(change.key))))


def _person_first(key: Key) -> tuple[str, Key]:
    return (account_of(key) or "", key)


def _phase(change: Change, traits: Traits, demotions: Mapping[str, Key]) -> _Phase:
    side = change.after if change.after is not None else change.before
    match side:
        case Account() | Group():
            return _subject_phase(change)
        case Grant(scope=scope) if scope == EVERYWHERE:
            return {"open": _Phase.PROMOTE, "close": _Phase.DEMOTE, "turn": _Phase.DEMOTE}[direction(change, traits)]
        case Grant() if is_regrant(change, traits, demotions):
            return _Phase.REGRANT
        case _:
            return {"open": _Phase.OPEN, "close": _Phase.CLOSE, "turn": _Phase.TURN}[direction(change, traits)]


def _subject_phase(change: Change) -> _Phase:
    if change.action == "create":
        return _Phase.CREATE
    if change.action == "delete":
        return _Phase.DELETE
    return _Phase.RENAME if isinstance(change.after, Account) and change.after.renamed else _Phase.TURN


class _Web(Struct):
    """The dependencies between changes: the giving changes by whom and where, memberships, and the taking ones by whom."""

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

    def see(self, live: Access) -> None:
        """Note who is in which group, and where those groups have access."""
        for member in live.members():
            self.enrol(member)
        if self.members_of:
            for grant in live.grants():
                if grant.subject.kind == "group":
                    self.scopes_of[grant.subject.name].add(grant.scope)

    def enrol(self, member: Member) -> None:
        """Note a membership that is there or will be."""
        self.groups_of[member.account].add(member.group)
        self.members_of[member.group].add(member.account)

    def note(self, change: Change) -> None:
        """Note one change of the set."""
        key, phase = change.key, _phase(change, self.traits, self.demotions)
        self.phases[key] = phase
        match change.after, phase:
            case Account() | Group(), _Phase.CREATE:
                self.created.add(key)
            case Grant(subject=subject, scope=scope), _Phase.PROMOTE | _Phase.OPEN:
                (self.own if subject.kind == "account" else self.shared)[subject.name][scope] = key
            case Member() as member, _Phase.OPEN:
                self.enrol(member)
                self.joins[member.account].append(key)
            case None, _Phase.CLOSE | _Phase.DEMOTE:
                for owner in _subjects(key):
                    self.closings[owner].append(key)
            case _:
                pass

    def needs(self, change: Change) -> Iterator[Key]:
        """Yield the keys of what must be done before `change`."""
        key, phase = change.key, self.phases[change.key]
        if phase is _Phase.DELETE:
            yield from self.closings.get((key[0], key[1]), ())
        elif change.before is None:
            yield from (subject for subject in _subjects(key) if subject in self.created)
        if phase is _Phase.REGRANT:
            yield self.demotions[key[2]]
        elif phase in {_Phase.TURN, _Phase.CLOSE, _Phase.DEMOTE} and key[0] in {"grant", "member"}:
            yield from self._replacements(key)

    def _replacements(self, key: Key) -> Iterator[Key]:
        match key:
            case ("member", group, account):
                yield from self._instead(account, sorted(self.scopes_of.get(group, ())))
            case ("grant", "account", account, kind, name):
                scope = Scope(kind, name)
                yield from self._instead(account, None if scope == EVERYWHERE else (scope,))
            case ("grant", "group", group, kind, name):
                for account in sorted(self.members_of.get(group, ())):
                    yield from self._instead(account, (Scope(kind, name),))
            case _:
                pass

    def _instead(self, account: str, scopes: Iterable[Scope] | None) -> Iterator[Key]:
        """Yield what gives `account` something on these scopes (`None`: on any), or on the whole instance."""
        for given in self._group_grants(account):
            if scopes is None:
                yield from given.values()
            else:
                yield from (given[scope] for scope in (*scopes, EVERYWHERE) if scope in given)
        yield from self.joins.get(account, ())

    def _group_grants(self, account: str) -> Iterator[Mapping[Scope, Key]]:
        if account in self.own:
            yield self.own[account]
        if self.shared:
            yield from (self.shared[group] for group in sorted(self.groups_of.get(account, ())) if group in self.shared)


def _subjects(key: Key) -> tuple[tuple[str, str], ...]:
    """Return the keys of the accounts and groups that a grant or membership is of."""
    match key:
        case ("member", group, account):
            return (("account", account), ("group", group))
        case ("grant", kind, name, _, _):
            return ((kind, name),)
        case _:
            return ()


def dependencies(changes: Sequence[Change], traits: Traits, live: Access) -> Mapping[Key, tuple[Key, ...]]:
    """Return, for each change that has any, the keys of the changes that must have been done before it.

    What is granted depends on the account or group being there; what is taken depends on everything that
    gives the same person something on the same scope in its place; what Matomo and Piwik PRO only allow
    after a demotion depends on that; a deletion depends on all that is taken from its account. Each of these
    leads to an earlier phase of `order`, so there are no cycles.
    """
    web = _Web(traits, demoted(changes, traits))
    web.see(live)
    for change in changes:
        web.note(change)
    needed = ((change.key, tuple(dict.fromkeys(web.needs(change)))) for change in changes)
    return {key: keys for key, keys in needed if keys}
