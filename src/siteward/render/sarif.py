"""Renders findings as SARIF 2.1.0 for code scanning, each on the YAML line that causes it.

The document is the subset that GitHub reads: rules, results with one physical location, fingerprints. GitHub accepts at
most 25 000 results in a run and shows the first 5 000, so the most urgent come first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from siteward.access.catalog import RULES, sentence
from siteward.access.codec import encode_summary
from siteward.access.diagnostic import Severity, Span
from siteward.render.findings import Finding, anchor, collect, fingerprints
from siteward.render.safe import show

if TYPE_CHECKING:
    from siteward.render.context import RenderContext

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST = 25_000
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render(context: RenderContext) -> str:
    """Return one SARIF log with one run."""
    findings = collect(context)
    kept = findings[:MOST]
    rules = tuple(dict.fromkeys(finding.rule for finding in kept))
    index_of = {rule: index for index, rule in enumerate(rules)}
    identified, top = zip(kept, fingerprints(kept), strict=True), anchor(context)
    run = {
        "tool": {"driver": _driver(rules, context)},
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


def _driver(rules: tuple[str, ...], context: RenderContext) -> dict[str, object]:
    driver: dict[str, object] = {"name": "siteward", "rules": [_rule(rule) for rule in rules]}
    if context.report.plan:
        driver["version"] = context.report.plan.tool
    return driver


def _rule(code: str) -> dict[str, object]:
    """Return a rule as the catalogue describes it; a rule of the owners' policy has only its id."""
    described: dict[str, object] = {
        "id": show(code),
        "shortDescription": {"text": _escape_message(code.replace("-", " "))},
        "fullDescription": {"text": _escape_message(sentence(code))},
    }
    if rule := RULES.get(code):
        described |= {"name": rule.name, "help": {"text": _escape_message(f"Next: {rule.step}")}}
        if rule.formerly:
            described["deprecatedIds"] = [rule.formerly]
    return described


def _result(finding: Finding, at: Span, rule: int, fingerprint: str) -> dict[str, object]:
    return {
        "ruleId": show(finding.rule),
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join(map(_escape_message, (finding.message, *finding.help)))},
        "partialFingerprints": {"siteward/v1": fingerprint},
        "locations": [{"physicalLocation": _location(at)}],
    }


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
