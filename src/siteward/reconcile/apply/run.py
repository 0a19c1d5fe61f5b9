"""One run of apply over all instances of a plan: prepare all → begin all → write → settle → remember, one by one.

Instances fail apart: what goes wrong with one is a diagnostic and the outcomes of its steps, and the others go on.
Every function takes the frozen `ApplyInput` and the one `RunState` that fills up.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import warning
from siteward.access.renames import touched
from siteward.access.report import Outcome, Report
from siteward.platforms.interface import Bundle, Receipt
from siteward.reconcile.apply.admission import CONFIG_CHANGED, left_out, mismatched, remarks_on, too_old
from siteward.reconcile.apply.consent import Consents, still_lifted, taken_over
from siteward.reconcile.apply.execute import Execution, cancelled_by_signals, execute, finished, look_once_more, result
from siteward.reconcile.apply.inputs import TROUBLE, Prepared, RunState, judge_again, read_again, trouble
from siteward.reconcile.apply.memory import RunResult, appeared, gone, left, sends_so_far
from siteward.reconcile.apply.revalidate import Allowance, History, allowed, reached
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal import journal
from siteward.reconcile.unsettled import is_cut_off, late, reasons_to_wait, settled, still_open
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.reconcile.apply.execute import CancellationToken
    from siteward.reconcile.apply.inputs import ApplyInput
    from siteward.reconcile.apply.target import Fresh, Target
    from siteward.reconcile.journal.journal import Run


def prepare(given: ApplyInput, state: RunState, stack: ExitStack, reviewed: InstancePlan) -> Prepared | None:
    """Open an instance, read it and revalidate its steps; `None` where that fails, with the reason in `state`.

    What was opened is closed with `stack`.
    """
    target = given.targets.get(reviewed.instance)
    if (mismatch := mismatched(reviewed, target)) or target is None:
        _give_up(given, state, reviewed, mismatch)
        return None
    try:
        with ExitStack() as inner:
            instance = _open(given, state, inner, reviewed, target)
            stack.push(inner.pop_all())
    except TROUBLE as problem:
        _give_up(given, state, reviewed, trouble(reviewed.instance, problem))
        return None
    state.record(instance.name, instance.revalidated)
    return instance


def begin(given: ApplyInput, state: RunState, instance: Prepared) -> Prepared | None:
    """Journal that the run begins or goes on, and what the second look has settled already.

    Return the instance as it is then, or `None` where it cannot be written to, with the reason in `state`.
    """
    try:
        if instance.run is not None:
            _go_on(given, state, instance, instance.run)
            instance = _finish_interrupted(given, state, instance, instance.run)
        else:
            _begin_anew(given, state, instance)
            instance = _finish_late(given, state, instance)
        if instance.revalidated.outcomes:
            instance.journal.became([result(outcome) for outcome in instance.revalidated.outcomes.values()])
    except TROUBLE as problem:
        _give_up(given, state, instance.reviewed, trouble(instance.name, problem))
        return None
    state.heads[instance.name] = instance.journal.head
    return instance


def _open(given: ApplyInput, state: RunState, stack: ExitStack, reviewed: InstancePlan, target: Target) -> Prepared:
    """Read the journal first, then the instance, and judge the reviewed steps by both."""
    name = reviewed.instance
    book = stack.enter_context(journal.opened(given.book.folder, name, key=given.book.key, clock=given.clock))
    for diagnostic in remarks_on(book.standing, target.platform.name, target.origin, given.book.key):
        state.add(name, diagnostic)
    run = book.unfinished if given.resuming else None
    if run is not None and run.began.plan != given.plan.digest:
        run = None
    doors = stack.enter_context(target.open())
    fresh = target.plan(doors.reader, as_of=given.moment, memory=book.memory)
    state.meet_accounts(name, fresh, book.memory)
    allowance, chosen = _allowance(given, run), _chosen(given, reviewed, run)
    memory = settled(book.memory, fresh.live)
    waits = reasons_to_wait([step.change for step in reviewed.steps], still_open(memory, fresh.live, given.clock()))
    history = History(
        met=memory.accounts if memory else (), run=run, waits=waits,
        lifted=still_lifted(run, reviewed, allowance) if run else None,
    )  # fmt: skip
    return Prepared(
        reviewed=reviewed, target=target, journal=book, doors=doors, fresh=fresh,
        revalidated=judge_again(reviewed, fresh, allowance, history, chosen),
        allowance=allowance, chosen=chosen, run=run, history=history,
    )  # fmt: skip


def _allowance(given: ApplyInput, run: Run | None) -> Allowance:
    """Return what this run may do beyond the plan: what was said now, and what its sealed lines say."""
    taken = run.sealed if run is not None else Consents()
    accept = {**taken.accept, **{name: acceptance.reason for name, acceptance in given.options.accept.items()}}
    delete = given.options.allow_delete or taken.allow_delete
    return Allowance(accept=accept, allow_delete=delete, passwords=given.options.passwords)


def _chosen(given: ApplyInput, reviewed: InstancePlan, run: Run | None) -> tuple[str, ...] | None:
    """Return the steps that this run is confined to, by what was said now and by what it began with; `None` for all."""
    only = given.options.only
    chosen = None if only is None else tuple(step.id for step in reviewed.steps if only(reviewed.instance, step))
    before = run.began.chosen if run is not None else None
    if before is None or chosen is None:
        return before if chosen is None else chosen
    return tuple(step for step in chosen if step in before)


def _go_on(given: ApplyInput, state: RunState, instance: Prepared, run: Run) -> None:
    """Journal that a run goes on, and what was allowed for that; tell which consents it brings along."""
    state.add(instance.name, taken_over(run))
    instance.journal.go_on(run, allow_delete=given.options.allow_delete, lifted=instance.revalidated.lifted)
    for name, acceptance in given.options.accept.items():
        if name not in run.sealed.accept:
            instance.journal.waive(name, given.plan.digest, acceptance.reason)


def _finish_interrupted(given: ApplyInput, state: RunState, instance: Prepared, run: Run) -> Prepared:
    """Finish the calls that were cut off after their change had taken place, then read and judge everything again."""
    platform, revalidated = instance.target.platform, instance.revalidated
    cut = [
        outcome for name, outcome in revalidated.outcomes.items() if name in run.unsettled and outcome.status == "done"
    ]
    if platform.finish is None or not cut:
        return instance
    live, writer = instance.fresh.live, instance.doors.writer
    ends = {outcome.step.id: finished(outcome, platform, writer, instance.fresh, live) for outcome in cut}
    fresh = read_again(given, instance)
    again = judge_again(instance.reviewed, fresh, instance.allowance, instance.history, instance.chosen)
    instance = replace(instance, fresh=fresh, revalidated=replace(again, outcomes={**again.outcomes, **ends}))
    state.record(instance.name, instance.revalidated)
    return instance


def _finish_late(given: ApplyInput, state: RunState, instance: Prepared) -> Prepared:
    """Finish the calls of earlier runs whose answers were lost and whose changes stand by now, then read all again."""
    platform, live = instance.target.platform, instance.fresh.live
    known = late(instance.journal.memory, live)
    if platform.finish is None or not known:
        return instance
    unended = []
    for write in known:
        bundle = Bundle(changes=(write.change,), unwanted=instance.fresh.unwanted)
        try:
            receipt = platform.finish(instance.doors.writer, bundle, live)
        except PlatformError as problem:
            receipt = Receipt(key=write.change.key, status="unknown", message=str(problem))
        if receipt.status != "sent":
            unended.append(write)
            state.add(instance.name, warning("late-not-finished", receipt.message, hint="siteward plan"))
    fresh = read_again(given, instance)
    again = judge_again(instance.reviewed, fresh, instance.allowance, instance.history, instance.chosen)
    state.record(instance.name, again)
    return replace(instance, fresh=fresh, revalidated=again, unended=tuple(unended))


def _begin_anew(given: ApplyInput, state: RunState, instance: Prepared) -> None:
    """Store the plan and journal that its run begins; a run of another plan without an end is given up."""
    unfinished = instance.journal.unfinished
    if unfinished is not None and is_cut_off(unfinished, given.book.folder):
        words = f"run {unfinished.began.run} had no end and is given up for this plan"
        state.add(instance.name, warning("run-given-up", words))
    journal.keep_plan(given.book.folder, given.plan)
    known = left(instance.fresh, instance.fresh.live, instance.journal.memory)
    instance.journal.begin(
        given.plan,
        platform=instance.reviewed.platform,
        origin=instance.reviewed.origin,
        me=_own_account(instance),
        users=known.users,
        accounts=tuple(sorted(known.accounts)),
        sites=known.sites,
        grants=known.grants,
        allow_delete=given.options.allow_delete,
        chosen=instance.chosen,
        lifted=tuple(sorted(instance.revalidated.lifted)),
    )
    for name, acceptance in given.options.accept.items():
        instance.journal.waive(name, given.plan.digest, acceptance.reason)


def _own_account(instance: Prepared) -> str | None:
    """Return the account to remember as the one in use: never one that only the file names, against the run before."""
    before = instance.journal.memory.me if instance.journal.memory is not None else None
    known = instance.fresh.confirmed or before is None or "self" in instance.allowance.accept
    return instance.fresh.live.me if known else before


def _give_up(given: ApplyInput, state: RunState, reviewed: InstancePlan, why: Diagnostic | None) -> None:
    """Leave an instance alone: tell why, and skip its steps."""
    if why is not None:
        state.diagnostics.append(why)
    message = f"nothing was sent to {reviewed.instance}" + (f": {why.message}" if why else "")
    chosen = _chosen(given, reviewed, None)
    state.outcomes[reviewed.instance] = {
        step.id: Outcome(instance=reviewed.instance, step=step, status="skipped", message=message)
        for step in reviewed.steps
        if chosen is None or step.id in chosen
    }


def run(given: ApplyInput, objections: Iterable[Diagnostic], config_digest: str) -> Report:
    """Prepare all instances, write to each, and report; where the plan cannot be taken, only report why.

    `objections` are those to the plan as a whole, `config_digest` is that of the files as checked out now.
    """
    state = RunState(diagnostics=list(objections))
    old = given.clock() - given.plan.created > given.options.max_age
    if old or any(diagnostic.blocks and diagnostic.instance is None for diagnostic in state.diagnostics):
        state.diagnostics.extend([too_old(given.plan)] if old else [])
        return Report(
            command="apply", plan=given.plan, diagnostics=tuple(state.diagnostics), stale=old, next="siteward plan"
        )
    if given.plan.config_digest != config_digest:
        state.diagnostics.append(CONFIG_CHANGED)
    asked_for = _leave_out(given, state)
    with ExitStack() as stack:
        prepared = [found for part in asked_for if (found := prepare(given, state, stack, part))]
        begun = [found for instance in prepared if (found := begin(given, state, instance))]
        with cancelled_by_signals() as cancellation:
            for instance in begun:
                _carry_out(given, state, instance, cancellation)
        state.interrupted = cancellation.cancelled
    return _report(given, state, asked_for)


def _leave_out(given: ApplyInput, state: RunState) -> tuple[InstancePlan, ...]:
    """Tell which instances this run was not asked for, and return the plans of the others."""
    remarks = {
        part.instance: remark for part in given.plan.instances if (remark := left_out(part.instance, given.targets))
    }
    state.diagnostics.extend(remarks.values())
    return tuple(part for part in given.plan.instances if part.instance not in remarks)


def _carry_out(given: ApplyInput, state: RunState, instance: Prepared, cancellation: CancellationToken) -> None:
    """Write to one instance, settle what came of it and end its journal; trouble on the way stays with it."""
    execution = Execution(
        given=given, instance=instance, cancellation=cancellation, fresh=instance.fresh,
        revalidated=instance.revalidated, live=instance.fresh.live, outcomes=state.outcomes[instance.name],
    )  # fmt: skip
    try:
        execute(execution)
        look_once_more(execution)
        if _is_open(execution):
            state.open_ends = True
        else:
            _settle(state, execution)
            _remember(execution)
    except TROUBLE as problem:
        state.open_ends = True
        state.diagnostics.append(trouble(instance.name, problem))
        _account_for_rest(execution)
    state.heads[instance.name] = instance.journal.head
    state.sent = state.sent or execution.sent


def _is_open(execution: Execution) -> bool:
    """Return whether something is open still, so that the run on this instance has no end."""
    return execution.cancellation.cancelled or any(
        outcome.status == "unknown" for outcome in execution.outcomes.values()
    )


def _settle(state: RunState, execution: Execution) -> None:
    """Read the instance as the run leaves it, if anything was sent; tell what is gone again and what appeared."""
    fresh = _read_at_the_end(state, execution) if execution.sent else None
    if fresh is None:
        return
    instance = execution.instance
    state.meet_accounts(instance.name, fresh, instance.journal.memory)
    if lost := gone(tuple(execution.outcomes.values()), fresh.live):
        instance.journal.became([result(outcome) for outcome in lost])
        execution.outcomes.update({outcome.step.id: outcome for outcome in lost})
    if news := appeared(fresh.plan, (instance.reviewed, instance.fresh.plan)):
        words = f"{len(news)} changes appeared while this was applied, the first on {' '.join(news[0].change.key)}"
        state.add(instance.name, replace(warning("appeared", words, hint="siteward plan"), count=len(news)))
    execution.fresh, execution.live = fresh, fresh.live


def _read_at_the_end(state: RunState, execution: Execution) -> Fresh | None:
    """Return the instance read once more, or `None` with the reason in `state`."""
    try:
        return read_again(execution.given, execution.instance)
    except PlatformError as problem:
        words = f"what this run left could not be read: {problem}"
        state.add(execution.instance.name, warning("end-not-read", words))
        return None


def _remember(execution: Execution) -> None:
    """End the journal with what the run leaves behind."""
    instance, live = execution.instance, execution.live
    memory = settled(instance.journal.memory, live)
    open_ones = memory.unsettled if memory is not None else ()
    done = [outcome.step.change for outcome in execution.outcomes.values() if outcome.status == "done"]
    taken = [change.key for change in done if change.after is None]
    sends = sends_so_far(memory, execution.sends, execution.given.clock(), live=live, taken=taken)
    counts = Counter(outcome.status for outcome in execution.outcomes.values())
    run_result = RunResult(
        outcomes=tuple(execution.outcomes.values()), before=instance.fresh.live, fresh=execution.fresh, live=live,
        whole=instance.chosen is None,
        extra=tuple(item.change for item in open_ones if reached(item.change, live.access)),
    )  # fmt: skip
    remembered = left(execution.fresh, live, memory, run_result)
    unsettled = tuple(
        item
        for item in (*still_open(memory, live, execution.given.clock()), *instance.unended)
        if not touched(item.change) & {key for change in done for key in touched(change)}
    )
    instance.journal.end(counts, replace(remembered, sends=sends, unsettled=unsettled))


def _account_for_rest(execution: Execution) -> None:
    """Give an outcome to what was left when an instance was given up in the middle."""
    for step in execution.revalidated.go:
        if step.id not in execution.outcomes:
            unknown = step.id in execution.in_flight
            execution.outcomes[step.id] = Outcome(
                instance=execution.instance.name, step=step, status="unknown" if unknown else "skipped",
                message="it was in flight when the instance was given up" if unknown else "the instance was given up before",
            )  # fmt: skip


def _report(given: ApplyInput, state: RunState, asked_for: Collection[InstancePlan]) -> Report:
    """Return the report of a run: one outcome for each chosen step of the instances it was asked for."""
    parts = tuple(allowed(part, state.lifted.get(part.instance, ())) for part in asked_for)
    outcomes = tuple(
        replace(outcome, step=step)
        for part in parts
        for step in part.steps
        if (outcome := state.outcomes.get(part.instance, {}).get(step.id))
    )
    statuses = {outcome.status for outcome in outcomes}
    names = list(state.heads)
    where = journal.path_of(given.book.folder, names[0]) if len(names) == 1 else given.book.folder
    heads = state.heads[names[0]] if len(names) == 1 else ", ".join(map(" ".join, state.heads.items()))
    return Report(
        command="apply",
        plan=replace(given.plan, instances=parts),
        diagnostics=tuple(state.diagnostics),
        outcomes=outcomes,
        applied=True,
        confined=given.options.only is not None,
        interrupted=state.interrupted,
        accounts=state.accounts,
        stale="refused" in statuses and not state.sent,
        journal=str(where) if names else None,
        journal_head=heads or None,
        next=_next_command(statuses, open_ends=state.open_ends),
    )


def _next_command(statuses: Collection[str], *, open_ends: bool) -> str | None:
    if open_ends:
        return RESUME
    return None if set(statuses) <= {"done", "already"} else "siteward plan"
