"""The waivers of the files beside what was read: those that are of nothing, and what the others silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import warning
from siteward.access.plan import Waived
from siteward.access.waivers import is_about

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.access.policy import Waiver


def find_unused(
    waivers: Iterable[Waiver], parts: Collection[InstancePlan], every: Collection[str], as_of: datetime
) -> Iterator[Diagnostic]:
    """Yield a warning for each waiver that is not over and is of no finding of the instances that it is on.

    `every` are the names of all instances. Of a waiver whose instances were not all read whole, nothing is said.
    """
    whole = {part.instance: part for part in parts if _is_whole(part)}
    for waiver in waivers:
        names = every if waiver.on is None else waiver.on
        if waiver.until <= as_of or not whole.keys() >= set(names):
            continue
        near = [
            said
            for name in names
            for said in whole[name].diagnostics
            if said.seen is not None and is_about(waiver, said, name)
        ]
        if all(said.seen != waiver.seen for said in near):
            yield _describe_unused(waiver, near)


def _is_whole(part: InstancePlan) -> bool:
    return not part.unreadable and all(listing.complete for listing in part.listings)


def _describe_unused(waiver: Waiver, near: Collection[Diagnostic]) -> Diagnostic:
    if near and waiver.about is not None:
        found = " or ".join(sorted({said.seen for said in near if said.seen is not None}))
        message = f"{waiver} is of other facts than those of now, so it silences nothing"
        return warning(
            "waiver-unused", message, at=waiver.at, hint=f"look at it anew; what is there now has `seen: {found}`"
        )
    message = f"{waiver} is of no finding, so it silences nothing"
    return warning("waiver-unused", message, at=waiver.at, hint="take it out")


def list_waived(parts: Iterable[InstancePlan]) -> tuple[Waived, ...]:
    """Return the findings that are waived, as a plan lists them: sorted, each with the end of its waiver."""
    found = {
        Waived(rule=said.code, about=said.thing or "", until=said.waived.until)
        for part in parts
        for said in part.diagnostics
        if said.waived is not None
    }
    return tuple(sorted(found, key=lambda waived: (waived.rule, waived.about, waived.until)))
