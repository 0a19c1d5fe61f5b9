"""A plan as text: instance by instance, danger first, person by person, each line with its cause."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity, plural
from siteward.access.model import Power, account_of
from siteward.render import words
from siteward.render.lines import Cell, Glyph, Palette
from siteward.render.safe import advice
from siteward.render.view import DANGER, Band, Collapsed, band, fold, sections, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siteward.access.model import Resource
    from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, Outcome, OutcomeStatus
    from siteward.render.context import RenderContext
    from siteward.render.lines import Glyph, Palette, Style


LEGEND = "+ new   ~ change   - revoke   ! high risk   ⊘ blocked   ? unmanaged   = skipped"
NAMED = 5
BELOW = " " * 10


def plan_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the lines of the plan, without its total."""
    instances = context.report.plan.instances if context.report.plan else ()
    if any(instance.steps for instance in instances) and not (palette.options.quiet or palette.options.plain):
        yield from (palette.paint(LEGEND, "dim"), "")
    for at, instance in enumerate(instances):
        if at:
            yield ""
        yield from _instance(instance, context, palette)


def context_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield what was read of each instance, what is said about it, and who is there that nobody declared."""
    for at, instance in enumerate(context.report.plan.instances if context.report.plan else ()):
        if at:
            yield ""
        yield from _known(instance, context, palette)
        if not palette.options.quiet:
            yield from _unmanaged(instance.unmanaged, palette)


def _known(instance: InstancePlan, context: RenderContext, palette: Palette) -> Iterator[str]:
    yield _header(instance, palette)
    if not palette.options.quiet:
        yield f"  {palette.paint(palette.join(tuple(_knowledge(instance, palette))), 'dim')}"
    yield from _objections(instance, context, palette)


def _instance(instance: InstancePlan, context: RenderContext, palette: Palette) -> Iterator[str]:
    yield from _known(instance, context, palette)
    if instance.steps:
        yield f"  {palette.text(words.headline(context.parts[instance.instance]))}"
        yield from _steps(instance.steps, context, palette)
    else:
        yield f"  {_unchanged(instance, context)}"
    if not palette.options.quiet:
        yield from _beside(instance, palette)


def _header(instance: InstancePlan, palette: Palette) -> str:
    release = words.release(instance.platform, instance.version, instance.edition)
    name = palette.paint(palette.text(instance.instance), "bold")
    return f"{name}  {palette.text(instance.origin)}  {palette.join((release, f'mode {instance.mode}'))}"


def _knowledge(instance: InstancePlan, palette: Palette) -> Iterator[str]:
    counts = (plural(instance.accounts, "account"), plural(instance.sites, "site"))
    yield f"read {', '.join(counts)}, {plural(instance.grants, 'grant')}"
    if instance.read_requests:
        yield plural(instance.read_requests, "request")
    if instance.admins_before != instance.admins_after:
        yield f"admins {instance.admins_before}{palette.arrow}{instance.admins_after}"
    if instance.requests:
        yield f"applying takes about {plural(instance.requests, 'request')}{_minutes(instance.seconds)}"


def _minutes(seconds: float) -> str:
    if seconds < 1:
        return ""
    return f" and {seconds:.0f} s" if seconds < 120 else f" and {seconds / 60:.0f} min"


def _unchanged(instance: InstancePlan, context: RenderContext) -> str:
    part = context.parts[instance.instance]
    if instance.flawed or any(diagnostic.blocks for diagnostic in instance.diagnostics):
        return "no changes are planned while an error stands on this instance"
    if instance.held_back:
        return f"no changes in mode {instance.mode}: {len(instance.held_back)} skipped"
    if part.unreadable:
        return "no changes in what could be read; not everything was"
    if part.blind:
        return "no changes in what this platform shows"
    apart = f", but for {plural(part.unmanaged, 'unmanaged account')}" if part.unmanaged else ""
    return f"no changes: live access equals the declaration{apart}"


def _objections(instance: InstancePlan, context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield what is said about the instance as a whole; errors block all of it and come first."""
    digest = context.report.plan.digest if context.report.plan else ""
    for name in words.unread(instance):
        yield f"  {_mark('blocked', palette)} {palette.text(f'not read: {name}')}"
    for diagnostic in words.by_weight(instance.diagnostics):
        if not (diagnostic.severity or (palette.options.verbose and not palette.options.quiet)):
            continue
        mark = _mark("blocked", palette) if diagnostic.blocks else _said(diagnostic, palette)
        yield f"  {mark} {palette.text(f'{diagnostic.code}: {diagnostic.message}')}{_at(diagnostic, palette)}"
        yield from (f"      {palette.text(line)}" for line in advice(diagnostic, digest))


