"""Below every client: what a single request may do, how long it may take, and the record of it."""

from __future__ import annotations

import re
import ssl
import threading
import zlib
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

from siteward.access.hosts import origin_of
from siteward.transport._httpx import httpx
from siteward.transport.errors import OriginMismatchError, ReadOnlyError, TooLongError
from siteward.transport.link import Exchange, Link, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ACCEPTED = "gzip"
"""The coding that is asked for, and the only one taken; without it answers of 10,000 grants travel ten times longer."""
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})


class UnreadableError(Exception):
    """A body that is coded otherwise than was asked for, damaged, or cut off."""


class ExcessError(Exception):
    """A body that is longer than is taken."""


class Body:
    """Collects one body, piece by piece; `coding` is its Content-Encoding, `limit` the most bytes it may have."""

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
        """Add the next piece as it came; raises `ExcessError` or `UnreadableError` and then is of no more use."""
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
        """Return the body; raises `UnreadableError` where its end is missing. Nothing at all is an empty body."""
        if self._unpacker is not None and self._packed and not self._unpacker.eof:
            raise UnreadableError("its end is missing")
        return b"".join(self._parts)

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise ExcessError
        self._parts.append(part)


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


# Shorter than the 5 s after which Node closes an idle connection (Umami's API.md section 1), so that a command
# never goes out on a connection that is about to be closed under it.
_KEEP_ALIVE = 3.0
_PORTS = {"http": 80, "https": 443}
_AS_PACKED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Reading(Struct, frozen=True):
    """A call that changes nothing, named by an adapter.

    `path` is a regular expression for the whole path below the instance's base, percent-encoded as it is sent.
    Where one path serves both reading and writing (Matomo), `query` is a regular expression for the whole query as
    it is sent, and `body` decides by the body, which it is given as bytes.
    """

    method: str
    path: str
    body: Callable[[bytes], bool] | None = None
    query: str | None = None


class Wire(httpx.BaseTransport):
    """Carries requests to one origin: reads each answer whole, within time and size, counts and tells.

    `slowest` is the longest time, in seconds, that an answer took, or after which none came.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._origin = origin_of(link.url)
        self._inner = link.transport or _network_transport(link)
        self._lock = threading.Lock()
        self.requests = 0
        self.slowest = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises `OriginMismatchError`, and nothing is sent, for one that would go anywhere but to the link's own origin: it
        was judged by the text of an address, and this is what is connected to. Raises `httpx.RequestError` for what
        the network did and for an answer that cannot be read, `TooLongError` for excess.
        """
        if _connected(request.url) != self._origin:
            raise OriginMismatchError(f"a request would have left {self._origin} for another address; nothing was sent")
        request.headers["Accept-Encoding"] = ACCEPTED
        with self._lock:
            self.requests += 1
        begun = self._link.clock()
        try:
            response = self._unpacked(self._inner.handle_request(request), begun, request)
        except httpx.RequestError:
            self._observe(request, 0, begun, 0)
            raise
        self._observe(request, response.status_code, begun, len(response.content))
        return response

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()

    def _unpacked(self, response: httpx.Response, begun: float, request: httpx.Request) -> httpx.Response:
        if response.is_stream_consumed:
            return response
        try:
            content = self._content(response, begun, request)
        except ExcessError:
            raise TooLongError(
                f"the answer of {self._origin} is longer than {self._link.size} bytes", request
            ) from None
        except UnreadableError as error:
            raise httpx.DecodingError(str(error), request=request) from None
        finally:
            response.close()
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _AS_PACKED]
        return httpx.Response(response.status_code, headers=headers, content=content, request=request)

    def _content(self, response: httpx.Response, begun: float, request: httpx.Request) -> bytes:
        """Return the body, unpacked; httpx would unpack any number of codings, without a bound and without an end."""
        _check_location(response, request)
        body = Body(response.headers.get("content-encoding", ""), self._link.size)
        for part in response.iter_raw():
            body.take(part)
            if self._link.clock() - begun > self._link.budget:
                raise httpx.ReadTimeout("the answer takes too long", request=request)
        return body.whole()

    def _observe(self, request: httpx.Request, status: int, begun: float, size: int) -> None:
        seconds = self._link.clock() - begun
        with self._lock:
            self.slowest = max(self.slowest, seconds)
        if self._link.observer:
            self._link.observer(
                Exchange(method=request.method, path=sent_path(request), status=status, seconds=seconds, size=size)
            )


