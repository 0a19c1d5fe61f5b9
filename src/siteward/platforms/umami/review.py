"""Review of changes for the limits and side effects of Umami (MAPPING.md sections 4 and 5).

Each function checks one change for one hazard and yields its diagnostics; none of them asks the server.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import Diagnostic, Effect, Severity, diagnostic, error, note
from siteward.access.model import EVERYWHERE, Account, Grant, Scope, Subject, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.umami.findings import clashes
from siteward.platforms.umami.native_state import (
    NativeState,
    is_foreign,
    left_over,
    others_in,
    team_name,
)
from siteward.platforms.umami.roles import API_KEYS, BOARD_LINKS, NOBODY_SPECIAL, OWNER, has_factors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Resource
    from siteward.access.state import Live, Memory
    from siteward.platforms.umami.rows import SiteRow, UserRow

LONGEST_LOGIN = 255
_BY_HAND = (
    "three ways, all by hand: its owner moves it; an admin makes the owner manager of team {team}, sets a password, "
    "logs in as the owner and moves it (the old password is lost); or one SQL update of website.user_id and team_id"
)


class _Place(Struct, frozen=True):
    """The team that grants access to a scope, by its id (see `team_of`), and the `others` that it grants access to."""

    team: str | None
    others: tuple[Scope, ...]


class _Case(Struct, frozen=True):
    """The live state, and facts about all changes under review.

    `clashing` has the logins that differ only in case, see `clashes`. `roles` has the role that a change leads to, by
    account name and scope; `None` for a grant that ends. What is the same for all changes on a scope is found once.
    """

    live: Live
    state: NativeState
    clashing: Mapping[str, tuple[str, ...]]
    roles: Mapping[tuple[str, Scope], str | None]
    _duplicated: dict[str, frozenset[str]] = {}
    _places: dict[Scope, _Place] = {}

    def place(self, scope: Scope) -> _Place:
        """Return the team of a scope, and the other sites that this team has."""
        place = self._places.get(scope)
        if place is None:
            team = team_of(scope, self.live, self.state)
            sites = [Scope("site", self.state.labels[site_id]) for site_id in self.state.sites_of.get(team or "", ())]
            place = self._places[scope] = _Place(team, tuple([site for site in sites if site != scope]))
        return place

    def is_duplicated(self, team: str, user: str) -> bool:
        """Return whether an account is in a team several times; the members of each team are looked through once."""
        known = self._duplicated.get(team)
        if known is None:
            members = self.state.rows.teams[team].members
            several = Counter(member.user_id for member in members if member.user is not None)
            known = self._duplicated[team] = frozenset(user_id for user_id, rows in several.items() if rows > 1)
        return user in known

    def user(self, change: Change) -> UserRow | None:
        """Return the live account that a change is about, or `None`."""
        user_id = self.live.ids.get(account_key(account_of(change.key) or ""))
        return self.state.rows.users.get(user_id or "")

    def site(self, scope: Scope) -> SiteRow | None:
        """Return the live site of a scope, or `None`."""
        return self.state.rows.sites.get(self.live.sites[scope].id) if scope in self.live.sites else None


def review(changes: Sequence[Change], live: Live, memory: Memory | None = None) -> Iterable[Diagnostic]:
    """Yield what forbids each change (errors), and its side effects (notes)."""
    state = native(live, NativeState)
    roles = {
        (account_of(change.key) or "", side.scope): change.after.role if isinstance(change.after, Grant) else None
        for change in changes
        if isinstance(side := change.after or change.before, Grant)
    }
    case = _Case(live, state, clashes(state), roles)
    yield from _report_board_links(changes, case, memory)
    yield from _report_api_keys(changes, case)
    for change in changes:
        for check in _CHECKS:
            yield from check(change, case)
        side = change.after or change.before
        if isinstance(side, Account):
            yield from _check_deletion(change, case) if change.after is None else _check_login(change, case)
        elif isinstance(side, Grant) and side.scope != EVERYWHERE:
            for check_scope in _SCOPE_CHECKS:
                yield from check_scope(change, side.scope, case)


def _report_board_links(changes: Sequence[Change], case: _Case, memory: Memory | None) -> Iterator[Diagnostic]:
    """Note public links to boards that an account may keep, once for each, or that a new role lets it make."""
    if BOARD_LINKS not in case.state.traits.blind_spots:
        return
    reported: set[str] = set()
    for change in changes:
        name = account_of(change.key) or ""
        if name not in reported and _is_loss(change, case.state) and (role := _sharing_role(name, case, memory)):
            reported.add(name)
            yield note(
                "keeps-board-links",
                f"{name} {role}: a public link to a board that it shared stays open, and no list shows it",
                about=change.key,
                hint="look at its boards before the account goes; only a new APP_SECRET ends such links for certain",
            )
        if isinstance(change.after, Grant) and change.after.scope == EVERYWHERE and change.before is None:
            yield note(
                "may-share-boards",
                f"as {change.after.role} one may share boards publicly, whatever one's role in the team, and no list shows it",
                about=change.key,
                hint="view-only, which new accounts begin with, cannot",
            )


def _report_api_keys(changes: Sequence[Change], case: _Case) -> Iterator[Diagnostic]:
    """Note, once for each account that is left without any access, that API keys it made go on to exist (3.4).

    A key does what its owner may do at the time, so that of somebody without a role and a team opens nothing but the
    sites that its owner owns. A deleted account takes its keys along.
    """
    if API_KEYS not in case.state.traits.blind_spots:
        return
    deleted = {account_of(change.key) for change in changes if isinstance(change.before, Account) and not change.after}
    held: defaultdict[str, list[Grant]] = defaultdict(list)
    for grant in case.live.access.grants():
        if grant.role != OWNER:
            held[grant.subject.name].append(grant)
    reported: set[str | None] = set(deleted)
    for change in changes:
        name = account_of(change.key) or ""
        user = case.user(change)
        if name in reported or user is None:
            continue
        reported.add(name)
        if not held[name] or any(case.roles.get((name, grant.scope), OWNER) is not None for grant in held[name]):
            continue
        sites, _ = owned(user.id, case.state)
        opens = (
            f"they go on to open {', '.join(sites)}, which it owns"
            if sites
            else "they open nothing until it has access"
        )
        yield note(
            "keeps-api-keys",
            f"API keys that {name} made stay: no list shows them and no new password ends them; {opens}",
            about=change.key,
            hint="only the owner deletes them in Umami; deleting the account ends them",
        )


def _is_loss(change: Change, state: NativeState) -> bool:
    """Return whether a change takes access away, or the account itself."""
    return is_closing(change, state) if isinstance(change.before, Grant) else change.after is None


def _sharing_role(name: str, case: _Case, memory: Memory | None) -> str:
    """Return in words the role by which an account may share boards, or could when the last run ended; empty for none."""
    user = case.state.rows.users.get(case.live.ids.get(account_key(name), ""))
    if user is not None and user.role != NOBODY_SPECIAL:
        return f"has the role {user.role}"
    last = memory.last if memory is not None else None
    held = last.grant(Subject("account", name), EVERYWHERE) if last is not None else None
    return f"had the role {held.role}" if held is not None else ""


def is_closing(change: Change, state: NativeState) -> bool:
    """Return whether a change ends a grant or lowers its role."""
    if not isinstance(change.before, Grant) or not isinstance(change.after, Grant):
        return change.after is None
    kind, rank = change.after.scope.kind, state.traits.rank
    return rank(kind, change.after.role) < rank(kind, change.before.role)


def team_of(scope: Scope, live: Live, state: NativeState) -> str | None:
    """Return the id of the team that grants access to a scope, as it was read; `None` for a site without a team."""
    if scope.kind == "team":
        return state.idle.get(scope.name)
    site = state.rows.sites.get(live.sites[scope].id) if scope in live.sites else None
    return site.team_id if site and site.team_id in state.rows.teams else None


def _check_own_account(change: Change, case: _Case) -> Sequence[Diagnostic]:
    """Refuse to change the account in use."""
    if account_of(change.key) != case.live.me:
        return ()
    message = f"{case.live.me} is the account Siteward works with; it owns the managed teams and is never changed"
    return (error("own-account", message, about=change.key),)


def _check_clash(change: Change, case: _Case) -> Sequence[Diagnostic]:
    """Refuse to change an account whose login differs from another only in case (API.md section 0)."""
    clashing = case.clashing.get(account_of(change.key) or "")
    if clashing is None:
        return ()
    message = f"{', '.join(clashing)} differ only in case; which of them is meant cannot be distinguished"
    return (error("login-clash", message, about=change.key, hint="rename one of them in Umami"),)


def _check_login(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse the login of a new or renamed account that Umami would not keep or take (API.md section 4)."""
    after = change.after
    wanted = after.renamed or after.name if isinstance(after, Account) else ""
    own = case.user(change)
    taken = {user.username.lower() for user in case.state.rows.users.values() if user != own}
    if not wanted or "\0" in wanted or len(wanted) > LONGEST_LOGIN:
        yield error("login-impossible", f"a login has 1 to {LONGEST_LOGIN} characters in Umami", about=change.key)
    elif wanted != wanted.lower():
        yield error(
            "login-not-folded", f"Umami keeps logins in lower case, so {wanted} would not stay", about=change.key
        )
    elif wanted in taken:
        yield error("login-taken", f"another account has the login {wanted} already", about=change.key)


