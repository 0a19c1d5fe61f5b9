"""Real PostgreSQL tables behind the Community Edition stand-in, named and made as the product's own (API.md section 11).

The stand-in's state is written into them whenever it has changed. Each stand-in has a schema of its own, and a role
that may read just what `siteward.platforms.plausible.community` says is needed. The statements are not taken from there,
so that one list is held against the other.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from psycopg import sql

from siteward.platforms.plausible.fake.cluster import Cluster, cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

    from siteward.platforms.plausible.fake.state import Key, State

MIGRATION = 20251217105310
Row = tuple[Any, ...]
_DDL = """
    CREATE TABLE users (id bigint PRIMARY KEY, email public.citext NOT NULL UNIQUE, name varchar, password_hash varchar,
        last_seen timestamp(0), inserted_at timestamp(0) NOT NULL);
    CREATE TABLE teams (id bigint PRIMARY KEY, identifier uuid NOT NULL UNIQUE, name varchar NOT NULL,
        setup_complete boolean NOT NULL DEFAULT true);
    CREATE TABLE team_memberships (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, role varchar NOT NULL, UNIQUE (team_id, user_id));
    CREATE TABLE sites (id bigint PRIMARY KEY, domain varchar NOT NULL UNIQUE, domain_changed_from varchar,
        team_id bigint REFERENCES teams ON DELETE SET NULL, public boolean NOT NULL, timezone varchar);
    CREATE TABLE guest_memberships (id bigint PRIMARY KEY,
        team_membership_id bigint NOT NULL REFERENCES team_memberships ON DELETE CASCADE,
        site_id bigint NOT NULL REFERENCES sites ON DELETE CASCADE, role varchar NOT NULL,
        UNIQUE (team_membership_id, site_id));
    CREATE TABLE team_invitations (id bigint PRIMARY KEY, invitation_id varchar NOT NULL UNIQUE,
        email public.citext NOT NULL, role varchar NOT NULL, inviter_id bigint NOT NULL REFERENCES users,
        team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, inserted_at timestamp(0) NOT NULL,
        UNIQUE (team_id, email));
    CREATE TABLE guest_invitations (id bigint PRIMARY KEY, invitation_id varchar NOT NULL UNIQUE,
        team_invitation_id bigint NOT NULL REFERENCES team_invitations ON DELETE CASCADE,
        site_id bigint NOT NULL REFERENCES sites ON DELETE CASCADE, role varchar NOT NULL,
        UNIQUE (team_invitation_id, site_id));
    CREATE TABLE team_site_transfers (id bigint PRIMARY KEY, email public.citext NOT NULL,
        site_id bigint NOT NULL REFERENCES sites ON DELETE CASCADE, initiator_id bigint NOT NULL,
        UNIQUE (email, site_id));
    CREATE TABLE shared_links (id bigint PRIMARY KEY, site_id bigint NOT NULL REFERENCES sites ON DELETE CASCADE,
        name varchar NOT NULL, slug varchar NOT NULL);
    CREATE TABLE api_keys (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        team_id bigint REFERENCES teams ON DELETE CASCADE, name varchar NOT NULL, scopes text[] NOT NULL,
        key_prefix varchar NOT NULL, key_hash varchar NOT NULL UNIQUE, hourly_request_limit integer NOT NULL,
        inserted_at timestamp(0) NOT NULL, updated_at timestamp(0) NOT NULL);
    CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0));
    CREATE TABLE site_memberships (id bigint PRIMARY KEY, user_id bigint, site_id bigint, role varchar);
    CREATE TABLE invitations (id bigint PRIMARY KEY, email public.citext, role varchar);
"""
_GRANTS = """
    GRANT USAGE ON SCHEMA {schema} TO {role};
    GRANT SELECT (id, email, last_seen, inserted_at) ON users TO {role};
    GRANT SELECT (id, identifier, name) ON teams TO {role};
    GRANT SELECT ON team_memberships, guest_memberships, schema_migrations TO {role};
    GRANT SELECT ON team_invitations, guest_invitations, team_site_transfers TO {role};
    GRANT SELECT (id, domain, domain_changed_from, team_id, public) ON sites TO {role};
    GRANT SELECT (site_id, name) ON shared_links TO {role};
    GRANT SELECT (user_id, team_id, name, scopes, inserted_at) ON api_keys TO {role};
