"""For people, in a terminal or a log.

One text for every verb: what was said about the file, the plan, what became of it, the drift, then one summary,
the digest and where to go next. Lines are never cut; a long one is left to the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, Severity
from siteward.render import words
from siteward.render.lines import Pen, Style
from siteward.render.snippet import advice, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.plan import Plan
    from siteward.render.sheet import Sheet

BLIND = "name under `accept_blind` of the instance what its platform can never show, then siteward plan"
STYLES: dict[Severity, Style] = {Severity.ERROR: "alarm", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def render(sheet: Sheet) -> str:
    """Return the report as text that ends with a line break."""
    pen = Pen(sheet.options)
    parts = (_diagnostics(sheet, pen), _before(sheet, pen), *_after(sheet, pen), _tail(sheet, pen))
    blocks = ["\n".join(lines) for part in parts if (lines := list(part))]
    return pen.page(("\n\n".join(blocks),))


def _before(sheet: Sheet, pen: Pen) -> Iterable[str]:
    """Return what is told of the instances: the plan, or for drift only what it was read from."""
    if sheet.report.plan is None or sheet.report.outcomes:
        return ()
    from siteward.render.text_plan import context_lines, plan_lines  # noqa: PLC0415 — `validate` has no plan to show

    return context_lines(sheet, pen) if sheet.report.command == "drift" else plan_lines(sheet, pen)


def _after(sheet: Sheet, pen: Pen) -> tuple[Iterable[str], ...]:
    """Return what became of the steps, what no longer fits, and the drift."""
    if not (sheet.report.outcomes or sheet.report.drift or sheet.report.stale):
        return ()
    from siteward.render.text_run import drift_lines, outcome_lines  # noqa: PLC0415 — see above

    return outcome_lines(sheet, pen), drift_lines(sheet, pen)


def _diagnostics(sheet: Sheet, pen: Pen) -> Iterator[str]:
    said = [each for each in sheet.report.diagnostics if each.severity or sheet.options.verbose]
    if sheet.report.plan:
        said += [each for each in sheet.report.plan.diagnostics if each.severity or sheet.options.verbose]
    for at, each in enumerate(words.by_weight(said)):
        lines = _in_short(each, pen) if sheet.options.quiet else _in_full(each, sheet, pen)
        if at and not sheet.options.quiet:
            yield ""
        yield from lines


def _in_short(said: Diagnostic, pen: Pen) -> Iterator[str]:
    at = f"{said.at}: " if said.at else ""
    yield pen.text(f"{at}{said.severity.word} {said.code}: {words.told(said)}")


def _in_full(said: Diagnostic, sheet: Sheet, pen: Pen) -> Iterator[str]:
    kind = pen.paint(said.severity.word, STYLES[said.severity])
    yield f"{kind} {pen.paint(pen.text(said.code), 'bold')}: {pen.text(words.told(said))}"
    shown = excerpt(said.at, sheet.report.texts) if said.at else None
    help_ = [pen.text(each) for each in advice(said, _digest(sheet))]
    plain = sheet.options.plain
    corner, bar, foot, caret = ("-->", "|", "=", "^") if plain else ("╭─", "│", "╰─", "^")
    gutter = len(str(shown.lines[-1][0])) if shown else 1
    if said.at:
        yield f"{' ' * gutter} {corner} {pen.text(str(said.at))}"
    if shown:
        for number, line in shown.lines:
            yield f"{number:>{gutter}} {bar} {line}".rstrip()
        first = help_.pop(0) if help_ else ""
        under = pen.paint(caret * shown.length, STYLES[said.severity])
        yield f"{' ' * gutter} {bar} {' ' * shown.start}{under} {first}".rstrip()
    also = [f"see also {each}" for each in map(str, said.related)]
    for line in (*help_, *map(pen.text, also)):
        yield f"{' ' * gutter} {foot} {line}"


def _digest(sheet: Sheet) -> str:
    return sheet.report.plan.digest if sheet.report.plan else ""


def _tail(sheet: Sheet, pen: Pen) -> Iterator[str]:
    report, numbers = sheet.report, sheet.summary
    if report.plan and not numbers.outcomes and report.command != "drift":
        yield from _total(report.plan, sheet, pen)
    elif numbers.outcomes:
        yield f"{pen.paint('Result:', 'bold')} {pen.text(words.results(numbers))}."
    if report.command == "drift" or numbers.drift:
        yield f"{pen.paint('Drift:', 'bold')} {pen.text(words.drifted(numbers))}."
    if report.command == "validate" or numbers.errors or numbers.warnings:
        yield _found(sheet)
    if report.journal:
        head = f"  head {report.journal_head}" if report.journal_head else ""
        yield pen.text(f"journal {report.journal}{head}")
    if pen.options.goes_on:
        return
    if (onward := report.next or _fallback(sheet)) and (sheet.code or report.next):
        yield f"{pen.paint('next:', 'bold')} {pen.text(onward)}"
    if sheet.code or report.command != "show":
        yield pen.paint(f"exit {sheet.code} ({words.verdict(sheet.code)})", "dim")


def _found(sheet: Sheet) -> str:
    counted = sheet.report.files and sheet.report.command == "validate"
    files = f" in {words.plural(sheet.report.files, 'file')}" if counted else ""
    valid = "valid: " if sheet.report.command == "validate" and not sheet.summary.errors else ""
    return f"{valid}{words.findings(sheet.summary)}{files}"


def _total(plan: Plan, sheet: Sheet, pen: Pen) -> Iterable[str]:
    yield f"{pen.paint('Plan:', 'bold')} {pen.text(words.headline(sheet.summary))}."
    for parts in (words.consequences(sheet.summary), words.leftovers(sheet.summary)):
        if parts:
            yield f"      {pen.join(parts)}"
    commit = f"commit {words.commit(plan)}" if plan.commit else ""
    yield pen.join((plan.digest, f"as of {words.moment(plan.as_of)}", commit))


def _fallback(sheet: Sheet) -> str:
    """Return where to go where the verb did not say: no exit but 0 leaves people without a way on."""
    command = sheet.report.command
    return {
        1: f"mend what is named above, then siteward {command}",
        2: "siteward apply" if command == "plan" else "siteward plan",
        3: "mend what is blocked, or accept it by name; then siteward plan",
        4: BLIND if sheet.summary.blind and not sheet.report.stale else "siteward plan",
        5: "siteward apply --resume",
        130: "siteward apply --resume" if sheet.report.applied else f"siteward {command}",
    }.get(sheet.code, "")
