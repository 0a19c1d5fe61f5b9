"""The worlds that an Umami stand-in starts with: the product's own, the demo's, and any other.

Umami has no permission on a site, so a world's grants become teams: one team a site, owned by the service admin
`siteward`, which is what `layout: per-site` makes. What else there may be is in `More`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.umami.fake.factor import set_up
from siteward.platforms.umami.fake.keys import make
from siteward.platforms.umami.fake.rows import SINCE_3_3, SINCE_3_4, WEBSITE, Team, User
from siteward.platforms.umami.fake.state import State, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

SELF = "siteward"
CREDENTIALS: Mapping[str, str] = {"username": SELF, "password": "sandbox-siteward"}
FIRST_PASSWORD = "umami"  # noqa: S105 — what every new Umami has
PASSWORD = "sandbox-password"  # noqa: S105 — of accounts whose world gives none
_ADMIN = "41e2b680-648e-4b09-bcd7-3e2b10c06264"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MoreMember(_Strict):
    """A row of a team; the account need not exist (a ghost), and one pair may stand there twice."""

    account: str
    role: str


class MoreTeam(_Strict):
    """A team that is not the managed team of one site. `owner` null: nobody owns it."""

    name: str
    owner: str | None = SELF
    members: tuple[MoreMember, ...] = ()


class MoreShare(_Strict):
    """A public link to a site, named by its domain."""

    site: str
    slug: str


class MoreRow(_Strict):
    """One more membership in the team of a site, named by its domain."""

    site: str
    account: str
    role: str


class MoreKey(_Strict):
    """An API key of an account (3.4)."""

    account: str
    name: str = "key"


class More(_Strict):
    """What a world file may say beyond accounts, sites and grants.

    `teams` are shared teams: a site is in one when its `group` is the team's name. `orphans` are domains of sites
    that belong to nobody. `rows` are memberships beside the grants: ghosts and duplicates. `ties` are logins that
    were created at the same instant, which makes paged lists lose some. `deleted` are logins and team names whose rows
    are marked deleted and still there, as on a server that once ran in cloud mode. `admin_transfers` lets admins transfer
    any site, which no release is known for.

    For 3.3 and later: `two_factor` are logins with a second factor, `two_factor_required` logins and team names that must
    have one, `two_factor_global` asks it of all, and `two_factor_key` false is a server that has lost its key. For 3.4:
    `api_keys`.
    """

    redis: bool = False
    orphans: tuple[str, ...] = ()
    teams: tuple[MoreTeam, ...] = ()
    shares: tuple[MoreShare, ...] = ()
    rows: tuple[MoreRow, ...] = ()
    ties: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    admin_transfers: bool = False
    two_factor: tuple[str, ...] = ()
    two_factor_required: tuple[str, ...] = ()
    two_factor_global: bool = False
    two_factor_key: bool = True
    api_keys: tuple[MoreKey, ...] = ()


def check(more: More, release: str) -> None:
    """Refuse what a release does not have; raises `ValueError`."""
    factors = more.two_factor or more.two_factor_required or more.two_factor_global or not more.two_factor_key
    if factors and release not in SINCE_3_3:
        raise ValueError(f"Umami {release} has no two-factor login; it came with 3.3")
    if more.api_keys and release not in SINCE_3_4:
        raise ValueError(f"Umami {release} has no API keys; they came with 3.4")


def lower_names(state: State) -> None:
    """Do what the migration of 3.3 does: names become lower case, but where another row has that name.

    Read, not driven. A row that is marked deleted and stands in the way of a live one is renamed first.
    """
    for user in list(state.users.values()):
        low = user.username.lower()
        rival = state.names.get(low)
        if user.deleted is None and low != user.username and rival is not None and rival.deleted is not None:
            state.rename(rival, f"{low[:246]}-{state.dice.getrandbits(32):08x}")
    folded = Counter(user.username.lower() for user in state.users.values())
    for user in list(state.users.values()):
        low = user.username.lower()
        if user.deleted is None and low != user.username and folded[low] == 1:
            state.rename(user, low)


def fresh(clock: Callable[[], datetime]) -> State:
    """Return the state after installation."""
    state = State(clock, "fresh")
    made = User(_ADMIN, "admin", "admin", digest(FIRST_PASSWORD), state.stamp(), None)
    state.users[made.id] = state.names[made.username] = made
    return state


def of(world: World, more: More, clock: Callable[[], datetime]) -> State:
    """Return the state of a world; raises `ValueError` where it speaks of what is not in it."""
    state = State(clock, hashlib.sha256(world.model_dump_json().encode()).hexdigest())
    if all(account.login != SELF for account in world.accounts):
        state.new_user(SELF, CREDENTIALS["password"], "admin")
    for account in world.accounts:
        _account(state, account)
    teams = {team.name: _team(state, team) for team in more.teams}
    sites = {}
    for site in world.sites:
        team = _site(state, site, more, teams)
        sites[site.domain] = team
    for grant in world.grants:
        state.new_member(_at(sites, grant.site).id, _user(state, grant.account).id, grant.role)
    for row in more.rows:
        user = state.names.get(row.account)
        state.new_member(_at(sites, row.site).id, user.id if user else state.new_id(), row.role)
    for share in more.shares:
        entity = next(website.id for website in state.websites.values() if website.domain == share.site)
        state.new_share(entity, WEBSITE, share.site, share.slug, {"overview": True, "events": True})
    instant = state.stamp()
    for login in more.ties:
        _user(state, login).created = instant
    for user in state.users.values():
        user.deleted = instant if user.username in more.deleted else None
    for made in state.teams.values():
        made.deleted = instant if made.name in more.deleted else None
    _add_newer(state, more)
    return state


def _add_newer(state: State, more: More) -> None:
    """Add what only 3.3 and 3.4 have: second factors and API keys."""
    state.all_must_factor, state.factor_key = more.two_factor_global, more.two_factor_key
    for login in more.two_factor:
        set_up(state, _user(state, login))
    for user in state.users.values():
        user.must_factor = user.username in more.two_factor_required
    for team in state.teams.values():
        team.must_factor = team.name in more.two_factor_required
    for key in more.api_keys:
        make(state, _user(state, key.account), key.name)


def _account(state: State, account: WorldAccount) -> None:
    password = account.password or (CREDENTIALS["password"] if account.login == SELF else PASSWORD)
    role = account.role or ("admin" if account.login == SELF else "view-only")
    state.new_user(account.login, password, role, id=_ADMIN if account.login == "admin" else None)


def _user(state: State, login: str) -> User:
    found = state.names.get(login)
    if found is None:
        raise ValueError(f"the world has no account {login!r}")
    return found


def _team(state: State, team: MoreTeam) -> Team:
    made, owner = state.new_team(team.name, _user(state, team.owner or SELF).id)
    if team.owner is None:
        state.members[made.id].remove(owner)
    for member in team.members:
        user = state.names.get(member.account)
        state.new_member(made.id, user.id if user else state.new_id(), member.role)
    return made


def _site(state: State, site: WorldSite, more: More, teams: Mapping[str, Team]) -> Team | None:
    """Make a site, and the team that its grants go to, if it has one."""
    by = _user(state, site.owner or SELF).id
    team: Team | None = None
    if site.group is not None:
        if site.group not in teams:
            raise ValueError(f"the world has no team {site.group!r}")
        team = teams[site.group]
    elif site.owner is None and site.domain not in more.orphans:
        team, _ = state.new_team(f"acl:{site.domain}"[:50], by)
    owner = by if site.owner is not None and team is None else None
    state.new_website(site.name, site.domain, by=by, user=owner, team=team.id if team else None, id=site.id)
    return team


def _at(sites: Mapping[str, Team | None], domain: str) -> Team:
    team = sites.get(domain)
    if team is None:
        raise ValueError(f"the world has no site {domain!r} in a team, so nobody can have a grant there")
    return team


def _grants(site: str, role: str, accounts: str) -> tuple[WorldGrant, ...]:
    return tuple(WorldGrant(account=part, site=f"{site}.example.org", role=role) for part in accounts.split())


_USERS = "carla dmitri elif fatou george hana ivan julia kofi lena nadia omar petra quentin rosa sven tess umut"
_VIEWERS = "vera jonas mia reports old-ed"
_SITES = "shop blog docs staging internal www careers events status support"

LIVED_IN = World(
    accounts=(
        *(WorldAccount(login=login, role="admin") for login in ("admin", SELF, "anna", "ben", "breakglass-1", "tmp-agency")),
        *(WorldAccount(login=part, role="user") for part in ("marco", *_USERS.split())),
        *(WorldAccount(login=part, role="view-only") for part in _VIEWERS.split()),
    ),
    sites=(
        *(WorldSite(name=part.capitalize(), domain=f"{part}.example.org") for part in _SITES.split() if part not in
          {"status", "support"}),
        *(WorldSite(name=name.capitalize(), domain=f"{name}.example.org", owner=SELF) for name in ("status", "support")),
        WorldSite(name="Lab", domain="lab.example.org", owner="petra"),
        WorldSite(name="Legacy", domain="legacy.example.org"),
    ),
    grants=(
        *_grants("shop", "team-view-only", "carla dmitri jonas mia reports"),
        *_grants("shop", "team-member", "elif old-ed"),
        *_grants("blog", "team-view-only", "fatou george hana reports"),
        *_grants("blog", "team-member", "julia ivan"),
        *_grants("docs", "team-view-only", "kofi lena reports"),
        *_grants("docs", "team-member", "marco"),
        *_grants("staging", "team-manager", "jonas"),
        *_grants("staging", "team-member", "old-ed elif omar"),
        *_grants("internal", "team-view-only", "nadia omar"),
        *_grants("www", "team-view-only", "petra quentin reports carla"),
        *_grants("www", "team-member", "rosa"),
        *_grants("careers", "team-view-only", "sven tess"),
        *_grants("events", "team-view-only", "umut vera"),
        *_grants("events", "team-manager", "rosa"),
    ),
    more={
        "orphans": ["legacy.example.org"],
        "shares": [{"site": "blog.example.org", "slug": "board2025blogview"}],
        "rows": [{"site": "shop.example.org", "account": "gone-with-2024", "role": "team-view-only"}],
        "teams": [{"name": "Agency", "members": [{"account": "old-ed", "role": "team-view-only"}]}],
        "ties": ["sven", "tess", "umut", "vera"],
    },
)  # fmt: skip
