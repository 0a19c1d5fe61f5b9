"""The nouns: accounts, groups, members and grants, and the access that is made of them.

All power is a `Grant`: a superuser is a grant on the whole instance, a module switch a grant on a
module. A subject has at most one role on a scope, so the role is the value and not part of the key,
and raising somebody is an update that shows both roles.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from enum import IntEnum
from typing import Annotated, Final, Literal, TypeAlias, get_args

from msgspec import Struct

Key: TypeAlias = Annotated[tuple[str, ...], "the key of a resource"]
"""What tells a resource from all others: its kind and names, as many as `KEY_LENGTHS` says; read back it is checked."""
KEY_LENGTHS: Final[Mapping[str, int]] = {"account": 2, "group": 2, "member": 3, "scope": 3, "grant": 5}
Accounts: TypeAlias = Mapping[str, Mapping[str, str | None]]
"""Account names by instance, each with the handle of the declared user behind it, if there is one."""
SubjectKind = Literal["account", "group"]
Status = Literal["active", "pending", "expired", "suspended"]
PowerName = Literal["none", "view", "edit", "manage", "admin"]


class Power(IntEnum):
    """The power of a role, comparable across platforms; rules and limits judge this, never names."""

    NONE = 0
    VIEW = 1
    EDIT = 2
    MANAGE = 3
    ADMIN = 4

    @property
    def word(self) -> PowerName:
        """The name people write and read."""
        return _POWER_NAMES[self]


_POWER_NAMES: tuple[PowerName, ...] = get_args(PowerName)


class Subject(Struct, frozen=True, order=True):
    """The holder of a grant: an account or a group of the instance, by its canonical name there."""

    kind: SubjectKind
    name: str


class Scope(Struct, frozen=True, order=True):
    """The scope of a grant: `site`, `metasite`, `module`, `team`, or the whole `instance`.

    `name` is the label people know: a site's domain where that is unique on the instance, else
    `domain#id`. The platform's id stands beside it, in `Live.sites`.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return self.name if self.kind in {"site", "metasite"} else f"{self.kind} {self.name}".rstrip()


EVERYWHERE = Scope("instance")


class Account(Struct, frozen=True, eq=False):
    """An account on an instance.

    `name` is the login in the spelling and case the platform keeps. `email` and `language` are `None`
    where the platform has none or the declaration does not speak of them. `renamed` is the wanted new
    login (desired side only). `status` is never a difference of its own.
    """

    name: str
    email: str | None = None
    language: str | None = None
    renamed: str | None = None
    status: Status = "active"

    def __eq__(self, other: object) -> bool:
        return self._compared == other._compared if isinstance(other, Account) else NotImplemented

    def __ne__(self, other: object) -> bool:  # a struct brings its own, which would not ask __eq__
        return not self == other

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[str | None, ...]:
        return self.name, self.email, self.language, self.renamed

    @property
    def key(self) -> Key:
        """The key that tells this resource from all others of the instance."""
        return ("account", self.name)


class Group(Struct, frozen=True):
    """A group that lives on the platform itself; `external` names the directory that owns its members.

    `renamed` is the wanted new name (desired side only).
    """

    name: str
    external: str | None = None
    renamed: str | None = None

    @property
    def key(self) -> Key:
        """The key that tells this resource from all others of the instance."""
        return group_key(self.name)


class Member(Struct, frozen=True):
    """An account in a platform's own group."""

    group: str
    account: str

    @property
    def key(self) -> Key:
        """The key that tells this resource from all others of the instance."""
        return ("member", self.group, self.account)


class Grant(Struct, frozen=True):
    """A role of a subject on a scope, in the platform's native words.

    `extras` are rights that travel with the role (Matomo capabilities). `None`, on the desired side
    only, means that the declaration does not speak of them: the live ones are kept and sent again.
    """

    subject: Subject
    scope: Scope
    role: str
    extras: frozenset[str] | None = frozenset()

    @property
    def key(self) -> Key:
        """The key that tells this resource from all others of the instance."""
        return grant_key(self.subject, self.scope)


