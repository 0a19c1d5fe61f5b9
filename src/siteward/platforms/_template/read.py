"""Reads one server: its release, all access, and the access that some changes touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import EVERYWHERE, Access, Account, Grant, Scope, Subject
from siteward.access.state import Listing, Live, Site
from siteward.platforms._template.roles import ADMIN, WIDEST
from siteward.platforms.decode import (
    Api,
    Some,
)
from siteward.platforms.interface import Reach
from siteward.transport.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from siteward.access.model import Key, Resource
    from siteward.access.traits import Traits
    from siteward.platforms._template.settings import Settings
    from siteward.platforms.decode import RefusalError
    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Reader


class _Account(Struct, frozen=True):
    login: Some
    admin: bool


class _Site(Struct, frozen=True):
    id: Some
    domain: Some


class _Grant(Struct, frozen=True):
    login: Some
    site: Some
    role: str


class Everything(Struct, frozen=True):
    """The answer that holds all access at one moment; domains are unique, and `me` is the account of the key."""

    version: Some
    me: Some
    accounts: tuple[_Account, ...]
    sites: tuple[_Site, ...]
    grants: tuple[_Grant, ...]


class _Fault(Struct, frozen=True):
    error: str

    @property
    def words(self) -> str:
        return self.error


def _explain_status(refused: RefusalError) -> PlatformError | None:
    if refused.answer.status == 401:
        return UnauthenticatedError(refused.said, hint="make a new key")
    return None


API = Api(
    product="Toy Analytics",
    hint="does `url` lead to Toy Analytics itself?",
    fault=_Fault,
    meaning=_explain_status,
    unwell="look at the log of the server; then try again",
)


def probe(reader: Reader, _settings: Settings) -> tuple[Traits, Everything]:
    """Return the traits of the server, and its answer as the seed of `read`. Raises `PlatformError`."""
    seen = API.ask(reader, "/api/access", Everything)
    return replace(WIDEST, version=seen.version), seen


def read(reader: Reader, _settings: Settings, _traits: Traits, seed: Everything | None = None) -> Live:
    """Return all access, with a proof of completeness for each listing. Raises `PlatformError`."""
    seen = seed or API.ask(reader, "/api/access", Everything)
    counted = {"accounts": seen.accounts, "sites": seen.sites, "grants": seen.grants}
    return Live(
        access=Access(_build_resources(seen)),
        sites={
            Scope("site", site.domain): Site(id=site.id, label=site.domain, name=site.domain, domains=(site.domain,))
            for site in seen.sites
        },
        me=seen.me,
        listings=tuple(
            Listing(name=name, rows=len(rows), complete=True, proof="one answer holds everything")
            for name, rows in counted.items()
        ),
    )


def refresh(reader: Reader, keys: Collection[Key], _live: Live) -> Mapping[Key, Resource | None]:
    """Return the resource of each of `keys` as it is now, `None` for none. Raises `PlatformError`."""
    access = Access(_build_resources(API.ask(reader, "/api/access", Everything)))
    return {key: access.get(key) for key in keys}


def reach(_reader: Reader, _settings: Settings, _traits: Traits) -> Reach:
    """Return the rights of the credentials, for `doctor`."""
    return Reach(account=None, role=ADMIN, may=("read and change all access",))


def _build_resources(seen: Everything) -> Iterator[Resource]:
    domains = {site.id: site.domain for site in seen.sites}
    for account in seen.accounts:
        yield Account(account.login)
        if account.admin:
            yield Grant(Subject("account", account.login), EVERYWHERE, ADMIN)
    for grant in seen.grants:
        yield Grant(Subject("account", grant.login), Scope("site", domains[grant.site]), grant.role)