"""


@dataclass(slots=True, eq=False)
class Tables:
    """One stand-in's tables. `url` is for the role that may only read."""

    server: Cluster
    url: str
    schema: str
    written: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    spoiled: bool = False

    @contextmanager
    def open(self) -> Iterator[psycopg.Connection]:
        """Give a connection that may do everything with these tables, in one transaction; they are not used again."""
        self.spoiled = True
        with self._opened() as connection:
            yield connection

    def give_back(self) -> None:
        """Keep the tables for the next stand-in: making new ones takes a tenth of a second."""
        if not self.spoiled:
            _FREE.append(self)

    @contextmanager
    def _opened(self) -> Iterator[psycopg.Connection]:
        with self.server.admin() as connection, connection.transaction():
            connection.execute(sql.SQL("SET LOCAL search_path = {}, public").format(sql.Identifier(self.schema)))
            yield connection

    def write(self, state: State) -> None:
        """Make the tables hold what the state holds; nothing is sent where nothing has changed."""
        rows = _rows(state)
        if rows == self.written:
            return
        with self._opened() as connection, connection.cursor() as cursor:
            # DELETE, because TRUNCATE makes new files, which is far slower for tables as small as these.
            for name in reversed(_COLUMNS):
                cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for name, columns in _COLUMNS.items():
                insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(map(sql.Identifier, columns)),
                    sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
                )
                if rows[name]:
                    cursor.executemany(insert, rows[name])
        self.written = rows


def made() -> Tables:
    """Return empty tables; raises `PostgresMissingError` where this machine has no server."""
    server = cluster()
    while _FREE:
        free = _FREE.pop()
        if free.server is server:
            return free
    name, password = f"w{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    named = {"schema": sql.Identifier(name), "role": sql.Identifier(name)}
    tables = Tables(server, server.url(name, password), name)
    with server.admin() as admin:
        admin.execute(sql.SQL("CREATE SCHEMA {schema}").format(**named))
        admin.execute(sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {word}").format(word=sql.Literal(password), **named))
        admin.execute(sql.SQL("ALTER ROLE {role} SET search_path = {schema}, public").format(**named))
    with tables._opened() as owner:  # noqa: SLF001 — the tables are made here
        owner.execute(_DDL)
        owner.execute("INSERT INTO schema_migrations VALUES (%s, now())", (MIGRATION,))
        owner.execute(sql.SQL(_GRANTS).format(**named))
    return tables


_FREE: list[Tables] = []
_COLUMNS: dict[str, tuple[str, ...]] = {
    "users": ("id", "email", "last_seen", "inserted_at"),
    "teams": ("id", "identifier", "name"),
    "team_memberships": ("id", "user_id", "team_id", "role"),
    "sites": ("id", "domain", "domain_changed_from", "team_id", "public", "timezone"),
    "guest_memberships": ("id", "team_membership_id", "site_id", "role"),
    "team_invitations": ("id", "invitation_id", "email", "role", "inviter_id", "team_id", "inserted_at"),
    "guest_invitations": ("id", "invitation_id", "team_invitation_id", "site_id", "role"),
    "team_site_transfers": ("id", "email", "site_id", "initiator_id"),
    "shared_links": ("id", "site_id", "name", "slug"),
    "api_keys": (
        "id",
        "user_id",
        "team_id",
        "name",
        "scopes",
        "key_prefix",
        "key_hash",
        "hourly_request_limit",
        "inserted_at",
        "updated_at",
    ),
}
_SCOPES = {"stats": "stats:read:*", "sites": "sites:provision:*"}
"""The scopes of keys as the tables have them (API.md section 2)."""
_LIMIT = 1_000_000


def _rows(state: State) -> Mapping[str, Sequence[Row]]:
    links = [(site.id, name) for site in state.sites.values() for name in site.slugs]
    return {
        "users": [(x.id, x.email, _plain(x.last_seen), _plain(x.since)) for x in state.users.values()],
        "teams": [(x.id, x.identifier, x.name) for x in state.teams.values()],
        "team_memberships": [(x.id, x.user, x.team, x.role) for x in state.members.values()],
        "sites": [(x.id, x.domain, x.previous, x.team, x.public, x.timezone) for x in state.sites.values()],
        "guest_memberships": [(x.id, x.member, x.site, x.role) for x in state.guests.values()],
        "team_invitations": [
            (x.id, x.invitation_id, x.email, x.role, x.inviter, x.team, _plain(x.created))
            for x in state.invitations.values()
        ],
        "guest_invitations": [
            (x.id, x.invitation_id, x.parent, x.site, x.role) for x in state.guest_invitations.values()
        ],
        "team_site_transfers": [(x.id, x.email, x.site, x.initiator) for x in state.transfers.values()],
        "shared_links": [(at, site, name, f"slug-{at}") for at, (site, name) in enumerate(links, 1)],
        "api_keys": [_key_row(value, key) for value, key in state.keys.items() if key.made is not None],
    }


def _key_row(value: str, key: Key) -> Row:
    scopes = sorted(_SCOPES[scope] for scope in key.scopes)
    made, digest = _plain(key.made), sha256(value.encode()).hexdigest()
    return key.id, key.user, key.team, key.name, scopes, value[:6], digest, _LIMIT, made, made


def _plain(moment: Any) -> Any:
    """Return a moment as the tables keep it: UTC, without a zone."""
    return moment.replace(tzinfo=None)
