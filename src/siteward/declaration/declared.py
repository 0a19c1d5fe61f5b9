"""What the files declare, as frozen values that know where they stand. The grammar is behind, the meaning ahead."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.declaration.window import ALWAYS, Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from siteward.access.diagnostic import Span
    from siteward.access.model import Power
    from siteward.access.policy import Policy
    from siteward.access.state import Kind
    from siteward.declaration.selector import Selector
    from siteward.declaration.source import Path, Source

State = Literal["active", "suspended", "absent"]
Onboarding = Literal["invite", "password"]
EVERY = "*"
"""The instance name under which a setting for all instances stands."""


class Location(Struct, frozen=True, eq=False):
    """A way to places in a file that costs nothing until it is gone."""

    source: Source
    path: Path

    def at(self, *more: str | int) -> Span:
        """Return the place of the value, or of what is under it at `more`."""
        return self.source.at((*self.path, *more))

    def key(self, *more: str | int) -> Span:
        """Return the place of the key or item, or of one under it."""
        return self.source.key_at((*self.path, *more))


class Instance(Struct, frozen=True, kw_only=True):
    """One installation. `settings` is the platform's own struct, validated; `policy` is what holds here.

    `self_account` is the account behind the credentials. `manages` are the selectors of the sites that are
    looked at, `None` for all. `onboarding` is `None` for the platform's own way. `native` lets groups of the
    file be groups of the platform.
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
    native: bool = False
    at: Span
    location: Location


class Site(Struct, frozen=True, kw_only=True):
    """A declared site: `pins` are its ids by instance, `only` the instances it is on, `public` the wish by instance."""

    handle: str
    domain: str
    name: str | None = None
    tags: frozenset[str] = frozenset()
    pins: Mapping[str, str] = MappingProxyType({})
    only: frozenset[str] | None = None
    public: Mapping[str, bool] = MappingProxyType({})
    at: Span
    location: Location


class User(Struct, frozen=True, kw_only=True):
    """A declared person or service. `states` and `modules` are by instance; `EVERY` stands for the others."""

    handle: str
    email: str | None = None
    name: str | None = None
    kind: Kind = "person"
    logins: Mapping[str, str] = MappingProxyType({})
    states: Mapping[str, State] = MappingProxyType({})
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
    at: Span
    location: Location

    def state(self, instance: str) -> State:
        """Return the state on one instance."""
        return self.states.get(instance) or self.states.get(EVERY, "active")


class Member(Struct, frozen=True):
    """A user or group in a group, for a time; or, where `excludes`, one that is taken out of it."""

    name: str
    window: Window = ALWAYS
    excludes: bool = False


class Group(Struct, frozen=True, kw_only=True):
    """A declared group. `external` groups have their members from a directory beside the platform."""

    handle: str
    members: tuple[Member, ...] = ()
    native: str | None = None
    external: bool = False
    at: Span
    location: Location


class RoleOn(Struct, frozen=True):
    """What a declared role means on one platform: a portable or native name, and extras (`None`: not spoken of)."""

    role: str
    extras: frozenset[str] | None = None


class Role(Struct, frozen=True, kw_only=True):
    """A declared role: its meaning by platform."""

    handle: str
    on: Mapping[str, RoleOn]
    at: Span
    location: Location


class Bound(Struct, frozen=True, kw_only=True):
    """What an included file may grant: on which sites (`None`: all), and how much power (`None`: any)."""

    sites: tuple[Selector, ...] | None
    at_most: Power | None
    at: Span


class Grant(Struct, frozen=True, kw_only=True):
    """One line of `grants`. Without `sites` and `metasites` it is about the account itself."""

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
    location: Location

    @property
    def for_account(self) -> bool:
        """Tell whether it grants an account role."""
        return not self.sites and not self.metasites

    def reaches(self, instance: str) -> bool:
        """Tell whether it may grant something on that instance."""
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


class Flaws(Struct, frozen=True, kw_only=True):
    """The rows in error, by handle, each with the place of an error in it.

    `lines` has the lines of `grants` by their own place; `lost` are those that do not fit the grammar.
    """

    users: Mapping[str, Span] = MappingProxyType({})
    groups: Mapping[str, Span] = MappingProxyType({})
    sites: Mapping[str, Span] = MappingProxyType({})
    roles: Mapping[str, Span] = MappingProxyType({})
    lines: Mapping[Span, Span] = MappingProxyType({})
    lost: tuple[LostLine, ...] = ()


NO_FLAWS = Flaws()


class Declaration(Struct, frozen=True, kw_only=True):
    """All files together. `grants` is `None` where no file has the key: then nothing is managed.

    `journal_dir` is relative to the root file's folder. `timezone` is where days begin and end. `former_names` are, by
    host, the names (handles, tags) that the revision judged against has for sites. `flaws` are the rows in error.
    """

    instances: Mapping[str, Instance]
    sites: Mapping[str, Site] = MappingProxyType({})
    users: Mapping[str, User] = MappingProxyType({})
    groups: Mapping[str, Group] = MappingProxyType({})
    roles: Mapping[str, Role] = MappingProxyType({})
    grants: tuple[Grant, ...] | None = None
    grants_at: Span | None = None
    journal_dir: str = ".siteward"
    timezone: tzinfo
    root: Span

    def accounts(self) -> dict[str, dict[str, str | None]]:
        """Return the account names that the files speak of by instance, with the handle of the user behind each.

        These are logins, former logins and addresses of users, and the account that Siteward itself uses.
        """
        found: dict[str, dict[str, str | None]] = {}
        for name, instance in self.instances.items():
            known: dict[str, str | None] = {instance.self_account: None} if instance.self_account else {}
            for user in self.users.values():
                logins = (user.logins.get(name), user.email, *user.previously, *user.accounts, user.handle)
                known |= {login: user.handle for login in logins if login}
            found[name] = known
        return found

    former_names: Mapping[str, frozenset[str]] = MappingProxyType({})
    flaws: Flaws = NO_FLAWS
