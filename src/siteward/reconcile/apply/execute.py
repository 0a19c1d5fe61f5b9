"""Execution of a revalidated plan on one instance: wave by wave, journalled before and after, read back.

    steps to do ─ wave ─ bundle ─▶ deliver passwords ─ intent ─ write ─ read back ─ outcome ─▶ next

A wave is a run of steps, in order, of which none depends on another: a platform may carry them in shared calls.
Everything else has been decided before (`revalidate`); here it is only decided whether a write took place, and that is
read back, never taken from the answer.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, deletes_account, patch
from siteward.access.model import Account, Grant, Group, Key, Member, Resource
from siteward.access.renames import touched
from siteward.access.report import Outcome
from siteward.platforms.interface import Bundle, Receipt
from siteward.reconcile.apply.ahead import Ahead
from siteward.reconcile.apply.inputs import describe_progress, read_again, revalidate_instance, without_judge
from siteward.reconcile.apply.passwords import UndeliveredError, deliver, generate, made_with_password
from siteward.reconcile.apply.read_back import Call, ReadBack, look, send_and_read_back
from siteward.reconcile.apply.revalidate import LOST, SETTLED, History, find_unmet, reached, refuse, skip_dependant
from siteward.reconcile.apply.target import RESUME, Progress
from siteward.reconcile.apply.waves import bundled, may_reveal_grants, may_unmake_admin, take_wave
from siteward.reconcile.forecast import Basis, Watch, expect
from siteward.reconcile.journal.entries import NOT_BEGUN, Result
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import FrameType

    from siteward.access.plan import Step
    from siteward.access.state import Live
    from siteward.platforms.interface import Platform
    from siteward.reconcile.apply.inputs import ApplyInput, Prepared
    from siteward.reconcile.apply.revalidate import Revalidated
    from siteward.reconcile.apply.target import Fresh, Target
    from siteward.transport.deadline import Deadline
    from siteward.transport.http import Writer
    from siteward.transport.secrets import Secret


GRACE = 5.0
"""The seconds after a signal in which a write that is in flight may still be answered."""


class CancellationToken:
    """A request to stop (SIGINT or SIGTERM): nothing more is begun, and what is in flight has `GRACE` seconds to end.

    `deadlines` are those of the connections in use.
    """

    def __init__(self, deadlines: Iterable[Deadline] = ()) -> None:
        self.cancelled = False
        self._deadlines = tuple(deadlines)

    def cancel(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask to stop; raises `KeyboardInterrupt` when asked a second time."""
        if self.cancelled:
            raise KeyboardInterrupt
        self.cancelled = True
        for deadline in self._deadlines:
            deadline.draw_near(GRACE)


@contextmanager
def cancelled_by_signals(deadlines: Iterable[Deadline]) -> Iterator[CancellationToken]:
    """Turn the first signal into a cancellation within this context; does nothing outside the main thread."""
    cancellation = CancellationToken(deadlines)
    heard = threading.current_thread() is threading.main_thread()
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, cancellation.cancel) for number in numbers if heard}
    try:
        yield cancellation
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Execution(Struct, kw_only=True):
    """The writing to one instance: its parameters, and its progress.

    `fresh`, `revalidated`, `live`, `outcomes` (by step id) and `ahead` are updated with each write. `failures` counts the failed
    writes in a row, `sends` the mails by key, and `in_flight` holds the steps that are being sent. `unread` is true once
    something was sent after the last reading of the whole instance. `unended` are the steps that are live already and
    whose call could not be completed, `delivered` the accounts whose new password was written down. `watch` measures how
    long the rest takes.
    """

    given: ApplyInput
    instance: Prepared
    cancellation: CancellationToken
    fresh: Fresh
    revalidated: Revalidated
    live: Live
    outcomes: dict[str, Outcome]
    ahead: Ahead
    failures: int = 0
    sent: bool = False
    unread: bool = False
    sends: dict[Key, int] = {}
    in_flight: set[str] = set()
    unended: set[str] = set()
    delivered: list[str] = []
    watch: Watch | None = None

    @property
    def target(self) -> Target:
        """The instance of the checkout."""
        return self.instance.target


