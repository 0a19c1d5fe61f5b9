"""Instances are written side by side: each at the pace of its server, told in the order of the plan, ended by one signal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Barrier, Event
from typing import TYPE_CHECKING

from reconcile.small_world import BOB_EDIT, EDIT, ROBOT, File, Instance, Server, SmallRig, statuses, world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siteward.platforms.interface import Bundle
    from siteward.reconcile.apply.target import Progress
    from siteward.transport.http import Doors

NAMES = ("mat", "stats")
LONG = 20.0
"""Seconds after which something that is waited for does not come any more."""


@dataclass
class Opened(Instance):
    """A target whose doors can be looked at."""

    doors: list[Doors] = field(default_factory=list)

    def open(self) -> Doors:
        self.doors.append(super().open())
        return self.doors[-1]

    def wait_until_cancelled(self) -> None:
        """Wait, within a write, until the run was asked to end."""
        until = time.monotonic() + LONG
        while not self.doors[-1].writer.patience.is_cancelled():
            assert time.monotonic() < until
            time.sleep(0.001)


def rig_of(folder: Path) -> tuple[SmallRig, tuple[Opened, ...]]:
    """Return a rig with two instances, on each of which two steps are to be done, one after the other."""
    targets = tuple(
        Opened(Server(), File(world(ROBOT, EDIT, BOB_EDIT)), name=name, declared=NAMES, origin=f"https://{name}.test")
        for name in NAMES
    )
    for target in targets:
        target.server.hold(world(ROBOT, *(resource for resource in target.file.wanted.accounts())))
    return SmallRig(folder, targets), targets


def test_each_is_written_while_the_other_is(tmp_path: Path) -> None:
    """No write is answered before the other instance has one in flight too."""
    rig, targets = rig_of(tmp_path)
    both = Barrier(len(targets), timeout=LONG)

    def meet(_bundle: Bundle) -> None:
        both.wait()

    for target in targets:
        target.server.when_told = meet
    report = rig.apply()
    assert statuses(report) == ["done"] * 4
    assert [outcome.instance for outcome in report.outcomes] == ["mat", "mat", "stats", "stats"]


def test_what_is_told_is_in_the_order_of_the_plan_whoever_is_first(tmp_path: Path) -> None:
    """The first instance is begun to be written when the other is done; its progress comes one event at a time."""
    rig, (slow, fast) = rig_of(tmp_path)
    over = Event()
    events: list[str] = []

    def wait(_bundle: Bundle) -> None:
        slow.server.unreadable = 1
        assert over.wait(LONG)

    def fail(_bundle: Bundle) -> None:
        fast.server.unreadable = 1

    def tell(progress: Progress) -> None:
        events.append(progress.instance)
        if progress.instance == "stats" and progress.outcome is not None and progress.at == progress.of:
            over.set()

    slow.server.when_told, fast.server.when_told = wait, fail
    report = rig.apply(tell=tell)
    assert statuses(report) == ["done"] * 4
    assert [(found.code, found.instance) for found in report.diagnostics] == [
        ("end-not-read", "mat"),
        ("end-not-read", "stats"),
    ]
    assert sorted(events) == ["mat"] * 4 + ["stats"] * 4


def test_one_signal_ends_all_and_each_is_finished_later(tmp_path: Path) -> None:
    """What is in flight is answered, nothing more is begun, and both journals are left without an end."""
    rig, (first, second) = rig_of(tmp_path)
    both = Barrier(2, timeout=LONG)

    def in_flight(target: Opened) -> Callable[[Bundle], None]:
        def write(_bundle: Bundle) -> None:
            if not target.server.told:
                both.wait()
            if target is second:
                second.wait_until_cancelled()

        return write

    first.server.faults[0] = "interrupt"
    for target in (first, second):
        target.server.when_told = in_flight(target)
    report = rig.apply()
    assert report.interrupted
    assert len(second.server.told) == 1
    assert set(statuses(report)) == {"done", "skipped"}
    for target in (first, second):
        target.server.when_told = lambda _bundle: None
    resumed = rig.resume()
    assert set(statuses(resumed)) == {"done"}
    assert all(target.server.access == target.file.wanted for target in (first, second))
