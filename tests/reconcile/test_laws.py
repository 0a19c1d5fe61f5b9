"""The laws of the spine, on random worlds, with whatever can go wrong at a write going wrong."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.small_world import (
    NOW,
    Ask,
    Crash,
    FaultKind,
    File,
    Instance,
    Server,
    SmallRig,
    admin,
    by_key,
    delete_only_if_allowed,
    few_removals,
    grant,
    keep_an_admin,
    statuses,
    world,
)
from reconcile.worlds import worlds
from siteward.access.model import Access, account_of
from siteward.access.renames import under
from siteward.reconcile.drift import drift
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.files import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.access.model import Key, Resource

RECOVERABLE: tuple[FaultKind, ...] = (
    "failed", "refused", "unreachable", "lost-done", "lost-not-done", "lies", "silent", "half",
)  # fmt: skip
GUARDS = (keep_an_admin, few_removals, delete_only_if_allowed)


@contextmanager
def rig(live: Access, wanted: Access) -> Iterator[tuple[SmallRig, Server, File]]:
    """Give a rig with one instance that holds `live`, and a file that wants `wanted`."""
    with tempfile.TemporaryDirectory() as folder:
        server, file = Server(), File(wanted)
        server.hold(live)
        yield SmallRig(Path(folder), (Instance(server, file),)), server, file


@given(worlds(), worlds())
def test_after_apply_nothing_is_left_to_plan(live: Access, wanted: Access) -> None:
    """Law: apply, then plan, is empty; and every step of the plan has its outcome."""
    with rig(live, wanted) as (here, server, _):
        plan = here.plan()
        report = here.apply(plan)
        assert statuses(report) == ["done"] * len(plan.instances[0].steps)
        assert server.access == wanted
        assert here.plan().instances[0].steps == ()


@given(worlds())
def test_an_unchanged_world_is_not_written_to(live: Access) -> None:
    """Law: where nothing differs, nothing is sent, and the journal is kept all the same."""
    with rig(live, live) as (here, server, _):
        assert here.apply().outcomes == ()
        assert server.told == []
        memory = reading.recall(here.journal()).memory
        assert memory is not None
        assert memory.last == live


@given(worlds(), worlds(), st.lists(st.tuples(st.integers(0, 6), st.sampled_from(RECOVERABLE)), max_size=4))
def test_whatever_fails_the_next_apply_gets_there(
    live: Access, wanted: Access, faults: list[tuple[int, FaultKind]]
) -> None:
    """Law: `done` is said of nothing that is not so, nothing that failed is lost, and a second apply finishes."""
    with rig(live, wanted) as (here, server, _):
        server.faults = dict(faults)
        report = here.apply(failures_in_a_row=100)
        assert len(report.outcomes) == len(report.plan.instances[0].steps if report.plan else ())
        for key, outcome in by_key(report).items():
            if outcome.status == "done":
                assert server.access.get(key) == wanted.get(key)
        server.faults = {}
        here.clock.now += timedelta(minutes=10)  # until then, what got no answer may still take effect
        here.apply()
        assert server.access == wanted
        reading.recall(here.journal())


@given(worlds(), worlds(), worlds())
def test_what_was_not_reviewed_is_never_touched(live: Access, wanted: Access, other: Access) -> None:
    """Law: whatever the file has come to ask for since, only keys of the reviewed plan are written, as reviewed."""
    with rig(live, wanted) as (here, server, file):
        plan = here.plan()
        file.wanted = other
        here.apply(plan)
        reviewed = {step.change for step in plan.instances[0].steps}
        assert {change for told in server.told for change in told} <= reviewed


@given(worlds(), worlds(), worlds())
def test_what_somebody_else_changed_stays_as_they_left_it(live: Access, wanted: Access, moved: Access) -> None:
    """Law: a thing that is neither as reviewed nor as wanted is left as it is."""
    with rig(live, wanted) as (here, server, _):
        plan = here.plan()
        server.hold(moved)
        report = here.apply(plan)
        for key, outcome in by_key(report).items():
            now, change = moved.get(key), outcome.step.change
            if now not in (change.before, change.after):
                assert outcome.status in {"refused", "skipped"}
                assert outcome.now == now or outcome.status == "skipped"
                assert all(change not in told for told in server.told)


@given(worlds(), worlds())
def test_what_is_blocked_is_never_sent(live: Access, wanted: Access) -> None:
    """Law: a step that a guard blocks is not sent, nor is what depends on it; both have an outcome."""
    with rig(live, wanted) as (here, server, file):
        file.guards = GUARDS
        plan = here.plan()
        part = plan.instances[0]
        whole = any(diagnostic.about is None for diagnostic in part.diagnostics)
        report = here.apply(plan)
        sent = {change for told in server.told for change in told}
        assert not sent & {step.change for step in part.steps if whole or step.blocked}
        assert all(outcome.status == "blocked" for outcome in report.outcomes if whole or outcome.step.blocked)
        assert len(report.outcomes) == len(part.steps)


# What others did, while a part of the plan is applied

NOBODY = ("eve", "mallory")


def _told_as_changed(here: SmallRig) -> dict[Key, Resource | None]:
    """Return what drift says that others have changed, and what stands there."""
    (instance,) = here.instances
    memory = reading.recall(here.journal()).memory
    fresh = instance.plan(Ask(instance.server), as_of=NOW, memory=memory)
    items = drift(fresh.plan, fresh.live, fresh.desired, memory)
    sides = ((item, item.live or item.declared or item.journalled) for item in items if item.kind == "changed-since")
    return {side.key: key.live for key, side in sides if side is not None}


def _differing(first: Access, other: Access) -> dict[Key, Resource | None]:
    return {key: other.get(key) for key in first.keys() | other.keys() if first.get(key) != other.get(key)}


@given(worlds(), worlds(), worlds(), st.sets(st.sampled_from(NOBODY)), st.sets(st.integers(1, 12)))
def test_applying_a_part_settles_that_part(
    wanted: Access, moved: Access, next_wish: Access, unmanaged: set[str], chosen: set[int]
) -> None:
    """Law: drift tells exactly what others changed and this run did not write, however much else it wrote."""
    with rig(wanted, wanted) as (here, server, file):
        here.apply()
        foreign = world(*moved.values(), *(admin(login) for login in unmanaged))
        server.hold(foreign)
        assert _told_as_changed(here) == _differing(wanted, foreign)
        file.wanted = next_wish
        ids = {f"s{number}" for number in chosen}
        report = here.apply(only=lambda _, step: step.id in ids)
        written = {key for key, outcome in by_key(report).items() if outcome.status == "done"}
        rest = {key: side for key, side in _differing(wanted, server.access).items() if key not in written}
        gone = {key[1] for key in written if key[0] == "account" and key not in server.access}
        assert _told_as_changed(here) == {key: side for key, side in rest.items() if account_of(key) not in gone}
        here.apply()
        assert _told_as_changed(here) == {}


# A renamed account, while its other steps speak of it by its old login

OLD, NEW = "ann", "anna"


def _newly_named(access: Access) -> Access:
    return Access(under(resource, {("account", OLD): NEW}) for resource in access.values())


@given(worlds(), worlds())
def test_renaming_and_all_else_in_one_plan(live: Access, wanted: Access) -> None:
    """Law: a plan that renames and grants reaches its end, claims all of it, and leaves nothing to plan."""
    wanted = _newly_named(wanted)
    with rig(live, wanted) as (here, server, file):
        file.previously = {NEW: OLD}
        report = here.apply()
        assert set(statuses(report)) <= {"done"}
        assert report.diagnostics == ()
        assert server.access == wanted
        assert here.plan().instances[0].steps == ()
        memory = reading.recall(here.journal()).memory
        assert memory is not None
        assert memory.last == wanted


@given(worlds(), worlds(), st.integers(0, 6), st.sampled_from(("crash-before", "crash-after", "half-crash")))
def test_a_crash_around_a_renaming_is_survived(live: Access, wanted: Access, at: int, how: FaultKind) -> None:
    """Law: also where the account has its new login already when the run goes on, and the plan speaks of the old."""
    wanted = _newly_named(wanted)
    with rig(live, wanted) as (here, server, file):
        file.previously = {NEW: OLD}
        server.faults = {at: how}
        try:
            here.apply()
        except Crash:
            server.faults = {}
            remembered = reading.recall(here.journal()).memory
            assert remembered is not None
            assert set(statuses(here.resume())) <= {"done", "already"}
        assert server.access == wanted
        assert here.plan().instances[0].steps == ()


# A crash, at any line of the journal and at any write


def _crashing(at: int, how: str) -> Callable[[int, bytes], None]:
    """Return a way to write to the journal that goes down at line `at`: before it, in the middle of it, or after."""
    count = 0

    def write(handle: int, data: bytes) -> None:
        nonlocal count
        count += 1
        if count - 1 == at and how == "before":
            raise Crash
        write_all(handle, data[: len(data) // 2] if count - 1 == at and how == "torn" else data)
        if count - 1 == at:
            raise Crash

    return write


@given(worlds(), worlds(), st.integers(0, 25), st.sampled_from(("before", "torn", "after")))
def test_a_crash_at_any_line_of_the_journal_is_survived(live: Access, wanted: Access, at: int, how: str) -> None:
    """Law: wherever the journal breaks off, resume reaches the end of an uninterrupted run, and the chain holds."""
    with rig(live, wanted) as (here, server, _):
        plan = here.plan()
        crashed = False
        with mock.patch("siteward.reconcile.journal.journal.write_all", _crashing(at, how)):
            try:
                here.apply(plan)
            except Crash:
                crashed = True
        _come_back(here, server, live, wanted, crashed=crashed)


@given(worlds(), worlds(), st.integers(0, 6), st.sampled_from(("crash-before", "crash-after", "half-crash")))
def test_a_crash_at_any_write_is_survived(live: Access, wanted: Access, at: int, how: FaultKind) -> None:
    """Law: whether the write took place, did not, or did by half, resume settles it and reaches the same end."""
    with rig(live, wanted) as (here, server, _):
        server.faults = {at: how}
        try:
            here.apply()
        except Crash:
            server.faults = {}
            assert set(statuses(here.resume())) <= {"done", "already"}
        assert server.access == wanted
        memory = reading.recall(here.journal()).memory
        assert memory is not None
        assert memory.last == wanted
        reading.recall(here.journal())


@given(
    worlds(),
    worlds(),
    st.lists(st.sampled_from(("crash-before", "crash-after", "half-crash", "failed", "lost-done", "half")), max_size=8),
)
def test_crashes_while_resuming_are_survived(live: Access, wanted: Access, faults: list[FaultKind]) -> None:
    """Law: however often it goes down on the way, and whatever fails in between, resume gets there in the end."""
    with rig(live, wanted) as (here, server, _):
        server.faults = dict(enumerate(faults))
        try:
            here.apply()
        except Crash:
            for _ in faults:
                with suppress(Crash):
                    here.resume()
        server.faults = {}
        here.clock.now += timedelta(minutes=10)  # until then, what got no answer may still take effect
        here.apply()
        assert server.access == wanted
        reading.recall(here.journal())


def _come_back(here: SmallRig, server: Server, live: Access, wanted: Access, *, crashed: bool) -> None:
    if crashed and not reading.recall(here.journal()).standing.entries:
        assert server.access == live
        return
    report = here.resume()
    if crashed and "nothing-to-resume" not in {diagnostic.code for diagnostic in report.diagnostics}:
        assert set(statuses(report)) <= {"done", "already"}
    assert server.access == wanted
    memory = reading.recall(here.journal()).memory
    assert memory is not None
    assert memory.last == wanted


@pytest.mark.parametrize("kind", ["failed", "refused", "unreachable"])
def test_a_write_that_surely_did_not_happen_is_failed(kind: FaultKind) -> None:
    """What reading shows not to have happened is `failed`, in words."""
    with rig(world(admin("robot")), world(admin("robot"), grant("ann", "a.test", "view"))) as (here, server, _):
        server.faults = {0: kind}
        report = here.apply()
        assert statuses(report) == ["failed", "skipped"]
        assert report.outcomes[0].message
