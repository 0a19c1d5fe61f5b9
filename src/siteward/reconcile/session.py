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
from siteward.reconcile import journal
from siteward.reconcile.admit import CONFIG_CHANGED, left_out, mismatched, remarks_on, too_old
from siteward.reconcile.chain import JournalBroken
from siteward.reconcile.consent import Consents, still_lifted, taken_over
from siteward.reconcile.ending import Course, appeared, gone, left, sends_so_far
from siteward.reconcile.execute import Brake, Work, braking, execute, finished, result
from siteward.reconcile.journal import Journal, JournalBusy, Run
from siteward.reconcile.private import Unsafe
from siteward.reconcile.recheck import Allowance, Past, Sifted, allowed, reached, sift
from siteward.reconcile.target import RESUME
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from siteward.access.plan import InstancePlan, Plan
    from siteward.access.state import Memory
    from siteward.reconcile.target import Book, Clock, Fresh, Listener, Options, Target
    from siteward.transport.http import Doors

TROUBLE = (PlatformError, JournalBroken, JournalBusy, Unsafe, OSError)


class Desk(Struct, kw_only=True):
    """One instance that is open, read and sifted."""

    reviewed: InstancePlan
    target: Target
    journal: Journal
    doors: Doors
    fresh: Fresh
    sifted: Sifted
    allowance: Allowance
    chosen: Collection[str] | None
    run: Run | None
    past: Past


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
        if old or any(each.blocks and each.instance is None for each in self.diagnostics):
            self.diagnostics.extend([too_old(self.plan)] if old else [])
            return self._turned_away(stale=old)
        if self.plan.config_digest != config_digest:
            self.diagnostics.append(CONFIG_CHANGED)
        self._leave_out()
        with ExitStack() as stack:
            desks = [desk for each in self.asked_for if (desk := self._prepared(stack, each))]
            desks = [desk for desk in desks if self._begun(desk)]
            with braking() as brake:
                for desk in desks:
                    self._worked(desk, brake)
            self.interrupted = brake.pulled
        return self._report()

    def _leave_out(self) -> None:
        """Say which instances this run was not asked for, and go on with a plan of the others."""
        told = {each.instance: word for each in self.plan.instances if (word := left_out(each.instance, self.targets))}
        self.diagnostics.extend(told.values())
        self.asked_for = tuple(each for each in self.plan.instances if each.instance not in told)

    def _prepared(self, stack: ExitStack, reviewed: InstancePlan) -> Desk | None:
        """Open an instance, read it and sift its steps; `None` where that fails, which is told."""
        target = self.targets.get(reviewed.instance)
        if (mismatch := mismatched(reviewed, target)) or target is None:
            self._gave_up(reviewed, mismatch)
            return None
        try:
            with ExitStack() as inner:
                desk = self._desk(inner, reviewed, target)
                stack.push(inner.pop_all())
        except TROUBLE as problem:
            self._gave_up(reviewed, trouble(reviewed.instance, problem))
            return None
        self.outcomes[reviewed.instance] = dict(desk.sifted.outcomes)
        self.lifted[reviewed.instance] = desk.sifted.lifted
        return desk

    def _desk(self, stack: ExitStack, reviewed: InstancePlan, target: Target) -> Desk:
        book = stack.enter_context(
            journal.opened(self.book.folder, reviewed.instance, key=self.book.key, clock=self.clock)
        )
        for each in remarks_on(book.standing, target.platform.name, target.origin, self.book.key):
            self.diagnostics.append(replace(each, instance=reviewed.instance))
        run = book.unfinished if self.resuming else None
        if run is not None and run.began.plan != self.plan.digest:
            run = None
        doors = stack.enter_context(target.open())
        fresh = target.plan(doors.reader, as_of=self.moment, memory=book.memory)
        self._met(reviewed.instance, fresh, book.memory)
        allowance, chosen = self._allowance(run), self._chosen(reviewed, run)
        met = book.memory.accounts if book.memory else ()
        past = Past(met=met, run=run, lifted=still_lifted(run, reviewed, allowance) if run else None)
        sifted = sift(reviewed, fresh, allowance, past, chosen=chosen)
        return Desk(
            reviewed=reviewed, target=target, journal=book, doors=doors, fresh=fresh, sifted=sifted,
            allowance=allowance, chosen=chosen, run=run, past=past,
        )  # fmt: skip

    def _allowance(self, run: Run | None) -> Allowance:
        """Return what this run may do beyond the plan: what was said now, and what its sealed lines say."""
        taken = run.sealed if run is not None else Consents()
        accept = {**taken.accept, **{name: each.reason for name, each in self.options.accept.items()}}
        delete = self.options.allow_delete or taken.allow_delete
        return Allowance(accept=accept, allow_delete=delete, passwords=self.options.passwords)

    def _chosen(self, reviewed: InstancePlan, run: Run | None) -> Collection[str] | None:
        """Return the steps that this run is confined to, by what was said now and by what it began with."""
        only = self.options.only
        chosen = None if only is None else tuple(each.id for each in reviewed.steps if only(reviewed.instance, each))
        before = run.began.chosen if run is not None else None
        if before is None or chosen is None:
            return before if chosen is None else chosen
        return tuple(each for each in chosen if each in before)

    def _begun(self, desk: Desk) -> bool:
        """Journal that the run begins or goes on, and what the second look has settled already."""
        name, book = desk.reviewed.instance, desk.journal
        try:
            if desk.run is not None:
                self._go_on(desk, desk.run)
                self._finish(desk, desk.run)
            else:
                self._begin(desk)
            if desk.sifted.outcomes:
                book.became([result(each) for each in desk.sifted.outcomes.values()])
        except TROUBLE as problem:
            self._gave_up(desk.reviewed, trouble(name, problem))
            return False
        self.heads[name] = book.head
        return True

    def _go_on(self, desk: Desk, run: Run) -> None:
        """Journal that a run goes on, and what was allowed for that; say what it brings along."""
        self._say(desk, taken_over(run))
        desk.journal.go_on(run, allow_delete=self.options.allow_delete, lifted=desk.sifted.lifted)
        for name, each in self.options.accept.items():
            if name not in run.sealed.accept:
                desk.journal.waive(name, self.plan.digest, each.reason)

    def _finish(self, desk: Desk, run: Run) -> None:
        """Finish the calls that were cut off after their change had taken place, then look at everything once more."""
        platform, sifted = desk.target.platform, desk.sifted
        cut = [each for name, each in sifted.outcomes.items() if name in run.unsettled and each.status == "done"]
        if platform.finish is None or not cut:
            return
        live, writer = desk.fresh.live, desk.doors.writer
        ends = {each.step.id: finished(each, platform, writer, desk.fresh, live) for each in cut}
        desk.fresh = desk.target.plan(desk.doors.reader, as_of=self.moment, memory=desk.journal.memory)
        again = sift(desk.reviewed, desk.fresh, desk.allowance, desk.past, chosen=desk.chosen)
        desk.sifted = replace(again, outcomes={**again.outcomes, **ends})
        self.outcomes[desk.reviewed.instance] = dict(desk.sifted.outcomes)
        self.lifted[desk.reviewed.instance] = again.lifted

    def _begin(self, desk: Desk) -> None:
        if desk.journal.unfinished is not None:
            words = f"run {desk.journal.unfinished.began.run} had no end and is given up for this plan"
            self._say(desk, warning("run-given-up", words))
        journal.keep_plan(self.book.folder, self.plan)
        known = left(desk.fresh, desk.fresh.live, desk.journal.memory)
        desk.journal.begin(
            self.plan,
            platform=desk.reviewed.platform,
            origin=desk.reviewed.origin,
            me=_own(desk),
            users=known.users,
            accounts=tuple(sorted(known.accounts)),
            sites=known.sites,
            grants=known.grants,
            allow_delete=self.options.allow_delete,
            chosen=desk.chosen,
            lifted=tuple(sorted(desk.sifted.lifted)),
        )
        for name, each in self.options.accept.items():
            desk.journal.waive(name, self.plan.digest, each.reason)

    def _worked(self, desk: Desk, brake: Brake) -> None:
        """Write to one instance and end its journal; what goes wrong on the way stays with this instance."""
        name = desk.reviewed.instance
        work = self._work(desk, brake)
        try:
            execute(work)
            self._ended(desk, work)
        except TROUBLE as problem:
            self.open_ends = True
            self.diagnostics.append(trouble(name, problem))
            _account_for(work)
        self.heads[name] = desk.journal.head
        self.sent = self.sent or work.sent

    def _work(self, desk: Desk, brake: Brake) -> Work:
        def again(settled: Mapping[str, Outcome], lifted: frozenset[str]) -> tuple[Fresh, Sifted]:
            fresh = desk.target.plan(desk.doors.reader, as_of=self.moment, memory=desk.journal.memory)
            past = Past(settled=settled, lifted=lifted)
            return fresh, sift(desk.reviewed, fresh, desk.allowance, past, chosen=desk.chosen)

        return Work(
            target=desk.target, doors=desk.doors, journal=desk.journal, fresh=desk.fresh, sifted=desk.sifted,
            passwords=self.options.passwords, patience=self.options.failures_in_a_row, brake=brake, tell=self.tell,
            outcomes=self.outcomes[desk.reviewed.instance], live=desk.fresh.live, again=again,
            steps=len(desk.sifted.outcomes) + len(desk.sifted.go),
        )  # fmt: skip

    def _ended(self, desk: Desk, work: Work) -> None:
        """Read what the run left and end the journal, unless something is open still."""
        if work.brake.pulled or any(each.status == "unknown" for each in work.outcomes.values()):
            self.open_ends = True
            return
        fresh = self._read_at_the_end(desk, work) if work.sent else None
        seen, live = (fresh, fresh.live) if fresh else (work.fresh, work.live)
        memory = desk.journal.memory
        done = [each.step.change for each in work.outcomes.values() if each.status == "done"]
        taken = [each.key for each in done if each.after is None]
        sends = sends_so_far(memory, work.sends, self.clock(), live=live, taken=taken)
        counts = Counter(each.status for each in work.outcomes.values())
        course = Course(
            outcomes=tuple(work.outcomes.values()), before=desk.fresh.live, fresh=seen, live=live,
            whole=desk.chosen is None, extra=tuple(each for each in desk.journal.in_doubt if reached(each, live.access)),
        )  # fmt: skip
        desk.journal.end(counts, replace(left(seen, live, memory, course), sends=sends))

    def _read_at_the_end(self, desk: Desk, work: Work) -> Fresh | None:
        """Return the instance as the run leaves it; say what is gone again, what appeared, or why nobody knows."""
        try:
            fresh = desk.target.plan(desk.doors.reader, as_of=self.moment, memory=desk.journal.memory)
        except PlatformError as problem:
            self._say(desk, warning("end-not-read", f"what this run left could not be read: {problem}"))
            return None
        self._met(desk.reviewed.instance, fresh, desk.journal.memory)
        if lost := gone(tuple(work.outcomes.values()), fresh.live):
            desk.journal.became([result(each) for each in lost])
            work.outcomes.update({each.step.id: each for each in lost})
        if news := appeared(fresh.plan, (desk.reviewed, desk.fresh.plan)):
            words = f"{len(news)} changes appeared while this was applied, the first on {' '.join(news[0].change.key)}"
            self._say(desk, replace(warning("appeared", words, hint="siteward plan"), count=len(news)))
        return fresh

    def _met(self, instance: str, fresh: Fresh, memory: Memory | None) -> None:
        """Remember which accounts were met, so that no output names them that may not."""
        self.accounts.setdefault(instance, {}).update(account_names(fresh.live, fresh.desired, memory))

    def _say(self, desk: Desk, what: Diagnostic) -> None:
        self.diagnostics.append(replace(what, instance=desk.reviewed.instance))

    def _gave_up(self, reviewed: InstancePlan, why: Diagnostic | None) -> None:
        """Leave an instance alone: tell why, and skip its steps."""
        if why is not None:
            self.diagnostics.append(why)
        message = f"nothing was sent to {reviewed.instance}" + (f": {why.message}" if why else "")
        chosen = self._chosen(reviewed, None)
        self.outcomes[reviewed.instance] = {
            each.id: Outcome(instance=reviewed.instance, step=each, status="skipped", message=message)
            for each in reviewed.steps
            if chosen is None or each.id in chosen
        }

    def _turned_away(self, *, stale: bool) -> Report:
        diagnostics = tuple(self.diagnostics)
        return Report(command="apply", plan=self.plan, diagnostics=diagnostics, stale=stale, next="siteward plan")

    def _report(self) -> Report:
        parts = tuple(allowed(each, self.lifted.get(each.instance, ())) for each in self.asked_for)
        outcomes = tuple(
            replace(found, step=step)
            for each in parts
            for step in each.steps
            if (found := self.outcomes.get(each.instance, {}).get(step.id))
        )
        statuses = {each.status for each in outcomes}
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


