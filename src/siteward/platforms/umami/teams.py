"""Memberships in one team: added, changed and removed one after the other, and the access code set anew.

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

from siteward.access.model import Grant, account_of
from siteward.platforms.umami.fold import strongest
from siteward.platforms.umami.look import account_id, members_of
from siteward.platforms.umami.picture import picture_of
from siteward.platforms.umami.placing import Stopped, team_for
from siteward.platforms.umami.review import is_closing, team_of
from siteward.platforms.umami.roles import OWNER
from siteward.platforms.umami.rows import Deleted, MemberRow, UserRow, ask_one, parse
from siteward.platforms.umami.session import path
from siteward.platforms.umami.settle import DONE, Verdict, command, failed
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.access.change import Change
    from siteward.access.model import Scope
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Writer

_CODE_TRIES = 2


class _Coded(Struct, frozen=True):
    code: str = field(name="accessCode")


def write_memberships(writer: Writer, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Make changes that all open, or all close, access through one team."""
    closing = is_closing(changes[0], picture_of(live))
    try:
        team = team_for(writer, changes[0].key, live, make=not closing)
    except Stopped as stopped:
        return [stopped.verdict.receipt(each.key) for each in changes]
    except PlatformError as problem:
        return [failed(f"nothing was sent: {problem}", problem.hint).receipt(each.key) for each in changes]
    verdicts = (_closed if closing else _made)(writer, team, changes, live)
    return [verdicts[account_of(each.key) or ""].receipt(each.key) for each in changes]


def finish_closing(writer: Writer, scope: Scope, live: Live) -> Verdict:
    """Set the access code anew of the team in which a closing stands."""
    team = team_of(scope, live, picture_of(live))
    if team is not None:
        refused = _new_code(writer, team)
        return _coded(DONE, refused)
    if scope.kind == "team":
        return Verdict(status="unknown", message=f"{scope} is not known any more; its access code may be the old one")
    return DONE


def _closed(writer: Writer, team: str, changes: Sequence[Change], live: Live) -> dict[str, Verdict]:
    """Close access between two new codes; one that is refused holds up nobody who has to go."""
    _new_code(writer, team)
    verdicts = _made(writer, team, changes, live)
    some = any(each.status != "failed" for each in verdicts.values())
    refused = _new_code(writer, team) if some else ""
    return {name: _coded(each, refused) for name, each in verdicts.items()}


def _made(writer: Writer, team: str, changes: Sequence[Change], live: Live) -> dict[str, Verdict]:
    """Make changes one after the other, and return what became of them by account name."""
    try:
        rows = members_of(writer, team)
    except PlatformError as problem:
        return {account_of(each.key) or "": _left_alone(problem) for each in changes}
    verdicts: dict[str, Verdict] = {}
    for each in changes:
        # One membership serves all sites of a team, so the second site's change is done with the first's.
        name = account_of(each.key) or ""
        if name not in verdicts:
            verdicts[name] = _change(writer, team, each, live, rows)
    return verdicts


def _change(writer: Writer, team: str, change: Change, live: Live, rows: Sequence[MemberRow]) -> Verdict:
    try:
        at = account_id(writer, account_of(change.key) or "", live)
        if at is None:
            return failed("the account is not known on the instance", "plan again")
        return _become(writer, team, change, at, [each for each in rows if each.user_id == at])
    except PlatformError as problem:
        return _left_alone(problem)


def _left_alone(problem: PlatformError) -> Verdict:
    return failed(f"the membership was left alone: {problem}", problem.hint)


def _become(writer: Writer, team: str, change: Change, at: str, mine: Sequence[MemberRow]) -> Verdict:
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
    return _set(writer, team, at, mine, wanted)


def _set(writer: Writer, team: str, at: str, mine: Sequence[MemberRow], wanted: str | None) -> Verdict:
    """Add, change or remove a membership; a role is changed in place, but for duplicates, which are made one."""
    place = path("teams", team, "users", at)

    def is_done() -> bool:
        return [each.role for each in members_of(writer, team) if each.user_id == at] == ([wanted] if wanted else [])

    def is_out() -> bool:
        return not any(each.user_id == at for each in members_of(writer, team))

    if wanted is None:
        return command(writer, "DELETE", place, None, Deleted, is_out)
    if len(mine) == 1:
        return _echoed(command(writer, "POST", place, {"role": wanted}, MemberRow, is_done), wanted)
    # An unknown account is added with a 200 and leaves a ghost (API.md section 5, hazard 7).
    if ask_one(writer, path("users", at), UserRow) is None:
        return failed("the account is gone")
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
