"""Umami's sessions in a real Redis, which ends them in its own ways, in the middle of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from crossings.redis import Server, running
from platforms.umami.test_spine import costs_a_login_and_no_write_twice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = {"expired": Server.expire, "emptied": Server.empty, "crowded out": Server.crowd}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("crossing") / "redis") as found:
        yield found


@pytest.mark.parametrize("way", WAYS)
def test_a_session_that_redis_ends_costs_a_login_and_no_write_twice(tmp_path: Path, server: Server, way: str) -> None:
    """Whether the time is over, somebody empties Redis, or others crowd it out."""
    costs_a_login_and_no_write_twice(tmp_path, 16, server.sessions, partial(WAYS[way], server))
