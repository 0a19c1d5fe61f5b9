"""Revalidation: the steps of a reviewed plan that may still be done, although live state and files may have changed.

It reads and opens nothing: all facts are parameters. It can only drop steps: a step goes ahead when what it touches is
as it was reviewed, the checkout wants exactly this, and no guard objects to the rest of the plan. Verdicts are made
anew; but a step that was blocked when it was reviewed goes ahead only where whoever applies has lifted that block.
"""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, Severity
from siteward.access.model import Account, Grant, Group, Key, Member, Resource, Scope, account_of, scope_of
from siteward.access.needs import NEEDS
from siteward.access.policy import LIMIT_NAMES
from siteward.access.renames import change_under, key_under, of_accounts, renames_in, subjects_of
from siteward.access.report import Outcome, OutcomeStatus
from siteward.access.traits import fold_login
from siteward.reconcile.apply.passwords import made_with_password
from siteward.reconcile.apply.target import RESUME

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from siteward.access.limits import Begun
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.renames import Renames
    from siteward.access.state import Live
    from siteward.reconcile.apply.passwords import Obstacles, Passwords
    from siteward.reconcile.apply.target import Fresh
    from siteward.reconcile.journal.entries import Result
    from siteward.reconcile.journal.runs import Run

SETTLED: frozenset[OutcomeStatus] = frozenset({"done", "already"})
_BUDGETS = frozenset(f"limit-{name}" for name in LIMIT_NAMES)
LOST = "its answer was lost; reading shows it"


class Allowance(Struct, frozen=True, kw_only=True):
    """The consents given for a run beyond the plan: blocks lifted by name, deletion, a place for passwords, who `approved`.

    `asks` is false where nothing will be applied (drift): then no missing consent is reported.
    """

    accept: Mapping[str, str]
    allow_delete: bool
    passwords: Passwords
    approved: frozenset[str] = frozenset()
    asks: bool = True


class Revalidated(Struct, frozen=True, kw_only=True):
    """The rest of an instance's plan that may still be done.

    `go` are the steps to do, in order, under the logins their accounts have now; `needs` says for each, by id, which
    must be done first. `outcomes` are those of the steps that are settled already, by id; `lifted` are the steps that
    were blocked when they were reviewed and may be done because whoever applies has allowed it.
    """

    go: tuple[Step, ...]
    needs: Mapping[str, frozenset[str]]
    outcomes: Mapping[str, Outcome]
    lifted: frozenset[str]


class History(Struct, frozen=True, kw_only=True):
    """The facts known from before this revalidation.

    `met` are the accounts that the journal knows; `run` is the unfinished run that is gone on with. `settled` are the
    outcomes of an earlier revalidation in this run, and `lifted` the steps whose block that one, or the unfinished run,
    has lifted. `waits` are the reasons for which nothing is done yet, by key: an earlier write may still take effect.
    `begun` is what was there when the run began that goes on.
    """

    met: Collection[str] = ()
    run: Run | None = None
    settled: Mapping[str, Outcome] = MappingProxyType({})
    lifted: frozenset[str] | None = None
    waits: Mapping[Key, str] = MappingProxyType({})
    begun: Begun | None = None


def revalidate(
    reviewed: InstancePlan,
    fresh: Fresh,
    allowance: Allowance,
    history: History,
    obstacles: Obstacles,
    *,
    chosen: Collection[str] | None = None,
) -> Revalidated:
    """Compare each reviewed step with the fresh live state and plan; `chosen` confines it to steps by id.

    `obstacles` are the objections to delivering new passwords, which the caller has looked up.
    """
    current = _from_halfway(_as_named_now(reviewed, fresh.live), fresh.live, history.run)
    settled, lifted = history.settled, history.lifted
    case = _Case(
        reviewed=current, fresh=fresh, allowance=allowance, history=history, obstacles=obstacles,
        whole=chosen is None and lifted is None, chosen=chosen,
    )  # fmt: skip
    steps = {
        step.id: step
        for step in case.reviewed.steps
        if (chosen is None or step.id in chosen) and step.id not in settled
    }
    outcomes = dict(settled)
    outcomes.update({name: outcome for name, step in steps.items() if (outcome := _compare(case, step))})
    needs = {name: _find_needs(case, step) for name, step in steps.items() if name not in outcomes}
    if lifted is None:
        lifted = _find_lifted(case, [steps[name] for name in needs], needs)
    while True:
        _drop_dependants(case, steps, needs, outcomes)
        rest = [steps[name] for name in needs if name not in outcomes]
        news = _veto_objected(case, rest) or _refuse_vanished(case, rest, lifted)
        if not news:
            break
        outcomes.update(news)
    go = tuple(sorted(rest, key=lambda step: case.order[step.change.key]))
    return Revalidated(go=go, needs=needs, outcomes=outcomes, lifted=lifted)


