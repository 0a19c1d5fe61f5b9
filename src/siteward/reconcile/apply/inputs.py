"""The data of a run of apply: its frozen input, an instance that is ready to be written to, and how far the run is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error
from siteward.access.state import account_names
from siteward.reconcile.apply.passwords import obstacles_to_delivery
from siteward.reconcile.apply.revalidate import Allowance, History, Revalidated, revalidate
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.files import UnsafeFileError
from siteward.reconcile.journal.journal import Journal, JournalBusyError, Run
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from siteward.access.plan import InstancePlan, Plan
    from siteward.access.report import Outcome
    from siteward.access.state import Memory, Unsettled
    from siteward.reconcile.apply.target import Book, Clock, Fresh, Listener, Options, Target
    from siteward.transport.http import Doors

TROUBLE = (PlatformError, JournalBrokenError, JournalBusyError, UnsafeFileError, OSError)
"""The errors that stay with one instance while the others go on."""


class ApplyInput(Struct, frozen=True, kw_only=True):
    """Everything that a run is given; nothing of it changes while it runs.

    `moment` is the instant at which dates are judged; `resuming` is true where an unfinished run goes on.
    """

    plan: Plan
    targets: Mapping[str, Target]
    book: Book
    options: Options
    clock: Clock
    tell: Listener
    moment: datetime
    resuming: bool = False


class Prepared(Struct, frozen=True, kw_only=True):
    """One instance that is open, read and revalidated; `run` is its unfinished run that goes on, if there is one.

    `unended` are writes of earlier runs that came late and whose calls could not be finished.
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
    unended: tuple[Unsettled, ...] = ()

    @property
    def name(self) -> str:
        """The instance's name in the file."""
        return self.reviewed.instance


class RunState(Struct, kw_only=True):
    """How far a run is, by instance where it says so: all that its report is made of, and all of it that changes.

    `heads` are the last seals of the journals that were written to, `accounts` the names that were met. `sent` is true
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

    def meet_accounts(self, instance: str, fresh: Fresh, memory: Memory | None) -> None:
        """Remember which accounts were met, so that no output names them that may not."""
        self.accounts.setdefault(instance, {}).update(account_names(fresh.live, fresh.desired, memory))

    def record(self, instance: str, revalidated: Revalidated) -> None:
        """Take over what the second look has settled of an instance."""
        self.outcomes[instance] = dict(revalidated.outcomes)
        self.lifted[instance] = revalidated.lifted


def judge_again(
    reviewed: InstancePlan,
    fresh: Fresh,
    allowance: Allowance,
    history: History,
    chosen: tuple[str, ...] | None,
) -> Revalidated:
    """Revalidate a reviewed plan against a fresh one, with what keeps new passwords from their owners today."""
    obstacles = obstacles_to_delivery(reviewed, fresh, allowance.passwords)
    return revalidate(reviewed, fresh, allowance, history, obstacles, chosen=chosen)


def read_again(given: ApplyInput, instance: Prepared) -> Fresh:
    """Read and plan an instance once more, with the memory its journal had when it was opened; raises `PlatformError`."""
    return instance.target.plan(instance.doors.reader, as_of=given.moment, memory=instance.journal.memory)


def trouble(
    instance: str, problem: PlatformError | JournalBrokenError | JournalBusyError | UnsafeFileError | OSError
) -> Diagnostic:
    """Return what went wrong with an instance as a diagnostic."""
    if isinstance(problem, PlatformError | JournalBrokenError | JournalBusyError):
        return replace(error(problem.code, str(problem), hint=problem.hint), instance=instance)
    return replace(error("journal-not-written", f"the journal cannot be written: {problem}"), instance=instance)
