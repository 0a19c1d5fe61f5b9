"""From changes to Matomo's own calls, and which of them share a request.

A call carries one role with its capabilities for any number of sites, and always the whole of it: a plain role would
drop the capabilities there (API.md section 2.6). A bulk carries up to fifty calls, in order. So a change of a role is
one call and never a removal followed by a grant, which would cost the person's scheduled reports. Which mails a
change sends, and to whom, is at the end (MAPPING.md section 6, default settings).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import EVERYWHERE, Account, Grant
from siteward.platforms.interface import Bundle, native
from siteward.platforms.matomo.native_state import NativeState, fold, is_anonymous, is_pending
from siteward.platforms.matomo.roles import ANONYMOUS, SUPERUSER, VIEW, plugin_of
from siteward.platforms.matomo.rpc import MOST, Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Resource
    from siteward.access.state import Live, Site
    from siteward.transport.secrets import Secret

Wishes: TypeAlias = "Mapping[str, Sequence[Grant]]"

NOACCESS = "noaccess"
# Accounts made and deleted cost a slow hash and mails within the request; few share one, so that no proxy gives up.
MOST_SLOW = 20
_SECONDS_A_MAIL, _SECONDS_A_ROW = 0.07, 0.0005
_DAMAGED = frozenset("&<>\"'")


class Planned(Struct, frozen=True, kw_only=True):
    """Calls that belong together, the changes they make, and what they cost beside their share of a request.

    The first call makes the changes, others follow it in the same request. A bulk is no transaction: what follows a
    refused first call may take place, for whoever has that login for the database (rec 21#4-11), and `undo` are the
    calls that take it back then. There are no calls where nothing may be sent, and `why` says why. `beside` are calls that go before
    the first in the same request, and may fail. `confirmed` tells that the password of the token's owner is needed,
    `slow` that an account is made or deleted, `mails` how many mails are sent, `alone` that the call must not stand in
    a bulk.
    """

    calls: tuple[Call, ...]
    beside: tuple[Call, ...] = ()
    undo: tuple[Call, ...] = ()
    changes: tuple[Change, ...]
    confirmed: bool = False
    slow: bool = False
    mails: int = 0
    rows: int = 0
    alone: bool = False
    why: str = ""


class Situation(Struct, frozen=True):
    """What it takes to turn changes into calls.

    `passwords` are for new accounts, by name; `wishes` are the grants that each person is going to have, by folded
    login. While only the grouping counts, both are left empty, and nobody is `parting`: the logins that have nothing
    left once this is done.
    """

    live: Live
    state: NativeState
    passwords: Mapping[str, Secret] = MappingProxyType({})
    wishes: Wishes = MappingProxyType({})
    parting: frozenset[str] = frozenset()


def parting(changes: Iterable[Change], wishes: Wishes, live: Live) -> frozenset[str]:
    """Return the logins from which these changes take the account, or the last access."""
    removed = [change for change in changes if change.after is None]
    gone = {change.before.name for change in removed if isinstance(change.before, Account)}
    taken = Counter(change.before.subject.name for change in removed if isinstance(change.before, Grant))
    held = (
        Counter(grant.subject.name for grant in live.access.grants() if grant.subject.kind == "account")
        if taken
        else Counter[str]()
    )
    bare = {name for name, count in taken.items() if count >= held[name] and fold(name) not in wishes}
    return frozenset(gone | bare)


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by request: up to fifty calls each, fewer of the slow ones, order kept."""
    planned = plan(changes, Situation(live, native(live, NativeState)))
    found: list[Bundle] = []
    for slow, run in groupby(planned, key=lambda item: item.slow):
        for group in _chunks(run, MOST_SLOW if slow else MOST):
            changed = tuple(change for planned in group for change in planned.changes)
            found.append(Bundle(changes=changed, seconds=sum(map(_seconds, group))))
    return found


def _seconds(planned: Planned) -> float:
    """Return about how long calls take on a small server (MAPPING section 7)."""
    return (planned.slow + planned.mails) * _SECONDS_A_MAIL + planned.rows * _SECONDS_A_ROW


def _chunks(planned: Iterable[Planned], most: int) -> Iterator[list[Planned]]:
    chunk: list[Planned] = []
    for item in planned:
        calls = len(item.calls) + sum(len(planned.calls) for planned in chunk)
        if chunk and (item.alone or chunk[-1].alone or calls > MOST or len(chunk) == most):
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk


def wishes(changes: Iterable[Change]) -> Wishes:
    """Return the grants that changes give, by folded login."""
    found: defaultdict[str, list[Grant]] = defaultdict(list)
    for change in changes:
        if isinstance(change.after, Grant):
            found[fold(change.after.subject.name)].append(change.after)
    return found


def plan(changes: Iterable[Change], situation: Situation) -> list[Planned]:
    """Return the calls that make these changes, those of one person and one access united, in order."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault(_together(change, situation.state), []).append(change)
    return [call for group in groups.values() for call in _calls(group, situation)]


def _together(change: Change, state: NativeState) -> tuple[object, ...]:
    """Return what changes have in common that one call can make."""
    match change.before, change.after:
        case (Grant() as side, None) | (_, Grant() as side) if side.scope != EVERYWHERE:
            return (side.subject.name, _access(change.after, state))
        case _:
            return change.key


def _calls(group: Sequence[Change], situation: Situation) -> Iterator[Planned]:
    change = group[0]
    side = change.after if change.after is not None else change.before
    if why := _mistaken(side, situation.state):
        yield from (_never(change, why) for change in group)
        return
    match side:
        case Grant(scope=scope) if scope != EVERYWHERE:
            yield from _site_grants(group, side, situation)
        case Grant():
            yield _superuser(change, side, situation)
        case Account():
            yield _account(change, situation)
        case _:
            yield _never(change, "Matomo has no such thing")


def _mistaken(side: Resource | None, state: NativeState) -> str:
    """Return why nothing is sent for a login that the database may take for another's; empty when it may not."""
    name = side.subject.name if isinstance(side, Grant) else side.name if isinstance(side, Account) else ""
    others = state.people.alike(name) if state.user(name) is None and not is_anonymous(name) else []
    return f"the database may take the login {name} for that of {others[0].login}" if others else ""


def _never(change: Change, why: str) -> Planned:
    return Planned(calls=(), changes=(change,), why=why)


def _planned(call: Call, *changes: Change, situation: Situation) -> Planned:
    """Return a planned call with its mails; opening several sites in one call sends as many as opening one."""
    mails = len(addressees(changes[0], situation.state))
    return Planned(calls=(call,), changes=changes, mails=mails, alone=not _safe(call, situation.state))


def _safe(call: Call, state: NativeState) -> bool:
    """Tell whether a call arrives whole inside a bulk."""
    values = [value for _, value in call.fields()]
    return not state.version.splits_early or not any(_DAMAGED & set(value) for value in values)


# grants


def _site_grants(group: Sequence[Change], side: Grant, situation: Situation) -> Iterator[Planned]:
    """Yield one call for all sites on which one person gets the same, and what may not be sent."""
    login, access = situation.state.spelling(side.subject.name), _access(group[0].after, situation.state)
    good: dict[Change, Site] = {}
    for change in group:
        site = _site(change, situation.live)
        if site is None:
            yield _never(change, "the site does not exist, and Matomo would keep the grant for a future one of its id")
        elif why := _forbidden(login, access) or asleep(change, site, situation.state):
            yield _never(change, why)
        else:
            good[change] = site
    if good:
        call = _access_call(login, access, good.values())
        yield replace(
            _planned(call, *good, situation=situation), rows=len(access) * len(good), beside=_goodbye(side, situation)
        )


def _goodbye(side: Grant | Account, situation: Situation) -> tuple[Call, ...]:
    """Return the call that ends the web sessions of somebody who has nothing left; tokens cannot be ended."""
    name = side.name if isinstance(side, Account) else side.subject.name
    if name not in situation.parting or is_anonymous(name) or not situation.state.version.ends_sessions:
        return ()
    return (Call("UsersManager.logoutUser", {"userLogin": situation.state.spelling(name)}),)


def _site(change: Change, live: Live) -> Site | None:
    side = change.after if change.after is not None else change.before
    return live.sites.get(side.scope) if isinstance(side, Grant) else None


def _access_call(login: str, access: tuple[str, ...], sites: Iterable[Site]) -> Call:
    written = access[0] if len(access) == 1 else access
    ids = ",".join(site.id for site in sites)
    return Call("UsersManager.setUserAccess", {"userLogin": login, "access": written, "idSites": ids})


def _access(after: Resource | None, state: NativeState) -> tuple[str, ...]:
    """Return the one role and the capabilities that are not part of it, or no access."""
    if not isinstance(after, Grant):
        return (NOACCESS,)
    included = state.traits.included
    extras = sorted(extra for extra in after.extras or () if after.role not in included.get(extra, ()))
    return (after.role, *extras)


def _forbidden(login: str, access: tuple[str, ...]) -> str:
    """Return why a grant must not be sent; empty when it may. The server guards one spelling only (rec 07#17)."""
    if is_anonymous(login) and (login != ANONYMOUS or access not in {(VIEW,), (NOACCESS,)}):
        return "everybody may be given nothing but view"
    return ""


def asleep(change: Change, site: Site, state: NativeState) -> str:
    """Return why a grant waits for a plugin that is switched off; empty when it does not.

    Its capabilities cannot be written, and a role written without them would destroy those that sleep (rec 23#9-11).
    """
    after = change.after
    if not isinstance(after, Grant):
        return ""
    held = state.asleep.get(state.spelling(after.subject.name), {}).get(int(site.id), frozenset())
    words = sorted(held | (state.off & (after.extras or frozenset())))
    if not words:
        return ""
    return f"{plugin_of(words[0])} is switched off on the server, and {', '.join(words)} can be neither given nor kept"


def _superuser(change: Change, side: Grant, situation: Situation) -> Planned:
    login = situation.state.spelling(side.subject.name)
    if is_anonymous(login) or situation.state.is_me(login) or side.role != SUPERUSER:
        return _never(change, "whether this account is a superuser is never changed")
    flag = "0" if change.after is None else "1"  # any other text, "false" too, would mean yes (rec 04#24)
    call = Call("UsersManager.setSuperUserAccess", {"userLogin": login, "hasSuperUserAccess": flag})
    planned = _planned(call, change, situation=situation)
    return replace(planned, confirmed=situation.state.version.confirms_superuser, beside=_goodbye(side, situation))


# accounts


def _account(change: Change, situation: Situation) -> Planned:
    match change.before, change.after:
        case None, Account() as new:
            return _create(change, new, situation)
        case Account() as old, None:
            return _delete(change, old, situation)
        case Account(), Account() as new:
            return _update(change, new, situation)
        case _:
            return _never(change, "this is no change of an account")


def _create(change: Change, new: Account, situation: Situation) -> Planned:
    if is_anonymous(new.name):
        return _never(change, "this login stands for everybody")
    who = {"userLogin": new.name, "email": new.email or ""}
    if situation.state.onboarding == "invite":
        return _invite(change, who, situation)
    password = situation.passwords.get(new.name)
    call = Call("UsersManager.addUser", {**who, "password": password.reveal() if password else ""})
    return replace(_planned(call, change, situation=situation), slow=True)


def _invite(change: Change, who: Mapping[str, str], situation: Situation) -> Planned:
    """Invite to a first site, and put right in the same request what Matomo gives there, which is always `view`.

    A run that breaks off right after finds the grant as it is wanted, or none where none is.
    """
    login = who["userLogin"]
    wish = first_wish(login, situation.wishes, situation.live)
    site = _first_site(wish, situation.live)
    call = Call("UsersManager.inviteUser", {**who, "initialIdSite": site.id if site else ""})
    planned = replace(_planned(call, change, situation=situation), slow=True)
    if wish is None or site is None:
        return planned
    access = _access(wish if wish.scope != EVERYWHERE else None, situation.state)
    if access == (VIEW,):
        return planned
    undo = _access_call(login, (NOACCESS,), [site])
    return replace(planned, calls=(call, _access_call(login, access, [site])), undo=(undo,))


def first_wish(login: str, given: Wishes, live: Live) -> Grant | None:
    """Return the grant that an invited person begins with: on a site of theirs, or that of a superuser."""
    mine = given.get(fold(login), ())
    on_sites = [grant for grant in mine if grant.scope in live.sites]
    if on_sites:
        return min(on_sites, key=lambda item: int(live.sites[item.scope].id))
    return next((grant for grant in mine if grant.scope == EVERYWHERE and live.sites), None)


def _first_site(wish: Grant | None, live: Live) -> Site | None:
    """Return the site to invite to: a future superuser, who keeps no grant, begins with any."""
    if wish is None:
        return None
    return live.sites.get(wish.scope) or min(live.sites.values(), key=lambda site: int(site.id))


def _delete(change: Change, old: Account, situation: Situation) -> Planned:
    login = situation.state.spelling(old.name)
    if is_anonymous(login) or situation.state.is_me(login):
        return _never(change, "this account is never deleted")
    planned = _planned(Call("UsersManager.deleteUser", {"userLogin": login}), change, situation=situation)
    return replace(planned, slow=True, beside=_goodbye(old, situation))


def _update(change: Change, new: Account, situation: Situation) -> Planned:
    """Change the e-mail. The password stays: one set on a pending account would be lost with it (rec 15)."""
    login = situation.state.spelling(new.name)
    call = Call("UsersManager.updateUser", {"userLogin": login, "email": new.email or ""})
    return replace(_planned(call, change, situation=situation), confirmed=situation.state.version.confirms_email)


# --- mails ------------------------------------------------------------------------------------------------------------


def addressees(change: Change, state: NativeState) -> tuple[str, ...]:
    """Return the address of each mail that making this change sends."""
    match change.before, change.after:
        case None, Account() as new:
            invited = (new.email or new.name,) if state.onboarding == "invite" else ()
            return (*_notice(state), *invited)
        case Account(), None:
            return _notice(state)
        case Account() as old, Account() as new:
            return _changed_email(old, new, state)
        case None, Grant(subject=subject) if is_anonymous(subject.name) and state.version.mails_public:
            return tuple(superuser.email for superuser in state.superusers)
        case _:
            return ()


def _notice(state: NativeState) -> tuple[str, ...]:
    """Return who hears of accounts made and deleted: the one who does it."""
    return (state.mine,) if state.version.mails_creator else ()


def _changed_email(old: Account, new: Account, state: NativeState) -> tuple[str, ...]:
    was, is_ = old.email or "", new.email or ""
    if fold(was) == fold(is_):
        return ()
    user = state.user(old.name)
    if user is not None and is_pending(user) and state.version.reinvites_changed_email:
        return (is_,)
    return (is_, was) if state.version.mails_changed_email else ()
