"""Renders a report as a Markdown comment for GitHub and GitLab, of at most 60 000 characters.

A hidden mark allows a later run to update its own comment. What is only reported and what is blocked gives way first,
line by line with the number missing, then what is routine; raised privileges, admin changes and removals are named as
long as any form of them fits. A comment that does not name them all says so in its first line that is shown, and in a
hidden one that a recipe can test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from siteward.access.diagnostic import Span, join_some, plural
from siteward.access.model import Power
from siteward.render import words
from siteward.render.findings import from_top
from siteward.render.fitting import Block, Chain, Lines, Part, fit
from siteward.render.markdown_escape import code, comment, details, names, prose, table
from siteward.render.repeats import Occurrence, Told, tell_once
from siteward.render.safe import advice, name_digest
from siteward.render.view import (
    DANGER,
    REPORTED,
    Band,
    Collapsed,
    Planned,
    Row,
    Section,
    drift_tables,
    equal_outcomes,
    fold,
    held_back,
    objections,
    reported,
    sections,
    sign,
    step_table,
    unmanaged,
    weighty,
)

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.context import Options, RenderContext


LIMIT = 60_000
NOT_WHOLE = "<!-- siteward:not-everything-fits -->"
"""The hidden line, the second of a comment, by which a recipe knows that the comment does not show all that matters."""
_TITLES = {"validate": "Access files", "diff": "Access diff", "drift": "Access drift", "apply": "Access applied"}
_OUTCOMES = table(("", "instance", "who", "where", "change", "what happened"), ())
_CUT = "\n\n**This comment is cut here: the rest is in the full report.**"
_CHANGES = ("change", "changes")
_MOST = 10**9  # more than any plan has
_IN_LINE = 20
"""The names in one line of a brief form, so that a list is cut near the name that fits no more."""


def render(context: RenderContext) -> str:
    """Return one comment of at most `LIMIT` characters."""
    return fitted(_parts(context), _last_line(context))


def fitted(parts: Iterable[Part], foot: str) -> str:
    """Return parts and a last line as one comment of at most `LIMIT` characters; the first line is its mark."""
    every, end = tuple(parts), f"\n\n{foot}\n"
    limit = LIMIT - len(end)
    whole = fit(every, limit)
    if len(whole.text) <= limit and not whole.lacks:
        return whole.text + end
    short = fit(every, limit - len(_begin(_MOST)))
    begin = _begin(short.lacks)
    room = limit - len(begin)
    mark, _, rest = (short.text if len(short.text) <= room else _cut(short.text, room)).partition("\n")
    return f"{mark}\n{begin}{rest}{end}"


def _begin(lacks: int) -> str:
    """Return the second and third line of a comment that is not whole."""
    one, several = "change of privileges or removal is", "changes of privileges and removals are"
    what = f"{plural(lacks, one, several)} not named here" if lacks else "the end is missing"
    return f"{NOT_WHOLE}\n**Not everything fits: {what}.** Review the full report instead.\n\n"


def _cut(text: str, limit: int) -> str:
    """Return as many whole lines of `text` as `limit` characters allow, and the notice that it is cut."""
    kept = text[: limit - len(_CUT) - len("\n\n</details>")]
    kept = kept[: kept.rfind("\n")]
    missing = kept.count("<details>") - kept.count("</details>")
    return kept + "\n\n</details>" * missing + _CUT


def _parts(context: RenderContext) -> Iterator[Part]:
    report = context.report
    yield Block((_headline(context),))
    if said := [diagnostic for diagnostic in context.diagnostics if words.is_told(diagnostic)]:
        yield _diagnostics_part(said, context)
    if report.outcomes:
        yield from _outcome_parts(context)
        yield from _drift_parts(report.drift)
        return
    if report.command == "drift":
        yield from _drift_parts(report.drift)
    if context.instances:
        yield Block(("\n".join(_instance_line(instance, context) for instance in context.instances),))
    if report.command != "drift":
        yield from _section_parts(context)
        yield from _drift_parts(report.drift)
    yield from _reported_parts(context)


def _headline(context: RenderContext) -> str:
    report, of = context.report, context.summary
    instances = (instance.instance for instance in context.instances)
    mark = comment((f"siteward:{report.command}", *instances, context.digest.removeprefix("sha256:")[:12]))
    numbers = {
        "validate": words.findings(of) + (f" in {plural(report.files, 'file')}" if report.files else ""),
        "drift": words.drifted(of),
        "apply": words.results(of) if of.outcomes else words.headline(of),
    }.get(report.command, words.headline(of) if report.plan else words.findings(of))
    told = (*words.consequences(of), *words.leftovers(of), *filter(None, (words.coverage(of),)))
    after = " · ".join(told) if report.plan and not of.outcomes else ""
    title = ", ".join(filter(None, (_TITLES.get(report.command, "Access plan"), words.partial(report.plan))))
    needs = words.needs(report.plan) if report.command in {"plan", "show"} else ""
    asked = f"**Apply needs:** {prose(needs)}" if needs else ""
    return "\n\n".join(filter(None, (f"{mark}\n### {title}: {numbers}", after, asked)))


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
    if context.options.run:
        parts += [link_run(context.options)]
    return " · ".join(parts)


def _diagnostics_part(said: Iterable[Diagnostic], context: RenderContext) -> Part:
    """Return the diagnostics about the files, whole or in brief, and then line by line."""
    told = tell_once(map(Occurrence, words.by_weight(said)))
    whole = "\n".join(f"- {remark(finding, context)}" for finding in told)
    brief = tuple(f"- {code(finding.said.code)} {code(str(finding.said.at or ''))}" for finding in told)
    first, *rest = brief
    return Chain((Block((whole,)), Lines(head=first, lines=tuple(rest))), _CREATED)


def _outcome_parts(context: RenderContext) -> Iterator[Part]:
    every = words.by_outcome(context.report.outcomes)
    failed = [outcome for outcome in every if outcome.status not in words.WELL and outcome.status != "blocked"]
    blocked = [outcome for outcome in every if outcome.status == "blocked"]
    done = [outcome for outcome in every if outcome.status in words.WELL]
    if failed:
        yield Lines(head=_OUTCOMES, lines=_outcome_rows(failed, context), noun=_CHANGES, needed=True, rank=_DANGER)
    if blocked:
        yield Lines(head=_OUTCOMES, lines=_outcome_rows(blocked, context), noun=_CHANGES, rank=_BLOCKED)
    if done:
        body = "\n".join((_OUTCOMES, *_outcome_rows(done, context)))
        yield Block((details("Done", body), details("Done", "listed in the journal")), _REPORTED)


def _outcome_rows(outcomes: Sequence[Outcome], context: RenderContext) -> tuple[str, ...]:
    """Return rows of a table, in which outcomes with the same reason give it once."""
    rows: list[str] = []
    for equal in equal_outcomes(outcomes):
        for number, outcome in enumerate(equal):
            cells = _outcome_cells(outcome, context)
            rows.append(f"| {' | '.join(cells if not number else (*cells[:-1], 'as above'))} |")
    return tuple(rows)


def _outcome_cells(outcome: Outcome, context: RenderContext) -> tuple[str, ...]:
    step = outcome.step
    three = [f"{name} {code(side)}" for name, side in words.three(outcome)]
    return (
        f"**{words.OUTCOMES[outcome.status]}**",
        code(outcome.instance),
        code(words.title(step)),
        code(words.subject_of_change(step.change)),
        code(words.movement(step.change)),
        " · ".join(
            filter(None, (prose(outcome.message), *three, prose(name_digest(outcome.hint or "", context.digest))))
        ),
    )


def _drift_parts(items: Iterable[DriftItem]) -> Iterator[Part]:
    every = tuple(items)
    for kind, drift in drift_tables(every):
        rows = ((*map(code, row.cells), prose(row.reason)) for row in drift.rows)
        body = table(drift.header, rows)
        if kind == "unapplied":
            yield Block((details(drift.title, body), ""), _REPORTED)
        else:
            brief = _brief_drift(item for item in every if item.kind == kind)
            yield Block((f"**{drift.title}**\n\n{body}", f"**{drift.title}**\n\n{brief}"), _DANGER)


def _brief_drift(items: Iterable[DriftItem]) -> str:
    return "\n".join(
        f"- {code(words.declared_user(key))} {code(words.where(key))}: {code(words.value(item.live))}"
        for item in items
        if (key := words.key_of(item))
    )


# Heavy plus, pencil, heavy minus.
_SIGNS = {"blocked": "⊘ ", "high": "❗ ", "": "", "+": "\u2795", "~": "\u270e", "-": "\u2796"}
_LATER = "in the full report"
# How early a part gives way.
_REPORTED, _BLOCKED, _ROUTINE, _CREATED, _DANGER = 0, 1, 2, 3, 4


def _section_parts(context: RenderContext) -> Iterator[Part]:
    """Yield the steps of all instances by band, those that are done first; then what is blocked, and why."""
    found = sections(context.instances, shown=weighty)
    for section in found:
        if section.band is not Band.BLOCKED:
            yield _band_part(section, context)
            yield from _told_parts(section.told, context, _CREATED)
    why = objections(context.instances)
    blocked = [section for section in found if section.band is Band.BLOCKED]
    shared = tuple(told for section in blocked for told in section.told)
    if why or blocked:
        yield Block((f"**⊘ {Band.BLOCKED.heading}**",), _BLOCKED)
        yield from _told_parts((*why, *shared), context, _BLOCKED)
    for section in blocked:
        folds, rest = fold(section)
        if folds:
            first, *others = [_describe_fold(folded) for folded in folds]
            yield Lines(head=first, lines=tuple(others), rank=_BLOCKED)
        if rest:
            yield _step_lines(rest, context, _BLOCKED)


def _told_parts(found: Sequence[Told], context: RenderContext, rank: int) -> Iterator[Part]:
    """Yield findings as a list; the first stays."""
    if found:
        first, *others = [f"- {remark(told, context)}" for told in found]
        yield Lines(head=first, lines=tuple(others), noun=("finding", "findings"), rank=rank)


def _reported_parts(context: RenderContext) -> Iterator[Part]:
    """Yield what is not acted on."""
    if context.report.command == "drift":
        yield from _told_parts(objections(context.instances), context, _DANGER)
    rest = [
        *_told_parts(reported(context.instances, lambda said: bool(said.severity)), context, _REPORTED),
        *_unplanned_parts(context),
    ]
    if rest:
        yield Block((f"**{REPORTED}**",))
        yield from rest


def _instance_line(instance: InstancePlan, context: RenderContext) -> str:
    release = words.release(instance.platform, instance.version, instance.edition)
    several = len(context.instances) > 1 and context.report.command != "drift"
    about = (
        code(instance.origin),
        prose(release),
        f"mode {prose(instance.mode)}",
        *((prose(words.headline(context.parts[instance.instance])),) if several else ()),
        *(f"**not read:** {prose(name)}" for name in words.unread(instance)),
    )
    return f"- {code(instance.instance)}: {' · '.join(about)}"


def remark(told: Told, context: RenderContext) -> str:
    """Return a finding as a phrase with its place and advice, and how many it stands for."""
    said = told.said
    kind = "**error**" if said.blocks else said.severity.word
    place = f" ({place_of(said.at, context.options)})" if said.at else ""
    more = "".join(f" · {prose(phrase)}" for phrase in (*advice(said, context.digest), *told.more()))
    return f"{kind} {code(said.code)} {prose(f'{told.where}{said.message}')}{place}{more}"


def place_of(at: Span, options: Options) -> str:
    """Return a place in the declaration, as `file:line` in code, which leads to that line where a forge is known."""
    return link_place(f"{at.file}:{at.line}", options)


def link_place(place: str, options: Options) -> str:
    """Return `file:line` as code, and where the forge's address is known as a link to that line."""
    name, _, number = place.rpartition(":")
    if not (options.blob and name and number.isdecimal()):
        return code(place)
    at = from_top(Span(name, int(number), 1), options)
    if at.file.startswith(("/", "..")):  # outside of the repository
        return code(place)
    path = quote(at.file.encode("utf-8", "surrogatepass"), safe="/")
    return f"[{code(f'{at.file}:{at.line}')}](<{options.blob}/{path}#L{at.line}>)"


