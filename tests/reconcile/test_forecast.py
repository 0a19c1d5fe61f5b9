"""What apply is told to take, in seconds of a clock that only answers move: as planned, and as its first bundle shows."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from msgspec.structs import replace

from rig import NOW, Rig, part
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.transport.pace import Rate, Speed

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.platforms.fakery import Fake
    from siteward.reconcile.apply.target import Progress

PEOPLE = tuple(f"p{number:02d}" for number in range(30))
SITES = ("blog.example.org", "shop.example.org", "wiki.example.org")
OLD = "old.example.org"
NAMES = ("matomo", "piwik-pro", "plausible", "umami")


@dataclass
class SlowServer(httpx.BaseTransport):
    """A server that takes `answer` seconds for each question, and `command` for each command, on the clock `now`.

    It also works as long as the real one for a new account.
    """

    fake: Fake
    answer: float
    command: float
    now: float = 0.0
    count: int = 0
    ends: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._inner = in_process(self.fake)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        before, worked = self.fake.writes, self.fake.labour
        response = self._inner.handle_request(request)
        self.now += self.command if self.fake.writes > before else self.answer
        self.now += self.fake.labour - worked
        self.count += 1
        return response

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def slow_rig(
    folder: Path, platform: str, answer: float, command: float, *, known: bool = True
) -> tuple[Rig, SlowServer]:
    """Return thirty people who are given a site each, on a server as slow as that; `known` if their accounts exist."""
    own = dict(importlib.import_module(f"platforms.{platforms.folder_of(platform)}.worlds").SETTINGS)
    logins = [f"{person}@example.org" if platform == "piwik-pro" else person for person in PEOPLE]
    there = [
        WorldAccount(login=login, email=f"{person}@example.org") for login, person in zip(logins, PEOPLE, strict=True)
    ]
    there = there if known else []
    there += [WorldAccount(login=own["self"], role="owner")] if platform == "piwik-pro" else []
    there = [] if platform == "plausible" else there
    # Thirty mails are only few where as many people are known: there, each of them is a guest elsewhere already.
    guests = [WorldGrant(account=f"{person}@example.org", site=OLD, role="viewer") for person in PEOPLE]
    sites = tuple(WorldSite(name=site, domain=site) for site in (*SITES, OLD))
    world = World(accounts=tuple(there), sites=sites, grants=tuple(guests if platform == "plausible" else ()))
    grants: list[dict[str, object]] = [
        {"to": person, "role": "view", "sites": SITES[number % 3]} for number, person in enumerate(PEOPLE)
    ]
    grants += [{"to": list(PEOPLE), "role": "view", "sites": OLD}] if platform == "plausible" else []
    limits = ("removals", "revocations", "escalations", "expiries", "mails")
    document = {
        "version": 1, "instances": {"it": {"platform": platform, "url": "http://127.0.0.1:1", **own}},
        "users": {person: {"email": f"{person}@example.org"} for person in PEOPLE}, "grants": grants,
        "policy": {"admins": {"min": 1}, "limits": {name: {"count": 999, "percent": 100} for name in limits}},
    }  # fmt: skip
    factory = platforms.fake(platform)
    rig = Rig(folder, factory.of(world, factory.releases[0], clock=lambda: NOW), document)
    server = SlowServer(rig.fake, answer, command)
    link = replace(rig.instance.link, transport=server, sleep=server.sleep, clock=lambda: server.now, workers=1)
    rig.instance = replace(rig.instance, link=link)
    return rig, server


def _fits(told: float, real: float) -> bool:
    return told / 1.5 <= real <= told * 1.5


@pytest.mark.parametrize("case", [*NAMES, "umami newcomers"])
def test_the_seconds_told_are_those_that_applying_takes(case: str, tmp_path: Path) -> None:
    """By the pace at which the plan was read, with what the limits of the platform add, and hashes and mails."""
    platform, _, newcomers = case.partition(" ")
    rig, server = slow_rig(tmp_path, platform, 1.5, 1.5, known=not newcomers)
    reviewed = rig.plan()
    told, begun, count = part(reviewed), server.now, server.count
    assert reviewed.plan is not None
    report = rig.apply(reviewed.plan)
    assert {(outcome.status, outcome.message) for outcome in report.outcomes if outcome.status != "done"} == set()
    assert len(report.outcomes) >= len(PEOPLE)
    assert told.requests == server.count - count
    assert _fits(told.seconds, server.now - begun), (told.seconds, server.now - begun)


@pytest.mark.parametrize("platform", NAMES)
def test_the_first_bundle_corrects_what_is_told_of_the_rest(platform: str, tmp_path: Path) -> None:
    """Commands take ten times as long as the questions by which the plan was made."""
    rig, server = slow_rig(tmp_path, platform, 0.2, 2.0)
    reviewed = rig.plan().plan
    assert reviewed is not None
    told: list[tuple[float, float]] = []

    def listen(progress: Progress) -> None:
        told.append((server.now, progress.left))

    rig.apply(reviewed, on_progress=listen)
    bundles = dict.fromkeys(moment for moment, _ in told)
    moment, left = [(moment, left) for moment, left in told if moment == list(bundles)[1]][-1]
    assert _fits(left, server.now - moment), (left, server.now - moment)


def test_the_limits_of_a_platform_bound_the_time() -> None:
    """What went out before counts; and so does the slower of two limits."""
    speed = Speed(requests=100, rates=(Rate(60, 10.0),), command_rates=(Rate(60, 61.0),))
    assert speed.least(10, 0) == 0
    assert speed.least(30, 0) == 10
    assert speed.least(30, 130) == 122
