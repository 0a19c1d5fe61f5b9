"""Which changes share a call: the members of a group, and the modules of a person (API.md sections 4 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Grant, Group, Member
from siteward.platforms.interface import Bundle
from siteward.platforms.piwikpro.session import SECONDS_A_WRITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live

MOST_MEMBERS = 500
"""No size is stated for a member list; half of what other lists allow is taken."""


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:  # noqa: ARG001 — what is shared is fixed
    """Return the changes by the calls that carry them, in their order, with what each costs at 60 writes a minute."""
    return _bundles(changes)


def _bundles(changes: Sequence[Change]) -> list[Bundle]:
    shared: dict[tuple[str, ...], list[Change]] = {}
    for number, each in enumerate(changes):
        shared.setdefault(_call(each) or ("alone", str(number)), []).append(each)
    return [
        Bundle(changes=tuple(part), requests=_writes(part), seconds=_writes(part) * SECONDS_A_WRITE)
        for together in shared.values()
        for part in (together[at : at + MOST_MEMBERS] for at in range(0, len(together), MOST_MEMBERS))
    ]


def calls(changes: Sequence[Change]) -> int:
    """Return how many writes a set of changes takes."""
    return sum(each.requests for each in _bundles(changes))


def _call(change: Change) -> tuple[str, ...] | None:
    """Return what tells the call that carries a change, or `None` for one that goes alone."""
    side = change.after if change.after is not None else change.before
    match side:
        case Member(group=group):
            return ("members", group, change.action)
        case Grant(scope=scope, subject=subject) if scope.kind == "module":
            return ("modules", subject.name)
        case _:
            return None


def _writes(changes: Sequence[Change]) -> int:
    """Return how many calls carry changes that belong together."""
    after = changes[0].after
    return 2 if isinstance(after, Group) and after.external and changes[0].before is None else 1
