"""Which account of an instance each declared user resolves to, and whether it is still theirs to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import warning
from siteward.access.model import Subject
from siteward.access.state import Holder
from siteward.declaration.context import folded, login_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Account
    from siteward.access.state import Ending, Live, Memory
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, User


class Identity(Struct, frozen=True):
    """A declared user on one instance. `account` is the live spelling, or the login as it will be created.

    `renamed` is the wanted login where only a former one is live. `ending` tells why everything is over.
    """

    user: User
    account: str
    subject: Subject
    renamed: str | None = None
    ending: Ending | None = None


class Identities(Struct):
    """All declared users on one instance, by handle, and what was found on the way."""

    by_handle: dict[str, Identity] = {}
    holders: dict[str, Holder] = {}
    diagnostics: list[Diagnostic] = []


def identities(
    declaration: Declaration,
    instance: str,
    traits: Traits,
    live: Live | None,
    *,
    as_of: datetime,
    memory: Memory | None,
) -> Identities:
    """Resolve every declared user to an account; those without a login on this platform are left out."""
    directory = _Directory(live, traits)
    found = Identities()
    for user in declaration.users.values():
        login = login_of(user, instance, traits)
        if login is None:
            continue
        account, renamed = directory.find(login, user, found.diagnostics)
        ending = _ending(user, instance, as_of)
        identity = Identity(user, account, Subject("account", account), renamed, ending)
        found.by_handle[user.handle] = identity
        found.holders[account] = holder_of(user, ending)
    if memory is not None:
        _add_leavers(found, memory, declaration, directory)
    return found


def holder_of(user: User, ending: Ending | None) -> Holder:
    """Return what guards and rules need to know of a declared user."""
    return Holder(
        handle=user.handle,
        at=user.at,
        kind=user.kind,
        ending=ending,
        until=user.window.end,
        email=user.email,
        ticket=user.ticket,
        reason=user.reason,
        age=user.age,
        forge=user.forge,
    )


def _ending(user: User, instance: str, as_of: datetime) -> Ending | None:
    """Return why everything a user has on an instance is over or not yet due, if it is."""
    state = user.state(instance)
    if state != "active":
        return state
    start, end = user.window.start, user.window.end
    if end is not None and end <= as_of:
        return "expired"
    return "not-yet" if start is not None and as_of < start else None


def _add_leavers(found: Identities, memory: Memory, declaration: Declaration, directory: _Directory) -> None:
    """Add those the last run knew as declared and the file no longer has, unless somebody took their account over."""
    former = {each.casefold() for user in declaration.users.values() for each in user.previously}
    for handle, login in memory.users.items():
        account = directory.live_name(login)
        if handle in declaration.users or handle.casefold() in former or account is None or account in found.holders:
            continue
        found.holders[account] = Holder(handle=handle, at=declaration.root, ending="left")


class _Directory:
    """The live accounts, found the way the platform tells logins apart."""

    def __init__(self, live: Live | None, traits: Traits) -> None:
        self._traits = traits
        accounts: list[Account] = list(live.access.accounts()) if live is not None else []
        self._names = {each.name for each in accounts}
        self._by_fold: dict[str, str] = {}
        for each in accounts:
            self._by_fold.setdefault(folded(each.name, traits), each.name)
        self._by_email: Mapping[str, str] = {each.email.casefold(): each.name for each in accounts if each.email}

    def live_name(self, login: str) -> str | None:
        """Return the live spelling of a login, if there is such an account."""
        return login if login in self._names else self._by_fold.get(folded(login, self._traits))

    def find(self, login: str, user: User, said: list[Diagnostic]) -> tuple[str, str | None]:
        """Return the account of a user, and the new login where it still has a former one."""
        traits = self._traits
        lowered = (traits.folds_case and not traits.keeps_case) or traits.login == "email"
        wanted = login.lower() if lowered else login
        name = self.live_name(login)
        if not user.previously:
            return name or wanted, None
        if name is not None and name != wanted and name in user.previously:
            return name, wanted  # they differ in case alone, and the file says that this is the old spelling
        former = next(filter(None, map(self._former, user.previously)), None)
        if name is None:
            return (former, wanted) if former is not None else (wanted, None)
        if former is not None and former != name:
            said.append(
                warning(
                    "former-login-remains",
                    f"`{former}`, a former login of `{user.handle}`, is still there beside `{name}`",
                    at=user.spot.at("previously"),
                    hint="declare it with `state: absent`, or remove it by hand",
                )
            )
        return name, None

    def _former(self, name: str) -> str | None:
        return self.live_name(name) or self._by_email.get(name.casefold())
