"""The tables of the Umami stand-in, as dataclasses of one row each. Times are text, as the API gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

Json: TypeAlias = dict[str, object]
WEBSITE, LINK, PIXEL, BOARD = 1, 2, 3, 4
# 3.3 and 3.4 answer as 3.2 does but for what `factor` and `keys` add; both were read about, never driven.
SINCE_3_2 = frozenset({"3.2", "3.3", "3.4"})
SINCE_3_3 = frozenset({"3.3", "3.4"})
SINCE_3_4 = frozenset({"3.4"})
Kind: TypeAlias = Literal["board", "link", "pixel"]
Table: TypeAlias = Kind | Literal["report", "segment"]


class CrashError(Exception):
    """The real server runs into an exception: 500 with an empty body."""


@dataclass(slots=True)
class User:
    """An account; `password` is what stands for its hash. `deleted`: a server that ran in cloud mode kept the row.

    `must_factor`: an admin asks this account for a second factor (3.3).
    """

    id: str
    username: str
    role: str
    password: str
    created: str
    updated: str | None
    deleted: str | None = None
    must_factor: bool = False


@dataclass(slots=True)
class Team:
    """A team; any member may read its access code. `deleted` is as for accounts; `must_factor` asks all for a second factor."""

    id: str
    name: str
    code: str
    created: str
    updated: str
    deleted: str | None = None
    must_factor: bool = False


@dataclass(slots=True)
class Member:
    """A membership; neither its team nor its user need exist."""

    id: str
    team: str
    user: str
    role: str
    created: str
    updated: str


@dataclass(slots=True)
class Website:
    """A site, owned by a user, a team or nobody. `blocks` is what keeps its owner from being deleted."""

    id: str
    name: str
    domain: str
    user: str | None
    team: str | None
    by: str | None
    created: str
    updated: str
    reset: str | None = None
    recorder: bool = False
    replay: Json | None = None
    share: str | None = None
    blocks: int = 0


@dataclass(slots=True)
class Share:
    """A public link (3.x); `kind` says what `entity` is."""

    id: str
    entity: str
    name: str
    kind: int
    slug: str
    parameters: Json
    created: str
    updated: str


@dataclass(slots=True)
class Thing:
    """A board, link or pixel (owned like a site), or a report or segment of a site; `own` are its own columns."""

    id: str
    table: Table
    own: Json
    user: str | None
    team: str | None
    site: str | None
    created: str
    updated: str

    @property
    def name(self) -> str:
        """What lists call it."""
        return str(self.own["name"])

    @property
    def slug(self) -> str:
        """Where a link or pixel is found."""
        return str(self.own.get("slug"))

    @property
    def url(self) -> str:
        """Where a link leads."""
        return str(self.own.get("url"))

    @property
    def description(self) -> str:
        """What a board says of itself."""
        return str(self.own.get("description"))

    @property
    def type(self) -> str:
        """What sort of board it is."""
        return str(self.own.get("type"))


@dataclass(slots=True)
class Session:
    """What a token stands for; `key` and `ends` are there with Redis."""

    user: str
    password: str
    key: str | None = None
    ends: datetime | None = None


@dataclass(slots=True)
class Factor:
    """The second factor of an account (3.3): its secret, and what its failed and used codes have left behind."""

    secret: str
    on: bool = False
    backups: list[str] = field(default_factory=list)
    used: dict[str, datetime] = field(default_factory=dict)
    failures: int = 0
    locked: datetime | None = None


@dataclass(slots=True)
class ApiKey:
    """An API key (3.4), found by its hash; nothing ties it to its owner's password."""

    id: str
    name: str
    owner: str
    hash: str
    prefix: str
    created: str
    used: str | None = None
