"""The Umami stand-in's answers about teams and their members (API.md sections 5 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.umami.fake.ask import (
    PAGING,
    SEARCH,
    Ask,
    Listing,
    Order,
    RefusalError,
    Route,
    bad_request,
    may,
    page,
    sorting,
)
from siteward.platforms.umami.fake.rows import CrashError, Json, Member, Team
from siteward.platforms.umami.fake.schema import loose_uuid, one_of, optional, pattern, text, uuid
from siteward.platforms.umami.fake.state import ident

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROLES = ("team-member", "team-view-only", "team-manager")
_RANK = {"team-view-only": 1, "team-member": 2, "team-manager": 3, "team-owner": 4}


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers about teams; 2.x has no list of all of them, nor of one's own here."""
    old = release == "2.20"
    listed = {**PAGING, **sorting(release)}
    role = one_of(*_ROLES)
    changed = pattern("team-member|team-view-only|team-manager") if old else role
    made = {"name": text(50)} if old else {"name": text(50), "ownerId": optional(uuid)}
    found = {
        ("POST", "/api/teams"): Route(create, made),
        ("POST", "/api/teams/join"): Route(join, {"accessCode": text(50)}),
        ("GET", "/api/teams/<team>"): Route(show),
        ("POST", "/api/teams/<team>"): Route(update, {"name": optional(text(50)), "accessCode": optional(text(50))}),
        ("DELETE", "/api/teams/<team>"): Route(delete),
        ("GET", "/api/teams/<team>/users"): Route(members, {**PAGING, **SEARCH, **(sorting(release) if old else {})}),
        ("POST", "/api/teams/<team>/users"): Route(add, {"userId": loose_uuid if old else uuid, "role": role}),
        ("GET", "/api/teams/<team>/users/<user>"): Route(member),
        ("POST", "/api/teams/<team>/users/<user>"): Route(change, {"role": changed}),
        ("DELETE", "/api/teams/<team>/users/<user>"): Route(remove),
    }
    if not old:
        found["GET", "/api/admin/teams"] = Route(every, {**listed, **SEARCH})
        found["GET", "/api/teams"] = Route(lambda ask: teams_of(ask, ask.me.id), listed)
    return found


def row(team: Team) -> Json:
    """Return a team as every answer shows it."""
    return {
        "id": team.id,
        "name": team.name,
        "accessCode": team.code,
        "logoUrl": None,
        "createdAt": team.created,
        "updatedAt": team.updated,
        "deletedAt": team.deleted,
    }


def member_row(member: Member) -> Json:
    """Return a membership as every answer shows it."""
    return {
        "id": member.id,
        "teamId": member.team,
        "userId": member.user,
        "role": member.role,
        "createdAt": member.created,
        "updatedAt": member.updated,
    }


def _person(ask: Ask, member: Member) -> Json:
    user = ask.state.users.get(member.user)
    return {**member_row(member), "user": {"id": user.id, "username": user.username} if user else None}


def _is_alive(ask: Ask, member: Member) -> bool:
    user = ask.state.users.get(member.user)
    return user is not None and user.deleted is None


def _listing(ask: Ask, teams: Sequence[Team], order: Order) -> Json:
    """List teams with all their members in them; ghosts and deleted accounts are shown and not counted."""
    old = ask.fake.old
    sites: dict[str, int] = {}
    for site in ask.state.websites.values():
        if site.team:
            sites[site.team] = sites.get(site.team, 0) + 1

    def full(team: Team) -> Json:
        people = [_person(ask, member) for member in ask.state.members.get(team.id, ())]
        real = sum(_is_alive(ask, member) for member in ask.state.members.get(team.id, ()))
        count = {"website" if old else "websites": sites.get(team.id, 0), "teamUser" if old else "members": real}
        must: Json = {"twoFactorRequired": team.must_factor} if ask.fake.factored else {}
        return {**row(team), **must, "teamUser" if old else "members": people, "_count": count}

    return page(ask, Listing(teams, full, ("name",), order))


def every(ask: Ask) -> Json:
    """List all teams, deleted ones too (recording 20_questions, 66)."""
    ask.must(ask.is_admin)
    order = Order(("name", "createdAt"), by="createdAt", descending=True)
    return _listing(ask, list(ask.state.teams.values()), order)


def teams_of(ask: Ask, user: str) -> Json:
    """List the teams in which an account is a member."""
    return _listing(
        ask, [team for team in ask.state.teams_of(user) if team.deleted is None], Order(("name", "createdAt"))
    )


def create(ask: Ask) -> list[Json]:
    """Create a team; a plain user's `ownerId` is honoured in 3.1 and dropped in 3.2, and none is looked up."""
    ask.must(ask.fake.old or ask.is_admin or (ask.user and may(ask.user.role, "team:create")))
    named = ask.get("ownerId") if ask.is_admin or not ask.fake.new else None
    team, owner = ask.state.new_team(ask.need("name"), named or ask.me.id)
    ask.fake.touch()
    return [row(team), member_row(owner)]


