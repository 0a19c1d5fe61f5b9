"""A plan in Markdown, as blocks that can be made shorter: danger stays whole, routine gives way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from siteward.access.model import Power
from siteward.access.plan import InstancePlan, Step, Stranger
from siteward.render import words
from siteward.render.blocks import Block
from siteward.render.marks import code, details, names, prose, table
from siteward.render.snippet import advice
from siteward.render.view import DANGER, Band, Section, fold, sections, sign

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.state import Origin
    from siteward.render.sheet import Sheet

_HEADER = ("", "who", "where", "change", "why")
_SIGNS = {"+": "\u2795", "~": "\u270e", "-": "\u2796"}  # heavy plus, pencil, heavy minus
_LATER = "in the full plan"
# How early a block may be shortened.
_ROUTINE, _KNOWN, _CREATED, _DANGER = 0, 1, 2, 3


def instance_blocks(instance: InstancePlan, sheet: Sheet) -> Iterator[Block]:
    """Yield the blocks of one instance: its header, objections, danger, then what may be folded."""
    yield Block((_header(instance, sheet),))
    if objections := list(_objections(instance, sheet)):
        yield Block(("\n".join(objections),))
    for each in sections(instance.steps):
        yield _section(each, sheet)
    yield from _beside(instance, sheet)


def _header(instance: InstancePlan, sheet: Sheet) -> str:
    release = " ".join(filter(None, (instance.platform, instance.version, instance.edition)))
    about = f"{code(instance.origin)} · {prose(release)} · mode {prose(instance.mode)}"
    numbers = prose(words.headline(sheet.parts[instance.instance]))
    return f"#### {code(instance.instance)}\n\n{about} · {numbers}"


def _objections(instance: InstancePlan, sheet: Sheet) -> Iterator[str]:
    for name in words.unread(instance):
        yield f"- **Not read:** {prose(name)}"
    for each in words.by_weight(instance.diagnostics):
        if each.severity:
            yield f"- {remark(each, sheet)}"


def remark(said: Diagnostic, sheet: Sheet, message: str = "") -> str:
    """Return one diagnostic as a phrase with its place and what would help."""
    digest = sheet.report.plan.digest if sheet.report.plan else ""
    kind = "**error**" if said.blocks else said.severity.word
    place = f" ({place_of(said.at)})" if said.at else ""
    help_ = "".join(f" · {prose(each)}" for each in advice(said, digest))
    return f"{kind} {code(said.code)} {prose(message or said.message)}{place}{help_}"


def place_of(at: Span) -> str:
    """Return a place in the declaration."""
    return code(f"{at.file}:{at.line}")


def _section(section: Section, sheet: Sheet) -> Block:
    title = section.band.heading
    if section.band in DANGER:
        mark = "⊘ " if section.band is Band.BLOCKED else "❗ " if section.band is Band.RAISED else ""
        head = f"**{mark}{title}**\n\n"
        forms = (_rows(section.steps, sheet), compact(section.steps, _by_person), compact(section.steps, _by_place))
        return Block(tuple(f"{head}{each}" for each in forms), _DANGER)
    folds, rest = fold(section.steps)
    brief = chain((_folded(each.steps) for each in folds), (compact(rest, _by_person),) if rest else ())
    forms = (_rows(section.steps, sheet), "\n".join(brief), f"{words.plural(len(section.steps), 'line')} {_LATER}")
    if section.band is not Band.ROUTINE:
        return Block(tuple(f"**{title}**\n\n{each}" for each in forms), _CREATED)
    return Block(tuple(details(title, each) for each in forms), _ROUTINE)


def _rows(steps: Iterable[Step], sheet: Sheet) -> str:
    return table(_HEADER, (_row(each, sheet) for each in steps))


def _row(step: Step, sheet: Sheet) -> tuple[str, ...]:
    flag = "⊘ " if step.blocked else "❗ " if step.raises or step.risk == "high" else ""
    where = words.subject_of_change(step.change)
    return (
        flag + _sign(step),
        code(words.title(step)),
        code(where),
        code(words.movement(step.change)),
        _why(step, sheet),
    )


def _sign(step: Step) -> str:
    return _SIGNS[sign(step)]


def _why(step: Step, sheet: Sheet) -> str:
    at: Origin | None = step.origin
    place = place_of(at.at) if at else ""
    said = (remark(each, sheet) for each in step.diagnostics if each.severity or each.effect)
    outside = "outsider" if step.outsider else ""
    return " · ".join(filter(None, (place, *map(prose, words.because(step)), outside, *said)))


def _folded(steps: Sequence[Step]) -> str:
    step = steps[0]
    people = dict.fromkeys(words.person(each) for each in steps)
    places = dict.fromkeys(words.where(each.change.key) for each in steps)
    counts = f"{words.plural(len(people), 'person', 'people')} on {words.plural(len(places), 'place')}"
    return f"- {_sign(step)} {code(words.movement(step.change))}: {words.plural(len(steps), 'line')}, {counts}"


Shape = Callable[[Sequence[Step]], Iterator[str]]


def compact(steps: Iterable[Step], shape: Shape) -> str:
    """Return every one of the steps, without causes, those of one movement together."""
    by_movement: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for each in steps:
        by_movement[_sign(each), words.movement(each.change)].append(each)
    parts = ("\n".join((f"{mark} {code(movement)}", *shape(same))) for (mark, movement), same in by_movement.items())
    return "\n\n".join(parts)


def _by_person(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one line for all who move on the same places."""
    places: dict[str, list[str]] = defaultdict(list)
    for each in steps:
        places[words.title(each)].append(words.subject_of_change(each.change))
    people: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for person, found in places.items():
        people[tuple(found)].append(person)
    for found_, who in people.items():
        yield f"- {names(who)}: {names(found_)}"


