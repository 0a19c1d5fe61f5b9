"""The table that describes Piwik PRO to the rest of the program."""

from __future__ import annotations

from types import MappingProxyType

from siteward.platforms.interface import Platform
from siteward.platforms.known import READ, KeysRead, Known
from siteward.platforms.piwikpro.audit import blame
from siteward.platforms.piwikpro.bundle import bundle
from siteward.platforms.piwikpro.forecast import PiwikProForecast
from siteward.platforms.piwikpro.leaving import leftovers
from siteward.platforms.piwikpro.probe import probe, reach
from siteward.platforms.piwikpro.read import read
from siteward.platforms.piwikpro.refresh import refresh
from siteward.platforms.piwikpro.review import review
from siteward.platforms.piwikpro.roles import WIDEST
from siteward.platforms.piwikpro.session import connect
from siteward.platforms.piwikpro.settings import NAME, Settings
from siteward.platforms.piwikpro.write import finish, write

PLATFORM = Platform(
    name=NAME,
    title="Piwik PRO",
    widest=WIDEST,
    settings=Settings,
    fields=MappingProxyType(
        {
            "client_id": "the id of an API key, made by an owner in Profile, API keys",
            "client_secret": "its secret, which is shown once",
        }
    ),
    connect=connect,
    probe=probe,
    read=read,
    refresh=refresh,
    bundle=bundle,
    forecast=PiwikProForecast,
    write=write,
    finish=finish,
    review=review,
    reach=reach,
    leftovers=leftovers,
    blame=blame,
    releases=("current",),
    known=(
        Known(
            release="current",
            how=READ,
            source="the vendor's specifications of 2025-01; the vendor's own client of 2026-09 agrees for apps and token",
            date="2026-11-28",
        ),
    ),
    keys=(
        KeysRead(
            release="current",
            what="nothing: no call lists, makes or revokes API keys; their owner sees them under Menu, Profile, API keys",
            source="the vendor's specifications of 2025-01; the vendor's own client of 2026-09 has no such call either",
            date="2026-11-28",
        ),
    ),
    limits=(
        "600 reads and 60 other calls a minute",
        "1,000 rows a page, 100 in the audit log",
        "with `native: true` a group that gets another name in the file (`previously`) is renamed, and stays the same one",
        "what the audit log keeps is a setting of the account: nothing in it about a change does not mean that nobody made it",
    ),
)
