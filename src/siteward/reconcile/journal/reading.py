"""Reading a journal: its lines in either format, the runs in it, and the memory that they leave."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.serialize import CodecError
from siteward.access.state import Memory
from siteward.reconcile.journal.chain import Chain, JournalBrokenError, broken_by, read_bytes, verify
from siteward.reconcile.journal.cut_off import add_run
from siteward.reconcile.journal.dates import recall_dates
from siteward.reconcile.journal.entries import (
    JournalContinued,
    PartsErased,
    RunEnded,
    RunStarted,
    StateCompared,
    StateRecorded,
)
from siteward.reconcile.journal.files import describe_mode
from siteward.reconcile.journal.last import decode_left, path_beside, read_last
from siteward.reconcile.journal.records import Known, join
from siteward.reconcile.journal.runs import split_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from siteward.reconcile.journal.entries import Entry, LastApplied
    from siteward.reconcile.journal.first_format import FirstChain
    from siteward.reconcile.journal.runs import Marked, Run
    from siteward.transport.secrets import Secret


_OLD_SEAL: Final = re.compile(rb'"seal":"(hmac-)?sha256:')
"""What a line of the first format has, and no header of the format that is written."""


def path_of(folder: Path, instance: str) -> Path:
    """Return the path of the journal of an instance."""
    return folder / f"{instance}.jsonl"


def tell_heads(folder: Path, heads: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return where journals are, and their heads in words, for a report; one alone is told without its instance."""
    if len(heads) == 1:
        ((name, head),) = heads.items()
        return str(path_of(folder, name)), head or None
    return (str(folder), ", ".join(map(" ".join, heads.items()))) if heads else (None, None)


STATES: Final = (StateRecorded, RunEnded, StateCompared)
"""The entries that tell the live state, whole or by what changed."""


class Standing(Struct, frozen=True, kw_only=True):
    """The journal file itself: its path, its last sum (`head`), its number of `entries`, and the last run that began.

    `sealed_since` is the number of the first entry that a key has sealed, or 0, and `checked` is false where there was
    no key to check these seals with. `is_old` is true for a file of the first format, which is not written to.
    `recorded_at` is the moment of which it has the live state last, and `records` is true where that was ever recorded
    between two runs. `exposed` says what others may do with the file, and
    is empty where that is nothing.
    """

    path: Path
    head: str = ""
    entries: int = 0
    sealed_since: int = 0
    checked: bool = True
    is_old: bool = False
    exposed: str = ""
    began: RunStarted | None = None
    recorded_at: datetime | None = None
    records: bool = False


class Recalled(Struct, frozen=True, kw_only=True):
    """The content of a journal: its memory of the instance, and the last run if it is unfinished.

    `memory` is `None` where there is no journal; it includes the known changes of an unfinished run (in `last`, mails
    in `sends`). `standing` is about the file: its path, chain and beginning.
    """

    memory: Memory | None = None
    unfinished: Run | None = None
    standing: Standing


def recall(path: Path, key: Secret | None = None) -> Recalled:
    """Verify a journal and return its content. Raises `JournalBrokenError` with the line and the reason.

    Beyond the chain, `<instance>.last.json` must have the digest in the last `end` line, so that lines that were cut
    off the end of a finished journal are noticed too.
    """
    content = read(path, key)
    return Recalled(memory=content.memory, unfinished=content.unfinished, standing=content.standing)


def runs(path: Path, key: Secret | None = None) -> tuple[Run, ...]:
    """Return all runs in a journal, oldest first. Raises `JournalBrokenError`."""
    return split_runs(read(path, key).marked)


