"""The access review: every holding as an item to decide on, with what a reviewer should know, under one digest.

The digest covers what was reviewed and not what was decided, so that decisions can be tied to exactly this picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.effective import Agreement, Entry, Holding, Ledger
from siteward.access.model import Accounts, Grant, Power, Scope, Subject, grant_key
from siteward.access.report import Missing
from siteward.access.state import Origin, home_domains, is_external

Flag = Literal[
    "admin", "undeclared", "public", "outsider", "service", "expired", "expiring", "stale", "pending", "differs"
]  # fmt: skip
Decision = Literal["keep", "revoke", "change"]
FLAGS: tuple[Flag, ...] = get_args(Flag)


class Horizon(Struct, frozen=True, kw_only=True):
    """The moment of a review, how near an end is to be told, and after how long an account is unused."""

    as_of: datetime
    soon: timedelta = timedelta(days=30)
    unused: timedelta = timedelta(days=180)


class Item(Struct, frozen=True, kw_only=True):
    """One holding under review. `id` stays the same from review to review; `commit` is what brought its line."""

    id: str
    instance: str
    account: str
    kind: str
    scope: Scope
    live: Grant | None
    declared: Grant | None
    power: Power
    agreement: Agreement
    handle: str | None = None
    email: str | None = None
    origin: Origin | None = None
    commit: str | None = None
    until: datetime | None = None
    flags: tuple[Flag, ...] = ()
    facts: Mapping[str, str] = MappingProxyType({})


class Review(Struct, frozen=True, kw_only=True):
    """All items of some instances, the riskiest first.

    `incomplete` names instances that were not read whole, `missing` tells of those that were not read at all.
    `accounts` are the account names that are known beside those of the items (`Report.accounts`).
    """

    as_of: datetime
    items: tuple[Item, ...]
    incomplete: tuple[str, ...] = ()
    digest: str = ""
    missing: tuple[Missing, ...] = ()
    accounts: Accounts = MappingProxyType({})

    @property
    def gaps(self) -> tuple[Missing, ...]:
        """The instances that were not read, and those that were not read whole."""
        return (*self.missing, *(Missing(instance=name, partly=True) for name in self.incomplete))

    def counts(self) -> Mapping[Flag, int]:
        """Return how many items carry each flag."""
        return {flag: sum(flag in item.flags for item in self.items) for flag in FLAGS}


def review(
    ledgers: Iterable[Ledger],
    horizon: Horizon,
    commits: Mapping[tuple[str, int], str] = MappingProxyType({}),
    missing: tuple[Missing, ...] = (),
) -> Review:
    """Return the review of some instances; `commits` names, by file and line, the commit that brought it.

    `missing` are instances that were to be in it and could not be read.
    """
    every = tuple(ledgers)
    home = home_domains(entry.email for ledger in every for entry in ledger.entries if entry.kind == "person")
    items = sorted((item for ledger in every for item in _items(ledger, horizon, home, commits)), key=_riskiest_first)
    incomplete = tuple(ledger.instance for ledger in every if not ledger.complete)
    made = Review(as_of=horizon.as_of, items=tuple(items), incomplete=incomplete, missing=missing)
    return replace(made, digest=_digest(made))


def _items(
    ledger: Ledger, horizon: Horizon, home: frozenset[str], commits: Mapping[tuple[str, int], str]
) -> Iterator[Item]:
    for entry in ledger.entries:
        for holding in entry.holdings:
            at = holding.origin.at if holding.origin else None
            until = min(
                (end for end in (holding.origin.until if holding.origin else None, entry.until) if end), default=None
            )
            yield Item(
                id=_item_id(ledger.instance, entry, holding),
                instance=ledger.instance,
                account=entry.account,
                kind=entry.kind,
                scope=holding.scope,
                live=holding.live,
                declared=holding.declared,
                power=max(holding.live_power, holding.declared_power),
                agreement=holding.agreement,
                handle=entry.handle,
                email=entry.email,
                origin=holding.origin,
                commit=commits.get((at.file, at.line)) if at else None,
                until=until,
                flags=tuple(_flags(entry, holding, until, horizon, home)),
                facts=entry.facts,
            )


def _item_id(instance: str, entry: Entry, holding: Holding) -> str:
    return _sha256_of([instance, *grant_key(Subject("account", entry.account), holding.scope)])[:16]


def _sha256_of(data: object) -> str:
    """Return the SHA-256 of plain data; in ASCII, so that a name may be anything, even half a character."""
    return sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _flags(
    entry: Entry, holding: Holding, until: datetime | None, horizon: Horizon, home: frozenset[str]
) -> Iterator[Flag]:
    as_of = horizon.as_of
    told: tuple[tuple[bool, Flag], ...] = (
        (max(holding.live_power, holding.declared_power) is Power.ADMIN, "admin"),
        (entry.kind == "undeclared", "undeclared"),
        (entry.kind == "public", "public"),
        (is_external(entry.kind, entry.email, home), "outsider"),
        (entry.kind == "service", "service"),
        (until is not None and until <= as_of, "expired"),
        (until is not None and as_of < until <= as_of + horizon.soon, "expiring"),
        (_is_unused(entry.facts.get("last_seen"), horizon), "stale"),
        (holding.pending or entry.status == "pending", "pending"),
        (holding.agreement != "same", "differs"),
    )
    return (flag for holds, flag in told if holds)


def _is_unused(last_seen: str | None, horizon: Horizon) -> bool:
    """Return whether an account was last seen too long ago; where the platform does not say, it is not known to be."""
    try:
        return last_seen is not None and date.fromisoformat(last_seen[:10]) < (horizon.as_of - horizon.unused).date()
    except ValueError:
        return False


def _riskiest_first(item: Item) -> tuple[int, int, str, str, str]:
    first = min((FLAGS.index(flag) for flag in item.flags), default=len(FLAGS))
    return first, -item.power, item.handle or item.account, item.instance, str(item.scope)


def _digest(made: Review) -> str:
    """Return a digest over what is reviewed: who holds what on both sides, and by which lines it is wanted.

    The moment is not in it, so that a picture that has not changed is known again when the decisions come back.
    """
    rows = [
        [
            item.id,
            item.instance,
            item.account,
            str(item.scope),
            *map(_describe_grant, (item.live, item.declared)),
            _describe_place(item.origin),
        ]
        for item in sorted(made.items, key=lambda item: item.id)
    ]
    inputs = {"incomplete": [*made.incomplete, *(missing.instance for missing in made.missing)], "items": rows}
    return f"sha256:{_sha256_of(inputs)}"


def _describe_grant(grant: Grant | None) -> list[str] | None:
    return None if grant is None else [grant.role, *sorted(grant.extras or ())]


def _describe_place(origin: Origin | None) -> str:
    return str(origin.at) if origin else ""
