"""Who a group means: its members and theirs, then what it leaves out, each with the ways and times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from siteward.declaration.window import ALWAYS, Window

if TYPE_CHECKING:
    from siteward.declaration.declared import Group


class Way(Struct, frozen=True):
    """How somebody comes to be meant: through which groups, and when."""

    window: Window = ALWAYS
    via: tuple[str, ...] = ()


DIRECT = (Way(),)
People: TypeAlias = Mapping[str, tuple[Way, ...]]


def expand(groups: Mapping[str, Group]) -> Mapping[str, People]:
    """Return who each group means. Members come first, then exclusions, so that order is nothing.

    Windows intersect along a way; of several ways all are kept that differ in time. There must be no cycle.
    """
    done: dict[str, People] = {}
    for name in groups:
        _expand(name, groups, done)
    return done


def _expand(name: str, groups: Mapping[str, Group], done: dict[str, People]) -> People:
    known = done.get(name)
    if known is not None:
        return known
    ways: dict[str, dict[Window, Way]] = {}
    gone: set[str] = set()
    here = f"group {name}"
    for member in groups[name].members:
        inner = _expand(member.name, groups, done) if member.name in groups else {member.name: DIRECT}
        if member.excludes:
            gone.update(inner)
            continue
        for handle, theirs in inner.items():
            known_ways = ways.setdefault(handle, {})
            for way in theirs:
                window = member.window.meet(way.window)
                if not window.empty:
                    known_ways.setdefault(window, Way(window, (here, *way.via)))
    done[name] = {handle: tuple(each.values()) for handle, each in ways.items() if handle not in gone and each}
    return done[name]


MAX_NESTING = 50


def cycle(groups: Mapping[str, Group]) -> tuple[str, ...] | None:
    """Return the names of a cycle of groups, first and last the same, or of a chain that is too long; else `None`."""
    depths: dict[str, int] = {}
    for start in groups:
        found = _walk(start, (), groups, depths)
        if found is not None:
            return found
    return None


def _walk(
    name: str, trail: tuple[str, ...], groups: Mapping[str, Group], depths: dict[str, int]
) -> tuple[str, ...] | None:
    """Go down from a group; `depths` holds how deep those are that are known to be sound."""
    if name in trail:
        return (*trail[trail.index(name) :], name)
    if name in depths or name not in groups:
        return None
    way = (*trail, name)
    for member in groups[name].members:
        found = _walk(member.name, way, groups, depths)
        if found is not None:
            return found
        if len(way) + depths.get(member.name, 0) > MAX_NESTING:
            return (name, member.name)
    depths[name] = 1 + max((depths.get(each.name, 0) for each in groups[name].members), default=0)
    return None
