"""The search for rows of the file that end soon: users, memberships and grants with a date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.ends import Ending
from siteward.access.hosts import domain_in
from siteward.access.patterns import matcher
from siteward.declaration.selector import parse
from siteward.declaration.window import write_edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from siteward.access.window import Window
    from siteward.declaration.declared import Declaration, Grant, Site
    from siteward.declaration.selector import Selector


def find_endings(declaration: Declaration, as_of: datetime, until: datetime) -> tuple[Ending, ...]:
    """Return what ends after a moment and up to another one, by the rows of the files alone.

    What ends for nobody but users who have nothing left is not among it.
    """

    def ends(window: Window) -> bool:
        return window.end is not None and as_of < window.end <= until and not window.empty

    found = (*_users(declaration), *_members(declaration), *_grants(declaration))
    return tuple(
        replace(ending, until=write_edge(ending.end, declaration.timezone, last=True))
        for ending, window in found
        if ends(window) and any(_has_access(declaration, name) for name in ending.who)
    )


def _has_access(declaration: Declaration, name: str) -> bool:
    """Return whether a user may have something to lose: whoever is suspended or absent everywhere has lost it. Groups may."""
    user = declaration.users.get(name)
    return user is None or any(user.state(instance) == "active" for instance in declaration.instances)


def _users(declaration: Declaration) -> Iterator[tuple[Ending, Window]]:
    for user in declaration.users.values():
        if user.window.end is not None:
            yield Ending(
                end=user.window.end, until="", kind="user", who=(user.handle,), what="all access",
                owners=(user.owner,) if user.owner else (), at=user.at, ticket=user.ticket, reason=user.reason,
            ), user.window  # fmt: skip


def _members(declaration: Declaration) -> Iterator[tuple[Ending, Window]]:
    for group in declaration.groups.values():
        for number, member in enumerate(group.members):
            if member.window.end is None or member.excludes or member.by is not None:
                continue
            yield Ending(
                end=member.window.end, until="", kind="member", who=(member.name,), what=f"membership in {group.handle}",
                owners=group.owner, at=group.source.at(group.member_path(number)), ticket=member.ticket,
                reason=member.reason,
            ), member.window  # fmt: skip


def _grants(declaration: Declaration) -> Iterator[tuple[Ending, Window]]:
    for line in declaration.grants or ():
        if line.window.end is None:
            continue
        where = ", ".join((*line.sites, *line.metasites)) or ", ".join(line.on or ())
        yield Ending(
            end=line.window.end, until="", kind="grant", who=line.to, what=f"{line.role} on {where}",
            owners=_owners_of(declaration, line), at=line.at, ticket=line.ticket, reason=line.reason,
        ), line.window  # fmt: skip


def _owners_of(declaration: Declaration, line: Grant) -> tuple[str, ...]:
    """Return who answers for the sites of a grant; where nobody does, for the groups and services that it is to."""
    selectors = [parse(word) for word in line.sites]
    sites = [site for site in declaration.sites.values() if any(_selects(selector, site) for selector in selectors)]
    owners = [owner for site in sites for owner in site.owner]
    if not owners:
        groups = (declaration.groups[name].owner for name in line.to if name in declaration.groups)
        owners = [owner for names in groups for owner in names]
        users = (declaration.users[name].owner for name in line.to if name in declaration.users)
        owners += [owner for owner in users if owner is not None]
    return tuple(dict.fromkeys(owners))


def _selects(selector: Selector, site: Site) -> bool:
    """Return whether a word of a grant takes a declared site in, as far as the file tells."""
    host = domain_in(site.domain)
    if selector.excludes:
        return False
    if selector.kind == "pattern":
        return bool(matcher(selector.text)(host))
    if selector.kind == "tag":
        return selector.text in site.tags
    if selector.kind == "id":
        return selector.text in site.pins.values()
    return selector.kind == "name" and (selector.text == site.handle or domain_in(selector.text) == host)
