"""From Matomo's rows to neutral access."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import warning
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Scope, Subject, account_key
from siteward.access.state import Live, Site
from siteward.platforms.matomo.groups import held_by_group, resources_of, told
from siteward.platforms.matomo.native_state import is_anonymous, is_pending, spellings
from siteward.platforms.matomo.roles import SUPERUSER, plugin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.state import Listing
    from siteward.access.traits import Traits
    from siteward.platforms.matomo.groups import PluginGroup
    from siteward.platforms.matomo.native_state import NativeState
    from siteward.platforms.matomo.rows import SiteRow, UserRow

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
        "{n} grants are on sites that do not exist, and a new site of that id would inherit them: {who}",
        "take them away with UsersManager.setUserAccess, access=noaccess, for these ids",
    ),
    "gone": (
        "orphan-grant",
        "grants are kept for {n} logins that do not exist: {who}",
        "only the database can be rid of them; no account of such a login is made here",
    ),
    "spelling": (
        "stray-spelling",
        "grants were written in another spelling than the account has, of letter case or accents: {who}",
        "they hold all the same, and the next change of the person's access puts them right",
    ),
    "superuser": (
        "stray-grants",
        "{n} superusers have grants on sites beside, which hold when they stop being one: {who}",
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
            f"{plugin} is switched off, and {len(who)} account{'s' if len(who) > 1 else ''} would have "
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
