"""Groups and tables of a report, independent of the format that draws them.

Steps are grouped by severity band, then by person or site, and identical routine steps are folded. Tables hold plain
text; each renderer sends it through its own escapes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.access.model import Account, Key, Power, account_key
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from siteward.access.change import Action
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Step, UnmanagedAccount
    from siteward.access.report import DriftItem, DriftKind
    from siteward.render.context import GroupBy

FOLD_FROM = 4


class Band(IntEnum):
    """The group of steps that a step is shown in, most urgent first."""

    BLOCKED = 0
    RAISED = 1
    REMOVED = 2
    EXTERNAL = 3
    CREATED = 4
    ROUTINE = 5

    @property
    def heading(self) -> str:
        """The heading above the steps of a band."""
        return _HEADINGS[self]


_HEADINGS = {
    Band.BLOCKED: "Blocked",
    Band.RAISED: "Privilege increased or high risk",
    Band.REMOVED: "Access taken or lowered",
    Band.EXTERNAL: "External users",
    Band.CREATED: "New accounts",
    Band.ROUTINE: "Routine",
}
DANGER = (Band.BLOCKED, Band.RAISED, Band.REMOVED)
Flag = Literal["", "blocked", "high"]
Sign = Literal["+", "~", "-"]
_SIGNS: dict[Action, Sign] = {"create": "+", "update": "~", "delete": "-"}
STEP_HEADER = ("", "who", "where", "change", "why")
DRIFT_HEADER = ("instance", "who", "where", "live", "declared", "last applied", "note")


def band(step: Step) -> Band:
    """Return the band of a step, regarded without the other steps."""
    if step.blocked:
        return Band.BLOCKED
    if step.raises or step.risk == "high":
        return Band.REMOVED if takes(step) else Band.RAISED
    if takes(step):
        return Band.REMOVED
    if step.external:
        return Band.EXTERNAL
    if step.change.before is None and isinstance(step.change.after, Account):
        return Band.CREATED
    return Band.ROUTINE


def takes(step: Step) -> bool:
    """Return whether a step takes access away: it deletes, or leaves less power than there was."""
    return step.change.after is None or step.after_power < step.before_power


def sign(step: Step) -> Sign:
    """Return the sign of a step: `+` for creating, `~` for updating, `-` for deleting."""
    return _SIGNS[step.change.action]


def flag(step: Step) -> Flag:
    """Return the flag of a step: `blocked`, `high` for high risk or a raised privilege, else empty."""
    if step.blocked:
        return "blocked"
    return "high" if step.raises or step.risk == "high" else ""


class Section(Struct, frozen=True):
    """The steps of one band, sorted so that those of a person (or site) follow each other."""

    band: Band
    steps: tuple[Step, ...]


def sections(steps: Iterable[Step], by: GroupBy = "person") -> tuple[Section, ...]:
    """Return the steps by band, most urgent first, and within each band person by person or site by site.

    Routine grants of a new account stand with its creation. A note that several steps share is left at the first.
    """
    every = tuple(steps)
    new = {step.change.key for step in every if band(step) is Band.CREATED}
    by_band: dict[Band, list[Step]] = {}
    for step in sorted(every, key=_sort_by_person if by == "person" else _sort_by_site):
        own = band(step)
        if own is Band.ROUTINE and account_key(words.declared_user(step.change.key)) in new:
            own = Band.CREATED
        by_band.setdefault(own, []).append(step)
    seen: set[tuple[str, str]] = set()
    return tuple(Section(band, tuple(_drop_repeated_notes(by_band[band], seen))) for band in Band if band in by_band)


def _sort_by_person(step: Step) -> tuple[str, str, Key]:
    return words.person(step), words.declared_user(step.change.key), step.change.key


def _sort_by_site(step: Step) -> tuple[str, str, Key]:
    return words.where(step.change.key), words.person(step), step.change.key


def _drop_repeated_notes(steps: Iterable[Step], seen: set[tuple[str, str]]) -> Iterator[Step]:
    """Yield the steps without the notes in `seen` (such as a team made for a site), and add theirs to it."""
    for step in steps:
        kept = tuple(
            diagnostic
            for diagnostic in step.diagnostics
            if diagnostic.severity or (diagnostic.code, diagnostic.message) not in seen
        )
        seen.update((diagnostic.code, diagnostic.message) for diagnostic in kept)
        yield step if kept == step.diagnostics else replace(step, diagnostics=kept)


class Collapsed(Struct, frozen=True):
    """Identical routine steps of several people or places, shown in one line."""

    steps: tuple[Step, ...]
    people: tuple[str, ...]
    places: tuple[str, ...]


def fold(steps: Iterable[Step]) -> tuple[tuple[Collapsed, ...], tuple[Step, ...]]:
    """Return the folds of at least `FOLD_FROM` identical routine steps, and the other steps.

    Steps are identical if they are routine, of low risk, without warnings, and equal in kind, movement and origin.
    """
    buckets: dict[tuple[str, ...], list[Step]] = {}
    rest: list[Step] = []
    for step in steps:
        if (
            band(step) is Band.ROUTINE
            and step.risk == "low"
            and not any(diagnostic.severity for diagnostic in step.diagnostics)
        ):
            buckets.setdefault(_fold_key(step), []).append(step)
        else:
            rest.append(step)
    folds = tuple(_collapse(tuple(bucket)) for bucket in buckets.values() if len(bucket) >= FOLD_FROM)
    few = (step for bucket in buckets.values() if len(bucket) < FOLD_FROM for step in bucket)
    return folds, (*rest, *few)


def _fold_key(step: Step) -> tuple[str, ...]:
    return (sign(step), step.change.key[0], words.movement(step.change), words.location(step), *words.because(step))


def _collapse(steps: tuple[Step, ...]) -> Collapsed:
    people = dict.fromkeys(words.title(step) for step in steps)
    places = dict.fromkeys(words.subject_of_change(step.change) for step in steps)
    return Collapsed(steps, tuple(people), tuple(places))


class Row(Struct, frozen=True, kw_only=True):
    """A row of a table: its cells, and in the last column a place in the file, reasons and diagnostics."""

    cells: tuple[str, ...]
    place: str = ""
    why: tuple[str, ...] = ()
    remarks: tuple[Diagnostic, ...] = ()

    @property
    def reason(self) -> str:
        """The place and the reasons in one phrase."""
        return " · ".join(filter(None, (self.place, *self.why)))


class Table(Struct, frozen=True, kw_only=True):
    """Rows under a title and the names of the columns; `kind` is the band's name in lower case, if it is one of steps."""

    title: str
    kind: str = ""
    header: tuple[str, ...] = STEP_HEADER
    rows: tuple[Row, ...]


