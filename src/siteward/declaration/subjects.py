"""Who a group means: its members and theirs, then what it leaves out, each with the ways and times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, warning
from siteward.access.model import Grant, Group, Member, Subject
from siteward.access.state import Claim, DeclaredUser, Origin
from siteward.declaration.window import ALWAYS, Window, last_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from siteward.access.diagnostic import Span
    from siteward.access.model import Account, Key, Resource
    from siteward.access.state import Ending, Live, Memory
    from siteward.access.traits import Role, Traits
    from siteward.declaration.declared import Declaration, User
    from siteward.declaration.declared import Group as GroupLine
    from siteward.declaration.window import Window


class Way(Struct, frozen=True):
    """How somebody comes to be meant: through which groups, and when."""

    window: Window = ALWAYS
    via: tuple[str, ...] = ()


DIRECT = (Way(),)
People: TypeAlias = Mapping[str, tuple[Way, ...]]


def expand(groups: Mapping[str, GroupLine]) -> Mapping[str, People]:
    """Return who each group means. Members come first, then exclusions, so that order is nothing.

    Windows intersect along a way; of several ways all are kept that differ in time. There must be no cycle.
    """
    done: dict[str, People] = {}
    for name in groups:
        _expand(name, groups, done)
    return done


def _expand(name: str, groups: Mapping[str, GroupLine], done: dict[str, People]) -> People:
    known = done.get(name)
    if known is not None:
        return known
    ways: dict[str, dict[Window, Way]] = {}
    gone: set[str] = set()
    here = f"group {name}"
    for member in groups[name].members:
        inner = _expand(member.name, groups, done) if member.name in groups else {member.name: DIRECT}
        if member.excludes:
            gone.update(inner)
            continue
        for handle, theirs in inner.items():
            known_ways = ways.setdefault(handle, {})
            for way in theirs:
                window = member.window.meet(way.window)
                if not window.empty:
                    known_ways.setdefault(window, Way(window, (here, *way.via)))
    done[name] = {handle: tuple(way.values()) for handle, way in ways.items() if handle not in gone and way}
    return done[name]


MAX_NESTING = 50


def cycle(groups: Mapping[str, GroupLine]) -> tuple[str, ...] | None:
    """Return the names of a cycle of groups, first and last the same, or of a chain that is too long; else `None`."""
    depths: dict[str, int] = {}
    for start in groups:
        found = _walk(start, (), groups, depths)
        if found is not None:
            return found
    return None


def _walk(
    name: str, trail: tuple[str, ...], groups: Mapping[str, GroupLine], depths: dict[str, int]
) -> tuple[str, ...] | None:
    """Go down from a group; `depths` holds how deep those are that are known to be sound."""
    if name in trail:
        return (*trail[trail.index(name) :], name)
    if name in depths or name not in groups:
        return None
    way = (*trail, name)
    for member in groups[name].members:
        found = _walk(member.name, way, groups, depths)
        if found is not None:
            return found
        if len(way) + depths.get(member.name, 0) > MAX_NESTING:
            return (name, member.name)
    depths[name] = 1 + max((depths.get(member.name, 0) for member in groups[name].members), default=0)
    return None


class Identity(Struct, frozen=True):
    """A declared user on one instance. `account` is the live spelling, or the login as it will be created.

    `renamed` is the wanted login where only a former one is live. `ending` tells why everything is over.
    """

    user: User
    account: str
    subject: Subject
    renamed: str | None = None
    ending: Ending | None = None


class Identities(Struct):
    """All declared users on one instance, by handle, and what was found on the way."""

    by_handle: dict[str, Identity] = {}
    declared_users: dict[str, DeclaredUser] = {}
    diagnostics: list[Diagnostic] = []


def identities(
    declaration: Declaration,
    instance: str,
    traits: Traits,
    live: Live | None,
    *,
    as_of: datetime,
    memory: Memory | None,
) -> Identities:
    """Resolve every declared user to an account; those without a login on this platform are left out."""
    directory = _Directory(live, traits)
    found = Identities()
    for user in declaration.users.values():
        login = login_of(user, instance, traits)
        if login is None:
            continue
        account, renamed = directory.find(login, user, found.diagnostics)
        ending = _ending(user, instance, as_of)
        identity = Identity(user, account, Subject("account", account), renamed, ending)
        found.by_handle[user.handle] = identity
        found.declared_users[account] = holder_of(user, ending)
    if memory is not None:
        _add_leavers(found, memory, declaration, directory)
    return found


def holder_of(user: User, ending: Ending | None) -> DeclaredUser:
    """Return what guards and rules need to know of a declared user."""
    return DeclaredUser(
        handle=user.handle,
        at=user.at,
        kind=user.kind,
        ending=ending,
        until=user.window.end,
        email=user.email,
        ticket=user.ticket,
        reason=user.reason,
        age=user.age,
        forge=user.forge,
    )


def _ending(user: User, instance: str, as_of: datetime) -> Ending | None:
    """Return why everything a user has on an instance is over or not yet due, if it is."""
    state = user.state(instance)
    if state != "active":
        return state
    start, end = user.window.start, user.window.end
    if end is not None and end <= as_of:
        return "expired"
    return "not-yet" if start is not None and as_of < start else None


def _add_leavers(found: Identities, memory: Memory, declaration: Declaration, directory: _Directory) -> None:
    """Add those the last run knew as declared and the file no longer has, unless somebody took their account over."""
    former = {each.casefold() for user in declaration.users.values() for each in user.previously}
    for handle, login in memory.users.items():
        account = directory.live_name(login)
        if (
            handle in declaration.users
            or handle.casefold() in former
            or account is None
            or account in found.declared_users
        ):
            continue
        found.declared_users[account] = DeclaredUser(handle=handle, at=declaration.root, ending="left")


class _Directory:
    """The live accounts, found the way the platform tells logins apart."""

    def __init__(self, live: Live | None, traits: Traits) -> None:
        self._traits = traits
        accounts: list[Account] = list(live.access.accounts()) if live is not None else []
        self._names = {each.name for each in accounts}
        self._by_fold: dict[str, str] = {}
        for account in accounts:
            self._by_fold.setdefault(folded(account.name, traits), account.name)
        self._by_email: Mapping[str, str] = {each.email.casefold(): each.name for each in accounts if each.email}

    def live_name(self, login: str) -> str | None:
        """Return the live spelling of a login, if there is such an account."""
        return login if login in self._names else self._by_fold.get(folded(login, self._traits))

    def find(self, login: str, user: User, said: list[Diagnostic]) -> tuple[str, str | None]:
        """Return the account of a user, and the new login where it still has a former one."""
        traits = self._traits
        lowered = (traits.folds_case and not traits.keeps_case) or traits.login == "email"
        wanted = login.lower() if lowered else login
        name = self.live_name(login)
        if not user.previously:
            return name or wanted, None
        if name is not None and name != wanted and name in user.previously:
            return name, wanted  # they differ in case alone, and the file says that this is the old spelling
        former = next(filter(None, map(self._former, user.previously)), None)
        if name is None:
            return (former, wanted) if former is not None else (wanted, None)
        if former is not None and former != name:
            said.append(
                warning(
                    "former-login-remains",
                    f"`{former}`, a former login of `{user.handle}`, is still there beside `{name}`",
                    at=user.location.at("previously"),
                    hint="declare it with `state: absent`, or remove it by hand",
                )
            )
        return name, None

    def _former(self, name: str) -> str | None:
        return self.live_name(name) or self._by_email.get(name.casefold())


Over: TypeAlias = "tuple[Ending, Span]"
"""Why something that the file names does not hold, and the place that says so."""


class Draft(Struct):
    """The wanted resources with their origins and claims, what is over, whose account is wanted, and what was said."""

    traits: Traits
    resources: dict[Key, Resource] = {}
    origins: dict[Key, Origin] = {}
    ended: dict[Key, Over] = {}
    claims: dict[Key, tuple[Claim, ...]] = {}
    wanted: dict[str, Origin] = {}
    diagnostics: list[Diagnostic] = []

    def want(self, resource: Resource, origin: Origin) -> None:
        """Want a resource; the first reason stays."""
        key = resource.key
        self.resources[key] = resource
        self.origins.setdefault(key, origin)

    def say(self, found: Diagnostic) -> None:
        """Add a diagnostic, once."""
        if found not in self.diagnostics:
            self.diagnostics.append(found)

    def unite(self, key: Key, wish: Grant, origin: Origin, *, ends: bool) -> None:
        """Want a grant beside the one that is wanted already: the greater role, all extras, the reasons of both."""
        first, first_origin = self.resources[key], self.origins[key]
        if not isinstance(first, Grant):
            raise TypeError(f"{key} is no grant")
        before = self.claims.get(key) or (Claim(first, first_origin, first_origin.until is not None),)
        self.claims[key] = (*before, Claim(wish, origin, ends))
        self._compare(key, first, wish, origin)
        greater, lesser, why, other = first, wish, first_origin, origin
        if self._rank(wish, origin) > self._rank(first, first_origin):
            greater, lesser, why, other = wish, first, origin, first_origin
        named = [grant.extras for grant in (greater, lesser) if grant.extras is not None]
        self.resources[key] = replace(greater, extras=frozenset().union(*named) if named else None)
        self.origins[key] = replace(why, others=(*why.others, replace(other, others=()), *other.others))

    def _compare(self, key: Key, one: Grant, two: Grant, at: Origin) -> None:
        if frozenset((one.role, two.role)) in self.traits.incomparable and one.role != two.role:
            self.diagnostics.append(
                error(
                    "incomparable-roles",
                    f"`{one.role}` and `{two.role}` on {one.scope}, and neither holds the other",
                    about=key,
                    at=at.at,
                    related=(self.origins[key].at,),
                    hint="grant one of them",
                )
            )

    def _rank(self, wish: Grant, origin: Origin) -> tuple[int, int, bool]:
        """Return what decides between two wishes: power, the platform's order, to be named and not matched."""
        role: Role | None = self.traits.role(wish.scope.kind, wish.role)
        power = role.power if role is not None else 0
        return power, self.traits.rank(wish.scope.kind, wish.role), origin.wildcard is None


