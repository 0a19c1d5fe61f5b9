"""Renders a plan, its outcomes and the drift as lines of text.

Over all instances: steps by band, the most urgent first, then person by person, each line with its cause; then what is
blocked, and last what is only reported.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity, join_some, plural, round_time
from siteward.access.model import Power, account_of
from siteward.render import words
from siteward.render.lines import Cell
from siteward.render.safe import advice, name_digest
from siteward.render.view import (
    DANGER,
    REPORTED,
    Band,
    Collapsed,
    Planned,
    Section,
    cause_of,
    equal_outcomes,
    fold,
    held_back,
    objections,
    reported,
    sections,
    sign,
    unmanaged,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, Outcome, OutcomeStatus, Summary
    from siteward.render.context import RenderContext
    from siteward.render.lines import Glyph, Palette, Style
    from siteward.render.repeats import Told


LEGEND = "+ new   ~ change   - revoke   ! high risk   ⊘ blocked   ? unmanaged   = skipped"
NAMED = 5
BELOW = " " * 8


def plan_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the lines of the plan, without its total: what was read, then the steps of all instances, then the rest."""
    anything = any(instance.steps for instance in context.instances)
    if anything and not (palette.options.quiet or palette.options.plain):
        yield from (palette.paint(LEGEND, "dim"), "")
    for number, instance in enumerate(context.instances):
        if number:
            yield ""
        yield from _instance_head(instance, palette)
        if instance.steps:
            yield f"  {palette.text(words.headline(context.parts[instance.instance]))}"
        else:
            yield f"  {_explain_no_changes(instance, context)}"
    yield from _band_parts(context, palette)
    if lines := reported_lines(context, palette):
        yield from ("", *lines)


def head_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield what was read of each instance, which drift shows before everything else."""
    for number, instance in enumerate(context.instances):
        if number:
            yield ""
        yield from _instance_head(instance, palette)


def reported_lines(context: RenderContext, palette: Palette) -> list[str]:
    """Return what is not acted on: the diagnostics of instances, skipped steps, waiting and unmanaged accounts."""
    notes = palette.options.verbose and not palette.options.quiet
    told = reported(context.instances, lambda said: bool(said.severity or notes))
    lines = [line for finding in told for line in _told_lines(finding, context, palette)]
    if not palette.options.quiet:
        lines += _unplanned_lines(context, palette)
    if notes:
        lines += _waived_lines(context, palette)
    return [palette.paint(REPORTED, "bold"), *lines] if lines else []


def _waived_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the findings that are waived, each with the reason and the end of its waiver."""
    if context.waived:
        yield f"  {palette.paint('Waived', 'bold')}"
    for instance, said in context.waived:
        named = f"{instance}: " if len(context.instances) > 1 else ""
        yield f"    {palette.text(f'{said.code}: {named}{said.message}')}"
        if said.waived is not None:
            until = f"until {context.told_day(said.waived.until)}: {said.waived.reason}"
            yield f"      {palette.paint(palette.text(until), 'dim')}"


def objection_lines(context: RenderContext, palette: Palette) -> list[str]:
    """Return the errors about instances and about single rows of the file."""
    several = len(context.instances) > 1
    return [
        line
        for finding in objections(context.instances)
        for line in _told_lines(finding, context, palette, "blocked", where=several)
    ]


def _instance_head(instance: InstancePlan, palette: Palette) -> Iterator[str]:
    yield _instance_header(instance, palette)
    if not palette.options.quiet:
        yield f"  {palette.paint(palette.join(tuple(_describe_reading(instance, palette))), 'dim')}"
    for name in words.unread(instance):
        yield f"  {_draw_glyph('blocked', palette)} {palette.text(f'not read: {name}')}"


def _instance_header(instance: InstancePlan, palette: Palette) -> str:
    release = words.release(instance.platform, instance.version, instance.edition)
    name = palette.paint(palette.text(instance.instance), "bold")
    return f"{name}  {palette.text(instance.origin)}  {palette.join((release, f'mode {instance.mode}'))}"


