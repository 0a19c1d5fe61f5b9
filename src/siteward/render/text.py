"""Renders a report as text for a terminal or a log.

Every command has the same order: diagnostics, the plan or its outcomes, the drift, then the summary, the digest and the
next step. Lines are never cut or wrapped; that is left to the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity, plural
from siteward.render import words
from siteward.render.lines import Palette, Style
from siteward.render.repeats import Occurrence, Told, tell_once
from siteward.render.safe import advice, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.plan import Plan
    from siteward.render.context import RenderContext

BLIND = "name under `accept_blind` of the instance what its platform can never show, then siteward plan"
STYLES: dict[Severity, Style] = {Severity.ERROR: "alarm", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


_ALL_SAID = frozenset({"validate", "journal", "evidence"})
"""The commands that speak of files alone, so that notes are their answer."""


def render(context: RenderContext) -> str:
    """Return the report as text that ends with a line break."""
    palette = Palette(context.options)
    parts = (
        _diagnostic_lines(context, palette),
        *_plan_parts(context, palette),
        _summary_lines(context, palette),
    )
    lines: list[str] = []
    for part in parts:
        block = list(part)
        lines += ["", *block] if lines and block else block
    return palette.page(lines)


def _plan_parts(context: RenderContext, palette: Palette) -> tuple[Iterable[str], ...]:
    """Return the lines of the plan, else of the outcomes with what no longer fits; for drift those of the drift."""
    report = context.report
    if report.plan is None and not (report.outcomes or report.drift):
        return ()
    from siteward.render import text_plan  # noqa: PLC0415 — `validate` has no plan to show

    outcomes = text_plan.outcome_lines(context, palette), text_plan.drift_lines(context, palette)
    if report.plan is None or report.outcomes:
        return outcomes
    if report.command != "drift":
        return text_plan.plan_lines(context, palette), *outcomes
    return (
        text_plan.head_lines(context, palette),
        *outcomes,
        text_plan.objection_lines(context, palette),
        text_plan.reported_lines(context, palette),
    )


def _diagnostic_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    notes = context.options.verbose or context.report.command in _ALL_SAID
    shown = (said for said in words.by_weight(context.diagnostics) if notes or words.is_told(said))
    for number, told in enumerate(tell_once(map(Occurrence, shown))):
        lines = (
            _diagnostic_in_short(told, palette)
            if context.options.quiet
            else _diagnostic_in_full(told, context, palette)
        )
        if number and not context.options.quiet:
            yield ""
        yield from lines


def _diagnostic_in_short(told: Told, palette: Palette) -> Iterator[str]:
    said, in_all = told.said, told.in_all()
    at = f"{said.at}: " if said.at else ""
    more = f" ({in_all})" if in_all else ""
    yield palette.text(f"{at}{said.severity.word} {said.code}: {told.where}{said.message}{more}")


def _diagnostic_in_full(told: Told, context: RenderContext, palette: Palette) -> Iterator[str]:
    said = told.said
    kind = palette.paint(said.severity.word, STYLES[said.severity])
    message = f"{told.where}{said.message}"
    yield f"{kind} {palette.paint(palette.text(said.code), 'bold')}: {palette.text(message)}"
    shown = excerpt(said.at, context.report.texts) if said.at else None
    help_ = [palette.text(text) for text in advice(said, context.digest)]
    plain = context.options.plain
    corner, bar, foot, caret = ("-->", "|", "=", "^") if plain else ("╭─", "│", "╰─", "^")
    gutter = len(str(shown.lines[-1][0])) if shown else 1
    if said.at:
        yield f"{' ' * gutter} {corner} {palette.text(str(said.at))}"
    if shown:
        for number, line in shown.lines:
            yield f"{number:>{gutter}} {bar} {line}".rstrip()
        first = help_.pop(0) if help_ else ""
        under = palette.paint(caret * shown.length, STYLES[said.severity])
        yield f"{' ' * gutter} {bar} {' ' * shown.start}{under} {first}".rstrip()
    also = [f"see also {place}" for place in said.related]
    for line in (*help_, *map(palette.text, (*also, *told.more(every=context.options.verbose)))):
        yield f"{' ' * gutter} {foot} {line}"


def _summary_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    report, numbers = context.report, context.summary
    if report.plan and not numbers.outcomes and report.command != "drift":
        yield from _plan_total(report.plan, context, palette)
    elif numbers.outcomes:
        yield f"{palette.paint('Result:', 'bold')} {palette.text(words.results(numbers))}."
    if report.command == "drift" or numbers.drift:
        yield f"{palette.paint('Drift:', 'bold')} {palette.text(words.drifted(numbers))}."
        if report.plan:
            yield f"      {palette.join(_standing(context))}".rstrip()
    if report.command == "validate" or numbers.errors or numbers.warnings:
        yield _count_findings(context)
    if report.journal:
        head = f"  head {report.journal_head}" if report.journal_head else ""
        yield palette.text(f"journal {report.journal}{head}")
    if palette.options.goes_on:
        return
    if (onward := report.next or _default_next(context)) and (context.code or report.next):
        yield f"{palette.paint('next:', 'bold')} {palette.text(onward)}"
    if context.code or report.command != "show":
        yield palette.paint(f"exit {context.code} ({context.verdict})", "dim")


def _count_findings(context: RenderContext) -> str:
    counted = context.report.files and context.report.command == "validate"
    files = f" in {plural(context.report.files, 'file')}" if counted else ""
    valid = "valid: " if context.report.command == "validate" and not context.summary.errors else ""
    return f"{valid}{words.findings(context.summary)}{files}"


def _plan_total(plan: Plan, context: RenderContext, palette: Palette) -> Iterable[str]:
    mark = f" ({words.partial(plan)})" if plan.only else ""
    yield f"{palette.paint(f'Plan{mark}:', 'bold')} {palette.text(words.headline(context.summary))}."
    for parts in (words.consequences(context.summary), words.leftovers(context.summary), _standing(context)):
        if parts:
            yield f"      {palette.join(parts)}"
    if needs := words.needs(plan):
        yield f"{palette.paint('Apply needs:', 'bold')} {palette.text(needs)}"
    commit = f"commit {words.commit(plan)}" if plan.commit else ""
    yield palette.join((plan.digest, f"as of {words.moment(plan.as_of)}", commit))


def _standing(context: RenderContext) -> tuple[str, ...]:
    """Return how much is declared, and for which moment dates were last carried out."""
    return tuple(filter(None, (words.coverage(context.summary), *words.dates(context.report))))


def _after_differences(context: RenderContext) -> str:
    """Return the next step after differences: what does them, or whose they are where no step of a plan does."""
    report = context.report
    if report.plan is not None and not any(instance.steps for instance in report.plan.instances):
        differing = {said.code for instance in report.plan.instances for said in instance.diagnostics if said.differs}
        if differing == {"account-not-there"} and not any(item.differs for item in report.drift):
            return "siteward plan, once the accounts that are named above have been made"
        return "declare what differs, or take it away on the platform: no plan changes it"
    return "siteward apply" if report.command == "plan" else "siteward plan"


def _after_unread(context: RenderContext) -> str:
    """Return the next step where something is stale, was not read or was not checked."""
    if context.summary.blind and not context.report.stale:
        return BLIND
    if context.report.command in {"evidence", "journal", "review"}:
        return f"see to what is named above, then siteward {context.report.command}"
    return "siteward plan"


def _default_next(context: RenderContext) -> str:
    """Return the next step where the command named none; only exit code 0 has none."""
    command = context.report.command
    return {
        1: f"fix what is named above, then siteward {command}",
        2: _after_differences(context),
        3: "fix what is blocked, or override it where its line says how; then siteward plan",
        4: _after_unread(context),
        5: "siteward apply --resume",
        130: "siteward apply --resume" if context.report.applied else f"siteward {command}",
    }.get(context.code, "")
