"""Needs: what only whoever applies can give, a destination for passwords, the consent to delete, or approvals.

A step that lacks one is blocked when it is applied. In a plan that is reviewed it is a change as any other, and the need
is told once (`InstancePlan.given`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec.structs import replace

from siteward.access.approvals import NEEDED
from siteward.access.guards import DELETION, PASSWORDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from siteward.access.diagnostic import Diagnostic

DEPENDS = "depends-on-blocked"
NEEDS = frozenset({DELETION, PASSWORDS, NEEDED, DEPENDS})
"""The errors on steps that ask for something of whoever applies, and those on the steps that need these."""


class Blockable(Protocol):
    """What is looked at of a step (`siteward.access.plan.Step`)."""

    @property
    def id(self) -> str:
        """What other steps call it."""

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The ids of the steps that must be done first."""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What is said of it."""

    @property
    def blocked(self) -> bool:
        """Whether a diagnostic is an error."""


_Step = TypeVar("_Step", bound=Blockable)


def give(steps: Iterable[_Step]) -> tuple[_Step, ...]:
    """Return the steps of an instance, of which those that lack nothing but a need are not blocked."""
    blocked: set[str] = set()
    given: list[_Step] = []
    for step in steps:  # what a step depends on stands before it
        lifted = _lift(step, blocked) if step.diagnostics else step
        if lifted.blocked:
            blocked.add(lifted.id)
        given.append(lifted)
    return tuple(given)


def _lift(step: _Step, blocked: AbstractSet[str]) -> _Step:
    """Return a step without the errors of needs; unchanged where it has another, or depends on a step in `blocked`."""
    errors = {said.code for said in step.diagnostics if said.blocks}
    if not errors or errors - NEEDS or not blocked.isdisjoint(step.depends_on):
        return step
    kept = tuple(said for said in step.diagnostics if not said.blocks)
    return replace(step, diagnostics=kept)  # type: ignore[type-var]  # a step is a struct, as a protocol cannot say
