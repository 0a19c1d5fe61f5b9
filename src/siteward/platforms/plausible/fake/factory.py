"""What makes Plausible stand-ins, of each edition; see `FakeFactory`."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from siteward.platforms.fakery import CannotStandInError
from siteward.platforms.plausible.fake import worlds
from siteward.platforms.plausible.fake.more import FurnishedFake
from siteward.platforms.plausible.fake.worlds import KEY, OWNER, PASSWORD, More

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from siteward.platforms.fakery import World
    from siteward.platforms.plausible.fake.server import PlausibleFake
    from siteward.platforms.plausible.fake.state import State

COMMUNITY = "ce-3"
RELEASES = ("cloud", "enterprise", COMMUNITY)


@dataclass(frozen=True, slots=True)
class Factory:
    """Makes Plausible servers. Those of Community Edition start a PostgreSQL, and raise `PostgresMissingError` without one."""

    releases: tuple[str, ...] = RELEASES

    def fresh(self, release: str, *, clock: Callable[[], datetime]) -> PlausibleFake:
        """Return a server with one owner, whose the credentials are, and one site."""
        return _made(release, clock, worlds.fresh(clock), More(self=OWNER))

    def lived_in(self, release: str, *, clock: Callable[[], datetime]) -> PlausibleFake:
        """Return the server that the demo shows."""
        return self.of(worlds.LIVED_IN, release, clock=clock)

    def of(self, world: World, release: str, *, clock: Callable[[], datetime]) -> PlausibleFake:
        """Return a server that holds a world, with the account `siteward@example.org` in its team (see `More`)."""
        more = More.model_validate(dict(world.more))
        return _made(release, clock, worlds.of(world, more, clock), more)


def _made(release: str, clock: Callable[[], datetime], state: State, more: More) -> PlausibleFake:
    if release != COMMUNITY:
        return FurnishedFake("plausible", release, {"api_key": KEY}, clock, state=state, limits=more.limits)
    try:  # the extra `postgres`, and a server on this machine, are for who asks for this edition
        from siteward.platforms.plausible.fake import tables  # noqa: PLC0415
    except ImportError as missing:
        raise CannotStandInError(f"this stand-in needs {missing.name}: pip install 'siteward[postgres]'") from missing
    from siteward.platforms.plausible.fake.forms import CommunityFake  # noqa: PLC0415

    made = tables.made()
    credentials = {"email": more.self, "password": PASSWORD, "database_url": made.url}
    credentials |= {"totp_secret": more.totp} if more.totp else {}
    fake = CommunityFake("plausible", release, credentials, clock, state=state, limits=False, tables=made)
    weakref.finalize(fake, made.give_back)
    return fake


FAKE = Factory()