def instance_tables(instance: InstancePlan, by: GroupBy, signs: Mapping[str, str]) -> Iterator[Table]:
    """Yield the tables of one instance: steps by band, skipped steps, waiting accounts, unmanaged accounts."""
    for section in sections(instance.steps, by):
        yield step_table(section.band.heading, section.steps, signs, section.band.name.lower())
    if instance.held_back:
        yield step_table(words.held_back(instance), instance.held_back, signs)
    if instance.waiting:
        waiting = tuple(Row(cells=("", words.declared_user(key), words.where(key))) for key in instance.waiting)
        yield Table(title="Waiting for acceptance", header=("", "who", "where", ""), rows=waiting)
    if instance.unmanaged:
        header = ("", "account", "e-mail", "access level", "holds", "")
        yield Table(title="Unmanaged accounts", header=header, rows=tuple(_unmanaged_rows(instance.unmanaged)))


def step_table(title: str, steps: Iterable[Step], signs: Mapping[str, str], kind: str = "") -> Table:
    """Return steps as a table; `signs` has what is drawn for each flag and sign."""
    return Table(title=title, kind=kind, rows=tuple(_step_row(step, signs) for step in steps))


def _step_row(step: Step, signs: Mapping[str, str]) -> Row:
    change = step.change
    return Row(
        cells=(
            signs[flag(step)] + signs[sign(step)],
            words.title(step),
            words.subject_of_change(change),
            words.movement(change),
        ),
        place=words.location(step),
        why=(*words.because(step), *(("external",) if step.external else ())),
        remarks=tuple(diagnostic for diagnostic in step.diagnostics if diagnostic.severity or diagnostic.effect),
    )


def shown_unmanaged(unmanaged: Iterable[UnmanagedAccount]) -> tuple[UnmanagedAccount, ...]:
    """Return the unmanaged accounts without the ignored ones, unless those can manage something."""
    return tuple(account for account in unmanaged if not account.ignored or account.power >= Power.MANAGE)


def _unmanaged_rows(unmanaged: Iterable[UnmanagedAccount]) -> Iterator[Row]:
    """Yield a row for each account, the most powerful first."""
    for account in sorted(unmanaged, key=lambda account: (-account.power, account.name)):
        holds = (account.power.word, plural(account.grants, "grant"))
        marks = ("open invitation" if account.pending else "", "ignored" if account.ignored else "")
        yield Row(cells=("?", account.name, account.email or "", *holds), why=tuple(filter(None, marks)))


def drift_tables(items: Iterable[DriftItem]) -> Iterator[tuple[DriftKind, Table]]:
    """Yield each kind of drift that there is with the table of its items, real drift first."""
    every = tuple(items)
    for kind, title in words.DRIFT.items():
        rows = tuple(drift_row(item) for item in every if item.kind == kind)
        if rows:
            yield kind, Table(title=title.capitalize(), header=DRIFT_HEADER, rows=rows)


def drift_row(item: DriftItem) -> Row:
    """Return a piece of drift as a row: instance, account, place, then live, declared and last applied."""
    key = words.key_of(item)
    sides = (words.value(side) for side in (item.live, item.declared, item.journalled))
    return Row(
        cells=(item.instance, words.declared_user(key), words.where(key), *sides),
        why=(item.note,) if item.note else (),
    )
