"""The admins of an instance as they are, and the few steps of a plan that make or unmake one (promise 4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce

from msgspec import Struct

from siteward.access.census import GONE
from siteward.access.model import EVERYWHERE, Account, Grant, Key, Resource, Subject, account_key, account_of, grant_key
from siteward.access.patterns import matching
from siteward.access.proposal import Proposal, Proposed
from siteward.access.state import Holder

SOON = timedelta(days=14)


class _Move(Struct, frozen=True):
    """One step that makes or unmakes an admin; `counted` tells that unmaking this one takes somebody who counts."""

    key: Key
    name: str
    makes: bool
    counted: bool


class Board:
    """Who is an admin now, who of them counts, and what a plan makes of that.

    `holding` are all with the top account role but the account in use, `counted` those who count towards the
    minimum. `stuck` is what will not be done.
    """

    def __init__(self, proposal: Proposal, as_of: datetime, stuck: frozenset[Key]) -> None:
        self._proposal = proposal
        self._as_of = as_of
        self._stuck = stuck
        me = (proposal.live.me or "").casefold()
        tops = (each for each in proposal.live.access.grants() if self._top(each) and each.subject.kind == "account")
        self.holding = frozenset(each.subject.name for each in tops if each.subject.name.casefold() != me)
        self.counted = frozenset(each for each in self.holding if self._counts(each))
        self._moves = tuple(move for each in proposal.proposed if (move := self._move(each)) is not None)

    def objections(self) -> tuple[frozenset[Key], frozenset[Key]]:
        """Return the steps that leave too few and those that make too many, when neither is done."""
        low: frozenset[Key] = frozenset()
        high: frozenset[Key] = frozenset()
        while True:
            gone = self._stuck | low | high
            moves = [each for each in self._moves if each.key not in gone]
            too_many, too_few = self._too_many(moves), self._too_few(moves)
            if not too_many and not too_few:
                return low, high
            high |= too_many
            low |= frozenset() if too_many else too_few

    def after(self, undone: frozenset[Key]) -> frozenset[str]:
        """Return who holds the top account role in the end, when `undone` is left undone as well."""
        return self._after([each for each in self._moves if each.key not in self._stuck | undone])

    @staticmethod
    def _changed(held: frozenset[str], move: _Move) -> frozenset[str]:
        return held | {move.name} if move.makes else held - {move.name}

    def _after(self, moves: list[_Move]) -> frozenset[str]:
        return reduce(self._changed, moves, self.holding)

    def _move(self, proposed: Proposed) -> _Move | None:
        change, name = proposed.change, account_of(proposed.key)
        deletes = change.after is None and isinstance(change.before, Account) and name in self.holding
        if name is None or (not deletes and self._top(change.before) == self._top(change.after)):
            return None
        counted = name in self.counted or (proposed.cause in GONE and self._counts(name, gone=True))
        return _Move(change.key, name, self._top(change.after), counted)

    def _top(self, side: Resource | None) -> bool:
        return isinstance(side, Grant) and self._proposal.traits.is_top(side)

    def _counts(self, name: str, *, gone: bool = False) -> bool:
        """Tell whether an admin counts towards the minimum.

        `gone` asks whether somebody whom the file now calls suspended, absent or no longer there counted until
        then: taking the last admin away by one word in the file is a lock-out as well.
        """
        proposal, holder = self._proposal, self._proposal.desired.holders.get(name)
        if not gone and (holder is None or holder.ending is not None):
            return False
        if holder is not None and (holder.kind == "service" or self._ends_soon(name, holder)):
            return False
        top, account = grant_key(Subject("account", name), EVERYWHERE), proposal.live.access.get(account_key(name))
        if {top, account_key(name)} & proposal.live.pending or matching(proposal.policy.ignore, name):
            return False
        return (
            account.status == "active" if isinstance(account, Account) else "invite" not in proposal.traits.onboarding
        )

    def _ends_soon(self, name: str, holder: Holder) -> bool:
        origin = self._proposal.desired.origins.get(grant_key(Subject("account", name), EVERYWHERE))
        ends = (holder.until, origin.until if origin is not None else None)
        return any(each is not None and each - self._as_of <= SOON for each in ends)

    def _too_few(self, moves: list[_Move]) -> frozenset[Key]:
        least, counted = self._proposal.policy.admins_min, set(self.counted)
        found = set()
        for each in moves:
            if each.makes:
                counted |= {each.name} if self._counts(each.name) else set()
            elif each.counted and len(counted - {each.name}) < least:
                found.add(each.key)
            else:
                counted.discard(each.name)
        return frozenset(found)

    def _too_many(self, moves: list[_Move]) -> frozenset[Key]:
        most, made = self._proposal.policy.admins_max, [each.key for each in moves if each.makes]
        over = len(self._after(moves)) - most if most is not None else 0
        return frozenset(made[max(0, len(made) - over) :]) if over > 0 else frozenset()
