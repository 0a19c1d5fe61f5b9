"""The native state that `read` leaves in `Live.native` for reviewing and writing."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from siteward.access.api_key import LiveKey
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
        """The role and status in words, for messages."""
        return f"{self.role} ({self.status})"


class Place(Struct, frozen=True):
    """A site by its domain as Plausible writes it; `previous` is its old domain for as long as that still answers."""

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
    """A member of the team, or an address invited into it."""

    email: str
    role: str
    invited: bool = False


class NativeState(Struct, frozen=True, kw_only=True):
    """The guest lists of a team, and the door through which they were read.

    `colleagues` are the team members that the database shows. `transfers` holds (domain, folded address) of sites that
    are being handed over. `now` is the server's own time; `cost` the number of requests that reading took. `seen` holds
    the last visit of people and `ids` their ids, by folded address; an invitation has none. `keys` are the API keys.
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
    ids: Mapping[str, str] = MappingProxyType({})
    listings: tuple[Listing, ...] = ()
    keys: tuple[LiveKey, ...] = ()

    @property
    def members(self) -> Mapping[str, str]:
        """The team roles by folded address, from the file and the database; the database wins."""
        declared = {folded(name): role for name, role in (self.settings.team_members or {}).items()}
        return declared | {folded(colleague.email): colleague.role for colleague in self.colleagues}


def folded(email: str) -> str:
    """Return an address as Plausible compares it (API.md section 6: citext)."""
    return email.strip().lower()


def find(entries: Iterable[Entry], email: str) -> Entry | None:
    """Return the entry of an address in any letter case, or `None`."""
    return next((entry for entry in entries if folded(entry.email) == folded(email)), None)
