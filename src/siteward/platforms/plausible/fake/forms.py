"""A stand-in for Community Edition: no Sites API, but web forms, and real tables behind them (API.md sections 1, 10, 11)."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from siteward.platforms.plausible.fake.server import PlausibleFake, json_answer
from siteward.platforms.plausible.fake.state import GUEST, RefusedError, Site, User
from siteward.platforms.plausible.forms import totp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Request

    from siteward.platforms.plausible.fake.tables import Tables

COOKIE, HALF_WAY = "_plausible_key", "session_2fa"
_MANAGERS = frozenset({"owner", "admin"})
_ATTEMPTS, _MINUTE, _STEP = 5, 60, 30


@dataclass(slots=True)
class Session:
    """What a cookie stands for: a token against forgery, and somebody once they have logged in."""

    token: str
    user: int | None = None


@dataclass
class CommunityFake(PlausibleFake):
    """A Plausible without the Sites API. `tables` follow the state; `closed` is where every page leads, if anywhere."""

    tables: Tables = field(kw_only=True)
    sessions: dict[str, Session] = field(default_factory=dict, kw_only=True)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter, kw_only=True)
    closed: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tables.write(self.state)

    def accept(self, email: str) -> None:
        """Let somebody accept every invitation that waits for them."""
        super().accept(email)
        self.tables.write(self.state)

    def expire(self, email: str) -> None:
        """Let the invitations of an address end."""
        super().expire(email)
        self.tables.write(self.state)

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        """Return what is answered."""
        site = "/sites/<path:domain>"
        return {
            ("GET", "/api/system"): self._system,
            ("GET", "/login"): self._login_page,
            ("POST", "/login"): self._login,
            ("GET", "/2fa/verify"): self._code_page,
            ("POST", "/2fa/verify"): self._code,
            ("GET", "/logout"): self._logout,
            ("GET", "/sites"): self._inside(self._home),
            ("GET", "/<path:domain>/settings/people"): self._inside(self._people),
            ("POST", f"{site}/memberships/invite"): self._form(self._invite),
            ("PUT", f"{site}/memberships/u/<int:user>/role/<role>"): self._form(self._role),
            ("DELETE", f"{site}/memberships/u/<int:user>"): self._form(self._remove),
            ("DELETE", f"{site}/invitations/<invitation>"): self._form(self._withdraw),
            ("DELETE", "/settings/team/invitations/<invitation>"): self._inside(self._withdraw_from_team),
            ("POST", "/settings/api-keys"): self._inside(self._make_key),
            ("DELETE", "/settings/api-keys/<int:key>"): self._inside(self._delete_key),
        }

    def answer(self, request: Request) -> Response:
        """Answer one request; the tables follow, whatever becomes of the answer."""
        try:
            return super().answer(request)
        finally:
            self.tables.write(self.state)

    def throttled(self, request: Request) -> Response:  # noqa: ARG002 — the same for all
        """Answer a request over the limit."""
        return Response("", status=429)

    def not_routed(self, request: Request, problem: HTTPException) -> Response:
        """Answer what is no path: the dashboard's page for GET, and nothing else knows it."""
        if request.method != "GET" or isinstance(problem, MethodNotAllowed):
            return json_answer({"status": 404, "message": "Not Found"}, 404)
        if not request.accept_mimetypes.accept_html:
            return json_answer({"status": 406, "message": "Not Acceptable"}, 406)
        return _page("<h1>404</h1>", status=NotFound.code or 404)

    # -- logging in

    def _login_page(self, request: Request) -> Response:
        return self._with_session(request, lambda session: _page(_hidden(session)))

    def _login(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or not self._genuine(request, session):
            return _page("forged", status=403)
        email = request.form.get("email", "")
        minute = (email.lower(), int(self.clock().timestamp()) // _MINUTE)
        self.attempts[minute] += 1
        if self.attempts[minute] > _ATTEMPTS:
            return _page("too many attempts", status=429)
        user = self.state.user(email)
        if user is None or not secrets.compare_digest(user.password, request.form.get("password", "")):
            return _page("wrong")
        if user.totp is None:
            return self._entered(user)
        response = _moved("/2fa/verify")
        response.set_cookie(HALF_WAY, self._kept(Session(session.token, user.id)))
        return response

    def _code_page(self, request: Request) -> Response:
        session = self.sessions.get(request.cookies.get(HALF_WAY, ""))
        return _page(_hidden(session)) if session else _moved("/login")

    def _code(self, request: Request) -> Response:
        session = self.sessions.get(request.cookies.get(HALF_WAY, ""))
        if session is None or session.user is None:
            return _moved("/login")
        if not self._genuine(request, session):
            return _page("forged", status=403)
        user, code, now = self.state.users[session.user], request.form.get("code", ""), self.clock().timestamp()
        good = {totp(user.totp or "", now - back) for back in (0, _STEP)} - user.used_codes
        if code not in good:
            return _page("wrong")
        user.used_codes.add(code)
        response = self._entered(user)
        if request.form.get("remember_2fa") == "true":
            response.set_cookie("remember_2fa", secrets.token_hex(8))
        return response

    def _entered(self, user: User) -> Response:
        """Begin a session anew, with another token."""
        response = _moved(self.closed or "/sites")
        response.set_cookie(COOKIE, self._kept(Session(secrets.token_urlsafe(), user.id)))
        response.set_cookie("logged_in", "true")
        return response

    def _logout(self, request: Request) -> Response:
        self.sessions.pop(request.cookies.get(COOKIE, ""), None)
        return _moved("/")

    def _kept(self, session: Session) -> str:
        name = secrets.token_urlsafe()
        self.sessions[name] = session
        return name

    def _session(self, request: Request) -> Session | None:
        name = request.cookies.get(COOKIE, "")
        if name in self.sessions and self.struck("expire-token", request):
            del self.sessions[name]
        return self.sessions.get(name)

    def _with_session(self, request: Request, run: Callable[[Session], Response]) -> Response:
        session = self._session(request)
        if session is not None:
            return run(session)
        session = Session(secrets.token_urlsafe())
        response = run(session)
        response.set_cookie(COOKIE, self._kept(session))
        return response

    def _genuine(self, request: Request, session: Session) -> bool:
        given = request.form.get("_csrf_token") or request.headers.get("x-csrf-token", "")
        return secrets.compare_digest(given, session.token)

    # -- pages and forms of those who are in

    def _inside(self, run: Callable[..., Response]) -> Callable[..., Response]:
        def handle(request: Request, **path: str) -> Response:
            session = self._session(request)
            if session is None or session.user is None:
                return _moved(f"/login?return_to={quote(request.path, safe='')}")
            if self.closed:
                return _moved(self.closed)
            if request.method != "GET" and not self._genuine(request, session):
                return _page("forged", status=403)
            return run(request, session, **path)

        return handle

    def _form(self, run: Callable[..., Response]) -> Callable[..., Response]:
        def handle(request: Request, session: Session, *, domain: str, **path: str) -> Response:
            site = self.state.site(domain)
            if site is None or self.state.role(site.team, session.user or 0) not in _MANAGERS:
                return _page("<h1>404</h1>", status=404)
            return run(request, session, site, **path)

        return self._inside(handle)

    def _home(self, _request: Request, session: Session) -> Response:
        items = (f'<li data-domain="{escape(site.domain)}"></li>' for site in self.state.sites.values())
        return _page("".join(items), session)

    def _people(self, _request: Request, session: Session, *, domain: str) -> Response:
        site = self.state.site(domain)
        if site is None or self.state.role(site.team, session.user or 0) not in _MANAGERS | {"editor"}:
            return _page("<h1>404</h1>", status=404)
        shown = (f"<li>{escape(shown.email)} {shown.role}</li>" for shown in self.state.shown(site))
        return _page("".join(shown), session)

    def _invite(self, request: Request, session: Session, site: Site) -> Response:
        try:
            self.state.invite(site, request.form["email"], request.form["role"], session.user or 0)
        except RefusedError as refused:
            return _back(site) if refused.why == "transfer pending" else _page(refused.why)
        self.touch()
        return _back(site)

    def _role(self, _request: Request, session: Session, site: Site, *, user: int, role: str) -> Response:
        found = self.state.guest(site, self.state.users[user].email) if user in self.state.users else None
        if found is not None and user != session.user and role in {"viewer", "editor"}:
            found.role = role
            self.touch()
        return _back(site)

    def _remove(self, _request: Request, _session: Session, site: Site, *, user: int) -> Response:
        found = self.state.guest(site, self.state.users[user].email) if user in self.state.users else None
        if found is not None:
            self.state.drop_guest(found)
            self.state.mails.append(self.state.users[user].email)
            self.touch()
        return _back(site)

    def _withdraw(self, _request: Request, _session: Session, site: Site, *, invitation: str) -> Response:
        for offered in list(self.state.guest_invitations.values()):
            if (offered.invitation_id, offered.site) == (invitation, site.id):
                self.state.withdraw(offered)
                self.touch()
        return _back(site)

    def _withdraw_from_team(self, _request: Request, _session: Session, *, invitation: str) -> Response:
        for offered in list(self.state.invitations.values()):
            if offered.invitation_id == invitation and offered.role != GUEST:
                self.state.forget(offered)
                self.touch()
        return _moved("/settings/team/general")

    def _make_key(self, request: Request, session: Session) -> Response:
        """Make an API key of the caller's choosing, bound to their team; one for the Sites API is not to be had here."""
        user = self.state.users[session.user or 0]
        team = next((self.state.teams[row.team] for row in self.state.members.values() if row.user == user.id), None)
        name, value = request.form.get("api_key[name]", ""), request.form.get("api_key[key]", "")
        if (
            team is None
            or not name
            or not value
            or value in self.state.keys
            or "sites" in request.form.get("api_key[type]", "")
        ):
            return _page("the key was not made")
        self.state.new_key(team, user, name, value)
        self.touch()
        return _moved("/settings/api-keys")

    def _delete_key(self, _request: Request, session: Session, *, key: int) -> Response:
        """Delete a key of the caller's own; nobody can delete that of somebody else."""
        for value, found in list(self.state.keys.items()):
            if (found.id, found.user) == (key, session.user):
                del self.state.keys[value]
                self.touch()
        return _moved("/settings/api-keys")


def _hidden(session: Session) -> str:
    return f'<form method="post"><input type="hidden" name="_csrf_token" value="{session.token}"></form>'


def _page(body: str, session: Session | None = None, *, status: int = 200) -> Response:
    meta = f'<meta name="csrf-token" content="{session.token}">' if session else ""
    return Response(f"<!DOCTYPE html><head>{meta}</head><body>{body}</body>", status=status, mimetype="text/html")


def _moved(place: str) -> Response:
    return Response("", status=302, headers={"Location": place}, mimetype="text/html")


def _back(site: Site) -> Response:
    return _moved(f"/{quote(site.domain, safe='')}/settings/people")