def _check_deletion(change: Change, case: _Case) -> Iterator[Diagnostic]:
    """Refuse to delete an account with sites or teams, which Umami would delete too (MAPPING.md hazards 1 and 3)."""
    user = case.user(change)
    if user is None:
        return
    sites, teams = owned(user.id, case.state)
    for label in sites:
        yield _report_effect(
            "owns-sites",
            f"deleting {user.username} would destroy its site {label} with all statistics",
            change,
            "destroys",
            Severity.ERROR,
            hint="let its owner move it into a team first, or delete it in Umami",
        )
    for name, lost in teams:
        yield _report_effect(
            "owns-teams",
            f"deleting {user.username} would destroy team {name} for all its members"
            + (f" and leave {', '.join(lost)} to nobody" if lost else ""),
            change,
            "destroys",
            Severity.ERROR,
            hint="a team's owner cannot be changed by API; suspend the account instead",
        )
    yield _report_effect(
        "deletes-account",
        f"its memberships and reports go with {user.username}, and from 3.2 on its boards, links and pixels",
        change,
        "destroys",
    )
    yield _report_effect(
        "irreversible", "a recreated account has another id and another password", change, "irreversible"
    )


def owned(user_id: str, state: NativeState) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return the labels of an account's personal sites, and the names of its teams, each with the labels of its sites."""
    rows = state.rows
    sites = tuple(sorted(state.labels[site.id] for site in rows.sites.values() if site.user_id == user_id))
    teams = sorted((team.name, team.id) for team in rows.teams.values() if user_id in state.owners[team.id])
    return sites, tuple(
        (name, tuple(state.labels[site] for site in state.sites_of.get(team_id, ()))) for name, team_id in teams
    )


