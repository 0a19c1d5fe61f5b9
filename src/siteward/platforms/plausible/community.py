"""Reads all access to one team from Community Edition's database, in one query (API.md section 11).

The database role needs to read the columns of `GRANTS` only; `SITEWARD_<INSTANCE>_DATABASE_URL` names it.

The tables `site_memberships` and `invitations` of before 3.0 may still be there, frozen, and are never read.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.api_key import LiveKey
from siteward.access.state import Listing
from siteward.platforms.decode import MisshapenError, converted
from siteward.platforms.plausible.native_state import Colleague, Entry, NativeState, Place, folded
from siteward.transport.errors import ForbiddenError, NotThePlatformError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siteward.access.traits import Traits
    from siteward.platforms.plausible.settings import Settings
    from siteward.transport.http import Reader
    from siteward.transport.sql import SqlReader

GRANTS = """\
CREATE ROLE siteward LOGIN PASSWORD '…' NOSUPERUSER NOCREATEDB NOCREATEROLE;
GRANT USAGE ON SCHEMA public TO siteward;
GRANT SELECT (id, email, last_seen, inserted_at) ON users TO siteward;
GRANT SELECT (id, identifier, name) ON teams TO siteward;
GRANT SELECT ON team_memberships, guest_memberships, schema_migrations TO siteward;
GRANT SELECT ON team_invitations, guest_invitations, team_site_transfers TO siteward;
GRANT SELECT (id, domain, domain_changed_from, team_id, public) ON sites TO siteward;
GRANT SELECT (site_id, name) ON shared_links TO siteward;
GRANT SELECT (user_id, team_id, name, scopes, inserted_at) ON api_keys TO siteward;
"""
"""What whoever runs the database says in it, once, to make the role; no column with a part of a secret is among it."""
GRANTS_HINT = "the nine lines that make the role stand in docs/platforms.md"
COLUMNS: Mapping[str, frozenset[str]] = {
    "users": frozenset({"id", "email", "last_seen", "inserted_at"}),
    "teams": frozenset({"id", "identifier", "name"}),
    "team_memberships": frozenset({"id", "user_id", "team_id", "role"}),
    "guest_memberships": frozenset({"team_membership_id", "site_id", "role"}),
    "team_invitations": frozenset({"id", "email", "role", "team_id"}),
    "guest_invitations": frozenset({"invitation_id", "team_invitation_id", "site_id", "role"}),
    "team_site_transfers": frozenset({"email", "site_id"}),
    "sites": frozenset({"id", "domain", "domain_changed_from", "team_id", "public"}),
    "shared_links": frozenset({"site_id", "name"}),
    "schema_migrations": frozenset({"version"}),
}
KEYS_TABLE = "api_keys"
KEY_COLUMNS = frozenset({"user_id", "team_id", "name", "scopes", "inserted_at"})
SECRETS = frozenset({"key_hash", "key_prefix"})
"""The columns of the keys' table that hold a part of a secret. They are never asked for, and the role need not see them."""
_SHAPE = """
    SELECT table_name::text, array_agg(column_name::text)
    FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ANY (%(tables)s)
    GROUP BY table_name
"""
# Guests came with teams, in a migration of early 2025 (API.md section 15); before that there are other tables.
_FIRST_MIGRATION = 20250101000000
_TEAMS = "SELECT identifier::text, name FROM teams ORDER BY id"
_SNAPSHOT = """
    WITH team AS (SELECT id FROM teams WHERE identifier::text = %(team)s),
         place AS (SELECT * FROM (SELECT id, domain, domain_changed_from, public, team_id FROM sites) AS s
                   WHERE team_id IN (SELECT id FROM team)),
         member AS (SELECT id, user_id, role FROM team_memberships WHERE team_id IN (SELECT id FROM team)),
         invited AS (SELECT id, email::text AS email, role FROM team_invitations
                     WHERE team_id IN (SELECT id FROM team))
    SELECT json_build_object(
        'sites', (SELECT coalesce(json_agg(json_build_object('id', id, 'domain', domain,
                  'previous', domain_changed_from, 'public', public) ORDER BY id), '[]') FROM place),
        'links', (SELECT coalesce(json_agg(json_build_object('site', site_id, 'name', name) ORDER BY name), '[]')
                  FROM shared_links WHERE site_id IN (SELECT id FROM place)),
        'people', (SELECT coalesce(json_agg(json_build_object('id', u.id, 'email', u.email::text, 'role', m.role,
                   'seen', CASE WHEN u.last_seen - u.inserted_at >= interval '1 minute'
                           THEN to_char(u.last_seen, 'YYYY-MM-DD"T"HH24:MI"Z"') END) ORDER BY u.id), '[]')
                   FROM member m JOIN users u ON u.id = m.user_id),
        'guests', (SELECT coalesce(json_agg(json_build_object('user', m.user_id, 'site', g.site_id, 'role', g.role)
                   ORDER BY m.user_id, g.site_id), '[]')
                   FROM guest_memberships g JOIN member m ON m.id = g.team_membership_id
                   WHERE m.role = 'guest' AND g.site_id IN (SELECT id FROM place)),
        'joining', (SELECT coalesce(json_agg(json_build_object('email', email, 'role', role) ORDER BY email), '[]')
                    FROM invited WHERE role <> 'guest'),
        'invited', (SELECT coalesce(json_agg(json_build_object('email', t.email, 'site', g.site_id, 'role', g.role,
                    'id', g.invitation_id) ORDER BY t.email, g.site_id), '[]')
                    FROM guest_invitations g JOIN invited t ON t.id = g.team_invitation_id
                    WHERE g.site_id IN (SELECT id FROM place)),
        'transfers', (SELECT coalesce(json_agg(json_build_object('email', email::text, 'site', site_id)
                      ORDER BY email, site_id), '[]')
                      FROM team_site_transfers WHERE site_id IN (SELECT id FROM place)),
        'keys', {keys}
    )
"""
# A key bound to the team stays when its owner leaves it; one of before 2025-03 is bound to none and follows its owner.
_KEYS = """(SELECT coalesce(json_agg(json_build_object('email', u.email::text, 'name', k.name, 'scopes', coalesce(k.scopes, '{}'),
                   'made', to_char(k.inserted_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) ORDER BY u.id, k.inserted_at, k.name), '[]')
                FROM api_keys k JOIN users u ON u.id = k.user_id
                WHERE k.team_id IN (SELECT id FROM team)
                   OR (k.team_id IS NULL AND k.user_id IN (SELECT user_id FROM member)))"""


