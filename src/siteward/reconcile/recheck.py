"""The second look: what of a reviewed plan may still be done, in a world and under a file that may have moved.

Pure. It can only take away: a step goes ahead when the thing it touches is as it was reviewed, the checkout wants
exactly this, and no guard objects to what is left of the plan. No verdict in the plan is believed but one: what
was blocked when it was reviewed goes ahead only where whoever applies has lifted that block, not because the
block has gone away since, which nobody has reviewed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity
from siteward.access.model import Account, Grant, Group, Key, Member, Resource, Scope, account_key, scope_of
from siteward.access.report import Outcome, OutcomeStatus
from siteward.reconcile.deliver import undeliverable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from siteward.access.change import Change
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.state import Live
    from siteward.reconcile.deliver import Passwords
    from siteward.reconcile.journal import Run
    from siteward.reconcile.target import Fresh

SETTLED: frozenset[OutcomeStatus] = frozenset({"done", "already"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What whoever applies allows beyond the plan: blocks lifted by name, deletion, a place for passwords."""

    accept: Mapping[str, str]
    allow_delete: bool
    passwords: Passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What is left of an instance's plan: steps to do, in order, with the keys each depends on; the rest is settled."""

    go: tuple[Step, ...]
    needs: Mapping[Key, frozenset[Key]]
    outcomes: Mapping[Key, Outcome]
    lifted: frozenset[str]


def sift(
    reviewed: InstancePlan,
    fresh: Fresh,
    allowance: Allowance,
    *,
    chosen: Collection[str] | None = None,
    run: Run | None = None,
    settled: Mapping[Key, Outcome] = MappingProxyType({}),
    lifted: frozenset[str] | None = None,
) -> Sifted:
    """Compare each reviewed step with the fresh world and wishes.

    `chosen` confines it to steps; `run` is the unfinished run this goes on with. `settled` are outcomes of an earlier
    look in this run, `lifted` what it found to be allowed; the fresh outcomes come back beside those.
    """
    steps = {
        each.change.key: each
        for each in reviewed.steps
        if (chosen is None or each.id in chosen) and each.change.key not in settled
    }
    wishes = {each.change.key: each for each in fresh.plan.steps}
    outcomes: dict[Key, Outcome] = dict(settled)
    for key, step in steps.items():
        if outcome := _compared(reviewed, step, fresh, wishes.get(key), run):
            outcomes[key] = outcome
    needs = {key: _needs(reviewed, steps[key], fresh, wishes) for key in steps if key not in outcomes}
    if lifted is None:
        lifted = _lifted(reviewed, fresh, [steps[key] for key in needs], needs, allowance)
    while True:
        _drop_dependants(reviewed, steps, needs, outcomes)
        rest = [steps[key] for key in needs if key not in outcomes]
        news = _objected(reviewed, fresh, rest, allowance) or _vanished(reviewed, rest, lifted)
        if not news:
            break
        outcomes.update(news)
    order = {key: at for at, key in enumerate(wishes)}
    go = tuple(sorted(rest, key=lambda each: order[each.change.key]))
    return Sifted(go=go, needs=needs, outcomes=outcomes, lifted=lifted)


def reached(change: Change, seen: Mapping[Key, Resource | None] | Mapping[Key, Resource]) -> bool:
    """Tell whether the world is as a change wants it; what the change does not speak of does not count."""
    wanted, now = change.after, seen.get(change.key)
    match wanted:
        case None:
            return now is None
        case Account(renamed=str(new)) if new != wanted.name:
            moved = seen.get(account_key(new))
            return now is None and isinstance(moved, Account) and _speaks_of(wanted, moved)
        case Account():
            return isinstance(now, Account) and _speaks_of(wanted, now)
        case Grant():
            return isinstance(now, Grant) and now == replace(
                wanted, extras=now.extras if wanted.extras is None else wanted.extras
            )
        case Group() | Member():
            return now == wanted


def touched(change: Change) -> frozenset[Key]:
    """Return the keys to look at to see whether a change took place: its own, and the new one of a renamed account."""
    new = change.after.renamed if isinstance(change.after, Account) else None
    return frozenset({change.key} if new is None else {change.key, account_key(new)})


def unmet(step: Step, needs: Mapping[Key, frozenset[Key]], outcomes: Mapping[Key, Outcome]) -> Outcome | None:
    """Return the outcome of the first thing a step depends on that was not done, if there is one."""
    return next(
        (
            outcomes[key]
            for key in sorted(needs[step.change.key])
            if key in outcomes and outcomes[key].status not in SETTLED
        ),
        None,
    )


