"""The journal: the intents of apply, their results, and the state that each run leaves.

One file an instance, `<instance>.jsonl`, only ever appended to and flushed to the disk line by line:

    run      what is about to be applied, on what knowledge        waiver   a block the owners lifted, and why
    intent   flushed before each write                             outcome  flushed after it
    end      what the run left; its absence means that the run did not end

Beside it stand `<instance>.last.json`, the access that the last ended run left, replaced as one and named by its
digest in the `end` line, and `<digest>.plan.json`, the plan of each run. None of them holds a secret; all are for
their owner alone, since they hold names and addresses.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, Unpack

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, patch
from siteward.access.codec import CodecError, canonical, decode, encode
from siteward.access.model import Grant, account_of
from siteward.access.renames import at_rest, touched
from siteward.access.serialize import UnknownMemberError
from siteward.access.state import Memory, Unsettled
from siteward.reconcile.apply.consent import Consents
from siteward.reconcile.journal.chain import Chain, JournalBrokenError, follow, link
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


class Run(Struct, frozen=True, kw_only=True):
    """A run as the journal tells it. `intents`, their `moments` and `results` are by step; the result is the last word on it.

    `claimed` is what its lines say that it was allowed, `sealed` what those say that the journal key has sealed;
    `is_sealed` is true where all of them are.
    """

    began: RunStarted
    claimed: Consents = Consents()
    sealed: Consents = Consents()
    is_sealed: bool = False
    intents: Mapping[str, Intent] = MappingProxyType({})
    moments: Mapping[str, datetime] = MappingProxyType({})
    results: Mapping[str, Result] = MappingProxyType({})
    ended: bool = False

    @property
    def unsettled(self) -> frozenset[str]:
        """The steps that were about to be sent, or sent, and whose result is not known."""
        return frozenset(
            step for step in self.intents if step not in self.results or self.results[step].status == "unknown"
        )

    @property
    def open(self) -> tuple[Unsettled, ...]:
        """The changes of those steps, with when they were sent."""
        return tuple(
            Unsettled(before=intent.before, after=intent.after, sent=self.moments[step], lost=step in self.results)
            for step, intent in self.intents.items()
            if step in self.unsettled
        )

    @property
    def done(self) -> Mapping[str, Change]:
        """The changes that this run is known to have made, by step, in order."""
        return {
            step: intent.change
            for step, intent in self.intents.items()
            if step in self.results and self.results[step].status == "done"
        }


def path_of(folder: Path, instance: str) -> Path:
    """Return where the journal of an instance stands."""
    return folder / f"{instance}.jsonl"


class Recalled(Struct, frozen=True, kw_only=True):
    """The content of a journal: its memory of the instance, and the last run if a crash left it without an end.

    `memory` is `None` where there is no journal; what a run without an end did counts as ours all the same: it is in
    `last`, and its mails are in `sends`. `standing` says which instance the journal is of, and how well it is sealed.
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
    """Prove that a journal is what was written, and return what it tells; raises `JournalBrokenError` with the line and why.

    Beyond the chain, what stands in `<instance>.last.json` must be what the last `end` line names, so that lines
    cut off the end of a finished journal are missed too.
    """
    book = _read(path, key)
    return Recalled(memory=book.memory, unfinished=book.unfinished, standing=_standing(path, book))


def _standing(path: Path, book: _Book) -> Standing:
    return Standing(path=path, chain=book.chain, began=book.began)


def runs(path: Path, key: Secret | None = None) -> tuple[Run, ...]:
    """Return all runs, oldest first; raises `JournalBrokenError`."""
    book = _read(path, key)
    return _runs(_marked(book.entries, book.chain))


def keep_plan(folder: Path, plan: Plan) -> None:
    """Store a plan beside the journals, so that its run can be resumed and looked at."""
    make_private(folder)
    replace_file(_plan_path(folder, plan.digest), canonical(encode(plan)))


