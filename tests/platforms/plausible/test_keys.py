"""API keys of Community Edition: who has which, read from the real tables, and never a part of a secret."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx
import pytest

from platforms.plausible.at import ANNA, BEN, SELF, Clock, fake_of, needs_postgres, plausible, world
from siteward.access.api_key import LiveKey
from siteward.access.model import account_key
from siteward.platforms.fakery import in_process
from siteward.platforms.plausible import community
from siteward.platforms.plausible.fake.forms import CommunityFake
from siteward.platforms.plausible.fake.worlds import PASSWORD
from siteward.platforms.plausible.platform import PLATFORM
from siteward.transport.errors import ForbiddenError

GONE = "gone@example.org"
MADE = datetime(2025, 3, 1, 9, 30, tzinfo=UTC)
KEYS = {
    "keys": [
        {"owner": ANNA, "name": "grafana", "made": "2025-03-01T09:30:00Z"},
        {"owner": GONE, "name": "left over", "scopes": ["stats", "sites"], "made": "2025-03-01T09:30:00Z"},
        {"owner": ANNA, "name": "of old", "bound": False, "made": "2025-03-01T09:30:00Z"},
        {"owner": GONE, "name": "elsewhere", "bound": False},
    ]
}


@pytest.fixture(autouse=True)
def _postgres() -> None:
    needs_postgres()


def community_fake() -> CommunityFake:
    fake = fake_of(world(KEYS), "ce-3", Clock())
    assert isinstance(fake, CommunityFake)
    return fake


def test_the_keys_of_the_team_are_read_with_their_owners() -> None:
    """Also that of somebody who has left the team, and of no team that of a member; Siteward's own has no row here."""
    with plausible(fake=community_fake()) as at:
        assert at.traits.keys_unseen == ""
        stats, provision = "stats:read:*", "sites:provision:*"
        assert at.live.keys == (
            LiveKey(account=ANNA, name="grafana", scopes=(stats,), made=MADE),
            LiveKey(account=ANNA, name="of old", scopes=(stats,), made=MADE),
            LiveKey(account=GONE, name="left over", scopes=(provision, stats), made=MADE),
        )
        assert account_key(GONE) not in at.live.access
        (listing,) = [listing for listing in at.live.listings if listing.name == "API keys"]
        assert (listing.rows, listing.complete) == (3, True)


def test_an_owner_is_spelled_as_their_account() -> None:
    """The guest list has the stored spelling, by which the plan knows them."""
    fake = community_fake()
    with fake.tables.open() as connection:
        connection.execute("UPDATE users SET email = 'Anna@Example.org' WHERE email = 'anna@example.org'")
    with plausible(fake=fake) as at:
        assert {key.account for key in at.live.keys} == {"Anna@Example.org", GONE}
        assert account_key("Anna@Example.org") in at.live.access


@pytest.mark.parametrize("column", sorted(community.SECRETS))
def test_no_part_of_a_secret_is_asked_for_or_may_be_read(column: str) -> None:
    """Neither the adapter's statements nor the grants of its role name such a column; the database refuses it."""
    assert column not in f"{community._SNAPSHOT} {community._KEYS} {community.GRANTS}"
    with plausible(fake=community_fake()) as at:
        assert at.reader.rows is not None
        with pytest.raises(ForbiddenError):
            at.reader.rows.ask(f"SELECT {column} FROM api_keys")


def test_a_role_of_an_earlier_release_reads_all_but_the_keys() -> None:
    """It lacks one grant; what it could read before is read as before, and why no key is shown is said."""
    fake = community_fake()
    with fake.tables.open() as connection:
        connection.execute(
            f'REVOKE SELECT (user_id, team_id, name, scopes, inserted_at) ON api_keys FROM "{fake.tables.schema}"'
        )
    with plausible(fake=fake) as at:
        assert at.live.keys == ()
        assert at.live.complete
        assert at.traits.keys_unseen == (
            "the database shows no api_keys (inserted_at, name, scopes, team_id, user_id); "
            "the nine lines that make the role stand in docs/platforms.md"
        )
        assert {account.name for account in at.live.access.accounts()} >= {ANNA, BEN, SELF}


def test_a_role_that_may_read_secrets_is_told_so() -> None:
    fake = community_fake()
    with plausible(fake=fake) as at:
        notes = PLATFORM.reach(at.reader, at.settings, at.traits).notes
        assert not any("key_hash" in note for note in notes)
        with fake.tables.open() as connection:
            connection.execute(f'GRANT SELECT ON api_keys TO "{fake.tables.schema}"')
        notes = PLATFORM.reach(at.reader, at.settings, at.traits).notes
        assert (
            "the role may read key_hash, key_prefix of api_keys, which nothing here asks for; take that away" in notes
        )


def test_the_sites_api_shows_no_keys() -> None:
    with plausible(world(KEYS), "cloud") as at:
        assert at.live.keys == ()
        assert "no call lists API keys" in at.traits.keys_unseen


def test_the_sandbox_lets_people_make_and_delete_keys_of_their_own() -> None:
    """As the product's own pages do (API.md section 10); somebody else's key is left alone."""
    fake = community_fake()
    with httpx.Client(base_url="http://plausible.test", transport=in_process(fake)) as http:
        token = _token_of(http.get("/login"))
        form = {"_csrf_token": token, "email": SELF, "password": PASSWORD}
        assert http.post("/login", data=form).headers["location"] == "/sites"
        http.headers["x-csrf-token"] = _token_of(http.get("/sites"))
        wish = {"api_key[name]": "cron", "api_key[key]": "k" * 64, "api_key[type]": "stats_api"}
        assert http.post("/settings/api-keys", data=wish).status_code == 302
        assert http.post("/settings/api-keys", data={**wish, "api_key[type]": "sites_api"}).status_code == 200
        with plausible(fake=fake) as at:
            assert [key.name for key in at.live.keys if key.account == SELF] == ["cron"]
            ids = {key.name: key.id for key in fake.state.keys.values()}
            http.delete(f"/settings/api-keys/{ids['grafana']}")
            http.delete(f"/settings/api-keys/{ids['cron']}")
            assert [key.name for key in at.read().keys] == ["grafana", "of old", "left over"]


def _token_of(page: httpx.Response) -> str:
    found = re.search(r'csrf[-_]token" (?:value|content)="([^"]+)"', page.text)
    assert found is not None
    return found[1]
