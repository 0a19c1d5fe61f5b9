"""Which exclusion keeps somebody out: each is taken away in turn, until what was asked about is granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.declaration.selector import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.access.diagnostic import Span
    from siteward.declaration.declared import Declaration, Grant


class Exclusion(Struct, frozen=True):
    """Something with a `!` in the file: what it is, in words, and where."""

    words: str
    at: Span


def deciding(declaration: Declaration, granted: Callable[[Declaration], bool]) -> Exclusion | None:
    """Return the exclusion without which it would be granted, as `granted` tells of a declaration, if there is one."""
    return next((each for each, without in _each_left_out(declaration) if granted(without)), None)


def _each_left_out(declaration: Declaration) -> Iterator[tuple[Exclusion, Declaration]]:
    for group in declaration.groups.values():
        for number, member in enumerate(group.members):
            if member.excludes:
                fewer = replace(group, members=(*group.members[:number], *group.members[number + 1 :]))
                found = Exclusion(f"the group {group.handle} leaves out `!{member.name}`", group.at)
                yield found, replace(declaration, groups={**declaration.groups, group.handle: fewer})
    grants = declaration.grants or ()
    for number, grant in enumerate(grants):
        for found, wider in _wider(grant):
            yield found, replace(declaration, grants=(*grants[:number], wider, *grants[number + 1 :]))


def _wider(grant: Grant) -> Iterator[tuple[Exclusion, Grant]]:
    for key, written in (("sites", grant.sites), ("metasites", grant.metasites)):
        for number, each in enumerate(written):
            if parse(each).excludes:
                rest = (*written[:number], *written[number + 1 :])
                found = Exclusion(f"the grant leaves out `{each}`", grant.spot.at(key, number))
                yield found, replace(grant, **{key: rest})
