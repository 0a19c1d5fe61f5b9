"""Groups and tables of a report, independent of the format that draws them.

Steps of all instances are grouped by severity band, then by person or site, and identical routine steps are folded.
Tables hold plain text; each renderer sends it through its own escapes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import note, plural
from siteward.access.model import Account, Key, Power
from siteward.render import words
from siteward.render.repeats import Occurrence, Told, equality, group_equal, merge, tell_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Action
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, DriftKind, Outcome
    from siteward.render.context import GroupBy

FOLD_FROM = 4


class Band(IntEnum):
    """The group of steps that a step is shown in, over all instances: most urgent first, then what is not done."""

    RAISED = 0
    RISKY = 1
    REMOVED = 2
    EXTERNAL = 3
    CREATED = 4
    ROUTINE = 5
    BLOCKED = 6

    @property
    def heading(self) -> str:
        """The heading above the steps of a band."""
        return _HEADINGS[self]


_HEADINGS = {
    Band.RAISED: "Privilege increased",
    Band.RISKY: "High risk",
    Band.REMOVED: "Access taken or lowered",
    Band.EXTERNAL: "External users",
    Band.CREATED: "New accounts",
    Band.ROUTINE: "Routine",
    Band.BLOCKED: "Blocked",
}
DANGER = (Band.RAISED, Band.RISKY, Band.REMOVED)
REPORTED = "Reported, and not acted on"
"""The heading above what is neither done nor blocked."""
Flag = Literal["", "blocked", "high"]
Sign = Literal["+", "~", "-"]
_SIGNS: dict[Action, Sign] = {"create": "+", "update": "~", "delete": "-"}
_At: TypeAlias = "tuple[str, str]"
"""An instance and the id of a step on it."""
_SUBJECTS = frozenset({"who", "account"})
STEP_HEADER = ("", "who", "where", "change", "why")
DRIFT_HEADER = ("who", "instance", "where", "live", "declared", "last applied", "note")


class Planned(Struct, frozen=True):
    """A step on its instance, with its band: the one that it has regarded without the other steps."""

    instance: str
    step: Step
    band: Band

    @property
    def flag(self) -> Flag:
        """The flag of the step: `blocked`, `high` for high risk or a raised privilege, else empty."""
        if self.band is Band.BLOCKED:
            return "blocked"
        return "high" if self.step.raises or self.step.risk == "high" else ""


def planned(instances: Iterable[InstancePlan]) -> Iterator[Planned]:
    """Yield the steps of all instances in order; an error about an instance keeps each of its steps from being done."""
    for part in instances:
        name, stopped = part.instance, part.blocked
        for step in part.steps:
            yield Planned(name, step, Band.BLOCKED if stopped else _band_of(step))


def _band_of(step: Step) -> Band:
    """Return the band of a step of which no other error than its own keeps it from being done."""
    if step.blocked:
        return Band.BLOCKED
    if step.raises:
        return Band.RAISED
    if takes(step):
        return Band.REMOVED
    if step.risk == "high":
        return Band.RISKY
    if step.external:
        return Band.EXTERNAL
    return Band.CREATED if step.change.before is None and isinstance(step.change.after, Account) else Band.ROUTINE


def takes(step: Step) -> bool:
    """Return whether a step takes access away: it deletes, or leaves less power than there was."""
    return step.change.after is None or step.after_power < step.before_power


def sign(step: Step) -> Sign:
    """Return the sign of a step: `+` for creating, `~` for updating, `-` for deleting."""
    return _SIGNS[step.change.action]


class Section(Struct, frozen=True):
    """The steps of one band, sorted so that those of a person (or site) follow each other.

    The steps have the diagnostics that are theirs alone; `told` are those that several steps share, each once.
    """

    band: Band
    steps: tuple[Planned, ...]
    told: tuple[Told, ...] = ()


def sections(
    instances: Iterable[InstancePlan], by: GroupBy = "person", shown: Callable[[Diagnostic], bool] = lambda _: True
) -> tuple[Section, ...]:
    """Return the steps of all instances by band, and within each band person by person or site by site.

    Routine grants of a new account stand with its creation. Diagnostics that are not `shown` are left out; what several
    steps share is told in the most urgent section.
    """
    by_band = _by_band(tuple(planned(instances)), by)
    ordered = (item for items in by_band.values() for item in items)
    told = (item for item in ordered if item.step.diagnostics)  # as few have any
    found = (Occurrence(said, item.instance, item.step) for item in told for said in item.step.diagnostics)
    own: dict[_At, list[Diagnostic]] = {}
    shared: dict[_At, list[Told]] = {}
    for equal in group_equal(occurrence for occurrence in found if shown(occurrence.said)):
        first = equal[0]
        at = (first.instance, first.step.id if first.step else "")
        if len(equal) == 1:
            own.setdefault(at, []).append(first.said)
        else:
            shared.setdefault(at, []).append(merge(equal))
    return tuple(_build_section(band, items, own, shared) for band, items in by_band.items())


def _build_section(
    band: Band, items: Sequence[Planned], own: Mapping[_At, Sequence[Diagnostic]], shared: Mapping[_At, Sequence[Told]]
) -> Section:
    """Return a section of steps, with what is told of each step alone and of several; both are by instance and id."""
    if not any(item.step.diagnostics for item in items):  # as nearly all
        return Section(band, tuple(items))
    kept, told = list[Planned](), list[Told]()
    for item in items:
        if item.step.diagnostics:
            at = item.instance, item.step.id
            kept.append(Planned(item.instance, replace(item.step, diagnostics=tuple(own.get(at, ()))), item.band))
            told += shared.get(at, ())
        else:
            kept.append(item)
    return Section(band, tuple(kept), tuple(told))


def _by_band(steps: Sequence[Planned], by: GroupBy) -> dict[Band, list[Planned]]:
    """Return the bands that there are, most urgent first, with their steps in order: what was pending before is last."""
    ordered = sorted(steps, key=_sort_by_person if by == "person" else _sort_by_site)
    new = {(item.instance, words.declared_user(item.step.change.key)) for item in steps if item.band is Band.CREATED}
    by_band: dict[Band, list[Planned]] = {}
    for item in ordered:
        own = item.band
        if new and own is Band.ROUTINE and (item.instance, words.declared_user(item.step.change.key)) in new:
            own = Band.CREATED
        by_band.setdefault(own, []).append(item)
    return dict(sorted(by_band.items()))


def _sort_by_person(item: Planned) -> tuple[bool, str, str, str, Key]:
    step = item.step
    key = step.change.key
    name = words.declared_user(key)
    return step.pending is True, step.person or name, item.instance, name, key


def _sort_by_site(item: Planned) -> tuple[bool, str, str, str, Key]:
    step = item.step
    key = step.change.key
    return step.pending is True, words.where(key), item.instance, step.person or words.declared_user(key), key


class Collapsed(Struct, frozen=True):
    """Identical steps of several people or places on one instance, shown in one line.

    `causes` are steps of all that there is to tell of why they are done: the first, and of blocked ones each of another.
    """

    steps: tuple[Planned, ...]
    people: tuple[str, ...]
    places: tuple[str, ...]
    causes: tuple[Step, ...]


def fold(section: Section) -> tuple[tuple[Collapsed, ...], tuple[Planned, ...]]:
    """Return the folds of at least `FOLD_FROM` identical steps of a section, and its other steps.

    Steps are identical if they are equal in instance, kind, movement and origin; blocked ones also of different origin.
    Those with diagnostics of their own are not folded, nor are dangers and what external people get.
    """
    if section.band in {*DANGER, Band.EXTERNAL}:
        return (), section.steps
    blocked = section.band is Band.BLOCKED
    buckets: dict[tuple[str, ...], list[Planned]] = {}
    apart: set[int] = set()
    causes: dict[tuple[object, ...], tuple[str, ...]] = {}
    for item in section.steps:
        if item.step.diagnostics:
            apart.add(id(item))
        else:
            buckets.setdefault(_fold_key(item, causes, blocked=blocked), []).append(item)
    folds = tuple(_collapse(bucket, blocked=blocked) for bucket in buckets.values() if len(bucket) >= FOLD_FROM)
    apart |= {id(item) for bucket in buckets.values() if len(bucket) < FOLD_FROM for item in bucket}
    return folds, tuple([item for item in section.steps if id(item) in apart]) if apart else ()


def cause_of(step: Step) -> tuple[object, ...]:
    """Return what all that is told of a step's cause depends on: few causes have thousands of steps."""
    return step.cause, step.due, id(step.origin), step.undoes, step.pending, step.external


