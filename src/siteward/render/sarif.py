"""Renders findings as SARIF 2.1.0 for code scanning, each on the YAML line that causes it.

The document is the subset that GitHub reads: rules, results with one physical location, fingerprints. Equal findings are
one result, with the number of them and the other places. GitHub accepts at
most 25 000 results in a run and shows the first 5 000, so the most urgent come first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from siteward import __version__
from siteward.access.catalog import RULES, rule_name, sentence
from siteward.access.codec import encode_summary
from siteward.access.diagnostic import Severity, Span
from siteward.render.findings import Finding, anchor, collect, collect_waived, fingerprints
from siteward.render.safe import show

if TYPE_CHECKING:
    from siteward.render.context import RenderContext

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST, MOST_RELATED = 25_000, 100
HOME = "pkg:pypi/siteward"
"""The address of the program: a package URL, whose subpath leads to its documents."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render(context: RenderContext) -> str:
    """Return one SARIF log with one run."""
    findings = (*collect(context), *collect_waived(context))
    kept = findings[:MOST]
    rules = tuple(dict.fromkeys(finding.rule for finding in kept))
    index_of = {rule: index for index, rule in enumerate(rules)}
    identified, top = zip(kept, fingerprints(kept), strict=True), anchor(context)
    run = {
        "tool": {"driver": _driver(rules)},
        "automationDetails": {"id": f"siteward/{context.report.command}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The folder of the root file's repository."}}},
        "results": [
            _result(finding, finding.at or top, index_of[finding.rule], fingerprint)
            for finding, fingerprint in identified
        ],
        "properties": {
            "exitCode": context.code,
            "summary": encode_summary(context.summary),
            "omitted": len(findings) - len(kept),
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _driver(rules: tuple[str, ...]) -> dict[str, object]:
    return {
        "name": "siteward",
        "fullName": f"siteward {__version__}",
        "version": __version__,
        "informationUri": HOME,
        "rules": [_rule(rule) for rule in rules],
    }


def _rule(code: str) -> dict[str, object]:
    """Return a rule as the catalogue describes it; one of the owners' policy has its id for a sentence."""
    rule = RULES.get(code)
    step = rule.step if rule else "look at `policy.rules` in the file, where this rule of your own stands"
    described: dict[str, object] = {
        "id": show(code),
        "name": rule_name(code),
        "shortDescription": {"text": _escape_message(code.replace("-", " "))},
        "fullDescription": {"text": _escape_message(sentence(code))},
        "help": {"text": _escape_message(f"Next: {step}")},
        "helpUri": f"{HOME}#docs/rules.md",
    }
    if rule and rule.formerly:
        described["deprecatedIds"] = [rule.formerly]
    return described


def _result(finding: Finding, at: Span, rule: int, fingerprint: str) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": show(finding.rule),
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join(map(_escape_message, (finding.message, *finding.help)))},
        "partialFingerprints": {"siteward/v1": fingerprint},
        "locations": [{"physicalLocation": _location(at)}],
    }
    if finding.waived:
        justification = show(finding.waived)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    if finding.count > 1:
        result["occurrenceCount"] = finding.count
    if finding.others:
        result["relatedLocations"] = [{"physicalLocation": _location(other)} for other in finding.others[:MOST_RELATED]]
    return result


def _location(at: Span) -> dict[str, object]:
    region: dict[str, int] = {"startLine": at.line, "startColumn": at.column}
    if at.end_line >= at.line and at.end_column and (at.end_line > at.line or at.end_column > at.column):
        region |= {"endLine": at.end_line, "endColumn": at.end_column}
    uri = quote(at.file.encode("utf-8", "surrogatepass"))
    return {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}


def _escape_message(text: str) -> str:
    """Return text with the characters of placeholders and embedded links escaped (SARIF 2.1.0, section 3.11)."""
    escaped = show(text).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return escaped.replace("{", "{{").replace("}", "}}")
