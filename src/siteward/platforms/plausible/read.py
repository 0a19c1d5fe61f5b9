"""Reading one team whole, with the proof that nothing is missing: through the Sites API, or in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.plausible.community import snapshot
from siteward.platforms.plausible.fold import fold
from siteward.platforms.plausible.sites_api import read_guests

if TYPE_CHECKING:
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Reader


def read(reader: Reader, settings: Settings, traits: Traits) -> Live:
    """Return all access on the instance; raises `PlatformError` for half an answer.

    The Sites API takes one request for each site, one for each hundred sites and one for the team (API.md section 14);
    the database one query.
    """
    seen = snapshot if reader.rows else read_guests
    return fold(seen(reader, settings, traits))
