"""What the plugin GroupPermissions gives: its groups are read and shown, and no call of ours changes them.

Its groups stand in tables of their own, of which UsersManager shows nothing: somebody may be admin of a site without
a row there (rec 26#8-12). So its rights stand in `Live.access` as what they are, grants of a group and its members, and
whoever has more by a group than by themselves is told by name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import warning
from siteward.access.model import EVERYWHERE, Access, Grant, Group, Member, Scope, Subject, account_key
from siteward.platforms.matomo.rows import GROUP_LIST, MEMBER_LIST, ROLE_MAP, parse
from siteward.platforms.matomo.rpc import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Resource
    from siteward.access.traits import Traits
    from siteward.platforms.matomo.native_state import NativeState

BLIND_SPOT = "group-permissions"
PLUGIN = Call("API.isPluginActivated", {"pluginName": "GroupPermissions"})
ALL_GROUPS = Call("GroupPermissions.getAllGroups")
_SHOWN = 5


class PluginGroup(Struct, frozen=True):
    """A group as the plugin has it: who is in it, and which role it gives on which site."""

    name: str
    logins: tuple[str, ...]
    roles: Mapping[int, str]


def group_members(ask: Callable[[Sequence[Call]], list[object]], sites: Iterable[int]) -> tuple[PluginGroup, ...]:
    """Return all groups; `ask` answers reading calls and raises for one that is refused."""
    (answer,) = ask([ALL_GROUPS])
    groups = parse(GROUP_LIST, answer, "getAllGroups")
    if not groups:
        return ()
    places = list(sites)
    members = [Call("GroupPermissions.getMembersOfGroup", {"idGroup": str(group.id)}) for group in groups]
    access = [Call("GroupPermissions.getGroupAccessFromSite", {"idSite": str(place)}) for place in places]
    answers = ask([*members, *access])
    roles: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for site, held in zip(places, answers[len(groups) :], strict=True):
        for name, role in parse(ROLE_MAP, held, "getGroupAccessFromSite").items():
            roles[name][site] = role
    return tuple(
        PluginGroup(
            group.name, tuple(row.login for row in parse(MEMBER_LIST, answer, "getMembersOfGroup")), roles[group.name]
        )
        for group, answer in zip(groups, answers, strict=False)
    )


def resources_of(found: Iterable[PluginGroup], state: NativeState, scopes: Mapping[int, Scope]) -> Iterator[Resource]:
    """Yield the groups, their members as far as these have accounts, and what they give on sites that exist."""
    for pool in found:
        yield Group(pool.name)
        for user in {user.login: user for login in pool.logins if (user := state.user(login)) is not None}.values():
            yield Member(pool.name, user.login)
        for site, role in pool.roles.items():
            if site in scopes and state.traits.role("site", role) is not None:
                yield Grant(Subject("group", pool.name), scopes[site], role)


def held_by_group(access: Access, traits: Traits) -> Iterator[tuple[str, str, Scope, str]]:
    """Yield account, group, site and role, where somebody has more by a group than by a grant of their own."""
    members = access.members()
    if not members:
        return
    given: defaultdict[str, list[Grant]] = defaultdict(list)
    for grant in access.grants():
        if grant.subject.kind == "group":
            given[grant.subject.name].append(grant)
    for member in members:
        person = Subject("account", member.account)
        if access.grant(person, EVERYWHERE) is not None:
            continue
        for grant in given[member.group]:
            own = access.grant(person, grant.scope)
            if own is None or traits.rank("site", own.role) < traits.rank("site", grant.role):
                yield member.account, member.group, grant.scope, grant.role


def told(held: Iterable[tuple[str, str, Scope, str]]) -> Iterator[Diagnostic]:
    """Yield a warning for each person and group: who may what, and that the group is where it can be changed."""
    rights: defaultdict[tuple[str, str], dict[Scope, str]] = defaultdict(dict)
    for account, group, scope, role in held:
        rights[account, group][scope] = role
    for (account, group), roles in sorted(rights.items()):
        listed = [f"{role} on {scope}" for scope, role in sorted(roles.items())]
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        yield warning(
            "held-by-group",
            f"{account} has {', '.join(listed[:_SHOWN])}{more}, held by group {group}; no step here takes that",
            about=account_key(account),
            hint=f"take {account} out of the group {group}, or its sites away, in the plugin GroupPermissions",
        )
