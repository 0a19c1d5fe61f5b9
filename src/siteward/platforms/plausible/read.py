"""Reads one whole team, with proof of completeness, through the Sites API or from the database.

`refresh` reads again only what some changes touch: through the Sites API the guest lists of their sites; the database is
read whole, because that is one query too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, note, warning
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Key,
    Resource,
    Scope,
    Subject,
    account_key,
    account_of,
    scope_of,
)
from siteward.access.state import Live, Site
from siteward.platforms.interface import native
from siteward.platforms.plausible.community import snapshot
from siteward.platforms.plausible.native_state import Entry, NativeState, Place, find, folded
from siteward.platforms.plausible.roles import TEAM_ROLES
from siteward.platforms.plausible.sites_api import guests_of, read_guests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from siteward.access.traits import Traits
    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Reader


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return all access on the instance; raises `PlatformError` if any part of it is missing.

    The Sites API takes one request for each site, one for each hundred sites and one for the team (API.md section 14);
    the database one query.
    """
    read_state = snapshot if reader.rows else read_guests
    return live_of(read_state(reader, settings, traits))


# --- the live state ---------------------------------------------------------------------------------------------------


def live_of(state: NativeState) -> Live:
    """Return a native state as a live state, with its findings."""
    names = _spellings(state)
    guests = tuple(_guest_grants(state, names))
    pending = frozenset(grant.key for grant, waits in guests if waits)
    waiting = _pending_names(state, names)
    accounts = (Account(name, status="pending" if name in waiting else "active") for name in names.values())
    return Live(
        access=Access((*accounts, *(grant for grant, _ in guests), *_team_grants(state, names))),
        sites={place.scope: _make_site(place) for place in state.places.values()},
        me=state.me,
        ids={account_key(name): state.ids[email] for email, name in names.items() if email in state.ids},
        pending=pending,
        facts=dict(_account_facts(state, names)),
        listings=state.listings,
        findings=tuple(findings(state)),
        open={place.scope: told for place in state.places.values() if (told := tuple(_report_open(place)))},
        keys=tuple(replace(key, account=names.get(folded(key.account), key.account)) for key in state.keys),
        native=state,
    )


def _spellings(state: NativeState) -> dict[str, str]:
    """Return the spelling of each address, by its folded form: an accepted guest's before an invitation's."""
    entries = [entry for place in state.places.values() for entry in place.entries]
    entries.sort(key=lambda entry: (entry.status, folded(entry.email), entry.email))
    names: dict[str, str] = {}
    for email in (*(colleague.email for colleague in state.colleagues), *(entry.email for entry in entries)):
        names.setdefault(folded(email), email)
    return names


def _guest_grants(state: NativeState, names: Mapping[str, str]) -> Iterator[tuple[Grant, bool]]:
    """Yield the grant of each guest, and whether it is pending; where an address has two entries, the accepted one."""
    for place in state.places.values():
        seen: set[str] = set()
        for entry in sorted(place.entries, key=lambda entry: entry.status):
            email = folded(entry.email)
            if email not in seen:
                seen.add(email)
                yield _grant_at(names[email], place, entry.role), entry.status == "invited"


def _team_grants(state: NativeState, names: Mapping[str, str]) -> Iterator[Grant]:
    """Yield the grants of the members of the team, who reach every site of it."""
    for colleague in state.colleagues:
        if not colleague.invited:
            for place in state.places.values():
                yield _grant_at(names[folded(colleague.email)], place, TEAM_ROLES.get(colleague.role, colleague.role))


def _grant_at(name: str, place: Place, role: str) -> Grant:
    return Grant(Subject("account", name), place.scope, role)


