"""Renders findings as annotations in a GitHub Actions log: workflow commands, the most severe first.

GitHub shows ten annotations of a kind for each step; the number of the others is written in one plain line. Escaped
are `%`, carriage return and line feed in values, and also `:` and `,` in properties (docs.github.com, workflow
commands).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity
from siteward.render import words
from siteward.render.findings import Finding, collect
from siteward.render.safe import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.render.context import RenderContext

PER_KIND = 10
_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(context: RenderContext) -> str:
    """Return one workflow command in each line, then the totals as plain lines of the log."""
    findings = collect(context)
    lines: list[str] = []
    for severity, kind in _KINDS.items():
        same = [finding for finding in findings if finding.severity is severity]
        lines += (_command(kind, finding) for finding in islice(same, PER_KIND))
        if len(same) > PER_KIND:
            lines.append(f"siteward: {len(same) - PER_KIND} more of kind {kind}: see the whole report")
    return "\n".join((*lines, *_totals(context))) + "\n"


def _command(kind: str, finding: Finding) -> str:
    properties = ",".join(f"{name}={_escape_property(value)}" for name, value in _properties(finding))
    message = "\n".join(map(show, (finding.message, *finding.help)))
    return f"::{kind} {properties}::{_escape_value(message)}"


def _properties(finding: Finding) -> Iterator[tuple[str, str]]:
    at = finding.at
    if at:
        yield "file", show(at.file)
        yield "line", str(at.line)
        if at.end_line in {0, at.line}:  # columns of several lines are refused
            yield "col", str(at.column)
            if at.end_column > at.column:
                yield "endColumn", str(at.end_column - 1)
        else:
            yield "endLine", str(at.end_line)
    yield "title", show(finding.rule)


def _escape_value(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_value(text).replace(":", "%3A").replace(",", "%2C")


def _totals(context: RenderContext) -> Iterator[str]:
    yield f"siteward: {words.findings(context.summary)}, exit {context.code}"
    if context.report.plan:
        yield f"siteward: {words.headline(context.summary)}"
        if known := words.standing(context.report, context.summary):
            yield show(f"siteward: {known}")
        if (needs := words.needs(context.report.plan)) and context.report.command in {"plan", "show"}:
            yield show(f"siteward: apply needs {needs}")
    if context.summary.outcomes:
        yield f"siteward: {words.results(context.summary)}"
    if context.summary.drift:
        yield f"siteward: {words.drifted(context.summary)}"
