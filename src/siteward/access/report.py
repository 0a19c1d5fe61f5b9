"""The report of one run, with its summary and exit code: the one object behind every output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, Severity
from siteward.access.model import Accounts, Power, Resource, account_of
from siteward.access.step_counts import COUNTED, StepCounts

if TYPE_CHECKING:  # `validate` reports too, and plans nothing
    from siteward.access.plan import InstancePlan, Plan, Step

WAITS = "waits-for-plan"
"""The rule id of an error about a step that a selection asks for and has to leave out."""

OutcomeStatus = Literal["done", "already", "refused", "failed", "unknown", "skipped", "blocked"]
DriftKind = Literal["unapplied", "undeclared", "changed-since"]


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """The outcome of one step.

    `already`: the live state was as wanted. `refused`: the resource changed since the plan was made
    (see `reviewed`, `now` and `wanted`), or the file no longer wants it. `skipped`: a step it depends on was not done.
    `unknown`: the answer was lost and reading could not settle it. `blocked`: it had an error when it was reviewed
    and still has, so it was not sent.
    """

    instance: str
    step: Step
    status: OutcomeStatus
    message: str = ""
    hint: str | None = None
    reviewed: Resource | None = None
    now: Resource | None = None
    wanted: Resource | None = None


class DriftItem(Struct, frozen=True, kw_only=True):
    """One difference between live and declared access, with the state that the last run left (`journalled`).

    `differs` is true for one that no step changes, and that is more than an unmanaged account or a skipped step.
    """

    instance: str
    kind: DriftKind
    declared: Resource | None = None
    live: Resource | None = None
    journalled: Resource | None = None
    step: Step | None = None
    note: str | None = None
    differs: bool = False


class Missing(Struct, frozen=True, kw_only=True):
    """An instance that was not read, or is shown only `partly`, and why: without a reason, it was not read whole."""

    instance: str
    why: str = ""
    partly: bool = False


class Summary(Struct, frozen=True, kw_only=True):
    """The numbers of a run; renderers print these and count nothing themselves.

    `people` and `losing_everything` count a person once, and an account where it has no known person.
    `held_back` are steps that the mode leaves undone, `kept` those that a row of the file in error does, `left_out` those
    that a selection does. `waived` are those of the warnings that a waiver silences. `caused` and
    `pending` are, with a base, the steps that the change of the files causes, and those that it does not. `declared` are the live accounts of declared users. `unread` are the instances that could not be read at all, `differences` those that no step
    changes.
    """

    creates: int = 0
    updates: int = 0
    deletes: int = 0
    accounts_created: int = 0
    accounts_deleted: int = 0
    grants_added: int = 0
    grants_raised: int = 0
    grants_lowered: int = 0
    grants_revoked: int = 0
    other_changes: int = 0
    powers_raised: int = 0
    losing_everything: int = 0
    admins_gained: int = 0
    admins_lost: int = 0
    caused: int = 0
    pending: int = 0
    people: int = 0
    sites: int = 0
    mails: int = 0
    blocked: int = 0
    held_back: int = 0
    kept: int = 0
    left_out: int = 0
    waiting: int = 0
    declared: int = 0
    unmanaged: int = 0
    unmanaged_admins: int = 0
    ignored: int = 0
    errors: int = 0
    warnings: int = 0
    waived: int = 0
    unread: int = 0
    unreadable: int = 0
    blind: int = 0
    differences: int = 0
    drift: Mapping[DriftKind, int] = MappingProxyType({})
    outcomes: Mapping[OutcomeStatus, int] = MappingProxyType({})


class Report(Struct, frozen=True, kw_only=True):
    """The result of a verb, for a renderer.

    `texts` maps a file, as spans name it, to its lines, so that a renderer can show the excerpt.
    `next` is the next command, or one sentence. `applied` is true if writes were allowed, `confined` if only some steps
    of the plan were asked for: other blocked steps do not count then. `accounts` are the known account names of each
    instance with the handles of their declared users, by which outputs redact names; `None`, or a missing instance,
    means that they are not known. `recorded` says of instances that they are shown as recorded at a past moment.
    `applying` is true for a plan that is about to be applied, so that what is needed and
    was not given blocks. `timezone` is that of the policy, in which people read moments.
    """

    command: str
    diagnostics: tuple[Diagnostic, ...] = ()
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()
    drift: tuple[DriftItem, ...] = ()
    applied: bool = False
    confined: bool = False
    applying: bool = False
    interrupted: bool = False
    stale: bool = False
    files: int = 0
    journal: str | None = None
    journal_head: str | None = None
    recorded: tuple[Missing, ...] = ()
    next: str | None = None
    texts: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    accounts: Accounts | None = None
    timezone: str = "UTC"


def as_reviewed(report: Report) -> Report:
    """Return a report as whoever reviews it reads it: what a plan needs of whoever applies it blocks no step."""
    if report.plan is None or report.applying or report.command not in {"plan", "show"}:
        return report
    return replace(report, plan=report.plan.given)


def summarize(report: Report) -> Summary:
    """Return the numbers of a run.

    Only runnable steps are counted as changes; a step that is blocked, by itself or with its instance, counts as
    blocked and nowhere else, so that the numbers add up to the steps of the plan.
    """
    report = as_reviewed(report)
    instances = report.plan.instances if report.plan is not None else ()
    counts = [instance.counts for instance in instances]
    runnable = sum(len(instance.runnable) for instance in instances)
    diagnostics = tuple(_list_diagnostics(report))
    return Summary(
        **_sum_counts(counts),
        losing_everything=len({person for instance in instances for person in _list_emptied(instance)}),
        mails=sum(_count_mails(instance) for instance in instances),
        blocked=sum(len(instance.steps) for instance in instances) - runnable,
        held_back=sum(not step.kept for instance in instances for step in instance.held_back),
        kept=sum(step.kept for instance in instances for step in instance.held_back),
        left_out=_count_left_out(report),
        waiting=sum(len(instance.waiting) for instance in instances),
        declared=sum(instance.declared for instance in instances),
        unmanaged=sum(not account.ignored for instance in instances for account in instance.unmanaged),
        unmanaged_admins=sum(
            not account.ignored and account.power is Power.ADMIN
            for instance in instances
            for account in instance.unmanaged
        ),
        ignored=sum(account.ignored for instance in instances for account in instance.unmanaged),
        errors=sum(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics),
        warnings=sum(diagnostic.severity is Severity.WARNING for diagnostic in diagnostics),
        waived=sum(diagnostic.waived is not None for diagnostic in diagnostics),
        unread=len(missing(report)),
        unreadable=sum(_count_unread(instance) for instance in instances),
        blind=sum(len(_find_blind(instance)) for instance in instances),
        differences=sum(diagnostic.differs for diagnostic in diagnostics),
        drift=MappingProxyType(dict(Counter(item.kind for item in report.drift))),
        outcomes=MappingProxyType(dict(Counter(outcome.status for outcome in report.outcomes))),
    )


def _sum_counts(counts: Sequence[StepCounts]) -> dict[str, int]:
    """Return the numbers of all instances together; a person on several counts once."""
    people = frozenset[str]().union(*(of.people for of in counts))
    sums = {name: sum(of.numbers[name] for of in counts) for name in COUNTED}
    return {**sums, "people": len(people), "sites": sum(len(of.sites) for of in counts)}


def _count_left_out(report: Report) -> int:
    """Count the steps that a selection leaves out: of a partial plan, or of a whole one that a run is confined within."""
    instances = report.plan.instances if report.plan is not None else ()
    named = sum(len(instance.left_out) for instance in instances)
    if not (report.applied and report.confined):
        return named
    tried = {(outcome.instance, outcome.step.id) for outcome in report.outcomes}
    return named + sum((part.instance, step.id) not in tried for part in instances for step in part.steps)


def missing(report: Report) -> tuple[Missing, ...]:
    """Return the instances that were asked and of which nothing could be read."""
    plan = report.plan
    problems = (
        {
            diagnostic.instance: diagnostic
            for diagnostic in plan.diagnostics
            if diagnostic.blocks and diagnostic.instance
        }
        if plan
        else {}
    )
    return tuple(
        Missing(instance=name, why=diagnostic.message)
        for name, diagnostic in problems.items()
        if name and plan and plan.instance(name) is None
    )


IN_ERROR = "judged in part only: a row of the file is in error, and what it declares is not known"


def doubtful(report: Report) -> tuple[Missing, ...]:
    """Return the instances that are shown as recorded in the past, or for which a row of the file is in error.

    With such a row what is declared is not wholly known.
    """
    instances = report.plan.instances if report.plan is not None else ()
    flawed = (
        Missing(instance=instance.instance, partly=True, why=IN_ERROR) for instance in instances if instance.flawed
    )
    return (*report.recorded, *flawed)


def _list_emptied(plan: InstancePlan) -> Iterator[str]:
    """Yield the people who lose all access to an instance; the account where no person is known."""
    people = {account_of(step.change.key): step.person for step in plan.steps} if plan.emptied else {}
    return (people.get(name) or f"{plan.instance} {name}" for name in plan.emptied)


def _count_mails(plan: InstancePlan) -> int:
    """Count the mails that steps send, and those that the platform announces for no step in particular."""
    others = () if plan.blocked else plan.diagnostics
    effects = [effect for step in plan.runnable for effect in step.diagnostics]
    return sum(effect.count for effect in (*effects, *others) if effect.effect == "mail")


def _list_diagnostics(report: Report) -> Iterator[Diagnostic]:
    yield from report.diagnostics
    if report.plan is not None:
        yield from report.plan.diagnostics
        for instance in report.plan.instances:
            yield from instance.diagnostics
            for step in instance.steps:
                yield from step.diagnostics


def _count_unread(plan: InstancePlan) -> int:
    return len(plan.unreadable) + sum(not listing.complete for listing in plan.listings)


def _find_blind(plan: InstancePlan) -> tuple[str, ...]:
    return tuple(spot for spot in plan.blind_spots if spot not in plan.accepted_blind)


def exit_code(report: Report) -> int:
    """Return the exit code of a run; where several apply, the first of 130, 1, 5, 4, 3, 2, 0.

    0: nothing differs, or all is done. 1: an error in use, file, credentials or reachability. 2: differences
    (never from an apply). 3: a step or instance is blocked. 4: the plan was stale before anything was written, or
    something readable was not read, or a blind spot is not accepted. 5: partly applied. 130: interrupted. What only
    whoever applies can give blocks no plan.
    """
    report = as_reviewed(report)
    return next((code for code, holds in EXITS if holds(report)), 0)


def _is_interrupted(report: Report) -> bool:
    return report.interrupted


def _has_error(report: Report) -> bool:
    diagnostics = (*report.diagnostics, *(report.plan.diagnostics if report.plan is not None else ()))
    flawed = report.plan is not None and any(instance.flawed for instance in report.plan.instances)
    return flawed or any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def _is_partly_applied(report: Report) -> bool:
    """Return whether a run wrote and did not complete; refusals alone, before any write, are staleness."""
    statuses = {outcome.status for outcome in report.outcomes if not outcome.step.blocked}
    wrote = not statuses.isdisjoint({"done", "failed", "unknown"})
    return wrote and not statuses.isdisjoint({"failed", "unknown", "refused", "skipped"})


def _is_stale_or_unread(report: Report) -> bool:
    refused = any(outcome.status in {"refused", "skipped"} and not outcome.step.blocked for outcome in report.outcomes)
    instances = report.plan.instances if report.plan is not None else ()
    return report.stale or refused or any(_count_unread(instance) or _find_blind(instance) for instance in instances)


def _is_blocked(report: Report) -> bool:
    instances = report.plan.instances if report.plan is not None else ()
    if report.confined:
        waits = any(said.code == WAITS and said.blocks for instance in instances for said in instance.diagnostics)
        return waits or any(outcome.status == "blocked" for outcome in report.outcomes)
    objections = (diagnostic for instance in instances for diagnostic in instance.diagnostics)
    return (
        any(outcome.status == "blocked" for outcome in report.outcomes)
        or any(step.blocked for instance in instances for step in instance.steps)
        or any(objection.severity is Severity.ERROR for objection in objections)
    )


def _differs(report: Report) -> bool:
    if report.applied or report.command == "apply":
        return False
    instances = report.plan.instances if report.plan is not None else ()
    return (
        any(instance.steps or instance.left_out for instance in instances)
        or any(diagnostic.differs for instance in instances for diagnostic in instance.diagnostics)
        or any(_counts_as_drift(item) for item in report.drift)
    )


def _counts_as_drift(item: DriftItem) -> bool:
    """Return whether an item is a difference, and not an account that is only reported, or a step held back."""
    return item.step is not None or item.kind != "undeclared" or item.differs


EXITS: tuple[tuple[int, Callable[[Report], bool]], ...] = (
    (130, _is_interrupted),
    (1, _has_error),
    (5, _is_partly_applied),
    (4, _is_stale_or_unread),
    (3, _is_blocked),
    (2, _differs),
)
