"""Reading one Umami whole, with the proof that nothing is missing.

3.x answers with three listings of one page each, for any size, one of which has told the release already; 2.20 has no team list, so its teams and sites are
gathered account by account (API.md sections 8 and 9). The listings are not one snapshot. Whatever they say about each
other is compared, and where they disagree all is read again, a bounded number of times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural
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
from siteward.platforms.umami.rows import ONE_PAGE, MemberRow, Page, SiteRow, TeamRow, UserRow, ask, parse, refusal
from siteward.platforms.umami.session import ask_listings, own, path
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.traits import Traits
    from siteward.platforms.umami.rows import Listings, MemberRow
    from siteward.platforms.umami.settings import Layout, Settings
    from siteward.transport.http import Answer, Reader


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


ROUNDS = 3
_SHOWN = 3
T = TypeVar("T", UserRow, TeamRow, SiteRow)
U = TypeVar("U", UserRow, TeamRow)


class _Round(Struct, frozen=True):
    """What one round of reading brought; `doubts` say where it contradicts itself.

    `unlisted` are the ids of accounts that teams show and do not count, and that are not among the users: the server
    has them marked as deleted, if it says so twice.
    """

    rows: Rows
    doubts: tuple[str, ...]
    unlisted: frozenset[str]


def read(reader: Reader, settings: Settings, traits: Traits, seed: Listings | None = None) -> Live:
    """Return all access on the instance; `seed` are the listings that `probe` has read, taken in the first round.

    Raises `IncompleteError` when the listings keep contradicting each other, and other `PlatformError`s for answers that
    are none. A site whose team or owner is unknown twice in a row is an orphan (API.md section 6), and a member whose
    account is not listed twice in a row is one that is marked as deleted (REAL-2026-11.md, U11): no contradictions.
    """
    now, adrift, unlisted = _round(reader, traits, seed), frozenset[str](), frozenset[str]()
    for _ in range(ROUNDS - 1):
        if not now.doubts and now.rows.adrift == adrift and now.unlisted == unlisted:
            break
        adrift, unlisted = now.rows.adrift, now.unlisted
        now = _round(reader, traits, None)
    doubts = (*now.doubts, *(f"the account {name} comes and goes" for name in sorted(now.unlisted - unlisted)))
    if doubts:
        raise IncompleteError(
            f"Umami's listings contradict each other, {ROUNDS} times over: {'; '.join(doubts[:_SHOWN])}",
            hint="somebody may be changing users, teams or sites right now; try again",
        )
    return live_of(
        _without(now.rows, now.unlisted), settings.layout, traits, me=own(reader).id, listings=_listings(now.rows)
    )


def _without(rows: Rows, unlisted: frozenset[str]) -> Rows:
    """Return the rows in which those who are marked as deleted are members whose account is gone."""
    if not unlisted:
        return rows

    def members(team: TeamRow) -> tuple[MemberRow, ...]:
        return tuple(replace(member, user=None) if member.user_id in unlisted else member for member in team.members)

    return replace(rows, teams={at: replace(team, members_3=members(team)) for at, team in rows.teams.items()})


def _round(reader: Reader, traits: Traits, seed: Listings | None) -> _Round:
    old = traits.version == "2.20"
    doubts: list[str] = []
    rows = _by_account(reader, doubts) if old else _by_listing(reader, seed, doubts)
    doubts += _contradictions(rows, old=old)
    if own(reader).id not in rows.users:
        doubts.append("the account that is logged in is not among the users")
    shown = {member.user_id for team in rows.teams.values() for member in team.members if member.user is not None}
    return _Round(rows, tuple(doubts), frozenset(shown - rows.users.keys()))


def _by_listing(reader: Reader, seed: Listings | None, doubts: list[str]) -> Rows:
    def whole(kind: type[Page[T]], answer: Answer) -> Page[T]:
        if answer.status != 200:
            raise refusal(reader, answer)
        return parse(kind, answer)

    users, teams, sites = (seed.users, seed.teams, seed.sites) if seed else ask_listings(reader)
    return Rows(
        _alive(_merged("users", [whole(Page[UserRow], users)], doubts)),
        _alive(_merged("teams", [whole(Page[TeamRow], teams)], doubts)),
        _merged("sites", [sites if isinstance(sites, Page) else whole(Page[SiteRow], sites)], doubts),
    )


def _by_account(reader: Reader, doubts: list[str]) -> Rows:
    def teams_of(user: str) -> Page[TeamRow]:
        return ask(reader, path("users", user, "teams"), Page[TeamRow], ONE_PAGE)

    def sites_of(user: str) -> Page[SiteRow]:
        # `userId` is mandatory in 2.20; the flag adds the sites of every team the account is in.
        return ask(
            reader, path("admin", "websites"), Page[SiteRow], {**ONE_PAGE, "userId": user, "includeAllTeams": "1"}
        )

    users = _alive(_merged("users", [ask(reader, path("admin", "users"), Page[UserRow], ONE_PAGE)], doubts))
    return Rows(
        users,
        _alive(_merged("teams", reader.map(teams_of, users), doubts)),
        _merged("sites", reader.map(sites_of, users), doubts),
    )


def _alive(rows: dict[str, U]) -> dict[str, U]:
    """Return the rows but for those that are marked as deleted."""
    return {at: row for at, row in rows.items() if row.deleted is None}


def _merged(name: str, pages: Iterable[Page[T]], doubts: list[str]) -> dict[str, T]:
    """Return the rows of all pages by id, and doubt what was announced, repeated or told differently."""
    rows: dict[str, T] = {}
    for page in pages:
        distinct = {site_row.id: site_row for site_row in page.data}
        if not page.count == len(page.data) == len(distinct):
            doubts.append(f"{page.count} {name} announced, {len(distinct)} received")
        doubts.extend(
            f"{name} {site_row.id} told in two ways"
            for site_row in page.data
            if (first := rows.setdefault(site_row.id, site_row)) is not site_row and first != site_row
        )
    return rows


def _contradictions(rows: Rows, *, old: bool) -> Iterator[str]:
    """Yield where teams and users disagree. Whether 2.20 counts ghosts among members is not known; both will do."""
    for team in rows.teams.values():
        here = [member.user_id for member in team.members if member.user is not None]
        listed = sum(name in rows.users for name in here)
        if listed < len(here) and team.counts and team.counts.members == listed:
            continue  # accounts that are marked as deleted are shown and not counted
        if team.counts and team.counts.members not in {len(here), len(team.members) if old else len(here)}:
            members = team.counts.members
            announced = "no number of members" if members is None else plural(members, "member")
            yield f"team {team.name} announces {announced} and shows {len(here)}"
        if listed < len(here):
            yield f"team {team.name} has members that are not among the users"


def _listings(rows: Rows) -> tuple[Listing, ...]:
    counted = (("accounts", rows.users), ("teams", rows.teams), ("sites", rows.sites))
    return tuple(
        Listing(name=name, rows=len(table), complete=True, proof="as many distinct ids as the server counts")
        for name, table in counted
    )
