"""The native state that `read` leaves in `Live.native` for reviewing and writing.

It holds the rows of Umami by id; the functions here answer which accounts are in a team, and how sites and teams are
labelled.
"""

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


class ListingCache(Struct):
    """The cached listings that stand for reading single objects again while many are written; see `refresh`.

    `rows` is `None` while nothing is cached. `taken` is the moment of reading by the reader's clock, in seconds; `writes`
    the number of writes since. `touched` are the ids of objects that this run has written to since: they are read by
    themselves.
    """

    rows: Rows | None = None
    taken: float = 0.0
    writes: int = 0
    touched: set[str] = field(default_factory=set)


class NativeState(Struct, frozen=True, kw_only=True):
    """All rows of one Umami as they were read, and what was derived from them.

    `me` is the id of our own account. `labels` has the label of each site by id, `idle` the id of each team without sites
    by its label, `sites_of` the ids of the sites of each other team. `owners` has the ids of each team's, `untidy` the ids of
    teams with memberships of accounts that are gone, or several of one account. `cache` is filled while writing; all else stays.
    """

    rows: Rows
    layout: Layout
    traits: Traits
    me: str
    labels: Mapping[str, str]
    idle: Mapping[str, str]
    sites_of: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, tuple[str, ...]]
    untidy: frozenset[str]
    cache: ListingCache = field(default_factory=ListingCache)

    @property
    def old(self) -> bool:
        """True for 2.20, which takes a user's name with every change and lists no teams."""
        return self.traits.version == "2.20"


def sites_by_team(rows: Rows) -> dict[str, tuple[str, ...]]:
    """Return the ids of each team's sites by the team's id, sorted; teams without sites are left out."""
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for site in sorted(rows.sites.values(), key=lambda site: site.id):
        if site.team_id is not None and site.team_id in rows.teams:
            ids[site.team_id].append(site.id)
    return {team: tuple(sites) for team, sites in ids.items()}


def untidy_teams(rows: Rows) -> frozenset[str]:
    """Return the ids of the teams with a membership of an account that is gone, or several of one account."""
    return frozenset(
        team.id
        for team in rows.teams.values()
        if len({member.user_id for member in team.members if member.user is not None}) < len(team.members)
    )


def people(team: TeamRow) -> dict[str, tuple[MemberRow, ...]]:
    """Return the membership rows of a team by account id, ghosts left out; more than one row is a duplicate."""
    memberships: defaultdict[str, tuple[MemberRow, ...]] = defaultdict(tuple)
    for member in team.members:
        if member.user is not None:
            memberships[member.user_id] += (member,)
    return dict(memberships)


def owners(team: TeamRow) -> tuple[str, ...]:
    """Return the ids of the accounts that own a team."""
    return tuple([member.user_id for member in team.members if member.role == TEAM_OWNER and member.user is not None])


def team_name(label: str) -> str:
    """Return the name of the managed team of a site, at most 50 characters (API.md section 5).

    It is for people: which team serves a site is told by the site's row.
    """
    return f"{MANAGED}{label}"[:_LONGEST_TEAM_NAME]


def left_over(label: str, state: NativeState) -> TeamRow | None:
    """Return a team of ours with the name of a site's managed team that had no site when it was read, or `None`.

    A run that broke off leaves an empty one; a site that was taken out of its team by hand, one with members. Of several
    the one with the fewest members is returned.
    """
    name = team_name(label)
    candidates = (
        team
        for team in state.rows.teams.values()
        if team.name == name and state.owners[team.id] == (state.me,) and team.id not in state.sites_of
    )
    return min(candidates, key=lambda team: (len(team.members), team.id), default=None)


def others_in(team: TeamRow, state: NativeState) -> tuple[str, ...]:
    """Return the logins of the members of a team without our own, sorted."""
    return tuple(sorted(state.rows.users[user_id].username for user_id in people(team) if user_id != state.me))


# --- labels -----------------------------------------------------------------------------------------------------------


def is_foreign(site: SiteRow, rows: Rows, me: str) -> bool:
    """Return whether a site belongs to another account than `me`, or to nobody.

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
    counts: Mapping[str, int] = Counter(team.name for team in rows.teams.values())
    return {
        team_id: name if (name := rows.teams[team_id].name) and counts[name] == 1 else f"{name}#{team_id}"
        for team_id in idle
    }


def domain_of(site: SiteRow) -> str:
    """Return the domain of a site as selectors compare it; empty where it has none.

    Umami stores whatever was typed, a whole address too (recording 06_websites_transfer_shares).
    """
    return domain_in(site.domain or "")
