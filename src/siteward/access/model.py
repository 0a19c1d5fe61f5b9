"""The nouns: accounts, groups, members and grants, and the access that is made of them.

All power is a `Grant`: a superuser is a grant on the whole instance, a module switch a grant on a
module. A subject has at most one role on a scope, so the role is the value and not part of the key,
and raising somebody is an update that shows both roles.
"""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from enum import IntEnum
from itertools import chain, compress
from operator import is_not
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast, get_args

from msgspec import Struct

Key: TypeAlias = Annotated[tuple[str, ...], "the key of a resource"]
"""What tells a resource from all others: its kind and names, as many as `KEY_LENGTHS` says; read back it is checked."""
KEY_LENGTHS: Final[Mapping[str, int]] = {"account": 2, "group": 2, "member": 3, "scope": 3, "grant": 5}
Accounts: TypeAlias = Mapping[str, Mapping[str, str | None]]
"""Account names by instance, each with the handle of the declared user behind it, if there is one."""
SubjectKind = Literal["account", "group"]
Status = Literal["active", "pending", "expired", "suspended"]
PowerName = Literal["none", "view", "edit", "manage", "admin"]


NO_EXTRAS: Final[frozenset[str]] = frozenset()
"""The extras of nearly all grants, shared: Python makes an empty set of 216 bytes anew each time that one is asked for."""
K = TypeVar("K")
V = TypeVar("V")


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


