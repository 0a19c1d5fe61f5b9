"""Umami's sessions in a real Redis, which ends them in its own ways, in the middle of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
from msgspec.structs import replace

from crossings.redis import Server, running
from platforms.umami.at import fake_of
from platforms.umami.test_spine import DOCUMENT, WORLD
from rig import Rig, made, statuses
from siteward.platforms.umami.fake import UmamiFake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAYS = {"expired": Server.expire, "emptied": Server.empty, "crowded out": Server.crowd}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("crossing") / "redis") as found:
        yield found


@dataclass
class Ending(httpx.BaseTransport):
    """Does something to Redis right before the request of a number, and counts them."""

    behind: httpx.BaseTransport
    happens: Callable[[], None]
    at: int
    count: int = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        if self.count == self.at:
            self.happens()
        return self.behind.handle_request(request)


def _rig(folder: Path, server: Server, way: str, at: int) -> tuple[Rig, Ending]:
    fake = fake_of(WORLD, "3.2")
    assert isinstance(fake, UmamiFake)
    fake.redis = True
    fake.state.sessions = server.sessions
    rig = Rig(folder, fake, DOCUMENT)
    ending = Ending(rig.axe, lambda: WAYS[way](server), at)
    rig.instance = replace(rig.instance, link=replace(rig.instance.link, transport=ending))
    return rig, ending


@pytest.mark.parametrize("way", WAYS)
def test_a_session_that_redis_ends_costs_a_login_and_no_write_twice(tmp_path: Path, server: Server, way: str) -> None:
    """Whether the time is over, somebody empties Redis, or others crowd it out."""
    plain, counted = _rig(tmp_path / "plain", server, way, 0)
    before = plain.fake.writes
    assert set(statuses(plain.apply(made(plain)))) == {"done"}
    writes = plain.fake.writes - before
    for number in range(2, counted.count + 1, 16):
        rig, _ = _rig(tmp_path / str(number), server, way, number)
        before = rig.fake.writes
        assert set(statuses(rig.apply(made(rig)))) == {"done"}, number
        assert rig.fake.writes - before == writes, number
        assert rig.access() == plain.access(), number
