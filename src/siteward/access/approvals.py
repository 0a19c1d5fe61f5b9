"""Approvals: the steps of a proposal that the owners' rules want approved, and who may approve each.

By an owner of each site gained; where none is declared and there, by a declared admin. Nobody approves what they gain.
An approval is a need: whoever reviews sees the step as any other, and an apply without an approval that counts leaves
it undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Span, error
from siteward.access.gains import Gains
from siteward.access.model import Scope
from siteward.access.ownership import Proposed
from siteward.access.policy import APPROVAL, Policy

NEEDED = "approval-needed"
"""The rule id of the error on a step that lacks an approval."""


class Approvers(Struct, frozen=True, kw_only=True):
    """The users who may approve on one instance, by handle: the owners of each live site, and the admins."""

    owners: Mapping[Scope, frozenset[str]] = MappingProxyType({})
    admins: frozenset[str] = frozenset()

    def of(self, scope: Scope) -> frozenset[str]:
        """Return who may approve a right on a scope: its owners, else the admins."""
        return self.owners.get(scope) or self.admins


NOBODY = Approvers()


def asks_for_approvals(policy: Policy) -> bool:
    """Return whether any rule of a policy wants approvals."""
    return any(APPROVAL in rule.require for rule in policy.rules)


def require_approvals(gains: Gains, approvers: Approvers, approved: Collection[str]) -> Iterator[Diagnostic]:
    """Yield an error on each step for each group of people of whom one has to approve it; `approved` have approved."""
    if not asks_for_approvals(gains.proposal.policy):
        return
    for proposed in gains.proposal.proposed:
        by_people: dict[frozenset[str], dict[str, Span | None]] = {}
        wanted = list(gains.wanting_approval(proposed))
        winners = {handle for _, _, handle in wanted if handle is not None}
        for rule, scope, _ in wanted:
            by_people.setdefault(approvers.of(scope) - winners, {})[str(rule)] = rule.at
        for people, rules in by_people.items():
            if people.isdisjoint(approved):
                yield _describe_lack(proposed, people, rules)


def approvers_named(told: Iterable[Diagnostic]) -> frozenset[tuple[str, ...]]:
    """Return the groups of people of whom one has to approve, by what is told of a step."""
    return frozenset(said.allowed for said in told if said.code == NEEDED)


def _describe_lack(proposed: Proposed, people: frozenset[str], rules: Mapping[str, Span | None]) -> Diagnostic:
    names, by_rules = tuple(sorted(people)), " and ".join(rules)
    related = tuple(at for at in rules.values() if at is not None)
    at = proposed.origin.at if proposed.origin is not None else None
    if names:
        message = f"this needs approval by {' or '.join(names)}, by the rule {by_rules}"
        hint = "let one of them approve the change on the forge; its job gives `SITEWARD_APPROVALS` to `apply`"
    else:
        message = f"this needs an approval, by the rule {by_rules}, and nobody there may give it"
        hint = "name an `owner` of the site who gains nothing by this, or declare an admin"
    return error(NEEDED, message, at=at, about=proposed.key, hint=hint, allowed=names, related=related)
