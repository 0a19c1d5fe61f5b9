"""The transports below every client: they bound each request in origin, time and size, and let a reader only read.

Bodies are unpacked here too, because httpx would do it without a bound.
"""

from __future__ import annotations

import re
import threading
import zlib
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.hosts import covers, origin_of
from siteward.transport._httpx import httpx
from siteward.transport.errors import OriginMismatchError, OutOfTimeError, ReadOnlyError, TooLongError
from siteward.transport.gates import mark_gate
from siteward.transport.link import Exchange, Link
from siteward.transport.network import Bounds, network_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ACCEPTED = "gzip"
"""The only coding that is asked for and taken; without it an answer of 10,000 grants takes ten times longer."""
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})
_PORTS = {"http": 80, "https": 443}
_OF_THE_PACKED_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Reading(Struct, frozen=True):
    """A call that changes nothing, as an adapter names it.

    `path` is a regular expression for the whole path below the instance's base, percent-encoded as it is sent.
    Where one path serves both reading and writing (Matomo), `query` is a regular expression for the whole query as
    it is sent, and `body` returns whether a request with that body only reads.
    """

    method: str
    path: str
    body: Callable[[bytes], bool] | None = None
    query: str | None = None


class Wire(httpx.BaseTransport):
    """A transport to one origin: it reads each answer whole, within time and size, counts and reports requests.

    `slowest` is the longest time, in seconds, that an answer took, or after which none came.
    """

    def __init__(self, link: Link, pages: Callable[[str], bool] | None = None) -> None:
        """`pages` tells for which paths below the base the platform itself answers with pages."""
        self._link = link
        self._pages = pages
        self._origin = origin_of(link.url)
        self._base = base_path(link)
        self._bounds = Bounds(link)
        self._inner = link.transport or network_transport(link, self._bounds)
        self._lock = threading.Lock()
        self.requests = 0
        self.slowest = 0.0
        self._begun: float | None = None
        self._took: list[float] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises `OriginMismatchError`, and nothing is sent, for one that would go anywhere but to the link's own origin and
        base path. The credentials were bound to the text of an address; here the host that is connected to is compared. Raises
        `OutOfTimeError`, and nothing is sent, after the deadline of the run, `httpx.RequestError` for a failure of the
        network or an answer that cannot be read, and `TooLongError` for one that is too long.
        """
        if _origin_connected_to(request.url) != self._origin or not covers(self._base, sent_path(request)):
            home = f"{self._origin}{self._base}"
            raise OriginMismatchError(f"a request would have left {home} for another address; nothing was sent")
        if self._link.deadline.left() <= 0:
            raise OutOfTimeError(self._origin)
        request.headers["Accept-Encoding"] = ACCEPTED
        sent = self._with_extra_headers(request)
        with self._lock:
            self.requests += 1
        begun = self._link.clock()
        self._begun = begun if self._begun is None else self._begun
        try:
            with self._bounds.request():
                response = self._inner.handle_request(sent)
                self._bounds.head = None
                response = self._unpack(response, request)
        except httpx.RequestError:
            self._observe(request, 0, begun, 0)
            raise
        self._observe(request, response.status_code, begun, len(response.content))
        own = self._pages is not None and self._pages(sent_path(request).removeprefix(self._base))
        mark_gate(response, request, self._link, pages=own)
        return response

    @property
    def usual(self) -> float:
        """The seconds that an answer usually took: the median."""
        return sorted(self._took)[len(self._took) // 2] if self._took else 0.0

    @property
    def busy(self) -> float:
        """The seconds since the beginning of the first request, in which it was read and what was read was made use of."""
        return 0.0 if self._begun is None else self._link.clock() - self._begun

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()

    def _with_extra_headers(self, request: httpx.Request) -> httpx.Request:
        """Return the request with the extra headers of the link; they are on no request that an error could carry."""
        if not self._link.headers:
            return request
        headers = request.headers.copy()
        for name, value in self._link.headers.items():
            headers[name] = value.reveal()
        return httpx.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def _unpack(self, response: httpx.Response, request: httpx.Request) -> httpx.Response:
        if response.is_stream_consumed:
            return response
        try:
            content = self._read_body(response, request)
        except ExcessError:
            raise TooLongError(
                f"the answer of {self._origin} is longer than {self._link.size} bytes", request
            ) from None
        except UnreadableError as error:
            raise httpx.DecodingError(str(error), request=request) from None
        finally:
            response.close()
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_PACKED_BODY]
        return httpx.Response(response.status_code, headers=headers, content=content, request=request)

    def _read_body(self, response: httpx.Response, request: httpx.Request) -> bytes:
        """Return the body, unpacked within the bounds; httpx would unpack any number of codings to any size."""
        _check_location(response, request)
        body = Body(response.headers.get("content-encoding", ""), self._link.size)
        for part in response.iter_raw():
            body.take(part)
            if self._bounds.left() <= 0:
                raise httpx.ReadTimeout("the answer takes too long", request=request)
        return body.whole()

    def _observe(self, request: httpx.Request, status: int, begun: float, size: int) -> None:
        seconds = self._link.clock() - begun
        with self._lock:
            self.slowest = max(self.slowest, seconds)
            self._took.append(seconds)
        if self._link.observer:
            self._link.observer(
                Exchange(method=request.method, path=sent_path(request), status=status, seconds=seconds, size=size)
            )


class ReadOnlyTransport(httpx.BaseTransport):
    """A transport that lets through only the calls that an adapter has named as reading.

    It lies below the client and its authentication, so that no mistake of an adapter, no login and no repetition can
    write while planning. A refused request was never sent.
    """

    def __init__(self, wire: Wire, base: str, reads: Sequence[Reading]) -> None:
        self._wire = wire
        self._base = base
        self._readings = [_ReadingPattern(reading) for reading in reads]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a reading call on; raises `ReadOnlyError` for any other."""
        path = sent_path(request)
        if not path.startswith(self._base) or not self._reads_only(request, path.removeprefix(self._base)):
            raise ReadOnlyError(f"{request.method} {path} is not among the calls that only read; it was not sent")
        return self._wire.handle_request(request)

    def _reads_only(self, request: httpx.Request, path: str) -> bool:
        return any(reading.covers(request, path) for reading in self._readings)