def reached(change: Change, seen: Mapping[Key, Resource | None] | Mapping[Key, Resource]) -> bool:
    """Return whether the live state is as a change wants it; attributes that the change leaves open do not count.

    `seen` is the live access, or what `refresh` read: there `None` stands for what is not there.
    """
    wanted, now = change.after, seen.get(change.key)
    match wanted:
        case None:
            return now is None
        case Account(renamed=str(new)) | Group(renamed=str(new)) if new != wanted.name:
            return now is None and reached(Change(None, replace(wanted, name=new, renamed=None)), seen)
        case Account():
            return isinstance(now, Account) and _matches_account(wanted, now)
        case Grant():
            if wanted.extras is None and isinstance(now, Grant):
                wanted = replace(wanted, extras=now.extras)
            return now == wanted
        case Group() | Member():
            return now == wanted


def find_unmet(step: Step, needs: Mapping[str, frozenset[str]], outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """Return the outcome of the first step that a step depends on and that was not done, if there is one."""
    known = (outcomes[need] for need in sorted(needs[step.id]) if need in outcomes)
    return next((outcome for outcome in known if outcome.status not in SETTLED), None)


def allowed(reviewed: InstancePlan, lifted: Collection[str]) -> InstancePlan:
    """Return a reviewed plan in which the blocks that whoever applies has lifted are warnings, and needs given are gone."""
    if not lifted:
        return reviewed
    steps = tuple(
        replace(step, diagnostics=tuple(_lower_block(said) for said in step.diagnostics if said.code not in NEEDS))
        if step.id in lifted
        else step
        for step in reviewed.steps
    )
    diagnostics = tuple(_lower_block(said) if said.about is None else said for said in reviewed.diagnostics)
    return replace(reviewed, steps=steps, diagnostics=diagnostics)


def _lower_block(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity=Severity.WARNING) if diagnostic.blocks else diagnostic


def skip_dependant(instance: str, step: Step, cause: Outcome) -> Outcome:
    """Return the outcome of a step that depends on one that was not done."""
    status: OutcomeStatus = "blocked" if cause.status == "blocked" else "skipped"
    return Outcome(
        instance=instance, step=step, status=status, message=f"depends on {cause.step.id}, which is {cause.status}"
    )


def refuse(instance: str, step: Step, now: Resource | None, why: str) -> Outcome:
    """Return the outcome of a step that is not done because of `why`; `now` is the live resource."""
    return Outcome(
        instance=instance, step=step, status="refused", message=why, hint="siteward plan",
        reviewed=step.change.before, now=now, wanted=step.change.after,
    )  # fmt: skip


def _matches_account(wanted: Account, now: Account) -> bool:
    """Return whether e-mail and language are as wanted, where they are wanted at all."""
    email, language = wanted.email, wanted.language
    same_email = email is None or (now.email or "").casefold() == email.casefold()
    return same_email and (language is None or now.language == language)


class _Case(Struct, frozen=True, kw_only=True, dict=True):
    """A reviewed plan, the fresh one, and the facts to compare them by.

    `whole` is true where a run begins that is not confined to a part: then the budgets hold for all that the checkout
    wants, whatever of it stands in the reviewed plan, which anybody may have cut down.
    """

    reviewed: InstancePlan
    fresh: Fresh
    allowance: Allowance
    history: History
    obstacles: Obstacles
    whole: bool
    chosen: Collection[str] | None

    @property
    def instance(self) -> str:
        return self.reviewed.instance

    @cached_property
    def ids(self) -> Mapping[Key, str]:
        """The reviewed steps by what they change."""
        return {step.change.key: step.id for step in self.reviewed.steps}

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The fresh steps, on logins in the spelling of the reviewed plan.

        A login that a cut-off run has taken away is spelled as the file says it until it is given again; the reviewed
        plan has it as the server spelled it.
        """
        spelled: dict[str, str] = {}
        for step in self.reviewed.steps:
            if (login := account_of(step.change.key)) is not None:
                spelled.setdefault(fold_login(login, self.fresh.traits), login)
        logins = {account_of(step.change.key) for step in self.fresh.plan.steps} - {None, *spelled.values()}
        names = {
            login: spelled[key]
            for login in logins
            if login and (key := fold_login(login, self.fresh.traits)) in spelled
        }
        return tuple(_step_under(step, of_accounts(names)) for step in self.fresh.plan.steps)

    @cached_property
    def wishes(self) -> Mapping[Key, Step]:
        """The fresh steps by what they change."""
        return {step.change.key: step for step in self.steps}

    @cached_property
    def keys(self) -> Mapping[str, Key]:
        """The key that each fresh step changes."""
        return {step.id: step.change.key for step in self.steps}

    @cached_property
    def order(self) -> Mapping[Key, int]:
        """The position of each fresh step."""
        return {key: at for at, key in enumerate(self.wishes)}

    @cached_property
    def left_out_and_reached(self) -> frozenset[str]:
        """The ids of the reviewed steps that this run is not asked for and whose change is live already."""
        chosen, seen = self.chosen, self.fresh.live.access
        out = (step for step in self.reviewed.steps if chosen is not None and step.id not in chosen)
        return frozenset(step.id for step in out if reached(step.change, seen))

    @cached_property
    def held_back(self) -> frozenset[Key]:
        """The keys of the steps that the fresh plan holds back."""
        return frozenset(step.change.key for step in self.fresh.plan.held_back)

    def result(self, step: Step) -> Result | None:
        """Return the result of a step in the unfinished run, if there is one."""
        return self.history.run.results.get(step.id) if self.history.run else None


def _as_named_now(reviewed: InstancePlan, live: Live) -> InstancePlan:
    """Return the plan with steps on accounts and groups that have been renamed already moved to the new names."""
    names = renames_in(step.change for step in reviewed.steps if reached(step.change, live.access))
    return replace(reviewed, steps=tuple(_step_under(step, names) for step in reviewed.steps)) if names else reviewed


def _step_under(step: Step, names: Renames) -> Step:
    """Return a step moved to the new names of its account and group, if `names` has any."""
    if not any(key in names for key in subjects_of(step.change.key)):
        return step
    ids = {key_under(key, names): pinned for key, pinned in step.ids.items()}
    return replace(step, change=change_under(step.change, names), ids=ids)


def _from_halfway(reviewed: InstancePlan, live: Live, run: Run | None) -> InstancePlan:
    """Return the plan with steps that an unfinished run has done by half turned into the rest of them.

    Where a platform changes a thing by removing and creating it, which its effects announce (a gap, or an invitation by
    mail), a run that was cut off in between has left nothing there: creating it is left to do.
    """
    if run is None:
        return reviewed
    halfway = {
        step.id
        for step in reviewed.steps
        if step.id in run.unsettled
        and step.change.action == "update"
        and step.change.key not in live.access
        and (step.effects("gap") or step.effects("mail"))
    }
    steps = (
        replace(step, change=Change(None, step.change.after)) if step.id in halfway else step for step in reviewed.steps
    )
    return replace(reviewed, steps=tuple(steps)) if halfway else reviewed


def _compare(case: _Case, step: Step) -> Outcome | None:
    """Return the outcome of a step that needs no write or is refused, or `None` where it may still be done."""
    change, live = step.change, case.fresh.live
    if reached(change, live.access):
        return _settle_reached(case, step)
    if why := case.history.waits.get(change.key):
        return _wait(case, step, why)
    now, wish = live.access.get(change.key), case.wishes.get(change.key)
    if why := _describe_change(case, step):
        return refuse(case.instance, step, now, why)
    if wish is None:
        held = change.key in case.held_back
        why = "the instance's mode holds it back now" if held else "the file, as checked out here, does not ask for it"
        return refuse(case.instance, step, now, why)
    if wish.change.after != change.after:
        outcome = refuse(case.instance, step, now, "the file, as checked out here, asks for something else")
        return replace(outcome, wanted=wish.change.after)
    return None


def _wait(case: _Case, step: Step, why: str) -> Outcome:
    """Return the outcome of a step that waits; after a lost answer in the run that goes on it is still unknown."""
    earlier = case.result(step)
    if earlier is not None and earlier.status == "unknown":
        return Outcome(instance=case.instance, step=step, status="unknown", message=why, hint=RESUME)
    status: OutcomeStatus = "blocked" if _was_blocked(case, step) else "refused"
    message = f"{'' if status == 'blocked' else 'blocked since it was reviewed, '}write-unsettled: {why}"
    return Outcome(instance=case.instance, step=step, status=status, message=message, hint="siteward plan")


def _describe_change(case: _Case, step: Step) -> str:
    """Return in words how the thing a step touches has changed since it was reviewed; empty where it has not."""
    earlier, live = case.result(step), case.fresh.live
    if earlier is not None and earlier.status == "done":
        return "this run had done it, and somebody has changed it since"
    if replaced := _find_replaced(step, live):
        return f"{replaced} was deleted and recreated since the plan was made"
    return "it changed after the plan was made" if live.access.get(step.change.key) != step.change.before else ""


def _settle_reached(case: _Case, step: Step) -> Outcome:
    """Return the outcome of a step whose change the live state shows already."""
    earlier = case.result(step)
    outcome = Outcome(instance=case.instance, step=step, status="done")
    if case.history.run is not None and step.id in case.history.run.unsettled:
        return replace(outcome, message=LOST)
    if earlier is not None and earlier.status == "done":
        return replace(outcome, message="done before the interruption")
    made = step.change.after
    if isinstance(made, Account) and step.change.before is None and made.name not in case.history.met:
        now = case.fresh.live.access.get(made.key)
        return refuse(case.instance, step, now, "somebody has made it since; whose it is was not reviewed")
    return replace(outcome, status="already")


def _find_replaced(step: Step, live: Live) -> str | None:
    """Return the name of a pinned resource or site that has another id on the platform now, if any."""
    for key, pinned in step.ids.items():
        now = _find_id(key, live)
        if now is not None and now != pinned:
            return " ".join(key)
    return None


def _find_id(key: Key, live: Live) -> str | None:
    """Return the platform's id of a resource, or of the site that it is about."""
    if key in live.ids:
        return live.ids[key]
    scope = scope_of(key) if key[0] == "grant" else Scope(key[-2], key[-1]) if len(key) > 1 else None
    site = live.sites.get(scope) if scope else None
    return site.id if site else None


def _find_needs(case: _Case, step: Step) -> frozenset[str]:
    """Return the steps that must be done first, by the reviewed plan and by the fresh one.

    They are named by the ids of reviewed steps; a step that only the fresh plan has, by the words of its key. What a part leaves out and is live is done.
    """
    fresh = (case.keys[need] for need in case.wishes[step.change.key].depends_on)
    return (frozenset(step.depends_on) - case.left_out_and_reached) | {
        case.ids.get(key, " ".join(key)) for key in fresh
    }


def _drop_dependants(
    case: _Case, steps: Mapping[str, Step], needs: Mapping[str, frozenset[str]], outcomes: dict[str, Outcome]
) -> None:
    """Give outcomes to the steps that depend, directly or not, on one that is refused, not reviewed or not chosen."""
    dropped = True
    while dropped:
        dropped = False
        for name in needs:
            if name not in outcomes and (outcome := _skip_hindered(case, steps, steps[name], needs, outcomes)):
                outcomes[name] = outcome
                dropped = True


def _skip_hindered(
    case: _Case,
    steps: Mapping[str, Step],
    step: Step,
    needs: Mapping[str, frozenset[str]],
    outcomes: Mapping[str, Outcome],
) -> Outcome | None:
    """Return the outcome of a step whose needs cannot be met, or `None` where they can."""
    if cause := find_unmet(step, needs, outcomes):
        return skip_dependant(case.instance, step, cause)
    foreign = sorted(need for need in needs[step.id] if need not in steps and need not in outcomes)
    if not foreign or (step.due == "end" and step.change.before is not None):  # an end waits for nobody
        return None
    why = f"depends on {foreign[0]}, which is not part of what was reviewed and chosen"
    return Outcome(instance=case.instance, step=step, status="skipped", message=why)


def _find_lifted(case: _Case, steps: Collection[Step], needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the steps that were blocked when they were reviewed and that the allowance of now lifts."""
    blocked = frozenset(step.id for step in steps if _was_blocked(case, step))
    if not blocked:
        return blocked
    no_file = replace(case.allowance.passwords, out=None)
    nothing = replace(case.allowance, accept={}, allow_delete=False, passwords=no_file, approved=frozenset())
    return blocked & (
        _find_unreachable(case, steps, needs, nothing) - _find_unreachable(case, steps, needs, case.allowance)
    )


def _find_unreachable(
    case: _Case, steps: Collection[Step], needs: Mapping[str, frozenset[str]], allowance: Allowance
) -> frozenset[str]:
    """Return the steps with an objection, and all that depend on one of those."""
    objections = _collect_objections(case, steps, allowance)
    unreachable = {step.id for step in steps if _find_objection(objections, step) is not None}
    while more := {step.id for step in steps if needs[step.id] & unreachable} - unreachable:
        unreachable |= more
    return frozenset(unreachable)


def _collect_objections(case: _Case, steps: Collection[Step], allowance: Allowance) -> Mapping[Key | None, Diagnostic]:
    """Return the blocking diagnostics if just these steps were done, by key; under `None` one about all of them."""
    if not steps:
        return {}
    keys, every = (frozenset(step.change.key for step in some) for some in (steps, case.fresh.plan.steps))
    verdict = _judge(case, keys, allowance)
    on_all = (verdict if keys == every else _judge(case, every, allowance)) if case.whole else ()
    verdict = (*verdict, *(found for found in on_all if found.code in _BUDGETS))
    known = case.obstacles.without_file if allowance.passwords.out is None else case.obstacles.as_allowed
    undelivered = (
        known[step.change.key]
        for step in steps
        if step.change.key in known and made_with_password(step.change, case.fresh.traits)
    )
    return {diagnostic.about: diagnostic for diagnostic in (*verdict, *undelivered) if diagnostic.blocks}


def _judge(case: _Case, keys: frozenset[Key], by: Allowance) -> tuple[Diagnostic, ...]:
    begun, approved = case.history.begun, by.approved
    return case.fresh.judge(keys, accept=by.accept, allow_delete=by.allow_delete, approved=approved, begun=begun)


def _find_objection(objections: Mapping[Key | None, Diagnostic], step: Step) -> Diagnostic | None:
    return objections.get(None) or objections.get(step.change.key)


def _veto_objected(case: _Case, steps: Collection[Step]) -> Mapping[str, Outcome]:
    """Return the outcomes of the steps that have an objection if just these steps are done."""
    objections = _collect_objections(case, steps, case.allowance)
    return {step.id: _veto(case, step, why) for step in steps if (why := _find_objection(objections, step)) is not None}


def _veto(case: _Case, step: Step, why: Diagnostic) -> Outcome:
    """Return the outcome of a step with an objection: blocked as it was reviewed, or refused for a new objection.

    That the journal has a later moment is no news about the step, so it blocks.
    """
    known = _was_blocked(case, step) or why.code == "as-of-behind-record"
    message = f"{'' if known else 'blocked since it was reviewed, '}{why.code}: {why.message}"
    status: OutcomeStatus = "blocked" if known else "refused"
    return Outcome(instance=case.instance, step=step, status=status, message=message, hint=why.hint)


def _refuse_vanished(case: _Case, steps: Collection[Step], lifted: Collection[str]) -> Mapping[str, Outcome]:
    """Return refusals of the steps whose block is gone although this run has not lifted it."""
    message = "it was blocked when it was reviewed and no longer is: review it again"
    return {
        step.id: Outcome(instance=case.instance, step=step, status="refused", message=message, hint="siteward plan")
        for step in steps
        if _was_blocked(case, step) and step.id not in lifted
    }


def _was_blocked(case: _Case, step: Step) -> bool:
    """Return whether a step, or its whole plan, was blocked when it was reviewed."""
    return step.blocked or case.reviewed.blocked
