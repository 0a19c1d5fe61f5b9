"""An instance on a stand-in: the adapter's doors over a transport that is held to the vendor's description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from platforms.piwikpro.clocks import FastClock
from platforms.piwikpro.held import held
from siteward.platforms.piwikpro.fake import FAKE, PiwikPro
from siteward.platforms.piwikpro.platform import PLATFORM
from siteward.platforms.piwikpro.settings import Settings
from siteward.transport.link import Link
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    import httpx

    from siteward.access.model import Scope
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.fakery import World
    from siteward.transport.http import Doors


@dataclass(frozen=True, slots=True)
class Opened:
    """A stand-in and the doors into it, on one clock."""

    fake: PiwikPro
    doors: Doors
    clock: FastClock
    settings: Settings

    def traits(self) -> Traits:
        return PLATFORM.probe(self.doors.reader, self.settings)

    def live(self) -> Live:
        return PLATFORM.read(self.doors.reader, self.settings, self.traits())

    def person(self, email: str) -> str:
        found = self.fake.state.named(email)
        assert found is not None
        return found.id

    def entity(self, scope: Scope) -> str:
        known = self.fake.state.apps if scope.kind == "site" else self.fake.state.metas
        return next(each.id for each in known.values() if each.name == scope.name)

    def level(self, scope: Scope, email: str) -> str:
        kind = "app" if scope.kind == "site" else "meta-site"
        return self.fake.state.level(kind, self.entity(scope), "user", self.person(email))

    def refused(self) -> int:
        """Return how many requests were over the limit."""
        return sum(each.status == 429 for each in self.fake.calls)


def opened(
    world: World | None = None,
    *,
    native: bool = False,
    sites_by: str = "name",
    secret: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Opened:
    """Return a stand-in that holds `world` (or the demo's), opened by the adapter."""
    clock = FastClock()
    fake = FAKE.lived_in("current", clock=clock) if world is None else FAKE.of(world, "current", clock=clock)
    settings = Settings.model_validate({"native": native, "sites_by": sites_by})
    link = Link(
        url="https://acme.piwik.pro",
        transport=transport or held(fake),
        clock=clock.seconds,
        sleep=clock.sleep,
        budget=10_000.0,
    )
    given = {**fake.credentials, **({"client_secret": secret} if secret else {})}
    secrets = Secrets({field: Secret(value, "test") for field, value in given.items()}, instance="pp")
    return Opened(fake, PLATFORM.connect(settings, secrets, link), clock, settings)
