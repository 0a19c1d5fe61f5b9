"""What a run leaves behind: what of it stands, what has appeared, and what is to be remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.state import Memory
from siteward.reconcile.names import change_under, key_under, renames_in
from siteward.reconcile.recheck import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.report import Outcome
    from siteward.access.state import Live
    from siteward.reconcile.target import Fresh


def gone(outcomes: Collection[Outcome], live: Live) -> tuple[Outcome, ...]:
    """Return, as failed, the outcomes that reading had shown to be done and that are not so at the end."""
    message = "reading showed it after the write, and at the end it is gone"
    done = [each for each in outcomes if each.status == "done"]
    names = renames_in(each.step.change for each in done)
    return tuple(
        replace(each, status="failed", message=message)
        for each in done
        if not reached(change_under(each.step.change, names), live.access)
    )


def appeared(fresh: InstancePlan, known: Collection[InstancePlan]) -> tuple[Step, ...]:
    """Return the steps that would follow now and of which no earlier plan of this run knew."""
    steps = [each for plan in known for each in (*plan.steps, *plan.held_back)]
    names = renames_in(each.change for each in steps)
    keys = {each.change.key for each in steps} | {key_under(each.change.key, names) for each in steps}
    return tuple(each for each in fresh.steps if each.change.key not in keys)


def left(fresh: Fresh, live: Live, memory: Memory | None) -> Memory:
    """Return what is to be remembered of an instance: who is declared, whom they met, how much was there.

    Somebody who left stays among the users until nothing of theirs is live, so that an apply that could not
    take everything is followed by a plan that still knows why.
    """
    holding = {each.subject.name for each in live.access.grants() if each.subject.kind == "account"}
    there = holding | {each.name for each in live.access.accounts()}
    holders = fresh.desired.holders
    return Memory(
        accounts=frozenset(there & (holders.keys() | (memory.accounts if memory else frozenset()))),
        users={each.handle: name for name, each in holders.items() if each.ending != "left" or name in holding},
        sites=len(live.sites),
        grants=live.grants_of_others,
        last_at=None,
    )


def sends_so_far(
    memory: Memory | None, sends: Mapping[Key, int], now: datetime, *, live: Live, taken: Collection[Key]
) -> Mapping[Key, tuple[int, datetime]]:
    """Return how many mails went out for each key, and when last: what is remembered, and those of this run.

    Only what still waits to be accepted, or was not, is remembered: what stands in `live` without waiting has been
    accepted, and what this run has `taken` away begins anew when it is given again.
    """
    before = memory.sends if memory else {}
    settled = {key for key in before if key in live.access and key not in live.pending} | set(taken)
    kept = {key: each for key, each in before.items() if key not in settled}
    counts = {key: (before[key][0] if key in before else 0) + count for key, count in sends.items()}
    return {**kept, **{key: (count, now) for key, count in counts.items()}}
