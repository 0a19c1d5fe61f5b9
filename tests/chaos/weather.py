"""What goes wrong in a story: the network, the server, the disk, the clock, another writer, and death at any moment.

A dead process does nothing any more: after `Killed` every request and every write to the disk raises it again, until
the story starts a new process (`revive`).
"""

from __future__ import annotations

import copy
import errno
import os
import random
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from chaos.facts import follow, meddle
from chaos.watch import Watch
from rig import NOW, Killed
from siteward.platforms.fakery import Fake, Fault, in_process
from siteward.transport.http import Reader

REQUESTS = ("kill-before", "kill-after", "deaf", "second-writer")
DISK = ("disk-full", "torn-line", "kill-at-write", "kill-before-rename")
SERVER = (
    "429", "500", "500-after-write", "cut", "cut-after-write", "expire-token", "shift-rows", "lying-total", "html",
)  # fmt: skip
ACCOUNTS = re.compile(rb"^/api/admin/users |^/api/users/v2 |UsersManager\.getUsers\b")
"""The requests that list all accounts with their roles, where they search for nobody."""
HARMLESS = frozenset(
    {
        "kill-before",
        "kill-after",
        "torn-line",
        "kill-at-write",
        "kill-before-rename",
        "cut-after-write",
        "500-after-write",
    }
)
"""After these alone a resumed run ends as an undisturbed one: nothing was refused, only answers and moments were lost."""


@dataclass(frozen=True)
class Blow:
    """One thing that goes wrong: its kind, the number of the request or write it comes with, and how often."""

    kind: str
    at: int
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}" + (f"x{self.times}" if self.times != 1 else "")


def draw(dice: random.Random, requests: int, writes: int, lines: int) -> list[Blow]:
    """Return one to four blows for a story that takes about so many requests, writes to the server and to the disk."""
    blows = []
    for _ in range(dice.choice((1, 1, 2, 2, 3, 4))):
        kind = dice.choice((*SERVER, *REQUESTS, *REQUESTS, "deaf", *DISK, "clock-back"))
        most = {"500-after-write": writes, "cut-after-write": writes, "deaf": writes}.get(kind, requests)
        most = lines if kind in DISK else most
        times = dice.choice((1, 1, 1, 2, 3, 6)) if kind in {*SERVER, "disk-full", "deaf"} else 1
        blows.append(Blow(kind, dice.randint(0, max(1, most)), times))
    return blows


