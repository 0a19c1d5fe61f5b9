"""Reads a whole Matomo with one bulk for any number of users and sites (API.md section 4), and builds `Live` from it.

    users · sites · logins and sites of each role and capability · capabilities · two plugins    one bulk
    └─ the rest of each list that has exactly a hundred rows (API.md section 1.4)                only after such a list
    └─ owners of grants under a foreign spelling · groups of GroupPermissions ·
       rights by plugins that are off, user by user                                              only if there are any

`refresh` reads all this again, because one bulk costs little more than a part of it would.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache, partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import join_some, plural, warning
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Scope, Subject, account_key, account_of
from siteward.access.state import Listing, Live, Site
from siteward.platforms.interface import native
from siteward.platforms.matomo.groups import BLIND_SPOT, PLUGIN, build_groups, read_groups, report_unclear
from siteward.platforms.matomo.native_state import NativeState, People, is_anonymous, is_pending, spellings
from siteward.platforms.matomo.probe import LDAP, is_on
from siteward.platforms.matomo.roles import SUPERUSER, choose_onboarding, plugin_of, version_of
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
Held: TypeAlias = "dict[tuple[str, Scope], frozenset[str]]"
"""The role and capabilities of each user on each site; equal ones are one set."""
_NOTHING: frozenset[str] = frozenset()
# The length to which Matomo cuts every list when `filter_limit` does not arrive (API.md section 1.4).
SUSPECT = 100
_BEYOND = {"filter_offset": str(SUSPECT), "filter_limit": "1000000"}
# 2.x would send md5 passwords and clear tokens along; with this they never leave the server.
USERS = Call("UsersManager.getUsers", {"hideColumns": "password,token_auth"})
USER = Call("UsersManager.getUser", USERS.arguments)
CAPABILITIES = Call("UsersManager.getAvailableCapabilities")
SITES = Call("SitesManager.getSitesWithAtLeastViewAccess", {"showColumns": "idsite,name,main_url,group"})


class Rows(Struct, frozen=True):
    """The answers that were read.

    `held_sites` has, for each role and capability, the ids of the sites on which each login holds it. `owners` maps a
    login that is no account's, but works for one, to that account's. `off` are the capabilities whose plugin is
    switched off, `asleep` those of them that people hold, by login and site id. `ldap` is true if LoginLdap is on.
    """

    users: tuple[UserRow, ...]
    sites: tuple[SiteRow, ...]
    held_sites: Mapping[str, Mapping[str, tuple[int, ...]]]
    owners: Mapping[str, str] = MappingProxyType({})
    off: frozenset[str] = frozenset()
    ldap: bool = False
    groups: tuple[PluginGroup, ...] = ()
    asleep: Mapping[str, Mapping[int, frozenset[str]]] = MappingProxyType({})


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return all access on the instance.

    `Live.me` stays empty if `self` is no superuser: the token, which is a superuser's, then belongs to another account.
    Raises `PlatformError`, as `IncompleteError` if a list was cut.
    """
    rows, listings = _read_rows(reader, traits)
    version = version_of(traits.version)
    state = NativeState(
        version=version,
        traits=traits,
        people=People(rows.users),
        me=settings.self_login,
        has_password=token_of(reader).has_password,
        onboarding=choose_onboarding(version, settings.onboarding),
    )
    return _build_live(rows, state, listings)


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return the resource under each key as it is now, `None` for none.

    Raises as `read` does.
    """
    before = native(live, NativeState)
    rows, _ = _read_rows(reader, before.traits)
    state = replace(before, people=People(rows.users))
    accounts = {name for key in keys if (name := account_of(key)) is not None}
    rows = _narrow(rows, state, accounts)
    access, _ = _build_access(rows, state, _name_sites(_build_sites(rows.sites)))
    return {key: access.get(key) for key in keys}


# --- requests ---------------------------------------------------------------------------------------------------------


def _read_rows(reader: Reader, traits: Traits) -> tuple[Rows, tuple[Listing, ...]]:
    """Return all rows, and the listings with the proof of their ends."""
    # A plugin may have called its capability as a role is called; the server has one list of that name.
    kinds = tuple(dict.fromkeys((*(role.name for role in traits.roles["site"]), *traits.extras)))
    calls = [USERS, SITES, *(Call("UsersManager.getUsersSitesFromAccess", {"access": kind}) for kind in kinds)]
    answers = ask(reader, [*calls, *([CAPABILITIES] if traits.extras else []), LDAP, PLUGIN])
    has_groups, ldap = is_on(answers.pop()), is_on(answers.pop())
    off = _find_switched_off(answers.pop(), traits) if traits.extras else frozenset()
    users, sites, *maps = _check_answers(reader, answers, dict(enumerate(kinds, 2)), off)
    rows = Rows(
        users=parse(USER_LIST, users, "getUsers"),
        sites=parse(SITE_LIST, sites, "getSitesWithAtLeastViewAccess"),
        held_sites={
            kind: parse(USER_MAP, sites_by_login, "getUsersSitesFromAccess")
            for kind, sites_by_login in zip(kinds, maps, strict=True)
        },
        off=off,
        ldap=ldap,
    )
    listings = _prove_ends(reader, rows, calls)
    rows = replace(rows, owners=_read_owners(reader, rows))
    if has_groups and BLIND_SPOT not in traits.blind_spots:
        rows = replace(rows, groups=read_groups(partial(_ask_lists, reader), (site.id for site in rows.sites)))
    return (replace(rows, asleep=_read_asleep(reader, rows, kinds)) if off else rows), listings


def _find_switched_off(answer: object, traits: Traits) -> frozenset[str]:
    """Return the capabilities that the server had when it was probed, or that Matomo brings, and does not offer now."""
    offered = () if isinstance(answer, Failed) else parse(CAPABILITY_LIST, answer, "getAvailableCapabilities")
    return frozenset(traits.extras) - {capability.id for capability in offered}


def _check_answers(
    reader: Reader, answers: list[object], kinds: Mapping[int, str], off: Collection[str]
) -> Iterator[object]:
    """Yield the answers, an empty one where the capability asked for is switched off.

    `kinds` has the role or capability by the position of its answer. Raises `PlatformError` for any other refusal.
    """
    for position, answer in enumerate(answers):
        if not isinstance(answer, Failed):
            yield answer
        elif kinds.get(position) in off:
            yield {}
        else:
            raise refusal(reader, answer.words, 200)


def _read_asleep(reader: Reader, rows: Rows, kinds: Collection[str]) -> Mapping[str, Mapping[int, frozenset[str]]]:
    """Return the capabilities that people hold by plugins that are off, by login and site id.

    The server shows them only user by user (rec 23#4-8).
    """
    people, awake = People(rows.users), frozenset(kinds) - rows.off
    users = (people.find(rows.owners.get(login, login)) for logins in rows.held_sites.values() for login in logins)
    logins = sorted({user.login for user in users if user is not None and not user.superuser})
    calls = [Call("UsersManager.getSitesAccessFromUser", {"userLogin": login}) for login in logins]
    asleep: dict[str, Mapping[int, frozenset[str]]] = {}
    for login, answer in zip(logins, _ask_all(reader, calls), strict=True):
        held: defaultdict[int, set[str]] = defaultdict(set)
        for row in parse(ACCESS_LIST, answer, "getSitesAccessFromUser"):
            held[row.site] |= {row.access} - awake
        asleep[login] = {site: frozenset(capabilities) for site, capabilities in held.items() if capabilities}
    return {login: held for login, held in asleep.items() if held}


def _read_owners(reader: Reader, rows: Rows) -> Mapping[str, str]:
    """Return the accounts for which grants under a foreign spelling work, by that spelling.

    The server is asked, because it knows its collation: a row under `müller` is the access of `muller` where the
    database ignores accents (rec 21#7-11).
    """
    people = People(rows.users)
    logins = {login for sites_by_login in rows.held_sites.values() for login in sites_by_login}
    strays = [login for login in sorted(logins) if people.find(login) is None and people.alike(login)]
    if not strays:
        return {}
    answers = ask(reader, [Call(USER.method, {**USER.arguments, "userLogin": login}) for login in strays])
    return {
        login: parse(USER_RECORD, answer, "getUser").login
        for login, answer in zip(strays, answers, strict=True)
        if not isinstance(answer, Failed)
    }


def _ask_all(reader: Reader, calls: Sequence[Call]) -> list[object]:
    """Return the answers to calls; raises `PlatformError` if one is refused."""
    answers = ask(reader, calls)
    for answer in answers:
        if isinstance(answer, Failed):
            raise refusal(reader, answer.words, 200)
    return answers


def _ask_lists(reader: Reader, calls: Sequence[Call]) -> list[object]:
    """Return the answers to calls, having proved that no list among them was cut; raises as `_ask_all` does."""
    answers = _ask_all(reader, calls)
    _prove_nothing_behind(reader, calls, [len(answer) if isinstance(answer, list) else 0 for answer in answers])
    return answers


def _prove_ends(reader: Reader, rows: Rows, calls: Sequence[Call]) -> tuple[Listing, ...]:
    """Return the listings with the proof of their ends, having asked for more where one has exactly 100 rows."""
    counts = [len(rows.users), len(rows.sites), *map(_count_cuttable, rows.held_sites.values())]
    _prove_nothing_behind(reader, calls, counts)
    proofs = {True: "100 rows, and none behind them", False: "asked without a limit"}
    return (
        Listing(name="accounts", rows=counts[0], complete=True, proof=proofs[counts[0] == SUSPECT]),
        Listing(name="sites", rows=counts[1], complete=True, proof=proofs[counts[1] == SUSPECT]),
        Listing(name="grants", rows=_count_grants(rows), complete=True, proof="one map for each role and capability"),
    )


def _prove_nothing_behind(reader: Reader, calls: Sequence[Call], counts: Sequence[int]) -> None:
    """Ask again for each list of exactly 100 rows; raises `IncompleteError` if there are more behind them."""
    suspects = [call for call, count in zip(calls, counts, strict=True) if count == SUSPECT]
    behind = _ask_all(reader, [Call(suspect.method, {**suspect.arguments, **_BEYOND}) for suspect in suspects])
    cut = [call.method for call, more in zip(suspects, behind, strict=True) if more]
    if cut:
        raise IncompleteError(
            f"{cut[0]} gave exactly {SUSPECT} rows and has more behind them: something cuts Matomo's lists",
            hint="a proxy or plugin may drop `filter_limit` from the URL",
        )


def _count_cuttable(sites_by_login: Mapping[str, tuple[int, ...]]) -> int:
    """Return the length of a map by login if its first login is a number, else 0: Matomo cuts no other map."""
    return len(sites_by_login) if next(iter(sites_by_login), "").isdigit() else 0


def _count_grants(rows: Rows) -> int:
    return sum(len(sites) for sites_by_login in rows.held_sites.values() for sites in sites_by_login.values())


# --- from rows to `Live` ----------------------------------------------------------------------------------------------


def _build_live(rows: Rows, state: NativeState, listings: tuple[Listing, ...]) -> Live:
    sites = _build_sites(rows.sites)
    access, strays = _build_access(rows, state, _name_sites(sites))
    me = state.user(state.me)
    return Live(
        access=access,
        sites=sites,
        me=me.login if me and me.superuser else None,
        ids={account_key(user.login): user.created for user in rows.users if user.created},
        pending=frozenset(_list_pending(access, rows.users)),
        facts={account_key(user.login): _collect_facts(user) for user in rows.users},
        listings=listings,
        findings=(
            *_report_strays(strays),
            *_report_asleep(rows),
            *report_unclear(rows.groups, state.traits),
            *_report_pending_superusers(rows.users),
        ),
        native=replace(
            state,
            off=rows.off,
            asleep=rows.asleep,
            ldap=rows.ldap,
            ghosts=frozenset().union(*map(spellings, strays.get("gone", ()))),
        ),
    )


def _narrow(rows: Rows, state: NativeState, accounts: Collection[str]) -> Rows:
    """Return the rows about these accounts alone: building all there is takes far longer than comparing a few."""
    logins = {login for sites_by_login in rows.held_sites.values() for login in sites_by_login}
    users = {login: state.user(rows.owners.get(login, login)) for login in logins}
    wanted = {login for login, user in users.items() if user is not None and user.login in accounts}
    return replace(
        rows,
        users=tuple(user for user in rows.users if user.login in accounts),
        held_sites={
            kind: {login: sites_by_login[login] for login in sites_by_login.keys() & wanted}
            for kind, sites_by_login in rows.held_sites.items()
        },
        asleep={login: held for login, held in rows.asleep.items() if login in accounts},
    )


def _build_access(rows: Rows, state: NativeState, scopes: Mapping[int, Scope]) -> tuple[Access, Mapping[str, set[str]]]:
    """Return all access, and the rows that are no proper grants, by kind; of users and groups told twice the last counts."""
    held, strays = _collect_held(rows, state, scopes)
    _add_asleep(held, rows, scopes)
    accounts = {resource.key: resource for resource in _build_accounts(rows.users)}
    groups = {resource.key: resource for resource in build_groups(rows.groups, state, scopes)}
    return Access(chain(accounts.values(), _build_grants(held, state.traits), groups.values())), strays


def _build_accounts(users: Iterable[UserRow]) -> Iterator[Resource]:
    for user in users:
        yield Account(user.login, user.email or None, status=_parse_status(user))
        if user.superuser:
            yield Grant(Subject("account", user.login), EVERYWHERE, SUPERUSER)


def _name_sites(sites: Mapping[Scope, Site]) -> Mapping[int, Scope]:
    """Return the scopes of sites by their ids."""
    return {int(site.id): scope for scope, site in sites.items()}


def _build_sites(rows: Iterable[SiteRow]) -> dict[Scope, Site]:
    """Return the sites by scope: a domain that is unique names its site, others need their id."""
    hosts = {row.id: _host_of(row.main_url) for row in rows}
    times = Counter(hosts.values())
    sites: dict[Scope, Site] = {}
    for row in rows:
        host = hosts[row.id]
        label = host if host and times[host] == 1 else f"{host}#{row.id}"
        domains = (host,) if host else ()
        sites[Scope("site", label)] = Site(
            id=str(row.id), label=label, name=row.name, domains=domains, group=row.group.strip()
        )
    return sites


def _host_of(url: str) -> str:
    """Return the host of a site's main URL, normalized; empty if there is none. The server checks little here."""
    return domain_in(url if "://" in url else "//" + url.removeprefix("//"))


def _collect_held(rows: Rows, state: NativeState, scopes: Mapping[int, Scope]) -> tuple[Held, Mapping[str, set[str]]]:
    """Return the role and capabilities of each user on each site, and the rows that are no proper grants, by kind.

    A row under another spelling, of letter case or accents, counts for the user all the same: the database compares
    without both, and the next change under the right spelling repairs it (rec 03#51-54, 21#11-14).
    """
    held: Held = {}
    strays: defaultdict[str, set[str]] = defaultdict(set)
    for name, sites_by_login in rows.held_sites.items():
        for login, site_ids in sites_by_login.items():
            user = state.user(rows.owners.get(login, login))
            if user is None:
                strays["gone"].add(login)
                continue
            if user.login != login:
                strays["spelling"].add(login)
            if user.superuser:
                strays["superuser"].add(login)
                continue
            for site_id in site_ids:
                if site_id in scopes:
                    place = user.login, scopes[site_id]
                    held[place] = _join(held.get(place, _NOTHING), name)
                else:
                    strays["orphan"].add(f"{user.login} on site {site_id}")
    return held, strays


@cache
def _join(names: frozenset[str], name: str) -> frozenset[str]:
    return names | {name}


def _add_asleep(held: Held, rows: Rows, scopes: Mapping[int, Scope]) -> None:
    """Add the capabilities by plugins that are off: people hold them, though they are not in force."""
    for login, asleep in rows.asleep.items():
        for site_id, capabilities in asleep.items():
            if site_id in scopes:
                place = login, scopes[site_id]
                held[place] = held.get(place, _NOTHING) | capabilities


def _build_grants(held: Held, traits: Traits) -> Iterator[Grant]:
    """Yield the grants made of the roles and capabilities that people hold; capabilities without a role give nothing."""
    kinds = {names: _tell_role(names, traits) for names in set(held.values())}
    subjects = {login: Subject("account", login) for login, _ in held}
    for (login, scope), names in held.items():
        if (kind := kinds[names]) is not None:
            yield Grant(subjects[login], scope, *kind)


def _tell_role(names: frozenset[str], traits: Traits) -> tuple[str, frozenset[str]] | None:
    """Return the role among what somebody holds on a site, and the capabilities that are no part of it."""
    roles = [role.name for role in traits.roles["site"] if role.name in names]
    if not roles:
        return None
    role = roles[-1]
    extras = frozenset(extra for extra in names & traits.extras.keys() if role not in traits.included[extra])
    return role, extras


def _parse_status(user: UserRow) -> Status:
    if user.invite_status == "active":
        return "active"
    return "expired" if user.invite_status == "expired" else "pending"


def _list_pending(access: Access, users: Iterable[UserRow]) -> Iterator[Key]:
    """Yield the keys of accounts whose invitation is not accepted, and of their grants."""
    waiting = {user.login for user in users if is_pending(user)}
    for resource in access.values() if waiting else ():
        match resource:
            case Account(name=name) | Grant(subject=Subject(name=name)) if name in waiting:
                yield resource.key
            case _:
                pass


def _collect_facts(user: UserRow) -> dict[str, str]:
    facts = {
        "created": user.created,
        "last_seen": user.last_seen,
        "invited_by": user.invited_by,
        "invitation_ends": user.invite_ends if is_pending(user) else None,
        "two_factor": None if user.two_factor is None else "yes" if user.two_factor else "no",
    }
    return {name: fact for name, fact in facts.items() if fact}


# --- findings ---------------------------------------------------------------------------------------------------------

# Rule id, the noun that is counted, message and hint for each kind of row that is no proper grant.
_STRAYS = {
    "orphan": (
        "orphan-grant",
        "grant",
        "{count} on sites that do not exist, which a new site of that id would inherit: {names}",
        "take them away with UsersManager.setUserAccess, access=noaccess, for these ids",
    ),
    "gone": (
        "orphan-grant",
        "login",
        "grants are kept for {count} that no account has: {names}",
        "only the database can be rid of them; no account of such a login is made here",
    ),
    "spelling": (
        "stray-spelling",
        "login",
        "grants were written in another spelling than the account has, of letter case or accents: {names}",
        "they hold all the same, and the next change of the person's access puts them right",
    ),
    "superuser": (
        "stray-grants",
        "superuser",
        "{count} with grants on sites beside, which hold once the superuser is taken away: {names}",
        "they go when the superuser is taken away",
    ),
}


def _report_strays(strays: Mapping[str, set[str]]) -> Iterator[Diagnostic]:
    for kind, (code, noun, message, hint) in _STRAYS.items():
        names = sorted(strays.get(kind, ()))
        if names:
            count = plural(len(names), noun)
            facts = (kind, *names)  # all of them, of which the message names some
            yield warning(code, message.format(count=count, names=join_some(names)), hint=hint, facts=facts)


def _report_asleep(rows: Rows) -> Iterator[Diagnostic]:
    """Report rights that are not in force because the plugin they belong to is switched off."""
    capabilities = sorted({name for held in rows.asleep.values() for names in held.values() for name in names})
    if capabilities:
        logins = sorted(rows.asleep)
        yield warning(
            "capability-asleep",
            f"{plugin_of(capabilities[0])} is switched off, and {plural(len(logins), 'account')} "
            f"would have {', '.join(capabilities)} again as soon as it is on: {join_some(logins)}",
            hint="a change of their role there waits for it; taking all their access takes this too",
        )


def _report_pending_superusers(users: Iterable[UserRow]) -> Iterator[Diagnostic]:
    for user in users:
        if user.superuser and is_pending(user) and not is_anonymous(user.login):
            yield warning(
                "pending-superuser",
                f"{user.login} is a superuser who has not accepted the invitation, and does not count as an admin; "
                "Matomo itself counts such a one, and deletes it when the invitation has run out",
                about=account_key(user.login),
            )
