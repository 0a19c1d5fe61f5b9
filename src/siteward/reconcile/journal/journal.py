"""The journal: the intents of apply, their results, and the memory that each run leaves.

One file an instance, `<instance>.jsonl`, only ever appended to and flushed to the disk entry by entry:

    run      a run begins: its plan and the memory then            waiver   a block that was lifted, and why
    intent   flushed before each write                             outcome  flushed after it
    offboard what somebody who leaves had, and what became of it
    review   decisions of an access review were taken
    state    the whole live state, when the journal begins         end      the run ended; what changed in the state

Beside it stand `<instance>.last.json`, the memory that the last ended run left, replaced atomically and named by its
digest in the `end` line, and `<digest>.plan.json`, the plan of each run. None of them holds a secret; all are
readable by their owner alone, since they hold names and addresses.
"""

from __future__ import annotations

import contextlib
import os
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Unpack

from msgspec.structs import replace

from siteward.access.model import account_of
from siteward.access.renames import at_rest, touched
from siteward.access.state import Memory
from siteward.reconcile.journal.chain import NEEDS_KEY, JournalBrokenError, link, read_bytes
from siteward.reconcile.journal.cut_off import find_made, know_made
from siteward.reconcile.journal.entries import (
    BlockWaived,
    Intent,
    InvitationResent,
    LastApplied,
    Offboarded,
    Result,
    ReviewClosed,
    Reviewed,
    RunAbandoned,
    RunEnded,
    RunResumed,
    RunStarted,
    StateCompared,
    StateRecorded,
    StepsFinished,
    StepsIntended,
    Truncated,
)
from siteward.reconcile.journal.files import (
    append_only,
    make_private,
    replace_file,
    write_all,
)
from siteward.reconcile.journal.last import finish_move, leave
from siteward.reconcile.journal.reading import path_of, read
from siteward.reconcile.journal.recorded import add, changed_parts, compare, moved_keys, see, whole_parts
from siteward.reconcile.journal.records import split
from siteward.reconcile.journal.runs import split_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from siteward.access.change import Change
    from siteward.access.model import Key, Resource
    from siteward.access.plan import Plan
    from siteward.access.renames import Renames
    from siteward.access.report import OutcomeStatus
    from siteward.access.state import Live, Unsettled
    from siteward.reconcile.apply.target import Clock
    from siteward.reconcile.journal.chain import Part
    from siteward.reconcile.journal.entries import Actor, Entry, Leaving, ResendStatus, RunFacts
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.reconcile.journal.recorded import Resources
    from siteward.reconcile.journal.runs import Run
    from siteward.transport.secrets import Secret


class JournalBusyError(Exception):
    """Another apply holds the journal of this instance."""

    code = "journal-busy"
    hint = "one apply at a time works on an instance; wait for it to end"

    def __init__(self, instance: str, lock_owner: str) -> None:
        super().__init__(f"another apply is at work on {instance}: {lock_owner}")
        self.instance = instance
        self.lock_owner = lock_owner


class NotComparableError(Exception):
    """The live state cannot be recorded now; the message says why."""

    code = "not-recorded"
    hint = "`siteward apply`, or `apply --resume`; it records the state at its end"


