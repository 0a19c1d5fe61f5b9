"""What `probe` has read, `read` need not ask for again, and it comes to the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from platforms.plausible.at import needs_postgres
from siteward import platforms
from siteward.platforms.fakery import in_process
from siteward.platforms.instance import Instance
from siteward.transport.link import Link

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
OWN: dict[str, dict[str, Any]] = {"umami": {"layout": "existing"}, "matomo": {"self": "siteward"}}
RELEASES = [(name, release) for name in platforms.names() for release in platforms.fake(name).releases]


@pytest.mark.parametrize(("platform", "release"), RELEASES)
def test_a_seed_saves_requests_and_changes_nothing(platform: str, release: str) -> None:
    if release == "ce-3":
        needs_postgres()
    fake = platforms.fake(platform).lived_in(release, clock=lambda: NOW)
    table = platforms.load(platform)
    instance = Instance(
        name="it",
        platform=table,
        settings=msgspec.convert(OWN.get(platform, {}), table.settings),
        link=Link(url="http://127.0.0.1:1", transport=in_process(fake), sleep=lambda _: None),
        env={f"SITEWARD_IT_{name.upper()}": value for name, value in fake.credentials.items()},
    )
    with instance.reading() as reader:
        traits, seed = table.probe(reader, instance.settings)
        costs, lives = [], []
        for given in (seed, None):
            before = reader.requests
            lives.append(table.read(reader, instance.settings, traits, given))
            costs.append(reader.requests - before)
    assert lives[0].access == lives[1].access
    assert lives[0].listings == lives[1].listings
    assert costs[0] < costs[1] if seed is not None else costs[0] == costs[1]