def link_run(options: Options) -> str:
    """Return the link to the run and what it keeps, or an empty text."""
    return f"[run and artifacts](<{options.run}>)" if options.run else ""


def _band_part(section: Section, context: RenderContext) -> Part:
    title = section.band.heading
    if section.band in DANGER:
        head = f"**{'❗ ' if section.band is not Band.REMOVED else ''}{title}**\n\n"
        forms = (head + _draw_steps(section.steps, context), head + compact(section.steps, _by_person))
        return Chain((Block(forms), _danger_lines(head, section.steps)), _DANGER + Band.REMOVED - section.band)
    folds, rest = fold(section)
    brief = (*map(_describe_fold, folds), *((compact(rest, _by_person),) if rest else ()))
    bodies = (
        _draw_steps(section.steps, context), "\n".join(brief), f"{plural(len(section.steps), 'line')} {_LATER}"
    )  # fmt: skip
    if section.band is not Band.ROUTINE:
        return Block(tuple(f"**{title}**\n\n{body}" for body in bodies), _CREATED)
    return Block(tuple(details(title, body) for body in bodies), _ROUTINE)


def _danger_lines(head: str, steps: Sequence[Planned]) -> Lines:
    """Return dangers in the shortest form, which gives way nearly name by name."""
    lines, weights = [], []
    for movement, same in _by_movement(steps).items():
        people_at: dict[str, list[str]] = defaultdict(list)
        for item in same:
            people_at[words.subject_of_change(item.step.change)].append(words.title(item.step))
        for place, people in people_at.items():
            for start in range(0, len(people), _IN_LINE):
                some = people[start : start + _IN_LINE]
                lines.append(f"- {movement} {names([place])}: {names(some)}")
                weights.append(len(some))
    return Lines(
        head=head.rstrip(), lines=("", *lines), weights=(0, *weights), noun=_CHANGES, needed=True
    )  # fmt: skip


