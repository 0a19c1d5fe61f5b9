"""One run of apply over all instances of a plan: prepare all → begin all → write, settle and remember each.

Instances are read and written side by side, each at the pace of its server, and fail apart: what goes wrong with one is
a diagnostic and the outcomes of its steps, and the others go on. Every function takes the frozen `ApplyInput` and a
`RunState` that fills up: that of its own instance, or the one into which those are gathered, in the order of the plan.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Severity, plural, warning
from siteward.access.renames import touched
from siteward.access.report import WAITS, Outcome, Report
from siteward.reconcile.apply.admission import CONFIG_CHANGED, find_mismatch, note_left_out, remarks_on, warn_too_old
from siteward.reconcile.apply.ahead import Ahead
from siteward.reconcile.apply.consent import (
    Consents,
    accounts_accepted,
    allowed,
    find_still_lifted,
    is_about,
    list_mismatches,
    warn_resumed,
)
from siteward.reconcile.apply.execute import (
    Execution,
    cancelled_by_signals,
    end_call,
    execute,
    finish_call,
    look_once_more,
    to_result,
)
from siteward.reconcile.apply.inputs import (
    TROUBLE,
    Prepared,
    RunState,
    describe_begin,
    describe_trouble,
    plan_again,
    read_again,
    revalidate_instance,
    without_judge,
)
from siteward.reconcile.apply.memory import RunResult, build_memory, count_sends, find_lost, find_unexpected
from siteward.reconcile.apply.passwords import describe_delivered
from siteward.reconcile.apply.revalidate import SETTLED, Allowance, History, reached
from siteward.reconcile.apply.target import RESUME, one_at_a_time
from siteward.reconcile.journal import journal, plans
from siteward.reconcile.journal.reading import tell_heads
from siteward.reconcile.journal.records import class_of
from siteward.reconcile.selection import PARTIAL, describe_left_out
from siteward.reconcile.unsettled import is_cut_off, late, reasons_to_wait, settled, still_open
from siteward.transport.errors import PlatformError
from siteward.transport.threads import in_parallel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.reconcile.apply.execute import CancellationToken
    from siteward.reconcile.apply.inputs import ApplyInput
    from siteward.reconcile.apply.target import Fresh, Target
    from siteward.reconcile.journal.runs import Run


def run(given: ApplyInput, objections: Iterable[Diagnostic], config_digest: str) -> Report:
    """Prepare all instances, write to each, and report; where the whole plan is refused, only report why.

    `objections` are the diagnostics on the plan as a whole, `config_digest` is that of the files as checked out now.
    """
    state = RunState(diagnostics=list(objections))
    old = given.clock() - given.plan.created > given.options.max_age
    if old or any(diagnostic.blocks and diagnostic.instance is None for diagnostic in state.diagnostics):
        state.diagnostics.extend([warn_too_old(given.plan)] if old else [])
        return Report(
            command="apply", plan=given.plan, diagnostics=tuple(state.diagnostics), stale=old, next="siteward plan"
        )
    if given.plan.config_digest != config_digest:
        state.diagnostics.append(CONFIG_CHANGED)
    asked_for = _leave_out(given, state)
    given = replace(given, tell=one_at_a_time(given.tell))
    with ExitStack() as stack:
        prepared = _prepare_all(given, state, stack, asked_for)
        with cancelled_by_signals(instance.doors.deadline for instance in prepared) as cancellation:
            begun = [ready for instance in prepared if (ready := _begin(given, state, instance, cancellation))]
            outcomes = state.outcomes
            for part in in_parallel(
                lambda instance: _carry_out(given, instance, outcomes[instance.name], cancellation),
                begun,
                to_the_end=True,
            ):
                state.take_over(part)
        state.interrupted = cancellation.cancelled
    return _build_report(given, state, asked_for)


def _leave_out(given: ApplyInput, state: RunState) -> tuple[InstancePlan, ...]:
    """Report the instances that this run was not asked for; return the plans of the others."""
    remarks = {
        part.instance: remark
        for part in given.plan.instances
        if (remark := note_left_out(part.instance, given.targets))
    }
    state.diagnostics.extend(remarks.values())
    return tuple(part for part in given.plan.instances if part.instance not in remarks)


def _prepare_all(
    given: ApplyInput, state: RunState, stack: ExitStack, parts: tuple[InstancePlan, ...]
) -> list[Prepared]:
    """Prepare instances side by side; return those that can be begun."""

    def prepare(reviewed: InstancePlan) -> tuple[RunState, Prepared | None]:
        own = RunState()
        return own, _prepare(given, own, stack, reviewed)

    prepared = in_parallel(prepare, parts)
    for own, _ in prepared:
        state.take_over(own)
    return [instance for _, instance in prepared if instance is not None]


def _prepare(given: ApplyInput, state: RunState, stack: ExitStack, reviewed: InstancePlan) -> Prepared | None:
    """Open an instance, read it and revalidate its steps; `None` where that fails, with the reason in `state`.

    Journal and connections are closed with `stack`.
    """
    target = given.targets.get(reviewed.instance)
    if (mismatch := find_mismatch(reviewed, target, resuming=given.resuming)) or target is None:
        _give_up(given, state, reviewed, mismatch)
        return None
    try:
        with ExitStack() as inner:
            instance = _open_instance(given, state, inner, reviewed, target)
            stack.push(inner.pop_all())
    except TROUBLE as problem:
        _give_up(given, state, reviewed, describe_trouble(reviewed.instance, problem))
        return None
    state.record(instance.name, instance.revalidated)
    return instance


def _open_instance(
    given: ApplyInput, state: RunState, stack: ExitStack, reviewed: InstancePlan, target: Target
) -> Prepared:
    """Open and read the journal, then the instance, and revalidate the reviewed steps against both."""
    name = reviewed.instance
    opened = stack.enter_context(journal.opened(given.journals.folder, name, key=given.journals.key, clock=given.clock))
    for diagnostic in remarks_on(opened.standing, target.platform.name, target.origin, given.journals.key):
        state.add(name, diagnostic)
    run = opened.unfinished if given.resuming else None
    if run is not None and run.began.plan != given.plan.digest:
        run = None
    doors = stack.enter_context(target.open())
    fresh = plan_again(given, target, doors.reader, opened.memory)
    speed = doors.reader.speed
    state.meet_accounts(name, fresh, opened.memory)
    allowance, chosen = _build_allowance(given, run), _find_chosen(given, reviewed, run)
    memory = settled(opened.memory, fresh.live)
    waits = reasons_to_wait([step.change for step in reviewed.steps], still_open(memory, fresh.live, given.clock()))
    history = History(
        met=memory.accounts if memory else (), run=run, waits=waits,
        lifted=find_still_lifted(run, reviewed, allowance) if run else None, begun=describe_begin(run) if run else None,
    )  # fmt: skip
    revalidated = revalidate_instance(reviewed, fresh, allowance, history, chosen)
    fresh = without_judge(fresh, revalidated.go)
    return Prepared(
        reviewed=reviewed, target=target, journal=opened, doors=doors, fresh=fresh, revalidated=revalidated,
        allowance=allowance, chosen=chosen, run=run, history=history, speed=speed,
    )  # fmt: skip


def _build_allowance(given: ApplyInput, run: Run | None) -> Allowance:
    """Return the consents of this run: those given now, and those of its sealed lines where it goes on."""
    sealed = run.sealed if run is not None else Consents()
    accept = {**sealed.accept, **{name: acceptance.reason for name, acceptance in given.options.accept.items()}}
    delete = given.options.allow_delete or sealed.allow_delete
    options = given.options
    return Allowance(accept=accept, allow_delete=delete, passwords=options.passwords, approved=options.approved)


def _find_chosen(given: ApplyInput, reviewed: InstancePlan, run: Run | None) -> tuple[str, ...] | None:
    """Return the steps that this run is confined to, by its options and by those it began with; `None` for all."""
    only, chosen = given.options.only, None
    if only is not None:
        chosen = tuple(step.id for step in reviewed.steps if only(reviewed.instance, step))
    elif given.plan.only:
        chosen = tuple(step.id for step in reviewed.steps)
    before = run.began.chosen if run is not None else None
    if before is None or chosen is None:
        return before if chosen is None else chosen
    return tuple(step for step in chosen if step in before)


def _give_up(given: ApplyInput, state: RunState, reviewed: InstancePlan, why: Diagnostic | None) -> None:
    """Leave an instance alone: report why, and skip its steps."""
    if why is not None:
        state.diagnostics.append(why)
    message = f"nothing was sent to {reviewed.instance}" + (f": {why.message}" if why else "")
    chosen = _find_chosen(given, reviewed, None)
    state.outcomes[reviewed.instance] = {
        step.id: Outcome(instance=reviewed.instance, step=step, status="skipped", message=message)
        for step in reviewed.steps
        if chosen is None or step.id in chosen
    }


def _begin(given: ApplyInput, state: RunState, instance: Prepared, cancellation: CancellationToken) -> Prepared | None:
    """Journal that the run begins or goes on, and the outcomes that revalidation has settled already.

    Return the instance as it is then, or `None` where that fails or is not begun after a signal, with the reason in `state`.
    """
    if cancellation.cancelled:
        _give_up(given, state, instance.reviewed, None)
        return None
    try:
        if instance.run is not None:
            _continue(given, state, instance, instance.run)
            instance = _finish_interrupted(given, state, instance, instance.run)
        else:
            _begin_new_run(given, state, instance)
            instance = _finish_late(given, state, instance)
        if instance.revalidated.outcomes:
            instance.journal.record([to_result(outcome) for outcome in instance.revalidated.outcomes.values()])
    except TROUBLE as problem:
        _give_up(given, state, instance.reviewed, describe_trouble(instance.name, problem))
        return None
    state.heads[instance.name] = instance.journal.head
    return instance


def _continue(given: ApplyInput, state: RunState, instance: Prepared, run: Run) -> None:
    """Journal that a run goes on and the consents for that; report the consents it has from before."""
    state.add(instance.name, warn_resumed(run))
    instance.journal.go_on(
        run,
        given.plan,
        allow_delete=given.options.allow_delete,
        lifted=instance.revalidated.lifted,
        actor=given.journals.actor,
    )
    for name, acceptance in given.options.accept.items():
        if name not in run.sealed.accept and is_about(name, instance.name):
            instance.journal.waive(name, given.plan.digest, acceptance.reason)


def _finish_interrupted(given: ApplyInput, state: RunState, instance: Prepared, run: Run) -> Prepared:
    """Complete the calls that were cut off after their change had taken place, then read and revalidate again."""
    platform, revalidated = instance.target.platform, instance.revalidated
    cut_off = [
        outcome for name, outcome in revalidated.outcomes.items() if name in run.unsettled and outcome.status == "done"
    ]
    if platform.finish is None or not cut_off:
        return instance
    live, writer = instance.fresh.live, instance.doors.writer
    ends = {outcome.step.id: finish_call(outcome, platform, writer, instance.fresh, live) for outcome in cut_off}
    instance = _revalidated_again(given, instance)
    again = instance.revalidated
    instance = replace(instance, revalidated=replace(again, outcomes={**again.outcomes, **ends}))
    state.record(instance.name, instance.revalidated)
    return instance


def _finish_late(given: ApplyInput, state: RunState, instance: Prepared) -> Prepared:
    """Complete the calls of earlier runs whose answers were lost and whose changes are live by now, then read again."""
    platform, live = instance.target.platform, instance.fresh.live
    writes = late(instance.journal.memory, live)
    if platform.finish is None or not writes:
        return instance
    unended = []
    for write in writes:
        obstacle = end_call(write.change, platform, instance.doors.writer, instance.fresh, live)
        if obstacle is not None:
            unended.append(write)
            state.add(instance.name, warning("late-not-finished", obstacle, hint="siteward plan"))
    instance = replace(_revalidated_again(given, instance), unended=tuple(unended))
    state.record(instance.name, instance.revalidated)
    return instance


def _revalidated_again(given: ApplyInput, instance: Prepared) -> Prepared:
    """Return an instance as it is by another reading, its steps revalidated against that; raises `PlatformError`."""
    fresh = read_again(given, instance)
    again = revalidate_instance(instance.reviewed, fresh, instance.allowance, instance.history, instance.chosen)
    return replace(instance, fresh=without_judge(fresh, again.go), revalidated=again)


def _begin_new_run(given: ApplyInput, state: RunState, instance: Prepared) -> None:
    """Store the plan and journal that its run begins; an unfinished run of another plan is given up."""
    unfinished = instance.journal.unfinished
    if unfinished is not None and is_cut_off(unfinished, given.journals.folder):
        words = f"run {unfinished.began.run} had no end and is given up for this plan"
        state.add(instance.name, warning("run-given-up", words))
    plans.keep_plan(given.journals.folder, given.plan, given.options.document)
    known = build_memory(instance.fresh, instance.fresh.live, instance.journal.memory)
    accepted = {name: acceptance for name, acceptance in given.options.accept.items() if is_about(name, instance.name)}
    instance.journal.begin(
        given.plan,
        live=instance.fresh.live,
        platform=instance.reviewed.platform,
        origin=instance.target.origin,
        me=_find_own_account(instance),
        users=known.users,
        ids=known.declared_ids,
        accounts=tuple(sorted(known.accounts)),
        sites=known.sites,
        grants=known.grants,
        allow_delete=given.options.allow_delete,
        chosen=instance.chosen,
        only=given.options.words or given.plan.only,
        lifted=tuple(sorted(instance.revalidated.lifted)),
        accepted=tuple(sorted({class_of(name) for name in accepted})),
        actor=given.journals.actor,
    )
    for name, acceptance in accepted.items():
        instance.journal.waive(name, given.plan.digest, acceptance.reason)


def _find_own_account(instance: Prepared) -> str | None:
    """Return the account to journal as the one in use.

    An account that only the file names does not replace that of the run before, unless it was accepted (`self`).
    """
    before = instance.journal.memory.me if instance.journal.memory is not None else None
    known = instance.fresh.confirmed or before is None or "self" in instance.allowance.accept
    return instance.fresh.live.me if known else before


def _carry_out(
    given: ApplyInput, instance: Prepared, outcomes: dict[str, Outcome], cancellation: CancellationToken
) -> RunState:
    """Write to one instance, check the result and end its journal; an error on the way is reported for it alone.

    `outcomes` are those of its steps that are settled; the others are added. Return what is to be reported besides.
    """
    state = RunState()
    execution = Execution(
        given=given, instance=instance, cancellation=cancellation, fresh=instance.fresh,
        revalidated=instance.revalidated, live=instance.fresh.live, outcomes=outcomes,
        ahead=Ahead(go=instance.revalidated.go, over=outcomes),
    )  # fmt: skip
    try:
        execute(execution)
        look_once_more(execution)
        if _is_unfinished(execution):
            state.open_ends = True
        else:
            _check_result(state, execution)
            _remember(execution)
    except TROUBLE as problem:
        state.open_ends = True
        state.diagnostics.append(describe_trouble(instance.name, problem))
        _settle_rest(execution)
    if execution.delivered:
        state.add(instance.name, describe_delivered(instance.name, execution.delivered, given.options.passwords))
    state.heads[instance.name] = instance.journal.head
    state.sent = execution.sent
    return state


def _is_unfinished(execution: Execution) -> bool:
    """Return whether a step is of unknown outcome or was not begun, so that the run here stays without an end."""
    return execution.cancellation.cancelled or any(
        outcome.status == "unknown" for outcome in execution.outcomes.values()
    )


def _check_result(state: RunState, execution: Execution) -> None:
    """Read the instance as the run leaves it, if anything was sent; report lost and unexpected changes."""
    fresh = _read_at_the_end(state, execution) if execution.sent else None
    if fresh is None:
        return
    instance = execution.instance
    state.meet_accounts(instance.name, fresh, instance.journal.memory)
    if lost := find_lost(tuple(execution.outcomes.values()), fresh.live):
        instance.journal.record([to_result(outcome) for outcome in lost])
        execution.outcomes.update({outcome.step.id: outcome for outcome in lost})
    if news := find_unexpected(fresh.plan, (instance.reviewed, instance.fresh.plan)):
        words = f"{plural(len(news), 'change')} appeared while this was applied, the first on {' '.join(news[0].change.key)}"
        state.add(instance.name, replace(warning("appeared", words, hint="siteward plan"), count=len(news)))
    execution.fresh, execution.live = fresh, fresh.live


def _read_at_the_end(state: RunState, execution: Execution) -> Fresh | None:
    """Return the instance read and planned once more, or `None` with the reason in `state`."""
    try:
        return read_again(execution.given, execution.instance, execution.outcomes.values())
    except PlatformError as problem:
        words = f"what this run left could not be read: {problem}"
        state.add(execution.instance.name, warning("end-not-read", words))
        return None


def _remember(execution: Execution) -> None:
    """End the journal with the memory that the run leaves."""
    instance, live = execution.instance, execution.live
    memory = settled(instance.journal.memory, live)
    earlier = memory.unsettled if memory is not None else ()
    done = [outcome.step.change for outcome in execution.outcomes.values() if outcome.status == "done"]
    taken = [change.key for change in done if change.after is None]
    sends = count_sends(memory, execution.sends, execution.given.clock(), live=live, taken=taken)
    counts = Counter(outcome.status for outcome in execution.outcomes.values())
    run_result = RunResult(
        outcomes=tuple(execution.outcomes.values()), before=instance.fresh.live, fresh=execution.fresh, live=live,
        whole=instance.chosen is None, confirmed=_find_confirmed(instance),
        extra=tuple(write.change for write in earlier if reached(write.change, live.access)),
    )  # fmt: skip
    writes = (*still_open(memory, live, execution.given.clock()), *instance.unended)
    written = touched(*done) if writes else frozenset()
    unsettled = tuple(write for write in writes if not touched(write.change) & written)
    if run_result.counts:
        left = build_memory(execution.fresh, live, memory, run_result)
        left = replace(left, sends=sends, unsettled=unsettled)
        instance.journal.end(counts, left, live, run_result.is_ours, run_result.names)
    else:
        instance.journal.end_unchanged(counts, live, unsettled)


def _find_confirmed(instance: Prepared) -> frozenset[str]:
    """Return the accounts that whoever applies has accepted, and that are still those that were reviewed."""
    accepted = accounts_accepted(instance.name, instance.allowance.accept)
    if not accepted:
        return accepted
    reviewed, fresh = list_mismatches(instance.reviewed), list_mismatches(instance.fresh.plan)
    return frozenset(name for name in accepted if fresh.get(name) and fresh[name] == reviewed.get(name))


def _settle_rest(execution: Execution) -> None:
    """Give an outcome to the steps that were left when the work on an instance ended with an error.

    What reading has settled and the journal could not be told stays settled.
    """
    for name, outcome in execution.revalidated.outcomes.items():
        execution.outcomes.setdefault(name, outcome)
    for step in execution.revalidated.go:
        if step.id not in execution.outcomes:
            unknown = step.id in execution.in_flight
            execution.outcomes[step.id] = Outcome(
                instance=execution.instance.name, step=step, status="unknown" if unknown else "skipped",
                message="it was in flight when the instance was given up" if unknown else "the instance was given up before",
            )  # fmt: skip


def _build_report(given: ApplyInput, state: RunState, asked_for: Collection[InstancePlan]) -> Report:
    """Return the report of a run: one outcome for each chosen step of the instances it was asked for."""
    parts = tuple(allowed(part, state.lifted.get(part.instance, ())) for part in asked_for)
    outcomes = tuple(
        outcome if outcome.step is step else replace(outcome, step=step)
        for part in parts
        for step in part.steps
        if (outcome := state.outcomes.get(part.instance, {}).get(step.id))
    )
    statuses = {outcome.status for outcome in outcomes}
    where, heads = tell_heads(given.journals.folder, state.heads)
    return Report(
        command="apply",
        plan=replace(given.plan, instances=parts),
        diagnostics=(*state.diagnostics, *_describe_rest(given, parts)),
        outcomes=outcomes,
        applied=True,
        confined=given.options.only is not None or bool(given.plan.only),
        interrupted=state.interrupted,
        accounts=state.accounts,
        stale="refused" in statuses and not state.sent,
        journal=where,
        journal_head=heads,
        next=_suggest_command(statuses, open_ends=state.open_ends),
    )


def _describe_rest(given: ApplyInput, parts: Iterable[InstancePlan]) -> Iterator[Diagnostic]:
    """Yield, for each instance, what is said of the steps that this run was not asked for, or that have to wait."""
    only = given.options.only
    for part in parts:
        if only is not None:
            rest = tuple(step for step in part.steps if not only(part.instance, step))
            yield replace(describe_left_out(given.options.words, rest), instance=part.instance)
        elif given.plan.only:
            said = (found for found in part.diagnostics if found.code in {PARTIAL, WAITS})
            yield from (
                replace(found, instance=part.instance, severity=min(found.severity, Severity.WARNING)) for found in said
            )


def _suggest_command(statuses: Collection[str], *, open_ends: bool) -> str | None:
    """Return the command that the report suggests, or `None` where every step is done."""
    if open_ends:
        return RESUME
    return None if set(statuses) <= SETTLED else "siteward plan"
