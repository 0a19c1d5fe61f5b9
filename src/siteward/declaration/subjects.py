"""The subjects of grants: members of groups, declared users resolved to accounts, and the principals of a `to` list.

Users, also those that groups bring (`groups.expand`), are resolved to accounts of one instance (`identities`), and the
names after `to` to subjects with the time in which a grant to them holds (`Principals`). A `Draft` collects the wanted
resources on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, warning
from siteward.access.model import Group, Member, Subject, group_key
from siteward.access.state import Claim, DeclaredUser, Ended, Origin, joined
from siteward.access.traits import fold_login, is_public
from siteward.access.window import ALWAYS, Window, last_end
from siteward.declaration.groups import DIRECT, People, Way
from siteward.declaration.moves import Moves

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.api_key import ApiKey
    from siteward.access.diagnostic import Span
    from siteward.access.model import Account
    from siteward.access.state import Ending, Live, Memory
    from siteward.access.traits import Traits
    from siteward.access.window import Window
    from siteward.declaration.declared import Declaration, Instance, User
    from siteward.declaration.declared import Group as GroupLine
    from siteward.declaration.draft import Draft


class Identity(Struct, frozen=True, gc=False):
    """A declared user on one instance. `account` is the live spelling, or the login as it will be created.

    `renamed` is the wanted login where only a former one is live. `ending` is the reason why all grants of the user are
    over, or not yet due. `managed` is true where a directory or sign-on makes and changes the account, `awaited` where
    it has yet to make it.
    """

    user: User
    account: str
    subject: Subject
    renamed: str | None = None
    ending: Ending | None = None
    managed: bool = False
    awaited: bool = False

    def ended(self, how: Ending) -> Ended:
        """Return that all access of the user is over or not yet due, by the user's own row."""
        return Ended(how, self.user.at, self.user.ticket, self.user.reason)


class Identities(Struct):
    """The declared users on one instance by handle, the same by account for the guards, and diagnostics.

    `renamed` maps the logins that the file has to those of the same accounts on the server, where these differ.
    """

    by_handle: dict[str, Identity] = {}
    declared_users: dict[str, DeclaredUser] = {}
    renamed: dict[str, str] = {}
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
    """Resolve every declared user to an account; those without a login on this platform are left out.

    `live` is `None` where no server was asked. `memory` are the users of the last run: those whom the file no longer
    declares are added to `declared_users` with the ending `left`. An account that the platform's id shows to be the
    user's is theirs under whatever login.
    """
    directory, here = _LiveAccounts(live, traits), declaration.instances[instance]
    moves = Moves(live, traits, memory)
    people = Identities()
    for user in declaration.users.values():
        login = login_of(user, instance, traits)
        if login is None:
            continue
        managed = user.manager(here) is not None
        account, renamed = directory.find(login, user, people.diagnostics)
        if renamed is None and (moved := moves.find(login, user, instance)) is not None:
            account = people.renamed[login] = moved
            people.diagnostics.append(moves.describe(moved, login, user, instance, managed=managed))
        ending = _ending_on(user, instance, as_of)
        awaited = managed and live is not None and makes_accounts(traits) and directory.live_name(account) is None
        people.by_handle[user.handle] = Identity(
            user, account, Subject("account", account), None if managed else renamed, ending, managed, awaited
        )
        people.declared_users[account] = declared_user_of(user, ending, instance, managed=managed)
    if memory is not None:
        _add_leavers(people, memory, declaration, directory, here)
    return people


def makes_accounts(traits: Traits) -> bool:
    """Return whether accounts are listed and made on a platform, so that a missing one is known to be missing."""
    return traits.accounts_listed and "account" in traits.manages


def declared_user_of(user: User, ending: Ending | None, instance: str = "", *, managed: bool = False) -> DeclaredUser:
    """Return a declared user as guards and rules see one; `ending` and `managed` are theirs on one instance."""
    return DeclaredUser(
        handle=user.handle, at=user.at, kind=user.kind, ending=ending, until=user.window.end, email=user.email,
        ticket=user.ticket, reason=user.reason, age=user.age, forge=user.forge, account_id=user.ids.get(instance),
        managed=managed, attests=user.attests, keys=tuple(_list_keys(user, instance)) if user.keys else (),
    )  # fmt: skip


