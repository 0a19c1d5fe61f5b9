"""Which changes are written together, and what that costs: all on one site, whose guests are then read once.

The seconds are what the pace adds, counted from the reading before: the plan's requests share one hour's budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Scope, scope_of
from siteward.platforms.interface import Bundle
from siteward.platforms.plausible.picture import Picture, picture_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by site, in the order in which each group begins."""
    groups: dict[Scope | None, list[Change]] = {}
    for each in changes:
        groups.setdefault(scope_of(each.key), []).append(each)
    picture = picture_of(live)
    costs = [_requests(group, live, picture) for group in groups.values()]
    return tuple(
        Bundle(changes=tuple(group), requests=cost, seconds=seconds)
        for group, cost, seconds in zip(groups.values(), costs, _seconds(costs, picture), strict=True)
    )


def _requests(group: Sequence[Change], live: Live, picture: Picture) -> int:
    """Return how many requests a group takes: the list before and after, and each command with its own look."""
    if picture.door == "web":
        return sum(1 if each.before is None or each.after is None else _turns(each, live) for each in group)
    commands = sum(1 if each.before is None else 2 if each.after is None else 3 for each in group)
    return 2 + commands


def _turns(change: Change, live: Live) -> int:
    return 2 if change.key in live.pending else 1


def _seconds(costs: Sequence[int], picture: Picture) -> Iterator[float]:
    from siteward.platforms.plausible.session import rates  # noqa: PLC0415 — `validate` needs no HTTP
    from siteward.transport.pace import duration  # noqa: PLC0415

    limits = rates(picture.settings) if picture.door == "api" else ()
    spent = picture.cost
    for each in costs:
        before, spent = spent, spent + each
        yield duration(limits, spent) - duration(limits, before)
