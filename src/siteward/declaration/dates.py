"""Declarations without some of their dates, with which the changes that a date causes are told from the others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.window import ALWAYS, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.declaration.declared import Declaration

_NEVER = datetime.max.replace(tzinfo=UTC)


def without_ends(declaration: Declaration, as_of: datetime) -> Declaration | None:
    """Return the declaration as if the ends that have passed at `as_of` did not stand in it; `None` without any."""

    def extend(window: Window) -> Window:
        passed = window.end is not None and window.end <= as_of
        return Window(window.start) if passed else window

    return _with_windows(declaration, extend)


def without_starts(declaration: Declaration, since: datetime | None, as_of: datetime) -> Declaration | None:
    """Return the declaration as if what began after `since` and up to `as_of` had not begun; `None` without any.

    Without `since` that is all that has begun by a date.
    """

    def postpone(window: Window) -> Window:
        start = window.start
        come = start is not None and start <= as_of and (since is None or start > since)
        return Window(_NEVER) if come else window

    return _with_windows(declaration, postpone)


def later_starts(declaration: Declaration, instance: str, as_of: datetime) -> frozenset[tuple[object, ...]]:
    """Return what begins after `as_of` by its date and may reach an instance: users, memberships and grants."""

    def is_later(window: Window) -> bool:
        return window.start is not None and window.start > as_of

    users = ((user.handle, user.window) for user in declaration.users.values() if is_later(user.window))
    members = (
        (group.handle, member.name, member.window)
        for group in declaration.groups.values()
        for member in group.members
        if is_later(member.window)
    )
    lines = (
        (line.to, line.role, line.sites, line.metasites, line.extras, line.window)
        for line in declaration.grants or ()
        if line.reaches(instance) and is_later(line.window)
    )
    return frozenset((*users, *members, *lines))


def _with_windows(declaration: Declaration, change: Callable[[Window], Window]) -> Declaration | None:
    """Return the declaration with all its windows changed; `None` where none does change."""
    if all(change(window) is window for window in windows(declaration)):
        return None
    grants = declaration.grants
    return replace(
        declaration,
        users={name: replace(user, window=change(user.window)) for name, user in declaration.users.items()},
        groups={
            name: replace(
                group, members=tuple(replace(member, window=change(member.window)) for member in group.members)
            )
            for name, group in declaration.groups.items()
        },
        grants=None if grants is None else tuple(replace(line, window=change(line.window)) for line in grants),
    )


def windows(declaration: Declaration) -> Iterator[Window]:
    """Yield the windows of users, memberships and grants that have dates."""
    yield from (user.window for user in declaration.users.values() if user.window is not ALWAYS)
    for group in declaration.groups.values():
        yield from (member.window for member in group.members if member.window is not ALWAYS)
    yield from (line.window for line in declaration.grants or () if line.window is not ALWAYS)