def _mark(name: Glyph, palette: Palette) -> str:
    cell = palette.glyph(name)
    return palette.paint(cell.text, cell.style)


def _said(said: Diagnostic, palette: Palette) -> str:
    style: Style = "yellow" if said.severity else "dim"
    return palette.paint(said.severity.word, style)


def _at(said: Diagnostic, palette: Palette) -> str:
    return f" ({palette.text(str(said.at))})" if said.at else ""


def _steps(steps: Sequence[Step], context: RenderContext, palette: Palette) -> Iterator[str]:
    if palette.options.quiet:
        steps = [
            step
            for step in steps
            if band(step) in DANGER or any(diagnostic.severity for diagnostic in step.diagnostics)
        ]
    folds, single = ((), tuple(steps)) if palette.options.verbose else fold(steps)
    lines = {
        section.band: _section(section.steps, context, palette)
        for section in sections(single, palette.options.group_by)
    }
    if folds:
        lines[Band.ROUTINE] = [*lines.get(Band.ROUTINE, ()), *_folds(folds, palette)]
    for found, part in lines.items():
        style: Style = "alarm" if found in {Band.BLOCKED, Band.RAISED} else "bold"
        yield from ("", f"  {palette.paint(found.heading, style)}", *part)


def _section(steps: Sequence[Step], context: RenderContext, palette: Palette) -> list[str]:
    """Return one line a step, whole and aligned; the cause stands beneath where it does not fit beside."""
    rows = [_row(step, palette) for step in steps]
    lines: list[str] = []
    whole, short = palette.table(rows, 4), palette.table([row[:-1] for row in rows], 4)
    for step, row, beside, line, start in zip(steps, rows, palette.fits(rows, 4), whole, short, strict=True):
        lines.append(line if beside else start)
        if not beside and row[-1].text:
            lines.append(f"{BELOW}{palette.paint(row[-1].text, row[-1].style)}")
        lines += (f"{BELOW}{remark}" for remark in _remarks(step, context, palette))
    return lines


def _row(step: Step, palette: Palette) -> tuple[Cell, ...]:
    """Return one step as cells: its signs, who, what it touches, how it moves, why."""
    blocked, high = step.blocked, step.risk == "high" or step.raises
    flag = palette.glyph("blocked") if blocked else palette.glyph("high") if high else Cell(" ")
    shape = palette.glyph(_glyph(step))
    signs = Cell(f"{flag.text} {shape.text}", flag.style or shape.style)
    who = palette.cell(words.title(step), "bold")
    what = palette.cell(words.subject_of_change(step.change))
    move = palette.cell(words.movement(step.change, palette.arrow), "bold" if high else "")
    first, second = (what, who) if palette.options.group_by == "site" else (who, what)
    return signs, first, second, move, Cell(_why(step, palette), "dim")


def _glyph(step: Step) -> Glyph:
    shapes: dict[str, Glyph] = {"+": "+", "~": "~", "-": "-"}
    return shapes[sign(step)]


def _why(step: Step, palette: Palette) -> str:
    outside = ("external",) if step.external else ()
    return palette.join((words.location(step), *words.because(step), *outside))


