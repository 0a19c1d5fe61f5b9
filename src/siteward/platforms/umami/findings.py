"""Findings about one Umami besides its grants: MAPPING.md section 3, and the hazards of its section 5."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, note, plural, warning
from siteward.access.model import Scope, account_key
from siteward.platforms.umami.native_state import MANAGED, others_in, people
from siteward.platforms.umami.roles import NOBODY_SPECIAL, TEAM_OWNER, has_factors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.platforms.umami.native_state import NativeState
    from siteward.platforms.umami.rows import TeamRow


def findings(state: NativeState) -> Iterator[Diagnostic]:
    """Yield everything a reviewer of this instance should know, in a fixed order."""
    for report in (
        _report_orphans,
        _report_shares,
        _report_owned_sites,
        _report_teams,
        _report_logins,
        _report_unknown_roles,
        _report_required_factor,
    ):
        yield from report(state)


def clashes(state: NativeState) -> dict[str, tuple[str, ...]]:
    """Return, for each login that differs from another only in case, all that it clashes with.

    3.1 and 2.20 keep such accounts apart; 3.2 lower-cases names, and then only one of them can log in (API.md
    section 0).
    """
    logins = [user.username for user in state.rows.users.values()]
    if len({login.lower() for login in logins}) == len(logins):  # as nearly everywhere
        return {}
    folded: defaultdict[str, list[str]] = defaultdict(list)
    for login in logins:
        folded[login.lower()].append(login)
    return {name: tuple(sorted(names)) for names in folded.values() if len(names) > 1 for name in names}


def _report_orphans(state: NativeState) -> Iterator[Diagnostic]:
    """Warn of sites that belong to no account and no team that was read (API.md section 6)."""
    rows = state.rows
    for site_id in _sort_by_label(state):
        row = rows.sites[site_id]
        if row.team_id not in rows.teams and row.user_id not in rows.users:
            yield warning(
                "orphan-site",
                f"site {state.labels[site_id]} ({row.name}) belongs to nobody; only admins see it",
                hint="Umami can only delete it; one SQL update of website.user_id gives it an owner",
                thing=state.labels[site_id],
                facts=(site_id,),
            )


def open_sites(state: NativeState) -> dict[Scope, tuple[Diagnostic, ...]]:
    """Return a warning for each site with a public link, with who can take it back (API.md section 6)."""
    return {
        Scope("site", state.labels[site_id]): (
            warning(
                "public-share-link",
                f"site {state.labels[site_id]} has a public link: whoever knows it reads the statistics",
                hint=f"{_find_closer(state, site_id)} deletes it in Umami, in the settings of the website; that does not "
                "end tokens already given out, only a new APP_SECRET does",
                thing=state.labels[site_id],
                facts=(site_id, f"link {_digest(share)}"),
            ),
        )
        for site_id in _sort_by_label(state)
        if (share := state.rows.sites[site_id].share) is not None
    }


def _digest(share: str) -> str:
    """Return a digest of the part of a link that opens it: who knows that part needs nothing else."""
    return sha256(share.encode()).hexdigest()


def _find_closer(state: NativeState, site_id: str) -> str:
    """Return in words who may edit a site besides admins: its owner, or the members of its team (API.md section 7)."""
    row = state.rows.sites[site_id]
    owner, team = state.rows.users.get(row.user_id or ""), state.rows.teams.get(row.team_id or "")
    if owner is not None:
        return owner.username
    return f"whoever may edit in team {team.name}, or an admin," if team is not None else "an admin"


def _report_shares(state: NativeState) -> Iterator[Diagnostic]:
    for warnings in open_sites(state).values():
        yield from warnings


def _report_owned_sites(state: NativeState) -> Iterator[Diagnostic]:
    """Note the accounts besides our own that own sites personally."""
    rows = state.rows
    owned: defaultdict[str, list[str]] = defaultdict(list)
    for site in rows.sites.values():
        owner = rows.users.get(site.user_id or "")
        if owner and owner.id != state.me:
            owned[owner.username].append(state.labels[site.id])
    for name in sorted(owned):
        yield note(
            "site-owned-by-account",
            f"{name} owns {_list_names('site', owned[name])} personally; such sites are matched by id alone and can be "
            "moved only by their owner",
        )


def _report_teams(state: NativeState) -> Iterator[Diagnostic]:
    """Report teams whose memberships or owners are not as they should be, in the order of their names."""
    for team in sorted(state.rows.teams.values(), key=lambda team: (team.name, team.id)):
        if team.id in state.untidy:
            yield from _report_memberships(state, team)
        owned_by = state.owners[team.id]
        if not owned_by:
            message = f"team {team.name} has no owner; only admins can manage it"
            yield warning("team-without-owner", message, thing=team.name, facts=(team.id,))
        if state.layout == "per-site" and team.id in state.sites_of:
            yield from _report_layout(state, team, owned_by)
        left = team.id not in state.sites_of and team.name.startswith(MANAGED) and owned_by == (state.me,)
        if left and (others := others_in(team, state)):
            yield warning(
                "left-over-team",
                f"team {team.name} has no site any more and still has {', '.join(others)} in it",
                hint="it opens nothing; it is used again when its site needs a team, or delete it in Umami",
                thing=team.name,
                facts=(team.id, *(f"member {member.user_id}" for member in team.members)),
            )


def _report_memberships(state: NativeState, team: TeamRow) -> Iterator[Diagnostic]:
    """Warn of the ghosts and the duplicates in one team (API.md section 5)."""
    ghosts = [member for member in team.members if member.user is None]
    if ghosts:
        yield warning(
            "ghost-member",
            f"team {team.name} has {plural(len(ghosts), 'membership')} of accounts that do not exist or "
            "are marked as deleted",
            hint="they grant nothing; an admin can remove them by their account id",
            thing=team.name,
            facts=(team.id, *(f"member {ghost.user_id} {ghost.role}" for ghost in ghosts)),
        )
    for user_id, memberships in people(team).items():
        if len(memberships) > 1:
            roles = ", ".join(sorted({membership.role for membership in memberships}))
            yield warning(
                "duplicate-member",
                f"{state.rows.users[user_id].username} is in team {team.name} {len(memberships)} times ({roles}); the strongest counts",
                hint="the next change of this membership replaces them by one",
            )


def _report_layout(state: NativeState, team: TeamRow, owned_by: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Report a team that does not fit the layout per-site: with several sites, or owned by others."""
    sites = [state.labels[site_id] for site_id in state.sites_of[team.id]]
    if len(sites) > 1:
        yield warning(
            "shared-team",
            f"team {team.name} has {_list_names('site', sites)}; a grant on one of them is a grant on all",
            hint="layout per-site wants a team for each; give these sites the same grants, or split them in Umami",
            thing=team.name,
            facts=(team.id, *(f"site {site_id}" for site_id in state.sites_of[team.id])),
        )
    others = sorted(state.rows.users[user_id].username for user_id in owned_by if user_id != state.me)
    if others:
        yield note(
            "managed-team-not-ours",
            f"team {team.name} of {', '.join(sites)} is owned by {', '.join(others)}; it is used as it is, and deleting "
            "that account would delete it",
        )


