"""The numbers of the steps of one instance, counted once for the plan's document and for everything that is shown of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from siteward.access.model import Account, Grant, Scope, account_of
from siteward.access.traits import is_site

if TYPE_CHECKING:
    from siteward.access.change import Change
    from siteward.access.model import Power

_ACTIONS: Final[Mapping[str, str]] = {"create": "creates", "update": "updates", "delete": "deletes"}
_KINDS: Final = (
    "accounts_created",
    "accounts_deleted",
    "grants_added",
    "grants_raised",
    "grants_lowered",
    "grants_revoked",
    "other_changes",
)
_ADMINS: Final[Mapping[str, str]] = {"becomes-admin": "admins_gained", "loses-admin": "admins_lost"}
COUNTED: Final = (*_ACTIONS.values(), *_KINDS, "powers_raised", "caused", "pending", *_ADMINS.values())
"""The fields of a summary that are sums over instances."""


class Counted(Protocol):
    """What is counted of a step (`siteward.access.plan.Step`)."""

    @property
    def change(self) -> Change:
        """The change."""

    @property
    def person(self) -> str | None:
        """The handle of the person, if there is one."""

    @property
    def before_power(self) -> Power:
        """The power before."""

    @property
    def after_power(self) -> Power:
        """The power after."""

    @property
    def raises(self) -> bool:
        """Whether privileges are raised."""

    @property
    def risks(self) -> tuple[str, ...]:
        """The risks."""

    @property
    def pending(self) -> bool | None:
        """Whether the files at the base ask for it too."""


class StepCounts(Struct, frozen=True):
    """The numbers by the fields of a summary, and the people and the sites that steps change something for.

    Somebody without a handle is an account of this instance.
    """

    numbers: Mapping[str, int]
    people: frozenset[str]
    sites: frozenset[Scope]


def count_steps(instance: str, steps: Iterable[Counted]) -> StepCounts:
    """Return the numbers of steps, each looked at once."""
    numbers: Counter[str] = Counter()
    people, scopes = set[str](), set[Scope]()
    admins: set[tuple[str, str | None]] = set()
    for step in steps:
        change, key = step.change, step.change.key
        name = account_of(key)
        numbers[_ACTIONS[change.action]] += 1
        numbers[_classify(step)] += 1
        if step.raises:
            numbers["powers_raised"] += 1
        if step.pending is not None:
            numbers["pending" if step.pending else "caused"] += 1
        if name:
            people.add(step.person or f"{instance} {name}")
        side = change.before if change.after is None else change.after
        if isinstance(side, Grant):
            scopes.add(side.scope)
        admins |= {(risk, name) for risk in step.risks if risk in _ADMINS} if step.risks else set()
    numbers.update(_ADMINS[risk] for risk, _ in admins)
    sites = frozenset(scope for scope in scopes if is_site(scope))
    return StepCounts({name: numbers[name] for name in COUNTED}, frozenset(people), sites)


def _classify(step: Counted) -> str:
    """Return the field of `Summary` that counts a step."""
    match step.change.before, step.change.after:
        case None, Account():
            return "accounts_created"
        case Account(), None:
            return "accounts_deleted"
        case None, Grant():
            return "grants_added"
        case Grant(), None:
            return "grants_revoked"
        case Grant() as before, Grant() as after:
            gained, lost = _extras(after) - _extras(before), _extras(before) - _extras(after)
            weight = (step.after_power > step.before_power, bool(gained and not lost))
            less = (step.after_power < step.before_power, bool(lost and not gained))
            return "grants_raised" if weight > less else "grants_lowered" if less > weight else "other_changes"
        case _:
            return "other_changes"


def _extras(grant: Grant) -> frozenset[str]:
    return grant.extras or frozenset()
