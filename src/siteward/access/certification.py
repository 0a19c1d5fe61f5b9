"""The access review (certification): every holding as an item to decide on, with flags and facts, under one digest.

The digest covers the reviewed items and not the decisions, so that decisions can be tied to exactly these items.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import HeldKey
from siteward.access.diagnostic import Span
from siteward.access.effective import Agreement, Entry, Holding, Ledger
from siteward.access.model import Accounts, Grant, Power, Scope, Subject, grant_key
from siteward.access.report import Missing
from siteward.access.state import Origin, home_domains, is_external

Flag = Literal[
    "admin", "undeclared", "public", "outsider", "service", "expired", "expiring", "stale", "pending", "differs", "overdue"
]  # fmt: skip
Decision = Literal["keep", "revoke", "change", "remove"]
FLAGS: tuple[Flag, ...] = get_args(Flag)
ID = "i-"
"""How the id of each item begins, so that no spreadsheet takes one for a number."""


class Horizon(Struct, frozen=True, kw_only=True):
    """The moment of a review; ends within `soon` are flagged, and accounts not seen for `unused`."""

    as_of: datetime
    soon: timedelta = timedelta(days=30)
    unused: timedelta = timedelta(days=180)


class Confirmed(Struct, frozen=True, kw_only=True):
    """The last time that a review has kept or changed a right: when, by whom (as the sheet says), and in which review.

    `role` is the one that was kept; `None` where the right was changed.
    """

    at: datetime
    by: str
    decision: str
    review: str
    role: str | None = None


class Confirmations(Struct, frozen=True, kw_only=True):
    """What journals say of reviews: by item the last confirmation, and since when each right is there.

    `known_since` is, by instance, the moment of the first state that a journal has. `days` are, by instance, those of
    `policy.reviews`.
    """

    last: Mapping[str, Confirmed] = MappingProxyType({})
    since: Mapping[str, datetime] = MappingProxyType({})
    known_since: Mapping[str, datetime] = MappingProxyType({})
    days: Mapping[str, Mapping[str, int]] = MappingProxyType({})

    def find(self, item: str, right: Grant | None) -> Confirmed | None:
        """Return the last confirmation of a right as it is now; `None` where another role was confirmed."""
        last = self.last.get(item)
        kept = last is None or last.role is None or (right is not None and last.role == right.role)
        return last if kept else None

    def is_overdue(self, item: Item, as_of: datetime) -> bool:
        """Return whether a right was confirmed too long ago for the policy, or is there so long without."""
        days = self._find_days(item)
        begins = item.confirmed.at if item.confirmed else self.since.get(item.id, self.known_since.get(item.instance))
        return days is not None and begins is not None and begins + timedelta(days=days) <= as_of

    def _find_days(self, item: Item) -> int | None:
        limits = self.days.get(item.instance)
        if not limits or item.kind in {"self", "public"}:
            return None
        kinds = item.kinds
        return min((days for name, days in limits.items() if name in kinds), default=None)


NOTHING_CONFIRMED = Confirmations()


class Item(Struct, frozen=True, kw_only=True):
    """One holding under review. `id` stays the same from review to review; `commit` last changed its line.

    That is the line of the membership where there is one, else of the grant. `confirmed` is the last review that kept it.
    """

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
    confirmed: Confirmed | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """Which of those that `policy.reviews` names it belongs to."""
        admins = {"admins"} if self.power is Power.ADMIN else set[str]()
        return frozenset({"everybody", *admins, *({"services"} if self.kind == "service" else ())})


class DeadRow(Struct, frozen=True, kw_only=True):
    """A line of the file that gives nothing any more, to be kept or removed. `commit` last changed it."""

    id: str
    what: str
    why: str
    at: Span
    ticket: str | None = None
    reason: str | None = None
    commit: str | None = None


class Review(Struct, frozen=True, kw_only=True):
    """All items of some instances, the riskiest first.

    `incomplete` names instances that were not read whole, `missing` holds those that were not read at all, with the
    reasons. `unused_unknown` names those whose platform does not keep when an account was last used, so that nothing of
    theirs is `stale`. `dead` are lines of the file that give nothing any more. `accounts` are the known account names beside those of the items (`Report.accounts`).
    `timezone` is that of the policy, in which people read moments. `keys` are those that are live or in the file, on which
    nothing is decided here, and `keys_unseen` says by instance why not all live ones are shown.
    """

    as_of: datetime
    items: tuple[Item, ...]
    incomplete: tuple[str, ...] = ()
    unused_unknown: tuple[str, ...] = ()
    digest: str = ""
    missing: tuple[Missing, ...] = ()
    accounts: Accounts = MappingProxyType({})
    dead: tuple[DeadRow, ...] = ()
    timezone: str = "UTC"
    keys: tuple[HeldKey, ...] = ()
    keys_unseen: Mapping[str, str] = MappingProxyType({})

    @property
    def gaps(self) -> tuple[Missing, ...]:
        """The instances that were not read, and those that were not read whole."""
        return (*self.missing, *(Missing(instance=name, partly=True) for name in self.incomplete))

    def counts(self) -> Mapping[Flag, int]:
        """Return the number of items with each flag."""
        found = Counter(flag for item in self.items for flag in item.flags)
        return {flag: found[flag] for flag in FLAGS}


def review(
    ledgers: Iterable[Ledger],
    horizon: Horizon,
    commits: Mapping[tuple[str, int], str] = MappingProxyType({}),
    missing: tuple[Missing, ...] = (),
    dead: tuple[DeadRow, ...] = (),
    confirmed: Confirmations = NOTHING_CONFIRMED,
) -> Review:
    """Return the review of some instances, with what the journals say of earlier ones.

    `commits` gives, by file and line, the commit that last changed the line. `missing` are instances that should be in
    the review and could not be read.
    """
    read = tuple(ledgers)
    home = home_domains(entry.email for ledger in read for entry in ledger.entries if entry.kind == "person")
    items = sorted(
        (_judge(item, confirmed, horizon) for ledger in read for item in _build_items(ledger, horizon, home, commits)),
        key=_riskiest_first,
    )
    incomplete = tuple(ledger.instance for ledger in read if not ledger.complete)
    told = tuple(replace(row, commit=commits.get((row.at.file, row.at.line))) for row in dead)
    made = Review(
        as_of=horizon.as_of,
        items=tuple(items),
        incomplete=incomplete,
        unused_unknown=tuple(ledger.instance for ledger in read if not ledger.last_seen),
        missing=missing,
        dead=told,
    )
    return replace(made, digest=_compute_digest(made))


def _judge(item: Item, confirmations: Confirmations, horizon: Horizon) -> Item:
    """Return an item with its last confirmation, and flagged where that is overdue."""
    if (last := confirmations.find(item.id, item.live or item.declared)) is not None:
        item = replace(item, confirmed=last)
    return replace(item, flags=(*item.flags, "overdue")) if confirmations.is_overdue(item, horizon.as_of) else item


def _build_items(
    ledger: Ledger, horizon: Horizon, home: frozenset[str], commits: Mapping[tuple[str, int], str]
) -> Iterator[Item]:
    for entry in ledger.entries:
        for holding in entry.holdings:
            at = holding.origin.at if holding.origin else None
            until = min(
                (end for end in (holding.origin.until if holding.origin else None, entry.until) if end), default=None
            )
            yield Item(
                id=identify(ledger.instance, entry.account, holding.scope),
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
                flags=tuple(_find_flags(entry, holding, until, horizon, home)),
                facts=entry.facts,
            )


def identify(instance: str, account: str, scope: Scope) -> str:
    """Return the id of the item that is what an account holds on a scope."""
    return ID + _hash([instance, *grant_key(Subject("account", account), scope)])[:16]


def _hash(data: object) -> str:
    """Return the SHA-256 of plain data as ASCII JSON, in which a name may hold any character, even a lone surrogate."""
    return sha256(_ENCODER.encode(data).encode()).hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""One for all items: `json.dumps` makes a new one at each call with options."""


