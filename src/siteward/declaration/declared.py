"""The content of the files as frozen values with their places: after the grammar, before the meaning on an instance.

Every value has `at`, the place where it begins, and `location`, from which the places of its parts are found: the latter
is made where somebody asks, for there are a hundred thousand rows and few of them in error.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from msgspec import Struct

from siteward.access.known_names import KnownNames
from siteward.access.window import ALWAYS, Window
from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from siteward.access.api_key import ApiKey
    from siteward.access.diagnostic import Span
    from siteward.access.model import Accounts, Power
    from siteward.access.policy import Limit, Policy
    from siteward.access.state import Kind
    from siteward.declaration.selector import Selector
    from siteward.declaration.source import Path, Source

State = Literal["active", "suspended", "absent", "alumni"]
Onboarding = Literal["invite", "password"]
Manager = Literal["directory", "sso"]
EVERY = "*"
"""The instance name under which a setting for all instances stands."""


class Location(Struct, frozen=True, eq=False, gc=False):
    """A path in a file's data, from which the places of values and keys are looked up only when they are needed."""

    source: Source
    path: Path

    def at(self, *more: str | int) -> Span:
        """Return the place of the value, or of what is under it at `more`."""
        return self.source.at((*self.path, *more))

    def key(self, *more: str | int) -> Span:
        """Return the place of the key or list item, or of the one under it at `more`."""
        return self.source.key_at((*self.path, *more))


class Row(Struct, frozen=True, kw_only=True, gc=False):
    """A row of a file under its handle in a section; `at` is the place where it begins."""

    section: ClassVar[str]
    handle: str
    at: Span
    source: Source

    @property
    def location(self) -> Location:
        """Where the row stands, from which the places of its parts are found."""
        return Location(self.source, (self.section, self.handle))


class Instance(Struct, frozen=True, kw_only=True):
    """One installation.

    `self_account` is the account behind the credentials. `settings` is the platform's own struct, `None` where it was
    refused. `policy` is the file's with the instance's own laid over it. `manages` are the selectors of the sites in
    scope, `None` for all. `onboarding` is `None` for the platform's default. `native` makes groups of the file groups
    of the platform. `managed_by` is what makes and changes its accounts, where that is not Siteward. `closed` says that nobody looks at any site without an account (`public: false`).
    """

    name: str
    platform: str
    url: str
    self_account: str | None
    settings: Struct | None
    policy: Policy
    manages: tuple[Selector, ...] | None = None
    ca_file: str | None = None
    onboarding: Onboarding | None = None
    managed_by: Manager | None = None
    native: bool = False
    closed: bool = False
    at: Span
    location: Location


class Site(Row, frozen=True, kw_only=True, gc=False):
    """A declared site.

    `pins` are its ids by instance. `only` are the instances it is on, `None` for wherever it is live. `public` is the
    wanted public access by instance; `EVERY` stands for the others. `owner` are users and groups.
    """

    section = "sites"
    domain: str
    name: str | None = None
    tags: frozenset[str] = frozenset()
    pins: Mapping[str, str] = MappingProxyType({})
    only: frozenset[str] | None = None
    public: Mapping[str, bool] = MappingProxyType({})
    owner: tuple[str, ...] = ()

    def may_be_on(self, instance: str) -> bool:
        """Return whether the file lets the site be on an instance."""
        return self.only is None or instance in self.only

    def opened(self, instance: str) -> bool | None:
        """Return whether everybody may see it on an instance; `None` where the file does not say."""
        return self.public.get(instance, self.public.get(EVERY))

    def public_at(self, instance: str) -> Span:
        """Return the place that says whether it is `opened` there: that of the instance, or of all."""
        return self.location.at("public", *((instance,) if instance in self.public else ()))


