"""Who a request comes from: its token, where it stands, and the lock-out after too many failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import LOCKED_OUT, Actor, AlwaysError, ApiError, NoAccessError
from siteward.platforms.matomo.fake.php import Parameter, as_text
from siteward.platforms.matomo.fake.state import ANONYMOUS, State, User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.platforms.matomo.fake.release import Release


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows: the token, whether it stood in the POST body, the address, and a session's cookie."""

    token: str
    in_body: bool
    address: str
    wants_session: bool = False
    cookie: str = ""


def authenticate(state: State, shown: Credentials) -> Actor:
    """Return who asks; raises for a bad token from 5.0 on, and for any token while the address is locked out.

    Older releases take a bad token for nobody's (API.md section 1.2).
    """
    if shown.token in {"", ANONYMOUS}:
        return Actor()
    if state.locked_out(shown.address):
        raise AlwaysError(LOCKED_OUT, 500)
    user = _owner(state, shown)
    if user is None:
        state.fail(shown.address, None)
        if state.release.before(5):
            return Actor()
        raise NoAccessError(_refusal(shown))
    _check_address(state, shown.address)
    return Actor(user.login, user.superuser, session=shown.wants_session)


AUTH_FIELDS = ("token_auth", "force_api_session")


def sent_token(
    release: Release, query: Mapping[str, Parameter], body: Mapping[str, Parameter], header: str
) -> tuple[str, bool]:
    """Return the token that a request shows, and whether it stands where no log keeps it.

    5.4 takes it from the header `Authorization` as well. From 5.8 on two that differ are refused, as is
    `force_api_session` said in two ways; before, the body goes before the query (read, not driven).
    """
    in_header = header.removeprefix("Bearer ").strip() if header.startswith("Bearer ") and release.since(5, 4) else ""
    if release.since(5, 8):
        tokens = {as_text(part["token_auth"]) for part in (query, body) if part.get("token_auth")} | (
            {in_header} - {""}
        )
        sessions = {as_text(part["force_api_session"]) for part in (query, body) if "force_api_session" in part}
        if len(tokens) > 1 or len(sessions) > 1:
            raise ApiError("The request names its authentication in several ways that differ.", 400)
    if "token_auth" in body or not in_header:
        return as_text(body.get("token_auth", query.get("token_auth", ""))), "token_auth" in body
    return as_text(query.get("token_auth", "")) or in_header, "token_auth" not in query


def _owner(state: State, shown: Credentials) -> User | None:
    if state.release.before(4):
        return next(
            (user for user in state.users.values() if user.token == shown.token and user.login != ANONYMOUS), None
        )
    session = state.sessions.get(shown.token)
    if session is not None:
        return state.user(session.login) if shown.wants_session and session.cookie == shown.cookie else None
    token = state.tokens.get(shown.token)
    if token is None or (token.expires is not None and token.expires <= state.now()):
        return None
    secure = token.secure_only or state.settings.get("only_allow_secure_auth_tokens") == "1"
    if secure and not shown.in_body and state.release.since(5):
        return None
    return state.user(token.login)


def _refusal(shown: Credentials) -> str:
    if shown.in_body:
        return "Unable to authenticate with the provided token. It is either invalid or expired."
    return (
        "Unable to authenticate with the provided token. It is either invalid, expired or is required to be sent "
        "as a POST parameter."
    )


def _check_address(state: State, address: str) -> None:
    allowed = state.settings.get("login_allowlist_ip")
    if allowed and allowed != address and state.release.since(4):
        raise NoAccessError(f"You cannot use this Matomo as your IP {address} is not allowed.")
