"""A review comment in Markdown, for GitHub and GitLab: at most 60 000 characters, marked so that it can be updated.

What must not be missed stays whole and unfolded: the numbers, what is blocked, every escalation and every removal.
The rest is folded, then told briefly, then only counted, until the comment fits. Where even that is too long, the
comment says what it leaves out.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from siteward.render import words
from siteward.render.markdown_escape import Block, code, comment, details, fit, prose, table
from siteward.render.markdown_plan import instance_blocks, remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.context import RenderContext

LIMIT = 60_000
_TITLES = {"validate": "Access files", "diff": "Access diff", "drift": "Access drift", "apply": "Access applied"}
_CUT = "\n\n**This comment is cut here: the rest is in the full report.**"


def render(context: RenderContext) -> str:
    """Return one comment of at most `LIMIT` characters."""
    return fitted(_blocks(context), _foot(context))


def fitted(blocks: Iterable[Block], foot: str) -> str:
    """Return blocks above a last line, as one comment of at most `LIMIT` characters."""
    end = f"\n\n{foot}\n"
    room = LIMIT - len(end)
    text = fit(tuple(blocks), room)
    return (text if len(text) <= room else _cut(text, room)) + end


def _cut(text: str, room: int) -> str:
    """Return whole lines of `text` and the word that there was more."""
    kept = text[: room - len(_CUT) - len("\n\n</details>")]
    kept = kept[: kept.rfind("\n")]
    missing = kept.count("<details>") - kept.count("</details>")
    return kept + "\n\n</details>" * missing + _CUT


def _blocks(context: RenderContext) -> Iterator[Block]:
    report = context.report
    yield Block((_head(context),))
    said = [
        diagnostic
        for diagnostic in (*report.diagnostics, *(report.plan.diagnostics if report.plan else ()))
        if diagnostic.severity
    ]
    if said:
        yield _said(said, context)
    if report.outcomes:
        yield from _outcomes(report.outcomes)
    elif report.plan:
        yield from chain.from_iterable(instance_blocks(instance, context) for instance in report.plan.instances)
    if report.drift:
        yield from _drift(report.drift)


def _head(context: RenderContext) -> str:
    report, of = context.report, context.summary
    digest = report.plan.digest.removeprefix("sha256:")[:12] if report.plan else ""
    instances = (instance.instance for instance in report.plan.instances) if report.plan else ()
    mark = comment((f"siteward:{report.command}", *instances, digest))
    numbers = {
        "validate": words.findings(of) + (f" in {words.plural(report.files, 'file')}" if report.files else ""),
        "drift": words.drifted(of),
        "apply": words.results(of) if of.outcomes else words.headline(of),
    }.get(report.command, words.headline(of) if report.plan else words.findings(of))
    after = " · ".join((*words.consequences(of), *words.leftovers(of))) if report.plan and not of.outcomes else ""
    return "\n\n".join(filter(None, (f"{mark}\n### {_TITLES.get(report.command, 'Access plan')}: {numbers}", after)))


def _foot(context: RenderContext) -> str:
    report, plan = context.report, context.report.plan
    parts = [f"exit {context.code} ({words.verdict(context.code)})"]
    if plan:
        changed = " with changes not committed" if plan.dirty else ""
        commit = f" for {code(plan.commit)}{changed}" if plan.commit else ""
        parts += [f"plan {code(plan.digest)}{commit} as of {words.moment(plan.as_of)}"]
    if report.journal_head:
        parts += [f"journal, latest hash {code(report.journal_head)}"]
    if report.next:
        parts += [f"next: {code(report.next)}"]
    return " · ".join(parts)


def _said(said: Iterable[Diagnostic], context: RenderContext) -> Block:
    """Return what was said about the files: errors whole, warnings as long as there is room."""
    ordered = words.by_weight(said)
    lines = [f"- {remark(diagnostic, context, words.told(diagnostic))}" for diagnostic in ordered]
    brief = [f"- {code(diagnostic.code)} {code(str(diagnostic.at or ''))}" for diagnostic in ordered]
    return Block(("\n".join(lines), "\n".join(brief)), 1)


def _outcomes(outcomes: Iterable[Outcome]) -> Iterator[Block]:
    every = words.by_outcome(outcomes)
    wrong = [outcome for outcome in every if outcome.status not in words.WELL]
    well = [outcome for outcome in every if outcome.status in words.WELL]
    if wrong:
        yield Block((_results(wrong),))
    if well:
        body = _results(well)
        yield Block((details("Done", body), details("Done", "listed in the journal")), 0)


def _results(outcomes: Iterable[Outcome]) -> str:
    return table(("", "instance", "who", "where", "change", "what happened"), map(_result, outcomes))


def _result(outcome: Outcome) -> tuple[str, ...]:
    step = outcome.step
    three = [f"{name} {code(side)}" for name, side in words.three(outcome)]
    return (
        f"**{words.OUTCOMES[outcome.status]}**",
        code(outcome.instance),
        code(words.title(step)),
        code(words.subject_of_change(step.change)),
        code(words.movement(step.change)),
        " · ".join(filter(None, (prose(outcome.message), *three, prose(outcome.hint or "")))),
    )


def _drift(items: Iterable[DriftItem]) -> Iterator[Block]:
    every = list(items)
    for kind, title in words.DRIFT.items():
        same = [drift_item for drift_item in every if drift_item.kind == kind]
        if not same:
            continue
        body = table(("instance", "who", "where", "live", "declared", "last applied", "note"), map(_piece, same))
        if kind == "unapplied":
            yield Block((details(title.capitalize(), body), ""), 0)
        else:
            yield Block((f"**{title.capitalize()}**\n\n{body}", f"**{title.capitalize()}**\n\n{_brief(same)}"), 2)


def _piece(item: DriftItem) -> tuple[str, ...]:
    key = words.key_of(item)
    sides = (code(words.value(entry)) for entry in (item.live, item.declared, item.journalled))
    return (code(item.instance), code(words.declared_user(key)), code(words.where(key)), *sides, prose(item.note or ""))


def _brief(items: Iterable[DriftItem]) -> str:
    return "\n".join(
        f"- {code(words.declared_user(key))} {code(words.where(key))}: {code(words.value(item.live))}"
        for item in items
        if (key := words.key_of(item))
    )
