"""Reading and rebuilding a Matomo of 300 users and 200 sites over a socket: requests, and time beside the server's own.

The rebuild gives every user 40 times view, 5 times write, 3 times admin and one view with a capability: 14,700 rows. The limit is
the time that the stand-in itself took to answer.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from siteward.access.change import Change
from siteward.access.model import Grant, Scope, Subject
from siteward.platforms.fakery import World, WorldAccount, WorldSite, serve
from siteward.platforms.instance import Instance
from siteward.platforms.matomo.fake import FAKE
from siteward.platforms.matomo.platform import PLATFORM
from siteward.platforms.matomo.settings import Settings
from siteward.transport.link import Exchange, Link

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS, SITES = 300, 200
KINDS = [("view",)] * 40 + [("write",)] * 5 + [("admin",)] * 3 + [("view", "tagmanager_write")]
WORLD = World(
    accounts=tuple(WorldAccount(login=f"u{at:03}") for at in range(USERS)),
    sites=tuple(WorldSite(name=f"S{at}", domain=f"s{at}.example.org") for at in range(SITES)),
)


@dataclass
class Leg:
    """One part of the way: its requests, its seconds, and those that the server took."""

    requests: int = 0
    seconds: float = 0.0
    server: float = 0.0


def rows() -> Iterator[Change]:
    """Yield the grants of the rebuild."""
    for number in range(USERS):
        for at, (role, *extras) in enumerate(KINDS):
            scope = Scope("site", f"s{(number + at) % SITES}.example.org")
            yield Change(None, Grant(Subject("account", f"u{number:03}"), scope, role, frozenset(extras)))


def measure() -> tuple[Leg, Leg]:
    """Return what reading cost, and what the rebuild cost."""
    gc.disable()
    fake = FAKE.of(WORLD, "5.3", clock=lambda: datetime.now(UTC))
    settings = Settings(self_login="root")
    env = {f"SITEWARD_EU_{name.upper()}": value for name, value in fake.credentials.items()}
    reading, writing = Leg(), Leg()
    current = reading

    def observe(exchange: Exchange) -> None:
        current.requests += 1
        current.server += exchange.seconds

    with serve(fake) as sandbox:
        link = Link(url=sandbox.url, observer=observe)
        instance = Instance(name="eu", platform=PLATFORM, settings=settings, link=link, env=env)
        with instance.writing() as writer:
            begin = time.perf_counter()
            live = PLATFORM.read(writer, settings, *PLATFORM.probe(writer, settings))
            reading.seconds = time.perf_counter() - begin
            current = writing
            begin = time.perf_counter()
            for bundle in PLATFORM.bundle(list(rows()), live):
                assert {receipt.status for receipt in PLATFORM.write(writer, bundle, live)} == {"sent"}
            writing.seconds = time.perf_counter() - begin
    return reading, writing
