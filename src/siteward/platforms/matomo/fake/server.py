"""A stand-in for a Matomo server: 5.3, 4.16, 3.14 and Piwik 2.18, stateful, held to the recordings; 5.14 and 6.0 as read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from siteward.platforms.fakery import Clock, Fake, World
from siteward.platforms.matomo.fake import (
    accounts,
    bulk,
    demo,
    general,
    grants,
    listing,
    plugins,
    sites,
    tokens,
    users,
    worlds,
)
from siteward.platforms.matomo.fake.answer import (
    HTML,
    error_page,
    maintenance_page,
    render,
    render_error,
    status_of,
    untrusted_host_page,
)
from siteward.platforms.matomo.fake.auth import Credentials, authenticate, sent_token
from siteward.platforms.matomo.fake.call import ApiError, Call, invoke
from siteward.platforms.matomo.fake.php import Parameter, Value, as_text, variables
from siteward.platforms.matomo.fake.release import RELEASES
from siteward.platforms.matomo.fake.state import State
from siteward.platforms.matomo.fake.web import COOKIE, page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

PLUGINS = (
    accounts,
    bulk,
    general,
    grants,
    listing,
    plugins,
    sites,
    tokens,
    users,
)  # importing them fills the table of methods
VERBS = ("GET", "POST", "PUT", "DELETE", "PATCH")
LYING_LIMIT = "100"
# 5.14 sends these with every answer of the API (read, not driven).
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "deny",
    "Content-Security-Policy": "default-src 'none'",
}


@dataclass
class MatomoFake(Fake):
    """One server. `state` may be changed by tests: settings, locks, failures, clock-driven things."""

    state: State = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._day = self.state.now().date()

    @property
    def labour(self) -> float:
        """The seconds of mails, and of making and deleting accounts (MAPPING.md section 7)."""
        return 0.07 * (len(self.state.mails) + self.state.slow)

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        """Return the one entry point, with and without its file name, for every verb."""
        return {(verb, path): self._index for verb in VERBS for path in ("/", "/index.php")}

    def run_daily_tasks(self) -> None:
        """Do what the real server's cron does once a day."""
        self.state.clean_up_invites()
        self._day = self.state.now().date()

    def _index(self, request: Request) -> Response:
        self.state.begin()
        if self.state.now().date() > self._day:
            self.run_daily_tasks()
        refused = self._refused(request)
        if refused is not None:
            return refused
        query = variables(request.query_string.decode())
        sent = {**_body(request), **query}
        if self.state.release.before(3) and "filter_limit" not in query:
            sent.pop("filter_limit", None)  # 2.x looks for it in the query alone (rec 01.m218#27)
        if as_text(sent.get("module", "")) != "API":
            return page(self.state, request, self.url)
        answer = self._api(request, query, sent)
        if self.state.release.since(5, 14):
            answer.headers.update(SAFETY)
        if self.state.release.since(3):
            answer.headers["X-Matomo-Request-Id"] = self.state.secret()[:5]
        return answer

    def _refused(self, request: Request) -> Response | None:
        """Return the answer of a server that is closed or wants https, or `None` (rec 14#30-31)."""
        if self.state.settings.get("untrusted_host") == "1" and self.state.release.since(6):
            return untrusted_host_page(self.state.release)
        if self.state.settings.get("maintenance_mode") == "1":
            return maintenance_page(self.state.release)
        if self.state.settings.get("force_ssl") == "1" and request.scheme == "http":
            target = urlsplit(request.url)._replace(scheme="https").geturl()
            return Response("", 302, {"Location": target}, content_type=HTML)
        return None

    def _api(self, request: Request, query: Mapping[str, Parameter], sent: dict[str, Parameter]) -> Response:
        release = self.state.release
        if self.struck("lying-total", request):
            sent["filter_limit"] = LYING_LIMIT
        body = _body(request)
        try:
            token, safe = sent_token(release, query, body, request.headers.get("Authorization", ""))
        except ApiError as problem:
            return render_error(problem, sent, release)
        shown = Credentials(
            "expired" if self.struck("expire-token", request) else token,
            safe,
            request.remote_addr or "127.0.0.1",
            wants_session=release.since(3) and as_text(sent.get("force_api_session", "")) == "1",
            cookie=request.cookies.get(COOKIE, ""),
        )
        try:
            actor = authenticate(self.state, shown)
        except ApiError as problem:
            if "module" not in query and release.since(5):
                return error_page(release, problem.message, status=status_of(problem, release))
            return render_error(problem, sent, release)
        call = Call(
            self.state,
            actor,
            as_text(sent.get("method", "")),
            sent,
            shown.address,
            self.url,
            german=_german(request, query),
        )
        return self._answered(call)

    def _answered(self, call: Call) -> Response:
        release = self.state.release
        try:
            value: Value = invoke(call)
            params = {k: v for k, v in call.params.items() if call.method != bulk.BULK or not k.endswith("Columns")}
            answer = render(value, params, release)
        except ApiError as problem:
            answer = render_error(problem, call.params, release)
        if call.touched:
            self.touch()
        answer.headers.extend(call.headers)
        if call.actor.session:
            answer.set_cookie(COOKIE, self._cookie(call), httponly=True, samesite="Lax")
        return answer

    def _cookie(self, call: Call) -> str:
        """Return the cookie of the session that asks, or a new one where a plain token plays a session."""
        session = self.state.sessions.get(as_text(call.params.get("token_auth", "")))
        return session.cookie if session else self.state.secret()


def _body(request: Request) -> dict[str, Parameter]:
    """Return the fields of a form; other verbs and other kinds of body are not read (API.md section 1.1)."""
    if request.method != "POST" or request.mimetype != "application/x-www-form-urlencoded":
        return {}
    return variables(request.get_data(as_text=True))


def _german(request: Request, query: Mapping[str, Parameter]) -> bool:
    asked = as_text(query.get("language", ""))
    return (asked or request.headers.get("Accept-Language", "")).startswith("de")


class MatomoFakes:
    """Makes the stand-in servers."""

    releases: ClassVar[tuple[str, ...]] = tuple(RELEASES)

    def fresh(self, release: str, *, clock: Callable[[], datetime]) -> MatomoFake:
        """Return a server as the installer leaves it: superuser root, one site."""
        return _made(release, clock, worlds.fresh)

    def lived_in(self, release: str, *, clock: Callable[[], datetime]) -> MatomoFake:
        """Return a server with the people and sites of the demo."""
        return _made(release, clock, demo.lived_in)

    def of(self, world: World, release: str, *, clock: Callable[[], datetime]) -> MatomoFake:
        """Return a server that holds the given world beside its superuser `root`."""
        return _made(release, clock, lambda state: worlds.of(state, world))


def _made(release: str, clock: Clock, fill: Callable[[State], str]) -> MatomoFake:
    state = State(RELEASES[release], clock)
    token = fill(state)
    return MatomoFake("matomo", release, {"token": token, "password": worlds.ROOT_PASSWORD}, clock, state=state)


FAKE = MatomoFakes()
