"""The doors into one Plausible instance, their reading calls, and their rate limits (API.md sections 2, 4 and 10)."""

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
_LOGINS = ("/login", "/2fa/verify")
_SPARE = 0.5


def rates(settings: Settings) -> Sequence[Rate]:
    """Return the rate limits of the team (API.md section 4).

    The server counts in fixed windows of its own clock; requests that keep the limit in every window of that length
    keep it there too. The windows here are half a second longer, because a request may travel faster than the one before.
    """
    from siteward.transport.http import Rate  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP

    return (Rate(settings.requests_per_hour, HOUR + _SPARE), Rate(_BURST_CALLS, BURST + _SPARE))


def connect(settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors: the Sites API where there is an API key, else Community Edition's database and web forms.

    `edition` decides where it is not `auto`. Raises `SecretMissingError` for a missing credential; nothing is sent.
    """
    if settings.edition == "ce" or (settings.edition == "auto" and secrets.optional("api_key") is None):
        return _open_community(settings, secrets, link)
    return _open_sites_api(settings, secrets, link)


def _open_sites_api(settings: Settings, secrets: Secrets, link: Link) -> Doors:
    from siteward.platforms.plausible.key import BearerAuth  # noqa: PLC0415 — see above
    from siteward.platforms.plausible.sites_api import READS  # noqa: PLC0415
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415

    return open_doors(
        link,
        reads=[Reading(*route) for route in READS],
        auth=BearerAuth(secrets.get("api_key")),
        headers={"Accept": "application/json"},
        rates=rates(settings),
        scrub=secrets.scrub,
        closed_for=closed_for,
    )


def _open_community(settings: Settings, secrets: Secrets, link: Link) -> Doors:
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
        reads=[Reading(*route) for route in FORM_READS],
        auth=WebLogin(link.url, secrets),
        scrub=secrets.scrub,
        closed_for=closed_to_logins,
        pages=lambda path: not path.startswith("/api/"),
        rows=SqlReader(url, scrub=secrets.scrub, deadline=link.deadline),
    )


def is_cloud(reader: Reader) -> bool:
    """Return whether this is Plausible's own Cloud."""
    host = urlsplit(reader.origin).hostname or ""
    return host == CLOUD or host.endswith(f".{CLOUD}")


def closed_for(answer: Answer) -> float | None:
    """Return the seconds to wait after an answer 429: until its window ends, and half a second more; `None` if unknown.

    There is no `Retry-After`; the text says which of the two limits was exceeded, and windows begin at full hours or
    ten seconds of the server's clock (API.md section 4).
    """
    window = HOUR if " hour" in answer.text else BURST if " seconds" in answer.text else None
    return None if window is None else _seconds_left(window, answer)


def closed_to_logins(answer: Answer) -> float | None:
    """Return the seconds to wait after too many logins: five are allowed in a minute (API.md section 10).

    Plausible bounds nothing else there; another 429 is that of a proxy, which opens when it pleases.
    """
    return _seconds_left(MINUTE, answer) if answer.path.endswith(_LOGINS) else None


def _seconds_left(window: float, answer: Answer) -> float | None:
    """Return the seconds left of a window of the server's clock, and half a second more; `None` if the time is unknown."""
    from siteward.platforms.plausible.rows import server_time  # noqa: PLC0415 — see above

    now = server_time(answer)
    return None if now is None else window - now.timestamp() % window + _SPARE
