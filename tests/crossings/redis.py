"""A real Redis that keeps the sessions of Umami's stand-in; skipped in words where Debian's redis-server is not installed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
import redis

from crossings.programs import listening
from siteward.platforms.umami.fake.rows import Session

if TYPE_CHECKING:
    from pathlib import Path

_HOUR = 3600


@dataclass
class Sessions(MutableMapping[str, Session]):
    """The sessions of a server by their tokens, as a mapping that lives in Redis and ends there."""

    redis: redis.Redis

    def __getitem__(self, token: str) -> Session:
        found = self.redis.get(token)
        if found is None:
            raise KeyError(token)
        assert isinstance(found, bytes)
        row = json.loads(found)
        return Session(row["user"], row["password"], row["key"], datetime.fromisoformat(row["ends"]))

    def __setitem__(self, token: str, session: Session) -> None:
        assert session.ends is not None
        row = {"user": session.user, "password": session.password, "key": session.key, "ends": session.ends.isoformat()}
        self.redis.set(token, json.dumps(row), ex=_HOUR)

    def __delitem__(self, token: str) -> None:
        self.redis.delete(token)

    def __iter__(self) -> Iterator[str]:
        return (key.decode() for key in self.redis.scan_iter())

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Server:
    """A Redis that, as many are run, lets go of keys when its memory is full."""

    sessions: Sessions

    def expire(self) -> None:
        """Let the time of every session be over."""
        held = list(self.sessions)
        for token in held:
            self.sessions.redis.pexpire(token, 1)
        while self.sessions.redis.exists(*held) if held else False:
            time.sleep(0.001)

    def empty(self) -> None:
        """Let go of everything, as an administrator does, or a start without a file."""
        self.sessions.redis.flushall()

    def crowd(self) -> None:
        """Let others fill the memory, until Redis has let go of every session."""
        held, numbers = list(self.sessions), count()
        while self.sessions.redis.exists(*held) if held else False:
            self.sessions.redis.set(f"page:{next(numbers)}", b"x" * 1024)
        self.sessions.redis.delete(*(f"page:{number}" for number in range(next(numbers) + 1)))


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Run a Redis in `folder` that keeps nothing on the disk, and yield it."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed (Debian: redis-server)")
    folder.mkdir()
    settings = {
        "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(folder),
        "maxmemory": "2mb", "maxmemory-policy": "allkeys-lru",
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    with (
        listening(lambda port: [program, "--port", str(port), *words], folder / "log") as port,
        redis.Redis(port=port) as client,
    ):
        yield Server(Sessions(client))