def _by_place(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one line a place, with all who move there."""
    people: dict[str, list[str]] = defaultdict(list)
    for each in steps:
        people[words.subject_of_change(each.change)].append(words.title(each))
    for place, who in people.items():
        yield f"- {names([place])}: {names(who)}"


def _beside(instance: InstancePlan, sheet: Sheet) -> Iterator[Block]:
    if instance.held_back:
        title = f"Held back by mode {prose(instance.mode)}"
        count = f"{words.plural(len(instance.held_back), 'line')} {_LATER}"
        yield Block((details(title, _rows(instance.held_back, sheet)), details(title, count)), _KNOWN)
    if instance.waiting:
        waiting = "\n".join(f"- {code(words.holder(key))}: {code(words.where(key))}" for key in instance.waiting)
        title, count = "Waiting for acceptance", f"{words.plural(len(instance.waiting), 'line')} {_LATER}"
        yield Block((details(title, waiting), details(title, count)), _KNOWN)
    yield from _strangers([each for each in instance.strangers if not each.ignored or each.power >= Power.MANAGE])
    if hidden := [each for each in instance.blind_spots if each not in instance.accepted_blind]:
        yield Block((f"Cannot be seen: {', '.join(map(code, hidden))}",))


def _strangers(strangers: Sequence[Stranger]) -> Iterator[Block]:
    """Yield the accounts nobody declared: those in power as danger, the others folded."""
    mighty = [each for each in strangers if each.power >= Power.MANAGE]
    others = [each for each in strangers if each.power < Power.MANAGE]
    if mighty:
        yield Block((f"**Live, powerful and not declared**\n\n{_accounts(mighty)}", _brief(mighty)), _DANGER)
    if others:
        title = "Live but not declared"
        count = f"{words.plural(len(others), 'account')} without power {_LATER}"
        yield Block((details(title, _accounts(others)), details(title, count)), _KNOWN)


def _accounts(strangers: Iterable[Stranger]) -> str:
    rows = (
        (code(each.name), code(each.email or ""), each.power.word, words.plural(each.grants, "grant"))
        for each in strangers
    )
    return table(("account", "e-mail", "power", "holds"), rows)


def _brief(strangers: Sequence[Stranger]) -> str:
    return f"**Live, powerful and not declared:** {names(each.name for each in strangers)}"
