"""Review of planned changes: those that Matomo would refuse, and the side effects of the others (MAPPING.md 3, 6)."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Effect, error, note, plural, warning
from siteward.access.model import EVERYWHERE, Account, Grant, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.matomo.calls import (
    addressees,
    explain_asleep,
    find_parting,
    group_new_grants,
    has_first_grant,
)
from siteward.platforms.matomo.native_state import NativeState, fold, is_anonymous, is_pending, spellings
from siteward.platforms.matomo.roles import ADMIN, ANONYMOUS, VIEW, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live, Memory
    from siteward.platforms.matomo.calls import GrantsByLogin

# Letters the server allows in a login, and its length in bytes (API.md section 2.2).
_LOGIN = re.compile(r"[A-Za-zÄäÖöÜüß0-9_.@+-]*")
_SHORTEST, _LONGEST = 2, 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class _Case(Struct, frozen=True, dict=True):
    """The input of every check: a plan's changes, the live state, and tables about both.

    `site_grants` counts the present grants on sites by login. `newcomers` has the logins of new accounts by each of their
    spellings, the first where several share one.
    """

    changes: Sequence[Change]
    live: Live
    state: NativeState
    site_grants: Counter[str]
    newcomers: Mapping[str, str]

    @cached_property
    def new_grants(self) -> GrantsByLogin:
        """The grants that the changes give, by folded login."""
        return group_new_grants(self.changes)

    @cached_property
    def all_awake(self) -> bool:
        """True if no plugin that brings capabilities is switched off."""
        return not self.state.off and not self.state.asleep


def review(changes: Sequence[Change], live: Live, _memory: Memory | None) -> Iterator[Diagnostic]:
    """Yield an error for each change that the server would refuse, and notes about the side effects of the others."""
    site_grants = Counter(
        grant.subject.name
        for grant in live.access.grants()
        if grant.scope != EVERYWHERE and grant.subject.kind == "account"
    )
    case = _Case(changes, live, native(live, NativeState), site_grants, _index_newcomers(changes))
    for change in changes:
        if not _is_plain(change, case):
            side = change.before if change.after is None else change.after
            for check in _ON_SITES if isinstance(side, Grant) and side.scope != EVERYWHERE else _CHECKS:
                yield from check(change, case)
    yield from _report_public_mails(case)
    yield from _report_expired(case)
    yield from _report_tag_managers(case)


def _is_plain(change: Change, case: _Case) -> bool:
    """Return whether a change gives somebody a right on a site that is there, as nearly all of a first plan do.

    No check has anything to say of that, unless a plugin is off.
    """
    after = change.after
    return (
        change.before is None
        and isinstance(after, Grant)
        and case.all_awake
        and after.scope in case.live.sites
        and not is_anonymous(after.subject.name)
    )


def _index_newcomers(changes: Iterable[Change]) -> Mapping[str, str]:
    """Return the logins of new accounts by spelling."""
    logins: dict[str, str] = {}
    for change in changes:
        if isinstance(change.after, Account) and change.before is None:
            for spelling in sorted(spellings(change.after.name)):
                logins.setdefault(spelling, change.after.name)
    return logins


def _report_effect(
    about: Key, effect: Effect, code: str, message: str, *, count: int = 1, who: str | None = None
) -> Diagnostic:
    return note(code, message, about=about, effect=effect, count=count, who=who)


# --- accounts ---------------------------------------------------------------------------------------------------------


def _check_new_account(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an account that the server would refuse, before anything is sent."""
    new = change.after
    if not isinstance(new, Account) or change.before is not None:
        return
    if is_anonymous(new.name):
        yield error("reserved-login", f"{new.name} stands for everybody who is not logged in", about=change.key)
    elif not _LOGIN.fullmatch(new.name) or not _SHORTEST <= len(new.name.encode()) <= _LONGEST:
        hint = "2 to 100 bytes: letters, digits, _ . @ + - and ä ö ü ß"
        yield error("login-form", f"{new.name} cannot be a login of Matomo", about=change.key, hint=hint)
    yield from _check_login_taken(change, new, case)
    if spellings(new.name) & case.state.ghosts:
        message = f"Matomo still keeps grants for the login {new.name}, and a new account might have them at once"
        yield error("login-has-grants", message, about=change.key, hint="only the database can be rid of them")
    if new.email is None:
        yield error(
            "email-needed", f"Matomo makes no account without an e-mail, and {new.name} has none", about=change.key
        )
    yield from _check_invitation(change, new, case)