def _draw_steps(steps: Sequence[Planned], context: RenderContext) -> str:
    drawn = step_table("", steps, _SIGNS, several=len(context.instances) > 1)
    return table(drawn.header, (_draw_step(row, context) for row in drawn.rows))


def _step_lines(steps: Sequence[Planned], context: RenderContext, rank: int) -> Lines:
    """Return steps as a table that gives way row by row."""
    head, rule, *rows = _draw_steps(steps, context).splitlines()
    return Lines(head=f"{head}\n{rule}", lines=tuple(rows), noun=_CHANGES, rank=rank)


def _draw_step(row: Row, context: RenderContext) -> tuple[str, ...]:
    signs, *cells = row.cells
    remarks = (remark(told, context) for told in tell_once(map(Occurrence, row.remarks)))
    why = " · ".join(filter(None, (link_place(row.place, context.options), *map(prose, row.why), *remarks)))
    return (signs, *map(code, cells), why)


def _describe_fold(folded: Collapsed) -> str:
    item = folded.steps[0]
    counts = f"{plural(len(folded.people), 'person', 'people')} on {plural(len(folded.places), 'place')}"
    who = f": {prose(join_some(folded.people))}" if item.band is Band.BLOCKED else ""
    movement = code(words.movement(item.step.change))
    return f"- {_SIGNS[sign(item.step)]} {movement}: {plural(len(folded.steps), 'line')}, {counts}{who}"


