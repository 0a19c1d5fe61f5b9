"""Writing what is left of a plan on one instance: wave by wave, journalled before and after, read back.

    steps to do ─ wave ─ bundle ─▶ deliver passwords ─ intent ─ write ─ look ─ outcome ─▶ next

A wave is a run of steps, in order, of which none depends on another: it is what a platform may carry in shared
calls. Everything else that could be decided has been decided before (`recheck`); what is decided here is only
whether a write took place, and that is read, never believed.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, patch
from siteward.access.model import Account, Grant, Group, Key, Member, Resource
from siteward.access.report import Outcome
from siteward.platforms.interface import Bundle, Receipt
from siteward.reconcile.deliver import Undelivered, deliver, generate, made_with_password
from siteward.reconcile.entries import Result
from siteward.reconcile.names import touched
from siteward.reconcile.recheck import LOST, SETTLED, left_undone, reached, refused, unmet
from siteward.reconcile.target import RESUME, Progress
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from types import FrameType

    from siteward.access.plan import Step
    from siteward.access.state import Live
    from siteward.platforms.interface import Platform
    from siteward.reconcile.deliver import Passwords
    from siteward.reconcile.journal import Journal
    from siteward.reconcile.recheck import Sifted
    from siteward.reconcile.target import Fresh, Listener, Target
    from siteward.transport.http import Doors, Writer
    from siteward.transport.secrets import Secret

Seen = Mapping[Key, Resource | None]


class Brake:
    """Whether somebody has asked to stop: what is in flight is finished, nothing more is begun."""

    def __init__(self) -> None:
        self.pulled = False

    def pull(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask to stop; asked a second time, stop at once."""
        if self.pulled:
            raise KeyboardInterrupt
        self.pulled = True


@contextmanager
def braking() -> Iterator[Brake]:
    """Turn the first Ctrl-C into a pulled brake while this lasts; only the main thread is ever interrupted."""
    brake = Brake()
    if threading.current_thread() is not threading.main_thread():
        yield brake
        return
    before = signal.signal(signal.SIGINT, brake.pull)
    try:
        yield brake
    finally:
        signal.signal(signal.SIGINT, before)


class Work(Struct, kw_only=True):
    """One instance while it is written to; `outcomes` fills up, `live` follows what is done."""

    target: Target
    doors: Doors
    journal: Journal
    fresh: Fresh
    sifted: Sifted
    passwords: Passwords
    patience: int
    steps: int
    brake: Brake
    tell: Listener
    outcomes: dict[str, Outcome]
    live: Live
    failures: int = 0
    sent: bool = False
    again: Callable[[Mapping[str, Outcome], frozenset[str]], tuple[Fresh, Sifted]]
    sends: dict[Key, int] = {}
    in_flight: set[str] = set()


def execute(work: Work) -> None:
    """Do the steps that are left, in order; every one of them ends in `work.outcomes`."""
    rest = list(work.sifted.go)
    while rest := _without_hindered(work, rest):
        wave = _wave(rest, work.sifted.needs)
        taken = {step.id for step in wave}
        rest = [step for step in rest if step.id not in taken]
        if why := _halted(work):
            _settle(work, [_skipped(work, step, why) for step in wave])
            continue
        _ride(work, wave)
        if rest and any(_wakes(work, step) for step in wave):
            rest = _looked_again(work, rest)


def _without_hindered(work: Work, rest: Sequence[Step]) -> list[Step]:
    """Settle the steps whose needs were not met, and those that wait for each other, and return the others."""
    causes = {step.id: unmet(step, work.sifted.needs, work.outcomes) for step in rest}
    lost = [left_undone(work.target.name, step, cause) for step in rest if (cause := causes[step.id])]
    free = [step for step in rest if causes[step.id] is None]
    if free and not _wave(free, work.sifted.needs):
        lost += [_skipped(work, step, "it waits for a step that waits for it") for step in free]
        free = []
    _settle(work, lost)
    return free


def _wave(rest: Sequence[Step], needs: Mapping[str, frozenset[str]]) -> list[Step]:
    """Return the next steps of one kind, in order, of which none needs another that is still to be done."""
    waiting = {step.id for step in rest}
    wave: list[Step] = []
    for step in rest:
        fits = not needs[step.id] & waiting and (not wave or _kind(step) == _kind(wave[0]))
        if fits:
            wave.append(step)
        elif wave:
            break
    return wave


