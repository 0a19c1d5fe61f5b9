"""One difference between two pictures of access, and the algebra of differences.

A change is two sides; the verb, the undo and the staleness test are read off them. `diff` is total and
knows neither platform nor policy.

Laws (tests/laws): ``patch(live, diff(live, desired)) == desired``, ``diff(x, x) == ()``, and
``diff(a, b)`` is the inverse of ``diff(b, a)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from siteward.access.model import Access, Key, Resource

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """A resource before and after; at least one side is there, and both have the same key."""

    before: Resource | None
    after: Resource | None

    @property
    def key(self) -> Key:
        side = self.after if self.after is not None else self.before
        if side is None:
            raise ValueError("a change needs at least one side")
        return side.key

    @property
    def action(self) -> Action:
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"

    @property
    def inverse(self) -> Change:
        """The change that takes this one back."""
        return Change(self.after, self.before)


def diff(live: Access, desired: Access) -> tuple[Change, ...]:
    """Return every difference that leads from `live` to `desired`, in key order of neither."""
    wanted = tuple(Change(live.get(key), after) for key, after in desired.items() if live.get(key) != after)
    return wanted + tuple(Change(before, None) for key, before in live.items() if key not in desired)


def patch(access: Access, changes: Iterable[Change]) -> Access:
    """Return `access` as it is once the changes are made."""
    resources: dict[Key, Resource] = dict(access)
    for each in changes:
        if each.after is None:
            resources.pop(each.key, None)
        else:
            resources[each.key] = each.after
    return Access(resources.values())
