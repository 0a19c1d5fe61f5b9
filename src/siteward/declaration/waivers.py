"""The waivers of the files: what is to be said of their ends, and the edit that writes new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siteward.access.diagnostic import error, plural, warning
from siteward.access.policy import MOST_WAIVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.policy import Waiver
    from siteward.declaration.declared import Declaration
    from siteward.declaration.edited import Edit


def waivers_of(declaration: Declaration) -> tuple[Waiver, ...]:
    """Return the waivers of the files: every instance has those of the root."""
    every = (waiver for instance in declaration.instances.values() for waiver in instance.policy.waivers)
    return tuple(dict.fromkeys(every))


def judge_ends(waivers: Iterable[Waiver], as_of: datetime, now: datetime) -> Iterator[Diagnostic]:
    """Yield an error for each waiver that ends too late, counted from `now`, and a warning for each that is over."""
    for waiver in waivers:
        if waiver.is_too_long(now):
            message = f"{waiver} ends on {waiver.ends}, and may last {plural(MOST_WAIVED, 'day')} from now at most"
            yield error("waiver-too-long", message, at=waiver.at, hint="write a nearer `until`")
        elif waiver.until <= as_of:
            message = f"{waiver} ended on {waiver.ends}: what it silenced is told again"
            yield warning("waiver-ended", message, at=waiver.at, hint="mend what it was about, or take it out")


def add_waivers(declaration: Declaration, waivers: Sequence[Waiver]) -> Edit:
    """Return the edit that writes waivers into the root file; one of the same finding that is there is renewed."""
    from siteward.declaration.edited import EditedFiles  # noqa: PLC0415 — checking a file edits none

    files = EditedFiles(declaration)
    rows = files.root().data.setdefault("policy", {}).setdefault("waivers", [])
    known = {(str(row.get("rule")), str(row.get("seen"))): row for row in rows}
    for waiver in waivers:
        row = known.get((waiver.rule, waiver.seen))
        if row is None:
            rows.append(_write(waiver))
        else:
            row.update(_write(waiver))
    return files.edit()


def _write(waiver: Waiver) -> dict[str, Any]:
    about = {"about": waiver.about} if waiver.about is not None else {}
    on = {"on": waiver.on[0]} if waiver.on else {}
    return {"rule": waiver.rule, **on, **about, "reason": waiver.reason, "until": waiver.ends, "seen": waiver.seen}
