"""The journal of an instance as planning reads it: the memory of earlier runs, and what is to be said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, warning
from siteward.reconcile.apply.admission import remarks_on
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.dated import describe_later_starts, newer_moment, warn_behind
from siteward.reconcile.journal.journal import Recalled, path_of, recall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.state import Memory
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Book
    from siteward.reconcile.dated import Revisions
    from siteward.reconcile.plan import Run
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey


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


def later_starts(project: Project, seen: Survey, run: Run, revisions: Revisions) -> tuple[Diagnostic, ...]:
    """Return the warning about starts to come that no apply knows of, unless only a part of the plan is asked for."""
    declaration, recorded = project.declaration, revisions.recorded
    said = describe_later_starts(declaration, seen.name, seen.memory, recorded, seen.as_of) if not run.only else None
    return (said,) if said is not None else ()


def add_history(seen: Survey, history: History, run: Run, more: Iterable[Diagnostic]) -> Survey:
    """Return a survey with what the journal tells, and more diagnostics.

    The journal tells warnings, an interrupted apply, and that it has a later moment than the one that was given.
    """
    recalled, unfinished = history.recalled, history.recalled is not None and history.recalled.unfinished is not None
    cut = warning("unfinished-run", "an apply was interrupted here and not finished", hint=f"{RESUME} finishes it")
    newest = newer_moment(run.as_of if run.as_of_given else None, history.memory)
    behind = (warn_behind(run.as_of, newest),) if newest is not None else ()
    told = (*history.remarks, *((cut,) if unfinished else ()), *behind, *more)
    proposal = replace(seen.proposal, diagnostics=(*seen.proposal.diagnostics, *told))
    in_doubt = recalled.in_doubt if recalled is not None else ()
    return replace(seen, proposal=proposal, in_doubt=in_doubt, unfinished=unfinished)
