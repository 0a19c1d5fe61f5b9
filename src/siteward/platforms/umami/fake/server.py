"""A stand-in for an Umami server of release 3.2, 3.1 or 2.20, and of 3.3 and 3.4, as sandbox and for tests.

What it adds for 3.3 and 3.4 was read, not driven (`factor`, `keys`): there are no recordings of them.

It answers as the recordings in tests/platforms/umami answer, traps included. What it cannot do is listed, exchange
by exchange, in the contract test beside them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response

from siteward.platforms.fakery import Fake
from siteward.platforms.umami.fake import accounts, factor, keys, more, shares, sites, teams, worlds
from siteward.platforms.umami.fake.ask import Ask, RefusalError, Route
from siteward.platforms.umami.fake.rows import SINCE_3_2, SINCE_3_3, SINCE_3_4, CrashError, Json, Session
from siteward.platforms.umami.fake.schema import MISSING, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Request

    from siteward.platforms.fakery import World
    from siteward.platforms.umami.fake.state import State

RELEASES = ("3.2", "3.1", "2.20", "3.4", "3.3")
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT",
    "Access-Control-Max-Age": "86400",
    "Cache-Control": "no-cache",
    "X-DNS-Prefetch-Control": "on",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' https: data: blob:; script-src 'self' 'unsafe-eval' 'unsafe-inline'; "
        "style-src 'self' 'unsafe-inline'; connect-src 'self' https:; frame-src 'self' http: https:; "
        "frame-ancestors 'self' ;"
    ),
    "Vary": "rsc, next-router-state-tree, next-router-prefetch, next-router-segment-prefetch",
}
_PAGE_HEADERS = {
    **HEADERS,
    "Cache-Control": "private, no-cache, no-store, max-age=0, must-revalidate",
    "Vary": f"{HEADERS['Vary']}, Accept-Encoding",
}
_CODES = {
    400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 429: "too-many-requests",
    500: "server-error", 503: "service-unavailable",
}  # fmt: skip
_MESSAGES = {
    400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 429: "Too many requests",
    500: "Server error", 503: "Service unavailable",
}  # fmt: skip
_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charSet="utf-8"/><title>404: This page could not be found.</title>'
    "</head><body><h1>404</h1><h2>This page could not be found.</h2></body></html>"
)
_MODULES = (accounts, teams, sites, shares, more, factor, keys)


@dataclass
class UmamiFake(Fake):
    """An Umami server. `redis`: tokens end after an hour and can be revoked, as with REDIS_URL set.

    `admin_transfers` is what newer sources have and no release is known for: an admin may transfer any site.

    Large answers are kept until the next write; whoever changes `state` by hand says so with `touch`.
    """

    state: State = field(kw_only=True)
    redis: bool = field(default=False, kw_only=True)
    admin_transfers: bool = field(default=False, kw_only=True)
    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        self.new = self.release in SINCE_3_2
        self.factored = self.release in SINCE_3_3
        self.keyed = self.release in SINCE_3_4
        self.old = self.release == "2.20"
        super().__post_init__()

    @property
    def labour(self) -> float:
        """The seconds of hashing passwords with bcrypt, which holds up the whole server (API.md section 8)."""
        return 0.1 * self.state.hashes

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        """Return what this release answers."""
        found = {key: route for module in _MODULES for key, route in module.routes(self.release).items()}
        return {key: self._handler(route) for key, route in found.items()}

    def _handler(self, route: Route) -> Callable[..., Response]:
        def handle(request: Request, **ids: str) -> Response:
            try:
                return self._reply(self._run(route, request, ids))
            except RefusalError as refusal:
                return self._refused(refusal)
            except CrashError:
                return self._plain(500)

        return handle

    def _run(self, route: Route, request: Request, ids: Mapping[str, str]) -> bytes:
        """Check the data, then who asks, then let the handler decide: the server's own order."""
        values: Mapping[str, object] = {}
        if route.schema is not None:
            reading = read(route.schema, _query(request) if request.method == "GET" else _body(request))
            if not reading.fits:
                raise RefusalError(400, beside=reading.flat() if self.old else reading.tree())
            values = reading.values
        ask = Ask(self, self.state, request, values) if route.open else self._known(request, values)
        return self._kept(ask, ids) or self._keep(ask, ids, _encoded(route.run(ask, **ids)))

    def _kept(self, ask: Ask, ids: Mapping[str, str]) -> bytes | None:
        """Return what was answered to the same question, if nothing has changed: large lists are costly to write."""
        found = self.pages.get(_question(ask, ids))
        return found[1] if found and found[0] == self.writes and not self.faults else None

    def _keep(self, ask: Ask, ids: Mapping[str, str], answer: bytes) -> bytes:
        if len(answer) > _LARGE and ask.request.method == "GET" and not self.faults:
            self.pages = {key: page for key, page in self.pages.items() if page[0] == self.writes}
            self.pages[_question(ask, ids)] = (self.writes, answer)
        return answer

    def _known(self, request: Request, values: Mapping[str, object]) -> Ask:
        """Find out who asks: the text after the first blank of the header is the token, whatever stands before."""
        words = request.headers.get("Authorization", "").split(" ")
        token = words[1] if len(words) > 1 else None
        if token and token in self.state.sessions and self.struck("expire-token", request):
            del self.state.sessions[token]
        if self.keyed and keys.is_key(token):
            return self._with_key(request, values, token)
        session = self.state.sessions.get(token or "")
        user = self.state.users.get(session.user) if session and self._lives(session) else None
        share = self.state.passes.get(request.headers.get("x-umami-share-token", ""))
        if user is None and not (share and (self.old or request.headers.get("x-umami-share-context"))):
            raise RefusalError(401)
        return Ask(self, self.state, request, values, user, token, session.key if session else None, share)

    def _with_key(self, request: Request, values: Mapping[str, object], token: str | None) -> Ask:
        """Let in an API key, which is refused where people and keys are managed as if there were no token at all."""
        found = keys.find(self.state, token or "")
        user = self.state.users.get(found.owner) if found else None
        if found is None or user is None or keys.is_closed(request.path):
            raise RefusalError(401)
        return Ask(self, self.state, request, values, user, api_key=found)

    def _lives(self, session: Session) -> bool:
        """Tell whether a token still opens the door; in 3.2 a new password closes it."""
        if session.ends and session.ends <= self.clock():
            return False
        user = self.state.users.get(session.user)
        return user is not None and (not self.new or user.password == session.password)

    def _refused(self, refusal: RefusalError) -> Response:
        status = refusal.status
        if self.old:
            return self._reply(_encoded({"error": refusal.beside or refusal.message or _MESSAGES[status]}), status)
        error: Json = {
            "message": refusal.message or _MESSAGES[status],
            "code": refusal.code or _CODES[status],
            "status": status,
        }
        beside = refusal.beside if isinstance(refusal.beside, dict) else {}
        return self._reply(_encoded({"error": error | beside}), status)

    def routed(self, request: Request) -> Response:
        """Answer one request; a slash at the end is redirected away, OPTIONS tells what a path takes."""
        if request.path.endswith("/") and len(request.path) > 1:
            target = request.full_path.rstrip("?").replace(request.path, request.path.rstrip("/"), 1)
            return Response(target, status=308, headers={"Location": target}, content_type="text/plain")
        return super().routed(request)

    def not_routed(self, request: Request, problem: HTTPException) -> Response:
        """Answer a path that is none with a page, and a method that is none with nothing."""
        if not isinstance(problem, MethodNotAllowed):
            return Response(_PAGE, status=404, headers=_PAGE_HEADERS, content_type="text/html; charset=utf-8")
        if request.method != "OPTIONS":
            return self._plain(405)
        methods = set(problem.valid_methods or ())
        allowed = sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
        return Response(status=204, headers={**HEADERS, "Allow": ", ".join(allowed)})

    def _plain(self, status: int) -> Response:
        return Response(b"", status=status, headers=HEADERS)

    def _reply(self, body: bytes, status: int = 200) -> Response:
        return Response(body, status=status, headers=HEADERS, content_type="application/json")