def _list_keys(user: User, instance: str) -> Iterator[ApiKey]:
    """Yield the keys that the file lists for a user on an instance, with their places."""
    for number, key in enumerate(user.keys):
        if key.on == instance:
            at = user.location.at("keys", number, "name")
            yield replace(key, at=at, due_at=user.location.at("keys", number, "rotates") if key.rotates else at)


def _ending_on(user: User, instance: str, as_of: datetime) -> Ending | None:
    """Return the reason why all access of a user on an instance is over or not yet due; `None` where it holds."""
    state = user.state(instance)
    if state != "active":
        return "suspended" if state == "alumni" else state
    start, end = user.window.start, user.window.end
    if end is not None and end <= as_of:
        return "expired"
    return "not-yet" if start is not None and as_of < start else None


def _add_leavers(
    people: Identities, memory: Memory, declaration: Declaration, directory: _LiveAccounts, here: Instance
) -> None:
    """Add users whom the last run knew and the file no longer declares, unless another user has their account now.

    A directory that calls somebody by another login makes another account; the one before has been left as well.
    """
    former = {name.casefold() for user in declaration.users.values() for name in user.previously}
    for handle, login in memory.users.items():
        account, user = directory.live_name(login), declaration.users.get(handle)
        if (
            (user is not None and _keeps_account(user, here, directory.traits))
            or handle.casefold() in former
            or account is None
            or account in people.declared_users
        ):
            continue
        people.declared_users[account] = DeclaredUser(handle=handle, at=declaration.root, ending="left")


def _keeps_account(user: User, here: Instance, traits: Traits) -> bool:
    """Return whether an account that a declared user had is theirs still; the one of a directory's former login is not."""
    return traits.login == "email" or user.manager(here) != "directory" or here.name in user.logins


class _LiveAccounts:
    """The live accounts, looked up as the platform compares logins; the one that stands for everybody is nobody's."""

    def __init__(self, live: Live | None, traits: Traits) -> None:
        self.traits = traits
        found = live.access.accounts() if live is not None else ()
        accounts: list[Account] = [account for account in found if not is_public(traits, account.name)]
        self._names = {account.name: account.name for account in accounts}
        self._by_fold: dict[str, str] = {}
        for account in accounts:
            self._by_fold.setdefault(fold_login(account.name, traits), account.name)
        self._by_email: Mapping[str, str] = {
            account.email.casefold(): account.name for account in accounts if account.email
        }

    def live_name(self, login: str) -> str | None:
        """Return the live spelling of a login, if there is such an account.

        It is the very text of the live account, so that looking one up by the other compares no letters.
        """
        return self._names.get(login) or self._by_fold.get(fold_login(login, self.traits))

    def find(self, login: str, user: User, diagnostics: list[Diagnostic]) -> tuple[str, str | None]:
        """Return the account of a user, and the new login where only an account under a former one is live.

        A former account that is live beside the present one is added to `diagnostics`.
        """
        traits = self.traits
        lowered = (traits.folds_case and not traits.keeps_case) or traits.login == "email"
        wanted = login.lower() if lowered else login
        name = self.live_name(login)
        if not user.previously:
            return name or wanted, None
        if name is not None and name != wanted and name in user.previously:
            return name, wanted  # they differ in case alone, and the file says that this is the old spelling
        former = next(filter(None, map(self._find_former, user.previously)), None)
        if name is None:
            return (former, wanted) if former is not None else (wanted, None)
        if former is not None and former != name:
            diagnostics.append(
                warning(
                    "former-login-remains",
                    f"`{former}`, a former login of `{user.handle}`, is still there beside `{name}`",
                    at=user.location.at("previously"),
                    hint="declare it with `state: absent`, or remove it by hand",
                )
            )
        return name, None

    def _find_former(self, name: str) -> str | None:
        """Return the account that a former login or e-mail leads to, if it is live."""
        return self.live_name(name) or self._by_email.get(name.casefold())


class Standing(Struct, frozen=True, gc=False):
    """The state of a grant for a subject at one time: the `way` by which it holds and its end, or why it is `over`."""

    way: Way | None = None
    until: datetime | None = None
    over: Ended | None = None


PLAIN = Standing(DIRECT[0])
"""The standing of a grant without dates for a user who is named directly."""


class Principal(Struct, frozen=True, gc=False):
    """A subject that a grant is for, the ways that lead to it, and the user behind it, if there is one.

    `usual` is the standing of a grant that has no dates of its own.
    """

    subject: Subject
    ways: tuple[Way, ...]
    identity: Identity | None
    usual: Standing


