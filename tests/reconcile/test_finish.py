"""Finishing: what belongs to a write whose answer was lost, or that was cut off, is done once reading shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconcile.small_world import (
    BOB_EDIT,
    BOB_VIEW,
    EDIT,
    ROBOT,
    SMALL,
    VIEW,
    Crash,
    FaultKind,
    File,
    Instance,
    Server,
    SmallRig,
    codes,
    statuses,
    world,
)
from siteward.access.change import Change
from siteward.platforms.interface import Receipt
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal import reading
from siteward.transport.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from siteward.access.model import Key, Resource
    from siteward.access.state import Live, Memory
    from siteward.platforms.interface import Bundle
    from siteward.reconcile.apply.target import Fresh
    from siteward.transport.http import Reader, Writer


@dataclass
class Finisher:
    """A platform's `finish`: what it was told, and what it answers (`None`: nobody is there)."""

    answer: Receipt | None
    told: list[tuple[Change, ...]] = field(default_factory=list)
    unwanted: frozenset[Key] = frozenset()

    def __call__(self, _writer: Writer, bundle: Bundle, _live: Live) -> Receipt:
        self.told.append(bundle.changes)
        self.unwanted = bundle.unwanted([VIEW, ROBOT])
        if self.answer is None:
            raise UnreachableError("nobody answers")
        return self.answer


class Picky(Instance):
    """An instance whose file wants nothing of the robot."""

    def plan(self, reader: Reader, *, as_of: datetime, memory: Memory | None) -> Fresh:
        def unwanted(resources: Collection[Resource]) -> frozenset[Key]:
            return frozenset(resource.key for resource in resources if resource == ROBOT)

        return replace(super().plan(reader, as_of=as_of, memory=memory), unwanted=unwanted)


SENT = Receipt(key=VIEW.key, status="sent")
BAD = [
    (None, "nobody answers"),
    (Receipt(key=VIEW.key, status="failed", message="it is still there"), "it is still there"),
    (Receipt(key=VIEW.key, status="unknown", message="no answer"), "no answer"),
]


def changing(folder: Path, finish: Finisher, fault: FaultKind | None) -> tuple[SmallRig, Server]:
    """Return a rig where two roles are to change, and the first write meets a fault."""
    server = Server(faults={} if fault is None else {0: fault})
    server.hold(world(ROBOT, VIEW, BOB_VIEW))
    file = File(world(ROBOT, EDIT, BOB_EDIT))
    return SmallRig(folder, (Picky(server, file, platform=replace(SMALL, finish=finish)),)), server


def test_a_change_whose_answer_was_lost_is_finished(tmp_path: Path) -> None:
    """What reading shows to stand is finished, and nothing else: the other write had its answer."""
    finish = Finisher(SENT)
    rig, _ = changing(tmp_path, finish, "lost-done")
    report = rig.apply()
    assert statuses(report) == ["done", "done"]
    assert finish.told == [(report.outcomes[0].step.change,)]


def test_finishing_can_ask_what_the_file_does_not_want(tmp_path: Path) -> None:
    """What a write brought along is taken back only where the file does not want it."""
    finish = Finisher(SENT)
    rig, _ = changing(tmp_path, finish, "lost-done")
    rig.apply()
    assert finish.unwanted == {ROBOT.key}


@pytest.mark.parametrize("fault", [None, "lost-not-done"])
def test_what_was_answered_or_did_not_take_place_is_not_finished(tmp_path: Path, fault: FaultKind | None) -> None:
    """Where the answer came, `write` did all; where nothing stands, there is nothing to finish."""
    finish = Finisher(SENT)
    rig, _ = changing(tmp_path, finish, fault)
    rig.apply()
    assert finish.told == []


@pytest.mark.parametrize(("answer", "message"), BAD)
def test_what_cannot_be_finished_stays_open(tmp_path: Path, answer: Receipt | None, message: str) -> None:
    """The step is unknown, says why and what to do, and the run has no end; a resume that can finish it ends it."""
    finish = Finisher(answer)
    rig, server = changing(tmp_path, finish, "lost-done")
    report = rig.apply()
    assert statuses(report) == ["unknown", "done"]
    assert report.outcomes[0].message == message
    assert report.outcomes[0].hint == report.next == RESUME
    assert reading.recall(rig.journal()).unfinished is not None
    finish.answer = SENT
    assert statuses(rig.resume()) == ["done", "done"]
    assert finish.told == [(report.outcomes[0].step.change,)] * 2
    assert reading.recall(rig.journal()).unfinished is None
    assert len(server.told) == 2


def test_resume_finishes_what_was_cut_off_and_only_that(tmp_path: Path) -> None:
    """The write that took place before the process died is finished, and the world is read again after that."""
    finish = Finisher(SENT)
    rig, server = changing(tmp_path, finish, "crash-after")
    with pytest.raises(Crash):
        rig.apply()
    report = rig.resume()
    assert statuses(report) == ["done", "done"]
    assert finish.told == [(report.outcomes[0].step.change,)]
    assert [len(told) for told in server.told] == [1, 1]


@pytest.mark.parametrize(("answer", "message"), BAD)
def test_a_resume_that_cannot_finish_stays_open(tmp_path: Path, answer: Receipt | None, message: str) -> None:
    """Also the second time nothing is called done that is half done."""
    finish = Finisher(answer)
    rig, _ = changing(tmp_path, finish, "crash-after")
    with pytest.raises(Crash):
        rig.apply()
    report = rig.resume()
    assert (report.outcomes[0].status, report.outcomes[0].message) == ("unknown", message)
    assert report.next == RESUME
    assert reading.recall(rig.journal()).unfinished is not None


@pytest.mark.parametrize("answer", [SENT, Receipt(key=VIEW.key, status="failed", message="not now")], ids=["yes", "no"])
def test_what_came_late_is_finished_by_a_new_plan_too(tmp_path: Path, answer: Receipt) -> None:
    """Nobody has resumed: what the late call brings along is taken back before anything else, or stays remembered."""
    finish = Finisher(answer)
    rig, server = changing(tmp_path, finish, "lost-not-done")
    assert statuses(rig.apply()) == ["unknown", "done"]
    assert finish.told == []
    server.set(EDIT)
    rig.instances[0].file.wanted = world(ROBOT, EDIT, BOB_VIEW)
    report = rig.apply()
    assert finish.told == [(Change(VIEW, EDIT),)]
    assert ("late-not-finished" in codes(report)) is (answer is not SENT)
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert bool(memory.unsettled) is (answer is not SENT)
