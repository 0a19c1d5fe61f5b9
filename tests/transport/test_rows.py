"""The door to a database: one SELECT goes through it, and nothing else; what it cannot do it says, without secrets."""

from __future__ import annotations

import pytest

from platforms.plausible.at import needs_postgres
from siteward.transport.errors import (
    ForbiddenError,
    InsecureError,
    NotThePlatformError,
    PlatformError,
    ReadOnlyError,
    SecretMissingError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.secrets import Secret
from siteward.transport.sql import SqlReader


@pytest.fixture(scope="module")
def url() -> str:
    needs_postgres()
    from siteward.platforms.plausible.fake.tables import made

    return made().url


@pytest.fixture(scope="module")
def owner_url() -> str:
    """The address of a role that could write, if the door let it."""
    needs_postgres()
    from psycopg import sql

    from siteward.platforms.plausible.fake.tables import made

    tables = made()
    with tables.open() as connection:
        connection.execute(
            sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA {0} TO {0}").format(sql.Identifier(tables.schema))
        )
    return tables.url


def test_a_question_is_answered(url: str) -> None:
    """Values travel beside the statement."""
    assert SqlReader(Secret(url)).ask("SELECT %(one)s::int + 1", {"one": 1}) == [(2,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM teams",
        "UPDATE teams SET name = 'x'",
        "INSERT INTO users VALUES (1)",
        "DROP TABLE users",
        "SET ROLE x",
        "",
    ],
)
def test_what_is_no_question_is_not_sent(statement: str) -> None:
    """Refused before anything is contacted."""
    with pytest.raises(ReadOnlyError):
        SqlReader(Secret("postgresql://nobody@127.0.0.1:1/none")).ask(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "WITH gone AS (DELETE FROM teams RETURNING id) SELECT * FROM gone",
        "SELECT id FROM teams FOR UPDATE",
        "SELECT 1; DELETE FROM teams",
        "SELECT set_config('transaction_read_only', 'off', false); DELETE FROM teams",
    ],
)
def test_what_hides_behind_a_question_is_refused_by_the_server(owner_url: str, statement: str) -> None:
    """Even for a role that may write: the transaction is read-only, and takes one statement."""
    with pytest.raises(PlatformError):
        SqlReader(Secret(owner_url)).ask(statement)


def test_a_wrong_password_is_told_without_it(url: str) -> None:
    """And the address is not shown either."""
    wrong = url.replace("@127", "wrong-word@127")
    with pytest.raises(UnauthenticatedError) as caught:
        SqlReader(Secret(wrong)).ask("SELECT 1")
    assert "wrong-word" not in str(caught.value)


def test_a_closed_door_is_told() -> None:
    """Nothing listens there."""
    pytest.importorskip("psycopg")
    with pytest.raises(UnreachableError):
        SqlReader(Secret("postgresql://nobody@127.0.0.1:1/none")).ask("SELECT 1")


def test_what_the_role_may_not_see_is_told(url: str) -> None:
    """With the thing to do about it."""
    with pytest.raises(ForbiddenError) as caught:
        SqlReader(Secret(url)).ask("SELECT password_hash FROM users")
    assert "SELECT" in (caught.value.hint or "")


def test_a_table_that_is_not_there_is_told(url: str) -> None:
    """Another product's database."""
    with pytest.raises(NotThePlatformError):
        SqlReader(Secret(url)).ask("SELECT 1 FROM no_such_table")


@pytest.mark.parametrize("text", ["", "host=db user=x", "mysql://db/x", "http://db/x", "postgresql://[::1/x"])
def test_what_is_no_address_is_told(text: str) -> None:
    """Nothing of it is shown: it may hold a password."""
    with pytest.raises(SecretMissingError) as caught:
        SqlReader(Secret(text))
    assert "db" not in str(caught.value).split()


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_an_open_line_to_another_machine_is_refused(mode: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InsecureError, match=mode):
        SqlReader(Secret(f"postgresql://db.example.org/x?sslmode={mode}"))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("postgresql://db.example.org/x", "verify-full"),
        ("postgresql://db.example.org/x?sslmode=require", None),
        ("postgresql://127.0.0.1/x", None),
        ("postgresql:///x?host=/var/run/postgresql", None),
        ("postgresql://127.0.0.1/x?host=db.example.org", "verify-full"),
    ],
)
def test_the_server_proves_its_name_unless_told_otherwise(text: str, asked: str | None) -> None:
    """This machine itself is never behind TLS."""
    assert SqlReader(Secret(text))._tls == asked
