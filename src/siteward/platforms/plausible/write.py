"""Bundles of changes, and the writing of a bundle guest by guest.

A guest goes through these states (MAPPING.md section 3):

    absent ──invite──▶ invited ──(a person accepts)──▶ accepted
    invited ──withdraw──▶ absent          accepted ──remove──▶ absent

A pending role change is withdrawn and sent anew. The role of a guest who has accepted is changed in place where the
web forms do it; through the Sites API only by removing and inviting again, where the file chose that. The guests are
read again just before, and a change whose entry is no longer as planned is not made.

All changes on one site go together, because its guests are then read once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import Grant, Scope, account_of, scope_of
from siteward.platforms.confirm import DONE, INVITED, Verdict, confirm, failed, unknown
from siteward.platforms.interface import Bundle, native
from siteward.platforms.plausible.community import snapshot
from siteward.platforms.plausible.native_state import Entry, NativeState, Place, find
from siteward.platforms.plausible.rows import Deleted, GuestRow, parse, refusal
from siteward.platforms.plausible.sites_api import GUESTS, guest_path, guests_of
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Answer, Writer


# --- bundles ----------------------------------------------------------------------------------------------------------


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:  # noqa: ARG001 — the grouping does not depend on the live state
    """Return the changes grouped by site, in the order in which each group begins."""
    groups: dict[Scope | None, list[Change]] = {}
    for change in changes:
        groups.setdefault(scope_of(change.key), []).append(change)
    return tuple(Bundle(changes=tuple(group)) for group in groups.values())


# --- writing ----------------------------------------------------------------------------------------------------------


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Make the changes of one bundle, all on one site, and return their receipts; the guests are read again before."""
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
    """Make one change, unless the guest is no longer as planned; `entry` is the guest's entry now, `None` for none."""
    before, after = (side.role if isinstance(side, Grant) else None for side in (change.before, change.after))
    now = entry.role if entry else None
    if now == after:
        return DONE
    if now != before:
        return failed(f"it changed meanwhile: {entry.words if entry else 'nothing'} stands there now")
    if entry is None:
        return guests.invite(account_of(change.key) or "", after or "")
    if after is None:
        return guests.remove(entry, anew=False)
    if entry.status == "accepted" and state.door == "web":
        return guests.change(entry, after)
    if entry.status == "accepted" and state.settings.role_change == "manual":
        return failed("they have accepted meanwhile, and then the Sites API changes no role", "role_change: reinvite")
    return _reinvite(guests, entry, after)


def _reinvite(guests: Guests, entry: Entry, role: str) -> Verdict:
    """Remove and invite again; a failure after the removal is `unknown`, not `failed`, because access was taken away."""
    gone = guests.remove(entry, anew=True)
    if gone.status != "sent":
        return gone
    made = guests.invite(entry.email, role)
    if made.status == "sent":
        return made
    return replace(unknown(f"{entry.words} was taken away, and then: {made.message}", made.hint), awaited=True)


# --- the guest list of one site ---------------------------------------------------------------------------------------


_CAUSES = (
    "the address is a member of the team already, the plan has no seat left, the site is being handed over to that "
    "address, or it is not a valid address"
)
_REFUSED = "is somebody a member of the team already, or is the site being handed over?"


class Guests(Protocol):
    """The guest list of one site, through either door; each command returns its outcome."""

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of the list as they are now; raises `PlatformError`."""

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to an address that has no entry."""

    def remove(self, entry: Entry, *, anew: bool) -> Verdict:
        """Remove a guest, or withdraw an invitation; `anew` tells that they are invited again right after."""

    def change(self, entry: Entry, role: str) -> Verdict:
        """Change the role of a guest who has accepted, in place."""


