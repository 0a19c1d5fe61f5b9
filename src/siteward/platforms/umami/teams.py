"""Memberships in one team: the team found or made (MAPPING.md section 4), its members changed, its access code set anew.

    opening   find, make or fill the team ─ read its members ─ add or raise
    closing   find the team ─ new code ─ read its members ─ remove or lower ─ new code
    finish    new code

Each member can read the code, and whoever knows it joins as team-member (MAPPING.md hazard 5). So it is set anew after
a closing; and before it too, so that a run which is cut off in between leaves no code that was readable for long. No
reading shows whether it is new: a closing without it is therefore never called done, and `finish` sets it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from siteward.access.model import Grant, Scope, account_of
from siteward.platforms.confirm import DONE, Verdict, failed
from siteward.platforms.decode import Some  # noqa: TC001 — msgspec reads it at run time
from siteward.platforms.interface import native
from siteward.platforms.umami.native_state import NativeState, left_over, owners, team_name
from siteward.platforms.umami.read import strongest
from siteward.platforms.umami.refresh import (
    MOST_WRITES,
    account_id,
    idle_team,
    look_over,
    members_now,
    members_of,
    site_now,
    user_now,
    wrote,
)
from siteward.platforms.umami.review import is_closing, team_of
from siteward.platforms.umami.roles import OWNER, TEAM_OWNER
from siteward.platforms.umami.rows import (
    ONE_PAGE,
    Deleted,
    MemberRow,
    Page,
    SiteRow,
    TeamRow,
    ask,
    ask_one,
    parse,
)
from siteward.platforms.umami.session import command, path
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Writer

_CODE_TRIES = 2


class _Coded(Struct, frozen=True):
    code: str = field(name="accessCode")


def write_memberships(
    writer: Writer, changes: Sequence[Change], live: Live, ahead: Sequence[Change] = ()
) -> list[Receipt]:
    """Make changes that all open, or all close, access through one team; `ahead` are those of this run that follow."""
    state = native(live, NativeState)
    closing = is_closing(changes[0], state)
    try:
        look_over(writer, state, (*changes, *ahead))
        team = team_for(writer, changes[0].key, live, make=not closing)
    except NoTeamError as stopped:
        return [stopped.verdict.receipt(change.key) for change in changes]
    except PlatformError as problem:
        return [failed(f"nothing was sent: {problem}", problem.hint).receipt(change.key) for change in changes]
    verdicts = (_closed if closing else _made)(writer, team, changes, live)
    return [verdicts[account_of(change.key) or ""].receipt(change.key) for change in changes]


def finish_closing(writer: Writer, scope: Scope, live: Live) -> Verdict:
    """Set the access code anew of the team in which a closing stands."""
    team = team_of(scope, live, native(live, NativeState))
    if team is not None:
        refused = _new_code(writer, team)
        return _coded(DONE, refused)
    if scope.kind == "team":
        return Verdict(status="unknown", message=f"{scope} is not known any more; its access code may be the old one")
    return DONE


def _closed(writer: Writer, team: str, changes: Sequence[Change], live: Live) -> dict[str, Verdict]:
    """Close access between two new codes; one that is refused holds up nobody who has to go."""
    state = native(live, NativeState)
    _new_code(writer, team)
    verdicts = _made(writer, team, changes, live)
    some = any(verdict.status != "failed" for verdict in verdicts.values())
    refused = _new_code(writer, team) if some else ""
    wrote(state, team, 2)
    return {name: _coded(verdict, refused) for name, verdict in verdicts.items()}


def _made(writer: Writer, team: str, changes: Sequence[Change], live: Live) -> dict[str, Verdict]:
    """Make changes one after the other, and return what became of them by account name."""
    state = native(live, NativeState)
    rows: Sequence[MemberRow] = ()
    verdicts: dict[str, Verdict] = {}
    for number, change in enumerate(changes):
        if number % MOST_WRITES == 0:
            try:
                rows = _read_again(writer, team, state, changes[number:])
            except PlatformError as problem:
                return {account_of(one.key) or "": _left_alone(problem) for one in changes} | verdicts
        # One membership serves all sites of a team, so the second site's change is done with the first's.
        name = account_of(change.key) or ""
        if name not in verdicts:
            verdicts[name] = _change(writer, team, change, live, rows)
            wrote(state, team)
    return verdicts


def _read_again(writer: Writer, team: str, state: NativeState, rest: Sequence[Change]) -> Sequence[MemberRow]:
    """Return the members of a team as they are before the `rest` of its changes is made."""
    look_over(writer, state, rest)
    return members_now(writer, team, state)


def _change(writer: Writer, team: str, change: Change, live: Live, rows: Sequence[MemberRow]) -> Verdict:
    try:
        at = account_id(writer, account_of(change.key) or "", live)
        if at is None:
            return failed("the account is not known on the instance", "plan again")
        mine = [row for row in rows if row.user_id == at]
        return _become(writer, team, change, at, mine, native(live, NativeState))
    except PlatformError as problem:
        return _left_alone(problem)


def _left_alone(problem: PlatformError) -> Verdict:
    return failed(f"the membership was left alone: {problem}", problem.hint)


def _become(
    writer: Writer, team: str, change: Change, at: str, mine: Sequence[MemberRow], state: NativeState
) -> Verdict:
    """Make one membership what a change wants, if it still is what the change was made for.

    Raises `PlatformError` only before anything was sent.
    """
    now = strongest(mine) if mine else None
    before = change.before.role if isinstance(change.before, Grant) else None
    wanted = change.after.role if isinstance(change.after, Grant) else None
    if now == wanted and len(mine) <= 1:
        return DONE
    if now != before:
        return failed(f"the membership is {now or 'gone'} by now", "plan again")
    if OWNER in {now, wanted}:
        return failed("who owns a team cannot be changed by API")
    # An unknown account is added with a 200 and leaves a ghost (API.md section 5, hazard 7).
    if wanted is not None and len(mine) != 1 and user_now(writer, at, state) is None:
        return failed("the account is gone")
    return _set(writer, team, at, mine, wanted)


def _set(writer: Writer, team: str, at: str, mine: Sequence[MemberRow], wanted: str | None) -> Verdict:
    """Add, change or remove a membership; a role is changed in place, but for duplicates, which are made one."""
    place = path("teams", team, "users", at)

    def is_done() -> bool:
        return [member_row.role for member_row in members_of(writer, team) if member_row.user_id == at] == (
            [wanted] if wanted else []
        )

    def is_out() -> bool:
        return not any(member_row.user_id == at for member_row in members_of(writer, team))

    if wanted is None:
        return command(writer, "DELETE", place, None, Deleted, is_out)
    if len(mine) == 1:
        return _echoed(command(writer, "POST", place, {"role": wanted}, MemberRow, is_done), wanted)
    if mine and (removed := command(writer, "DELETE", place, None, Deleted, is_out)).status != "sent":
        return removed
    body = {"userId": at, "role": wanted}
    added = _echoed(command(writer, "POST", path("teams", team, "users"), body, MemberRow, is_done), wanted)
    if mine and added.status != "sent":
        return replace(added, status="unknown", message=f"the duplicates were removed, and then: {added.message}")
    return added


def _echoed(verdict: Verdict, wanted: str) -> Verdict:
    if verdict.answer and parse(MemberRow, verdict.answer).role != wanted:
        return failed("Umami said yes and kept another role")
    return verdict


def _new_code(writer: Writer, team: str) -> str:
    """Set a new access code; return why that did not succeed, or nothing. Doing it twice does no harm."""
    problem = ""
    for _ in range(_CODE_TRIES):
        code = f"team_{secrets.token_hex(16)}"
        verdict = command(writer, "POST", path("teams", team), {"accessCode": code}, _Coded, lambda: False)
        if verdict.answer and parse(_Coded, verdict.answer).code == code:
            return ""
        problem = verdict.message or "Umami said yes and kept the old one"
    return problem


def _coded(verdict: Verdict, refused: str) -> Verdict:
    """Return what became of a closing, given why no new code could be set after it, if none could."""
    if verdict.status == "failed":
        return replace(verdict, message=f"{verdict.message}; the team's access code may be new by now")
    if not refused:
        return verdict
    said = verdict.message or "the membership was closed"
    words = f"{said}, but the team's access code could not be set anew: {refused}; whoever knows it can join again"
    return Verdict(status="unknown", message=words)


# --- placing ----------------------------------------------------------------------------------------------------------


class _Team(Struct, frozen=True):
    id: Some


class _Made(Struct, frozen=True, array_like=True):
    """The answer is a pair: the team, and our membership as its owner (API.md section 5)."""

    team: _Team


class NoTeamError(Exception):
    """There is no team to write to; `verdict` says what that means for the changes."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def team_for(writer: Writer, key: Key, live: Live, *, make: bool) -> str:
    """Return the id of the team that decides about the scope of a grant, as it is at this moment.

    With `make`, a site of ours that is in no team gets one first. Raises `NoTeamError` where there is no such team or the
    site is not where it was read, and `PlatformError` where that cannot be told.
    """
    state = native(live, NativeState)
    if key[3] == "team":
        if team := idle_team(key, state):
            return team
        raise NoTeamError(failed(f"team {key[4]} is not known on the instance"))
    was = state.rows.sites[live.sites[Scope("site", key[4])].id]
    now = site_now(writer, was.id, state)
    if now is None:
        raise NoTeamError(failed("the site is gone") if make else DONE)
    if now.team_id is not None and now.team_id == was.team_id:
        return now.team_id
    if now.team_id is not None and was.user_id == state.me and _is_managed(writer, now.team_id, state):
        return now.team_id
    if now.team_id is None and now.user_id == state.me and make and state.layout == "per-site":
        team = _new_team(writer, key[4], state)
        wrote(state, was.id)
        wrote(state, team)
        return _moved(writer, now, key[4], team)
    if now.team_id is None and was.team_id is None and make:
        raise NoTeamError(failed("the site is in no team, and no team is made for it", "plan again to see the ways"))
    raise NoTeamError(failed("the site is not where it was when the plan was made", "plan again"))


