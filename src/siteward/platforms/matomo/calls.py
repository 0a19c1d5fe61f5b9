"""Translates changes into Matomo's own calls and groups these by request; no function here sends anything.

A call sets one role with its capabilities on any number of sites, and replaces all that the person had there: a plain
role would drop the capabilities (API.md section 2.6). A bulk carries up to fifty calls, in order. So a change of a role
is one call and never a removal followed by a grant, which would cost the person's scheduled reports. The mails that a
change sends, and their addresses, are at the end (MAPPING.md section 6, default settings).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import EVERYWHERE, Account, Grant, Subject, account_of
from siteward.platforms.interface import Bundle, native
from siteward.platforms.matomo.native_state import NativeState, fold, is_anonymous, is_pending
from siteward.platforms.matomo.roles import ANONYMOUS, SUPERUSER, VIEW, plugin_of
from siteward.platforms.matomo.rpc import MOST_CALLS, Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Resource
    from siteward.access.state import Live, Site
    from siteward.transport.secrets import Secret

GrantsByLogin: TypeAlias = "Mapping[str, Sequence[Grant]]"

NOACCESS = "noaccess"
# Accounts made and deleted cost a slow hash and mails within the request; few share one, so that no proxy gives up.
MOST_SLOW_CALLS = 20
# Characters that releases before 5.0 change inside a bulk (`Version.splits_early`).
_DAMAGED = frozenset("&<>\"'")


class PlannedCalls(Struct, frozen=True, kw_only=True):
    """Calls that belong together, the changes they make, and their cost beside their share of a request.

    The first of `calls` makes the changes; the others follow it in the same request. There are none where nothing may
    be sent, and `why` says why. `leading` are calls that go before the first in the same request, and may fail. A bulk
    is no transaction: if the first call is refused, those after it may still take effect, for the account that the
    database takes the login for (rec 21#4-11); `undo` are the calls that take this back.

    `confirmed` is true if the password of the token's owner is needed, `slow` if an account is made or deleted, `alone`
    if the calls must not stand in a bulk. `mails` is the number of mails sent, `rows` that of access rows written.
    """

    calls: tuple[Call, ...]
    leading: tuple[Call, ...] = ()
    undo: tuple[Call, ...] = ()
    changes: tuple[Change, ...]
    confirmed: bool = False
    slow: bool = False
    mails: int = 0
    rows: int = 0
    alone: bool = False
    why: str = ""


class Situation(Struct, frozen=True):
    """The input that translating changes takes beside the changes.

    `passwords` are for new accounts, by name. `new_grants` are the grants that each person is going to have, by folded
    login. `parting` are the logins that have nothing left once this is done. To group changes, these three may be empty:
    the calls that they add fit into the same requests.
    """

    live: Live
    state: NativeState
    passwords: Mapping[str, Secret] = MappingProxyType({})
    new_grants: GrantsByLogin = MappingProxyType({})
    parting: frozenset[str] = frozenset()


def find_parting(changes: Iterable[Change], new_grants: GrantsByLogin, live: Live) -> frozenset[str]:
    """Return the logins from which these changes take the account, or the last access."""
    removed = [change for change in changes if change.after is None]
    deleted = {change.before.name for change in removed if isinstance(change.before, Account)}
    taken = Counter(change.before.subject.name for change in removed if isinstance(change.before, Grant))
    if not taken:
        return frozenset(deleted)
    losing = {name for name, count in taken.items() if count >= len(live.access.rights(Subject("account", name)))}
    return frozenset(deleted | {name for name in losing if fold(name) not in new_grants})


def bundle(changes: Sequence[Change], live: Live) -> Sequence[Bundle]:
    """Return the changes grouped by request: up to fifty calls each, fewer of the slow ones, order kept."""
    planned = plan(changes, Situation(live, native(live, NativeState)))
    bundles: list[Bundle] = []
    for slow, run in groupby(planned, key=lambda planned_calls: planned_calls.slow):
        for chunk in _split_into_requests(run, MOST_SLOW_CALLS if slow else MOST_CALLS):
            changed = tuple(change for planned_calls in chunk for change in planned_calls.changes)
            bundles.append(Bundle(changes=changed))
    return bundles


def plan_bundle(bundle: Bundle, live: Live) -> list[PlannedCalls]:
    """Return the calls of one bundle, with what is to come for those whom it makes, or from whom it takes something."""
    new_grants = group_new_grants((*bundle.changes, *_list_ahead(bundle)))
    parting = find_parting(bundle.changes, new_grants, live)
    return plan(bundle.changes, Situation(live, native(live, NativeState), bundle.passwords, new_grants, parting))


def _list_ahead(bundle: Bundle) -> Iterator[Change]:
    """Yield the later changes about the logins that a bundle makes, or from which it takes something.

    Nobody asks for the later grants of others, and a long run has many of them.
    """
    changed = (change.key for change in bundle.changes if not isinstance(change.after, Grant))
    logins = {fold(login) for key in changed if (login := account_of(key)) is not None}
    for login in sorted(logins):
        yield from bundle.ahead(login)


def _split_into_requests(planned: Iterable[PlannedCalls], most: int) -> Iterator[list[PlannedCalls]]:
    """Yield the planned calls by request: at most `most` together, and no more calls than a bulk may carry."""
    chunk: list[PlannedCalls] = []
    for planned_calls in planned:
        count = len(planned_calls.calls) + sum(len(earlier.calls) for earlier in chunk)
        if chunk and (planned_calls.alone or chunk[-1].alone or count > MOST_CALLS or len(chunk) == most):
            yield chunk
            chunk = []
        chunk.append(planned_calls)
    if chunk:
        yield chunk


def group_new_grants(changes: Iterable[Change]) -> GrantsByLogin:
    """Return the grants that changes give, by folded login."""
    grants: defaultdict[str, list[Grant]] = defaultdict(list)
    for change in changes:
        if isinstance(change.after, Grant):
            grants[fold(change.after.subject.name)].append(change.after)
    return grants


def plan(changes: Iterable[Change], situation: Situation) -> list[PlannedCalls]:
    """Return the calls that make these changes, in order; equal access of one person on several sites is one call."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault(_group_key(change, situation.state), []).append(change)
    return [planned for group in groups.values() for planned in _plan_group(group, situation)]


def _group_key(change: Change, state: NativeState) -> tuple[object, ...]:
    """Return a key that is equal for all changes that one call can make."""
    grant = change.before if change.after is None else change.after
    if isinstance(grant, Grant) and grant.scope != EVERYWHERE:
        return (grant.subject.name, _list_access(change.after, state))
    return change.key


def _plan_group(group: Sequence[Change], situation: Situation) -> Iterator[PlannedCalls]:
    change = group[0]
    resource = change.after if change.after is not None else change.before
    if why := _explain_ambiguous_login(resource, situation.state):
        yield from (_refuse(change, why) for change in group)
        return
    match resource:
        case Grant(scope=scope) if scope != EVERYWHERE:
            yield from _plan_site_grants(group, resource, situation)
        case Grant():
            yield _plan_superuser(change, resource, situation)
        case Account():
            yield _plan_account(change, situation)
        case _:
            yield _refuse(change, "Matomo has no such thing")


def _explain_ambiguous_login(resource: Resource | None, state: NativeState) -> str:
    """Return why nothing is sent for a login that the database may take for another's; empty if it may not."""
    match resource:
        case Grant(subject=Subject(name=name)) | Account(name=name):
            others = [] if state.user(name) is not None or is_anonymous(name) else state.people.alike(name)
            return f"the database may take the login {name} for that of {others[0].login}" if others else ""
        case _:
            return ""


def _refuse(change: Change, why: str) -> PlannedCalls:
    return PlannedCalls(calls=(), changes=(change,), why=why)


def _plan_call(call: Call, *changes: Change, situation: Situation) -> PlannedCalls:
    """Return a planned call with its mails; opening several sites in one call sends as many as opening one."""
    mails = len(addressees(changes[0], situation.state))
    return PlannedCalls(calls=(call,), changes=changes, mails=mails, alone=not _is_safe_in_bulk(call, situation.state))


def _is_safe_in_bulk(call: Call, state: NativeState) -> bool:
    """Return whether a call arrives whole inside a bulk."""
    return not state.version.splits_early or not any(_DAMAGED & set(argument) for _, argument in call.fields())


# --- grants -----------------------------------------------------------------------------------------------------------


def _plan_site_grants(group: Sequence[Change], grant: Grant, situation: Situation) -> Iterator[PlannedCalls]:
    """Yield one call for all sites on which one person gets the same, and a refusal for each that must not be sent."""
    login = situation.state.spelling(grant.subject.name)
    access = _list_access(group[0].after, situation.state)
    sites: dict[Change, Site] = {}
    for change in group:
        site = _find_site(change, situation.live)
        if site is None:
            yield _refuse(change, "the site does not exist, and Matomo would keep the grant for a future one of its id")
        elif why := _explain_forbidden(login, access) or explain_asleep(change, site, situation.state):
            yield _refuse(change, why)
        else:
            sites[change] = site
    if sites:
        planned = _plan_call(_make_access_call(login, access, sites.values()), *sites, situation=situation)
        yield replace(planned, rows=len(access) * len(sites), leading=_end_sessions(grant, situation))


def _end_sessions(resource: Grant | Account, situation: Situation) -> tuple[Call, ...]:
    """Return the call that ends the web sessions of somebody who has nothing left; no call ends tokens."""
    name = resource.name if isinstance(resource, Account) else resource.subject.name
    if name not in situation.parting or is_anonymous(name) or not situation.state.version.ends_sessions:
        return ()
    return (Call("UsersManager.logoutUser", {"userLogin": situation.state.spelling(name)}),)


def _find_site(change: Change, live: Live) -> Site | None:
    grant = change.after if change.after is not None else change.before
    return live.sites.get(grant.scope) if isinstance(grant, Grant) else None


def _make_access_call(login: str, access: tuple[str, ...], sites: Iterable[Site]) -> Call:
    # A single value is sent as text: releases before 3.6 take no list (API.md section 2.6).
    written = access[0] if len(access) == 1 else access
    ids = ",".join(site.id for site in sites)
    return Call("UsersManager.setUserAccess", {"userLogin": login, "access": written, "idSites": ids})


def _list_access(after: Resource | None, state: NativeState) -> tuple[str, ...]:
    """Return the role and those capabilities that are no part of it, or `noaccess`, in the words of `setUserAccess`."""
    if not isinstance(after, Grant):
        return (NOACCESS,)
    if not after.extras:
        return (after.role,)
    included = state.traits.included
    extras = sorted(extra for extra in after.extras or () if after.role not in included.get(extra, ()))
    return (after.role, *extras)


def _explain_forbidden(login: str, access: tuple[str, ...]) -> str:
    """Return why a grant must not be sent; empty if it may. The server guards one spelling only (rec 07#17)."""
    if is_anonymous(login) and (login != ANONYMOUS or access not in {(VIEW,), (NOACCESS,)}):
        return "everybody may be given nothing but view"
    return ""


def explain_asleep(change: Change, site: Site, state: NativeState) -> str:
    """Return why a grant waits for a plugin that is switched off; empty if it does not.

    The plugin's capabilities cannot be written, and a role written without them would destroy those that the person
    holds and that are in force again once the plugin is on (rec 23#9-11).
    """
    after = change.after
    if not isinstance(after, Grant) or not (state.off or state.asleep):
        return ""
    held = state.asleep.get(state.spelling(after.subject.name), {}).get(int(site.id), frozenset())
    capabilities = sorted(held | (state.off & (after.extras or frozenset())))
    if not capabilities:
        return ""
    plugin = plugin_of(capabilities[0])
    return f"{plugin} is switched off on the server, and {', '.join(capabilities)} can be neither given nor kept"


def _plan_superuser(change: Change, grant: Grant, situation: Situation) -> PlannedCalls:
    login = situation.state.spelling(grant.subject.name)
    if is_anonymous(login) or situation.state.is_me(login) or grant.role != SUPERUSER:
        return _refuse(change, "whether this account is a superuser is never changed")
    flag = "0" if change.after is None else "1"  # any other text, "false" too, would mean yes (rec 04#24)
    call = Call("UsersManager.setSuperUserAccess", {"userLogin": login, "hasSuperUserAccess": flag})
    planned = _plan_call(call, change, situation=situation)
    return replace(
        planned, confirmed=situation.state.version.confirms_superuser, leading=_end_sessions(grant, situation)
    )


# --- accounts ---------------------------------------------------------------------------------------------------------


def _plan_account(change: Change, situation: Situation) -> PlannedCalls:
    match change.before, change.after:
        case None, Account() as new:
            return _plan_creation(change, new, situation)
        case Account() as old, None:
            return _plan_deletion(change, old, situation)
        case Account(), Account() as new:
            return _plan_email_change(change, new, situation)
        case _:
            return _refuse(change, "this is no change of an account")


def _plan_creation(change: Change, new: Account, situation: Situation) -> PlannedCalls:
    if is_anonymous(new.name):
        return _refuse(change, "this login stands for everybody")
    arguments = {"userLogin": new.name, "email": new.email or ""}
    if situation.state.onboarding == "invite":
        return _plan_invitation(change, arguments, situation)
    password = situation.passwords.get(new.name)
    call = Call("UsersManager.addUser", {**arguments, "password": password.reveal() if password else ""})
    return replace(_plan_call(call, change, situation=situation), slow=True)


def _plan_invitation(change: Change, arguments: Mapping[str, str], situation: Situation) -> PlannedCalls:
    """Invite to a first site, and set in the same request the access wanted there: Matomo always gives `view`.

    So a run that breaks off right after leaves on that site what is wanted, and nothing if nothing is.
    """
    login = arguments["userLogin"]
    grant = choose_first_grant(login, situation.new_grants, situation.live)
    site = _choose_first_site(grant, situation.live)
    call = Call("UsersManager.inviteUser", {**arguments, "initialIdSite": site.id if site else ""})
    planned = replace(_plan_call(call, change, situation=situation), slow=True)
    if grant is None or site is None:
        return planned
    access = _list_access(grant if grant.scope != EVERYWHERE else None, situation.state)
    if access == (VIEW,):
        return planned
    undo = _make_access_call(login, (NOACCESS,), [site])
    return replace(planned, calls=(call, _make_access_call(login, access, [site])), undo=(undo,))


def choose_first_grant(login: str, new_grants: GrantsByLogin, live: Live) -> Grant | None:
    """Return the grant that an invited person begins with: on a site of theirs, or that of a superuser."""
    grants = new_grants.get(fold(login), ())
    on_sites = [grant for grant in grants if grant.scope in live.sites]
    if on_sites:
        return min(on_sites, key=lambda grant: int(live.sites[grant.scope].id))
    return next((grant for grant in grants if grant.scope == EVERYWHERE and live.sites), None)


def _choose_first_site(grant: Grant | None, live: Live) -> Site | None:
    """Return the site to invite to: that of the grant, or any for a future superuser, who keeps no grant on sites."""
    if grant is None:
        return None
    return live.sites.get(grant.scope) or min(live.sites.values(), key=lambda site: int(site.id))


def _plan_deletion(change: Change, old: Account, situation: Situation) -> PlannedCalls:
    login = situation.state.spelling(old.name)
    if is_anonymous(login) or situation.state.is_me(login):
        return _refuse(change, "this account is never deleted")
    planned = _plan_call(Call("UsersManager.deleteUser", {"userLogin": login}), change, situation=situation)
    return replace(planned, slow=True, leading=_end_sessions(old, situation))


def _plan_email_change(change: Change, new: Account, situation: Situation) -> PlannedCalls:
    """Change the e-mail only: a password set on a pending account would be lost with the invitation (rec 15)."""
    login = situation.state.spelling(new.name)
    call = Call("UsersManager.updateUser", {"userLogin": login, "email": new.email or ""})
    return replace(_plan_call(call, change, situation=situation), confirmed=situation.state.version.confirms_email)


# --- mails ------------------------------------------------------------------------------------------------------------


def addressees(change: Change, state: NativeState) -> tuple[str, ...]:
    """Return the address of each mail that making this change sends."""
    match change.before, change.after:
        case None, Account() as new:
            invited = (new.email or new.name,) if state.onboarding == "invite" else ()
            return (*_list_noticed(state), *invited)
        case Account(), None:
            return _list_noticed(state)
        case Account() as old, Account() as new:
            return _list_changed_addresses(old, new, state)
        case None, Grant(subject=subject) if is_anonymous(subject.name) and state.version.mails_public:
            return tuple(superuser.email for superuser in state.superusers)
        case _:
            return ()


def _list_noticed(state: NativeState) -> tuple[str, ...]:
    """Return the addresses that get a notice of each account made or deleted: that of the acting user, if any."""
    return (state.own_email,) if state.version.mails_creator else ()


def _list_changed_addresses(old: Account, new: Account, state: NativeState) -> tuple[str, ...]:
    """Return the addresses that hear of a changed e-mail; a pending account is invited again at the new one."""
    old_email, new_email = old.email or "", new.email or ""
    if fold(old_email) == fold(new_email):
        return ()
    user = state.user(old.name)
    if user is not None and is_pending(user) and state.version.reinvites_changed_email:
        return (new_email,)
    return (new_email, old_email) if state.version.mails_changed_email else ()
