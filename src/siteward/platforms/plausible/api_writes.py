"""Guests through the Sites API, which says 200 to much that it does not do (API.md section 6).

A put answers with what is stored, so its role is compared with what was asked; a deletion always says `deleted`, so
the guest is looked for; a 500 to a put is settled by reading, and told as one of its causes. So is a yes of another
shape, because it is somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.platforms.plausible.native_state import Entry, find
from siteward.platforms.plausible.rows import Deleted, GuestRow, parse, refusal
from siteward.platforms.plausible.settle import DONE, INVITED, Verdict, failed, unknown
from siteward.platforms.plausible.sites_api import GUESTS, guest_path, guests_of
from siteward.transport.errors import NotThePlatform, OutcomeUnknown, PlatformError, Redirected

if TYPE_CHECKING:
    from siteward.transport.http import Answer, Writer

CAUSES = (
    "the address is a member of the team already, the plan has no seat left, the site is being handed over to that "
    "address, or it is no address"
)


class ApiGuests(Struct, frozen=True):
    """The guest list of one site."""

    writer: Writer
    domain: str

    def entries(self) -> tuple[Entry, ...]:
        """Return who is there now; raises `PlatformError`."""
        return guests_of(self.writer, self.domain)

    def invite(self, email: str, role: str) -> Verdict:
        """Send an invitation to somebody who is not there."""
        body = {"site_id": self.domain, "email": email, "role": role}
        answer = self._sent("PUT", GUESTS, body, GuestRow)
        if isinstance(answer, Verdict):
            return answer if answer.status == "failed" else self._settled(email, role, answer)
        if answer.ok:
            return self._compared(parse(GuestRow, answer), role)
        if answer.status >= 500:
            said = failed(f"Plausible answered {answer.status} and does not say why: {CAUSES}")
            return self._settled(email, role, said)
        return self._refused(answer)

    def remove(self, entry: Entry) -> Verdict:
        """Remove somebody, or withdraw their invitation, and look whether they are gone."""
        answer = self._sent("DELETE", guest_path(entry.email), {"site_id": self.domain}, Deleted)
        if isinstance(answer, Verdict):
            return answer if answer.status == "failed" else self._gone(entry, answer)
        if answer.ok:
            return self._gone(entry, failed(f"Plausible said it is deleted, and {entry.words} still stands there"))
        if answer.status >= 500:
            return self._gone(entry, failed(f"Plausible answered {answer.status}"))
        return self._refused(answer)

    def change(self, entry: Entry, role: str) -> Verdict:  # noqa: ARG002 — the same signature at both doors
        """Say that no call of this API does it."""
        return failed(f"the Sites API cannot change the role of {entry.email}, who has accepted")

    def _sent(
        self, method: Literal["PUT", "DELETE"], path: str, body: dict[str, str], kind: type[object]
    ) -> Answer | Verdict:
        """Send a command once; a verdict instead of an answer where none came, or a yes that is not of its kind."""
        try:
            if method == "PUT":
                answer = self.writer.command("PUT", path, json=body)
            else:
                answer = self.writer.command("DELETE", path, params=body)
        except (OutcomeUnknown, Redirected) as lost:
            return unknown(str(lost))
        except PlatformError as problem:
            return failed(str(problem), problem.hint)
        return self._known(answer, kind)

    def _known(self, answer: Answer, kind: type[object]) -> Answer | Verdict:
        try:
            if answer.ok:
                parse(kind, answer)
        except NotThePlatform as stranger:
            return unknown(str(stranger))
        return answer

    def _compared(self, row: GuestRow, role: str) -> Verdict:
        if row.role == role and row.status == "invited":
            return INVITED
        if row.role == role:
            return DONE
        return failed(f"Plausible said yes and kept {row.role} ({row.status}), which was there already")

    def _settled(self, email: str, role: str, otherwise: Verdict) -> Verdict:
        """Read whether the invitation stands; `otherwise` where it does not."""
        try:
            found = find(self.entries(), email)
        except PlatformError as problem:
            return unknown(f"{otherwise.message}; and it could not be read back: {problem}")
        return INVITED if found and found.role == role else otherwise

    def _gone(self, entry: Entry, otherwise: Verdict) -> Verdict:
        try:
            return otherwise if find(self.entries(), entry.email) else DONE
        except PlatformError as problem:
            return unknown(f"{otherwise.message}; and it could not be read back: {problem}")

    def _refused(self, answer: Answer) -> Verdict:
        problem = refusal(self.writer, answer, self.domain, writing=True)
        return failed(str(problem), problem.hint)
