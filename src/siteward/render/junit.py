"""Renders a report as JUnit XML for test tabs: errors and drift are failed cases; without any, one case passes.

Elements and attributes are those that both common schemas take, and all that either demands: `junit-10.xsd` of Jenkins'
xUnit plugin, and Ant's by windyroad. The latter knows no output of a single case, so what is no failure is told in that
of the suite.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from siteward.access.diagnostic import Severity
from siteward.render import words
from siteward.render.findings import Finding, collect
from siteward.render.safe import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.render.context import RenderContext


def render(context: RenderContext) -> str:
    """Return one test suite for the command, with the run's numbers as its properties."""
    told: list[str] = []
    cases = list(_cases(context, told))
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", _suite_attributes(context, cases))
    properties = SubElement(suite, "properties")
    for name, value in _totals(context):
        SubElement(properties, "property", {"name": name, "value": value})
    suite.extend(cases)
    SubElement(suite, "system-out").text = "\n\n".join(told)
    SubElement(suite, "system-err").text = ""
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite_attributes(context: RenderContext, cases: Sequence[Element]) -> dict[str, str]:
    """Return the attributes of the suite; `localhost` is what Ant's schema asks for where no host is to be named."""
    plan, failed = context.report.plan, sum(case.find("failure") is not None for case in cases)
    moment = context.options.moment or (plan.created if plan else None)
    attributes = {
        "name": f"siteward {show(context.report.command)}",
        "tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0", "time": "0",
        "hostname": "localhost", "package": "siteward", "id": "0",
    }  # fmt: skip
    if moment is not None:
        attributes["timestamp"] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return attributes


def _cases(context: RenderContext, told: list[str]) -> Iterator[Element]:
    """Yield the cases; the texts of those that pass are added to `told`."""
    findings = collect(context)
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        # Cases are identified by class and name, so these have neither the place nor the number of equal findings.
        name = show(finding.name)
        seen[finding.rule, name] += 1
        number = seen[finding.rule, name]
        yield _build_case(finding, name if number == 1 else f"{name} ({number})", told)
    if not any(map(_fails, findings)):
        yield Element("testcase", {"classname": "siteward", "name": context.verdict, "time": "0"})


def _fails(finding: Finding) -> bool:
    """Return whether a finding fails its case: an error does, and so does real drift."""
    return finding.severity is Severity.ERROR or (
        finding.rule.startswith("drift-") and finding.severity is Severity.WARNING
    )


def _build_case(finding: Finding, name: str, told: list[str]) -> Element:
    """Return a finding as a case; its place is in the text, since common schemas have no attribute for it.

    The text of one that passes is added to `told`.
    """
    place = f"{finding.at.file}:{finding.at.line}" if finding.at else ""
    case = Element("testcase", {"classname": show(finding.rule), "name": name, "time": "0"})
    text = "\n".join(map(show, filter(None, (place, finding.message, *finding.help))))
    if _fails(finding):
        SubElement(case, "failure", {"message": show(finding.message), "type": show(finding.rule)}).text = text
    else:
        told.append(f"{finding.severity.word} {show(finding.rule)}\n{text}")
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
