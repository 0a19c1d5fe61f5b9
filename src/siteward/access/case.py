"""A case before the guards: a proposal with the consents of a run, and what of it is blocked so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic
from siteward.access.limits import Begun
from siteward.access.model import Key, account_of
from siteward.access.proposal import Proposal


class Case(Struct, frozen=True, kw_only=True, dict=True):
    """A proposal, the consents of this run (see `guards.judge`), and the keys that are blocked so far.

    `refused` are those that are blocked by more than the lack of consent to a deletion, an approval, or a destination.
    """

    proposal: Proposal
    as_of: datetime
    accept: Mapping[str, str] = MappingProxyType({})
    allow_delete: bool = False
    confirmed: bool = False
    mails: int = 0
    remarks: tuple[Diagnostic, ...] = ()
    blocked: frozenset[Key] = frozenset()
    refused: frozenset[Key] = frozenset()
    begun: Begun | None = None

    @cached_property
    def unreachable_steps(self) -> frozenset[Key]:
        """The keys of the steps that will not be done: those blocked, and those that depend on one."""
        return unreachable_steps(self.blocked, self.proposal)

    @cached_property
    def group_members(self) -> Mapping[str, tuple[str, ...]]:
        """The members of each of the platform's own groups, now or afterwards."""
        now, then = self.proposal.index.members, self.proposal.projected_members
        return {group: tuple(sorted({*now.get(group, ()), *then.get(group, ())})) for group in now.keys() | then.keys()}

    def affected(self, key: Key) -> tuple[str, ...]:
        """Return the accounts whose access a change of that key touches: its own, or its group's members."""
        name = account_of(key)
        if name is not None:
            return (name,)
        return self.group_members.get(key[2] if key[0] == "grant" else key[1], ())


def unreachable_steps(blocked: Iterable[Key], proposal: Proposal) -> frozenset[Key]:
    """Return the keys in `blocked` and those of all changes that depend on one of them, directly or not."""
    unreachable = set(blocked)
    if unreachable:
        for change in proposal.changes:
            if not unreachable.isdisjoint(proposal.needs.get(change.key, ())):
                unreachable.add(change.key)
    return frozenset(unreachable)
