"""Which changes are written together, and what that costs.

What closes access in one team goes together, because its access code is set anew afterwards (MAPPING.md hazard 5);
what opens access to one site goes together, because the first of it may have to make the team and move the site. An
account is made with its role at once, so that a future admin never is anything else (MAPPING.md section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, account_of
from siteward.platforms.interface import Bundle, native
from siteward.platforms.umami.native_state import NativeState
from siteward.platforms.umami.review import is_closing, team_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live

# bcrypt holds up the whole server for as long (API.md section 8).
_SECONDS_TO_HASH = 0.1


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by what carries them, in the order in which each group begins."""
    state = native(live, NativeState)
    made = {each.key[1] for each in changes if isinstance(each.after, Account) and each.before is None}
    groups: dict[Hashable, list[Change]] = {}
    for change in changes:
        groups.setdefault(_group(change, live, state, made), []).append(change)
    return tuple(
        Bundle(
            changes=tuple(group),
            requests=_requests(group, live, state),
            seconds=sum(_SECONDS_TO_HASH for each in group if isinstance(each.after, Account) and not each.before),
        )
        for group in groups.values()
    )


def _group(change: Change, live: Live, state: NativeState, made: set[str]) -> Hashable:
    side = change.after or change.before
    if isinstance(side, Grant) and side.scope != EVERYWHERE:
        closing = is_closing(change, state)
        return closing, team_of(side.scope, live, state) or side.scope
    name = account_of(change.key)
    return ("new", name) if name in made else change.key


def _requests(group: Sequence[Change], live: Live, state: NativeState) -> int:
    """Return how many requests the group takes: what `write` sends when nothing has to be settled by reading."""
    first = group[0].after or group[0].before
    if not isinstance(first, Grant) or first.scope == EVERYWHERE:
        # A deletion first reads once more which teams and sites would go with the account.
        return 3 if isinstance(first, Account) and group[0].after is None else 1
    found = 0 if first.scope.kind == "team" else 1
    if is_closing(group[0], state):
        return found + len(group) + 3
    made = 0 if team_of(first.scope, live, state) else 2
    return found + made + 1 + sum(2 if change.before is None else 1 for change in group)
