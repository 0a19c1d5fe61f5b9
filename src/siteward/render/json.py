"""Any report as JSON (`siteward.report/1`): stable keys, each there whether or not it has something to say.

Text is as it was, not made safe to show: JSON escapes of themselves keep it harmless, and a program needs the name
as it is. `plan` is the saved plan's own form, so that `show` and `apply` read it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from siteward.access.codec import encode, encode_resource, encode_summary
from siteward.render import words
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.model import Resource
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.context import RenderContext

FORMAT = "siteward.report/1"
JSON = Mapping[str, object]


def render(context: RenderContext) -> str:
    """Return the report as JSON in ASCII, ending with a line break."""
    return as_json(document(context), 2)


def document(context: RenderContext) -> JSON:
    """Return the report as plain data."""
    report = context.report
    return {
        "format": FORMAT,
        "command": report.command,
        "exit_code": context.code,
        "privacy": context.options.privacy,
        "labels": list(words.labels(context.summary)),
        "summary": encode_summary(context.summary),
        "diagnostics": [diagnostic(item) for item in report.diagnostics],
        "plan": encode(report.plan) if report.plan and context.options.privacy != "counts" else None,
        "outcomes": [_outcome(outcome) for outcome in report.outcomes],
        "drift": [_drift(drift_item) for drift_item in report.drift],
        "files": report.files,
        "applied": report.applied,
        "interrupted": report.interrupted,
        "stale": report.stale,
        "journal": report.journal,
        "journal_head": report.journal_head,
        "next": report.next,
    }


def diagnostic(said: Diagnostic) -> JSON:
    """Return one diagnostic."""
    return {
        "code": said.code,
        "formerly": said.formerly,
        "severity": said.severity.word,
        "message": said.message,
        "at": _span(said.at),
        "about": list(said.about) if said.about else None,
        "instance": said.instance,
        "hint": said.hint,
        "suggestion": said.suggestion,
        "allowed": list(said.allowed),
        "related": [_span(place) for place in said.related],
        "effect": said.effect,
        "count": said.count,
        "who": said.who,
    }


def _span(at: Span | None) -> JSON | None:
    return None if at is None else asdict(at)


def _side(resource: Resource | None) -> object:
    return None if resource is None else encode_resource(resource)


def _outcome(outcome: Outcome) -> JSON:
    return {
        "instance": outcome.instance,
        "step": outcome.step.id,
        "key": list(outcome.step.change.key),
        "person": outcome.step.person,
        "status": outcome.status,
        "message": outcome.message,
        "hint": outcome.hint,
        "before": _side(outcome.step.change.before),
        "after": _side(outcome.step.change.after),
        "reviewed": _side(outcome.reviewed),
        "now": _side(outcome.now),
        "wanted": _side(outcome.wanted),
    }


def _drift(item: DriftItem) -> JSON:
    return {
        "instance": item.instance,
        "kind": item.kind,
        "declared": _side(item.declared),
        "live": _side(item.live),
        "journalled": _side(item.journalled),
        "step": item.step.id if item.step else None,
        "note": item.note,
    }
