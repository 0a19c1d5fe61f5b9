"""The table that describes Plausible to the rest of the program."""

from __future__ import annotations

from types import MappingProxyType

from siteward.platforms.interface import Platform
from siteward.platforms.known import READ, KeysRead, Known
from siteward.platforms.plausible.community import GRANTS
from siteward.platforms.plausible.forecast import forecast
from siteward.platforms.plausible.leaving import leftovers
from siteward.platforms.plausible.probe import probe, reach
from siteward.platforms.plausible.read import read, refresh
from siteward.platforms.plausible.review import review
from siteward.platforms.plausible.roles import WIDEST
from siteward.platforms.plausible.session import connect
from siteward.platforms.plausible.settings import NAME, Settings
from siteward.platforms.plausible.write import bundle, write

PLATFORM = Platform(
    name=NAME,
    title="Plausible",
    widest=WIDEST,
    settings=Settings,
    fields=MappingProxyType({}),
    optional_fields=MappingProxyType(
        {
            "api_key": "Cloud and Enterprise: a Sites key of an owner or admin of the team, made in Settings, API Keys",
            "email": "Community Edition: the address of an owner or admin of the team, Siteward's own",
            "password": "Community Edition: its password",
            "totp_secret": "Community Edition: the secret of its second factor, if it has one",
            "database_url": "Community Edition: postgresql://… with a role that may only read",
        }
    ),
    connect=connect,
    probe=probe,
    read=read,
    refresh=refresh,
    bundle=bundle,
    forecast=forecast,
    write=write,
    review=review,
    reach=reach,
    leftovers=leftovers,
    releases=("cloud", "enterprise", "ce-3"),
    known=(
        Known(
            release="cloud",
            how=READ,
            source="the source of 2026-05-20 with its own tests, and the public documentation of 2026-07-24",
            date="2026-11-28",
            edition="cloud",
        ),
        Known(
            release="enterprise",
            how=READ,
            source="the source of 2026-05-20 with its own tests, and the public documentation of 2026-07-24",
            date="2026-11-28",
            edition="enterprise",
        ),
        Known(
            release="ce-3 (3.0 to 3.2)",
            how=READ,
            source="the source up to v3.2.0; its tables were made in a real PostgreSQL",
            date="2026-11-28",
            first=(3, 0),
            last=(3, 2),
            edition="ce",
        ),
    ),
    keys=(
        KeysRead(
            release="cloud, enterprise",
            what="nothing: no call lists API keys; their owner sees them under Settings, API Keys",
            source="the source of 2026-05-20, and the public documentation of 2026-07-24",
            date="2026-11-28",
        ),
        KeysRead(
            release="ce-3 (3.0 to 3.2)",
            what="all of the team: owner, name, scopes and when each was made, from the table `api_keys`; never `key_hash` or `key_prefix`. Last use and an end are not kept",
            source="the source up to v3.2.0; the table was made in a real PostgreSQL",
            date="2026-11-29",
        ),
    ),
    limits=(
        "guests of single sites only; members of the team reach every site of it and are never changed",
        "Cloud and Enterprise: members of the team cannot be seen (blind spot `team-members`)",
        "Cloud and Enterprise: nor can public dashboards and shared links (blind spot `shared-links`); Community Edition's are read, and closed by hand",
        "a guest who is an editor may rename the site (3.2 and later, Cloud too): a site that seems gone may be that",
        "everybody is invited, and has access once they have accepted; an invitation lives 48 to 72 hours",
        "Cloud and Enterprise: the role of a guest who has accepted is changed by hand, or by `role_change: reinvite`",
        "600 requests an hour and 60 in 10 seconds, shared by all keys of the team; one request for each site",
        "whose API key is used cannot be found out: `self` names it",
        "Cloud and Enterprise: single sign-on makes people viewers of all sites of the team when they log in, whatever their grants",
        "Cloud: who creates a team takes all their personal sites into it; such a site belongs to another team then, it is not gone",
        "Community Edition after 3.2: mails need another adapter than `Bamboo.SMTPAdapter`; an invitation without its mail is no access",
        "Community Edition 3.x: read in its PostgreSQL database (extra `postgres`), written through its web forms",
        "its database may stand behind PgBouncer in session or transaction mode; the URL then holds no `options`",
        "a table whose rows a policy (row-level security) would hide from the role is refused, whatever the policy says",
    ),
    setup=GRANTS,
)