def _check_ownership(change: Change, scope: Scope, _case: _Case) -> Sequence[Diagnostic]:
    """Refuse to give or take the ownership of a site or team."""
    if not _is_owner(change.before) and not _is_owner(change.after):
        return ()
    return (
        error(
            "owner-stays",
            f"who owns {scope} cannot be changed by API: there is no way back to owner",
            about=change.key,
            hint="the owner can hand a personal site over; a team's owner only SQL can change",
        ),
    )


def _is_owner(side: Resource | None) -> bool:
    return isinstance(side, Grant) and side.role == OWNER


def _check_site_without_team(change: Change, scope: Scope, case: _Case) -> Iterable[Diagnostic]:
    """Report how a site without a team gets one, or refuse where it cannot (MAPPING.md section 4)."""
    site = case.site(scope) if case.place(scope).team is None else None
    return () if site is None or is_closing(change, case.state) else _report_move(change, scope, site, case)


def _report_move(change: Change, scope: Scope, site: SiteRow, case: _Case) -> Iterator[Diagnostic]:
    team = team_name(case.state.labels[site.id])
    if is_foreign(site, case.state.rows, case.state.me):
        owner = case.state.rows.users.get(site.user_id or "")
        whose = f"belongs to {owner.username}" if owner else "belongs to nobody"
        yield _report_effect(
            "site-cannot-be-moved",
            f"{scope} {whose}, and Umami lets no admin move it into a team"
            + (" up to 3.2; that a later one does is not known for sure" if has_factors(case.state.traits) else ""),
            change,
            "manual",
            Severity.ERROR,
            hint=_BY_HAND.format(team=team) if owner else "one SQL update of website.team_id moves it; no call does",
        )
    elif case.state.layout == "existing":
        yield error(
            "site-without-team",
            f"{scope} is in no team, and layout existing makes none",
            about=change.key,
            hint="move it into a team in Umami, or use layout per-site",
        )
    else:
        yield from _report_reuse(change, case.state.labels[site.id], case.state)
        yield _report_effect(
            "creates-team", f"makes team {team}, owned by {case.live.me}, if there is none", change, "creates"
        )
        yield _report_effect("moves-site", f"moves {scope} from {case.live.me} into team {team}", change, "moves")


