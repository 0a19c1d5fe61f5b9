"""UsersManager, second half: roles and capabilities on sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from siteward.platforms.matomo.sandbox.call import ADMIN, VIEW, Always, ApiError, Call, api
from siteward.platforms.matomo.sandbox.php import Value, collate
from siteward.platforms.matomo.sandbox.state import ANONYMOUS, Mail, User
from siteward.platforms.matomo.sandbox.users import SECURITY_NOTICE, full_record, record, reduced_record, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOACCESS = "noaccess"


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability that the bundled TagManager brings; core alone has none (API.md section 2.1)."""

    id: str
    name: str
    description: str
    included: tuple[str, ...]


CAPABILITIES = (
    Capability("tagmanager_write", "Write", "Users can create, update and delete containers.", ("write", "admin")),
    Capability("tagmanager_publish_live_container", "Publish live container", "Users can publish live.", ("admin",)),
    Capability("tagmanager_use_custom_templates", "Use custom templates", "Users can use custom code.", ("admin",)),
)
ROLE_WORDS = {
    "view": ("View", "A user with this role can view all reports.", "https://matomo.org/faq/general/faq_70/"),
    "write": (
        "Write",
        (
            "Users with this role can view all content plus create, manage and delete entities such as "
            "Goals, Funnels, Heatmaps, Session Recordings and Forms for this website."
        ),
        "https://matomo.org/faq/general/faq_26910",
    ),
    "admin": (
        "Admin",
        (
            "Users with this role can manage a website and give other users access to the website. They "
            "can also do everything the Write role can do."
        ),
        "https://matomo.org/faq/general/faq_69/",
    ),
}
GERMAN_ROLE_WORDS = {
    "view": ("Ansicht", "Ein Benutzer mit dieser Rolle kann alle Berichte ansehen."),
    "write": (
        "Schreiben",
        (
            "Benutzer mit dieser Rolle können alle Inhalte ansehen und erstellen, verwalten und "
            "Entitäten wie Ziele, Funnels, Heatmaps, Session Recording und Formulare für diese Webseite löschen."
        ),
    ),
    "admin": (
        "Administrator",
        (
            "Benutzer mit dieser Rolle können eine Webseite verwalten und anderen Benutzern "
            "Zugriff zur Webseite gewähren. Sie können auch alles tun, was die Rolle Schreiben kann."
        ),
    ),
}


def roles(call: Call) -> tuple[str, ...]:
    """Return the site roles of the release."""
    return VIEW if call.release.since(3, 6) else ("view", "admin")


def capabilities(call: Call) -> tuple[Capability, ...]:
    """Return the capabilities of the release."""
    return CAPABILITIES if call.release.since(3, 6) else ()


def _included(role: str) -> set[str]:
    return {each.id for each in CAPABILITIES if role in each.included}


def role_and_capabilities(call: Call, access: Iterable[str]) -> tuple[str, list[str]]:
    """Return the role among access rows, `noaccess` for none, and the capabilities among them."""
    rows = list(access)
    role = next((each for each in rows if each in VIEW), NOACCESS)
    known = {each.id for each in capabilities(call)}
    return role, [each for each in rows if each in known]


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
            "id": each.id,
            "name": each.name,
            "description": each.description,
            "helpUrl": "",
            "includedInRoles": list(each.included),
            "category": "Tag Manager",
        }
        for each in capabilities(call)
    ]


# reading


@api("UsersManager.getUsersSitesFromAccess", "access")
def _get_users_sites_from_access(call: Call) -> Value:
    call.require_superuser()
    access = call.text("access")
    if not (access == NOACCESS and call.release.before(3)):
        _check_access(call, [access])
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
    seen = None if call.actor.superuser else {collate(each.login) for each in visible(call)}
    return {row.login: row.access for row in call.state.rows_on(site) if seen is None or collate(row.login) in seen}


@api("UsersManager.getUsersWithSiteAccess", "idSite", "access")
def _get_users_with_site_access(call: Call) -> Value:
    site, access = call.integer("idSite"), call.text("access")
    call.require_on(ADMIN, [site])
    _check_access(call, [access])
    logins = {collate(row.login) for row in call.state.rows_on(site) if row.access == access}
    return [record(call, each) for each in visible(call) if collate(each.login) in logins]


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
        found = [
            each for each in (_with_role(call, user, site) for user in _users_of_sites(call)) if _wanted(call, each)
        ]
    call.headers["X-Matomo-Total-Results"] = str(len(found))
    return _page(call, found)


