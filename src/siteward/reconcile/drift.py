"""Drift: every difference between live and declared, told apart by how it came about.

declared   last run left   live           told as
edit       view            view           unapplied      the file asks for it, apply has not run
edit       edit            view           changed-since  somebody else took it down
none       view            view           unapplied      the file has dropped it, apply has not run
none       none            view           changed-since  somebody else gave it
none       no journal      view           undeclared     live, and nothing in the file says so
view       edit            view           changed-since  somebody else made it what the file wants
edit       view            edit           unapplied      a run that was cut off was about to make it so, and may have
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from msgspec import Struct

from siteward.access.model import Key, account_of, scope_of
from siteward.access.renames import touched
from siteward.access.report import DriftItem, DriftKind
from siteward.access.state import Ending
from siteward.access.traits import is_site
from siteward.reconcile.apply.revalidate import reached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.change import Change
    from siteward.access.model import Resource
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.state import Desired, Live, Memory

HELD_BACK = "the mode of this instance leaves it"
UNMANAGED = "no declared user has this account"
CONTENT = "the file is content with it"
INTERRUPTED = "an interrupted apply was about to do this"
_ENDINGS: tuple[str, ...] = get_args(Ending)


def drift(plan: InstancePlan, live: Live, desired: Desired, memory: Memory | None) -> tuple[DriftItem, ...]:
    """Return the drift of one instance.

    `plan` is the plan that would follow, whose steps are the differences; what its mode holds back is told without a
    step. Accounts that are only reported stay where they are, in the plan, until something of theirs changes.
    `memory` is the journal's; without one nothing can be called changed since. What an interrupted apply may have done
    without knowing it (`memory.unsettled`) is nobody else's.
    """
    in_doubt = [earlier.change for earlier in memory.unsettled] if memory is not None else []
    cut_off = frozenset(key for change in in_doubt if _maybe_ours(change, live) for key in touched(change))
    changed = frozenset(_changed(plan, live, desired, memory))
    case = _Case(plan=plan, desired=desired, memory=memory, changed=changed, cut_off=cut_off)
    items = [_item(case, step) for step in plan.steps]
    items += [_item(case, step, note=HELD_BACK) for step in plan.held_back]
    told = {step.change.key for step in (*plan.steps, *plan.held_back)}
    items += [_since(case, key, live) for key in sorted(changed - told)]
    return tuple(items)


class _Case(Struct, frozen=True, kw_only=True):
    """The facts by which kinds of drift are told apart."""

    plan: InstancePlan
    desired: Desired
    memory: Memory | None
    changed: frozenset[Key]
    cut_off: frozenset[Key]

    def last(self, key: Key) -> Resource | None:
        """Return what the last run left under a key."""
        last = self.memory.last if self.memory else None
        return last.get(key) if last is not None else None


def _maybe_ours(change: Change, live: Live) -> bool:
    """Return whether what stands there is what a cut-off write leaves: done, or taken to be given anew."""
    halfway = change.action == "update" and change.key not in live.access
    return halfway or reached(change, live.access)


def _item(case: _Case, step: Step, *, note: str | None = None) -> DriftItem:
    return DriftItem(
        instance=case.plan.instance,
        kind=_kind(case, step),
        declared=step.change.after,
        live=step.change.before,
        journalled=case.last(step.change.key),
        step=step if note is None else None,
        note=INTERRUPTED if step.change.key in case.cut_off else note,
    )


def _kind(case: _Case, step: Step) -> DriftKind:
    change, memory = step.change, case.memory
    if change.key in case.cut_off:
        return "unapplied"
    if change.key in case.changed:
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
    ignored = {unmanaged_account.name for unmanaged_account in plan.unmanaged if unmanaged_account.ignored}
    for key in last.keys() | live.access.keys():
        if last.get(key) == live.access.get(key) or account_of(key) in ignored:
            continue
        if key not in live.access and not live.complete:
            continue
        scope = scope_of(key)
        if scope is None or not is_site(scope) or scope in (desired.managed or ()):
            yield key


def _since(case: _Case, key: Key, live: Live) -> DriftItem:
    """Return what changed since and no step would change back: somebody else's doing, or that of a cut-off run."""
    ours = account_of(key) in case.desired.declared_users
    cut_off = key in case.cut_off
    return DriftItem(
        instance=case.plan.instance,
        kind="unapplied" if cut_off else "changed-since",
        declared=case.desired.access.get(key),
        live=live.access.get(key),
        journalled=case.last(key),
        note=INTERRUPTED if cut_off else CONTENT if ours else UNMANAGED,
    )
