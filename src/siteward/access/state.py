"""The desired and the live state of one instance, the journal's memory of it, and the defaulting of the desired one.

The desired state comes with the origins of its grants, the live one with ids and the proof that it is complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import ApiKey, LiveKey
from siteward.access.diagnostic import Diagnostic, Span
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Grants,
    Group,
    Key,
    Member,
    Resource,
    Scope,
    Subject,
    account_key,
    differing,
)
from siteward.access.traits import Traits, declarable
from siteward.access.window import Window

if TYPE_CHECKING:
    from siteward.access.change import Change

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


BETWEEN = "; "
"""The text between two tickets, or two reasons: a membership's, a user's, then a grant's."""


def joined(*texts: str | None) -> str | None:
    """Return all texts in one, in their order and each once; `None` where there is none."""
    if not any(texts):  # as nearly always
        return None
    parts = [part for text in texts if text for part in text.split(BETWEEN)]
    return BETWEEN.join(dict.fromkeys(parts)) or None


def through(origin: Origin, membership: Origin | None) -> Origin:
    """Return the origin of a grant to a group with the ticket and reason of the membership before its own."""
    if membership is None or (membership.ticket is None and membership.reason is None):
        return origin
    return replace(
        origin,
        ticket=joined(membership.ticket, origin.ticket),
        reason=joined(membership.reason, origin.reason),
    )


class Ended(NamedTuple):
    """How something that the file names is over or not yet due, the place that says so, and what its rows say why.

    `end` is the last moment at which a line gave it, where there is one.
    """

    how: Ending
    at: Span
    ticket: str | None = None
    reason: str | None = None
    end: datetime | None = None

    def tells_more(self, other: Ended) -> bool:
        """Return whether this, and not what another line says of the same, is why it is over: the last end is."""
        return self.end is not None and (other.end is None or self.end > other.end)


class Timed(Protocol):
    """Something that holds in a window of time."""

    @property
    def window(self) -> Window:
        """The window in which it holds."""


Memberships: TypeAlias = Mapping[str, Mapping[str, Sequence[Timed]]]
"""The ways to the users of each declared group, by group and handle, each with the time in which it holds."""


class DeclaredUser(Struct, frozen=True):
    """The declared user behind an account of one instance, as guards and rules need it.

    `account_id` is the platform's id of the account, where the file names it (`ids`). `managed` is true where a directory
    or sign-on makes and changes the account (`managed_by`). `attests` has the moments since which the user has something.
    `keys` are those that the file lists for the instance.
    """

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
    account_id: str | None = None
    managed: bool = False
    attests: Mapping[str, datetime] = MappingProxyType({})
    keys: tuple[ApiKey, ...] = ()

    @property
    def may_be_remade(self) -> bool:
        """True if another account under the same login may be the user's: its maker makes accounts anew, and no id is named."""
        return self.managed and self.account_id is None


class Claim(Struct, frozen=True):
    """The right that one line of the file asks for, where several ask for the same key or another right includes it.

    `ends` is true if the line or each way to it has an end, so that what it gives is over one day.
    """

    wish: Grant | Member
    origin: Origin
    ends: bool


class Held(Struct, frozen=True, kw_only=True):
    """The accounts, groups and scopes of which nothing is taken, because a row of the file that may name them is in error.

    Each comes with the place of that error. `users` are the accounts whose own row is in error: they gain nothing either.
    `everything` is set where it cannot be told at all whom a row names.
    """

    accounts: Mapping[str, Span] = MappingProxyType({})
    groups: Mapping[str, Span] = MappingProxyType({})
    scopes: Mapping[Scope, Span] = MappingProxyType({})
    users: frozenset[str] = frozenset()
    everything: Span | None = None

    def cause(self, key: Key) -> Span | None:
        """Return the place of the error that keeps the resource of that key from being taken, if there is one."""
        match key:
            case ("account", name):
                found = self.accounts.get(name)
            case ("group", name):
                found = self.groups.get(name)
            case ("member", group, name):
                found = self.accounts.get(name) or self.groups.get(group)
            case ("grant", kind, name, scope_kind, scope_name):
                subjects = self.groups if kind == "group" else self.accounts
                found = subjects.get(name) or self.scopes.get(Scope(scope_kind, scope_name))
            case _:
                found = None
        return found or self.everything


