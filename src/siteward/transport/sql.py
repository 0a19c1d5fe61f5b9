"""A read-only connection to a PostgreSQL database, for platforms that show no access through HTTP.

Nothing can be written through it: it takes a single SELECT, in a transaction that the server itself keeps read-only
and that sees one moment. The database role should be one that may only read all the same; the adapter says which
grants it needs.

It works through PgBouncer in transaction mode too: nothing is asked for when the connection begins, what is set holds
for one transaction alone, and no statement gets a name, for the next transaction may be in another session.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from siteward.transport.deadline import Deadline
from siteward.transport.errors import (
    ForbiddenError,
    InsecureError,
    NotThePlatformError,
    OutOfTimeError,
    ReadOnlyError,
    SecretMissingError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.link import is_loopback
from siteward.transport.threads import in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg import Connection, Error

    from siteward.transport.errors import PlatformError
    from siteward.transport.secrets import Secret

_READING = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
_SAFE_MODES = frozenset({"verify-full", "verify-ca", "require"})
# Rows that a policy would hide are refused (42501) instead of left out: they would look like people who have left.
_SETTINGS = "SELECT set_config('statement_timeout', '60000', true), set_config('row_security', 'off', true)"
_SECONDS = 10
_LONGEST_MESSAGE = 300
_POLICY = "row-level security"
_POLICY_HINT = (
    "a policy hides rows of that table from the role, and who is not seen would look like somebody who left: give the "
    "role BYPASSRLS (it may read only all the same)"
)
_OF_A_POOLER = frozenset({"42P05", "26000"})
"""The SQLSTATEs of a prepared statement that is there twice, or not at all: sessions have changed hands."""
_POOLER_HINT = (
    "Siteward prepares no statements: try again, and look whether the pooler (PgBouncer) was restarted or mixes modes"
)
_POOLER_SAYS = {
    "unsupported startup parameter": (
        "PgBouncer takes no such setting when a connection begins: take `options` out of the database url, and set what "
        "it holds for the role (ALTER ROLE … SET search_path = …)"
    ),
    "statement pooling mode": "PgBouncer has to run with pool_mode = transaction (or session) for this database",
}
"""What PgBouncer says when it refuses, and the way out."""
_LOGIN_REFUSED = ("authentication failed", "no pg_hba.conf entry", "no password supplied")


class SqlReader:
    """A reader of one database. Making it contacts nothing; each question opens a connection of its own."""

    def __init__(self, url: Secret, *, scrub: Callable[[str], str] = str, deadline: Deadline | None = None) -> None:
        """Take a connection URL; raises `SecretMissingError` for an invalid one, `InsecureError` for one without TLS.

        Except on this machine the connection is encrypted and the server proves its name, unless the URL says
        `sslmode=require` or `verify-ca`. `scrub` takes secrets out of the messages of the database; no question outlasts
        the `deadline`.
        """
        self._url = url
        self._scrub = scrub
        self._deadline = deadline or Deadline()
        self._tls = _tls_mode(url.reveal())

    def ask(self, sql: str, params: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows that one SELECT finds.

        Raises `ReadOnlyError` for any other statement before it is sent, `OutOfTimeError`, and for an error of the database
        `UnreachableError`, `UnauthenticatedError`, `ForbiddenError` (the role may not read that), `NotThePlatformError` (no such table).
        """
        if not _READING.match(sql):
            raise ReadOnlyError("only SELECT goes through this door; it was not sent")
        try:
            import psycopg  # noqa: PLC0415 — an extra, and slow to import
        except ImportError as missing:
            raise UnreachableError(
                "reading a PostgreSQL database needs psycopg, which is not installed",
                hint="pip install 'siteward[postgres]'",
            ) from missing

        def ask() -> list[tuple[Any, ...]]:
            with psycopg.connect(
                self._url.reveal(),
                connect_timeout=_SECONDS,
                application_name="siteward",
                prepare_threshold=None,
                **self._tls_option(),
            ) as connection:
                return _fetch_rows(connection, sql, params)

        try:
            return in_time(ask, self._deadline.left)
        except TimeoutError:
            raise OutOfTimeError("the database") from None
        except psycopg.Error as error:
            raise self._error_of(error) from None

    def _tls_option(self) -> dict[str, Any]:
        return {"sslmode": self._tls} if self._tls else {}

    def _error_of(self, error: Error) -> PlatformError:
        """Return the error of the transport for one of the database, by its SQLSTATE.

        What refuses a connection has no SQLSTATE in psycopg; such an error is recognized by its text.
        """
        state = error.sqlstate or ""
        words = self._redact(error.diag.message_primary or str(error))
        if state.startswith("28") or (not state and any(text in words for text in _LOGIN_REFUSED)):
            return UnauthenticatedError(f"the database did not accept the credentials: {words}")
        if state == "42501":
            hint = _POLICY_HINT if _POLICY in words else "grant it SELECT on what is named"
            return ForbiddenError(f"the database role may not read this: {words}", hint=hint)
        if state in _OF_A_POOLER:
            return UnreachableError(
                f"the database, or a pooler before it, mixed up sessions: {words}", hint=_POOLER_HINT
            )
        if state.startswith("42") or state == "3F000":
            return NotThePlatformError(f"the database is not as expected: {words}")
        way_out = next((hint for text, hint in _POOLER_SAYS.items() if text in words), None)
        return UnreachableError(f"the database did not answer: {words}", hint=way_out)

    def _redact(self, words: str) -> str:
        """Return a message of the server on one line, of bounded length, without the password."""
        password = unquote(urlsplit(self._url.reveal()).password or "")
        text = " ".join(self._scrub(words).split())
        return (text.replace(password, "•••") if password else text)[:_LONGEST_MESSAGE]


def _fetch_rows(connection: Connection[Any], sql: str, params: Mapping[str, object] | None) -> list[tuple[Any, ...]]:
    from psycopg import IsolationLevel  # noqa: PLC0415 — see above

    connection.read_only = True
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    # Binary results are asked for by the extended protocol, which takes one statement: the server refuses a second one
    # behind a semicolon. The statement stays without a name.
    connection.execute(_SETTINGS, binary=True)
    rows: list[tuple[Any, ...]] = connection.execute(cast("Any", sql), params, binary=True).fetchall()
    return rows


def _tls_mode(url: str) -> str | None:
    """Return the `sslmode` to add to the URL; `None` where it has a safe one, or leads to this machine.

    Raises `SecretMissingError` for another scheme than PostgreSQL's, and `InsecureError` for a mode without TLS.
    """
    try:
        parts = urlsplit(url)
        named = parse_qs(parts.query)
        hosts = [*([parts.hostname] if parts.hostname else []), *named.get("host", [])]
    except ValueError:
        parts, named, hosts = urlsplit(""), {}, []
    if parts.scheme not in {"postgres", "postgresql"}:
        raise SecretMissingError("the database url is not a valid postgresql:// address")
    if all(host.startswith("/") or is_loopback(f"http://{host}") for host in hosts):
        return None
    mode = named.get("sslmode", [""])[-1]
    if mode and mode not in _SAFE_MODES:
        raise InsecureError(
            f"the database url asks for sslmode={mode}, and what it reads would travel unencrypted; nothing was sent",
            hint="take sslmode away, or write sslmode=require",
        )
    return None if mode else "verify-full"