class Subject(Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """The holder of a grant: an account or a group of the instance, by its canonical name there."""

    kind: SubjectKind
    name: str


class Scope(Struct, frozen=True, order=True, cache_hash=True, gc=False):
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


class Grant(Struct, frozen=True, gc=False):
    """A role of a subject on a scope, in the platform's native words.

    `extras` are rights that travel with the role (Matomo capabilities). `None`, on the desired side
    only, means that the declaration does not speak of them: the live ones are kept and sent again.
    """

    subject: Subject
    scope: Scope
    role: str
    extras: frozenset[str] | None = NO_EXTRAS

    @property
    def key(self) -> Key:
        """The key that tells this resource from all others of the instance."""
        return grant_key(self.subject, self.scope)

    @property
    def listed_extras(self) -> tuple[str, ...] | None:
        """The extras in their order, as documents have them; `()` where there are none, the same one each time."""
        extras = self.extras
        return tuple(sorted(extras)) if extras else () if extras is not None else None


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


Grants: TypeAlias = Mapping[Subject, Mapping[Scope, Grant]]
"""The grants of subjects, by scope."""
Block: TypeAlias = tuple[Subject, Collection[Scope]]
"""A subject, and scopes on which it has something."""


class ByKey(Mapping[Key, V]):
    """Values by the keys of resources, of which those of grants stand by subject and scope.

    One subject's are a small dictionary, so that what a group gives a thousand people is found, shared and compared a subject
    at a time: a million rights in one dictionary by whole keys took 4.0 s from the file to the plan, and this a quarter.
    """

    __slots__ = ("_held", "_others", "_sequence")

    def __init__(
        self, others: dict[Key, V], held: dict[Subject, dict[Scope, V]], sequence: Sequence[Block] | None = None
    ) -> None:
        """Take over the values of other keys, and those of grants; `sequence` is the order of these, if it is another."""
        self._others = others
        self._held = held
        self._sequence = sequence

    @classmethod
    def of(cls, by_key: Mapping[Key, V]) -> ByKey[V]:
        """Return values by key so that those of grants stand by subject and scope."""
        if isinstance(by_key, ByKey):
            return by_key
        held: dict[Subject, dict[Scope, V]] = {}
        for key, value in by_key.items():
            if key[0] == "grant":
                held.setdefault(Subject(key[1], key[2]), {})[Scope(key[3], key[4])] = value  # type: ignore[arg-type]  # as below
        return ByKey({key: value for key, value in by_key.items() if key[0] != "grant"}, held)

    def find(self, key: Key) -> V | None:
        """Return the value under a key, or `None`."""
        if key[0] != "grant":
            return self._others.get(key)
        rights = self._held.get(Subject(key[1], key[2]))  # type: ignore[arg-type]  # a key holds the words of a subject
        return None if rights is None else rights.get(Scope(key[3], key[4]))

    def rights(self, subject: Subject) -> Mapping[Scope, V]:
        """Return the values of one subject's grants by scope."""
        return self._held.get(subject, _NOTHING)

    def by_subject(self) -> ItemsView[Subject, Mapping[Scope, V]]:
        """Return the subjects of grants, each with the values of its grants by scope."""
        return self._held.items()

    def of_others(self) -> ItemsView[Key, V]:
        """Return the keys that are no grants', and the values."""
        return self._others.items()

    def __getitem__(self, key: Key) -> V:
        value = self.find(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and self.find(key) is not None

    def __iter__(self) -> Iterator[Key]:
        yield from self._others
        for subject, scopes in self._sequence if self._sequence is not None else self._held.items():
            rights = self._held.get(subject, _NOTHING)
            yield from [grant_key(subject, scope) for scope in scopes if scope in rights]

    def values(self) -> ValuesView[V]:
        """Return the values."""
        return _Values(self)

    def list_values(self) -> Iterator[V]:
        """Yield the values in the order of the keys."""
        yield from self._others.values()
        yield from self._list_held()

    def _list_held(self) -> Iterator[V]:
        if self._sequence is None:
            return chain.from_iterable(rights.values() for rights in self._held.values())
        blocks = ((self._held.get(subject, _NOTHING), scopes) for subject, scopes in self._sequence)
        return chain.from_iterable([rights[scope] for scope in scopes if scope in rights] for rights, scopes in blocks)

    def __len__(self) -> int:
        return len(self._others) + sum(map(len, self._held.values()))

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the value under a key, or a default."""
        found = self.find(key)
        return default if found is None else found

    def __bool__(self) -> bool:
        return bool(self._others or self._held)


_NOTHING: Final[Mapping[Scope, Any]] = MappingProxyType({})


def differing(values: Mapping[K, V], known: Mapping[K, V]) -> Iterator[tuple[K, V]]:
    """Yield the values, with their keys, that are not the very object that is known under the same key.

    Of a million rights nearly all are, so that none of them costs a step of Python's.
    """
    return compress(values.items(), map(is_not, values.values(), map(known.get, values)))


class _Values(ValuesView[V]):
    """The values of a table."""

    _mapping: ByKey[V]

    def __iter__(self) -> Iterator[V]:
        return self._mapping.list_values()


class Access(ByKey[Resource]):
    """All access on one instance, by key. Two different values for one key are refused with `ValueError`."""

    __slots__ = ("_accounts", "_before", "_grants", "_members")
    _held: dict[Subject, dict[Scope, Grant]]  # type: ignore[assignment]  # what subjects have is grants

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        others: dict[Key, Resource] = {}
        held: dict[Subject, dict[Scope, Grant]] = {}
        grants: list[Grant] = []
        for resource in resources:
            if type(resource) is Grant:
                rights = held.get(resource.subject)
                if rights is None:
                    rights = held[resource.subject] = {}
                first: Resource = rights.setdefault(resource.scope, resource)
                if first is resource:
                    grants.append(resource)
            else:
                first = others.setdefault(resource.key, resource)
            if first is not resource and first != resource:
                raise ValueError(f"two values for {resource.key}: {first} and {resource}")
        self._fill(others, held, grants=tuple(grants))

    def _fill(
        self,
        others: dict[Key, Resource],
        held: dict[Subject, dict[Scope, Grant]],
        sequence: Sequence[Block] | None = None,
        before: Access | None = None,
        grants: tuple[Grant, ...] | None = None,
    ) -> None:
        self._others = others
        self._held = held
        self._sequence = sequence
        self._before = before
        self._accounts: tuple[Account, ...] | None = None
        self._members: tuple[Member, ...] | None = None
        self._grants = grants

    @classmethod
    def of(cls, by_key: Mapping[Key, Resource]) -> Access:
        """Return the access of these resources, whose keys are known to be their own."""
        return cls(by_key.values())

    @classmethod
    def held_by(
        cls,
        held: dict[Subject, dict[Scope, Grant]],
        others: dict[Key, Resource],
        sequence: Sequence[Block] | None = None,
    ) -> Access:
        """Return an access that takes over the grants by subject, none of whom has none, and the other resources.

        `sequence` is the order of the grants, if it is another than that of the subjects.
        """
        made = cls()
        made._fill(others, held, sequence)
        return made

    def rights(self, subject: Subject) -> dict[Scope, Grant]:
        """Return the grants of one subject by scope, not to be changed."""
        return self._held.get(subject) or {}

    def by_subject(self) -> ItemsView[Subject, dict[Scope, Grant]]:
        """Return the subjects of grants, each with its grants by scope, not to be changed."""
        return self._held.items()

    def patched(self, changes: Iterable[tuple[Key, Resource | None]]) -> Access:
        """Return the access with other resources under some keys, or none; what is of nobody else is shared."""
        others, held = self._others.copy(), self._held.copy()
        own: dict[Subject, dict[Scope, Grant]] = {}
        for key, resource in changes:
            if type(resource) is Grant:
                rights = own.get(resource.subject)
                if rights is None:
                    rights = own[resource.subject] = dict(held.get(resource.subject, ()))
                rights[resource.scope] = resource
            elif key[0] == "grant":
                subject = Subject(key[1], key[2])  # type: ignore[arg-type]  # as above
                if subject not in own:
                    own[subject] = dict(held.get(subject, ()))
                own[subject].pop(Scope(key[3], key[4]), None)
            else:
                _put(others, key, resource)
        for subject, rights in own.items():
            held[subject] = rights
            if not rights:
                del held[subject]
        made = Access()
        made._fill(others, held, before=self)
        return made

    def to_dict(self) -> dict[Key, Resource]:
        """Return a new dictionary of the resources by key."""
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        return (
            self._others == other._others and self._held == other._held if isinstance(other, Access) else NotImplemented
        )

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Key]:
        yield from self._others
        for grant in self.grants():
            yield grant.key

    def list_values(self) -> Iterator[Resource]:
        """Yield the resources in the order of their keys."""
        yield from self._others.values()
        yield from self.grants()

    def items(self) -> ItemsView[Key, Resource]:
        """Return keys and resources."""
        return _Items(self)

    def __repr__(self) -> str:
        return f"Access({len(self)} resources)"

    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts."""
        if self._accounts is None:
            self._accounts = tuple([resource for resource in self._others.values() if isinstance(resource, Account)])
        return self._accounts

    def grants(self) -> tuple[Grant, ...]:
        """Return the grants, of accounts and of groups."""
        if self._grants is None:
            self._grants = tuple(
                cast("Iterator[Grant]", self._list_held()) if self._before is None else self._list_patched(self._before)
            )
        return self._grants

    def _list_patched(self, before: Access) -> Iterator[Grant]:
        """Yield the grants in the order that they had before a change, then the others."""
        for grant in before.grants():
            now = self.grant(grant.subject, grant.scope)
            if now is not None:
                yield now
        for subject, rights in self._held.items():
            had = before.rights(subject)
            if rights is not had:
                yield from [grant for scope, grant in rights.items() if scope not in had]

    def count_grants(self) -> int:
        """Return the number of grants."""
        return sum(map(len, self._held.values()))

    def members(self) -> tuple[Member, ...]:
        """Return the memberships in the platform's own groups."""
        if self._members is None:
            self._members = tuple([resource for resource in self._others.values() if isinstance(resource, Member)])
        return self._members

    def grant(self, subject: Subject, scope: Scope) -> Grant | None:
        """Return the grant of `subject` on `scope`, if there is one."""
        rights = self._held.get(subject)
        return None if rights is None else rights.get(scope)


class _Items(ItemsView[Key, Resource]):
    """The keys and resources of an access."""

    _mapping: Access

    def __iter__(self) -> Iterator[tuple[Key, Resource]]:
        yield from self._mapping.of_others()
        for grant in self._mapping.grants():
            yield grant.key, grant


def _put(table: dict[K, Any], key: K, resource: Resource | None) -> None:
    """Put a resource under a key, or take away what is there."""
    if resource is None:
        table.pop(key, None)
    else:
        table[key] = resource
