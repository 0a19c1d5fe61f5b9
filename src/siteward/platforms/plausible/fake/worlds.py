"""The worlds that a Plausible stand-in starts with: the product's own, the demo's, and any other.

Guests are a world's grants, with the status that each has. `more` speaks of the team.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.plausible.fake.state import Key, State, Transfer
from siteward.platforms.plausible.settings import TeamRole

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

TEAM = "7b0d3f52-6a0e-4a55-9b0f-2f1f6a1c9a01"
SELF = "siteward@example.org"
OWNER = "owner@example.org"
PASSWORD = "sandbox-password"  # noqa: S105 — of every account in the sandbox
KEY = "sandbox-sites-key-sandbox-sites-key-sandbox-sites-key-0123456789"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MoreInvitation(_Strict):
    """An invitation into the team, which the Sites API does not show."""

    email: str
    role: TeamRole


class MoreTransfer(_Strict):
    """A site that is being handed over."""

    site: str
    email: str


class MoreKey(_Strict):
    """An API key of somebody's; one of before 2025-03 (`bound` false) belongs to no team and follows its owner."""

    owner: str
    name: str
    scopes: tuple[Literal["stats", "sites"], ...] = ("stats",)
    made: AwareDatetime | None = None
    bound: bool = True


class More(_Strict):
    """What a world file may say beyond accounts, sites and grants.

    `limits` false: no request is ever one too many. `features` are those of the team's plan. `foreign` are domains of
    another team. An account's `role` makes it a member of the team; `self_role` is that of the account in use.
    """

    self: str = SELF
    self_role: TeamRole = "admin"
    limits: bool = True
    seats: int | None = None
    locked: bool = False
    features: tuple[Literal["stats", "sites"], ...] = ("stats", "sites")
    scopes: tuple[Literal["stats", "sites"], ...] = ("stats", "sites")
    joining: tuple[MoreInvitation, ...] = ()
    transfers: tuple[MoreTransfer, ...] = ()
    foreign: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    totp: str | None = None
    keys: tuple[MoreKey, ...] = ()


def fresh(clock: Callable[[], datetime]) -> State:
    """Return the state of a new team: one owner, one site."""
    state = State(clock, "fresh")
    owner = state.new_user(OWNER, PASSWORD)
    team = state.new_team("My personal sites", owner, TEAM)
    state.new_site("site.example.org", team)
    state.keys[KEY] = Key(owner.id, team.id)
    return state


def of(world: World, more: More, clock: Callable[[], datetime]) -> State:
    """Return the state of a world; raises `ValueError` where it speaks of what is not in it."""
    state = State(clock, hashlib.sha256(world.model_dump_json().encode()).hexdigest())
    owner = state.new_user(OWNER, PASSWORD)
    team = state.new_team("Example", owner, TEAM)
    team.locked, team.features = more.locked, {"links", "props", *more.features}
    own = state.user(more.self) or state.new_user(more.self, PASSWORD)
    own.totp = more.totp
    if state.role(team.id, own.id) is None:
        state.new_member(team, own, more.self_role)
    state.keys[KEY] = Key(own.id, team.id, frozenset(more.scopes))
    for account in world.accounts:
        _account(state, account)
    for site in world.sites:
        state.new_site(site.domain, team).public = site.domain in more.public
    for grant in world.grants:
        _grant(state, grant, own.id)
    for invitation in more.joining:
        state.new_team_invitation(team, invitation.email, invitation.role, owner.id)
    for transfer in more.transfers:
        at = state.new_id()
        state.transfers[at] = Transfer(at, transfer.email, _site_id(state, transfer.site), owner.id)
    for key in more.keys:
        owner_of = state.user(key.owner) or state.new_user(key.owner)
        made = state.new_key(team if key.bound else None, owner_of, key.name)
        made.scopes, made.made = frozenset(key.scopes), key.made or made.made
    if more.foreign:
        other = state.new_team("Other", state.new_user("somebody@elsewhere.test", PASSWORD))
        for domain in more.foreign:
            state.new_site(domain, other)
    team.seats = more.seats
    state.mails.clear()
    return state


def _account(state: State, account: WorldAccount) -> None:
    """Make an account; one that only waits for an invitation to be accepted has none yet."""
    email = account.email or account.login
    if account.status == "pending" or state.user(email):
        return
    user = state.new_user(email, account.password or PASSWORD)
    if account.role is not None:
        state.new_member(next(iter(state.teams.values())), user, account.role)


def _grant(state: State, grant: WorldGrant, inviter: int) -> None:
    site = state.sites[_site_id(state, grant.site)]
    if grant.status == "invited":
        state.invite(site, grant.account, grant.role, inviter)
    else:
        state.new_guest(site, state.user(grant.account) or state.new_user(grant.account), grant.role)


def _site_id(state: State, domain: str) -> int:
    found = state.site(domain)
    if found is None:
        raise ValueError(f"the world has no site {domain!r}")
    return found.id


def _grants(
    site: str, role: str, people: str, status: Literal["accepted", "invited"] = "accepted"
) -> tuple[WorldGrant, ...]:
    return tuple(
        WorldGrant(account=f"{part}@example.org", site=f"{site}.example.org", role=role, status=status)
        for part in people.split()
    )


_SITES = "shop blog docs staging internal www careers events status support"

LIVED_IN = World(
    accounts=(
        WorldAccount(login="breakglass-1@example.org", role="owner"),
        WorldAccount(login="petra@example.org", role="viewer"),
        WorldAccount(login="dora@example.org", role="admin"),
    ),
    sites=tuple(WorldSite(name=part.capitalize(), domain=f"{part}.example.org") for part in _SITES.split()),
    grants=(
        *_grants("shop", "viewer", "anna carla dmitri jonas mia reports"),
        *_grants("shop", "editor", "elif old-ed"),
        *_grants("shop", "viewer", "kofi", "invited"),
        *_grants("blog", "viewer", "anna fatou george hana reports"),
        *_grants("blog", "editor", "julia ivan"),
        *_grants("docs", "viewer", "ben kofi lena reports"),
        *_grants("docs", "editor", "ivan"),
        *_grants("staging", "editor", "jonas old-ed elif omar"),
        *_grants("internal", "viewer", "nadia omar"),
        *_grants("www", "viewer", "quentin reports carla"),
        *_grants("www", "editor", "rosa"),
        *_grants("careers", "viewer", "sven tess"),
        *_grants("events", "viewer", "umut vera"),
        *_grants("events", "editor", "rosa", "invited"),
    ),
    more={"joining": [{"email": "dora@example.org", "role": "admin"}]},
)  # fmt: skip
