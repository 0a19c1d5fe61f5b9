"""Reading one Matomo whole: one bulk for any number of users and sites (API.md section 4)."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural, warning
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Scope, Subject, account_key
from siteward.access.state import Listing, Live, Site
from siteward.platforms.interface import native
from siteward.platforms.matomo.groups import BLIND_SPOT, PLUGIN, group_members, held_by_group, resources_of, told
from siteward.platforms.matomo.native_state import NativeState, People, is_anonymous, is_pending, spellings
from siteward.platforms.matomo.probe import LDAP, is_on
from siteward.platforms.matomo.roles import SUPERUSER, onboarding, plugin_of, version_of
from siteward.platforms.matomo.rows import (
    ACCESS_LIST,
    CAPABILITY_LIST,
    SITE_LIST,
    USER_LIST,
    USER_MAP,
    USER_RECORD,
    parse,
)
from siteward.platforms.matomo.rpc import Call, Failed, ask, refusal, token_of
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.traits import Traits
    from siteward.platforms.matomo.groups import PluginGroup
    from siteward.platforms.matomo.rows import SiteRow, UserRow
    from siteward.platforms.matomo.settings import Settings
    from siteward.transport.http import Reader


Status = Literal["active", "pending", "expired"]
_SHOWN = 5


class Rows(Struct, frozen=True):
    """All that was read: users, sites, and for each role and capability who holds it where.

    `off` are capabilities whose plugin is switched off, `asleep` what people hold by such plugins, by login and site.
    `ldap` tells that LoginLdap is on; `crews` are the groups of GroupPermissions. `owners` maps the spelling of a row
    that is no account's, but works for one, to that account's login.
    """

    users: tuple[UserRow, ...]
    sites: tuple[SiteRow, ...]
    declared_users: Mapping[str, Mapping[str, tuple[int, ...]]]
    owners: Mapping[str, str] = MappingProxyType({})
    off: frozenset[str] = frozenset()
    ldap: bool = False
    group_members: tuple[PluginGroup, ...] = ()
    asleep: Mapping[str, Mapping[int, frozenset[str]]] = MappingProxyType({})


def live_of(rows: Rows, state: NativeState, listings: tuple[Listing, ...]) -> Live:
    """Return the live state that `rows` amount to."""
    sites = _sites(rows.sites)
    scopes = {int(site.id): scope for scope, site in sites.items()}
    held, lost = _held(rows, state, scopes)
    for login, asleep in rows.asleep.items():
        for site, sleeping in asleep.items():
            if site in scopes:
                held.setdefault((login, scopes[site]), set()).update(sleeping)
    resources: dict[Key, Resource] = {}
    for user in rows.users:
        resources[account_key(user.login)] = Account(user.login, user.email or None, status=_status(user))
        if user.superuser:
            _put(resources, Grant(Subject("account", user.login), EVERYWHERE, SUPERUSER))
    for (login, scope), words in held.items():
        grant = _grant(login, scope, words, state.traits)
        if grant is not None:
            _put(resources, grant)
    for resource in resources_of(rows.group_members, state, scopes):
        resources[resource.key] = resource
    access = Access.of(resources)
    me = state.user(state.me)
    return Live(
        access=access,
        sites=sites,
        me=me.login if me and me.superuser else None,
        ids={account_key(user.login): user.login for user in rows.users},
        pending=frozenset(_pending(resources.values(), rows.users)),
        facts={account_key(user.login): _facts(user) for user in rows.users},
        listings=listings,
        findings=(
            *_strays(lost),
            *_sleeping(rows),
            *told(held_by_group(access, state.traits)),
            *_pending_superusers(rows.users),
        ),
        native=replace(
            state,
            off=rows.off,
            asleep=rows.asleep,
            ldap=rows.ldap,
            ghosts=frozenset().union(*map(spellings, lost.get("gone", ()))),
        ),
    )


def _put(resources: dict[Key, Resource], grant: Grant) -> None:
    resources[grant.key] = grant


# sites


def _sites(rows: Iterable[SiteRow]) -> dict[Scope, Site]:
    """Return the sites by scope: a domain that is unique names its site, others need their id."""
    hosts = {site_row.id: host_of(site_row.main_url) for site_row in rows}
    times = Counter(hosts.values())
    found: dict[Scope, Site] = {}
    for row in rows:
        host = hosts[row.id]
        label = host if host and times[host] == 1 else f"{host}#{row.id}"
        domains = (host,) if host else ()
        found[Scope("site", label)] = Site(
            id=str(row.id), label=label, name=row.name, domains=domains, group=row.group.strip()
        )
    return found


def host_of(url: str) -> str:
    """Return the host of a site's main URL, folded, nothing where there is none; the server checks little."""
    return domain_in(url if "://" in url else "//" + url.removeprefix("//"))