NOTHING_HELD = Held()


class Desired(Struct, frozen=True, kw_only=True):
    """The desired state of one instance at one moment, by the declaration.

    `access` is the wished access, `origins` gives its reasons by key. `declared_users` maps each account name that a
    declared user resolves to (also the suspended, absent and left ones) to that user. `ended` holds, by key, the
    grants that the file itself ends, with the place; mode add-only takes no others. `subsumed` holds, by key, the
    origins of grants that another right includes. `managed` are the live scopes that `manages` selects; `None` where
    the file has no `grants` key at all, so that nothing is managed. `public` maps a site to whether the
    file opens it to everybody; `closed_at` are the places that close a site, `closed` the one that closes the instance.
    `modules` are the accounts whose module switches the file mentions; those of others are left alone.
    `claims` are, by key, the single lines where several contribute to one origin; `names` are the handles, domains
    and tags (`tag:x`) that the file has for live sites.
    `renamed` maps the login that the file has for a user to that of the same account on the server, where these differ.
    `memberships` are the times in which users are in declared groups.
    `awaited` has, by key, the origins of grants that wait for an account which a directory or sign-on has yet to make.
    `empty` is true if the file says `grants: []`, which takes an extra consent. `flawed` is true if a
    row of the file is in error, or asks for what is not here; `held` is what such a row holds. `beyond` has, by key, the
    errors on taking what lies beyond the bounds of the file that declares its account.
    """

    access: Access
    origins: Mapping[Key, Origin] = MappingProxyType({})
    declared_users: Mapping[str, DeclaredUser] = MappingProxyType({})
    ended: Mapping[Key, Ended] = MappingProxyType({})
    managed: frozenset[Scope] | None = frozenset()
    public: Mapping[Scope, bool] = MappingProxyType({})
    closed_at: Mapping[Scope, Span] = MappingProxyType({})
    closed: Span | None = None
    subsumed: Mapping[Key, Origin] = MappingProxyType({})
    modules: frozenset[str] = frozenset()
    claims: Mapping[Key, tuple[Claim, ...]] = MappingProxyType({})
    names: Mapping[Scope, frozenset[str]] = MappingProxyType({})
    renamed: Mapping[str, str] = MappingProxyType({})
    memberships: Memberships = MappingProxyType({})
    awaited: Mapping[Key, Origin] = MappingProxyType({})
    empty: bool = False
    flawed: bool = False
    held: Held = NOTHING_HELD
    beyond: Mapping[Key, Diagnostic] = MappingProxyType({})
    diagnostics: tuple[Diagnostic, ...] = ()

    def ending(self, key: Key) -> Ending | None:
        """Return how the file itself names something as over or not yet due; `None` where it does not."""
        ended = self.ended.get(key)
        return ended.how if ended is not None else None


class Site(Struct, frozen=True, kw_only=True):
    """A live site (or meta site) as selectors see it.

    `label` is the scope's name. `domains` are all hosts it answers for, lower-cased in IDNA; `group` is
    Matomo's site group. `by_id_only` is true where the name does not prove whose site this is (Umami sites that
    belong to somebody else, or to nobody); `owner` is the account that owns it.
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
    """The live state of one instance at one moment, as read through the API.

    `ids` maps the key of an account, group or other object to the platform's own id; `sites` has those of
    the scopes. `pending` are keys that are there but wait for acceptance (an invitation): an equal role is no
    difference. `facts` are texts about a resource that reviews show (`created`, `last_seen`, `owns`).
    `open` has those of the `findings` that say by what else than grants a site is open to everybody, by site.
    `keys` are the keys that the platform shows: all of them, unless `Traits.keys_unseen` says why it does not.
    `native` is the adapter's own state, which the core never reads.
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
    open: Mapping[Scope, tuple[Diagnostic, ...]] = MappingProxyType({})
    keys: tuple[LiveKey, ...] = ()
    native: object = None

    @property
    def complete(self) -> bool:
        """True if every listing was read to its proven end and nothing readable was left out."""
        return not self.unreadable and all(listing.complete for listing in self.listings)

    def is_self(self, account: str | None) -> bool:
        """Return whether an account is the one in use; in doubt it is, so letter case is not looked at."""
        return self.me is not None and account is not None and account.casefold() == self.me.casefold()

    @property
    def grants_of_others(self) -> int:
        """The number of grants of accounts other than the one in use, which even a faulty reading would show."""
        return sum(1 for grant in self.access.grants() if not self.is_self(grant.subject.name))


