"""Reads one whole team, with proof of completeness, through the Sites API or from the database.

`refresh` reads again only what some changes touch: the guest lists of their sites, or the whole database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Grant, Key, Resource, Scope, Subject, account_of, scope_of
from siteward.platforms.interface import native
from siteward.platforms.plausible.community import snapshot
from siteward.platforms.plausible.native_state import Entry, NativeState, find
from siteward.platforms.plausible.sites_api import guests_of, read_guests
from siteward.platforms.plausible.to_access import live_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Reader


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return all access on the instance; raises `PlatformError` for half an answer.

    The Sites API takes one request for each site, one for each hundred sites and one for the team (API.md section 14);
    the database one query.
    """
    read_state = snapshot if reader.rows else read_guests
    return live_of(read_state(reader, settings, traits))


# --- refresh ----------------------------------------------------------------------------------------------------------


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return the resource of each of `keys` as it is now, under the names of `live`; `None` where there surely is none.

    Left out are keys that cannot be read: grants on a site that is not in `live`, and accounts, which exist only as
    the holders of grants. Raises `PlatformError`.
    """
    state = native(live, NativeState)
    known = {place.scope: place.domain for place in state.places.values()}
    wanted = {scope for key in keys if (scope := scope_of(key)) in known}
    if state.door == "api":
        ordered = sorted(wanted)
        lists = reader.map(lambda scope: guests_of(reader, known[scope]), ordered)
        return _find_grants(keys, dict(zip(ordered, lists, strict=True)))
    now = live_of(snapshot(reader, state.settings, state.traits)).access
    grants = {(_folded_account(grant.key), grant.scope): grant.role for grant in now.grants()}
    return {
        key: _make_grant(key, grants.get((_folded_account(key), scope)))
        for key in keys
        if (scope := scope_of(key)) is not None and scope in wanted
    }


def _find_grants(keys: Collection[Key], lists: Mapping[Scope, tuple[Entry, ...]]) -> Mapping[Key, Resource | None]:
    found: dict[Key, Resource | None] = {}
    for key in keys:
        scope = scope_of(key)
        if scope is not None and scope in lists:
            entry = find(lists[scope], account_of(key) or "")
            found[key] = _make_grant(key, entry.role if entry else None)
    return found


def _make_grant(key: Key, role: str | None) -> Grant | None:
    return Grant(Subject("account", account_of(key) or ""), Scope(key[3], key[4]), role) if role else None


def _folded_account(key: Key) -> str:
    return (account_of(key) or "").lower()