def allowed(reviewed: InstancePlan, lifted: Collection[str]) -> InstancePlan:
    """Return a reviewed plan in which the blocks that whoever applies has lifted are warnings."""
    if not lifted:
        return reviewed
    steps = tuple(
        replace(each, diagnostics=tuple(map(_lowered, each.diagnostics))) if each.id in lifted else each
        for each in reviewed.steps
    )
    diagnostics = tuple(_lowered(each) if each.about is None else each for each in reviewed.diagnostics)
    return replace(reviewed, steps=steps, diagnostics=diagnostics)


def _lowered(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity=Severity.WARNING) if diagnostic.blocks else diagnostic


def left_undone(instance: str, step: Step, cause: Outcome) -> Outcome:
    """Return what becomes of a step when something it depends on was not done."""
    status: OutcomeStatus = "blocked" if cause.status == "blocked" else "skipped"
    return Outcome(
        instance=instance, step=step, status=status, message=f"depends on {cause.step.id}, which is {cause.status}"
    )


def refused(instance: str, step: Step, now: Resource | None, why: str) -> Outcome:
    """Return the refusal of a step, with what was reviewed, what is there now and what was wanted."""
    return Outcome(
        instance=instance, step=step, status="refused", message=why, hint="siteward plan",
        reviewed=step.change.before, now=now, wanted=step.change.after,
    )  # fmt: skip


def _speaks_of(wanted: Account, now: Account) -> bool:
    email, language = wanted.email, wanted.language
    same_email = email is None or (now.email or "").casefold() == email.casefold()
    return same_email and (language is None or now.language == language)


def _compared(reviewed: InstancePlan, step: Step, fresh: Fresh, wish: Step | None, run: Run | None) -> Outcome | None:
    """Return what is settled about a step by reading alone, or `None` where it may still be done."""
    change = step.change
    if reached(change, fresh.live.access):
        return _there(reviewed, step, run)
    now = fresh.live.access.get(change.key)
    if why := _moved(step, fresh.live, run):
        return refused(reviewed.instance, step, now, why)
    if wish is None:
        held = any(each.change.key == change.key for each in fresh.plan.held_back)
        why = "the instance's mode holds it back now" if held else "the file, as checked out here, does not ask for it"
        return refused(reviewed.instance, step, now, why)
    if wish.change.after != change.after:
        outcome = refused(reviewed.instance, step, now, "the file, as checked out here, asks for something else")
        return replace(outcome, wanted=wish.change.after)
    return None


def _moved(step: Step, live: Live, run: Run | None) -> str:
    """Return what somebody has done to the thing a step touches since it was reviewed, if anything."""
    told = run.results.get(step.id) if run else None
    if told is not None and told.status == "done":
        return "this run had done it, and somebody has changed it since"
    if replaced := _replaced(step, live):
        return f"{replaced} was deleted and made anew since the plan was made"
    return "it changed after the plan was made" if live.access.get(step.change.key) != step.change.before else ""


def _there(reviewed: InstancePlan, step: Step, run: Run | None) -> Outcome:
    """Return the outcome of a step that the world shows as wanted."""
    told = run.results.get(step.id) if run else None
    if run is not None and step.id in run.unsettled:
        return Outcome(
            instance=reviewed.instance, step=step, status="done", message="its answer was lost; reading shows it"
        )
    if told is not None and told.status == "done":
        return Outcome(instance=reviewed.instance, step=step, status="done", message="done before the interruption")
    return Outcome(instance=reviewed.instance, step=step, status="already")


def _replaced(step: Step, live: Live) -> str | None:
    """Return the name of a pinned thing whose id on the platform is another one now."""
    for key, pinned in step.ids.items():
        now = _id(key, live)
        if now is not None and now != pinned:
            return " ".join(key)
    return None


def _id(key: Key, live: Live) -> str | None:
    if key in live.ids:
        return live.ids[key]
    scope = scope_of(key) if key[0] == "grant" else Scope(key[-2], key[-1]) if len(key) > 1 else None
    site = live.sites.get(scope) if scope else None
    return site.id if site else None


def _needs(reviewed: InstancePlan, step: Step, fresh: Fresh, wishes: Mapping[Key, Step]) -> frozenset[Key]:
    """Return the keys of what must be done first, by the reviewed plan and by the fresh one."""
    before = _keys(reviewed.steps, step.depends_on)
    return before | _keys(fresh.plan.steps, wishes[step.change.key].depends_on)


def _keys(steps: Iterable[Step], ids: Collection[str]) -> frozenset[Key]:
    return frozenset(each.change.key for each in steps if each.id in ids)