def _describe_reading(instance: InstancePlan, palette: Palette) -> Iterator[str]:
    accounts, sites, grants = instance.read
    groups = sum(listing.rows for listing in instance.listings if listing.name == "groups")
    more = f", {plural(groups, 'group')}" if groups else ""
    yield f"read {plural(accounts, 'account')}, {plural(sites, 'site')}, {plural(grants, 'grant')}{more}"
    if instance.read_requests:
        yield plural(instance.read_requests, "request")
    if instance.admins_before != instance.admins_after:
        yield f"admins {instance.admins_before}{palette.arrow}{instance.admins_after}"
    if instance.requests:
        time = f", and {round_time(instance.seconds)}" if instance.seconds >= 1 else ""
        yield f"applying takes about {plural(instance.requests, 'request')}, reading included{time}"


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


def _told_lines(
    told: Told, context: RenderContext, palette: Palette, glyph: Glyph | None = None, *, where: bool | None = None
) -> Iterator[str]:
    """Yield a finding with its advice, how many it stands for, and with -v its places."""
    said = told.said
    mark = _draw_glyph(glyph, palette) if glyph else _draw_severity(said, palette)
    named = told.where if (len(context.instances) > 1 if where is None else where) else ""
    yield f"  {mark} {palette.text(f'{said.code}: {named}{said.message}')}{_draw_place(said, palette)}"
    brief = palette.options.quiet and not said.blocks
    for line in (*(() if brief else advice(said, context.digest)), *told.more(every=palette.options.verbose)):
        yield f"      {palette.text(line)}"


def _draw_glyph(name: Glyph, palette: Palette) -> str:
    cell = palette.glyph(name)
    return palette.paint(cell.text, cell.style)


def _draw_severity(said: Diagnostic, palette: Palette) -> str:
    style: Style = "yellow" if said.severity else "dim"
    return palette.paint(said.severity.word, style)


def _draw_place(said: Diagnostic, palette: Palette) -> str:
    return f" ({palette.text(str(said.at))})" if said.at else ""


