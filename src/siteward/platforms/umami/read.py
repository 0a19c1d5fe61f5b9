"""Reads one whole Umami, with proof of completeness.

3.x answers with three listings of one page each, for any size; 2.20 has no team list, so its teams and sites are
gathered account by account (API.md sections 8 and 9). The listings are not one snapshot: what they say about each other
is compared, and where they disagree all is read again, a bounded number of times.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import LiveKey
from siteward.access.diagnostic import plural
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Key, Power, Scope, Subject, account_key
from siteward.access.state import Listing, Live, Site
from siteward.platforms.umami.findings import findings, open_sites
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
    untidy_teams,
)
from siteward.platforms.umami.roles import ADMIN, API_KEYS, NOBODY_SPECIAL, OWNER, TEAM_OWNER, has_factors
from siteward.platforms.umami.rows import (
    ONE_PAGE,
    Factor,
    KeyRow,
    Page,
    SiteRow,
    TeamRow,
    UserRow,
    ask,
    parse,
)
from siteward.platforms.umami.session import ask_listings, own, page_of, path
from siteward.transport.errors import ForbiddenError, IncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.traits import Traits
    from siteward.platforms.umami.rows import Listings, MemberRow
    from siteward.platforms.umami.settings import Layout, Settings
    from siteward.transport.http import Reader


_STRENGTH = ("team-view-only", "team-member", "team-manager", TEAM_OWNER)


def live_of(rows: Rows, layout: Layout, traits: Traits, *, me: str, listings: tuple[Listing, ...]) -> Live:
    """Return rows as a live state; `me` is the id of our own account, which must be among them."""
    sites_of = sites_by_team(rows)
    idle = team_labels(rows, (team for team in rows.teams if team not in sites_of))
    state = NativeState(
        rows=rows,
        layout=layout,
        traits=traits,
        me=me,
        labels=site_labels(rows, me),
        idle={label: team_id for team_id, label in idle.items()},
        sites_of=sites_of,
        owners={team.id: owners(team) for team in rows.teams.values()},
        untidy=untidy_teams(rows),
    )
    accounts = {user.id: Account(user.username) for user in rows.users.values()}
    keys = {user_id: account.key for user_id, account in accounts.items()}
    scopes = {site_id: Scope("site", label) for site_id, label in state.labels.items()}
    return Live(
        access=Access((*accounts.values(), *_list_grants(state, scopes, idle))),
        sites={scopes[site.id]: _make_site(site, state) for site in rows.sites.values()},
        me=accounts[me].name,
        ids={key: user_id for user_id, key in keys.items()},
        facts=dict(_list_facts(state, keys)),
        listings=listings,
        findings=tuple(findings(state)),
        open=open_sites(state),
        native=state,
    )


def strongest(memberships: Sequence[MemberRow]) -> str:
    """Return the neutral role of one account's memberships in one team, of which there is at least one.

    A role that 2.20 stored although it does not exist (API.md section 9) is kept as it is, and is weaker than all.
    """
    roles = [membership.role for membership in memberships]
    role = roles[0] if len(roles) == 1 else max(roles, key=_rank)
    return OWNER if role == TEAM_OWNER else role


def _rank(role: str) -> int:
    return _STRENGTH.index(role) if role in _STRENGTH else -1


def _list_grants(state: NativeState, scopes: Mapping[str, Scope], idle: Mapping[str, str]) -> Iterator[Grant]:
    """Yield every grant; `scopes` are those of sites by id, `idle` has the label of each team without sites by its id."""
    rows = state.rows
    subjects = {user.id: Subject("account", user.username) for user in rows.users.values()}
    for user in rows.users.values():
        if user.role != NOBODY_SPECIAL:
            yield Grant(subjects[user.id], EVERYWHERE, user.role)
    for site in rows.sites.values():
        if site.user_id in subjects:
            yield Grant(subjects[site.user_id], scopes[site.id], OWNER)
    for team in rows.teams.values():
        places = [scopes[site_id] for site_id in state.sites_of.get(team.id, ())] or [Scope("team", idle[team.id])]
        members, roles = _list_roles(team, state)
        accounts = [subjects[user_id] for user_id in members]
        for place in places:
            yield from map(Grant, accounts, repeat(place), roles)


def _list_roles(team: TeamRow, state: NativeState) -> tuple[list[str], list[str]]:
    """Return the ids of the accounts in a team, ghosts left out, and beside them their neutral roles."""
    if team.id in state.untidy:
        rows = people(team)
        return list(rows), [strongest(memberships) for memberships in rows.values()]
    ids = [member.user_id for member in team.members]
    return ids, [OWNER if member.role == TEAM_OWNER else member.role for member in team.members]


def _make_site(site: SiteRow, state: NativeState) -> Site:
    """Return a site with its domain; the site of another account is matched by its id alone."""
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


def _list_facts(state: NativeState, keys: Mapping[str, Key]) -> Iterator[tuple[Key, Mapping[str, str]]]:
    """Yield the facts about each account that reviews show: the day it was made, and the sites and teams it owns.

    `keys` are those of the accounts by id.
    """
    rows = state.rows
    owned: dict[str, list[str]] = {}
    for site in rows.sites.values():
        owned.setdefault(site.user_id or "", []).append(f"site {state.labels[site.id]}")
    for team in rows.teams.values():
        for owner in state.owners[team.id]:
            owned.setdefault(owner, []).append(f"team {team.name}")
    made: dict[str, dict[str, str]] = {}  # accounts that were made on one day share what there is to tell
    for user in rows.users.values():
        day = user.created[:10] if user.created else ""
        facts = made.get(day) or made.setdefault(day, {"created": day} if day else {})
        if user.id in owned:
            facts = {**facts, "owns": ", ".join(sorted(owned[user.id]))}
        yield keys[user.id], facts


ROUNDS = 3
_SHOWN = 3
T = TypeVar("T", UserRow, TeamRow, SiteRow)
U = TypeVar("U", UserRow, TeamRow)


class _Round(Struct, frozen=True):
    """The result of one round of reading; `doubts` are its contradictions, in words.

    `unlisted` are the ids of accounts that teams show and do not count, and that are not among the users: the server
    has them marked as deleted, if two rounds agree on it.
    """

    rows: Rows
    doubts: tuple[str, ...]
    unlisted: frozenset[str]


def read(reader: Reader, settings: Settings, traits: Traits, seed: Listings | None = None) -> Live:
    """Return all access on the instance; `seed` are the listings that `probe` has read, used in the first round.

    Raises `IncompleteError` if the listings contradict each other in every round, and other `PlatformError`s for answers
    that are not Umami's. Two things are no contradictions where two rounds agree on them: a site whose team or owner is
    unknown is an orphan (API.md section 6), and a member whose account is not listed is one that is marked as deleted
    (REAL-2026-11.md, U11).
    """
    now, adrift, unlisted = _read_round(reader, traits, seed), frozenset[str](), frozenset[str]()
    for _ in range(ROUNDS - 1):
        if not now.doubts and now.rows.adrift == adrift and now.unlisted == unlisted:
            break
        adrift, unlisted = now.rows.adrift, now.unlisted
        now = _read_round(reader, traits, None)
    doubts = (*now.doubts, *(f"the account {name} comes and goes" for name in sorted(now.unlisted - unlisted)))
    if doubts:
        raise IncompleteError(
            f"Umami's listings contradict each other, {ROUNDS} times over: {'; '.join(doubts[:_SHOWN])}",
            hint="somebody may be changing users, teams or sites right now; try again",
        )
    rows = _mark_as_ghosts(now.rows, now.unlisted)
    live = live_of(rows, settings.layout, traits, me=own(reader).id, listings=_count_listings(now.rows))
    live = _add_factors(reader, live, rows) if has_factors(traits) else live
    return _add_own_keys(reader, live) if API_KEYS in traits.blind_spots else live


def _add_own_keys(reader: Reader, live: Live) -> Live:
    """Return the state with the API keys of our own account (3.4), which are all that an account may list.

    No such call was driven: where it is not answered, none are shown.
    """
    try:
        answer = reader.query(path("me", "api-keys"))
    except ForbiddenError:
        return live
    rows = parse(tuple[KeyRow, ...], answer) if answer.status == 200 else ()
    # A key can do in teams and sites what its owner may, and is refused for accounts (NEWER.md section 3).
    keys = (
        LiveKey(account=live.me or "", name=row.name, holds=Power.MANAGE, made=row.made, used=row.used) for row in rows
    )
    return replace(live, keys=tuple(keys))


def _add_factors(reader: Reader, live: Live, rows: Rows) -> Live:
    """Return the state with the fact, of each admin but ourselves, whether a second factor protects the account (3.3).

    It is a request for each, so it is asked of admins alone. No such call was driven, and nothing is planned by it: where it
    is not answered, the fact is missing.
    """
    admins = [user for user in rows.users.values() if user.role == ADMIN and user.username != live.me]

    def ask_factor(user: UserRow) -> bool | None:
        try:
            answer = reader.query(path("admin", "users", user.id, "2fa"))
        except ForbiddenError:
            return None
        return parse(Factor, answer).on if answer.status == 200 else None

    facts = {key: dict(known) for key, known in live.facts.items()}
    for user, factor in zip(admins, reader.map(ask_factor, admins), strict=True):
        if factor is not None:
            facts[account_key(user.username)]["two_factor"] = "yes" if factor else "no"
    return replace(live, facts=facts)


def _mark_as_ghosts(rows: Rows, unlisted: frozenset[str]) -> Rows:
    """Return the rows with the memberships of `unlisted` accounts turned into those of accounts that are gone."""
    if not unlisted:
        return rows

    def members(team: TeamRow) -> tuple[MemberRow, ...]:
        return tuple(replace(member, user=None) if member.user_id in unlisted else member for member in team.members)

    return replace(
        rows, teams={team_id: replace(team, members_3=members(team)) for team_id, team in rows.teams.items()}
    )


def _read_round(reader: Reader, traits: Traits, seed: Listings | None) -> _Round:
    """Read everything once, from `seed` where it is given, and compare it with itself."""
    old = traits.version == "2.20"
    doubts: list[str] = []
    rows = _read_by_account(reader, doubts) if old else _read_listings(reader, seed, doubts)
    doubts += _find_contradictions(rows, old=old)
    if own(reader).id not in rows.users:
        doubts.append("the account that is logged in is not among the users")
    shown = {member.user_id for team in rows.teams.values() for member in team.members if member.user is not None}
    return _Round(rows, tuple(doubts), frozenset(shown - rows.users.keys()))


def _read_listings(reader: Reader, seed: Listings | None, doubts: list[str]) -> Rows:
    """Return the rows of a 3.x, from `seed` where it is given; what contradicts itself is added to `doubts`."""
    listings = seed or ask_listings(reader)
    return Rows(
        _drop_deleted(_merge_pages("users", [page_of(reader, listings.users, Page[UserRow])], doubts)),
        _drop_deleted(_merge_pages("teams", [page_of(reader, listings.teams, Page[TeamRow])], doubts)),
        _merge_pages("sites", [page_of(reader, listings.sites, Page[SiteRow])], doubts),
    )


def _read_by_account(reader: Reader, doubts: list[str]) -> Rows:
    """Return the rows of a 2.20, asked for account by account; what contradicts itself is added to `doubts`."""

    def teams_of(user: str) -> Page[TeamRow]:
        return ask(reader, path("users", user, "teams"), Page[TeamRow], ONE_PAGE)

    def sites_of(user: str) -> Page[SiteRow]:
        # `userId` is mandatory in 2.20; the flag adds the sites of every team the account is in.
        return ask(
            reader, path("admin", "websites"), Page[SiteRow], {**ONE_PAGE, "userId": user, "includeAllTeams": "1"}
        )

    users = _drop_deleted(_merge_pages("users", [ask(reader, path("admin", "users"), Page[UserRow], ONE_PAGE)], doubts))
    return Rows(
        users,
        _drop_deleted(_merge_pages("teams", reader.map(teams_of, users), doubts)),
        _merge_pages("sites", reader.map(sites_of, users), doubts),
    )


def _drop_deleted(rows: dict[str, U]) -> dict[str, U]:
    """Return the rows without those that are marked as deleted."""
    return {row_id: row for row_id, row in rows.items() if row.deleted is None}


def _merge_pages(name: str, pages: Iterable[Page[T]], doubts: list[str]) -> dict[str, T]:
    """Return the rows of all pages by id; wrong counts, repetitions and rows that differ are added to `doubts`."""
    rows: dict[str, T] = {}
    for page in pages:
        distinct = {row.id for row in page.data}
        if not page.count == len(page.data) == len(distinct):
            doubts.append(f"{page.count} {name} announced, {len(distinct)} received")
        doubts.extend(
            f"{name} {row.id} told in two ways"
            for row in page.data
            if (first := rows.setdefault(row.id, row)) is not row and first != row
        )
    return rows


def _find_contradictions(rows: Rows, *, old: bool) -> Iterator[str]:
    """Yield, in words, where teams and users disagree.

    It is not known whether 2.20 (`old`) counts ghosts among the members of a team, so either number will do there.
    """
    for team in rows.teams.values():
        shown = [member.user_id for member in team.members if member.user is not None]
        listed = sum(user_id in rows.users for user_id in shown)
        if listed < len(shown) and team.counts and team.counts.members == listed:
            continue  # accounts that are marked as deleted are shown and not counted
        if team.counts and team.counts.members not in {len(shown), len(team.members) if old else len(shown)}:
            members = team.counts.members
            announced = "no number of members" if members is None else plural(members, "member")
            yield f"team {team.name} announces {announced} and shows {len(shown)}"
        if listed < len(shown):
            yield f"team {team.name} has members that are not among the users"


def _count_listings(rows: Rows) -> tuple[Listing, ...]:
    counted = (("accounts", rows.users), ("teams", rows.teams), ("sites", rows.sites))
    return tuple(
        Listing(name=name, rows=len(found), complete=True, proof="as many distinct ids as the server counts")
        for name, found in counted
    )
