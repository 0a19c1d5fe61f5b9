"""The causes of failed requests, described for people, with a next step."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from siteward.transport._httpx import httpx
from siteward.transport.errors import NotThePlatformError, UnreachableError
from siteward.transport.gates import headers_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.transport.link import Link

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


def was_sent(error: httpx.RequestError, request: httpx.Request) -> bool:
    """Return whether `request` may have reached the server although `error` came instead of its answer.

    An error that belongs to another request is that of a login: then this one was refused before, or never sent.
    """
    return error.request is request and not isinstance(error, _UNSENT)


def is_permanent(error: httpx.RequestError) -> bool:
    """Return whether asking again cannot help, as with a certificate that is not trusted."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error))


def unreachable(error: httpx.RequestError, origin: str, link: Link) -> UnreachableError:
    """Return the error that says why `origin` gave no usable answer, with a next step where there is one."""
    for cause in _chain(error):
        if described := _describe_cause(cause, origin, link):
            message, hint = described
            return UnreachableError(message, hint=hint)
    return UnreachableError(f"{origin} cannot be reached ({type(error).__name__})")


def redirected(
    response: httpx.Response, scrub: Callable[[str], str], kind: type[NotThePlatformError] = NotThePlatformError
) -> NotThePlatformError:
    """Return the error for a redirect, which names its target without a user, a password or a query.

    `scrub` takes secrets out of the message; `kind` is the class of the error.
    """
    asked, same_page = response.request.url, False
    try:
        location = asked.join(response.headers["location"])
        target = _describe_host(location) + location.raw_path.partition(b"?")[0].decode("ascii")
        same_page = location.host == asked.host and location.path.rstrip("/").endswith(asked.path.rstrip("/"))
    except httpx.InvalidURL:
        target = "a place that is not a valid address"
    hint = "write the address that answers by itself into `url`"
    if not same_page:
        variable = headers_variable(response)
        hint += f"; if a gate sends people there to log in, give the headers that let a program pass in {variable}"
    return kind(scrub(f"{_describe_host(asked)} redirects {asked.path} to {target}; nothing was sent there"), hint=hint)


def _describe_host(url: httpx.URL) -> str:
    """Return scheme, host and port, the port only where it is not the scheme's own."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _describe_cause(error: BaseException, origin: str, link: Link) -> tuple[str, str | None] | None:
    """Return a message and a hint for an exception, or `None` for one that explains nothing to people."""
    match error:
        case ssl.SSLCertVerificationError():
            message = f"the certificate of {origin} is not trusted: {error.verify_message}"
            hint: str | None = "name the authority that signed it in `ca_file`"
        case ssl.SSLError():
            message, hint = f"{origin} does not speak TLS as expected", "look at scheme and port of `url`"
        case socket.gaierror():
            message, hint = f"the host name of {origin} cannot be resolved", "look at `url`, and at the network"
        case ConnectionRefusedError():
            message, hint = f"{origin} refuses connections", "is it running, and is the port of `url` right?"
        case httpx.ConnectTimeout():
            message, hint = f"{origin} took no connection within {link.connect:g} s", None
        case httpx.TimeoutException():
            message = f"{origin} did not answer within {link.read:g} s, or not to the end within {link.budget:g} s"
            hint = None
        case httpx.DecodingError():
            message = f"the answer of {origin} could not be read: {error}"
            hint = "does a proxy before it pack or cut answers? Only gzip is taken, once"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            message, hint = f"{origin} broke off its answer, or sent one that is not valid HTTP", None
        case _:
            return None
    return message, hint


def _chain(error: httpx.RequestError) -> Iterator[BaseException]:
    """Return an iterator over an error and its causes, deepest first, since the deepest is the most specific."""
    cause: BaseException | None = error
    causes: list[BaseException] = []
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return reversed(causes)
