"""The table that describes Umami to the rest of the program."""

from __future__ import annotations

from siteward.platforms.interface import Platform
from siteward.platforms.known import LIVE, READ, KeysRead, Known
from siteward.platforms.umami.forecast import UmamiForecast
from siteward.platforms.umami.leaving import leftovers
from siteward.platforms.umami.probe import probe, reach
from siteward.platforms.umami.read import read
from siteward.platforms.umami.refresh import refresh
from siteward.platforms.umami.review import review
from siteward.platforms.umami.roles import WIDEST
from siteward.platforms.umami.session import connect
from siteward.platforms.umami.settings import NAME, Settings
from siteward.platforms.umami.write import bundle, finish, write

PLATFORM = Platform(
    name=NAME,
    title="Umami (self-hosted)",
    widest=WIDEST,
    settings=Settings,
    fields={
        "username": "the login of an admin account that is Siteward's own",
        "password": "its password",
    },
    connect=connect,
    probe=probe,
    read=read,
    refresh=refresh,
    bundle=bundle,
    forecast=UmamiForecast,
    write=write,
    review=review,
    reach=reach,
    leftovers=leftovers,
    finish=finish,
    releases=("3.2", "3.1", "2.20", "3.4", "3.3"),
    known=(
        Known(
            release="3.4",
            how=READ,
            source="the published API client 0.81.0, which carries the server's contract, and single newer files; a later "
            "release looks the same",
            date="2026-11-28",
            first=(3, 4),
        ),
        Known(
            release="3.3",
            how=READ,
            source="the published API client 0.81.0, the contract of 3.3.1, and the source of two-factor login",
            date="2026-11-28",
            first=(3, 3),
        ),
        Known(release="3.2", how=LIVE, source="server 3.2.0", date="2026-11-28", first=(3, 2)),
        Known(release="3.1", how=LIVE, source="server 3.1.0", date="2026-11-28", first=(3, 1)),
        Known(release="3.0", how=READ, source="its source", date="2026-11-22", first=(3, 0)),
        Known(release="2.20", how=LIVE, source="server 2.20.2", date="2026-11-22", first=(2, 20)),
    ),
    keys=(
        KeysRead(
            release="3.4",
            what="those of Siteward's own account: name, when made, last used; no prefix. Those of others are shown to their owners alone (blind spot `api-keys`)",
            source="the published API client 0.81.0, and the source of the keys' check",
            date="2026-11-28",
        ),
        KeysRead(
            release="up to 3.3",
            what="there are none: programs log in with a password, and hold a token that no list shows",
            source="servers 2.20.2, 3.1.0 and 3.2.0; the contract of 3.3.1",
            date="2026-11-28",
        ),
    ),
    limits=(
        "no grants on single sites: a site is in one team, and whoever is in it sees the site (`layout`)",
        "a site that belongs to another account, or to nobody, cannot be moved by an admin",
        "team-member, which `edit` becomes, may also reset and delete the site",
        (
            "each member can read the team's access code and join again with it: Siteward sets a new one after every "
            "revocation, and POST /api/teams/join should be blocked at the proxy"
        ),
        "a share link's token outlives the link",
        "3.1 and later: public links to boards are never listed (blind spot `board-links`)",
        "3.4 and later: API keys are listed to their owner alone and no new password ends them (blind spot `api-keys`)",
        "3.3 and later: two-factor login must not be required of Siteward's account, because a program can give no code",
        (
            "with Redis (3.1 and 3.2, recorded) a login lasts an hour, one of `/api/auth/sso` a day, and Siteward logs in "
            "anew; rights are read in the database at each request, so nothing that was taken lives on in Redis"
        ),
        "no last login, no e-mail address, no disabled accounts: `suspended` is no role and no team",
        "2.20 shows neither teams without members nor sites that belong to nobody",
        "Umami Cloud has no API for users",
    ),
)
