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
from siteward.access.report import Outcome, Report
from siteward.reconcile.apply.admission import CONFIG_CHANGED, left_out, too_old
from siteward.reconcile.apply.execute import Execution, cancelled_by_signals, execute, result
from siteward.reconcile.apply.inputs import TROUBLE, RunState, read_again, trouble
from siteward.reconcile.apply.memory import RunResult, appeared, gone, left, sends_so_far
from siteward.reconcile.apply.prepare import begin, prepare
from siteward.reconcile.apply.revalidate import allowed, reached
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal import journal
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.reconcile.apply.execute import CancellationToken
    from siteward.reconcile.apply.inputs import ApplyInput, Prepared
    from siteward.reconcile.apply.target import Fresh


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
    memory = instance.journal.memory
    done = [outcome.step.change for outcome in execution.outcomes.values() if outcome.status == "done"]
    taken = [change.key for change in done if change.after is None]
    sends = sends_so_far(memory, execution.sends, execution.given.clock(), live=live, taken=taken)
    counts = Counter(outcome.status for outcome in execution.outcomes.values())
    run_result = RunResult(
        outcomes=tuple(execution.outcomes.values()), before=instance.fresh.live, fresh=execution.fresh, live=live,
        whole=instance.chosen is None,
        extra=tuple(change for change in instance.journal.in_doubt if reached(change, live.access)),
    )  # fmt: skip
    instance.journal.end(counts, replace(left(execution.fresh, live, memory, run_result), sends=sends))


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