class JournalContent(Struct, frozen=True, kw_only=True, dict=True):
    """The content of a journal, verified and read whole.

    `data` is the content of the file, `chain` its chain and `known` what its lines have said, in the format that is
    written; `first` is the chain in the first format that it is, or goes on from. `marked` are the entries of both.
    `left` is the content of `last.json`, which is decoded only when it is asked for; `half_moved` is true where a crash
    kept its successor from its place.
    """

    data: bytes
    chain: Chain
    first: FirstChain | None
    known: Known
    marked: tuple[Marked, ...]
    standing: Standing
    left: bytes | None
    half_moved: bool

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries, oldest first."""
        return tuple(entry for entry, _ in self.marked)

    @property
    def older(self) -> int:
        """The number of entries before the first record of the format that is written."""
        return len(self.marked) - len(self.chain.records)

    @cached_property
    def last(self) -> LastApplied | None:
        """What the last ended run left. Raises `JournalBrokenError` where that cannot be read."""
        return decode_left(self.standing.path, self.left) if self.left is not None else None

    @cached_property
    def memory(self) -> Memory | None:
        """The memory of the instance; `None` where there is no journal."""
        return _recall_memory(self.marked, self.last.memory if self.last is not None else None)

    @cached_property
    def unfinished(self) -> Run | None:
        """The last run, if it has no end."""
        since = _runs_since_last(self.marked)
        return since[-1] if since and not since[-1].ended else None


class _Lines(Struct, frozen=True, kw_only=True):
    """The verified lines of a journal, of either format."""

    data: bytes = b""
    chain: Chain = Chain()
    first: FirstChain | None = None
    known: Known
    marked: tuple[Marked, ...] = ()
    is_old: bool = False


def read(path: Path, key: Secret | None) -> JournalContent:
    """Verify and read a whole journal. Raises `JournalBrokenError`."""
    lines = _read_lines(path, key)
    entries = [entry for entry, _ in lines.marked]
    began = next((entry for entry in reversed(entries) if isinstance(entry, RunStarted)), None)
    if began is not None and began.instance not in {None, path.stem}:
        raise JournalBrokenError(path, 0, f"this is the journal of {began.instance}, not of {path.stem}")
    left, half_moved = _read_last(path, entries)
    return JournalContent(
        data=lines.data, chain=lines.chain, first=lines.first, known=lines.known, marked=lines.marked,
        standing=_describe(path, lines, began), left=left, half_moved=half_moved,
    )  # fmt: skip


def _describe(path: Path, lines: _Lines, began: RunStarted | None) -> Standing:
    first, exposed = lines.first, describe_mode(path.stat().st_mode) if path.is_file() else ""
    if lines.is_old and first is not None:
        return Standing(
            path=path, head=first.head, entries=len(first.entries), sealed_since=first.sealed_since,
            checked=first.checked, is_old=True, exposed=exposed, began=began,
        )  # fmt: skip
    chain = lines.chain
    return Standing(
        path=path, head=chain.head, entries=len(chain.records), sealed_since=chain.sealed_since, checked=chain.checked,
        exposed=exposed, began=began,
        recorded_at=next((entry.at for entry, _ in reversed(lines.marked) if isinstance(entry, STATES)), None),
        records=_is_recorded_between([entry for entry, _ in lines.marked]),
    )  # fmt: skip


def _is_recorded_between(entries: Sequence[Entry]) -> bool:
    """Return whether the live state was ever recorded between two runs.

    What a run records when it begins stands before its own entry, which has the earlier moment of the two.
    """
    return any(
        isinstance(entry, StateCompared) and not (isinstance(after, RunStarted) and after.at <= entry.at)
        for entry, after in pairwise((*entries, None))
    )


def _read_lines(path: Path, key: Secret | None) -> _Lines:
    data = read_bytes(path) or b""
    if _OLD_SEAL.search(data.partition(b"\n")[0]):
        from siteward.reconcile.journal.first_format import verify_first  # noqa: PLC0415 — seldom met any more

        old = verify_first(path, data, key)
        return _Lines(data=data, first=old, known=Known(), marked=_mark_first(old), is_old=True)
    chain, known = verify(path, data, key), Known()
    marked = []
    for number, record in enumerate(chain.records, start=1):
        try:
            entry = join(record, known)
        except CodecError as problem:
            raise broken_by(path, record.line, problem) from None
        marked.append((entry, chain.checked and 0 < chain.sealed_since <= number))
    first = _read_first(path, marked[0][0], key) if marked else None
    return _Lines(
        data=data, chain=chain, first=first, known=known,
        marked=(*(_mark_first(first) if first is not None else ()), *marked),
    )  # fmt: skip


def _mark_first(first: FirstChain) -> tuple[Marked, ...]:
    since = first.sealed_since if first.checked else 0
    return tuple((entry, 0 < since <= number) for number, entry in enumerate(first.entries, start=1))


def _read_first(path: Path, begins: Entry, key: Secret | None) -> FirstChain | None:
    """Return the file that a journal goes on from, if it does. Raises `JournalBrokenError`."""
    if not isinstance(begins, JournalContinued):
        return None
    older = path_beside(path, ".1.jsonl")
    data = read_bytes(older)
    from siteward.reconcile.journal.first_format import FIRST_FORMAT, verify_first  # noqa: PLC0415 — as above

    if data is None or begins.of != FIRST_FORMAT:
        raise JournalBrokenError(older, 0, f"{path.name} goes on from this file, and it is missing")
    first = verify_first(older, data, key)
    if (first.head, len(first.entries)) != (begins.head, begins.lines):
        raise JournalBrokenError(
            older, 0, f"this is not the file that {path.name} goes on from: lines are missing or more"
        )
    return first


def _runs_since_last(marked: Sequence[Marked]) -> tuple[Run, ...]:
    """Return the runs since the last entry that tells what a run left."""
    ends = [at for at, (entry, _) in enumerate(marked) if _find_last(entry) is not None]
    return split_runs(marked[ends[-1] + 1 if ends else 0 :])


def _recall_memory(marked: Sequence[Marked], last: Memory | None) -> Memory | None:
    """Return the memory of the entries, of which the last ended run left `last`; `None` without entries."""
    begun = [run for run in _runs_since_last(marked) if run.intents]
    memory = last if last is not None else Memory(blank=not begun) if marked else None
    if memory is None:
        return None
    for run in begun:
        memory = add_run(memory, run)
    entries = [entry for entry, _ in marked]
    return replace(memory, me=_find_own_account(entries), **recall_dates(entries))


def _find_last(entry: Entry) -> str | None:
    """Return the digest that an entry has of what a run left, if it has one."""
    return entry.last if isinstance(entry, RunEnded | StateCompared | JournalContinued | PartsErased) else None


def _find_own_account(entries: Sequence[Entry]) -> str | None:
    """Return the account in use by the last run that journalled it."""
    accounts = (entry.me for entry in reversed(entries) if isinstance(entry, RunStarted))
    return next((account for account in accounts if account is not None), None)


def _read_last(path: Path, entries: Sequence[Entry]) -> tuple[bytes | None, bool]:
    """Return the content of the file with what the last ended run left, and whether a crash kept it from its place.

    Raises `JournalBrokenError` where its digest is not the one that the journal has last.
    """
    digest = next((last for entry in reversed(entries) if (last := _find_last(entry)) is not None), None)
    if digest is not None:
        return read_last(path, digest)
    if read_bytes(path_beside(path, ".last.json")) is None:
        return None, False
    raise JournalBrokenError(path, 0, "lines are missing: what the last run left is remembered, its end is not")
