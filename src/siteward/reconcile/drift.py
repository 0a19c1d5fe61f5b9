"""Drift: every difference between live and declared, told apart by how it came about.

declared   last run left   live           told as
edit       view            view           unapplied      the file asks for it, apply has not run
edit       edit            view           changed-since  somebody else took it down
none       view            view           unapplied      the file has dropped it, apply has not run
none       none            view           changed-since  somebody else gave it
none       no journal      view           undeclared     live, and nothing in the file says so
view       edit            view           changed-since  somebody else made it what the file wants
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from siteward.access.model import Key, account_of, scope_of
from siteward.access.report import DriftItem, DriftKind
from siteward.access.state import Ending
from siteward.access.traits import is_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.plan import InstancePlan, Step
    from siteward.access.state import Desired, Live, Memory

HELD_BACK = "the mode of this instance leaves it"
UNMANAGED = "no declared user has this account"
CONTENT = "the file is content with it"
_ENDINGS: tuple[str, ...] = get_args(Ending)


def drift(plan: InstancePlan, live: Live, desired: Desired, memory: Memory | None) -> tuple[DriftItem, ...]:
    """Return the drift of one instance.

    `plan` is the plan that would follow, whose steps are the differences; what its mode holds back is told without a
    step. Accounts that are only reported stay where they are, in the plan, until something of theirs changes.
    `memory` is the journal's; without one nothing can be called changed since.
    """
    changed = frozenset(_changed(plan, live, desired, memory))
    items = [_item(plan, step, changed, memory) for step in plan.steps]
    items += [_item(plan, step, changed, memory, note=HELD_BACK) for step in plan.held_back]
    told = {each.change.key for each in (*plan.steps, *plan.held_back)}
    items += [_since(plan, key, live, desired, memory) for key in sorted(changed - told)]
    return tuple(items)


def _item(
    plan: InstancePlan, step: Step, changed: frozenset[Key], memory: Memory | None, *, note: str | None = None
) -> DriftItem:
    last = memory.last if memory else None
    return DriftItem(
        instance=plan.instance,
        kind=_kind(step, changed, memory),
        declared=step.change.after,
        live=step.change.before,
        journalled=last.get(step.change.key) if last is not None else None,
        step=step if note is None else None,
        note=note,
    )


def _kind(step: Step, changed: frozenset[Key], memory: Memory | None) -> DriftKind:
    change = step.change
    if change.key in changed:
        return "changed-since"
    if change.after is not None or step.cause in _ENDINGS:
        return "unapplied"
    dropped = memory is not None and memory.last is not None and step.cause == "silence"
    return "unapplied" if dropped else "undeclared"


def _changed(plan: InstancePlan, live: Live, desired: Desired, memory: Memory | None) -> Iterator[Key]:
    """Yield the keys that are not as the last run left them, of what is looked at at all."""
    last = memory.last if memory else None
    if last is None:
        return
    ignored = {each.name for each in plan.strangers if each.ignored}
    for key in last.keys() | live.access.keys():
        if last.get(key) == live.access.get(key) or account_of(key) in ignored:
            continue
        if key not in live.access and not live.complete:
            continue
        scope = scope_of(key)
        if scope is None or not is_site(scope) or scope in (desired.managed or ()):
            yield key


def _since(plan: InstancePlan, key: Key, live: Live, desired: Desired, memory: Memory | None) -> DriftItem:
    """Return what somebody else changed and no step would change back."""
    wanted, now = desired.access.get(key), live.access.get(key)
    ours = account_of(key) in desired.holders
    return DriftItem(
        instance=plan.instance,
        kind="changed-since",
        declared=wanted,
        live=now,
        journalled=memory.last.get(key) if memory and memory.last is not None else None,
        note=CONTENT if ours else UNMANAGED,
    )
