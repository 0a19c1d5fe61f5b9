"""UsersManager: making, changing and deleting users; superusers; invitations."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from siteward.platforms.matomo.fake.call import ADMIN, ApiError, Call, NoAccessError, api, as_integer
from siteward.platforms.matomo.fake.php import Value, md5
from siteward.platforms.matomo.fake.state import ANONYMOUS, INVITE_DAYS, Mail, User
from siteward.platforms.matomo.fake.users import SECURITY_NOTICE

LOGIN = re.compile(r"[A-Za-zÄäÖöÜüß0-9_.@+-]*")
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
BAD_LOGIN = (
    "The username must be between 2 and 100 characters long and contain only letters, numbers, or the "
    "characters '_' or '-' or '.' or '@' or '+'"
)
NOT_MD5 = (
    "UsersManager.getTokenAuth is expecting a MD5-hashed password (32 chars long string). Please call the md5() "
    "function on the password before calling this method."
)
SITE_WANTED = "New users must be given access to a website, please set the 'initialIdSite' parameter."


# what is refused


def check_login(call: Call, login: str) -> None:
    """Refuse a login that is taken or has a wrong form, in the words of the release."""
    prefix = "Username: " if call.release.since(4) else ""
    if not LOGIN.fullmatch(login) or not 2 <= len(login.encode()) <= 100:
        raise ApiError(f"{prefix}{BAD_LOGIN}")
    if call.state.user(login) is not None or call.state.key(login) == call.state.key(ANONYMOUS):
        raise ApiError(f"{prefix}Username '{login}' already exists.")
    if call.release.since(4) and call.state.by_email(login) is not None:
        raise ApiError(f"{prefix}Username '{login}' already used as an email.")


def check_email(call: Call, email: str, *, field: str, but: User | None = None) -> None:
    """Refuse an e-mail that is taken by somebody else than `but`, or has a wrong form."""
    prefix = f"{field}: " if call.release.since(4) and field else ""
    if not EMAIL.fullmatch(email) or not email.isascii():
        if call.release.before(4):
            raise ApiError("The email doesn't have a valid format.")
        raise ApiError(f'{prefix}The value "{email}" does not look like a valid email.')
    owner = call.state.by_email(email)
    if owner is not None and owner is not but:
        # before 3.0 a change of case alone meets the owner itself (rec 02.m218#58)
        prefix = prefix if call.release.since(4) else ""
        raise ApiError(f"{prefix}User with email '{email}' already exists.")
    namesake = call.state.user(email)
    if call.release.since(4) and namesake is not None and namesake is not but:
        raise ApiError(f"{prefix}Email '{email}' already used as a username.")


def check_password_form(call: Call, password: str) -> None:
    """Refuse a password that is too short, too long or of one letter."""
    if len(password) < 6:
        raise ApiError("The password length must be greater than 6 characters.")
    if call.release.before(3):
        return
    if len(password) > 200:
        raise ApiError("The password length must be less than 200 characters.")
    if len(set(password)) < 2:
        raise ApiError("This password is too weak, please supply another value or reset it.")


def refuse_anonymous(call: Call, login: str) -> None:
    """Refuse to edit the anonymous user."""
    if login == ANONYMOUS:
        raise ApiError(
            f"The anonymous user cannot be edited or deleted. It is used by {call.release.product} to "
            "define a user that has not logged in yet. For example, you can make your statistics public "
            "by granting the 'view' access to the 'anonymous' user."
        )


def post(call: Call, *mails: Mail) -> None:
    """Send mails, which comes after the row was written; a broken mail set-up is an error all the same."""
    call.touched = True
    if call.state.mail_fails:
        raise ApiError("Invalid address: (From): noreply@127.0.0.1:8153")
    call.state.mails += mails


def notify(call: Call) -> None:
    """Send the acting user the security notice of 4.x and later."""
    actor = call.state.user(call.actor.login)
    if call.release.since(4) and actor is not None:
        post(call, Mail(actor.email, SECURITY_NOTICE))


# writing


@api("UsersManager.addUser", "userLogin", "password", "email")
def _add_user(call: Call) -> Value:
    site = _initial_site(call)
    call.users_may_change()
    if call.actor.session:
        call.confirm_password()
    login, password, email = call.text("userLogin"), call.text("password"), call.text("email")
    check_login(call, login)
    check_email(call, email, field="Email")
    hashed = call.text("_isPasswordHashed", "0") == "1"
    if not hashed:
        check_password_form(call, password)
    elif call.release.before(3) and len(password) != 32:
        raise ApiError(NOT_MD5)
    call.state.add_user(login, email, password if hashed else md5(password), alias=call.text("alias"))
    if site:
        call.state.add_rows(login, "view", [site])
    call.touched = True
    notify(call)
    return None


def _initial_site(call: Call) -> int:
    """Return the first site of a new user, 0 for none; a superuser may name one that does not exist (rec 02#5)."""
    if call.release.before(3, 6):
        call.require_superuser()
        return 0
    call.require_some(ADMIN)
    site = _site_asked(call)
    if not call.actor.superuser:
        if not site:
            raise ApiError(SITE_WANTED)
        call.require_on(ADMIN, [site])
    return site


def _site_asked(call: Call) -> int:
    """Return the number at the beginning of `initialIdSite`; PHP makes 1 of any list (rec 25#3-7)."""
    return int(isinstance(call.params.get("initialIdSite"), list)) or call.integer("initialIdSite")


@api("UsersManager.updateUser", "userLogin")
def _update_user(call: Call) -> Value:
    login = call.text("userLogin")
    call.require_self(login)
    call.users_may_change()
    refuse_anonymous(call, login)
    user = call.existing(login)
    email, password = call.text("email") or user.email, call.text("password")
    if call.release.since(3, 8) and (password or call.state.key(email) != call.state.key(user.email)):
        call.confirm_password()
    if password and call.text("_isPasswordHashed", "0") != "1":
        check_password_form(call, password)
        password = md5(password)
    if email != user.email:
        check_email(call, email, field="email", but=user if call.release.since(3) else None)
    user.alias = call.text("alias") or user.alias
    _change_email(call, user, email)
    _change_password(call, user, password)
    call.touched = True
    return None


def _change_email(call: Call, user: User, email: str) -> None:
    before, user.email = user.email, email
    if call.state.key(before) == call.state.key(email) or call.release.before(3):
        return
    if user.pending and call.release.since(5, 2):
        user.expires = call.state.now() + timedelta(days=_default_days(call))
        send_invite(call, user)
        return
    subject = "Your Matomo account's email address has just been changed"
    post(call, *(Mail(f"{user.login} <{address}>", subject) for address in (email, before)))


def _change_password(call: Call, user: User, password: str) -> None:
    if not password:
        return
    user.password = password
    if call.release.before(3):
        user.token = md5(user.login + password)
    else:
        call.state.mails.append(
            Mail(f"{user.login} <{user.email}>", "Your Matomo account's password has just been changed")
        )


@api("UsersManager.deleteUser", "userLogin")
def _delete_user(call: Call) -> Value:
    if call.release.before(4, 11):
        call.require_superuser()
    call.require_some(ADMIN)
    call.users_may_change()
    if call.actor.session:
        call.confirm_password()
    if not isinstance(call.params["userLogin"], str):
        raise ApiError(
            "SQLSTATE[HY093]: Invalid parameter number: number of bound variables does not match number of tokens"
        )
    login = call.text("userLogin")
    refuse_anonymous(call, login)
    user = call.state.user(login)
    if user is None or not _may_delete(call, user):
        raise _unknown_for_delete(call, login)
    if user.superuser and len(call.state.superusers()) == 1:
        raise ApiError(
            f"Deleting user '{login}' is not possible. There has to be at least one user with Super User "
            "access. Please grant Super User access to another user first."
        )
    call.state.delete_user(user)
    call.touched = True
    notify(call)
    return None


def _may_delete(call: Call, user: User) -> bool:
    return call.actor.superuser or (user.pending and user.invited_by == call.actor.login)


def _unknown_for_delete(call: Call, login: str) -> ApiError:
    if call.release.before(3):
        return ApiError(f"User '{call.quoted(login)}' doesn't exist therefore it can't be deleted.")
    words = call.unknown_user(login)
    return ApiError(words) if call.actor.superuser else NoAccessError(words)


@api("UsersManager.setSuperUserAccess", "userLogin", "hasSuperUserAccess")
def _set_superuser_access(call: Call) -> Value:
    call.require_superuser()
    call.users_may_change()
    login = call.text("userLogin")
    if call.release.since(3, 10):
        call.confirm_password()
    refuse_anonymous(call, login)
    user = call.existing(login)
    wanted = call.text("hasSuperUserAccess") != "0"
    if user.superuser and not wanted and len(call.state.superusers()) == 1:
        raise ApiError(
            f"Removing the Super User access from user '{login}' is not possible. There has to be at "
            "least one user with Super User access. Please grant Super User access to another user first."
        )
    call.state.delete_rows(login)
    user.superuser = wanted
    call.touched = True
    return None


@api("UsersManager.logoutUser", "userLogin", since=(5, 9))
def _log_out_user(call: Call) -> Value:
    """End the web sessions of a user; tokens stay. Read about, never seen."""
    call.require_superuser()
    login = call.text("userLogin")
    refuse_anonymous(call, login)
    user = call.existing(login)
    call.state.sessions = {
        value: session for value, session in call.state.sessions.items() if session.login != user.login
    }
    call.touched = True
    return None


# invitations


def send_invite(call: Call, user: User) -> None:
    """Send the mail with a new link; the former link of this kind is dead."""
    user.invite_tokens["mail"] = call.state.secret()
    post(call, Mail(user.email, f"{call.actor.login} sent you an invite to join Matomo Analytics"))


@api("UsersManager.inviteUser", "userLogin", "email", since=(4, 11))
def _invite_user(call: Call) -> Value:
    call.require_some(ADMIN)
    call.users_may_change()
    if call.actor.session:
        call.confirm_password()
    site = _site_asked(call)
    if not site:
        raise ApiError(SITE_WANTED)
    if site not in call.state.sites:
        raise ApiError(f"An unexpected website was found in the request: website id was set to '{site}' .")
    call.require_on(ADMIN, [site])
    login, email = call.text("userLogin"), call.text("email")
    check_login(call, login)
    check_email(call, email, field="Email")
    user = call.state.add_user(login, email, "")
    user.invited_by = call.actor.login
    user.expires = _expiry(call)
    call.state.add_rows(login, "view", [site])
    call.touched = True
    notify(call)
    send_invite(call, user)
    return None


@api("UsersManager.resendInvite", "userLogin", since=(4, 11))
def _resend_invite(call: Call) -> Value:
    user = _invited(call)
    user.expires = _expiry(call)
    call.touched = True
    send_invite(call, user)
    return None


@api("UsersManager.generateInviteLink", "userLogin", since=(4, 12))
def _generate_invite_link(call: Call) -> Value:
    user = _invited(call)
    user.expires = _expiry(call)
    user.invite_tokens["link"] = token = call.state.secret()
    call.touched = True
    return f"{call.url}/index.php?module=Login&action=acceptInvitation&token={token}"


def _invited(call: Call) -> User:
    call.require_some(ADMIN)
    login = call.text("userLogin")
    user = call.state.user(login)
    if user is None or not user.pending or not _may_delete(call, user):
        raise ApiError(call.unknown_user(login))
    if call.actor.session:
        call.confirm_password()
    return user


def _expiry(call: Call) -> datetime:
    days = as_integer(call.text("expiryInDays", "0")) or _default_days(call)
    return call.state.now() + timedelta(days=days)


def _default_days(call: Call) -> int:
    """Return how long invitations last: a setting in the users' API after 5.9 (read, not driven), a week before."""
    return int(call.state.settings.get(INVITE_DAYS, "7")) if call.release.since(5, 9) else 7
