"""The table that describes the platform to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms._template.read import probe, reach, read, refresh
from siteward.platforms._template.roles import WIDEST
from siteward.platforms._template.settings import NAME, Settings
from siteward.platforms._template.write import bundle, write
from siteward.platforms.interface import Platform

if TYPE_CHECKING:
    from siteward.transport.http import Doors, Link
    from siteward.transport.secrets import Secrets


def connect(_settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors. A reader lets nothing out but the calls named here; nothing is sent yet."""
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415 — comparing files loads this module only

    key = secrets.get("key").reveal()
    reads = [Reading("GET", "/api/access")]
    return open_doors(link, reads=reads, headers={"Authorization": f"Bearer {key}"}, scrub=secrets.scrub)


PLATFORM = Platform(
    name=NAME,
    title="Toy Analytics",
    widest=WIDEST,
    settings=Settings,
    fields={"key": "an API key of an admin account that is Siteward's own"},
    connect=connect,
    probe=probe,
    read=read,
    refresh=refresh,
    bundle=bundle,
    write=write,
    reach=reach,
    releases=("1",),
)
