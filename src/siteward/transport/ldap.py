"""A reading connection to an LDAP server, which takes a listing for whole only where the server has proven it.

The client library (ldap3 2.9.1, which is not maintained) calls a listing that a limit cut a success, follows a referral
of the base with the same credentials, checks no certificate and waits for ever unless told otherwise: so every page is
asked for by hand and looked at, and all of these are told. `repr` of its connection holds the password; it is shown nowhere.
"""

from __future__ import annotations

import ssl
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msgspec import Struct

from siteward.access.hosts import LDAP, address_of
from siteward.transport.errors import (
    IncompleteError,
    InsecureError,
    OutOfTimeError,
    RefusedError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.link import is_loopback
from siteward.transport.secrets import bound
from siteward.transport.threads import in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from siteward.transport.deadline import Deadline
    from siteward.transport.secrets import Secrets

T = TypeVar("T")
PAGE = 500
"""The entries of a page; a server may refuse more (seen with `size.pr` of OpenLDAP)."""

MOST = 200_000
"""The most entries of a listing."""

FIELDS = ("bind_dn", "bind_password")
"""The credentials of a directory."""

_SECONDS = 60
_SUCCESS, _REFERRAL, _NO_SUCH_OBJECT, _INVALID_CREDENTIALS = 0, 10, 32, 49
_PAGING = "1.2.840.113556.1.4.319"
_TEXT = 200


class LdapEntry(Struct, frozen=True):
    """An entry as the server wrote it: its name, and the bytes of each attribute, by its name in small letters."""

    dn: str
    values: Mapping[str, Sequence[bytes]]


class LdapReader:
    """A reader of one directory. Making it contacts nothing; the connection is closed by `with`.

    `env` is where the address stands a second time, beside the credentials: it is compared right before they are sent.
    """

    def __init__(self, name: str, url: str, secrets: Secrets, env: Mapping[str, str], deadline: Deadline) -> None:
        """Raise `InsecureError` for an address that is not encrypted and leads to another machine."""
        self._name, self._secrets, self._env, self._deadline = name, secrets, env, deadline
        self._address = address_of(url, LDAP)
        if not self._address.startswith("ldaps:") and not is_loopback(self._address):
            raise InsecureError(
                f"{self._address} is plain ldap, and the credentials of {name} would travel unencrypted; nothing was sent",
                hint="use ldaps",
            )
        self._client = _import_client()
        self._connection: Any = None

    def __enter__(self) -> Self:
        """Connect and bind; raises `UnreachableError`, `UnauthenticatedError`, `OriginMismatchError` and `OutOfTimeError`."""
        bound(self._name, self._address, self._env, LDAP)
        self._connection = self._in_time(self._open, drop=lambda late: late.unbind())
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.unbind()

    def list_all(self, base: str, filter_: str, attributes: Sequence[str]) -> tuple[LdapEntry, ...]:
        """Return all entries below `base` that match, page by page.

        Raises `IncompleteError` where the server ends early, refers elsewhere, or lets paging go, and `RefusedError` where
        there is no such base or the filter is none.
        """
        found: list[LdapEntry] = []
        cookie: bytes | None = None
        while True:
            page, cookie = self._in_time(partial(self._ask, base, filter_, attributes, cookie, len(found)))
            found += page
            if not cookie:
                return tuple(found)
            if len(found) > MOST:
                raise IncompleteError(f"{self._address} lists more than {MOST:,} entries")

    def read_one(self, dn: str, attributes: Sequence[str]) -> LdapEntry | None:
        """Return one entry by its name; `None` where it is not there or may not be seen."""
        result = self._in_time(lambda: self._search(dn, "(objectClass=*)", attributes, scope="BASE"))
        return next(iter(result), None)

    def suffix_of(self, base: str) -> str:
        """Return the naming context that holds a base: the whole directory as the server tells it, else the base itself."""
        root = self.read_one("", ("namingContexts",))
        contexts = [value.decode("utf-8", "replace") for value in root.values.get("namingcontexts", ())] if root else []
        fitting = [
            context
            for context in contexts
            if base.casefold().replace(" ", "").endswith(context.casefold().replace(" ", ""))
        ]
        return max(fitting, key=len, default=base)

    def _open(self) -> Any:
        """Return a bound connection."""
        client = self._client
        scheme, _, place = self._address.partition("://")
        host, _, port = (
            place.rpartition(":")
            if place.rpartition(":")[2].isdigit() and place.rpartition(":")[1]
            else (place, "", "")
        )
        host = host.strip("[]")
        tls = _verified_tls(client, host) if scheme == "ldaps" else None
        server = client.Server(
            host,
            port=int(port) if port else None,
            use_ssl=scheme == "ldaps",
            tls=tls,
            get_info=client.NONE,
            connect_timeout=10,
        )
        connection = client.Connection(
            server,
            user=self._secrets.get("bind_dn").reveal(),
            password=self._secrets.get("bind_password").reveal(),
            auto_referrals=False,
            receive_timeout=_SECONDS,
            return_empty_attributes=False,
            read_only=True,
        )
        try:
            if not connection.bind():
                connection.unbind()  # closes the socket
                self._judge_bind(connection.result)
        except client.core.exceptions.LDAPExceptionError as wrong:
            if connection.socket is not None:
                connection.socket.close()  # a handshake that failed leaves it open
            raise UnreachableError(f"{self._address} did not answer: {self._clean(str(wrong))}") from None
        return connection

    def _judge_bind(self, result: Mapping[str, Any]) -> None:
        """Raise the error of a bind that was refused."""
        words = self._clean(f"{result.get('description')} {result.get('message') or ''}")
        if result.get("result") == _INVALID_CREDENTIALS:
            raise UnauthenticatedError(f"{self._address} did not accept the credentials: {words}")
        raise RefusedError(f"{self._address} refused to be asked: {words}")

    def _ask(
        self, base: str, filter_: str, attributes: Sequence[str], cookie: bytes | None, before: int
    ) -> tuple[list[LdapEntry], bytes | None]:
        """Return one page and the cookie of the next; raises `IncompleteError` for a page that proves nothing."""
        entries = self._search(base, filter_, attributes, paged_size=PAGE, paged_criticality=True, paged_cookie=cookie)
        result = self._connection.result
        control = (result.get("controls") or {}).get(_PAGING)
        if control is None:
            raise IncompleteError(f"{self._address} answered without pages, {before + len(entries):,} entries in")
        return entries, control["value"]["cookie"]

    def _search(
        self, base: str, filter_: str, attributes: Sequence[str], scope: str = "SUBTREE", **paging: Any
    ) -> list[LdapEntry]:
        """Send one search and return its entries; raises `IncompleteError` unless the server calls it a whole success."""
        client = self._client
        try:
            self._connection.search(base, filter_, search_scope=scope, attributes=list(attributes), **paging)
        except client.core.exceptions.LDAPInvalidFilterError:
            raise RefusedError(f"the filter `{filter_}` of {self._name} is none") from None
        except client.core.exceptions.LDAPExceptionError as wrong:
            raise UnreachableError(f"{self._address} ended while it was read: {self._clean(str(wrong))}") from None
        result, response = self._connection.result, self._connection.response or []
        code = result["result"]
        if code == _NO_SUCH_OBJECT:
            if scope == "BASE":
                return []
            raise RefusedError(f"{self._address} has no entry `{base}`")
        if code == _REFERRAL or any(row["type"] == "searchResRef" for row in response):
            hint = "take a base that lies on this server whole; references are not followed"
            raise IncompleteError(f"{self._address} refers elsewhere for a part of `{base}`", hint=hint)
        if code != _SUCCESS:
            words = self._clean(f"{result['description']} {result.get('message') or ''}")
            raise IncompleteError(
                f"{self._address} ended the listing early: {words}",
                hint="let the account that is bound list everything (OpenLDAP: `limits … size.prtotal=unlimited`)",
            )
        return [_read_entry(row) for row in response]

    def _in_time(self, call: Callable[[], T], drop: Callable[[T], object] = lambda _: None) -> T:
        """Return what a call returns, within the time of the run; raises `OutOfTimeError`."""
        try:
            return in_time(call, self._deadline.left, drop=drop)
        except TimeoutError:
            raise OutOfTimeError(self._address) from None

    def _clean(self, words: str) -> str:
        """Return words of the server or the library on one line, of bounded length, without a secret."""
        return self._secrets.scrub(" ".join(words.split()))[:_TEXT]


def _verified_tls(client: Any, host: str) -> Any:
    """Return the library's TLS settings for a host, with the handshake verified as HTTPS is here: by the standard library.

    ldap3 2.9.1 compares names itself, by a function that Python 3.12 has no more; what it takes instead there refuses a
    certificate for an IP address and takes a star within a name. It also tells the server no name (SNI).
    """

    class Verified(client.Tls):  # type: ignore[misc]  # an optional library, without types
        def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: FBT001, FBT002 — the library's signature
            context = ssl.create_default_context()
            connection.socket = context.wrap_socket(
                connection.socket, server_hostname=host, do_handshake_on_connect=do_handshake
            )

    return Verified(validate=ssl.CERT_REQUIRED)


def _read_entry(row: Mapping[str, Any]) -> LdapEntry:
    """Return an entry of the library's, its values as bytes; options of attributes stay in their names."""
    return LdapEntry(row["dn"], {name.casefold(): tuple(values) for name, values in row["raw_attributes"].items()})


def _import_client() -> ModuleType:
    """Return the client library; raises `UnreachableError` where the extra is not installed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(tag|type)Map is deprecated", category=DeprecationWarning)
        try:
            import ldap3  # noqa: PLC0415 — an extra, and slow to import
            import ldap3.core.exceptions  # noqa: PLC0415 — see above
        except ImportError as missing:
            raise UnreachableError(
                "asking an LDAP server needs ldap3, which is not installed", hint="pip install 'siteward[ldap]'"
            ) from missing
    client: ModuleType = ldap3
    return client
