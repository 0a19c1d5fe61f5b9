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
    from siteward.render.context import RenderContext
    from siteward.render.lines import Cell, Glyph, Palette

_GLYPHS: dict[OutcomeStatus, Glyph] = {
    "unknown": "unknown",
    "failed": "failed",
    "refused": "refused",
    "blocked": "blocked",
    "skipped": "skipped",
    "already": "done",
    "done": "done",
}


def outcome_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield what became of each step: instance by instance, what went wrong first."""
    if context.report.stale:
        yield from (palette.paint(_stale(context), "alarm"), "")
    ordered = words.by_outcome(context.report.outcomes)
    for at, (name, outcomes) in enumerate(groupby(ordered, key=lambda outcome: outcome.instance)):
        if at:
            yield ""
        yield f"{palette.paint(palette.text(name), 'bold')}  {palette.text(words.results(context.parts[name]))}"
        shown = [outcome for outcome in outcomes if palette.options.verbose or outcome.status not in words.WELL]
        lines = palette.table([_outcome(outcome, palette) for outcome in shown], 2)
        for outcome, line in zip(shown, lines, strict=True):
            yield line
            yield from (f"      {text}" for text in _details(outcome, palette))


def _outcome(outcome: Outcome, palette: Palette) -> tuple[Cell, ...]:
    change = outcome.step.change
    return (
        palette.glyph(_GLYPHS[outcome.status]),
        palette.cell(words.title(outcome.step), "bold"),
        palette.cell(words.subject_of_change(change)),
        palette.cell(words.movement(change, palette.arrow)),
    )


def _details(outcome: Outcome, palette: Palette) -> Iterator[str]:
    if outcome.message:
        yield palette.text(outcome.message)
    if three := words.three(outcome):
        yield "   ".join(f"{palette.paint(name, 'dim')} {palette.text(side)}" for name, side in three)
    if outcome.hint:
        yield f"{palette.paint('hint:', 'bold')} {palette.text(outcome.hint)}"


def _stale(context: RenderContext) -> str:
    refused = context.summary.outcomes.get("refused", 0)
    said = words.plural(refused, "planned change no longer fits", "planned changes no longer fit")
    return f"stale: {said} the live state; nothing was changed"


def drift_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the drift, instance by instance, each kind under its own heading, real drift first.

    What accounts hold that nobody declared is listed with those accounts, once each, and not again here, unless
    it changed since the last apply: then it is what people look at drift for.
    """
    kinds = list(words.DRIFT)
    unmanaged = {
        (part.instance, unmanaged_account.name)
        for part in (context.report.plan.instances if context.report.plan else ())
        for unmanaged_account in part.unmanaged
    }
    known = (
        drift_item
        for drift_item in context.report.drift
        if drift_item.kind == "changed-since"
        or (drift_item.instance, account_of(words.key_of(drift_item))) not in unmanaged
    )
    ordered = sorted(known, key=lambda item: (item.instance, kinds.index(item.kind)))
    for at, (name, items) in enumerate(groupby(ordered, key=lambda item: item.instance)):
        if at:
            yield ""
        yield palette.paint(palette.text(name), "bold")
        for kind, part in groupby(items, key=lambda item: item.kind):
            yield f"  {palette.paint(palette.text(words.DRIFT[kind]), 'dim' if kind == 'unapplied' else 'yellow')}"
            yield from _items(list(part), palette)


def _items(items: Sequence[DriftItem], palette: Palette) -> Iterator[str]:
    for item, line in zip(items, palette.table([_item(item, palette) for item in items], 4), strict=True):
        yield line
        if item.note:
            yield f"        {palette.paint(palette.text(item.note), 'dim')}"


def _item(item: DriftItem, palette: Palette) -> tuple[Cell, ...]:
    key = words.key_of(item)
    sides = f"live {_side(item.live)}, declared {_side(item.declared)}"
    last = f", last applied {_side(item.journalled)}" if item.kind == "changed-since" else ""
    sign: Glyph = "-" if item.live is None else "+" if item.declared is None else "~"
    return (
        palette.glyph(sign),
        palette.cell(words.declared_user(key), "bold"),
        palette.cell(words.where(key)),
        palette.cell(sides + last),
    )


def _side(resource: Resource | None) -> str:
    return words.value(resource)
