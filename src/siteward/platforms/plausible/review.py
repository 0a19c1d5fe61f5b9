"""Review of changes for the limits and side effects of Plausible (MAPPING.md sections 3, 5 and 6).

Each function checks all changes for one hazard and yields its diagnostics; none of them asks the server.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import error, note, plural, warning
from siteward.access.model import Key, Scope, account_of
from siteward.platforms.interface import native
from siteward.platforms.plausible.native_state import Entry, NativeState, Place, find, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic, Effect
    from siteward.access.state import Live, Memory

_ADDRESS = re.compile(r"[^@\s\x00-\x1f,;<>\"]+@[^@\s\x00-\x1f,;<>\"]+\.[^@\s\x00-\x1f,;<>\".]+")

_MAIL_HINT = "; did the mail arrive at all? After Community Edition 3.2 the mail adapter `Bamboo.SMTPAdapter` is gone"


def review(changes: Sequence[Change], live: Live, memory: Memory | None) -> Iterable[Diagnostic]:
    """Return what forbids each change (errors), and its side effects (warnings and notes)."""
    case = _Case(changes, live, memory)
    return [diagnostic for hazard in HAZARDS for diagnostic in hazard(case)]


class _Case(Struct, frozen=True, dict=True):
    """The changes under review, the live state, and the memory of the journal."""

    changes: Sequence[Change]
    live: Live
    memory: Memory | None

    @cached_property
    def state(self) -> NativeState:
        """The native state of the team."""
        return native(self.live, NativeState)

    @cached_property
    def places(self) -> Mapping[Scope, Place]:
        """The live sites by scope."""
        return {place.scope: place for place in self.state.places.values()}

    def entry(self, change: Change) -> Entry | None:
        """Return the entry that a change is about, as it was read, or `None`."""
        place = self.places.get(Scope(change.key[3], change.key[4]))
        return find(place.entries, _email_of(change)) if place else None

    @cached_property
    def invites(self) -> tuple[Change, ...]:
        """The changes that send an invitation to an address without an entry."""
        return tuple(change for change in self.changes if change.before is None)

    @cached_property
    def turns(self) -> tuple[tuple[Change, Entry], ...]:
        """The changes of a role, each with the entry that it changes."""
        both = (change for change in self.changes if change.before is not None and change.after is not None)
        return tuple((change, entry) for change in both if (entry := self.entry(change)))


def own_account(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to write without knowing whose credentials these are: the Sites API cannot tell (API.md section 14)."""
    me = case.live.me
    if case.changes and me is None:
        yield error(
            "self-unknown",
            "whose key this is cannot be found out, so that account could not be protected",
            hint="write `self:` with the e-mail address of the key's user",
        )
    for change in case.changes:
        if me is not None and folded(_email_of(change)) == folded(me):
            yield error(
                "own-account",
                f"{me} is the account that Siteward works with, and is never changed",
                about=change.key,
            )