def _check_login_taken(change: Change, new: Account, case: _Case) -> Iterator[Diagnostic]:
    """Refuse a login that equals another without case and accents, which the database does not tell apart (rec 21)."""
    live = [user.login for user in case.state.people.alike(new.name) if user.login != new.name]
    planned = [
        case.newcomers[spelling]
        for spelling in spellings(new.name)
        if case.newcomers.get(spelling, new.name) != new.name
    ]
    for other in (*live, *planned)[:1]:  # one is enough: the answer to all is another login
        there = "there is a {} already" if live else "{} is a new account too"
        yield error(
            "login-taken",
            f"{there.format(other)}, and Matomo may take {new.name} for the same: it compares without case and accents",
            about=change.key,
            hint="give another login under `logins`",
        )


def _check_invitation(change: Change, new: Account, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an invitation where the release has none, or where there is no first site."""
    if case.state.onboarding != "invite":
        return
    if not case.state.version.invites:
        message = f"Matomo {case.state.version.text} cannot invite; invitations came with 4.11"
        yield error("cannot-invite", message, about=change.key, hint="say `onboarding: password` for this instance")
    elif not has_first_grant(new.name, case.new_grants, case.live):
        message = f"an invitation lets a person in to a first site, and nothing is granted to {new.name}"
        hint = "grant it something on a site, or say `onboarding: password` for this instance"
        yield error("invitation-needs-site", message, about=change.key, hint=hint)


def _check_email(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an e-mail that is malformed or another account's, and a new login that is another account's e-mail."""
    new, state = change.after, case.state
    if not isinstance(new, Account) or new.email is None:
        return
    if not _EMAIL.fullmatch(new.email) or not new.email.isascii():
        hint = None if new.email.isascii() else "it takes ASCII alone; a domain has such a form, which begins with xn--"
        yield error(
            "email-form", f"Matomo does not take {new.email} for an e-mail address", about=change.key, hint=hint
        )
    owner = state.people.by_email(new.email)
    if owner is not None and fold(owner.login) != fold(new.name):
        message = f"{new.email} is the e-mail of {owner.login}, and Matomo keeps each one once"
        hint = f"if {owner.login} is the same person, say so: `logins: {{<instance>: {owner.login}}}`"
        yield error("email-taken", message, about=change.key, hint=hint)
    yield from _check_email_as_login(change, new, case)
    if change.before is None and state.version.refuses_login_like_email:
        other = state.people.by_email(new.name)
        if other is not None and fold(other.login) != fold(new.name):
            yield error("login-taken", f"{new.name} is the e-mail of {other.login}", about=change.key)


def _check_email_as_login(change: Change, new: Account, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an e-mail that is another account's login (rec 21#30-31)."""
    if not case.state.version.refuses_login_like_email or new.email is None:
        return
    logins = {user.login for user in case.state.people.alike(new.email)}
    logins |= {case.newcomers[spelling] for spelling in spellings(new.email) & case.newcomers.keys()}
    for other in sorted(login for login in logins if fold(login) != fold(new.name)):
        message = f"{new.email} is the login of {other}, and Matomo takes no login for another's e-mail"
        yield error("email-taken", message, about=change.key)


def _report_deletion(change: Change, _case: _Case) -> Iterator[Diagnostic]:
    """Report what is lost with an account (API.md section 2.4)."""
    if isinstance(change.before, Account) and change.after is None:
        message = (
            "deletes the tokens, dashboards, settings and scheduled reports of the account; its segments go to a "
            "superuser, and a new account of this login would find its old preferences"
        )
        yield _report_effect(change.key, "destroys", "account-deleted", message)


# --- superusers -------------------------------------------------------------------------------------------------------


def _check_password(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse a change that needs the token owner's password where that is no credential (API.md section 1.8)."""
    action = "" if case.state.has_password else _describe_confirmed_action(change, case)
    if action and case.state.ldap:
        message = f"{action} takes no password while LoginLdap is on, unless it was set to ask for one"
        hint = "where LDAP makes the accounts, `managed_by: directory` of the instance leaves their e-mails alone"
        yield note("password-not-asked", message, about=change.key, hint=hint if "e-mail" in action else None)
    elif action:
        hint = "give it as the credential PASSWORD beside TOKEN; the rest of the plan can be applied without it"
        message = f"{action} needs the password of {case.live.me or 'the account whose token is used'}"
        yield error("password-missing", message, about=change.key, hint=hint)


def _describe_confirmed_action(change: Change, case: _Case) -> str:
    """Return the action of a change that needs the password, in words that begin a sentence; empty if it needs none."""
    version = case.state.version
    if _is_superuser_grant(change):
        return "making or unmaking a superuser" if version.confirms_superuser else ""
    match change.before, change.after:
        case Account() as old, Account() as new if fold(old.email or "") != fold(new.email or ""):
            return "changing an e-mail" if version.confirms_email else ""
        case None, Account() as new if _becomes_superuser_only(new, case) and version.confirms_superuser:
            return f"{new.name} is to be a superuser and nothing else, which"
        case _:
            return ""


def _is_superuser_grant(change: Change) -> bool:
    grant = change.after if change.after is not None else change.before
    return isinstance(grant, Grant) and grant.scope == EVERYWHERE


def _becomes_superuser_only(new: Account, case: _Case) -> bool:
    grants = case.new_grants.get(fold(new.name), ())
    return bool(grants) and all(grant.scope == EVERYWHERE for grant in grants)


def _check_promotion(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse `anonymous` as a superuser; report the grants that a promotion deletes, and that a pending one does not count."""
    after = change.after
    if not _is_superuser_grant(change) or not isinstance(after, Grant):
        return
    name = after.subject.name
    if is_anonymous(name):
        yield error("public-superuser", "everybody cannot be made a superuser", about=change.key)
    lost = case.site_grants[name]
    if lost:
        grants = plural(lost, "grant")
        message = f"replaces {grants} on sites, which Matomo deletes; taking the superuser away brings none back"
        yield _report_effect(change.key, "destroys", "grants-replaced", message, count=lost)
    user = case.state.user(name)
    if user is not None and is_pending(user):
        message = f"{name} has not accepted the invitation, and does not count as an admin until then"
        yield _report_effect(change.key, "waiting", "pending-superuser", message)


# --- grants on sites --------------------------------------------------------------------------------------------------


def _check_site_grant(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse a grant on a site that does not exist, one that waits for a plugin, and more than `view` for the public."""
    after = change.after
    if not isinstance(after, Grant) or after.scope == EVERYWHERE:
        return
    if after.scope not in case.live.sites:
        message = f"there is no site {after.scope}; Matomo would keep the grant for a future site of its id"
        yield error("no-such-site", message, about=change.key)
    elif why := explain_asleep(change, case.live.sites[after.scope], case.state):
        hint = "switch the plugin on, then plan again; all else in the plan can be applied meanwhile"
        yield error("capability-asleep", why, about=change.key, hint=hint)
    if is_anonymous(after.subject.name) and (after.subject.name != ANONYMOUS or after.role != VIEW or after.extras):
        yield error("public-view-only", "everybody may be given nothing but view", about=change.key)


def _report_removal(change: Change, _case: _Case) -> Iterator[Diagnostic]:
    """Report the scheduled reports that go with all access to a site (API.md section 2.6)."""
    match change.before, change.after:
        case Grant(subject=subject, scope=scope), None if scope != EVERYWHERE and not is_anonymous(subject.name):
            message = "deletes the person's scheduled e-mail reports on this site for good"
            yield _report_effect(change.key, "destroys", "reports-deleted", message)
        case _:
            return


def _report_opening(change: Change, _case: _Case) -> Iterator[Diagnostic]:
    """Report that a site is made public."""
    after = change.after
    if isinstance(after, Grant) and is_anonymous(after.subject.name) and change.before is None:
        message = f"everybody on the internet sees {after.scope}, and the version of the server"
        yield _report_effect(change.key, "opens", "made-public", message)


# --- mails ------------------------------------------------------------------------------------------------------------


def _report_mails(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Report the mails of a change, unless it is a grant: `_report_public_mails` counts those."""
    if not isinstance(change.after, Grant):
        yield from _report_addressees(change, case)


def _report_addressees(change: Change, case: _Case) -> Iterator[Diagnostic]:
    for address, count in Counter(addressees(change, case.state)).items():
        yield _report_effect(change.key, "mail", "mail", f"Matomo mails {address}", count=count, who=address)


# --- findings about the plan as a whole -------------------------------------------------------------------------------


def _report_public_mails(case: _Case) -> Iterable[Diagnostic]:
    """Report the mails about sites made public once for all sites, because one call opens them."""
    given = (change for change in case.changes if change.before is None and isinstance(change.after, Grant))
    first = next((change for change in given if is_anonymous(account_of(change.key) or "")), None)
    return _report_addressees(first, case) if first is not None else ()


def _report_expired(case: _Case) -> Iterator[Diagnostic]:
    """Report invitations that have expired, but not of people from whom the plan takes the account or all access."""
    expired = [user for user in case.state.people.rows if user.invite_status == "expired"]
    parting = find_parting(case.changes, case.new_grants, case.live) if expired else ()
    for user in expired:
        if user.login not in parting:
            ended = f"ended at {user.invite_ends[:16]}Z" if user.invite_ends else "has ended"
            yield warning(
                "invitation-expired",
                f"the invitation of {user.login} {ended}; Matomo deletes the account 3 days later",
                about=account_key(user.login),
                hint=f"send it again: siteward apply --resend {user.login}@<instance>",
            )


def _report_tag_managers(case: _Case) -> Iterator[Diagnostic]:
    """Report once that `edit`, Matomo's role `write`, lets people edit the tags of a site as well as reports."""
    included, off = case.state.traits.included, case.state.off
    brought = sorted(extra for extra, roles in included.items() if WRITE in roles and extra not in off)
    logins = {account_of(change.key) for change in case.changes if _gains_write(change)} if brought else set()
    if logins:
        yield note(
            "edit-brings-tags",
            f"`edit` is Matomo's role write, which brings {', '.join(brought)}: whoever has it may also edit the tags "
            f"that a site loads; this plan gives it to {plural(len(logins), 'account')}",
            hint="no role edits reports and not tags; `view` does neither",
        )


def _gains_write(change: Change) -> bool:
    before, after = change.before, change.after
    gives = isinstance(after, Grant) and after.role == WRITE
    return gives and not (isinstance(before, Grant) and before.role in {WRITE, ADMIN})


# The checks that look at one change after the other.
_CHECKS: tuple[Callable[[Change, _Case], Iterable[Diagnostic]], ...] = (
    _check_new_account,
    _check_email,
    _report_deletion,
    _check_password,
    _check_promotion,
    _check_site_grant,
    _report_removal,
    _report_opening,
    _report_mails,
)
_ON_SITES = (_check_site_grant, _report_removal, _report_opening)
"""Those of them that have something to say of a grant on a site."""