class User(Row, frozen=True, kw_only=True, gc=False):
    """A declared person or service.

    `id` is the directory's. `attests` are the moments since which the person has what the names say. `also` is access
    elsewhere, in words. `bound` is that of the including file's grants, if the user stands in a file that has one.
    `logins`, `ids`, `states`, `managed_by` and `modules` are by instance; in `states` and `managed_by` `EVERY` stands for
    the others. `accounts` are the instances where an account is wanted even without a grant. `previously` are former handles, logins and e-mails.
    `listed_logins` are what the directory calls the person, by the instances whose accounts it makes.
    """

    section = "users"
    email: str | None = None
    name: str | None = None
    id: str | None = None
    kind: Kind = "person"
    tags: frozenset[str] = frozenset()
    logins: Mapping[str, str] = MappingProxyType({})
    listed_logins: Mapping[str, str] = MappingProxyType({})
    ids: Mapping[str, str] = MappingProxyType({})
    states: Mapping[str, State] = MappingProxyType({})
    managed_by: Mapping[str, Manager] = MappingProxyType({})
    window: Window = ALWAYS
    accounts: tuple[str, ...] = ()
    previously: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    language: str | None = None
    owner: str | None = None
    ticket: str | None = None
    reason: str | None = None
    age: str | None = None
    forge: Mapping[str, str] = MappingProxyType({})
    keys: tuple[ApiKey, ...] = ()
    also: tuple[str, ...] = ()
    attests: Mapping[str, datetime] = MappingProxyType({})
    bound: Bound | None = None

    @property
    def named_logins(self) -> Mapping[str, str]:
        """The logins that are not the handle, by instance: those of the file go before those of the directory."""
        return {**self.listed_logins, **self.logins} if self.listed_logins else self.logins

    @property
    def left(self) -> bool:
        """True if the user has left for good."""
        return self.states.get(EVERY) == "alumni"

    def state(self, instance: str) -> State:
        """Return the state on one instance."""
        return self.states.get(instance) or self.states.get(EVERY, "active")

    def manager(self, instance: Instance) -> Manager | None:
        """Return what makes and changes the account on an instance; `None` for Siteward. The user's own word comes first."""
        return self.managed_by.get(instance.name) or self.managed_by.get(EVERY) or instance.managed_by


class Member(Struct, frozen=True):
    """A user or group in a group, for a time; or, where `excludes`, one that is taken out of it.

    `by` says by what the group took it in by itself (`tag lead`); `None` for a member that is written.
    """

    name: str
    window: Window = ALWAYS
    excludes: bool = False
    ticket: str | None = None
    reason: str | None = None
    by: str | None = None


class Intake(Struct, frozen=True):
    """Whom a group takes in by itself: `all` people or members, all users of a `kind` or with a `tag`, a `directory`'s.

    `value` is the word, kind, tag or directory; `group` is the group in the directory. `path` leads to it in the row.
    """

    by: Literal["all", "kind", "tag", "directory"]
    value: str
    group: str | None = None
    path: Path = ("from",)


class Group(Row, frozen=True, kw_only=True, gc=False):
    """A declared group. A directory beside the platform owns the members of an `external` one.

    `intakes` say whom it takes in by itself; these are among its `members`, once it is loaded. `owner` are the users and groups that answer for it.
    `previously` are former names; `bound` is that of the including file's grants, if there is one.
    """

    section = "groups"
    members: tuple[Member, ...] = ()
    intakes: tuple[Intake, ...] = ()
    native: str | None = None
    external: bool = False
    owner: tuple[str, ...] = ()
    description: str | None = None
    ticket: str | None = None
    previously: tuple[str, ...] = ()
    bound: Bound | None = None

    def member_path(self, number: int) -> Path:
        """Return the path of a member in the file's data; that of the word itself where one stands without a list."""
        path: Path = self.location.path
        written = cast("Table", self.source.data["groups"])[self.handle]
        if isinstance(written, Table):
            path, written = (*path, "members"), written["members"]
        return (*path, number) if isinstance(written, Items) else path


class RoleOn(Struct, frozen=True):
    """A declared role on one platform: a portable or native name, and extras, `None` where the role gives none."""

    role: str
    extras: frozenset[str] | None = None


class Role(Row, frozen=True, kw_only=True, gc=False):
    """A declared role, by platform."""

    section = "roles"
    on: Mapping[str, RoleOn]


class Ldap(Struct, frozen=True, kw_only=True):
    """A server of directory entries, whom it is asked for, and the attributes of an entry by what a user needs."""

    url: str
    base: str
    filter: str
    map: Mapping[str, str]


class Directory(Struct, frozen=True, kw_only=True):
    """A directory of people: a `file`, relative to the root file, or an `ldap` server.

    `written` is the included file that its people are written to, as the root file has its path. `shrink` is how many people may be gone from one listing to the next. A complete listing holds `at_least` so many
    people, and the `witnesses` among them.
    """

    name: str
    file: str | None = None
    written: str | None = None
    ldap: Ldap | None = None
    shrink: Limit | None = None
    at_least: int | None = None
    witnesses: tuple[str, ...] = ()
    at: Span
    location: Location


