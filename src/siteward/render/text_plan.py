"""Renders a plan, its outcomes and the drift as lines of text.

Instance by instance: steps by band, the most urgent first, then person by person, each line with its cause.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity, plural
from siteward.access.model import Power, account_of
from siteward.render import words
from siteward.render.lines import Cell
from siteward.render.safe import advice
from siteward.render.view import DANGER, Band, Collapsed, band, flag, fold, sections, shown_unmanaged, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, Outcome, OutcomeStatus, Summary
    from siteward.render.context import RenderContext
    from siteward.render.lines import Glyph, Palette, Style


LEGEND = "+ new   ~ change   - revoke   ! high risk   ⊘ blocked   ? unmanaged   = skipped"
NAMED = 5
BELOW = " " * 10


def plan_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the lines of the plan, without its total."""
    anything = any(instance.steps for instance in context.instances)
    if anything and not (palette.options.quiet or palette.options.plain):
        yield from (palette.paint(LEGEND, "dim"), "")
    for number, instance in enumerate(context.instances):
        if number:
            yield ""
        yield from _instance_lines(instance, context, palette)


def context_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the lines about each instance that drift shows: what was read, diagnostics and unmanaged accounts."""
    for number, instance in enumerate(context.instances):
        if number:
            yield ""
        yield from _instance_head(instance, context, palette)
        if not palette.options.quiet:
            yield from _unmanaged_lines(instance.unmanaged, palette)


def _instance_head(instance: InstancePlan, context: RenderContext, palette: Palette) -> Iterator[str]:
    yield _instance_header(instance, palette)
    if not palette.options.quiet:
        yield f"  {palette.paint(palette.join(tuple(_describe_reading(instance, palette))), 'dim')}"
    yield from _objections(instance, context, palette)


def _instance_lines(instance: InstancePlan, context: RenderContext, palette: Palette) -> Iterator[str]:
    yield from _instance_head(instance, context, palette)
    if instance.steps:
        yield f"  {palette.text(words.headline(context.parts[instance.instance]))}"
        yield from _step_lines(instance.steps, context, palette)
    else:
        yield f"  {_explain_no_changes(instance, context)}"
    if not palette.options.quiet:
        yield from _unplanned_lines(instance, palette)


def _instance_header(instance: InstancePlan, palette: Palette) -> str:
    release = words.release(instance.platform, instance.version, instance.edition)
    name = palette.paint(palette.text(instance.instance), "bold")
    return f"{name}  {palette.text(instance.origin)}  {palette.join((release, f'mode {instance.mode}'))}"


def _describe_reading(instance: InstancePlan, palette: Palette) -> Iterator[str]:
    accounts, sites, grants = instance.read
    yield f"read {plural(accounts, 'account')}, {plural(sites, 'site')}, {plural(grants, 'grant')}"
    if instance.read_requests:
        yield plural(instance.read_requests, "request")
    if instance.admins_before != instance.admins_after:
        yield f"admins {instance.admins_before}{palette.arrow}{instance.admins_after}"
    if instance.requests:
        yield f"applying takes about {plural(instance.requests, 'request')}{_describe_duration(instance.seconds)}"


def _describe_duration(seconds: float) -> str:
    if seconds < 1:
        return ""
    return f" and {seconds:.0f} s" if seconds < 120 else f" and {seconds / 60:.0f} min"


def _explain_no_changes(instance: InstancePlan, context: RenderContext) -> str:
    part = context.parts[instance.instance]
    if any(diagnostic.blocks_all for diagnostic in instance.diagnostics):
        return "no changes are planned while an error stands on this instance"
    if instance.flawed or any(diagnostic.blocks for diagnostic in instance.diagnostics):
        held = f"; {plural(len(instance.held_back), 'change')} held back" if instance.held_back else ""
        return f"no other changes, while a row of the file is in error{held}"
    if part.differences:
        skipped = f"; {len(instance.held_back)} skipped in mode {instance.mode}" if instance.held_back else ""
        return f"no changes are possible here: {words.differences(part.differences)}{skipped}"
    if instance.held_back:
        return f"no changes in mode {instance.mode}: {len(instance.held_back)} skipped"
    return _explain_agreement(instance, part)


def _explain_agreement(instance: InstancePlan, part: Summary) -> str:
    """Return the sentence where nothing differs in what was read; it does not claim more than the platform shows."""
    if instance.left_out:
        return f"no changes in this part of the plan; {plural(len(instance.left_out), 'step')} left out by --only"
    if part.unreadable:
        return "no changes in what could be read; not everything was"
    if part.blind:
        return "no changes in what this platform shows"
    facts = sum(diagnostic.code == "undeclarable-role" for diagnostic in instance.diagnostics)
    apart = (
        (part.unmanaged, plural(part.unmanaged, "unmanaged account")),
        (facts, plural(facts, "role that no file can declare", "roles that no file can declare")),
    )
    but = " and ".join(text for count, text in apart if count)
    return f"no changes: live access equals the declaration{f', but for {but}' if but else ''}"


def _objections(instance: InstancePlan, context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield what was not read and the diagnostics about the instance as a whole, errors (which block it) first."""
    for name in words.unread(instance):
        yield f"  {_draw_glyph('blocked', palette)} {palette.text(f'not read: {name}')}"
    for diagnostic in words.by_weight(instance.diagnostics):
        if not (diagnostic.severity or (palette.options.verbose and not palette.options.quiet)):
            continue
        mark = _draw_glyph("blocked", palette) if diagnostic.blocks else _draw_severity(diagnostic, palette)
        yield f"  {mark} {palette.text(f'{diagnostic.code}: {diagnostic.message}')}{_draw_place(diagnostic, palette)}"
        yield from (f"      {palette.text(line)}" for line in advice(diagnostic, context.digest))


