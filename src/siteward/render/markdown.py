"""A review comment in Markdown, for GitHub and GitLab: at most 60 000 characters, marked so that it can be updated.

What must not be missed stays whole and unfolded: the numbers, what is blocked, every escalation and every removal.
The rest is folded, then told briefly, then only counted, until the comment fits. Where even that is too long, the
comment says what it leaves out.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from siteward.render import words
from siteward.render.blocks import Block, fit
from siteward.render.markdown_plan import instance_blocks, remark
from siteward.render.marks import code, comment, details, prose, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.sheet import Sheet

LIMIT = 60_000
_TITLES = {"validate": "Access files", "diff": "Access diff", "drift": "Access drift", "apply": "Access applied"}
_CUT = "\n\n**This comment is cut here: the rest is in the full report.**"


def render(sheet: Sheet) -> str:
    """Return one comment of at most `LIMIT` characters."""
    return fitted(_blocks(sheet), _foot(sheet))


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


def _blocks(sheet: Sheet) -> Iterator[Block]:
    report = sheet.report
    yield Block((_head(sheet),))
    said = [each for each in (*report.diagnostics, *(report.plan.diagnostics if report.plan else ())) if each.severity]
    if said:
        yield _said(said, sheet)
    if report.outcomes:
        yield from _outcomes(report.outcomes)
    elif report.plan:
        yield from chain.from_iterable(instance_blocks(each, sheet) for each in report.plan.instances)
    if report.drift:
        yield from _drift(report.drift)


def _head(sheet: Sheet) -> str:
    report, of = sheet.report, sheet.summary
    digest = report.plan.digest.removeprefix("sha256:")[:12] if report.plan else ""
    instances = (each.instance for each in report.plan.instances) if report.plan else ()
    mark = comment((f"siteward:{report.command}", *instances, digest))
    numbers = {
        "validate": words.findings(of) + (f" in {words.plural(report.files, 'file')}" if report.files else ""),
        "drift": words.drifted(of),
        "apply": words.results(of) if of.outcomes else words.headline(of),
    }.get(report.command, words.headline(of) if report.plan else words.findings(of))
    after = " · ".join((*words.consequences(of), *words.leftovers(of))) if report.plan and not of.outcomes else ""
    return "\n\n".join(filter(None, (f"{mark}\n### {_TITLES.get(report.command, 'Access plan')}: {numbers}", after)))


def _foot(sheet: Sheet) -> str:
    report, plan = sheet.report, sheet.report.plan
    parts = [f"exit {sheet.code} ({words.verdict(sheet.code)})"]
    if plan:
        changed = " with changes not committed" if plan.dirty else ""
        commit = f" for {code(plan.commit)}{changed}" if plan.commit else ""
        parts += [f"plan {code(plan.digest)}{commit} as of {words.moment(plan.as_of)}"]
    if report.journal_head:
        parts += [f"journal head {code(report.journal_head)}"]
    if report.next:
        parts += [f"next: {code(report.next)}"]
    return " · ".join(parts)


def _said(said: Iterable[Diagnostic], sheet: Sheet) -> Block:
    """Return what was said about the files: errors whole, warnings as long as there is room."""
    ordered = words.by_weight(said)
    lines = [f"- {remark(each, sheet, words.told(each))}" for each in ordered]
    brief = [f"- {code(each.code)} {code(str(each.at or ''))}" for each in ordered]
    return Block(("\n".join(lines), "\n".join(brief)), 1)


def _outcomes(outcomes: Iterable[Outcome]) -> Iterator[Block]:
    every = words.by_outcome(outcomes)
    wrong = [each for each in every if each.status not in words.WELL]
    well = [each for each in every if each.status in words.WELL]
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
        same = [each for each in every if each.kind == kind]
        if not same:
            continue
        body = table(("instance", "who", "where", "live", "declared", "last applied", "note"), map(_piece, same))
        if kind == "unapplied":
            yield Block((details(title.capitalize(), body), ""), 0)
        else:
            yield Block((f"**{title.capitalize()}**\n\n{body}", f"**{title.capitalize()}**\n\n{_brief(same)}"), 2)


def _piece(item: DriftItem) -> tuple[str, ...]:
    key = words.key_of(item)
    sides = (code(words.value(each)) for each in (item.live, item.declared, item.journalled))
    return (code(item.instance), code(words.holder(key)), code(words.where(key)), *sides, prose(item.note or ""))


def _brief(items: Iterable[DriftItem]) -> str:
    return "\n".join(
        f"- {code(words.holder(key))} {code(words.where(key))}: {code(words.value(each.live))}"
        for each in items
        if (key := words.key_of(each))
    )
