"""What the stand-in Piwik PRO account remembers: people, groups, apps, meta sites, levels, tokens and its audit log.

Ids are UUIDs drawn from a seeded source, so that two sandboxes of one world hold the same ids.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections import deque

EntityKind = Literal["app", "meta-site"]
HolderKind = Literal["user", "user-group"]
LevelKey: TypeAlias = tuple[EntityKind, str, HolderKind, str]

NO_ACCESS = "no-access"
LEVELS: dict[str, tuple[str, ...]] = {
    "app": (NO_ACCESS, "view", "edit", "edit-publish", "manage"),
    "meta-site": (NO_ACCESS, "view", "edit", "manage"),
}
MODULES = ("analytics", "tag_manager", "consent_manager", "customer_data_platform", "administration")
LICENSED = frozenset({"analytics", "tag_manager", "consent_manager", "administration"})
TOKEN_LIFE = timedelta(minutes=30)
BEGINNING = datetime(2024, 1, 1, 8, tzinfo=UTC)


@dataclass(slots=True)
class Person:
    """A `ppms/user`. A person has no name, no state and no last login there (API.md section 3)."""

    id: str
    email: str
    role: Literal["OWNER", "USER"]
    added: datetime
    language: str = "en-US"
    modules: set[str] = field(default_factory=lambda: set(LICENSED))
    organization: str = "default"


@dataclass(slots=True)
class UserGroup:
    """A `ppms/user-group`; `external_id` ties it to a group of an identity provider."""

    id: str
    name: str
    created: datetime
    updated: datetime
    external_id: str | None = None
    members: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)


@dataclass(slots=True)
class App:
    """A `ppms/app`: a site."""

    id: str
    name: str
    urls: list[str]
    added: datetime
    updated: datetime
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class MetaSite:
    """A `ppms/meta-site`: several apps reported as one, with grants of its own."""

    id: str
    name: str
    created: datetime
    updated: datetime
    apps: list[str] = field(default_factory=list)
    currency: str = "USD"
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Client credentials: they act as the person who made them."""

    secret: str
    person: str


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, good until `ends`."""

    person: str
    ends: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log."""

    id: str
    created: datetime
    type: str
    author: Person
    subject: str
    payload: dict[str, str]


@dataclass(slots=True)
class State:
    """One Piwik PRO account. Levels of owners stay in `levels` and show again once they are users."""

    people: dict[str, Person] = field(default_factory=dict)
    groups: dict[str, UserGroup] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    metas: dict[str, MetaSite] = field(default_factory=dict)
    levels: dict[LevelKey, str] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)
    mails: list[str] = field(default_factory=list)
    licensed: frozenset[str] = LICENSED
    licence_active: bool = True
    app_limit: int = 10_000
    throttles: bool = True
    asked: dict[str, deque[datetime]] = field(default_factory=dict)
    ids: random.Random = field(default_factory=lambda: random.Random(20_26))  # noqa: S311 — ids, not secrets

    def new_id(self) -> str:
        """Return an id that was not given before."""
        return str(uuid.UUID(int=self.ids.getrandbits(128), version=4))

    def named(self, email: str) -> Person | None:
        """Return the person with that address, whatever its case."""
        return next((person for person in self.people.values() if person.email.casefold() == email.casefold()), None)

    def owners(self) -> list[Person]:
        """Return the people who may do everything."""
        return [person for person in self.people.values() if person.role == "OWNER"]

    def level(self, kind: EntityKind, entity: str, declared_user: HolderKind, holder_id: str) -> str:
        """Return the level set for that holder itself."""
        return self.levels.get((kind, entity, declared_user, holder_id), NO_ACCESS)

    def through_groups(self, kind: EntityKind, entity: str, person: str) -> tuple[str, list[str]]:
        """Return the highest level that groups give a person, and the names of the groups that give it."""
        held = {
            group.name: self.level(kind, entity, "user-group", group.id)
            for group in self.groups.values()
            if person in group.members
        }
        best = max(held.values(), key=LEVELS[kind].index, default=NO_ACCESS)
        return best, sorted(name for name, level in held.items() if level == best != NO_ACCESS)

    def effective(self, kind: EntityKind, entity: str, person: Person) -> str:
        """Return what a person may do: everything for an owner, else the highest of own and group levels."""
        if person.role == "OWNER":
            return LEVELS[kind][-1]
        own, group = self.level(kind, entity, "user", person.id), self.through_groups(kind, entity, person.id)[0]
        return max(own, group, key=LEVELS[kind].index)

    def module_groups(self, module: str, person: str) -> list[str]:
        """Return the names of the groups that open a module for a person."""
        return sorted(
            group.name for group in self.groups.values() if person in group.members and module in group.modules
        )

    def effective_modules(self, person: Person) -> set[str]:
        """Return the modules that are open to a person."""
        if person.role == "OWNER":
            return set(self.licensed)
        return {each for each in self.licensed if each in person.modules or self.module_groups(each, person.id)}

    def issue(self, person: Person, now: datetime) -> str:
        """Return a new bearer token for `person`: a JWT without a signature, as nobody here checks one."""
        claims = {"sub": person.id, "eml": person.email, "org": person.organization, "jti": self.new_id()}
        token = f"{_segment({'alg': 'none'})}.{_segment(claims)}.c2ln"
        self.tokens[token] = Token(person.id, now + TOKEN_LIFE)
        return token

    def log(self, now: datetime, author: Person, kind: str, subject: str, payload: dict[str, str]) -> None:
        """Write a line of the audit log. The vendor publishes no list of names, so most of these are inferred."""
        self.audit.append(AuditEntry(self.new_id(), now, kind, author, subject, payload))

    def forget(self, person: Person) -> None:
        """Delete a person with everything that hangs on it: levels, memberships, keys and tokens."""
        del self.people[person.id]
        self.levels = {key: level for key, level in self.levels.items() if key[2:] != ("user", person.id)}
        for group in self.groups.values():
            group.members.discard(person.id)
        self.keys = {name: key for name, key in self.keys.items() if key.person != person.id}
        self.tokens = {name: token for name, token in self.tokens.items() if token.person != person.id}


def _segment(data: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")
