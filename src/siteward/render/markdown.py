"""A review comment in Markdown, for GitHub and GitLab: at most 60 000 characters, marked so that it can be updated.

What must not be missed stays whole and unfolded: the numbers, what is blocked, every escalation and every removal.
The rest is folded, then told briefly, then only counted, until the comment fits. Where even that is too long, the
comment says what it leaves out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from siteward.access.diagnostic import plural
from siteward.access.model import Power
from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
from siteward.render import words
from siteward.render.markdown_escape import Block, code, comment, details, fit, names, prose, table
from siteward.render.safe import advice
from siteward.render.view import DANGER, Band, Row, Section, drift_tables, fold, sections, sign, step_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.diagnostic import Diagnostic, Span
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
        yield from _drift_blocks(report.drift)


def _head(context: RenderContext) -> str:
    report, of = context.report, context.summary
    digest = report.plan.digest.removeprefix("sha256:")[:12] if report.plan else ""
    instances = (instance.instance for instance in report.plan.instances) if report.plan else ()
    mark = comment((f"siteward:{report.command}", *instances, digest))
    numbers = {
        "validate": words.findings(of) + (f" in {plural(report.files, 'file')}" if report.files else ""),
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


def _drift_blocks(items: Iterable[DriftItem]) -> Iterator[Block]:
    every = tuple(items)
    for kind, drift in drift_tables(every):
        rows = ((*map(code, row.cells), prose(row.reason)) for row in drift.rows)
        body = table(drift.header, rows)
        if kind == "unapplied":
            yield Block((details(drift.title, body), ""), 0)
        else:
            brief = _brief(item for item in every if item.kind == kind)
            yield Block((f"**{drift.title}**\n\n{body}", f"**{drift.title}**\n\n{brief}"), 2)


def _brief(items: Iterable[DriftItem]) -> str:
    return "\n".join(
        f"- {code(words.declared_user(key))} {code(words.where(key))}: {code(words.value(item.live))}"
        for item in items
        if (key := words.key_of(item))
    )


# Heavy plus, pencil, heavy minus.
_SIGNS = {"blocked": "⊘ ", "high": "❗ ", "": "", "+": "\u2795", "~": "\u270e", "-": "\u2796"}
_LATER = "in the full plan"
# How early a block may be shortened.
_ROUTINE, _KNOWN, _CREATED, _DANGER = 0, 1, 2, 3


def instance_blocks(instance: InstancePlan, context: RenderContext) -> Iterator[Block]:
    """Yield the blocks of one instance: its header, objections, danger, then what may be folded."""
    yield Block((_header(instance, context),))
    if objections := list(_objections(instance, context)):
        yield Block(("\n".join(objections),))
    for section in sections(instance.steps):
        yield _section(section, context)
    yield from _beside(instance, context)


def _header(instance: InstancePlan, context: RenderContext) -> str:
    release = words.release(instance.platform, instance.version, instance.edition)
    about = f"{code(instance.origin)} · {prose(release)} · mode {prose(instance.mode)}"
    numbers = prose(words.headline(context.parts[instance.instance]))
    return f"#### {code(instance.instance)}\n\n{about} · {numbers}"


def _objections(instance: InstancePlan, context: RenderContext) -> Iterator[str]:
    for name in words.unread(instance):
        yield f"- **Not read:** {prose(name)}"
    for diagnostic in words.by_weight(instance.diagnostics):
        if diagnostic.severity:
            yield f"- {remark(diagnostic, context)}"


def remark(said: Diagnostic, context: RenderContext, message: str = "") -> str:
    """Return one diagnostic as a phrase with its place and what would help."""
    digest = context.report.plan.digest if context.report.plan else ""
    kind = "**error**" if said.blocks else said.severity.word
    place = f" ({place_of(said.at)})" if said.at else ""
    help_ = "".join(f" · {prose(item)}" for item in advice(said, digest))
    return f"{kind} {code(said.code)} {prose(message or said.message)}{place}{help_}"


def place_of(at: Span) -> str:
    """Return a place in the declaration."""
    return code(f"{at.file}:{at.line}")


def _section(section: Section, context: RenderContext) -> Block:
    title = section.band.heading
    if section.band in DANGER:
        mark = "⊘ " if section.band is Band.BLOCKED else "❗ " if section.band is Band.RAISED else ""
        head = f"**{mark}{title}**\n\n"
        forms = (
            _draw_steps(section.steps, context),
            compact(section.steps, _by_person),
            compact(section.steps, _by_place),
        )
        return Block(tuple(f"{head}{form}" for form in forms), _DANGER)
    folds, rest = fold(section.steps)
    brief = chain((_folded(fold.steps) for fold in folds), (compact(rest, _by_person),) if rest else ())
    forms = (_draw_steps(section.steps, context), "\n".join(brief), f"{plural(len(section.steps), 'line')} {_LATER}")
    if section.band is not Band.ROUTINE:
        return Block(tuple(f"**{title}**\n\n{form}" for form in forms), _CREATED)
    return Block(tuple(details(title, form) for form in forms), _ROUTINE)


def _draw_steps(steps: Iterable[Step], context: RenderContext) -> str:
    drawn = step_table("", steps, _SIGNS)
    return table(drawn.header, (_draw_step(row, context) for row in drawn.rows))


def _draw_step(row: Row, context: RenderContext) -> tuple[str, ...]:
    signs, *cells = row.cells
    remarks = (remark(diagnostic, context) for diagnostic in row.remarks)
    why = " · ".join(filter(None, (code(row.place), *map(prose, row.why), *remarks)))
    return (signs, *map(code, cells), why)


def _folded(steps: Sequence[Step]) -> str:
    step = steps[0]
    people = dict.fromkeys(words.person(step) for step in steps)
    places = dict.fromkeys(words.where(step.change.key) for step in steps)
    counts = f"{plural(len(people), 'person', 'people')} on {plural(len(places), 'place')}"
    return f"- {_SIGNS[sign(step)]} {code(words.movement(step.change))}: {plural(len(steps), 'line')}, {counts}"


Shape = Callable[[Sequence[Step]], Iterator[str]]


def compact(steps: Iterable[Step], shape: Shape) -> str:
    """Return every one of the steps, without causes, those of one movement together."""
    by_movement: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in steps:
        by_movement[_SIGNS[sign(step)], words.movement(step.change)].append(step)
    parts = ("\n".join((f"{mark} {code(movement)}", *shape(same))) for (mark, movement), same in by_movement.items())
    return "\n\n".join(parts)


def _by_person(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one line for all who move on the same places."""
    places: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        places[words.title(step)].append(words.subject_of_change(step.change))
    people: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for person, found in places.items():
        people[tuple(found)].append(person)
    for found_, who in people.items():
        yield f"- {names(who)}: {names(found_)}"


