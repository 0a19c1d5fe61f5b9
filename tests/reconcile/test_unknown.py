"""What becomes of a write whose answer was lost: in this run, in the next one, and in what drift says of it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconcile.small_world import (
    BOB_EDIT,
    BOB_VIEW,
    EDIT,
    ROBOT,
    TRAITS,
    VIEW,
    Crash,
    FaultKind,
    Server,
    SmallRig,
    by_key,
    codes,
    grant,
    one_instance,
    statuses,
    world,
)
from siteward.access.identity import follow
from siteward.access.model import Account
from siteward.access.state import Live, Memory, Unsettled
from siteward.reconcile.apply.target import RESUME
from siteward.reconcile.journal import reading
from siteward.reconcile.unsettled import settled
from siteward.transport.patience import LONGEST, SHORTEST

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.model import Resource

LOST: tuple[FaultKind, ...] = ("lost-repeatable",)


def setting(
    folder: Path, *faults: FaultKind, late: dict[int, tuple[Resource, ...]] | None = None
) -> tuple[SmallRig, Server]:
    """Return a rig where two roles are to change, and the first writes meet these faults."""
    rig, server, _ = one_instance(folder, [VIEW, BOB_VIEW], [EDIT, BOB_EDIT])
    server.faults, server.appears = dict(enumerate(faults)), dict(late or {})
    return rig, server


# In this run


def test_a_lost_answer_that_reading_does_not_show_is_unknown_and_never_failed(tmp_path: Path) -> None:
    """The server may still be at it; the rest goes on, the run stays open, and a person is told what stands there."""
    rig, server = setting(tmp_path, "lost-not-done")
    report = rig.apply()
    assert statuses(report) == ["unknown", "done"]
    outcome = by_key(report)[VIEW.key]
    assert outcome.message == "no answer; so far reading shows role view on a.test, and it may still take place"
    assert (outcome.hint, outcome.now) == (RESUME, VIEW)
    assert SHORTEST <= sum(server.waits) <= SHORTEST + 15
    assert [len(changes) for changes in server.told] == [1, 1]


def test_a_late_effect_is_waited_for_and_its_dependants_go_on(tmp_path: Path) -> None:
    """An account that shows at the fifth look: its grant is not skipped."""
    rig, server, _ = one_instance(tmp_path, [], [VIEW])
    server.faults, server.appears = {0: "lost-not-done"}, {5: world(VIEW).accounts()}
    assert statuses(rig.apply()) == ["done", "done"]
    assert len(server.told) == 2


def test_a_slow_server_is_given_more_time(tmp_path: Path) -> None:
    rig, server = setting(tmp_path, "lost-not-done")
    server.slowest = 100.0
    rig.apply()
    assert 300 <= sum(server.waits) <= 315
    assert sum(server.waits) <= LONGEST


@pytest.mark.parametrize("times", [1, 3])
def test_what_sets_a_state_is_written_again_after_two_equal_readings(tmp_path: Path, times: int) -> None:
    """And each time it is journalled before."""
    rig, server = setting(tmp_path, *(LOST * times))
    assert statuses(rig.apply()) == ["done", "done"]
    assert [changes[0].key for changes in server.told] == [VIEW.key] * (times + 1) + [BOB_VIEW.key]
    text = rig.journal().read_text()
    assert text.count('"kind":"intent"') == times + 2


def test_what_shows_is_not_written_again(tmp_path: Path) -> None:
    rig, server = setting(tmp_path, "lost-repeatable", late={2: (EDIT,)})
    assert statuses(rig.apply()) == ["done", "done"]
    assert len(server.told) == 2


def test_only_what_does_not_show_is_written_again(tmp_path: Path) -> None:
    """Two changes share a call; one of them had its effect."""
    cleo = grant("cleo", "a.test", "edit")
    rig, server, _ = one_instance(tmp_path, [VIEW, grant("cleo", "a.test", "view")], [EDIT, cleo])
    server.faults, server.appears = {0: "lost-repeatable"}, {1: (EDIT,)}
    assert statuses(rig.apply()) == ["done", "done"]
    assert [[change.key for change in changes] for changes in server.told] == [[VIEW.key, cleo.key], [cleo.key]]


def test_a_no_is_read_back(tmp_path: Path) -> None:
    """Failed is said only where reading shows it undone: a server may say no after it has written."""
    rig, _ = setting(tmp_path, "no-but-done", "no-in-doubt")
    report = rig.apply()
    assert statuses(report) == ["done", "failed"]
    done, failed = report.outcomes
    assert done.message == "no mail could be sent; but reading shows that it took place"
    assert failed.message == "not possible; it did not take place, role view on b.test stands"


def test_a_no_that_cannot_be_read_back_is_unknown(tmp_path: Path) -> None:
    rig, server = setting(tmp_path, "no-in-doubt")
    server.unlooking = True
    assert statuses(rig.apply()) == ["unknown", "unknown"]


def test_what_the_platform_says_beside_a_yes_is_told(tmp_path: Path) -> None:
    rig, _ = setting(tmp_path, "beside")
    outcome = by_key(rig.apply())[VIEW.key]
    assert (outcome.status, outcome.message) == ("done", "it took place, but nobody was told")


def test_what_shows_by_the_end_of_the_run_is_done(tmp_path: Path) -> None:
    """While the rest went on, it took place."""
    rig, server = setting(tmp_path, "lost-not-done")
    server.when_told = lambda _bundle: server.set(EDIT) if len(server.told) == 1 else None
    assert statuses(rig.apply()) == ["done", "done"]
    assert reading.recall(rig.journal()).unfinished is None


def test_a_signal_ends_the_waiting_and_leaves_it_unknown(tmp_path: Path) -> None:
    rig, server = setting(tmp_path, "lost-not-done")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if sum(waited) >= 5 and len(waited) == 10:
            signal.raise_signal(signal.SIGINT)

    server.sleep = sleep
    report = rig.apply()
    assert statuses(report) == ["unknown", "skipped"]
    assert report.interrupted
    assert sum(waited) <= 5


# In the next run


def later(rig: SmallRig, minutes: int) -> None:
    rig.clock.now += timedelta(minutes=minutes)


def test_the_next_apply_takes_a_late_write_for_its_own(tmp_path: Path) -> None:
    """It is `already`, the account that it made is nobody else's, and the journal's record moves on."""
    new = Account("cleo")
    rig, server, _ = one_instance(tmp_path, [VIEW], [VIEW, new])
    server.faults = {0: "lost-not-done"}
    assert statuses(rig.apply()) == ["unknown"]
    plan = rig.plan()
    server.set(new)
    assert statuses(rig.apply(plan)) == ["already"]
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert (memory.unsettled, new.key in (memory.last or {}), "cleo" in memory.accounts) == ((), True, True)


def test_only_steps_on_the_same_objects_wait(tmp_path: Path) -> None:
    """A new plan, made by a person who does not resume: its other steps are done."""
    rig, server = setting(tmp_path, "lost-not-done", "failed")
    assert statuses(rig.apply()) == ["unknown", "failed"]
    report = rig.apply()
    assert statuses(report) == ["refused", "done"]
    assert report.outcomes[0].message.startswith("blocked since it was reviewed, write-unsettled: what was sent at ")
    assert "run-given-up" not in codes(report)
    assert len(server.told) == 3


def test_what_may_still_come_is_remembered_across_runs_that_end(tmp_path: Path) -> None:
    rig, _ = setting(tmp_path, "lost-not-done")
    rig.apply()
    rig.apply()
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert [earlier.change.key for earlier in memory.unsettled] == [VIEW.key]
    assert statuses(rig.apply()) == ["refused"]


def test_after_ten_minutes_it_did_not_take_place_and_is_done_anew(tmp_path: Path) -> None:
    rig, server = setting(tmp_path, "lost-not-done")
    rig.apply()
    later(rig, 10)
    assert statuses(rig.apply()) == ["done"]
    assert server.access == world(ROBOT, EDIT, BOB_EDIT)
    assert reading.recall(rig.journal()).memory.unsettled == ()  # type: ignore[union-attr]


def test_a_resume_waits_as_well_and_does_the_rest(tmp_path: Path) -> None:
    """Before the time is over nothing is sent again, and the run stays open; after it, the run is finished."""
    rig, server = setting(tmp_path, "lost-not-done")
    rig.apply()
    assert statuses(rig.resume()) == ["unknown", "done"]
    assert len(server.told) == 2
    later(rig, 10)
    assert statuses(rig.resume()) == ["done", "done"]
    assert reading.recall(rig.journal()).unfinished is None


def test_a_resume_tells_a_late_write_as_done(tmp_path: Path) -> None:
    rig, server = setting(tmp_path, "lost-not-done")
    rig.apply()
    server.set(EDIT)
    report = rig.resume()
    assert statuses(report) == ["done", "done"]
    assert "its answer was lost" in report.outcomes[0].message
    assert len(server.told) == 2


def test_everything_of_an_account_waits_for_the_account_and_nobody_elses(tmp_path: Path) -> None:
    rig, server, file = one_instance(tmp_path, [BOB_VIEW], [VIEW, BOB_VIEW])
    server.faults = {0: "lost-not-done"}
    assert statuses(rig.apply()) == ["unknown", "skipped"]
    file.wanted = world(ROBOT, VIEW, grant("ann", "c.test", "edit"), BOB_EDIT)
    outcomes = by_key(rig.apply())
    assert outcomes[BOB_VIEW.key].status == "done"
    assert {outcome.status for key, outcome in outcomes.items() if key != BOB_VIEW.key} == {"refused"}


def test_a_write_that_was_cut_off_with_its_run_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Nobody has looked for it: a resume goes on at once, and so does a new plan."""
    rig, server = setting(tmp_path, "crash-before")
    with pytest.raises(Crash):
        rig.apply()
    server.faults = {}
    report = rig.apply()
    assert statuses(report) == ["done", "done"]
    assert "run-given-up" in codes(report)


