"""A bundle of changes, guest by guest: the state machine of MAPPING.md section 3.

    absent ──invite──▶ invited ──(a person accepts)──▶ accepted
    invited ──withdraw──▶ absent          accepted ──remove──▶ absent

A pending role change is withdrawn and sent anew. The role of somebody who has accepted is changed in place where the
web forms do it; through the Sites API only by removing and inviting again, where the file chose that. What stands
there is read again just before, and a change whose ground has moved is not made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from siteward.access.model import Grant, account_of, scope_of
from siteward.platforms.plausible.api_writes import ApiGuests
from siteward.platforms.plausible.form_writes import FormGuests
from siteward.platforms.plausible.picture import Entry, Place, find, picture_of
from siteward.platforms.plausible.settle import DONE, Verdict, failed, unknown
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle, Receipt
    from siteward.platforms.plausible.picture import Picture
    from siteward.transport.http import Writer


class Guests(Protocol):
    """The guest list of one site, through either door; each command tells what became of it."""

    def entries(self) -> tuple[Entry, ...]:
        """Return who is there now; raises `PlatformError`."""

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to somebody who is not there."""

    def remove(self, entry: Entry) -> Verdict:
        """Remove somebody, or withdraw their invitation."""

    def change(self, entry: Entry, role: str) -> Verdict:
        """Give somebody who has accepted another role, in place."""


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Make the changes of one bundle, all on one site, and tell what became of each."""
    picture = picture_of(live)
    scope = scope_of(bundle.changes[0].key)
    place = next((each for each in picture.places.values() if each.scope == scope), None)
    if place is None:
        return [failed(f"{scope} is no site of the team").receipt(each.key) for each in bundle.changes]
    guests = _guests(writer, picture, place)
    try:
        entries = guests.entries()
    except PlatformError as problem:
        return [failed(f"nothing was sent: {problem}", problem.hint).receipt(each.key) for each in bundle.changes]
    return [
        _one(guests, each, find(entries, account_of(each.key) or ""), picture).receipt(each.key)
        for each in bundle.changes
    ]


def _guests(writer: Writer, picture: Picture, place: Place) -> Guests:
    return ApiGuests(writer, place.domain) if picture.door == "api" else FormGuests(writer, place, picture)


def _one(  # noqa: PLR0911 — one for each arrow of the machine
    guests: Guests, change: Change, entry: Entry | None, picture: Picture
) -> Verdict:
    """Make one change; `entry` is what stands there now."""
    before, after = (side.role if isinstance(side, Grant) else None for side in (change.before, change.after))
    now = entry.role if entry else None
    if now == after:
        return DONE
    if now != before:
        return failed(f"it changed meanwhile: {entry.words if entry else 'nothing'} stands there now")
    if entry is None:
        return guests.invite(account_of(change.key) or "", after or "")
    if after is None:
        return guests.remove(entry)
    if entry.status == "accepted" and picture.door == "web":
        return guests.change(entry, after)
    if entry.status == "accepted" and picture.settings.role_change == "manual":
        return failed("they have accepted meanwhile, and then the Sites API changes no role", "role_change: reinvite")
    return _replaced(guests, entry, after)


def _replaced(guests: Guests, entry: Entry, role: str) -> Verdict:
    """Remove and invite again; what went wrong in between is not "nothing happened"."""
    gone = guests.remove(entry)
    if gone.status != "sent":
        return gone
    made = guests.invite(entry.email, role)
    if made.status == "sent":
        return made
    return unknown(f"{entry.words} was taken away, and then: {made.message}", made.hint)
