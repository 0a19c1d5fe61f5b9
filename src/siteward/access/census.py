"""Who is who on one instance, and what meeting them brings to light.

Every account is exactly one of: the one whose credentials we use, everybody (a public account), ignored,
declared, gone from the file, or nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from siteward.access.change import Change, direction
from siteward.access.diagnostic import Diagnostic, error, note, warning
from siteward.access.effective import Index
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Power,
    Scope,
    account_key,
    account_of,
)
from siteward.access.patterns import matching
from siteward.access.state import Desired, Ending, Live, Memory
from siteward.access.traits import Traits, is_public, is_site

GONE: frozenset[str | None] = frozenset({"suspended", "absent", "left"})


class Stranger(Struct, frozen=True, kw_only=True):
    """A live account that no declared user resolves to, with what it holds; reported, or revoked by policy."""

    name: str
    email: str | None = None
    power: Power = Power.NONE
    grants: int = 0
    ignored: bool = False
    facts: Mapping[str, str] = MappingProxyType({})


Stance = Literal["self", "public", "ignored", "declared", "left", "stranger"]


class Census:
    """Who is who on one instance: which account is ours, declared, gone from the file, or nobody's."""

    def __init__(
        self, live: Live, desired: Desired, traits: Traits, ignore: Iterable[str], earlier: Mapping[str, str] | None
    ) -> None:
        self.live = live
        self.desired = desired
        self.me = live.me.casefold() if live.me is not None else None
        self.holders = desired.holders
        self.traits = traits
        self.leavers_unknown = earlier is None and all(each.ending != "left" for each in desired.holders.values())
        self.ignore = tuple(ignore)
        handles = {each.handle for each in desired.holders.values()}
        self.left = {login: handle for handle, login in (earlier or {}).items() if handle not in handles}
        self._stances: dict[str, Stance] = {}

    def stance(self, name: str) -> Stance:
        """Return what an account is to us; the first that fits, in the order of `Stance`."""
        found = self._stances.get(name)
        if found is None:
            found = self._stances[name] = self._judge(name)
        return found

    def _judge(self, name: str) -> Stance:
        if self.me is not None and name.casefold() == self.me:
            return "self"
        if is_public(self.traits, name):
            return "public"
        if matching(self.ignore, name):
            return "ignored"
        if name in self.holders:
            return "left" if self.holders[name].ending == "left" else "declared"
        return "left" if name in self.left else "stranger"

    def live_account(self, name: str) -> Account | None:
        """Return the live account of that name, if there is one."""
        found = self.live.access.get(account_key(name))
        return found if isinstance(found, Account) else None

    def ending(self, name: str) -> Ending | None:
        """Return why the file says that everything of this account is over, if it does."""
        holder = self.holders.get(name)
        if holder is not None:
            return holder.ending
        return "left" if self.stance(name) == "left" else None

    def person(self, name: str) -> str | None:
        """Return the handle behind an account, also of one who left."""
        holder = self.holders.get(name)
        return holder.handle if holder is not None else self.left.get(name)


class Tally(Struct, frozen=True, kw_only=True):
    """The accounts that are nobody's, and how much of what is live is managed."""

    strangers: tuple[Stranger, ...]
    accounts: int
    grants: int