class Record(Struct, frozen=True, kw_only=True):
    """The last run on an instance that carried out a whole plan: the moment it was for, and the files it was made from.

    `commit` is `None` where it is not known, or where the files differed from it.
    """

    as_of: datetime
    commit: str | None = None
    config_digest: str = ""


class Unsettled(Struct, frozen=True, kw_only=True):
    """A change that was sent at that moment, and of which it is not known whether it took place.

    `lost` is true where the answer was lost and reading did not show the change, so that the write may still take effect;
    else the run was cut off before it could read.
    """

    before: Resource | None
    after: Resource | None
    sent: datetime
    lost: bool

    @property
    def change(self) -> Change:
        """The change that was sent."""
        from siteward.access.change import Change  # noqa: PLC0415 — checking a file needs no changes

        return Change(self.before, self.after)


class Memory(Struct, frozen=True, kw_only=True):
    """The memory that the journal keeps of one instance.

    `accounts` are the logins met in an earlier run; `users` maps the handles declared in the last one to their
    login; `sites` and `grants` (without our own) are the counts it saw. `last` is the access it left, and `sends` maps
    the key of an invited grant to how often and when it was last sent. `me` is the account that the last run worked as.
    `identities` are the platform's ids by login, of known accounts and of those that had the login last; `renamed` maps
    logins that the file still has to those of the same accounts on the server.
    `blank` is true where no run has changed or confirmed anything yet, so that it knows nobody.
    `completed` is the last run of a whole plan, `dates_as_of` the newest moment whose dates a run has carried out,
    `newest_as_of` the newest moment that any run was for.
    `unsettled` are changes of earlier runs that may have taken place since, or may still.
    `None` instead of a `Memory` means that there is no journal.
    """

    accounts: frozenset[str] = frozenset()
    users: Mapping[str, str] = MappingProxyType({})
    identities: Mapping[str, str] = MappingProxyType({})
    renamed: Mapping[str, str] = MappingProxyType({})
    sites: int = 0
    grants: int = 0
    last: Access | None = None
    last_at: datetime | None = None
    sends: Mapping[Key, tuple[int, datetime]] = MappingProxyType({})
    me: str | None = None
    blank: bool = False
    completed: Record | None = None
    dates_as_of: datetime | None = None
    newest_as_of: datetime | None = None
    unsettled: tuple[Unsettled, ...] = ()

    @property
    def declared_ids(self) -> Mapping[str, str]:
        """The platform's ids of the accounts of declared users, by login."""
        return {login: self.identities[login] for login in self.users.values() if login in self.identities}


def with_defaults(desired: Desired, live: Live, traits: Traits) -> tuple[Access, Grants]:
    """Return the desired access with the attributes that the file leaves open taken from the live access.

    The second are those of its grants that may not be as they are live, for `diff`. Extras, e-mail and language that the
    file does not mention stay as they are, and an e-mail that differs in case only is the same one. A live role that
    cannot be declared stays, whatever is wished. Extras that are part of the role are left out, as on the live side.
    """
    find = live.access.find
    others = {key: _default_other(wish, find(key), traits) for key, wish in desired.access.of_others()}
    held, apart = dict[Subject, dict[Scope, Grant]](), dict[Subject, dict[Scope, Grant]]()
    for subject, wishes in desired.access.by_subject():
        have = live.access.rights(subject)
        if wishes == have:  # of a million rights as wished, 0.1 s in all: the same grants are compared by identity
            held[subject] = have
            continue
        news = {scope: _default_grant(wish, have.get(scope), traits) for scope, wish in differing(wishes, have)}
        same = len(wishes) == len(have) and not any(differing(news, have))
        held[subject], apart[subject] = (have, {}) if same else ({**wishes, **news} if news else wishes, news)
    if opened := _default_public(desired, live.access, traits):
        subject = next(iter(opened.values())).subject
        held[subject] = {**held.get(subject, {}), **opened}
        apart[subject] = {**apart.get(subject, {}), **opened}
    return Access.held_by(held, others), apart  # its order tells nothing: differences are sorted


