"""What every renderer is given: the report as it may be shown, its numbers, and how to show it."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.report import Report, Summary, exit_code, summarize
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.access.plan import InstancePlan, Step
    from siteward.render.options import Options, Privacy


class Sheet(Struct, frozen=True, kw_only=True):
    """A report made ready: names hidden as asked, numbers and exit code of the whole.

    `report` is empty of persons and places where only counts may be shown; `summary` and `code` always speak of the
    report as it was, and `parts` of each instance alone.
    """

    report: Report
    summary: Summary
    code: int
    parts: Mapping[str, Summary] = MappingProxyType({})
    options: Options


def prepare(report: Report, options: Options) -> Sheet:
    """Return `report` as `options.privacy` allows it to be shown, with the numbers of the whole."""
    plan = report.plan
    return Sheet(
        report=_allowed(report, options.privacy),
        summary=summarize(report),
        code=exit_code(report),
        parts={each.instance: _part(report, each) for each in plan.instances} if plan else {},
        options=options,
    )


def in_words(report: Report) -> Report:
    """Return `report` with the steps that others wait for told by what they do, not by ids that no text shows."""
    if report.plan is None:
        return report
    phrases = {each.instance: _phrases(each.steps) for each in report.plan.instances}
    instances = (
        replace(each, steps=tuple(_worded(step, phrases[each.instance]) for step in each.steps))
        for each in report.plan.instances
    )
    outcomes = (
        replace(each, message=_said(each.message, each.step, phrases.get(each.instance, {})))
        if each.message.startswith("depends on ")
        else each
        for each in report.outcomes
    )
    return replace(report, plan=replace(report.plan, instances=tuple(instances)), outcomes=tuple(outcomes))


def _phrases(steps: Iterable[Step]) -> Mapping[str, str]:
    """Return the steps that something waits for, by id, as phrases."""
    every = tuple(steps)
    needed = {name for each in every for name in each.depends_on}
    return {each.id: f'"{words.sentence(each.change)}"' for each in every if each.id in needed}


def _worded(step: Step, phrases: Mapping[str, str]) -> Step:
    if all(each.code != "depends-on-blocked" for each in step.diagnostics):
        return step
    said = (
        replace(each, message=_said(each.message, step, phrases)) if each.code == "depends-on-blocked" else each
        for each in step.diagnostics
    )
    return replace(step, diagnostics=tuple(said))


def _said(message: str, step: Step, phrases: Mapping[str, str]) -> str:
    named = {each: phrases[each] for each in step.depends_on if each in phrases}
    return re.sub(r"\bs\d+\b", lambda found: named.get(found.group(), found.group()), message)


def _allowed(report: Report, privacy: Privacy) -> Report:
    if privacy == "full":
        return report
    from siteward.render.privacy import veil  # noqa: PLC0415 — most reports hide nothing, and need not know how

    return veil(report, privacy)


def _part(report: Report, instance: InstancePlan) -> Summary:
    """Return the numbers of one instance, by the same function that counts the whole."""
    plan = replace(report.plan, instances=(instance,), diagnostics=()) if report.plan else None
    of = instance.instance
    return summarize(
        replace(
            report,
            plan=plan,
            diagnostics=(),
            outcomes=tuple(each for each in report.outcomes if each.instance == of),
            drift=tuple(each for each in report.drift if each.instance == of),
        )
    )