# grants


def _held(
    rows: Rows, state: NativeState, scopes: Mapping[int, Scope]
) -> tuple[dict[tuple[str, Scope], set[str]], Mapping[str, set[str]]]:
    """Return what each user holds on each site, and by kind the rows that hang in the air.

    A row under another spelling, of letter case or accents, counts for the user all the same: the database compares
    without both, and the next change through the right spelling heals it (rec 03#51-54, 21#11-14).
    """
    held: defaultdict[tuple[str, Scope], set[str]] = defaultdict(set)
    lost: defaultdict[str, set[str]] = defaultdict(set)
    for access, logins in rows.declared_users.items():
        for login, sites in logins.items():
            user = state.user(rows.owners.get(login, login))
            if user is None:
                lost["gone"].add(login)
                continue
            if user.login != login:
                lost["spelling"].add(login)
            if user.superuser:
                lost["superuser"].add(login)
                continue
            for site in sites:
                if site in scopes:
                    held[user.login, scopes[site]].add(access)
                else:
                    lost["orphan"].add(f"{user.login} on site {site}")
    return held, lost


_STRAY = {
    "orphan": (
        "orphan-grant",
        "grants on sites that do not exist, which a new site of that id would inherit ({n}): {who}",
        "take them away with UsersManager.setUserAccess, access=noaccess, for these ids",
    ),
    "gone": (
        "orphan-grant",
        "grants are kept for logins that do not exist ({n}): {who}",
        "only the database can be rid of them; no account of such a login is made here",
    ),
    "spelling": (
        "stray-spelling",
        "grants were written in another spelling than the account has, of letter case or accents: {who}",
        "they hold all the same, and the next change of the person's access puts them right",
    ),
    "superuser": (
        "stray-grants",
        "superusers with grants on sites beside, which hold when they stop being one ({n}): {who}",
        "they go when the superuser is taken away",
    ),
}


def _strays(lost: Mapping[str, set[str]]) -> Iterator[Diagnostic]:
    for kind, (code, message, hint) in _STRAY.items():
        names = sorted(lost.get(kind, ()))
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield warning(code, message.format(n=len(names), who=", ".join(names[:_SHOWN]) + more), hint=hint)


def _sleeping(rows: Rows) -> Iterator[Diagnostic]:
    """Tell of rights that are not in force because the plugin they belong to is switched off."""
    words = sorted({word for held in rows.asleep.values() for names in held.values() for word in names})
    if words:
        who = sorted(rows.asleep)
        plugin = plugin_of(words[0])
        yield warning(
            "capability-asleep",
            f"{plugin} is switched off, and {plural(len(who), 'account')} would have "
            f"{', '.join(words)} again as soon as it is on: {', '.join(who[:_SHOWN])}"
            + (f" and {len(who) - _SHOWN} more" if len(who) > _SHOWN else ""),
            hint="a change of their role there waits for it; taking all their access takes this too",
        )


def _grant(login: str, scope: Scope, access: set[str], traits: Traits) -> Grant | None:
    """Return what the rows of one user on one site amount to; capabilities without a role open nothing."""
    roles = [role.name for role in traits.roles["site"] if role.name in access]
    if not roles:
        return None
    role = roles[-1]
    extras = frozenset(key for key in access & traits.extras.keys() if role not in traits.included[key])
    return Grant(Subject("account", login), scope, role, extras)


# people


def _status(user: UserRow) -> Status:
    if user.invite_status == "active":
        return "active"
    return "expired" if user.invite_status == "expired" else "pending"


def _pending(resources: Iterable[Resource], users: Iterable[UserRow]) -> Iterator[Key]:
    waiting = {user.login for user in users if is_pending(user)}
    for resource in resources:
        match resource:
            case Account(name=name) | Grant(subject=Subject(name=name)) if name in waiting:
                yield resource.key
            case _:
                pass


