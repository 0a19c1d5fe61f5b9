"""The adapter's own picture of one Umami: rows by id, and who is in which team."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.platforms.umami.roles import TEAM_OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.umami.rows import MemberRow, SiteRow, TeamRow, UserRow
    from siteward.platforms.umami.settings import Layout

MANAGED = "acl:"
_LONGEST_TEAM_NAME = 50


class Rows(Struct, frozen=True):
    """All users, teams and sites, by id."""

    users: Mapping[str, UserRow]
    teams: Mapping[str, TeamRow]
    sites: Mapping[str, SiteRow]

    @property
    def adrift(self) -> frozenset[str]:
        """The ids of sites whose team or owner is not among those read."""
        return frozenset(
            each.id
            for each in self.sites.values()
            if (each.team_id is not None and each.team_id not in self.teams)
            or (each.user_id is not None and each.user_id not in self.users)
        )


class Picture(Struct, frozen=True, kw_only=True):
    """What reading leaves for reviewing and writing.

    `me` is the id of our own account. `labels` has the label of each site, `idle` the id of each team without sites by
    its label, `sites_of` the ids of the sites of each other team.
    """

    rows: Rows
    layout: Layout
    traits: Traits
    me: str
    labels: Mapping[str, str]
    idle: Mapping[str, str]
    sites_of: Mapping[str, tuple[str, ...]]

    @property
    def old(self) -> bool:
        """Tell whether this is 2.20, which takes a user's name with every change and lists no teams."""
        return self.traits.version == "2.20"


def picture_of(live: Live) -> Picture:
    """Return the picture that `read` left in `live`."""
    if not isinstance(live.native, Picture):
        raise TypeError("this live state was not read by the Umami adapter")
    return live.native


def sites_by_team(rows: Rows) -> dict[str, tuple[str, ...]]:
    """Return the ids of each team's sites, in a fixed order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in sorted(rows.sites.values(), key=lambda site: site.id):
        if each.team_id is not None and each.team_id in rows.teams:
            found[each.team_id].append(each.id)
    return {team: tuple(sites) for team, sites in found.items()}


def people(team: TeamRow) -> dict[str, tuple[MemberRow, ...]]:
    """Return the membership rows of a team by account id, ghosts left out; more than one row is a duplicate."""
    found: defaultdict[str, tuple[MemberRow, ...]] = defaultdict(tuple)
    for each in team.members:
        if each.user is not None:
            found[each.user_id] += (each,)
    return dict(found)


def owners(team: TeamRow) -> tuple[str, ...]:
    """Return the ids of the accounts that own a team."""
    return tuple(each.user_id for each in team.members if each.role == TEAM_OWNER and each.user is not None)


def team_name(label: str) -> str:
    """Return the name of the managed team of a site: a hint for people, at most 50 characters (API.md section 5)."""
    return f"{MANAGED}{label}"[:_LONGEST_TEAM_NAME]
