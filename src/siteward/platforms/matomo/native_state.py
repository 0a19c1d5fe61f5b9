"""What `read` leaves in `Live.native` for reviewing and writing: the server's users and its release."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.platforms.matomo.roles import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.traits import Traits
    from siteward.platforms.matomo.roles import Version
    from siteward.platforms.matomo.rows import UserRow


class People(Struct, frozen=True, dict=True):
    """All users of a server, found by login as its database finds them.

    Two rows that the database keeps apart are two people, whatever our folding says of their logins: so a login is
    looked up as it is spelled, then without letter case, and in no other way.
    """

    rows: tuple[UserRow, ...] = ()

    @cached_property
    def _by_login(self) -> Mapping[str, UserRow]:
        return {row.login: row for row in self.rows}

    @cached_property
    def _by_fold(self) -> Mapping[str, list[UserRow]]:
        found: defaultdict[str, list[UserRow]] = defaultdict(list)
        for row in self.rows:
            found[fold(row.login)].append(row)
        return found

    @cached_property
    def _by_spelling(self) -> Mapping[str, list[UserRow]]:
        found: defaultdict[str, list[UserRow]] = defaultdict(list)
        for row in self.rows:
            for spelling in spellings(row.login):
                found[spelling].append(row)
        return found

    @cached_property
    def _by_email(self) -> Mapping[str, UserRow]:
        return {fold(row.email): row for row in self.rows}

    def named(self, login: str) -> UserRow | None:
        """Return the user of that login, in another letter case where only one differs in nothing else."""
        alike = self._by_fold.get(fold(login), ())
        return self._by_login.get(login) or (alike[0] if len(alike) == 1 else None)

    def alike(self, login: str) -> list[UserRow]:
        """Return whom a database may take for that login."""
        found = {
            user_row.login: user_row
            for spelling in spellings(login)
            for user_row in self._by_spelling.get(spelling, ())
        }
        return list(found.values())

    def by_email(self, email: str) -> UserRow | None:
        """Return the user of that e-mail in any letter case."""
        return self._by_email.get(fold(email))


class NativeState(Struct, frozen=True, kw_only=True, dict=True):
    """What reading leaves behind.

    `traits` are those of the server, `people` all its users, `me` the login of the token's owner as the file has it.
    `has_password` tells that its password is at hand, `onboarding` how accounts begin. `ghosts` are the spellings of
    logins that have grants and no account. `off` are capabilities whose plugin is switched off, `asleep` what people
    hold by such plugins, by login and site. `ldap` tells that LoginLdap is on, so that a password may not be needed.
    """

    version: Version
    people: People
    me: str
    has_password: bool
    onboarding: str
    ghosts: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    ldap: bool = False
    asleep: Mapping[str, Mapping[int, frozenset[str]]] = MappingProxyType({})
    traits: Traits

    def user(self, login: str) -> UserRow | None:
        """Return the user of that login in any letter case."""
        return self.people.named(login)

    def is_me(self, login: str) -> bool:
        """Tell whether a login is that of the token's owner."""
        return fold(self.spelling(login)) == fold(self.spelling(self.me))

    def spelling(self, login: str) -> str:
        """Return a login as the server keeps it: in another case, calls write rows that nobody sees (MAPPING 3)."""
        user = self.user(login)
        return user.login if user else login

    @property
    def mine(self) -> str:
        """The e-mail of the token's owner, who gets the server's notices."""
        user = self.user(self.me)
        return user.email if user else self.me

    @cached_property
    def superusers(self) -> tuple[UserRow, ...]:
        """Everybody who is a superuser, pending ones too: the server makes no difference."""
        return tuple(row for row in self.people.rows if row.superuser)


def fold(text: str) -> str:
    """Return a login or e-mail without letter case, which every database that Matomo runs on ignores.

    Not casefolded: that would make one person of `strasse` and `straße`, who are two on some servers (rec 21#15-22).
    """
    return text.lower()


def spellings(text: str) -> frozenset[str]:
    """Return the forms under which a database may keep a login: no case, no accents, ß for s or for ss (rec 21)."""
    return frozenset(_bare(text.lower().replace("ß", letter)) for letter in ("s", "ss"))


def _bare(text: str) -> str:
    return "".join(name for name in unicodedata.normalize("NFKD", text) if not unicodedata.combining(name))


def is_anonymous(login: str) -> bool:
    """Tell whether a login is that of everybody, in any spelling: the server guards just one (API.md section 2.8)."""
    return ANONYMOUS in spellings(login)


def is_pending(user: UserRow) -> bool:
    """Tell whether an invitation is open or has run out."""
    return user.invite_status != "active"
