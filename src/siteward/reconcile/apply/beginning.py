"""The beginning of a journal where there is nothing to apply, so that the first user taken out of the file has left.

An apply without changes, and `import`, record what they found to be as the file says: its users, their accounts and
the ids of these. Nothing is sent to any instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Severity, note
from siteward.access.identity import follow
from siteward.reconcile.apply.inputs import TROUBLE, describe_trouble
from siteward.reconcile.apply.memory import RunResult, build_memory
from siteward.reconcile.journal import journal, plans
from siteward.reconcile.journal.reading import path_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Plan
    from siteward.access.state import Live, Memory
    from siteward.access.traits import Traits
    from siteward.reconcile.apply.passwords import Passwords
    from siteward.reconcile.apply.target import Clock, Fresh, Journals
    from siteward.reconcile.survey import Survey


class Beginning(Struct, frozen=True, kw_only=True):
    """The parameters of beginning journals: the plan, the journals' folder, and the clock."""

    plan: Plan
    journals: Journals
    clock: Clock
    passwords: Passwords


def begin_journals(given: Beginning, surveys: Collection[Survey]) -> tuple[Diagnostic, ...]:
    """Record the instances on which the plan has nothing to do, where that adds to what their journals know.

    Returns a note for each journal that begins, and a warning for one that cannot be written.
    """
    return tuple(diagnostic for survey in surveys for diagnostic in _begin_journal(given, survey))


def _begin_journal(given: Beginning, survey: Survey) -> Iterator[Diagnostic]:
    part = given.plan.instance(survey.name)
    as_wished = part is not None and not part.steps and not part.blocked and not part.flawed
    if not as_wished or survey.cut_off or not survey.live.complete:
        return
    fresh = survey.fresh(given.passwords)
    if not _adds(_remember(fresh, survey, survey.memory), survey.memory, survey.live, survey.traits):
        return
    try:
        with journal.opened(given.journals.folder, survey.name, key=given.journals.key, clock=given.clock) as opened:
            if opened.unfinished is not None:
                return
            begins = opened.memory is None or opened.memory.blank
            _write(given, survey, opened, _remember(fresh, survey, opened.memory))
    except TROUBLE as problem:
        yield replace(describe_trouble(survey.name, problem), severity=Severity.WARNING)
        return
    if begins:
        path = path_of(given.journals.folder, survey.name)
        yield replace(note("journal-begun", f"the journal begins here: {path}"), instance=survey.name)


def _remember(fresh: Fresh, survey: Survey, memory: Memory | None) -> Memory:
    """Return the memory that an apply leaves which found everything as the file wants it."""
    result = RunResult(
        outcomes=(),
        before=survey.live,
        fresh=fresh,
        live=survey.live,
        whole=True,
    )
    left = build_memory(fresh, survey.live, memory, result)
    return left if memory is None else replace(left, sends=memory.sends, unsettled=memory.unsettled)


def _adds(now: Memory, memory: Memory | None, live: Live, traits: Traits) -> bool:
    """Return whether a memory knows other users or accounts than the one before, or there was none."""
    before = follow(memory, live, traits)
    if before is None or before.blank:
        return True
    pairs = (
        (now.users, before.users),
        (now.accounts, before.accounts),
        (now.identities, before.identities),
        (now.renamed, before.renamed),
    )
    return any(new != old for new, old in pairs)


def _write(given: Beginning, survey: Survey, opened: journal.Journal, left: Memory) -> None:
    """Write a run of the plan that changes nothing."""
    plans.keep_plan(given.journals.folder, given.plan)
    before = opened.memory.me if opened.memory is not None else None
    opened.begin(
        given.plan,
        platform=survey.platform.name,
        origin=survey.origin,
        me=survey.live.me if survey.confirmed or before is None else before,
        live=survey.live,
        users=left.users,
        ids=left.declared_ids,
        accounts=tuple(sorted(left.accounts)),
        sites=left.sites,
        grants=left.grants,
        actor=given.journals.actor,
    )
    opened.end({}, left, survey.live)
