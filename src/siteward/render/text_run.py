"""What became of a plan, and drift, as text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from siteward.access.model import account_of
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.model import Resource
    from siteward.access.report import DriftItem, Outcome, OutcomeStatus
    from siteward.render.lines import Cell, Glyph, Pen
    from siteward.render.sheet import Sheet

_GLYPHS: dict[OutcomeStatus, Glyph] = {
    "unknown": "unknown",
    "failed": "failed",
    "refused": "refused",
    "blocked": "blocked",
    "skipped": "skipped",
    "already": "done",
    "done": "done",
}


def outcome_lines(sheet: Sheet, pen: Pen) -> Iterator[str]:
    """Yield what became of each step: instance by instance, what went wrong first."""
    if sheet.report.stale:
        yield from (pen.paint(_stale(sheet), "alarm"), "")
    ordered = words.by_outcome(sheet.report.outcomes)
    for at, (name, outcomes) in enumerate(groupby(ordered, key=lambda each: each.instance)):
        if at:
            yield ""
        yield f"{pen.paint(pen.text(name), 'bold')}  {pen.text(words.results(sheet.parts[name]))}"
        shown = [each for each in outcomes if pen.options.verbose or each.status not in words.WELL]
        lines = pen.table([_outcome(each, pen) for each in shown], 2)
        for each, line in zip(shown, lines, strict=True):
            yield line
            yield from (f"      {text}" for text in _details(each, pen))


def _outcome(outcome: Outcome, pen: Pen) -> tuple[Cell, ...]:
    change = outcome.step.change
    return (
        pen.glyph(_GLYPHS[outcome.status]),
        pen.cell(words.title(outcome.step), "bold"),
        pen.cell(words.subject_of_change(change)),
        pen.cell(words.movement(change, pen.arrow)),
    )


def _details(outcome: Outcome, pen: Pen) -> Iterator[str]:
    if outcome.message:
        yield pen.text(outcome.message)
    if three := words.three(outcome):
        yield "   ".join(f"{pen.paint(name, 'dim')} {pen.text(side)}" for name, side in three)
    if outcome.hint:
        yield f"{pen.paint('hint:', 'bold')} {pen.text(outcome.hint)}"


def _stale(sheet: Sheet) -> str:
    refused = sheet.summary.outcomes.get("refused", 0)
    said = words.plural(refused, "planned change no longer fits", "planned changes no longer fit")
    return f"stale: {said} the live state; nothing was changed"


def drift_lines(sheet: Sheet, pen: Pen) -> Iterator[str]:
    """Yield the drift, instance by instance, each kind under its own heading, real drift first.

    What accounts hold that nobody declared is listed with those accounts, once each, and not again here, unless
    it changed since the last apply: then it is what people look at drift for.
    """
    kinds = list(words.DRIFT)
    strangers = {
        (part.instance, each.name)
        for part in (sheet.report.plan.instances if sheet.report.plan else ())
        for each in part.strangers
    }
    known = (
        each
        for each in sheet.report.drift
        if each.kind == "changed-since" or (each.instance, account_of(words.key_of(each))) not in strangers
    )
    ordered = sorted(known, key=lambda each: (each.instance, kinds.index(each.kind)))
    for at, (name, items) in enumerate(groupby(ordered, key=lambda each: each.instance)):
        if at:
            yield ""
        yield pen.paint(pen.text(name), "bold")
        for kind, part in groupby(items, key=lambda each: each.kind):
            yield f"  {pen.paint(pen.text(words.DRIFT[kind]), 'dim' if kind == 'unapplied' else 'yellow')}"
            yield from _items(list(part), pen)


def _items(items: Sequence[DriftItem], pen: Pen) -> Iterator[str]:
    for item, line in zip(items, pen.table([_item(each, pen) for each in items], 4), strict=True):
        yield line
        if item.note:
            yield f"        {pen.paint(pen.text(item.note), 'dim')}"


def _item(item: DriftItem, pen: Pen) -> tuple[Cell, ...]:
    key = words.key_of(item)
    sides = f"live {_side(item.live)}, declared {_side(item.declared)}"
    last = f", last applied {_side(item.journalled)}" if item.kind == "changed-since" else ""
    sign: Glyph = "-" if item.live is None else "+" if item.declared is None else "~"
    return pen.glyph(sign), pen.cell(words.holder(key), "bold"), pen.cell(words.where(key)), pen.cell(sides + last)


def _side(resource: Resource | None) -> str:
    return words.value(resource)