class _ReadingPattern:
    """A reading call with its expressions compiled, to be compared with requests."""

    def __init__(self, reading: Reading) -> None:
        self._method, self._body = reading.method, reading.body
        self._path = re.compile(reading.path)
        self._query = None if reading.query is None else re.compile(reading.query)

    def covers(self, request: httpx.Request, path: str) -> bool:
        """Return whether a request to `path`, below the base, is this call."""
        if request.method != self._method or not self._path.fullmatch(path):
            return False
        if self._query is not None and not self._query.fullmatch(request.url.query.decode("ascii")):
            return False
        return self._body is None or self._body(request.read())


class UnreadableError(Exception):
    """The body has another coding than was asked for, is damaged, or is cut off."""


class ExcessError(Exception):
    """The body is longer than the limit."""


class Body:
    """A body that is collected piece by piece; `coding` is its Content-Encoding, `limit` the most bytes it may have."""

    def __init__(self, coding: str, limit: int) -> None:
        """Raise `UnreadableError` for any coding but gzip, once."""
        coding = coding.strip().lower()
        if coding not in _GZIP | _PLAIN:
            raise UnreadableError("it is coded otherwise than was asked for")
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._packed = 0
        self._unpacker = _gunzip() if coding in _GZIP else None

    def take(self, part: bytes) -> None:
        """Add the next piece as it was received; after an `ExcessError` or `UnreadableError` the body is lost."""
        if self._unpacker is None:
            self._add(part)
            return
        self._packed += len(part)
        if self._packed > self._limit:
            raise ExcessError
        while part:
            if self._unpacker.eof:  # RFC 1952 section 2.2: a file may have several members, one after another
                self._unpacker = _gunzip()
            try:
                self._add(self._unpacker.decompress(part, self._limit - self._size + 1))
            except zlib.error:
                raise UnreadableError("it is damaged") from None
            part = self._unpacker.unused_data

    def whole(self) -> bytes:
        """Return the body, unpacked; raises `UnreadableError` where its end is missing. No bytes at all are an empty body."""
        if self._unpacker is not None and self._packed and not self._unpacker.eof:
            raise UnreadableError("its end is missing")
        return b"".join(self._parts)

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise ExcessError
        self._parts.append(part)


def base_path(link: Link) -> str:
    """Return the base path of a link as it is sent, without a final slash."""
    return httpx.URL(link.url).raw_path.partition(b"?")[0].decode("ascii").rstrip("/")


def _origin_connected_to(url: httpx.URL) -> str:
    """Return the origin that a request to `url` connects to, written as `origin_of` writes it."""
    host = url.raw_host.decode("ascii").lower()
    port = None if url.port == _PORTS.get(url.scheme) else url.port
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}" + ("" if port is None else f":{port}")


def _check_location(response: httpx.Response, request: httpx.Request) -> None:
    """Raise `httpx.RemoteProtocolError` for a redirect whose host httpx accepts and later fails to decode."""
    try:
        if response.has_redirect_location:
            httpx.URL(response.headers["location"]).host  # noqa: B018 — reading it decodes the host
    except (httpx.InvalidURL, UnicodeError):
        raise httpx.RemoteProtocolError("it redirects to what is not a valid address", request=request) from None


def sent_path(request: httpx.Request) -> str:
    """Return the path as it goes over the wire, without the query."""
    return request.url.raw_path.partition(b"?")[0].decode("ascii")


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
