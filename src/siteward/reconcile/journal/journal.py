"""The journal: the intents of apply, their results, and the memory that each run leaves.

One file an instance, `<instance>.jsonl`, only ever appended to and flushed to the disk line by line:

    run      a run begins: its plan and the memory then            waiver   a block that was lifted, and why
    intent   flushed before each write                             outcome  flushed after it
    end      the run ended, leaving this; a run without it is unfinished

Beside it stand `<instance>.last.json`, the memory that the last ended run left, replaced atomically and named by its
digest in the `end` line, and `<digest>.plan.json`, the plan of each run. None of them holds a secret; all are
readable by their owner alone, since they hold names and addresses.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, Unpack

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.codec import CodecError, canonical, decode, encode
from siteward.access.serialize import UnknownMemberError
from siteward.access.state import Memory, Unsettled
from siteward.reconcile.apply.consent import Consents
from siteward.reconcile.journal.chain import Chain, JournalBrokenError, follow, link, read_bytes
from siteward.reconcile.journal.cut_off import add_run, find_made, know_made
from siteward.reconcile.journal.dates import recall_dates
from siteward.reconcile.journal.entries import (
    BlockWaived,
    Entry,
    Intent,
    InvitationResent,
    LastApplied,
    Result,
    RunAbandoned,
    RunEnded,
    RunResumed,
    RunStarted,
    StepsFinished,
    StepsIntended,
    Truncated,
    decode_entry,
    decode_last,
    encode_entry,
)
from siteward.reconcile.journal.files import (
    append_only,
    make_private,
    move_flushed,
    replace_file,
    write_all,
    write_flushed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from siteward.access.change import Change
    from siteward.access.plan import Plan
    from siteward.access.report import OutcomeStatus
    from siteward.reconcile.apply.target import Clock
    from siteward.reconcile.journal.entries import ResendStatus, RunFacts
    from siteward.transport.secrets import Secret

NEWER: Final = "use the release that wrote the journal, or a later one; nothing is written to it"


class JournalBusyError(Exception):
    """Another apply holds the journal of this instance."""

    code = "journal-busy"
    hint = "one apply at a time works on an instance; wait for it to end"

    def __init__(self, instance: str, lock_owner: str) -> None:
        super().__init__(f"another apply is at work on {instance}: {lock_owner}")
        self.instance = instance
        self.lock_owner = lock_owner


class Run(Struct, frozen=True, kw_only=True, dict=True):
    """A run as the journal has it.

    `intents`, their `moments` and `results` are by step; of several results of a step, the last.

    `claimed` are the consents in its lines, `sealed` those in lines that the journal key has sealed; `is_sealed` is
    true where all lines are.
    """

    began: RunStarted
    claimed: Consents = Consents()
    sealed: Consents = Consents()
    is_sealed: bool = False
    intents: Mapping[str, Intent] = MappingProxyType({})
    moments: Mapping[str, datetime] = MappingProxyType({})
    results: Mapping[str, Result] = MappingProxyType({})
    ended: bool = False

    @cached_property
    def unsettled(self) -> frozenset[str]:
        """The steps with an intent whose result is missing or unknown."""
        return frozenset(
            step for step in self.intents if step not in self.results or self.results[step].status == "unknown"
        )

    @property
    def open(self) -> tuple[Unsettled, ...]:
        """The changes of the unsettled steps, with the moments at which they were sent."""
        return tuple(
            Unsettled(before=intent.before, after=intent.after, sent=self.moments[step], lost=step in self.results)
            for step, intent in self.intents.items()
            if step in self.unsettled
        )

    @property
    def done(self) -> Mapping[str, Change]:
        """The changes that this run is known to have made, by step, in order."""
        known = {step: intent.change for step, intent in self.intents.items() if step in self.results}
        return {step: change for step, change in known.items() if self.results[step].status == "done"}


def path_of(folder: Path, instance: str) -> Path:
    """Return the path of the journal of an instance."""
    return folder / f"{instance}.jsonl"


class Recalled(Struct, frozen=True, kw_only=True):
    """The content of a journal: its memory of the instance, and the last run if it is unfinished.

    `memory` is `None` where there is no journal; it includes the known changes of an unfinished run (in `last`, mails
    in `sends`). `standing` is about the file: its path, chain and beginning.
    """

    memory: Memory | None = None
    unfinished: Run | None = None
    standing: Standing


class Standing(Struct, frozen=True, kw_only=True):
    """The journal file itself: its path, its chain, and the last run that began."""

    path: Path
    chain: Chain
    began: RunStarted | None = None


def recall(path: Path, key: Secret | None = None) -> Recalled:
    """Verify a journal and return its content. Raises `JournalBrokenError` with the line and the reason.

    Beyond the chain, `<instance>.last.json` must have the digest in the last `end` line, so that lines that were cut
    off the end of a finished journal are noticed too.
    """
    book = _read(path, key)
    return Recalled(memory=book.memory, unfinished=book.unfinished, standing=book.standing(path))


def runs(path: Path, key: Secret | None = None) -> tuple[Run, ...]:
    """Return all runs in a journal, oldest first. Raises `JournalBrokenError`."""
    book = _read(path, key)
    return _split_runs(_mark_sealed(book.entries, book.chain))


def keep_plan(folder: Path, plan: Plan) -> None:
    """Store a plan beside the journals, so that its run can be resumed and shown."""
    make_private(folder)
    replace_file(_plan_path(folder, plan.digest), b"".join(encode(plan)))


def kept_plan(folder: Path, digest: str) -> Plan:
    """Return a stored plan. Raises `OSError` where there is none, and `ValueError` for a damaged or another one."""
    plan = decode(_plan_path(folder, digest).read_bytes())
    if plan.digest != digest:
        raise ValueError(f"what is stored is the plan {plan.digest}, not {digest}")
    return plan


class Journal:
    """The journal of one instance, locked and open for appending; made by `opened`.

    `memory`, `unfinished` and `standing` are as `Recalled` has them, from when it was opened, but that `memory` forgets
    the ids that accounts had before this run made them anew; `head` is the last seal. Every method that writes flushes
    to the disk and raises `OSError`.
    """

    def __init__(self, path: Path, key: Secret | None, clock: Clock) -> None:
        book = _read(path, key)
        self.path = path
        self.head = book.chain.head
        self.memory = book.memory
        self.unfinished = book.unfinished
        self.standing = book.standing(path)
        self._key = key
        self._clock = clock
        self._run = ""
        self._making: dict[str, str] = {}
        self._file = append_only(path)
        if book.half_moved:
            move_flushed(_path_beside(path, ".last.json.new"), _path_beside(path, ".last.json"))
        self._repair_end(book.chain)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def begin(self, plan: Plan, **facts: Unpack[RunFacts]) -> None:
        """Write that a run of `plan` begins, with the facts that are not in the plan; gives up an unfinished run."""
        at = self._clock()
        if self.unfinished is not None:
            self._add(RunAbandoned(at=at, run=self.unfinished.began.run))
        self._run = f"{at:%Y%m%dT%H%M%SZ}-{plan.digest.rpartition(':')[2][:8]}"
        self._add(
            RunStarted(
                at=at, run=self._run, instance=self.path.stem, plan=plan.digest, config_digest=plan.config_digest,
                tool=plan.tool, created=plan.created, as_of=plan.as_of, as_of_given=plan.as_of_given, commit=plan.commit, dirty=plan.dirty, **facts,
            )
        )  # fmt: skip

    def go_on(self, run: Run, *, allow_delete: bool = False, lifted: Iterable[str] = ()) -> None:
        """Write that an unfinished run goes on, and the consents given for that."""
        self._run = run.began.run
        at = self._clock()
        self._add(RunResumed(at=at, run=self._run, allow_delete=allow_delete, lifted=tuple(sorted(lifted))))

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

    def end(self, outcomes: Mapping[OutcomeStatus, int], left: Memory) -> None:
        """Write that the run ends, and the memory it leaves, as of now unless that has a time (`last_at`)."""
        at = self._clock()
        memory = replace(left, last_at=left.last_at or at)
        data = canonical(encode_entry(LastApplied(run=self._run, memory=memory)))
        fresh = _path_beside(self.path, ".last.json.new")
        write_flushed(fresh, data)
        self._add(RunEnded(at=at, run=self._run, outcomes=dict(outcomes), snapshot=_compute_digest(data)))
        move_flushed(fresh, _path_beside(self.path, ".last.json"))

    def end_unchanged(self, outcomes: Mapping[OutcomeStatus, int], unsettled: tuple[Unsettled, ...]) -> None:
        """Write that a run ends which changed nothing; without a memory the run is given up.

        The memory stays as it was, but for the writes that are `unsettled` by now.
        """
        if self.memory is not None and not self.memory.blank:
            self.end(outcomes, replace(self.memory, me=None, unsettled=unsettled))
        else:
            self._add(RunAbandoned(at=self._clock(), run=self._run))

    def _repair_end(self, chain: Chain) -> None:
        """Add the last line feed, or remove the cut-off line, after a crash."""
        os.ftruncate(self._file, chain.size)
        if not chain.closed:
            write_all(self._file, b"\n")
        if chain.truncated:
            self._add(Truncated(at=self._clock(), run="", bytes=chain.truncated))

    def _add(self, entry: Entry) -> None:
        """Append an entry to the chain and flush it."""
        line, head = link(encode_entry(entry), self.head, self._key)
        write_all(self._file, line)
        self.head = head


@contextlib.contextmanager
def opened(folder: Path, instance: str, *, key: Secret | None, clock: Clock) -> Iterator[Journal]:
    """Lock and open the journal of an instance for one apply.

    Raises `JournalBusyError` where another apply holds it, naming that one, and `JournalBrokenError` for a file that
    does not verify: nothing is ever appended to such a file.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 — it loads asyncio, and reading a journal takes no lock

    make_private(folder)
    lock_owner = folder / f"{instance}.holder"
    lock = FileLock(folder / f"{instance}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise JournalBusyError(instance, _describe_lock_owner(lock_owner)) from None
    try:
        import socket  # noqa: PLC0415 — of it only this name is used, and most runs take no lock

        who = f"process {os.getpid()} on {socket.gethostname()}, since {clock():%Y-%m-%d %H:%M:%S %Z}"
        replace_file(lock_owner, who.encode())
        with contextlib.closing(Journal(path_of(folder, instance), key, clock)) as journal:
            yield journal
    finally:
        lock_owner.unlink(missing_ok=True)
        lock.release()


# Reading

_Marked: TypeAlias = "tuple[Entry, bool]"
"""An entry, and whether the journal key has sealed it."""


class _Book(Struct, frozen=True, kw_only=True):
    """A verified journal, read whole; `half_moved` is true where a crash kept `last.json.new` from its place."""

    chain: Chain
    entries: tuple[Entry, ...]
    began: RunStarted | None
    memory: Memory | None
    unfinished: Run | None
    half_moved: bool

    def standing(self, path: Path) -> Standing:
        return Standing(path=path, chain=self.chain, began=self.began)


def _read(path: Path, key: Secret | None) -> _Book:
    """Verify and read a whole journal. Raises `JournalBrokenError`."""
    chain = follow(path, key)
    entries = tuple(_decode_entry(path, number, entry) for number, entry in enumerate(chain.entries, start=1))
    began = next((entry for entry in reversed(entries) if isinstance(entry, RunStarted)), None)
    if began is not None and began.instance not in {None, path.stem}:
        raise JournalBrokenError(path, 0, f"this is the journal of {began.instance}, not of {path.stem}")
    last, half_moved = _read_last(path, entries)
    ends = [at for at, entry in enumerate(entries) if isinstance(entry, RunEnded)]
    since = _split_runs(_mark_sealed(entries, chain)[ends[-1] + 1 if ends else 0 :])
    begun = [run for run in since if run.intents]
    memory = last if last is not None else Memory(blank=not begun) if entries else None
    if memory is not None:
        for run in begun:
            memory = add_run(memory, run)
        memory = replace(memory, me=_find_own_account(entries), **recall_dates(entries))
    return _Book(
        chain=chain,
        entries=entries,
        began=began,
        memory=memory,
        unfinished=since[-1] if since and not since[-1].ended else None,
        half_moved=half_moved,
    )


def _find_own_account(entries: Sequence[Entry]) -> str | None:
    """Return the account in use by the last run that journalled it."""
    accounts = (entry.me for entry in reversed(entries) if isinstance(entry, RunStarted))
    return next((account for account in accounts if account is not None), None)


def _decode_entry(path: Path, number: int, data: Mapping[str, object]) -> Entry:
    try:
        return decode_entry(data)
    except CodecError as problem:
        raise _build_error(path, number, problem) from None


def _build_error(path: Path, number: int, problem: CodecError) -> JournalBrokenError:
    """Return the error for a line (0: the whole file) that this version cannot decode."""
    if isinstance(problem, UnknownMemberError):
        why = f"a newer release wrote this, and this version cannot read it ({problem})"
        return JournalBrokenError(path, number, why, hint=NEWER)
    return JournalBrokenError(path, number, f"this is not an entry that this version writes ({problem})")


def _mark_sealed(entries: Iterable[Entry], chain: Chain) -> list[_Marked]:
    """Return entries, each with whether the journal key has sealed it."""
    since = chain.sealed_since
    return [(entry, 0 < since <= number) for number, entry in enumerate(entries, start=1)]


def _split_runs(entries: Iterable[_Marked]) -> tuple[Run, ...]:
    """Return the runs among entries; each begins with its `RunStarted`."""
    parts: list[list[_Marked]] = []
    for entry, is_sealed in entries:
        if isinstance(entry, RunStarted):
            parts.append([])
        if parts:
            parts[-1].append((entry, is_sealed))
    return tuple(_build_run(part) for part in parts)


def _build_run(entries: Sequence[_Marked]) -> Run:
    """Return the run of these entries, of which the first is its `RunStarted`."""
    began, intents, moments, ended = None, {}, {}, False
    results: dict[str, Result] = {}
    claimed = sealed = Consents()
    for entry, is_sealed in entries:
        given = _find_consents(entry)
        claimed, sealed = claimed | given, sealed | given if is_sealed else sealed
        match entry:
            case RunStarted():
                began = entry
            case StepsIntended():
                intents.update({intent.step: intent for intent in entry.steps})
                moments.update({intent.step: entry.at for intent in entry.steps})
                for intent in entry.steps:  # the result of an earlier attempt does not hold for this one
                    results.pop(intent.step, None)
            case StepsFinished():
                results.update({result.step: result for result in entry.results})
            case RunEnded() | RunAbandoned():
                ended = True
            case RunResumed() | Truncated() | InvitationResent() | BlockWaived():
                pass
    if began is None:
        raise ValueError("a run begins with its beginning")
    return Run(
        began=began, claimed=claimed, sealed=sealed, is_sealed=all(is_sealed for _, is_sealed in entries),
        intents=intents, moments=moments, results=results, ended=ended,
    )  # fmt: skip


def _find_consents(entry: Entry) -> Consents:
    """Return the consents that an entry gives to its run."""
    match entry:
        case RunStarted() | RunResumed():
            return Consents(allow_delete=entry.allow_delete, lifted=frozenset(entry.lifted))
        case BlockWaived():
            return Consents(accept={entry.name: entry.reason})
        case _:
            return Consents()


# Files beside the journal


def _read_last(path: Path, entries: Sequence[Entry]) -> tuple[Memory | None, bool]:
    """Return the memory that the last ended run left, and whether a crash kept the file from its place.

    Raises `JournalBrokenError` where its digest is not that in the last `end` line.
    """
    ended = next((entry for entry in reversed(entries) if isinstance(entry, RunEnded)), None)
    settled = read_bytes(_path_beside(path, ".last.json"))
    if ended is None:
        if settled is None:
            return None, False
        raise JournalBrokenError(path, 0, "lines are missing: what the last run left is remembered, its end is not")
    for data, moved in ((settled, True), (read_bytes(_path_beside(path, ".last.json.new")), False)):
        if data is not None and _compute_digest(data) == ended.snapshot:
            return _decode_last(_path_beside(path, ".last.json"), data), not moved
    why = "what the last run left is not what its end names: lines are missing, or it was changed"
    raise JournalBrokenError(path, 0, why)


def _decode_last(path: Path, data: bytes) -> Memory:
    try:
        return decode_last(json.loads(data)).memory
    except CodecError as problem:
        raise _build_error(path, 0, problem) from None
    except ValueError:
        raise JournalBrokenError(path, 0, "this is not valid JSON") from None


def _path_beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name.removesuffix(".jsonl") + suffix)


def _plan_path(folder: Path, digest: str) -> Path:
    return folder / f"{digest.rpartition(':')[2][:16]}.plan.json"


def _compute_digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _describe_lock_owner(lock_owner: Path) -> str:
    """Return the description that the apply holding a journal has written of itself."""
    return (read_bytes(lock_owner) or b"it has not said who it is").decode(errors="replace")
