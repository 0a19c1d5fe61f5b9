"""Renders a report as CSV for spreadsheets: the steps of a plan, the outcomes of an apply, drift, or diagnostics.

A cell that a spreadsheet would take for a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING

from siteward.render import words
from siteward.render.safe import show
from siteward.render.view import drift_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Plan, Step
    from siteward.access.report import DriftItem, Missing
    from siteward.access.state import Origin
    from siteward.render.context import RenderContext

_PLAN = (
    "instance", "step", "person", "account", "action", "on", "before", "after", "power_before", "power_after", "risk",
    "outsider", "blocked", "cause", "file", "line", "via", "ticket", "reason", "until", "due", "part",
)  # fmt: skip
_DRIFT = ("instance", "kind", "account", "on", "live", "declared", "last_applied", "note")
_DIAGNOSTICS = ("severity", "code", "message", "file", "line", "column", "hint")
# ASCII and full-width forms: spreadsheets in East Asian locales read both.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def render(context: RenderContext) -> str:
    """Return a table with a header row; the header alone where there is nothing to list."""
    return table(*_choose_table(context))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a header and rows of text as CSV."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell(text) for text in row] for row in rows)
    return out.getvalue()


def gap_cells(gap: Missing, header: Sequence[str], **more: str) -> tuple[str, ...]:
    """Return the cells of the row that says that an instance was not read, or not completely, in its place."""
    row = {"instance": gap.instance, "kind": "not read", "reason": words.not_seen(gap), **more}
    return tuple(row.get(column, "") for column in header)


def origin_cells(origin: Origin | None) -> tuple[str, str, str, str, str]:
    """Return the cells of an origin: its way, ticket, reason, file and line; empty ones where there is none."""
    if origin is None:
        return "", "", "", "", ""
    return ", ".join(origin.via), origin.ticket or "", origin.reason or "", origin.at.file, str(origin.at.line)


@lru_cache(maxsize=4096)
def cell(text: str) -> str:
    """Return text as a cell that no spreadsheet evaluates, with invisible characters written out; most stand in many rows."""
    shown = show(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _choose_table(context: RenderContext) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    report = context.report
    if report.outcomes:
        rows = (
            (*_step_cells(outcome.step, outcome.instance, words.partial(report.plan)), outcome.status, outcome.message)
            for outcome in report.outcomes
        )
        return (*_PLAN, "status", "message"), rows
    if report.command == "drift":
        return _DRIFT, map(_drift_cells, report.drift)
    if report.plan:
        return _PLAN, _plan_rows(report.plan)
    return _DIAGNOSTICS, map(_diagnostic_cells, report.diagnostics)


def _plan_rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield the steps of each instance; of a part of a plan also those that it leaves out, marked so."""
    for instance in plan.instances:
        yield from (_step_cells(step, instance.instance, words.partial(plan)) for step in instance.steps)
        yield from (_step_cells(step, instance.instance, "left out (PARTIAL)") for step in instance.left_out)


def _step_cells(step: Step, instance: str, part: str) -> tuple[str, ...]:
    change, origin = step.change, step.origin
    via, ticket, reason, file, line = origin_cells(origin)
    return (
        instance,
        step.id,
        step.person or "",
        words.declared_user(change.key),
        change.action,
        words.where(change.key),
        words.value(change.before),
        words.value(change.after),
        step.before_power.word,
        step.after_power.word,
        step.risk,
        "yes" if step.external else "",
        ", ".join(diagnostic.code for diagnostic in step.diagnostics if diagnostic.blocks),
        "not in file" if step.cause == "silence" else step.cause,
        file,
        line,
        via,
        ticket,
        reason,
        words.moment(origin.until) if origin and origin.until else "",
        f"{step.due}, waits" if step.waits else step.due or "",
        part,
    )


def _drift_cells(item: DriftItem) -> tuple[str, ...]:
    who, instance, *cells = drift_row(item).cells
    return (instance, item.kind, who, *cells, item.note or "")


def _diagnostic_cells(said: Diagnostic) -> tuple[str, ...]:
    at = (said.at.file, str(said.at.line), str(said.at.column)) if said.at else ("", "", "")
    return (said.severity.word, said.code, said.message, *at, said.hint or "")
