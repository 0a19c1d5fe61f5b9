"""Drift, told apart: declared and not applied, live and not declared, changed by somebody since the last run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconcile.small_world import EDIT, HERE, NOW, ROBOT, SITES, VIEW, Ask, File, Instance, Server, world
from siteward.access.model import Access, Account, Resource, Scope
from siteward.access.plan import InstancePlan, UnmanagedAccount
from siteward.access.state import DeclaredUser, Listing, Memory, Unsettled
from siteward.reconcile.drift import CONTENT, HELD_BACK, INTERRUPTED, UNMANAGED, drift

if TYPE_CHECKING:
    from siteward.access.report import DriftItem
    from siteward.reconcile.apply.target import Fresh

ANN = Account("ann")


def seen(declared: Access, live: Access) -> Fresh:
    """Return an instance, read and planned."""
    server = Server()
    server.hold(live)
    return Instance(server, File(declared)).plan(Ask(server), as_of=NOW, memory=None)


def told(declared: list[Resource], last: list[Resource] | None, live: list[Resource]) -> list[DriftItem]:
    """Return the drift, given what is declared, what the last run left (`None`: no journal) and what is live."""
    fresh = seen(world(ROBOT, ANN, *declared), world(ROBOT, ANN, *live))
    memory = None if last is None else Memory(last=world(ROBOT, ANN, *last))
    return list(drift(fresh.plan, fresh.live, fresh.desired, memory))


@pytest.mark.parametrize(
    ("declared", "last", "live", "kind"),
    [
        pytest.param([EDIT], [VIEW], [VIEW], "unapplied", id="the file has moved on"),
        pytest.param([EDIT], [EDIT], [VIEW], "changed-since", id="somebody took it down"),
        pytest.param([EDIT], [EDIT], [], "changed-since", id="somebody took it away"),
        pytest.param([], [VIEW], [VIEW], "unapplied", id="the file has dropped it"),
        pytest.param([], [], [VIEW], "changed-since", id="somebody gave it"),
        pytest.param([], None, [VIEW], "undeclared", id="no journal knows better"),
        pytest.param([VIEW], None, [], "unapplied", id="never applied"),
        pytest.param([EDIT], None, [VIEW], "unapplied", id="never applied in full"),
    ],
)
def test_each_kind(declared: list[Resource], last: list[Resource] | None, live: list[Resource], kind: str) -> None:
    """The table of the module, line by line, with the three sides and the step that would put it right."""
    (item,) = told(declared, last, live)
    assert item.kind == kind
    assert item.declared == next(iter(declared), None)
    assert item.live == next(iter(live), None)
    assert item.journalled == (next(iter(last), None) if last is not None else None)
    assert item.step is not None


def test_in_sync_is_no_drift() -> None:
    """Nothing differs, nothing is told."""
    assert told([VIEW], [VIEW], [VIEW]) == []
    assert told([VIEW], None, [VIEW]) == []


def test_somebody_did_what_the_file_wants() -> None:
    """A change by hand that the file is content with is told, without a step."""
    fresh = seen(world(ROBOT, EDIT), world(ROBOT, EDIT))
    desired = replace(fresh.desired, declared_users={"ann": DeclaredUser(handle="ann", at=HERE)})
    (item,) = drift(fresh.plan, fresh.live, desired, Memory(last=world(ROBOT, VIEW)))
    assert (item.kind, item.step, item.note) == ("changed-since", None, CONTENT)


def test_an_end_that_the_file_names_is_unapplied() -> None:
    """Where a date has passed, nobody changed anything: it waits for apply."""
    fresh = seen(world(ROBOT, ANN), world(ROBOT, VIEW))
    steps = tuple(replace(step, cause="expired") for step in fresh.plan.steps)
    (item,) = drift(replace(fresh.plan, steps=steps), fresh.live, fresh.desired, None)
    assert item.kind == "unapplied"


def test_what_is_held_back_is_told_without_a_step() -> None:
    """What the mode leaves is live and not declared, and nothing would be done about it."""
    fresh = seen(world(ROBOT, ANN), world(ROBOT, VIEW))
    (item,) = drift(replace(fresh.plan, steps=(), held_back=fresh.plan.steps), fresh.live, fresh.desired, None)
    assert (item.kind, item.step, item.note, item.live) == ("undeclared", None, HELD_BACK, VIEW)


def unmanaged(plan: InstancePlan, *, ignored: bool = False) -> InstancePlan:
    """Return a plan that only reports ann."""
    return replace(plan, steps=(), unmanaged=(UnmanagedAccount(name="ann", ignored=ignored),))


def test_who_is_only_reported_is_no_drift_until_something_changes() -> None:
    """An account that nobody declared stands in the plan; what it gains is told, unless it is ignored."""
    fresh = seen(world(ROBOT), world(ROBOT, VIEW))
    same, less = Memory(last=world(ROBOT, VIEW)), Memory(last=world(ROBOT, ANN))
    assert drift(unmanaged(fresh.plan), fresh.live, fresh.desired, None) == ()
    assert drift(unmanaged(fresh.plan), fresh.live, fresh.desired, same) == ()
    (item,) = drift(unmanaged(fresh.plan), fresh.live, fresh.desired, less)
    assert (item.kind, item.live, item.step, item.note) == ("changed-since", VIEW, None, UNMANAGED)
    assert drift(unmanaged(fresh.plan, ignored=True), fresh.live, fresh.desired, less) == ()


def test_sites_that_are_not_managed_are_not_looked_at() -> None:
    """Who changes what on a site outside `manages` is none of our business."""
    fresh = seen(world(ROBOT, ANN), world(ROBOT, ANN))
    live = replace(fresh.live, access=world(ROBOT, VIEW))
    managed = replace(fresh.desired, managed=frozenset(Scope("site", name) for name in SITES[1:]))
    assert drift(fresh.plan, live, managed, Memory(last=world(ROBOT, ANN))) == ()
    assert drift(fresh.plan, live, fresh.desired, Memory(last=world(ROBOT, ANN))) != ()


def test_what_was_not_read_is_not_gone() -> None:
    """Where a listing did not prove its end, nothing is told as taken away."""
    fresh = seen(world(ROBOT, ANN), world(ROBOT, ANN))
    half = replace(fresh.live, listings=(Listing(name="grants", rows=1, complete=False, proof=""),))
    assert drift(fresh.plan, half, fresh.desired, Memory(last=world(ROBOT, VIEW))) == ()
    assert drift(fresh.plan, fresh.live, fresh.desired, Memory(last=world(ROBOT, VIEW))) != ()


def cut_off(declared: Resource, last: list[Resource], live: list[Resource], before: Resource | None) -> list[DriftItem]:
    """Return the drift after an apply that was interrupted while it made `declared` of `before`."""
    fresh = seen(world(ROBOT, ANN, declared), world(ROBOT, ANN, *live))
    cut = Unsettled(before=before, after=declared, sent=NOW, lost=False)
    memory = Memory(last=world(ROBOT, ANN, *last), unsettled=(cut,))
    return list(drift(fresh.plan, fresh.live, fresh.desired, memory))


@pytest.mark.parametrize("live", [[EDIT], []], ids=["done", "halfway"])
def test_what_an_interrupted_apply_did_is_nobody_elses(live: list[Resource]) -> None:
    """A write whose answer was never read has taken place, or by half; nobody else is blamed for it."""
    (item,) = cut_off(EDIT, [VIEW], live, VIEW)
    assert (item.kind, item.note) == ("unapplied", INTERRUPTED)


def test_what_others_did_before_an_interrupted_apply_stays_theirs() -> None:
    """Where the write that would put it right was cut off before it was sent, it is as others left it."""
    (item,) = cut_off(VIEW, [VIEW], [EDIT], EDIT)
    assert (item.kind, item.live, item.note) == ("changed-since", EDIT, None)
