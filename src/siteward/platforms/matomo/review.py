"""What Matomo cannot do of a plan, and what it will do besides (MAPPING sections 3 and 6)."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.change import patch
from siteward.access.diagnostic import Diagnostic, Effect, error, note, plural, warning
from siteward.access.model import EVERYWHERE, Account, Grant, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.matomo.calls import addressees, asleep, first_wish, wishes
from siteward.platforms.matomo.groups import held_by_group, told
from siteward.platforms.matomo.native_state import NativeState, fold, is_anonymous, is_pending, spellings
from siteward.platforms.matomo.roles import ADMIN, ANONYMOUS, VIEW, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live, Memory
    from siteward.platforms.matomo.calls import Wishes

# Letters the server allows in a login, and its length in bytes (API.md section 2.2).
_LOGIN = re.compile(r"[A-Za-zÄäÖöÜüß0-9_.@+-]*")
_SHORTEST, _LONGEST = 2, 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class _Case(Struct, frozen=True):
    """A plan's changes, the world they are for, the grants each person is going to have, and how many each has.

    `newcomers` are the logins of new accounts by each of their spellings, the first of those that share one.
    """

    changes: Sequence[Change]
    live: Live
    state: NativeState
    wishes: Wishes
    held: Counter[str]
    newcomers: Mapping[str, str]


def review(changes: Sequence[Change], live: Live, _memory: Memory | None) -> Iterator[Diagnostic]:
    """Yield every objection and every consequence."""
    held = Counter(_group_subject(grant) for grant in live.access.grants() if grant.scope != EVERYWHERE)
    case = _Case(changes, live, native(live, NativeState), wishes(changes), held, _newcomers(changes))
    for change in changes:
        for say in _SAYINGS:
            yield from say(change, case)
    yield from _opened(case)
    yield from _expired(case)
    yield from _left_by_groups(case)
    yield from _tag_managers(case)


def _newcomers(changes: Iterable[Change]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for change in changes:
        if isinstance(change.after, Account) and change.before is None:
            for spelling in sorted(spellings(change.after.name)):
                found.setdefault(spelling, change.after.name)
    return found


def _tell(about: Key, effect: Effect, code: str, message: str, *, count: int = 1, who: str | None = None) -> Diagnostic:
    return note(code, message, about=about, effect=effect, count=count, who=who)


# accounts


def _new_account(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an account that the server would refuse, before anything is sent."""
    new = change.after
    if not isinstance(new, Account) or change.before is not None:
        return
    if is_anonymous(new.name):
        yield error("reserved-login", f"{new.name} stands for everybody who is not logged in", about=change.key)
    elif not _LOGIN.fullmatch(new.name) or not _SHORTEST <= len(new.name.encode()) <= _LONGEST:
        hint = "2 to 100 bytes: letters, digits, _ . @ + - and ä ö ü ß"
        yield error("login-form", f"{new.name} cannot be a login of Matomo", about=change.key, hint=hint)
    yield from _taken(change, new, case)
    if spellings(new.name) & case.state.ghosts:
        message = f"Matomo still keeps grants for the login {new.name}, and a new account might have them at once"
        yield error("login-has-grants", message, about=change.key, hint="only the database can be rid of them")
    if new.email is None:
        yield error(
            "email-needed", f"Matomo makes no account without an e-mail, and {new.name} has none", about=change.key
        )
    yield from _invitation(change, new, case)


def _taken(change: Change, new: Account, case: _Case) -> Iterator[Diagnostic]:
    """Refuse a login that equals another without case and accents, which the database does not tell apart (rec 21)."""
    live = [user_row.login for user_row in case.state.people.alike(new.name) if user_row.login != new.name]
    planned = [
        case.newcomers[spelling]
        for spelling in spellings(new.name)
        if case.newcomers.get(spelling, new.name) != new.name
    ]
    for other in (*live, *planned)[:1]:
        there = "there is a {} already" if live else "{} is a new account too"
        yield error(
            "login-taken",
            f"{there.format(other)}, and Matomo may take {new.name} for the same: it compares without case and accents",
            about=change.key,
            hint="give another login under `logins`",
        )


