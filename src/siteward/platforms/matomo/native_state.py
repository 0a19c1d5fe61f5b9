"""What `read` leaves in `Live.native` for reviewing and writing: the server's users and its release."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.platforms.matomo.roles import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.traits import Traits
    from siteward.platforms.matomo.roles import Version
    from siteward.platforms.matomo.rows import UserRow


class NativeState(Struct, frozen=True, kw_only=True, dict=True):
    """What reading leaves behind.

    `traits` are those of the server; `users` are all users by folded login, `me` the folded login of the token's owner. `has_password` tells that
    its password is at hand, `onboarding` how accounts begin. `ghosts` are folded logins that have grants and no account.
    """

    version: Version
    users: Mapping[str, UserRow]
    me: str
    has_password: bool
    onboarding: str
    ghosts: frozenset[str] = frozenset()
    traits: Traits

    def user(self, login: str) -> UserRow | None:
        """Return the user of that login in any letter case."""
        return self.users.get(fold(login))

    def spelling(self, login: str) -> str:
        """Return a login as the server keeps it: in another case, calls write rows that nobody sees (MAPPING 3)."""
        user = self.user(login)
        return user.login if user else login

    @cached_property
    def _emails(self) -> Mapping[str, UserRow]:
        return {fold(user.email): user for user in self.users.values()}

    def by_email(self, email: str) -> UserRow | None:
        """Return the user of that e-mail in any letter case."""
        return self._emails.get(fold(email))

    @property
    def mine(self) -> str:
        """The e-mail of the token's owner, who gets the server's notices."""
        user = self.users.get(self.me)
        return user.email if user else self.me

    @cached_property
    def superusers(self) -> tuple[UserRow, ...]:
        """Everybody who is a superuser, pending ones too: the server makes no difference."""
        return tuple(user for user in self.users.values() if user.superuser)


def fold(text: str) -> str:
    """Return the form in which the server's database compares logins and e-mails, as far as it is sure."""
    return text.casefold()


def is_anonymous(login: str) -> bool:
    """Tell whether a login is that of everybody, in any spelling: the server guards just one (API.md section 2.8)."""
    return fold(login) == ANONYMOUS


def is_pending(user: UserRow) -> bool:
    """Tell whether an invitation is open or has run out."""
    return user.invite_status != "active"
