"""The desired and the live state of one instance, with what stands beside each, and how the first is filled.

Origins stand beside the desired state, ids and proof beside the live one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, Span
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Group,
    Key,
    Member,
    Resource,
    Scope,
    Subject,
    account_of,
    grant_key,
)
from siteward.access.traits import Traits, declarable

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


class DeclaredUser(Struct, frozen=True):
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


class Claim(Struct, frozen=True):
    """The right that one line of the file asks for, where several lines ask for the same key or another right includes it.

    `ends` is true if the line or each way to it has an end, so that what it gives is over one day.
    """

    wish: Grant | Member
    origin: Origin
    ends: bool


class Desired(Struct, frozen=True, kw_only=True):
    """The desired state of one instance at one moment, by the declaration.

    `access` is the wish, `origins` its reasons by key. `holders` maps each account name that a declared
    user resolves to (also the suspended, absent and left ones) to that user. `ended` holds, by key, the
    grants that the file itself names as over, with the place that says so; add-only mode takes no others.
    `managed` are the live scopes that `manages` lets us look at; `None` where the file has no `grants` key
    at all, so that nothing is managed. `public` maps a site to the wish of the file about its openness.
    `modules` are the accounts whose module switches the file speaks of; those of others are left alone.
    `claims` are, by key, the single lines where `origins` does not tell all; `names` are the handles, domains and tags
    (`tag:x`) that the file has for live sites.
    `empty` is true if the file says `grants: []`, which takes an extra consent.
    """

    access: Access
    origins: Mapping[Key, Origin] = MappingProxyType({})
    declared_users: Mapping[str, DeclaredUser] = MappingProxyType({})
    ended: Mapping[Key, tuple[Ending, Span]] = MappingProxyType({})
    managed: frozenset[Scope] | None = frozenset()
    public: Mapping[Scope, bool] = MappingProxyType({})
    subsumed: Mapping[Key, Origin] = MappingProxyType({})
    modules: frozenset[str] = frozenset()
    claims: Mapping[Key, tuple[Claim, ...]] = MappingProxyType({})
    names: Mapping[Scope, frozenset[str]] = MappingProxyType({})
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
    """One listing, and whether it was read to its end. Only a `complete` one can prove an absence."""

    name: str
    rows: int
    complete: bool
    proof: str
    seconds: float = 0.0


class Live(Struct, frozen=True, kw_only=True):
    """The live state of one instance at one moment, as the API showed it.

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
        """Return whether every listing proved its end and nothing readable was left out."""
        return not self.unreadable and all(listing.complete for listing in self.listings)

    @property
    def grants_of_others(self) -> int:
        """The number of grants beside our own, which a reading that lost all others would still show."""
        me = (self.me or "").casefold()
        return sum(1 for grant in self.access.grants() if grant.subject.name.casefold() != me)


class Unsettled(Struct, frozen=True, kw_only=True):
    """A change that was sent at that moment, and of which nobody knows whether it took place.

    `lost` is true where the answer was lost and looked for in vain, so that the write may still take effect; else the run
    was cut off before it could look.
    """

    before: Resource | None
    after: Resource | None
    sent: datetime
    lost: bool

    @property
    def change(self) -> Change:
        """The change that was sent."""
        return Change(self.before, self.after)


class Memory(Struct, frozen=True, kw_only=True):
    """The memory that the journal keeps of one instance.

    `accounts` are the logins met in an earlier run; `users` maps the handles declared in the last one to their
    login; `sites` and `grants` (but for our own) are the counts it saw. `last` is the access it left, by key, and `sends` maps
    the key of an invited grant to how often and when it was last sent. `me` is the account that the last run worked as.
    `unsettled` are changes of earlier runs that may have taken place since, or may still. `None` instead of a `Memory` means that there is no journal.
    """

    accounts: frozenset[str] = frozenset()
    users: Mapping[str, str] = MappingProxyType({})
    sites: int = 0
    grants: int = 0
    last: Access | None = None
    last_at: datetime | None = None
    sends: Mapping[Key, tuple[int, datetime]] = MappingProxyType({})
    me: str | None = None
    unsettled: tuple[Unsettled, ...] = ()


def account_names(
    live: Live, desired: Desired, memory: Memory | None, declared: Mapping[str, str | None] = MappingProxyType({})
) -> dict[str, str | None]:
    """Return every account name that is known of an instance, with the handle of the declared user behind it.

    They are the live ones, those that are wished for, those that the journal remembers, and those that the files
    speak of beside (`declared`, by the same rule).
    """
    last: Mapping[Key, object] = memory.last or {} if memory is not None else {}
    names = {name for key in (*live.access, *desired.access, *live.pending, *last) if (name := account_of(key))}
    names |= memory.accounts if memory is not None else frozenset()
    names |= {live.me} if live.me else set()
    known: dict[str, str | None] = {**dict.fromkeys(sorted(names)), **declared}
    return known | {name: user.handle for name, user in desired.declared_users.items()}


