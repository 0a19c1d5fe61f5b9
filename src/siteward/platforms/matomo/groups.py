"""Access through groups of the plugin GroupPermissions, which is read and reported; no call of ours changes it.

The plugin has tables of its own, of which UsersManager shows nothing: somebody may be admin of a site without a row
there (rec 26#8-12). So `Live.access` contains the groups, their members and their grants, and a finding names each
account that has more through a group than by a grant of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import join_some, warning
from siteward.access.model import Grant, Group, Member, Scope, Subject
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
_NONE = "noaccess"


class PluginGroup(Struct, frozen=True):
    """A group as the plugin has it: its name, the logins of its members, and its role by site id."""

    name: str
    logins: tuple[str, ...]
    roles: Mapping[int, str]


def read_groups(ask: Callable[[Sequence[Call]], list[object]], sites: Iterable[int]) -> tuple[PluginGroup, ...]:
    """Return all groups with their members and their roles on the sites of these ids.

    `ask` sends reading calls and returns an answer to each; it raises `PlatformError` if one is refused.
    """
    (answer,) = ask([ALL_GROUPS])
    groups = parse(GROUP_LIST, answer, "getAllGroups")
    if not groups:
        return ()
    site_ids = list(sites)
    member_calls = [Call("GroupPermissions.getMembersOfGroup", {"idGroup": str(group.id)}) for group in groups]
    access_calls = [Call("GroupPermissions.getGroupAccessFromSite", {"idSite": str(site_id)}) for site_id in site_ids]
    answers = ask([*member_calls, *access_calls])
    roles: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for site_id, held in zip(site_ids, answers[len(groups) :], strict=True):
        for name, role in parse(ROLE_MAP, held, "getGroupAccessFromSite").items():
            roles[name][site_id] = role
    logins = (
        tuple(member.login for member in parse(MEMBER_LIST, answer, "getMembersOfGroup"))
        for answer in answers[: len(groups)]
    )
    return tuple(
        PluginGroup(group.name, members, roles[group.name]) for group, members in zip(groups, logins, strict=True)
    )


def report_unclear(groups: Sequence[PluginGroup], traits: Traits) -> Iterator[Diagnostic]:
    """Report groups of one name, and roles that are not Matomo's own: what their members may do is not fully known.

    The plugin checks a name when a group is made, not when it is renamed, and answers with roles by name, of which the
    last group's stay (its source, read 2026-11-29).
    """
    counts = Counter(group.name for group in groups)
    twins = sorted(name for name, count in counts.items() if count > 1)
    if twins:
        yield warning(
            "group-rights-unclear",
            f"several groups of GroupPermissions are called {join_some(twins)}, and the plugin tells the roles of one of them alone",
            hint="rename one of them in Matomo; until then its members may have more than is shown",
            differs=True,
        )
    roles = {role for group in groups for role in group.roles.values() if role != _NONE}
    unknown = sorted(role for role in roles if traits.role("site", role) is None)
    if unknown:
        names = sorted({group.name for group in groups if {*group.roles.values()} & {*unknown}})
        yield warning(
            "group-rights-unclear",
            f"groups of GroupPermissions have {join_some(unknown)}, which is no role of Matomo itself: {join_some(names)}",
            hint="a plugin brings such a role; what its holders may do is not known here",
            differs=True,
        )


def build_groups(groups: Iterable[PluginGroup], state: NativeState, scopes: Mapping[int, Scope]) -> Iterator[Resource]:
    """Yield the groups, those members that have accounts, and the grants on sites that exist.

    `scopes` has the scope of each site by its id.
    """
    for group in groups:
        yield Group(group.name)
        users = (state.user(login) for login in group.logins)
        for login in dict.fromkeys(user.login for user in users if user is not None):
            yield Member(group.name, login)
        for site_id, role in group.roles.items():
            if site_id in scopes and state.traits.role("site", role) is not None:
                yield Grant(Subject("group", group.name), scopes[site_id], role)