def kept_plan(folder: Path, digest: str) -> Plan:
    """Return a stored plan; raises `OSError` where there is none, and `ValueError` for a damaged or another one."""
    plan = decode(json.loads(_plan_path(folder, digest).read_bytes()))
    if plan.digest != digest:
        raise ValueError(f"what is stored is the plan {plan.digest}, not {digest}")
    return plan


class Journal:
    """The journal of one instance, locked and open for appending; made by `opened`.

    `memory` is what it knew when it was opened, `unfinished` the run that had no end then, `standing` what the file said of
    itself then; `head` is the last seal.
    """

    def __init__(self, path: Path, key: Secret | None, clock: Clock) -> None:
        book = _read(path, key)
        self.path = path
        self.head = book.chain.head
        self.memory = book.memory
        self.unfinished = book.unfinished
        self.standing = _standing(path, book)
        self._key = key
        self._clock = clock
        self._run = ""
        self._file = append_only(path)
        if book.half_moved:
            move_flushed(_beside(path, ".last.json.new"), _beside(path, ".last.json"))
        self._mend(book.chain)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def begin(self, plan: Plan, **facts: Unpack[RunFacts]) -> None:
        """Write that a run of `plan` begins, with the facts that are not in the plan; give up an unfinished run."""
        at = self._clock()
        if self.unfinished is not None:
            self._add(RunAbandoned(at=at, run=self.unfinished.began.run))
        self._run = f"{at:%Y%m%dT%H%M%SZ}-{plan.digest.rpartition(':')[2][:8]}"
        self._add(
            RunStarted(
                at=at, run=self._run, instance=self.path.stem, plan=plan.digest, tool=plan.tool, created=plan.created,
                as_of=plan.as_of, as_of_given=plan.as_of_given, commit=plan.commit, dirty=plan.dirty, **facts,
            )
        )  # fmt: skip

    def go_on(self, run: Run, *, allow_delete: bool = False, lifted: Iterable[str] = ()) -> None:
        """Write that a run without an end goes on, and what was allowed for that."""
        self._run = run.began.run
        at = self._clock()
        self._add(RunResumed(at=at, run=self._run, allow_delete=allow_delete, lifted=tuple(sorted(lifted))))

    def waive(self, name: str, digest: str, reason: str) -> None:
        """Write that the owners lifted a block for this plan, and why."""
        self._add(BlockWaived(at=self._clock(), run=self._run, name=name, digest=digest, reason=reason))

    def intend(self, changes: Mapping[str, Change]) -> None:
        """Write what is about to be sent: changes by step."""
        steps = tuple(Intent(step=step, before=change.before, after=change.after) for step, change in changes.items())
        self._add(StepsIntended(at=self._clock(), run=self._run, steps=steps))

    def became(self, results: Sequence[Result]) -> None:
        """Write the results of steps."""
        self._add(StepsFinished(at=self._clock(), run=self._run, results=tuple(results)))

    def resent(self, login: str, status: ResendStatus, message: str = "") -> None:
        """Write that an invitation is about to be sent again, or the result of that."""
        self._add(InvitationResent(at=self._clock(), run="", login=login, status=status, message=message))

    def end(self, outcomes: Mapping[OutcomeStatus, int], left: Memory) -> None:
        """Write that the run ends, and what it left, as of now unless it says otherwise."""
        at = self._clock()
        memory = replace(left, last_at=left.last_at or at)
        data = canonical(encode_entry(LastApplied(run=self._run, memory=memory)))
        fresh = _beside(self.path, ".last.json.new")
        write_flushed(fresh, data)
        self._add(RunEnded(at=at, run=self._run, outcomes=dict(outcomes), snapshot=_digest(data)))
        move_flushed(fresh, _beside(self.path, ".last.json"))

    def _mend(self, chain: Chain) -> None:
        """Close, or take away, the line that a crash left at the end of the file."""
        os.ftruncate(self._file, chain.size)
        if not chain.closed:
            write_all(self._file, b"\n")
        if chain.truncated:
            self._add(Truncated(at=self._clock(), run="", bytes=chain.truncated))

    def _add(self, entry: Entry) -> None:
        line, head = link(encode_entry(entry), self.head, self._key)
        write_all(self._file, line)
        self.head = head