def _own_with_role(call: Call, site: int) -> list[Value]:
    user = call.state.user(call.actor.login)
    if user is None or (call.actor.anonymous and call.release.since(5)):
        return []
    role, extra = role_and_capabilities(call, call.state.access_on(user.login, site))
    held = sorted({*extra, *_included(role)})
    return [{**_reordered(reduced_record(call, user), role, list(held))}]


def _reordered(shown: dict[str, Value], role: str, held: list[Value]) -> dict[str, Value]:
    head: dict[str, Value] = {key: shown[key] for key in ("login", "alias", "email") if key in shown}
    return {**head, "role": role, "capabilities": held, **{k: v for k, v in shown.items() if k not in head}}


def _users_of_sites(call: Call) -> list[User]:
    if call.actor.superuser:
        return call.state.sorted_users()
    sites = set(call.sites_with(ADMIN))
    return [
        each for each in call.state.sorted_users() if any(row.site in sites for row in call.state.rows_of(each.login))
    ]


def _with_role(call: Call, user: User, site: int) -> dict[str, Value]:
    role, extra = role_and_capabilities(call, call.state.access_on(user.login, site))
    if user.superuser:
        role, extra = "superuser", []
    held: list[Value] = list(extra)
    if not call.actor.superuser:
        return {**_reordered(reduced_record(call, user), role, held), "superuser_access": user.superuser}
    shown = full_record(call, user) | {"superuser_access": user.superuser, "role": role, "capabilities": held}
    seen = call.state.last_seen.get(collate(user.login))
    if seen is not None:
        shown["last_seen"] = _ago(int((call.state.now() - seen).total_seconds()))
    return shown


def _ago(seconds: int) -> str:
    """Return a time span as ≤ 5.3 shows `last_seen` here: words, not a time (rec 06#42)."""
    days, rest = divmod(max(seconds, 0), 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} days {clock}" if days else clock


def _wanted(call: Call, shown: dict[str, Value]) -> bool:
    search, access, status = (call.text(each).lower() for each in ("filter_search", "filter_access", "filter_status"))
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
        each for each in (_site_access(call, user, site) for site in call.sites_with(ADMIN)) if _site_wanted(call, each)
    ]
    found.sort(key=lambda each: collate(str(each["site_name"])))
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


# writing


def _check_access(call: Call, access: Iterable[str]) -> None:
    """Refuse a word that is neither role nor capability, in the words of the release."""
    known = [*roles(call), *(each.id for each in capabilities(call))]
    for each in access:
        if each in known:
            continue
        if call.release.before(3, 6):
            raise ApiError("The parameter access must have one of the following values: [ noaccess, view, admin ]")
        raise ApiError(_must_be(call, known, each))


def _must_be(call: Call, known: Iterable[str], given: str) -> str:
    if call.release.before(4):
        return ""  # the message's arguments do not fit, and old PHP makes nothing of it (rec 20.m314#29)
    return f"The parameter access must have one of the following values: [ {', '.join(known)} ], '{given}' given."


def _role_and_extras(call: Call) -> tuple[str, list[str]]:
    """Return the one role (or `noaccess`) and the capabilities that a call asks for."""
    given = call.params["access"]
    if isinstance(given, str):
        if given == NOACCESS:
            return NOACCESS, []
        _check_access(call, [given])
        if given not in roles(call):
            raise ApiError(_must_be(call, roles(call), given))
        return given, []
    if call.release.before(3, 6):
        _check_access(call, ["Array"])
    words = call.array("access")
    _check_access(call, words)
    chosen = [each for each in words if each in roles(call)]
    listed = ", ".join(roles(call))
    if not chosen:
        raise ApiError(f"No role is set but one of these needs to be set: {listed}")
    if len(chosen) > 1:
        raise ApiError(f"Only one role can be set but multiple have been set. Use only one of: {listed}")
    return chosen[0], [each for each in words if each not in chosen]


