"""Dates and the journal: what would be desired without some dates, and what a moment may still do.

The alternatives are what the changes that a date causes are told by. Time never goes back: a moment before one that the
journal has a run for gives nothing.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias, Unpack

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import direction
from siteward.access.dates import Alternatives
from siteward.access.diagnostic import Severity, diagnostic, error, note, plural, warning
from siteward.declaration.dates import later_starts, without_ends, without_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan
    from siteward.access.proposal import Proposal
    from siteward.access.state import Desired, Memory, Record
    from siteward.declaration.load import Declaration
    from siteward.reconcile.apply.target import Consents, Fresh
    from siteward.reconcile.project import Project
    from siteward.reconcile.revisions.base_policy import BasePolicy

LONGEST_GAP: Final = timedelta(days=8)
"""The age of the last record beyond which recording has stopped: who records daily or weekly is never late by that."""
Recorded: TypeAlias = "Callable[[Record], Declaration | None]"


def _unknown(_record: Record) -> Declaration | None:
    """Return that it is not known which declaration an apply was made from."""
    return None


class Revisions(Struct, frozen=True, kw_only=True):
    """The other revisions of the files that count on an instance.

    `base_policy` is the policy of the base branch, if one was given; `recorded` returns the declaration that an apply was
    made from, `None` where it is not known.
    """

    base_policy: BasePolicy | None = None
    recorded: Recorded = _unknown


def find_alternatives(
    declaration: Declaration,
    instance: str,
    desired: Desired,
    resolved: Callable[[Declaration], Desired],
    *,
    as_of: datetime,
    memory: Memory | None,
    recorded: Recorded,
) -> Alternatives:
    """Return what would be desired at `as_of` without some dates.

    `desired` is what is, by `declaration`; `resolved` returns what another declaration desires. `memory` knows the last
    completed apply.
    """
    record = memory.completed if memory is not None else None
    since = record.as_of if record is not None else None
    others = (without_ends(declaration, as_of), without_starts(declaration, since, as_of))
    endless, unbegun = (None if other is None else resolved(other) for other in others)
    if record is None or (endless is None and unbegun is None):
        return Alternatives(endless=endless, unbegun=unbegun)
    then, known = recorded(record), None
    if then is declaration:
        known = desired
    elif then is not None and instance in then.instances:
        known = resolved(then)
    return Alternatives(endless=endless, unbegun=unbegun, recorded=known)


def declaration_of(project: Project, record: Record) -> Declaration | None:
    """Return the declaration that an apply was made from: the checkout's, or that of its commit.

    `None` where neither is it: the files were not committed, or git cannot show them as they were.
    """
    if record.config_digest and record.config_digest == project.loaded.digest:
        return project.declaration
    if record.commit is None or _COMMIT.fullmatch(record.commit) is None:
        return None
    from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, read_at  # noqa: PLC0415 — seldom needed

    try:
        loaded = read_at(project.path, commit_at(project.path.parent, record.commit))
    except NoSuchRevisionError:
        return None
    if loaded is None or (record.config_digest and loaded.digest != record.config_digest):
        return None
    return loaded.usable


def revisions_of(project: Project) -> Revisions:
    """Return the other revisions of a project's files; each commit is read once."""
    recorded = cache(lambda record: declaration_of(project, record))
    return Revisions(base_policy=project.base_policy, recorded=recorded)


_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def newer_moment(as_of: datetime | None, memory: Memory | None) -> datetime | None:
    """Return the newest moment that the journal has a run for, if that is later than the one that was given."""
    newest = memory.newest_as_of if memory is not None else None
    return newest if as_of is not None and newest is not None and as_of < newest else None


_LAST_ADMIN = frozenset({"last-owner"})
"""The rule ids of platforms that keep a last admin; an end by date is stopped by none of them."""


def let_ends_pass(remarks: Iterable[Diagnostic], proposal: Proposal) -> tuple[Diagnostic, ...]:
    """Return a platform's diagnostics, those that keep an admin whose time is over by a date as warnings."""
    ended = {proposed.key for series in proposal.series if series[0].ends for proposed in series}
    return tuple(
        replace(said, severity=Severity.WARNING) if said.code in _LAST_ADMIN and said.about in ended else said
        for said in remarks
    )