class Journal:
    """The journal of one instance, locked and open for appending; made by `opened`.

    `memory`, `unfinished` and `standing` are as `Recalled` has them, from when it was opened, but that `memory` forgets
    the ids that accounts had before this run made them anew; `head` is the last sum. Every method that writes flushes
    to the disk and raises `OSError`.
    """

    def __init__(self, path: Path, content: JournalContent, key: Secret | None, clock: Clock) -> None:
        self.path = path
        self.head = content.chain.head
        self.memory = content.memory
        self.unfinished = content.unfinished
        self.standing = content.standing
        self._key = key
        self._clock = clock
        self._run = ""
        self._making: dict[str, str] = {}
        self._known = content.known
        self._records = len(content.chain.records)
        self._recorded: Resources | None = _recall_recorded(content)
        self._last_memory = content.last.memory if content.last is not None else Memory()
        self._written_before = _find_written(content)
        self._file = append_only(path)
        if content.half_moved:
            finish_move(path)
        self._repair_end(content)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def begin(self, plan: Plan, *, live: Live | None = None, **facts: Unpack[RunFacts]) -> None:
        """Write that a run of `plan` begins, with the facts that are not in the plan; gives up an unfinished run.

        With the `live` state as it is then, that is recorded whole, where it has not been yet, else what others changed in
        it since the last record: the run may take it back.
        """
        at = self._clock()
        if live is not None and self.unfinished is None and self._differs(live):
            self.compare_state(live)
        if self.unfinished is not None:
            self._add(RunAbandoned(at=at, run=self.unfinished.began.run))
        self._run = f"{at:%Y%m%dT%H%M%SZ}-{plan.digest.rpartition(':')[2][:8]}"
        self._add(
            RunStarted(
                at=at, run=self._run, instance=self.path.stem, plan=plan.digest, config_digest=plan.config_digest,
                tool=plan.tool, created=plan.created, as_of=plan.as_of, as_of_given=plan.as_of_given, commit=plan.commit, dirty=plan.dirty, **facts,
            )
        )  # fmt: skip
        self._note_steps(plan)
        if self._recorded is None and live is not None:
            self._recorded = at_rest(live.access)
            entry = StateRecorded(at=at, run=self._run, complete=live.complete, unread=_list_unread(live))
            self._add(entry, whole_parts(self._recorded))

    def go_on(
        self,
        run: Run,
        plan: Plan,
        *,
        allow_delete: bool = False,
        lifted: Iterable[str] = (),
        actor: Actor | None = None,
    ) -> None:
        """Write that an unfinished run of `plan` goes on, the consents given for that, and who lets it go on."""
        self._run = run.began.run
        at = self._clock()
        self._note_steps(plan)
        words = tuple(sorted(lifted))
        self._add(RunResumed(at=at, run=self._run, allow_delete=allow_delete, lifted=words, actor=actor))

    def waive(self, name: str, digest: str, reason: str) -> None:
        """Write that a block was lifted for the plan of that digest, and why."""
        self._add(BlockWaived(at=self._clock(), run=self._run, name=name, digest=digest, reason=reason))

    def intend(self, changes: Mapping[str, Change]) -> None:
        """Write the changes that are about to be sent, by step."""
        steps = tuple(Intent(step=step, before=change.before, after=change.after) for step, change in changes.items())
        self._making.update({step: name for step, change in changes.items() if (name := find_made(change))})
        self._add(StepsIntended(at=self._clock(), run=self._run, steps=steps))

    def record(self, results: Sequence[Result]) -> None:
        """Write the results of steps."""
        self._add(StepsFinished(at=self._clock(), run=self._run, results=tuple(results)))
        made = {self._making[result.step]: result for result in results if result.step in self._making}
        if self.memory is not None:
            done = {name: result.account_id for name, result in made.items() if result.status == "done"}
            self.memory = know_made(self.memory, done)

    def resent(self, login: str, status: ResendStatus, message: str = "") -> None:
        """Write that an invitation is about to be sent again, or the result of that."""
        self._add(InvitationResent(at=self._clock(), run="", login=login, status=status, message=message))

    def offboard(self, user: str, items: Sequence[Leaving]) -> None:
        """Write decisions on what a user who leaves had; they belong to no run."""
        self._add(Offboarded(at=self._clock(), run="", user=user, items=tuple(items)))

    def take_review(
        self,
        decisions: Sequence[Reviewed],
        *,
        review: str,
        digest: str,
        due: str,
        rest: Literal["revoke", "overdue"] | None,
        actor: Actor | None,
    ) -> None:
        """Write the decisions of a review, and who closed it; it belongs to no run."""
        entry = ReviewClosed(
            at=self._clock(), run="", review=review, digest=digest, due=due, rest=rest, actor=actor,
            decisions=tuple(decisions),
        )  # fmt: skip
        self._add(entry)

    def end(
        self,
        outcomes: Mapping[OutcomeStatus, int],
        left: Memory,
        live: Live,
        is_ours: Callable[[Key, Resource | None], bool] = lambda _key, _before: False,
        names: Renames = MappingProxyType({}),
    ) -> None:
        """Write that the run ends, and the memory it leaves, as of now unless that has a time (`last_at`).

        The changes of the recorded state since the last end, up to the `live` one, are written with it; those of earlier runs
        without an end are ours, and those of this run are by `is_ours`. `names` has what it renamed.
        """
        at = self._clock()
        memory = replace(left, last_at=left.last_at or at)
        before = self._recorded or {}
        now = see(at_rest(live.access), before, complete=live.complete)
        ours = self._written_before | moved_keys(before, now, names)
        with leave(self.path, _build_last(self._run, memory, now)) as digest:
            entry = RunEnded(
                at=at, run=self._run, outcomes=dict(outcomes), complete=live.complete, unread=_list_unread(live),
                last=digest,
            )  # fmt: skip
            self._add(entry, changed_parts(compare(before, now), lambda key, was: key in ours or is_ours(key, was)))

    def end_unchanged(
        self, outcomes: Mapping[OutcomeStatus, int], live: Live, unsettled: tuple[Unsettled, ...]
    ) -> None:
        """Write that a run ends which changed nothing; without a memory the run is given up.

        The memory stays as it was, but for the writes that are `unsettled` by now.
        """
        if self.memory is not None and not self.memory.blank:
            self.end(outcomes, replace(self.memory, me=None, unsettled=unsettled), live)
        else:
            self._add(RunAbandoned(at=self._clock(), run=self._run))

    def compare_state(self, live: Live) -> int:
        """Write what others changed in the live state since it was last recorded; return how many resources that is.

        The memory stays as it is. Raises `NotComparableError` where no run has ended yet, or one has no end.
        """
        if self.memory is None or self.memory.last is None or self.unfinished is not None:
            why = "a run has no end" if self.unfinished is not None else "no run has left a state to compare with"
            raise NotComparableError(why)
        at = self._clock()
        before, now = self._recorded, at_rest(live.access)
        state = see(now, before or {}, complete=live.complete)
        self._recorded = state
        if before is None:
            entry = StateRecorded(at=at, run="", complete=live.complete, unread=_list_unread(live))
            self._add(entry, whole_parts(state))
        differences = compare(before, state) if before is not None else ()
        parts = changed_parts(differences, lambda key, _: key in self._written_before)
        with leave(self.path, _build_last("", self._last_memory, state)) as digest:
            unread = _list_unread(live)
            self._add(StateCompared(at=at, run="", complete=live.complete, unread=unread, last=digest), parts)
        return len(differences)

    def _differs(self, live: Live) -> bool:
        """Return whether the live state is another one than was recorded last."""
        if self._recorded is None or self.memory is None or self.memory.last is None:
            return False
        return bool(compare(self._recorded, see(at_rest(live.access), self._recorded, complete=live.complete)))

    def _note_steps(self, plan: Plan) -> None:
        """Note which account each step of the plan concerns, so that what is said of it stands in that part."""
        part = plan.instance(self.path.stem)
        for step in (*part.steps, *part.held_back, *part.left_out) if part is not None else ():
            self._known.steps[step.id] = account_of(step.change.key) or ""

    def _repair_end(self, content: JournalContent) -> None:
        """Add the last line feed, or remove what a crash cut off."""
        chain = content.chain
        os.ftruncate(self._file, chain.size)
        if not chain.closed:
            write_all(self._file, b"\n")
        if chain.truncated:
            self._add(Truncated(at=self._clock(), run="", bytes=chain.truncated))

    def _add(self, entry: Entry, more: Iterable[Part] = ()) -> None:
        """Append an entry to the chain and flush it; `more` are parts that are no members of the entry."""
        header, parts = split(entry, self._known)
        lines, head = link(header, chain(parts, more), number=self._records + 1, head=self.head, key=self._key)
        write_all(self._file, lines)
        self._known.note(entry)
        self.head = head
        self._records += 1


