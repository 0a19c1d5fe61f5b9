"""The two states that are compared, and what stands beside each: origins here, ids and proof there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Span
from siteward.access.model import Access, Key, Scope

Ending = Literal["expired", "not-yet", "suspended", "absent", "left"]
Cause = Literal["granted", "silence", "unmanaged", "renamed", "public"] | Ending
Kind = Literal["person", "service", "contractor", "client", "vendor"]


class Origin(Struct, frozen=True):
    """Why something is wanted: the place in the file, and the way from there.

    `via` names the links in order, in words (`group analysts`, `role analyst`, `tag acme`).
    `others` are further grants that lead to the same pair and lost to this one or were united with it.
    `wildcard` is the pattern that reached the site, where no grant names it plainly.
    """

    at: Span
    via: tuple[str, ...] = ()
    ticket: str | None = None
    reason: str | None = None
    until: datetime | None = None
    others: tuple[Origin, ...] = ()
    wildcard: str | None = None


class Holder(Struct, frozen=True):
    """The declared user behind an account of one instance: what guards and rules need to know of them."""

    handle: str
    at: Span
    kind: str = "person"
    ending: Ending | None = None
    until: datetime | None = None
    email: str | None = None
    ticket: str | None = None
    reason: str | None = None
    age: str | None = None
    forge: Mapping[str, str] = MappingProxyType({})


class Desired(Struct, frozen=True, kw_only=True):
    """What the declaration means for one instance at one moment.

    `access` is the wish, `origins` its reasons by key. `holders` maps each account name that a declared
    user resolves to (also the suspended, absent and left ones) to that user. `ended` holds, by key, the
    grants that the file itself names as over, with the place that says so; add-only mode takes no others.
    `managed` are the live scopes that `manages` lets us look at; `None` where the file has no `grants` key
    at all, so that nothing is managed. `public` maps a site to the wish of the file about its openness.
    `modules` are the accounts whose module switches the file speaks of; those of others are left alone.
    `empty` tells that the file says `grants: []`, which takes an extra consent.
    """

    access: Access
    origins: Mapping[Key, Origin] = MappingProxyType({})
    holders: Mapping[str, Holder] = MappingProxyType({})
    ended: Mapping[Key, tuple[Ending, Span]] = MappingProxyType({})
    managed: frozenset[Scope] | None = frozenset()
    public: Mapping[Scope, bool] = MappingProxyType({})
    subsumed: Mapping[Key, Origin] = MappingProxyType({})
    modules: frozenset[str] = frozenset()
    empty: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()


class Site(Struct, frozen=True, kw_only=True):
    """A live site (or meta site) as selectors see it.

    `label` is the scope's name. `domains` are all hosts it answers for, lower-cased in IDNA; `group` is
    Matomo's site group. `by_id_only` is true where a name proves nothing about whose site this is (Umami
    sites that belong to somebody else, or to nobody); `owner` is who.
    """

    id: str
    label: str
    name: str = ""
    domains: tuple[str, ...] = ()
    group: str = ""
    by_id_only: bool = False
    owner: str | None = None


class Listing(Struct, frozen=True, kw_only=True):
    """How completely one listing was read. Only a `complete` one can prove an absence."""

    name: str
    rows: int
    complete: bool
    proof: str
    seconds: float = 0.0


class Live(Struct, frozen=True, kw_only=True):
    """What the API showed of one instance at one moment.

    `ids` maps the key of an account, group or other object to the platform's own id; `sites` has those of
    the scopes. `pending` are keys that are there but wait for somebody (an invitation): an equal role is no
    difference. `facts` are words about a resource that reviews show (`created`, `last_seen`, `owns`).
    `native` is the adapter's own picture, which the core never looks into.
    """

    access: Access
    sites: Mapping[Scope, Site] = MappingProxyType({})
    me: str | None = None
    ids: Mapping[Key, str] = MappingProxyType({})
    pending: frozenset[Key] = frozenset()
    facts: Mapping[Key, Mapping[str, str]] = MappingProxyType({})
    listings: tuple[Listing, ...] = ()
    unreadable: tuple[str, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    native: object = None

    @property
    def complete(self) -> bool:
        """Tell whether every listing proved its end and nothing readable was left out."""
        return not self.unreadable and all(each.complete for each in self.listings)

    @property
    def grants_of_others(self) -> int:
        """How many grants there are beside our own, which a reading that lost all others would still show."""
        me = (self.me or "").casefold()
        return sum(1 for each in self.access.grants() if each.subject.name.casefold() != me)


class Memory(Struct, frozen=True, kw_only=True):
    """What the journal remembers of one instance.

    `accounts` are the logins met in an earlier run; `users` maps the handles declared in the last one to their
    login; `sites` and `grants` (but for our own) are the counts it saw. `last` is the access it left, by key, and `sends` maps
    the key of an invited grant to how often and when it was last sent. `me` is the account that the last run worked as.
    `None` instead of a `Memory` means that there is no journal.
    """

    accounts: frozenset[str] = frozenset()
    users: Mapping[str, str] = MappingProxyType({})
    sites: int = 0
    grants: int = 0
    last: Access | None = None
    last_at: datetime | None = None
    sends: Mapping[Key, tuple[int, datetime]] = MappingProxyType({})
    me: str | None = None
