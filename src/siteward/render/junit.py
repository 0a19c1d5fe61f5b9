"""Renders a report as JUnit XML for test tabs: errors and drift are failed cases; without any, one case passes.

Elements and attributes are those that the schemas of Jenkins (`junit-10.xsd`) and Surefire have in common.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from siteward.access.diagnostic import Severity
from siteward.render import words
from siteward.render.findings import Finding, collect
from siteward.render.safe import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.render.context import RenderContext


def render(context: RenderContext) -> str:
    """Return one test suite for the command, with the run's numbers as its properties."""
    cases = list(_cases(context))
    failed = sum(case.find("failure") is not None for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0"}
    root = Element("testsuites", counts)
    suite = SubElement(
        root, "testsuite", {"name": f"siteward {show(context.report.command)}", **counts, "skipped": "0"}
    )
    properties = SubElement(suite, "properties")
    for name, value in _totals(context):
        SubElement(properties, "property", {"name": name, "value": value})
    suite.extend(cases)
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _cases(context: RenderContext) -> Iterator[Element]:
    findings = collect(context)
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        # Cases are identified by class and name, so these have neither the place nor the number of equal findings.
        name = show(finding.name)
        seen[finding.rule, name] += 1
        number = seen[finding.rule, name]
        yield _build_case(finding, name if number == 1 else f"{name} ({number})", failed=_fails(finding))
    if not any(map(_fails, findings)):
        yield Element("testcase", {"classname": "siteward", "name": context.verdict, "time": "0"})


def _fails(finding: Finding) -> bool:
    """Return whether a finding fails its case: an error does, and so does real drift."""
    return finding.severity is Severity.ERROR or (
        finding.rule.startswith("drift-") and finding.severity is Severity.WARNING
    )


def _build_case(finding: Finding, name: str, *, failed: bool) -> Element:
    """Return a finding as a case; its place is in the text, since common schemas have no attribute for it."""
    place = f"{finding.at.file}:{finding.at.line}" if finding.at else ""
    case = Element("testcase", {"classname": show(finding.rule), "name": name, "time": "0"})
    text = "\n".join(map(show, filter(None, (place, finding.message, *finding.help))))
    body = SubElement(case, "failure" if failed else "system-out")
    if failed:
        body.set("message", show(finding.message))
        body.set("type", show(finding.rule))
    body.text = text
    return case


def _totals(context: RenderContext) -> Iterator[tuple[str, str]]:
    yield "exit_code", str(context.code)
    yield "findings", words.findings(context.summary)
    if context.report.plan:
        yield "plan", words.headline(context.summary)
        if known := words.standing(context.report, context.summary):
            yield "standing", show(known)
        if (needs := words.needs(context.report.plan)) and context.report.command in {"plan", "show"}:
            yield "needs", show(needs)
    if context.summary.drift:
        yield "drift", words.drifted(context.summary)
    if context.summary.outcomes:
        yield "outcomes", words.results(context.summary)
