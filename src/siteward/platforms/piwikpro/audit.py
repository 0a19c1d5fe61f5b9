"""Who caused what, and when, out of the audit log (API.md section 11), for drift.

Only owners may read the log, its types have names that nobody publishes, and how long it reaches back is a setting
of the account: what is told is who last changed something about the same person or group, never that nobody did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Group, account_key, scope_of
from siteward.platforms.piwikpro.rows import AUDIT_PAGE, Entry, Page, ask
from siteward.transport.errors import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.transport.http import Reader

ENTRIES = "/api/audit-log/v1/entries"
_MOST_PAGES = 10


def blame(reader: Reader, keys: Collection[Key], live: Live, since: datetime | None) -> Mapping[Key, str]:
    """Return, for each key the log speaks of, who last touched it since then, when, and by what kind of event."""
    subjects = {key: at for key in keys if (at := _subject(key, live))}
    try:
        entries = list(_entries(reader, sorted(set(subjects.values())), since)) if subjects else []
    except ForbiddenError:
        return {}
    told = {}
    for key, subject in subjects.items():
        place = _place(key, live)
        entry = next((entry for entry in entries if entry.subject == subject and _is_there(entry, place)), None)
        if entry:
            told[key] = f"{entry.author or 'somebody'} on {entry.created} ({entry.type})"
    return told


def _subject(key: Key, live: Live) -> str | None:
    """Return the id of the person or group that a key is about."""
    match key:
        case ("account", name) | ("member", _, name) | ("grant", "account", name, _, _):
            return live.ids.get(account_key(name))
        case ("group", name) | ("grant", "group", name, _, _):
            return live.ids.get(Group(name).key)
        case _:
            return None


def _place(key: Key, live: Live) -> str | None:
    """Return the id of the site or group that a key is about besides."""
    if key[0] == "member":
        return live.ids.get(Group(key[1]).key)
    scope = scope_of(key)
    site = live.sites.get(scope) if scope else None
    return site.id if site else None


def _is_there(entry: Entry, place: str | None) -> bool:
    """Tell whether an entry may be about that place: one that names another is not."""
    named = entry.payload.get("id") if isinstance(entry.payload, dict) else None
    return place is None or named is None or named == place


def _entries(reader: Reader, subjects: list[str], since: datetime | None) -> Iterator[Entry]:
    """Yield what the log says of these people and groups, newest first, a thousand lines at most."""
    params: dict[str, str | int] = {
        "filter[subject_id]": ",".join(subjects),
        "sort": "-created_at",
        "limit": AUDIT_PAGE,
    }
    if since is not None:
        params["filter[date_from]"] = since.isoformat()
    for number in range(_MOST_PAGES):
        page = ask(reader, ENTRIES, Page[Entry], {**params, "offset": number * AUDIT_PAGE})
        yield from (row.attributes for row in page.rows)
        if len(page.rows) < AUDIT_PAGE:
            return