def _fold_key(item: Planned, causes: dict[tuple[object, ...], tuple[str, ...]], *, blocked: bool) -> tuple[str, ...]:
    """Return what identical steps are equal in; `causes` are the words of those found so far."""
    step, kind = item.step, item.step.change.key[0]
    cause: tuple[str, ...] = ()
    if not blocked:
        which = cause_of(step)
        known = causes.get(which)
        cause = causes[which] = known if known is not None else (words.location(step), *words.because(step))
    movement = words.subject_of_change(step.change) if kind == "account" else words.movement(step.change)
    return (item.instance, sign(step), kind, movement, *cause)


def _collapse(steps: Sequence[Planned], *, blocked: bool) -> Collapsed:
    people = dict.fromkeys([words.title(item.step) for item in steps])
    places = dict.fromkeys([words.subject_of_change(item.step.change) for item in steps])
    different = {cause_of(item.step): item.step for item in (steps if blocked else steps[:1])}
    return Collapsed(tuple(steps), tuple(people), tuple(places), tuple(different.values()))


class Row(Struct, frozen=True, kw_only=True):
    """A row of a table: its cells, then in one column a place in the file, reasons and diagnostics, then further cells."""

    cells: tuple[str, ...]
    place: str = ""
    why: tuple[str, ...] = ()
    remarks: tuple[Diagnostic, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The place and the reasons in one phrase."""
        return " · ".join(filter(None, (self.place, *self.why)))


class Table(Struct, frozen=True, kw_only=True):
    """Rows under a title and the names of the columns; `kind` is the band's name in lower case, if it is one of steps.

    `told` is what several rows share.
    """

    title: str
    kind: str = ""
    header: tuple[str, ...] = STEP_HEADER
    rows: tuple[Row, ...]
    told: tuple[Told, ...] = ()

    @property
    def leading(self) -> int:
        """The index of the column that says what a row is about: the first of a subject, else the first with a name."""
        subjects = (at for at, name in enumerate(self.header) if name in _SUBJECTS)
        return next(subjects, next((at for at, name in enumerate(self.header) if name), 0))


def weighty(said: Diagnostic) -> bool:
    """Return whether a diagnostic of a step is shown without being asked for: a warning, an error or a consequence."""
    return bool(said.severity or said.effect)


def band_tables(instances: Sequence[InstancePlan], by: GroupBy, signs: Mapping[str, str]) -> Iterator[Table]:
    """Yield the steps of all instances as tables, one for each band; `signs` has what is drawn for flags and signs."""
    for section in sections(instances, by, weighty):
        table = step_table(section.band.heading, section.steps, signs, several=len(instances) > 1)
        yield replace(table, kind=section.band.name.lower(), told=section.told)


def reported_tables(instances: Sequence[InstancePlan], signs: Mapping[str, str]) -> Iterator[Table]:
    """Yield the tables of what is not acted on: skipped steps, waiting accounts, unmanaged accounts."""
    several = len(instances) > 1
    for title, steps in held_back(instances).items():
        yield step_table(title, steps, signs, several=several)
    waiting = [(part.instance, key) for part in instances for key in part.waiting]
    if waiting:
        rows = (Row(cells=(words.declared_user(key), words.where(key), name)) for name, key in waiting)
        yield Table(title="Waiting for acceptance", header=("who", "where", "instance", ""), rows=tuple(rows))
    unmanaged = tuple(_unmanaged_rows(instances))
    if unmanaged:
        header = ("", "account", "e-mail", "instance", "access level", "holds", "")
        yield Table(title="Unmanaged accounts", header=header, rows=unmanaged)


def held_back(instances: Iterable[InstancePlan]) -> Mapping[str, tuple[Planned, ...]]:
    """Return the steps that are left undone, under their headings."""
    under: dict[str, tuple[Planned, ...]] = {}
    for part in instances:
        if part.held_back:
            title = words.held_back(part)
            under[title] = (
                *under.get(title, ()),
                *(Planned(part.instance, step, _band_of(step)) for step in part.held_back),
            )
    return under


def step_table(title: str, steps: Iterable[Planned], signs: Mapping[str, str], *, several: bool) -> Table:
    """Return steps as a table; with `several` instances each row names its own."""
    header = (*STEP_HEADER[:2], "instance", *STEP_HEADER[2:]) if several else STEP_HEADER
    return Table(title=title, header=header, rows=tuple(_step_row(item, signs, several=several) for item in steps))


def _step_row(item: Planned, signs: Mapping[str, str], *, several: bool) -> Row:
    step = item.step
    return Row(
        cells=(
            signs[item.flag] + signs[sign(step)],
            words.title(step),
            *((item.instance,) if several else ()),
            words.subject_of_change(step.change),
            words.movement(step.change),
        ),
        place=words.location(step),
        why=(*words.because(step), *(("external",) if step.external else ())),
        remarks=step.diagnostics,
    )


def shown_unmanaged(unmanaged: Iterable[UnmanagedAccount]) -> tuple[UnmanagedAccount, ...]:
    """Return the unmanaged accounts without the ignored ones, unless those can manage something."""
    return tuple(account for account in unmanaged if not account.ignored or account.power >= Power.MANAGE)


def unmanaged(instances: Iterable[InstancePlan]) -> tuple[tuple[str, UnmanagedAccount], ...]:
    """Return the unmanaged accounts to be shown, each with its instance, the most powerful first."""
    found = ((part.instance, account) for part in instances for account in shown_unmanaged(part.unmanaged))
    return tuple(sorted(found, key=lambda item: (-item[1].power, item[1].name, item[0])))


def _unmanaged_rows(instances: Iterable[InstancePlan]) -> Iterator[Row]:
    """Yield a row for each unmanaged account, the ignored ones included."""
    every = [(part.instance, account) for part in instances for account in part.unmanaged]
    for instance, account in sorted(every, key=lambda item: (-item[1].power, item[1].name, item[0])):
        holds = (account.power.word, plural(account.grants, "grant"))
        marks = ("open invitation" if account.pending else "", "ignored" if account.ignored else "")
        cells = ("?", account.name, account.email or "", instance, *holds)
        yield Row(cells=cells, why=tuple(filter(None, marks)))


def reported(instances: Iterable[InstancePlan], shown: Callable[[Diagnostic], bool]) -> tuple[Told, ...]:
    """Return what is said of whole instances and blocks nothing, each thing once, the worst first."""
    return _tell(instances, lambda said: shown(said) and not said.blocks)


def objections(instances: Iterable[InstancePlan]) -> tuple[Told, ...]:
    """Return the errors about instances and about single rows of the file, each once."""
    return _tell(instances, lambda said: said.blocks)


def _tell(instances: Iterable[InstancePlan], shown: Callable[[Diagnostic], bool]) -> tuple[Told, ...]:
    found = (Occurrence(said, part.instance) for part in instances for said in part.diagnostics if shown(said))
    return tuple(sorted(tell_once(found), key=lambda told: words.weight(told.said)))


def equal_outcomes(outcomes: Iterable[Outcome]) -> tuple[tuple[Outcome, ...], ...]:
    """Return outcomes in groups that have the same reason but for whom and where; one with values to show stands alone."""
    groups: dict[object, list[Outcome]] = {}
    for number, outcome in enumerate(outcomes):
        reason = note(outcome.status, outcome.message, hint=outcome.hint)
        apart = number if words.three(outcome) else None
        groups.setdefault((apart, equality(Occurrence(reason, outcome.instance, outcome.step))), []).append(outcome)
    return tuple(map(tuple, groups.values()))


def drift_tables(items: Iterable[DriftItem]) -> Iterator[tuple[DriftKind, Table]]:
    """Yield each kind of drift that there is with the table of its items, real drift first."""
    every = tuple(items)
    for kind, title in words.DRIFT.items():
        rows = tuple(drift_row(item) for item in every if item.kind == kind)
        if rows:
            yield kind, Table(title=title.capitalize(), header=DRIFT_HEADER, rows=rows)


def drift_row(item: DriftItem) -> Row:
    """Return a piece of drift as a row: account, instance, place, then live, declared and last applied."""
    key = words.key_of(item)
    sides = (words.value(side) for side in (item.live, item.declared, item.journalled))
    return Row(
        cells=(words.declared_user(key), item.instance, words.where(key), *sides),
        place=words.location(item.step) if item.step else "",
        why=(item.note,) if item.note else (),
    )
