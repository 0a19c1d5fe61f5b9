"""The native state that `read` leaves in `Live.native` for review and write: the server's users and its release."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import cached_property, lru_cache
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

    Two rows that the database keeps apart are two people, even if our folding makes their logins equal: so a login is
    looked up as it is spelled, then without letter case, and in no other way.
    """

    rows: tuple[UserRow, ...] = ()

    @cached_property
    def _by_login(self) -> Mapping[str, UserRow]:
        return {user.login: user for user in self.rows}

    @cached_property
    def _by_fold(self) -> Mapping[str, list[UserRow]]:
        users: defaultdict[str, list[UserRow]] = defaultdict(list)
        for user in self.rows:
            users[fold(user.login)].append(user)
        return users

    @cached_property
    def _by_spelling(self) -> Mapping[str, list[UserRow]]:
        users: defaultdict[str, list[UserRow]] = defaultdict(list)
        for user in self.rows:
            for spelling in spellings(user.login):
                users[spelling].append(user)
        return users

    @cached_property
    def _by_email(self) -> Mapping[str, UserRow]:
        return {fold(user.email): user for user in self.rows}

    def find(self, login: str) -> UserRow | None:
        """Return the user of that login, or the only one whose login differs in letter case alone."""
        if (user := self._by_login.get(login)) is not None:
            return user
        alike = self._by_fold.get(fold(login), ())
        return alike[0] if len(alike) == 1 else None

    def alike(self, login: str) -> list[UserRow]:
        """Return the users whom a database may take for that login, without case and accents."""
        users = {user.login: user for spelling in spellings(login) for user in self._by_spelling.get(spelling, ())}
        return list(users.values())

    def by_email(self, email: str) -> UserRow | None:
        """Return the user of that e-mail in any letter case."""
        return self._by_email.get(fold(email))


class NativeState(Struct, frozen=True, kw_only=True, dict=True):
    """The facts about a server that review and write need beside `Live`.

    `traits` are those of the server, `people` all its users, `me` the login of the token's owner as the file has it.
    `has_password` is true if the owner's password is among the credentials; `onboarding` is `invite` or `password`.
    `ghosts` are the spellings of logins that have grants and no account. `off` are the capabilities whose plugin is
    switched off, `asleep` those of them that people hold, by login and site id. `ldap` is true if LoginLdap is on,
    which may need no password.
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
        return self.people.find(login)

    def is_me(self, login: str) -> bool:
        """Return whether a login is that of the token's owner, in any letter case."""
        return fold(self.spelling(login)) == fold(self.spelling(self.me))

    def spelling(self, login: str) -> str:
        """Return a login as the server keeps it: in another case, calls write invisible rows (MAPPING.md section 3)."""
        user = self.user(login)
        return user.login if user else login

    @property
    def own_email(self) -> str:
        """The e-mail of the token's owner, who gets the server's notices; the login where there is no such account."""
        user = self.user(self.me)
        return user.email if user else self.me

    @cached_property
    def superusers(self) -> tuple[UserRow, ...]:
        """All superusers, pending ones too: the server makes no difference."""
        return tuple(user for user in self.people.rows if user.superuser)


def fold(text: str) -> str:
    """Return a login or e-mail in lower case: every database that Matomo runs on ignores letter case.

    It is not casefolded: `strasse` and `straße` would become one, who are two people on some servers (rec 21#15-22).
    """
    return text.lower()


def spellings(text: str) -> frozenset[str]:
    """Return the forms to which databases may reduce a login: no case, no accents, ß as s or as ss (rec 21)."""
    if text.isascii():  # nearly every login, asked for with every grant there is
        return frozenset((text.lower(),))
    return frozenset(_strip_accents(text.lower().replace("ß", letter)) for letter in ("s", "ss"))


def _strip_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@lru_cache(maxsize=4096)  # it is asked several times for each change
def is_anonymous(login: str) -> bool:
    """Return whether a login is `anonymous`, the public, in any spelling: the server guards just one (API.md section 2.8)."""
    return ANONYMOUS in spellings(login)


def is_pending(user: UserRow) -> bool:
    """Return whether an invitation of this account is open or has expired."""
    return user.invite_status != "active"
