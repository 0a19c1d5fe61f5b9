"""Getting a site into the team that holds its grants: found, made, or refused (MAPPING.md section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import Scope
from siteward.platforms.umami.look import idle_team, members_of
from siteward.platforms.umami.picture import owners, picture_of, team_name
from siteward.platforms.umami.roles import TEAM_OWNER
from siteward.platforms.umami.rows import ONE_PAGE, Page, SiteRow, TeamRow, ask, ask_one, parse
from siteward.platforms.umami.session import path
from siteward.platforms.umami.settle import DONE, Verdict, command, failed
from siteward.transport.texts import Some  # noqa: TC001 — msgspec reads it at run time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.umami.picture import Picture
    from siteward.transport.http import Writer


class _Team(Struct, frozen=True):
    id: Some


class _Made(Struct, frozen=True, array_like=True):
    """The answer is a pair: the team, and our membership as its owner (API.md section 5)."""

    team: _Team


class Stopped(Exception):  # noqa: N818 — carries the verdict on all that has not been sent
    """There is no team to write to; `verdict` says what that means for the changes."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def team_for(writer: Writer, key: Key, live: Live, *, make: bool) -> str:
    """Return the id of the team that decides about the scope of a grant, as it is at this moment.

    With `make`, a site of ours that is in no team gets one first. Raises `Stopped` where there is no such team or the
    site is not where it was read, and `PlatformError` where that cannot be told.
    """
    picture = picture_of(live)
    if key[3] == "team":
        if team := idle_team(key, picture):
            return team
        raise Stopped(failed(f"team {key[4]} is not known on the instance"))
    was = picture.rows.sites[live.sites[Scope("site", key[4])].id]
    now = ask_one(writer, path("websites", was.id), SiteRow)
    if now is None:
        raise Stopped(failed("the site is gone") if make else DONE)
    if now.team_id is not None and now.team_id == was.team_id:
        return now.team_id
    if now.team_id is not None and was.user_id == picture.me and _is_managed(writer, now.team_id, picture):
        return now.team_id
    if now.team_id is None and now.user_id == picture.me and make and picture.layout == "per-site":
        return _moved(writer, now, key[4], _new_team(writer, key[4], picture))
    if now.team_id is None and was.team_id is None and make:
        raise Stopped(failed("the site is in no team, and no team is made for it", "plan again to see the ways"))
    raise Stopped(failed("the site is not where it was when the plan was made", "plan again"))


def _is_managed(writer: Writer, team: str, picture: Picture) -> bool:
    """Tell whether a team that was not there while reading is ours, made earlier in this run."""
    return team not in picture.rows.teams and any(
        each.user_id == picture.me and each.role == TEAM_OWNER for each in members_of(writer, team)
    )


def _moved(writer: Writer, site: SiteRow, label: str, team: str) -> str:
    """Move a site into a team; we own both, which is the one move that 3.1 and 3.2 let an admin make."""

    def is_there() -> bool:
        now = ask_one(writer, path("websites", site.id), SiteRow)
        return now is not None and now.team_id == team

    verdict = command(writer, "POST", path("websites", site.id, "transfer"), {"teamId": team}, SiteRow, is_there)
    if verdict.answer and parse(SiteRow, verdict.answer).team_id != team:
        verdict = failed("Umami said yes and did not move the site")
    if verdict.status != "sent":
        words = f"team {team_name(label)} is there, but the site could not be moved into it: {verdict.message}"
        raise Stopped(replace(verdict, message=words))
    return team


def _new_team(writer: Writer, label: str, picture: Picture) -> str:
    """Return an empty team of ours by the right name: one that a broken run left behind, or a new one."""
    name = team_name(label)
    if left := _unused(writer, name, picture, picture.rows.teams.values()):
        return left
    found: list[str] = []

    def is_made() -> bool:
        new = (each for each in _named(writer, name, picture) if each.id not in picture.rows.teams)
        found.append(_unused(writer, name, picture, new) or "")
        return bool(found[-1])

    verdict = command(writer, "POST", path("teams"), {"name": name}, _Made, is_made)
    if verdict.status != "sent":
        raise Stopped(verdict)
    return parse(_Made, verdict.answer).team.id if verdict.answer else found[-1]


def _named(writer: Writer, name: str, picture: Picture) -> tuple[TeamRow, ...]:
    """Return all teams whose name holds `name`; in 2.20, which lists none, those we are in."""
    if picture.old:
        return ask(writer, path("users", picture.me, "teams"), Page[TeamRow], ONE_PAGE).data
    return ask(writer, path("admin", "teams"), Page[TeamRow], {**ONE_PAGE, "search": name}).data


def _unused(writer: Writer, name: str, picture: Picture, teams: Iterable[TeamRow]) -> str | None:
    """Return the first of `teams` that bears the name, has us as only member and owner, and has no site now."""
    for each in teams:
        if each.name == name and len(each.members) == 1 and owners(each) == (picture.me,):
            sites = ask(writer, path("teams", each.id, "websites"), Page[SiteRow], ONE_PAGE)
            if sites.count == 0:
                return each.id
    return None
