"""Drift: every difference between live and declared access, classified by how it came about.

declared   last run left   live           kind
edit       view            view           unapplied      the file asks for it, apply has not run
edit       edit            view           changed-since  somebody else took it down
none       view            view           unapplied      the file has dropped it, apply has not run
none       none            view           changed-since  somebody else gave it
none       no journal      view           undeclared     live, and nothing in the file says so
view       edit            view           changed-since  somebody else made it what the file wants
edit       view            edit           unapplied      an interrupted run was about to make it so, and may have
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, direction
from siteward.access.model import Account, Key, Subject, account_key, account_of, scope_of
from siteward.access.renames import touched
from siteward.access.report import DriftItem, DriftKind
from siteward.access.standing import spoken_modules
from siteward.access.state import Ending
from siteward.access.traits import is_site
from siteward.reconcile.apply.revalidate import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.excess import Excess
    from siteward.access.model import Resource
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.state import Desired, Live, Memory
    from siteward.access.traits import Traits

HELD_BACK = "the mode of this instance leaves it"
KEPT = "kept, because a row of the file is in error"
UNMANAGED = "no declared user has this account"
CONTENT = "the file is content with it"
RENAMED = "renamed on the server; its login in the file is {old}"
OUTSIDE = "no step changes a group outside the file"
INTERRUPTED = "an interrupted apply was about to do this"
_ENDINGS: tuple[str, ...] = get_args(Ending)


def drift(
    plan: InstancePlan, live: Live, desired: Desired, memory: Memory | None, excess: Iterable[Excess] = ()
) -> tuple[DriftItem, ...]:
    """Return the drift of one instance.

    `plan` is the plan that would follow, whose steps are the differences; what its mode holds back becomes an item
    without a step. Unmanaged accounts are items only where something of theirs has changed. `memory` is the journal's;
    without one nothing is `changed-since`. The changes that an interrupted apply may have made without knowing it
    (`memory.unsettled`) are not reported as the doing of others. `excess` is what declared people hold beyond the
    declaration and no step takes. The account in use never drifts, nor what it owns.
    """
    in_doubt = [write.change for write in memory.unsettled] if memory is not None else []
    cut_off = frozenset(key for change in in_doubt if _may_be_ours(change, live) for key in touched(change))
    changed = frozenset(_find_changed(plan, live, desired, memory))
    case = _Case(plan=plan, desired=desired, memory=memory, changed=changed, cut_off=cut_off)
    items = [_build_item(case, step) for step in plan.steps]
    items += [_build_item(case, step, note=KEPT if step.kept else HELD_BACK) for step in plan.held_back]
    reported = {step.change.key for step in (*plan.steps, *plan.held_back)}
    items += [_build_stepless_item(case, key, live) for key in sorted(changed - reported)]
    items += [_build_rename_item(case, old, new, live) for old, new in sorted(desired.renamed.items())]
    items += [_build_excess_item(case, kept) for kept in excess if kept.live.key not in changed]
    return tuple(items)


def find_undone(
    plan: InstancePlan, live: Live, desired: Desired, memory: Memory | None, traits: Traits
) -> frozenset[Key]:
    """Return the keys of the steps that put back what the last run left and others have changed since.

    So does a step that takes all of something to which others have added.
    """
    if memory is None or memory.last is None:
        return frozenset()
    return frozenset(
        item.step.change.key
        for item in drift(plan, live, desired, memory)
        if item.kind == "changed-since" and item.step is not None and _puts_back(item, traits)
    )


def _puts_back(item: DriftItem, traits: Traits) -> bool:
    if item.declared is not None or item.journalled is None or item.live is None:
        return item.declared == item.journalled
    return direction(Change(item.journalled, item.live), traits) == "open"


class _Case(Struct, frozen=True, kw_only=True):
    """The facts by which drift is classified; `cut_off` are the keys that an interrupted run may have changed."""

    plan: InstancePlan
    desired: Desired
    memory: Memory | None
    changed: frozenset[Key]
    cut_off: frozenset[Key]

    def last(self, key: Key) -> Resource | None:
        """Return the resource that the last run left under a key."""
        last = self.memory.last if self.memory else None
        return last.get(key) if last is not None else None


def _may_be_ours(change: Change, live: Live) -> bool:
    """Return whether the live state is one that an interrupted write leaves: done, or removed to be created anew."""
    halfway = change.action == "update" and change.key not in live.access
    return halfway or reached(change, live.access)


def _build_item(case: _Case, step: Step, *, note: str | None = None) -> DriftItem:
    """Return the item of a step, or with a `note` that of a step that is held back."""
    return DriftItem(
        instance=case.plan.instance,
        kind=_classify(case, step),
        declared=step.change.after,
        live=step.change.before,
        journalled=case.last(step.change.key),
        step=step if note is None else None,
        note=INTERRUPTED if step.change.key in case.cut_off else note,
    )


def _classify(case: _Case, step: Step) -> DriftKind:
    """Return the kind of drift that a step corrects (see the table above)."""
    change, memory = step.change, case.memory
    if change.key in case.cut_off:
        return "unapplied"
    if change.key in case.changed:
        return "changed-since"
    if change.after is not None or step.cause in _ENDINGS:
        return "unapplied"
    dropped = memory is not None and memory.last is not None and step.cause == "silence"
    return "unapplied" if dropped else "undeclared"


def _find_changed(plan: InstancePlan, live: Live, desired: Desired, memory: Memory | None) -> Iterator[Key]:
    """Yield the managed keys whose live resource is not as the last run left it."""
    last = memory.last if memory else None
    if last is None:
        return
    ignored = {account.name for account in plan.unmanaged if account.ignored}
    spoken = spoken_modules(desired)
    for key in last.keys() | live.access.keys():
        if last.get(key) == live.access.get(key) or account_of(key) in ignored or live.is_self(account_of(key)):
            continue
        if key not in live.access and not live.complete:
            continue
        scope = scope_of(key)
        if scope is not None and scope.kind == "module" and account_of(key) not in spoken:
            continue
        if scope is None or not is_site(scope) or scope in (desired.managed or ()):
            yield key


def _build_rename_item(case: _Case, old: str, new: str, live: Live) -> DriftItem:
    """Return the item of an account that others have renamed: it and all that it has stand under its new login."""
    account = live.access.get(account_key(new))
    former = replace(account, name=old) if isinstance(account, Account) else None
    return DriftItem(
        instance=case.plan.instance,
        kind="changed-since",
        declared=former,
        live=account,
        journalled=former,
        note=RENAMED.format(old=old),
    )


def _build_stepless_item(case: _Case, key: Key, live: Live) -> DriftItem:
    """Return the item of a key that has changed and that no step changes back: by others, or an interrupted run."""
    account = account_of(key)
    why = OUTSIDE if account is None else CONTENT if account in case.desired.declared_users else UNMANAGED
    cut_off = key in case.cut_off
    return DriftItem(
        instance=case.plan.instance,
        kind="unapplied" if cut_off else "changed-since",
        declared=case.desired.access.get(key),
        live=live.access.get(key),
        journalled=case.last(key),
        note=INTERRUPTED if cut_off else why,
    )


def _build_excess_item(case: _Case, kept: Excess) -> DriftItem:
    """Return the item of a right beyond the declaration, as one of the account that holds it."""
    way = f"held by group {kept.group}; {OUTSIDE}" if kept.group is not None else kept.why
    held = replace(kept.live, subject=Subject("account", kept.account))
    return DriftItem(
        instance=case.plan.instance,
        kind="undeclared",
        declared=kept.declared,
        live=held,
        note=way,
        differs=True,
    )
