"""A plan in Markdown, as blocks that can be made shorter: danger stays whole, routine gives way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from siteward.access.model import Power
from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
from siteward.render import words
from siteward.render.markdown_escape import Block, code, details, names, prose, table
from siteward.render.safe import advice
from siteward.render.view import DANGER, Band, Section, fold, sections, sign

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.state import Origin
    from siteward.render.context import RenderContext

_HEADER = ("", "who", "where", "change", "why")
_SIGNS = {"+": "\u2795", "~": "\u270e", "-": "\u2796"}  # heavy plus, pencil, heavy minus
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
        forms = (_rows(section.steps, context), compact(section.steps, _by_person), compact(section.steps, _by_place))
        return Block(tuple(f"{head}{form}" for form in forms), _DANGER)
    folds, rest = fold(section.steps)
    brief = chain((_folded(fold.steps) for fold in folds), (compact(rest, _by_person),) if rest else ())
    forms = (_rows(section.steps, context), "\n".join(brief), f"{words.plural(len(section.steps), 'line')} {_LATER}")
    if section.band is not Band.ROUTINE:
        return Block(tuple(f"**{title}**\n\n{form}" for form in forms), _CREATED)
    return Block(tuple(details(title, form) for form in forms), _ROUTINE)


def _rows(steps: Iterable[Step], context: RenderContext) -> str:
    return table(_HEADER, (_row(step, context) for step in steps))


def _row(step: Step, context: RenderContext) -> tuple[str, ...]:
    flag = "⊘ " if step.blocked else "❗ " if step.raises or step.risk == "high" else ""
    where = words.subject_of_change(step.change)
    return (
        flag + _sign(step),
        code(words.title(step)),
        code(where),
        code(words.movement(step.change)),
        _why(step, context),
    )


def _sign(step: Step) -> str:
    return _SIGNS[sign(step)]


def _why(step: Step, context: RenderContext) -> str:
    at: Origin | None = step.origin
    place = place_of(at.at) if at else ""
    said = (remark(diagnostic, context) for diagnostic in step.diagnostics if diagnostic.severity or diagnostic.effect)
    outside = "external" if step.external else ""
    return " · ".join(filter(None, (place, *map(prose, words.because(step)), outside, *said)))


def _folded(steps: Sequence[Step]) -> str:
    step = steps[0]
    people = dict.fromkeys(words.person(step) for step in steps)
    places = dict.fromkeys(words.where(step.change.key) for step in steps)
    counts = f"{words.plural(len(people), 'person', 'people')} on {words.plural(len(places), 'place')}"
    return f"- {_sign(step)} {code(words.movement(step.change))}: {words.plural(len(steps), 'line')}, {counts}"


Shape = Callable[[Sequence[Step]], Iterator[str]]


def compact(steps: Iterable[Step], shape: Shape) -> str:
    """Return every one of the steps, without causes, those of one movement together."""
    by_movement: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in steps:
        by_movement[_sign(step), words.movement(step.change)].append(step)
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
        count = f"{words.plural(len(instance.held_back), 'line')} {_LATER}"
        yield Block((details(title, _rows(instance.held_back, context)), details(title, count)), _KNOWN)
    if instance.waiting:
        waiting = "\n".join(f"- {code(words.declared_user(key))}: {code(words.where(key))}" for key in instance.waiting)
        title, count = "Waiting for acceptance", f"{words.plural(len(instance.waiting), 'line')} {_LATER}"
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
        yield Block((f"**Unmanaged accounts with high privileges**\n\n{_accounts(mighty)}", _brief(mighty)), _DANGER)
    if others:
        title = "Unmanaged accounts"
        count = f"{words.plural(len(others), 'account')} without high privileges {_LATER}"
        yield Block((details(title, _accounts(others)), details(title, count)), _KNOWN)


def _accounts(unmanaged: Iterable[UnmanagedAccount]) -> str:
    rows = (
        (
            code(unmanaged_account.name),
            code(unmanaged_account.email or ""),
            unmanaged_account.power.word,
            words.plural(unmanaged_account.grants, "grant"),
        )
        for unmanaged_account in unmanaged
    )
    return table(("account", "e-mail", "access level", "holds"), rows)


def _brief(unmanaged: Sequence[UnmanagedAccount]) -> str:
    return f"**Unmanaged accounts with high privileges:** {names(unmanaged_account.name for unmanaged_account in unmanaged)}"
