"""The time that a lost answer is given: by a clock of its own, so that no test waits."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from siteward.transport.errors import UnreachableError
from siteward.transport.patience import LONGEST, MOST_REPEATS, SHORTEST, Patience

if TYPE_CHECKING:
    from collections.abc import Callable

WHY = "an answer was lost"


@dataclass
class World:
    """A clock that goes on while somebody waits or reads, and a state that reaches `wanted` at some moments.

    `at` are those moments, in seconds; `cost` is what one reading takes; `down` is until when nothing can be read.
    """

    at: tuple[float, ...] = ()
    cost: float = 0.0
    down: float = 0.0
    shows_time: bool = True
    now: float = 0.0
    slept: float = 0.0
    looks: list[float] = field(default_factory=list)
    told: list[tuple[float, str]] = field(default_factory=list)
    slowest: float = 0.0

    def patience(self) -> Patience:
        return Patience(
            clock=lambda: self.now, sleep=self.sleep, slowest=lambda: self.slowest,
            waiting=lambda seconds, why: self.told.append((seconds, why)),
        )  # fmt: skip

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds if self.shows_time else 0.0

    def look(self) -> int:
        self.now += self.cost
        moment = max(self.now, self.slept)
        self.looks.append(moment)
        if moment < self.down:
            raise UnreachableError("nobody answers")
        return sum(moment >= at for at in self.at)

    def is_done(self, state: int) -> bool:
        return bool(self.at) and state == len(self.at)


def test_what_shows_at_once_is_read_once() -> None:
    world = World(at=(0.0,))
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 1
    assert (len(world.looks), world.told) == (1, [])


def counting(sent: list[int]) -> Callable[[], bool]:
    """Return a command whose every repetition is noted, and lost."""

    def again() -> bool:
        sent.append(len(sent))
        return False

    return again


@pytest.mark.parametrize("late", [1.0, 30.0, 119.0])
def test_a_late_effect_is_waited_for_with_growing_pauses(late: float) -> None:
    """1, 2, 4, 8, then every 15 seconds; each pause is told to those who wait, with the reason."""
    world = World(at=(late,))
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 1
    assert late <= world.now <= late + 15
    pauses = [seconds for seconds, _ in world.told]
    assert pauses[:5] == [1.0, 2.0, 4.0, 8.0, 15.0][: len(pauses)]
    assert {why for _, why in world.told} == {WHY}


def test_nothing_for_two_minutes_ends_it() -> None:
    world = World(at=(SHORTEST + 20,))
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 0
    assert SHORTEST <= world.now <= SHORTEST + 15


def test_a_slow_server_is_given_three_times_its_slowest_answer_and_ten_minutes_at_most() -> None:
    world = World(at=(175.0,), slowest=60.0)
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 1
    for slowest, end in ((60.0, 180.0), (900.0, LONGEST)):
        world = World(slowest=slowest)
        world.patience().watch(world.look, world.is_done, again=None, reason=WHY)
        assert end <= world.now <= end + 15


def test_every_change_begins_the_time_anew() -> None:
    """A server that is still at it is not given up: the rows come one by one, for more than two minutes."""
    world = World(at=(100.0, 200.0, 300.0))
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 3


def test_ten_minutes_end_it_whatever_changes() -> None:
    world = World(at=tuple(100.0 * number for number in range(1, 10)))
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 6
    assert world.now <= LONGEST + 15


def test_time_that_the_clock_does_not_show_counts() -> None:
    """Pauses count by their length, so that a clock that stands still ends nothing later."""
    world = World(shows_time=False)
    world.patience().watch(world.look, world.is_done, again=None, reason=WHY)
    assert SHORTEST <= world.slept <= SHORTEST + 15


def test_slow_readings_count_too() -> None:
    world = World(cost=50.0)
    world.patience().watch(world.look, world.is_done, again=None, reason=WHY)
    assert world.looks == [50.0, 101.0, 153.0]


def test_what_cannot_be_read_for_a_while_is_read_later() -> None:
    world = World(at=(20.0,), down=60.0)
    assert world.patience().watch(world.look, world.is_done, again=None, reason=WHY) == 1


def test_what_can_never_be_read_is_raised_in_the_end() -> None:
    world = World(down=10_000.0)
    with pytest.raises(UnreachableError):
        world.patience().watch(world.look, world.is_done, again=None, reason=WHY)
    assert world.now >= SHORTEST


def test_a_cancellation_ends_it_at_once() -> None:
    """Also in the middle of a pause, and before anything is sent again."""
    world = World()
    patience = world.patience()
    sent: list[int] = []
    patience.is_cancelled = lambda: world.now >= 5
    patience.watch(world.look, world.is_done, again=counting(sent), reason=WHY)
    assert world.now <= 5.5
    assert len(sent) == 2


def test_it_is_sent_again_after_two_equal_readings_and_not_often() -> None:
    world = World()
    sent: list[int] = []

    def again() -> bool:
        sent.append(len(world.looks))
        return False

    world.patience().watch(world.look, world.is_done, again=again, reason=WHY)
    assert len(sent) == MOST_REPEATS
    assert sent[0] == 2
    assert sent == sorted(set(sent))


def test_an_answer_to_the_repetition_ends_it_after_one_more_reading() -> None:
    world = World()
    world.patience().watch(world.look, world.is_done, again=lambda: True, reason=WHY)
    assert (len(world.looks), world.now) == (3, 1.0)


def test_nothing_is_sent_again_while_it_cannot_be_read_or_goes_on_changing() -> None:
    for world in (World(down=10_000.0), World(at=tuple(map(float, range(1, 700))))):
        sent: list[int] = []
        with contextlib.suppress(UnreachableError):
            world.patience().watch(world.look, world.is_done, again=counting(sent), reason=WHY)
        assert sent == []


def test_after_ten_minutes_in_vain_the_next_ones_are_short_until_one_shows() -> None:
    """An outage of a hundred steps is not a hundred times two minutes."""
    world = World()
    patience = world.patience()
    for _ in range(5):
        patience.watch(world.look, world.is_done, again=None, reason=WHY)
    before = world.now
    patience.watch(world.look, world.is_done, again=None, reason=WHY)
    assert world.now - before <= 2
    world.at = (world.now + 0.5,)
    assert patience.watch(world.look, world.is_done, again=None, reason=WHY) == 1
    world.at, before = (), world.now
    patience.watch(world.look, world.is_done, again=None, reason=WHY)
    assert world.now - before >= SHORTEST


def test_what_no_reading_shows_is_tried_a_few_times() -> None:
    world = World()
    patience = world.patience()
    assert [patience.pause(number, WHY) for number in range(MOST_REPEATS + 1)] == [True] * MOST_REPEATS + [False]
    patience.is_cancelled = lambda: True
    assert not patience.pause(0, WHY)
