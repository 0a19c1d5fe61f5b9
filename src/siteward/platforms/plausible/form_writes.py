"""Guests through the web forms of Community Edition, which answer good and bad alike (API.md section 10).

A redirect back to the page of the site's people means "done" or "refused", a page instead means "refused"; which of
them it was is read in the database, and only that counts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from msgspec import Struct

from siteward.platforms.confirm import DONE, INVITED, Verdict, confirm, failed
from siteward.platforms.plausible.community import snapshot
from siteward.platforms.plausible.native_state import Entry, NativeState, Place, find

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.transport.http import Answer, Writer

_REFUSED = "is somebody a member of the team already, or is the site being handed over?"


class FormGuests(Struct, frozen=True):
    """The guest list of one site, changed through the web forms."""

    writer: Writer
    place: Place
    state: NativeState

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of the list as they are now; raises `PlatformError`."""
        now = snapshot(self.writer, self.state.settings, self.state.traits)
        found = now.places.get(self.place.domain)
        return found.entries if found else ()

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to somebody who is not there."""
        form = {"email": email, "role": role}
        return self._submit("POST", "memberships/invite", form, INVITED, lambda now: self._has_role(now, email, role))

    def remove(self, entry: Entry) -> Verdict:
        """Remove a guest, or withdraw an invitation."""
        kind = "memberships/u" if entry.status == "accepted" else "invitations"
        path = f"{kind}/{quote(entry.handle, safe='')}"
        return self._submit("DELETE", path, {}, DONE, lambda now: find(now, entry.email) is None)

    def change(self, entry: Entry, role: str) -> Verdict:
        """Give somebody who has accepted another role, in place: no mail, no new acceptance."""
        path = f"memberships/u/{quote(entry.handle, safe='')}/role/{quote(role, safe='')}"
        return self._submit("PUT", path, {}, DONE, lambda now: self._has_role(now, entry.email, role))

    def _has_role(self, now: tuple[Entry, ...], email: str, role: str) -> bool:
        found = find(now, email)
        return found is not None and found.role == role

    def _submit(
        self,
        method: Literal["POST", "PUT", "DELETE"],
        action: str,
        form: dict[str, str],
        done: Verdict,
        is_done: Callable[[tuple[Entry, ...]], bool],
    ) -> Verdict:
        """Send a form once, and confirm by reading the database whether it took effect."""
        path = f"/sites/{quote(self.place.domain, safe='')}/{action}"

        def judge(answer: Answer) -> Verdict:
            if answer.status == 404:
                return failed(
                    f"Plausible knows no site {self.place.domain} that this account may manage",
                    "the account must be owner or admin of the team",
                )
            return failed(f"Plausible answered {answer.status} and did nothing", _REFUSED, sure=False)

        send = partial(self.writer.command, method, path, form=form, redirects=True)
        return confirm(send, judge, lambda: is_done(self.entries()), done=done)
