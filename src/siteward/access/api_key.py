"""Keys to the interface of an instance: as a platform shows them, as the file lists them, and both together; no values.

No part of a secret is in either, neither its first characters nor its hash: adapters do not read them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from siteward.access.diagnostic import Span
from siteward.access.model import Power

KeyFlag = Literal["orphaned", "overdue", "undeclared", "outdated", "unattended", "missing", "redated"]
BY_PEOPLE = frozenset({"key-orphaned", "key-undeclared"})
"""The rules whose findings may hold a name that people gave a key on the platform, and that no file has."""
UNLISTED = "unlisted-"
"""How a key that no file lists is called where people choose among things; what they called it stands beside that."""


class LiveKey(Struct, frozen=True, kw_only=True):
    """A key as a platform shows it: the account it acts as, and what people call it.

    `holds` is the most that a key of its kind may do; what it does is bounded by its owner's rights too. `scopes` are the
    platform's words for what it opens. `made`, `used` and `ends` are `None` where the platform keeps no such moment.
    """

    account: str
    name: str
    holds: Power = Power.VIEW
    scopes: tuple[str, ...] = ()
    made: datetime | None = None
    used: datetime | None = None
    ends: datetime | None = None


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key, or a password, that the file lists for a user. `rotates` is in days.

    `at` is the place of its name, and `due_at` that of how often it is made anew, where these are known.
    """

    name: str
    on: str
    holds: Power | None = None
    rotates: int | None = None
    since: datetime | None = None
    used_by: str | None = None
    at: Span | None = None
    due_at: Span | None = None

    def find_due(self, made: datetime | None = None) -> datetime | None:
        """Return the moment by which it is to be made anew, from when it was `made`, or else from when the file says.

        `None` where the file does not say how long it may be used, or nothing says since when it is.
        """
        begun = made or self.since
        return begun + timedelta(days=self.rotates) if begun is not None and self.rotates is not None else None


class HeldKey(Struct, frozen=True, kw_only=True):
    """A key of an account: live, listed in the file, or both.

    `handle` is its declared user, and `answers` who answers for that one (`owner`); a key of a service for which nobody does
    is flagged `unattended`. `shown` is true where the platform shows keys, so that one that is not live is known to be
    gone. `why` says in words why an orphaned one is that, and `beside` when the newer one of its name was made.
    """

    account: str
    name: str
    instance: str = ""
    handle: str | None = None
    answers: str | None = None
    live: LiveKey | None = None
    listed: ApiKey | None = None
    shown: bool = False
    flags: tuple[KeyFlag, ...] = ()
    why: str = ""
    beside: datetime | None = None

    @property
    def who(self) -> str:
        """The declared user, or else the account."""
        return self.handle or self.account

    @property
    def holds(self) -> Power | None:
        """The most that it may do, by the platform, or else by the file."""
        return self.live.holds if self.live is not None else self.listed.holds if self.listed is not None else None

    @property
    def made(self) -> datetime | None:
        """The moment it was made, by the platform, or else by the file."""
        live = self.live.made if self.live is not None else None
        return live or (self.listed.since if self.listed is not None else None)