class ApiGuests(Struct, frozen=True):
    """The guest list of one site, changed through the Sites API."""

    writer: Writer
    domain: str

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of the list as they are now; raises `PlatformError`."""
        return guests_of(self.writer, self.domain)

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to an address that has no entry; a 500 is reported with its possible causes."""
        body = {"site_id": self.domain, "email": email, "role": role}

        def judge(answer: Answer) -> Verdict:
            if answer.ok:
                return _judge_stored(parse(GuestRow, answer), role)
            if answer.status >= 500:
                said = f"Plausible answered {answer.status} and does not say why: {_CAUSES}"
                return failed(said, sure=False)
            return self._explain_refusal(answer)

        def is_there() -> bool:
            return _has_role(self.entries(), email, role)

        send = partial(self.writer.command, "PUT", GUESTS, json=body)
        # A mail goes out, so it is never sent twice.
        return confirm(
            self.writer, send, judge, is_there, repeatable=False, parse=partial(parse, GuestRow), done=INVITED
        )

    def remove(self, entry: Entry, *, anew: bool) -> Verdict:
        """Remove a guest, or withdraw an invitation, and confirm by reading that the entry is gone."""

        def judge(answer: Answer) -> Verdict:
            if answer.ok:
                return failed(f"Plausible said it is deleted, and {entry.words} still stands there", sure=False)
            if answer.status >= 500:
                return failed(f"Plausible answered {answer.status}", sure=False)
            return self._explain_refusal(answer)

        send = partial(self.writer.command, "DELETE", guest_path(entry.email), params={"site_id": self.domain})

        def is_gone() -> bool:
            return find(self.entries(), entry.email) is None

        repeatable = _removes_silently(entry, anew=anew)
        return confirm(self.writer, send, judge, is_gone, repeatable=repeatable, parse=partial(parse, Deleted))

    def change(self, entry: Entry, role: str) -> Verdict:  # noqa: ARG002 — the same signature at both doors
        """Return a failure: no call of the Sites API changes the role of a guest who has accepted."""
        return failed(f"the Sites API cannot change the role of {entry.email}, who has accepted")

    def _explain_refusal(self, answer: Answer) -> Verdict:
        """Return the failure for an answer that refuses a command."""
        problem = refusal(self.writer, answer, self.domain, writing=True)
        return failed(str(problem), problem.hint)


def _judge_stored(row: GuestRow, role: str) -> Verdict:
    """Return the outcome of an invitation by the row that was stored: Plausible keeps one that was there already."""
    if row.role == role and row.status == "invited":
        return INVITED
    if row.role == role:
        return DONE
    return failed(f"Plausible said yes and kept {row.role} ({row.status}), which was there already")


class FormGuests(Struct, frozen=True):
    """The guest list of one site, changed through the web forms."""

    writer: Writer
    place: Place
    state: NativeState

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of the list as they are now; raises `PlatformError`."""
        now = snapshot(self.writer, self.state.settings, self.state.traits)
        place = now.places.get(self.place.domain)
        return place.entries if place else ()

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to an address that has no entry."""
        form = {"email": email, "role": role}
        return self._submit(
            "POST", "memberships/invite", form, INVITED, lambda entries: _has_role(entries, email, role),
            repeatable=False,
        )  # fmt: skip

    def remove(self, entry: Entry, *, anew: bool) -> Verdict:
        """Remove a guest, or withdraw an invitation."""
        kind = "memberships/u" if entry.status == "accepted" else "invitations"
        path = f"{kind}/{quote(entry.handle, safe='')}"
        return self._submit(
            "DELETE", path, {}, DONE, lambda entries: find(entries, entry.email) is None,
            repeatable=_removes_silently(entry, anew=anew),
        )  # fmt: skip

    def change(self, entry: Entry, role: str) -> Verdict:
        """Change the role of a guest who has accepted, in place: without a mail or a new acceptance."""
        path = f"memberships/u/{quote(entry.handle, safe='')}/role/{quote(role, safe='')}"
        return self._submit(
            "PUT", path, {}, DONE, lambda entries: _has_role(entries, entry.email, role), repeatable=True
        )

    def _submit(
        self,
        method: Literal["POST", "PUT", "DELETE"],
        action: str,
        form: dict[str, str],
        done: Verdict,
        is_done: Callable[[tuple[Entry, ...]], bool],
        *,
        repeatable: bool,
    ) -> Verdict:
        """Send a form, and confirm by reading the database whether it took effect.

        A form that did nothing redirects like one that did, so every answer but a 404 is read back.
        """
        path = f"/sites/{quote(self.place.domain, safe='')}/{action}"

        def judge(answer: Answer) -> Verdict:
            if answer.status == 404:
                return failed(
                    f"Plausible knows no site {self.place.domain} that this account may manage",
                    "the account must be owner or admin of the team",
                )
            return failed(f"Plausible answered {answer.status} and did nothing", _REFUSED, sure=False)

        send = partial(self.writer.command, method, path, form=form, redirects=True)
        return confirm(self.writer, send, judge, lambda: is_done(self.entries()), repeatable=repeatable, done=done)


def _removes_silently(entry: Entry, *, anew: bool) -> bool:
    """Return whether a removal may be sent again after a lost answer.

    A guest who is removed gets a mail (MAPPING.md section 3), and a removal that comes late would take an invitation
    that was sent `anew` meanwhile.
    """
    return entry.status == "invited" and not anew


def _has_role(entries: tuple[Entry, ...], email: str, role: str) -> bool:
    entry = find(entries, email)
    return entry is not None and entry.role == role
