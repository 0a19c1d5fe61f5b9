"""JUnit XML, for test tabs: each error a failed case, each piece of drift too; nothing to say is one case that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from siteward.access.diagnostic import Severity
from siteward.render import words
from siteward.render.findings import Finding, collect
from siteward.render.safe import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.render.sheet import Sheet


def render(sheet: Sheet) -> str:
    """Return one test suite for the verb, with the run's numbers as its properties."""
    cases = list(_cases(sheet))
    failed = sum(each.find("failure") is not None for each in cases)
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0"}
    root = Element("testsuites", counts)
    suite = SubElement(root, "testsuite", {"name": f"siteward {show(sheet.report.command)}", **counts, "skipped": "0"})
    properties = SubElement(suite, "properties")
    for name, value in _totals(sheet):
        SubElement(properties, "property", {"name": name, "value": value})
    suite.extend(cases)
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _cases(sheet: Sheet) -> Iterator[Element]:
    found = collect(sheet)
    for each in found:
        yield _case(each, failed=_fails(each))
    if not any(map(_fails, found)):
        yield Element("testcase", {"classname": "siteward", "name": words.verdict(sheet.code)})


def _fails(finding: Finding) -> bool:
    """Tell whether a finding fails its case: an error does, and drift that nobody declared or applied."""
    return finding.severity is Severity.ERROR or (
        finding.rule.startswith("drift-") and finding.severity is Severity.WARNING
    )


def _case(finding: Finding, *, failed: bool) -> Element:
    place = f"{finding.at.file}:{finding.at.line}" if finding.at else ""
    # A case is told from another by class and name: the subject is in both, the place is not.
    case = Element("testcase", {"classname": show(finding.rule), "name": show(finding.message)})
    if finding.at:
        case.set("file", show(finding.at.file))
        case.set("line", str(finding.at.line))
    text = "\n".join(map(show, filter(None, (place, finding.message, *finding.help))))
    told = SubElement(case, "failure" if failed else "system-out")
    if failed:
        told.set("message", show(finding.message))
        told.set("type", show(finding.rule))
    told.text = text
    return case


def _totals(sheet: Sheet) -> Iterator[tuple[str, str]]:
    yield "exit_code", str(sheet.code)
    yield "findings", words.findings(sheet.summary)
    if sheet.report.plan:
        yield "plan", words.headline(sheet.summary)
    if sheet.summary.drift:
        yield "drift", words.drifted(sheet.summary)
    if sheet.summary.outcomes:
        yield "outcomes", words.results(sheet.summary)