Shape = Callable[[Sequence["Step"]], Iterator[str]]


def _by_movement(steps: Iterable[Planned]) -> dict[str, list[Planned]]:
    """Return steps by their sign, movement and instance, as it is written."""
    by_movement: dict[str, list[Planned]] = defaultdict(list)
    every = tuple(steps)
    several = len({item.instance for item in every}) > 1
    for item in every:
        on = f" on {code(item.instance)}" if several else ""
        by_movement[f"{_SIGNS[sign(item.step)]} {code(words.movement(item.step.change))}{on}"].append(item)
    return by_movement


def compact(steps: Iterable[Planned], shape: Shape) -> str:
    """Return all steps in brief, without causes, grouped by movement; `shape` draws the steps of one movement."""
    parts = (
        "\n".join((movement, *shape([item.step for item in same]))) for movement, same in _by_movement(steps).items()
    )
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


def _unplanned_parts(context: RenderContext) -> Iterator[Part]:
    """Yield skipped steps, waiting and unmanaged accounts, those with high privileges unfolded, and blind spots."""
    yield from _unmanaged_parts(context)
    for title, steps in held_back(context.instances).items():
        rows = _step_lines(steps, context, _REPORTED)
        yield _folded(prose(title), rows.head, rows.lines)
    waiting = [(part.instance, key) for part in context.instances for key in part.waiting]
    if waiting:
        lines = tuple(
            f"- {code(words.declared_user(key))}: {code(words.where(key))} on {code(name)}" for name, key in waiting
        )
        yield _folded("Waiting for acceptance", "", lines)
    for instance in context.instances:
        if hidden := words.unseen(instance):
            yield Block((f"Cannot be seen on {code(instance.instance)}: {', '.join(map(code, hidden))}",))


def _folded(title: str, head: str, lines: tuple[str, ...]) -> Lines:
    """Return lines that are folded away under a title, and give way one by one."""
    opened = f"<details><summary>{title}</summary>\n\n{head}".rstrip() + ("" if head else "\n")
    return Lines(head=opened, lines=lines, tail="\n\n</details>", rank=_REPORTED)


_ACCOUNTS = table(("account", "e-mail", "instance", "access level", "holds"), ())


def _unmanaged_parts(context: RenderContext) -> Iterator[Part]:
    every = unmanaged(context.instances)
    powerful = tuple(_account_row(*item) for item in every if item[1].power >= Power.MANAGE)
    others = tuple(_account_row(*item) for item in every if item[1].power < Power.MANAGE)
    if powerful:
        head = f"**Unmanaged accounts with high privileges**\n\n{_ACCOUNTS}"
        yield Lines(head=head, lines=powerful, noun=("account", "accounts"), rank=_REPORTED)
    if others:
        yield _folded("Unmanaged accounts", _ACCOUNTS, others)


def _account_row(instance: str, account: UnmanagedAccount) -> str:
    holds = plural(account.grants, "grant") + (", open invitation" if account.pending else "")
    cells = (code(account.name), code(account.email or ""), code(instance), account.power.word, holds)
    return f"| {' | '.join(cells)} |"
