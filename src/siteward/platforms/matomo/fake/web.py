"""The few pages a browser sees: log-in, any page of the product, and the form behind an invitation."""

from __future__ import annotations

import html

from werkzeug.wrappers import Request, Response

from siteward.platforms.matomo.fake.answer import HTML, error_page
from siteward.platforms.matomo.fake.call import Actor, ApiError, Call
from siteward.platforms.matomo.fake.php import md5
from siteward.platforms.matomo.fake.plugins import log_in
from siteward.platforms.matomo.fake.state import Mail, Session, State, User

COOKIE = "MATOMO_SESSID"


def page(state: State, request: Request, url: str) -> Response:
    """Answer a request that is not for the API."""
    module, action = request.args.get("module", ""), request.args.get("action", "")
    if module == "Login" and action == "acceptInvitation":
        return _invitation(state, request, url)
    if module == "Login" and request.method == "POST":
        return _log_in(state, request, url)
    user = _visitor(state, request)
    if module == "Login" or user is None:
        return _login_form("Sign in")
    state.last_seen[state.key(user.login)] = state.now()
    token = user.token if state.release.before(4) else _session_token(state, request)
    return Response(
        f'<!DOCTYPE html><title>{state.release.product}</title><script>piwik.token_auth = "{token}";</script>',
        content_type=HTML,
    )


def _session_token(state: State, request: Request) -> str:
    return next(value for value, session in state.sessions.items() if session.cookie == request.cookies.get(COOKIE))


def _login_form(title: str, problem: str = "", status: int = 200) -> Response:
    return Response(
        f"<!DOCTYPE html><title>{title}</title><form method='post'><p>{html.escape(problem)}</p>"
        '<input name="form_login"><input name="form_password" type="password">'
        '<input type="hidden" name="form_nonce" id="login_form_nonce" value="0123456789abcdef"></form>',
        status,
        content_type=HTML,
    )


def _visitor(state: State, request: Request) -> User | None:
    cookie = request.cookies.get(COOKIE)
    session = next((session for session in state.sessions.values() if cookie and session.cookie == cookie), None)
    return state.user(session.login) if session else None


def _log_in(state: State, request: Request, url: str) -> Response:
    user = _logged_in(state, request)
    if user is None:
        return _login_form(
            "Sign in", "Wrong Username and password combination.", 403 if state.plugins.get("LoginLdap") else 200
        )
    session = Session(user.login, state.secret())
    state.sessions[state.secret()] = session
    answer = Response(status=302, headers={"Location": f"{url}/index.php"})
    answer.set_cookie(COOKIE, session.cookie, httponly=True, samesite="Lax")
    return answer


def _logged_in(state: State, request: Request) -> User | None:
    login, password = request.form.get("form_login", ""), request.form.get("form_password", "")
    if state.plugins.get("LoginLdap"):
        return log_in(state, login, password)
    try:
        return Call(state, Actor(), "", {}, request.remote_addr or "127.0.0.1").check_password(login, password)
    except ApiError:
        return None


def _invitation(state: State, request: Request, url: str) -> Response:
    token = request.values.get("token", "")
    user = next((user for user in state.users.values() if token and token in user.invite_tokens.values()), None)
    if user is None or state.invite_status(user) in {"active", "expired"}:
        return error_page(state.release, "This invitation link is not valid or has expired.", status=200)
    if request.method != "POST":
        return Response(
            '<!DOCTYPE html><title>Set Password - Matomo</title><form method="post">'
            f'<input name="token" value="{html.escape(token)}"><input name="password">'
            '<input name="passwordConfirmation"><input name="invitation_form" value="1"></form>',
            content_type=HTML,
        )
    _accept(state, user, request.form.get("password", ""))
    return Response(status=302, headers={"Location": f"{url}/index.php"})


def _accept(state: State, user: User, password: str) -> None:
    user.password = md5(password)
    user.expires, user.accepted, user.invite_tokens = None, state.now(), {}
    inviter = state.user(user.invited_by or "")
    if inviter is not None:
        state.mails.append(Mail(inviter.email, "Security Notification"))
