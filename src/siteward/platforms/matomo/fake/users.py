"""UsersManager, first half: users, e-mail addresses, superusers, preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import (
    ADMIN,
    VIEW,
    ApiError,
    Call,
    api,
)
from siteward.platforms.matomo.fake.state import ANONYMOUS, User

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.platforms.matomo.fake.php import Value

SECURITY_NOTICE = "Security Notification"


def moment(at: datetime | None) -> str | None:
    """Return a time as the database shows it."""
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


# records


def full_record(call: Call, user: User) -> dict[str, Value]:
    """Return a user as a superuser sees it."""
    release, state = call.release, call.state
    record: dict[str, Value] = {"login": user.login}
    if release.before(3):
        record["password"] = user.password
    if release.before(4):
        record["alias"] = user.alias
    record["email"] = user.email
    if release.before(3):
        record["token_auth"] = ANONYMOUS if user.login == ANONYMOUS else user.token
    record |= {"superuser_access": call.number(int(user.superuser)), "date_registered": moment(user.registered)}
    if release.since(4, 11):
        record |= {
            "invited_by": user.invited_by,
            "invite_expired_at": moment(user.expires),
            "invite_accept_at": moment(user.accepted),
        }
    if release.since(3):
        seen = state.last_seen.get(call.state.key(user.login))
        record |= {"last_seen": moment(seen)} if seen else {}
    if release.since(4, 11):
        record["invite_status"] = state.invite_status(user)
    if release.since(3, 8):
        record["uses_2fa"] = user.two_factor
    return record


def reduced_record(call: Call, user: User) -> dict[str, Value]:
    """Return a user as somebody who is no superuser sees it: oneself and superusers with the e-mail."""
    release = call.release
    record: dict[str, Value] = {"login": user.login}
    if release.before(4):
        record["alias"] = user.alias
    if release.before(3):
        return record
    if user.superuser or call.state.key(user.login) == call.state.key(call.actor.login):
        record["email"] = user.email
    record["superuser_access"] = call.number(int(user.superuser))
    if release.since(4, 11):
        record["invite_status"] = call.state.invite_status(user)
        if user.pending:
            record["invited_by"] = user.invited_by
    return record


def record(call: Call, user: User) -> dict[str, Value]:
    """Return a user as the caller sees it."""
    return full_record(call, user) if call.actor.superuser else reduced_record(call, user)


def visible(call: Call) -> list[User]:
    """Return the users the caller may know of (API.md section 2.1): superusers know all."""
    users = call.state.sorted_users()
    if call.actor.superuser:
        return users
    shared = set(call.sites_with(ADMIN))
    return [user for user in users if _shares(call, user, shared)]


def _shares(call: Call, user: User, sites: set[int]) -> bool:
    if user.superuser:
        return False
    if user.pending and user.invited_by != call.actor.login:
        return False
    # 3.x forgets who has nothing but write (rec 09.m314#1)
    roles = ("view", "admin") if call.release.before(4) else VIEW
    return any(row.site in sites and row.access in roles for row in call.state.rows_of(user.login))


# reading


@api("UsersManager.getUsers")
def _get_users(call: Call) -> Value:
    call.require_some(ADMIN)
    wanted = call.params.get("userLogins", "")
    if not isinstance(wanted, str):
        if call.release.since(3):
            raise ApiError("Parameter userLogins needs to be a string containing a comma separated list of users")
        wanted = ""
    only = {call.state.key(part) for part in wanted.split(",")} if wanted else None
    return [record(call, user) for user in visible(call) if only is None or call.state.key(user.login) in only]


@api("UsersManager.getUsersLogin")
def _get_users_login(call: Call) -> Value:
    call.require_some(ADMIN)
    return [user.login for user in visible(call)]


@api("UsersManager.getUser", "userLogin")
def _get_user(call: Call) -> Value:
    login = call.text("userLogin")
    call.require_self(login)
    if call.release.before(3):
        call.require_some(VIEW)
    if call.state.key(login) == call.state.key(ANONYMOUS) and call.state.user(login) is None:
        return [] if call.release.since(4) else False
    user = call.existing(login)
    return full_record(call, user) if call.release.before(3) else record(call, user)


@api("UsersManager.getUserByEmail", "userEmail")
def _get_user_by_email(call: Call) -> Value:
    call.require_superuser()
    email = call.text("userEmail")
    user = call.state.by_email(email)
    if user is None:
        raise ApiError(call.unknown_user(email))
    return full_record(call, user)


@api("UsersManager.getUserLoginFromUserEmail", "userEmail")
def _get_user_login_from_email(call: Call) -> Value:
    call.require_some(ADMIN)
    email = call.text("userEmail")
    user = call.state.by_email(email)
    if user is None:
        raise ApiError(call.unknown_user(email))
    return user.login


@api("UsersManager.userExists", "userLogin")
def _user_exists(call: Call) -> Value:
    call.require_login()
    call.require_some(VIEW)
    login = call.text("userLogin")
    return login == ANONYMOUS or call.state.user(login) is not None


@api("UsersManager.userEmailExists", "userEmail")
def _user_email_exists(call: Call) -> Value:
    call.require_login()
    call.require_some(VIEW)
    return call.state.by_email(call.text("userEmail")) is not None


@api("UsersManager.hasSuperUserAccess")
def _has_superuser_access(call: Call) -> Value:
    return call.actor.superuser


@api("UsersManager.getUsersHavingSuperUserAccess")
def _get_superusers(call: Call) -> Value:
    call.require_login()
    return [_superuser_record(call, superuser) for superuser in call.state.superusers()]


def _superuser_record(call: Call, user: User) -> dict[str, Value]:
    """Return a superuser's record; a pending one counts as active here (rec 05#51)."""
    record: dict[str, Value] = {"login": user.login, "email": user.email}
    if call.release.since(3):
        record["superuser_access"] = call.number(1)
    if call.release.since(4, 11):
        record["invite_status"] = "active"
    if call.release.since(3, 8) and call.actor.superuser:
        record["uses_2fa"] = user.two_factor
    return record