_LARGE = 20_000


def _question(ask: Ask, ids: Mapping[str, str]) -> str:
    return f"{ask.user.id if ask.user else ''} {ask.request.full_path} {sorted(ids.items())}"


def _encoded(answer: object) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _query(request: Request) -> dict[str, str]:
    return {key: values[-1] for key, values in request.args.lists()}


def _body(request: Request) -> object:
    """Return the body as JSON whatever its type says it is; what is no JSON counts as missing."""
    try:
        return json.loads(request.get_data(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return MISSING


def _no_constant(word: str) -> object:
    raise ValueError(word)


@dataclass(frozen=True, slots=True)
class _Factory:
    """Makes Umami servers; see `FakeFactory`."""

    releases: tuple[str, ...] = RELEASES

    def fresh(self, release: str, *, clock: Callable[[], datetime]) -> UmamiFake:
        """Return a server as it is after installation: admin/umami, no teams, no sites."""
        credentials = {"username": "admin", "password": worlds.FIRST_PASSWORD}
        return UmamiFake("umami", release, credentials, clock, state=worlds.fresh(clock))

    def lived_in(self, release: str, *, clock: Callable[[], datetime]) -> UmamiFake:
        """Return the server that the demo shows."""
        return self.of(worlds.LIVED_IN, release, clock=clock)

    def of(self, world: World, release: str, *, clock: Callable[[], datetime]) -> UmamiFake:
        """Return a server that holds a world, with the service admin `siteward` in it (see `worlds`)."""
        beside = worlds.More.model_validate(dict(world.more))
        state = worlds.of(world, beside, clock)
        worlds.check(beside, release)
        if release in SINCE_3_3:
            worlds.lower_names(state)
        return UmamiFake(
            "umami", release, dict(worlds.CREDENTIALS), clock, state=state, redis=beside.redis,
            admin_transfers=beside.admin_transfers,
        )  # fmt: skip


FAKE = _Factory()
