"""A plan as text: instance by instance, danger first, person by person, each line with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity
from siteward.access.model import Power
from siteward.render import words
from siteward.render.lines import Cell, Glyph, Pen, Style
from siteward.render.snippet import advice
from siteward.render.view import DANGER, Band, Fold, band, fold, sections, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siteward.access.plan import InstancePlan, Step, Stranger
    from siteward.render.sheet import Sheet

LEGEND = "+ new   ~ change   - revoke   ! high risk   ⊘ blocked   ? not declared   = held back"
NAMED = 5
BELOW = " " * 10


def plan_lines(sheet: Sheet, pen: Pen) -> Iterator[str]:
    """Yield the lines of the plan, without its total."""
    instances = sheet.report.plan.instances if sheet.report.plan else ()
    if any(each.steps for each in instances) and not (pen.options.quiet or pen.options.plain):
        yield from (pen.paint(LEGEND, "dim"), "")
    for at, instance in enumerate(instances):
        if at:
            yield ""
        yield from _instance(instance, sheet, pen)


def context_lines(sheet: Sheet, pen: Pen) -> Iterator[str]:
    """Yield what was read of each instance, what is said about it, and who is there that nobody declared."""
    for at, instance in enumerate(sheet.report.plan.instances if sheet.report.plan else ()):
        if at:
            yield ""
        yield from _known(instance, sheet, pen)
        if not pen.options.quiet:
            yield from _strangers(instance.strangers, pen)


def _known(instance: InstancePlan, sheet: Sheet, pen: Pen) -> Iterator[str]:
    yield _header(instance, pen)
    if not pen.options.quiet:
        yield f"  {pen.paint(pen.join(tuple(_knowledge(instance, pen))), 'dim')}"
    yield from _objections(instance, sheet, pen)


def _instance(instance: InstancePlan, sheet: Sheet, pen: Pen) -> Iterator[str]:
    yield from _known(instance, sheet, pen)
    if instance.steps:
        yield f"  {pen.text(words.headline(sheet.parts[instance.instance]))}"
        yield from _steps(instance.steps, sheet, pen)
    else:
        yield f"  {_unchanged(instance, sheet)}"
    if not pen.options.quiet:
        yield from _beside(instance, pen)


def _header(instance: InstancePlan, pen: Pen) -> str:
    release = " ".join(filter(None, (instance.platform, instance.version, instance.edition)))
    name = pen.paint(pen.text(instance.instance), "bold")
    return f"{name}  {pen.text(instance.origin)}  {pen.join((release, f'mode {instance.mode}'))}"


def _knowledge(instance: InstancePlan, pen: Pen) -> Iterator[str]:
    counts = (words.plural(instance.accounts, "account"), words.plural(instance.sites, "site"))
    yield f"read {', '.join(counts)}, {words.plural(instance.grants, 'grant')}"
    if instance.read_requests:
        yield words.plural(instance.read_requests, "request")
    if instance.admins_before != instance.admins_after:
        yield f"admins {instance.admins_before}{pen.arrow}{instance.admins_after}"
    if instance.requests:
        yield f"applying takes about {words.plural(instance.requests, 'request')}{_minutes(instance.seconds)}"


def _minutes(seconds: float) -> str:
    if seconds < 1:
        return ""
    return f" and {seconds:.0f} s" if seconds < 120 else f" and {seconds / 60:.0f} min"


def _unchanged(instance: InstancePlan, sheet: Sheet) -> str:
    part = sheet.parts[instance.instance]
    if instance.flawed or any(each.blocks for each in instance.diagnostics):
        return "no changes are planned while an error stands on this instance"
    if instance.held_back:
        return f"no changes in mode {instance.mode}: {len(instance.held_back)} held back"
    if part.unreadable:
        return "no changes in what could be read; not everything was"
    if part.blind:
        return "no changes in what this platform shows"
    apart = f", but for {words.plural(part.unmanaged, 'account')} not declared" if part.unmanaged else ""
    return f"no changes: live access equals the declaration{apart}"


def _objections(instance: InstancePlan, sheet: Sheet, pen: Pen) -> Iterator[str]:
    """Yield what is said about the instance as a whole; errors block all of it and come first."""
    digest = sheet.report.plan.digest if sheet.report.plan else ""
    for name in words.unread(instance):
        yield f"  {_mark('blocked', pen)} {pen.text(f'not read: {name}')}"
    for each in words.by_weight(instance.diagnostics):
        if not (each.severity or (pen.options.verbose and not pen.options.quiet)):
            continue
        mark = _mark("blocked", pen) if each.blocks else _said(each, pen)
        yield f"  {mark} {pen.text(f'{each.code}: {each.message}')}{_at(each, pen)}"
        yield from (f"      {pen.text(line)}" for line in advice(each, digest))


def _mark(name: Glyph, pen: Pen) -> str:
    cell = pen.glyph(name)
    return pen.paint(cell.text, cell.style)


def _said(said: Diagnostic, pen: Pen) -> str:
    style: Style = "yellow" if said.severity else "dim"
    return pen.paint(said.severity.word, style)


def _at(said: Diagnostic, pen: Pen) -> str:
    return f" ({pen.text(str(said.at))})" if said.at else ""


def _steps(steps: Sequence[Step], sheet: Sheet, pen: Pen) -> Iterator[str]:
    if pen.options.quiet:
        steps = [each for each in steps if band(each) in DANGER or any(one.severity for one in each.diagnostics)]
    folds, single = ((), tuple(steps)) if pen.options.verbose else fold(steps)
    lines = {each.band: _section(each.steps, sheet, pen) for each in sections(single, pen.options.group_by)}
    if folds:
        lines[Band.ROUTINE] = [*lines.get(Band.ROUTINE, ()), *_folds(folds, pen)]
    for found, part in lines.items():
        style: Style = "alarm" if found in {Band.BLOCKED, Band.RAISED} else "bold"
        yield from ("", f"  {pen.paint(found.heading, style)}", *part)


def _section(steps: Sequence[Step], sheet: Sheet, pen: Pen) -> list[str]:
    """Return one line a step, whole and aligned; the cause stands beneath where it does not fit beside."""
    rows = [_row(each, pen) for each in steps]
    lines: list[str] = []
    whole, short = pen.table(rows, 4), pen.table([each[:-1] for each in rows], 4)
    for step, row, beside, line, start in zip(steps, rows, pen.fits(rows, 4), whole, short, strict=True):
        lines.append(line if beside else start)
        if not beside and row[-1].text:
            lines.append(f"{BELOW}{pen.paint(row[-1].text, row[-1].style)}")
        lines += (f"{BELOW}{each}" for each in _remarks(step, sheet, pen))
    return lines


def _row(step: Step, pen: Pen) -> tuple[Cell, ...]:
    """Return one step as cells: its signs, who, what it touches, how it moves, why."""
    blocked, high = step.blocked, step.risk == "high" or step.raises
    flag = pen.glyph("blocked") if blocked else pen.glyph("high") if high else Cell(" ")
    shape = pen.glyph(_glyph(step))
    signs = Cell(f"{flag.text} {shape.text}", flag.style or shape.style)
    who = pen.cell(words.title(step), "bold")
    what = pen.cell(words.subject_of_change(step.change))
    move = pen.cell(words.movement(step.change, pen.arrow), "bold" if high else "")
    first, second = (what, who) if pen.options.group_by == "site" else (who, what)
    return signs, first, second, move, Cell(_why(step, pen), "dim")


def _glyph(step: Step) -> Glyph:
    shapes: dict[str, Glyph] = {"+": "+", "~": "~", "-": "-"}
    return shapes[sign(step)]


def _why(step: Step, pen: Pen) -> str:
    outside = ("outsider",) if step.outsider else ()
    return pen.join((words.spot(step), *words.because(step), *outside))


def _remarks(step: Step, sheet: Sheet, pen: Pen) -> Iterator[str]:
    """Yield what is said about one step: objections, then what the platform will do besides."""
    digest = sheet.report.plan.digest if sheet.report.plan else ""
    for each in words.by_weight(step.diagnostics):
        if each.severity is Severity.NOTE and each.effect is None and not pen.options.verbose:
            continue
        if each.severity is Severity.NOTE and pen.options.quiet:
            continue
        yield f"{_said(each, pen)} {pen.text(f'{each.code}: {each.message}')}{_at(each, pen)}"
        yield from (f"  {pen.text(line)}" for line in advice(each, digest))
    if pen.options.verbose:
        after = f"after {', '.join(step.depends_on)}" if step.depends_on else ""
        risks = f"{words.RISKS[step.risk]}{': ' if step.risks else ''}{', '.join(step.risks)}"
        yield pen.paint(pen.join((f"step {step.id}", risks, after)), "dim")


def _folds(folds: Iterable[Fold], pen: Pen) -> Iterator[str]:
    for each in folds:
        step = each.steps[0]
        noun = {"grant": "grant", "member": "membership"}.get(step.change.key[0], "change")
        who, where = _few(each.people, "person", "people"), _few(each.places, "place", "places")
        shape = pen.glyph(_glyph(step))
        told = pen.text(
            f"{words.movement(step.change, pen.arrow)}: {words.plural(len(each.steps), noun)}, {who} on {where}"
        )
        yield f"      {pen.paint(shape.text, shape.style)}  {told}"
        yield f"{BELOW}{pen.paint(_why(step, pen), 'dim')}"
    yield f"      {pen.paint('equal lines are folded; -v lists them', 'dim')}"


def _few(names: Sequence[str], one: str, many: str) -> str:
    return ", ".join(names) if len(names) <= NAMED else words.plural(len(names), one, many)


def _beside(instance: InstancePlan, pen: Pen) -> Iterator[str]:
    """Yield what is known and not acted on: held back, waiting, strangers, blind spots."""
    if instance.held_back:
        yield from ("", f"  {pen.paint(f'Held back by mode {instance.mode}', 'bold')}")
        rows = [(pen.glyph("held"), *_row(each, pen)[1:]) for each in instance.held_back]
        yield from _shorten(pen.table(rows, 6), pen)
    if instance.waiting:
        yield from ("", f"  {pen.paint('Waiting for acceptance', 'bold')}")
        rows_ = [(Cell(""), pen.cell(words.holder(key)), pen.cell(words.where(key))) for key in instance.waiting]
        yield from _shorten(pen.table(rows_, 6), pen)
    yield from _strangers(instance.strangers, pen)
    hidden = [each for each in instance.blind_spots if each not in instance.accepted_blind]
    for name, how in ((hidden, "cannot be seen"), (instance.accepted_blind, "cannot be seen, accepted")):
        if name:
            yield "  " + pen.paint(pen.text(f"{how}: {', '.join(name)}"), "dim")


def _shorten(lines: Sequence[str], pen: Pen) -> Iterator[str]:
    """Yield all lines, or without -v the first few and how many more there are."""
    keep = len(lines) if pen.options.verbose or len(lines) <= 2 * NAMED else 2 * NAMED
    yield from lines[:keep]
    if keep < len(lines):
        yield f"      {pen.paint(f'and {len(lines) - keep} more, listed with -v', 'dim')}"


def _strangers(strangers: Sequence[Stranger], pen: Pen) -> Iterator[str]:
    """Yield the accounts nobody declared: those in power are always named, ignored ones only then."""
    shown = sorted((each for each in strangers if not each.ignored or each.power >= Power.MANAGE), key=_by_power)
    if not shown:
        return
    yield from ("", f"  {pen.paint('Live but not declared', 'bold')}")
    mighty = sum(each.power >= Power.MANAGE for each in shown)
    keep = len(shown) if pen.options.verbose else max(mighty, 2 * NAMED)
    yield from pen.table([_stranger(each, pen) for each in shown[:keep]], 6)
    if keep < len(shown):
        yield f"      {pen.paint(f'and {len(shown) - keep} more without power, listed with -v', 'dim')}"


def _by_power(stranger: Stranger) -> tuple[int, str]:
    return -stranger.power, stranger.name


def _stranger(stranger: Stranger, pen: Pen) -> tuple[Cell, ...]:
    facts = (f"{name} {fact}" for name, fact in sorted(stranger.facts.items()))
    known = pen.join((words.plural(stranger.grants, "grant"), "ignored" if stranger.ignored else "", *facts))
    named = (
        f"{stranger.name} <{stranger.email}>" if stranger.email and stranger.email != stranger.name else stranger.name
    )
    style: Style = "alarm" if stranger.power >= Power.ADMIN else ""
    return pen.glyph("undeclared"), pen.cell(named), Cell(stranger.power.word, style), Cell(known, "dim")