def _by_place(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one line a place, with all who move there."""
    people: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        people[words.subject_of_change(step.change)].append(words.title(step))
    for place, who in people.items():
        yield f"- {names([place])}: {names(who)}"


def _beside(instance: InstancePlan, context: RenderContext) -> Iterator[Block]:
    if instance.held_back:
        title = f"Skipped (mode {prose(instance.mode)})"
        count = f"{plural(len(instance.held_back), 'line')} {_LATER}"
        yield Block((details(title, _draw_steps(instance.held_back, context)), details(title, count)), _KNOWN)
    if instance.waiting:
        waiting = "\n".join(f"- {code(words.declared_user(key))}: {code(words.where(key))}" for key in instance.waiting)
        title, count = "Waiting for acceptance", f"{plural(len(instance.waiting), 'line')} {_LATER}"
        yield Block((details(title, waiting), details(title, count)), _KNOWN)
    yield from _unmanaged(
        [
            unmanaged_account
            for unmanaged_account in instance.unmanaged
            if not unmanaged_account.ignored or unmanaged_account.power >= Power.MANAGE
        ]
    )
    if hidden := [spot for spot in instance.blind_spots if spot not in instance.accepted_blind]:
        yield Block((f"Cannot be seen: {', '.join(map(code, hidden))}",))


def _unmanaged(unmanaged: Sequence[UnmanagedAccount]) -> Iterator[Block]:
    """Yield the accounts nobody declared: those in power as danger, the others folded."""
    mighty = [unmanaged_account for unmanaged_account in unmanaged if unmanaged_account.power >= Power.MANAGE]
    others = [unmanaged_account for unmanaged_account in unmanaged if unmanaged_account.power < Power.MANAGE]
    if mighty:
        yield Block(
            (f"**Unmanaged accounts with high privileges**\n\n{_accounts(mighty)}", _brief_accounts(mighty)), _DANGER
        )
    if others:
        title = "Unmanaged accounts"
        count = f"{plural(len(others), 'account')} without high privileges {_LATER}"
        yield Block((details(title, _accounts(others)), details(title, count)), _KNOWN)


def _accounts(unmanaged: Iterable[UnmanagedAccount]) -> str:
    rows = (
        (
            code(unmanaged_account.name),
            code(unmanaged_account.email or ""),
            unmanaged_account.power.word,
            plural(unmanaged_account.grants, "grant"),
        )
        for unmanaged_account in unmanaged
    )
    return table(("account", "e-mail", "access level", "holds"), rows)


def _brief_accounts(unmanaged: Sequence[UnmanagedAccount]) -> str:
    return f"**Unmanaged accounts with high privileges:** {names(unmanaged_account.name for unmanaged_account in unmanaged)}"