def _build_last(run: str, memory: Memory, state: Mapping[Key, Resource]) -> LastApplied:
    """Return what a run leaves, of which the live `state` may differ by what others changed."""
    beyond = compare(memory.last, state) if memory.last is not None else None
    return LastApplied(run=run, memory=memory, beyond=beyond)


def _list_unread(live: Live) -> tuple[str, ...]:
    """Return what was not read, and the names of the listings that were not read to their end."""
    return (*live.unreadable, *sorted({listing.name for listing in live.listings if not listing.complete}))


def _recall_recorded(content: JournalContent) -> dict[Key, Resource] | None:
    """Return the live state as of the last end, `None` where the journal has none yet."""
    last = content.last
    if last is None or last.beyond is None or last.memory.last is None:
        return None
    return add(last.memory.last, last.beyond)


def _find_written(content: JournalContent) -> frozenset[Key]:
    """Return the keys that runs since the last end have written, all of which have no end themselves."""
    ends = [at for at, (entry, _) in enumerate(content.marked) if isinstance(entry, RunEnded)]
    since = split_runs(content.marked[ends[-1] + 1 if ends else 0 :])
    return frozenset(key for run in since for change in run.done.values() for key in touched(change))


@contextlib.contextmanager
def opened(folder: Path, instance: str, *, key: Secret | None, clock: Clock) -> Iterator[Journal]:
    """Lock and open the journal of an instance for one apply; one of an older format is continued in a new file.

    Raises `JournalBusyError` where another apply holds it, naming that one, and `JournalBrokenError` for a file that
    does not verify, or that needs a key to go on: nothing is ever appended to such a file.
    """
    with locked(folder, instance, clock):
        path = path_of(folder, instance)
        content = read(path, key)
        if content.standing.sealed_since and key is None:
            why = "its lines are sealed (HMAC), and SITEWARD_JOURNAL_KEY is not given here; nothing is written to it"
            raise JournalBrokenError(path, 0, why, hint=NEEDS_KEY)
        if content.standing.is_old:
            os.close(append_only(path))
            from siteward.reconcile.journal.migration import continue_old  # noqa: PLC0415 — once for each journal

            continue_old(path, content, key=key, clock=clock)
            content = read(path, key)
        with contextlib.closing(Journal(path, content, key, clock)) as journal:
            yield journal


@contextlib.contextmanager
def locked(folder: Path, instance: str, clock: Clock) -> Iterator[None]:
    """Hold the lock of an instance's journal. Raises `JournalBusyError` where somebody else does, naming them."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 — it loads asyncio, and reading a journal takes no lock

    make_private(folder)
    lock_owner = folder / f"{instance}.holder"
    lock = FileLock(folder / f"{instance}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise JournalBusyError(instance, _describe_lock_owner(lock_owner)) from None
    try:
        who = f"process {os.getpid()} on {os.uname().nodename}, since {clock():%Y-%m-%d %H:%M:%S %Z}"
        replace_file(lock_owner, who.encode())
        yield
    finally:
        lock_owner.unlink(missing_ok=True)
        lock.release()


def _describe_lock_owner(lock_owner: Path) -> str:
    """Return the description that the apply holding a journal has written of itself."""
    return (read_bytes(lock_owner) or b"it has not said who it is").decode(errors="replace")
