"""Reading a large Umami over a socket, beside the bare requests that it takes.

The sandbox, in a process of its own, holds 5,000 users, 2,000 sites with a managed team each, and three members in
each team; it answers no sooner than after 20 ms. The bare requests are the login and the three listings, one after
the other through one client, each with its JSON decoded. Ours are one more, which tells the release of a 3.2.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from siteward.platforms.instance import Instance
from siteward.platforms.umami.platform import PLATFORM
from siteward.platforms.umami.settings import Settings
from siteward.transport.http import Link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USERS, SITES, MEMBERS, LATENCY = 5_000, 2_000, 3, 20
SETTINGS = Settings(layout="per-site")
LISTINGS = ("users", "teams", "websites")
REQUESTS = 1 + len(LISTINGS) + 1


def world() -> dict[str, Any]:
    """Return the world that the sandbox starts with."""
    logins = [f"user-{at:05d}" for at in range(USERS - 1)]
    roles = ("team-view-only", "team-member", "team-manager")
    domains = [f"www{at}.example.org" for at in range(SITES)]
    grants = [
        {"account": logins[(at * MEMBERS + place) % len(logins)], "site": domain, "role": roles[place % len(roles)]}
        for at, domain in enumerate(domains)
        for place in range(MEMBERS)
    ]
    return {
        "accounts": [{"login": "siteward", "role": "admin"}, *({"login": login, "role": "user"} for login in logins)],
        "sites": [{"name": domain, "domain": domain} for domain in domains],
        "grants": grants,
    }


@contextmanager
def sandbox(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Serve that world for as long as it is needed; give its address and credentials."""
    path = folder / "world.json"
    path.write_text(json.dumps(world()), encoding="utf-8")
    command = [sys.executable, "-m", "siteward", "sandbox", "umami", "--world", str(path), "--latency", str(LATENCY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as served:
        try:
            assert served.stdout is not None
            ready = json.loads(served.stdout.readline())
            yield ready["url"], ready["credentials"]
        finally:
            served.terminate()


def bare(url: str, credentials: dict[str, str]) -> float:
    """Return the seconds that the four requests take, one after the other."""
    with httpx.Client(base_url=url, timeout=60) as client:
        begin = time.perf_counter()
        token = client.post("/api/auth/login", json=credentials).raise_for_status().json()["token"]
        head = {"Authorization": f"Bearer {token}"}
        for name in LISTINGS:
            answer = client.get(f"/api/admin/{name}", params={"page": 1, "pageSize": 1_000_000}, headers=head)
            assert answer.raise_for_status().json()["data"]
        return time.perf_counter() - begin


def ours(url: str, credentials: dict[str, str]) -> float:
    """Return the seconds that Siteward takes from opening the instance to its live state."""
    env = {f"SITEWARD_STATS_{name.upper()}": value for name, value in credentials.items()}
    begin = time.perf_counter()
    instance = Instance(name="stats", platform=PLATFORM, settings=SETTINGS, link=Link(url=url), env=env)
    with instance.reading() as reader:
        live = PLATFORM.read(reader, SETTINGS, *PLATFORM.probe(reader, SETTINGS))
        assert reader.requests == REQUESTS
    seconds = time.perf_counter() - begin
    assert len(live.sites) == SITES
    assert len(live.access.accounts()) == USERS
    return seconds


def measure(folder: Path, rounds: int) -> tuple[float, float, float]:
    """Return the medians of both, in seconds, and of their ratio; a first round, which fills caches, is not counted."""
    gc.disable()
    with sandbox(folder) as (url, credentials):
        bare(url, credentials)
        ours(url, credentials)
        pairs = [(bare(url, credentials), ours(url, credentials)) for _ in range(rounds)]
    raw, own = (statistics.median(column) for column in zip(*pairs, strict=True))
    return raw, own, statistics.median(own / raw for raw, own in pairs)
