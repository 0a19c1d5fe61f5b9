"""Needs: what only whoever applies can give, a destination for passwords, the consent to delete, or approvals.

A step that lacks one is blocked when it is applied. In a plan that is reviewed it is a change as any other, and the need
is told once.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.approvals import NEEDED
from siteward.access.guards import DELETION, PASSWORDS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from siteward.access.plan import InstancePlan, Plan, Step

DEPENDS = "depends-on-blocked"
NEEDS = frozenset({DELETION, PASSWORDS, NEEDED, DEPENDS})
"""The errors on steps that ask for something of whoever applies, and those on the steps that need these."""


def as_if_given(plan: Plan) -> Plan:
    """Return a plan in which the steps that lack nothing but a need are not blocked."""
    return replace(plan, instances=tuple(map(give, plan.instances))) if plan.needs else plan


def give(part: InstancePlan) -> InstancePlan:
    """Return the plan of an instance in which the steps that lack nothing but a need are not blocked."""
    blocked: set[str] = set()
    steps = []
    for step in part.steps:  # what a step depends on stands before it
        given = _lift(step, blocked)
        if given.blocked:
            blocked.add(step.id)
        steps.append(given)
    if all(map(is_, steps, part.steps)):
        return part  # with what is counted of it already
    return replace(part, steps=tuple(steps))


def _lift(step: Step, blocked: AbstractSet[str]) -> Step:
    """Return a step without the errors of needs; unchanged where it has another, or depends on a step in `blocked`."""
    if not step.diagnostics:
        return step
    errors = {said.code for said in step.diagnostics if said.blocks}
    if not errors or errors - NEEDS or not blocked.isdisjoint(step.depends_on):
        return step
    return replace(step, diagnostics=tuple(said for said in step.diagnostics if not said.blocks))
