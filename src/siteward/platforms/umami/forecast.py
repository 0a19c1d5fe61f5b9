"""What a run on Umami is expected to send, counted along `write`, `teams`, `refresh` and `read`."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, Scope, account_of, scope_of
from siteward.platforms.forecast import FREE, Cost, Forecast, asked, sent
from siteward.platforms.interface import native
from siteward.platforms.umami.native_state import NativeState, left_over, others_in
from siteward.platforms.umami.refresh import FEW, LISTINGS, MOST_WRITES, OLDEST, is_worth_it
from siteward.platforms.umami.review import is_closing, team_of
from siteward.platforms.umami.roles import ADMIN, has_factors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Access, Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.transport.pace import Speed

_NO_PLACES = (None, EVERYWHERE)
"""The scopes of keys that are not those of grants on a site or a team."""
# Hashing a password with bcrypt holds up the whole server for this long (API.md section 8).
_SECONDS_TO_HASH = 0.1


class UmamiForecast(Forecast):
    """The requests of a run, as long as it goes as planned.

    `_age` is the age of the cached listings in writes (`None` while there are none), `_since` in seconds; `_written` are
    the accounts, sites and teams written to since, which are read by themselves. `_known` are the accounts whose ids are
    known, `_newer` those of them that the cached listings lack. `_placed` are the sites that got a team in this run, `_settled` those
    of them that have been read with it.
    """

    once = 1

    def __init__(self, live: Live, speed: Speed) -> None:
        self._state = native(live, NativeState)
        super().__init__(live, speed)
        self._known = {key[1] for key in live.ids if key[0] == "account"}
        self._newer: set[str] = set()
        self._placed: set[Scope] = set()
        self._settled: set[Scope] = set()
        self._age: int | None = None
        self._since = 0.0
        self._written: set[Hashable] = set()

    def whole(self, access: Callable[[], Access]) -> Cost:
        """Return the cost of the listings; of a second factor for each admin since 3.3, of two lists for each user in 2.20."""
        if self._state.old:
            return Cost(requests=1 + 2 * len(access().accounts()))
        if not has_factors(self._state.traits):
            return Cost(requests=LISTINGS)
        on_all = (rights.get(EVERYWHERE) for _, rights in access().by_subject())
        admins = sum(grant is not None and grant.role == ADMIN for grant in on_all)
        return Cost(requests=LISTINGS + max(0, admins - 1))

    def read(self, access: Callable[[], Access]) -> Cost:
        """Return the cost of reading everything once more, after which nothing is cached and every team is known."""
        self._age = None
        self._settled |= self._placed
        self._placed.clear()
        return super().read(access)

    def _ask(self, count: int) -> Cost:
        """Return the cost of so many questions at once, during which the cached listings grow older."""
        return self._pass(asked(count, self.speed))

    def _send(self, count: int = 1, seconds: float = 0.0) -> Cost:
        """Return the cost of so many commands, during which the cached listings grow older."""
        return self._pass(sent(count, seconds))

    def _pass(self, cost: Cost) -> Cost:
        self._since += cost.turns * self.speed.answer + cost.seconds
        return cost

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, bundle: Bundle) -> Cost:
        """Return the cost of `write`."""
        changes = bundle.changes
        first = changes[0].after or changes[0].before
        if isinstance(first, Grant) and first.scope != EVERYWHERE:
            return self._write_memberships(changes, bundle.ahead(None), first.scope)
        if any(isinstance(change.after, Account) and change.before is None for change in changes):
            return self._send(seconds=_SECONDS_TO_HASH)
        cost = FREE
        for change in changes:
            cost += self._change_account(change)
        return cost

    def _change_account(self, change: Change) -> Cost:
        """Return the cost of one change to an account; before a deletion its teams and its sites are read."""
        name = account_of(change.key) or ""
        self._note_writes(name)
        if isinstance(change.before, Account) and change.after is None:
            return self._ask(1) + self._ask(1) + self._send()
        return (self._ask(1) if self._state.old else FREE) + self._send()

    def _write_memberships(self, changes: Sequence[Change], ahead: Iterable[Change], scope: Scope) -> Cost:
        """Return the cost of memberships in one team: finding or making it, its members, each of them, two codes."""
        closing, team = is_closing(changes[0], self._state), self._team(scope)
        cost = self._fill_cache(chain(changes, ahead)) + self._find_team(scope, make=not closing)
        cost += self._send(2) if closing else FREE
        done: set[str] = set()
        for number, change in enumerate(changes):
            if number % MOST_WRITES == 0:
                cost += self._fill_cache(islice(changes, number, None)) if number else FREE
                cost += self._ask_unless_cached(team)
            name = account_of(change.key) or ""
            if name not in done:
                done.add(name)
                cost += FREE if change.before is not None or self._is_listed(name) else self._ask(1)
                cost += self._send()
                self._note_writes(team)
        if closing:
            self._note_writes(team, 2)
        return cost

    def _find_team(self, scope: Scope, *, make: bool) -> Cost:
        """Return the cost of finding the team of a scope; a site without one gets one, and is moved there."""
        if scope.kind == "team":
            return FREE
        cost = self._ask_unless_cached(scope)
        if scope in self._placed:
            return cost + self._ask(1)  # whether the team is ours, for it was not there when all was read
        if not make or scope in self._settled or team_of(scope, self.live, self._state):
            return cost
        self._placed.add(scope)
        self._note_writes(scope)
        self._note_writes(self._team(scope))
        return cost + self._provide_team(scope) + self._send()

    def _provide_team(self, scope: Scope) -> Cost:
        """Return the cost of making a team for a site, or of clearing one that was left over."""
        left = left_over(scope.name, self._state)
        if left is None:
            return self._send()
        others = len(others_in(left, self._state))
        cost = self._ask(1) + self._ask(1)
        return cost + self._send(others + 1) + self._ask(1) if others else cost

    # --- reading ------------------------------------------------------------------------------------------------------

    def refresh(self, keys: Collection[Key]) -> Cost:
        """Return the cost of `refresh`."""
        found = [(account_of(key), scope_of(key)) for key in keys]
        placed = {name for name, scope in found if name and scope not in _NO_PLACES}
        named = {name for name, scope in found if name and scope in _NO_PLACES}
        scopes = {scope for _, scope in found if scope is not None and scope != EVERYWHERE}
        cost = self._ask_users(named, cached=False) + self._ask_users(placed - named, cached=True)
        sites = {scope for scope in scopes if scope in self.live.sites}
        if self._is_fresh():
            cost += self._ask(sum(not self._is_cached(site) for site in sites))
        else:
            cost += self._ask_objects(len(sites), listed=not self._state.old)
        teams = len({self._team(scope) for scope in scopes})
        return cost + self._ask_objects(teams, listed=not self._state.old)

    def _ask_users(self, names: Collection[str], *, cached: bool) -> Cost:
        """Return the cost of reading accounts; those whose id is not known yet are looked for by name."""
        known = [name for name in names if name in self._known]
        unknown = len(names) - len(known)
        self._newer |= set(names) - self._known
        self._known |= set(names)
        searched = self._ask(unknown)
        if cached and self._is_fresh():
            return self._ask(sum(not self._is_listed(name) for name in known)) + searched
        return self._ask_objects(len(known), listed=True) + searched

    def _ask_objects(self, count: int, *, listed: bool) -> Cost:
        """Return the cost of reading so many objects: one by one, or all in a listing where there is one."""
        return self._ask(1 if listed and count > FEW else count)

    # --- the cached listings ------------------------------------------------------------------------------------------

    def _team(self, scope: Scope) -> Hashable:
        """Return what stands for the team of a scope."""
        return team_of(scope, self.live, self._state) or ("team of", scope)

    def _fill_cache(self, changes: Iterable[Change]) -> Cost:
        if self._state.old or self._is_fresh() or not is_worth_it(changes):
            return FREE
        self._age, self._since = 0, 0.0
        self._written.clear()
        self._newer.clear()
        return self._ask(LISTINGS)

    def _is_fresh(self) -> bool:
        return self._age is not None and self._age < MOST_WRITES and self._since <= OLDEST

    def _is_cached(self, thing: Hashable) -> bool:
        """Return whether a site or a team may be taken from the cached listings."""
        return self._is_fresh() and thing not in self._written

    def _is_listed(self, name: str) -> bool:
        """Return whether an account may be taken from the cached listings, which lack those that were made since."""
        return name in self._known and name not in self._newer and self._is_cached(name)

    def _ask_unless_cached(self, thing: Hashable) -> Cost:
        return FREE if self._is_cached(thing) else self._ask(1)

    def _note_writes(self, thing: Hashable, times: int = 1) -> None:
        self._written.add(thing)
        self._age = None if self._age is None else self._age + times
