"""Lists what forges annotate as one sequence of findings: diagnostics, risky steps, failed outcomes and drift."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Severity, Span
from siteward.render import words
from siteward.render.safe import advice
from siteward.render.view import Band, band

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.plan import Step
    from siteward.access.report import DriftItem, Outcome, OutcomeStatus
    from siteward.render.context import RenderContext


class Finding(Struct, frozen=True, kw_only=True):
    """A finding about a line of the declaration, or about none.

    `subject` identifies what it is about without the line, so that it stays the same finding when lines move.
    `urgency` sorts findings of the same severity, lowest first.
    """

    rule: str
    severity: Severity
    message: str
    at: Span | None
    subject: tuple[str, ...]
    help: tuple[str, ...] = ()
    urgency: int = 0


_STEPS: dict[Band, tuple[str, Severity]] = {
    Band.RAISED: ("access-raised", Severity.WARNING),
    Band.REMOVED: ("access-removed", Severity.WARNING),
    Band.EXTERNAL: ("external-gains", Severity.WARNING),
    Band.CREATED: ("account-created", Severity.NOTE),
}
_OUTCOMES: dict[OutcomeStatus, Severity] = {
    "failed": Severity.ERROR,
    "unknown": Severity.ERROR,
    "refused": Severity.ERROR,
    "skipped": Severity.WARNING,
    "blocked": Severity.WARNING,
}


def collect(context: RenderContext) -> tuple[Finding, ...]:
    """Return all findings of a report by severity, then urgency: errors, then risky steps, then the rest.

    Findings of several steps with the same words and line are merged into one.
    """
    distinct: dict[tuple[object, ...], Finding] = {}
    for finding in _list_all(context):
        distinct.setdefault((finding.rule, finding.severity, finding.message, finding.at, finding.help), finding)
    return tuple(
        sorted(distinct.values(), key=lambda finding: (-finding.severity, finding.urgency, str(finding.at or "")))
    )


def anchor(context: RenderContext) -> Span:
    """Return the place for findings that have none: the top of the root file, since forges refuse findings without one."""
    report = context.report
    named = [report.plan.config] if report.plan else []
    files = [
        *named,
        *report.texts,
        *(diagnostic.at.file for diagnostic in report.diagnostics if diagnostic.at),
        "access.yaml",
    ]
    return Span(next(filter(None, files)), 1, 1)


def fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return a stable fingerprint for each finding, from its rule and subject; equal ones are numbered."""
    seen: Counter[str] = Counter()
    fingerprints = []
    for finding in findings:
        text = "\0".join((finding.rule, *finding.subject)).encode("utf-8", "surrogatepass")
        digest = sha256(text).hexdigest()[:32]
        seen[digest] += 1
        fingerprints.append(digest if seen[digest] == 1 else f"{digest}:{seen[digest]}")
    return tuple(fingerprints)


def _list_all(context: RenderContext) -> Iterator[Finding]:
    report = context.report
    yield from (_diagnostic_finding(diagnostic, diagnostic.at, context) for diagnostic in context.diagnostics)
    for instance in context.instances:
        yield from (
            _diagnostic_finding(diagnostic, diagnostic.at, context, instance.instance)
            for diagnostic in instance.diagnostics
        )
        if not report.outcomes:
            for step in instance.steps:
                yield from _step_findings(step, instance.instance, context)
    yield from (_outcome_finding(outcome) for outcome in report.outcomes if outcome.status in _OUTCOMES)
    yield from map(_drift_finding, report.drift)


def _diagnostic_finding(said: Diagnostic, at: Span | None, context: RenderContext, instance: str = "") -> Finding:
    where = said.instance or instance
    subject = said.about or (said.at.file if said.at else "", said.message)
    return Finding(
        rule=said.code,
        severity=said.severity,
        message=f"{where}: {said.message}" if where else said.message,
        at=at,
        subject=(where, *subject),
        help=advice(said, context.digest),
        urgency=5,
    )


def _step_findings(step: Step, instance: str, context: RenderContext) -> Iterator[Finding]:
    at = step.origin.at if step.origin else None
    urgency = band(step)
    if urgency in _STEPS:
        rule, severity = _STEPS[urgency]
        message = "; ".join((f"{instance}: {words.sentence(step.change)}", *words.because(step)))
        yield Finding(
            rule=rule, severity=severity, message=message, at=at, subject=(instance, *step.change.key), urgency=urgency
        )
    yield from (
        _diagnostic_finding(diagnostic, diagnostic.at or at, context, instance)
        for diagnostic in step.diagnostics
        if diagnostic.severity
    )


def _outcome_finding(outcome: Outcome) -> Finding:
    step = outcome.step
    message = f"{outcome.instance}: {words.sentence(step.change)} {words.OUTCOMES[outcome.status]}"
    return Finding(
        rule=f"apply-{outcome.status}",
        severity=_OUTCOMES[outcome.status],
        message=": ".join(filter(None, (message, outcome.message))),
        at=step.origin.at if step.origin else None,
        subject=(outcome.instance, *step.change.key),
        help=(outcome.hint,) if outcome.hint else (),
    )


def _drift_finding(item: DriftItem) -> Finding:
    key = words.key_of(item)
    sides = f"live {words.value(item.live)}, declared {words.value(item.declared)}"
    message = f"{item.instance}: {words.declared_user(key)} on {words.where(key)}: {sides} ({words.DRIFT[item.kind]})"
    return Finding(
        rule=f"drift-{item.kind}",
        severity=Severity.NOTE if item.kind == "unapplied" or _only_reported(item) else Severity.WARNING,
        message=message,
        at=item.step.origin.at if item.step and item.step.origin else None,
        subject=(item.instance, *key),
        help=(item.note,) if item.note else (),
    )


def _only_reported(item: DriftItem) -> bool:
    """Return whether an item is undeclared and no step would change it; it is reported and is no difference."""
    return item.kind == "undeclared" and item.step is None and not item.differs
