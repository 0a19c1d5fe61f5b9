"""What the Plausible stand-ins remember: the rows of its access tables, and what its services do to them.

Rows, limits and side effects are those of API.md sections 6 to 8 and 11: an invitation of an address hangs on one
parent in the team, which a guest invitation overwrites; a nightly job forgets what is older than 48 hours; whoever
joins the team loses the guest entries.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Why = Literal["already a member", "no seat left", "transfer pending", "empty address"]
GUEST = "guest"
_ALPHABET = "ModuleSymbhasOwnPr-0123456789ABCDEFGHNRVfgctiUvz_KqYTJkLxpZXIjQW"
_LIFETIME = timedelta(hours=48)
_PREVIOUS_NAME = timedelta(hours=72)


class RefusedError(Exception):
    """A service said no; the Sites API has no branch for that and crashes."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class User:
    """A person with an account."""

    id: int
    email: str
    password: str
    since: datetime
    last_seen: datetime
    totp: str | None = None
    used_codes: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Team:
    """A team: `features` are those of its plan, `seats` how many people it may have beside the first owner."""

    id: int
    identifier: str
    name: str
    features: set[str] = field(default_factory=lambda: {"stats", "sites", "links", "props"})
    locked: bool = False
    seats: int | None = None
    most_sites: int | None = None


@dataclass(slots=True)
class Member:
    """Somebody in a team; the role `guest` only carries entries of sites."""

    id: int
    user: int
    team: int
    role: str


@dataclass(slots=True)
class Guest:
    """Somebody's access to one site."""

    id: int
    member: int
    site: int
    role: str


@dataclass(slots=True)
class TeamInvitation:
    """An invitation of one address by a team; with the role `guest` the parent of those to single sites."""

    id: int
    invitation_id: str
    email: str
    role: str
    inviter: int
    team: int
    created: datetime


@dataclass(slots=True)
class GuestInvitation:
    """An invitation to one site."""

    id: int
    invitation_id: str
    parent: int
    site: int
    role: str


@dataclass(slots=True)
class Transfer:
    """A site on its way to somebody else."""

    id: int
    email: str
    site: int
    initiator: int


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that visitors of a site do."""

    display_name: str
    kind: str
    event_name: str | None
    page_path: str | None
    custom_props: Mapping[str, str]

    def same(self, other: Goal) -> bool:
        """Tell whether another goal counts the same."""
        return (self.event_name, self.page_path, self.custom_props) == (
            other.event_name, other.page_path, other.custom_props,
        )  # fmt: skip


@dataclass(slots=True)
class Site:
    """A site of a team; `slugs` are its shared links by name."""

    id: int
    domain: str
    team: int
    timezone: str = "Etc/UTC"
    previous: str | None = None
    renamed: datetime | None = None
    public: bool = False
    consolidated: bool = False
    slugs: dict[str, str] = field(default_factory=dict)
    props: tuple[str, ...] = ()
    tracker: Mapping[str, object] = field(default_factory=dict)
    goals: dict[int, Goal] = field(default_factory=dict)


@dataclass(slots=True)
class Key:
    """An API key of a user, bound to one team or, an old one, to none; `id`, `name` and `made` are those of its row."""

    user: int
    team: int | None
    scopes: frozenset[str] = frozenset({"stats", "sites"})
    id: int = 0
    name: str = ""
    made: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of a site's guest list; `order` is what the list is sorted by."""

    email: str
    role: str
    status: Literal["accepted", "invited"]
    order: int