@dataclass
class Clock:
    """The time on this machine: it goes on by a second at each look, and may be set back."""

    now: datetime = NOW + timedelta(minutes=1)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class Weather(httpx.BaseTransport):
    """The way to a stand-in, and the disk, with blows on both; `watch` checks what is written."""

    fake: Fake
    watch: Watch
    logins: Collection[str]
    clock: Clock = field(default_factory=Clock)
    blows: list[Blow] = field(default_factory=list)
    dice: random.Random = field(default_factory=random.Random)
    told: list[str] = field(default_factory=list)
    requests: int = 0
    writes: int = 0
    lines: int = 0
    renames: int = 0
    dead: bool = False
    halved: bool = False
    meddled: bool = False

    def __post_init__(self) -> None:
        self._inner = in_process(self.fake)

    def begin(self, blows: list[Blow]) -> None:
        """Let blows come from now on, counted from now."""
        self.blows = blows
        self.requests = self.writes = self.lines = self.renames = 0
        self.fake.faults.extend(
            Fault.parse(f"{blow.kind}@{blow.at}x{blow.times}") for blow in blows if blow.kind in SERVER
        )

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.blows = []
        self.fake.faults.clear()
        self.clock.now = max(self.clock.now, NOW + timedelta(hours=1))

    def revive(self) -> None:
        """Start a new process."""
        self.dead = False

    def _hits(self, kind: str, count: int) -> bool:
        return any(blow.kind == kind and blow.at <= count < blow.at + blow.times for blow in self.blows)

    def _die(self, why: str) -> None:
        self.dead = True
        self.told.append(why)
        raise Killed

    # The network

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.dead:
            raise Killed
        number = self.requests
        self.requests += 1
        self._before(number)
        if self._hits("kill-before", number):
            self._die(f"killed before request {number} ({request.method} {request.url.path})")
        response = self._answer(request)
        if ACCOUNTS.search(request.url.path.encode() + b" " + request.read()) and not request.url.params.get("search"):
            self.watch.see_listing()
        if self._hits("kill-after", number):
            self._die(f"killed after request {number} ({request.method} {request.url.path})")
        return response

    def _before(self, number: int) -> None:
        if self._hits("clock-back", number):
            self.clock.now -= timedelta(seconds=self.dice.choice((5, 3600, 172_800)))
            self.told.append(f"clock back to {self.clock.now} at request {number}")
        if self._hits("second-writer", number):
            words = meddle(self.fake, self.dice, self.logins)
            self.meddled = self.meddled or bool(words)
            self.watch.unseen = self.watch.unseen or bool(words)
            self.told.append(f"second writer at request {number}: {words}")
            self.watch.look_away()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        deaf = self._hits("deaf", self.writes) and request.method != "GET"
        kept = self._keep_state() if deaf else None
        before = self.fake.writes
        try:
            return self._inner.handle_request(request)
        finally:
            if self.fake.writes > before:
                self.writes += 1
                if kept is not None:
                    self.fake.state = kept  # type: ignore[attr-defined]
                    follow(self.fake)
                    self.told.append(f"deaf: {request.method} {request.url.path} changed nothing")
                else:
                    self.told.append(f"wrote: {request.method} {request.url.path}")
                    self.watch.see_write(f"{request.method} {request.url.path}")

    def _keep_state(self) -> Any:
        """Return a copy of the server's tables; what was issued and drawn goes on, as only this write is undone."""
        return copy.deepcopy(self.fake.state)  # type: ignore[attr-defined]

    # The disk

    def write(self, handle: int, data: bytes | memoryview, real: Callable[[int, Any], int]) -> int:
        """Stand in for `os.write`."""
        if self.dead:
            raise Killed
        number = self.lines
        self.lines += 1
        if not (self.meddled or self.halved):  # the rest of a line was seen with its first half
            self.watch.see_line(bytes(data))
        self.halved = False
        half = bytes(data)[: len(bytes(data)) // 2]
        if self._hits("kill-at-write", number):
            self._die(f"killed before line {number} was written")
        if self._hits("torn-line", number):
            real(handle, half)
            self._die(f"killed in the middle of line {number}")
        if self._hits("disk-full", number):
            self.told.append(f"disk full at line {number}")
            if number == next(blow.at for blow in self.blows if blow.kind == "disk-full"):
                self.halved = bool(half)
                return real(handle, half) if half else self._full()
            self._full()
        return real(handle, data)

    def _full(self) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def replace(self, source: Any, target: Any, real: Callable[[Any, Any], None]) -> None:
        """Stand in for `os.replace`."""
        if self.dead:
            raise Killed
        number = self.renames
        self.renames += 1
        if self._hits("kill-before-rename", number):
            self._die(f"killed before {Path(source).name} was renamed")
        real(source, target)


def one_after_the_other(_reader: Reader, function: Callable[[Any], Any], items: Collection[Any]) -> list[Any]:
    return [function(item) for item in items]


@contextmanager
def under(weather: Weather) -> Iterator[None]:
    """Put the disk under a weather, and read in one thread, so that a seed gives one order of requests."""
    write, replace = os.write, os.replace
    with (
        mock.patch.object(os, "write", lambda handle, data: weather.write(handle, data, write)),
        mock.patch.object(os, "replace", lambda source, target, **_: weather.replace(source, target, replace)),
        mock.patch.object(os, "fsync", return_value=None),
        mock.patch.object(Reader, "map", one_after_the_other),
    ):
        yield
