"""UsersManager: who holds which role and capability on which site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import ADMIN, VIEW, ApiError, Call, api
from siteward.platforms.matomo.fake.roles import (
    GERMAN_ROLE_WORDS,
    NOACCESS,
    ROLE_WORDS,
    capabilities,
    check_access,
    included,
    role_and_capabilities,
    roles,
)
from siteward.platforms.matomo.fake.users import full_record, record, reduced_record, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.platforms.matomo.fake.php import Value
    from siteward.platforms.matomo.fake.state import User

# what exists


@api("UsersManager.getAvailableRoles", since=(3, 6))
def _get_available_roles(call: Call) -> Value:
    call.require_some(ADMIN)
    return [_role_record(call, role) for role in roles(call)]


def _role_record(call: Call, role: str) -> dict[str, Value]:
    name, description, url = ROLE_WORDS[role]
    if call.german:
        name, description = GERMAN_ROLE_WORDS[role]
    if role == "write" and call.release.before(4):
        url = ""
    return {"id": role, "name": name, "description": description, "helpUrl": url}


@api("UsersManager.getAvailableCapabilities", since=(3, 6))
def _get_available_capabilities(call: Call) -> Value:
    call.require_some(ADMIN)
    return [
        {
            "id": capability.id,
            "name": capability.name,
            "description": capability.description,
            "helpUrl": "",
            "includedInRoles": list(capability.included),
            "category": "Tag Manager",
        }
        for capability in capabilities(call)
    ]


# reading


@api("UsersManager.getUsersSitesFromAccess", "access")
def _get_users_sites_from_access(call: Call) -> Value:
    call.require_superuser()
    access = call.text("access")
    if not (access == NOACCESS and call.release.before(3)):
        check_access(call, [access])
    found: dict[str, Value] = {}
    for row in call.state.rows_with(access):
        sites = found.setdefault(row.login, [])
        if isinstance(sites, list):
            sites.append(call.number(row.site))
    return found


@api("UsersManager.getUsersAccessFromSite", "idSite")
def _get_users_access_from_site(call: Call) -> Value:
    site = call.integer("idSite")
    call.require_on(ADMIN, [site])
    seen = None if call.actor.superuser else {call.state.key(user.login) for user in visible(call)}
    return {
        row.login: row.access for row in call.state.rows_on(site) if seen is None or call.state.key(row.login) in seen
    }


@api("UsersManager.getUsersWithSiteAccess", "idSite", "access")
def _get_users_with_site_access(call: Call) -> Value:
    site, access = call.integer("idSite"), call.text("access")
    call.require_on(ADMIN, [site])
    check_access(call, [access])
    logins = {call.state.key(row.login) for row in call.state.rows_on(site) if row.access == access}
    return [record(call, user) for user in visible(call) if call.state.key(user.login) in logins]


@api("UsersManager.getSitesAccessFromUser", "userLogin")
def _get_sites_access_from_user(call: Call) -> Value:
    call.require_superuser()
    user = call.existing(call.text("userLogin"))
    if user.superuser:
        return [{"site": call.number(site), "access": "admin"} for site in sorted(call.state.sites)]
    # orphans are left out, but not by 2.x (rec 03.m218#24)
    return [
        {"site": call.number(row.site), "access": row.access}
        for row in call.state.rows_of(user.login)
        if row.site in call.state.sites or call.release.before(3)
    ]


@api("UsersManager.getUsersPlusRole", "idSite", since=(3, 6))
def _get_users_plus_role(call: Call) -> Value:
    site = call.integer("idSite")  # a list counts as its first, `all` as none (rec 03#71, #73)
    if not call.actor.superuser and site not in call.sites_with(ADMIN):
        found = _own_with_role(call, site)
    else:
        found = [row for row in (_with_role(call, user, site) for user in _users_of_sites(call)) if _wanted(call, row)]
    call.headers["X-Matomo-Total-Results"] = str(len(found))
    return _page(call, found)


def _own_with_role(call: Call, site: int) -> list[Value]:
    user = call.state.user(call.actor.login)
    if user is None or (call.actor.anonymous and call.release.since(5)):
        return []
    role, extra = role_and_capabilities(call, call.state.access_on(user.login, site))
    held = sorted({*extra, *included(role)})
    return [{**_reordered(reduced_record(call, user), role, list(held))}]


def _reordered(shown: dict[str, Value], role: str, held: list[Value]) -> dict[str, Value]:
    head: dict[str, Value] = {key: shown[key] for key in ("login", "alias", "email") if key in shown}
    return {**head, "role": role, "capabilities": held, **{k: v for k, v in shown.items() if k not in head}}


def _users_of_sites(call: Call) -> list[User]:
    if call.actor.superuser:
        return call.state.sorted_users()
    sites = set(call.sites_with(ADMIN))
    return [
        user for user in call.state.sorted_users() if any(row.site in sites for row in call.state.rows_of(user.login))
    ]


def _with_role(call: Call, user: User, site: int) -> dict[str, Value]:
    role, extra = role_and_capabilities(call, call.state.access_on(user.login, site))
    if user.superuser:
        role, extra = "superuser", []
    held: list[Value] = list(extra)
    if not call.actor.superuser:
        return {**_reordered(reduced_record(call, user), role, held), "superuser_access": user.superuser}
    shown = full_record(call, user) | {"superuser_access": user.superuser, "role": role, "capabilities": held}
    seen = call.state.last_seen.get(call.state.key(user.login))
    if seen is not None:
        shown["last_seen"] = _ago(int((call.state.now() - seen).total_seconds()))
    return shown


def _ago(seconds: int) -> str:
    """Return a time span as ≤ 5.3 shows `last_seen` here: words, not a time (rec 06#42)."""
    days, rest = divmod(max(seconds, 0), 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} days {clock}" if days else clock


def _wanted(call: Call, shown: dict[str, Value]) -> bool:
    search, access, status = (
        call.text(parameter).lower() for parameter in ("filter_search", "filter_access", "filter_status")
    )
    status = status if call.release.since(4, 11) else ""  # came with the invitations
    if search and search not in f"{shown['login']} {shown.get('email', '')}".lower():
        return False
    if access and not _has_access(access, shown):
        return False
    state = shown.get("invite_status", "active")
    return not status or status == ("pending" if isinstance(state, int) else state)


def _has_access(access: str, shown: dict[str, Value]) -> bool:
    role, held = shown["role"], shown["capabilities"]
    if access == "some":
        return role != NOACCESS
    return access == role or (isinstance(held, list) and access in held)


def _page(call: Call, found: Sequence[Value]) -> list[Value]:
    offset = call.integer("offset")
    limit = call.integer("limit") if call.given("limit") else len(found)
    return list(found[offset : offset + limit])


@api("UsersManager.getSitesAccessForUser", "userLogin", since=(3, 6))
def _get_sites_access_for_user(call: Call) -> Value:
    call.require_some(ADMIN)
    user = call.existing(call.text("userLogin"))
    if user.superuser:
        raise ApiError("This method should not be used with superusers.")
    found = [
        row for row in (_site_access(call, user, site) for site in call.sites_with(ADMIN)) if _site_wanted(call, row)
    ]
    found.sort(key=lambda row: call.state.key(str(row["site_name"])))
    some = any(row.access in VIEW for row in call.state.rows_of(user.login))
    call.headers |= {"X-Matomo-Total-Results": str(len(found)), "X-Matomo-Has-Some": str(int(some))}
    return _page(call, found)


def _site_access(call: Call, user: User, site: int) -> dict[str, Value]:
    rows = call.state.access_on(user.login, site)
    role, held = role_and_capabilities(call, rows)
    if call.given("filter_access"):
        held = held * len(rows)  # a join that counts every row again (rec 03#82, #110)
    shown: dict[str, Value] = {"idsite": call.number(site), "site_name": call.state.sites[site].name}
    listed: list[Value] = list(held)
    return shown | (
        {"role": role, "capabilities": listed} if call.release.since(4) else {"capabilities": listed, "role": role}
    )


def _site_wanted(call: Call, shown: dict[str, Value]) -> bool:
    search, access = call.text("filter_search").lower(), call.text("filter_access").lower()
    return (not search or search in str(shown["site_name"]).lower()) and (not access or _has_access(access, shown))
