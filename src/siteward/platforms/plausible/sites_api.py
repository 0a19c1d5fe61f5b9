"""Reads teams, sites and guests through the Sites API (API.md sections 5 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from siteward.access.state import Listing
from siteward.platforms.plausible.key import BearerAuth
from siteward.platforms.plausible.native_state import Entry, NativeState, Place, folded
from siteward.platforms.plausible.rows import (
    GuestPage,
    GuestRow,
    SitePage,
    TeamPage,
    TeamRow,
    parse,
    refusal,
    server_time,
)
from siteward.transport.errors import ForbiddenError, IncompleteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from siteward.access.traits import Traits
    from siteward.platforms.plausible.rows import Meta
    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Answer, Reader

BASE = "/api/v1/sites"
GUESTS = f"{BASE}/guests"
TEAMS = f"{BASE}/teams"
READS = (("GET", BASE), ("GET", TEAMS), ("GET", GUESTS), ("GET", "/api/system"))
_MOST = 100
_ROUNDS = 3


def guest_path(email: str) -> str:
    """Return the path of one guest, encoded so that no address leads anywhere else."""
    return f"{GUESTS}/{quote(email, safe='')}"


def team_of(reader: Reader, settings: Settings) -> TeamRow:
    """Return the team of the instance, read once for each key.

    Raises `ForbiddenError` where the key does not see the team that the file names, or sees several and the file names
    none. An old key without a team would answer to an unknown id with the sites of all teams (API.md section 6), so the
    id is compared before use.
    """
    key = reader.auth
    if not isinstance(key, BearerAuth):
        raise TypeError("this reader was not opened with a key of the Sites API")
    if key.team is None:
        key.team = _choose_team(_list_teams(reader), settings)
    return key.team


def _choose_team(teams: list[TeamRow], settings: Settings) -> TeamRow:
    """Return the team that the file names, or the only one; raises `ForbiddenError` if there is none such."""
    if settings.team is None and len(teams) == 1:
        return teams[0]
    seen = ", ".join(f"{team.id} ({team.name})" for team in teams) or "none"
    chosen = next((team for team in teams if team.id == (settings.team or "").lower()), None)
    if chosen is None:
        raise ForbiddenError(
            f"the key does not see the team {settings.team}"
            if settings.team
            else "the key does not belong to one team",
            hint=f"it sees: {seen}; write `team` with the id that is meant, or use a key of that team",
        )
    return chosen


def _list_teams(reader: Reader) -> list[TeamRow]:
    """Return all teams that the key sees."""
    teams: list[TeamRow] = []

    def add_teams(answer: Answer) -> Meta:
        page = parse(TeamPage, answer)
        teams.extend(page.teams)
        return page.meta

    _read_pages(reader, TEAMS, {}, add_teams)
    return teams


def read_guests(reader: Reader, settings: Settings, traits: Traits) -> NativeState:
    """Return every site of the team with its guests; raises `PlatformError` if any list is incomplete."""
    team = team_of(reader, settings)
    domains, now = _list_sites(reader, team.id)
    lists = reader.map(lambda domain: guests_of(reader, domain), domains)
    places = {domain: Place(domain, entries) for domain, entries in zip(domains, lists, strict=True)}
    return NativeState(
        settings=settings,
        traits=traits,
        door="api",
        places=places,
        now=now,
        cost=reader.requests,
        listings=(
            Listing(name="sites", rows=len(domains), complete=True, proof="the cursor came to its end"),
            Listing(
                name="guests", rows=sum(map(len, lists)), complete=True, proof="every site's cursor came to its end"
            ),
        ),
    )


def guests_of(reader: Reader, domain: str) -> tuple[Entry, ...]:
    """Return the guests of a site, accepted and invited, each once.

    Before 2026-03-05 the order was not stable (API.md section 5), so a list with repetitions is read again. Raises
    `IncompleteError` where it repeats three times.
    """
    for _ in range(_ROUNDS):
        rows: list[GuestRow] = []

        def add_guests(answer: Answer, rows: list[GuestRow] = rows) -> Meta:
            page = parse(GuestPage, answer)
            rows.extend(page.guests)
            return page.meta

        _read_pages(reader, GUESTS, {"site_id": domain}, add_guests, site=domain)
        if len({folded(row.email) for row in rows}) == len(rows):
            return tuple(Entry(row.email, row.role, row.status) for row in rows)
    raise IncompleteError(f"the guests of {domain} come out twice on different pages, {_ROUNDS} times over")


def _list_sites(reader: Reader, team: str) -> tuple[list[str], datetime | None]:
    """Return the domains of a team's sites, each once, and the server's time."""
    domains: list[str] = []
    times: list[datetime | None] = []

    def add_sites(answer: Answer) -> Meta:
        page = parse(SitePage, answer)
        domains.extend(site.domain for site in page.sites)
        times.append(server_time(answer))
        return page.meta

    _read_pages(reader, BASE, {"team_id": team}, add_sites)
    return list(dict.fromkeys(domains)), times[-1]


def _read_pages(
    reader: Reader, path: str, params: dict[str, str], add: Callable[[Answer], Meta], *, site: str | None = None
) -> None:
    """Pass every page of a listing to `add`, which returns its place, up to the page whose cursor is null.

    `site` is the site that the listing is about, if any. Raises `PlatformError`, and `IncompleteError` for a cursor that
    comes twice.
    """
    cursors: set[str] = set()
    after: str | None = None
    while True:
        answer = reader.query(path, {"limit": _MOST, **params, **({"after": after} if after else {})})
        if answer.status != 200:
            raise refusal(reader, answer, site)
        after = add(answer).after
        if after is None:
            return
        if after in cursors:
            raise IncompleteError(f"{path} leads in a circle: one cursor came twice")
        cursors.add(after)
