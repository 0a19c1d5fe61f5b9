"""An instance of any platform on its lived-in stand-in, for tests that hold for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from platforms.plausible.at import needs_postgres
from siteward import platforms
from siteward.platforms.instance import Instance
from siteward.transport.link import Link

if TYPE_CHECKING:
    import httpx

    from siteward.access.state import Live
    from siteward.platforms.fakery import Fake

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
RELEASES = [(name, release) for name in platforms.names() for release in platforms.fake(name).releases]
NEWEST = [(name, release) for name, release in RELEASES if name == "plausible" or release == dict(RELEASES[::-1])[name]]
_OWN: dict[str, dict[str, Any]] = {"umami": {"layout": "existing"}, "matomo": {"self": "siteward"}}


def lived_in(platform: str, release: str) -> Fake:
    """Return the stand-in that the demo shows."""
    if release == "ce-3":
        needs_postgres()
    return platforms.fake(platform).lived_in(release, clock=lambda: NOW)


def instance_of(fake: Fake, url: str, transport: httpx.BaseTransport | None, **env: str) -> Instance:
    """Return an instance `it` of a stand-in that is reached at `url`, with its credentials and what else is set."""
    table = platforms.load(fake.platform)
    return Instance(
        name="it",
        platform=table,
        settings=msgspec.convert(_OWN.get(fake.platform, {}), table.settings),
        link=Link(url=url, transport=transport, sleep=lambda _: None, tries=2),
        env={**{f"SITEWARD_IT_{name.upper()}": value for name, value in fake.credentials.items()}, **env},
    )


def read(instance: Instance) -> Live:
    """Return all that is live there."""
    with instance.reading() as reader:
        traits, seed = instance.platform.probe(reader, instance.settings)
        return instance.platform.read(reader, instance.settings, traits, seed)
