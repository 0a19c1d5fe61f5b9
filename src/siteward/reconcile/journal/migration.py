"""Going on from a journal of the first format: the old file is kept beside, and a new one names its last seal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.reconcile.journal.chain import JournalBrokenError, link, read_bytes
from siteward.reconcile.journal.entries import JournalContinued, LastApplied
from siteward.reconcile.journal.files import replace_file, write_flushed
from siteward.reconcile.journal.first_format import FIRST_FORMAT
from siteward.reconcile.journal.last import leave_if_any, path_beside
from siteward.reconcile.journal.records import Known, split

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.state import Memory
    from siteward.reconcile.apply.target import Clock
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.transport.secrets import Secret


def continue_old(
    path: Path, content: JournalContent, *, key: Secret | None, clock: Clock, reason: str | None = None
) -> None:
    """Move a journal of the first format to `<instance>.1.jsonl` and begin a new one that goes on from it.

    What the old one remembers is kept, that of a run without an end too, which is given up. Where there is a key and
    lines of the old file are not sealed with it, a `reason` is needed, since nothing proves those lines. Raises
    `JournalBrokenError`, `OSError`.
    """
    first = content.first
    if first is None:
        raise ValueError("only a journal of the first format is continued")
    if key is not None and first.sealed_since != 1 and reason is None:
        why = "SITEWARD_JOURNAL_KEY is set, and lines of this older journal are not sealed with it (HMAC)"
        hint = f"siteward journal migrate {path.stem} --reason TEXT, if nobody else can have written it"
        raise JournalBrokenError(path, 0, why, hint=hint)
    older = path_beside(path, ".1.jsonl")
    if (kept := read_bytes(older)) not in {None, content.data}:
        raise JournalBrokenError(older, 0, f"another file is where {path.name} is to be kept; move it away")
    with leave_if_any(path, _build_last(content.memory)) as last:
        entry = JournalContinued(
            at=clock(), run="", of=FIRST_FORMAT, lines=len(first.entries), head=first.head,
            sealed_since=first.sealed_since, open_run=content.unfinished.began.run if content.unfinished is not None else None,
            last=last, reason=reason,
        )  # fmt: skip
        header, parts = split(entry, Known())
        lines, _ = link(header, parts, number=1, head="", key=key)
        if kept is None:
            write_flushed(older, content.data)
        replace_file(path, lines)


def _build_last(memory: Memory | None) -> LastApplied | None:
    """Return what an older journal remembers, without what its entries tell; `None` where it has no entries."""
    if memory is None:
        return None
    return LastApplied(run="", memory=replace(memory, me=None, completed=None, dates_as_of=None, newest_as_of=None))
