"""What `read` leaves in `Live.native` for reviewing and writing: rows by id, who is in which team, and what sites and teams are called."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.access.hosts import domain_in
from siteward.platforms.umami.roles import TEAM_OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
            site.id
            for site in self.sites.values()
            if (site.team_id is not None and site.team_id not in self.teams)
            or (site.user_id is not None and site.user_id not in self.users)
        )


class Glance(Struct):
    """The listing that stands for reading single objects again while many are written: see `glance`.

    `taken` is when it was read, `writes` counts what was written since, `touched` are the ids of what this run has
    written to, which is never taken from it.
    """

    rows: Rows | None = None
    taken: float = 0.0
    writes: int = 0
    touched: set[str] = field(default_factory=set)


class NativeState(Struct, frozen=True, kw_only=True):
    """What reading leaves for reviewing and writing.

    `me` is the id of our own account. `labels` has the label of each site, `idle` the id of each team without sites by
    its label, `sites_of` the ids of the sites of each other team. `glance` is filled while writing.
    """

    rows: Rows
    layout: Layout
    traits: Traits
    me: str
    labels: Mapping[str, str]
    idle: Mapping[str, str]
    sites_of: Mapping[str, tuple[str, ...]]
    glance: Glance = field(default_factory=Glance)

    @property
    def old(self) -> bool:
        """Tell whether this is 2.20, which takes a user's name with every change and lists no teams."""
        return self.traits.version == "2.20"


def sites_by_team(rows: Rows) -> dict[str, tuple[str, ...]]:
    """Return the ids of each team's sites, in a fixed order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for site_row in sorted(rows.sites.values(), key=lambda site: site.id):
        if site_row.team_id is not None and site_row.team_id in rows.teams:
            found[site_row.team_id].append(site_row.id)
    return {team: tuple(sites) for team, sites in found.items()}


def people(team: TeamRow) -> dict[str, tuple[MemberRow, ...]]:
    """Return the membership rows of a team by account id, ghosts left out; more than one row is a duplicate."""
    found: defaultdict[str, tuple[MemberRow, ...]] = defaultdict(tuple)
    for member in team.members:
        if member.user is not None:
            found[member.user_id] += (member,)
    return dict(found)


def owners(team: TeamRow) -> tuple[str, ...]:
    """Return the ids of the accounts that own a team."""
    return tuple(member.user_id for member in team.members if member.role == TEAM_OWNER and member.user is not None)


def team_name(label: str) -> str:
    """Return the name of the managed team of a site: a hint for people, at most 50 characters (API.md section 5)."""
    return f"{MANAGED}{label}"[:_LONGEST_TEAM_NAME]


def left_over(label: str, state: NativeState) -> TeamRow | None:
    """Return a team of ours that is called like the managed team of a site and had no site when it was read.

    A run that broke off leaves an empty one; a site that was taken out of its team by hand, one with members.
    """
    name = team_name(label)
    found = (
        team
        for team in state.rows.teams.values()
        if team.name == name and owners(team) == (state.me,) and team.id not in state.sites_of
    )
    return min(found, key=lambda team_row: (len(team_row.members), team_row.id), default=None)


def others_in(team: TeamRow, state: NativeState) -> tuple[str, ...]:
    """Return the logins of the members of a team but for our own, sorted."""
    return tuple(sorted(state.rows.users[person].username for person in people(team) if person != state.me))


# --- labels -----------------------------------------------------------------------------------------------------------


def is_foreign(site: SiteRow, rows: Rows, me: str) -> bool:
    """Tell whether a site belongs to another account than `me`, or to nobody.

    Anybody with the role `user` can make a site of any domain (API.md section 6: not validated, not unique), so the
    domain of such a site proves nothing about whose it is.
    """
    return site.user_id != me if site.team_id is None else site.team_id not in rows.teams


def site_labels(rows: Rows, me: str) -> dict[str, str]:
    """Return the label of each site by id: the domain where it is unique, else `domain#id`.

    Foreign sites always carry their id and do not count, so that nobody can rename a site of ours by making another
    one of the same domain.
    """
    ours = Counter(domain_of(site) for site in rows.sites.values() if not is_foreign(site, rows, me))
    return {
        site.id: domain
        if (domain := domain_of(site)) and ours[domain] == 1 and not is_foreign(site, rows, me)
        else f"{domain}#{site.id}"
        for site in rows.sites.values()
    }


def team_labels(rows: Rows, idle: Iterable[str]) -> dict[str, str]:
    """Return the label of each team of `idle` by id: the name where it is unique among all teams, else `name#id`."""
    names: Mapping[str, int] = Counter(team.name for team in rows.teams.values())
    return {at: name if (name := rows.teams[at].name) and names[name] == 1 else f"{name}#{at}" for at in idle}


def domain_of(site: SiteRow) -> str:
    """Return the domain that a site answers for, as selectors compare it; it may be empty.

    Umami stores whatever was typed, a whole address too (recording 06_websites_transfer_shares).
    """
    return domain_in(site.domain or "")
