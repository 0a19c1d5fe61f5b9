"""The order in which a reviewer reads a plan: danger first, person by person, equal routine folded."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import Account, Key, account_key
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.plan import Step
    from siteward.render.context import GroupBy

FOLD_FROM = 4


class Band(IntEnum):
    """How soon a reviewer must see a step, most urgent first."""

    BLOCKED = 0
    RAISED = 1
    REMOVED = 2
    EXTERNAL = 3
    CREATED = 4
    ROUTINE = 5

    @property
    def heading(self) -> str:
        """The words above the steps of a band."""
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


def band(step: Step) -> Band:
    """Return the band of one step by itself."""
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
    """Tell whether a step takes something away: it deletes, or leaves less power than there was."""
    return step.change.after is None or step.after_power < step.before_power


def sign(step: Step) -> str:
    """Return the shape of a step: `+` gives something new, `~` changes it, `-` takes it away."""
    return {"create": "+", "update": "~", "delete": "-"}[step.change.action]


class Section(Struct, frozen=True):
    """The steps of one band, each person's (or site's) side by side."""

    band: Band
    steps: tuple[Step, ...]


def sections(steps: Iterable[Step], by: GroupBy = "person") -> tuple[Section, ...]:
    """Return the steps in the order in which they matter, person by person (or site by site) within each band.

    What a new account is given stands with its creation. A consequence that several steps share is left at the first.
    """
    every = tuple(steps)
    new = {step.change.key for step in every if band(step) is Band.CREATED}
    found: dict[Band, list[Step]] = {}
    for step in sorted(every, key=_by_person if by == "person" else _by_site):
        own = band(step)
        if own is Band.ROUTINE and account_key(words.declared_user(step.change.key)) in new:
            own = Band.CREATED
        found.setdefault(own, []).append(step)
    told: set[tuple[str, str]] = set()
    return tuple(Section(band, tuple(_once(found[band], told))) for band in Band if band in found)


def _by_person(step: Step) -> tuple[str, str, Key]:
    return words.person(step), words.declared_user(step.change.key), step.change.key


def _by_site(step: Step) -> tuple[str, str, Key]:
    return words.where(step.change.key), words.person(step), step.change.key


def _once(steps: Iterable[Step], told: set[tuple[str, str]]) -> Iterator[Step]:
    """Yield the steps, each consequence that several share (a team made for a site) at the first of them only."""
    for step in steps:
        said = tuple(
            diagnostic
            for diagnostic in step.diagnostics
            if diagnostic.severity or (diagnostic.code, diagnostic.message) not in told
        )
        told.update((diagnostic.code, diagnostic.message) for diagnostic in said)
        yield step if said == step.diagnostics else replace(step, diagnostics=said)


class Collapsed(Struct, frozen=True):
    """Routine steps that say the same of several people or places, to be told in one line."""

    steps: tuple[Step, ...]
    people: tuple[str, ...]
    places: tuple[str, ...]


def fold(steps: Iterable[Step]) -> tuple[tuple[Collapsed, ...], tuple[Step, ...]]:
    """Split steps into folds of equal routine and the rest, which is to be shown one by one.

    Equal is what is routine, has nothing said against it, moves the same way and comes from the same line.
    """
    buckets: dict[tuple[str, ...], list[Step]] = {}
    rest: list[Step] = []
    for step in steps:
        if (
            band(step) is Band.ROUTINE
            and step.risk == "low"
            and not any(diagnostic.severity for diagnostic in step.diagnostics)
        ):
            buckets.setdefault(_likeness(step), []).append(step)
        else:
            rest.append(step)
    folds = tuple(_fold(tuple(bucket)) for bucket in buckets.values() if len(bucket) >= FOLD_FROM)
    few = (step for bucket in buckets.values() if len(bucket) < FOLD_FROM for step in bucket)
    return folds, (*rest, *few)


def _likeness(step: Step) -> tuple[str, ...]:
    return (sign(step), step.change.key[0], words.movement(step.change), words.location(step), *words.because(step))


def _fold(steps: tuple[Step, ...]) -> Collapsed:
    people = dict.fromkeys(words.title(step) for step in steps)
    places = dict.fromkeys(words.subject_of_change(step.change) for step in steps)
    return Collapsed(steps, tuple(people), tuple(places))
