"""Apply: exactly what a reviewed plan says, or less.

    plan ─ is it the reviewed one, young, for these origins? ─▶ every instance: lock its journal, read it again,
    sift what may still be done (recheck) ─▶ begin all journals ─▶ write, one instance after the other (execute)
    ─▶ read what is left behind, end the journals ─▶ report

It can veto and never add. Instances fail apart: what goes wrong with one is a diagnostic and the outcomes of its
steps, and the others go on.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from siteward.access import codec
from siteward.access.diagnostic import Diagnostic, error, note, warning
from siteward.access.report import Outcome, Report
from siteward.access.state import Memory
from siteward.reconcile import journal
from siteward.reconcile.chain import JournalBroken
from siteward.reconcile.execute import Brake, Work, braking, execute, result
from siteward.reconcile.journal import Journal, JournalBusy, Run
from siteward.reconcile.private import Unsafe
from siteward.reconcile.recheck import Allowance, Sifted, allowed, reached, sift
from siteward.reconcile.target import Fresh, Listener, Options, quiet
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan, Plan
    from siteward.access.state import Live
    from siteward.reconcile.target import Book, Clock, Target
    from siteward.transport.http import Doors

_AHEAD = timedelta(minutes=5)
_SHORTEST = {"expect": 12, "accept": 8}
_TROUBLE = (PlatformError, JournalBroken, JournalBusy, Unsafe, OSError)


def apply(
    plan: Plan,
    targets: Mapping[str, Target],
    book: Book,
    options: Options,
    *,
    config_digest: str,
    clock: Clock,
    on_progress: Listener = quiet,
) -> Report:
    """Apply a reviewed plan and report one outcome for each of its chosen steps.

    `targets` are the instances of the checkout, `config_digest` that of its files, `clock` gives the time in UTC.
    Whoever calls has asked already; nothing here asks. Raises nothing for what one instance does.
    """
    session = _Session(plan, targets, book, options, clock, on_progress)
    return session.run(_objections(plan, options, clock()), config_digest)


def resume(
    targets: Mapping[str, Target],
    book: Book,
    options: Options,
    *,
    config_digest: str,
    clock: Clock,
    on_progress: Listener = quiet,
) -> Report:
    """Finish the run that has no end: settle by reading what was in flight, then apply what is left of its plan.

    What was allowed when the run began is allowed still, and what it was confined to confines it still. Where
    several plans have such runs, the one that began last is finished and the others are named.
    """
    found, diagnostics = _unfinished(targets, book)
    if not found:
        diagnostics = (*diagnostics, note("nothing-to-resume", "every run in the journals has an end"))
        return Report(command="apply", diagnostics=diagnostics)
    digest = max(found.values(), key=lambda each: each.began.at).began.plan
    try:
        plan = journal.kept_plan(book.folder, digest)
    except (OSError, ValueError) as problem:
        lost = error("plan-lost", f"the plan of the unfinished run is not to be had: {problem}", hint="siteward plan")
        return Report(command="apply", diagnostics=(*diagnostics, lost))
    options = replace(options, expect=digest, as_of=options.as_of or (plan.as_of if plan.as_of_given else None))
    objections = (*_objections(plan, options, clock()), *diagnostics, *_other_runs(found, digest))
    begun = frozenset(name for name in targets if _begun(book, name, digest)) - found.keys()
    plan = replace(plan, instances=tuple(each for each in plan.instances if each.instance not in begun))
    return _Session(plan, targets, book, options, clock, on_progress, resuming=True).run(objections, config_digest)


# The session


@dataclass(kw_only=True)
class _Desk:
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


@dataclass
class _Session:
    """One run of apply over all instances of a plan; what it has to say gathers here."""

    plan: Plan
    targets: Mapping[str, Target]
    book: Book
    options: Options
    clock: Clock
    tell: Listener
    resuming: bool = False
    outcomes: dict[str, dict[Key, Outcome]] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    lifted: dict[str, frozenset[str]] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    sent: bool = False
    interrupted: bool = False
    open_ends: bool = False

    def run(self, objections: Iterable[Diagnostic], config_digest: str) -> Report:
        """Prepare all instances, write to each, and report; where the plan cannot be taken, only report why."""
        self.diagnostics.extend(objections)
        old = self.clock() - self.plan.created > self.options.max_age
        if old or any(each.blocks and each.instance is None for each in self.diagnostics):
            self.diagnostics.extend([_too_old(self.plan)] if old else [])
            return self._turned_away(stale=old)
        if self.plan.config_digest != config_digest:
            self.diagnostics.append(_CONFIG_CHANGED)
        self.moment = self.options.as_of or self.clock()
        with ExitStack() as stack:
            desks = [desk for each in self.plan.instances if (desk := self._prepared(stack, each))]
            desks = [desk for desk in desks if self._begun(desk)]
            with braking() as brake:
                for desk in desks:
                    self._worked(desk, brake)
            self.interrupted = brake.pulled
        return self._report()

    def _prepared(self, stack: ExitStack, reviewed: InstancePlan) -> _Desk | None:
        """Open an instance, read it and sift its steps; `None` where that fails, which is told."""
        target = self.targets.get(reviewed.instance)
        if (mismatch := _mismatch(reviewed, target)) or target is None:
            self._gave_up(reviewed, mismatch)
            return None
        try:
            with ExitStack() as inner:
                desk = self._desk(inner, reviewed, target)
                stack.push(inner.pop_all())
        except _TROUBLE as problem:
            self._gave_up(reviewed, _trouble(reviewed.instance, problem))
            return None
        self.outcomes[reviewed.instance] = dict(desk.sifted.outcomes)
        self.lifted[reviewed.instance] = desk.sifted.lifted
        return desk

    def _desk(self, stack: ExitStack, reviewed: InstancePlan, target: Target) -> _Desk:
        book = stack.enter_context(
            journal.opened(self.book.folder, reviewed.instance, key=self.book.key, clock=self.clock)
        )
        run = book.unfinished if self.resuming else None
        if run is not None and run.began.plan != self.plan.digest:
            run = None
        doors = stack.enter_context(target.open())
        fresh = target.plan(doors.reader, as_of=self.moment, memory=book.memory)
        allowance, chosen = self._allowance(run), self._chosen(reviewed, run)
        sifted = sift(
            reviewed, fresh, allowance, chosen=chosen, run=run, lifted=frozenset(run.began.lifted) if run else None
        )
        return _Desk(
            reviewed=reviewed, target=target, journal=book, doors=doors, fresh=fresh, sifted=sifted,
            allowance=allowance, chosen=chosen, run=run,
        )  # fmt: skip

    def _allowance(self, run: Run | None) -> Allowance:
        accept = {name: each.reason for name, each in self.options.accept.items()}
        if run is not None:
            accept = {**{name: each.reason for name, each in run.waivers.items()}, **accept}
        delete = self.options.allow_delete or (run is not None and run.began.allow_delete)
        return Allowance(accept=accept, allow_delete=delete, passwords=self.options.passwords)

    def _chosen(self, reviewed: InstancePlan, run: Run | None) -> Collection[str] | None:
        if run is not None:
            return run.began.chosen
        only = self.options.only
        return None if only is None else tuple(each.id for each in reviewed.steps if only(reviewed.instance, each))

    def _begun(self, desk: _Desk) -> bool:
        """Journal that the run begins or goes on, and what the second look has settled already."""
        name, book = desk.reviewed.instance, desk.journal
        try:
            if desk.run is not None:
                book.go_on(desk.run)
            else:
                self._begin(desk)
            if desk.sifted.outcomes:
                book.became([result(each) for each in desk.sifted.outcomes.values()])
        except _TROUBLE as problem:
            self._gave_up(desk.reviewed, _trouble(name, problem))
            return False
        self.heads[name] = book.head
        return True

    def _begin(self, desk: _Desk) -> None:
        if desk.journal.unfinished is not None:
            words = f"run {desk.journal.unfinished.began.run} had no end and is given up for this plan"
            self.diagnostics.append(replace(note("run-given-up", words), instance=desk.reviewed.instance))
        journal.keep_plan(self.book.folder, self.plan)
        left = _left(desk.fresh, desk.fresh.live, desk.journal.memory)
        desk.journal.begin(
            self.plan,
            platform=desk.reviewed.platform,
            origin=desk.reviewed.origin,
            users=left.users,
            accounts=tuple(sorted(left.accounts)),
            sites=left.sites,
            grants=left.grants,
            allow_delete=self.options.allow_delete,
            chosen=desk.chosen,
            lifted=tuple(sorted(desk.sifted.lifted)),
        )
        for name, each in self.options.accept.items():
            desk.journal.waive(name, self.plan.digest, each.reason)

    def _worked(self, desk: _Desk, brake: Brake) -> None:
        """Write to one instance and end its journal; what goes wrong on the way stays with this instance."""
        name = desk.reviewed.instance
        work = self._work(desk, brake)
        try:
            execute(work)
            self._ended(desk, work)
        except _TROUBLE as problem:
            self.open_ends = True
            self.diagnostics.append(_trouble(name, problem))
            _account_for(work)
        self.heads[name] = desk.journal.head
        self.sent = self.sent or work.sent

    def _work(self, desk: _Desk, brake: Brake) -> Work:
        def again(settled: Mapping[Key, Outcome], lifted: frozenset[str]) -> tuple[Fresh, Sifted]:
            fresh = desk.target.plan(desk.doors.reader, as_of=self.moment, memory=desk.journal.memory)
            return fresh, sift(desk.reviewed, fresh, desk.allowance, chosen=desk.chosen, settled=settled, lifted=lifted)

        return Work(
            target=desk.target, doors=desk.doors, journal=desk.journal, fresh=desk.fresh, sifted=desk.sifted,
            passwords=self.options.passwords, patience=self.options.failures_in_a_row, brake=brake, tell=self.tell,
            outcomes=self.outcomes[desk.reviewed.instance], live=desk.fresh.live, again=again,
            steps=len(desk.sifted.outcomes) + len(desk.sifted.go),
        )  # fmt: skip

    def _ended(self, desk: _Desk, work: Work) -> None:
        """Read what the run left, say what is not as it should be, and end the journal, unless something is open."""
        if work.brake.pulled or any(each.status == "unknown" for each in work.outcomes.values()):
            self.open_ends = True
            return
        fresh, live = work.fresh, work.live
        if work.sent:
            try:
                fresh = desk.target.plan(desk.doors.reader, as_of=self.moment, memory=desk.journal.memory)
            except PlatformError as problem:
                words = f"what this run left could not be read: {problem}"
                self.diagnostics.append(replace(warning("end-not-read", words), instance=desk.reviewed.instance))
            else:
                live = fresh.live
                self._compare_end(desk, work, fresh)
        counts = Counter(each.status for each in work.outcomes.values())
        left = _left(fresh, live, desk.journal.memory)
        desk.journal.end(
            counts, replace(left, last=live.access, sends=_sends(desk.journal.memory, work.sends, self.clock()))
        )

    def _compare_end(self, desk: _Desk, work: Work, fresh: Fresh) -> None:
        """Take back `done` from what is gone again, and name what has appeared."""
        gone = [
            replace(each, status="failed", message="reading showed it after the write, and at the end it is gone")
            for each in work.outcomes.values()
            if each.status == "done" and not reached(each.step.change, fresh.live.access)
        ]
        if gone:
            desk.journal.became([result(each) for each in gone])
            work.outcomes.update({each.step.change.key: each for each in gone})
        known = {
            each.change.key for plan in (desk.reviewed, desk.fresh.plan) for each in (*plan.steps, *plan.held_back)
        }
        appeared = [each for each in fresh.plan.steps if each.change.key not in known]
        if appeared:
            words = f"{len(appeared)} changes appeared while this was applied, the first on {' '.join(appeared[0].change.key)}"
            found = warning("appeared", words, hint="siteward plan")
            self.diagnostics.append(replace(found, instance=desk.reviewed.instance, count=len(appeared)))

    def _gave_up(self, reviewed: InstancePlan, why: Diagnostic | None) -> None:
        """Leave an instance alone: tell why, and skip its steps."""
        if why is not None:
            self.diagnostics.append(why)
        message = f"nothing was sent to {reviewed.instance}" + (f": {why.message}" if why else "")
        chosen = self._chosen(reviewed, None)
        self.outcomes[reviewed.instance] = {
            each.change.key: Outcome(instance=reviewed.instance, step=each, status="skipped", message=message)
            for each in reviewed.steps
            if chosen is None or each.id in chosen
        }

    def _turned_away(self, *, stale: bool) -> Report:
        diagnostics = tuple(self.diagnostics)
        return Report(command="apply", plan=self.plan, diagnostics=diagnostics, stale=stale, next="siteward plan")

    def _report(self) -> Report:
        parts = tuple(allowed(each, self.lifted.get(each.instance, ())) for each in self.plan.instances)
        outcomes = tuple(
            replace(found, step=step)
            for each in parts
            for step in each.steps
            if (found := self.outcomes.get(each.instance, {}).get(step.change.key))
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
            interrupted=self.interrupted,
            stale="refused" in statuses and not self.sent,
            journal=str(where) if names else None,
            journal_head=self.heads[names[0]]
            if len(names) == 1
            else ", ".join(map(" ".join, self.heads.items())) or None,
            next=_next(statuses, open_ends=self.open_ends),
        )


# What a plan must be


_CONFIG_CHANGED = note(
    "config-changed", "the files are not those the plan was made from; what they no longer want is refused"
)


def _objections(plan: Plan, options: Options, now: datetime) -> tuple[Diagnostic, ...]:
    """Return what keeps a plan from being applied at all."""
    found = []
    if codec.digest(plan) != plan.digest:
        found.append(
            error("plan-damaged", "the plan is not what its digest says: it was edited or cut", hint="siteward plan")
        )
    if options.expect is not None and not _names(options.expect, plan.digest, _SHORTEST["expect"]):
        found.append(error("plan-unexpected", f"this is not the plan that was expected: its digest is {plan.digest}"))
    if plan.created - now > _AHEAD:
        found.append(
            error(
                "plan-from-the-future",
                f"the plan says that it was made at {plan.created:%Y-%m-%d %H:%MZ}, which is yet to come",
            )
        )
    if (plan.as_of if plan.as_of_given else None) != options.as_of:
        given = (
            f"for {plan.as_of.isoformat()}: repeat --as-of to apply it"
            if plan.as_of_given
            else "for the time it was made at, not for another --as-of"
        )
        found.append(error("plan-as-of", f"the plan was made {given}"))
    for name, each in options.accept.items():
        if not _names(each.digest, plan.digest, _SHORTEST["accept"]):
            found.append(error("accept-other-plan", f"--accept {name} names another plan than this one, {plan.digest}"))
        if not each.reason.strip():
            found.append(error("accept-without-reason", f"--accept {name} needs a reason"))
    return tuple(found)


def _names(given: str, digest: str, shortest: int) -> bool:
    """Tell whether `given` is a digest, or enough of its beginning."""
    wanted, whole = given.removeprefix("sha256:").lower(), digest.removeprefix("sha256:")
    return len(wanted) >= shortest and whole.startswith(wanted)


def _too_old(plan: Plan) -> Diagnostic:
    """Return the word on a plan that has grown stale: no error in anything, so no error."""
    words = f"the plan was made {plan.created:%Y-%m-%d %H:%MZ}, longer ago than --max-age allows; nothing was done"
    return warning("plan-too-old", words, hint="siteward plan")


def _mismatch(reviewed: InstancePlan, target: Target | None) -> Diagnostic | None:
    """Return why a part of the plan is not for the instance of that name here."""
    name = reviewed.instance
    if target is None:
        found = error("plan-unknown-instance", f"the file, as checked out here, has no instance {name}")
    elif target.platform.name != reviewed.platform:
        found = error(
            "plan-other-origin", f"the plan is for a {reviewed.platform} and {name} is a {target.platform.name} here"
        )
    elif target.origin != reviewed.origin:
        found = error("plan-other-origin", f"the plan is for {reviewed.origin} and {name} is {target.origin} here")
    else:
        return None
    return replace(found, instance=name, hint="siteward plan")


def _trouble(instance: str, problem: PlatformError | JournalBroken | JournalBusy | Unsafe | OSError) -> Diagnostic:
    """Return what went wrong with an instance as a diagnostic."""
    if isinstance(problem, PlatformError | JournalBroken | JournalBusy):
        return replace(error(problem.code, str(problem), hint=problem.hint), instance=instance)
    return replace(error("journal-not-written", f"the journal cannot be written: {problem}"), instance=instance)


def _account_for(work: Work) -> None:
    """Give an outcome to what was left when an instance was given up in the middle."""
    for step in work.sifted.go:
        if step.change.key not in work.outcomes:
            unknown = step.id in work.in_flight
            work.outcomes[step.change.key] = Outcome(
                instance=work.target.name, step=step, status="unknown" if unknown else "skipped",
                message="it was in flight when the instance was given up" if unknown else "the instance was given up before",
            )  # fmt: skip


# What is remembered


def _left(fresh: Fresh, live: Live, memory: Memory | None) -> Memory:
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
        grants=sum(1 for _ in live.access.grants()),
        last_at=None,
    )


def _sends(memory: Memory | None, sends: Mapping[Key, int], now: datetime) -> Mapping[Key, tuple[int, datetime]]:
    before = memory.sends if memory else {}
    return {
        **before,
        **{key: (before[key][0] + count if key in before else count, now) for key, count in sends.items()},
    }


# Runs without an end


def _unfinished(targets: Mapping[str, Target], book: Book) -> tuple[dict[str, Run], tuple[Diagnostic, ...]]:
    found: dict[str, Run] = {}
    diagnostics = []
    for name in targets:
        try:
            run = journal.open_run(journal.path_of(book.folder, name), book.key)
        except JournalBroken as problem:
            diagnostics.append(_trouble(name, problem))
        else:
            if run is not None:
                found[name] = run
    return found, tuple(diagnostics)


def _begun(book: Book, instance: str, digest: str) -> bool:
    """Tell whether a plan was ever begun on an instance."""
    path = journal.path_of(book.folder, instance)
    return any(each.began.plan == digest for each in journal.runs(path, book.key))


def _other_runs(found: Mapping[str, Run], digest: str) -> tuple[Diagnostic, ...]:
    return tuple(
        replace(note("another-run", f"run {run.began.run} of another plan has no end either"), instance=name)
        for name, run in found.items()
        if run.began.plan != digest
    )


def _next(statuses: Collection[str], *, open_ends: bool) -> str | None:
    if open_ends:
        return "siteward apply --resume"
    return None if set(statuses) <= {"done", "already"} else "siteward plan"
