"""What apply and drift tell of one step: the way on where nothing is certain, and the instance it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconcile.small_world import EDIT, NOW, ROBOT, VIEW, Ask, File, Instance, Server, one_instance, statuses, world
from siteward.access.model import Account
from siteward.access.state import Memory
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.drift import drift

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_unknown_says_how_to_go_on(tmp_path: Path) -> None:
    """Where neither the answer nor reading can tell, the next step is to resume."""
    rig, server, _ = one_instance(tmp_path, [VIEW], [EDIT])
    server.unlooking = True
    report = rig.apply()
    assert statuses(report) == ["unknown"]
    assert report.outcomes[0].hint == RESUME


def test_drift_that_no_step_would_change_back_names_its_instance() -> None:
    """The file has come to want what somebody did: it is told of the instance where it is."""
    server = Server()
    server.hold(world(ROBOT, EDIT))
    fresh = Instance(server, File(world(ROBOT, EDIT)), name="shop").plan(Ask(server), as_of=NOW, memory=None)
    (item,) = drift(fresh.plan, fresh.live, fresh.desired, Memory(last=world(ROBOT, VIEW)))
    assert (item.instance, item.kind, item.live, item.journalled) == ("shop", "changed-since", EDIT, VIEW)


def test_an_account_that_somebody_made_is_shown_as_it_is(tmp_path: Path) -> None:
    """The refusal has what is there now beside what was wanted."""
    wanted, there = Account("ann"), Account("ann", "eve@a.test")
    rig, server, _ = one_instance(tmp_path, [], [wanted])
    plan = rig.plan()
    server.set(there)
    (outcome,) = rig.apply(plan).outcomes
    assert (outcome.status, outcome.reviewed, outcome.now, outcome.wanted) == ("refused", None, there, wanted)


def test_a_plan_for_another_time_says_which(tmp_path: Path) -> None:
    """Whoever applies can repeat it; a plan for its own time asks for nothing to be repeated."""
    rig, _, _ = one_instance(tmp_path, [VIEW], [EDIT])
    when = NOW + timedelta(days=90)
    (told,) = rig.apply(rig.plan(as_of=when, as_of_given=True)).diagnostics
    assert when.isoformat() in told.message
    assert "repeat --as-of" in told.message
    (told,) = rig.apply(rig.plan(), as_of=when).diagnostics
    assert "repeat --as-of" not in told.message
