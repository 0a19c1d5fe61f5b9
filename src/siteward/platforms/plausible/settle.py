"""Sending one command to Plausible, and finding out what became of it: a lost or doubtful answer is settled by reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.platforms.interface import Receipt

if TYPE_CHECKING:
    from siteward.access.model import Key


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of a command; `sends` counts the mails with an invitation that went out."""

    status: Literal["sent", "failed", "unknown"]
    message: str = ""
    hint: str | None = None
    sends: int = 0

    def receipt(self, key: Key) -> Receipt:
        """Return the receipt for the change of that key."""
        return Receipt(key=key, status=self.status, message=self.message, hint=self.hint, sends=self.sends)


DONE = Verdict(status="sent")
INVITED = Verdict(status="sent", sends=1)


def failed(message: str, hint: str | None = None) -> Verdict:
    """Return the verdict that something surely did not happen."""
    return Verdict(status="failed", message=message, hint=hint)


def unknown(message: str, hint: str | None = None) -> Verdict:
    """Return the verdict that something may have happened."""
    return Verdict(status="unknown", message=message, hint=hint)
