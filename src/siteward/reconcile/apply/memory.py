"""The end of a run: changes that are gone again, changes that appeared, and the memory for the next run.

What others changed is remembered as it was before they did, so that drift goes on telling it: the record moves on
only where this run wrote, or where all of a plan was applied and the file is content with what is there. An account
that nobody declared and that opens nothing is no more than a count, once a run has seen it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.effective import Reach, reach
from siteward.access.model import Access, Account, Grant, Key, Resource, account_key, account_of, scope_of
from siteward.access.renames import at_rest, change_under, key_under, renames_in, touched, under
from siteward.access.state import Memory
from siteward.access.traits import declarable
from siteward.reconcile.apply.revalidate import SETTLED, reached

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.report import Outcome
    from siteward.access.state import Live
    from siteward.reconcile.apply.target import Fresh


def gone(outcomes: Collection[Outcome], live: Live) -> tuple[Outcome, ...]:
    """Return, as failed, the outcomes that reading had shown to be done and that are not so at the end."""
    message = "reading showed it after the write, and at the end it is gone"
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    names = renames_in(outcome.step.change for outcome in done)
    return tuple(
        replace(outcome, status="failed", message=message)
        for outcome in done
        if not reached(change_under(outcome.step.change, names), live.access)
    )


def appeared(fresh: InstancePlan, known: Collection[InstancePlan]) -> tuple[Step, ...]:
    """Return the steps that would follow now and of which no earlier plan of this run knew."""
    steps = [step for plan in known for step in (*plan.steps, *plan.held_back)]
    names = renames_in(step.change for step in steps)
    keys = {step.change.key for step in steps} | {key_under(step.change.key, names) for step in steps}
    return tuple(step for step in fresh.steps if step.change.key not in keys)


class RunResult(Struct, frozen=True, kw_only=True, dict=True):
    """How a run went: what became of its steps, what stood there when it began, and what stands there now.

    `whole` is true where it was confined to no part of its plan; `extra` are changes that an earlier run, which had no
    end, was about to make and that turned out to have taken place.
    """

    outcomes: Collection[Outcome]
    before: Live
    fresh: Fresh
    live: Live
    whole: bool
    extra: Collection[Change] = ()

    @cached_property
    def written(self) -> tuple[Change, ...]:
        """The changes that stand because of this run, or that it found made as it would have made them."""
        done = (outcome.step.change for outcome in self.outcomes if outcome.status in SETTLED)
        return (*self.extra, *done)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The new logins by the old ones."""
        return renames_in(self.written)

    @cached_property
    def now(self) -> Access:
        """The live access, under the logins of now."""
        return at_rest(self.live.access)

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The keys that were written, under the logins of now."""
        return frozenset(key_under(key, self.names) for change in self.written for key in touched(change))

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts that this run itself has changed something of, under the logins of now."""
        done = (outcome.step.change for outcome in self.outcomes if outcome.status == "done")
        keys = (key_under(key, self.names) for change in (*self.extra, *done) for key in touched(change))
        return frozenset(name for key in keys if (name := account_of(key)) is not None)

    @cached_property
    def deleted(self) -> frozenset[str]:
        """The accounts that were deleted, with all that hung on them."""
        gone = (change.before for change in self.written if change.after is None)
        return frozenset(account.name for account in gone if isinstance(account, Account))

    @cached_property
    def shaken(self) -> frozenset[str]:
        """The accounts that were made, or got or lost a top role, of which a platform then changes more."""
        is_top = self.fresh.traits.is_top
        made = (change.key for change in self.written if change.before is None and isinstance(change.after, Account))
        sides = (side for change in self.written for side in (change.before, change.after))
        tops = (side.key for side in sides if isinstance(side, Grant) and is_top(side))
        names = (account_of(key_under(key, self.names)) for key in (*made, *tops))
        return frozenset(name for name in names if name is not None)

    @cached_property
    def open(self) -> frozenset[Key]:
        """The keys that are not as wanted: what would still be done, what is held back, and what was not done."""
        plan = self.fresh.plan
        undone = (outcome.step.change.key for outcome in self.outcomes if outcome.status not in SETTLED)
        return frozenset((*(step.change.key for step in (*plan.steps, *plan.held_back)), *undone))

    @cached_property
    def at_first(self) -> Mapping[Key, Resource]:
        """The access when the run began, under the logins of now."""
        return _under(self.before.access, self.names)

    def settles(self, key: Key, recorded: Resource | None) -> bool:
        """Return whether what stands under a key is what this run leaves, and no longer something that others did."""
        if key in self.keys or account_of(key) in self.deleted:
            return True
        if key not in self.now and not self.live.complete:
            return False
        return self._brought_along(key, recorded) or (self.whole and (self._content(key) or self._is_counted(key)))

    def _brought_along(self, key: Key, recorded: Resource | None) -> bool:
        """Return whether it came with what was written, while it was written.

        That is what a platform takes along, an account that its first grant makes, a fact such as owning a site, what
        a new account begins with, and all that wakes or sleeps under a top role.
        """
        was, now, name = self.at_first.get(key), self.now.get(key), account_of(key)
        if was != recorded:
            return False
        if name in self.shaken:
            return True
        if name not in {*self.accounts, self.live.me} and not self._on_written_scope(key):
            return False
        made = was is None and isinstance(now, Account)
        return made or now is None or (isinstance(now, Grant) and not declarable(now, self.fresh.traits))

    def _on_written_scope(self, key: Key) -> bool:
        scope = scope_of(key)
        return scope is not None and any(scope_of(key) == scope for key in self.keys)

    def _content(self, key: Key) -> bool:
        """Return whether the file, in whose plan nothing was left out, wants what stands under a key, or lets it be."""
        wish = self.fresh.desired
        known = key in wish.access or account_of(key) in wish.declared_users or key not in self.now
        return known and key not in self.open and not self.fresh.plan.blocked

    @cached_property
    def reach(self) -> Reach:
        """How far the access of everybody reaches now."""
        return reach(self.now, self.fresh.traits)

    def _is_counted(self, key: Key) -> bool:
        """Tell whether it is an undeclared account that this run saw and that opens nothing: the plan counts it."""
        name, now = account_of(key), self.now.get(key)
        seen = now is not None and now == self.at_first.get(key) and key not in self.open
        idle = name is not None and name not in self.fresh.desired.declared_users and not self.reach.of(name)
        return seen and idle and not self.fresh.plan.blocked

    def meets(self, name: str) -> bool:
        """Return whether somebody has seen this account in a plan, as the file's, of which nothing stayed open."""
        if name in self.accounts:
            return True
        left_open = any(account_of(key) == name for key in self.open)
        return self.whole and not left_open and self._content(account_key(name))