def tally(live: Live, desired: Desired, traits: Traits, census: Census, *, strangers_too: bool) -> Tally:
    """Count what is live and managed, and list the accounts that are not declared, the powerful ones first.

    Accounts that are ignored are listed too, marked so. `strangers_too` tells that the policy manages the others.
    """
    managed = {"declared", "left", "stranger"} if strangers_too else {"declared", "left"}
    grants = live.access.grants()
    names = dict.fromkeys([each.name for each in live.access.accounts()])
    names |= dict.fromkeys([each.subject.name for each in grants if each.subject.kind == "account"])
    foreign = {name for name in names if census.stance(name) in {"ignored", "stranger"}}
    held = _holdings(live.access, traits, foreign)
    strangers = [_stranger(live, name, *held[name], ignored=census.stance(name) == "ignored") for name in foreign]
    ours = {name for name in names if census.stance(name) in managed}
    return Tally(
        strangers=tuple(sorted(strangers, key=lambda each: (each.ignored, -each.power, each.name))),
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


def _stranger(live: Live, name: str, power: Power, grants: int, *, ignored: bool) -> Stranger:
    key = account_key(name)
    account = live.access.get(key)
    email = account.email if isinstance(account, Account) else None
    facts = live.facts.get(key, MappingProxyType({}))
    return Stranger(name=name, email=email, power=power, grants=grants, ignored=ignored, facts=facts)


def _managed_grants(grants: Iterable[Grant], desired: Desired, accounts: set[str]) -> int:
    managed = desired.managed
    if managed is None:
        return 0
    groups = {key[1] for key in desired.access if key[0] == "group"}
    return sum(
        [
            each.subject.name in (accounts if each.subject.kind == "account" else groups)
            and (each.scope in managed or not is_site(each.scope))
            for each in grants
        ]
    )


def findings(
    census: Census, wanted: Access, memory: Memory | None, changes: Sequence[Change], strangers: Sequence[Stranger]
) -> Iterator[Diagnostic]:
    """Yield what meeting the live accounts brings to light: facts and objections that no single guard is about."""
    if census.leavers_unknown and any(not each.ignored for each in strangers):
        yield note(
            "leavers-unknown",
            "people removed from the file cannot be told from accounts that never were in it: there is no journal of this instance",
            hint="compare with an earlier revision (`--base REVISION`), or keep the journal",
        )
    yield from _meetings(census, memory, changes)
    yield from _kept(census)
    yield from _open_to_all(census)
    yield from _out_of_reach(census, wanted)


def _meetings(census: Census, memory: Memory | None, changes: Sequence[Change]) -> Iterator[Diagnostic]:
    """Yield the first meetings of declared users with live accounts that no journal knows."""
    met = memory.accounts if memory is not None else frozenset()
    new = [
        name
        for name in census.holders
        if census.stance(name) == "declared" and name not in met and census.live_account(name)
    ]
    about: dict[str, list[Change]] = defaultdict(list)
    for each in changes:
        about[account_of(each.key) or ""].append(each)
    quiet = []
    for name in new:
        mismatch = tuple(_mismatch(census, name, about[name]))
        gained = [
            each for each in about[name] if isinstance(each.after, Grant) and direction(each, census.traits) == "open"
        ]
        if mismatch:
            yield from mismatch
        elif gained:
            strongest = max(gained, key=lambda each: _power_after(each, census.traits))
            yield warning(
                "first-meeting",
                f"{name} is a live account that no journal knows; it gains power here",
                about=strongest.key,
            )
        else:
            quiet.append(name)
    if quiet:
        listed = ", ".join(sorted(quiet))
        yield note("first-meeting", f"met for the first time, as declared: {listed}")


def _power_after(change: Change, traits: Traits) -> Power:
    return traits.power(change.after) if isinstance(change.after, Grant) else Power.NONE


def _mismatch(census: Census, name: str, changes: Sequence[Change]) -> Iterator[Diagnostic]:
    holder, account = census.holders[name], census.live_account(name)
    live, declared = (account.email if account else None), holder.email
    if not live or not declared or live.casefold() == declared.casefold():
        return
    for key in [each.key for each in changes] or [account_key(name)]:
        yield error(
            "identity-mismatch",
            f"the live account {name} has the e-mail {live}, and {holder.handle} is declared with {declared}",
            about=key,
            at=holder.at,
            hint="if they are the same person, correct the e-mail in the file or in the account; if not, give another login under `logins`",
        )


def _kept(census: Census) -> Iterator[Diagnostic]:
    """Yield what declared people have by facts that are not rights to hand out, such as owning a site."""
    facts = {(kind, each.name) for kind, roles in census.traits.roles.items() for each in roles if not each.declarable}
    if not facts:
        return
    for held in census.live.access.grants():
        name = held.subject.name
        if (held.scope.kind, held.role) not in facts or held.subject.kind != "account":
            continue
        if census.stance(name) not in {"declared", "left"}:
            continue
        yield _kept_one(census, held)


def _kept_one(census: Census, held: Grant) -> Diagnostic:
    name, wish = held.subject.name, census.desired.access.get(held.key)
    what = f"{name} is {held.role} of {held.scope}"
    ending = census.ending(name)
    if ending in GONE:
        return warning(
            "undeclarable-role",
            f"{what} and keeps that although {ending}: this role cannot be taken away here",
            about=held.key,
        )
    if isinstance(wish, Grant) and not census.traits.covers(held, wish):
        return warning("undeclarable-role", f"{what}, which stands in the way of the role {wish.role}", about=held.key)
    if isinstance(wish, Grant):
        return note(
            "undeclarable-role",
            f"{what}, which includes the declared role {wish.role}; there is nothing to do",
            about=held.key,
        )
    return note("undeclarable-role", f"{what}, which the file cannot declare and nothing here changes", about=held.key)


def _open_to_all(census: Census) -> Iterator[Diagnostic]:
    desired = census.desired
    for each in census.live.access.grants():
        if (
            is_public(census.traits, each.subject.name)
            and each.subject.kind == "account"
            and each.scope not in desired.public
        ):
            yield warning(
                "public-access",
                f"{each.scope} is open to everybody ({each.subject.name}: {each.role}), and the file does not say so",
                hint="say `public: true` or `public: false` for this site and instance",
            )


def _out_of_reach(census: Census, wanted: Access) -> Iterator[Diagnostic]:
    for name, holder in census.holders.items():
        key = account_key(name)
        if census.stance(name) == "ignored" and key in wanted:
            yield warning(
                "declared-but-ignored", f"{name} is declared and matches `ignore`, so nothing is done", at=holder.at
            )
        if holder.ending == "absent" and not census.traits.deletes and census.live_account(name):
            yield note(
                "cannot-delete",
                f"{name} stays as an account without access: accounts cannot be deleted here",
                at=holder.at,
            )
        wish = census.desired.access.get(key)
        if isinstance(wish, Account) and wish.renamed and not census.traits.renames:
            yield note(
                "cannot-rename",
                f"{name} keeps its login: accounts cannot be renamed to {wish.renamed} here",
                at=holder.at,
            )
    yield from _outside(census)


def _outside(census: Census) -> Iterator[Diagnostic]:
    managed = census.desired.managed
    if managed is None:
        return
    outside: dict[str, list[Scope]] = defaultdict(list)
    for each in census.live.access.grants():
        if is_site(each.scope) and each.scope not in managed and census.ending(each.subject.name) in GONE:
            outside[each.subject.name].append(each.scope)
    for name, scopes in outside.items():
        sites = ", ".join(sorted(map(str, scopes)))
        yield warning(
            "outside-manages",
            f"{name} is {census.ending(name)} and keeps access to sites that are not looked at: {sites}",
        )
