"""HTTP to one instance: a `Reader` that can only ask, a `Writer` that can also command.

A question may be repeated, and is, where the network or a busy server stood in the way. A command is sent exactly
once: if its answer is lost, that is `OutcomeUnknownError`, and whoever sent it reads before deciding (`Patience`). The one exception
is an answer that says nothing was done (429).

    adapter ── Reader.query, .call, .map ──▶ client ─▶ auth ─▶ Gate ─┐
            └─ Writer.command ─────────────▶ client ─▶ auth ─────────┴▶ Wire ─▶ network
"""

from __future__ import annotations

import functools
import json as jsons
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from msgspec import Struct

from siteward import __version__
from siteward.access.hosts import origin_of
from siteward.transport._httpx import httpx
from siteward.transport.causes import is_hopeless, redirected, unreachable, was_sent
from siteward.transport.errors import (
    NotThePlatformError,
    OutcomeUnknownError,
    RedirectedError,
    RefusedError,
    TooLongError,
    UnreachableError,
)
from siteward.transport.link import Exchange, Link
from siteward.transport.pace import Pace, Rate, retry_after
from siteward.transport.patience import Patience
from siteward.transport.redacted import Redacted
from siteward.transport.wire import Reading, ReadOnlyTransport, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from siteward.transport.sql import SqlReader

__all__ = ["NOT_NOW", "Answer", "Doors", "Exchange", "Link", "Rate", "Reader", "Reading", "Writer", "open_doors"]

T = TypeVar("T")
R = TypeVar("R")

_TOO_MANY, _UNAVAILABLE = 429, 503
_BOUND = "a proxy that bounds the rate should answer 429, which is waited for (nginx: limit_req_status 429)"
_GATEWAY = frozenset({502, 503, 504})
NOT_NOW = _GATEWAY | {_TOO_MANY}
"""The statuses that say nothing about a question but that it may be asked again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_WINDOWS = 5


class Answer(Redacted, frozen=True):
    """An answer: the status, the headers with lower-cased names, and the body; `path` is what was asked."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    path: str = ""

    @property
    def text(self) -> str:
        """The body as text; bytes that are none become replacement marks."""
        return self.content.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """Return the body as plain data; raises `NotThePlatformError` where it is no JSON."""
        try:
            data: object = jsons.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise NotThePlatformError(
                f"{self.path} answered {self.status} with something that is not valid JSON",
                hint="does `url` lead to the product itself, and not to a page before it? Its log may show more",
            ) from error
        return data


class _Line(Struct, frozen=True):
    """The parts that the reader and the writer of one instance share."""

    link: Link
    wire: Wire
    pace: Pace
    posts: Pace | None
    scrub: Callable[[str], str]
    origin: str
    closed_for: Callable[[Answer], float | None] | None = None
    rows: SqlReader | None = None


