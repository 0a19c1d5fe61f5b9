"""Which changes are written together, and what that costs.

What closes access in one team goes together, because its access code is set anew afterwards (MAPPING.md hazard 5);
what opens access to one site goes together, because the first of it may have to make the team and move the site. An
account is made with its role at once, so that a future admin never is anything else (MAPPING.md section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, Scope, account_of
from siteward.platforms.interface import Bundle, native
from siteward.platforms.umami.glance import LISTINGS, MOST_WRITES, is_worth_it
from siteward.platforms.umami.native_state import NativeState, left_over, others_in
from siteward.platforms.umami.refresh import FEW
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
    made = {entry.key[1] for entry in changes if isinstance(entry.after, Account) and entry.before is None}
    groups: dict[Hashable, list[Change]] = {}
    for change in changes:
        groups.setdefault(_group(change, live, state, made), []).append(change)
    forecast = _Forecast(live, state, list(groups.values()))
    return tuple(
        Bundle(
            changes=tuple(group),
            requests=forecast.requests(number),
            seconds=sum(_SECONDS_TO_HASH for item in group if isinstance(item.after, Account) and not item.before),
        )
        for number, group in enumerate(groups.values())
    )


def _group(change: Change, live: Live, state: NativeState, made: set[str]) -> Hashable:
    side = change.after or change.before
    if isinstance(side, Grant) and side.scope != EVERYWHERE:
        closing = is_closing(change, state)
        return closing, team_of(side.scope, live, state) or side.scope
    name = account_of(change.key)
    return ("new", name) if name in made else change.key


class _Forecast:
    """How many requests each group takes, written and read back in this order when nothing goes wrong.

    It counts what `teams`, `write`, `glance` and `refresh` send: `age` is how many writes old the listings are, `None`
    where there are none, and `written` are the teams that they may not tell of.
    """

    def __init__(self, live: Live, state: NativeState, groups: Sequence[Sequence[Change]]) -> None:
        self._live = live
        self._state = state
        self._groups = groups
        self._age: int | None = None
        self._written: set[Hashable] = set()

    def requests(self, number: int) -> int:
        """Return how many requests the group of that number takes; to be asked for one group after the other."""
        group = self._groups[number]
        first = group[0].after or group[0].before
        if not isinstance(first, Grant) or first.scope == EVERYWHERE:
            # A deletion is preceded by a look at the account, and at which teams and sites would go with it.
            deletes = isinstance(first, Account) and group[0].after is None
            return (5 if deletes else 2) + _renames(group[0])
        ahead = [change for later in self._groups[number + 1 :] for change in later]
        return self._memberships(group, ahead, first.scope)

    def _memberships(self, group: Sequence[Change], ahead: Sequence[Change], scope: Scope) -> int:
        team, closing = team_of(scope, self._live, self._state), is_closing(group[0], self._state)
        sent = self._look_over([*group, *ahead])
        of_site = scope.kind != "team"
        sent += of_site and not self._is_fresh()
        sent += 0 if team or closing else self._placing(scope)
        for at in range(0, len(group), MOST_WRITES):
            sent += self._look_over(group[at:]) if at else 0
            sent += not self._is_fresh() or at > 0 or (team or scope) in self._written or team is None
            sent += sum(self._of(change) for change in group[at : at + MOST_WRITES])
            self._wrote(len(group[at : at + MOST_WRITES]))
        self._written.add(team or scope)
        sent += 2 if closing else 0
        self._wrote(2 if closing else 0)
        return sent + self._read_back(group, of_site=of_site)

    def _look_over(self, changes: Sequence[Change]) -> int:
        if self._state.old or self._is_fresh() or not is_worth_it(changes):
            return 0
        self._age = 0
        self._written.clear()
        return LISTINGS

    def _is_fresh(self) -> bool:
        return self._age is not None and self._age < MOST_WRITES

    def _wrote(self, times: int) -> None:
        self._age = None if self._age is None else self._age + times

    def _placing(self, scope: Scope) -> int:
        """Return how many requests it takes to find or make a team for a site, and to move the site into it."""
        left = left_over(scope.name, self._state)
        if left is None:
            return 2
        others = len(others_in(left, self._state))
        return 3 + (others + 2 if others else 0)

    def _of(self, change: Change) -> int:
        """Return how many requests one membership takes; an account that is added is looked at first."""
        return 1 + (change.before is None and not self._is_fresh())

    def _read_back(self, group: Sequence[Change], *, of_site: bool) -> int:
        """Return how many requests it takes to see what stands there: the account, its site, the team's members."""
        names = {account_of(change.key) for change in group}
        sites = {side.scope for change in group if isinstance(side := change.after or change.before, Grant)}
        if self._is_fresh():
            return 1
        return _asked(len(names)) + (_asked(len(sites)) if of_site else 0) + 1


def _asked(count: int) -> int:
    """Return in how many requests so many objects are read: one by one, or all in a listing."""
    return count if count <= FEW else 1


def _renames(change: Change) -> int:
    """Return how many more names are looked for when a rename is read back."""
    return isinstance(change.after, Account) and change.after.renamed is not None