@contextlib.contextmanager
def opened(folder: Path, instance: str, *, key: Secret | None, clock: Clock) -> Iterator[Journal]:
    """Open the journal of an instance for one apply.

    Raises `JournalBusyError` where another apply has it, naming that one, and `JournalBrokenError` for a file that does not
    verify: nothing is ever appended to such a file.
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
        who = f"process {os.getpid()} on {socket.gethostname()}, since {clock():%Y-%m-%d %H:%M:%S %Z}"
        replace_file(lock_owner, who.encode())
        with contextlib.closing(Journal(path_of(folder, instance), key, clock)) as journal:
            yield journal
    finally:
        lock_owner.unlink(missing_ok=True)
        lock.release()


# What the entries mean

_Marked: TypeAlias = "tuple[Entry, bool]"


class _Book(Struct, frozen=True, kw_only=True):
    chain: Chain
    entries: tuple[Entry, ...]
    began: RunStarted | None
    memory: Memory | None
    unfinished: Run | None
    half_moved: bool


def _read(path: Path, key: Secret | None) -> _Book:
    chain = follow(path, key)
    entries = tuple(_entry(path, number, entry) for number, entry in enumerate(chain.entries, start=1))
    began = next((entry for entry in reversed(entries) if isinstance(entry, RunStarted)), None)
    if began is not None and began.instance not in {None, path.stem}:
        raise JournalBrokenError(path, 0, f"this is the journal of {began.instance}, not of {path.stem}")
    last, half_moved = _last(path, entries)
    ends = [at for at, entry in enumerate(entries) if isinstance(entry, RunEnded)]
    since = _runs(_marked(entries, chain)[ends[-1] + 1 if ends else 0 :])
    memory = last if last is not None else Memory() if entries else None
    if memory is not None:
        for run in since:
            memory = _with_run(memory, run)
        memory = replace(memory, me=_own_account(entries))
    return _Book(
        chain=chain,
        entries=entries,
        began=began,
        memory=memory,
        unfinished=since[-1] if since and not since[-1].ended else None,
        half_moved=half_moved,
    )


def _own_account(entries: Sequence[Entry]) -> str | None:
    """Return the account that the last run worked as, of those that wrote it down."""
    return next(
        (entry.me for entry in reversed(entries) if isinstance(entry, RunStarted) and entry.me is not None), None
    )


def _entry(path: Path, number: int, data: Mapping[str, object]) -> Entry:
    try:
        return decode_entry(data)
    except CodecError as problem:
        raise _unreadable(path, number, problem) from None


def _unreadable(path: Path, number: int, problem: CodecError) -> JournalBrokenError:
    """Return the error for a line (0: a whole file) that is no entry of this version's."""
    if isinstance(problem, UnknownMemberError):
        return JournalBrokenError(
            path, number, f"a newer release wrote this, and this version cannot read it ({problem})", hint=NEWER
        )
    return JournalBrokenError(path, number, f"this is not an entry that this version writes ({problem})")


def _marked(entries: Iterable[Entry], chain: Chain) -> list[_Marked]:
    """Return entries, each with whether the journal key has sealed it."""
    since = chain.sealed_since
    return [(entry, 0 < since <= number) for number, entry in enumerate(entries, start=1)]


def _runs(entries: Iterable[_Marked]) -> tuple[Run, ...]:
    parts: list[list[_Marked]] = []
    for entry in entries:
        if isinstance(entry[0], RunStarted):
            parts.append([])
        if parts:
            parts[-1].append(entry)
    return tuple(_run(part) for part in parts)