def _facts(user: UserRow) -> dict[str, str]:
    told = {
        "created": user.created,
        "last_seen": user.last_seen,
        "invited_by": user.invited_by,
        "invitation_ends": user.invite_ends if is_pending(user) else None,
        "two_factor": None if user.two_factor is None else "yes" if user.two_factor else "no",
    }
    return {name: value for name, value in told.items() if value}


def _pending_superusers(users: Iterable[UserRow]) -> Iterator[Diagnostic]:
    for user in users:
        if is_anonymous(user.login):
            continue
        if user.superuser and is_pending(user):
            yield warning(
                "pending-superuser",
                f"{user.login} is a superuser who has not accepted the invitation, and does not count as an admin; "
                "Matomo itself counts such a one, and deletes it when the invitation has run out",
                about=account_key(user.login),
            )


# What Matomo cuts every list to when `filter_limit` does not reach it (API.md section 1.4).
SUSPECT = 100
_BEYOND = {"filter_offset": str(SUSPECT), "filter_limit": "1000000"}
# 2.x would send md5 passwords and clear tokens along; they never leave the server.
USERS = Call("UsersManager.getUsers", {"hideColumns": "password,token_auth"})
USER = Call("UsersManager.getUser", USERS.arguments)
CAPABILITIES = Call("UsersManager.getAvailableCapabilities")
SITES = Call("SitesManager.getSitesWithAtLeastViewAccess", {"showColumns": "idsite,name,main_url,group"})


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return all access on the instance, with one request, and a second one where a list has exactly 100 rows.

    Raises `IncompleteError` when something stands behind the hundredth row of such a list. `Live.me` stays open where
    `self` is no superuser: the token, which is one's, then belongs to another.
    """
    rows, listings = _rows(reader, traits)
    version = version_of(traits.version)
    state = NativeState(
        version=version,
        traits=traits,
        people=People(rows.users),
        me=settings.self_login,
        has_password=token_of(reader).has_password,
        onboarding=onboarding(version, settings.onboarding),
    )
    return live_of(rows, state, listings)


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return what stands under `keys` now. All is read again: one bulk costs little more than a part of it would."""
    before = native(live, NativeState)
    rows, listings = _rows(reader, before.traits)
    access = live_of(rows, replace(before, people=People(rows.users)), listings).access
    return {key: access.get(key) for key in keys}


def _rows(reader: Reader, traits: Traits) -> tuple[Rows, tuple[Listing, ...]]:
    kinds = (*(role.name for role in traits.roles["site"]), *traits.extras)
    calls = [USERS, SITES, *(Call("UsersManager.getUsersSitesFromAccess", {"access": kind}) for kind in kinds)]
    answers = ask(reader, [*calls, *([CAPABILITIES] if traits.extras else []), LDAP, PLUGIN])
    grouped, ldap = is_on(answers.pop()), is_on(answers.pop())
    off = _switched_off(answers.pop(), traits) if traits.extras else frozenset()
    users, sites, *declared_users = _all(reader, answers, dict(enumerate(kinds, 2)), off)
    rows = Rows(
        users=parse(USER_LIST, users, "getUsers"),
        sites=parse(SITE_LIST, sites, "getSitesWithAtLeastViewAccess"),
        declared_users={
            kind: parse(USER_MAP, user, "getUsersSitesFromAccess")
            for kind, user in zip(kinds, declared_users, strict=True)
        },
        off=off,
        ldap=ldap,
    )
    listings = _proven(reader, rows, calls)
    rows = replace(rows, owners=_owners(reader, rows))
    if grouped and BLIND_SPOT not in traits.blind_spots:
        rows = replace(rows, group_members=group_members(partial(_listed, reader), (site.id for site in rows.sites)))
    return (replace(rows, asleep=_asleep(reader, rows, kinds)) if off else rows), listings


def _switched_off(answer: object, traits: Traits) -> frozenset[str]:
    """Return the capabilities that this server once had, or may have, and does not offer now."""
    offered = () if isinstance(answer, Failed) else parse(CAPABILITY_LIST, answer, "getAvailableCapabilities")
    return frozenset(traits.extras) - {capability_row.id for capability_row in offered}


def _all(reader: Reader, answers: list[object], kinds: Mapping[int, str], off: Collection[str]) -> Iterator[object]:
    """Yield answers, and nobody for a capability that is switched off; raises for any other that was refused."""
    for at, answer in enumerate(answers):
        if not isinstance(answer, Failed):
            yield answer
        elif kinds.get(at) in off:
            yield {}
        else:
            raise refusal(reader, answer.words, 200)


