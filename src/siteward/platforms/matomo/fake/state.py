"""What a Matomo server keeps: users, access rows, sites, tokens, options, mails, failures."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.php import GENERAL, collate, md5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from siteward.platforms.matomo.fake.release import Release

ANONYMOUS = "anonymous"
ALIAS_LENGTH = 45
SITE_NAME_LENGTH = 90
INVITE_DAYS = "default_invite_user_token_expiry_days"
INVITE_GRACE = timedelta(days=3)
LOCKOUT_FAILURES = 20
LOCKOUT_WINDOW = timedelta(minutes=60)


@dataclass(slots=True)
class User:
    """A row of the user table. `password` is the md5 of it; a pending user has none."""

    login: str
    email: str
    password: str
    registered: datetime
    alias: str = ""
    superuser: bool = False
    token: str = ""
    invited_by: str | None = None
    expires: datetime | None = None
    accepted: datetime | None = None
    invite_tokens: dict[str, str] = field(default_factory=dict)
    two_factor: bool = False

    @property
    def pending(self) -> bool:
        """Tell whether an invitation is open or has run out."""
        return self.expires is not None


@dataclass(slots=True)
class Row:
    """A row of the access table: a role or a capability, one each; `login` in the case it was written with."""

    serial: int
    login: str
    site: int
    access: str


@dataclass(slots=True)
class Site:
    """A website."""

    id: int
    name: str
    urls: list[str]
    created: datetime
    group: str = ""
    creator: str = ANONYMOUS
    timezone: str = "UTC"
    currency: str = "USD"
    description: str = ""


@dataclass(slots=True)
class Token:
    """An app-specific token (4.0 and later); kept by its value."""

    login: str
    description: str
    expires: datetime | None = None
    secure_only: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in through the browser; `cookie` must come with the token that the pages hold."""

    login: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that the server sent."""

    to: str
    subject: str


@dataclass(slots=True)
class Failure:
    """A row of the brute force log."""

    at: datetime
    address: str
    login: str | None


@dataclass(slots=True)
class Report:
    """A scheduled e-mail report of a user."""

    id: int
    login: str
    site: int
    description: str


@dataclass(slots=True)
class UserGroup:
    """A group of the plugin GroupPermissions: its members and its role on each site."""

    name: str
    members: list[str] = field(default_factory=list)
    access: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Person:
    """An entry of the LDAP directory behind LoginLdap; `access` are site and role there."""

    login: str
    email: str
    password: str
    access: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Directory:
    """The LDAP directory, and how LoginLdap is set to use it."""

    people: list[Person] = field(default_factory=list)
    default_view: tuple[int, ...] = ()
    sync_access: bool = False
    confirms_password: bool = False
    met: set[str] = field(default_factory=set)


@dataclass
class State:
    """All of it. `settings` are entries of the `[General]` section, `locks` logins somebody else is changing.

    `collation` is that of the tables; `mail_fails` tells that no mail can be sent; `plugins` are those switched on or off since the installation. `groups` belong
    to the plugin GroupPermissions, `directory` to LoginLdap.
    """

    release: Release
    clock: Callable[[], datetime]
    users: dict[str, User] = field(default_factory=dict)
    sites: dict[int, Site] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    last_seen: dict[str, datetime] = field(default_factory=dict)
    slow: int = field(default=0, compare=False)
    mails: list[Mail] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    locks: set[str] = field(default_factory=set)
    collation: str = GENERAL
    mail_fails: bool = False
    plugins: dict[str, bool] = field(default_factory=dict)
    groups: dict[int, UserGroup] = field(default_factory=dict)
    directory: Directory = field(default_factory=Directory)
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _serials: dict[str, int] = field(default_factory=dict)
    _failed: bool = False

    def begin(self) -> None:
        """Begin a request."""
        self._failed = False

    def now(self) -> datetime:
        """Return the time in UTC, in whole seconds as the database keeps it."""
        return self.clock().astimezone(UTC).replace(microsecond=0)

    def next(self, counter: str) -> int:
        """Return the next number of an auto-increment; numbers are not used twice (rec 08#37)."""
        self._serials[counter] = self._serials.get(counter, 0) + 1
        return self._serials[counter]

    def reserve(self, counter: str, number: int) -> None:
        """Let an auto-increment go on after `number`."""
        self._serials[counter] = max(self._serials.get(counter, 0), number)

    def secret(self) -> str:
        """Return 32 hex digits that were not given before; the same sequence for each new server."""
        return hashlib.sha256(f"{self.release.name}:{self.next('secret')}".encode()).hexdigest()[:32]

    def key(self, text: str) -> str:
        """Return a text as the tables compare it."""
        return collate(text, self.collation)

    # users

    def user(self, login: str) -> User | None:
        """Return the user of that login in any letter case."""
        return self.users.get(self.key(login))

    def by_email(self, email: str) -> User | None:
        """Return the user of that e-mail in any letter case."""
        wanted = self.key(email)
        return next((user for user in self.users.values() if self.key(user.email) == wanted), None)

    def add_user(self, login: str, email: str, password: str, *, alias: str = "") -> User:
        """Add a user whose stored password is `password`, hashed already or empty."""
        user = User(login, email, password, self.now(), alias=(alias or login)[:ALIAS_LENGTH])
        user.token = md5(login + password) if self.release.before(3) else self.secret()
        self.users[self.key(login)] = user
        self.slow += 1
        return user

    def delete_user(self, user: User) -> None:
        """Delete a user and what goes with it; preference options stay (rec 02#81)."""
        key = self.key(user.login)
        self.slow += 1
        del self.users[key]
        self._rows.pop(key, None)
        self.last_seen.pop(key, None)
        self.tokens = {value: token for value, token in self.tokens.items() if self.key(token.login) != key}
        self.reports = [report for report in self.reports if self.key(report.login) != key]

    def sorted_users(self) -> list[User]:
        """Return the users in the order of the database's collation."""
        return [self.users[key] for key in sorted(self.users)]

    def superusers(self) -> list[User]:
        """Return the superusers as they were registered, pending ones too."""
        return [user for user in self.users.values() if user.superuser]

    # access

    def all_rows(self) -> Iterator[Row]:
        """Yield every access row, login by login."""
        for rows in self._rows.values():
            yield from rows

    def rows_of(self, login: str) -> list[Row]:
        """Return the access rows of a login in any letter case, as they were written."""
        rows = self._rows.get(self.key(login), [])
        return sorted(rows, key=lambda row: row.site) if self.release.before(3) else list(rows)

    def rows_on(self, site: int) -> list[Row]:
        """Return the access rows of a site: as they were written; by login before 3.0 (no row numbers there)."""
        found = [row for key in sorted(self._rows) for row in self._rows[key] if row.site == site]
        return found if self.release.before(3) else sorted(found, key=lambda row: row.serial)

    def rows_with(self, access: str) -> Iterator[Row]:
        """Yield the access rows of one role or capability, by login and site."""
        for key in sorted(self._rows):
            yield from sorted((row for row in self._rows[key] if row.access == access), key=lambda row: row.site)

    def access_on(self, login: str, site: int) -> list[str]:
        """Return the role and the capabilities of a login on a site."""
        return [row.access for row in self.rows_of(login) if row.site == site]

    def sites_with(self, login: str, *access: str) -> list[int]:
        """Return the existing sites on which a login has one of these roles."""
        found = [row.site for row in self.rows_of(login) if row.access in access and row.site in self.sites]
        return sorted({*found, *self._through_groups(login, access)}) if self.groups else found

    def _through_groups(self, login: str, access: tuple[str, ...]) -> Iterator[int]:
        """Yield the sites that groups give a login with one of these roles, while their plugin is on."""
        if not self.plugins.get("GroupPermissions"):
            return
        for pool in self.groups.values():
            if self.key(login) in map(self.key, pool.members):
                yield from (site for site, role in pool.access.items() if role in access)

    def add_rows(self, login: str, access: str, sites: Iterable[int]) -> None:
        """Add rows, one a site."""
        rows = self._rows.setdefault(self.key(login), [])
        rows.extend(Row(self.next("row"), login, site, access) for site in sites)

    def delete_rows(self, login: str, sites: Iterable[int] | None = None, access: str | None = None) -> None:
        """Delete the rows of a login, on `sites` if given, of one kind if given."""
        only = None if sites is None else set(sites)
        key = self.key(login)
        self._rows[key] = [
            row
            for row in self._rows.get(key, [])
            if (only is not None and row.site not in only) or (access is not None and row.access != access)
        ]

    def delete_site(self, site: int) -> None:
        """Delete a site and the access to it."""
        del self.sites[site]
        for login, rows in self._rows.items():
            self._rows[login] = [row for row in rows if row.site != site]

    def drop_reports(self, login: str, sites: Iterable[int]) -> None:
        """Delete the scheduled reports of a user on sites, as losing all access there does (rec 16#9-10)."""
        lost = set(sites)
        self.reports = [
            report for report in self.reports if self.key(report.login) != self.key(login) or report.site not in lost
        ]

    # time

    def invite_status(self, user: User) -> str | int:
        """Return `active`, `expired`, or the whole days left."""
        if user.expires is None:
            return "active"
        left = user.expires - self.now()
        return "expired" if left <= timedelta(0) else left.days

    def clean_up_invites(self) -> None:
        """Do the daily task: delete users whose invitation ran out three days ago, superusers too (rec 15)."""
        for user in list(self.users.values()):
            if user.expires is not None and user.expires + INVITE_GRACE < self.now():
                self.delete_user(user)

    def fail(self, address: str, login: str | None) -> None:
        """Note a failed log-in, one for each request however many entries a bulk has."""
        if self.release.since(3, 8) and not self._failed:
            self._failed = True
            self.failures.append(Failure(self.now(), address, login))

    def locked_out(self, address: str) -> bool:
        """Tell whether that address has failed more than 20 times within the hour."""
        since = self.now() - LOCKOUT_WINDOW
        recent = sum(failure.address == address and failure.at > since for failure in self.failures)
        return recent > LOCKOUT_FAILURES
