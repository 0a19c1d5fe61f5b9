"""Tickets and reasons: those of a membership, of a user and of a grant are all kept, in this order, in one text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from siteward.access.state import Origin

BETWEEN = "; "
"""What stands between two tickets, or two reasons."""


def joined(*texts: str | None) -> str | None:
    """Return all texts in one, in their order and each once; `None` where there is none."""
    parts = [part for text in texts if text for part in text.split(BETWEEN)]
    return BETWEEN.join(dict.fromkeys(parts)) or None


def through(origin: Origin, membership: Origin | None) -> Origin:
    """Return the origin of a grant to a group with the ticket and reason of the membership before its own."""
    if membership is None or (membership.ticket is None and membership.reason is None):
        return origin
    return replace(
        origin,
        ticket=joined(membership.ticket, origin.ticket),
        reason=joined(membership.reason, origin.reason),
    )