def _band_parts(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the sections of the plan, the most urgent first, and last what is blocked with the reasons for it."""
    found = sections(context.instances, palette.options.group_by, lambda said: _is_shown(said, palette))
    blocking = objection_lines(context, palette)
    for section in found:
        lines = _section_lines(section, context, palette)
        if section.band is Band.BLOCKED:
            lines, blocking = [*blocking, *lines], []
        if lines:
            yield from _headed(section.band, lines, palette)
    if blocking:
        yield from _headed(Band.BLOCKED, blocking, palette)


def _headed(band: Band, lines: Iterable[str], palette: Palette) -> Iterator[str]:
    style: Style = "alarm" if band in {Band.BLOCKED, Band.RAISED} else "bold"
    yield from ("", palette.paint(band.heading, style), *lines)


def _is_shown(said: Diagnostic, palette: Palette) -> bool:
    """Return whether a diagnostic of a step is shown: notes without a consequence with -v, no notes with -q."""
    if said.severity is not Severity.NOTE:
        return True
    return not palette.options.quiet and (said.effect is not None or palette.options.verbose)


def _section_lines(section: Section, context: RenderContext, palette: Palette) -> list[str]:
    """Return the lines of a section: steps, folds of equal ones, then what several steps share."""
    folds, steps = ((), section.steps) if palette.options.verbose else fold(section)
    if palette.options.quiet and section.band not in {*DANGER, Band.BLOCKED}:
        folds, steps = (), tuple(item for item in steps if item.step.diagnostics)
    several = len(context.instances) > 1
    lines = _band_lines(steps, context, palette)
    for folded in folds:
        lines += _fold_lines(folded, palette, several=several)
    if folds:
        lines.append(f"      {palette.paint('equal lines are folded; -v lists them', 'dim')}")
    for told in section.told:
        lines += _told_lines(told, context, palette, where=False)
    return lines


def _band_lines(steps: Sequence[Planned], context: RenderContext, palette: Palette) -> list[str]:
    """Return the aligned lines of steps and their remarks; a cause that does not fit stands on a line of its own."""
    draw = _Drawing(palette, several=len(context.instances) > 1)
    rows = [draw.cells(item) for item in steps]
    lines: list[str] = []
    for item, row, (line, whole) in zip(steps, rows, palette.table_within(rows, 2), strict=True):
        lines.append(line)
        if not whole and row[-1].text:
            lines.append(f"{BELOW}{palette.paint(row[-1].text, row[-1].style)}")
        if item.step.diagnostics or palette.options.verbose:
            lines += [f"{BELOW}{remark}" for remark in _remark_lines(item.step, context, palette)]
    return lines


class _Drawing:
    """Steps as cells; what is the same for many of them is drawn once: their signs and their causes."""

    def __init__(self, palette: Palette, *, several: bool) -> None:
        self.palette = palette
        self.several = several
        self._signs: dict[tuple[str, str], Cell] = {}
        self._causes: dict[tuple[object, ...], Cell] = {}

    def cells(self, item: Planned) -> tuple[Cell, ...]:
        """Return flag and sign, person, with `several` instances its own, subject, movement and cause of a step."""
        step, palette = item.step, self.palette
        who = palette.cell(words.title(step), "bold")
        subject = palette.cell(words.subject_of_change(step.change))
        urgent = step.risk == "high" or step.raises
        movement = palette.cell(words.movement(step.change, palette.arrow), "bold" if urgent else "")
        first, second = (subject, who) if palette.options.group_by == "site" else (who, subject)
        instance = (palette.cell(item.instance),) if self.several else ()
        return self._draw_signs(item), first, *instance, second, movement, self._draw_cause(step)

    def _draw_signs(self, item: Planned) -> Cell:
        flagged, shaped = item.flag, sign(item.step)
        signs = self._signs.get((flagged, shaped))
        if signs is None:
            mark, shape = self.palette.glyph(flagged) if flagged else Cell(" "), self.palette.glyph(shaped)
            signs = self._signs[flagged, shaped] = Cell(f"{mark.text} {shape.text}", mark.style or shape.style)
        return signs

    def _draw_cause(self, step: Step) -> Cell:
        which = cause_of(step)
        cause = self._causes.get(which)
        if cause is None:
            cause = self._causes[which] = Cell(_describe_cause(step, self.palette), "dim")
        return cause


def _describe_cause(step: Step, palette: Palette) -> str:
    outside = ("external",) if step.external else ()
    return palette.join((words.location(step), *words.because(step), *outside))


def _remark_lines(step: Step, context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the diagnostics of a step, errors first; with -v also its id, risk and dependencies."""
    for diagnostic in words.by_weight(step.diagnostics):
        yield f"{_draw_severity(diagnostic, palette)} {palette.text(f'{diagnostic.code}: {diagnostic.message}')}{_draw_place(diagnostic, palette)}"
        yield from (f"  {palette.text(line)}" for line in advice(diagnostic, context.digest))
    if palette.options.verbose:
        after = f"after {', '.join(step.depends_on)}" if step.depends_on else ""
        risks = f"{words.RISKS[step.risk]}{': ' if step.risks else ''}{', '.join(step.risks)}"
        yield palette.paint(palette.join((f"step {step.id}", risks, after)), "dim")


def _fold_lines(folded: Collapsed, palette: Palette, *, several: bool) -> Iterator[str]:
    item = folded.steps[0]
    noun = {"grant": "grant", "member": "membership", "account": "account"}.get(item.step.change.key[0], "change")
    who = _name_or_count(folded.people, "person", "people")
    where = _name_or_count(folded.places, "place", "places")
    flagged, shape = item.flag, palette.glyph(sign(item.step))
    mark = palette.glyph(flagged) if flagged else Cell(" ")
    movement = words.movement(item.step.change, palette.arrow) if noun != "account" else folded.places[0]
    places = f" on {where}" if noun != "account" else ""
    counted = plural(len(folded.steps), noun)
    on = f" ({item.instance})" if several else ""
    signs = palette.paint(f"{mark.text} {shape.text}", mark.style or shape.style)
    yield f"  {signs}  {palette.text(f'{movement}: {counted}, {who}{places}{on}')}"
    if len(folded.people) > NAMED and item.band in {Band.CREATED, Band.BLOCKED}:
        yield f"{BELOW}{palette.text(join_some(folded.people))}"
    causes = {_describe_cause(step, palette) for step in folded.causes}
    if len(causes) == 1:
        yield f"{BELOW}{palette.paint(causes.pop(), 'dim')}"


def _name_or_count(names: Sequence[str], singular: str, several: str) -> str:
    return ", ".join(names) if len(names) <= NAMED else plural(len(names), singular, several)


def _unplanned_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the lines about what is not acted on: skipped steps, waiting accounts, unmanaged accounts, blind spots."""
    several = len(context.instances) > 1
    for title, steps in held_back(context.instances).items():
        yield f"  {palette.paint(palette.text(title), 'bold')}"
        draw = _Drawing(palette, several=several)
        rows = [(palette.glyph("held"), *draw.cells(item)[1:]) for item in steps]
        yield from _shorten(palette.table(rows, 4), palette)
    waiting = [(part.instance, key) for part in context.instances for key in part.waiting]
    if waiting and context.report.command != "drift":
        yield f"  {palette.paint('Waiting for acceptance', 'bold')}"
        cells = [
            (palette.cell(words.declared_user(key)), palette.cell(words.where(key)), palette.cell(name))
            for name, key in waiting
        ]
        yield from _shorten(palette.table([row if several else row[:-1] for row in cells], 6), palette)
    yield from _unmanaged_lines(context, palette)
    for instance in context.instances if context.report.command != "drift" else ():
        yield from _blind_lines(instance, palette, several=several)


def _blind_lines(instance: InstancePlan, palette: Palette, *, several: bool) -> Iterator[str]:
    on = f" on {instance.instance}" if several else ""
    for spots, mark in ((words.unseen(instance), ""), (instance.accepted_blind, ", accepted")):
        if spots:
            yield "  " + palette.paint(palette.text(f"cannot be seen{on}{mark}: {', '.join(spots)}"), "dim")


def _shorten(lines: Sequence[str], palette: Palette) -> Iterator[str]:
    """Yield all lines; without -v the first few and the number of the others."""
    keep = len(lines) if palette.options.verbose or len(lines) <= 2 * NAMED else 2 * NAMED
    yield from lines[:keep]
    if keep < len(lines):
        yield f"      {palette.paint(f'and {len(lines) - keep} more, listed with -v', 'dim')}"


def _unmanaged_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the lines of unmanaged accounts, the most powerful first; without -v those in power and a few others."""
    shown = unmanaged(context.instances)
    if not shown:
        return
    yield f"  {palette.paint('Unmanaged accounts', 'bold')}"
    powerful = sum(account.power >= Power.MANAGE for _, account in shown)
    keep = len(shown) if palette.options.verbose else max(powerful, 2 * NAMED)
    several = len(context.instances) > 1
    rows = [_unmanaged_cells(account, name if several else "", palette) for name, account in shown[:keep]]
    yield from palette.table(rows, 4)
    if keep < len(shown):
        yield f"      {palette.paint(f'and {len(shown) - keep} more without high privileges, listed with -v', 'dim')}"


def _unmanaged_cells(account: UnmanagedAccount, instance: str, palette: Palette) -> tuple[Cell, ...]:
    facts = (f"{name.replace('_', ' ')} {words.day(fact)}" for name, fact in sorted(account.facts.items()))
    marks = ("open invitation" if account.pending else "", "ignored" if account.ignored else "")
    known = palette.join((plural(account.grants, "grant"), *marks, *facts))
    named = f"{account.name} <{account.email}>" if account.email and account.email != account.name else account.name
    style: Style = "alarm" if account.power >= Power.ADMIN else ""
    return (
        palette.glyph("undeclared"),
        palette.cell(named),
        *((palette.cell(instance),) if instance else ()),
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
    if refused := context.summary.outcomes.get("refused", 0) if context.report.stale else 0:
        changes = plural(refused, "planned change no longer fits", "planned changes no longer fit")
        yield from (palette.paint(f"stale: {changes} the live state; nothing was changed", "alarm"), "")
    ordered = words.by_outcome(context.report.outcomes)
    for number, (name, outcomes) in enumerate(groupby(ordered, key=lambda outcome: outcome.instance)):
        if number:
            yield ""
        yield f"{palette.paint(palette.text(name), 'bold')}  {palette.text(words.results(context.parts[name]))}"
        shown = [outcome for outcome in outcomes if palette.options.verbose or outcome.status not in words.WELL]
        equal = equal_outcomes(shown)
        lines = iter(palette.table([_outcome_cells(outcome, palette) for same in equal for outcome in same], 2))
        for same in equal:
            yield from _shorten(list(islice(lines, len(same))), palette)
            yield from (f"      {detail}" for detail in _outcome_details(same[0], context, palette))


def _outcome_cells(outcome: Outcome, palette: Palette) -> tuple[Cell, ...]:
    change = outcome.step.change
    return (
        palette.glyph(_GLYPHS[outcome.status]),
        palette.cell(words.title(outcome.step), "bold"),
        palette.cell(words.subject_of_change(change)),
        palette.cell(words.movement(change, palette.arrow)),
    )


def _outcome_details(outcome: Outcome, context: RenderContext, palette: Palette) -> Iterator[str]:
    if outcome.message:
        yield palette.text(outcome.message)
    if three := words.three(outcome):
        yield "   ".join(f"{palette.paint(name, 'dim')} {palette.text(side)}" for name, side in three)
    if outcome.hint:
        yield f"{palette.paint('hint:', 'bold')} {palette.text(name_digest(outcome.hint, context.digest))}"


def drift_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    """Yield the drift of all instances, each kind under its own heading, real drift first.

    Grants of unmanaged accounts are left out, since those accounts are listed by themselves, unless the grants changed
    since the last apply.
    """
    unmanaged = {(part.instance, account.name) for part in context.instances for account in part.unmanaged}
    known = [
        item
        for item in context.report.drift
        if item.kind == "changed-since" or (item.instance, account_of(words.key_of(item))) not in unmanaged
    ]
    kinds = [kind for kind in words.DRIFT if any(item.kind == kind for item in known)]
    for number, kind in enumerate(kinds):
        if number:
            yield ""
        yield palette.paint(palette.text(words.DRIFT[kind]), "dim" if kind == "unapplied" else "yellow")
        yield from _drift_items(sorted((item for item in known if item.kind == kind), key=_place_in_drift), palette)


def _place_in_drift(item: DriftItem) -> tuple[str, str]:
    return words.declared_user(words.key_of(item)), item.instance


def _drift_items(items: Sequence[DriftItem], palette: Palette) -> Iterator[str]:
    for item, line in zip(items, palette.table([_drift_cells(item, palette) for item in items], 2), strict=True):
        yield line
        if item.note:
            yield f"      {palette.paint(palette.text(item.note), 'dim')}"


def _drift_cells(item: DriftItem, palette: Palette) -> tuple[Cell, ...]:
    key = words.key_of(item)
    sides = f"live {words.value(item.live)}, declared {words.value(item.declared)}"
    last = f", last applied {words.value(item.journalled)}" if item.kind == "changed-since" else ""
    return (
        palette.glyph("-" if item.live is None else "+" if item.declared is None else "~"),
        palette.cell(words.declared_user(key), "bold"),
        palette.cell(item.instance),
        palette.cell(words.where(key)),
        palette.cell(sides + last),
    )
