"""What the stand-in servers share: the world they start from, routes, faults, and the socket they answer on.

A fake is a WSGI application that keeps state. Served by `serve` it is the sandbox; wrapped in `in_process`
it answers an `httpx.Client` without a socket, for property tests that run thousands of worlds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

import httpx
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FaultKind = Literal[
    "429", "500", "503", "500-after-write", "504-after-write", "cut", "cut-after-write", "late", "expire-token",
    "shift-rows", "lying-total", "html",
]  # fmt: skip
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
_BEFORE: tuple[FaultKind, ...] = ("cut", "429", "500", "503", "html", "late")
_AFTER: tuple[FaultKind, ...] = ("cut-after-write", "500-after-write", "504-after-write")
_PAGES = {"503": "Service Temporarily Unavailable", "html": "Bad gateway", "late": "Gateway Time-out"}
_STATUSES = {"503": 503, "html": 502, "late": 504}
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

    Written `KIND[@AFTER][xTIMES][:METHOD PATH-REGEX]`, for example `500-after-write@3:POST /api/users`; the method
    or the path may stand alone.
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
            raise ValueError(
                f"{text!r} is not a valid fault; write KIND[@AFTER][xTIMES][:METHOD PATH] with one of {', '.join(FAULT_KINDS)}"
            )
        on = found["on"] or ""
        method, _, path = (on, "", "") if on.isupper() and on.isalpha() else on.rpartition(" ")
        kind: FaultKind = found["kind"]  # type: ignore[assignment]  # checked against FAULT_KINDS just above
        return cls(kind, int(found["after"] or 0), int(found["times"] or 1), method.upper(), path)

    def strikes(self, request: Request) -> bool:
        """Count this request and tell whether the fault hits it."""
        if (self.method and request.method != self.method) or not re.search(self.path, request.path):
            return False
        self.seen += 1
        return self.seen > self.after and (not self.times or self.seen <= self.after + self.times)


GateKind = Literal["401", "403", "basic", "login", "redirect"]
GATE_KINDS: tuple[str, ...] = get_args(GateKind)
_SIGN_IN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method=post></form></body></html>"


@dataclass(frozen=True, slots=True)
class SandboxGate:
    """A gate before a fake: only requests with the header `name: value` reach it.

    All others are answered by a page of HTML with 401 or 403, a wish for HTTP's own login (`basic`), a login page with
    200 (`login`), or a redirect to another host (`redirect`).
    """

    kind: GateKind
    value: str
    name: str = "Sandbox-Gate"

    @property
    def headers(self) -> str:
        """The line that opens it, as an instance's field `headers` takes it."""
        return f"{self.name}: {self.value}"

    def stops(self, request: Request) -> Response | None:
        """Return the answer to a request that may not pass, or `None` for one that may."""
        if request.headers.get(self.name) == self.value:
            return None
        match self.kind:
            case "basic":
                return Response("401 Unauthorized", status=401, headers={"WWW-Authenticate": 'Basic realm="gate"'})
            case "redirect":
                return Response("", status=302, headers={"Location": "https://sso.invalid/login"})
            case "login":
                return Response(_SIGN_IN, mimetype="text/html")
            case status:
                return Response(_SIGN_IN, status=int(status), mimetype="text/html")


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a fake saw: enough to tell reading from writing, and never a body or a header."""

    method: str
    path: str
    status: int
    wrote: bool


class CutError(Exception):
    """The connection goes down here."""


class CannotStandInError(RuntimeError):
    """A stand-in needs something besides this library that is not on this machine; the message says what."""


Handler: TypeAlias = Callable[..., Response]


@cache
def _map(rules: tuple[str, ...]) -> Map:
    """Return the compiled paths; compiling costs far more than a request, and every fake of a release shares them."""
    return Map([Rule(rule, endpoint=rule) for rule in rules], strict_slashes=False, merge_slashes=False)


@dataclass
class Fake:
    """A stateful stand-in for one platform's server.

    A platform's fake adds its state and routes: `routes` maps werkzeug rules to handlers that take the request
    and the rule's arguments and return a `Response`. A handler that changes state calls `self.touch()`, so that
    tests can tell what was written. Faults of kinds that only the platform can stage (`expire-token`,
    `shift-rows`, `lying-total`) are asked for with `self.struck(kind, request)` by the handlers themselves.

    `gate` stands before it and answers in its place; what it stops is no call. Requests are answered one at a time, except
    where a handler opens a `window`. `latency` and `race` are seconds; `race` is how long a window stays open. With a
    latency the sandbox also takes the time for which the real server works (`labour`). A request
    that the fault `late` hits is answered 504, as by a gateway that has given up, and carried out after `lateness` more
    requests. `shared` is set on a socket, where others may come at any time.
    """

    platform: str
    release: str
    credentials: dict[str, str]
    clock: Clock = field(default=lambda: datetime.now(UTC))
    latency: float = 0.0
    race: float = 0.005
    lateness: int = 2
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    gate: SandboxGate | None = None
    url: str = "http://sandbox.invalid"
    shared: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._mine = threading.local()
        self._writes = 0
        self._under_way = 0
        self._late: list[tuple[int, Request]] = []
        self._handlers = dict(self.routes())
        self._map = _map(tuple(dict.fromkeys(rule for _, rule in self._handlers)))

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return what is answered: (method, werkzeug rule) → handler."""
        raise NotImplementedError(f"the {self.platform} fake has no routes")

    def not_routed(self, request: Request, problem: HTTPException) -> Response:  # noqa: ARG002 — platforms look at it
        """Answer a path or method that no route takes, the way the real server does."""
        return Response(problem.description or "", status=problem.code)

    def throttled(self, request: Request) -> Response:  # noqa: ARG002 — platforms look at it
        """Answer a request over the limit, the way the real server does."""
        return Response("", status=429, headers={"Retry-After": "1"})

    def touch(self) -> None:
        """Note that this request changed state."""
        self._writes += 1
        self._mine.wrote = True

    @property
    def labour(self) -> float:
        """The seconds that the real server would have worked so far beyond answering: for slow hashes, for mails."""
        return 0.0

    @property
    def writes(self) -> int:
        """How many changes of state there were so far."""
        return self._writes

    def struck(self, kind: FaultKind, request: Request) -> bool:
        """Tell whether a fault of that kind hits this request."""
        return any([fault.strikes(request) for fault in self.faults if fault.kind == kind])  # noqa: C419 — all must count

    def window(self) -> None:
        """Let other requests in between a check and the write that rests on it, as real servers do.

        Costs nothing while this request is the only one there can be.
        """
        if (self.shared or self._under_way > 1) and self.race:
            self._lock.release()
            try:
                time.sleep(self.race)
            finally:
                self._lock.acquire()

    def answer(self, request: Request) -> Response:
        """Answer one request: faults before it, the route, faults after it."""
        self._catch_up()
        struck = self._struck(_BEFORE, request)
        if "cut" in struck:
            raise CutError
        if "429" in struck:
            return self.throttled(request)
        if "500" in struck:
            return Response(b"", status=500)
        if "late" in struck:
            self._late.append((self.lateness, _kept(request)))
        for kind in struck:
            page = f"<!DOCTYPE html><title>{_PAGES[kind]}</title>"
            return Response(page, status=_STATUSES[kind], mimetype="text/html")
        response = self.routed(request)
        struck = self._struck(_AFTER, request) if self._mine.wrote else ()
        if "cut-after-write" in struck:
            raise CutError
        for kind in struck:
            return Response(b"", status=int(kind[:3]))
        return response

    def _catch_up(self) -> None:
        """Carry out what a gateway has given up and is due now."""
        due = [request for left, request in self._late if left == 0]
        self._late = [(left - 1, request) for left, request in self._late if left]
        for request in due:
            self._note(request, self.routed(request).status_code)
            self._mine.wrote = False

    def _struck(self, kinds: Iterable[FaultKind], request: Request) -> tuple[FaultKind, ...]:
        """Return which of some kinds hit this request; every fault counts it, whichever of them answers."""
        return tuple([kind for kind in kinds if self.struck(kind, request)])

    def routed(self, request: Request) -> Response:
        """Answer one request by its path and method; HEAD goes to the handler of GET."""
        try:
            rule, arguments = self._map.bind_to_environ(request.environ).match()
        except HTTPException as problem:
            return self.not_routed(request, problem)
        handler = self._handlers.get((request.method, rule))
        if handler is None and request.method == "HEAD":
            handler = self._handlers.get(("GET", rule))
        if handler is None:
            allowed = sorted(method for method, path in self._handlers if path == rule)
            return self.not_routed(request, MethodNotAllowed(valid_methods=allowed))
        return handler(request, **arguments)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (WSGI)."""
        request = Request(environ)
        if self.latency:
            time.sleep(self.latency)
        stopped = self.gate.stops(request) if self.gate is not None else None
        if stopped is not None:
            return stopped(environ, start_response)
        with self._turn():
            before = self.labour
            try:
                response = self.answer(request)
            except CutError:
                self._note(request, 0)
                return _cut(start_response)
            self._note(request, response.status_code)
            if self.latency and self.labour > before:
                time.sleep(self.labour - before)
        return response(environ, start_response)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
        try:
            with self._lock:
                self._mine.wrote = False
                yield
        finally:
            with self._lock:
                self._under_way -= 1

    def _note(self, request: Request, status: int) -> None:
        self.calls.append(Call(request.method, request.path, status, self._mine.wrote))


def _kept(request: Request) -> Request:
    """Return a request that can be carried out when its connection is gone."""
    body = request.get_data()
    return Request({**request.environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})


def _cut(start_response: StartResponse) -> Iterator[bytes]:
    """Promise more than is sent, then go: the client sees a connection that ended in mid-answer."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
    yield b'{"data":['
    raise CutError