class _Tries:
    """The tries and the time that are left for one question."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._tried = 0
        self._waited = 0
        self._deadline = line.link.clock() + line.link.budget

    def lasts(self, reason: str, asked: float | None = None) -> bool:
        """Hold everything back until the next try, or tell that there is none.

        `asked` is how long the server wants us to wait; without it the pauses double, spread at random so that
        many clients do not come back at the same moment.
        """
        spread = 0.5 + secrets.randbelow(500) / 1000
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self._tried) * spread if asked is None else asked
        self._tried += 1
        if self._tried >= self._line.link.tries or self._line.link.clock() + pause > self._deadline:
            return False
        self._line.pace.hold(pause, reason)
        return True

    def outlasts(self, answer: Answer) -> bool:
        """Hold everything back until a server that says when it opens again does, however long that is.

        Such a wait costs no try and no budget, because it is known to end; others may be quicker then, so it is made
        a few times. Tells whether there is one.
        """
        seconds = self._line.closed_for(answer) if self._line.closed_for else None
        if seconds is None or self._waited == _WINDOWS:
            return False
        self._waited += 1
        self._line.pace.hold(seconds, f"the server answered {answer.status}")
        self._deadline = self._line.link.clock() + seconds + self._line.link.budget
        return True


class Reader:
    """Asks one instance. It has no method that writes, and its transport refuses what is not named as reading.

    Safe to use from several threads.
    """

    def __init__(self, line: _Line, client: httpx.Client) -> None:
        self._line = line
        self._client = client
        self._pool: ThreadPoolExecutor | None = None

    @property
    def auth(self) -> httpx.Auth | None:
        """The credentials in use: the object that the adapter gave to `open_doors`."""
        return self._client.auth

    @property
    def origin(self) -> str:
        """Scheme, host and port that are talked to."""
        return self._line.origin

    @property
    def requests(self) -> int:
        """The number of requests that went out so far through this reader and its writer, logins included."""
        return self._line.wire.requests

    @property
    def now(self) -> float:
        """The seconds of a clock that only goes forward: what tells how old something is that was read."""
        return self._line.link.clock()

    @property
    def longest(self) -> float:
        """The seconds after which an answer is given up."""
        return self._line.link.read

    @property
    def waited(self) -> float:
        """The seconds spent in pauses so far."""
        return self._line.pace.waited

    def scrub(self, text: str) -> str:
        """Return `text` without any secret of this instance."""
        return self._line.scrub(text)

    @property
    def rows(self) -> SqlReader | None:
        """The read-only door to the instance's database, where the adapter opened one."""
        return self._line.rows

    def query(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Ask by GET.

        Returns any answer but those that say "not now"; these are waited for and asked again. Raises `UnreachableError`
        when no usable answer came in time, `RefusedError` when the server keeps answering 429, `RedirectedError` for a
        redirect, `ReadOnlyError` for a path not named as reading.
        """
        return self._send_patiently(lambda: self._client.build_request("GET", path, params=params))

    def call(
        self,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask by POST, on platforms that answer questions so; otherwise like `query`."""
        build = functools.partial(self._client.build_request, "POST", path, params=params, json=json, data=form)
        return self._send_patiently(build, self._line.posts)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Apply `function` to `items` in the fixed threads of this reader; results keep the order of the items.

        The first failure is raised and what has not begun is dropped. `function` must not call `map` itself.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._line.link.workers, thread_name_prefix="reader")
        return list(self._pool.map(function, items))

    def close(self) -> None:
        """Let the threads go; what has not begun is dropped."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _send_patiently(self, build: Callable[[], httpx.Request], extra: Pace | None = None) -> Answer:
        tries = _Tries(self._line)
        while True:
            if extra:
                extra.take()
            self._line.pace.take()
            try:
                answer = self._answer(self._client.send(build()))
            except httpx.RequestError as error:
                if is_hopeless(error) or not tries.lasts("no answer came"):
                    raise unreachable(error, self.origin, self._line.link) from error
                continue
            if answer.status not in NOT_NOW:
                return answer
            if answer.status == _TOO_MANY and tries.outlasts(answer):
                continue
            if not tries.lasts(f"the server answered {answer.status}", retry_after(answer.headers)):
                raise self._still_busy(answer)

    def _answer(self, response: httpx.Response, *, redirects: bool = False) -> Answer:
        path = response.request.url.path
        if response.has_redirect_location and not redirects:
            raise redirected(response, self.scrub, RedirectedError)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, response.content, path)

    def _still_busy(self, answer: Answer) -> UnreachableError | RefusedError:
        if answer.status == _TOO_MANY:
            return RefusedError(f"{self.origin} lets no more requests through (429)", status=_TOO_MANY)
        return UnreachableError(f"{self.origin} kept answering {answer.status}: it, or a proxy before it, is not ready")


class Writer(Reader):
    """A reader that can also command; `patience` is how long it reads on after an answer that was lost."""

    def __init__(self, line: _Line, client: httpx.Client, commands: httpx.Client, command_pace: Pace) -> None:
        super().__init__(line, client)
        link = line.link
        self.patience = Patience(
            clock=link.clock, sleep=link.sleep, waiting=link.waiting, slowest=lambda: line.wire.slowest
        )
        self._commands = commands
        self._command_pace = command_pace

    def command(
        self,
        method: Literal["POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        redirects: bool = False,
    ) -> Answer:
        """Send a command, exactly once, and return the answer whatever its status.

        With `redirects`, for servers whose forms answer so, a redirect is an answer as well; it is never followed.
        Raises `UnreachableError` when it surely was not sent, `OutcomeUnknownError` when it may have been carried out (a lost
        answer, one that is too long, or a gateway's 502, 503 or 504), `RedirectedError` for a redirect, which servers of an
        API do not give and proxies may give at any time, `RefusedError` when the server keeps answering 429.
        """
        tries = _Tries(self._line)
        while True:
            self._command_pace.take()
            self._line.pace.take()
            request = self._commands.build_request(method, path, params=params, json=json, data=form)
            response = self._send_once(request)
            answer = self._answer(response, redirects=redirects)
            # What answers another request is the login's: then the command itself has not been taken.
            if answer.status in _GATEWAY and response.request is request:
                words = f"{method} {answer.path} was answered {answer.status}, which says nothing about the outcome"
                raise OutcomeUnknownError(words, hint=_BOUND if answer.status == _UNAVAILABLE else None)
            if answer.status not in NOT_NOW:
                return answer
            if answer.status == _TOO_MANY and tries.outlasts(answer):
                continue
            if not tries.lasts(f"the server answered {answer.status}", retry_after(answer.headers)):
                raise self._still_busy(answer)

    def close(self) -> None:
        """Let the threads and both clients go."""
        super().close()
        self._commands.close()

    def _send_once(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._commands.send(request)
        except TooLongError as excess:
            if excess.request is request:
                raise OutcomeUnknownError(f"the answer to {request.method} {request.url.path} was too long") from excess
            raise
        except httpx.RequestError as error:
            if was_sent(error, request):
                raise OutcomeUnknownError(f"the answer to {request.method} {request.url.path} was lost") from error
            raise unreachable(error, self.origin, self._line.link) from error


class Doors(Struct, frozen=True):
    """The reader and the writer of one instance; closing it closes both."""

    reader: Reader
    writer: Writer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and let the threads go."""
        self.writer.close()
        self.reader.close()


def open_doors(  # noqa: PLR0913 — all but the link are optional and named
    link: Link,
    *,
    reads: Sequence[Reading],
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    rates: Sequence[Rate] = (),
    write_rates: Sequence[Rate] = (),
    posts_are_writes: bool = False,
    scrub: Callable[[str], str] = str,
    closed_for: Callable[[Answer], float | None] | None = None,
    rows: SqlReader | None = None,
) -> Doors:
    """Return the doors of the instance that `link` leads to. Nothing is sent yet.

    `reads` are all calls that only read, those of the login included. `rates` bound everything that is sent,
    `write_rates` commands on top, and with `posts_are_writes` also questions asked by POST, for servers that look at
    the verb alone. `scrub` takes secrets out of texts. `closed_for` reads out of an answer 429 how many seconds the
    server lets nothing through, where it says so in its own way. `rows` is the door to the instance's database, beside
    HTTP.
    """
    wire = Wire(link)
    gate = ReadOnlyTransport(wire, httpx.URL(link.url).raw_path.decode("ascii").rstrip("/"), reads)

    def client(transport: httpx.BaseTransport) -> httpx.Client:
        timeout = httpx.Timeout(link.read, connect=link.connect)
        told = {"User-Agent": f"siteward/{__version__}", **(headers or {})}
        return httpx.Client(base_url=link.url, transport=transport, auth=auth, headers=told, timeout=timeout)

    def pace(limits: Sequence[Rate]) -> Pace:
        return Pace(limits, clock=link.clock, sleep=link.sleep, waiting=link.waiting)

    commands = pace(write_rates)
    posts = commands if posts_are_writes else None
    line = _Line(link, wire, pace(rates), posts, scrub, origin_of(link.url), closed_for, rows)
    return Doors(Reader(line, client(gate)), Writer(line, client(gate), client(wire), commands))
