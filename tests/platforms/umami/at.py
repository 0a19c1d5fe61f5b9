"""An Umami stand-in with the adapter at its doors: what the adapter's tests are made of."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from platforms.proxy import Page, Proxy
from siteward.access.model import EVERYWHERE, Account, Grant, Key, Resource, Scope, Subject
from siteward.platforms import fakery
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.interface import Bundle
from siteward.platforms.umami.fake import FAKE, UmamiFake
from siteward.platforms.umami.platform import PLATFORM
from siteward.platforms.umami.settings import Settings
from siteward.transport.http import Link, Reader, Writer
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.interface import Receipt

RELEASES = FAKE.releases
PASSWORD = "a-long-password"
SHOP, BLOG = "shop.example.org", "blog.example.org"


def clock() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


def world(more: Mapping[str, object] | None = None, *, users: Sequence[str] = ("anna", "ben", "carla")) -> World:
    """A world of a managed team `shop`, a personal site `blog` of our own, and three accounts without a role."""
    return World(
        accounts=tuple(WorldAccount(login=user) for user in users),
        sites=(WorldSite(name="Shop", domain=SHOP), WorldSite(name="Blog", domain=BLOG, owner="siteward")),
        grants=(
            WorldGrant(account="anna", site=SHOP, role="team-view-only"),
            WorldGrant(account="ben", site=SHOP, role="team-member"),
        ),
        more=more or {},
    )


def grant(name: str, site: str, role: str) -> Grant:
    return Grant(Subject("account", name), Scope("site", site), role)


def power(name: str, role: str) -> Grant:
    return Grant(Subject("account", name), EVERYWHERE, role)


@dataclass
class At:
    """One open Umami: the stand-in behind it, and the adapter's functions on it."""

    fake: UmamiFake
    reader: Reader
    writer: Writer
    settings: Settings
    traits: Traits
    live: Live
    proxy: Proxy

    def read(self) -> Live:
        """Read all again, for what comes next too."""
        self.live = PLATFORM.read(self.reader, self.settings, self.traits)
        return self.live

    def review(self, *changes: Change) -> tuple[Diagnostic, ...]:
        return tuple(PLATFORM.review(changes, self.live, None))

    def codes(self, *changes: Change) -> list[str]:
        return [diagnostic.code for diagnostic in self.review(*changes)]

    def errors(self, *changes: Change) -> list[str]:
        return [diagnostic.code for diagnostic in self.review(*changes) if diagnostic.blocks]

    def write(self, *changes: Change) -> dict[Key, Receipt]:
        """Write the changes bundle by bundle, as the spine does, and keep the ids for what follows."""
        receipts: dict[Key, Receipt] = {}
        for bundle in PLATFORM.bundle(changes, self.live):
            passwords = {
                change.key[1]: Secret(PASSWORD) for change in bundle.changes if isinstance(change.after, Account)
            }
            for receipt in PLATFORM.write(self.writer, replace(bundle, passwords=passwords), self.live):
                receipts[receipt.key] = receipt
                self.live = replace(self.live, ids={**self.live.ids, **receipt.ids})
        return receipts

    def statuses(self, *changes: Change) -> list[str]:
        return [receipt.status for receipt in self.write(*changes).values()]

    def refresh(self, *keys: Key) -> Mapping[Key, Resource | None]:
        return PLATFORM.refresh(self.reader, keys, self.live)

    def fault(self, text: str) -> None:
        self.fake.faults.append(Fault.parse(text))

    def page(self, on: str, **more: Any) -> None:
        """Let a proxy answer a request in the server's place."""
        self.proxy.pages.append(Page(on, **more))

    def finish(self, change: Change) -> Receipt:
        """Do what the spine does where a change stands whose answer was lost."""
        assert PLATFORM.finish is not None
        return PLATFORM.finish(self.writer, Bundle(changes=(change,)), self.live)

    def code(self, team: str = f"acl:{SHOP}") -> str:
        """The access code of a team, which only the stand-in tells."""
        return next(known.code for known in self.fake.state.teams.values() if known.name == team)

    def calls(self, since: int = 0) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.fake.calls[since:]]

    def writes(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.fake.calls if call.wrote]


def fake_of(start: World | None = None, release: str = "3.2") -> UmamiFake:
    fake = FAKE.of(start or world(), release, clock=clock)
    assert isinstance(fake, UmamiFake)
    return fake


@contextmanager
def umami(
    start: World | None = None,
    release: str = "3.2",
    *,
    layout: Literal["per-site", "existing"] = "per-site",
    fake: UmamiFake | None = None,
) -> Iterator[At]:
    """Give an Umami that has been probed and read."""
    fake = fake or fake_of(start, release)
    secrets = Secrets({name: Secret(value) for name, value in fake.credentials.items()}, instance="stats")
    settings = Settings(layout=layout)
    proxy = Proxy(fakery.in_process(fake))
    link = Link(url="http://umami.test", transport=proxy, sleep=lambda _: None)
    with PLATFORM.connect(settings, secrets, link) as doors:
        traits, seed = PLATFORM.probe(doors.reader, settings)
        live = PLATFORM.read(doors.reader, settings, traits, seed)
        yield At(fake, doors.reader, doors.writer, settings, traits, live, proxy)
