"""GroupPermissions and LoginLdap: two plugins of others that own access or accounts (recordings 26 and 27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import ApiError, Call, api
from siteward.platforms.matomo.fake.php import md5
from siteward.platforms.matomo.fake.state import Person, State, User, UserGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.platforms.matomo.fake.php import Value

# GroupPermissions: what a group may stands in tables of its own, and UsersManager shows nothing of it.


@api("GroupPermissions.createGroup", "groupName")
def _create_group(call: Call) -> Value:
    call.require_superuser()
    number = call.state.next("group")
    call.state.groups[number] = UserGroup(call.text("groupName"))
    call.touched = True
    return str(number)


@api("GroupPermissions.getAllGroups")
def _get_all_groups(call: Call) -> Value:
    call.require_superuser()
    return [{"idgroup": number, "name": group.name} for number, group in call.state.groups.items()]


@api("GroupPermissions.addUserToGroup", "idGroup", "login")
def _add_user_to_group(call: Call) -> Value:
    call.require_superuser()
    _group(call).members.append(call.text("login"))
    call.touched = True
    return None


@api("GroupPermissions.getMembersOfGroup", "idGroup")
def _get_members(call: Call) -> Value:
    call.require_superuser()
    return [{"login": member} for member in _group(call).members]


@api("GroupPermissions.setGroupAccess", "name", "access", "idSites")
def _set_group_access(call: Call) -> Value:
    call.require_superuser()
    pool = next((group for group in call.state.groups.values() if group.name == call.text("name")), None)
    if pool is None:
        raise ApiError("There is no such group.")
    pool.access |= {int(part): call.text("access") for part in call.text("idSites").split(",")}
    call.touched = True
    return None


@api("GroupPermissions.getGroupAccessFromSite", "idSite")
def _get_group_access(call: Call) -> Value:
    call.require_superuser()
    site = call.integer("idSite")
    return {group.name: group.access.get(site, "noaccess") for group in call.state.groups.values()}


def _group(call: Call) -> UserGroup:
    found = call.state.groups.get(call.integer("idGroup"))
    if found is None:
        raise ApiError("There is no such group.")
    return found


# LoginLdap: who logs in with the directory's password gets an account, and the directory's e-mail.


@api("LoginLdap.getExistingLdapUsersFromDb")
def _get_ldap_users(call: Call) -> Value:
    call.require_superuser()
    known = {call.state.key(name) for name in call.state.directory.met}
    return [user.login for user in call.state.sorted_users() if call.state.key(user.login) in known]


def person_of(attributes: Mapping[str, Sequence[str]], password: str) -> Person:
    """Return the person that LoginLdap as it is shipped sees in an entry, given its attributes in small letters.

    The login is the first `uid` as it is spelled. The e-mail is the first `mail`; without one a login that is an address,
    or the login at a made-up domain (its `UserMapper`, read 2026-11-29; login and `mail` are in rec 27).
    """
    login = attributes["uid"][0]
    made_up = login if "@" in login else f"{login}@mydomain.com"
    return Person(login, next(iter(attributes.get("mail", ())), made_up), password)


def log_in(state: State, typed: str, password: str) -> User | None:
    """Return the user that a log-in opens; `None` where both the stored password and the directory refuse it.

    The stored hash is asked first, so that a password the directory has not changed brings no synchronization.
    """
    user = state.user(typed)
    if user is not None and user.password and user.password == md5(password):
        return user
    person = next((person for person in state.directory.people if state.key(person.login) == state.key(typed)), None)
    return None if person is None or person.password != password else _synchronized(state, person, typed)


def _synchronized(state: State, person: Person, typed: str) -> User:
    user = state.user(person.login)
    if user is None:
        user = state.add_user(person.login, person.email, "")
        state.add_rows(user.login, "view", state.directory.default_view)
    user.email, user.password = person.email, md5(person.password)
    state.directory.met.add(user.login)
    if state.directory.sync_access:
        state.delete_rows(user.login)
        for site, role in person.access.items():
            state.add_rows(typed, role, [site])
    return user