def execute(execution: Execution) -> None:
    """Do the steps of `execution.revalidated`, in order; adds an outcome for every one to `execution.outcomes`."""
    execution.instance.doors.writer.patience.is_cancelled = lambda: execution.cancellation.cancelled
    execution.watch = _start_watch(execution)
    rest = _settle_hindered(execution, execution.revalidated.go)
    while wave := take_wave(rest, execution.revalidated.needs):
        if execution.unread and any(may_unmake_admin(step, execution.fresh.traits) for step in wave):
            rest = _settle_hindered(execution, _revalidate_rest(execution, rest))
            continue
        taken = {step.id for step in wave}
        rest = [step for step in rest if step.id not in taken]
        if why := _describe_halt(execution):
            _settle(execution, [_skip(execution, step, why) for step in wave])
        else:
            _write_wave(execution, wave)
            if rest and any(_has_revealed_grants(execution, step) for step in wave):
                rest = _revalidate_rest(execution, rest)
        rest = _settle_hindered(execution, rest)
    _settle(execution, [_skip(execution, step, "it waits for a step that waits for it") for step in rest])


def _settle_hindered(execution: Execution, rest: Sequence[Step]) -> Sequence[Step]:
    """Skip the steps whose needs were not met; return the others."""
    needs, outcomes = execution.revalidated.needs, execution.outcomes
    undone = {name for name, outcome in outcomes.items() if outcome.status not in SETTLED}
    hindered = (
        {
            step.id: skip_dependant(execution.target.name, step, cause)
            for step in rest
            if not undone.isdisjoint(needs[step.id]) and (cause := find_unmet(step, needs, outcomes))
        }
        if undone
        else {}
    )
    _settle(execution, list(hindered.values()))
    return [step for step in rest if step.id not in hindered]


def _write_wave(execution: Execution, wave: Sequence[Step]) -> None:
    """Write one wave, bundle by bundle, and apply what was done to `execution.live`.

    Raises `RuntimeError` where the adapter drops or adds a change.
    """
    steps = {step.change: step for step in _settle_moved(execution, wave)}
    for bundle in bundled(execution.target.platform, steps, execution.live):
        carried = [steps[change] for change in bundle.changes]
        if why := _describe_halt(execution):
            _settle(execution, [_skip(execution, step, why) for step in carried])
        else:
            _send(execution, bundle, carried)
    done = [change for change, step in steps.items() if execution.outcomes[step.id].status in SETTLED]
    execution.live = replace(execution.live, access=patch(execution.live.access, done))


def _settle_moved(execution: Execution, wave: Sequence[Step]) -> list[Step]:
    """Read the accounts that are to be deleted once more; refuse those that have changed, return the other steps."""
    doomed = {step.change.key: step for step in wave if deletes_account(step.change)}
    if not doomed:
        return list(wave)
    seen, why = look(execution.target.platform, execution.instance.doors, set(doomed), execution.live)
    unread = [step for key, step in doomed.items() if key not in seen]
    moved = [step for key, step in doomed.items() if key in seen and seen[key] != step.change.before]
    words = why or "reading did not show whether it is as it was"
    _settle(execution, [_fail(execution, step, f"not deleted: {words}") for step in unread])
    name, message = execution.target.name, "it changed while the plan was applied"
    _settle(execution, [refuse(name, step, seen[step.change.key], message) for step in moved])
    return [step for step in wave if step not in unread and step not in moved]


def _send(execution: Execution, bundle: Bundle, steps: Sequence[Step]) -> None:
    """Write one bundle: deliver passwords, journal the intent, write, read back, and journal the outcomes.

    (Promises 8, 9 and 11.)
    """
    _listener(execution)(steps[0], None)
    try:
        passwords, ahead = _deliver_passwords(execution, steps), execution.ahead.after(steps)
        bundle = replace(bundle, passwords=passwords, ahead=ahead, unwanted=execution.fresh.unwanted)
    except UndeliveredError as problem:
        _settle(execution, [_fail(execution, step, str(problem)) for step in steps])
        return
    ids = {step.change: step.id for step in steps}

    def before_sending(changes: Collection[Change]) -> None:
        execution.instance.journal.intend({ids[change]: change for change in changes})
        execution.sent = execution.unread = True
        execution.in_flight = {step.id for step in steps}

    platform, doors = execution.target.platform, execution.instance.doors
    call = Call(platform=platform, doors=doors, bundle=bundle, live=execution.live, before_sending=before_sending)
    read_back = send_and_read_back(call)
    made = {key: id_ for receipt in read_back.receipts.values() for key, id_ in receipt.ids.items()}
    execution.live = replace(execution.live, ids={**execution.live.ids, **made})
    _settle(execution, [_decide_outcome(execution, step, read_back) for step in steps], read_back.receipts)


