"""Measuring whole processes side by side: wall and processor time and peak memory, as the operating system counts them.

Candidates take turns, round by round, so that whatever else the machine does falls on all of them alike;
what is compared is the median of the ratios within a round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to measure: its arguments, where it runs, what it gets beside our own environment, and its exit codes."""

    arguments: Sequence[str | Path]
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    leaves: tuple[int, ...] = (0,)


class Cost(NamedTuple):
    """What one run took: seconds of wall and of processor time, and the peak of resident memory in bytes."""

    wall: float
    cpu: float
    memory: float


Figure: TypeAlias = "Callable[[Cost], float]"
WALL: Figure = attrgetter("wall")
CPU: Figure = attrgetter("cpu")
MEMORY: Figure = attrgetter("memory")


def once(command: Command) -> Cost:
    """Run a command and return its cost; raises `RuntimeError` with its last words where it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command.arguments,
        cwd=command.folder,
        env={**os.environ, **command.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in command.leaves:
        raise RuntimeError(f"{' '.join(map(str, command.arguments))} left with {process.returncode}")
    return Cost(wall=wall, cpu=used.ru_utime + used.ru_stime, memory=used.ru_maxrss * 1024)


def in_turn(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Cost]]:
    """Return what each command took in each round; a first round, which fills caches, is not counted."""
    for command in commands.values():
        once(command)
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, words in commands.items():
            costs[name].append(once(words))
    return costs


def ratio(costs: Sequence[Cost], base: Sequence[Cost], figure: Figure) -> float:
    """Return the median over the rounds of one figure divided by the same figure of the base."""
    return statistics.median(figure(ours) / figure(theirs) for ours, theirs in zip(costs, base, strict=True))


def median(costs: Sequence[Cost], figure: Figure) -> float:
    """Return the median of one figure."""
    return statistics.median(map(figure, costs))
