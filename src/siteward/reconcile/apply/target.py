"""The parameters of apply: the instances of a checkout, the options of a run, and the listener to its progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, NotRequired, Protocol, TypeAlias, TypedDict, Unpack

from msgspec import Struct

from siteward.platforms.interface import nothing_unwanted

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.limits import Begun
    from siteward.access.model import Key, Resource
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.report import Outcome
    from siteward.access.state import Desired, Live, Memory
    from siteward.access.traits import Traits
    from siteward.platforms.interface import Platform
    from siteward.reconcile.apply.passwords import Passwords
    from siteward.reconcile.journal.entries import Actor
    from siteward.reconcile.selection import Selection
    from siteward.transport.http import Doors, Reader
    from siteward.transport.secrets import Secret

Clock: TypeAlias = Callable[[], datetime]
RESUME = "siteward apply --resume"
"""The command that finishes a run that was cut off."""


class Consents(TypedDict):
    """What a run consents to: `accept` maps a block's name to the reason.

    `approved` are the users whose approval counts; `begun` is what was there when a run that goes on began.
    """

    accept: Mapping[str, str]
    allow_delete: bool
    approved: NotRequired[frozenset[str]]
    begun: NotRequired[Begun | None]


class Judge(Protocol):
    """The check of a part of a proposal by guards, rules and platform, as if nothing else were done."""

    def __call__(self, keys: Collection[Key], **consents: Unpack[Consents]) -> tuple[Diagnostic, ...]:
        """Return the diagnostics on the proposed changes of these keys, by what the run consents to."""


class Fresh(Struct, frozen=True, kw_only=True):
    """One instance, read and planned again: its live state, and the plan that the checkout makes of it now.

    `plan` is made as by `siteward plan`, without any acceptance; apply takes its order and its wished changes only.
    `confirmed` is true where more than the file names the account of the credentials. `unwanted` returns, of given
    resources, the keys of those that the file would have changed or removed.
    """

    traits: Traits
    live: Live
    desired: Desired
    plan: InstancePlan
    judge: Judge
    confirmed: bool = True
    unwanted: Callable[[Collection[Resource]], frozenset[Key]] = nothing_unwanted


class Target(Protocol):
    """One instance of the checkout, as apply needs it."""

    @property
    def name(self) -> str:
        """The instance's name in the file."""

    @property
    def origin(self) -> str:
        """Scheme, host, port and base path."""

    @property
    def platform(self) -> Platform:
        """The adapter of its platform."""

    @property
    def declared(self) -> Collection[str]:
        """The names of all instances in the file, chosen for this run or not."""

    def open(self) -> Doors:
        """Return its reader and writer; closed when left."""

    def plan(self, reader: Reader, *, as_of: datetime, memory: Memory | None) -> Fresh:
        """Read and plan it again, by reading alone; raises `PlatformError`."""


class Acceptance(Struct, frozen=True, kw_only=True):
    """A block that whoever applies lifts: for the plan of that digest alone, and for a reason."""

    digest: str
    reason: str


class Options(Struct, frozen=True, kw_only=True):
    """The options of one run of apply.

    `expect` is the reviewed plan's digest, or at least its first 16 hex digits. `as_of` repeats the one that the
    plan was made with, if any. `only` returns, for an instance's name and a step, whether this run may do it; steps
    left out get no outcome. `words` are the words of `only`, for the journal. `approved` are the users, by handle, whose approval of the change counts.
    `document` is the file that the plan was read from, if it was. After `failures_in_a_row` writes that failed, an instance is left alone.
    """

    passwords: Passwords
    accept: Mapping[str, Acceptance] = MappingProxyType({})
    allow_delete: bool = False
    expect: str | None = None
    max_age: timedelta = timedelta(hours=24)
    as_of: datetime | None = None
    only: Selection | None = None
    words: tuple[str, ...] = ()
    approved: frozenset[str] = frozenset()
    document: Path | None = None
    failures_in_a_row: int = 5


class Journals(Struct, frozen=True, kw_only=True):
    """The folder of the journals, the key they are sealed with, if there is one, and who runs this."""

    folder: Path
    key: Secret | None = None
    actor: Actor | None = None


class Progress(Struct, frozen=True, kw_only=True):
    """One event of progress: a step has its outcome, or some are about to be sent, this one first (`outcome` is `None`).

    `at` of `of` steps have their outcomes. `left` are the seconds that the rest of the instance is expected to take, by what its bundles have taken so far.
    """

    instance: str
    step: Step
    outcome: Outcome | None
    at: int
    of: int
    left: float = 0.0


Listener: TypeAlias = Callable[[Progress], None]


def one_at_a_time(tell: Listener) -> Listener:
    """Return a listener that several threads may call, and that calls `tell` for one of them after the other."""
    turn = Lock()

    def take_turns(progress: Progress) -> None:
        with turn:
            tell(progress)

    return take_turns


def quiet(_progress: Progress) -> None:
    """Ignore the progress."""
