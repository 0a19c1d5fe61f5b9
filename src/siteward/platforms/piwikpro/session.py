"""The doors into one Piwik PRO account, their reading calls and rate limits, and the user who made the key."""

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

# 600 GET and 60 other calls a minute, by the method alone (API.md section 1). A minute has a second more here, because
# a request that travels faster than the one a minute before it would still be too many in the server's minute.
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


def own_user(reader: Reader) -> Row[User]:
    """Return the user who made the key; it is read once and kept beside the token. Raises `PlatformError`."""
    login = reader.auth
    if not isinstance(login, ClientCredentials):
        raise TypeError("this reader was not opened by the Piwik PRO adapter")
    if login.own is None:
        login.own = ask(reader, ME, One[User]).data
    return login.own
