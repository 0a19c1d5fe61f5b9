"""One run of apply over all instances of a plan: they are prepared together, written to in turn, and fail apart."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, warning
from siteward.access.report import Outcome, Report
from siteward.access.state import account_names
from siteward.reconcile.apply.admission import CONFIG_CHANGED, left_out, mismatched, remarks_on, too_old
from siteward.reconcile.apply.consent import Consents, still_lifted, taken_over
from siteward.reconcile.apply.execute import (
    CancellationToken,
    Execution,
    cancelled_by_signals,
    execute,
    finished,
    result,
)
from siteward.reconcile.apply.memory import RunResult, appeared, gone, left, sends_so_far
from siteward.reconcile.apply.revalidate import Allowance, History, Revalidated, allowed, reached, revalidate
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal import journal
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.files import UnsafeFileError
from siteward.reconcile.journal.journal import Journal, JournalBusyError, Run
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from siteward.access.plan import InstancePlan, Plan
    from siteward.access.state import Memory
    from siteward.reconcile.apply.target import Book, Clock, Fresh, Listener, Options, Target
    from siteward.transport.http import Doors

TROUBLE = (PlatformError, JournalBrokenError, JournalBusyError, UnsafeFileError, OSError)


class InstanceRun(Struct, kw_only=True):
    """One instance that is open, read and sifted."""

    reviewed: InstancePlan
    target: Target
    journal: Journal
    doors: Doors
    fresh: Fresh
    revalidated: Revalidated
    allowance: Allowance
    chosen: tuple[str, ...] | None
    run: Run | None
    history: History


class Session(Struct):
    """One run of apply over all instances of a plan; what it has to say gathers here.

    `moment` is the instant at which dates are judged.
    """

    plan: Plan
    targets: Mapping[str, Target]
    book: Book
    options: Options
    clock: Clock
    tell: Listener
    moment: datetime
    resuming: bool = False
    asked_for: tuple[InstancePlan, ...] = ()
    outcomes: dict[str, dict[str, Outcome]] = {}
    diagnostics: list[Diagnostic] = []
    lifted: dict[str, frozenset[str]] = {}
    heads: dict[str, str] = {}
    accounts: dict[str, dict[str, str | None]] = {}
    sent: bool = False
    interrupted: bool = False
    open_ends: bool = False

    def run(self, objections: Iterable[Diagnostic], config_digest: str) -> Report:
        """Prepare all instances, write to each, and report; where the plan cannot be taken, only report why."""
        self.diagnostics.extend(objections)
        old = self.clock() - self.plan.created > self.options.max_age
        if old or any(diagnostic.blocks and diagnostic.instance is None for diagnostic in self.diagnostics):
            self.diagnostics.extend([too_old(self.plan)] if old else [])
            return self._turned_away(stale=old)
        if self.plan.config_digest != config_digest:
            self.diagnostics.append(CONFIG_CHANGED)
        self._leave_out()
        with ExitStack() as stack:
            instance_runs = [instance_run for part in self.asked_for if (instance_run := self._prepared(stack, part))]
            instance_runs = [instance_run for instance_run in instance_runs if self._begun(instance_run)]
            with cancelled_by_signals() as cancellation:
                for instance_run in instance_runs:
                    self._worked(instance_run, cancellation)
            self.interrupted = cancellation.cancelled
        return self._report()

    def _leave_out(self) -> None:
        """Say which instances this run was not asked for, and go on with a plan of the others."""
        told = {
            instance.instance: word
            for instance in self.plan.instances
            if (word := left_out(instance.instance, self.targets))
        }
        self.diagnostics.extend(told.values())
        self.asked_for = tuple(instance for instance in self.plan.instances if instance.instance not in told)

    def _prepared(self, stack: ExitStack, reviewed: InstancePlan) -> InstanceRun | None:
        """Open an instance, read it and sift its steps; `None` where that fails, which is told."""
        target = self.targets.get(reviewed.instance)
        if (mismatch := mismatched(reviewed, target)) or target is None:
            self._gave_up(reviewed, mismatch)
            return None
        try:
            with ExitStack() as inner:
                instance_run = self._desk(inner, reviewed, target)
                stack.push(inner.pop_all())
        except TROUBLE as problem:
            self._gave_up(reviewed, trouble(reviewed.instance, problem))
            return None
        self.outcomes[reviewed.instance] = dict(instance_run.revalidated.outcomes)
        self.lifted[reviewed.instance] = instance_run.revalidated.lifted
        return instance_run

    def _desk(self, stack: ExitStack, reviewed: InstancePlan, target: Target) -> InstanceRun:
        book = stack.enter_context(
            journal.opened(self.book.folder, reviewed.instance, key=self.book.key, clock=self.clock)
        )
        for diagnostic in remarks_on(book.standing, target.platform.name, target.origin, self.book.key):
            self.diagnostics.append(replace(diagnostic, instance=reviewed.instance))
        run = book.unfinished if self.resuming else None
        if run is not None and run.began.plan != self.plan.digest:
            run = None
        doors = stack.enter_context(target.open())
        fresh = target.plan(doors.reader, as_of=self.moment, memory=book.memory)
        self._met(reviewed.instance, fresh, book.memory)
        allowance, chosen = self._allowance(run), self._chosen(reviewed, run)
        met = book.memory.accounts if book.memory else ()
        history = History(met=met, run=run, lifted=still_lifted(run, reviewed, allowance) if run else None)
        revalidated = revalidate(reviewed, fresh, allowance, history, chosen=chosen)
        return InstanceRun(
            reviewed=reviewed, target=target, journal=book, doors=doors, fresh=fresh, revalidated=revalidated,
            allowance=allowance, chosen=chosen, run=run, history=history,
        )  # fmt: skip

    def _allowance(self, run: Run | None) -> Allowance:
        """Return what this run may do beyond the plan: what was said now, and what its sealed lines say."""
        taken = run.sealed if run is not None else Consents()
        accept = {**taken.accept, **{name: acceptance.reason for name, acceptance in self.options.accept.items()}}
        delete = self.options.allow_delete or taken.allow_delete
        return Allowance(accept=accept, allow_delete=delete, passwords=self.options.passwords)

    def _chosen(self, reviewed: InstancePlan, run: Run | None) -> tuple[str, ...] | None:
        """Return the steps that this run is confined to, by what was said now and by what it began with."""
        only = self.options.only
        chosen = None if only is None else tuple(step.id for step in reviewed.steps if only(reviewed.instance, step))
        before = run.began.chosen if run is not None else None
        if before is None or chosen is None:
            return before if chosen is None else chosen
        return tuple(step for step in chosen if step in before)

    def _begun(self, instance_run: InstanceRun) -> bool:
        """Journal that the run begins or goes on, and what the second look has settled already."""
        name, book = instance_run.reviewed.instance, instance_run.journal
        try:
            if instance_run.run is not None:
                self._go_on(instance_run, instance_run.run)
                self._finish(instance_run, instance_run.run)
            else:
                self._begin(instance_run)
            if instance_run.revalidated.outcomes:
                book.became([result(outcome) for outcome in instance_run.revalidated.outcomes.values()])
        except TROUBLE as problem:
            self._gave_up(instance_run.reviewed, trouble(name, problem))
            return False
        self.heads[name] = book.head
        return True

    def _go_on(self, instance_run: InstanceRun, run: Run) -> None:
        """Journal that a run goes on, and what was allowed for that; say what it brings along."""
        self._say(instance_run, taken_over(run))
        instance_run.journal.go_on(run, allow_delete=self.options.allow_delete, lifted=instance_run.revalidated.lifted)
        for name, acceptance in self.options.accept.items():
            if name not in run.sealed.accept:
                instance_run.journal.waive(name, self.plan.digest, acceptance.reason)

    def _finish(self, instance_run: InstanceRun, run: Run) -> None:
        """Finish the calls that were cut off after their change had taken place, then look at everything once more."""
        platform, revalidated = instance_run.target.platform, instance_run.revalidated
        cut = [
            outcome
            for name, outcome in revalidated.outcomes.items()
            if name in run.unsettled and outcome.status == "done"
        ]
        if platform.finish is None or not cut:
            return
        live, writer = instance_run.fresh.live, instance_run.doors.writer
        ends = {outcome.step.id: finished(outcome, platform, writer, instance_run.fresh, live) for outcome in cut}
        instance_run.fresh = instance_run.target.plan(
            instance_run.doors.reader, as_of=self.moment, memory=instance_run.journal.memory
        )
        again = revalidate(
            instance_run.reviewed,
            instance_run.fresh,
            instance_run.allowance,
            instance_run.history,
            chosen=instance_run.chosen,
        )
        instance_run.revalidated = replace(again, outcomes={**again.outcomes, **ends})
        self.outcomes[instance_run.reviewed.instance] = dict(instance_run.revalidated.outcomes)
        self.lifted[instance_run.reviewed.instance] = again.lifted

    def _begin(self, instance_run: InstanceRun) -> None:
        if instance_run.journal.unfinished is not None:
            words = f"run {instance_run.journal.unfinished.began.run} had no end and is given up for this plan"
            self._say(instance_run, warning("run-given-up", words))
        journal.keep_plan(self.book.folder, self.plan)
        known = left(instance_run.fresh, instance_run.fresh.live, instance_run.journal.memory)
        instance_run.journal.begin(
            self.plan,
            platform=instance_run.reviewed.platform,
            origin=instance_run.reviewed.origin,
            me=_own(instance_run),
            users=known.users,
            accounts=tuple(sorted(known.accounts)),
            sites=known.sites,
            grants=known.grants,
            allow_delete=self.options.allow_delete,
            chosen=instance_run.chosen,
            lifted=tuple(sorted(instance_run.revalidated.lifted)),
        )
        for name, acceptance in self.options.accept.items():
            instance_run.journal.waive(name, self.plan.digest, acceptance.reason)

    def _worked(self, instance_run: InstanceRun, cancellation: CancellationToken) -> None:
        """Write to one instance and end its journal; what goes wrong on the way stays with this instance."""
        name = instance_run.reviewed.instance
        execution = self._work(instance_run, cancellation)
        try:
            execute(execution)
            self._ended(instance_run, execution)
        except TROUBLE as problem:
            self.open_ends = True
            self.diagnostics.append(trouble(name, problem))
            _account_for(execution)
        self.heads[name] = instance_run.journal.head
        self.sent = self.sent or execution.sent

    def _work(self, instance_run: InstanceRun, cancellation: CancellationToken) -> Execution:
        def again(settled: Mapping[str, Outcome], lifted: frozenset[str]) -> tuple[Fresh, Revalidated]:
            fresh = instance_run.target.plan(
                instance_run.doors.reader, as_of=self.moment, memory=instance_run.journal.memory
            )
            history = History(settled=settled, lifted=lifted)
            return fresh, revalidate(
                instance_run.reviewed, fresh, instance_run.allowance, history, chosen=instance_run.chosen
            )

        return Execution(
            target=instance_run.target, doors=instance_run.doors, journal=instance_run.journal, fresh=instance_run.fresh, revalidated=instance_run.revalidated,
            passwords=self.options.passwords, patience=self.options.failures_in_a_row, cancellation=cancellation, tell=self.tell,
            outcomes=self.outcomes[instance_run.reviewed.instance], live=instance_run.fresh.live, again=again,
            steps=len(instance_run.revalidated.outcomes) + len(instance_run.revalidated.go),
        )  # fmt: skip

    def _ended(self, instance_run: InstanceRun, execution: Execution) -> None:
        """Read what the run left and end the journal, unless something is open still."""
        if execution.cancellation.cancelled or any(
            outcome.status == "unknown" for outcome in execution.outcomes.values()
        ):
            self.open_ends = True
            return
        fresh = self._read_at_the_end(instance_run, execution) if execution.sent else None
        seen, live = (fresh, fresh.live) if fresh else (execution.fresh, execution.live)
        memory = instance_run.journal.memory
        done = [outcome.step.change for outcome in execution.outcomes.values() if outcome.status == "done"]
        taken = [change.key for change in done if change.after is None]
        sends = sends_so_far(memory, execution.sends, self.clock(), live=live, taken=taken)
        counts = Counter(outcome.status for outcome in execution.outcomes.values())
        run_result = RunResult(
            outcomes=tuple(execution.outcomes.values()), before=instance_run.fresh.live, fresh=seen, live=live,
            whole=instance_run.chosen is None, extra=tuple(change for change in instance_run.journal.in_doubt if reached(change, live.access)),
        )  # fmt: skip
        instance_run.journal.end(counts, replace(left(seen, live, memory, run_result), sends=sends))

    def _read_at_the_end(self, instance_run: InstanceRun, execution: Execution) -> Fresh | None:
        """Return the instance as the run leaves it; say what is gone again, what appeared, or why nobody knows."""
        try:
            fresh = instance_run.target.plan(
                instance_run.doors.reader, as_of=self.moment, memory=instance_run.journal.memory
            )
        except PlatformError as problem:
            self._say(instance_run, warning("end-not-read", f"what this run left could not be read: {problem}"))
            return None
        self._met(instance_run.reviewed.instance, fresh, instance_run.journal.memory)
        if lost := gone(tuple(execution.outcomes.values()), fresh.live):
            instance_run.journal.became([result(outcome) for outcome in lost])
            execution.outcomes.update({outcome.step.id: outcome for outcome in lost})
        if news := appeared(fresh.plan, (instance_run.reviewed, instance_run.fresh.plan)):
            words = f"{len(news)} changes appeared while this was applied, the first on {' '.join(news[0].change.key)}"
            self._say(instance_run, warning("appeared", words, hint="siteward plan", count=len(news)))
        return fresh

    def _met(self, instance: str, fresh: Fresh, memory: Memory | None) -> None:
        """Remember which accounts were met, so that no output names them that may not."""
        self.accounts.setdefault(instance, {}).update(account_names(fresh.live, fresh.desired, memory))

    def _say(self, instance_run: InstanceRun, what: Diagnostic) -> None:
        self.diagnostics.append(replace(what, instance=instance_run.reviewed.instance))

    def _gave_up(self, reviewed: InstancePlan, why: Diagnostic | None) -> None:
        """Leave an instance alone: tell why, and skip its steps."""
        if why is not None:
            self.diagnostics.append(why)
        message = f"nothing was sent to {reviewed.instance}" + (f": {why.message}" if why else "")
        chosen = self._chosen(reviewed, None)
        self.outcomes[reviewed.instance] = {
            step.id: Outcome(instance=reviewed.instance, step=step, status="skipped", message=message)
            for step in reviewed.steps
            if chosen is None or step.id in chosen
        }

    def _turned_away(self, *, stale: bool) -> Report:
        diagnostics = tuple(self.diagnostics)
        return Report(command="apply", plan=self.plan, diagnostics=diagnostics, stale=stale, next="siteward plan")

    def _report(self) -> Report:
        parts = tuple(allowed(part, self.lifted.get(part.instance, ())) for part in self.asked_for)
        outcomes = tuple(
            replace(found, step=step)
            for part in parts
            for step in part.steps
            if (found := self.outcomes.get(part.instance, {}).get(step.id))
        )
        statuses = {outcome.status for outcome in outcomes}
        names = list(self.heads)
        where = journal.path_of(self.book.folder, names[0]) if len(names) == 1 else self.book.folder
        return Report(
            command="apply",
            plan=replace(self.plan, instances=parts),
            diagnostics=tuple(self.diagnostics),
            outcomes=outcomes,
            applied=True,
            confined=self.options.only is not None,
            interrupted=self.interrupted,
            accounts=self.accounts,
            stale="refused" in statuses and not self.sent,
            journal=str(where) if names else None,
            journal_head=self.heads[names[0]]
            if len(names) == 1
            else ", ".join(map(" ".join, self.heads.items())) or None,
            next=_next(statuses, open_ends=self.open_ends),
        )


def _own(instance_run: InstanceRun) -> str | None:
    """Return the account to remember as the one in use: never one that only the file names, against the run before."""
    before = instance_run.journal.memory.me if instance_run.journal.memory is not None else None
    known = instance_run.fresh.confirmed or before is None or "self" in instance_run.allowance.accept
    return instance_run.fresh.live.me if known else before


def trouble(
    instance: str, problem: PlatformError | JournalBrokenError | JournalBusyError | UnsafeFileError | OSError
) -> Diagnostic:
    """Return what went wrong with an instance as a diagnostic."""
    if isinstance(problem, PlatformError | JournalBrokenError | JournalBusyError):
        return error(problem.code, str(problem), hint=problem.hint, instance=instance)
    return error("journal-not-written", f"the journal cannot be written: {problem}", instance=instance)


def _account_for(execution: Execution) -> None:
    """Give an outcome to what was left when an instance was given up in the middle."""
    for step in execution.revalidated.go:
        if step.id not in execution.outcomes:
            unknown = step.id in execution.in_flight
            execution.outcomes[step.id] = Outcome(
                instance=execution.target.name, step=step, status="unknown" if unknown else "skipped",
                message="it was in flight when the instance was given up" if unknown else "the instance was given up before",
            )  # fmt: skip


def _next(statuses: Collection[str], *, open_ends: bool) -> str | None:
    if open_ends:
        return RESUME
    return None if set(statuses) <= {"done", "already"} else "siteward plan"
