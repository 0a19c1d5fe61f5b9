"""What the stand-in servers share: the world they start from, routes, faults, and the socket they answer on.

A fake is a WSGI application that keeps state. Served by `serve` it is the sandbox; wrapped in `in_process`
it answers an `httpx.Client` without a socket, for property tests that run thousands of worlds.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import httpx
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FaultKind = Literal[
    "429", "500", "500-after-write", "cut", "cut-after-write", "expire-token", "shift-rows", "lying-total", "html"
]
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
Clock: TypeAlias = Callable[[], datetime]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorldAccount(_Strict):
    """An account of a world file. `role` is the platform's native account role, if it has such roles."""

    login: str
    email: str | None = None
    name: str | None = None
    role: str | None = None
    password: str | None = None
    status: Literal["active", "pending", "expired"] = "active"


class WorldSite(_Strict):
    """A site of a world file; `owner` is a login where sites have owners, `group` a site group or team."""

    name: str
    domain: str
    id: str | None = None
    owner: str | None = None
    group: str | None = None


class WorldGrant(_Strict):
    """A native role of an account on a site, named by its domain."""

    account: str
    site: str
    role: str
    extras: tuple[str, ...] = ()
    status: Literal["accepted", "invited"] = "accepted"


class World(_Strict):
    """What a sandbox starts with, in neutral words; `more` holds what only one platform knows (teams, groups)."""

    accounts: tuple[WorldAccount, ...] = ()
    sites: tuple[WorldSite, ...] = ()
    grants: tuple[WorldGrant, ...] = ()
    more: Mapping[str, object] = Field(default_factory=dict)


@dataclass(slots=True)
class Fault:
    """One knob: what goes wrong, on which calls, after how many of them, and how often.

    Written `KIND[@AFTER][xTIMES][:METHOD PATH-REGEX]`, for example `500-after-write@3:POST /api/users`.
    `times` 0 means every time.
    """

    kind: FaultKind
    after: int = 0
    times: int = 1
    method: str = ""
    path: str = ""
    seen: int = 0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Return the fault that `text` describes; raises `ValueError` saying what is allowed."""
        found = re.fullmatch(r"(?P<kind>[a-z0-9-]+?)(?:@(?P<after>\d+))?(?:x(?P<times>\d+))?(?::(?P<on>.+))?", text)
        if not found or found["kind"] not in FAULT_KINDS:
            raise ValueError(f"{text!r} is no fault; write KIND[@AFTER][xTIMES][:METHOD PATH] with one of "
                             f"{', '.join(FAULT_KINDS)}")
        method, _, path = (found["on"] or "").rpartition(" ")
        kind: FaultKind = found["kind"]  # type: ignore[assignment]  # checked against FAULT_KINDS just above
        return cls(kind, int(found["after"] or 0), int(found["times"] or 1), method.upper(), path)

    def strikes(self, request: Request) -> bool:
        """Count this request and tell whether the fault hits it."""
        if (self.method and request.method != self.method) or not re.search(self.path, request.path):
            return False
        self.seen += 1
        return self.seen > self.after and (not self.times or self.seen <= self.after + self.times)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a fake saw: enough to tell reading from writing, and never a body or a header."""

    method: str
    path: str
    status: int
    wrote: bool


class Cut(Exception):  # noqa: N818 — it is what happens to the connection, not an error of the fake
    """The connection goes down here."""