def _drop_dependants(
    reviewed: InstancePlan, steps: Mapping[Key, Step], needs: Mapping[Key, frozenset[Key]], outcomes: dict[Key, Outcome]
) -> None:
    """Settle, until nothing changes, the steps that depend on what is refused, was not reviewed or was not chosen."""
    dropped = True
    while dropped:
        dropped = False
        for key in needs:
            if key not in outcomes and (outcome := _hindered(reviewed, steps, steps[key], needs, outcomes)):
                outcomes[key] = outcome
                dropped = True


def _hindered(
    reviewed: InstancePlan,
    steps: Mapping[Key, Step],
    step: Step,
    needs: Mapping[Key, frozenset[Key]],
    outcomes: Mapping[Key, Outcome],
) -> Outcome | None:
    if cause := unmet(step, needs, outcomes):
        return left_undone(reviewed.instance, step, cause)
    strange = sorted(key for key in needs[step.change.key] if key not in steps and key not in outcomes)
    if not strange:
        return None
    why = f"depends on {' '.join(strange[0])}, which is not part of what was reviewed and chosen"
    return Outcome(instance=reviewed.instance, step=step, status="skipped", message=why)


def _lifted(
    reviewed: InstancePlan,
    fresh: Fresh,
    steps: Collection[Step],
    needs: Mapping[Key, frozenset[Key]],
    allowance: Allowance,
) -> frozenset[str]:
    """Return the steps, blocked when they were reviewed, that are blocked still but for what is allowed now."""
    blocked = [each for each in steps if _was_blocked(reviewed, each)]
    if not blocked:
        return frozenset()
    nothing = replace(allowance, accept={}, allow_delete=False, passwords=replace(allowance.passwords, out=None))
    without, with_ = (_stuck(fresh, steps, needs, each) for each in (nothing, allowance))
    return frozenset(each.id for each in blocked if each.change.key in without - with_)


def _stuck(
    fresh: Fresh, steps: Collection[Step], needs: Mapping[Key, frozenset[Key]], allowance: Allowance
) -> frozenset[Key]:
    """Return the keys of the steps that an objection stands on, and of all that need one of those."""
    objections = _objections(fresh, steps, allowance)
    found = {each.change.key for each in steps if _objection(objections, each) is not None}
    while more := {each.change.key for each in steps if needs[each.change.key] & found} - found:
        found |= more
    return frozenset(found)


def _objections(fresh: Fresh, steps: Collection[Step], allowance: Allowance) -> Mapping[Key | None, Diagnostic]:
    """Return the errors that doing just these steps would raise, by key; under `None` one that is about all."""
    keys = frozenset(each.change.key for each in steps)
    verdict = fresh.judge(keys, accept=allowance.accept, allow_delete=allowance.allow_delete)
    undelivered = undeliverable(
        fresh.plan.instance, (each.change for each in steps), fresh.desired.holders, fresh.traits, allowance.passwords
    )
    return {each.about: each for each in (*verdict, *undelivered) if each.blocks}


def _objection(objections: Mapping[Key | None, Diagnostic], step: Step) -> Diagnostic | None:
    return objections.get(None) or objections.get(step.change.key)


def _objected(
    reviewed: InstancePlan, fresh: Fresh, steps: Collection[Step], allowance: Allowance
) -> Mapping[Key, Outcome]:
    """Return what becomes of the steps that the guards object to, were just these steps done."""
    objections = _objections(fresh, steps, allowance) if steps else {}
    found = {}
    for step in steps:
        if (why := _objection(objections, step)) is not None:
            was = _was_blocked(reviewed, step)
            found[step.change.key] = Outcome(
                instance=reviewed.instance,
                step=step,
                status="blocked" if was else "refused",
                message=f"{'' if was else 'blocked since it was reviewed, '}{why.code}: {why.message}",
                hint=why.hint,
            )
    return found


def _vanished(reviewed: InstancePlan, steps: Collection[Step], lifted: Collection[str]) -> Mapping[Key, Outcome]:
    """Return the refusal of the steps whose block is gone, though nobody here has lifted it."""
    message = "it was blocked when it was reviewed and no longer is: review it again"
    return {
        each.change.key: Outcome(
            instance=reviewed.instance, step=each, status="refused", message=message, hint="siteward plan"
        )
        for each in steps
        if _was_blocked(reviewed, each) and each.id not in lifted
    }


def _was_blocked(reviewed: InstancePlan, step: Step) -> bool:
    return step.blocked or reviewed.blocked