def _pending_names(state: NativeState, names: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the accounts that have accepted no invitation yet."""
    entries = [entry for place in state.places.values() for entry in place.entries]
    accepted = {folded(entry.email) for entry in entries if entry.status == "accepted"}
    accepted |= {folded(colleague.email) for colleague in state.colleagues if not colleague.invited}
    return frozenset(name for email, name in names.items() if email not in accepted)


def _make_site(place: Place) -> Site:
    name = place.scope.name
    return Site(id=place.domain, label=name, name=place.domain, domains=(name,))


def _account_facts(state: NativeState, names: Mapping[str, str]) -> Iterator[tuple[Key, Mapping[str, str]]]:
    """Yield the facts about accounts that reviews show: the last visit, and the role in the team."""
    colleagues = {folded(colleague.email): colleague for colleague in state.colleagues}
    for email, name in names.items():
        facts = {"last_seen": state.seen[email]} if email in state.seen else {}
        if (colleague := colleagues.get(email)) is not None:
            facts["team"] = f"invited as {colleague.role}" if colleague.invited else colleague.role
        if facts:
            yield account_key(name), facts


# --- findings ---------------------------------------------------------------------------------------------------------


def findings(state: NativeState) -> Iterator[Diagnostic]:
    """Yield everything a reviewer of this instance should know, in a fixed order."""
    if state.door == "api":
        yield note(
            "guest-layer-only",
            "only guests of single sites can be seen and managed here; members of the team, who reach every site of it, "
            "cannot be seen through the Sites API",
        )
        return
    yield from _report_single_owner(state)
    yield from _report_team(state)
    yield from _report_sites(state)


def _report_single_owner(state: NativeState) -> Iterator[Diagnostic]:
    """Warn of a team with one owner only."""
    owners = sorted(
        colleague.email for colleague in state.colleagues if colleague.role == "owner" and not colleague.invited
    )
    if len(owners) == 1:
        yield warning(
            "single-owner",
            f"{owners[0]} is the team's only owner; without one the team cannot be managed",
            hint="make a second person owner in Plausible",
        )


def _report_team(state: NativeState) -> Iterator[Diagnostic]:
    """Report open invitations into the team, and sites that are being handed over."""
    for colleague in state.colleagues:
        if colleague.invited:
            yield note(
                "team-invitation",
                f"{colleague.email} is invited into the team as {colleague.role}; nothing here changes it",
            )
    for domain, email in sorted(state.transfers):
        yield warning("site-transfer", f"{domain} is being handed over to {email}; its guests go with it")


def _report_sites(state: NativeState) -> Iterator[Diagnostic]:
    """Warn of renamed sites, and of public ones and shared links."""
    for place in sorted(state.places.values(), key=lambda place: place.domain):
        if place.previous:
            yield warning(
                "site-renamed",
                f"{place.domain} was {place.previous}; the old name answers for 72 hours and is free for others then",
                hint="write the new name into the file",
            )
        yield from _report_open(place)


def _report_open(place: Place) -> Iterator[Diagnostic]:
    """Warn of what lets people without an account see a site, with who can end it: the settings are pages only."""
    who = "an editor of the site or of the team"
    if place.public:
        message = f"{place.domain} is public: everybody can see its statistics"
        hint = f"{who} makes it private in Plausible, in the site's settings"
        yield warning("public-dashboard", message, hint=hint, thing=place.domain, facts=("public",))
    for link in place.links:
        message = f"{place.domain} has the shared link {link}: whoever knows it sees the statistics"
        hint = f"{who} deletes it in Plausible, in the site's settings"
        yield warning("shared-link", message, hint=hint, thing=place.domain, facts=(f"link {link}",))


# --- refresh ----------------------------------------------------------------------------------------------------------


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return the grant of each of `keys` as it is now, under the names of `live`; `None` where there surely is none.

    Left out are keys that cannot be read: grants on a site that is not in `live`, and accounts, which exist only through
    their grants. Raises `PlatformError`.
    """
    state = native(live, NativeState)
    domains = {place.scope: place.domain for place in state.places.values()}
    wanted = {scope for key in keys if (scope := scope_of(key)) in domains}
    if state.door == "api":
        ordered = sorted(wanted)
        lists = reader.map(lambda scope: guests_of(reader, domains[scope]), ordered)
        return _find_grants(keys, dict(zip(ordered, lists, strict=True)))
    now = live_of(snapshot(reader, state.settings, state.traits)).access
    roles = {(_folded_account(grant.key), grant.scope): grant.role for grant in now.grants()}
    return {
        key: _make_grant(key, roles.get((_folded_account(key), scope)))
        for key in keys
        if (scope := scope_of(key)) is not None and scope in wanted
    }


def _find_grants(keys: Collection[Key], lists: Mapping[Scope, tuple[Entry, ...]]) -> Mapping[Key, Resource | None]:
    """Return the grant of each key on one of the sites in `lists`, `None` where the site's list has no entry for it."""
    grants: dict[Key, Resource | None] = {}
    for key in keys:
        scope = scope_of(key)
        if scope is not None and scope in lists:
            entry = find(lists[scope], account_of(key) or "")
            grants[key] = _make_grant(key, entry.role if entry else None)
    return grants


def _make_grant(key: Key, role: str | None) -> Grant | None:
    """Return the grant of that key with a role, or `None` without one."""
    return Grant(Subject("account", account_of(key) or ""), Scope(key[3], key[4]), role) if role else None


def _folded_account(key: Key) -> str:
    return folded(account_of(key) or "")
