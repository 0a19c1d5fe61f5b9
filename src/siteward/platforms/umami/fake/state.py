"""What the Umami stand-in remembers: its tables, and the cascades that its deletions set off.

As in the real database nothing ties a membership to an existing team or user, no pair of them is unique, and a
deletion takes along what API.md section 4 says. Lists without an order come out in the order in which rows were
last written, as PostgreSQL's do.
"""

from __future__ import annotations

import base64
import hashlib
import random
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from siteward.platforms.umami.fake.rows import (
    ApiKey,
    CrashError,
    Factor,
    Json,
    Member,
    Session,
    Share,
    Table,
    Team,
    Thing,
    User,
    Website,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class State:
    """One server's database. Ids and codes come from `seed`, so that equal worlds are equal; tokens never do."""

    clock: Callable[[], datetime]
    seed: str = ""
    users: dict[str, User] = field(default_factory=dict)
    names: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    members: dict[str, list[Member]] = field(default_factory=dict)
    websites: dict[str, Website] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    things: dict[str, Thing] = field(default_factory=dict)
    sessions: MutableMapping[str, Session] = field(default_factory=dict)
    passes: dict[str, Json] = field(default_factory=dict)
    factors: dict[str, Factor] = field(default_factory=dict)
    partials: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    all_must_factor: bool = False
    factor_key: bool = True
    last: datetime = _LONG_AGO
    hashes: int = field(default=0, compare=False)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 — equal worlds shall be equal; nothing secret hangs on it

    def stamp(self) -> str:
        """Return the time as columns hold it; no two are equal, so that order is certain under a still clock."""
        self.last = max(self.clock().astimezone(UTC), self.last + timedelta(milliseconds=1))
        return self.last.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def new_id(self) -> str:
        """Return a fresh UUID."""
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def letters(self, count: int) -> str:
        """Return random letters and digits, as access codes and slugs are made of."""
        return "".join(self.dice.choices(_LETTERS, k=count))

    def member(self, team: str, user: str) -> Member | None:
        """Return a membership of that pair; where there are several, the one written longest ago."""
        return next((member for member in self.members.get(team, ()) if member.user == user), None)

    def teams_of(self, user: str, roles: tuple[str, ...] = ()) -> Iterator[Team]:
        """Yield the existing teams in which the account is a member (in one of the roles)."""
        for team in self.teams.values():
            if any(
                member.user == user and (not roles or member.role in roles) for member in self.members.get(team.id, ())
            ):
                yield team

    def slug(self, entity: str) -> str | None:
        """Return the newest share slug of an object."""
        newest = [share for share in self.shares.values() if share.entity == entity]
        return max(newest, key=lambda share: share.created).slug if newest else None

    def new_user(self, username: str, password: str, role: str, *, id: str | None = None) -> User:  # noqa: A002
        """Insert an account; a taken name or id is a clash in the database."""
        if username in self.names or id in self.users:
            raise CrashError
        now = self.stamp()
        self.hashes += 1
        made = User(id or self.new_id(), username, role, digest(password), now, now)
        self.users[made.id] = self.names[username] = made
        return made

    def rename(self, user: User, username: str) -> None:
        """Give an account another name."""
        del self.names[user.username]
        user.username = username
        self.names[username] = user

    def new_team(self, name: str, owner: str) -> tuple[Team, Member]:
        """Insert a team and its owner's membership; the owner need not exist."""
        now = self.stamp()
        team = Team(self.new_id(), name, f"team_{self.letters(16)}", now, now)
        self.teams[team.id] = team
        return team, self.new_member(team.id, owner, "team-owner")

    def new_member(self, team: str, user: str, role: str) -> Member:
        """Insert a membership, whatever there is already."""
        now = self.stamp()
        made = Member(self.new_id(), team, user, role, now, now)
        self.members.setdefault(team, []).append(made)
        return made

    def new_website(
        self,
        name: str,
        domain: str,
        *,
        by: str,
        user: str | None = None,
        team: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> Website:
        """Insert a site."""
        if id in self.websites:
            raise CrashError
        now = self.stamp()
        made = Website(id or self.new_id(), name, domain, user, team, by, now, now)
        self.websites[made.id] = made
        return made

    def new_share(self, entity: str, kind: int, name: str, slug: str, parameters: Json) -> Share:
        """Insert a public link; a taken slug is a clash in the database."""
        if any(share.slug == slug for share in self.shares.values()):
            raise CrashError
        now = self.stamp()
        made = Share(self.new_id(), entity, name, kind, slug, parameters, now, now)
        self.shares[made.id] = made
        return made

    def new_thing(
        self,
        table: Table,
        own: Json,
        *,
        user: str | None = None,
        team: str | None = None,
        site: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> Thing:
        """Insert a board, link, pixel, report or segment."""
        now = self.stamp()
        made = Thing(id or self.new_id(), table, own, user, team, site, now, now)
        self.things[made.id] = made
        return made

    def written(self, row: Team | Website) -> None:
        """Move a row to where PostgreSQL puts a row that was updated: behind the others."""
        if isinstance(row, Team):
            self.teams[row.id] = self.teams.pop(row.id)
        else:
            self.websites[row.id] = self.websites.pop(row.id)

    def delete_team(self, team: str, *, things: bool) -> None:
        """Delete a team with its memberships; its sites stay and are nobody's. `things`: as 3.2 does, all of it."""
        del self.teams[team]
        self.members.pop(team, None)
        for site in self.websites.values():
            site.team = None if site.team == team else site.team
        self._let_go("team", team, things=things)

    def delete_website(self, site: str) -> None:
        """Delete a site with all that hangs on it."""
        del self.websites[site]
        self.shares = {key: share for key, share in self.shares.items() if share.entity != site}
        self.things = {key: thing for key, thing in self.things.items() if thing.site != site}

    def delete_user(self, user: str, *, things: bool) -> None:
        """Delete an account, its sites, the teams it owns and its memberships; blocked by what API.md names."""
        owned = [website for website in self.websites.values() if website.user == user]
        segmented = {thing.site for thing in self.things.values() if thing.table == "segment"}
        if user not in self.users or any(website.blocks or website.id in segmented for website in owned):
            raise CrashError
        for team in [team.id for team in self.teams_of(user, ("team-owner",))]:
            self.delete_team(team, things=things)
        for team, rows in list(self.members.items()):
            self.members[team] = [row for row in rows if row.user != user]
        gone = {website.id for website in owned}
        for site in gone:
            del self.websites[site]
        for website in self.websites.values():
            website.by = None if website.by == user else website.by
        self.things = {
            key: thing
            for key, thing in self.things.items()
            if thing.table in {"board", "link", "pixel"} or (thing.user != user and thing.site not in gone)
        }
        self._let_go("user", user, things=things)
        self.factors.pop(user, None)
        self.keys = {key: row for key, row in self.keys.items() if row.owner != user}
        del self.names[self.users.pop(user).username]

    def _let_go(self, owner: Literal["user", "team"], id: str, *, things: bool) -> None:  # noqa: A002
        """Delete an owner's boards, links and pixels (3.2), or leave them without one (before)."""
        owned = [thing for thing in self.things.values() if getattr(thing, owner) == id and thing.table != "report"]
        for thing in owned:
            if things:
                del self.things[thing.id]
                self.shares = {key: share for key, share in self.shares.items() if share.entity != thing.id}
            elif owner == "user":
                thing.user = None
            else:
                thing.team = None


def digest(password: str) -> str:
    """Return what stands for a bcrypt hash: as long, as blind to what follows 72 bytes, and quick."""
    shortened = password.encode("utf-8", "surrogatepass")[:72]
    return "$2b$10$" + hashlib.sha256(b"sandbox" + shortened).hexdigest()[:53]


def token(size: int) -> str:
    """Return a new token of so many bytes, as opaque as a real one, and valid nowhere else."""
    return base64.b64encode(secrets.token_bytes(size)).decode()


def ident(value: str) -> str:
    """Return an id from a path as the database reads it; what is no UUID makes the server break."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise CrashError from None
