"""The doors into one Piwik PRO account: what only reads, how fast to go, and whose key it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.login import TOKEN, ClientCredentials
from siteward.platforms.piwikpro.rows import One, User, ask
from siteward.transport.http import Doors, Rate, Reading, open_doors

if TYPE_CHECKING:
    from siteward.platforms.piwikpro.rows import Row
    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Reader
    from siteward.transport.link import Link
    from siteward.transport.secrets import Secrets

JSON_API = "application/vnd.api+json"
ME = "/api/users/v2/me"

READS = (
    Reading("POST", TOKEN),
    Reading("GET", r"/api/(users|apps|access-control)/v2(/.*)?"),
    Reading("GET", r"/api/(user-groups|meta-sites|modules|audit-log)/v1(/.*)?"),
    Reading("POST", r"/api/modules/v1/by-users"),
)

# 600 GET and 60 other calls a minute, by the verb alone (API.md section 1). A request that is quicker on its way
# than one a minute before it would still be one too many in the server's minute: hence a second more.
_MINUTE = 61.0
RATES = (Rate(600, _MINUTE),)
WRITE_RATES = (Rate(60, _MINUTE),)
SECONDS_A_WRITE = _MINUTE / 60


def connect(settings: Settings, secrets: Secrets, link: Link) -> Doors:  # noqa: ARG001 — the same for all settings
    """Return the doors; the first request fetches a token."""
    return open_doors(
        link,
        reads=READS,
        auth=ClientCredentials(link.url, secrets, link.clock),
        headers={"Accept": JSON_API, "Content-Type": JSON_API},
        rates=RATES,
        write_rates=WRITE_RATES,
        posts_are_writes=True,
        scrub=secrets.scrub,
    )


def own(reader: Reader) -> Row[User]:
    """Return the person whose key the credentials are, asked for once and kept beside the token."""
    login = reader.auth
    if not isinstance(login, ClientCredentials):
        raise TypeError("this reader was not opened by the Piwik PRO adapter")
    if login.own is None:
        login.own = ask(reader, ME, One[User]).data
    return login.own
