"""Attribution of drift from the audit log (API.md section 11).

Only owners may read the log, the names of its types are not published, and how long it reaches back is a setting of
the account. So it shows who last changed something about the same person or group, and never that nobody did.
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
    """Return the author, time and type of the last entry since then, in words, for each key that the log mentions."""
    subjects = {key: at for key in keys if (at := _subject_id(key, live))}
    try:
        entries = list(_read_entries(reader, sorted(set(subjects.values())), since)) if subjects else []
    except ForbiddenError:
        return {}
    changed_by = {}
    for key, subject in subjects.items():
        place = _place_id(key, live)
        entry = next((entry for entry in entries if entry.subject == subject and _concerns(entry, place)), None)
        if entry:
            changed_by[key] = f"{entry.author or 'somebody'} on {entry.created} ({entry.type})"
    return changed_by


def _subject_id(key: Key, live: Live) -> str | None:
    """Return the id of the person or group that a key is about, or `None` if it is not known."""
    match key:
        case ("account", name) | ("member", _, name) | ("grant", "account", name, _, _):
            return live.ids.get(account_key(name))
        case ("group", name) | ("grant", "group", name, _, _):
            return live.ids.get(Group(name).key)
        case _:
            return None


def _place_id(key: Key, live: Live) -> str | None:
    """Return the id of the site or group that a key is about, beside its subject; `None` for none."""
    if key[0] == "member":
        return live.ids.get(Group(key[1]).key)
    scope = scope_of(key)
    site = live.sites.get(scope) if scope else None
    return site.id if site else None


def _concerns(entry: Entry, place: str | None) -> bool:
    """Return whether an entry may be about that place; it is not if it names another one."""
    named = entry.payload.get("id") if isinstance(entry.payload, dict) else None
    return place is None or named is None or named == place


def _read_entries(reader: Reader, subjects: list[str], since: datetime | None) -> Iterator[Entry]:
    """Yield the entries about these people and groups, newest first, a thousand at most."""
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