def with_defaults(desired: Desired, live: Live, traits: Traits) -> Access:
    """Return the wish in full: what the file leaves open is filled from the live access.

    Extras, e-mail and language that are not spoken of stay as they are, and an e-mail that differs in case
    only is the same one. A live role that cannot be declared stands, whatever is wished. Extras that are part
    of the role anyway are left out, as they are on the live side.
    """
    find = live.access.find
    settled: dict[Key, Resource] = {}
    for key, wish in desired.access.items():
        have = find(key)
        if wish is have:
            settled[key] = wish
            continue
        match wish:
            case Grant():
                settled[key] = _defaulted_grant(wish, have if isinstance(have, Grant) else None, traits)
            case Account():
                settled[key] = _defaulted_account(wish, have if isinstance(have, Account) else None, traits)
            case Group(external=None) if isinstance(have, Group):
                settled[key] = have
            case _:
                settled[key] = wish
    settled |= _defaulted_public(desired, live.access, traits)
    return Access.of(settled)


def _defaulted_grant(wish: Grant, have: Grant | None, traits: Traits) -> Grant:
    extras = wish.extras
    if have is not None and have.role == wish.role and (extras is None or have.extras == extras):
        return have
    if have is not None and not declarable(have, traits):
        return have
    if extras is None:
        extras = (have.extras if have is not None else None) or frozenset()
    part = frozenset(extra for extra in extras if wish.role in traits.included.get(extra, ())) if extras else extras
    if have is not None and have.role == wish.role and have.extras == extras - part:
        return have
    return wish if extras is wish.extras and not part else replace(wish, extras=extras - part)


def _defaulted_account(wish: Account, have: Account | None, traits: Traits) -> Account:
    if wish.email is None and wish.language is None and wish.renamed is None and have is not None:
        return have
    renamed = wish.renamed if traits.renames and wish.renamed != wish.name else None
    if have is None:
        email = wish.email if traits.keeps_email else None
        return replace(wish, email=email, renamed=None)
    keep = wish.email is None or not traits.keeps_email or wish.email.casefold() == (have.email or "").casefold()
    email = have.email if keep else wish.email
    language = have.language if wish.language is None else wish.language
    settled = replace(wish, email=email, language=language, renamed=renamed, status=have.status)
    return have if settled == have else settled


def _defaulted_public(desired: Desired, live: Access, traits: Traits) -> dict[Key, Resource]:
    if traits.public_account is None:
        return {}
    everybody = Subject("account", traits.public_account)
    weakest = {
        kind: next((role.name for role in roles if role.declarable), None) for kind, roles in traits.roles.items()
    }
    opened: dict[Key, Resource] = {}
    for scope, wish in desired.public.items():
        role = weakest.get(scope.kind)
        if wish and role is not None:
            key = grant_key(everybody, scope)
            opened[key] = live.get(key) or Grant(everybody, scope, role)
    return opened


OUTSIDE: frozenset[str | None] = frozenset({"contractor", "client", "vendor"})


def home_of(declared_users: Iterable[DeclaredUser]) -> frozenset[str]:
    """Return the e-mail domains of the house, from the addresses of its declared persons."""
    return home_domains(declared_user.email for declared_user in declared_users if declared_user.kind == "person")


def home_domains(emails: Iterable[str | None]) -> frozenset[str]:
    """Return the e-mail domains of the house, from the addresses of its declared persons.

    They are the most frequent one, and each that at least two of them and at least a fifth of them have.
    """
    domains = Counter(domain for email in emails if (domain := email_domain(email)))
    most = max(domains.values(), default=0)
    return frozenset(
        domain for domain, count in domains.items() if count == most or (count >= 2 and count * 5 >= domains.total())
    )


def email_domain(email: str | None) -> str | None:
    """Return the domain of an address, case-folded; `None` where there is none."""
    return email.rpartition("@")[2].casefold() if email and "@" in email else None


def is_external(kind: str | None, email: str | None, home: frozenset[str]) -> bool:
    """Return whether somebody is of another house: by kind, or by an e-mail domain that is none of `home`."""
    domain = email_domain(email)
    return kind in OUTSIDE or bool(domain and home and domain not in home)
