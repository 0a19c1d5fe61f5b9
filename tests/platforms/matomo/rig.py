"""The adapter on a stand-in: what every test of it begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import convert
from msgspec.structs import replace

from platforms.proxy import Proxy
from siteward.access.change import Change
from siteward.access.model import EVERYWHERE, Account, Grant, Key, Resource, Scope, Subject
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.platforms.matomo.fake import FAKE, MatomoFake
from siteward.platforms.matomo.platform import PLATFORM
from siteward.platforms.matomo.settings import Settings
from siteward.transport.link import Link
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.interface import Bundle, Receipt
    from siteward.transport.http import Doors

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
RELEASES = FAKE.releases
NEW_PASSWORD = "Abcde-Fghij-23456"
SHOP, BLOG, STAGING = "shop.example.org", "blog.example.org", "staging.example.org"
SITES = tuple(WorldSite(name=known.partition(".")[0].title(), domain=known) for known in (SHOP, BLOG, STAGING))


def site(name: str) -> Scope:
    return Scope("site", name)


def grant(login: str, where: str, role: str, *extras: str) -> Grant:
    return Grant(Subject("account", login), site(where), role, frozenset(extras))


def top(login: str) -> Grant:
    return Grant(Subject("account", login), EVERYWHERE, "superuser")


def given(after: Resource) -> Change:
    return Change(None, after)


def taken(before: Resource) -> Change:
    return Change(before, None)


def world(accounts: Iterable[WorldAccount] = (), grants: Iterable[WorldGrant] = ()) -> World:
    return World(accounts=tuple(accounts), sites=SITES, grants=tuple(grants))


@dataclass
class MatomoRig:
    """One stand-in, the doors into it, and what was read of it last."""

    fake: MatomoFake
    own_login: str = "root"
    password: str | None = "root-pass-1234"
    token: str | None = None
    onboarding: str | None = None
    doors: Doors = field(init=False)
    settings: Settings = field(init=False)
    waits: list[float] = field(default_factory=list)
    proxy: Proxy = field(init=False)

    def __post_init__(self) -> None:
        self.settings = convert({"self": self.own_login, "onboarding": self.onboarding}, Settings)
        values = {"token": self.token or self.fake.credentials["token"]}
        if self.password is not None:
            values["password"] = self.password
        secrets = Secrets({name: Secret(value) for name, value in values.items()}, instance="matomo")
        self.proxy = Proxy(in_process(self.fake))
        link = Link(url="http://matomo.invalid", transport=self.proxy, sleep=self.waits.append, tries=2)
        self.doors = PLATFORM.connect(self.settings, secrets, link)

    @classmethod
    def of(
        cls,
        release: str,
        the_world: World | None = None,
        *,
        password: str | None = "root-pass-1234",
        onboarding: str | None = None,
        own_login: str = "root",
    ) -> MatomoRig:
        fake = FAKE.of(the_world or world(), release, clock=lambda: NOW)
        return cls(fake, password=password, onboarding=onboarding, own_login=own_login)

    @property
    def requests(self) -> int:
        return self.doors.reader.requests

    def probe(self) -> Traits:
        return PLATFORM.probe(self.doors.reader, self.settings)[0]

    def read(self) -> Live:
        return PLATFORM.read(self.doors.reader, self.settings, self.probe())

    def review(self, *changes: Change, live: Live | None = None) -> tuple[Diagnostic, ...]:
        return tuple(PLATFORM.review(changes, live or self.read(), None))

    def codes(self, *changes: Change, live: Live | None = None) -> list[str]:
        return [diagnostic.code for diagnostic in self.review(*changes, live=live) if diagnostic.blocks]

    def bundles(self, changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
        """Return the bundles, each with a password for every new account and with what comes after it."""
        found, rest = [], list(changes)
        for bundle in PLATFORM.bundle(changes, live):
            rest = [change for change in rest if change not in bundle.changes]
            names = [
                change.after.name
                for change in bundle.changes
                if isinstance(change.after, Account) and not change.before
            ]
            passwords = {name: Secret(NEW_PASSWORD) for name in names}
            found.append(replace(bundle, passwords=passwords, ahead=lambda _login, rest=tuple(rest): rest))
        return found

    def write(self, *changes: Change, live: Live | None = None) -> list[Receipt]:
        """Write changes as the spine does, and return all receipts."""
        live = live or self.read()
        return [
            receipt
            for bundle in self.bundles(changes, live)
            for receipt in PLATFORM.write(self.doors.writer, bundle, live)
        ]

    def refresh(self, *keys: Key, live: Live | None = None) -> Mapping[Key, Resource | None]:
        return PLATFORM.refresh(self.doors.reader, keys, live or self.read())

    def rows(self, login: str) -> set[tuple[str, int, str]]:
        """Return the access rows of a login as the server keeps them, in the spelling they were written with."""
        return {(row.login, row.site, row.access) for row in self.fake.state.rows_of(login)}