class _Site(Struct, frozen=True):
    id: int
    domain: str
    previous: str | None
    public: bool


class _Link(Struct, frozen=True):
    site: int
    name: str


class _Person(Struct, frozen=True):
    id: int
    email: str
    role: str
    seen: str | None


class _Guest(Struct, frozen=True):
    user: int
    site: int
    role: str


class _Joining(Struct, frozen=True):
    email: str
    role: str


class _Invited(Struct, frozen=True):
    email: str
    site: int
    role: str
    id: str


class _Transfer(Struct, frozen=True):
    email: str
    site: int


class _Key(Struct, frozen=True):
    email: str
    name: str
    scopes: tuple[str, ...]
    made: str


class _Snapshot(Struct, frozen=True):
    """The state of one team at one moment, as the query returns it."""

    sites: tuple[_Site, ...]
    links: tuple[_Link, ...]
    people: tuple[_Person, ...]
    guests: tuple[_Guest, ...]
    joining: tuple[_Joining, ...]
    invited: tuple[_Invited, ...]
    transfers: tuple[_Transfer, ...]
    keys: tuple[_Key, ...] | None


def check(rows: SqlReader) -> str:
    """Check that the tables exist and have the columns that are read, before any of them is read.

    Return why API keys cannot be read, or an empty text where they can: a role of an earlier release may not, and all
    else is read nevertheless. Raises `NotThePlatformError` for a database of before 3.0 or of another product,
    `ForbiddenError` for a role that may not read what is needed.
    """
    shown = _list_columns(rows)
    if not {"guest_memberships", "team_memberships"} & shown.keys():
        raise NotThePlatformError(
            "the database has no guests of teams, or its role may not see them",
            hint=f"Plausible Community Edition before 3.0 is not supported; for a newer one {GRANTS_HINT}",
        )
    missing = [
        f"{name} ({', '.join(sorted(lacks))})"
        for name, columns in COLUMNS.items()
        if (lacks := columns - shown.get(name, frozenset()))
    ]
    if missing:
        raise ForbiddenError(
            f"the database shows no {'; '.join(missing)}",
            hint=f"{GRANTS_HINT}; or is this a release that is not known yet?",
        )
    newest = rows.ask("SELECT max(version) FROM schema_migrations")[0][0]
    if newest is None or newest < _FIRST_MIGRATION:
        raise NotThePlatformError("the database is of before Plausible 3.0", hint="update Plausible to 3.0 or later")
    lacking = KEY_COLUMNS - shown.get(KEYS_TABLE, frozenset())
    return f"the database shows no {KEYS_TABLE} ({', '.join(sorted(lacking))}); {GRANTS_HINT}" if lacking else ""


def _list_columns(rows: SqlReader) -> Mapping[str, frozenset[str]]:
    """Return the columns of each table that the role may see."""
    return {name: frozenset(columns) for name, columns in rows.ask(_SHAPE, {"tables": [*COLUMNS, KEYS_TABLE]})}


