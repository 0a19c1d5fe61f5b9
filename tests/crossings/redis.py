"""A real Redis that keeps the sessions of Umami's stand-in; skipped in words where Debian's redis-server is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
import redis

from crossings.programs import free_port, wait_for
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
    """A Redis that keeps nothing on its disk and, as many are run, lets go of keys when its memory is full."""

    folder: Path
    program: str
    port: int = field(default_factory=free_port)
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(redis.Redis(port=self.port))

    def start(self) -> None:
        """Start the program and wait until it answers."""
        settings = {
            "port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder,
            "maxmemory": "2mb", "maxmemory-policy": "allkeys-lru", "maxmemory-samples": 10,
        }  # fmt: skip
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        log = self.folder / "log"
        with log.open("ab") as said:
            self._process = subprocess.Popen([self.program, *words], stdout=said, stderr=said)
        wait_for(self.port, self._process, log)

    def stop(self) -> None:
        """End the program; what it held is gone."""
        self.sessions.redis.close()
        self._process.terminate()
        self._process.wait(10)

    def expire(self) -> None:
        """Let the time of every session be over."""
        held = list(self.sessions)
        for token in held:
            self.sessions.redis.pexpire(token, 1)
        while self.sessions.redis.exists(*held) if held else False:
            time.sleep(0.001)

    def empty(self) -> None:
        """Let go of everything, as an administrator does."""
        self.sessions.redis.flushall()

    def crowd(self) -> None:
        """Let others fill the memory, until Redis has let go of every session."""
        held, numbers = list(self.sessions), count()
        while self.sessions.redis.exists(*held) if held else False:
            self.sessions.redis.set(f"page:{next(numbers)}", b"x" * 1024)
        self.sessions.redis.delete(*(f"page:{number}" for number in range(next(numbers) + 1)))

    def restart(self) -> None:
        """End the program and start it again at the same port."""
        self.stop()
        self.start()


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Run a Redis in `folder` and yield it."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed (Debian: redis-server)")
    folder.mkdir()
    server = Server(folder, program)
    server.start()
    try:
        yield server
    finally:
        server.stop()
