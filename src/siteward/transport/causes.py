"""The causes of failed requests, in words for people and with a next step."""

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

    An error that belongs to another request is the login's: then this one was refused before, or never sent.
    """
    return error.request is request and not isinstance(error, _UNSENT)


def is_hopeless(error: httpx.RequestError) -> bool:
    """Return whether asking again cannot help: a certificate does not become trusted by asking twice."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error))


def unreachable(error: httpx.RequestError, origin: str, link: Link) -> UnreachableError:
    """Return the error that says why `origin` gave no usable answer."""
    for cause in _chain(error):
        if words := _describe_cause(cause, origin, link):
            return UnreachableError(words[0], hint=words[1])
    return UnreachableError(f"{origin} cannot be reached ({type(error).__name__})")


def redirected(
    response: httpx.Response, scrub: Callable[[str], str], kind: type[NotThePlatformError] = NotThePlatformError
) -> NotThePlatformError:
    """Return the error for a redirect: where it leads is told, without a user, a password or a query in it."""
    asked, elsewhere = response.request.url, True
    try:
        place = asked.join(response.headers["location"])
        where = _host_shown(place) + place.raw_path.partition(b"?")[0].decode("ascii")
        elsewhere = place.host != asked.host
    except httpx.InvalidURL:
        where = "a place that is not a valid address"
    hint = "write the address that answers by itself into `url`"
    if elsewhere:
        variable = headers_variable(response)
        hint += f"; if a gate sends people there to log in, give the headers that let a program pass in {variable}"
    return kind(scrub(f"{_host_shown(asked)} redirects {asked.path} to {where}; nothing was sent there"), hint=hint)


def _host_shown(url: httpx.URL) -> str:
    """Return scheme, host and port, the port only where it is not the scheme's own."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _describe_cause(error: BaseException, origin: str, link: Link) -> tuple[str, str | None] | None:
    match error:
        case ssl.SSLCertVerificationError():
            words = f"the certificate of {origin} is not trusted: {error.verify_message}"
            hint: str | None = "name the authority that signed it in `ca_file`"
        case ssl.SSLError():
            words, hint = f"{origin} does not speak TLS as expected", "look at scheme and port of `url`"
        case socket.gaierror():
            words, hint = f"the host name of {origin} cannot be resolved", "look at `url`, and at the network"
        case ConnectionRefusedError():
            words, hint = f"{origin} refuses connections", "is it running, and is the port of `url` right?"
        case httpx.ConnectTimeout():
            words, hint = f"{origin} took no connection within {link.connect:g} s", None
        case httpx.TimeoutException():
            words, hint = f"{origin} did not answer within {link.read:g} s", None
        case httpx.DecodingError():
            words = f"the answer of {origin} could not be read: {error}"
            hint = "does a proxy before it pack or cut answers? Only gzip is taken, once"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            words, hint = f"{origin} broke off its answer, or sent one that is not valid HTTP", None
        case _:
            return None
    return words, hint


def _chain(error: httpx.RequestError) -> Iterator[BaseException]:
    """Yield what lies behind an error, deepest first, so that the most telling reason is found first."""
    at: BaseException | None = error
    found: list[BaseException] = []
    while at is not None:
        found.append(at)
        at = at.__cause__ or at.__context__
    return reversed(found)