def standing(window: Window, ways: tuple[Way, ...], identity: Identity | None, at: Span, as_of: datetime) -> Standing:
    """Return the standing at `as_of` of a grant within `window` for a subject whom these ways lead to.

    `at` is the place of the grant; `identity` is the user behind the subject, whose own end comes first.
    """
    if identity is not None:
        if identity.ending is not None:
            return Standing(over=identity.ended(identity.ending))
        window = window.meet(identity.user.window)
    if window is ALWAYS and ways is DIRECT:
        return PLAIN
    met = [(common, way) for way in ways if not (common := window.meet(way.window)).empty]
    now = [way for common, way in met if common.holds(as_of)]
    if now:
        if len(met) == 1:
            return Standing(now[0], met[0][0].end)
        return Standing(_unite(now), last_end((common for common, _ in met), as_of))
    past = max((common.end for common, _ in met if common.end is not None and common.end <= as_of), default=None)
    told = _unite(ways)
    how: Ending = "expired" if past is not None or not met else "not-yet"
    return Standing(over=Ended(how, at, told.ticket, told.reason, past))


def _unite(ways: Sequence[Way]) -> Way:
    """Return the first of some ways, with the tickets and reasons of all."""
    first, *others = ways
    if not any(way.ticket or way.reason for way in others):
        return first
    ticket, reason = joined(*(way.ticket for way in ways)), joined(*(way.reason for way in ways))
    return Way(first.window, first.via, ticket, reason)


def ends(window: Window, ways: tuple[Way, ...]) -> bool:
    """Return whether a grant within `window`, for a subject whom these ways lead to, is over one day."""
    return window.end is not None or (ways is not DIRECT and all(way.window.end is not None for way in ways))


