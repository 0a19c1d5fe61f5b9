"""The errors of a connection to a server.

    PlatformError
    ├── UnreachableError          no usable answer at all: DNS, refused, TLS, time-out before the request was sent
    │   └── OutOfTimeError        the time of the whole run is over; nothing more is sent
    ├── NotThePlatformError       an answer, but not this platform's (HTML, another product)
    │   ├── GateError             a page or a login of something that stands before the platform
    │   ├── RedirectedError       a redirect, which is never followed; only reading shows whether a command was carried out
    │   └── TooLongError          an answer longer than is taken; what it answers was carried out all the same
    ├── UnauthenticatedError      the credentials were not accepted
    ├── ForbiddenError            the credentials are good, but this account may not do what was asked
    ├── RefusedError              the platform answered with an error, in its own words
    ├── IncompleteError           a listing did not prove its end; nothing may be concluded from what is absent
    ├── OutcomeUnknownError       a command was sent and its answer was lost: read before deciding
    ├── ReadOnlyError             a planner's transport was asked for a call that the adapter has not named as reading
    ├── SecretMissingError        a credential was not found
    ├── BadHeadersError           the extra headers for a gate cannot be sent; nothing was sent
    ├── OriginMismatchError       the credentials are bound to another origin; nothing was sent
    ├── SelfMismatchError         the credentials are bound to another account than the file names; nothing was sent
    └── InsecureError             the credentials would travel unencrypted; nothing was sent

Messages never hold a body, a header or a secret.
"""

from __future__ import annotations


class PlatformError(Exception):
    """An error that ends the work on one instance. `code` is a rule id, `hint` a next step."""

    code = "platform-error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnreachableError(PlatformError):
    """No usable answer: name resolution, connection, TLS or time."""

    code = "unreachable"


class OutOfTimeError(UnreachableError):
    """The deadline of the whole run has passed."""

    code = "out-of-time"

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the time of this run was over before {origin} had answered; nothing more is sent",
            hint="give a run that only reads more with SITEWARD_TIMEOUT=SECONDS (300 by default)",
        )


class NotThePlatformError(PlatformError):
    """Something answered, but it is not the platform the file names."""

    code = "not-the-platform"


class GateError(NotThePlatformError):
    """Something before the platform answered in its place; `request` is what it answered, and with which `status`."""

    code = "gate-before-platform"

    def __init__(self, message: str, request: object, *, status: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.request = request
        self.status = status


class RedirectedError(NotThePlatformError):
    """The answer to the request itself is a redirect, which is not followed."""


class TooLongError(NotThePlatformError):
    """The answer is longer than is taken; `request` is what it answers."""

    def __init__(self, message: str, request: object) -> None:
        super().__init__(message)
        self.request = request


class UnauthenticatedError(PlatformError):
    """The credentials were not accepted."""

    code = "unauthenticated"


class ForbiddenError(PlatformError):
    """The credentials are good, but this account may not do what was asked."""

    code = "forbidden"


class RefusedError(PlatformError):
    """The platform answered with an error; `status` is the HTTP status, `words` what the body said, scrubbed."""

    code = "refused"

    def __init__(self, message: str, *, status: int = 0, words: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.words = words


class IncompleteError(PlatformError):
    """A listing did not prove its end."""

    code = "incomplete-listing"


class OutcomeUnknownError(PlatformError):
    """A command may or may not have taken place."""

    code = "outcome-unknown"


class ReadOnlyError(PlatformError):
    """A call was refused before it was sent, because this transport is for reading."""

    code = "read-only"


class SecretMissingError(PlatformError):
    """A credential was not found in any of the places it may stand."""

    code = "credential-missing"


class BadHeadersError(PlatformError):
    """The text of the extra headers holds what cannot be sent, or must not be."""

    code = "bad-headers"


class OriginMismatchError(PlatformError):
    """The file's `url` is not the origin that the credential is bound to (promise 13 of the README)."""

    code = "origin-mismatch"


class SelfMismatchError(PlatformError):
    """The file's `self` is not the account that the credential is bound to (promise 4 of the README)."""

    code = "self-mismatch"


class InsecureError(PlatformError):
    """Credentials would travel unencrypted."""

    code = "insecure-transport"