def _report_logins(state: NativeState) -> Iterator[Diagnostic]:
    """Warn of logins that differ only in case, or have capital letters."""
    clashing = clashes(state)
    capitals = [user.username for user in state.rows.users.values() if user.username != user.username.lower()]
    for login in sorted({*clashing, *capitals}):
        if login in clashing:
            others = ", ".join(name for name in clashing[login] if name != login)
            yield warning(
                "login-clash",
                f"the logins {login} and {others} differ only in case"
                + (", and only the lower-case one can log in" if has_factors(state.traits) else ""),
                about=account_key(login),
                hint="rename one of them; no change is made to either before",
            )
        else:
            yield _warn_of_capitals(login, state.traits.version)


def _warn_of_capitals(login: str, version: str) -> Diagnostic:
    """Return the warning about a login with capital letters, which 3.2 does not find (API.md section 0)."""
    if version in {"3.3", "3.4"}:
        return warning(
            "mixed-case-login",
            f"the login {login} has capital letters, so nobody can log in to it; 3.3 made all logins lower-case but those "
            "whose lower-case form another row has, which may be one marked as deleted",
            about=account_key(login),
            hint="give the account another login in Umami, or delete it",
        )
    how = f"declare it as `{login.lower()}` with `previously: [{login}]`, or rename it in Umami"
    if version in {"2.20", "3.0", "3.1"}:
        said, hint = "Umami 3.2 looks only for lower-case ones", f"before an upgrade to 3.2, {how}"
    else:
        said, hint = "nobody can log in to it, because Umami looks only for lower-case ones", how
    return warning(
        "mixed-case-login", f"the login {login} has capital letters; {said}", about=account_key(login), hint=hint
    )


def _report_unknown_roles(state: NativeState) -> Iterator[Diagnostic]:
    """Warn of roles that Umami does not know; 2.20 stores any text (API.md section 9)."""
    known = {role.name for kind in state.traits.roles.values() for role in kind} | {NOBODY_SPECIAL, TEAM_OWNER}
    held = [(user.username, user.role, "") for user in state.rows.users.values()]
    held += [
        (state.rows.users[member.user_id].username, member.role, f" in team {team.name}")
        for team in state.rows.teams.values()
        for member in team.members
        if member.role not in known and member.user is not None
    ]
    for name, role, where in held:
        if role not in known:
            yield warning("role-unknown", f"{name} has the role {role}{where}, which Umami does not know and ignores")


def _report_required_factor(state: NativeState) -> Iterator[Diagnostic]:
    """Warn where a second factor is required of our own account, by itself or by a team it is in (3.3; read, not driven)."""
    own = state.rows.users[state.me]
    teams = [
        f"team {team.name}"
        for team in state.rows.teams.values()
        if team.must_factor and any(member.user_id == own.id for member in team.members)
    ]
    for why in (*(["the account itself"] if own.must_factor else ()), *sorted(teams)):
        yield warning(
            "two-factor-required",
            f"two-factor login is required of {own.username}, by {why}; Umami may shut Siteward out, which can give no code",
            about=account_key(own.username),
            hint="an admin takes the requirement back in Umami; `siteward doctor` shows one that is set for everybody",
        )


def _sort_by_label(state: NativeState) -> list[str]:
    """Return the ids of all sites in the order of their labels."""
    return sorted(state.labels, key=lambda site_id: state.labels[site_id])


def _list_names(word: str, names: Iterable[str]) -> str:
    listed = sorted(names)
    return f"the {word}{'' if len(listed) == 1 else 's'} {', '.join(listed)}"
