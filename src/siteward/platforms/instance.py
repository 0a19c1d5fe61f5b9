"""The connection to one installation or account of a platform: its address, credentials and doors."""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.hosts import address_of
from siteward.transport.redacted import Redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msgspec import Struct

    from siteward.platforms.interface import Platform
    from siteward.transport.http import Doors, Reader, Writer
    from siteward.transport.link import Link
    from siteward.transport.secrets import Keyring, Secrets


class Instance(Redacted, frozen=True, kw_only=True):
    """An instance of the file with all that is needed to open its connection; creating it contacts nothing.

    `settings` is the platform's own struct, filled from the file; `self_account` is the account that the file names as
    the owner of the credentials. Credentials are looked up in `env` when the connection is opened; `keyring` is the
    system's, if its extra is installed.
    """

    name: str
    platform: Platform
    settings: Struct
    link: Link
    self_account: str | None = None
    env: Mapping[str, str] = MappingProxyType({})
    keyring: Keyring | None = None

    @property
    def origin(self) -> str:
        """The scheme, host, port and base path, as plans and journals record them."""
        return address_of(self.link.url)

    @property
    def pathless_bond(self) -> tuple[str, str] | None:
        """The variable of the address and the value to set, where it names no path and this instance has one."""
        from siteward.transport.secrets import pathless_bond  # noqa: PLC0415 — see below

        return pathless_bond(self.name, self.link.url, self.env)

    @property
    def owner(self) -> str | None:
        """The account that the environment gives as that of the credentials, or `None`; not compared with the file."""
        return self.env.get(self.owner_variable) or None

    @property
    def owner_variable(self) -> str:
        """The name of the variable that holds the account of the credentials."""
        from siteward.transport.secrets import variable  # noqa: PLC0415 — needed by connections alone, not by `validate`

        return variable(self.name, "self")

    def confirmed(self) -> bool:
        """Return whether the environment confirms the file's `self`; raises `SelfMismatchError` if it gives another."""
        from siteward.transport.secrets import confirmed  # noqa: PLC0415 — needed by connections alone, not by `validate`

        widest = self.platform.widest
        folds_case = widest.folds_case or widest.login == "email"
        return confirmed(self.name, self.self_account, self.env, folds_case=folds_case)

    def secrets(self) -> Secrets:
        """Return the credentials; nothing is sent.

        Raises `SecretMissingError`, or, if they are not meant for this address or account, `OriginMismatchError`,
        `SelfMismatchError` or `InsecureError`.
        """
        from siteward.transport.secrets import find  # noqa: PLC0415 — needed by connections alone, not by `validate`

        self.confirmed()
        return find(
            self.name,
            self.platform.fields,
            url=self.link.url,
            env=self.env,
            optional=self.platform.optional_fields,
            keyring=self.keyring,
        )

    def open(self) -> Doors:
        """Return the doors, which the caller closes; the first call connects. Raises as `secrets` does."""
        from siteward.transport.secrets import HEADERS, variable  # noqa: PLC0415 — see above

        secrets = self.secrets()
        link = replace(self.link, headers=secrets.headers, headers_variable=variable(self.name, HEADERS))
        return self.platform.connect(self.settings, secrets, link)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Yield a reader, and close it at the end; raises as `secrets` does."""
        with self.open() as doors:
            yield doors.reader

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Yield a writer, and close it at the end; raises as `secrets` does."""
        with self.open() as doors:
            yield doors.writer
