"""What Matomo cannot do of a plan, and what it will do besides (MAPPING sections 3 and 6)."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Effect, error, note
from siteward.access.model import EVERYWHERE, Account, Grant
from siteward.platforms.interface import native
from siteward.platforms.matomo.calls import addressees, first_wish, wishes
from siteward.platforms.matomo.native_state import NativeState, fold, is_anonymous, is_pending
from siteward.platforms.matomo.roles import VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live, Memory
    from siteward.platforms.matomo.calls import Wishes

# Letters the server allows in a login, and its length in bytes (API.md section 2.2).
_LOGIN = re.compile(r"[A-Za-zÄäÖöÜüß0-9_.@+-]*")
_SHORTEST, _LONGEST = 2, 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class _Case(Struct, frozen=True):
    """A plan's changes, the world they are for, the grants each person is going to have, and how many each has."""

    changes: Sequence[Change]
    live: Live
    state: NativeState
    wishes: Wishes
    held: Counter[str]


def review(changes: Sequence[Change], live: Live, _memory: Memory | None) -> Iterator[Diagnostic]:
    """Yield every objection and every consequence."""
    held = Counter(grant.subject.name for grant in live.access.grants() if grant.scope != EVERYWHERE)
    case = _Case(changes, live, native(live, NativeState), wishes(changes), held)
    for change in changes:
        for say in _SAYINGS:
            yield from say(change, case)
    yield from _opened(case)


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
    taken = case.state.user(new.name)
    if taken is not None and taken.login != new.name:
        message = f"there is a {taken.login} already, and Matomo takes {new.name} for the same"
        yield error("login-taken", message, about=change.key)
    if fold(new.name) in case.state.ghosts:
        message = f"Matomo still keeps grants for the login {new.name}, and a new account might have them at once"
        yield error("login-has-grants", message, about=change.key, hint="only the database can be rid of them")
    if new.email is None:
        yield error(
            "email-needed", f"Matomo makes no account without an e-mail, and {new.name} has none", about=change.key
        )
    yield from _invitation(change, new, case)


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
    if not _EMAIL.fullmatch(new.email):
        yield error("email-form", f"Matomo does not take {new.email} for an e-mail address", about=change.key)
    owner = state.by_email(new.email)
    if owner is not None and fold(owner.login) != fold(new.name):
        message = f"{new.email} is the e-mail of {owner.login}, and Matomo keeps each one once"
        yield error("email-taken", message, about=change.key)
    named = state.by_email(new.name) if change.before is None and state.version.refuses_login_like_email else None
    if named is not None and fold(named.login) != fold(new.name):
        yield error("login-taken", f"{new.name} is the e-mail of {named.login}", about=change.key)


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
    if case.state.has_password:
        return
    what = _confirmed(change, case)
    if what:
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
        message = (
            f"replaces {lost} grants on sites: Matomo deletes them, and taking the superuser away brings none back"
        )
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
    if is_anonymous(after.subject.name) and (
        after.subject.name != fold(after.subject.name) or after.role != VIEW or after.extras
    ):
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
