"""Translates the native state of a team into neutral access: an address is one account in any letter case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Access, Account, Grant, Key, Subject, account_key
from siteward.access.state import Live, Site
from siteward.platforms.plausible.findings import findings
from siteward.platforms.plausible.native_state import NativeState, Place, folded
from siteward.platforms.plausible.roles import TEAM_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def live_of(state: NativeState) -> Live:
    """Return a native state as a live state."""
    names = _spellings(state)
    guests = tuple(_guest_grants(state, names))
    pending = frozenset(grant.key for grant, waits in guests if waits)
    waiting = _pending_names(state, names)
    accounts = (Account(name, status="pending" if name in waiting else "active") for name in names.values())
    return Live(
        access=Access((*accounts, *(grant for grant, _ in guests), *_team_grants(state, names))),
        sites={place.scope: _make_site(place) for place in state.places.values()},
        me=state.me,
        pending=pending,
        facts=dict(_account_facts(state, names)),
        listings=state.listings,
        findings=tuple(findings(state)),
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
    for place in state.places.values():
        seen: set[str] = set()
        for entry in sorted(place.entries, key=lambda entry: entry.status):
            email = folded(entry.email)
            if email not in seen:
                seen.add(email)
                yield _make_grant(names[email], place, entry.role), entry.status == "invited"


def _team_grants(state: NativeState, names: Mapping[str, str]) -> Iterator[Grant]:
    for colleague in state.colleagues:
        if not colleague.invited:
            for place in state.places.values():
                yield _make_grant(names[folded(colleague.email)], place, TEAM_ROLES.get(colleague.role, colleague.role))


def _make_grant(name: str, place: Place, role: str) -> Grant:
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
    roles = {folded(colleague.email): colleague for colleague in state.colleagues}
    for email, name in names.items():
        facts = {"last_seen": state.seen[email]} if email in state.seen else {}
        if email in roles:
            facts["team"] = f"invited as {roles[email].role}" if roles[email].invited else roles[email].role
        if facts:
            yield account_key(name), facts
