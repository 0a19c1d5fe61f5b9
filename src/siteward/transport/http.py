"""HTTP to one instance: a `Reader` that can only ask, a `Writer` that can also send commands.

A question is repeated after a failure of the network or an answer that says the server is busy. A command is sent
exactly once: if its answer is lost, that is `OutcomeUnknownError`, and the sender reads before deciding
(`siteward.transport.patience`). The one exception is the answer 429, which says that nothing was done.

    adapter ── Reader.query, .call, .map ──▶ client ─▶ auth ─▶ ReadOnlyTransport ─┐
            └─ Writer.command ─────────────▶ client ─▶ auth ──────────────────────┴▶ Wire ─▶ network
"""

from __future__ import annotations

import functools
import json as jsons
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import msgspec
from msgspec import Struct, field

from siteward import __version__
from siteward.access.hosts import address_of
from siteward.transport._httpx import httpx
from siteward.transport.causes import is_permanent, redirected, unreachable, was_sent
from siteward.transport.deadline import Deadline
from siteward.transport.errors import (
    GateError,
    NotThePlatformError,
    OutcomeUnknownError,
    OutOfTimeError,
    RedirectedError,
    RefusedError,
    TooLongError,
    UnreachableError,
)
from siteward.transport.gates import raise_gate
from siteward.transport.link import Exchange, Link
from siteward.transport.pace import Pace, Rate, Speed, retry_after
from siteward.transport.patience import Patience
from siteward.transport.redacted import Redacted
from siteward.transport.threads import map_in
from siteward.transport.wire import Reading, ReadOnlyTransport, Wire, base_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from siteward.transport.sql import SqlReader

__all__ = ["NOT_NOW", "Answer", "Doors", "Exchange", "Link", "Rate", "Reader", "Reading", "Writer", "open_doors"]

T = TypeVar("T")
R = TypeVar("R")

_OK, _TOO_LARGE, _TOO_MANY, _UNAVAILABLE = 200, 413, 429, 503
_BOUND = "a proxy that bounds the rate should answer 429, which is waited for (nginx: limit_req_status 429)"
_LARGER = "nginx: client_max_body_size has to let requests of a few megabytes through"
_GATEWAY = frozenset({502, 503, 504})
NOT_NOW = _GATEWAY | {_TOO_MANY}
"""The statuses that answer nothing, and after which a question may be asked again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
"""The pauses between tries, in seconds: the first one, and the most to which it is doubled."""
_MOST_CLOSED_PERIODS = 5
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""Bytes that may stand for half a character: those of a whole one outside the basic plane look the same."""


_NOTHING = httpx.ByteStream(b"")


class Answer(Redacted, frozen=True):
    """An answer: the status, the headers with lower-cased names, and the body; `path` is that of the request."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    path: str = ""

    @property
    def text(self) -> str:
        """The body as UTF-8 text; invalid bytes become replacement marks."""
        return self.content.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """Return the body, parsed as JSON; raises `NotThePlatformError` where it is not valid.

        Half a character (a lone surrogate, RFC 8259 section 8.2) is refused too: no file or terminal could take it. What
        msgspec takes has none and means the same to both; Python's own parser, several times slower, takes a little more.
        """
        try:
            data: object = msgspec.json.decode(self.content)
        except (ValueError, RecursionError):
            return self._json_of_more()
        return data

    def _json_of_more(self) -> object:
        try:
            data: object = jsons.loads(self.content)
            if _HALF.search(self.content):
                jsons.dumps(data, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise NotThePlatformError(
                f"{self.path} answered {self.status} with something that is not valid JSON",
                hint="does `url` lead to the product itself, and not to a page before it? Its log may show more",
            ) from error
        return data


class _Connection(Struct, frozen=True):
    """The parts that the reader and the writer of one instance share."""

    link: Link
    wire: Wire
    pace: Pace
    posts: Pace | None
    scrub: Callable[[str], str]
    origin: str
    closed_for: Callable[[Answer], float | None] | None = None
    rows: SqlReader | None = None
    command_rates: tuple[Rate, ...] = ()


class _Retries:
    """The tries and the time that are left for one request."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._tried = 0
        self._closed_periods = 0
        self._deadline = connection.link.clock() + connection.link.budget

    def wait_for_next(self, reason: str, asked: float | None = None) -> bool:
        """Hold back all requests until the next try; return whether there is one.

        `asked` is the number of seconds that the server asks for. Without it the pauses double, and are spread at
        random so that many clients do not come back at the same moment.
        """
        spread = 0.5 + secrets.randbelow(500) / 1000
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self._tried) * spread if asked is None else asked
        self._tried += 1
        late = self._connection.link.clock() + pause > self._deadline or pause > self._connection.link.deadline.left()
        if late or self._tried >= self._connection.link.tries:
            return False
        self._connection.pace.hold(pause, reason)
        return True

    def wait_after(self, answer: Answer) -> bool:
        """Hold back all requests after an answer whose status is in `NOT_NOW`; return whether there is another try."""
        if answer.status == _TOO_MANY and self.wait_while_closed(answer):
            return True
        return self.wait_for_next(f"the server answered {answer.status}", retry_after(answer.headers))

    def wait_while_closed(self, answer: Answer) -> bool:
        """Hold back all requests until the server opens, if its answer says when; return whether it does.

        A `Retry-After` goes before; no platform that says it in its own way sends one. Such a wait uses up no try and no budget, because it is known to end. Other clients may use up what the server
        lets through then, so it is repeated, up to `_MOST_CLOSED_PERIODS` times.
        """
        says = self._connection.closed_for
        seconds = says(answer) if says and retry_after(answer.headers) is None else None
        late = seconds is not None and seconds > self._connection.link.deadline.left()
        if seconds is None or late or self._closed_periods == _MOST_CLOSED_PERIODS:
            return False
        self._closed_periods += 1
        self._connection.pace.hold(seconds, f"the server answered {answer.status}")
        self._deadline = self._connection.link.clock() + seconds + self._connection.link.budget
        return True


