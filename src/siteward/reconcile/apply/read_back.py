"""Reading back what a call has done: once after an answer, and for as long as it takes where the answer was lost.

receipts ─┬─ all answered ─ one look
└─ some lost ─ look ─ look ─┬─ equal, undone, repeatable ─▶ write those changes again
└─ ... until all show, or nothing has changed for long enough
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.renames import touched
from siteward.platforms.interface import Receipt
from siteward.reconcile.apply.revalidate import reached
from siteward.transport.errors import NotThePlatformError, OutcomeUnknownError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key, Resource
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle, Platform
    from siteward.transport.http import Doors

_LOST = (OutcomeUnknownError, NotThePlatformError)
_REASON = "an answer was lost: reading what came of it"


class ReadBack(Struct, frozen=True, kw_only=True):
    """What was answered to a call, by key, and what stands under its keys now.

    `seen` leaves out what could not be told, and `why` says why; where it is `whole`, nothing is left out.
    """

    receipts: Mapping[Key, Receipt]
    seen: Mapping[Key, Resource | None]
    why: str = ""
    whole: bool = False

    def tells(self, change: Change) -> bool:
        """Return whether reading has shown what stands where a change takes place."""
        return self.whole or touched(change) <= self.seen.keys()

    def shows(self, change: Change) -> bool:
        """Return whether reading has shown a change to have taken place."""
        return _shown(change, self.seen)


class Call(Struct, frozen=True, kw_only=True):
    """A bundle that is sent and read back; `before_sending` journals that some of its changes are about to be sent."""

    platform: Platform
    doors: Doors
    bundle: Bundle
    live: Live
    before_sending: Callable[[Collection[Change]], None]


def send_and_read_back(call: Call) -> ReadBack:
    """Send a bundle and read back what it has changed; what was answered with a sure no is not looked at."""
    changes = call.bundle.changes
    call.before_sending(changes)
    receipts = _write(call, changes)
    if not _lost(receipts, changes):
        keys = _keys_in_doubt(receipts, changes)
        seen, why = look(call.platform, call.doors, keys, call.live)
        return ReadBack(receipts=receipts, seen=seen, why=why, whole=keys <= seen.keys())
    return _watch(call, receipts)


def look(
    platform: Platform, doors: Doors, keys: Collection[Key], live: Live
) -> tuple[Mapping[Key, Resource | None], str]:
    """Read what stands under some keys now; what could not be told is left out, and why comes with it."""
    if not keys:
        return {}, ""
    try:
        return platform.refresh(doors.reader, keys, live), ""
    except PlatformError as problem:
        return {}, f"it could not be read back: {problem}"


def _write(call: Call, changes: Sequence[Change]) -> dict[Key, Receipt]:
    """Send some changes; whatever is raised on the way leaves to reading what of them took place."""
    bundle = replace(call.bundle, changes=tuple(changes))
    try:
        found = call.platform.write(call.doors.writer, bundle, call.live)
    except PlatformError as problem:
        # A page in the answer's place, or none, leaves all open; any other error is an answer, or nothing was sent.
        status: Literal["unknown", "failed"] = "unknown" if isinstance(problem, _LOST) else "failed"
        found = [
            Receipt(key=change.key, status=status, message=str(problem), hint=problem.hint, sure=False)
            for change in changes
        ]
    return {receipt.key: receipt for receipt in found}


def _watch(call: Call, first: Mapping[Key, Receipt]) -> ReadBack:
    """Read until every lost change shows or nothing changes any more; write again what may be repeated."""
    changes = call.bundle.changes
    receipts = dict(first)
    keys = _keys_in_doubt(receipts, changes)
    seen: dict[Key, Resource | None] = {}

    def read() -> Mapping[Key, Resource | None]:
        seen.clear()
        seen.update(call.platform.refresh(call.doors.reader, keys, call.live))
        return dict(seen)

    def undone() -> list[Change]:
        return [change for change in _lost(receipts, changes) if not _shown(change, seen)]

    def again() -> bool:
        rest = [change for change in undone() if _may_repeat(receipts.get(change.key))]
        if rest:
            call.before_sending(rest)
            receipts.update(_write(call, rest))
        return not undone()

    repeatable = any(_may_repeat(receipts.get(change.key)) for change in _lost(receipts, changes))
    try:
        call.doors.writer.patience.watch(
            read, lambda _seen: not undone(), again=again if repeatable else None, reason=_REASON
        )
    except PlatformError as problem:
        return ReadBack(receipts=receipts, seen={}, why=f"it could not be read back: {problem}")
    return ReadBack(receipts=receipts, seen=dict(seen))


def _shown(change: Change, seen: Mapping[Key, Resource | None]) -> bool:
    return touched(change) <= seen.keys() and reached(change, seen)


def _lost(receipts: Mapping[Key, Receipt], changes: Sequence[Change]) -> list[Change]:
    """Return the changes of which nobody knows whether they took place, and whose reading has not gone on yet."""
    return [change for change in changes if _is_lost(receipts.get(change.key))]


def _is_lost(receipt: Receipt | None) -> bool:
    return receipt is None or (receipt.status == "unknown" and not receipt.awaited)


def _keys_in_doubt(receipts: Mapping[Key, Receipt], changes: Sequence[Change]) -> frozenset[Key]:
    return touched(*[change for change in changes if _is_in_doubt(receipts.get(change.key))])


def _is_in_doubt(receipt: Receipt | None) -> bool:
    """Return whether reading can tell more than the answer did."""
    return receipt is None or receipt.status != "failed" or not receipt.sure


def _may_repeat(receipt: Receipt | None) -> bool:
    return receipt is not None and receipt.repeatable