def join(ask: Ask) -> Json:
    """Become a team-member by a code, whatever one was before."""
    code = ask.need("accessCode")
    team = next((team for team in ask.state.teams.values() if team.code == code), None)
    if team is None:
        raise RefusalError(404, "Team not found.", "team-not-found")
    if ask.state.member(team.id, ask.me.id):
        raise bad_request("User is already a team member.")
    ask.fake.window()
    made = ask.state.new_member(team.id, ask.me.id, "team-member")
    ask.fake.touch()
    return member_row(made)


def show(ask: Ask, team: str) -> Json:
    """Return a team with its members, by id alone."""
    ask.must(ask.is_admin or ask.role_in(ident(team)))
    found = ask.state.teams.get(ident(team))
    if found is None:
        raise RefusalError(404, "Team not found.")
    people = [member_row(member) for member in ask.state.members.get(found.id, ())]
    return {**row(found), "teamUser" if ask.fake.old else "members": people}


def _must_run(ask: Ask, team: str, right: str = "team:update") -> None:
    words = "You must be the owner of this team." if ask.fake.old else "You must be the owner/manager of this team."
    ask.must(ask.is_admin or ask.may_in(ident(team), right), words)


def update(ask: Ask, team: str) -> Json:
    """Rename a team or set its code; the empty code is taken, and then opens the team to whoever sends it."""
    _must_run(ask, team)
    found = ask.state.teams.get(ident(team))
    code = ask.get("accessCode")
    taken = code is not None and any(team.code == code and team is not found for team in ask.state.teams.values())
    if found is None or taken:
        raise CrashError
    name = ask.get("name")
    found.name = found.name if name is None else name
    found.code = found.code if code is None else code
    found.updated = ask.state.stamp()
    ask.state.written(found)
    ask.fake.touch()
    return row(found)


def delete(ask: Ask, team: str) -> Json:
    """Delete a team; its sites become nobody's."""
    _must_run(ask, team, "team:delete")
    if ident(team) not in ask.state.teams:
        raise CrashError
    ask.state.delete_team(ident(team), things=ask.fake.new)
    ask.fake.touch()
    return {"ok": True}


def members(ask: Ask, team: str) -> Json:
    """List a team's members, leaving out those whose account is gone or deleted."""
    words = "You must be the owner of this team." if ask.fake.old else "You must be a member of this team."
    ask.must(ask.is_admin or ask.role_in(ident(team)), words)
    people = [_Person(member, ask) for member in ask.state.members.get(ident(team), ()) if _is_alive(ask, member)]
    return page(ask, Listing(people, lambda joined: _person(ask, joined.member), ("username",), Order(by="created")))


class _Person:
    """A membership with the name that a search looks at."""

    def __init__(self, member: Member, ask: Ask) -> None:
        self.member = member
        self.id = member.id
        self.role = member.role
        self.created = member.created
        self.updated = member.updated
        self.username = ask.state.users[member.user].username


def add(ask: Ask, team: str) -> Json:
    """Add a member; neither team nor user is looked up, and the check and the insert are two things."""
    if ask.fake.old:
        ask.must(ask.is_admin)
    else:
        _must_run(ask, team)
    user = ask.need("userId")
    if ask.state.member(ident(team), user):
        raise bad_request("User is already a member of the Team.")
    ask.fake.window()
    made = ask.state.new_member(ident(team), user, ask.need("role"))
    ask.fake.touch()
    return member_row(made)


def member(ask: Ask, team: str, user: str) -> Json | None:
    """Return one membership, or null."""
    _must_run(ask, team)
    found = ask.state.member(ident(team), ident(user))
    return member_row(found) if found else None


def _the(ask: Ask, team: str, user: str) -> Member:
    found = ask.state.member(ident(team), ident(user))
    if found is None:
        raise bad_request("The User does not exists on this team.")
    return found


def _outranks(ask: Ask, target: Member) -> bool:
    mine = ask.role_in(target.team)
    return mine is not None and _RANK.get(mine.role, 0) > _RANK.get(target.role, 0)


def change(ask: Ask, team: str, user: str) -> Json:
    """Change a role, of one row where there are several; in 3.2 a non-admin must outrank whom it is about."""
    _must_run(ask, team)
    found = _the(ask, team, user)
    if ask.fake.new and not ask.is_admin:
        ask.must(_outranks(ask, found), "You do not have permission to modify this user.")
    found.role = ask.need("role")
    found.updated = ask.state.stamp()
    rows = ask.state.members[found.team]
    rows.append(rows.pop(rows.index(found)))
    ask.fake.touch()
    return member_row(found)


def remove(ask: Ask, team: str, user: str) -> Json:
    """Remove all rows of a member; anybody may leave, except that in 3.2 an owner may not."""
    leaving = ask.user is not None and ask.user.id == user
    if not leaving:
        _must_run(ask, team)
    found = _the(ask, team, user)
    if ask.fake.new and not ask.is_admin:
        stays = found.role == "team-owner" if leaving else not _outranks(ask, found)
        ask.must(not stays, "You do not have permission to remove this user.")
    rows = ask.state.members[found.team]
    ask.state.members[found.team] = [row for row in rows if row.user != found.user]
    ask.fake.touch()
    return {"ok": True}