def _under(access: Access, names: Mapping[str, str]) -> dict[Key, Resource]:
    """Return the resources by key, under the logins of now."""
    moved = (under(resource, names) for resource in access.values())
    return {resource.key: resource for resource in moved}


def left(fresh: Fresh, live: Live, memory: Memory | None, run_result: RunResult | None = None) -> Memory:
    """Return what is to be remembered of an instance: who is declared, whom they met, how much was there, and what.

    Somebody who left stays among the users until nothing of theirs is live, so that an apply that could not
    take everything is followed by a plan that still knows why. Where something that others did stays in the record as
    it was, the record stays as old as it is.
    """
    holding = {grant.subject.name for grant in live.access.grants() if grant.subject.kind == "account"}
    declared_users = fresh.desired.declared_users
    last = _recorded(memory, run_result) if run_result else None
    moved_on = run_result is None or last == run_result.now
    return Memory(
        accounts=_met(fresh, memory, run_result) & (holding | {account.name for account in live.access.accounts()}),
        users={user.handle: name for name, user in declared_users.items() if user.ending != "left" or name in holding},
        sites=len(live.sites),
        grants=live.grants_of_others,
        last=last,
        last_at=None if moved_on or memory is None else memory.last_at,
    )


def _recorded(memory: Memory | None, run_result: RunResult) -> Access:
    """Return the record of an instance after a run; the first one is of all that is there."""
    if memory is None or memory.last is None:
        return run_result.now
    record = _under(memory.last, run_result.names)
    for key in record.keys() | run_result.now.keys():
        known, now = record.get(key), run_result.now.get(key)
        if known == now or not run_result.settles(key, known):
            continue
        if now is None:
            del record[key]
        else:
            record[key] = now
    return Access.of(record)


def _met(fresh: Fresh, memory: Memory | None, run_result: RunResult | None) -> frozenset[str]:
    """Return the accounts that are no strangers any more; never one that an objection says is somebody else's."""
    known = memory.accounts if memory else frozenset()
    declared_users = frozenset(fresh.desired.declared_users)
    if memory is None or memory.last is None:
        new = declared_users
    elif run_result is None:
        new = frozenset()
    else:
        known = frozenset(run_result.names.get(name, name) for name in known)
        new = run_result.accounts | frozenset(filter(run_result.meets, declared_users))
    return known | (new - _in_doubt(fresh.plan))


def _in_doubt(plan: InstancePlan) -> frozenset[str]:
    said = (*plan.diagnostics, *(diagnostic for step in plan.steps for diagnostic in step.diagnostics))
    found = (
        account_of(diagnostic.about)
        for diagnostic in said
        if diagnostic.code == "identity-mismatch" and diagnostic.about is not None
    )
    return frozenset(name for name in found if name is not None)


def sends_so_far(
    memory: Memory | None, sends: Mapping[Key, int], now: datetime, *, live: Live, taken: Collection[Key]
) -> Mapping[Key, tuple[int, datetime]]:
    """Return how many mails went out for each key, and when last: what is remembered, and those of this run.

    Only what still waits to be accepted, or was not, is remembered: what stands in `live` without waiting has been
    accepted, and what this run has `taken` away begins anew when it is given again.
    """
    before = memory.sends if memory else {}
    settled = {key for key in before if key in live.access and key not in live.pending} | set(taken)
    kept = {key: item for key, item in before.items() if key not in settled}
    counts = {key: (before[key][0] if key in before else 0) + count for key, count in sends.items()}
    return {**kept, **{key: (count, now) for key, count in counts.items()}}
