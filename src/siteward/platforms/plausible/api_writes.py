"""Guests through the Sites API, which says 200 to much that it does not do (API.md section 6).

A put answers with what is stored, so its role is compared with what was asked; a deletion always says `deleted`, so
the guest is looked for; a 500 to a put is settled by reading, and reported with its possible causes. So is a success of
another shape, because something else than Plausible gave it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.platforms.confirm import DONE, INVITED, Verdict, confirm, failed
from siteward.platforms.plausible.native_state import Entry, find
from siteward.platforms.plausible.rows import Deleted, GuestRow, parse, refusal
from siteward.platforms.plausible.sites_api import GUESTS, guest_path, guests_of

if TYPE_CHECKING:
    from siteward.transport.http import Answer, Writer

CAUSES = (
    "the address is a member of the team already, the plan has no seat left, the site is being handed over to that "
    "address, or it is not a valid address"
)


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
                said = f"Plausible answered {answer.status} and does not say why: {CAUSES}"
                return failed(said, sure=False)
            return self._explain_refusal(answer)

        def is_there() -> bool:
            found = find(self.entries(), email)
            return found is not None and found.role == role

        send = partial(self.writer.command, "PUT", GUESTS, json=body)
        return confirm(send, judge, is_there, parse=partial(parse, GuestRow), done=INVITED)

    def remove(self, entry: Entry) -> Verdict:
        """Remove a guest, or withdraw an invitation, and confirm by reading that the entry is gone."""

        def judge(answer: Answer) -> Verdict:
            if answer.ok:
                return failed(f"Plausible said it is deleted, and {entry.words} still stands there", sure=False)
            if answer.status >= 500:
                return failed(f"Plausible answered {answer.status}", sure=False)
            return self._explain_refusal(answer)

        send = partial(self.writer.command, "DELETE", guest_path(entry.email), params={"site_id": self.domain})
        return confirm(send, judge, lambda: find(self.entries(), entry.email) is None, parse=partial(parse, Deleted))

    def change(self, entry: Entry, role: str) -> Verdict:  # noqa: ARG002 — the same signature at both doors
        """Return a failure: no call of the Sites API changes the role of a guest who has accepted."""
        return failed(f"the Sites API cannot change the role of {entry.email}, who has accepted")

    def _explain_refusal(self, answer: Answer) -> Verdict:
        problem = refusal(self.writer, answer, self.domain, writing=True)
        return failed(str(problem), problem.hint)


def _judge_stored(row: GuestRow, role: str) -> Verdict:
    """Compare the role that was stored with the one that was asked for."""
    if row.role == role and row.status == "invited":
        return INVITED
    if row.role == role:
        return DONE
    return failed(f"Plausible said yes and kept {row.role} ({row.status}), which was there already")