def describe_later_starts(
    declaration: Declaration, instance: str, memory: Memory | None, recorded: Recorded, as_of: datetime
) -> Diagnostic | None:
    """Return the warning about starts to come that the last completed apply did not have; `None` without any."""
    later = later_starts(declaration, instance, as_of)
    record = memory.completed if memory is not None else None
    then = recorded(record) if later and record is not None else None
    news = later - (later_starts(then, instance, as_of) if then is not None and instance in then.instances else set())
    if not news:
        return None
    verb, them = ("begins", "it") if len(news) == 1 else ("begin", "them")
    words = f"{plural(len(news), 'line')} of the file {verb} later, and the last completed apply did not have {them}"
    hint = "apply this plan, be it empty: then `siteward apply --only dates` begins what is due"
    return warning("begins-later", words, hint=hint, count=len(news))


def warn_behind(as_of: datetime, newest: datetime) -> Diagnostic:
    """Return the warning that a plan is a rehearsal, for a moment before one that was carried out."""
    words = f"REHEARSAL: {_format(as_of)} is before {_format(newest)}, for which a run was made; an apply gives nothing"
    return warning("as-of-behind-record", words, hint="plan without --as-of, or for a later moment")


def refuse_gains(fresh: Fresh, as_of: datetime, newest: datetime) -> Fresh:
    """Return an instance as planned again, with an error on each change that gives something."""
    gives = {step.change.key for step in fresh.plan.steps if direction(step.change, fresh.traits) != "close"}
    message = f"{_format(as_of)} is before {_format(newest)}, for which a run was made: this gives nothing"

    def judge(keys: Collection[Key], **consents: Unpack[Consents]) -> tuple[Diagnostic, ...]:
        refused = (error("as-of-behind-record", message, about=key) for key in gives & set(keys))
        return (*refused, *fresh.judge(keys, **consents))

    return replace(fresh, judge=judge)


def describe_dates(plan: InstancePlan, memory: Memory | None) -> Diagnostic:
    """Return for which moment dates were last carried out on an instance; a warning where an end is due.

    A run that found nothing due is in no journal.
    """
    done = memory.dates_as_of if memory is not None else None
    due = sum(step.due == "end" for step in plan.steps)
    words = (
        f"dates were last carried out for {_format(done)}" if done else "dates were never carried out, by the journal"
    )
    verb = "is" if due == 1 else "are"
    words += f"; {plural(due, 'step')} {verb} due by an end date" if due else "; nothing is due by an end date now"
    hint = "siteward apply --only dates" if due else None
    severity = Severity.WARNING if due else Severity.NOTE
    return replace(diagnostic(severity, "dates-carried-out", words, hint=hint), instance=plan.instance)


def describe_record(instance: str, recorded_at: datetime | None, now: datetime, *, records: bool) -> Diagnostic:
    """Return when the live state of an instance was last recorded in its journal.

    Where somebody `records` it between runs, a gap of more than `LONGEST_GAP` is a warning: a job that does so has ended.
    """
    if recorded_at is not None and records and now - recorded_at > LONGEST_GAP:
        words = (
            f"the live state was last recorded on {_format(recorded_at)}, {(now - recorded_at).days} days ago: "
            f"what changed since can only be told to be of that time"
        )
        return warning("record-overdue", words, hint="siteward drift --record", instance=instance)
    when = f"last recorded on {_format(recorded_at)}" if recorded_at is not None else "never recorded"
    words = f"the live state was {when}"
    return note("state-of", words, hint="siteward drift --record", instance=instance)


def note_dates(memories: Mapping[str, Memory | None]) -> Iterator[Diagnostic]:
    """Yield for which moment dates were last carried out, for each instance by name on which a run has done so."""
    for name, memory in memories.items():
        if memory is not None and memory.dates_as_of is not None:
            words = f"dates were last carried out for {_format(memory.dates_as_of)}"
            yield note("dates-carried-out", words, instance=name)


def _format(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"
