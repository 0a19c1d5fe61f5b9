"""What `siteward journal` does: verify the journals, go on from older ones, erase what they say of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, note, plural, warning
from siteward.reconcile.apply.admission import unchecked, warn_exposed
from siteward.reconcile.apply.inputs import TROUBLE, describe_trouble
from siteward.reconcile.journal import erasure
from siteward.reconcile.journal.chain import NEEDS_KEY, JournalBrokenError
from siteward.reconcile.journal.entries import RunStarted
from siteward.reconcile.journal.journal import NotComparableError, locked, opened
from siteward.reconcile.journal.migration import continue_old
from siteward.reconcile.journal.reading import path_of, read
from siteward.reconcile.journal.recorded import rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.access.state import Live
    from siteward.reconcile.apply.target import Clock, Journals
    from siteward.reconcile.journal.reading import JournalContent


class Request(Struct, frozen=True, kw_only=True):
    """The journals that a verb works on: their folder and key, the instance, and the clock."""

    journals: Journals
    instance: str
    clock: Clock


def verify(asked: Request, head: str | None = None) -> tuple[Diagnostic, ...]:
    """Verify one journal; with `head`, also that the record with that sum is in it.

    Returns a note with its numbers and its head, and what is wrong or could not be checked.
    """
    return _attempt(asked, lambda: tuple(_verify(asked, head)))


def migrate(asked: Request, reason: str) -> tuple[Diagnostic, ...]:
    """Go on from a journal of the first format in a new file, with the reason why its unsealed lines are believed."""
    path = path_of(asked.journals.folder, asked.instance)

    def work() -> tuple[Diagnostic, ...]:
        with locked(asked.journals.folder, asked.instance, asked.clock):
            content = read(path, asked.journals.key)
            if not content.standing.is_old:
                return (note("journal-current", f"{path} is of the format that is written now, or not there yet"),)
            if content.standing.sealed_since and asked.journals.key is None:
                raise JournalBrokenError(
                    path, 0, "it is sealed (HMAC), and there is no key to go on with", hint=NEEDS_KEY
                )
            continue_old(path, content, key=asked.journals.key, clock=asked.clock, reason=reason)
        return (note("journal-continued", f"{path} goes on from the older file, which is kept beside it"),)

    return _attempt(asked, work)


def erase(asked: Request, user: str, reason: str) -> tuple[Diagnostic, ...]:
    """Erase what a journal says of a user who has no access any more."""

    def work() -> tuple[Diagnostic, ...]:
        try:
            erased = erasure.erase(asked.journals, asked.instance, user, reason, asked.clock)
        except erasure.NotErasableError as problem:
            return (error(problem.code, f"nothing was erased: {problem}", hint=problem.hint),)
        words = f"{plural(erased.parts, 'part')} erased, {plural(erased.plans, 'stored plan')} deleted"
        told = note("journal-erased", words) if erased.parts or erased.plans else warning("nothing-to-erase", words)
        left = (warning("erased-elsewhere", f"not erased: {place}", hint="delete it there") for place in erased.left)
        return (told, *left)

    return _attempt(asked, work)


def record(asked: Request, live: Live) -> tuple[Diagnostic, ...]:
    """Record the live state of an instance between two runs, as a reading has found it."""

    def work() -> tuple[Diagnostic, ...]:
        with opened(asked.journals.folder, asked.instance, key=asked.journals.key, clock=asked.clock) as journal:
            try:
                count = journal.compare_state(live)
            except NotComparableError as problem:
                return (error(problem.code, f"the live state was not recorded: {problem}", hint=problem.hint),)
        return (
            note(
                "state-recorded",
                f"the live state is recorded: {plural(count, 'resource')} changed since the last record",
            ),
        )

    return _attempt(asked, work)


def _attempt(asked: Request, work: Callable[[], tuple[Diagnostic, ...]]) -> tuple[Diagnostic, ...]:
    """Return what some work says of an instance, or why it failed."""
    try:
        said = work()
    except TROUBLE as problem:
        said = (describe_trouble(asked.instance, problem),)
    return tuple(replace(diagnostic, instance=asked.instance) for diagnostic in said)


def _verify(asked: Request, head: str | None) -> Iterator[Diagnostic]:
    path = path_of(asked.journals.folder, asked.instance)
    content = read(path, asked.journals.key)
    standing = content.standing
    if not standing.entries:
        say = warning if head is None else error
        yield say("no-journal", f"there is no journal at {path}", hint="`siteward apply` begins it")
        return
    yield note("journal-verified", f"{path}: {_describe(content)}; head {standing.head}")
    yield from warn_exposed(standing)
    if not standing.checked:
        yield unchecked(standing)
    if content.chain.truncated:
        words = f"{plural(content.chain.truncated, 'byte')} at the end of {path} were cut off by a crash"
        yield warning("journal-cut-off", words, hint="the next apply takes them away, and says so in the journal")
    older = content.first.heads if content.first is not None else frozenset()
    if head is not None and head not in {record.sum for record in content.chain.records} | older:
        words = f"no record of {path} has the sum {head}: records were cut off its end, or it is another journal"
        yield error("journal-broken", words, hint="compare with the copy from which that sum is")


def _describe(content: JournalContent) -> str:
    """Return the numbers of a verified journal in words."""
    standing = content.standing
    runs = sum(isinstance(entry, RunStarted) for entry in content.entries)
    states = [len(state) for _, state in rebuild(standing.path, content.chain.records)]
    since = f" since entry {standing.sealed_since}" if standing.sealed_since > 1 else ""
    older = len(content.first.entries) if content.first is not None and not standing.is_old else 0
    parts = (
        plural(standing.entries, "entry", "entries"),
        *((f"{older} more in the older file",) if older else ()),
        plural(runs, "run"),
        *(
            (f"the live state of {plural(len(states), 'moment')}, {states[-1]} resources at the last",)
            if states
            else ()
        ),
        f"sealed{since}" if standing.sealed_since else "not sealed",
    )
    return ", ".join(parts)
