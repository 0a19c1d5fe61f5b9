"""From changes to Matomo's own calls, and which of them share a request.

A call carries one role with its capabilities for any number of sites, and always the whole of it: a plain role would
drop the capabilities there (API.md section 2.6). A bulk carries up to fifty calls, in order. So a change of a role is
one call and never a removal followed by a grant, which would cost the person's scheduled reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant
from siteward.platforms.interface import Bundle
from siteward.platforms.matomo.mails import addressees
from siteward.platforms.matomo.picture import fold, is_anonymous, picture_of
from siteward.platforms.matomo.roles import SUPERUSER, VIEW
from siteward.platforms.matomo.rpc import MOST, Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Resource
    from siteward.access.state import Live
    from siteward.platforms.matomo.picture import Picture
    from siteward.transport.secrets import Secret

NOACCESS = "noaccess"
# Accounts made and deleted cost a slow hash and mails within the request; few share one, so that no proxy gives up.
MOST_SLOW = 20
_SECONDS_A_MAIL, _SECONDS_A_ROW = 0.07, 0.0005
_DAMAGED = frozenset("&<>\"'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One call, the changes it makes, and what it costs beside its share of a request.

    `confirmed` tells that it needs the password of the token's owner, `slow` that it makes or deletes an account, by
    a slow hash and mails from within the request; `alone` that it must not stand in a bulk. `call` is `None` where
    nothing may be sent, `why` says why.
    """

    call: Call | None
    changes: tuple[Change, ...]
    confirmed: bool = False
    slow: bool = False
    mails: int = 0
    rows: int = 0
    alone: bool = False
    why: str = ""


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by request: up to fifty calls each, fewer of those that send mail, order kept."""
    planned = plan(changes, live, passwords={}, ahead=())
    found: list[Bundle] = []
    for slow, run in groupby(planned, key=lambda each: each.slow):
        for group in _chunks(list(run), MOST_SLOW if slow else MOST):
            changed = tuple(change for each in group for change in each.changes)
            found.append(Bundle(changes=changed, seconds=sum(map(_seconds, group))))
    return found


def _seconds(planned: Planned) -> float:
    """Return about how long a call takes on a small server (MAPPING section 7)."""
    return (planned.slow + planned.mails) * _SECONDS_A_MAIL + planned.rows * _SECONDS_A_ROW


def _chunks(planned: list[Planned], most: int) -> Iterator[list[Planned]]:
    chunk: list[Planned] = []
    for each in planned:
        if chunk and (each.alone or chunk[-1].alone or len(chunk) == most):
            yield chunk
            chunk = []
        chunk.append(each)
    if chunk:
        yield chunk


def plan(
    changes: Iterable[Change], live: Live, *, passwords: Mapping[str, Secret], ahead: Sequence[Change]
) -> list[Planned]:
    """Return the calls that make these changes, those of one person and one access united, in order.

    `passwords` are for new accounts, by name; `ahead` are later changes, which tell where an invited person will be
    let in. Without them, when only the grouping counts, what depends on them is left open.
    """
    picture = picture_of(live)
    united: dict[tuple[object, ...], Planned] = {}
    for at, change in enumerate(changes):
        side = change.after if change.after is not None else change.before
        match side:
            case Grant(scope=scope) if scope != EVERYWHERE:
                key, one = _site_grant(change, side, live, picture)
                united[key] = _joined(united[key], one) if key in united else one
            case Grant():
                united["top", at] = _superuser(change, side, picture)
            case Account():
                united["account", at] = _account(change, picture, passwords, ahead, live)
            case _:
                united["none", at] = _never(change, "Matomo has no such thing")
    return list(united.values())


def _never(change: Change, why: str) -> Planned:
    return Planned(call=None, changes=(change,), why=why)


def _joined(one: Planned, other: Planned) -> Planned:
    """Return one call for the sites of both."""
    if one.call is None or other.call is None:
        return replace(one, changes=(*one.changes, *other.changes))
    sites = f"{one.call.arguments['idSites']},{other.call.arguments['idSites']}"
    call = Call(one.call.method, {**one.call.arguments, "idSites": sites})
    return replace(one, call=call, changes=(*one.changes, *other.changes), rows=one.rows + other.rows)


# grants


def _site_grant(change: Change, side: Grant, live: Live, picture: Picture) -> tuple[tuple[object, ...], Planned]:
    site = live.sites.get(side.scope)
    login = picture.spelling(side.subject.name)
    access = _access(change.after, picture)
    why = _forbidden(login, access, site is not None)
    if why or site is None:
        return (why, change.key), _never(change, why)
    written = access[0] if len(access) == 1 else access
    call = Call("UsersManager.setUserAccess", {"userLogin": login, "access": written, "idSites": site.id})
    planned = Planned(call=call, changes=(change,), rows=len(access), alone=not _safe(call, picture))
    return (login, access), _mailing(planned, picture)


def _access(after: Resource | None, picture: Picture) -> tuple[str, ...]:
    """Return the one role and the capabilities that are not part of it, or no access."""
    if not isinstance(after, Grant):
        return (NOACCESS,)
    included = picture.traits.included
    extras = sorted(each for each in after.extras or () if after.role not in included.get(each, ()))
    return (after.role, *extras)


def _forbidden(login: str, access: tuple[str, ...], known_site: bool) -> str:  # noqa: FBT001 — three facts, one word
    """Return why a grant must not be sent, by the hazards of MAPPING section 3; empty when it may."""
    if not known_site:
        return "the site does not exist, and Matomo would keep the grant for a future site of that id"
    if is_anonymous(login) and (login != fold(login) or access not in {(VIEW,), (NOACCESS,)}):
        return "everybody may be given nothing but view"
    return ""


def _superuser(change: Change, side: Grant, picture: Picture) -> Planned:
    login = picture.spelling(side.subject.name)
    if is_anonymous(login) or side.role != SUPERUSER:
        return _never(change, "this account cannot be made a superuser")
    flag = "0" if change.after is None else "1"  # any other text, "false" too, would mean yes (rec 04#24)
    call = Call("UsersManager.setSuperUserAccess", {"userLogin": login, "hasSuperUserAccess": flag})
    return Planned(
        call=call, changes=(change,), confirmed=picture.version.confirms_superuser, alone=not _safe(call, picture)
    )


# accounts


def _account(
    change: Change, picture: Picture, passwords: Mapping[str, Secret], ahead: Sequence[Change], live: Live
) -> Planned:
    match change.before, change.after:
        case None, Account() as new:
            return _create(change, new, picture, passwords.get(new.name), first_site(new.name, ahead, live))
        case Account() as old, None:
            return _delete(change, old, picture)
        case Account(), Account() as new:
            return _update(change, new, picture)
        case _:
            return _never(change, "this is no change of an account")


def _create(change: Change, new: Account, picture: Picture, password: Secret | None, site: str) -> Planned:
    if is_anonymous(new.name):
        return _never(change, "this login stands for everybody")
    who = {"userLogin": new.name, "email": new.email or ""}
    if picture.onboarding == "invite":
        call = Call("UsersManager.inviteUser", {**who, "initialIdSite": site})
    else:
        call = Call("UsersManager.addUser", {**who, "password": password.reveal() if password else ""})
    return _mailing(Planned(call=call, changes=(change,), slow=True, alone=not _safe(call, picture)), picture)


def first_site(login: str, ahead: Sequence[Change], live: Live) -> str:
    """Return the id of the site an invited person begins with: one that is granted later in the same run.

    A future superuser begins with any, because becoming one takes all grants away. Empty where there is none.
    """
    mine = [
        each.after for each in ahead if isinstance(each.after, Grant) and fold(each.after.subject.name) == fold(login)
    ]
    if any(each.scope == EVERYWHERE for each in mine):
        return min((each.id for each in live.sites.values()), key=int, default="")
    return min((live.sites[each.scope].id for each in mine if each.scope in live.sites), key=int, default="")


def _delete(change: Change, old: Account, picture: Picture) -> Planned:
    login = picture.spelling(old.name)
    if is_anonymous(login) or fold(login) == picture.me:
        return _never(change, "this account is never deleted")
    call = Call("UsersManager.deleteUser", {"userLogin": login})
    return _mailing(Planned(call=call, changes=(change,), slow=True, alone=not _safe(call, picture)), picture)


def _update(change: Change, new: Account, picture: Picture) -> Planned:
    """Change the e-mail. The password stays: one set on a pending account would be lost with it (rec 15)."""
    call = Call("UsersManager.updateUser", {"userLogin": picture.spelling(new.name), "email": new.email or ""})
    confirmed, alone = picture.version.confirms_email, not _safe(call, picture)
    return _mailing(Planned(call=call, changes=(change,), confirmed=confirmed, alone=alone), picture)


def _mailing(planned: Planned, picture: Picture) -> Planned:
    """Note the mails of a call; opening several sites in one call sends as many as opening one."""
    return replace(planned, mails=len(addressees(planned.changes[0], picture)))


def _safe(call: Call, picture: Picture) -> bool:
    """Tell whether a call arrives whole inside a bulk."""
    values = [value for _, value in call.fields()]
    return not picture.version.splits_early or not any(_DAMAGED & set(each) for each in values)
