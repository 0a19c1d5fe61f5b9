"""Writing what is left of a plan on one instance: wave by wave, journalled before and after, read back.

    steps to do ─ wave ─ bundle ─▶ deliver passwords ─ intent ─ write ─ look ─ outcome ─▶ next

A wave is a run of steps, in order, of which none depends on another: it is what a platform may carry in shared
calls. Everything else that could be decided has been decided before (`revalidate`); what is decided here is only
whether a write took place, and that is read, never believed.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, patch
from siteward.access.model import Account, Grant, Group, Key, Member, Resource
from siteward.access.renames import touched
from siteward.access.report import Outcome
from siteward.platforms.interface import Bundle, Receipt
from siteward.reconcile.apply.inputs import judge_again, read_again
from siteward.reconcile.apply.passwords import UndeliveredError, deliver, generate, made_with_password
from siteward.reconcile.apply.read_back import Call, ReadBack, look, send_and_read_back
from siteward.reconcile.apply.revalidate import LOST, SETTLED, History, left_undone, refused, unmet
from siteward.reconcile.apply.target import RESUME, Progress
from siteward.reconcile.journal.entries import NOT_BEGUN, Result
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from types import FrameType

    from siteward.access.plan import Step
    from siteward.access.state import Live
    from siteward.platforms.interface import Platform
    from siteward.reconcile.apply.inputs import ApplyInput, Prepared
    from siteward.reconcile.apply.revalidate import Revalidated
    from siteward.reconcile.apply.target import Fresh, Target
    from siteward.transport.http import Writer
    from siteward.transport.secrets import Secret


class CancellationToken:
    """A request to stop: what is in flight is finished, nothing more is begun."""

    def __init__(self) -> None:
        self.cancelled = False

    def pull(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask to stop; asked a second time, stop at once."""
        if self.cancelled:
            raise KeyboardInterrupt
        self.cancelled = True


@contextmanager
def cancelled_by_signals() -> Iterator[CancellationToken]:
    """Turn the first Ctrl-C into a cancellation while this lasts; only the main thread is ever interrupted."""
    cancellation = CancellationToken()
    if threading.current_thread() is not threading.main_thread():
        yield cancellation
        return
    before = signal.signal(signal.SIGINT, cancellation.pull)
    try:
        yield cancellation
    finally:
        signal.signal(signal.SIGINT, before)


class Execution(Struct, kw_only=True):
    """One instance while it is written to: what it is given, and how far it is.

    `fresh`, `revalidated` and `live` follow what is done; `outcomes` fills up. `failures` counts the writes in a row
    that failed, `sends` the mails by key, and `in_flight` are the steps that are being sent. `unended` are those that
    stand and whose call could not be finished.
    """

    given: ApplyInput
    instance: Prepared
    cancellation: CancellationToken
    fresh: Fresh
    revalidated: Revalidated
    live: Live
    outcomes: dict[str, Outcome]
    failures: int = 0
    sent: bool = False
    sends: dict[Key, int] = {}
    in_flight: set[str] = set()
    unended: set[str] = set()

    @property
    def target(self) -> Target:
        """The instance of the checkout."""
        return self.instance.target


def execute(execution: Execution) -> None:
    """Do the steps that are left, in order; every one of them ends in `execution.outcomes`."""
    execution.instance.doors.writer.patience.is_cancelled = lambda: execution.cancellation.cancelled
    rest = list(execution.revalidated.go)
    while rest := _settle_hindered(execution, rest):
        wave = _wave(rest, execution.revalidated.needs)
        taken = {step.id for step in wave}
        rest = [step for step in rest if step.id not in taken]
        if why := _describe_halt(execution):
            _settle(execution, [_skipped(execution, step, why) for step in wave])
            continue
        _write_wave(execution, wave)
        if rest and any(_may_reveal_grants(execution, step) for step in wave):
            rest = _look_again(execution, rest)