def _sites_asked(call: Call) -> list[int]:
    """Return the ids a call names, those that are no number or not positive left out, and check the right to them."""
    given = call.params["idSites"]
    if given == "all":
        sites = call.sites_with(ADMIN)
    else:
        words = given.split(",") if isinstance(given, str) else call.array("idSites")
        sites = [each for each in (_site_id(word.strip()) for word in words) if each > 0]
    if not sites:
        raise ApiError("Specify at least one website ID in &idSites=")
    call.require_on(ADMIN, sites)
    return list(dict.fromkeys(sites))


def _site_id(word: str) -> int:
    try:
        return int(float(word) + 0.5)
    except ValueError:
        return 0


def _refuse_superuser(call: Call, login: str) -> None:
    """Refuse a superuser as target; the login is compared with its case (rec 04#31)."""
    if login in {each.login for each in call.state.superusers()}:
        who = f"The user '{login}'" if call.release.since(3) else "This user"
        raise ApiError(
            f"{who} has Super User access and has already permission to access and modify all websites in "
            f"{call.release.product}. You may remove the Super User access from this user and try again."
        )


def _locked(call: Call, login: str) -> None:
    if call.release.since(5, 3) and login in call.state.locks:
        raise ApiError(f"Could not get the lock for ID: {login}")


@api("UsersManager.setUserAccess", "userLogin", "access", "idSites")
def _set_user_access(call: Call) -> Value:
    call.users_may_change()
    login = call.text("userLogin")
    if login == ANONYMOUS:
        _check_anonymous(call)
    role, extra = _role_and_extras(call)
    sites = _sites_asked(call)
    if not (login == ANONYMOUS and call.release.before(3)):
        call.existing(login)
    _refuse_superuser(call, login)
    _locked(call, login)
    call.state.delete_rows(login, sites)
    if role == NOACCESS:
        call.state.drop_reports(login, sites)
    else:
        call.state.add_rows(login, role, sites)
        for each in extra:
            if each not in _included(role):
                call.state.add_rows(login, each, sites)
    call.touched = True
    return None


def _check_anonymous(call: Call) -> None:
    """Allow the anonymous user nothing but view, and only in this very case of letters (rec 07#17)."""
    access = call.params["access"]
    if call.release.before(3):
        if access == "admin":
            raise ApiError("You cannot grant 'admin' access to the 'anonymous' user.")
        return
    if access not in (NOACCESS, "view"):
        raise ApiError("You can only set access noaccess or view access to the 'anonymous' user.")
    if access == "view" and call.release.since(5, 1):
        if call.actor.session:
            call.confirm_password()
        call.state.mails += [Mail(each.email, SECURITY_NOTICE) for each in call.state.superusers()]


@api("UsersManager.addCapabilities", "userLogin", "capabilities", "idSites", since=(3, 6))
def _add_capabilities(call: Call) -> Value:
    login = call.text("userLogin")
    sites = _sites_asked(call)
    if login == ANONYMOUS:
        raise ApiError("You cannot grant any capability to the 'anonymous' user.")
    call.existing(login)
    _refuse_superuser(call, login)
    wanted = _capabilities_asked(call)
    held = {site: role_and_capabilities(call, call.state.access_on(login, site)) for site in sites}
    missing = next((site for site in sites if held[site][0] == NOACCESS), None)
    if missing is not None and call.release.since(4):
        raise ApiError(
            f"Unable to grant any capabilities to user {login} for idSite {missing}. The user needs at "
            "least view access."
        )
    _locked(call, login)
    for each in wanted:
        call.state.add_rows(login, each, [site for site in sites if _lacks(each, *held[site])])
    call.touched = True
    return None


def _lacks(capability: str, role: str, extra: list[str]) -> bool:
    """Tell whether a capability is to be stored: where there is no role, 3.x leaves it out without a word."""
    return role != NOACCESS and capability not in extra and capability not in _included(role)


@api("UsersManager.removeCapabilities", "userLogin", "capabilities", "idSites", since=(3, 6))
def _remove_capabilities(call: Call) -> Value:
    login = call.text("userLogin")
    sites = _sites_asked(call)
    call.existing(login)
    for each in _capabilities_asked(call):
        call.state.delete_rows(login, sites, each)
    call.touched = True
    return None


def _capabilities_asked(call: Call) -> list[str]:
    words = call.array("capabilities")
    if any(each not in {known.id for known in CAPABILITIES} for each in words):
        if call.release.before(4):
            raise ApiError("")
        raise Always("The arguments array must contain 2 items, 1 given", 500)
    return words