def _is_managed(writer: Writer, team: str, state: NativeState) -> bool:
    """Tell whether a team that had no site while reading is ours: made, or used again, earlier in this run."""
    return team not in state.sites_of and any(
        member_row.user_id == state.me and member_row.role == TEAM_OWNER for member_row in members_of(writer, team)
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
        raise NoTeamError(_overtaken(writer, site, label, team) or _unmoved(verdict, label))
    return team


def _unmoved(verdict: Verdict, label: str) -> Verdict:
    words = f"team {team_name(label)} is there, but the site could not be moved into it: {verdict.message}"
    return replace(verdict, message=words)


def _overtaken(writer: Writer, site: SiteRow, label: str, team: str) -> Verdict | None:
    """Return the verdict that somebody else moved a site meanwhile, for which Umami says no more than "not allowed"."""
    try:
        now = ask_one(writer, path("websites", site.id), SiteRow)
    except PlatformError:
        return None
    if now is None or (now.user_id, now.team_id) == (site.user_id, site.team_id) or now.team_id == team:
        return None
    words = (
        f"somebody else, perhaps another run of Siteward, has moved {label} meanwhile; team {team_name(label)} that was "
        "made for it here stays behind without a site"
    )
    return failed(words, "let one runner apply at a time; plan again")


def _new_team(writer: Writer, label: str, state: NativeState) -> str:
    """Return a team of ours by the right name in which nobody else is: one that was left over, or a new one."""
    name = team_name(label)
    left = left_over(label, state)
    if left is not None and _is_without_site(writer, left.id):
        _vacate(writer, left.id, state)
        return left.id
    found: list[str] = []

    def is_made() -> bool:
        new = (team_row for team_row in _named(writer, name, state) if team_row.id not in state.rows.teams)
        found.append(_unused(writer, name, state, new) or "")
        return bool(found[-1])

    verdict = command(writer, "POST", path("teams"), {"name": name}, _Made, is_made)
    if verdict.status != "sent":
        raise NoTeamError(verdict)
    return parse(_Made, verdict.answer).team.id if verdict.answer else found[-1]


def _vacate(writer: Writer, team: str, state: NativeState) -> None:
    """Take everybody else out of a team without sites before it gets one, for whom its code is a way back in.

    Raises `NoTeamError` where somebody stays.
    """
    others = {member_row.user_id for member_row in members_of(writer, team)} - {state.me}
    for user in sorted(others):
        removed = _set(writer, team, user, (), None)
        if removed.status != "sent":
            raise NoTeamError(_not_used(removed.message, removed.hint))
    if not others:
        return
    refused = _new_code(writer, team)
    try:
        left = {member_row.user_id for member_row in members_of(writer, team)} - {state.me}
    except PlatformError as problem:
        raise NoTeamError(_not_used(str(problem), problem.hint)) from problem
    if refused or left:
        raise NoTeamError(_not_used(refused or "somebody has joined it again"))


def _not_used(why: str, hint: str | None = None) -> Verdict:
    return failed(f"the team that was left over could not be used again: {why}", hint or "plan again")


def _named(writer: Writer, name: str, state: NativeState) -> tuple[TeamRow, ...]:
    """Return all living teams whose name holds `name`; in 2.20, which lists none, those we are in."""
    if state.old:
        page = ask(writer, path("users", state.me, "teams"), Page[TeamRow], ONE_PAGE)
    else:
        page = ask(writer, path("admin", "teams"), Page[TeamRow], {**ONE_PAGE, "search": name})
    return tuple(team_row for team_row in page.data if team_row.deleted is None)


def _unused(writer: Writer, name: str, state: NativeState, teams: Iterable[TeamRow]) -> str | None:
    """Return the first of `teams` that bears the name, has us as only member and owner, and has no site now."""
    for team in teams:
        is_ours = team.name == name and len(team.members) == 1 and owners(team) == (state.me,)
        if is_ours and _is_without_site(writer, team.id):
            return team.id
    return None


def _is_without_site(writer: Writer, team: str) -> bool:
    return ask(writer, path("teams", team, "websites"), Page[SiteRow], ONE_PAGE).count == 0