def _remarks(step: Step, context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield what is said about one step: objections, then what the platform will do besides."""
    digest = context.report.plan.digest if context.report.plan else ""
    for diagnostic in words.by_weight(step.diagnostics):
        if diagnostic.severity is Severity.NOTE and diagnostic.effect is None and not palette.options.verbose:
            continue
        if diagnostic.severity is Severity.NOTE and palette.options.quiet:
            continue
        yield f"{_said(diagnostic, palette)} {palette.text(f'{diagnostic.code}: {diagnostic.message}')}{_at(diagnostic, palette)}"
        yield from (f"  {palette.text(line)}" for line in advice(diagnostic, digest))
    if palette.options.verbose:
        after = f"after {', '.join(step.depends_on)}" if step.depends_on else ""
        risks = f"{words.RISKS[step.risk]}{': ' if step.risks else ''}{', '.join(step.risks)}"
        yield palette.paint(palette.join((f"step {step.id}", risks, after)), "dim")


def _folds(folds: Iterable[Collapsed], palette: Palette) -> Iterator[str]:
    for collapsed in folds:
        step = collapsed.steps[0]
        noun = {"grant": "grant", "member": "membership"}.get(step.change.key[0], "change")
        who, where = _few(collapsed.people, "person", "people"), _few(collapsed.places, "place", "places")
        shape = palette.glyph(_glyph(step))
        told = palette.text(
            f"{words.movement(step.change, palette.arrow)}: {plural(len(collapsed.steps), noun)}, {who} on {where}"
        )
        yield f"      {palette.paint(shape.text, shape.style)}  {told}"
        yield f"{BELOW}{palette.paint(_why(step, palette), 'dim')}"
    yield f"      {palette.paint('equal lines are folded; -v lists them', 'dim')}"


def _few(names: Sequence[str], one: str, many: str) -> str:
    return ", ".join(names) if len(names) <= NAMED else plural(len(names), one, many)


def _beside(instance: InstancePlan, palette: Palette) -> Iterator[str]:
    """Yield what is known and not acted on: skipped steps, waiting, unmanaged accounts, blind spots."""
    if instance.held_back:
        yield from ("", f"  {palette.paint(f'Skipped (mode {instance.mode})', 'bold')}")
        rows = [(palette.glyph("held"), *_row(step, palette)[1:]) for step in instance.held_back]
        yield from _shorten(palette.table(rows, 6), palette)
    if instance.waiting:
        yield from ("", f"  {palette.paint('Waiting for acceptance', 'bold')}")
        rows_ = [
            (Cell(""), palette.cell(words.declared_user(key)), palette.cell(words.where(key)))
            for key in instance.waiting
        ]
        yield from _shorten(palette.table(rows_, 6), palette)
    yield from _unmanaged(instance.unmanaged, palette)
    hidden = [spot for spot in instance.blind_spots if spot not in instance.accepted_blind]
    for name, how in ((hidden, "cannot be seen"), (instance.accepted_blind, "cannot be seen, accepted")):
        if name:
            yield "  " + palette.paint(palette.text(f"{how}: {', '.join(name)}"), "dim")


def _shorten(lines: Sequence[str], palette: Palette) -> Iterator[str]:
    """Yield all lines, or without -v the first few and how many more there are."""
    keep = len(lines) if palette.options.verbose or len(lines) <= 2 * NAMED else 2 * NAMED
    yield from lines[:keep]
    if keep < len(lines):
        yield f"      {palette.paint(f'and {len(lines) - keep} more, listed with -v', 'dim')}"


def _unmanaged(unmanaged: Sequence[UnmanagedAccount], palette: Palette) -> Iterator[str]:
    """Yield the accounts nobody declared: those in power are always named, ignored ones only then."""
    shown = sorted(
        (
            unmanaged_account
            for unmanaged_account in unmanaged
            if not unmanaged_account.ignored or unmanaged_account.power >= Power.MANAGE
        ),
        key=_by_power,
    )
    if not shown:
        return
    yield from ("", f"  {palette.paint('Unmanaged accounts', 'bold')}")
    mighty = sum(unmanaged_account.power >= Power.MANAGE for unmanaged_account in shown)
    keep = len(shown) if palette.options.verbose else max(mighty, 2 * NAMED)
    yield from palette.table([_unmanaged_account(unmanaged_account, palette) for unmanaged_account in shown[:keep]], 6)
    if keep < len(shown):
        yield f"      {palette.paint(f'and {len(shown) - keep} more without high privileges, listed with -v', 'dim')}"


def _by_power(unmanaged_account: UnmanagedAccount) -> tuple[int, str]:
    return -unmanaged_account.power, unmanaged_account.name


def _unmanaged_account(unmanaged_account: UnmanagedAccount, palette: Palette) -> tuple[Cell, ...]:
    facts = (f"{name} {fact}" for name, fact in sorted(unmanaged_account.facts.items()))
    known = palette.join(
        (plural(unmanaged_account.grants, "grant"), "ignored" if unmanaged_account.ignored else "", *facts)
    )
    named = (
        f"{unmanaged_account.name} <{unmanaged_account.email}>"
        if unmanaged_account.email and unmanaged_account.email != unmanaged_account.name
        else unmanaged_account.name
    )
    style: Style = "alarm" if unmanaged_account.power >= Power.ADMIN else ""
    return (
        palette.glyph("undeclared"),
        palette.cell(named),
        Cell(unmanaged_account.power.word, style),
        Cell(known, "dim"),
    )


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
    said = plural(refused, "planned change no longer fits", "planned changes no longer fit")
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
