"""An instance on a stand-in: the adapter's doors over a transport that is held to the vendor's description."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec import convert
from msgspec.structs import replace

from platforms.piwikpro.clocks import FastClock
from platforms.piwikpro.held import held
from siteward.access.change import order, patch
from siteward.access.model import Grant, Scope, Subject
from siteward.platforms.piwikpro.fake import FAKE, PiwikPro
from siteward.platforms.piwikpro.platform import PLATFORM
from siteward.platforms.piwikpro.roles import ENTITY
from siteward.platforms.piwikpro.settings import Settings
from siteward.transport.link import Link
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import httpx

    from siteward.access.change import Change
    from siteward.access.model import Key, Resource
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.fakery import World
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Doors


@dataclass(frozen=True, slots=True)
class Opened:
    """A stand-in and the doors into it, on one clock."""

    fake: PiwikPro
    doors: Doors
    clock: FastClock
    settings: Settings

    def traits(self) -> Traits:
        return PLATFORM.probe(self.doors.reader, self.settings)[0]

    def live(self) -> Live:
        return PLATFORM.read(self.doors.reader, self.settings, self.traits())

    def person(self, email: str) -> str:
        found = self.fake.state.named(email)
        assert found is not None
        return found.id

    def entity(self, scope: Scope) -> str:
        known = self.fake.state.apps if scope.kind == "site" else self.fake.state.metas
        return next(entity.id for entity in known.values() if entity.name == scope.name)

    def level(self, scope: Scope, email: str) -> str:
        return self.fake.state.level(ENTITY[scope.kind], self.entity(scope), "user", self.person(email))

    def refused(self) -> int:
        """Return how many requests were over the limit."""
        return sum(call.status == 429 for call in self.fake.calls)


def opened(
    world: World | None = None,
    *,
    native: bool = False,
    sites_by: str = "name",
    secret: str | None = None,
    through: Callable[[PiwikPro], httpx.BaseTransport] = held,
) -> Opened:
    """Return a stand-in that holds `world` (or the demo's), opened by the adapter `through` a transport to it."""
    clock = FastClock()
    fake = FAKE.lived_in("current", clock=clock) if world is None else FAKE.of(world, "current", clock=clock)
    settings = convert({"native": native, "sites_by": sites_by}, Settings)
    link = Link(
        url="https://acme.piwik.pro",
        transport=through(fake),
        clock=clock.seconds,
        sleep=clock.sleep,
        budget=10_000.0,
    )
    given = {**fake.credentials, **({"client_secret": secret} if secret else {})}
    secrets = Secrets({field: Secret(value, "test") for field, value in given.items()}, instance="pp")
    return Opened(fake, PLATFORM.connect(settings, secrets, link), clock, settings)


def carry_out(place: Opened, live: Live, changes: Iterable[Change], wish: Live | None = None) -> list[Receipt]:
    """Write changes in their safe order, by bundles, as the spine does; return what was answered to each.

    What a call brings along is unwanted where `wish` has it not so; without a wish nothing is.
    """

    def unwanted(resources: Collection[Resource]) -> frozenset[Key]:
        return frozenset(resource.key for resource in resources if wish and wish.access.get(resource.key) != resource)

    receipts: list[Receipt] = []
    traits = place.traits()
    ordered = order(changes, traits)
    for _, wave in groupby(
        ordered, key=lambda change: (change.key[0], change.action, change.key[1] if change.key[0] == "member" else "")
    ):
        together = tuple(wave)
        for bundle in PLATFORM.bundle(together, live):
            answered = PLATFORM.write(place.doors.writer, replace(bundle, unwanted=unwanted), live)
            ids = {key: at for receipt in answered for key, at in receipt.ids.items()}
            live = replace(live, ids={**live.ids, **ids}, access=patch(live.access, bundle.changes))
            receipts += answered
    return receipts


def account(name: str) -> Subject:
    return Subject("account", name)


def site(name: str) -> Scope:
    return Scope("site", name)


def grant(name: str, scope: Scope, role: str) -> Grant:
    return Grant(account(name), scope, role)