class Standing(Struct, frozen=True):
    """Whether something holds now: the way it comes by and until when, or why it does not (`over`)."""

    way: Way | None = None
    until: datetime | None = None
    over: Over | None = None


PLAIN = Standing(DIRECT[0])


class Principal(Struct, frozen=True):
    """Somebody a grant is for: the subject, the ways that lead to them, and the user behind, if one.

    `usual` is how they stand to a grant that has no dates of its own.
    """

    subject: Subject
    ways: tuple[Way, ...]
    identity: Identity | None
    usual: Standing


def standing(window: Window, ways: tuple[Way, ...], identity: Identity | None, at: Span, as_of: datetime) -> Standing:
    """Return whether what is said at `at`, within `window`, holds for somebody who is meant by these ways."""
    if identity is not None:
        if identity.ending is not None:
            return Standing(over=(identity.ending, identity.user.at))
        window = window.meet(identity.user.window)
    if window is ALWAYS and ways is DIRECT:
        return PLAIN
    meant = [(each, way) for way in ways if not (each := window.meet(way.window)).empty]
    now = next((way for each, way in meant if each.holds(as_of)), None)
    if now is not None:
        return Standing(now, last_end((each for each, _ in meant), as_of))
    past = any(each.end is not None and each.end <= as_of for each, _ in meant)
    return Standing(over=("expired" if past or not meant else "not-yet", at))


