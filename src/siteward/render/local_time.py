"""Writes the moments of a report in the time zone of the policy, for people; programs get them in UTC.

Messages are sentences, in which moments stand as `2026-12-01 11:00Z`. A moment within a command has a `T`, and stays.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.render.words import moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Plan, Step
    from siteward.access.report import DriftItem, Outcome, Report

_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?Z\b")


def in_zone(report: Report) -> Report:
    """Return a report with its moments in the time zone that it names."""
    if report.timezone == "UTC":
        return report
    from zoneinfo import ZoneInfo  # noqa: PLC0415 — it asks for the build's configuration, and most files name no zone

    zone = ZoneInfo(report.timezone)
    return replace(
        report,
        diagnostics=_diagnostics(report.diagnostics, zone),
        plan=_plan(report.plan, zone) if report.plan else None,
        outcomes=tuple(_outcome(outcome, zone) for outcome in report.outcomes),
        drift=tuple(_item(item, zone) for item in report.drift),
    )


def _plan(plan: Plan, zone: tzinfo) -> Plan:
    return replace(
        plan,
        created=plan.created.astimezone(zone),
        as_of=plan.as_of.astimezone(zone),
        diagnostics=_diagnostics(plan.diagnostics, zone),
        instances=tuple(_instance(part, zone) for part in plan.instances),
    )


def _instance(part: InstancePlan, zone: tzinfo) -> InstancePlan:
    steps, back, out = (
        tuple(_step(step, zone) for step in steps) for steps in (part.steps, part.held_back, part.left_out)
    )
    return replace(
        part, steps=steps, held_back=back, left_out=out, diagnostics=_diagnostics(part.diagnostics, zone)
    )  # fmt: skip


def _step(step: Step, zone: tzinfo) -> Step:
    said = _diagnostics(step.diagnostics, zone)
    origin = step.origin
    if origin is not None and origin.until is not None:
        origin = replace(origin, until=origin.until.astimezone(zone))
    return (
        step if origin is step.origin and said is step.diagnostics else replace(step, origin=origin, diagnostics=said)
    )


def _outcome(outcome: Outcome, zone: tzinfo) -> Outcome:
    return replace(outcome, step=_step(outcome.step, zone), message=_text(outcome.message, zone))


def _item(item: DriftItem, zone: tzinfo) -> DriftItem:
    step = _step(item.step, zone) if item.step is not None else None
    return replace(item, step=step, note=_text(item.note, zone) if item.note else item.note)


def _diagnostics(said: tuple[Diagnostic, ...], zone: tzinfo) -> tuple[Diagnostic, ...]:
    """Return diagnostics with the moments in their messages in a time zone; the very same where there is none."""
    return tuple(_diagnostic(one, zone) for one in said) if _have_moments(said) else said


def _have_moments(said: Iterable[Diagnostic]) -> bool:
    return any(_MOMENT.search(f"{one.message} {one.hint or ''}") for one in said)


def _diagnostic(said: Diagnostic, zone: tzinfo) -> Diagnostic:
    return replace(said, message=_text(said.message, zone), hint=_text(said.hint, zone) if said.hint else said.hint)


def _text(text: str, zone: tzinfo) -> str:
    """Return a sentence with its moments in a time zone."""

    def write(found: re.Match[str]) -> str:
        at = datetime.fromisoformat(found.group().removesuffix("Z")).replace(tzinfo=UTC)
        return moment(at.astimezone(zone))

    return _MOMENT.sub(write, text)
