"""The classification of the accounts on one instance.

Every account is exactly one of: the one whose credentials we use, everybody (a public account), ignored,
declared, gone from the file, or unmanaged (`stranger`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from siteward.access.effective import Index
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Power,
    account_key,
)
from siteward.access.patterns import matching
from siteward.access.state import Desired, Ending, Live
from siteward.access.traits import Traits, is_public, is_site

GONE: frozenset[str | None] = frozenset({"suspended", "absent", "left"})


class UnmanagedAccount(Struct, frozen=True, kw_only=True):
    """A live account that no declared user resolves to, with what it holds; reported, or revoked by policy."""

    name: str
    email: str | None = None
    power: Power = Power.NONE
    grants: int = 0
    ignored: bool = False
    facts: Mapping[str, str] = MappingProxyType({})


AccountClass = Literal["self", "public", "ignored", "declared", "left", "stranger"]


class Classification:
    """The class of each account on one instance: the one in use, declared, gone from the file, or unmanaged."""

    def __init__(
        self, live: Live, desired: Desired, traits: Traits, ignore: Iterable[str], earlier: Mapping[str, str] | None
    ) -> None:
        self.live = live
        self.desired = desired
        self.me = live.me.casefold() if live.me is not None else None
        self.declared_users = desired.declared_users
        self.traits = traits
        self.leavers_unknown = earlier is None and all(
            user.ending != "left" for user in desired.declared_users.values()
        )
        self.ignore = tuple(ignore)
        handles = {user.handle for user in desired.declared_users.values()}
        self.left = {login: handle for handle, login in (earlier or {}).items() if handle not in handles}
        self._classes: dict[str, AccountClass] = {}

    def classify(self, name: str) -> AccountClass:
        """Return the class of an account: the first that fits, in the order of `AccountClass`."""
        found = self._classes.get(name)
        if found is None:
            found = self._classes[name] = self._class_of(name)
        return found

    def _class_of(self, name: str) -> AccountClass:
        if self.me is not None and name.casefold() == self.me:
            return "self"
        if is_public(self.traits, name):
            return "public"
        if matching(self.ignore, name):
            return "ignored"
        if name in self.declared_users:
            return "left" if self.declared_users[name].ending == "left" else "declared"
        return "left" if name in self.left else "stranger"

    def live_account(self, name: str) -> Account | None:
        """Return the live account of that name, if there is one."""
        found = self.live.access.get(account_key(name))
        return found if isinstance(found, Account) else None

    def ending(self, name: str) -> Ending | None:
        """Return why the file says that everything of this account is over, if it does."""
        declared_user = self.declared_users.get(name)
        if declared_user is not None:
            return declared_user.ending
        return "left" if self.classify(name) == "left" else None

    def person(self, name: str) -> str | None:
        """Return the handle behind an account, also of one who left."""
        declared_user = self.declared_users.get(name)
        return declared_user.handle if declared_user is not None else self.left.get(name)


class Tally(Struct, frozen=True, kw_only=True):
    """The unmanaged accounts, and the numbers of live accounts and grants that are managed."""

    unmanaged: tuple[UnmanagedAccount, ...]
    accounts: int
    grants: int


def tally(
    live: Live, desired: Desired, traits: Traits, classification: Classification, *, include_unmanaged: bool
) -> Tally:
    """Count what is live and managed, and list the accounts that are not declared, the powerful ones first.

    Accounts that are ignored are listed too, marked so. With `include_unmanaged` the policy manages the others.
    """
    managed = {"declared", "left", "stranger"} if include_unmanaged else {"declared", "left"}
    grants = live.access.grants()
    names = dict.fromkeys([account.name for account in live.access.accounts()])
    names |= dict.fromkeys([grant.subject.name for grant in grants if grant.subject.kind == "account"])
    foreign = {name for name in names if classification.classify(name) in {"ignored", "stranger"}}
    held = _holdings(live.access, traits, foreign)
    unmanaged = [
        _unmanaged_account(live, name, *held[name], ignored=classification.classify(name) == "ignored")
        for name in foreign
    ]
    ours = {name for name in names if classification.classify(name) in managed}
    return Tally(
        unmanaged=tuple(sorted(unmanaged, key=lambda account: (account.ignored, -account.power, account.name))),
        accounts=len(ours),
        grants=_managed_grants(grants, desired, ours),
    )


def _holdings(access: Access, traits: Traits, names: set[str]) -> Mapping[str, tuple[Power, int]]:
    """Return the greatest power and the number of grants of these accounts, by themselves and through groups."""
    index = Index(access)
    found: dict[str, tuple[Power, int]] = {}
    for name in names:
        held = [grant for ways in index.ways(name).values() for grant, _ in ways]
        found[name] = (max(map(traits.power, held), default=Power.NONE), len(held))
    return found


def _unmanaged_account(live: Live, name: str, power: Power, grants: int, *, ignored: bool) -> UnmanagedAccount:
    key = account_key(name)
    account = live.access.get(key)
    email = account.email if isinstance(account, Account) else None
    facts = live.facts.get(key, MappingProxyType({}))
    return UnmanagedAccount(name=name, email=email, power=power, grants=grants, ignored=ignored, facts=facts)


def _managed_grants(grants: Iterable[Grant], desired: Desired, accounts: set[str]) -> int:
    managed = desired.managed
    if managed is None:
        return 0
    groups = {key[1] for key in desired.access if key[0] == "group"}
    return sum(
        [
            grant.subject.name in (accounts if grant.subject.kind == "account" else groups)
            and (grant.scope in managed or not is_site(grant.scope))
            for grant in grants
        ]
    )
