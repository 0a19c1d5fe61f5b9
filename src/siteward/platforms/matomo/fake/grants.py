"""UsersManager: giving and taking roles and capabilities on sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import ADMIN, AlwaysError, ApiError, Call, api
from siteward.platforms.matomo.fake.roles import (
    CAPABILITIES,
    NOACCESS,
    check_access,
    included,
    must_be,
    role_and_capabilities,
    roles,
)
from siteward.platforms.matomo.fake.state import ANONYMOUS, Mail
from siteward.platforms.matomo.fake.users import SECURITY_NOTICE

if TYPE_CHECKING:
    from siteward.platforms.matomo.fake.php import Value


def _role_and_extras(call: Call) -> tuple[str, list[str]]:
    """Return the one role (or `noaccess`) and the capabilities that a call asks for."""
    given = call.params["access"]
    if isinstance(given, str):
        if given == NOACCESS:
            return NOACCESS, []
        check_access(call, [given])
        if given not in roles(call):
            raise ApiError(must_be(call, roles(call), given))
        return given, []
    if call.release.before(3, 6):
        check_access(call, ["Array"])
    words = call.array("access")
    check_access(call, words)
    chosen = [word for word in words if word in roles(call)]
    listed = ", ".join(roles(call))
    if not chosen:
        raise ApiError(f"No role is set but one of these needs to be set: {listed}")
    if len(chosen) > 1:
        raise ApiError(f"Only one role can be set but multiple have been set. Use only one of: {listed}")
    return chosen[0], [word for word in words if word not in chosen]


def _sites_asked(call: Call) -> list[int]:
    """Return the ids a call names, those that are no number or not positive left out, and check the right to them."""
    given = call.params["idSites"]
    if given == "all":
        sites = call.sites_with(ADMIN)
    else:
        words = given.split(",") if isinstance(given, str) else call.array("idSites")
        if call.release.since(5, 7) and not all(word.strip().isdigit() for word in words):
            raise ApiError("Invalid value for parameter 'idSites'.", 400)  # 5.7.1; read, the words are ours
        sites = [site_id for site_id in (_site_id(word.strip()) for word in words) if site_id > 0]
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
    if login in {superuser.login for superuser in call.state.superusers()}:
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
    if role == "admin" and call.actor.session and call.release.since(5, 13):
        call.confirm_password()
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
        for capability in extra:
            if capability not in included(role):
                call.state.add_rows(login, capability, sites)
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
        call.state.mails += [Mail(superuser.email, SECURITY_NOTICE) for superuser in call.state.superusers()]


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
    for site_id in wanted:
        call.state.add_rows(login, site_id, [site for site in sites if _lacks(site_id, *held[site])])
    call.touched = True
    return None


def _lacks(capability: str, role: str, extra: list[str]) -> bool:
    """Tell whether a capability is to be stored: where there is no role, 3.x leaves it out without a word."""
    return role != NOACCESS and capability not in extra and capability not in included(role)


@api("UsersManager.removeCapabilities", "userLogin", "capabilities", "idSites", since=(3, 6))
def _remove_capabilities(call: Call) -> Value:
    login = call.text("userLogin")
    sites = _sites_asked(call)
    call.existing(login)
    for capability in _capabilities_asked(call):
        call.state.delete_rows(login, sites, capability)
    call.touched = True
    return None


def _capabilities_asked(call: Call) -> list[str]:
    words = call.array("capabilities")
    if any(word not in {known.id for known in CAPABILITIES} for word in words):
        if call.release.before(4):
            raise ApiError("")
        raise AlwaysError("The arguments array must contain 2 items, 1 given", 500)
    return words
