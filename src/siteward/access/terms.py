"""What the owners allow, as frozen values: modes, budgets, rules, and the policy that they make up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from siteward.access.diagnostic import Span
from siteward.access.model import Power

Mode = Literal["full", "add-only", "observe"]
Unmanaged = Literal["report", "revoke", "remove"]


class Limit(Struct, frozen=True, kw_only=True):
    """A budget: allowed is ``min(count, max(2, ceil(percent of live managed)))``; `None` leaves that side open."""

    count: int | None = None
    percent: int | None = None
    at: Span | None = None


class Rule(Struct, frozen=True, kw_only=True):
    """One rule of the owners: on grants that match, fields that must be given and the most power allowed.

    `revision` names where it stands, if that is not the checkout; it has no place in the checkout then.
    """

    id: str
    match: Mapping[str, str]
    require: tuple[str, ...] = ()
    at_most: Power | None = None
    at: Span | None = None
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.id} of {self.revision}" if self.revision else self.id


LIMIT_NAMES = ("removals", "revocations", "escalations", "expiries", "mails")
DEFAULT_LIMITS: Mapping[str, Limit] = {
    "removals": Limit(count=5, percent=20),
    "revocations": Limit(count=50, percent=20),
    "escalations": Limit(count=5),
    "expiries": Limit(percent=50),
    "mails": Limit(count=50),
}


class Policy(Struct, frozen=True, kw_only=True):
    """The policy that holds for one instance: the file's, with what the instance says on top.

    `protect` are patterns on live login, e-mail and handle, compared case-folded; `ignore` are patterns on
    logins that get no step. `accept_blind` names blind spots that the owners live with.
    """

    mode: Mode = "full"
    unmanaged: Unmanaged = "report"
    admins_min: int = 1
    admins_max: int | None = None
    admins_at: Span | None = None
    limits: Mapping[str, Limit] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    wildcards_at_most: Power = Power.VIEW
    protect: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    accept_blind: frozenset[str] = frozenset()
