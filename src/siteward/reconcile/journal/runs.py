"""The runs in a journal: their intents and results, the consents given for them, and the names they had for users."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from siteward.access.state import Unsettled
from siteward.reconcile.apply.consent import Consents
from siteward.reconcile.journal.entries import (
    BlockWaived,
    Entry,
    Intent,
    Result,
    RunAbandoned,
    RunEnded,
    RunResumed,
    RunStarted,
    StepsFinished,
    StepsIntended,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.change import Change

Marked: TypeAlias = "tuple[Entry, bool]"
"""An entry, and whether the journal key has sealed it."""


class Run(Struct, frozen=True, kw_only=True, dict=True):
    """A run as the journal has it.

    `intents`, their `moments` and `results` are by step; of several results of a step, the last.

    `claimed` are the consents in its lines, `sealed` those in lines that the journal key has sealed; `is_sealed` is
    true where all lines are.
    """

    began: RunStarted
    claimed: Consents = Consents()
    sealed: Consents = Consents()
    is_sealed: bool = False
    intents: Mapping[str, Intent] = MappingProxyType({})
    moments: Mapping[str, datetime] = MappingProxyType({})
    results: Mapping[str, Result] = MappingProxyType({})
    ended: bool = False

    @cached_property
    def unsettled(self) -> frozenset[str]:
        """The steps with an intent whose result is missing or unknown."""
        return frozenset(
            step for step in self.intents if step not in self.results or self.results[step].status == "unknown"
        )

    @property
    def open(self) -> tuple[Unsettled, ...]:
        """The changes of the unsettled steps, with the moments at which they were sent."""
        return tuple(
            Unsettled(before=intent.before, after=intent.after, sent=self.moments[step], lost=step in self.results)
            for step, intent in self.intents.items()
            if step in self.unsettled
        )

    @property
    def done(self) -> Mapping[str, Change]:
        """The changes that this run is known to have made, by step, in order."""
        known = {step: intent.change for step, intent in self.intents.items() if step in self.results}
        return {step: change for step, change in known.items() if self.results[step].status == "done"}


def split_runs(entries: Iterable[Marked]) -> tuple[Run, ...]:
    """Return the runs among entries; each begins with its `RunStarted`."""
    parts: list[list[Marked]] = []
    for entry, is_sealed in entries:
        if isinstance(entry, RunStarted):
            parts.append([])
        if parts:
            parts[-1].append((entry, is_sealed))
    return tuple(_build_run(part) for part in parts)


def _build_run(entries: Sequence[Marked]) -> Run:
    """Return the run of these entries, of which the first is its `RunStarted`."""
    began, intents, moments, ended = None, {}, {}, False
    results: dict[str, Result] = {}
    claimed = sealed = Consents()
    for entry, is_sealed in entries:
        given = _find_consents(entry)
        claimed, sealed = claimed | given, sealed | given if is_sealed else sealed
        match entry:
            case RunStarted():
                began = entry
            case StepsIntended():
                intents.update({intent.step: intent for intent in entry.steps})
                moments.update({intent.step: entry.at for intent in entry.steps})
                for intent in entry.steps:  # the result of an earlier attempt does not hold for this one
                    results.pop(intent.step, None)
            case StepsFinished():
                results.update({result.step: result for result in entry.results})
            case RunEnded() | RunAbandoned():
                ended = True
            case _:
                pass
    if began is None:
        raise ValueError("a run begins with its beginning")
    return Run(
        began=began, claimed=claimed, sealed=sealed, is_sealed=all(is_sealed for _, is_sealed in entries),
        intents=intents, moments=moments, results=results, ended=ended,
    )  # fmt: skip


def _find_consents(entry: Entry) -> Consents:
    """Return the consents that an entry gives to its run."""
    match entry:
        case RunStarted() | RunResumed():
            return Consents(allow_delete=entry.allow_delete, lifted=frozenset(entry.lifted))
        case BlockWaived():
            return Consents(accept={entry.name: entry.reason})
        case _:
            return Consents()


def pairs_of_runs(entries: Iterable[Entry]) -> frozenset[tuple[str, str]]:
    """Return the pairs of handle and login that runs had for users."""
    return frozenset(pair for entry in entries if isinstance(entry, RunStarted) for pair in entry.users.items())


def linked_names(names: frozenset[str], pairs: Collection[tuple[str, str]]) -> frozenset[str]:
    """Return names with all that pairs link to them, directly or through others, in whatever case they are written."""
    known, found = frozenset[str](), names
    while found != known:
        known = found
        folded = {name.casefold() for name in known}
        found = known.union(*(pair for pair in pairs if folded & {name.casefold() for name in pair}))
    return known
