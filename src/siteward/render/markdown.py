"""Renders a report as a Markdown comment for GitHub and GitLab, of at most 60 000 characters.

A hidden mark allows a later run to update its own comment. The numbers, blocked steps, escalations and removals stay
whole and unfolded. Everything else is folded, then shortened, then only counted, until the comment fits; where even
that is too long, the comment is cut and says so.
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
from siteward.render.view import (
    DANGER,
    Band,
    Row,
    Section,
    drift_tables,
    fold,
    sections,
    shown_unmanaged,
    sign,
    step_table,
)

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.context import RenderContext


LIMIT = 60_000
_TITLES = {"validate": "Access files", "diff": "Access diff", "drift": "Access drift", "apply": "Access applied"}
_CUT = "\n\n**This comment is cut here: the rest is in the full report.**"


def render(context: RenderContext) -> str:
    """Return one comment of at most `LIMIT` characters."""
    return fitted(_blocks(context), _last_line(context))


def fitted(blocks: Iterable[Block], foot: str) -> str:
    """Return blocks and a last line as one comment of at most `LIMIT` characters."""
    end = f"\n\n{foot}\n"
    limit = LIMIT - len(end)
    text = fit(tuple(blocks), limit)
    return (text if len(text) <= limit else _cut(text, limit)) + end


def _cut(text: str, limit: int) -> str:
    """Return as many whole lines of `text` as `limit` characters allow, and the notice that it is cut."""
    kept = text[: limit - len(_CUT) - len("\n\n</details>")]
    kept = kept[: kept.rfind("\n")]
    missing = kept.count("<details>") - kept.count("</details>")
    return kept + "\n\n</details>" * missing + _CUT


def _blocks(context: RenderContext) -> Iterator[Block]:
    report = context.report
    yield Block((_headline(context),))
    if said := [diagnostic for diagnostic in context.diagnostics if diagnostic.severity]:
        yield _diagnostics_block(said, context)
    if report.outcomes:
        yield from _outcome_blocks(report.outcomes)
    else:
        yield from chain.from_iterable(_instance_blocks(instance, context) for instance in context.instances)
    if report.drift:
        yield from _drift_blocks(report.drift)


def _headline(context: RenderContext) -> str:
    report, of = context.report, context.summary
    instances = (instance.instance for instance in context.instances)
    mark = comment((f"siteward:{report.command}", *instances, context.digest.removeprefix("sha256:")[:12]))
    numbers = {
        "validate": words.findings(of) + (f" in {plural(report.files, 'file')}" if report.files else ""),
        "drift": words.drifted(of),
        "apply": words.results(of) if of.outcomes else words.headline(of),
    }.get(report.command, words.headline(of) if report.plan else words.findings(of))
    after = " · ".join((*words.consequences(of), *words.leftovers(of))) if report.plan and not of.outcomes else ""
    title = ", ".join(filter(None, (_TITLES.get(report.command, "Access plan"), words.partial(report.plan))))
    return "\n\n".join(filter(None, (f"{mark}\n### {title}: {numbers}", after)))


def _last_line(context: RenderContext) -> str:
    report, plan = context.report, context.report.plan
    parts = [f"exit {context.code} ({context.verdict})"]
    if plan:
        changed = " with changes not committed" if plan.dirty else ""
        commit = f" for {code(plan.commit)}{changed}" if plan.commit else ""
        parts += [f"plan {code(plan.digest)}{commit} as of {words.moment(plan.as_of)}"]
    parts += [prose(phrase) for phrase in words.dates(report)]
    if report.journal_head:
        parts += [f"journal, head {code(report.journal_head)}"]
    if report.next:
        parts += [f"next: {code(report.next)}"]
    return " · ".join(parts)


def _diagnostics_block(said: Iterable[Diagnostic], context: RenderContext) -> Block:
    """Return the diagnostics about the files, whole or in brief."""
    ordered = words.by_weight(said)
    lines = [f"- {remark(diagnostic, context, words.told(diagnostic))}" for diagnostic in ordered]
    brief = [f"- {code(diagnostic.code)} {code(str(diagnostic.at or ''))}" for diagnostic in ordered]
    return Block(("\n".join(lines), "\n".join(brief)), 1)


def _outcome_blocks(outcomes: Iterable[Outcome]) -> Iterator[Block]:
    every = words.by_outcome(outcomes)
    failed = [outcome for outcome in every if outcome.status not in words.WELL]
    done = [outcome for outcome in every if outcome.status in words.WELL]
    if failed:
        yield Block((_outcome_table(failed),))
    if done:
        body = _outcome_table(done)
        yield Block((details("Done", body), details("Done", "listed in the journal")), 0)


def _outcome_table(outcomes: Iterable[Outcome]) -> str:
    return table(("", "instance", "who", "where", "change", "what happened"), map(_outcome_cells, outcomes))


def _outcome_cells(outcome: Outcome) -> tuple[str, ...]:
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
            brief = _brief_drift(item for item in every if item.kind == kind)
            yield Block((f"**{drift.title}**\n\n{body}", f"**{drift.title}**\n\n{brief}"), 2)


def _brief_drift(items: Iterable[DriftItem]) -> str:
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


def _instance_blocks(instance: InstancePlan, context: RenderContext) -> Iterator[Block]:
    """Yield the blocks of one instance: header, diagnostics, steps by band, then what is not acted on."""
    yield Block((_instance_header(instance, context),))
    if objections := list(_instance_remarks(instance, context)):
        yield Block(("\n".join(objections),))
    for section in sections(instance.steps):
        yield _band_block(section, context)
    yield from _unplanned_blocks(instance, context)


def _instance_header(instance: InstancePlan, context: RenderContext) -> str:
    release = words.release(instance.platform, instance.version, instance.edition)
    about = f"{code(instance.origin)} · {prose(release)} · mode {prose(instance.mode)}"
    numbers = prose(words.headline(context.parts[instance.instance]))
    return f"#### {code(instance.instance)}\n\n{about} · {numbers}"


def _instance_remarks(instance: InstancePlan, context: RenderContext) -> Iterator[str]:
    for name in words.unread(instance):
        yield f"- **Not read:** {prose(name)}"
    for diagnostic in words.by_weight(instance.diagnostics):
        if diagnostic.severity:
            yield f"- {remark(diagnostic, context)}"


def remark(said: Diagnostic, context: RenderContext, message: str = "") -> str:
    """Return a diagnostic as a phrase with its place and advice; `message` replaces its own message."""
    kind = "**error**" if said.blocks else said.severity.word
    place = f" ({place_of(said.at)})" if said.at else ""
    help_ = "".join(f" · {prose(phrase)}" for phrase in advice(said, context.digest))
    return f"{kind} {code(said.code)} {prose(message or said.message)}{place}{help_}"


def place_of(at: Span) -> str:
    """Return a place in the declaration, as `file:line` in code."""
    return code(f"{at.file}:{at.line}")


def _band_block(section: Section, context: RenderContext) -> Block:
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
    brief = chain((_describe_fold(fold.steps) for fold in folds), (compact(rest, _by_person),) if rest else ())
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


def _describe_fold(steps: Sequence[Step]) -> str:
    step = steps[0]
    people = dict.fromkeys(words.person(step) for step in steps)
    places = dict.fromkeys(words.where(step.change.key) for step in steps)
    counts = f"{plural(len(people), 'person', 'people')} on {plural(len(places), 'place')}"
    return f"- {_SIGNS[sign(step)]} {code(words.movement(step.change))}: {plural(len(steps), 'line')}, {counts}"


Shape = Callable[[Sequence[Step]], Iterator[str]]


def compact(steps: Iterable[Step], shape: Shape) -> str:
    """Return all steps in brief, without causes, grouped by movement; `shape` draws the steps of one movement."""
    by_movement: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in steps:
        by_movement[_SIGNS[sign(step)], words.movement(step.change)].append(step)
    parts = ("\n".join((f"{mark} {code(movement)}", *shape(same))) for (mark, movement), same in by_movement.items())
    return "\n\n".join(parts)


def _by_person(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one line for all people who change on the same places."""
    places_of: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        places_of[words.title(step)].append(words.subject_of_change(step.change))
    people_at: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for person, places in places_of.items():
        people_at[tuple(places)].append(person)
    for same_places, people in people_at.items():
        yield f"- {names(people)}: {names(same_places)}"