def test_a_run_in_which_everything_waits_leaves_what_may_still_come(tmp_path: Path) -> None:
    """It changes nothing, so the memory stays, with the write that it waited for."""
    rig, server = setting(tmp_path, "lost-not-done")
    rig.apply()
    assert statuses(rig.apply()) == ["refused"]
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert [write.change.key for write in memory.unsettled] == [VIEW.key]
    server.set(EDIT)
    assert statuses(rig.apply()) == []
    memory = reading.recall(rig.journal()).memory
    assert memory is not None
    assert memory.last is not None
    assert (memory.unsettled, memory.last.get(EDIT.key)) == ((), EDIT)


def test_an_account_that_was_made_late_is_not_held_against_its_former_id() -> None:
    """The id that the journal has of the login is that of the account before; reading the new one makes it known."""
    ann, sent = Account("ann", "ann@a.test"), datetime(2026, 1, 1, tzinfo=UTC)
    made = Unsettled(before=None, after=ann, sent=sent, lost=True)
    memory = Memory(identities={"ann": "7", "bob": "8"}, unsettled=(made,))
    shown = settled(memory, Live(access=world(ROBOT, ann), ids={ann.key: "9"}))
    assert shown is not None
    assert dict(shown.identities) == {"bob": "8"}
    assert shown.accounts == frozenset({"ann"})


def test_an_open_write_follows_an_account_that_was_renamed() -> None:
    bob, sent = Account("bob", "bob@b.test"), datetime(2026, 1, 1, tzinfo=UTC)
    write = Unsettled(before=BOB_VIEW, after=BOB_EDIT, sent=sent, lost=True)
    memory = Memory(identities={"bob": "8"}, unsettled=(write,))
    new = replace(bob, name="robert")
    live = Live(access=world(ROBOT, new), ids={new.key: "8"})
    moved = follow(memory, live, replace(TRAITS, ids="unique"))
    assert moved is not None
    assert [item.change.key for item in moved.unsettled] == [grant("robert", "b.test", "edit").key]
