"""Renders any report as JSON (`siteward.report/2`); every key is always present.

Names are written unchanged, since programs need them so and JSON's own escapes keep them harmless. `plan` has the form
of a saved plan, which `show` and `apply` can read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from siteward.access.codec import encode_resource, encode_summary, in_lines
from siteward.render import words
from siteward.render.safe import as_json, in_ascii

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.model import Resource
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.context import RenderContext

FORMAT = "siteward.report/2"
JSON = Mapping[str, object]


def render(context: RenderContext) -> Iterator[str]:
    """Yield the report as JSON in ASCII, ending with a line break, piece by piece: a plan may have 100,000 steps."""
    report = context.report
    plan = report.plan if context.options.privacy != "counts" else None
    for at, (name, content) in enumerate(_members(context).items()):
        yield f'{"," if at else "{"}\n  "{name}": '
        if name == "plan" and plan is not None:
            yield from map(in_ascii, in_lines(plan, 1))
        else:
            yield as_json(content, 2).rstrip("\n").replace("\n", "\n  ")
    yield "\n}\n"


def _members(context: RenderContext) -> JSON:
    """Return the report as plain data, without its plan."""
    report = context.report
    return {
        "format": FORMAT,
        "command": report.command,
        "exit_code": context.code,
        "privacy": context.options.privacy,
        "labels": list(words.labels(context.summary)),
        "summary": encode_summary(context.summary),
        "diagnostics": list(map(diagnostic, report.diagnostics)),
        "plan": None,
        "outcomes": list(map(_outcome_data, report.outcomes)),
        "drift": list(map(_drift_data, report.drift)),
        "waived": list(starmap(_waived_data, context.waived)),
        "files": report.files,
        "applied": report.applied,
        "interrupted": report.interrupted,
        "stale": report.stale,
        "journal": report.journal,
        "journal_head": report.journal_head,
        "next": report.next,
    }


def diagnostic(said: Diagnostic) -> JSON:
    """Return a diagnostic as plain data, as every JSON document has it."""
    return {
        "code": said.code,
        "formerly": said.formerly,
        "severity": said.severity.word,
        "message": said.message,
        "at": _span_data(said.at),
        "about": list(said.about) if said.about else None,
        "instance": said.instance,
        "hint": said.hint,
        "suggestion": said.suggestion,
        "allowed": list(said.allowed),
        "related": [_span_data(place) for place in said.related],
        "effect": said.effect,
        "count": said.count,
        "who": said.who,
        "thing": said.thing,
        "seen": said.seen,
        "waived": None if said.waived is None else asdict(said.waived),
    }


def _waived_data(instance: str, said: Diagnostic) -> JSON:
    """Return a finding that a waiver silences, with the reason and the end of that."""
    return {**diagnostic(said), "instance": instance}


def _span_data(at: Span | None) -> JSON | None:
    return None if at is None else asdict(at)


def _resource_data(resource: Resource | None) -> object:
    return None if resource is None else encode_resource(resource)


def _outcome_data(outcome: Outcome) -> JSON:
    return {
        "instance": outcome.instance,
        "step": outcome.step.id,
        "key": list(outcome.step.change.key),
        "person": outcome.step.person,
        "status": outcome.status,
        "message": outcome.message,
        "hint": outcome.hint,
        "before": _resource_data(outcome.step.change.before),
        "after": _resource_data(outcome.step.change.after),
        "reviewed": _resource_data(outcome.reviewed),
        "now": _resource_data(outcome.now),
        "wanted": _resource_data(outcome.wanted),
    }


def _drift_data(item: DriftItem) -> JSON:
    return {
        "instance": item.instance,
        "kind": item.kind,
        "declared": _resource_data(item.declared),
        "live": _resource_data(item.live),
        "journalled": _resource_data(item.journalled),
        "step": item.step.id if item.step else None,
        "note": item.note,
    }