def _draw_glyph(name: Glyph, palette: Palette) -> str:
    cell = palette.glyph(name)
    return palette.paint(cell.text, cell.style)


def _draw_severity(said: Diagnostic, palette: Palette) -> str:
    style: Style = "yellow" if said.severity else "dim"
    return palette.paint(said.severity.word, style)


def _draw_place(said: Diagnostic, palette: Palette) -> str:
    return f" ({palette.text(str(said.at))})" if said.at else ""


def _step_lines(steps: Sequence[Step], context: RenderContext, palette: Palette) -> Iterator[str]:
    if palette.options.quiet:
        steps = [
            step
            for step in steps
            if band(step) in DANGER or any(diagnostic.severity for diagnostic in step.diagnostics)
        ]
    folds, single = ((), tuple(steps)) if palette.options.verbose else fold(steps)
    lines = {
        section.band: _band_lines(section.steps, context, palette)
        for section in sections(single, palette.options.group_by)
    }
    if folds:
        lines[Band.ROUTINE] = [*lines.get(Band.ROUTINE, ()), *_fold_lines(folds, palette)]
    for shown, part in lines.items():
        style: Style = "alarm" if shown in {Band.BLOCKED, Band.RAISED} else "bold"
        yield from ("", f"  {palette.paint(shown.heading, style)}", *part)


def _band_lines(steps: Sequence[Step], context: RenderContext, palette: Palette) -> list[str]:
    """Return the aligned lines of steps and their remarks; a cause that does not fit stands on a line of its own."""
    rows = [_step_cells(step, palette) for step in steps]
    lines: list[str] = []
    for step, row, (line, whole) in zip(steps, rows, palette.table_within(rows, 4), strict=True):
        lines.append(line)
        if not whole and row[-1].text:
            lines.append(f"{BELOW}{palette.paint(row[-1].text, row[-1].style)}")
        lines += (f"{BELOW}{remark}" for remark in _remark_lines(step, context, palette))
    return lines


def _step_cells(step: Step, palette: Palette) -> tuple[Cell, ...]:
    """Return a step as cells: flag and sign, person, subject, movement, cause."""
    flagged = flag(step)
    mark, shape = palette.glyph(flagged) if flagged else Cell(" "), palette.glyph(sign(step))
    signs = Cell(f"{mark.text} {shape.text}", mark.style or shape.style)
    who = palette.cell(words.title(step), "bold")
    subject = palette.cell(words.subject_of_change(step.change))
    urgent = step.risk == "high" or step.raises
    movement = palette.cell(words.movement(step.change, palette.arrow), "bold" if urgent else "")
    first, second = (subject, who) if palette.options.group_by == "site" else (who, subject)
    return signs, first, second, movement, Cell(_describe_cause(step, palette), "dim")


def _describe_cause(step: Step, palette: Palette) -> str:
    outside = ("external",) if step.external else ()
    return palette.join((words.location(step), *words.because(step), *outside))