def _settle_hindered(execution: Execution, rest: Sequence[Step]) -> list[Step]:
    """Settle the steps whose needs were not met, and those that wait for each other, and return the others."""
    causes = {step.id: unmet(step, execution.revalidated.needs, execution.outcomes) for step in rest}
    lost = [left_undone(execution.target.name, step, cause) for step in rest if (cause := causes[step.id])]
    free = [step for step in rest if causes[step.id] is None]
    if free and not _wave(free, execution.revalidated.needs):
        lost += [_skipped(execution, step, "it waits for a step that waits for it") for step in free]
        free = []
    _settle(execution, lost)
    return free


def _wave(rest: Sequence[Step], needs: Mapping[str, frozenset[str]]) -> list[Step]:
    """Return the next steps of one kind, in order, of which none needs another that is still to be done."""
    waiting = {step.id for step in rest}
    wave: list[Step] = []
    for step in rest:
        fits = not needs[step.id] & waiting and (not wave or _kind_of_change(step) == _kind_of_change(wave[0]))
        if fits:
            wave.append(step)
        elif wave:
            break
    return wave


def _kind_of_change(step: Step) -> str:
    """Return `make`, `open` or `close`: a change that closes never shares a call with one that opens."""
    if isinstance(step.change.after, Account) and step.change.before is None:
        return "make"
    return "close" if step.change.after is None or step.after_power < step.before_power else "open"


def _write_wave(execution: Execution, wave: Sequence[Step]) -> None:
    """Write one wave, bundle by bundle."""
    steps = {step.change: step for step in _settle_moved(execution, wave)}
    bundles = execution.target.platform.bundle(tuple(steps), execution.live) if steps else ()
    if Counter(change for bundle in bundles for change in bundle.changes) != Counter(tuple(steps)):
        raise RuntimeError(f"{execution.target.platform.name} did not bundle exactly what it was given")
    for bundle in bundles:
        carried = [steps[change] for change in bundle.changes]
        if why := _describe_halt(execution):
            _settle(execution, [_skipped(execution, step, why) for step in carried])
        else:
            _send(execution, bundle, carried)
    done = [change for change, step in steps.items() if execution.outcomes[step.id].status in SETTLED]
    execution.live = replace(execution.live, access=patch(execution.live.access, done))


def _settle_moved(execution: Execution, wave: Sequence[Step]) -> list[Step]:
    """Read once more the accounts that are about to be deleted, and let go those that are not as they were."""
    doomed = {step.change.key: step for step in wave if _is_deletion(step.change)}
    if not doomed:
        return list(wave)
    seen, why = look(execution.target.platform, execution.instance.doors, set(doomed), execution.live)
    unread = [step for key, step in doomed.items() if key not in seen]
    moved = [step for key, step in doomed.items() if key in seen and seen[key] != step.change.before]
    words = why or "reading did not show whether it is as it was"
    _settle(execution, [_failed(execution, step, f"not deleted: {words}") for step in unread])
    name, message = execution.target.name, "it changed while the plan was applied"
    _settle(execution, [refused(name, step, seen[step.change.key], message) for step in moved])
    return [step for step in wave if step not in unread and step not in moved]


def _is_deletion(change: Change) -> bool:
    return isinstance(change.before, Account) and change.after is None


def _send(execution: Execution, bundle: Bundle, steps: Sequence[Step]) -> None:
    """Write one bundle, with everything that promises 8, 9 and 11 put around it."""
    for step in steps:
        execution.given.tell(_progress(execution, step, None))
    try:
        passwords, ahead = _deliver_passwords(execution, steps), _changes_ahead(execution, steps)
        bundle = replace(bundle, passwords=passwords, ahead=ahead, unwanted=execution.fresh.unwanted)
    except UndeliveredError as problem:
        _settle(execution, [_failed(execution, step, str(problem)) for step in steps])
        return
    ids = {step.change: step.id for step in steps}

    def before_sending(changes: Collection[Change]) -> None:
        execution.instance.journal.intend({ids[change]: change for change in changes})
        execution.sent = True
        execution.in_flight = {step.id for step in steps}

    platform, doors = execution.target.platform, execution.instance.doors
    call = Call(platform=platform, doors=doors, bundle=bundle, live=execution.live, before_sending=before_sending)
    found = send_and_read_back(call)
    made = {key: id_ for receipt in found.receipts.values() for key, id_ in receipt.ids.items()}
    execution.live = replace(execution.live, ids={**execution.live.ids, **made})
    _settle(execution, [_judge_outcome(execution, step, found) for step in steps], found.receipts)


