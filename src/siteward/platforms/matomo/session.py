"""The doors of one Matomo: its credentials, and which calls only read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from siteward.platforms.matomo.rpc import BULK, PATH, query, reads_only

if TYPE_CHECKING:
    from siteward.platforms.matomo.settings import Settings
    from siteward.transport.http import Doors, Link
    from siteward.transport.secrets import Secrets


def connect(_settings: Settings, secrets: Secrets, link: Link) -> Doors:
    """Return the doors; nothing is sent yet.

    Matomo answers questions and takes commands at one address, by POST. So the reading side lets one thing through:
    a bulk, with exactly our query, of which every entry calls a method that only reads.
    """
    from siteward.platforms.matomo.token import Token  # noqa: PLC0415 — `validate` loads this module, and needs no HTTP
    from siteward.transport.http import Reading, open_doors  # noqa: PLC0415

    bulk = Reading("POST", re.escape(PATH), body=reads_only, query=re.escape(urlencode(query(BULK))))
    auth = Token(secrets.get("token"), secrets.optional("password"))
    return open_doors(link, reads=[bulk], auth=auth, scrub=secrets.scrub)
