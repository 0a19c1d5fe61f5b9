"""The data of a run of apply: its frozen input, a prepared instance, and the progress of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error
from siteward.access.known_names import account_names
from siteward.access.limits import Begun
from siteward.access.model import Grant, account_of
from siteward.reconcile.apply.passwords import obstacles_to_delivery
from siteward.reconcile.apply.revalidate import Allowance, History, Revalidated, revalidate
from siteward.reconcile.dated import newer_moment, refuse_gains
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.files import UnsafeFileError
from siteward.reconcile.journal.journal import Journal, JournalBusyError
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan, Plan, Step
    from siteward.access.report import Outcome
    from siteward.access.state import Memory, Unsettled
    from siteward.reconcile.apply.target import Clock, Consents, Fresh, Journals, Listener, Options, Target
    from siteward.reconcile.journal.runs import Run
    from siteward.transport.http import Doors, Reader
    from siteward.transport.pace import Speed

TROUBLE = (PlatformError, JournalBrokenError, JournalBusyError, UnsafeFileError, OSError)
"""The errors that stay with one instance while the others go on."""


class ApplyInput(Struct, frozen=True, kw_only=True):
    """The parameters of a run; nothing of it changes while it runs.

    `moment` is the instant at which validity windows are checked; `resuming` is true where an unfinished run goes on.
    """

    plan: Plan
    targets: Mapping[str, Target]
    journals: Journals
    options: Options
    clock: Clock
    tell: Listener
    moment: datetime
    resuming: bool = False


class Prepared(Struct, frozen=True, kw_only=True):
    """One instance that is open, read and revalidated; `run` is its unfinished run that goes on, if there is one.

    `speed` is how fast it was read. `unended` are writes of earlier runs that came late and whose calls could not be
    finished.
    """

    reviewed: InstancePlan
    target: Target
    journal: Journal
    doors: Doors
    fresh: Fresh
    revalidated: Revalidated
    allowance: Allowance
    chosen: tuple[str, ...] | None
    run: Run | None
    history: History
    speed: Speed
    unended: tuple[Unsettled, ...] = ()

    @property
    def name(self) -> str:
        """The instance's name in the file."""
        return self.reviewed.instance


class RunState(Struct, kw_only=True):
    """The progress of a run: everything that changes while it runs, and of which its report is made.

    The dicts are by instance. `heads` are the last seals of the journals that were written to, `accounts` the names
    that were met with their handles, `lifted` the steps whose block was lifted. `sent` is true
    once a write was sent, `open_ends` once a journal was left without an end.
    """

    outcomes: dict[str, dict[str, Outcome]] = {}
    diagnostics: list[Diagnostic] = []
    lifted: dict[str, frozenset[str]] = {}
    heads: dict[str, str] = {}
    accounts: dict[str, dict[str, str | None]] = {}
    sent: bool = False
    interrupted: bool = False
    open_ends: bool = False

    def add(self, instance: str, diagnostic: Diagnostic) -> None:
        """Add a diagnostic about an instance."""
        self.diagnostics.append(replace(diagnostic, instance=instance))

    def take_over(self, part: RunState) -> None:
        """Take over the progress on an instance, which was worked on beside the others."""
        self.diagnostics.extend(part.diagnostics)
        self.outcomes.update(part.outcomes)
        self.lifted.update(part.lifted)
        self.heads.update(part.heads)
        for name, met in part.accounts.items():
            self.accounts.setdefault(name, {}).update(met)
        self.sent = self.sent or part.sent
        self.open_ends = self.open_ends or part.open_ends

    def meet_accounts(self, instance: str, fresh: Fresh, memory: Memory | None) -> None:
        """Remember the account names of an instance, so that outputs can redact them."""
        self.accounts.setdefault(instance, {}).update(account_names(fresh.live, fresh.desired, memory))

    def record(self, instance: str, revalidated: Revalidated) -> None:
        """Take over the outcomes and lifted steps of a revalidated instance."""
        self.outcomes[instance] = dict(revalidated.outcomes)
        self.lifted[instance] = revalidated.lifted


def revalidate_instance(
    reviewed: InstancePlan,
    fresh: Fresh,
    allowance: Allowance,
    history: History,
    chosen: tuple[str, ...] | None,
) -> Revalidated:
    """Revalidate a reviewed plan against a fresh one; looks at the disk for whether new passwords can be delivered."""
    obstacles = obstacles_to_delivery(reviewed, fresh, allowance.passwords)
    return revalidate(reviewed, fresh, allowance, history, obstacles, chosen=chosen)


def without_judge(fresh: Fresh, go: Iterable[Step]) -> Fresh:
    """Return a reading by which all steps are judged, without what judging took, which is most of its memory.

    A step that may `go`, for it makes the same change, stands for the one of this plan where nothing is said of either.
    """
    known = {step.change.key: step for step in go if not step.diagnostics}
    steps = [step if step.diagnostics else known.get(step.change.key, step) for step in fresh.plan.steps]
    plan = replace(fresh.plan, steps=tuple(steps))
    return replace(fresh, plan=plan, judge=_refuse_to_judge)


def _refuse_to_judge(_keys: Collection[Key], **_consents: Unpack[Consents]) -> tuple[Diagnostic, ...]:
    raise RuntimeError("the steps were judged before, and what judging takes is gone")


def describe_begin(run: Run) -> Begun:
    """Return what was there when an unfinished run began, for the budgets of its rest."""
    return Begun(grants=run.began.grants, taken=_find_taken(intent.change for intent in run.intents.values()))


def describe_progress(instance: Prepared, outcomes: Iterable[Outcome]) -> Begun:
    """Return what was there when the run began that is going on, with what its steps have taken by their `outcomes`."""
    before = instance.history.begun or Begun(grants=instance.fresh.live.grants_of_others)
    done = [outcome.step.change for outcome in outcomes if outcome.status == "done"]
    return replace(before, taken=before.taken | _find_taken(done))


def _find_taken(changes: Iterable[Change]) -> frozenset[str]:
    return frozenset(name for change in changes if change.after is None and (name := account_of(change.key)))


def read_again(given: ApplyInput, instance: Prepared, outcomes: Iterable[Outcome] = ()) -> Fresh:
    """Read and plan an instance once more, with the memory from when its journal was opened; raises `PlatformError`.

    What this run has taken already, by its `outcomes`, is not missed.
    """
    memory = instance.journal.memory
    done = [outcome.step.change for outcome in outcomes if outcome.status == "done"]
    taken = sum(isinstance(change.before, Grant) and change.after is None for change in done)
    if memory is not None and taken:
        memory = replace(memory, grants=max(0, memory.grants - taken))
    return plan_again(given, instance.target, instance.doors.reader, memory)


def plan_again(given: ApplyInput, target: Target, reader: Reader, memory: Memory | None) -> Fresh:
    """Read and plan an instance for the moment of the run, which gives nothing where the journal has a later one."""
    fresh = target.plan(reader, as_of=given.moment, memory=memory)
    newest = newer_moment(given.options.as_of, memory)
    return fresh if newest is None else refuse_gains(fresh, given.moment, newest)


def describe_trouble(
    instance: str, problem: PlatformError | JournalBrokenError | JournalBusyError | UnsafeFileError | OSError
) -> Diagnostic:
    """Return the diagnostic for an error that ended the work on an instance."""
    if isinstance(problem, PlatformError | JournalBrokenError | JournalBusyError):
        return replace(error(problem.code, str(problem), hint=problem.hint), instance=instance)
    return replace(error("journal-not-written", f"the journal cannot be written: {problem}"), instance=instance)
