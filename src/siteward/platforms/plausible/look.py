"""Reading again just what some changes touch: the guest lists of their sites, or the database as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Grant, Key, Resource, Scope, Subject, account_of, scope_of
from siteward.platforms.plausible.community import snapshot
from siteward.platforms.plausible.fold import fold
from siteward.platforms.plausible.picture import Entry, find, picture_of
from siteward.platforms.plausible.sites_api import guests_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from siteward.access.state import Live
    from siteward.transport.http import Reader


def look(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return what stands under each of `keys` now, under the names that `live` has; `None` where surely nothing does.

    A grant on a site that is not in `live` is left out, because it cannot be told; so is an account, which is nothing
    but its grants. Raises `PlatformError`.
    """
    picture = picture_of(live)
    known = {each.scope: each.domain for each in picture.places.values()}
    wanted = {scope for key in keys if (scope := scope_of(key)) in known}
    if picture.door == "api":
        ordered = sorted(wanted)
        lists = reader.map(lambda scope: guests_of(reader, known[scope]), ordered)
        return _told(keys, dict(zip(ordered, lists, strict=True)))
    now = fold(snapshot(reader, picture.settings, picture.traits)).access
    grants = {(_lower(each.key), each.scope): each.role for each in now.grants()}
    return {
        key: _grant(key, grants.get((_lower(key), scope)))
        for key in keys
        if (scope := scope_of(key)) is not None and scope in wanted
    }


def _told(keys: Collection[Key], lists: Mapping[Scope, tuple[Entry, ...]]) -> Mapping[Key, Resource | None]:
    told: dict[Key, Resource | None] = {}
    for key in keys:
        scope = scope_of(key)
        if scope is not None and scope in lists:
            entry = find(lists[scope], account_of(key) or "")
            told[key] = _grant(key, entry.role if entry else None)
    return told


def _grant(key: Key, role: str | None) -> Grant | None:
    return Grant(Subject("account", account_of(key) or ""), Scope(key[3], key[4]), role) if role else None


def _lower(key: Key) -> str:
    return (account_of(key) or "").lower()