class Reader:
    """A client that can only ask: it has no method that writes, and its transport refuses what is not named as reading.

    Safe to use from several threads.
    """

    def __init__(self, connection: _Connection, client: httpx.Client) -> None:
        self._connection = connection
        self._client = client
        self._pool: ThreadPoolExecutor | None = None

    @property
    def auth(self) -> httpx.Auth | None:
        """The credentials in use: the object that the adapter gave to `open_doors`."""
        return self._client.auth

    @property
    def origin(self) -> str:
        """The scheme, host, port and base path of the server."""
        return self._connection.origin

    @property
    def requests(self) -> int:
        """The number of requests that went out so far through this reader and its writer, logins included."""
        return self._connection.wire.requests

    @property
    def now(self) -> float:
        """The seconds of a monotonic clock, by which the age of something that was read can be told."""
        return self._connection.link.clock()

    @property
    def speed(self) -> Speed:
        """How fast the server has answered so far."""
        connection = self._connection
        return Speed(
            requests=connection.wire.requests,
            seconds=connection.wire.busy,
            answer=connection.wire.usual,
            workers=connection.link.workers,
            rates=connection.pace.rates,
            command_rates=connection.command_rates,
        )

    @property
    def longest(self) -> float:
        """The seconds after which an answer is given up."""
        return self._connection.link.read

    @property
    def waited(self) -> float:
        """The seconds spent in pauses so far."""
        return self._connection.pace.waited

    def scrub(self, text: str) -> str:
        """Return `text` without any secret of this instance."""
        return self._connection.scrub(text)

    @property
    def rows(self) -> SqlReader | None:
        """The read-only connection to the instance's database, where the adapter opened one."""
        return self._connection.rows

    def query(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Ask by GET.

        Returns the first answer whose status is not in `NOT_NOW`; after such a status the question is repeated. Raises `UnreachableError`
        when no usable answer came in time (`OutOfTimeError` where it was that of the whole run), `RefusedError` when the server keeps answering 429, `RedirectedError` for a
        redirect, `GateError` for the answer of a gate before the platform, `ReadOnlyError` for a path that is not named as reading.
        """
        return self._send_with_retries(lambda: self._client.build_request("GET", path, params=params))

    def call(
        self,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask by POST, on platforms whose reading calls are POST; otherwise like `query`."""
        build = functools.partial(self._client.build_request, "POST", path, params=params, json=json, data=form)
        return self._send_with_retries(build, self._connection.posts)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Apply `function` to `items` in the threads of this reader; return the results in the order of the items.

        The first failure is raised, and items that have not begun are dropped. `function` must not call `map` itself.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._connection.link.workers, thread_name_prefix="reader")
        return map_in(self._pool, function, items)

    def close(self) -> None:
        """Close the connections and end the threads; work that has not begun is dropped."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _send_with_retries(self, build: Callable[[], httpx.Request], extra: Pace | None = None) -> Answer:
        retries = _Retries(self._connection)
        while True:
            if extra:
                extra.take()
            self._connection.pace.take()
            try:
                answer = self._answer(self._client.send(build()))
            except httpx.RequestError as error:
                if is_permanent(error) or not retries.wait_for_next("no answer came"):
                    raise self._no_answer(error) from error
                continue
            if answer.status not in NOT_NOW:
                return answer
            if not retries.wait_after(answer):
                raise self._still_busy(answer)

    def _answer(self, response: httpx.Response, *, redirects: bool = False, pages: bool = False) -> Answer:
        if not (pages and response.status_code == _OK):
            raise_gate(response)
        path = response.request.url.path
        if response.has_redirect_location and not redirects:
            raise redirected(response, self.scrub, RedirectedError)
        if response.status_code == _TOO_LARGE:
            what = f"{response.request.method} {path} was refused as too large (413), by it or a proxy before it"
            raise RefusedError(f"{self.origin}: {what}", status=_TOO_LARGE, hint=_LARGER)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, response.content, path)
        response.stream = _NOTHING  # the client's own leads back to the response, and nothing here collects circles
        return answer

    def _no_answer(self, error: httpx.RequestError) -> UnreachableError:
        link = self._connection.link
        return OutOfTimeError(self.origin) if link.deadline.left() <= 0 else unreachable(error, self.origin, link)

    def _still_busy(self, answer: Answer) -> UnreachableError | RefusedError:
        if answer.status == _TOO_MANY:
            return RefusedError(f"{self.origin} lets no more requests through (429)", status=_TOO_MANY)
        return UnreachableError(f"{self.origin} kept answering {answer.status}: it, or a proxy before it, is not ready")


class Writer(Reader):
    """A reader that can also send commands; `patience` reads on after an answer that was lost."""

    def __init__(
        self, connection: _Connection, client: httpx.Client, commands: httpx.Client, command_pace: Pace
    ) -> None:
        super().__init__(connection, client)
        link = connection.link
        self.patience = Patience(
            clock=link.clock, sleep=_sleep_of(link), waiting=link.waiting, slowest=lambda: connection.wire.slowest
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
        """Send a command, exactly once, and return the answer, whatever its status.

        With `redirects`, for servers whose forms answer by one, a redirect is an answer as well; it is never followed.
        Raises `UnreachableError` when it surely was not sent, `OutcomeUnknownError` when it may have been carried out (a lost
        answer, one that is too long, a gate's, or a gateway's 502, 503 or 504), `GateError` for a gate before its login,
        `RedirectedError` for a redirect, which servers of an API do not give and proxies may give at any time,
        `RefusedError` when the server keeps answering 429.
        """
        retries = _Retries(self._connection)
        while True:
            self._command_pace.take()
            self._connection.pace.take()
            request = self._commands.build_request(method, path, params=params, json=json, data=form)
            answer = self._send_once(request, redirects=redirects)
            if answer.status not in NOT_NOW:
                return answer
            if not retries.wait_after(answer):
                raise self._still_busy(answer)

    def close(self) -> None:
        """Close both clients and end the threads."""
        super().close()
        self._commands.close()

    def _send_once(self, request: httpx.Request, *, redirects: bool) -> Answer:
        """Send a command and return its answer; a page in the place of a success is left to the adapter, which reads back.

        An answer to another request is that of a login: then the command itself was not carried out.
        """
        try:
            response = self._commands.send(request)
            own = response.request is request
            answer = self._answer(response, redirects=redirects, pages=own)
        except GateError as gate:
            if gate.request is not request:  # before the command was sent, at the login
                raise
            raise OutcomeUnknownError(str(gate), hint=gate.hint) from gate
        except TooLongError as excess:
            if excess.request is request:
                raise OutcomeUnknownError(f"the answer to {request.method} {request.url.path} was too long") from excess
            raise
        except httpx.RequestError as error:
            if was_sent(error, request):
                raise OutcomeUnknownError(f"the answer to {request.method} {request.url.path} was lost") from error
            raise self._no_answer(error) from error
        if own and answer.status in _GATEWAY:
            words = f"{request.method} {answer.path} was answered {answer.status}, which says nothing about the outcome"
            raise OutcomeUnknownError(words, hint=_BOUND if answer.status == _UNAVAILABLE else None)
        return answer


class Doors(Struct, frozen=True):
    """The reader and the writer of one instance; closing this closes both. `deadline` is that of the link."""

    reader: Reader
    writer: Writer
    deadline: Deadline = field(default_factory=Deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and end the threads."""
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
    pages: Callable[[str], bool] | None = None,
    rows: SqlReader | None = None,
) -> Doors:
    """Return the reader and the writer of the instance at `link`. Nothing is sent yet.

    `reads` are all calls that only read, those of the login included. `rates` limit all requests, and `write_rates`
    commands as well; with `posts_are_writes` they also limit questions asked by POST, for servers that count by HTTP
    method. `scrub` takes secrets out of texts. `closed_for` returns for an answer 429 how many seconds the server lets
    nothing through, where it says so in its own way. `pages` tells for which paths below the base the platform itself answers with pages;
    elsewhere a page is a gate's. `rows` is a connection to the instance's database, beside HTTP.
    """
    wire = Wire(link, pages)
    read_only = ReadOnlyTransport(wire, base_path(link), reads)

    def client(transport: httpx.BaseTransport) -> httpx.Client:
        timeout = httpx.Timeout(link.read, connect=link.connect)
        sent_headers = {"User-Agent": f"siteward/{__version__}", **(headers or {})}
        return httpx.Client(base_url=link.url, transport=transport, auth=auth, headers=sent_headers, timeout=timeout)

    def pace(limits: Sequence[Rate]) -> Pace:
        return Pace(limits, clock=link.clock, sleep=_sleep_of(link), waiting=link.waiting)

    commands = pace(write_rates)
    posts = commands if posts_are_writes else None
    origin = address_of(link.url)
    connection = _Connection(
        link, wire, pace(rates), posts, scrub, origin, closed_for, rows, command_rates=commands.rates
    )
    writer = Writer(connection, client(read_only), client(wire), commands)
    return Doors(Reader(connection, client(read_only)), writer, link.deadline)


def _sleep_of(link: Link) -> Callable[[float], None]:
    return link.deadline.sleep if link.sleep is None else link.sleep