class Bound(Struct, frozen=True, kw_only=True):
    """The bounds of an included file: the sites it may grant on (`None`: all), and the most power (`None`: any)."""

    sites: tuple[Selector, ...] | None
    at_most: Power | None
    at: Span


class Grant(Struct, frozen=True, kw_only=True, gc=False):
    """One entry of `grants`. Without `sites` and `metasites` its role is the account's.

    `on` is `None` for all instances; `extras` are `None` where the grant gives none; `bound` is the including file's.
    `number` is its place in the list of `source`.
    """

    to: tuple[str, ...]
    role: str
    sites: tuple[str, ...] = ()
    metasites: tuple[str, ...] = ()
    on: tuple[str, ...] | None = None
    window: Window = ALWAYS
    extras: frozenset[str] | None = None
    ticket: str | None = None
    reason: str | None = None
    bound: Bound | None = None
    at: Span
    source: Source
    number: int

    @property
    def location(self) -> Location:
        """Where the entry stands, from which the places of its parts are found."""
        return Location(self.source, ("grants", self.number))

    @property
    def for_account(self) -> bool:
        """Return whether it grants an account role."""
        return not self.sites and not self.metasites

    def named(self, kind: str) -> tuple[str, ...]:
        """Return the selectors for one kind of scope."""
        if kind == "site":
            return self.sites
        return self.metasites if kind == "metasite" else ()

    def reaches(self, instance: str) -> bool:
        """Return whether it may grant something on that instance."""
        return self.on is None or instance in self.on


class LostLine(Struct, frozen=True, kw_only=True):
    """A line of `grants` that does not fit the grammar: the names in it that can be read, and the place of the error.

    `whole` is true if all names after `to` could be read; `sites` and `on` are `None` where nothing is said or legible.
    """

    to: tuple[str, ...]
    whole: bool
    sites: tuple[str, ...] | None
    on: tuple[str, ...] | None
    at: Span


class Faults(Struct, frozen=True, kw_only=True):
    """The rows in error, by handle, each with the place of an error in it.

    `lines` has the lines of `grants` by their own place; `lost` are those that do not fit the grammar.
    """

    users: Mapping[str, Span] = MappingProxyType({})
    groups: Mapping[str, Span] = MappingProxyType({})
    sites: Mapping[str, Span] = MappingProxyType({})
    roles: Mapping[str, Span] = MappingProxyType({})
    lines: Mapping[Span, Span] = MappingProxyType({})
    lost: tuple[LostLine, ...] = ()


NO_FAULTS = Faults()


class Declaration(Struct, frozen=True, kw_only=True):
    """All files together, by handle or name.

    `journal_dir` is relative to the root file's folder. `timezone` is where days begin and end. `former_names` are, by
    host, the names (handles, tags) that the revision judged against has for sites. `faults` are the rows in error.
    """

    instances: Mapping[str, Instance]
    sites: Mapping[str, Site] = MappingProxyType({})
    users: Mapping[str, User] = MappingProxyType({})
    groups: Mapping[str, Group] = MappingProxyType({})
    roles: Mapping[str, Role] = MappingProxyType({})
    directories: Mapping[str, Directory] = MappingProxyType({})
    grants: tuple[Grant, ...] | None = None
    journal_dir: str = ".siteward"
    timezone: tzinfo
    root: Span
    former_names: Mapping[str, frozenset[str]] = MappingProxyType({})
    faults: Faults = NO_FAULTS

    def accounts(self) -> Accounts:
        """Return the account names that the files mention, by instance, with the handle of the user behind each.

        These are logins, former logins and addresses of users, and the account that Siteward itself uses.
        """
        return KnownNames(self.instances, self._accounts_on)

    def _accounts_on(self, instance: str) -> dict[str, str | None]:
        """Return the account names that the files mention for one instance."""
        own = self.instances[instance].self_account
        known: dict[str, str | None] = {own: None} if own else {}
        for user in self.users.values():
            logins = (user.named_logins.get(instance), user.email, *user.previously, user.handle)
            known |= {login: user.handle for login in logins if login}
        return known
