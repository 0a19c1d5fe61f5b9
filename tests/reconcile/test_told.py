"""What apply and drift tell of one step: the way on where nothing is certain, and the instance it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconcile.small_world import NOW, Ask, File, Instance, InstanceRun, Server, admin, grant, statuses, world
from siteward.access.state import Memory
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.drift import drift

if TYPE_CHECKING:
    from pathlib import Path

ROBOT = admin("robot")
VIEW, EDIT = grant("ann", "a.test", "view"), grant("ann", "a.test", "edit")


def test_what_is_unknown_says_how_to_go_on(tmp_path: Path) -> None:
    """Where neither the answer nor reading can tell, the next step is to resume."""
    server = Server(unlooking=True)
    server.hold(world(ROBOT, VIEW))
    report = InstanceRun(tmp_path, (Instance(server, File(world(ROBOT, EDIT))),)).apply()
    assert statuses(report) == ["unknown"]
    assert report.outcomes[0].hint == RESUME


def test_drift_that_no_step_would_change_back_names_its_instance() -> None:
    """The file has come to want what somebody did: it is told of the instance where it is."""
    server = Server()
    server.hold(world(ROBOT, EDIT))
    fresh = Instance(server, File(world(ROBOT, EDIT)), name="shop").plan(Ask(server), as_of=NOW, memory=None)
    (item,) = drift(fresh.plan, fresh.live, fresh.desired, Memory(last=world(ROBOT, VIEW)))
    assert (item.instance, item.kind, item.live, item.journalled) == ("shop", "changed-since", EDIT, VIEW)