def ends(window: Window, ways: tuple[Way, ...]) -> bool:
    """Tell whether what holds within `window` for somebody who is meant by these ways is over one day."""
    return window.end is not None or all(way.window.end is not None for way in ways)


class Principals(Struct):
    """Finds whom the `to` of a grant means on one instance, and wants the platform's own groups it needs."""

    declaration: Declaration
    instance: str
    people: Mapping[str, Identity]
    groups: Mapping[str, People]
    native: bool
    live: Live | None
    as_of: datetime
    draft: Draft
    _known: dict[tuple[str, ...], tuple[Principal, ...]] = {}

    def of(self, names: tuple[str, ...]) -> tuple[Principal, ...]:
        """Return the bearers of a grant to these users and groups."""
        found = self._known.get(names)
        if found is None:
            found = self._known[names] = tuple(self._find(names))
        return found

    def keep_named_groups(self) -> None:
        """Want the groups that the file says are the platform's, granted something or not."""
        for group in self.declaration.groups.values() if self.native else ():
            if group.native is not None:
                self._wanted_group(group)

    def _find(self, names: tuple[str, ...]) -> Iterator[Principal]:
        users, ways = self.declaration.users, dict[str, tuple["Way", ...]]()
        for name in names:
            if name in users:
                ways[name] = (*ways[name], *DIRECT) if name in ways else DIRECT
                continue
            group = self.declaration.groups[name]
            if self.native:
                yield self._wanted_group(group)
            elif group.external:
                self._unknown_members(group)
            else:
                for handle, theirs in self.groups[name].items():
                    ways[handle] = (*ways.get(handle, ()), *theirs)
        yield from filter(None, (self._user(handle, theirs) for handle, theirs in ways.items()))

    def _user(self, handle: str, ways: tuple[Way, ...]) -> Principal | None:
        identity = self.people.get(handle)
        user = self.declaration.users[handle]
        if identity is not None:
            usual = standing(ALWAYS, ways, identity, user.at, self.as_of)
            return Principal(identity.subject, ways, identity, usual)
        if user.state(self.instance) == "active":
            message = f"`{handle}` needs an e-mail: it is the login on {self.instance}"
            self.draft.say(error("email-needed", message, at=user.at))
        return None

    def _unknown_members(self, group: GroupLine) -> None:
        message = f"the members of `{group.handle}` are known to a directory only, and {self.instance} cannot ask it"
        hint = "grant to users, or narrow the grant with `on`"
        self.draft.say(error("external-group", message, at=group.location.key(), hint=hint))

    def _wanted_group(self, group: GroupLine) -> Principal:
        """Want a group of the platform and those who are in it now."""
        name = group.native or group.handle
        self.draft.want(Group(name, self._directory(name) if group.external else None), Origin(group.at))
        for handle, ways in self.groups[group.handle].items():
            identity = self.people.get(handle)
            if identity is not None:
                self._member(name, group, identity, ways)
        return Principal(Subject("group", name), DIRECT, None, PLAIN)

    def _member(self, name: str, group: GroupLine, identity: Identity, ways: tuple[Way, ...]) -> None:
        member = Member(name, identity.account)
        found = standing(ALWAYS, ways, identity, group.at, self.as_of)
        if found.way is not None:
            origin = Origin(group.at, found.way.via, until=found.until)
            self.draft.wanted.setdefault(identity.user.handle, origin)
            self.draft.want(member, origin)
            if found.until is not None and not ends(ALWAYS, ways):
                self.draft.claims[member.key] = (Claim(member, origin, ends=False),)
        elif found.over is not None:
            self.draft.ended.setdefault(member.key, found.over)

    def _directory(self, name: str) -> str:
        """Return what owns the members of an external group: as the platform names it, else the group's name."""
        have = self.live.access.get(("group", name)) if self.live is not None else None
        return have.external if isinstance(have, Group) and have.external else name


def login_of(user: User, instance: str, traits: Traits) -> str | None:
    """Return the login a user is wanted under, before the platform folds it; `None` where an e-mail is needed."""
    given = user.logins.get(instance)
    if given is not None:
        return given
    return user.email if traits.login == "email" else user.handle


def folded(login: str, traits: Traits) -> str:
    """Return a login as the platform tells two of them apart; not casefolded, which makes one of `ß` and `ss`."""
    return login.lower() if traits.folds_case or traits.login == "email" else login
