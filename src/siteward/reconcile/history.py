"""The journal of an instance as planning reads it: the memory of earlier runs, and what is to be said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.reconcile.apply.admission import remarks_on
from siteward.reconcile.dated import describe_later_starts, newer_moment, warn_behind
from siteward.reconcile.journal.reading import Recalled, path_of, recall
from siteward.reconcile.unsettled import is_cut_off, late, remarks_on_open_ends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Memory
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.dated import Revisions
    from siteward.reconcile.plan import Run
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey


class History(Struct, frozen=True, kw_only=True):
    """The journal of one instance, read before planning: its content, and warnings about it."""

    recalled: Recalled
    remarks: tuple[Diagnostic, ...] = ()

    @property
    def memory(self) -> Memory | None:
        """The memory of earlier runs."""
        return self.recalled.memory


def read_history(instance: Instance, journals: Journals) -> History:
    """Return the history of an instance. Raises `JournalBrokenError` where its journal cannot be relied on."""
    recalled = recall(path_of(journals.folder, instance.name), journals.key)
    remarks = remarks_on(recalled.standing, instance.platform.name, instance.origin, journals.key)
    return History(recalled=recalled, remarks=remarks)


def later_starts(project: Project, seen: Survey, run: Run, revisions: Revisions) -> tuple[Diagnostic, ...]:
    """Return the warning about starts to come that no apply knows of, unless only a part of the plan is asked for."""
    declaration, recorded = project.declaration, revisions.recorded
    said = describe_later_starts(declaration, seen.name, seen.memory, recorded, seen.as_of) if not run.only else None
    return (said,) if said is not None else ()


def add_history(seen: Survey, history: History, run: Run, journals: Journals, more: Iterable[Diagnostic]) -> Survey:
    """Return a survey with what the journal tells, and more diagnostics.

    The journal tells warnings, what a run without an end has left open, and that it has a later moment than the one that
    was given.
    """
    newest = newer_moment(run.as_of if run.as_of_given else None, history.memory)
    behind = (warn_behind(run.as_of, newest),) if newest is not None else ()
    cut_off, open_ends = _describe_open_ends(seen, history, run, journals)
    told = (*history.remarks, *open_ends, *behind, *more)
    proposal, standing = (
        replace(seen.proposal, diagnostics=(*seen.proposal.diagnostics, *told)),
        history.recalled.standing,
    )
    return replace(
        seen, proposal=proposal, cut_off=cut_off, journal_head=standing.head, recorded_at=standing.recorded_at,
        records=standing.records,
    )  # fmt: skip


def _describe_open_ends(
    seen: Survey, history: History, run: Run, journals: Journals
) -> tuple[bool, tuple[Diagnostic, ...]]:
    """Return whether an apply was interrupted here, and the diagnostics on what runs without an end have left open."""
    unfinished = history.recalled.unfinished
    must_finish = seen.platform.finish is not None and bool(late(seen.memory, seen.live))
    cut_off = unfinished is not None and (must_finish or is_cut_off(unfinished, journals.folder))
    open_ends = remarks_on_open_ends(
        seen.memory, seen.live, seen.proposal.changes, run.created,
        cut_off=cut_off, unfinished=unfinished is not None, blocks=run.allowance.asks,
    )  # fmt: skip
    return cut_off, open_ends
