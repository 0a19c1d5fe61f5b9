"""Writes a bundle of changes guest by guest, by the state machine of MAPPING.md section 3.

    absent ──invite──▶ invited ──(a person accepts)──▶ accepted
    invited ──withdraw──▶ absent          accepted ──remove──▶ absent

A pending role change is withdrawn and sent anew. The role of a guest who has accepted is changed in place where the
web forms do it; through the Sites API only by removing and inviting again, where the file chose that. The guests are
read again just before, and a change whose entry is no longer as planned is not made.

All changes on one site go together, because its guests are then read once. The seconds of a bundle are the waiting
time that the rate limits add, counted from the reading before: all requests of a plan share one hour's budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from siteward.access.model import Grant, Scope, account_of, scope_of
from siteward.platforms.confirm import DONE, Verdict, failed, unknown
from siteward.platforms.interface import Bundle, native
from siteward.platforms.plausible.api_writes import ApiGuests
from siteward.platforms.plausible.form_writes import FormGuests
from siteward.platforms.plausible.native_state import Entry, NativeState, Place, find
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Writer


class Guests(Protocol):
    """The guest list of one site, through either door; each command returns its result."""

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of the list as they are now; raises `PlatformError`."""

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to an address that has no entry."""

    def remove(self, entry: Entry) -> Verdict:
        """Remove a guest, or withdraw an invitation."""

    def change(self, entry: Entry, role: str) -> Verdict:
        """Change the role of a guest who has accepted, in place."""


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Make the changes of one bundle, all on one site, and return their receipts."""
    state = native(live, NativeState)
    scope = scope_of(bundle.changes[0].key)
    place = next((place for place in state.places.values() if place.scope == scope), None)
    if place is None:
        return [failed(f"{scope} is not a site of the team").receipt(change.key) for change in bundle.changes]
    guests = _open_guests(writer, state, place)
    try:
        entries = guests.entries()
    except PlatformError as problem:
        return [failed(f"nothing was sent: {problem}", problem.hint).receipt(change.key) for change in bundle.changes]
    return [
        _make_change(guests, change, find(entries, account_of(change.key) or ""), state).receipt(change.key)
        for change in bundle.changes
    ]


def _open_guests(writer: Writer, state: NativeState, place: Place) -> Guests:
    return ApiGuests(writer, place.domain) if state.door == "api" else FormGuests(writer, place, state)


def _make_change(  # noqa: PLR0911 — a return for each arrow of the state machine
    guests: Guests, change: Change, entry: Entry | None, state: NativeState
) -> Verdict:
    """Make one change; `entry` is the entry as it is now, `None` for none."""
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
    if entry.status == "accepted" and state.door == "web":
        return guests.change(entry, after)
    if entry.status == "accepted" and state.settings.role_change == "manual":
        return failed("they have accepted meanwhile, and then the Sites API changes no role", "role_change: reinvite")
    return _reinvite(guests, entry, after)


def _reinvite(guests: Guests, entry: Entry, role: str) -> Verdict:
    """Remove and invite again; a failure after the removal is `unknown`, not `failed`, because access was taken away."""
    gone = guests.remove(entry)
    if gone.status != "sent":
        return gone
    made = guests.invite(entry.email, role)
    if made.status == "sent":
        return made
    return unknown(f"{entry.words} was taken away, and then: {made.message}", made.hint)


# --- bundles ----------------------------------------------------------------------------------------------------------


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by site, in the order in which each group begins."""
    groups: dict[Scope | None, list[Change]] = {}
    for change in changes:
        groups.setdefault(scope_of(change.key), []).append(change)
    state = native(live, NativeState)
    costs = [_count_requests(group, live, state) for group in groups.values()]
    return tuple(
        Bundle(changes=tuple(group), requests=cost, seconds=seconds)
        for group, cost, seconds in zip(groups.values(), costs, _spread_seconds(costs, state), strict=True)
    )


def _count_requests(group: Sequence[Change], live: Live, state: NativeState) -> int:
    """Return the number of requests of a group: the list before and after, and each command with its read-back."""
    if state.door == "web":
        return sum(
            1 if change.before is None or change.after is None else _count_turns(change, live) for change in group
        )
    commands = sum(1 if change.before is None else 2 if change.after is None else 3 for change in group)
    return 2 + commands


def _count_turns(change: Change, live: Live) -> int:
    """Return the number of forms of a role change: a pending invitation is withdrawn and sent anew."""
    return 2 if change.key in live.pending else 1


def _spread_seconds(costs: Sequence[int], state: NativeState) -> Iterator[float]:
    """Yield the seconds that the rate limits add to each group, after all requests before it."""
    from siteward.platforms.plausible.session import rates  # noqa: PLC0415 — `validate` needs no HTTP
    from siteward.transport.pace import duration  # noqa: PLC0415

    limits = rates(state.settings) if state.door == "api" else ()
    spent = state.cost
    for cost in costs:
        before, spent = spent, spent + cost
        yield duration(limits, spent) - duration(limits, before)