def _find_flags(
    entry: Entry, holding: Holding, until: datetime | None, horizon: Horizon, home: frozenset[str]
) -> Iterator[Flag]:
    as_of = horizon.as_of
    tests: tuple[tuple[bool, Flag], ...] = (
        (max(holding.live_power, holding.declared_power) is Power.ADMIN, "admin"),
        (entry.kind == "undeclared", "undeclared"),
        (entry.kind == "public", "public"),
        (entry.kind != "self" and is_external(entry.kind, entry.email, home), "outsider"),
        (entry.kind == "service", "service"),
        (until is not None and until <= as_of, "expired"),
        (until is not None and as_of < until <= as_of + horizon.soon, "expiring"),
        (_is_unused(entry.facts.get("last_seen"), horizon), "stale"),
        (holding.pending or entry.status == "pending", "pending"),
        (holding.agreement != "same" and entry.kind != "undeclared", "differs"),
    )
    return (flag for holds, flag in tests if holds)


def _is_unused(last_seen: str | None, horizon: Horizon) -> bool:
    """Return whether an account was last seen too long ago; false where the platform keeps no such date."""
    try:
        return last_seen is not None and date.fromisoformat(last_seen[:10]) < (horizon.as_of - horizon.unused).date()
    except ValueError:
        return False


def _riskiest_first(item: Item) -> tuple[int, int, str, str, str]:
    first = min((FLAGS.index(flag) for flag in item.flags), default=len(FLAGS))
    return first, -item.power, item.handle or item.account, item.instance, str(item.scope)


def _compute_digest(made: Review) -> str:
    """Return a digest over the items: the live and the declared grant, and the line that declares it.

    The moment is not in it, so that unchanged items have the same digest when the decisions come back, nor is the mark of
    the ids, which earlier releases did not write.
    """
    items = [
        [
            item.id.removeprefix(ID),
            item.instance,
            item.account,
            str(item.scope),
            *map(_describe_grant, (item.live, item.declared)),
            _describe_place(item.origin),
        ]
        for item in sorted(made.items, key=lambda item: item.id)
    ]
    inputs: dict[str, list[Any]] = {
        "incomplete": [*made.incomplete, *(missing.instance for missing in made.missing)],
        "items": items,
    }
    if made.dead:  # without any, a review of an earlier release has the same digest
        inputs["dead"] = [[row.id.removeprefix(ID), row.what, str(row.at)] for row in made.dead]
    return f"sha256:{_hash(inputs)}"


def _describe_grant(grant: Grant | None) -> list[str] | None:
    return None if grant is None else [grant.role, *sorted(grant.extras or ())]


def _describe_place(origin: Origin | None) -> str:
    return str(origin.at) if origin else ""