def weak_account(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to write with an account whose role is too low, where that can be seen."""
    state = case.state
    if state.door == "api" or not case.changes:
        return
    role = state.members.get(folded(state.me or ""))
    if role not in {"owner", "admin"}:
        yield error(
            "role-too-low",
            f"{state.me or 'nobody'} is {f'only {role}' if role else 'no member'} of the team; managing guests needs "
            "an owner or admin",
            hint="give …_EMAIL and …_PASSWORD of an owner or admin",
        )


def address(case: _Case) -> Iterator[Diagnostic]:
    """Refuse names that are no e-mail address: Plausible would accept them, and mail a stranger or nobody."""
    for invite in case.invites:
        if not _ADDRESS.fullmatch(_email_of(invite)):
            yield error(
                "no-address", f"{_email_of(invite)} is not a valid e-mail address that can be invited", about=invite.key
            )


def redundant(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to invite a team member as guest, or an address invited into the team, whose invitation would be lost."""
    for invite in case.invites:
        role = case.state.members.get(folded(_email_of(invite)))
        if role is not None:
            yield error(
                "redundant-grant",
                f"{_email_of(invite)} is {role} of the team (or invited to be) and reaches every site of it; an invitation as "
                "guest would be refused, or would overwrite the pending one",
                about=invite.key,
                hint="take the grant out of the file",
            )


def unstated_team(case: _Case) -> Iterator[Diagnostic]:
    """Warn that a pending invitation into the team, which cannot be seen, would be overwritten."""
    if case.invites and case.state.door == "api" and case.state.settings.team_members is None:
        yield warning(
            "team-members-unstated",
            "members of the team and people invited into it cannot be seen: inviting one of the latter as a guest "
            "destroys the invitation into the team, inviting one of the former is answered 500",
            hint="list them under `team_members`, each with the role; `{}` if there is none but you",
        )


def transfer(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to invite the address that the site is being handed over to."""
    for invite in case.invites:
        place = case.places.get(Scope(invite.key[3], invite.key[4]))
        if place and (place.domain, folded(_email_of(invite))) in case.state.transfers:
            yield error(
                "site-transfer",
                f"{place.domain} is being handed over to {_email_of(invite)}, who cannot be its guest",
                about=invite.key,
            )


def repeated(case: _Case) -> Iterator[Diagnostic]:
    """Refuse an invitation that was sent too often, or too recently; only the journal knows how often it was sent."""
    wish = case.state.settings.invitations
    for invite in case.invites:
        count, last = case.memory.sends.get(_journal_key(invite, case.memory), (0, None)) if case.memory else (0, None)
        if count >= wish.max_sends:
            yield error(
                "did-not-accept",
                f"{_email_of(invite)} was invited {plural(count, 'time')} to {invite.key[4]}, the last time on {_format_moment(last)}, and has not "
                "accepted; no more invitations are sent",
                about=invite.key,
                hint="ask them, then take the grant out, or raise `invitations: {max_sends}` for this instance"
                + (_MAIL_HINT if case.state.door == "web" else ""),
            )
        elif last is not None and (case.state.now is None or case.state.now < last + wish.pause):
            yield error(
                "invited-recently",
                f"{_email_of(invite)} was invited to {invite.key[4]} on {_format_moment(last)}, and the next invitation is due "
                f"{wish.resend_after} after that",
                about=invite.key,
            )


def role_change(case: _Case) -> Iterator[Diagnostic]:
    """Say how a role is changed: in place, by a new invitation, or by hand."""
    for change, entry in case.turns:
        if entry.status == "invited":
            yield note("invites-anew", f"withdraws the invitation as {entry.role} and sends another", about=change.key)
            yield _note_effect("invitation", f"sends an invitation to {entry.email}", change, "mail", entry.email)
        elif case.state.door == "web":
            yield note("role-in-place", "takes effect at once, without a mail", about=change.key)
        elif case.state.settings.role_change == "manual":
            yield error(
                "role-change-manual",
                f"{entry.email} has accepted as {entry.role}, and the Sites API cannot change that",
                about=change.key,
                hint="change it in Plausible, under the site's settings, People; or write `role_change: reinvite`",
                effect="manual",
            )
        else:
            yield from _note_reinvitation(change, entry)


def _note_reinvitation(change: Change, entry: Entry) -> Iterator[Diagnostic]:
    """Yield the side effects of removing a guest and inviting the address again."""
    yield _note_effect(
        "reinvites",
        f"removes {entry.email} and invites again: without access until the new invitation is accepted",
        change,
        "gap",
    )
    twice = f"mails {entry.email} twice: removed, and invited"
    yield note("mails", twice, about=change.key, effect="mail", who=entry.email, count=2)
    yield _note_segments(change, entry)


def mails(case: _Case) -> Iterator[Diagnostic]:
    """Say which mails are sent, and what cannot be undone."""
    for invite in case.invites:
        yield _note_effect(
            "invitation",
            f"sends an invitation to {_email_of(invite)}; access begins when it is accepted",
            invite,
            "mail",
            _email_of(invite),
        )
    for change in case.changes:
        entry = case.entry(change) if change.after is None else None
        if entry is not None and entry.status == "accepted":
            yield _note_effect("removal", f"mails {entry.email} that access has ended", change, "mail", entry.email)
            yield _note_segments(change, entry)
            yield _note_effect(
                "irreversible",
                "taking this back sends an invitation; access returns when that is accepted",
                change,
                "irreversible",
            )
        elif entry is not None:
            yield note("withdraws", f"withdraws the invitation of {entry.email}, without a mail", about=change.key)


def shared_age(case: _Case) -> Iterator[Diagnostic]:
    """Say where a new invitation ends early: all invitations of one address end together with the first."""
    waiting = {_folded_email(key) for key in case.live.pending if key[0] == "grant"}
    for invite in case.invites:
        if folded(_email_of(invite)) in waiting:
            yield note(
                "inherits-age",
                f"{_email_of(invite)} has another invitation pending in this team; this one ends together with it",
                about=invite.key,
            )


def gone_sites(case: _Case) -> Iterator[Diagnostic]:
    """Warn of sites that were there in the last run: renamed, handed over or deleted, which the API does not tell."""
    last = case.memory.last if case.memory else None
    before = {grant.scope for grant in last.grants() if grant.scope.kind == "site"} if last is not None else set()
    renamed = {place.previous for place in case.state.places.values()}
    for scope in sorted(before - case.places.keys()):
        if scope.name not in renamed:
            yield warning(
                "site-gone",
                f"{scope} was there in the last run and is not now: renamed, handed over or deleted",
                hint="a guest who is an editor may rename it, too; a renamed site answers to its old name for 72 hours, and "
                "then anybody may take that name",
            )


HAZARDS: tuple[Callable[[_Case], Iterator[Diagnostic]], ...] = (
    own_account,
    weak_account,
    address,
    redundant,
    unstated_team,
    transfer,
    repeated,
    role_change,
    mails,
    shared_age,
    gone_sites,
)


def _email_of(change: Change) -> str:
    return account_of(change.key) or ""


def _folded_email(key: Key) -> str:
    return folded(account_of(key) or "")


def _journal_key(change: Change, memory: Memory) -> Key:
    """Return the key of a change in the journal, where its address may be in another letter case."""
    wanted = tuple(map(str.lower, change.key))
    return next((key for key in memory.sends if tuple(map(str.lower, key)) == wanted), change.key)


def _format_moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ") if moment else "an unknown day"


def _note_segments(change: Change, entry: Entry) -> Diagnostic:
    return _note_effect(
        "segments", f"deletes the personal segments of {entry.email} on {change.key[4]}", change, "destroys"
    )


def _note_effect(code: str, message: str, change: Change, effect: Effect, who: str | None = None) -> Diagnostic:
    return note(code, message, about=change.key, effect=effect, who=who)
