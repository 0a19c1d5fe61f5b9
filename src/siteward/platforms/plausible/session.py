"""Which door leads into one Plausible, what only reads there, and how fast to go (API.md sections 2, 4 and 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from siteward.transport.errors import SecretMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Answer, Doors, Link, Rate, Reader
    from siteward.transport.secrets import Secrets

CLOUD = "plausible.io"
SYSTEM = "/api/system"
HOUR, MINUTE, BURST = 3600.0, 60.0, 10.0
_BURST_CALLS = 60
_SPARE = 0.5


def rates(settings: Settings) -> Sequence[Rate]:
    """Return how many requests the team has (API.md section 4).

    The server counts in windows of its own clock; what never is more in any window of that length is not more in one
    of theirs. A little longer, because requests may be quicker on their way than those before them.
    """
    from siteward.transport.http import Rate  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP

    return (Rate(settings.requests_per_hour, HOUR + _SPARE), Rate(_BURST_CALLS, BURST + _SPARE))


def connect(settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors: the Sites API where there is an API key, else Community Edition's database and web forms.

    `edition` decides where it is not `auto`. Raises `SecretMissingError` for what is needed and not there; nothing is sent.
    """
    if settings.edition == "ce" or (settings.edition == "auto" and secrets.optional("api_key") is None):
        return _community(settings, secrets, link)
    return _sites_api(settings, secrets, link)


def _sites_api(settings: Settings, secrets: Secrets, link: Link) -> Doors:
    from siteward.platforms.plausible.key import BearerAuth  # noqa: PLC0415 — see above
    from siteward.platforms.plausible.sites_api import READS  # noqa: PLC0415
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415

    return open_doors(
        link,
        reads=[Reading(*each) for each in READS],
        auth=BearerAuth(secrets.get("api_key")),
        headers={"Accept": "application/json"},
        rates=rates(settings),
        scrub=secrets.scrub,
        closed_for=closed_for,
    )


def _community(settings: Settings, secrets: Secrets, link: Link) -> Doors:
    from siteward.platforms.plausible.forms import FORM_READS, WebLogin  # noqa: PLC0415 — see above
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415
    from siteward.transport.sql import SqlReader  # noqa: PLC0415

    url = secrets.optional("database_url")
    if url is None:
        if settings.edition == "auto":
            raise SecretMissingError(
                "there is neither an API key nor a database url, so no edition of Plausible can be read",
                hint="Cloud and Enterprise: set …_API_KEY; Community Edition: …_DATABASE_URL, …_EMAIL and …_PASSWORD",
            )
        url = secrets.get("database_url")
    return open_doors(
        link,
        reads=[Reading(*each) for each in FORM_READS],
        auth=WebLogin(link.url, secrets),
        scrub=secrets.scrub,
        closed_for=closed_to_logins,
        rows=SqlReader(url, scrub=secrets.scrub),
    )


def is_cloud(reader: Reader) -> bool:
    """Tell whether this is Plausible's own Cloud."""
    host = urlsplit(reader.origin).hostname or ""
    return host == CLOUD or host.endswith(f".{CLOUD}")


def closed_for(answer: Answer) -> float | None:
    """Return the seconds until the window is over that an answer 429 speaks of, and a little more.

    There is no `Retry-After`; the text says which of the two limits was met, and windows begin with the server's hour
    or ten seconds (API.md section 4).
    """
    window = HOUR if " hour" in answer.text else BURST if " seconds" in answer.text else None
    return None if window is None else _rest(window, answer)


def closed_to_logins(answer: Answer) -> float | None:
    """Return the seconds until the minute is over in which there were five logins (API.md section 10)."""
    return _rest(MINUTE, answer)


def _rest(window: float, answer: Answer) -> float | None:
    """Return the seconds that are left of a window of the server's clock, and a little more."""
    from siteward.platforms.plausible.rows import told  # noqa: PLC0415 — see above

    now = told(answer)
    return None if now is None else window - now.timestamp() % window + _SPARE
