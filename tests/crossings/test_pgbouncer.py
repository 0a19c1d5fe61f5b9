"""Community Edition's database behind a real PgBouncer, and the role that the documentation says to make."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crossings.pgbouncer import pooled
from platforms.plausible.at import ANNA, BEN, SHOP, fake_of, key, link_of, needs_postgres, secrets_of
from siteward.platforms.plausible.community import COLUMNS, check
from siteward.platforms.plausible.fake.forms import CommunityFake
from siteward.platforms.plausible.platform import PLATFORM
from siteward.platforms.plausible.settings import Settings
from siteward.transport.errors import (
    ForbiddenError,
    NotThePlatformError,
    PlatformError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.secrets import Secret
from siteward.transport.sql import SqlReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from siteward.access.state import Live

PAGE = Path(__file__).resolve().parents[2] / "docs" / "platforms.md"
(BLOCK,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
LINES = BLOCK.splitlines()


@pytest.fixture(autouse=True)
def _postgres() -> None:
    needs_postgres()


@pytest.fixture
def fake() -> CommunityFake:
    made = fake_of(release="ce-3")
    assert isinstance(made, CommunityFake)
    return made


@pytest.fixture
def url(fake: CommunityFake) -> str:
    """The address of the database itself, its tables filled."""
    return fake.credentials["database_url"]


def probe_and_read(fake: CommunityFake, url: str) -> Live:
    """Return all that is live, read through the database at `url`."""
    with PLATFORM.connect(Settings(), secrets_of(fake, database_url=url), link_of(fake)) as doors:
        traits, seed = PLATFORM.probe(doors.reader, Settings())
        return PLATFORM.read(doors.reader, Settings(), traits, seed)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_all_is_read_through_a_pooler_as_without(tmp_path: Path, fake: CommunityFake, url: str, mode: str) -> None:
    """As it comes from Debian, each question in the session of the one before: no statement has a name, no option is sent."""
    direct = probe_and_read(fake, url)
    with pooled(tmp_path / "pooler", url, mode=mode) as through:
        for _ in range(7):
            assert probe_and_read(fake, through).access == direct.access
    assert key(ANNA, SHOP) in direct.access


def test_what_is_set_ends_with_the_transaction(tmp_path: Path, url: str) -> None:
    """The next one in the same session finds what it had: a time limit of ours would end other people's reports."""
    with pooled(tmp_path / "pooler", url) as through:
        inside = SqlReader(Secret(through)).ask(
            "SELECT current_setting('statement_timeout'), current_setting('row_security'), "
            "current_setting('transaction_read_only'), current_setting('transaction_isolation')"
        )
        assert inside == [("1min", "off", "on", "repeatable read")]
        import psycopg

        with psycopg.connect(through, prepare_threshold=None) as other:
            rows = other.execute(
                "SELECT current_setting('statement_timeout'), current_setting('row_security'), "
                "current_setting('transaction_read_only')"
            ).fetchall()
        assert rows == [("0", "on", "off")]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT 1; DELETE FROM teams", "multiple commands"),
        ("SELECT id FROM teams FOR UPDATE", "read-only transaction"),
        ("WITH gone AS (DELETE FROM teams RETURNING id) SELECT * FROM gone", "read-only transaction"),
    ],
)
def test_nothing_is_written_through_a_pooler(
    tmp_path: Path, fake: CommunityFake, url: str, statement: str, said: str
) -> None:
    """Even by a role that may write: one statement, in a transaction that only reads."""
    with fake.tables.open() as owner:
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {fake.tables.schema} TO {fake.tables.schema}")
    with pooled(tmp_path / "pooler", url) as through, pytest.raises(PlatformError, match=said):
        SqlReader(Secret(through)).ask(statement)


def test_options_in_the_url_are_refused_with_the_way_out(tmp_path: Path, url: str) -> None:
    """PgBouncer takes none, unless it is told to drop them."""
    with pooled(tmp_path / "pooler", url) as through, pytest.raises(UnreachableError) as caught:
        SqlReader(Secret(f"{through}?options=-c%20search_path%3Dstats")).ask("SELECT 1")
    assert "unsupported startup parameter: options" in str(caught.value)
    assert "take `options` out of the database url" in (caught.value.hint or "")