def _default_other(wish: Resource, have: Resource | None, traits: Traits) -> Resource:
    """Return a wish for what is no grant with the attributes that the file leaves open."""
    match wish:
        case Account():
            return _default_account(wish, have if isinstance(have, Account) else None, traits)
        case Group():
            return _default_group(wish, have if isinstance(have, Group) else None, traits)
        case _:
            return wish


def _default_grant(wish: Grant, have: Grant | None, traits: Traits) -> Grant:
    extras = wish.extras
    if have is None and not extras:
        return wish if extras is not None else Grant(wish.subject, wish.scope, wish.role)
    if have is not None and have.role == wish.role and (extras is None or have.extras == extras):
        return have
    if have is not None and not declarable(have, traits):
        return have
    if extras is None:
        extras = (have.extras if have is not None else None) or frozenset()
    if included := [extra for extra in extras if wish.role in traits.included.get(extra, ())]:
        extras = extras.difference(included)
    if have is not None and have.role == wish.role and have.extras == extras:
        return have
    return wish if extras is wish.extras else replace(wish, extras=extras)


def _default_account(wish: Account, have: Account | None, traits: Traits) -> Account:
    if wish.email is None and wish.language is None and wish.renamed is None and have is not None:
        return have
    renamed = wish.renamed if traits.renames and wish.renamed != wish.name else None
    if have is None:
        email = wish.email if traits.keeps_email else None
        return replace(wish, email=email, renamed=None)
    keep = wish.email is None or not traits.keeps_email or wish.email.casefold() == (have.email or "").casefold()
    email = have.email if keep else wish.email
    language = have.language if wish.language is None else wish.language
    completed = replace(wish, email=email, language=language, renamed=renamed, status=have.status)
    return have if completed == have else completed


def _default_group(wish: Group, have: Group | None, traits: Traits) -> Group:
    renamed = wish.renamed if traits.renames_groups and have is not None else None
    external = wish.external if have is None or wish.external is not None else have.external
    return Group(wish.name, external, renamed)


def _default_public(desired: Desired, live: Access, traits: Traits) -> dict[Scope, Grant]:
    """Return the public account's grants for the sites that the file opens: the live one, else the weakest role."""
    if traits.public_account is None:
        return {}
    everybody = Subject("account", traits.public_account)
    weakest = {
        kind: next((role.name for role in roles if role.declarable), None) for kind, roles in traits.roles.items()
    }
    opened: dict[Scope, Grant] = {}
    for scope, wish in desired.public.items():
        role = weakest.get(scope.kind)
        if wish and role is not None:
            opened[scope] = live.grant(everybody, scope) or Grant(everybody, scope, role)
    return opened


OUTSIDE: frozenset[str | None] = frozenset({"contractor", "client", "vendor"})
"""The kinds of users that are external."""


def home_of(declared_users: Iterable[DeclaredUser]) -> frozenset[str]:
    """Return the own e-mail domains of the organisation, from the addresses of its declared persons."""
    return home_domains(declared_user.email for declared_user in declared_users if declared_user.kind == "person")


def home_domains(emails: Iterable[str | None]) -> frozenset[str]:
    """Return the own e-mail domains of the organisation, from the addresses of its persons.

    These are the most frequent one, and each that at least two addresses and at least a fifth of them have.
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
    """Return whether a user is external: by kind, or by an e-mail domain that is not in `home`."""
    domain = email_domain(email)
    return kind in OUTSIDE or bool(domain and home and domain not in home)


def id_of(name: str, live: Live) -> str | None:
    """Return the platform's id of a live account, `None` where it shows none."""
    return live.ids.get(account_key(name))


def is_same(first: str, second: str) -> bool:
    """Return whether two texts are the same id; the file may spell one in another letter case."""
    return fold_id(first) == fold_id(second)


def fold_id(text: str) -> str:
    """Return an id in the form in which two are compared."""
    return text.strip().casefold()