def _invitation(change: Change, new: Account, case: _Case) -> Iterator[Diagnostic]:
    if case.state.onboarding != "invite":
        return
    if not case.state.version.invites:
        message = f"Matomo {case.state.version.text} cannot invite; invitations came with 4.11"
        yield error("cannot-invite", message, about=change.key, hint="say `onboarding: password` for this instance")
    elif first_wish(new.name, case.wishes, case.live) is None:
        message = f"an invitation lets a person in to a first site, and nothing is granted to {new.name}"
        hint = "grant it something on a site, or say `onboarding: password` for this instance"
        yield error("invitation-needs-site", message, about=change.key, hint=hint)


def _email(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an e-mail that is malformed or somebody else's, and a login that is."""
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
    yield from _email_as_login(change, new, case)
    named = (
        state.people.by_email(new.name) if change.before is None and state.version.refuses_login_like_email else None
    )
    if named is not None and fold(named.login) != fold(new.name):
        yield error("login-taken", f"{new.name} is the e-mail of {named.login}", about=change.key)


def _email_as_login(change: Change, new: Account, case: _Case) -> Iterator[Diagnostic]:
    """Refuse an e-mail that is somebody else's login (rec 21#30-31)."""
    if not case.state.version.refuses_login_like_email or new.email is None:
        return
    logins = {user_row.login for user_row in case.state.people.alike(new.email)}
    logins |= {case.newcomers[spelling] for spelling in spellings(new.email) & case.newcomers.keys()}
    for other in sorted(login for login in logins if fold(login) != fold(new.name)):
        message = f"{new.email} is the login of {other}, and Matomo takes no login for another's e-mail"
        yield error("email-taken", message, about=change.key)


def _expired(case: _Case) -> Iterator[Diagnostic]:
    """Tell of invitations that have run out, but for people from whom the plan takes the account or the access."""
    gone = {_name(change) for change in case.changes if isinstance(change.before, Account) and change.after is None}
    taken = Counter(
        _name(change) for change in case.changes if isinstance(change.before, Grant) and change.after is None
    )
    given = {_name(change) for change in case.changes if isinstance(change.after, Grant)}
    gone |= {name for name, count in taken.items() if count >= case.held[name or ""] and name not in given}
    for user in case.state.people.rows:
        if user.invite_status == "expired" and user.login not in gone:
            yield warning(
                "invitation-expired",
                f"the invitation of {user.login} ended at {user.invite_ends}; Matomo deletes the account 3 days later",
                about=account_key(user.login),
                hint=f"send it again: siteward apply --resend {user.login}@<instance>",
            )


def _group_subject(grant: Grant) -> str:
    return grant.subject.name if grant.subject.kind == "account" else ""


def _name(change: Change) -> str | None:
    return account_of(change.key)


def _left_by_groups(case: _Case) -> Iterator[Diagnostic]:
    """Tell what people keep by a group of GroupPermissions, where the plan takes what covered it."""
    traits, access = case.state.traits, case.live.access
    if not access.members():
        return
    before = set(held_by_group(access, traits))
    yield from told(entry for entry in held_by_group(patch(access, case.changes), traits) if entry not in before)


def _tag_managers(case: _Case) -> Iterator[Diagnostic]:
    """Tell once what else the role `write` opens: its name speaks of reports alone."""
    included, off = case.state.traits.included, case.state.off
    brought = sorted(extra for extra, roles in included.items() if WRITE in roles and extra not in off)
    names = {_name(change) for change in case.changes if _gains_write(change)}
    if brought and names:
        yield note(
            "edit-brings-tags",
            f"`edit` is Matomo's role write, which brings {', '.join(brought)}: whoever has it may also edit the tags "
            f"that a site loads; this plan gives it to {plural(len(names), 'account')}",
            hint="no role edits reports and not tags; `view` does neither",
        )


def _gains_write(change: Change) -> bool:
    before, after = change.before, change.after
    had = before.role if isinstance(before, Grant) else ""
    return isinstance(after, Grant) and after.role == WRITE and had not in {WRITE, ADMIN}


def _deletion(change: Change, _case: _Case) -> Iterator[Diagnostic]:
    if isinstance(change.before, Account) and change.after is None:
        message = (
            "deletes the tokens, dashboards, settings and scheduled reports of the account; its segments go to a "
            "superuser, and a new account of this login would find its old preferences"
        )
        yield _tell(change.key, "destroys", "account-deleted", message)


# superusers


def _password(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse what needs the token owner's password where it is not at hand (API.md section 1.8)."""
    what = "" if case.state.has_password else _confirmed(change, case)
    if what and case.state.ldap:
        message = f"{what} takes no password while LoginLdap is on, unless it was set to ask for one"
        yield note("password-not-asked", message, about=change.key)
    elif what:
        hint = "give it as the credential PASSWORD beside TOKEN; the rest of the plan can be applied without it"
        message = f"{what} needs the password of {case.live.me or 'the account whose token is used'}"
        yield error("password-missing", message, about=change.key, hint=hint)


def _confirmed(change: Change, case: _Case) -> str:
    version = case.state.version
    if _is_top(change):
        return "making or unmaking a superuser" if version.confirms_superuser else ""
    match change.before, change.after:
        case Account() as old, Account() as new if fold(old.email or "") != fold(new.email or ""):
            return "changing an e-mail" if version.confirms_email else ""
        case None, Account() as new if _only_superuser(new, case) and version.confirms_superuser:
            return f"{new.name} is to be a superuser and nothing else, which"
        case _:
            return ""


def _is_top(change: Change) -> bool:
    side = change.after if change.after is not None else change.before
    return isinstance(side, Grant) and side.scope == EVERYWHERE


def _only_superuser(new: Account, case: _Case) -> bool:
    mine = case.wishes.get(fold(new.name), ())
    return bool(mine) and all(grant.scope == EVERYWHERE for grant in mine)


def _promotion(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Tell what becoming a superuser takes away, and that a pending one does not count."""
    after = change.after
    if not _is_top(change) or not isinstance(after, Grant):
        return
    name = after.subject.name
    if is_anonymous(name):
        yield error("public-superuser", "everybody cannot be made a superuser", about=change.key)
    lost = case.held[name]
    if lost:
        message = f"replaces {plural(lost, 'grant')} on sites: Matomo deletes what is there, and taking the superuser away brings none back"
        yield _tell(change.key, "destroys", "grants-replaced", message, count=lost)
    user = case.state.user(name)
    if user is not None and is_pending(user):
        message = f"{name} has not accepted the invitation, and does not count as an admin until then"
        yield _tell(change.key, "waiting", "pending-superuser", message)


# grants on sites


def _site_grant(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse grants on sites that are not there, and anything but view for everybody."""
    after = change.after
    if not isinstance(after, Grant) or after.scope == EVERYWHERE:
        return
    if after.scope not in case.live.sites:
        message = f"there is no site {after.scope}; Matomo would keep the grant for a future site of its id"
        yield error("no-such-site", message, about=change.key)
    elif why := asleep(change, case.live.sites[after.scope], case.state):
        hint = "switch the plugin on, then plan again; all else in the plan can be applied meanwhile"
        yield error("capability-asleep", why, about=change.key, hint=hint)
    if is_anonymous(after.subject.name) and (after.subject.name != ANONYMOUS or after.role != VIEW or after.extras):
        yield error("public-view-only", "everybody may be given nothing but view", about=change.key)


def _removal(change: Change, _case: _Case) -> Iterator[Diagnostic]:
    match change.before, change.after:
        case Grant(subject=subject, scope=scope), None if scope != EVERYWHERE and not is_anonymous(subject.name):
            message = "deletes the person's scheduled e-mail reports on this site for good"
            yield _tell(change.key, "destroys", "reports-deleted", message)
        case _:
            return


def _opening(change: Change, _case: _Case) -> Iterator[Diagnostic]:
    after = change.after
    if isinstance(after, Grant) and is_anonymous(after.subject.name) and change.before is None:
        message = f"everybody on the internet sees {after.scope}, and the version of the server"
        yield _tell(change.key, "opens", "made-public", message)


# mails


def _mails(change: Change, case: _Case) -> Iterator[Diagnostic]:
    if isinstance(change.after, Grant):
        return
    yield from _mailed(change, case)


def _mailed(change: Change, case: _Case) -> Iterator[Diagnostic]:
    for address, count in Counter(addressees(change, case.state)).items():
        yield _tell(change.key, "mail", "mail", f"Matomo mails {address}", count=count, who=address)


def _opened(case: _Case) -> Iterable[Diagnostic]:
    """Tell of the mails of all openings once: they share one call."""
    first = next(
        (change for change in case.changes if isinstance(change.after, Grant) and addressees(change, case.state)), None
    )
    return _mailed(first, case) if first is not None else ()


_SAYINGS: tuple[Callable[[Change, _Case], Iterable[Diagnostic]], ...] = (
    _new_account,
    _email,
    _deletion,
    _password,
    _promotion,
    _site_grant,
    _removal,
    _opening,
    _mails,
)
