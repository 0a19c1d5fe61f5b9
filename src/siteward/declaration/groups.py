"""Groups: whom they take in, their users with the ways that lead to each, and how deep groups may nest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.state import joined
from siteward.access.window import ALWAYS, Window
from siteward.declaration.declared import EVERY, Member
from siteward.declaration.directories import group_name

if TYPE_CHECKING:
    from siteward.declaration.declared import Group as GroupLine
    from siteward.declaration.declared import User


class Way(Struct, frozen=True):
    """A path on which a user belongs to a group: the groups on it (`via`), and the time in which it holds.

    `ticket` and `reason` are those of all memberships on it, with the tickets of the groups.
    """

    window: Window = ALWAYS
    via: tuple[str, ...] = ()
    ticket: str | None = None
    reason: str | None = None


DIRECT = (Way(),)
"""The ways to a user who is named directly."""

People: TypeAlias = Mapping[str, tuple[Way, ...]]
"""Users by handle, with the ways that lead to them."""


def filled(groups: Mapping[str, GroupLine], users: Mapping[str, User]) -> Mapping[str, GroupLine]:
    """Return the groups with all whom they take in by themselves among their members.

    Who left or is suspended everywhere is taken into none, and a file with bounds takes in nobody of another file, nor
    is anybody of it taken into a group elsewhere. The members of a directory's group are those of the group
    of the file that is written from it. The groups that `all: members` speaks of are those that list their members;
    where one of these lists a group that takes people in by itself, it lends the others alone.
    """
    if not any(group.intakes for group in groups.values()):
        return groups
    here = [user for user in users.values() if user.state(EVERY) == "active"]
    listed = [group for group in groups.values() if not group.intakes and not group.external]
    lent = (
        _lent(groups) if any(intake.value == "members" for group in groups.values() for intake in group.intakes) else {}
    )
    return {
        name: replace(group, members=(*group.members, *_take_in(group, here, listed, groups, lent)))
        if group.intakes
        else group
        for name, group in groups.items()
    }


def _lent(groups: Mapping[str, GroupLine]) -> Mapping[str, tuple[Member, ...]]:
    """Return the users whom each group that has a computing one inside lists itself, by itself or in its other groups.

    So groups that compute never see each other. Nobody, where groups that list their members are in a circle.
    """
    bare = {name: replace(group, members=()) if group.intakes else group for name, group in groups.items()}
    mixed = {name for name, group in groups.items() if group.intakes}
    while more := {
        name for name in bare.keys() - mixed if any(member.name in mixed for member in groups[name].members)
    }:
        mixed |= more
    holding = [name for name in groups if name in mixed and not groups[name].intakes]
    if not holding:
        return {}
    people = expand(bare) if cycle(bare) is None else {}
    return {
        name: tuple(
            Member(handle, way.window, ticket=way.ticket, reason=way.reason)
            for handle, ways in people.get(name, {}).items()
            for way in ways
        )
        for name in holding
    }


def may_take(group: GroupLine, row: User | GroupLine) -> bool:
    """Return whether a group may take in a user, or the members of a group, by itself: of its own file, or where neither file has bounds."""
    return row.source is group.source or (row.bound is None and group.bound is None)


def _take_in(
    group: GroupLine,
    everybody: Sequence[User],
    listed: Sequence[GroupLine],
    groups: Mapping[str, GroupLine],
    lent: Mapping[str, tuple[Member, ...]],
) -> Iterator[Member]:
    """Yield whom a group takes in by itself, of these users and the groups that list their members.

    `lent` are the members of those that are not taken in as they are.
    """
    users = [user for user in everybody if may_take(group, user)]
    for intake in group.intakes:
        match intake.by, intake.value:
            case "all", "members":
                taken = [other.handle for other in listed if may_take(group, other)]
                names: Iterable[str] = (name for name in taken if name not in lent)
                for name in taken:
                    yield from (replace(member, by=f"all members, group {name}") for member in lent.get(name, ()))
            case "all", _:
                names = (user.handle for user in users if user.kind != "service")
            case "kind", kind:
                names = (user.handle for user in users if user.kind == kind)
            case "tag", tag:
                names = (user.handle for user in users if tag in user.tags)
            case _:
                written = group_name(intake.value, intake.group or "")
                names = [written] if written in groups and may_take(group, groups[written]) else []
        by = f"{intake.by} {intake.value}" + (f", group {intake.group}" if intake.group else "")
        yield from (Member(name, by=by) for name in names)


def expand(groups: Mapping[str, GroupLine]) -> Mapping[str, People]:
    """Return the users of each group, by group, with the ways that lead to them.

    Exclusions are applied after all members, so the order of a list changes nothing. Windows intersect along a way;
    of several ways those are kept that differ in time, or in ticket or reason. There must be no cycle (see `cycle`).
    """
    expanded: dict[str, People] = {}
    for name in groups:
        _expand_group(name, groups, expanded)
    return expanded


def _expand_group(name: str, groups: Mapping[str, GroupLine], expanded: dict[str, People]) -> People:
    """Return the users of one group, and remember them in `expanded` with those of the groups inside."""
    known = expanded.get(name)
    if known is not None:
        return known
    ways: dict[str, dict[tuple[Window, str | None, str | None], Way]] = {}
    excluded: set[str] = set()
    group, step = groups[name], f"group {name}"
    for member in group.members:
        inner = _expand_group(member.name, groups, expanded) if member.name in groups else {member.name: DIRECT}
        if member.excludes:
            excluded.update(inner)
            continue
        via = (step,) if member.by is None else (step, member.by)
        for handle, inner_ways in inner.items():
            by_window = ways.setdefault(handle, {})
            for way in inner_ways:
                window = member.window.meet(way.window)
                if not window.empty:
                    ticket = joined(member.ticket, group.ticket, way.ticket)
                    reason = joined(member.reason, way.reason)
                    found = Way(window, (*via, *way.via), ticket, reason)
                    by_window.setdefault((window, ticket, reason), found)
    expanded[name] = {
        handle: tuple(by_window.values()) for handle, by_window in ways.items() if handle not in excluded and by_window
    }
    return expanded[name]


MAX_NESTING = 50
"""The most groups within one another."""


def cycle(groups: Mapping[str, GroupLine]) -> tuple[str, ...] | None:
    """Return the groups of a cycle, first and last the same, or two groups where nesting is too deep; else `None`.

    Too deep is more than `MAX_NESTING` groups within one another.
    """
    depths: dict[str, int] = {}
    for start in groups:
        path = _find_cycle(start, (), groups, depths)
        if path is not None:
            return path
    return None


def _find_cycle(
    name: str, trail: tuple[str, ...], groups: Mapping[str, GroupLine], depths: dict[str, int]
) -> tuple[str, ...] | None:
    """Search from one group downwards; `depths` holds the depths of groups that were searched and are sound."""
    if name in trail:
        return (*trail[trail.index(name) :], name)
    if name in depths or name not in groups:
        return None
    way = (*trail, name)
    for member in groups[name].members:
        path = _find_cycle(member.name, way, groups, depths)
        if path is not None:
            return path
        if len(way) + depths.get(member.name, 0) > MAX_NESTING:
            return (name, member.name)
    depths[name] = 1 + max((depths.get(member.name, 0) for member in groups[name].members), default=0)
    return None
