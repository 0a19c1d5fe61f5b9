"""Reading one server: which release it is, all access, and again just what some changes touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import EVERYWHERE, Access, Account, Grant, Scope, Subject
from siteward.access.state import Listing, Live, Site
from siteward.platforms._template.roles import ADMIN, WIDEST
from siteward.platforms.decode import Api
from siteward.platforms.interface import Reach
from siteward.transport.errors import UnauthenticatedError
from siteward.transport.texts import Some  # noqa: TC001 — msgspec reads it at run time

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
    """The answer that holds all access at one moment; domains are unique, `me` is whose key was used."""

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


def _meaning(refused: RefusalError) -> PlatformError | None:
    if refused.answer.status == 401:
        return UnauthenticatedError(refused.said, hint="make a new key")
    return None


API = Api(
    product="Toy Analytics",
    hint="does `url` lead to Toy Analytics itself?",
    fault=_Fault,
    meaning=_meaning,
    unwell="look at the log of the server; then try again",
)


def probe(reader: Reader, _settings: Settings) -> tuple[Traits, Everything]:
    """Return what the server can express, and what told it, which is all that `read` needs. Raises `PlatformError`."""
    seen = API.ask(reader, "/api/access", Everything)
    return replace(WIDEST, version=seen.version), seen


def read(reader: Reader, _settings: Settings, _traits: Traits, seed: Everything | None = None) -> Live:
    """Return all access, with the proof for each listing that it was whole. Raises `PlatformError`."""
    seen = seed or API.ask(reader, "/api/access", Everything)
    counted = {"accounts": seen.accounts, "sites": seen.sites, "grants": seen.grants}
    return Live(
        access=Access(_resources(seen)),
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
    """Return what stands under each of `keys` now. Raises `PlatformError`."""
    access = Access(_resources(API.ask(reader, "/api/access", Everything)))
    return {key: access.get(key) for key in keys}


def reach(_reader: Reader, _settings: Settings, _traits: Traits) -> Reach:
    """Return what the credentials may do, for `doctor`."""
    return Reach(account=None, role=ADMIN, may=("read and change all access",))


def _resources(seen: Everything) -> Iterator[Resource]:
    domains = {site.id: site.domain for site in seen.sites}
    for account in seen.accounts:
        yield Account(account.login)
        if account.admin:
            yield Grant(Subject("account", account.login), EVERYWHERE, ADMIN)
    for grant in seen.grants:
        yield Grant(Subject("account", grant.login), Scope("site", domains[grant.site]), grant.role)
