"""What every renderer is given: the report as it may be shown, its numbers, and how to show it."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.report import Report, Summary, exit_code, summarize
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.access.plan import InstancePlan, Step


GroupBy = Literal["person", "site"]
Privacy = Literal["full", "handles", "counts"]


class Options(Struct, frozen=True, kw_only=True):
    """How to show a report.

    `width` is the terminal's, in columns, or `None` where lines may be as long as they need to be.
    `plain` uses words and ASCII instead of symbols. `goes_on` tells that the verb goes on after this, so that there is
    neither an exit nor a way onward to tell of.
    """

    color: bool = False
    quiet: bool = False
    verbose: bool = False
    plain: bool = False
    group_by: GroupBy = "person"
    width: int | None = None
    privacy: Privacy = "full"
    goes_on: bool = False


class RenderContext(Struct, frozen=True, kw_only=True):
    """A report made ready: names hidden as asked, numbers and exit code of the whole.

    `report` is empty of persons and places where only counts may be shown; `summary` and `code` always speak of the
    report as it was, and `parts` of each instance alone.
    """

    report: Report
    summary: Summary
    code: int
    parts: Mapping[str, Summary] = MappingProxyType({})
    options: Options


def prepare(report: Report, options: Options) -> RenderContext:
    """Return `report` as `options.privacy` allows it to be shown, with the numbers of the whole."""
    plan = report.plan
    return RenderContext(
        report=_allowed(report, options.privacy),
        summary=summarize(report),
        code=exit_code(report),
        parts={instance.instance: _part(report, instance) for instance in plan.instances} if plan else {},
        options=options,
    )


def in_words(report: Report) -> Report:
    """Return `report` with the steps that others wait for told by what they do, not by ids that no text shows."""
    if report.plan is None:
        return report
    phrases = {instance.instance: _phrases(instance.steps) for instance in report.plan.instances}
    instances = (
        replace(instance, steps=tuple(_worded(step, phrases[instance.instance]) for step in instance.steps))
        for instance in report.plan.instances
    )
    outcomes = (
        replace(outcome, message=_said(outcome.message, outcome.step, phrases.get(outcome.instance, {})))
        if outcome.message.startswith("depends on ")
        else outcome
        for outcome in report.outcomes
    )
    return replace(report, plan=replace(report.plan, instances=tuple(instances)), outcomes=tuple(outcomes))


def _phrases(steps: Iterable[Step]) -> Mapping[str, str]:
    """Return the steps that something waits for, by id, as phrases."""
    every = tuple(steps)
    needed = {name for step in every for name in step.depends_on}
    return {step.id: f'"{words.sentence(step.change)}"' for step in every if step.id in needed}


def _worded(step: Step, phrases: Mapping[str, str]) -> Step:
    if all(diagnostic.code != "depends-on-blocked" for diagnostic in step.diagnostics):
        return step
    said = (
        replace(diagnostic, message=_said(diagnostic.message, step, phrases))
        if diagnostic.code == "depends-on-blocked"
        else diagnostic
        for diagnostic in step.diagnostics
    )
    return replace(step, diagnostics=tuple(said))


def _said(message: str, step: Step, phrases: Mapping[str, str]) -> str:
    named = {name: phrases[name] for name in step.depends_on if name in phrases}
    return re.sub(r"\bs\d+\b", lambda found: named.get(found.group(), found.group()), message)


def _allowed(report: Report, privacy: Privacy) -> Report:
    if privacy == "full":
        return report
    from siteward.render.privacy import redact  # noqa: PLC0415 — most reports hide nothing, and need not know how

    return redact(report, privacy)


def _part(report: Report, instance: InstancePlan) -> Summary:
    """Return the numbers of one instance, by the same function that counts the whole."""
    plan = replace(report.plan, instances=(instance,), diagnostics=()) if report.plan else None
    of = instance.instance
    return summarize(
        replace(
            report,
            plan=plan,
            diagnostics=(),
            outcomes=tuple(outcome for outcome in report.outcomes if outcome.instance == of),
            drift=tuple(drift_item for drift_item in report.drift if drift_item.instance == of),
        )
    )
