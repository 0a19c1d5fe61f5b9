"""What the entries of a journal tell about dates: which moments its runs were for, and what they carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from siteward.access.state import Record
from siteward.reconcile.journal.entries import RunEnded, RunStarted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from siteward.reconcile.journal.entries import Entry

DATED: Final = frozenset({"expiries", "dates"})
"""The selections (`--only`) that carry out everything that an end date causes."""


class Dates(TypedDict):
    """The members of `Memory` that tell about dates."""

    completed: Record | None
    dates_as_of: datetime | None
    newest_as_of: datetime | None


def recall_dates(entries: Sequence[Entry]) -> Dates:
    """Return what the runs of a journal tell about dates; a run without an end has carried out none."""
    begun = [entry for entry in entries if isinstance(entry, RunStarted)]
    ended = {entry.run for entry in entries if isinstance(entry, RunEnded)}
    done = [entry for entry in begun if entry.run in ended]
    whole = next((entry for entry in reversed(done) if entry.chosen is None), None)
    dated = (entry.as_of for entry in done if entry.chosen is None or not DATED.isdisjoint(entry.only))
    return Dates(
        completed=None if whole is None else build_record(whole),
        dates_as_of=max(dated, default=None),
        newest_as_of=max((entry.as_of for entry in begun), default=None),
    )


def build_record(entry: RunStarted) -> Record:
    """Return the record of a run: its moment, and the files it was made from."""
    commit = None if entry.dirty else entry.commit
    return Record(as_of=entry.as_of, commit=commit, config_digest=entry.config_digest)
