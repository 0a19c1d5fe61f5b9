"""A Plausible stand-in with the adapter at its doors: what the adapter's tests are made of."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import convert
from msgspec.structs import replace

from platforms.proxy import Page, Proxy
from siteward.access.change import Change
from siteward.access.model import Grant, Key, Resource, Scope, Subject, grant_key
from siteward.platforms import fakery
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.plausible.fake import FAKE, PlausibleFake
from siteward.platforms.plausible.platform import PLATFORM
from siteward.platforms.plausible.settings import Settings
from siteward.transport.http import Link, Reader, Writer
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live, Memory
    from siteward.access.traits import Traits
    from siteward.platforms.interface import Receipt

SHOP, BLOG = "shop.example.org", "blog.example.org"
ANNA, BEN, CARLA = "anna@example.org", "ben@example.org", "carla@example.org"
SELF = "siteward@example.org"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Time that passes only when somebody sleeps, on both sides."""

    passed: float = 0.0
    pauses: list[tuple[float, str]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def waiting(self, seconds: float, why: str) -> None:
        self.pauses.append((seconds, why))


def world(more: Mapping[str, object] | None = None, *, extra: Sequence[WorldGrant] = ()) -> World:
    """A world of two sites: on shop Anna has accepted as viewer and Ben is invited; Olga is owner of the team."""
    return World(
        accounts=(WorldAccount(login="olga@example.org", role="owner"),),
        sites=(WorldSite(name="Shop", domain=SHOP), WorldSite(name="Blog", domain=BLOG)),
        grants=(
            WorldGrant(account=ANNA, site=SHOP, role="viewer"),
            WorldGrant(account=BEN, site=SHOP, role="viewer", status="invited"),
            *extra,
        ),
        more=more or {},
    )


def grant(name: str, site: str, role: str) -> Grant:
    return Grant(Subject("account", name), Scope("site", site), role)


def key(name: str, site: str) -> Key:
    return grant_key(Subject("account", name), Scope("site", site))


def give(name: str, site: str, role: str) -> Change:
    return Change(None, grant(name, site, role))


def take(name: str, site: str, role: str) -> Change:
    return Change(grant(name, site, role), None)


def turn(name: str, site: str, before: str, after: str) -> Change:
    return Change(grant(name, site, before), grant(name, site, after))


@dataclass
class At:
    """One open Plausible: the stand-in behind it, and the adapter's functions on it."""

    fake: PlausibleFake
    reader: Reader
    writer: Writer
    settings: Settings
    traits: Traits
    live: Live
    clock: Clock
    proxy: Proxy

    def read(self) -> Live:
        """Read all again, for what comes next too."""
        self.live = replace(PLATFORM.read(self.reader, self.settings, self.traits), me=SELF)
        return self.live

    def review(self, *changes: Change, memory: Memory | None = None) -> tuple[Diagnostic, ...]:
        return tuple(PLATFORM.review(changes, self.live, memory))

    def codes(self, *changes: Change, memory: Memory | None = None) -> list[str]:
        return [diagnostic.code for diagnostic in self.review(*changes, memory=memory)]

    def errors(self, *changes: Change, memory: Memory | None = None) -> list[str]:
        return [diagnostic.code for diagnostic in self.review(*changes, memory=memory) if diagnostic.blocks]

    def write(self, *changes: Change) -> list[Receipt]:
        """Write the changes bundle by bundle, as the spine does."""
        bundles = PLATFORM.bundle(changes, self.live)
        return [receipt for bundle in bundles for receipt in PLATFORM.write(self.writer, bundle, self.live)]

    def write_one(self, change: Change) -> Receipt:
        (receipt,) = self.write(change)
        return receipt

    def refresh(self, *keys: Key) -> Mapping[Key, Resource | None]:
        return PLATFORM.refresh(self.reader, keys, self.live)

    def fault(self, text: str) -> None:
        self.fake.faults.append(Fault.parse(text))

    def page(self, on: str, **more: Any) -> None:
        """Let a proxy answer a request in the server's place."""
        self.proxy.pages.append(Page(on, **more))

    def shown(self, site: str = SHOP) -> list[str]:
        """The guest list of a site as the server has it."""
        found = self.fake.state.site(site)
        assert found is not None
        return [f"{shown.email} {shown.role} {shown.status}" for shown in self.fake.state.shown(found)]

    def calls(self, since: int = 0) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.fake.calls[since:]]

    def writes(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.fake.calls if call.wrote]


def needs_postgres() -> None:
    """Skip what needs a PostgreSQL that this machine has not."""
    pytest.importorskip("psycopg")
    from siteward.platforms.plausible.fake.cluster import PostgresMissingError, cluster

    try:
        cluster()
    except PostgresMissingError as missing:
        pytest.skip(str(missing))


def fake_of(start: World | None = None, release: str = "cloud", clock: Clock | None = None) -> PlausibleFake:
    if release == "ce-3":
        needs_postgres()
    return FAKE.of(start or world(), release, clock=(clock or Clock()).now)


def secrets_of(fake: PlausibleFake, **others: str) -> Secrets:
    return Secrets(
        {name: Secret(value) for name, value in {**fake.credentials, **others}.items()}, instance="site-stats"
    )


def link_of(fake: PlausibleFake, clock: Clock | None = None) -> Link:
    """Return a way to the stand-in, for one thread: time that several threads sleep through would add up."""
    clock = clock or Clock()
    return Link(
        workers=1,
        url="http://plausible.test",
        transport=fakery.in_process(fake),
        sleep=clock.sleep,
        clock=clock.monotonic,
        waiting=clock.waiting,
    )


@contextmanager
def plausible(
    start: World | None = None,
    release: str = "cloud",
    *,
    fake: PlausibleFake | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> Iterator[At]:
    """Give a Plausible that has been probed and read, with `self` filled in as the spine does."""
    clock = clock or Clock()
    fake = fake or fake_of(start, release, clock)
    chosen = convert({"team_members": {"olga@example.org": "owner"}, **settings}, Settings)
    proxy = Proxy(fakery.in_process(fake))
    link = replace(link_of(fake, clock), transport=proxy)
    with PLATFORM.connect(chosen, secrets_of(fake), link) as doors:
        traits, seed = PLATFORM.probe(doors.reader, chosen)
        live = replace(PLATFORM.read(doors.reader, chosen, traits, seed), me=SELF)
        yield At(fake, doors.reader, doors.writer, chosen, traits, live, clock, proxy)