def _asleep(reader: Reader, rows: Rows, kinds: Collection[str]) -> Mapping[str, Mapping[int, frozenset[str]]]:
    """Return what people hold by plugins that are off, by login and site: shown only person by person (rec 23#4-8)."""
    people, awake = People(rows.users), frozenset(kinds) - rows.off
    named = (people.named(rows.owners.get(login, login)) for logins in rows.declared_users.values() for login in logins)
    logins = sorted({user.login for user in named if user is not None and not user.superuser})
    answers = _answers(reader, [Call("UsersManager.getSitesAccessFromUser", {"userLogin": login}) for login in logins])
    found: dict[str, Mapping[int, frozenset[str]]] = {}
    for login, answer in zip(logins, answers, strict=True):
        held: defaultdict[int, set[str]] = defaultdict(set)
        for row in parse(ACCESS_LIST, answer, "getSitesAccessFromUser"):
            held[row.site] |= {row.access} - awake
        found[login] = {site: frozenset(words) for site, words in held.items() if words}
    return {login: held for login, held in found.items() if held}


def _owners(reader: Reader, rows: Rows) -> Mapping[str, str]:
    """Return for whom the grants under a foreign spelling work: the server is asked, which knows its collation.

    A row under `müller` is the access of `muller` where the database ignores accents (rec 21#7-11).
    """
    people = People(rows.users)
    strays = sorted(
        {login for logins in rows.declared_users.values() for login in logins if people.named(login) is None}
    )
    asked = [login for login in strays if people.alike(login)]
    answers = ask(reader, [Call(USER.method, {**USER.arguments, "userLogin": name}) for name in asked]) if asked else []
    return {
        login: parse(USER_RECORD, answer, "getUser").login
        for login, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, Failed)
    }


def _answers(reader: Reader, calls: Sequence[Call]) -> list[object]:
    found = ask(reader, calls)
    for item in found:
        if isinstance(item, Failed):
            raise refusal(reader, item.words, 200)
    return found


def _listed(reader: Reader, calls: Sequence[Call]) -> list[object]:
    """Return answers, of which every list has proved its end; raises for a call that is refused."""
    found = _answers(reader, calls)
    _nothing_behind(reader, calls, [len(item) if isinstance(item, list) else 0 for item in found])
    return found


def _proven(reader: Reader, rows: Rows, calls: Sequence[Call]) -> tuple[Listing, ...]:
    """Return the listings with the proof of their ends; where one has 100 rows, ask for what is behind them."""
    counts = [len(rows.users), len(rows.sites), *(_cuttable(user) for user in rows.declared_users.values())]
    _nothing_behind(reader, calls, counts)
    proofs = {True: "100 rows, and none behind them", False: "asked without a limit"}
    return (
        Listing(name="accounts", rows=counts[0], complete=True, proof=proofs[counts[0] == SUSPECT]),
        Listing(name="sites", rows=counts[1], complete=True, proof=proofs[counts[1] == SUSPECT]),
        Listing(name="grants", rows=_count(rows), complete=True, proof="one map for each role and capability"),
    )


def _nothing_behind(reader: Reader, calls: Sequence[Call], counts: Sequence[int]) -> None:
    """Ask for what is behind the hundredth row of each list that has just so many; raises `IncompleteError` for any."""
    suspects = [call for call, count in zip(calls, counts, strict=True) if count == SUSPECT]
    behind = _answers(reader, [Call(suspect.method, {**suspect.arguments, **_BEYOND}) for suspect in suspects])
    cut = [call.method for call, more in zip(suspects, behind, strict=True) if more]
    if cut:
        raise IncompleteError(
            f"{cut[0]} gave exactly {SUSPECT} rows and has more behind them: something cuts Matomo's lists",
            hint="a proxy or plugin may drop `filter_limit` from the URL",
        )


def _cuttable(declared_users: Mapping[str, tuple[int, ...]]) -> int:
    """Return the length of a map by login where its first login is a number: no other map is ever cut."""
    return len(declared_users) if next(iter(declared_users), "").isdigit() else 0


def _count(rows: Rows) -> int:
    return sum(len(sites) for logins in rows.declared_users.values() for sites in logins.values())