@dataclass
class Fake:
    """A stateful stand-in for one platform's server.

    A platform's fake adds its state and routes: `routes` maps werkzeug rules to handlers that take the request
    and the rule's arguments and return a `Response`. A handler that changes state calls `self.touch()`, so that
    tests can tell what was written. Faults of kinds that only the platform can stage (`expire-token`,
    `shift-rows`, `lying-total`) are asked for with `self.struck(kind, request)` by the handlers themselves.
    """

    platform: str
    release: str
    credentials: dict[str, str]
    clock: Clock = field(default=lambda: datetime.now(UTC))
    latency: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    url: str = "http://sandbox.invalid"

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._writes = 0
        self._map = Map([Rule(rule, endpoint=endpoint, methods=[method])
                         for (method, rule), endpoint in self.routes().items()],
                        strict_slashes=False, merge_slashes=False)

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        """Return what is answered: (method, werkzeug rule) → handler."""
        raise NotImplementedError(f"the {self.platform} fake has no routes")

    def not_routed(self, request: Request, problem: HTTPException) -> Response:
        """Answer a path or method that no route takes, the way the real server does."""
        return Response(problem.description or "", status=problem.code)

    def throttled(self, request: Request) -> Response:
        """Answer a request over the limit, the way the real server does."""
        return Response("", status=429, headers={"Retry-After": "1"})

    def touch(self) -> None:
        """Note that this request changed state."""
        self._writes += 1

    @property
    def writes(self) -> int:
        """How many requests changed state so far."""
        return self._writes

    def struck(self, kind: FaultKind, request: Request) -> bool:
        """Tell whether a fault of that kind hits this request."""
        return any([each.strikes(request) for each in self.faults if each.kind == kind])

    def answer(self, request: Request) -> Response:
        """Answer one request: faults before it, the route, faults after it."""
        if self.struck("cut", request):
            raise Cut
        if self.struck("429", request):
            return self.throttled(request)
        if self.struck("500", request):
            return Response(b"", status=500)
        if self.struck("html", request):
            return Response("<!DOCTYPE html><title>Bad gateway</title>", status=502, mimetype="text/html")
        before = self._writes
        response = self._routed(request)
        if self._writes > before:
            if self.struck("500-after-write", request):
                return Response(b"", status=500)
            if self.struck("cut-after-write", request):
                raise Cut
        return response

    def _routed(self, request: Request) -> Response:
        try:
            handler, arguments = self._map.bind_to_environ(request.environ).match()
        except HTTPException as problem:
            return self.not_routed(request, problem)
        response: Response = handler(request, **arguments)
        return response

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (WSGI). State changes one request at a time, as the real servers' databases see to."""
        request = Request(environ)
        if self.latency:
            time.sleep(self.latency)
        with self._lock:
            before = self._writes
            try:
                response = self.answer(request)
            except Cut:
                self.calls.append(Call(request.method, request.path, 0, self._writes > before))
                return _cut(start_response)
            self.calls.append(Call(request.method, request.path, response.status_code, self._writes > before))
        return response(environ, start_response)


def _cut(start_response: StartResponse) -> Iterator[bytes]:
    """Promise more than is sent, then go: the client sees a connection that ended in mid-answer."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
    yield b'{"data":['
    raise Cut


class _InProcess(httpx.BaseTransport):
    def __init__(self, fake: Fake) -> None:
        self._wsgi = httpx.WSGITransport(app=fake)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._wsgi.handle_request(request)
            response.read()
        except Cut as cut:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body",
                                            request=request) from cut
        return response


def in_process(fake: Fake) -> httpx.BaseTransport:
    """Return a transport that answers from `fake` without a socket."""
    return _InProcess(fake)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A fake on a real socket; close it when done."""

    fake: Fake
    url: str
    close: Callable[[], None]

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(fake: Fake, *, host: str = "127.0.0.1", port: int = 0) -> Sandbox:
    """Serve a fake on `host` and `port` (0: any free one) from threads of its own, until closed."""
    from waitress.server import create_server  # noqa: PLC0415 — only who serves needs the server

    app: WSGIApplication = fake
    server = create_server(app, host=host, port=port, threads=16, clear_untrusted_proxy_headers=False)
    fake.url = f"http://{host}:{server.effective_port}"
    thread = threading.Thread(target=server.run, name=f"sandbox-{fake.platform}", daemon=True)
    thread.start()

    def close() -> None:
        server.close()
        server.task_dispatcher.shutdown(timeout=1)
        thread.join(timeout=2)

    return Sandbox(fake, fake.url, close)