def _run(entries: Sequence[_Marked]) -> Run:
    """Return one run from its entries; the first of them is its beginning."""
    began, intents, moments, ended = None, {}, {}, False
    results: dict[str, Result] = {}
    claimed = sealed = Consents()
    for entry, is_sealed in entries:
        given = _consents(entry)
        claimed, sealed = claimed | given, sealed | given if is_sealed else sealed
        match entry:
            case RunStarted():
                began = entry
            case StepsIntended():
                intents.update({intent.step: intent for intent in entry.steps})
                moments.update({intent.step: entry.at for intent in entry.steps})
                for intent in entry.steps:  # what was said of an earlier attempt says nothing of this one
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
        began=began, claimed=claimed, sealed=sealed, is_sealed=all(mark for _, mark in entries),
        intents=intents, moments=moments, results=results, ended=ended,
    )  # fmt: skip


def _consents(entry: Entry) -> Consents:
    """Return what a line says that its run was allowed."""
    match entry:
        case RunStarted() | RunResumed():
            return Consents(allow_delete=entry.allow_delete, lifted=frozenset(entry.lifted))
        case BlockWaived():
            return Consents(accept={entry.name: entry.reason})
        case _:
            return Consents()


def _with_run(memory: Memory, run: Run) -> Memory:
    """Return a memory in which a run that did not end is counted."""
    done = run.done
    met = {name for change in done.values() for key in touched(change) if (name := account_of(key)) is not None}
    sends = dict(memory.sends)
    for step, change in done.items():
        if count := run.results[step].sends:
            sends[change.key] = (sends.get(change.key, (0, None))[0] + count, run.began.at)
    intended = [intent.change for intent in run.intents.values()]
    # A role that is turned by taking it and giving it anew is gone while the two are apart, too.
    open_ones = {run.intents[step].change.key for step in run.unsettled}
    taken = sum(
        isinstance(change.before, Grant) and (change.after is None or change.key in open_ones) for change in intended
    )
    sent = {key for change in intended for key in touched(change)}
    return replace(
        memory,
        unsettled=(*(item for item in memory.unsettled if not touched(item.change) & sent), *run.open),
        accounts=memory.accounts | set(run.began.accounts) | met,
        users={**memory.users, **run.began.users},
        sites=run.began.sites,
        grants=max(0, run.began.grants - taken),
        last=None if memory.last is None else at_rest(patch(memory.last, done.values())),
        sends=sends,
    )


# What the last run left


def _last(path: Path, entries: Sequence[Entry]) -> tuple[Memory | None, bool]:
    """Return what the last ended run left, and whether a crash kept it from its place.

    Raises `JournalBrokenError` where it is not what the last `end` line names.
    """
    ended = next((entry for entry in reversed(entries) if isinstance(entry, RunEnded)), None)
    settled = _bytes(_beside(path, ".last.json"))
    if ended is None:
        if settled is None:
            return None, False
        raise JournalBrokenError(path, 0, "lines are missing: what the last run left is remembered, its end is not")
    for data, moved in ((settled, True), (_bytes(_beside(path, ".last.json.new")), False)):
        if data is not None and _digest(data) == ended.snapshot:
            return _decode_left(_beside(path, ".last.json"), data), not moved
    raise JournalBrokenError(
        path, 0, "what the last run left is not what its end names: lines are missing, or it was changed"
    )


def _decode_left(path: Path, data: bytes) -> Memory:
    try:
        return decode_last(json.loads(data)).memory
    except CodecError as problem:
        raise _unreadable(path, 0, problem) from None
    except ValueError:
        raise JournalBrokenError(path, 0, "this is not valid JSON") from None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name.removesuffix(".jsonl") + suffix)


def _plan_path(folder: Path, digest: str) -> Path:
    return folder / f"{digest.rpartition(':')[2][:16]}.plan.json"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise JournalBrokenError(path, 0, f"it cannot be read: {problem.strerror}") from None


def _describe_lock_owner(lock_owner: Path) -> str:
    return (_bytes(lock_owner) or b"it has not said who it is").decode(errors="replace")
