"""From a picture of the team to neutral access: guests are grants, and an address is one account in any letter case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Access, Account, Grant, Key, Subject, account_key
from siteward.access.state import Live, Site
from siteward.platforms.plausible.findings import findings
from siteward.platforms.plausible.picture import Picture, Place, folded
from siteward.platforms.plausible.roles import TEAM_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def fold(picture: Picture) -> Live:
    """Return the live state that a picture amounts to."""
    names = _names(picture)
    guests = tuple(_guests(picture, names))
    pending = frozenset(grant.key for grant, waits in guests if waits)
    waiting = _waiting(picture, names)
    accounts = (Account(name, status="pending" if name in waiting else "active") for name in names.values())
    return Live(
        access=Access((*accounts, *(grant for grant, _ in guests), *_members(picture, names))),
        sites={each.scope: _site(each) for each in picture.places.values()},
        me=picture.me,
        pending=pending,
        facts=dict(_facts(picture, names)),
        listings=picture.listings,
        findings=tuple(findings(picture)),
        native=picture,
    )


def _names(picture: Picture) -> dict[str, str]:
    """Return the spelling of each address, by its folded form: an accepted guest's before an invitation's."""
    entries = [each for place in picture.places.values() for each in place.entries]
    entries.sort(key=lambda each: (each.status, folded(each.email), each.email))
    names: dict[str, str] = {}
    for email in (*(each.email for each in picture.colleagues), *(each.email for each in entries)):
        names.setdefault(folded(email), email)
    return names


def _guests(picture: Picture, names: Mapping[str, str]) -> Iterator[tuple[Grant, bool]]:
    for place in picture.places.values():
        seen: set[str] = set()
        for each in sorted(place.entries, key=lambda entry: entry.status):
            if folded(each.email) not in seen:
                seen.add(folded(each.email))
                yield _grant(names[folded(each.email)], place, each.role), each.status == "invited"


def _members(picture: Picture, names: Mapping[str, str]) -> Iterator[Grant]:
    for each in picture.colleagues:
        if not each.invited:
            for place in picture.places.values():
                yield _grant(names[folded(each.email)], place, TEAM_ROLES.get(each.role, each.role))


def _grant(name: str, place: Place, role: str) -> Grant:
    return Grant(Subject("account", name), place.scope, role)


def _waiting(picture: Picture, names: Mapping[str, str]) -> frozenset[str]:
    """Return those who have accepted nothing yet."""
    entries = [each for place in picture.places.values() for each in place.entries]
    here = {folded(each.email) for each in entries if each.status == "accepted"}
    here |= {folded(each.email) for each in picture.colleagues if not each.invited}
    return frozenset(name for email, name in names.items() if email not in here)


def _site(place: Place) -> Site:
    name = place.scope.name
    return Site(id=place.domain, label=name, name=place.domain, domains=(name,))


def _facts(picture: Picture, names: Mapping[str, str]) -> Iterator[tuple[Key, Mapping[str, str]]]:
    roles = {folded(each.email): each for each in picture.colleagues}
    for email, name in names.items():
        facts = {"last_seen": picture.seen[email]} if email in picture.seen else {}
        if email in roles:
            facts["team"] = f"invited as {roles[email].role}" if roles[email].invited else roles[email].role
        if facts:
            yield account_key(name), facts
