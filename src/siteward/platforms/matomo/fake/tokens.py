"""UsersManager: tokens, preferences and what else is kept for a user."""

from __future__ import annotations

from datetime import datetime, timedelta

from siteward.platforms.matomo.fake.accounts import NOT_MD5
from siteward.platforms.matomo.fake.call import VIEW, AlwaysError, ApiError, Call, api
from siteward.platforms.matomo.fake.php import Value, is_index, md5
from siteward.platforms.matomo.fake.state import Token

PREFERENCES = {"defaultReport": "", "defaultReportDate": "yesterday"}


# tokens


@api("UsersManager.createAppSpecificTokenAuth", "userLogin", "passwordConfirmation", "description", since=(4,))
def _create_token(call: Call) -> Value:
    if call.release.since(5, 13):
        _refuse_for_others(call)
    name = call.text("userLogin")
    by_email = call.state.by_email(name) if call.state.user(name) is None else None
    user = call.check_password(by_email.login if by_email else name, call.text("passwordConfirmation"))
    description = call.text("description")
    if len(description) > 100:
        raise ApiError(
            f'Description: The value contains "{len(description)}" characters but should contain at most '
            "100 characters."
        )
    expires = _token_expiry(call)
    value = call.state.secret()
    call.state.tokens[value] = Token(user.login, description, expires)
    call.touched = True
    if user.two_factor:
        # the row stays although the caller gets nothing (rec 06#29-31)
        raise AlwaysError(
            "Incorrect two-factor authentication code."
            if call.given("authCode")
            else "Please specify a two-factor authentication code.",
            401,
        )
    return value


def _refuse_for_others(call: Call) -> None:
    """Refuse a token for another account than one's own, and any inside a bulk (5.13; read, the words are ours)."""
    if call.inner:
        raise ApiError("A token cannot be made by a nested request.", 400)
    if not call.actor.anonymous and call.state.key(call.actor.login) != call.state.key(call.text("userLogin")):
        raise ApiError("A token can be made for one's own account only.", 403)


def _token_expiry(call: Call) -> datetime | None:
    if call.given("expireDate"):
        try:
            return datetime.fromisoformat(call.text("expireDate")).replace(tzinfo=call.state.now().tzinfo)
        except ValueError as problem:
            raise ApiError(
                "Date format must be: YYYY-MM-DD, or 'today' or 'yesterday' or any keyword supported by "
                "the strtotime function (see http://php.net/strtotime for more information): "
                "false"
            ) from problem
    hours = call.integer("expireHours")
    return call.state.now() + timedelta(hours=hours) if hours else None


@api("UsersManager.getTokenAuth", "userLogin", "md5Password", until=(4,))
def _get_token_auth(call: Call) -> Value:
    login, hashed = call.text("userLogin"), call.text("md5Password")
    if len(hashed) != 32:
        raise ApiError(NOT_MD5)
    if call.release.before(3):
        return md5(login + hashed)
    user = call.state.user(login)
    return user.token if user is not None and user.password == hashed else call.state.secret()


@api("UsersManager.regenerateTokenAuth", "userLogin", since=(3,), until=(4,))
def _regenerate_token_auth(call: Call) -> Value:
    login = call.text("userLogin")
    call.require_self(login)
    call.existing(login).token = call.state.secret()
    call.touched = True
    return None


# preferences and others


@api("UsersManager.getUserPreference", "preferenceName", "userLogin")
def _get_user_preference(call: Call) -> Value:
    name, login = _preference(call)
    stored = call.state.options.get(f"{login}_{name}")
    if stored is not None:
        return int(stored) if is_index(stored) and call.release.since(4) else stored
    if name != "defaultReport":
        return PREFERENCES[name]
    sites = sorted(call.state.sites) if call.existing(login).superuser else call.state.sites_with(login, *VIEW)
    return call.number(sites[0]) if sites else False


@api("UsersManager.setUserPreference", "userLogin", "preferenceName", "preferenceValue")
def _set_user_preference(call: Call) -> Value:
    name, login = _preference(call)
    if call.state.user(login) is None:
        raise ApiError(f"User does not exist: {login}")
    call.state.options[f"{login}_{name}"] = call.text("preferenceValue")
    call.touched = True
    return None


def _preference(call: Call) -> tuple[str, str]:
    name, login = call.text("preferenceName"), call.text("userLogin")
    call.require_self(login)
    if "_" in name:
        raise ApiError("Preference name cannot contain underscores.")
    if name not in PREFERENCES:
        raise ApiError(f"Not supported preference name: {name}")
    return name, login


@api("UsersManager.newsletterSignup", since=(3,))
def _newsletter_signup(call: Call) -> Value:
    call.require_login()
    return {"error": True}


@api("TwoFactorAuth.resetTwoFactorAuth", "userLogin", since=(5,))
@api("TwoFactorAuth.resetTwoFactorAuth", "userLogin", "passwordConfirmation", since=(3, 8), until=(5,))
def _reset_two_factor(call: Call) -> Value:
    call.require_superuser()
    call.confirm_password()
    call.existing(call.text("userLogin")).two_factor = False
    call.touched = True
    return None
