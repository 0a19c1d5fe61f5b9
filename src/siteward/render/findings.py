"""Lists what forges annotate as one sequence of findings: diagnostics, risky steps, failed outcomes and drift.

Equal ones are one finding; steps that give something, and drift, only where they are also at the same place.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Severity, Span, diagnostic
from siteward.render import words
from siteward.render.repeats import Occurrence, Told, tell_once
from siteward.render.safe import advice
from siteward.render.view import Band, planned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.report import DriftItem, Outcome, OutcomeStatus
    from siteward.render.context import Options, RenderContext


class Finding(Struct, frozen=True, kw_only=True):
    """A finding about a line of the declaration, or about none; `count` is how many equal ones it stands for.

    `subject` identifies what it is about without the line, so that it stays the same finding when lines move.
    `urgency` sorts findings of the same severity, lowest first. `others` are the further places of equal findings.
    `name` is the message without what may change from run to run: how many these are, and of several whom they name.
    `waived` is the reason for which a waiver silences it.
    """

    rule: str
    severity: Severity
    message: str
    at: Span | None
    subject: tuple[str, ...]
    help: tuple[str, ...] = ()
    urgency: int = 0
    others: tuple[Span, ...] = ()
    count: int = 1
    name: str = ""
    waived: str = ""


_STEPS: dict[Band, tuple[str, Severity]] = {
    Band.RAISED: ("access-raised", Severity.WARNING),
    Band.RISKY: ("access-raised", Severity.WARNING),
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
_LAST = len(Band)


def collect(context: RenderContext) -> tuple[Finding, ...]:
    """Return all findings of a report by severity, then urgency, then place: errors, risky steps, the rest.

    Their places are those in the repository, from its top. What is waived is not among them.
    """
    return tuple(sorted((_place(finding, context) for finding in _list_all(context)), key=_order))


def collect_waived(context: RenderContext) -> tuple[Finding, ...]:
    """Return the findings that waivers silence, each with the reason and the end of its waiver."""
    return tuple(
        replace(
            _place(_build(tell_once((Occurrence(said, instance),))[0], context, _LAST), context),
            waived=f"{said.waived.reason} (until {context.told_day(said.waived.until)})",
        )
        for instance, said in context.waived
        if said.waived is not None
    )


def _place(finding: Finding, context: RenderContext) -> Finding:
    """Return a finding with its places from the top of the repository."""
    return replace(
        finding,
        at=from_top(finding.at, context.options) if finding.at else None,
        others=tuple(from_top(at, context.options) for at in finding.others),
    )


def from_top(at: Span, options: Options) -> Span:
    """Return a place with the path of its file from the top of the repository; unchanged for one outside of it."""
    if not options.top:
        return at
    if posixpath.isabs(at.file):
        inside = at.file.startswith(f"{options.top}/")
        return replace(at, file=at.file.removeprefix(f"{options.top}/")) if inside else at
    return replace(at, file=posixpath.normpath(posixpath.join(options.below, at.file)))


def _order(finding: Finding) -> tuple[int, int, str, int, int]:
    at = finding.at
    return (-finding.severity, finding.urgency, *((at.file, at.line, at.column) if at else ("", 0, 0)))


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
    return from_top(Span(next(filter(None, files)), 1, 1), context.options)


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
    found = [Occurrence(said) for said in context.diagnostics]
    for instance in context.instances:
        found += (Occurrence(said, instance.instance) for said in instance.diagnostics)
        if not report.outcomes:
            found += (
                Occurrence(said, instance.instance, step)
                for step in instance.steps
                for said in step.diagnostics
                if said.severity
            )
    if not report.outcomes:
        yield from _step_findings(context)
    yield from (_build(told, context, _LAST) for told in tell_once(found))
    outcomes = (_outcome_occurrence(outcome) for outcome in report.outcomes if outcome.status in _OUTCOMES)
    drift = map(_drift_occurrence, report.drift)
    yield from (_build(told, context, 0) for told in (*tell_once(outcomes), *_at_one_place(drift)))


def _build(told: Told, context: RenderContext, urgency: int) -> Finding:
    said, in_all = told.said, told.in_all()
    return Finding(
        rule=said.code,
        severity=said.severity,
        message=f"{told.where}{said.message}{f' ({in_all})' if in_all else ''}",
        at=next(iter(told.places), None),
        subject=told.subject,
        help=advice(said, context.digest),
        urgency=urgency,
        others=told.places[1:],
        count=told.count,
        name=f"{told.where}{told.pattern if told.about else said.message}",
    )


def _at_one_place(found: Iterable[Occurrence]) -> Iterator[Told]:
    """Yield findings of which each is merged with its equals at the same place only."""
    by_place: dict[Span | None, list[Occurrence]] = {}
    for occurrence in found:
        by_place.setdefault(occurrence.place, []).append(occurrence)
    for same in by_place.values():
        yield from tell_once(same)


def _step_findings(context: RenderContext) -> Iterator[Finding]:
    """Yield the steps that forges annotate, the same change for the same reason once for each place that gives something."""
    by_band: dict[Band, list[Occurrence]] = {}
    for item in planned(context.instances):
        if item.band in _STEPS:
            code, severity = _STEPS[item.band]
            message = "; ".join((words.sentence(item.step.change), *words.because(item.step)))
            said = diagnostic(severity, code, message, about=item.step.change.key)
            by_band.setdefault(item.band, []).append(Occurrence(said, item.instance, item.step))
    for band, found in by_band.items():
        told = tell_once(found) if band is Band.REMOVED else _at_one_place(found)
        yield from (_build(finding, context, band) for finding in told)


def _outcome_occurrence(outcome: Outcome) -> Occurrence:
    step = outcome.step
    message = f"{words.sentence(step.change)} {words.OUTCOMES[outcome.status]}"
    said = diagnostic(
        _OUTCOMES[outcome.status],
        f"apply-{outcome.status}",
        ": ".join(filter(None, (message, outcome.message))),
        about=step.change.key,
        hint=outcome.hint,
    )
    return Occurrence(said, outcome.instance, step)


def _drift_occurrence(item: DriftItem) -> Occurrence:
    key = words.key_of(item)
    sides = f"live {words.value(item.live)}, declared {words.value(item.declared)}"
    message = f"{words.declared_user(key)} on {words.where(key)}: {sides} ({words.DRIFT[item.kind]})"
    severity = Severity.NOTE if item.kind == "unapplied" or _only_reported(item) else Severity.WARNING
    said = diagnostic(severity, f"drift-{item.kind}", message, about=key, hint=item.note)
    return Occurrence(said, item.instance, item.step)


def _only_reported(item: DriftItem) -> bool:
    """Return whether an item is undeclared and no step would change it; it is reported and is no difference."""
    return item.kind == "undeclared" and item.step is None and not item.differs