Resource: TypeAlias = Account | Group | Member | Grant


def grant_key(subject: Subject, scope: Scope) -> Key:
    """Return the key under which the grant of `subject` on `scope` stands, whether or not there is one."""
    return ("grant", subject.kind, subject.name, scope.kind, scope.name)


def account_key(name: str) -> Key:
    """Return the key of the account of that name."""
    return ("account", name)


def group_key(name: str) -> Key:
    """Return the key of the group of that name."""
    return ("group", name)


def account_of(key: Key) -> str | None:
    """Return the account a resource is about, or `None` for groups and what groups hold."""
    kind = key[0]  # asked for every grant there is, so no patterns are tried
    if kind == "grant":
        return key[2] if key[1] == "account" else None
    if kind == "account":
        return key[1]
    return key[2] if kind == "member" else None


def scope_key(scope: Scope) -> Key:
    """Return the key under which plans pin the platform's id of a scope."""
    return ("scope", scope.kind, scope.name)


def scope_of(key: Key) -> Scope | None:
    """Return the scope a grant key speaks of, or `None` for other resources."""
    return Scope(key[3], key[4]) if key[0] == "grant" else None


class Access(Mapping[Key, Resource]):
    """All access on one instance, by key. Two different values for one key are refused with `ValueError`."""

    __slots__ = ("_accounts", "_by_key", "_grants", "_members")

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        by_key: dict[Key, Resource] = {}
        for resource in resources:
            key = resource.key
            if by_key.setdefault(key, resource) is not resource and by_key[key] != resource:
                raise ValueError(f"two values for {key}: {by_key[key]} and {resource}")
        self._by_key = by_key
        self._accounts: tuple[Account, ...] | None = None
        self._members: tuple[Member, ...] | None = None
        self._grants: tuple[Grant, ...] | None = None

    @classmethod
    def of(cls, by_key: dict[Key, Resource]) -> Access:
        """Return an access that takes over `by_key`, whose keys are known to be its resources' own."""
        made = cls()
        made._by_key = by_key
        return made

    @property
    def find(self) -> Callable[[Key], Resource | None]:
        """The function that returns the resource under a key, or `None`, at the speed of a dictionary, for loops over all."""
        return self._by_key.get

    def to_dict(self) -> dict[Key, Resource]:
        """Return a new dictionary of the resources by key."""
        return self._by_key.copy()

    def __getitem__(self, key: Key) -> Resource:
        return self._by_key[key]

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def __eq__(self, other: object) -> bool:
        return self._by_key == other._by_key if isinstance(other, Access) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def items(self) -> ItemsView[Key, Resource]:
        """Return keys and resources."""
        return self._by_key.items()

    def values(self) -> ValuesView[Resource]:
        """Return the resources."""
        return self._by_key.values()

    def __repr__(self) -> str:
        return f"Access({len(self)} resources)"

    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts."""
        if self._accounts is None:
            self._accounts = tuple([resource for resource in self._by_key.values() if isinstance(resource, Account)])
        return self._accounts

    def grants(self) -> tuple[Grant, ...]:
        """Return the grants, of accounts and of groups."""
        if self._grants is None:
            self._grants = tuple([resource for resource in self._by_key.values() if isinstance(resource, Grant)])
        return self._grants

    def members(self) -> tuple[Member, ...]:
        """Return the memberships in the platform's own groups."""
        if self._members is None:
            self._members = tuple([resource for resource in self._by_key.values() if isinstance(resource, Member)])
        return self._members

    def grant(self, subject: Subject, scope: Scope) -> Grant | None:
        """Return the grant of `subject` on `scope`, if there is one."""
        found = self._by_key.get(grant_key(subject, scope))
        return found if isinstance(found, Grant) else None


def merge_accounts(accounts: Accounts, shown: Accounts) -> Accounts:
    """Return known accounts with those that something shows, whose handles count where both have an account."""
    return {name: {**accounts.get(name, {}), **shown.get(name, {})} for name in {**shown, **accounts}}