def _remark_lines(step: Step, context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the diagnostics of a step, errors first; with -v also its id, risk and dependencies."""
    for diagnostic in words.by_weight(step.diagnostics):
        if diagnostic.severity is Severity.NOTE and diagnostic.effect is None and not palette.options.verbose:
            continue
        if diagnostic.severity is Severity.NOTE and palette.options.quiet:
            continue
        yield f"{_draw_severity(diagnostic, palette)} {palette.text(f'{diagnostic.code}: {diagnostic.message}')}{_draw_place(diagnostic, palette)}"
        yield from (f"  {palette.text(line)}" for line in advice(diagnostic, context.digest))
    if palette.options.verbose:
        after = f"after {', '.join(step.depends_on)}" if step.depends_on else ""
        risks = f"{words.RISKS[step.risk]}{': ' if step.risks else ''}{', '.join(step.risks)}"
        yield palette.paint(palette.join((f"step {step.id}", risks, after)), "dim")


def _fold_lines(folds: Iterable[Collapsed], palette: Palette) -> Iterator[str]:
    for collapsed in folds:
        step = collapsed.steps[0]
        noun = {"grant": "grant", "member": "membership"}.get(step.change.key[0], "change")
        who, where = (
            _name_or_count(collapsed.people, "person", "people"),
            _name_or_count(collapsed.places, "place", "places"),
        )
        shape = palette.glyph(sign(step))
        summary = palette.text(
            f"{words.movement(step.change, palette.arrow)}: {plural(len(collapsed.steps), noun)}, {who} on {where}"
        )
        yield f"      {palette.paint(shape.text, shape.style)}  {summary}"
        yield f"{BELOW}{palette.paint(_describe_cause(step, palette), 'dim')}"
    yield f"      {palette.paint('equal lines are folded; -v lists them', 'dim')}"


def _name_or_count(names: Sequence[str], singular: str, several: str) -> str:
    return ", ".join(names) if len(names) <= NAMED else plural(len(names), singular, several)


def _unplanned_lines(instance: InstancePlan, palette: Palette) -> Iterator[str]:
    """Yield the lines about what is not acted on: skipped steps, waiting accounts, unmanaged accounts, blind spots."""
    if instance.held_back:
        yield from ("", f"  {palette.paint(words.held_back(instance), 'bold')}")
        rows = [(palette.glyph("held"), *_step_cells(step, palette)[1:]) for step in instance.held_back]
        yield from _shorten(palette.table(rows, 6), palette)
    if instance.waiting:
        yield from ("", f"  {palette.paint('Waiting for acceptance', 'bold')}")
        waiting = [
            (Cell(""), palette.cell(words.declared_user(key)), palette.cell(words.where(key)))
            for key in instance.waiting
        ]
        yield from _shorten(palette.table(waiting, 6), palette)
    yield from _unmanaged_lines(instance.unmanaged, palette)
    blind = ((words.unseen(instance), "cannot be seen"), (instance.accepted_blind, "cannot be seen, accepted"))
    for spots, heading in blind:
        if spots:
            yield "  " + palette.paint(palette.text(f"{heading}: {', '.join(spots)}"), "dim")


def _shorten(lines: Sequence[str], palette: Palette) -> Iterator[str]:
    """Yield all lines; without -v the first few and the number of the others."""
    keep = len(lines) if palette.options.verbose or len(lines) <= 2 * NAMED else 2 * NAMED
    yield from lines[:keep]
    if keep < len(lines):
        yield f"      {palette.paint(f'and {len(lines) - keep} more, listed with -v', 'dim')}"


def _unmanaged_lines(unmanaged: Sequence[UnmanagedAccount], palette: Palette) -> Iterator[str]:
    """Yield the lines of unmanaged accounts, the most powerful first; without -v those in power and a few others."""
    shown = sorted(shown_unmanaged(unmanaged), key=lambda account: (-account.power, account.name))
    if not shown:
        return
    yield from ("", f"  {palette.paint('Unmanaged accounts', 'bold')}")
    powerful = sum(account.power >= Power.MANAGE for account in shown)
    keep = len(shown) if palette.options.verbose else max(powerful, 2 * NAMED)
    yield from palette.table([_unmanaged_cells(account, palette) for account in shown[:keep]], 6)
    if keep < len(shown):
        yield f"      {palette.paint(f'and {len(shown) - keep} more without high privileges, listed with -v', 'dim')}"


def _unmanaged_cells(account: UnmanagedAccount, palette: Palette) -> tuple[Cell, ...]:
    facts = (f"{name} {fact}" for name, fact in sorted(account.facts.items()))
    marks = ("open invitation" if account.pending else "", "ignored" if account.ignored else "")
    known = palette.join((plural(account.grants, "grant"), *marks, *facts))
    named = f"{account.name} <{account.email}>" if account.email and account.email != account.name else account.name
    style: Style = "alarm" if account.power >= Power.ADMIN else ""
    return (
        palette.glyph("undeclared"),
        palette.cell(named),
        Cell(account.power.word, style),
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
    """Yield the outcome of each step, instance by instance, failures first; without -v only what was not done."""
    if context.report.stale:
        yield from (palette.paint(_describe_stale(context), "alarm"), "")
    ordered = words.by_outcome(context.report.outcomes)
    for number, (name, outcomes) in enumerate(groupby(ordered, key=lambda outcome: outcome.instance)):
        if number:
            yield ""
        yield f"{palette.paint(palette.text(name), 'bold')}  {palette.text(words.results(context.parts[name]))}"
        shown = [outcome for outcome in outcomes if palette.options.verbose or outcome.status not in words.WELL]
        lines = palette.table([_outcome_cells(outcome, palette) for outcome in shown], 2)
        for outcome, line in zip(shown, lines, strict=True):
            yield line
            yield from (f"      {detail}" for detail in _outcome_details(outcome, palette))


def _outcome_cells(outcome: Outcome, palette: Palette) -> tuple[Cell, ...]:
    change = outcome.step.change
    return (
        palette.glyph(_GLYPHS[outcome.status]),
        palette.cell(words.title(outcome.step), "bold"),
        palette.cell(words.subject_of_change(change)),
        palette.cell(words.movement(change, palette.arrow)),
    )


def _outcome_details(outcome: Outcome, palette: Palette) -> Iterator[str]:
    if outcome.message:
        yield palette.text(outcome.message)
    if three := words.three(outcome):
        yield "   ".join(f"{palette.paint(name, 'dim')} {palette.text(side)}" for name, side in three)
    if outcome.hint:
        yield f"{palette.paint('hint:', 'bold')} {palette.text(outcome.hint)}"


def _describe_stale(context: RenderContext) -> str:
    refused = context.summary.outcomes.get("refused", 0)
    changes = plural(refused, "planned change no longer fits", "planned changes no longer fit")
    return f"stale: {changes} the live state; nothing was changed"


def drift_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the drift, instance by instance, each kind under its own heading, real drift first.

    Grants of unmanaged accounts are left out, since those accounts are listed by themselves, unless the grants changed
    since the last apply.
    """
    kinds = list(words.DRIFT)
    unmanaged = {
        (part.instance, unmanaged_account.name) for part in context.instances for unmanaged_account in part.unmanaged
    }
    known = (
        drift_item
        for drift_item in context.report.drift
        if drift_item.kind == "changed-since"
        or (drift_item.instance, account_of(words.key_of(drift_item))) not in unmanaged
    )
    ordered = sorted(known, key=lambda item: (item.instance, kinds.index(item.kind)))
    for number, (name, items) in enumerate(groupby(ordered, key=lambda item: item.instance)):
        if number:
            yield ""
        yield palette.paint(palette.text(name), "bold")
        for kind, part in groupby(items, key=lambda item: item.kind):
            yield f"  {palette.paint(palette.text(words.DRIFT[kind]), 'dim' if kind == 'unapplied' else 'yellow')}"
            yield from _drift_items(list(part), palette)


def _drift_items(items: Sequence[DriftItem], palette: Palette) -> Iterator[str]:
    for item, line in zip(items, palette.table([_drift_cells(item, palette) for item in items], 4), strict=True):
        yield line
        if item.note:
            yield f"        {palette.paint(palette.text(item.note), 'dim')}"


def _drift_cells(item: DriftItem, palette: Palette) -> tuple[Cell, ...]:
    key = words.key_of(item)
    sides = f"live {words.value(item.live)}, declared {words.value(item.declared)}"
    last = f", last applied {words.value(item.journalled)}" if item.kind == "changed-since" else ""
    return (
        palette.glyph("-" if item.live is None else "+" if item.declared is None else "~"),
        palette.cell(words.declared_user(key), "bold"),
        palette.cell(words.where(key)),
        palette.cell(sides + last),
    )
