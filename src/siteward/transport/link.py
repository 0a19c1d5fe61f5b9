"""The address of one instance and the limits of its connection, as plain data.

Importing this module is cheap: it loads no HTTP client.
"""

from __future__ import annotations

import ipaddress
import time
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, field

from siteward.transport.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import httpx

    from siteward.transport.secrets import Secret

MOST_WORKERS = 16


class Exchange(Struct, frozen=True, kw_only=True):
    """One request as it went over the wire, for the log of `-vv`: never a query, a header or a body.

    `status` is 0 where no answer came; `size` counts the bytes of the answer's body.
    """

    method: str
    path: str
    status: int
    seconds: float
    size: int


class Link(Struct, frozen=True, kw_only=True):
    """The address of an instance, and the limits of time, size and threads for a connection to it.

    `url` is the base that the file names, with a path if the product lives below one. `ca_file` replaces the
    usual certificate authorities. Times are seconds: `connect` bounds the way to the server and `read` its silence,
    `budget` one request from connecting to the end of its answer, and the time in which a question is repeated; `deadline`
    bounds all of them. `size` is the longest answer, in bytes, that is taken.
    `workers` threads share one connection pool; above 16 httpx 0.28 becomes slower, not faster, so more are
    refused with `ValueError`. `headers` go onto every request, logins included, and open a gate before the instance;
    `headers_variable` is the name of the variable that gives them. `transport` replaces the network in tests, and `sleep` the pauses. `observer` is called after every request, and
    `waiting` before every pause, with its seconds and the reason.
    """

    url: str
    ca_file: Path | None = None
    connect: float = 10.0
    read: float = 60.0
    budget: float = 180.0
    deadline: Deadline = field(default_factory=Deadline)
    tries: int = 5
    size: int = 256 * 1024 * 1024
    workers: int = 8
    headers: Mapping[str, Secret] = MappingProxyType({})
    headers_variable: str = "SITEWARD_<INSTANCE>_HEADERS"
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] | None = None
    clock: Callable[[], float] = time.monotonic
    observer: Callable[[Exchange], None] | None = None
    waiting: Callable[[float, str], None] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ValueError(f"workers is {self.workers}; it must be from 1 to {MOST_WORKERS}")


def is_loopback(url: str) -> bool:
    """Return whether `url` leads to this machine itself: `localhost` or an address of the loopback net."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