def _kind(step: Step) -> str:
    """Tell making, opening and closing apart: what closes never shares a call with what opens."""
    if isinstance(step.change.after, Account) and step.change.before is None:
        return "make"
    return "close" if step.change.after is None or step.after_power < step.before_power else "open"


def _ride(work: Work, wave: Sequence[Step]) -> None:
    """Write one wave, bundle by bundle."""
    steps = {step.change: step for step in _unmoved(work, wave)}
    bundles = work.target.platform.bundle(tuple(steps), work.live) if steps else ()
    if Counter(change for each in bundles for change in each.changes) != Counter(tuple(steps)):
        raise RuntimeError(f"{work.target.platform.name} did not bundle exactly what it was given")
    for bundle in bundles:
        carried = [steps[change] for change in bundle.changes]
        if why := _halted(work):
            _settle(work, [_skipped(work, step, why) for step in carried])
        else:
            _send(work, bundle, carried)
    done = [change for change, step in steps.items() if work.outcomes[step.id].status in SETTLED]
    work.live = replace(work.live, access=patch(work.live.access, done))


def _unmoved(work: Work, wave: Sequence[Step]) -> list[Step]:
    """Read once more the accounts that are about to be deleted, and let go those that are not as they were."""
    doomed = {step.change.key: step for step in wave if _is_deletion(step.change)}
    if not doomed:
        return list(wave)
    seen, why = _look(work, set(doomed))
    unread = [step for key, step in doomed.items() if key not in seen]
    moved = [step for key, step in doomed.items() if key in seen and seen[key] != step.change.before]
    words = why or "reading could not tell whether it is as it was"
    _settle(work, [_failed(work, step, f"not deleted: {words}") for step in unread])
    name, message = work.target.name, "it changed while the plan was applied"
    _settle(work, [refused(name, step, seen[step.change.key], message) for step in moved])
    return [step for step in wave if step not in unread and step not in moved]


def _is_deletion(change: Change) -> bool:
    return isinstance(change.before, Account) and change.after is None


def _send(work: Work, bundle: Bundle, steps: Sequence[Step]) -> None:
    """Write one bundle, with everything that promises 8, 9 and 11 put around it."""
    for step in steps:
        work.tell(_progress(work, step, None))
    try:
        passwords, ahead = _delivered(work, steps), _ahead(work, steps)
        bundle = replace(bundle, passwords=passwords, ahead=ahead, unwanted=work.fresh.unwanted)
    except Undelivered as problem:
        _settle(work, [_failed(work, step, str(problem)) for step in steps])
        return
    work.journal.intend({step.id: step.change for step in steps})
    work.sent = True
    work.in_flight = {step.id for step in steps}
    receipts = _written(work, bundle)
    work.live = replace(
        work.live, ids={**work.live.ids, **{key: id_ for each in receipts for key, id_ in each.ids.items()}}
    )
    found = {each.key: each for each in receipts}
    unsure = {
        step.change.key for step in steps if step.change.key not in found or found[step.change.key].status != "failed"
    }
    seen, why = _look(work, {key for step in steps if step.change.key in unsure for key in touched(step.change)})
    _settle(work, [_outcome(work, step, found.get(step.change.key), seen, why) for step in steps], found)


def _ahead(work: Work, steps: Iterable[Step]) -> tuple[Change, ...]:
    """Return the changes that are still to come after `steps`."""
    now = {step.id for step in steps}
    return tuple(step.change for step in work.sifted.go if step.id not in now and step.id not in work.outcomes)


def _delivered(work: Work, steps: Iterable[Step]) -> Mapping[str, Secret]:
    """Make, and bring to their owners, the passwords of the accounts that these steps make."""
    given = {}
    for step in steps:
        account = step.change.after
        if isinstance(account, Account) and made_with_password(step.change, work.fresh.traits):
            given[account.name] = generate()
            holder = work.fresh.desired.holders.get(account.name)
            deliver(work.target.name, work.target.origin, account.name, given[account.name], holder, work.passwords)
    return given


