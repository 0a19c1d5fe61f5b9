"""The network below httpx, where every wait of one request ends at one deadline.

httpx bounds the silence before each piece of an answer, and not the answer: a server that sends one byte a minute, or
one informational answer after another, would hold a request for ever. Here connecting, sending, head and body share the
time of the request, and a head is bounded in bytes.
"""

from __future__ import annotations

import functools
import math
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpcore

from siteward.transport._httpx import httpx
from siteward.transport.deadline import SLICE
from siteward.transport.link import is_loopback
from siteward.transport.threads import in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from siteward.transport.link import Link

LONGEST_HEAD = 256 * 1024
"""The most bytes before the body of an answer, informational answers (1xx) included; h11 takes 100 KiB for one of them."""
# Shorter than the 5 s after which Node closes an idle connection (Umami's API.md section 1), so that a command
# never goes out on a connection that is about to be closed under it.
_KEEP_ALIVE = 3.0


class Bounds(threading.local):
    """The bounds of the request that a thread is waiting for; `head` counts the bytes of its head, and is `None` later."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._until = math.inf
        self.head: int | None = None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Bound what this thread waits for within this context as one request."""
        self._until = self._link.clock() + self._link.budget
        self.head = 0
        try:
            yield
        finally:
            self._until, self.head = math.inf, None

    def left(self) -> float:
        """Return the seconds that are left for the request."""
        return min(self._until - self._link.clock(), self._link.deadline.left())


class _Within:
    """The seconds left for one wait: those of the request, and not more than `timeout`; it can ask from any thread."""

    def __init__(self, bounds: Bounds, link: Link, timeout: float | None) -> None:
        self._link = link
        self._until = link.clock() + min(bounds.left(), math.inf if timeout is None else timeout)

    def __call__(self) -> float:
        return min(self._until - self._link.clock(), self._link.deadline.left())


class _Opened:
    """The connections of a client: closing them also ends those that another thread is just making.

    httpcore's pool cannot: a connection that comes about while the pool is closed stays open, and in no list.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: set[httpcore.NetworkStream] = set()
        self._closed = False

    def add(self, stream: _Stream) -> _Stream:
        """Return a new connection; raises `httpcore.ConnectError`, and closes it, where it comes too late."""
        with self._lock:
            if not self._closed:
                self._streams.add(stream)
                return stream
        stream.close()
        raise httpcore.ConnectError("the client has been closed")

    def forget(self, stream: _Stream) -> None:
        """Note that a connection is closed."""
        with self._lock:
            self._streams.discard(stream)

    def close(self) -> None:
        """Close every connection, and each that comes later."""
        with self._lock:
            self._closed = True
            streams = tuple(self._streams)
        for stream in streams:
            stream.close()


class _Stream(httpcore.NetworkStream):
    """A connection on which no wait outlasts the request."""

    def __init__(self, inner: httpcore.NetworkStream, bounds: Bounds, link: Link, opened: _Opened) -> None:
        self._inner, self._bounds, self._link, self._opened = inner, bounds, link, opened

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes; raises `httpcore.ReadTimeout`, or `RemoteProtocolError` for a head without an end."""
        left = _Within(self._bounds, self._link, timeout)
        while (rest := left()) > 0:
            try:
                data = self._inner.read(max_bytes, min(SLICE, rest))
            except httpcore.ReadTimeout:
                continue
            if self._bounds.head is not None:
                self._bounds.head += len(data)
                if self._bounds.head > LONGEST_HEAD:
                    raise httpcore.RemoteProtocolError("the head of the answer does not end")
            return data
        raise httpcore.ReadTimeout

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes; raises `httpcore.WriteTimeout`."""
        left = _Within(self._bounds, self._link, timeout)
        try:
            in_time(functools.partial(self._inner.write, buffer, left()), left)
        except TimeoutError:
            raise httpcore.WriteTimeout from None

    def close(self) -> None:
        """Close the connection."""
        self._opened.forget(self)
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the connection, encrypted from here on; raises `httpcore.ConnectTimeout`."""
        left = _Within(self._bounds, self._link, timeout)
        shake = functools.partial(self._inner.start_tls, ssl_context, server_hostname, left())
        return self._opened.add(_Stream(_connected(shake, left), self._bounds, self._link, self._opened))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks of the socket."""
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """A maker of such connections; looking up the name belongs to the time of the request."""

    def __init__(self, inner: httpcore.NetworkBackend, bounds: Bounds, link: Link) -> None:
        self._inner, self._bounds, self._link = inner, bounds, link
        self.opened = _Opened()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to a host; raises `httpcore.ConnectTimeout` where all its addresses take too long."""
        left = _Within(self._bounds, self._link, timeout)
        connect = functools.partial(self._inner.connect_tcp, host, port, left(), local_address, socket_options)
        return self.opened.add(_Stream(_connected(connect, left), self._bounds, self._link, self.opened))


def _connected(call: Callable[[], httpcore.NetworkStream], left: Callable[[], float]) -> httpcore.NetworkStream:
    try:
        return in_time(call, left, drop=httpcore.NetworkStream.close)
    except TimeoutError:
        raise httpcore.ConnectTimeout from None


class _Network(httpx.BaseTransport):
    """httpx's own transport, whose connections all end with it."""

    def __init__(self, inner: httpx.HTTPTransport, opened: _Opened) -> None:
        self._inner, self._opened = inner, opened

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        self._opened.close()
        self._inner.close()


def network_transport(link: Link, bounds: Bounds) -> httpx.BaseTransport:
    """Return the transport to the server of a link, each of whose requests is held to `bounds`."""
    limits = httpx.Limits(
        max_connections=link.workers, max_keepalive_connections=link.workers, keepalive_expiry=_KEEP_ALIVE
    )
    made = httpx.HTTPTransport(verify=_ssl_context(link), limits=limits, proxy=_proxy(link.url), trust_env=False)
    # httpx has no parameter for the backend of its pool; without these names an AttributeError says so.
    pool = made._pool  # noqa: SLF001
    backend = _Backend(pool._network_backend, bounds, link)  # noqa: SLF001
    pool._network_backend = backend  # noqa: SLF001
    return _Network(made, backend.opened)


def _ssl_context(link: Link) -> ssl.SSLContext:
    if link.url.startswith("http:"):
        # Nothing is redirected to TLS, so no authority is ever needed; loading them takes 30 ms.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if link.ca_file:
        return ssl.create_default_context(cafile=str(link.ca_file))
    return httpx.create_ssl_context()


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for `url`; `None` for a server on this machine."""
    target = httpx.URL(url)
    if is_loopback(url) or proxy_bypass(target.raw_host.decode("ascii")):
        return None
    proxies = getproxies()
    return proxies.get(target.scheme) or proxies.get("all")