def _own(desk: Desk) -> str | None:
    """Return the account to remember as the one in use: never one that only the file names, against the run before."""
    before = desk.journal.memory.me if desk.journal.memory is not None else None
    known = desk.fresh.confirmed or before is None or "self" in desk.allowance.accept
    return desk.fresh.live.me if known else before


def trouble(instance: str, problem: PlatformError | JournalBroken | JournalBusy | Unsafe | OSError) -> Diagnostic:
    """Return what went wrong with an instance as a diagnostic."""
    if isinstance(problem, PlatformError | JournalBroken | JournalBusy):
        return replace(error(problem.code, str(problem), hint=problem.hint), instance=instance)
    return replace(error("journal-not-written", f"the journal cannot be written: {problem}"), instance=instance)


def _account_for(work: Work) -> None:
    """Give an outcome to what was left when an instance was given up in the middle."""
    for step in work.sifted.go:
        if step.id not in work.outcomes:
            unknown = step.id in work.in_flight
            work.outcomes[step.id] = Outcome(
                instance=work.target.name, step=step, status="unknown" if unknown else "skipped",
                message="it was in flight when the instance was given up" if unknown else "the instance was given up before",
            )  # fmt: skip


def _next(statuses: Collection[str], *, open_ends: bool) -> str | None:
    if open_ends:
        return RESUME
    return None if set(statuses) <= {"done", "already"} else "siteward plan"