def _changes_ahead(execution: Execution, steps: Iterable[Step]) -> tuple[Change, ...]:
    """Return the changes that are still to come after `steps`."""
    now = {step.id for step in steps}
    return tuple(
        step.change for step in execution.revalidated.go if step.id not in now and step.id not in execution.outcomes
    )


def _deliver_passwords(execution: Execution, steps: Iterable[Step]) -> Mapping[str, Secret]:
    """Make, and bring to their owners, the passwords of the accounts that these steps make."""
    given = {}
    for step in steps:
        account = step.change.after
        if isinstance(account, Account) and made_with_password(step.change, execution.fresh.traits):
            given[account.name] = generate()
            declared_user = execution.fresh.desired.declared_users.get(account.name)
            deliver(
                execution.target.name,
                execution.target.origin,
                account.name,
                given[account.name],
                declared_user,
                execution.given.options.passwords,
            )
    return given


def _judge_outcome(execution: Execution, step: Step, found: ReadBack) -> Outcome:
    """Return what became of a step: done only where the platform shows it, failed only where it shows it undone."""
    change, receipt = step.change, found.receipts.get(step.change.key)
    words = receipt.message if receipt else "the platform said nothing of it"
    hint = receipt.hint if receipt else None
    status = receipt.status if receipt else "unknown"
    if receipt is not None and status == "failed" and receipt.sure:
        return _failed(execution, step, words, hint)
    if not touched(change) <= found.seen.keys():
        return _unknown(execution, step, (words, found.why or "reading did not show whether it took place"), hint)
    now = found.seen[change.key]
    if found.shows(change):
        return _done(execution, step, status, words, hint)
    sides = {"reviewed": change.before, "now": now, "wanted": change.after}
    if status == "unknown":
        shows = f"so far reading shows {said(now)}, and it may still take place"
        return replace(_unknown(execution, step, (words, shows), hint), **sides)
    shows = (
        f"it was accepted, but reading shows {said(now)}"
        if status == "sent"
        else f"it did not take place, {said(now)} stands"
    )
    return replace(_failed(execution, step, "; ".join(filter(None, (words, shows))), hint), **sides)


def _done(execution: Execution, step: Step, status: str, words: str, hint: str | None = None) -> Outcome:
    """Return the outcome of a step that reading shows to be done, with what else the platform said of it."""
    message = {"sent": words, "unknown": LOST}.get(status, f"{words}; but reading shows that it took place")
    hint = hint if status == "failed" else None
    done = Outcome(instance=execution.target.name, step=step, status="done", message=message, hint=hint)
    if status == "sent":
        return done
    platform, writer = execution.target.platform, execution.instance.doors.writer
    ended = finished(done, platform, writer, execution.fresh, execution.live)
    if ended.status == "unknown":
        execution.unended.add(step.id)
    return ended


def _unknown(execution: Execution, step: Step, words: tuple[str, str], hint: str | None) -> Outcome:
    message = "; ".join(filter(None, words))
    return Outcome(instance=execution.target.name, step=step, status="unknown", message=message, hint=hint or RESUME)


def look_once_more(execution: Execution) -> None:
    """Read again, at the end, what is unknown: while the run went on, it may have taken place."""
    unknown = [
        outcome
        for name, outcome in execution.outcomes.items()
        if outcome.status == "unknown" and name not in execution.unended
    ]
    if not unknown or execution.cancellation.cancelled:
        return
    keys = {key for outcome in unknown for key in touched(outcome.step.change)}
    seen, _ = look(execution.target.platform, execution.instance.doors, keys, execution.live)
    shown = ReadBack(receipts={}, seen=seen)
    settled = [outcome.step for outcome in unknown if shown.shows(outcome.step.change)]
    _settle(execution, [_done(execution, step, "unknown", "") for step in settled])