def _report_reuse(change: Change, label: str, state: NativeState) -> Iterator[Diagnostic]:
    """Note the members who are taken out of a managed team without a site before it is used again."""
    left = left_over(label, state)
    others = others_in(left, state) if left is not None else ()
    if left is not None and others:
        yield note(
            "uses-team-again",
            f"team {left.name}, which has no site, is used again; {', '.join(others)} {'is' if len(others) == 1 else 'are'} "
            "taken out of it first, and its access code is set anew",
            about=change.key,
        )


def _check_shared_team(change: Change, scope: Scope, case: _Case) -> Sequence[Diagnostic]:
    """Refuse a grant on one of several sites of a team, unless the same is wanted on all of them."""
    place = case.place(scope)
    if not place.others:
        return ()
    name = account_of(change.key) or ""
    wanted = case.roles[name, scope]
    # No change leads to the role of an owner, so it stands for "no change".
    others = [str(other) for other in place.others if case.roles.get((name, other), OWNER) != wanted]
    if not others:
        return ()
    verb = "close" if is_closing(change, case.state) else "open"
    return (
        error(
            "shared-team",
            f"{scope} is in team {case.state.rows.teams[place.team or ''].name} with others; this would also {verb} "
            f"{', '.join(others)} for {name}",
            about=change.key,
            hint="grant the same role on all of them, or split the team in Umami",
        ),
    )


def _check_team_without_site(change: Change, scope: Scope, case: _Case) -> Sequence[Diagnostic]:
    """Refuse to grant a role in a team without sites."""
    if scope.kind != "team" or is_closing(change, case.state):
        return ()
    return (error("team-without-site", f"{scope} has no site, so there is nothing to grant", about=change.key),)


def _check_role(change: Change, scope: Scope, case: _Case) -> Sequence[Diagnostic]:
    """Refuse a role that this Umami does not have."""
    after = change.after
    if not isinstance(after, Grant) or case.state.traits.role(scope.kind, after.role) is not None:
        return ()
    return (error("role-unknown", f"Umami has no role {after.role} on a {scope.kind}", about=change.key),)


def _report_side_effects(change: Change, scope: Scope, case: _Case) -> Iterator[Diagnostic]:
    """Report the side effects of a membership: the new access code, the gap at duplicates, the rights of editors."""
    team, after = case.place(scope).team, change.after
    if team and is_closing(change, case.state):
        yield note(
            "new-access-code",
            f"team {case.state.rows.teams[team].name} gets a new access code, so that the old one opens nothing",
            about=change.key,
        )
    user = case.user(change) if team in case.state.untidy and isinstance(after, Grant) else None
    if team and user and case.is_duplicated(team, user.id):
        yield _report_effect(
            "replaces-duplicates",
            f"{user.username} is in the team several times; all are removed and one is added again",
            change,
            "gap",
        )
    if isinstance(after, Grant) and after.role in {"team-member", "team-manager"}:
        yield note(
            "edit-may-delete", f"as {after.role} one may also reset and delete {scope} in Umami", about=change.key
        )


def _report_effect(
    code: str,
    message: str,
    change: Change,
    effect: Effect,
    severity: Severity = Severity.NOTE,
    hint: str | None = None,
) -> Diagnostic:
    return diagnostic(severity, code, message, about=change.key, effect=effect, hint=hint)


_CHECKS: tuple[Callable[[Change, _Case], Iterable[Diagnostic]], ...] = (_check_own_account, _check_clash)
_SCOPE_CHECKS: tuple[Callable[[Change, Scope, _Case], Iterable[Diagnostic]], ...] = (
    _check_ownership,
    _check_site_without_team,
    _check_shared_team,
    _check_team_without_site,
    _check_role,
    _report_side_effects,
)
