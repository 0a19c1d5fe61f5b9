"""Preparing and beginning the run on one instance: all that comes before the first write."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import warning
from siteward.access.report import Outcome
from siteward.reconcile.apply.admission import mismatched, remarks_on
from siteward.reconcile.apply.consent import Consents, still_lifted, taken_over
from siteward.reconcile.apply.execute import finished, result
from siteward.reconcile.apply.inputs import TROUBLE, Prepared, judge_again, read_again, trouble
from siteward.reconcile.apply.memory import left
from siteward.reconcile.apply.revalidate import Allowance, History
from siteward.reconcile.journal import journal

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.reconcile.apply.inputs import ApplyInput, RunState
    from siteward.reconcile.apply.target import Target
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
    met = book.memory.accounts if book.memory else ()
    history = History(met=met, run=run, lifted=still_lifted(run, reviewed, allowance) if run else None)
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


def _begin_anew(given: ApplyInput, state: RunState, instance: Prepared) -> None:
    """Store the plan and journal that its run begins; a run of another plan without an end is given up."""
    if instance.journal.unfinished is not None:
        words = f"run {instance.journal.unfinished.began.run} had no end and is given up for this plan"
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
