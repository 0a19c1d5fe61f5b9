"""The numbers of the steps of one instance, counted once for the plan's document and for everything that is shown of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from siteward.access.model import Account, Grant, Scope, account_of
from siteward.access.traits import is_site

if TYPE_CHECKING:
    from siteward.access.change import Action, Change
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
_FIELDS: Final[Mapping[tuple[type, type], str]] = {
    (NoneType, Account): "accounts_created",
    (Account, NoneType): "accounts_deleted",
    (NoneType, Grant): "grants_added",
    (Grant, NoneType): "grants_revoked",
}
"""The field of a summary that counts what is made or deleted, by the kinds of the two sides."""
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
    known = list(steps)
    numbers: Counter[str] = Counter()
    for (action, kind, raises, pending), count in Counter(map(_describe, known)).items():
        numbers[_ACTIONS[action]] += count
        numbers[kind] += count
        numbers["powers_raised"] += count if raises else 0
        numbers["pending" if pending else "caused"] += count if pending is not None else 0
    people, scopes = set[str](), set[Scope]()
    admins: set[tuple[str, str | None]] = set()
    for step in known:
        name = account_of(step.change.key)
        if name:
            people.add(step.person or f"{instance} {name}")
        side = step.change.before if step.change.after is None else step.change.after
        if type(side) is Grant:
            scopes.add(side.scope)
        if step.risks:
            admins |= {(risk, name) for risk in step.risks if risk in _ADMINS}
    numbers.update(_ADMINS[risk] for risk, _ in admins)
    sites = frozenset(scope for scope in scopes if is_site(scope))
    return StepCounts({name: numbers[name] for name in COUNTED}, frozenset(people), sites)


def _describe(step: Counted) -> tuple[Action, str, bool, bool | None]:
    """Return all by which a step is counted."""
    return step.change.action, _classify(step), step.raises, step.pending


def _classify(step: Counted) -> str:
    """Return the field of `Summary` that counts a step."""
    before, after = step.change.before, step.change.after
    if type(before) is Grant and type(after) is Grant:
        gained = lost = _NONE
        if before.extras != after.extras:
            gained, lost = _extras(after) - _extras(before), _extras(before) - _extras(after)
        weight = (step.after_power > step.before_power, bool(gained and not lost))
        less = (step.after_power < step.before_power, bool(lost and not gained))
        return "grants_raised" if weight > less else "grants_lowered" if less > weight else "other_changes"
    return _FIELDS.get((type(before), type(after)), "other_changes")


_NONE: Final[frozenset[str]] = frozenset()


def _extras(grant: Grant) -> frozenset[str]:
    return grant.extras or frozenset()
