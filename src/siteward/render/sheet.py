"""What every renderer is given: the report as it may be shown, its numbers, and how to show it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.report import Report, Summary, exit_code, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.plan import InstancePlan
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
