"""What `read` leaves in `Live.native` for reviewing and writing: who is on which site, and through which door it was read."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from siteward.access.state import Listing
    from siteward.access.traits import Traits
    from siteward.platforms.plausible.settings import Settings

Standing = Literal["accepted", "invited"]


class Entry(Struct, frozen=True):
    """One line of a site's guest list. `handle` is what the web forms call it: a user's id, or an invitation's."""

    email: str
    role: str
    status: Standing
    handle: str = ""

    @property
    def words(self) -> str:
        """What stands there, for people."""
        return f"{self.role} ({self.status})"


class Place(Struct, frozen=True):
    """A site: its domain as Plausible has it, and as long as the old name still answers, that one."""

    domain: str
    entries: tuple[Entry, ...]
    previous: str | None = None
    public: bool = False
    links: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        """The scope of this site: its domain, lower-cased and in IDNA; a domain may have a path."""
        host, slash, path = self.domain.partition("/")
        return Scope("site", f"{domain_in(host)}{slash}{path}")


class Colleague(Struct, frozen=True):
    """A member of the team, or somebody invited into it."""

    email: str
    role: str
    invited: bool = False


class NativeState(Struct, frozen=True, kw_only=True):
    """What reading leaves for reviewing and writing.

    `colleagues` are those the database shows. `transfers` holds (domain, address, both folded) of sites that are being
    handed over. `now` is the server's own clock; `cost` the requests that reading took. `seen` tells when people were
    last there, by address.
    """

    settings: Settings
    traits: Traits
    door: Literal["api", "web"]
    places: Mapping[str, Place]
    colleagues: tuple[Colleague, ...] = ()
    transfers: frozenset[tuple[str, str]] = frozenset()
    me: str | None = None
    now: datetime | None = None
    cost: int = 0
    seen: Mapping[str, str] = MappingProxyType({})
    listings: tuple[Listing, ...] = ()

    @property
    def members(self) -> Mapping[str, str]:
        """The team role of each address, folded, that the file names or the database shows."""
        declared = {folded(name): role for name, role in (self.settings.team_members or {}).items()}
        return declared | {folded(colleague.email): colleague.role for colleague in self.colleagues}


def folded(email: str) -> str:
    """Return an address as Plausible compares it (API.md section 6: citext)."""
    return email.strip().lower()


def find(entries: Iterable[Entry], email: str) -> Entry | None:
    """Return the entry of an address; letter case does not count."""
    return next((entry for entry in entries if folded(entry.email) == folded(email)), None)
