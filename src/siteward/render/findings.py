"""Everything a forge may want to annotate, as one list: what was said, risky steps, outcomes, drift."""

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
    """One finding on one line.

    `subject` names what it is about, without the line, so that it stays the same finding when lines move;
    `urgency` sorts, lowest first.
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
    """Return all findings of a report, most urgent first: errors, then risky steps, then the rest.

    What is said of several steps in the same words, of the same line, is one finding.
    """
    told: dict[tuple[object, ...], Finding] = {}
    for finding in _all(context):
        told.setdefault((finding.rule, finding.severity, finding.message, finding.at, finding.help), finding)
    return tuple(sorted(told.values(), key=lambda item: (-item.severity, item.urgency, str(item.at or ""))))


def anchor(context: RenderContext) -> Span:
    """Return the place for findings that have none: forges refuse those, so they go to the top of the root file."""
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
    """Return one stable name a finding: of its rule and subject, numbered where two are alike."""
    seen: Counter[str] = Counter()
    names = []
    for finding in findings:
        text = "\0".join((finding.rule, *finding.subject)).encode("utf-8", "surrogatepass")
        name = sha256(text).hexdigest()[:32]
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return tuple(names)


def _all(context: RenderContext) -> Iterator[Finding]:
    report, plan = context.report, context.report.plan
    said = [*report.diagnostics, *(plan.diagnostics if plan else ())]
    yield from (_said(diagnostic, diagnostic.at, context) for diagnostic in said)
    for instance in plan.instances if plan else ():
        yield from (_said(diagnostic, diagnostic.at, context, instance.instance) for diagnostic in instance.diagnostics)
        if not report.outcomes:
            for step in instance.steps:
                yield from _step(step, instance.instance, context)
    yield from (_outcome(outcome) for outcome in report.outcomes if outcome.status in _OUTCOMES)
    yield from (_drift(drift_item) for drift_item in report.drift)


def _said(said: Diagnostic, at: Span | None, context: RenderContext, instance: str = "") -> Finding:
    digest = context.report.plan.digest if context.report.plan else ""
    where = said.instance or instance
    subject = said.about or (said.at.file if said.at else "", said.message)
    return Finding(
        rule=said.code,
        severity=said.severity,
        message=f"{where}: {said.message}" if where else said.message,
        at=at,
        subject=(where, *subject),
        help=advice(said, digest),
        urgency=5,
    )


def _step(step: Step, instance: str, context: RenderContext) -> Iterator[Finding]:
    at = step.origin.at if step.origin else None
    found = band(step)
    if found in _STEPS:
        rule, severity = _STEPS[found]
        message = "; ".join((f"{instance}: {words.sentence(step.change)}", *words.because(step)))
        yield Finding(
            rule=rule, severity=severity, message=message, at=at, subject=(instance, *step.change.key), urgency=found
        )
    yield from (
        _said(diagnostic, diagnostic.at or at, context, instance)
        for diagnostic in step.diagnostics
        if diagnostic.severity
    )


def _outcome(outcome: Outcome) -> Finding:
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


def _drift(item: DriftItem) -> Finding:
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
    """Tell whether an item is an account that nobody declared and no step would touch: told, and no difference."""
    return item.kind == "undeclared" and item.step is None
