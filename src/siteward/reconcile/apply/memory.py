"""The memory of a run: its lost and unexpected changes, and the last-applied record for the next run.

Where others changed something, the record keeps the former state, so that drift goes on reporting it: the record moves
on only where this run wrote, or where a whole plan was applied and the file wants, or allows, what is there. An
unmanaged account without access is recorded once a run has seen it: the plan reports it as a count only.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.effective import Reach, reach
from siteward.access.identity import find_others, follow, identities_after
from siteward.access.model import Access, Account, Grant, Key, Resource, account_key, account_of, scope_of
from siteward.access.renames import at_rest, change_under, key_under, renames_in, touched, under
from siteward.access.state import Memory
from siteward.access.traits import declarable
from siteward.declaration.found import accounts_beyond
from siteward.reconcile.apply.consent import list_mismatches
from siteward.reconcile.apply.revalidate import SETTLED, reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.identity import OtherAccount
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.renames import Renames
    from siteward.access.report import Outcome
    from siteward.access.state import Live
    from siteward.reconcile.apply.target import Fresh


def find_lost(outcomes: Collection[Outcome], live: Live) -> tuple[Outcome, ...]:
    """Return, as failed, the outcomes that were read as done after the write and are not so at the end of the run."""
    message = "reading showed it after the write, and at the end it is gone"
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    names = renames_in(outcome.step.change for outcome in done)
    return tuple(
        replace(outcome, status="failed", message=message)
        for outcome in done
        if not reached(change_under(outcome.step.change, names) if names else outcome.step.change, live.access)
    )


def find_unexpected(fresh: InstancePlan, known: Collection[InstancePlan]) -> tuple[Step, ...]:
    """Return the steps of the `fresh` plan that no earlier (`known`) plan of this run has."""
    if not fresh.steps:
        return ()
    steps = [step for plan in known for step in (*plan.steps, *plan.held_back)]
    names = renames_in(step.change for step in steps)
    keys = {step.change.key for step in steps} | {key_under(step.change.key, names) for step in steps}
    return tuple(step for step in fresh.steps if step.change.key not in keys)


class RunResult(Struct, frozen=True, kw_only=True, dict=True):
    """The result of a run: the outcomes of its steps, the live state when it began (`before`) and now (`live`).

    `whole` is true where it was confined to no part of its plan; `extra` are changes that an earlier, unfinished run
    was about to make and that turned out to have taken place. `confirmed` are the accounts that whoever applies has
    accepted as those of their declared users. Keys and accounts are given under the logins of now.
    """

    outcomes: Collection[Outcome]
    before: Live
    fresh: Fresh
    live: Live
    whole: bool
    confirmed: frozenset[str] = frozenset()
    extra: Collection[Change] = ()

    @cached_property
    def counts(self) -> bool:
        """True if the run changed something, or found everything as the file wants it.

        One that was blocked or refused, or chose nothing, makes nobody known and leaves the memory as it was.
        """
        settled = any(outcome.status in SETTLED for outcome in self.outcomes)
        plan = self.fresh.plan
        return (
            settled
            or bool(self.extra)
            or bool(self.confirmed)
            or (self.whole and not self.outcomes and not plan.steps and not plan.blocked)
        )

    @cached_property
    def written(self) -> tuple[Change, ...]:
        """The changes that this run made, or found made already."""
        done = (outcome.step.change for outcome in self.outcomes if outcome.status in SETTLED)
        return (*self.extra, *done)

    @cached_property
    def names(self) -> Renames:
        """The new name of each renamed account and group, by the key of the old one."""
        return renames_in(self.written)

    @cached_property
    def now(self) -> Access:
        """The live access without pending renames."""
        return at_rest(self.live.access)

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The keys that were written."""
        return self._keys_of(self.written)

    def _keys_of(self, changes: Iterable[Change]) -> frozenset[Key]:
        keys = touched(*changes)
        return frozenset(key_under(key, self.names) for key in keys) if self.names else keys

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts of which this run itself has changed something."""
        done = [outcome.step.change for outcome in self.outcomes if outcome.status == "done"]
        names = {account_of(key) for key in self._keys_of((*self.extra, *done))}
        return frozenset(name for name in names if name is not None)

    @cached_property
    def deleted(self) -> frozenset[str]:
        """The accounts that were deleted; the platform deletes their grants with them."""
        removed = (change.before for change in self.written if change.after is None)
        return frozenset(account.name for account in removed if isinstance(account, Account))

    @cached_property
    def unsteady(self) -> frozenset[str]:
        """The accounts that were made, or got or lost a top role: a platform then changes more of them by itself."""
        is_top = self.fresh.traits.is_top
        made = (change.key for change in self.written if change.before is None and isinstance(change.after, Account))
        resources = (resource for change in self.written for resource in (change.before, change.after))
        tops = (grant.key for grant in resources if isinstance(grant, Grant) and is_top(grant))
        names = (account_of(key_under(key, self.names)) for key in (*made, *tops))
        return frozenset(name for name in names if name is not None)

    @cached_property
    def open(self) -> frozenset[Key]:
        """The keys that are not as wanted: those of steps that would follow, are held back, or were not done."""
        plan = self.fresh.plan
        undone = (outcome.step.change.key for outcome in self.outcomes if outcome.status not in SETTLED)
        return frozenset((*(step.change.key for step in (*plan.steps, *plan.held_back)), *undone))

    @cached_property
    def at_first(self) -> Mapping[Key, Resource]:
        """The live access when the run began."""
        return _move_under(self.before.access, self.names)

    def settles(self, key: Key, recorded: Resource | None) -> bool:
        """Return whether the record takes over the live state of a key, because this run made it or accepts it.

        `recorded` is what the record has there so far. False keeps it, as the doing of others, which drift reports.
        """
        if key in self.keys or account_of(key) in self.deleted:
            return True
        if key not in self.now and not self.live.complete:
            return False
        return self._is_side_effect(key, recorded) or (self.whole and (self._is_accepted(key) or self._is_counted(key)))

    def is_ours(self, key: Key, before: Resource | None) -> bool:
        """Return whether a change of the live state, which had `before` there, is the doing of this run."""
        return key in self.keys or account_of(key) in self.deleted or self._is_side_effect(key, before)

    def _is_side_effect(self, key: Key, recorded: Resource | None) -> bool:
        """Return whether the platform itself changed a key because of what this run wrote.

        That is what a platform removes along with something, an account made by its first grant, a fact such as owning
        a site, what a new account begins with, and the grants that a top role hides or shows again.
        """
        was, now, name = self.at_first.get(key), self.now.get(key), account_of(key)
        if was != recorded:
            return False
        if name in self.unsteady:
            return True
        if name not in {*self.accounts, self.live.me} and not self._is_on_written_scope(key):
            return False
        made = was is None and isinstance(now, Account)
        return made or now is None or (isinstance(now, Grant) and not declarable(now, self.fresh.traits))

    def _is_on_written_scope(self, key: Key) -> bool:
        scope = scope_of(key)
        return scope is not None and any(scope_of(key) == scope for key in self.keys)

    def _is_accepted(self, key: Key) -> bool:
        """Return whether the file wants, or allows, the live state of a key: no step and no block is left there."""
        wish = self.fresh.desired
        known = key in wish.access or account_of(key) in wish.declared_users or key not in self.now
        return known and key not in self.open and not self.fresh.plan.blocked

    @cached_property
    def reach(self) -> Reach:
        """The live reach of all accounts."""
        return reach(self.now, self.fresh.traits)

    def _is_counted(self, key: Key) -> bool:
        """Return whether a key is of an unmanaged account without access that this run saw: the plan counts it."""
        name, now = account_of(key), self.now.get(key)
        seen = now is not None and now == self.at_first.get(key) and key not in self.open
        idle = name is not None and name not in self.fresh.desired.declared_users and not self.reach.has_access(name)
        return seen and idle and not self.fresh.plan.blocked

    def meets(self, name: str) -> bool:
        """Return whether an account is known from now on as that of its declared user.

        It is where this run changed something of it, or where a whole plan was applied that left nothing of it open.
        """
        if name in self.accounts:
            return True
        left_open = any(account_of(key) == name for key in self.open)
        return self.whole and not left_open and self._is_accepted(account_key(name))


def _move_under(access: Access, names: Renames) -> dict[Key, Resource]:
    """Return the resources by key, with accounts and groups under their new names."""
    moved = (under(resource, names) for resource in access.values())
    return {resource.key: resource for resource in moved}


def build_memory(fresh: Fresh, live: Live, memory: Memory | None, run_result: RunResult | None = None) -> Memory:
    """Return the memory for the next run: users, known accounts, counts, and, with a `run_result`, the record.

    `memory` is that of the run before. A user who left stays among the users until nothing of theirs is live, so that
    an apply that could not remove everything is followed by a plan that still knows why. While the record keeps a state
    that others have changed since, it keeps its age (`last_at`) too.
    """
    holding = {subject.name for subject, _ in live.access.by_subject() if subject.kind == "account"}
    memory = follow(memory, live, fresh.traits)
    declared_users, others = fresh.desired.declared_users, _find_others(fresh, live, memory, run_result)
    known = _find_known(fresh, memory, run_result) & (holding | {account.name for account in live.access.accounts()})
    doubtful = others.keys() | _find_mismatched(fresh, run_result) | accounts_beyond(fresh.desired)
    last = _build_record(memory, run_result) if run_result else None
    moved_on = run_result is None or last == run_result.now
    return Memory(
        accounts=known,
        users={
            user.handle: name
            for name, user in declared_users.items()
            if (user.ending != "left" or name in holding)
            and (name not in doubtful or (memory is not None and user.handle in memory.users))
        },
        identities=identities_after(known, fresh.desired, live, memory, others),
        renamed=fresh.desired.renamed,
        sites=len(live.sites),
        grants=live.grants_of_others,
        last=last,
        last_at=None if moved_on or memory is None else memory.last_at,
    )


def _build_record(memory: Memory | None, run_result: RunResult) -> Access:
    """Return the last-applied record after a run; the first one is the whole live access."""
    if memory is None or memory.last is None:
        return run_result.now
    record = _move_under(memory.last, run_result.names)
    for key in record.keys() | run_result.now.keys():
        known, now = record.get(key), run_result.now.get(key)
        if known == now or not run_result.settles(key, known):
            continue
        if now is None:
            del record[key]
        else:
            record[key] = now
    return Access.of(record)


def _find_known(fresh: Fresh, memory: Memory | None, run_result: RunResult | None) -> frozenset[str]:
    """Return the accounts known to be those of declared users; never one with an `identity-mismatch`."""
    known = memory.accounts if memory else frozenset()
    if run_result is None:
        return known
    known = frozenset(run_result.names.get(account_key(name), name) for name in known)
    new = run_result.accounts | frozenset(filter(run_result.meets, fresh.desired.declared_users))
    return known | run_result.confirmed | (new - _find_mismatched(fresh, run_result) - accounts_beyond(fresh.desired))


def _find_others(
    fresh: Fresh, live: Live, memory: Memory | None, run_result: RunResult | None
) -> Mapping[str, OtherAccount]:
    """Return the accounts that are not the known ones of their login, without those that this run confirms."""
    confirmed = run_result.confirmed if run_result is not None else frozenset()
    others = find_others(live, fresh.desired, fresh.traits, memory).unmanaged
    return {name: other for name, other in others.items() if name not in confirmed}


def _find_mismatched(fresh: Fresh, run_result: RunResult | None) -> frozenset[str]:
    """Return the accounts that a plan reports as perhaps somebody else's, and that the run does not confirm.

    Those that a directory or sign-on may have made anew are known by their login, and only warned of.
    """
    confirmed = run_result.confirmed if run_result is not None else frozenset()
    remade = {name for name, user in fresh.desired.declared_users.items() if user.may_be_remade}
    return frozenset(list_mismatches(fresh.plan)) - confirmed - remade


def count_sends(
    memory: Memory | None, sends: Mapping[Key, int], now: datetime, *, live: Live, taken: Collection[Key]
) -> Mapping[Key, tuple[int, datetime]]:
    """Return the number of mails and the time of the last one by key: the remembered ones, and those of this run.

    Counts are kept only of invitations that are pending or lapsed: a key that is live and not pending has been
    accepted, and one that this run has `taken` away begins anew when it is granted again.
    """
    before = memory.sends if memory else {}
    settled = {key for key in before if key in live.access and key not in live.pending} | set(taken)
    kept = {key: count_and_time for key, count_and_time in before.items() if key not in settled}
    counts = {key: (before[key][0] if key in before else 0) + count for key, count in sends.items()}
    return {**kept, **{key: (count, now) for key, count in counts.items()}}