class _InProcess(httpx.BaseTransport):
    def __init__(self, fake: Fake) -> None:
        self._wsgi = httpx.WSGITransport(app=fake)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._wsgi.handle_request(request)
            response.read()
        except CutError as cut:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body", request=request
            ) from cut
        return response


def in_process(fake: Fake) -> httpx.BaseTransport:
    """Return a transport that answers from `fake` without a socket."""
    return _InProcess(fake)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A fake on a real socket; close it when done. Closing twice does nothing."""

    fake: Fake
    url: str
    close: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _without_cuts(record: logging.LogRecord) -> bool:
    """Drop what the server logs about a connection that a fault cut on purpose."""
    return not (record.exc_info and record.exc_info[0] and issubclass(record.exc_info[0], CutError))


# Answers stay in memory (the team list of a large instance is 17 MB), and the server keeps its name to itself.
_WAITRESS: Mapping[str, Any] = {
    "threads": 16,
    "clear_untrusted_proxy_headers": False,
    "ident": None,
    "outbuf_overflow": 1 << 28,
    "outbuf_high_watermark": 1 << 28,
}


def serve(fake: Fake, *, host: str = "127.0.0.1", port: int = 0) -> Sandbox:
    """Serve a fake on `host` and `port` (0: any free one) from threads of its own, until closed.

    Raises `OSError` where nothing can be served: the port is taken, the host is none of this machine's.
    """
    from waitress import wasyncore  # noqa: PLC0415 — only who serves needs the server
    from waitress.server import create_server  # noqa: PLC0415

    logging.getLogger("waitress").addFilter(_without_cuts)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app: WSGIApplication = fake
    channels: dict[int, Any] = {}
    address = host if ":" in host else socket.gethostbyname(host)
    try:
        server: Any = create_server(
            app, map=channels, host=address, port=port, **_WAITRESS
        )  # its stubs know half of it
    except OSError:
        wasyncore.close_all(channels, ignore_all=True)
        raise
    shown = f"[{host}]" if ":" in host else host
    fake.url, fake.shared = f"http://{shown}:{server.effective_port}", True
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            wasyncore.loop(timeout=1, map=channels, count=1)

    def close() -> None:
        if over.is_set():
            return
        over.set()
        server.pull_trigger()
        thread.join(timeout=5)
        server.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(channels, ignore_all=True)

    thread = threading.Thread(target=run, name=f"sandbox-{fake.platform}", daemon=True)
    thread.start()
    return Sandbox(fake, fake.url, close)