def _deliver_passwords(execution: Execution, steps: Iterable[Step]) -> Mapping[str, Secret]:
    """Generate and deliver the passwords of the accounts that these steps make; return them by login.

    Raises `UndeliveredError`.
    """
    passwords = {}
    for step in steps:
        account = step.change.after
        if isinstance(account, Account) and made_with_password(step.change, execution.fresh.traits):
            passwords[account.name] = generate()
            declared_user = execution.fresh.desired.declared_users.get(account.name)
            deliver(
                execution.target.name,
                execution.target.origin,
                account.name,
                passwords[account.name],
                declared_user,
                execution.given.options.passwords,
            )
            execution.delivered.append(account.name)
    return passwords


def _decide_outcome(execution: Execution, step: Step, read_back: ReadBack) -> Outcome:
    """Return the outcome of a step that was sent: done only where the platform shows it, failed only where it does not."""
    change, receipt = step.change, read_back.receipts.get(step.change.key)
    words = receipt.message if receipt else "the platform said nothing of it"
    hint = receipt.hint if receipt else None
    status = receipt.status if receipt else "unknown"
    if receipt is not None and status == "failed" and receipt.sure:
        return _fail(execution, step, words, hint)
    if not read_back.tells(change):
        why = read_back.why or "reading did not show whether it took place"
        return _leave_unknown(execution, step, (words, why), hint)
    if reached(change, read_back.seen):
        return _complete(execution, step, status, words, hint)
    now = read_back.seen[change.key]
    sides = {"reviewed": change.before, "now": now, "wanted": change.after}
    if status == "unknown":
        shows = f"so far reading shows {_describe_resource(now)}, and it may still take place"
        return replace(_leave_unknown(execution, step, (words, shows), hint), **sides)
    shows = (
        f"it was accepted, but reading shows {_describe_resource(now)}"
        if status == "sent"
        else f"it did not take place, {_describe_resource(now)} stands"
    )
    return replace(_fail(execution, step, "; ".join(filter(None, (words, shows))), hint), **sides)


def _complete(execution: Execution, step: Step, status: str, words: str, hint: str | None = None) -> Outcome:
    """Return the outcome of a step that reading shows to be done, after what belongs to its call; `status` is a receipt's.

    `words` are the message of the receipt.
    """
    name = execution.target.name
    if status == "sent":
        return Outcome(instance=name, step=step, status="done", message=words)
    message = LOST if status == "unknown" else f"{words}; but reading shows that it took place"
    hint = hint if status == "failed" else None
    done = Outcome(instance=name, step=step, status="done", message=message, hint=hint)
    platform, writer = execution.target.platform, execution.instance.doors.writer
    completed = finish_call(done, platform, writer, execution.fresh, execution.live)
    if completed.status == "unknown":
        execution.unended.add(step.id)
    return completed


def _leave_unknown(execution: Execution, step: Step, words: tuple[str, str], hint: str | None) -> Outcome:
    message = "; ".join(filter(None, words))
    return Outcome(instance=execution.target.name, step=step, status="unknown", message=message, hint=hint or RESUME)


def look_once_more(execution: Execution) -> None:
    """Read the steps of unknown outcome again, at the end: they may have taken place while the run went on."""
    unknown = [
        outcome
        for step, outcome in execution.outcomes.items()
        if outcome.status == "unknown" and step not in execution.unended
    ]
    if not unknown or execution.cancellation.cancelled:
        return
    keys = touched(*[outcome.step.change for outcome in unknown])
    seen, _ = look(execution.target.platform, execution.instance.doors, keys, execution.live)
    read_back = ReadBack(receipts={}, seen=seen)
    shown = [outcome.step for outcome in unknown if read_back.shows(outcome.step.change)]
    _settle(execution, [_complete(execution, step, "unknown", "") for step in shown])


def finish_call(outcome: Outcome, platform: Platform, writer: Writer, fresh: Fresh, live: Live) -> Outcome:
    """Complete an interrupted call whose change is live already (`platform.finish`); return the outcome.

    If that fails the outcome is unknown, so that the run stays without an end and can be resumed.
    """
    obstacle = end_call(outcome.step.change, platform, writer, fresh, live)
    return outcome if obstacle is None else replace(outcome, status="unknown", message=obstacle, hint=RESUME)


def end_call(change: Change, platform: Platform, writer: Writer, fresh: Fresh, live: Live) -> str | None:
    """Do what is left of an interrupted call whose change is live; return in words why it fails, `None` if it does not."""
    if platform.finish is None:
        return None
    try:
        receipt = platform.finish(writer, Bundle(changes=(change,), unwanted=fresh.unwanted), live)
    except PlatformError as problem:
        return str(problem)
    return None if receipt.status == "sent" else receipt.message