class Principals(Struct):
    """The subjects that `to` lists mean on one instance; native groups among them are added to the draft."""

    declaration: Declaration
    instance: str
    people: Mapping[str, Identity]
    groups: Mapping[str, People]
    native: bool
    live: Live | None
    as_of: datetime
    draft: Draft
    doubtful: Collection[str] = ()
    refused: dict[tuple[str, ...], Span] = {}
    _known: dict[tuple[str, ...], tuple[Principal, ...]] = {}
    _native: dict[str, Principal] = {}
    nameless: dict[tuple[str, ...], list[str]] = {}

    def of(self, names: tuple[str, ...]) -> tuple[Principal, ...]:
        """Return the principals of a grant to these users and groups."""
        principals = self._known.get(names)
        if principals is None:
            principals = self._known[names] = self._find_principals(names)
        return principals

    def refuse_nameless(self, names: tuple[str, ...]) -> None:
        """Add an error for each user of a `to` list who has no login here; for a grant that gives something here."""
        for handle in self.nameless.get(names, ()):
            message = f"`{handle}` needs an e-mail: it is the login on {self.instance}"
            self.draft.say(error("email-needed", message, at=self.declaration.users[handle].at, local=True))

    def keep_named_groups(self) -> None:
        """Add the groups that the file calls the platform's own to the draft, also those that are granted nothing."""
        for group in self.declaration.groups.values() if self.native else ():
            if group.native is not None:
                self._want_group(group)

    def _find_principals(self, names: tuple[str, ...]) -> tuple[Principal, ...]:
        """Return the principals of a `to` list: native groups first, then users with all ways that lead to them."""
        if len(names) == 1 and names[0] in self.declaration.users:
            principal = self._find_user(names, names[0], DIRECT)
            return () if principal is None else (principal,)
        return tuple(self._list_principals(names))

    def _list_principals(self, names: tuple[str, ...]) -> Iterator[Principal]:
        """Yield the principals of any `to` list."""
        users, ways = self.declaration.users, dict[str, tuple["Way", ...]]()
        for name in names:
            if name in users:
                ways[name] = (*ways[name], *DIRECT) if name in ways else DIRECT
                continue
            group = self.declaration.groups.get(name)
            if group is None:  # an unknown name, which the check of the file has told
                continue
            if self.native:
                if name not in self._native:
                    self._native[name] = self._want_group(group)
                yield self._native[name]
            elif group.external:
                self.refused[names] = self._refuse_external(group)
            else:
                for handle, group_ways in self.groups[name].items():
                    if handle in users:  # else an unknown member, which the check of the file has told
                        ways[handle] = (*ways.get(handle, ()), *group_ways)
        yield from filter(None, [self._find_user(names, handle, user_ways) for handle, user_ways in ways.items()])

    def _find_user(self, names: tuple[str, ...], handle: str, ways: tuple[Way, ...]) -> Principal | None:
        """Return a user of a `to` list as a principal; `None` where there is no login, noted where one may be needed."""
        identity = self.people.get(handle)
        user = self.declaration.users[handle]
        if identity is not None:
            usual = standing(ALWAYS, ways, identity, user.at, self.as_of)
            return Principal(identity.subject, ways, identity, usual)
        if user.state(self.instance) == "active":
            self.nameless.setdefault(names, []).append(handle)
        return None

    def _refuse_external(self, group: GroupLine) -> Span:
        """Add an error about a group whose members cannot be told here, and return its place."""
        message = f"the members of `{group.handle}` are known to a directory only, and {self.instance} cannot ask it"
        hint = "grant to users, or narrow the grant with `on`"
        at = group.location.key()
        self.draft.say(error("external-group", message, at=at, hint=hint, local=True))
        return at

    def _want_group(self, group: GroupLine) -> Principal:
        """Add a group of the platform, and its members at this time, to the draft."""
        name, renamed = self._find_group(group)
        self.draft.want(Group(name, self._owner_of(name) if group.external else None, renamed), Origin(group.at))
        for handle, ways in self.groups[group.handle].items():
            identity = self.people.get(handle)
            if identity is not None and self._may_join(name, group, identity):
                self._want_member(name, group, identity, ways)
        return Principal(Subject("group", name), DIRECT, None, PLAIN)

    def _find_group(self, group: GroupLine) -> tuple[str, str | None]:
        """Return the name of a group on the platform, and the new name where only a former one is live.

        A former group that is live beside the present one is added to the diagnostics.
        """
        wanted = group.native or group.handle
        live = self.live.access if self.live is not None else ()
        former = next((name for name in group.previously if group_key(name) in live), None)
        if former is None or former == wanted:
            return wanted, None
        if group_key(wanted) not in live:
            return former, wanted
        self.draft.say(
            warning(
                "former-group-remains",
                f"`{former}`, a former name of the group `{group.handle}`, is still there beside it",
                at=group.location.at("previously"),
                hint="declare it as a group of its own, or remove it by hand: its members have what it gives",
            )
        )
        return wanted, None

    def _may_join(self, name: str, group: GroupLine, identity: Identity) -> bool:
        """Return whether a membership may be wanted: nobody joins by a row in error, and who is in stays."""
        doubtful = group.handle in self.doubtful or identity.user.handle in self.declaration.faults.users
        return not doubtful or (self.live is not None and ("member", name, identity.account) in self.live.access)

    def _want_member(self, name: str, group: GroupLine, identity: Identity, ways: tuple[Way, ...]) -> None:
        """Add a member of a native group to the draft, or record that the membership is over or not yet due."""
        member = Member(name, identity.account)
        now = standing(ALWAYS, ways, identity, group.at, self.as_of)
        if now.way is not None:
            user = identity.user
            ticket, reason = joined(now.way.ticket, user.ticket), joined(now.way.reason, user.reason)
            origin = Origin(group.at, now.way.via, ticket, reason, now.until)
            self.draft.wanted.setdefault(identity.user.handle, origin)
            if identity.awaited:
                self.draft.awaited.setdefault(member.key, origin)
                return
            self.draft.want(member, origin)
            if now.until is not None and not ends(ALWAYS, ways):
                self.draft.claims[member.key] = (Claim(member, origin, ends=False),)
        elif now.over is not None:
            self.draft.ended.setdefault(member.key, now.over)

    def _owner_of(self, name: str) -> str:
        """Return the directory that owns an external group's members, as the platform names it; else the group's name."""
        have = self.live.access.get(("group", name)) if self.live is not None else None
        return have.external if isinstance(have, Group) and have.external else name


def login_of(user: User, instance: str, traits: Traits) -> str | None:
    """Return the login of a user on an instance, before the platform folds it; `None` where an e-mail is needed."""
    given = user.logins.get(instance)
    if given is not None:
        return given
    return user.email if traits.login == "email" else user.listed_logins.get(instance, user.handle)
