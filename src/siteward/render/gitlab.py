"""Renders GitLab's two reports: code quality (findings on lines) and the plan widget (three numbers).

Fields as GitLab documents them: description, check_name, fingerprint, severity, location (docs.gitlab.com, code
quality report format); create, update, delete (docs.gitlab.com, Terraform report).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity, Span
from siteward.render.findings import Finding, anchor, collect, fingerprints
from siteward.render.safe import show

if TYPE_CHECKING:
    from siteward.render.context import RenderContext

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTE: "info"}


def render(context: RenderContext) -> str:
    """Return the code quality report: a JSON list, most urgent first."""
    findings, top = collect(context), anchor(context)
    identified = zip(findings, fingerprints(findings), strict=True)
    issues = [_issue(finding, finding.at or top, fingerprint) for finding, fingerprint in identified]
    return json.dumps(issues, indent=1) + "\n"


def _issue(finding: Finding, at: Span, fingerprint: str) -> dict[str, object]:
    return {
        "description": show(" ".join((finding.message, *finding.help))),
        "check_name": show(finding.rule),
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": show(at.file.removeprefix("./")), "lines": {"begin": at.line}},
    }


def widget(context: RenderContext) -> str:
    """Return the numbers that GitLab shows on a merge request under `reports: terraform`."""
    numbers = {"create": context.summary.creates, "update": context.summary.updates, "delete": context.summary.deletes}
    return json.dumps(numbers) + "\n"