def test_a_pooler_that_cuts_transactions_up_is_told(tmp_path: Path, url: str) -> None:
    """With the mode that it needs."""
    with pooled(tmp_path / "pooler", url, mode="statement") as through, pytest.raises(UnreachableError) as caught:
        SqlReader(Secret(through)).ask("SELECT 1")
    assert "pool_mode = transaction" in (caught.value.hint or "")


def test_a_wrong_password_at_the_pooler_is_a_wrong_password(tmp_path: Path, url: str) -> None:
    """And not shown."""
    with pooled(tmp_path / "pooler", url) as through, pytest.raises(UnauthenticatedError) as caught:
        SqlReader(Secret(through.replace("@127", "-wrong-word@127"))).ask("SELECT 1")
    assert "wrong-word" not in str(caught.value)


@pytest.mark.parametrize("name", ["DuplicatePreparedStatement", "InvalidSqlStatementName"])
def test_mixed_up_sessions_are_not_the_platforms_fault(url: str, name: str) -> None:
    """42P05 and 26000 say what a pooler did, not that this is another product's database."""
    from psycopg import errors

    told = SqlReader(Secret(url))._error_of(getattr(errors, name)('prepared statement "s1" already exists'))
    assert isinstance(told, UnreachableError)
    assert "pooler" in str(told)
    assert 's1" already exists' in str(told)


# -- the role


@pytest.fixture
def role(fake: CommunityFake, url: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A role made by the lines of the documentation in the stand-in's schema: its address, and who may change it."""
    SqlReader(Secret(url)).ask("SELECT 1")
    tables, name = fake.tables, f"{fake.tables.schema}_docs"
    with tables.server.admin() as owner:
        owner.execute(f"SET search_path = {tables.schema}, public")
        for line in LINES:
            said = line.replace("siteward", name).replace("SCHEMA public", f"SCHEMA {tables.schema}").replace("…", "pw")
            owner.execute(said)
        owner.execute(f"ALTER ROLE {name} SET search_path = {tables.schema}, public")
        try:
            yield tables.server.url(name, "pw"), owner
        finally:
            owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_lines_of_the_documentation_are_enough_and_no_more(
    fake: CommunityFake, url: str, role: tuple[str, psycopg.Connection]
) -> None:
    """All is read with them, and no secret can be."""
    assert len(LINES) == 9
    at, _ = role
    assert probe_and_read(fake, at).access == probe_and_read(fake, url).access
    for secret in ("SELECT password_hash FROM users", "SELECT slug FROM shared_links", "SELECT * FROM invitations"):
        with pytest.raises(ForbiddenError):
            SqlReader(Secret(at)).ask(secret)


@pytest.mark.parametrize("table", sorted(COLUMNS))
def test_each_grant_is_missed_in_words(role: tuple[str, psycopg.Connection], table: str) -> None:
    """Without one of them nothing is read, and the table and the page are named."""
    at, owner = role
    name = at.split("//")[1].split(":")[0]
    owner.execute(f"REVOKE SELECT ON {table} FROM {name}")
    with pytest.raises((ForbiddenError, NotThePlatformError)) as caught:
        check(SqlReader(Secret(at)))
    assert table in str(caught.value)
    assert "docs/platforms.md" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("table", "policy"),
    [*((table, "USING (false)") for table in sorted(COLUMNS)), ("users", "USING (true)"), ("sites", None)],
)
def test_rows_that_a_policy_may_hide_are_refused(
    fake: CommunityFake, role: tuple[str, psycopg.Connection], table: str, policy: str | None
) -> None:
    """Row-level security on any table: not an instance that everybody has left; a role that passes it reads all."""
    at, owner = role
    name = at.split("//")[1].split(":")[0]
    before = probe_and_read(fake, at).access
    fake.tables.spoiled = True
    owner.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    if policy:
        owner.execute(f"CREATE POLICY shown ON {table} {policy}")
    with pytest.raises(ForbiddenError, match=f'row-level security policy for table "{table}"') as caught:
        probe_and_read(fake, at)
    assert "BYPASSRLS" in (caught.value.hint or "")
    owner.execute(f"ALTER ROLE {name} BYPASSRLS")
    assert probe_and_read(fake, at).access == before
    assert key(BEN, SHOP) in before
