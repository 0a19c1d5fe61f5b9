"""The number of admins of an instance after each step of a plan, checked against the policy's minimum and maximum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import reduce

from msgspec import Struct

from siteward.access.diagnostic import join_some
from siteward.access.model import (
    EVERYWHERE,
    Account,
    Grant,
    Key,
    Resource,
    Subject,
    account_key,
    account_of,
    grant_key,
)
from siteward.access.ownership import Proposed
from siteward.access.patterns import matching
from siteward.access.proposal import Proposal
from siteward.access.standing import GONE
from siteward.access.state import DeclaredUser

SOON = timedelta(days=14)
"""The time before the end of an admin within which that admin does not count any more."""


class _AdminChange(Struct, frozen=True):
    """One step that makes or removes an admin; `counted` is true if it removes one who counts towards the minimum."""

    key: Key
    name: str
    makes: bool
    counted: bool


def _may_be_of_an_admin(key: Key) -> bool:
    """Return whether a change of that key may make or unmake an admin: all but grants on less than the whole instance."""
    return key[0] != "grant" or key[3] == EVERYWHERE.kind


class AdminTimeline:
    """The admins of an instance now and after the steps of a plan.

    `holding` are all accounts with the top role except the account in use, `counted` those of them who count towards
    the minimum. The steps in `unreachable_steps` will not be done. `as_of` is the moment of the plan.
    """

    def __init__(self, proposal: Proposal, as_of: datetime, unreachable_steps: frozenset[Key]) -> None:
        self._proposal = proposal
        self._as_of = as_of
        self._unreachable = unreachable_steps
        firsts = [series[0] for series in proposal.series]  # of one: a top role is on one scope
        about = [proposed for proposed in firsts if _may_be_of_an_admin(proposed.change.key)]
        self._ended = frozenset(self._find_ended((*about, *proposal.held_back)))
        tops = (grant for grant in proposal.tops if grant.subject.kind == "account")
        self.holding = frozenset(top.subject.name for top in tops if not proposal.live.is_self(top.subject.name))
        self.counted = frozenset(name for name in self.holding if self._counts(name))
        self._moves = tuple(move for move in map(self._build_move, about) if move is not None)

    def objections(self) -> tuple[frozenset[Key], frozenset[Key]]:
        """Return the steps to refuse: those that would leave too few admins, and those that would make too many."""
        low: frozenset[Key] = frozenset()
        high: frozenset[Key] = frozenset()
        while True:
            undone = self._unreachable | low | high
            moves = [move for move in self._moves if move.key not in undone]
            too_many, too_few = self._find_too_many(moves), self._find_too_few(moves)
            if not too_many and not too_few:
                return low, high
            high |= too_many
            low |= frozenset() if too_many else too_few

    def after(self, undone: frozenset[Key]) -> frozenset[str]:
        """Return the accounts with the top role after the plan, if the steps in `undone` are not done either."""
        return self._apply([move for move in self._moves if move.key not in self._unreachable | undone])

    def name(self, admins: frozenset[str]) -> str:
        """Return admins by name for a message, those apart who are in no file: they count towards the maximum too."""
        declared = self._proposal.desired.declared_users.keys()
        inside, outside = sorted(admins & declared), sorted(admins - declared)
        beside = f"not in the file: {join_some(outside)}" if outside else ""
        return "; ".join(filter(None, (join_some(inside), beside))) or "nobody"

    def name_counted(self) -> str:
        """Return in brackets those who count towards the minimum now; nothing where nobody does."""
        return f" (now: {join_some(sorted(self.counted))})" if self.counted else ""

    @staticmethod
    def _apply_step(held: frozenset[str], move: _AdminChange) -> frozenset[str]:
        return held | {move.name} if move.makes else held - {move.name}

    def _apply(self, moves: list[_AdminChange]) -> frozenset[str]:
        """Return the accounts with the top role after these steps."""
        return reduce(self._apply_step, moves, self.holding)

    def _build_move(self, proposed: Proposed) -> _AdminChange | None:
        """Return the proposed change as one of admins, or `None` where it is none."""
        change, name = proposed.change, account_of(proposed.key)
        deletes = change.after is None and isinstance(change.before, Account) and name in self.holding
        if name is None or (not deletes and self._is_top(change.before) == self._is_top(change.after)):
            return None
        counted = name in self.counted or (proposed.cause in GONE and self._counts(name, gone=True))
        return _AdminChange(change.key, name, self._is_top(change.after), counted)

    def _find_ended(self, row: Iterable[Proposed]) -> Iterator[str]:
        """Yield the accounts whose top role is over by a date, whether or not the mode lets it be taken."""
        for proposed in row:
            name = account_of(proposed.key)
            if proposed.ends and name is not None and self._is_top(proposed.change.before):
                yield name

    def _is_top(self, resource: Resource | None) -> bool:
        return isinstance(resource, Grant) and self._proposal.traits.is_top(resource)

    def _counts(self, name: str, *, gone: bool = False) -> bool:
        """Return whether an admin counts towards the minimum; one whose time is over by a date never does.

        With `gone`, the ending of the user in the file (suspended, absent, left) is ignored: removing the last admin
        by one word in the file is a lock-out as well.
        """
        proposal, declared_user = self._proposal, self._proposal.desired.declared_users.get(name)
        if name in proposal.others or name in self._ended:
            return False
        if not gone and (declared_user is None or declared_user.ending is not None):
            return False
        if declared_user is not None and (declared_user.kind == "service" or self._ends_soon(name, declared_user)):
            return False
        top, account = grant_key(Subject("account", name), EVERYWHERE), proposal.live.access.get(account_key(name))
        if {top, account_key(name)} & proposal.live.pending or matching(proposal.policy.ignore, name):
            return False
        return (
            account.status == "active" if isinstance(account, Account) else "invite" not in proposal.traits.onboarding
        )

    def _ends_soon(self, name: str, declared_user: DeclaredUser) -> bool:
        """Return whether the user or the admin grant ends within `SOON`."""
        origin = self._proposal.desired.origins.get(grant_key(Subject("account", name), EVERYWHERE))
        ends = (declared_user.until, origin.until if origin is not None else None)
        return any(end is not None and end - self._as_of <= SOON for end in ends)

    def _find_too_few(self, moves: list[_AdminChange]) -> frozenset[Key]:
        least, counted = self._proposal.policy.admins_min, set(self.counted)
        refused = set()
        for move in moves:
            if move.makes:
                counted |= {move.name} if self._counts(move.name) else set()
            elif move.counted and len(counted - {move.name}) < least:
                refused.add(move.key)
            else:
                counted.discard(move.name)
        return frozenset(refused)

    def _find_too_many(self, moves: list[_AdminChange]) -> frozenset[Key]:
        most, made = self._proposal.policy.admins_max, [move.key for move in moves if move.makes]
        over = len(self._apply(moves)) - most if most is not None else 0
        return frozenset(made[max(0, len(made) - over) :]) if over > 0 else frozenset()