def _settle(execution: Execution, outcomes: Sequence[Outcome], receipts: Mapping[Key, Receipt] | None = None) -> None:
    """Journal the outcomes of some steps, count failures, and report progress."""
    if not outcomes:
        return
    known = receipts or {}
    execution.instance.journal.record([to_result(outcome, known.get(outcome.step.change.key)) for outcome in outcomes])
    execution.sends.update({key: receipt.sends for key, receipt in known.items() if receipt.sends})
    execution.in_flight = set()
    if any(outcome.status in SETTLED for outcome in outcomes):
        execution.failures = 0
    elif any(outcome.status in {"failed", "unknown"} for outcome in outcomes):
        execution.failures += 1
    if execution.watch is not None:
        execution.watch.settle(outcome.step.id for outcome in outcomes)
    tell = _listener(execution)
    for outcome in outcomes:
        execution.outcomes[outcome.step.id] = outcome
        tell(outcome.step, outcome)


def to_result(outcome: Outcome, receipt: Receipt | None = None) -> Result:
    """Return the journal's form of an outcome, with the mails and the id of an account that the receipt tells of."""
    step, status, message = outcome.step, outcome.status, outcome.message
    if receipt is None:
        return Result(step=step.id, status=status, message=message)
    account_id = receipt.ids.get(step.change.key)
    return Result(step=step.id, status=status, message=message, sends=receipt.sends, account_id=account_id)


def _describe_resource(resource: Resource | None) -> str:
    """Return a live resource in a few words."""
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
    """Return why no more writes are begun, or an empty text."""
    if execution.cancellation.cancelled:
        return NOT_BEGUN
    return (
        f"not tried after {execution.failures} failures in a row"
        if execution.failures >= execution.given.options.failures_in_a_row
        else ""
    )


def _has_revealed_grants(execution: Execution, step: Step) -> bool:
    """Return whether a step has taken a top role."""
    return execution.outcomes[step.id].status == "done" and may_reveal_grants(step, execution.fresh.traits)


def _revalidate_rest(execution: Execution, rest: Sequence[Step]) -> list[Step]:
    """Read and revalidate the rest, where more may have changed than this run's steps say; return the steps to do."""
    try:
        execution.fresh = read_again(execution.given, execution.instance, execution.outcomes.values())
    except PlatformError as problem:
        _settle(
            execution,
            [_skip(execution, step, f"it could not be read again before it was sent: {problem}") for step in rest],
        )
        return []
    instance = execution.instance
    history = History(
        settled=execution.outcomes, lifted=execution.revalidated.lifted, waits=instance.history.waits,
        begun=describe_progress(instance, execution.outcomes.values()),
    )  # fmt: skip
    execution.revalidated = revalidate_instance(
        instance.reviewed, execution.fresh, instance.allowance, history, instance.chosen
    )
    execution.fresh = without_judge(execution.fresh, execution.revalidated.go)
    execution.ahead = Ahead(go=execution.revalidated.go, over=execution.outcomes)
    execution.live, execution.unread = execution.fresh.live, False
    _settle(
        execution,
        [outcome for name, outcome in execution.revalidated.outcomes.items() if name not in execution.outcomes],
    )
    return list(execution.revalidated.go)


def _fail(execution: Execution, step: Step, message: str, hint: str | None = None) -> Outcome:
    return Outcome(instance=execution.target.name, step=step, status="failed", message=message, hint=hint)


def _skip(execution: Execution, step: Step, message: str) -> Outcome:
    return Outcome(instance=execution.target.name, step=step, status="skipped", message=message)


def _listener(execution: Execution) -> Callable[[Step, Outcome | None], None]:
    """Return the function that tells the progress of a step, as of this moment."""
    known, name, listen = execution.instance.revalidated, execution.target.name, execution.given.tell
    count = len(known.outcomes) + len(known.go)
    left = 0.0 if execution.watch is None else execution.watch.left(execution.instance.doors.reader.now)

    def tell(step: Step, outcome: Outcome | None) -> None:
        at = len(execution.outcomes)
        listen(Progress(instance=name, step=step, outcome=outcome, at=at, of=count, left=left))

    return tell


def _start_watch(execution: Execution) -> Watch:
    """Return the watch that measures a run from now on."""
    instance, fresh = execution.instance, execution.fresh
    basis = Basis(
        platform=execution.target.platform, traits=fresh.traits, live=execution.live, speed=instance.speed,
        unwanted=fresh.unwanted,
    )  # fmt: skip
    expected = expect(execution.revalidated.go, basis, execution.revalidated.needs)
    return Watch(expected, instance.doors.reader.now)