def _written(work: Work, bundle: Bundle) -> Sequence[Receipt]:
    """Send a bundle; whatever is raised on the way leaves open what of it took place."""
    try:
        return work.target.platform.write(work.doors.writer, bundle, work.live)
    except PlatformError as problem:
        return [
            Receipt(key=each.key, status="unknown", message=str(problem), hint=problem.hint) for each in bundle.changes
        ]


def _look(work: Work, keys: set[Key]) -> tuple[Seen, str]:
    """Read what stands under some keys now; what could not be told is left out, and why comes with it."""
    if not keys:
        return {}, ""
    try:
        return work.target.platform.refresh(work.doors.reader, keys, work.live), ""
    except PlatformError as problem:
        return {}, f"it could not be read back: {problem}"


def _outcome(work: Work, step: Step, receipt: Receipt | None, seen: Seen, why: str) -> Outcome:
    """Return what became of a step: done only where the platform shows it."""
    change, instance = step.change, work.target.name
    words = receipt.message if receipt else "the platform said nothing of it"
    hint = receipt.hint if receipt else None
    if receipt is not None and receipt.status == "failed":
        return _failed(work, step, words, hint)
    if not touched(change) <= seen.keys():
        message = "; ".join(filter(None, (words, why or "reading could not tell whether it took place")))
        return Outcome(instance=instance, step=step, status="unknown", message=message, hint=hint or RESUME)
    now = seen[change.key]
    if reached(change, seen):
        lost = receipt is None or receipt.status == "unknown"
        done = Outcome(instance=instance, step=step, status="done", message=LOST if lost else "")
        return finished(done, work.target.platform, work.doors.writer, work.fresh, work.live) if lost else done
    accepted = receipt is not None and receipt.status == "sent"
    shows = (
        f"it was accepted, but reading shows {said(now)}" if accepted else f"it did not take place, {said(now)} stands"
    )
    outcome = _failed(work, step, "; ".join(filter(None, (words, shows))), hint)
    return replace(outcome, reviewed=change.before, now=now, wanted=change.after)


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


def _settle(work: Work, outcomes: Sequence[Outcome], receipts: Mapping[Key, Receipt] | None = None) -> None:
    """Journal what became of some steps, and tell."""
    if not outcomes:
        return
    sends = {key: each.sends for key, each in (receipts or {}).items() if each.sends}
    work.journal.became([result(each, sends.get(each.step.change.key, 0)) for each in outcomes])
    work.sends.update(sends)
    work.in_flight = set()
    bad = {"failed", "unknown"}
    if any(each.status in SETTLED for each in outcomes):
        work.failures = 0
    elif any(each.status in bad for each in outcomes):
        work.failures += 1
    for each in outcomes:
        work.outcomes[each.step.id] = each
        work.tell(_progress(work, each.step, each))


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


def _halted(work: Work) -> str:
    """Return why nothing more is begun, if so."""
    if work.brake.pulled:
        return "interrupted before it was sent"
    return f"not tried after {work.failures} failures in a row" if work.failures >= work.patience else ""


def _wakes(work: Work, step: Step) -> bool:
    """Tell whether a step took a top role, under which a platform may have hidden or wiped other grants."""
    before = step.change.before
    done = work.outcomes[step.id].status == "done"
    return done and isinstance(before, Grant) and work.fresh.traits.is_top(before)


def _looked_again(work: Work, rest: Sequence[Step]) -> list[Step]:
    """Read and judge again what is left, after a step that may have changed more than it says."""
    try:
        work.fresh, work.sifted = work.again(work.outcomes, work.sifted.lifted)
    except PlatformError as problem:
        _settle(
            work, [_skipped(work, step, f"it could not be read again before it was sent: {problem}") for step in rest]
        )
        return []
    work.live = work.fresh.live
    _settle(work, [each for name, each in work.sifted.outcomes.items() if name not in work.outcomes])
    return list(work.sifted.go)


def _failed(work: Work, step: Step, message: str, hint: str | None = None) -> Outcome:
    return Outcome(instance=work.target.name, step=step, status="failed", message=message, hint=hint)


def _skipped(work: Work, step: Step, message: str) -> Outcome:
    return Outcome(instance=work.target.name, step=step, status="skipped", message=message)


def _progress(work: Work, step: Step, outcome: Outcome | None) -> Progress:
    return Progress(instance=work.target.name, step=step, outcome=outcome, at=len(work.outcomes), of=work.steps)
