"""Writes memberships in one team: finds or makes the team (MAPPING.md section 4), changes members, renews the access code.

    opening   find or make the team, move the site into it ─ read its members ─ add or raise
    closing   find the team ─ new code ─ read its members ─ remove or lower ─ new code
    finish    new code

Every member can read the code, and whoever knows it joins as team-member (MAPPING.md hazard 5). So a closing sets a new
one afterwards; and one before, so that a run that is cut off in between leaves no code that was readable for long.
Reading does not show whether a code is new, so a closing without a new code is never reported as done: `finish` sets it.
"""

from __future__ import annotations

import secrets
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from siteward.access.model import Grant, Scope, account_of
from siteward.platforms.confirm import DONE, Verdict, failed, sent
from siteward.platforms.decode import Some  # noqa: TC001 — msgspec reads it at run time
from siteward.platforms.interface import native
from siteward.platforms.umami.native_state import NativeState, left_over, owners, team_name
from siteward.platforms.umami.read import strongest
from siteward.platforms.umami.refresh import (
    MOST_WRITES,
    account_id,
    fill_cache,
    idle_team,
    members_now,
    members_of,
    note_writes,
    site_now,
    user_now,
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
from siteward.platforms.umami.session import command, describe_refusal, path
from siteward.transport.errors import NotThePlatformError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Answer, Writer

# No reading shows whether a code is new, and one that is set twice does no harm; so it is sent until it is answered.
_CODE_TRIES = 4
_CODE_REASON = "the team's access code was not set: trying again"


class _CodedTeam(Struct, frozen=True):
    code: str = field(name="accessCode")


def write_memberships(
    writer: Writer, changes: Sequence[Change], live: Live, ahead: Iterable[Change] = ()
) -> list[Receipt]:
    """Make changes that all open, or all close, access through one team; return their receipts.

    `ahead` are the later changes of the run: they decide whether filling the cache is worth it.
    """
    state = native(live, NativeState)
    closing = is_closing(changes[0], state)
    try:
        fill_cache(writer, state, chain(changes, ahead))
        team = team_for(writer, changes[0].key, live, make=not closing)
    except NoTeamError as stopped:
        return [stopped.verdict.receipt(change.key) for change in changes]
    except PlatformError as problem:
        return [failed(f"nothing was sent: {problem}", problem.hint).receipt(change.key) for change in changes]
    verdicts = (_close_access if closing else _change_members)(writer, team, changes, live)
    return [verdicts[account_of(change.key) or ""].receipt(change.key) for change in changes]


def finish_closing(writer: Writer, scope: Scope, live: Live) -> Verdict:
    """Set a new access code for the team of `scope`, in which a closing has taken effect."""
    team = team_of(scope, live, native(live, NativeState))
    if team is not None:
        return _require_code(DONE, _set_code(writer, team))
    if scope.kind == "team":
        return Verdict(status="unknown", message=f"{scope} is not known any more; its access code may be the old one")
    return DONE


def _close_access(writer: Writer, team: str, changes: Sequence[Change], live: Live) -> dict[str, Verdict]:
    """Close access between two new codes; access is closed even if the first code is refused."""
    state = native(live, NativeState)
    _set_code(writer, team)
    verdicts = _change_members(writer, team, changes, live)
    some = any(verdict.status != "failed" for verdict in verdicts.values())
    refused = _set_code(writer, team) if some else ""
    note_writes(state, team, 2)
    return {name: _require_code(verdict, refused) for name, verdict in verdicts.items()}


def _change_members(writer: Writer, team: str, changes: Sequence[Change], live: Live) -> dict[str, Verdict]:
    """Make changes one after the other, and return their outcomes by account name."""
    state = native(live, NativeState)
    members: Sequence[MemberRow] = ()
    verdicts: dict[str, Verdict] = {}
    for number, change in enumerate(changes):
        if number % MOST_WRITES == 0:
            try:
                members = _read_members(writer, team, state, islice(changes, number, None))
            except PlatformError as problem:
                return {account_of(change.key) or "": _leave_alone(problem) for change in changes} | verdicts
        # One membership serves all sites of a team, so the second site's change is done with the first's.
        name = account_of(change.key) or ""
        if name not in verdicts:
            verdicts[name] = _change_member(writer, team, change, live, members)
            note_writes(state, team)
    return verdicts


def _read_members(writer: Writer, team: str, state: NativeState, rest: Iterable[Change]) -> Sequence[MemberRow]:
    """Return the memberships of a team as they are before the `rest` of its changes is made."""
    fill_cache(writer, state, rest)
    return members_now(writer, team, state)


def _change_member(writer: Writer, team: str, change: Change, live: Live, members: Sequence[MemberRow]) -> Verdict:
    """Make one change by its account, whose rows among `members` are its memberships so far."""
    try:
        user_id = account_id(writer, account_of(change.key) or "", live)
        if user_id is None:
            return failed("the account is not known on the instance", "plan again")
        held = [member for member in members if member.user_id == user_id]
        return _apply_change(writer, team, change, user_id, held, native(live, NativeState))
    except PlatformError as problem:
        return _leave_alone(problem)


def _leave_alone(problem: PlatformError) -> Verdict:
    return failed(f"the membership was left alone: {problem}", problem.hint)


def _apply_change(
    writer: Writer, team: str, change: Change, user_id: str, held: Sequence[MemberRow], state: NativeState
) -> Verdict:
    """Make one membership as a change wants it, if it is still as the change was planned for.

    `user_id` is the account's id, `held` are its membership rows in the team, more than one where there are duplicates.

    Raises `PlatformError` only before anything was sent.
    """
    now = strongest(held) if held else None
    before = change.before.role if isinstance(change.before, Grant) else None
    wanted = change.after.role if isinstance(change.after, Grant) else None
    if now == wanted and len(held) <= 1:
        return DONE
    if now != before:
        return failed(f"the membership is {now or 'gone'} by now", "plan again")
    if OWNER in {now, wanted}:
        return failed("who owns a team cannot be changed by API")
    # An unknown account is added with a 200 and leaves a ghost (API.md section 5, hazard 7).
    if wanted is not None and len(held) != 1 and user_now(writer, user_id, state) is None:
        return failed("the account is gone")
    return _set_membership(writer, team, user_id, held, wanted)


def _set_membership(writer: Writer, team: str, user_id: str, held: Sequence[MemberRow], wanted: str | None) -> Verdict:
    """Add, change or remove a membership; `None` for `wanted` removes it.

    A role is changed in place; duplicates are removed and one is added again.
    """
    membership = path("teams", team, "users", user_id)

    def is_done() -> bool:
        return [member.role for member in members_of(writer, team) if member.user_id == user_id] == [wanted]

    def is_out() -> bool:
        return not any(member.user_id == user_id for member in members_of(writer, team))

    if wanted is None:
        return command(writer, "DELETE", membership, None, Deleted, is_out, repeatable=True)
    if len(held) == 1:
        raised = command(writer, "POST", membership, {"role": wanted}, MemberRow, is_done, repeatable=True)
        return _check_echo(raised, wanted)
    if held:
        # Not repeated: the first removal, if it came late, would take what is added next.
        removed = command(writer, "DELETE", membership, None, Deleted, is_out, repeatable=False)
        if removed.status != "sent":
            return removed
    body = {"userId": user_id, "role": wanted}
    added = command(writer, "POST", path("teams", team, "users"), body, MemberRow, is_done, repeatable=True)
    added = _check_echo(added, wanted)
    if held and added.status != "sent":
        words = f"the duplicates were removed, and then: {added.message}"
        return replace(added, status="unknown", message=words, awaited=True)
    return added


def _check_echo(verdict: Verdict, wanted: str) -> Verdict:
    """Return a failure if the answer that accepted a membership has another role than was asked for."""
    if verdict.answer and parse(MemberRow, verdict.answer).role != wanted:
        return failed("Umami said yes and kept another role")
    return verdict


def _set_code(writer: Writer, team: str) -> str:
    """Set a new access code; return an empty text, or why that did not succeed."""
    problem = ""
    for number in range(_CODE_TRIES):
        code = f"team_{secrets.token_hex(16)}"
        answer = sent(partial(writer.command, "POST", path("teams", team), json={"accessCode": code}))
        if isinstance(answer, Verdict):
            problem = answer.message
        elif not answer.ok:
            problem = describe_refusal(writer, answer)
            if answer.status < 500:
                break
        elif _read_code(answer) == code:
            return ""
        else:
            problem = "Umami said yes and kept the old one"
        if number + 1 == _CODE_TRIES or not writer.patience.pause(number, _CODE_REASON):
            break
    return problem


def _read_code(answer: Answer) -> str | None:
    """Return the access code in an answer, or `None` where it is not Umami's."""
    try:
        return parse(_CodedTeam, answer).code
    except NotThePlatformError:
        return None


def _require_code(verdict: Verdict, refused: str) -> Verdict:
    """Return the outcome of a closing; `refused` says why no new code could be set after it, and is empty if one was."""
    if verdict.status == "failed":
        return replace(verdict, message=f"{verdict.message}; the team's access code may be new by now")
    if not refused:
        return verdict
    said = verdict.message or "the membership was closed"
    words = f"{said}, but the team's access code could not be set anew: {refused}; whoever knows it can join again"
    return Verdict(status="unknown", message=words, awaited=True)


# --- the team of a site -----------------------------------------------------------------------------------------------


class _NewTeam(Struct, frozen=True):
    id: Some


class _NewTeamAnswer(Struct, frozen=True, array_like=True):
    """The answer to the creation of a team: a pair of the team and our membership as its owner (API.md section 5)."""

    team: _NewTeam


class NoTeamError(Exception):
    """No team can be written to; `verdict` is the outcome of the changes."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def team_for(writer: Writer, key: Key, live: Live, *, make: bool) -> str:
    """Return the id of the team that grants access to the scope of a grant's key, as it is at this moment.

    With `make`, a site of ours that is in no team gets one first. Raises `NoTeamError` where there is no such team or the
    site is not where it was read, and `PlatformError` where that could not be read.
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
        team = _provide_team(writer, key[4], state)
        note_writes(state, was.id)
        note_writes(state, team)
        return _move_site(writer, now, key[4], team)
    if now.team_id is None and was.team_id is None and make:
        raise NoTeamError(failed("the site is in no team, and no team is made for it", "plan again to see the ways"))
    raise NoTeamError(failed("the site is not where it was when the plan was made", "plan again"))


def _is_managed(writer: Writer, team: str, state: NativeState) -> bool:
    """Return whether a team that had no site while reading is ours: made, or used again, earlier in this run."""
    return team not in state.sites_of and any(
        member.user_id == state.me and member.role == TEAM_OWNER for member in members_of(writer, team)
    )


def _move_site(writer: Writer, site: SiteRow, label: str, team: str) -> str:
    """Move a site into a team and return the team; raises `NoTeamError` if that fails.

    We own both, which is the one move that 3.1 and 3.2 let an admin make.
    """

    def is_there() -> bool:
        now = ask_one(writer, path("websites", site.id), SiteRow)
        return now is not None and now.team_id == team

    verdict = command(
        writer, "POST", path("websites", site.id, "transfer"), {"teamId": team}, SiteRow, is_there, repeatable=True
    )
    if verdict.answer and parse(SiteRow, verdict.answer).team_id != team:
        verdict = failed("Umami said yes and did not move the site")
    if verdict.status != "sent":
        raise NoTeamError(_detect_overtaking(writer, site, label, team) or _describe_unmoved(verdict, label))
    return team


def _describe_unmoved(verdict: Verdict, label: str) -> Verdict:
    words = f"team {team_name(label)} is there, but the site could not be moved into it: {verdict.message}"
    return replace(verdict, message=words)


def _detect_overtaking(writer: Writer, site: SiteRow, label: str, team: str) -> Verdict | None:
    """Return a failure if somebody else has moved the site meanwhile, else `None`; Umami only says "not allowed" then."""
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


def _provide_team(writer: Writer, label: str, state: NativeState) -> str:
    """Return the id of a team of ours for a site, with no other members: one that was left over, or a new one.

    Raises `NoTeamError` if none could be had.
    """
    name = team_name(label)
    left = left_over(label, state)
    if left is not None and _is_without_site(writer, left.id):
        _vacate(writer, left.id, state)
        return left.id
    read_back: list[str] = []

    def is_made() -> bool:
        new = (team for team in _search_teams(writer, name, state) if team.id not in state.rows.teams)
        read_back.append(_find_unused(writer, name, state, new) or "")
        return bool(read_back[-1])

    verdict = command(writer, "POST", path("teams"), {"name": name}, _NewTeamAnswer, is_made, repeatable=False)
    if verdict.status != "sent":
        raise NoTeamError(verdict)
    return parse(_NewTeamAnswer, verdict.answer).team.id if verdict.answer else read_back[-1]


def _vacate(writer: Writer, team: str, state: NativeState) -> None:
    """Take everybody else out of a team without sites before it gets one, and renew its code, by which they could return.

    Raises `NoTeamError` if somebody stays.
    """
    others = {member.user_id for member in members_of(writer, team)} - {state.me}
    for user_id in sorted(others):
        removed = _set_membership(writer, team, user_id, (), None)
        if removed.status != "sent":
            raise NoTeamError(_fail_reuse(removed.message, removed.hint))
    if not others:
        return
    refused = _set_code(writer, team)
    try:
        left = {member.user_id for member in members_of(writer, team)} - {state.me}
    except PlatformError as problem:
        raise NoTeamError(_fail_reuse(str(problem), problem.hint)) from problem
    if refused or left:
        raise NoTeamError(_fail_reuse(refused or "somebody has joined it again"))


def _fail_reuse(why: str, hint: str | None = None) -> Verdict:
    return failed(f"the team that was left over could not be used again: {why}", hint or "plan again")


def _search_teams(writer: Writer, name: str, state: NativeState) -> tuple[TeamRow, ...]:
    """Return all teams with `name` in their names, without deleted ones; in 2.20, which lists no teams, those we are in."""
    if state.old:
        page = ask(writer, path("users", state.me, "teams"), Page[TeamRow], ONE_PAGE)
    else:
        page = ask(writer, path("admin", "teams"), Page[TeamRow], {**ONE_PAGE, "search": name})
    return tuple(team for team in page.data if team.deleted is None)


def _find_unused(writer: Writer, name: str, state: NativeState, teams: Iterable[TeamRow]) -> str | None:
    """Return the first of `teams` that has exactly that name, us as owner and only member, and no site now."""
    for team in teams:
        is_ours = team.name == name and len(team.members) == 1 and owners(team) == (state.me,)
        if is_ours and _is_without_site(writer, team.id):
            return team.id
    return None


def _is_without_site(writer: Writer, team: str) -> bool:
    return ask(writer, path("teams", team, "websites"), Page[SiteRow], ONE_PAGE).count == 0