def _by_place(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one line for each place, with all people who change there."""
    people_at: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        people_at[words.subject_of_change(step.change)].append(words.title(step))
    for place, people in people_at.items():
        yield f"- {names([place])}: {names(people)}"


def _unplanned_blocks(instance: InstancePlan, context: RenderContext) -> Iterator[Block]:
    if instance.held_back:
        title = prose(words.held_back(instance))
        count = f"{plural(len(instance.held_back), 'line')} {_LATER}"
        yield Block((details(title, _draw_steps(instance.held_back, context)), details(title, count)), _KNOWN)
    if instance.waiting:
        waiting = "\n".join(f"- {code(words.declared_user(key))}: {code(words.where(key))}" for key in instance.waiting)
        title, count = "Waiting for acceptance", f"{plural(len(instance.waiting), 'line')} {_LATER}"
        yield Block((details(title, waiting), details(title, count)), _KNOWN)
    yield from _unmanaged_blocks(shown_unmanaged(instance.unmanaged))
    if hidden := words.unseen(instance):
        yield Block((f"Cannot be seen: {', '.join(map(code, hidden))}",))


def _unmanaged_blocks(unmanaged: Sequence[UnmanagedAccount]) -> Iterator[Block]:
    """Yield the unmanaged accounts: those with high privileges unfolded, the others folded."""
    powerful = [account for account in unmanaged if account.power >= Power.MANAGE]
    others = [account for account in unmanaged if account.power < Power.MANAGE]
    if powerful:
        yield Block(
            (f"**Unmanaged accounts with high privileges**\n\n{_account_table(powerful)}", _brief_accounts(powerful)),
            _DANGER,
        )
    if others:
        title = "Unmanaged accounts"
        count = f"{plural(len(others), 'account')} without high privileges {_LATER}"
        yield Block((details(title, _account_table(others)), details(title, count)), _KNOWN)


def _account_table(unmanaged: Iterable[UnmanagedAccount]) -> str:
    rows = (
        (
            code(account.name),
            code(account.email or ""),
            account.power.word,
            plural(account.grants, "grant") + (", open invitation" if account.pending else ""),
        )
        for account in unmanaged
    )
    return table(("account", "e-mail", "access level", "holds"), rows)


def _brief_accounts(unmanaged: Sequence[UnmanagedAccount]) -> str:
    return f"**Unmanaged accounts with high privileges:** {names(account.name for account in unmanaged)}"
