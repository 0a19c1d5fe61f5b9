"""Renders a report as text for a terminal or a log.

Every command has the same order: diagnostics, the plan or its outcomes, the drift, then the summary, the digest and the
next step. Lines are never cut or wrapped; that is left to the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity, plural
from siteward.render import words
from siteward.render.lines import Palette, Style
from siteward.render.safe import advice, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.plan import Plan
    from siteward.render.context import RenderContext

BLIND = "name under `accept_blind` of the instance what its platform can never show, then siteward plan"
STYLES: dict[Severity, Style] = {Severity.ERROR: "alarm", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def render(context: RenderContext) -> str:
    """Return the report as text that ends with a line break."""
    palette = Palette(context.options)
    parts = (
        _diagnostic_lines(context, palette),
        _plan_part(context, palette),
        *_outcome_parts(context, palette),
        _summary_lines(context, palette),
    )
    blocks = ["\n".join(lines) for part in parts if (lines := list(part))]
    return palette.page(("\n\n".join(blocks),))


def _plan_part(context: RenderContext, palette: Palette) -> Iterable[str]:
    """Return the lines of the plan; for drift only those about the instances that were read."""
    if context.report.plan is None or context.report.outcomes:
        return ()
    from siteward.render.text_plan import context_lines, plan_lines  # noqa: PLC0415 — `validate` has no plan to show

    return context_lines(context, palette) if context.report.command == "drift" else plan_lines(context, palette)


def _outcome_parts(context: RenderContext, palette: Palette) -> tuple[Iterable[str], ...]:
    """Return the lines of the outcomes, with what no longer fits, and those of the drift."""
    if not (context.report.outcomes or context.report.drift or context.report.stale):
        return ()
    from siteward.render.text_plan import drift_lines, outcome_lines  # noqa: PLC0415 — see above

    return outcome_lines(context, palette), drift_lines(context, palette)


def _diagnostic_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    notes = context.options.verbose or context.report.command in {
        "validate",
        "journal",
        "evidence",
    }  # a file is all there is
    shown = [diagnostic for diagnostic in context.diagnostics if diagnostic.severity or notes]
    for number, diagnostic in enumerate(words.by_weight(shown)):
        lines = (
            _diagnostic_in_short(diagnostic, palette)
            if context.options.quiet
            else _diagnostic_in_full(diagnostic, context, palette)
        )
        if number and not context.options.quiet:
            yield ""
        yield from lines


def _diagnostic_in_short(said: Diagnostic, palette: Palette) -> Iterator[str]:
    at = f"{said.at}: " if said.at else ""
    yield palette.text(f"{at}{said.severity.word} {said.code}: {words.told(said)}")


def _diagnostic_in_full(said: Diagnostic, context: RenderContext, palette: Palette) -> Iterator[str]:
    kind = palette.paint(said.severity.word, STYLES[said.severity])
    yield f"{kind} {palette.paint(palette.text(said.code), 'bold')}: {palette.text(words.told(said))}"
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
    for line in (*help_, *map(palette.text, also)):
        yield f"{' ' * gutter} {foot} {line}"


def _summary_lines(context: RenderContext, palette: Palette) -> Iterator[str]:
    report, numbers = context.report, context.summary
    if report.plan and not numbers.outcomes and report.command != "drift":
        yield from _plan_total(report.plan, context, palette)
    elif numbers.outcomes:
        yield f"{palette.paint('Result:', 'bold')} {palette.text(words.results(numbers))}."
    if report.command == "drift" or numbers.drift:
        yield f"{palette.paint('Drift:', 'bold')} {palette.text(words.drifted(numbers))}."
        yield from (f"      {palette.text(phrase)}" for phrase in words.dates(report))
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
    for parts in (words.consequences(context.summary), words.leftovers(context.summary)):
        if parts:
            yield f"      {palette.join(parts)}"
    commit = f"commit {words.commit(plan)}" if plan.commit else ""
    yield palette.join((plan.digest, f"as of {words.moment(plan.as_of)}", commit))


def _after_differences(context: RenderContext) -> str:
    """Return the next step after differences: what does them, or whose they are where no step of a plan does."""
    report = context.report
    if report.plan is not None and not any(instance.steps for instance in report.plan.instances):
        differing = {said.code for instance in report.plan.instances for said in instance.diagnostics if said.differs}
        if differing == {"account-not-there"} and not any(item.differs for item in report.drift):
            return "siteward plan, once the accounts that are named above have been made"
        return "declare what differs, or take it away on the platform: no plan changes it"
    return "siteward apply" if report.command == "plan" else "siteward plan"


def _default_next(context: RenderContext) -> str:
    """Return the next step where the command named none; only exit code 0 has none."""
    command = context.report.command
    return {
        1: f"fix what is named above, then siteward {command}",
        2: _after_differences(context),
        3: "fix what is blocked, or override it with `--accept NAME=DIGEST --reason`; then siteward plan",
        4: BLIND if context.summary.blind and not context.report.stale else "siteward plan",
        5: "siteward apply --resume",
        130: "siteward apply --resume" if context.report.applied else f"siteward {command}",
    }.get(context.code, "")
