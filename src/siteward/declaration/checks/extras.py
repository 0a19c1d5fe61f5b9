"""A check of extras: a role brings what it brings, also where the file writes `extras` without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity, problem
from siteward.access.model import Power
from siteward.declaration.roles import Meaning, meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.traits import Traits
    from siteward.declaration.context import Context


NONE: frozenset[str] = frozenset()
"""The meaning of `extras: []`."""


def brought_along(context: Context) -> Iterator[Diagnostic]:
    """Note each role that brings something although `extras: []` stands beside it: Matomo's `write` the tag manager.

    It is told of each role of the file, and of the first grant with the same role and extras.
    """
    told: set[tuple[str, str]] = set()
    for name, traits in context.traits.items():
        roles = context.declaration.roles
        for role in roles.values():
            on, key = role.on.get(traits.platform), (role.handle, traits.platform)
            if on is not None and on.extras == NONE and key not in told:
                told.add(key)
                yield from _describe(
                    meaning(roles, role.handle, None, traits, "site"), traits, role.location.at(key[1])
                )
        for grant in context.declaration.grants or ():
            asked = (grant.role, traits.platform)
            if grant.extras == NONE and asked not in told and grant.sites and grant.reaches(name):
                told.add(asked)
                means = context.meaning(grant, context.declaration.instances[name], "site")
                yield from _describe(means, traits, grant.location.at("extras"))


def _describe(means: object, traits: Traits, at: Span) -> Iterator[Diagnostic]:
    """Yield a note where a role has the power to edit at most and brings extras."""
    if not isinstance(means, Meaning) or means.role.power > Power.EDIT:
        return
    brought = sorted(extra for extra, roles in traits.included.items() if means.role.name in roles)
    if brought:
        said = means.role.portable or means.role.name
        message = (
            f"`{said}` is {traits.platform}'s role {means.role.name}, which brings {', '.join(brought)} whatever `extras` "
            "says: whoever has it may also edit the tags that a site loads"
        )
        hint = f"no role there does what `{said}` does without it; give `view` where that will do"
        yield problem("edit-brings-tags", message, at, severity=Severity.NOTE, hint=hint)


EXTRAS_CHECKS: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (brought_along,)
