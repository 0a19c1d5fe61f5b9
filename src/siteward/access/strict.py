"""Of two policies the strictest of each part, so that a change cannot weaken the rule that it must pass.

Strict is what does least to live access and asks most of a change: the narrower mode, the smaller budget, the longer
list of what is protected, and the rules of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from siteward.access.policy import DEFAULT_LIMITS, LIMIT_NAMES, Limit, Mode, Policy, Rule, Unmanaged

MODES: tuple[Mode, ...] = ("observe", "add-only", "full")
UNMANAGED: tuple[Unmanaged, ...] = ("report", "revoke", "remove")
T = TypeVar("T")


def strictest(one: Policy, other: Policy) -> Policy:
    """Return the policy that forbids what either forbids."""
    return Policy(
        mode=min(one.mode, other.mode, key=MODES.index),
        unmanaged=min(one.unmanaged, other.unmanaged, key=UNMANAGED.index),
        admins_min=max(one.admins_min, other.admins_min),
        admins_max=_of(min, one.admins_max, other.admins_max),
        admins_at=one.admins_at or other.admins_at,
        limits={name: _limit(_named(one, name), _named(other, name)) for name in LIMIT_NAMES},
        wildcards_at_most=min(one.wildcards_at_most, other.wildcards_at_most),
        protect=tuple(dict.fromkeys((*one.protect, *other.protect))),
        ignore=tuple(dict.fromkeys((*one.ignore, *other.ignore))),
        rules=_rules(one.rules, other.rules),
        accept_blind=one.accept_blind & other.accept_blind,
    )


def _named(policy: Policy, name: str) -> Limit:
    return policy.limits.get(name, DEFAULT_LIMITS[name])


def _of(choose: Callable[..., T], *values: T | None) -> T | None:
    given = [each for each in values if each is not None]
    return choose(given) if given else None


def _limit(one: Limit, other: Limit) -> Limit:
    """Return the smaller of each side; the place is that of the one that decides."""
    count, percent = _of(min, one.count, other.count), _of(min, one.percent, other.percent)
    decides = one if (count, percent) == (one.count, one.percent) else other
    return Limit(count=count, percent=percent, at=decides.at or one.at)


def _rules(one: tuple[Rule, ...], other: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules of both; what both say in the same words stands once."""
    known = set(map(_words, one))
    return (*one, *(each for each in other if _words(each) not in known))


def _words(rule: Rule) -> str:
    """Return what a rule says, wherever it stands."""
    return repr(replace(rule, at=None, revision=""))
