"""The journal of an instance as planning reads it: the memory of earlier runs, and what is to be said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, warning
from siteward.reconcile.apply.admission import remarks_on
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.dated import newer_moment, warn_behind
from siteward.reconcile.journal.journal import Recalled, path_of, recall

if TYPE_CHECKING:
    from siteward.access.state import Memory
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Book
    from siteward.reconcile.plan import Run, Survey


class History(Struct, frozen=True, kw_only=True):
    """The journal of one instance, read before planning: its content, if there is one, and warnings about it."""

    recalled: Recalled | None = None
    remarks: tuple[Diagnostic, ...] = ()

    @property
    def memory(self) -> Memory | None:
        """The memory of earlier runs."""
        return self.recalled.memory if self.recalled is not None else None


def read_history(instance: Instance, book: Book) -> History:
    """Return the history of an instance. Raises `JournalBrokenError` where its journal cannot be relied on."""
    recalled = _recall(book, instance.name)
    if recalled is None:
        return History()
    remarks = remarks_on(recalled.standing, instance.platform.name, instance.origin, book.key)
    return History(recalled=recalled, remarks=remarks)


def _recall(book: Book, instance: str) -> Recalled | None:
    """Return the content of an instance's journal, `None` without a folder. Raises `JournalBrokenError`."""
    try:
        book.folder.stat()
    except FileNotFoundError:  # nothing was ever applied from here
        return None
    except OSError:  # reading the journal names the problem
        pass
    return recall(path_of(book.folder, instance), book.key)


def add_history(seen: Survey, history: History, run: Run) -> Survey:
    """Return a survey with what the journal tells: warnings, an interrupted apply, a later moment than the one given."""
    recalled = history.recalled
    if recalled is None:
        return seen
    unfinished = recalled.unfinished is not None
    cut = warning("unfinished-run", "an apply was interrupted here and not finished", hint=f"{RESUME} finishes it")
    newest = newer_moment(run.as_of if run.as_of_given else None, history.memory)
    behind = (warn_behind(run.as_of, newest),) if newest is not None else ()
    diagnostics = (*seen.proposal.diagnostics, *history.remarks, *((cut,) if unfinished else ()), *behind)
    proposal = replace(seen.proposal, diagnostics=diagnostics)
    return replace(seen, proposal=proposal, in_doubt=recalled.in_doubt, unfinished=unfinished)