def finished(outcome: Outcome, platform: Platform, writer: Writer, fresh: Fresh, live: Live) -> Outcome:
    """Do what belongs to the call of a change that stands, and that nobody knows to be done; return the outcome then.

    What cannot be finished stays open, so that the run has no end and can be resumed.
    """
    if platform.finish is None:
        return outcome
    change = outcome.step.change
    try:
        receipt = platform.finish(writer, Bundle(changes=(change,), unwanted=fresh.unwanted), live)
    except PlatformError as problem:
        receipt = Receipt(key=change.key, status="unknown", message=str(problem))
    if receipt.status == "sent":
        return outcome
    return replace(outcome, status="unknown", message=receipt.message, hint=RESUME)


def _settle(execution: Execution, outcomes: Sequence[Outcome], receipts: Mapping[Key, Receipt] | None = None) -> None:
    """Journal what became of some steps, and tell."""
    if not outcomes:
        return
    sends = {key: receipt.sends for key, receipt in (receipts or {}).items() if receipt.sends}
    execution.instance.journal.became([result(outcome, sends.get(outcome.step.change.key, 0)) for outcome in outcomes])
    execution.sends.update(sends)
    execution.in_flight = set()
    bad = {"failed", "unknown"}
    if any(outcome.status in SETTLED for outcome in outcomes):
        execution.failures = 0
    elif any(outcome.status in bad for outcome in outcomes):
        execution.failures += 1
    for outcome in outcomes:
        execution.outcomes[outcome.step.id] = outcome
        execution.given.tell(_progress(execution, outcome.step, outcome))


def result(outcome: Outcome, sends: int = 0) -> Result:
    """Return what the journal keeps of an outcome."""
    return Result(step=outcome.step.id, status=outcome.status, message=outcome.message, sends=sends)


def said(resource: Resource | None) -> str:
    """Return what stands somewhere, in a few words."""
    match resource:
        case None:
            return "nothing"
        case Grant():
            extras = f" with {', '.join(sorted(resource.extras))}" if resource.extras else ""
            return f"role {resource.role}{extras} on {resource.scope}"
        case Account():
            return f"the account {resource.name}" + (f" ({resource.email})" if resource.email else "")
        case Group():
            return f"the group {resource.name}"
        case Member():
            return f"{resource.account} in {resource.group}"


def _describe_halt(execution: Execution) -> str:
    """Return why nothing more is begun, if so."""
    if execution.cancellation.cancelled:
        return NOT_BEGUN
    return (
        f"not tried after {execution.failures} failures in a row"
        if execution.failures >= execution.given.options.failures_in_a_row
        else ""
    )


def _may_reveal_grants(execution: Execution, step: Step) -> bool:
    """Return whether a step took a top role, under which a platform may have hidden or wiped other grants."""
    before = step.change.before
    done = execution.outcomes[step.id].status == "done"
    return done and isinstance(before, Grant) and execution.fresh.traits.is_top(before)


def _look_again(execution: Execution, rest: Sequence[Step]) -> list[Step]:
    """Read and judge again what is left, after a step that may have changed more than it says."""
    try:
        execution.fresh = read_again(execution.given, execution.instance)
    except PlatformError as problem:
        _settle(
            execution,
            [_skipped(execution, step, f"it could not be read again before it was sent: {problem}") for step in rest],
        )
        return []
    instance, history = (
        execution.instance,
        History(
            settled=execution.outcomes, lifted=execution.revalidated.lifted, waits=execution.instance.history.waits
        ),
    )
    execution.revalidated = judge_again(
        instance.reviewed, execution.fresh, instance.allowance, history, instance.chosen
    )
    execution.live = execution.fresh.live
    _settle(
        execution,
        [outcome for name, outcome in execution.revalidated.outcomes.items() if name not in execution.outcomes],
    )
    return list(execution.revalidated.go)


def _failed(execution: Execution, step: Step, message: str, hint: str | None = None) -> Outcome:
    return Outcome(instance=execution.target.name, step=step, status="failed", message=message, hint=hint)


def _skipped(execution: Execution, step: Step, message: str) -> Outcome:
    return Outcome(instance=execution.target.name, step=step, status="skipped", message=message)


def _progress(execution: Execution, step: Step, outcome: Outcome | None) -> Progress:
    known = execution.instance.revalidated
    steps = len(known.outcomes) + len(known.go)
    return Progress(instance=execution.target.name, step=step, outcome=outcome, at=len(execution.outcomes), of=steps)