@dataclass(slots=True)
class State:
    """One server's tables. Ids come from `seed`, so that equal worlds are equal. `mails` counts those that went out."""

    clock: Callable[[], datetime]
    seed: str = ""
    users: dict[int, User] = field(default_factory=dict)
    teams: dict[int, Team] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    guests: dict[int, Guest] = field(default_factory=dict)
    invitations: dict[int, TeamInvitation] = field(default_factory=dict)
    guest_invitations: dict[int, GuestInvitation] = field(default_factory=dict)
    transfers: dict[int, Transfer] = field(default_factory=dict)
    sites: dict[int, Site] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)
    cron: bool = True
    last_id: int = 0
    cleaned: datetime | None = None
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 — equal worlds shall be equal; nothing secret hangs on it
        self.cleaned = self.clock()

    # -- making rows

    def new_id(self) -> int:
        """Return the next number; all tables count together, so that ids tell the order of making."""
        self.last_id += 1
        return self.last_id

    def nanoid(self) -> str:
        """Return an invitation's public id."""
        return "".join(self.dice.choices(_ALPHABET, k=21))

    def new_user(self, email: str, password: str = "") -> User:
        """Insert an account."""
        now = self.clock()
        made = User(self.new_id(), email, password, now, now)
        self.users[made.id] = made
        return made

    def new_team(self, name: str, owner: User, identifier: str | None = None) -> Team:
        """Insert a team with its first owner."""
        made = Team(self.new_id(), identifier or str(uuid.UUID(int=self.dice.getrandbits(128), version=4)), name)
        self.teams[made.id] = made
        self.new_member(made, owner, "owner")
        return made

    def new_member(self, team: Team, user: User, role: str) -> Member:
        """Insert a membership; whoever becomes more than a guest loses the entries of single sites."""
        found = self.member(team.id, user.id)
        made = found or Member(self.new_id(), user.id, team.id, role)
        made.role = role
        self.members[made.id] = made
        if role != GUEST:
            for guest in [entry for entry in self.guests.values() if entry.member == made.id]:
                del self.guests[guest.id]
        return made

    def new_site(self, domain: str, team: Team) -> Site:
        """Insert a site."""
        made = Site(self.new_id(), domain, team.id)
        self.sites[made.id] = made
        return made

    def new_key(self, team: Team | None, user: User, name: str, value: str = "") -> Key:
        """Insert an API key; without a `value` of its own it gets one that nobody is told."""
        value = value or "".join(self.dice.choices(_ALPHABET, k=64))
        made = Key(
            user.id, team.id if team is not None else None, frozenset({"stats"}), self.new_id(), name, self.clock()
        )
        self.keys[value] = made
        return made

    def new_guest(self, site: Site, user: User, role: str) -> Guest:
        """Insert somebody's access to a site, as accepting an invitation does."""
        team = self.teams[site.team]
        parent = self.member(team.id, user.id) or self.new_member(team, user, GUEST)
        made = Guest(self.new_id(), parent.id, site.id, role)
        self.guests[made.id] = made
        return made

    def new_team_invitation(self, team: Team, email: str, role: str, inviter: int) -> TeamInvitation:
        """Insert an invitation into a team."""
        made = TeamInvitation(self.new_id(), self.nanoid(), email, role, inviter, team.id, self.clock())
        self.invitations[made.id] = made
        return made

    # -- looking

    def user(self, email: str) -> User | None:
        """Return the account of an address, in any letter case."""
        return next((user for user in self.users.values() if _same(user.email, email)), None)

    def member(self, team: int, user: int) -> Member | None:
        """Return somebody's row in a team."""
        return next((member for member in self.members.values() if (member.team, member.user) == (team, user)), None)

    def role(self, team: int, user: int) -> str | None:
        """Return somebody's role in a team, `guest` for one who only has entries of sites."""
        found = self.member(team, user)
        return found.role if found else None

    def site(self, domain: str) -> Site | None:
        """Return the site of a domain, or of the one it had within the last 72 hours."""
        now = next((site for site in self.sites.values() if site.domain == domain), None)
        return now or next(
            (site for site in self.sites.values() if site.previous == domain and self._answers(site)), None
        )

    def _answers(self, site: Site) -> bool:
        return site.renamed is not None and self.clock() - site.renamed < _PREVIOUS_NAME

    def guest(self, site: Site, email: str) -> Guest | None:
        """Return an address's access to a site."""
        user = self.user(email)
        row = self.member(site.team, user.id) if user else None
        return next(
            (guest for guest in self.guests.values() if row and (guest.member, guest.site) == (row.id, site.id)), None
        )

    def parent(self, team: int, email: str) -> TeamInvitation | None:
        """Return the invitation of an address by a team; there is at most one."""
        return next(
            (
                invitation
                for invitation in self.invitations.values()
                if invitation.team == team and _same(invitation.email, email)
            ),
            None,
        )

    def invited(self, site: Site, email: str) -> GuestInvitation | None:
        """Return an address's invitation to a site."""
        parent = self.parent(site.team, email)
        return next(
            (
                invitation
                for invitation in self.guest_invitations.values()
                if parent and (invitation.parent, invitation.site) == (parent.id, site.id)
            ),
            None,
        )

    def shown(self, site: Site) -> list[Shown]:
        """Return a site's guest list: accepted ones first, the newest of them on top, then invited, oldest first."""
        accepted = [
            Shown(self.users[self.members[guest.member].user].email, guest.role, "accepted", -guest.id)
            for guest in self.guests.values()
            if guest.site == site.id
        ]
        invited = [
            Shown(self.invitations[invitation.parent].email, invitation.role, "invited", invitation.id)
            for invitation in self.guest_invitations.values()
            if invitation.site == site.id
        ]
        return sorted((*accepted, *invited), key=lambda row: row.order)

    # -- what the services do

    def invite(self, site: Site, email: str, role: str, inviter: int) -> None:
        """Invite an address to a site, with a mail; raises `RefusedError`."""
        team = self.teams[site.team]
        user = self.user(email)
        held = self.role(team.id, user.id) if user else None
        if not email:
            raise RefusedError("empty address")
        if any(transfer.site == site.id and _same(transfer.email, email) for transfer in self.transfers.values()):
            raise RefusedError("transfer pending")
        if (held is not None and held != GUEST) or self.guest(site, email):
            raise RefusedError("already a member")
        if team.seats is not None and email.lower() not in self.seated(team) and len(self.seated(team)) >= team.seats:
            raise RefusedError("no seat left")
        parent = self.parent(team.id, email) or self.new_team_invitation(team, email, GUEST, inviter)
        parent.role = GUEST
        known = self.invited(site, email)
        if known is None:
            made = GuestInvitation(self.new_id(), self.nanoid(), parent.id, site.id, role)
            self.guest_invitations[made.id] = made
        self.mails.append(email)

    def seated(self, team: Team) -> set[str]:
        """Return the addresses that take a seat: all but the first owner, invited ones too."""
        here = [self.users[member.user].email for member in self.members.values() if member.team == team.id]
        waiting = [invitation.email for invitation in self.invitations.values() if invitation.team == team.id]
        owner = next(self.users[member.user].email for member in self.members.values() if member.team == team.id)
        return {address.lower() for address in (*here, *waiting)} - {owner.lower()}

    def remove(self, site: Site, email: str) -> bool:
        """Remove an address from a site, with a mail where it was accepted; tells whether there was anything."""
        found = self.guest(site, email)
        if found is not None:
            self.drop_guest(found)
            self.mails.append(email)
            return True
        waiting = self.invited(site, email)
        if waiting is not None:
            self.withdraw(waiting)
        return waiting is not None

    def delete_site(self, site: Site) -> None:
        """Delete a site, and everybody's access to it."""
        for guest in [guest for guest in self.guests.values() if guest.site == site.id]:
            self.drop_guest(guest)
        for invitation in [invitation for invitation in self.guest_invitations.values() if invitation.site == site.id]:
            self.withdraw(invitation)
        self.transfers = {at: transfer for at, transfer in self.transfers.items() if transfer.site != site.id}
        del self.sites[site.id]

    def drop_guest(self, guest: Guest) -> None:
        """Take an entry away, and the guest's row in the team with the last of them."""
        del self.guests[guest.id]
        if all(entry.member != guest.member for entry in self.guests.values()):
            del self.members[guest.member]

    def withdraw(self, invitation: GuestInvitation) -> None:
        """Take an invitation back, and its parent with the last of them."""
        del self.guest_invitations[invitation.id]
        if all(offered.parent != invitation.parent for offered in self.guest_invitations.values()):
            del self.invitations[invitation.parent]

    def forget(self, invitation: TeamInvitation) -> None:
        """Take an invitation into the team away, with those to single sites under it."""
        del self.invitations[invitation.id]
        for below in [offered for offered in self.guest_invitations.values() if offered.parent == invitation.id]:
            del self.guest_invitations[below.id]

    def accept(self, email: str) -> None:
        """Let somebody accept every invitation; who joins a team is no guest in it any more."""
        for parent in [invitation for invitation in self.invitations.values() if _same(invitation.email, email)]:
            user, team = self.user(email) or self.new_user(parent.email), self.teams[parent.team]
            if parent.role != GUEST:
                self.new_member(team, user, parent.role)
            for invitation in [offered for offered in self.guest_invitations.values() if offered.parent == parent.id]:
                if self.role(team.id, user.id) in {None, GUEST} and not self.guest(self.sites[invitation.site], email):
                    self.new_guest(self.sites[invitation.site], user, invitation.role)
            self.forget(parent)

    def reject(self, email: str) -> None:
        """Let somebody turn every invitation down, or let them end before their time."""
        for parent in [invitation for invitation in self.invitations.values() if _same(invitation.email, email)]:
            self.forget(parent)

    def run_jobs(self) -> bool:
        """Do what the nightly job did since the last look; tells whether anything went."""
        now = self.clock()
        gone = False
        for night in _nights(self.cleaned or now, now) if self.cron else ():
            for invitation in [
                invitation for invitation in self.invitations.values() if night - invitation.created > _LIFETIME
            ]:
                self.forget(invitation)
                gone = True
        self.cleaned = now
        return gone


def _nights(since: datetime, until: datetime) -> Iterator[datetime]:
    night = since.astimezone(UTC).replace(hour=1, minute=0, second=0, microsecond=0)
    while night <= until:
        if night > since:
            yield night
        night += timedelta(days=1)


def _same(first: str, other: str) -> bool:
    return first.lower() == other.lower()