class _Named:
    """A reading call, ready to be compared with requests."""

    def __init__(self, reading: Reading) -> None:
        self._method, self._body = reading.method, reading.body
        self._path = re.compile(reading.path)
        self._query = None if reading.query is None else re.compile(reading.query)

    def covers(self, request: httpx.Request, path: str) -> bool:
        """Return whether a request, to `path` below the base, is this call."""
        if request.method != self._method or not self._path.fullmatch(path):
            return False
        if self._query is not None and not self._query.fullmatch(request.url.query.decode("ascii")):
            return False
        return self._body is None or self._body(request.read())


class ReadOnlyTransport(httpx.BaseTransport):
    """Lets through only what an adapter has named as reading.

    It sits below the client and its authentication, so that no mistake of an adapter, no login and no repetition
    can write while planning. What it refuses was never sent.
    """

    def __init__(self, wire: Wire, base: str, reads: Sequence[Reading]) -> None:
        self._wire = wire
        self._base = base
        self._reads = [_Named(read) for read in reads]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a reading call on; raises `ReadOnlyError` for any other."""
        path = sent_path(request)
        if not path.startswith(self._base) or not self._reads_only(request, path.removeprefix(self._base)):
            raise ReadOnlyError(f"{request.method} {path} is not among the calls that only read; it was not sent")
        return self._wire.handle_request(request)

    def _reads_only(self, request: httpx.Request, path: str) -> bool:
        return any(read.covers(request, path) for read in self._reads)


def _connected(url: httpx.URL) -> str:
    """Return the origin that a request to `url` connects to, written as `origin_of` writes it."""
    host = url.raw_host.decode("ascii").lower()
    port = None if url.port == _PORTS.get(url.scheme) else url.port
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}" + ("" if port is None else f":{port}")


def _check_location(response: httpx.Response, request: httpx.Request) -> None:
    """Raise `httpx.RemoteProtocolError` for a redirect whose host httpx takes and then cannot show."""
    try:
        if response.has_redirect_location:
            httpx.URL(response.headers["location"]).host  # noqa: B018 — reading it decodes the host
    except (httpx.InvalidURL, UnicodeError):
        raise httpx.RemoteProtocolError("it redirects to what is not a valid address", request=request) from None


def sent_path(request: httpx.Request) -> str:
    """Return the path as it goes over the wire, without the query."""
    return request.url.raw_path.partition(b"?")[0].decode("ascii")


def _network_transport(link: Link) -> httpx.BaseTransport:
    limits = httpx.Limits(
        max_connections=link.workers, max_keepalive_connections=link.workers, keepalive_expiry=_KEEP_ALIVE
    )
    return httpx.HTTPTransport(verify=_trust(link), limits=limits, proxy=_proxy(link.url), trust_env=False)


def _trust(link: Link) -> ssl.SSLContext:
    if link.url.startswith("http:"):
        # Nothing is redirected to TLS, so no authority is ever needed; loading them takes 30 ms.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if link.ca_file:
        return ssl.create_default_context(cafile=str(link.ca_file))
    return httpx.create_ssl_context()


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for `url`; this machine itself is never behind one."""
    target = httpx.URL(url)
    if is_loopback(url) or proxy_bypass(target.raw_host.decode("ascii")):
        return None
    named = getproxies()
    return named.get(target.scheme) or named.get("all")