def sees_secrets(rows: SqlReader) -> tuple[str, ...]:
    """Return the columns with parts of secrets that the role may read although nothing asks for them."""
    return tuple(sorted(SECRETS & _list_columns(rows).get(KEYS_TABLE, frozenset())))


def team_in(rows: SqlReader, settings: Settings) -> str:
    """Return the id of the team that `settings` name, or of the only one; raises `ForbiddenError` where that is unclear."""
    teams: list[tuple[str, str]] = [(row[0], row[1]) for row in rows.ask(_TEAMS)]
    if settings.team is None and len(teams) == 1:
        return teams[0][0]
    if settings.team is not None and settings.team.lower() in {name for name, _ in teams}:
        return settings.team.lower()
    seen = ", ".join(f"{at} ({name})" for at, name in teams) or "none"
    raise ForbiddenError(
        f"there is no team {settings.team}" if settings.team else "there is not just one team, and the file names none",
        hint=f"write `team` with one of these ids: {seen}",
    )


def snapshot(reader: Reader, settings: Settings, traits: Traits) -> NativeState:
    """Return the whole state of the team at one moment; raises `PlatformError`, or `TypeError` for a reader without a database."""
    from siteward.platforms.plausible.forms import own_clock, own_email, team_at  # noqa: PLC0415 — `validate` needs no HTTP

    rows = reader.rows
    if rows is None:
        raise TypeError("this reader has no door to a database")
    query = _SNAPSHOT.replace("{keys}", "NULL" if traits.keys_unseen else _KEYS)
    answer = rows.ask(query, {"team": team_at(reader, lambda: team_in(rows, settings))})
    try:
        seen = converted(_Snapshot, answer[0][0])
    except MisshapenError as error:
        raise NotThePlatformError(f"the database is not as Plausible keeps it ({error})") from None
    return NativeState(
        settings=settings,
        traits=traits,
        door="web",
        places={place.domain: place for place in _build_places(seen)},
        colleagues=tuple(_build_colleagues(seen)),
        transfers=frozenset(
            (_domains_by_id(seen)[transfer.site], folded(transfer.email)) for transfer in seen.transfers
        ),
        me=own_email(reader),
        now=own_clock(reader),
        ids=MappingProxyType({folded(person.email): str(person.id) for person in seen.people}),
        seen=MappingProxyType({folded(person.email): person.seen for person in seen.people if person.seen}),
        listings=_count_listings(seen),
        keys=tuple(_build_keys(seen)),
    )


def _domains_by_id(seen: _Snapshot) -> Mapping[int, str]:
    return {site.id: site.domain for site in seen.sites}


def _build_places(seen: _Snapshot) -> Iterable[Place]:
    """Yield each site with its guests and invitations, in the order of the ids."""
    people = {person.id: person.email for person in seen.people}
    entries: defaultdict[int, list[Entry]] = defaultdict(list)
    links: defaultdict[int, list[str]] = defaultdict(list)
    for guest in seen.guests:
        entries[guest.site].append(Entry(people[guest.user], guest.role, "accepted", str(guest.user)))
    for invitation in seen.invited:
        entry = Entry(invitation.email, invitation.role, "invited", invitation.id)
        entries[invitation.site].append(entry)
    for link in seen.links:
        links[link.site].append(link.name)
    for site in seen.sites:
        yield Place(site.domain, tuple(entries[site.id]), site.previous, site.public, tuple(links[site.id]))


def _build_colleagues(seen: _Snapshot) -> Iterable[Colleague]:
    yield from (Colleague(person.email, person.role) for person in seen.people if person.role != "guest")
    yield from (Colleague(invitation.email, invitation.role, invited=True) for invitation in seen.joining)


def _build_keys(seen: _Snapshot) -> Iterable[LiveKey]:
    """Yield the API keys; on Community Edition no scope of them writes anything (API.md section 1), and none has an end."""
    for key in seen.keys or ():
        yield LiveKey(account=key.email, name=key.name, scopes=key.scopes, made=datetime.fromisoformat(key.made))


def _count_listings(seen: _Snapshot) -> tuple[Listing, ...]:
    """Return the proofs of completeness."""
    counted: Sequence[tuple[str, int]] = (
        ("sites", len(seen.sites)),
        ("guests", len(seen.guests) + len(seen.invited)),
        ("team members", sum(person.role != "guest" for person in seen.people)),
        *((("API keys", len(seen.keys)),) if seen.keys is not None else ()),
    )
    return tuple(
        Listing(name=name, rows=rows, complete=True, proof="one query, one moment of the database")
        for name, rows in counted
    )
