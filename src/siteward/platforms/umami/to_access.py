"""From Umami's rows to neutral access.

A site's grants are its owner and the members of its team; a team with several sites grants the same on each of them,
and a team without any is a scope of its own. Memberships of accounts that are gone grant nothing; of several
memberships of one account in one team the strongest counts, because any of them may be the one Umami looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Access, Account, Grant, Key, Scope, Subject, account_key
from siteward.access.state import Listing, Live, Site
from siteward.platforms.umami.findings import findings
from siteward.platforms.umami.native_state import (
    NativeState,
    Rows,
    domain_of,
    is_foreign,
    owners,
    people,
    site_labels,
    sites_by_team,
    team_labels,
)
from siteward.platforms.umami.roles import NOBODY_SPECIAL, OWNER, TEAM_OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.traits import Traits
    from siteward.platforms.umami.rows import MemberRow, SiteRow
    from siteward.platforms.umami.settings import Layout

_STRENGTH = ("team-view-only", "team-member", "team-manager", TEAM_OWNER)


def live_of(rows: Rows, layout: Layout, traits: Traits, *, me: str, listings: tuple[Listing, ...]) -> Live:
    """Return the live state that `rows` amount to; `me` is the id of our own account."""
    sites_of = sites_by_team(rows)
    idle = team_labels(rows, (team for team in rows.teams if team not in sites_of))
    state = NativeState(
        rows=rows,
        layout=layout,
        traits=traits,
        me=me,
        labels=site_labels(rows, me),
        idle={label: at for at, label in idle.items()},
        sites_of=sites_of,
    )
    accounts = {user.id: Account(user.username) for user in rows.users.values()}
    return Live(
        access=Access((*accounts.values(), *_grants(state, idle))),
        sites={Scope("site", state.labels[site.id]): _site(site, state) for site in rows.sites.values()},
        me=accounts[me].name,
        ids={account.key: at for at, account in accounts.items()},
        facts=dict(_facts(state)),
        listings=listings,
        findings=tuple(findings(state)),
        native=state,
    )


def strongest(memberships: Sequence[MemberRow]) -> str:
    """Return the neutral role of one account's memberships in one team.

    A role that 2.20 stored although it does not exist (API.md section 9) is kept as it is, and is weaker than all.
    """
    role = (
        memberships[0].role
        if len(memberships) == 1
        else max((membership.role for membership in memberships), key=_rank)
    )
    return OWNER if role == TEAM_OWNER else role


def _rank(role: str) -> int:
    return _STRENGTH.index(role) if role in _STRENGTH else -1


def _grants(state: NativeState, idle: Mapping[str, str]) -> Iterator[Grant]:
    rows = state.rows
    subjects = {user.id: Subject("account", user.username) for user in rows.users.values()}
    scopes = {at: Scope("site", label) for at, label in state.labels.items()}
    for user in rows.users.values():
        if user.role != NOBODY_SPECIAL:
            yield Grant(subjects[user.id], EVERYWHERE, user.role)
    for site in rows.sites.values():
        if site.user_id in subjects:
            yield Grant(subjects[site.user_id], scopes[site.id], OWNER)
    for team in rows.teams.values():
        places = [scopes[at] for at in state.sites_of.get(team.id, ())] or [Scope("team", idle[team.id])]
        for user_id, memberships in people(team).items():
            role = strongest(memberships)
            for place in places:
                yield Grant(subjects[user_id], place, role)


def _site(site: SiteRow, state: NativeState) -> Site:
    domain, owner = domain_of(site), state.rows.users.get(site.user_id or "")
    foreign = is_foreign(site, state.rows, state.me)
    return Site(
        id=site.id,
        label=state.labels[site.id],
        name=site.name,
        domains=(domain,) if domain else (),
        by_id_only=foreign,
        owner=owner.username if foreign and owner else None,
    )


def _facts(state: NativeState) -> Iterator[tuple[Key, Mapping[str, str]]]:
    """Yield what reviews show of an account: when it was made, and what would go with it."""
    rows = state.rows
    owned: dict[str, list[str]] = {}
    for site in rows.sites.values():
        owned.setdefault(site.user_id or "", []).append(f"site {state.labels[site.id]}")
    for team in rows.teams.values():
        for owner in owners(team):
            owned.setdefault(owner, []).append(f"team {team.name}")
    for user in rows.users.values():
        facts = {"created": user.created[:10]} if user.created else {}
        if user.id in owned:
            facts["owns"] = ", ".join(sorted(owned[user.id]))
        yield account_key(user.username), facts
