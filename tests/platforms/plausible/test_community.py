"""Community Edition: all of it in one query of its database, and every write through the forms and back."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from msgspec.structs import replace

from platforms.plausible.at import (
    ANNA,
    BEN,
    BLOG,
    CARLA,
    SELF,
    SHOP,
    At,
    Clock,
    fake_of,
    give,
    grant,
    key,
    link_of,
    needs_postgres,
    plausible,
    secrets_of,
    take,
    turn,
    world,
)
from siteward.access.change import Change
from siteward.access.model import Account, Grant, account_key
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.platforms.plausible.fake.forms import CommunityFake
from siteward.platforms.plausible.platform import PLATFORM
from siteward.platforms.plausible.settings import Settings
from siteward.transport.errors import (
    ForbiddenError,
    GateError,
    NotThePlatformError,
    PlatformError,
    RedirectedError,
    UnauthenticatedError,
)
from siteward.transport.http import Link
from siteward.transport.secrets import Secret, Secrets
from siteward.transport.sql import SqlReader

CE = "ce-3"
OLGA, OWNER = "olga@example.org", "owner@example.org"


@pytest.fixture(autouse=True)
def _postgres() -> None:
    needs_postgres()


def community(start: World | None = None) -> CommunityFake:
    fake = fake_of(start, CE, Clock())
    assert isinstance(fake, CommunityFake)
    return fake


def change(fake: CommunityFake, statement: str) -> None:
    """Do something to the tables behind everybody's back."""
    with fake.tables.open() as connection:
        connection.execute(statement)


# -- reading


def test_guests_invitations_and_members_are_all_there() -> None:
    """What the Sites API hides is seen here: nothing is blind."""
    with plausible(release=CE) as at:
        assert (at.traits.edition, at.traits.version, at.traits.blind_spots) == ("ce", "3.2", ())
        roles = {(grant.subject.name, grant.scope.name): grant.role for grant in at.live.access.grants()}
        assert roles[ANNA, SHOP] == roles[BEN, SHOP] == "viewer"
        assert {roles[who, BLOG] for who in (OLGA, OWNER)} == {"team-owner"}
        assert roles[SELF, SHOP] == "team-admin"
        assert at.live.pending == {key(BEN, SHOP)}
        assert at.live.access[account_key(BEN)] == Account(BEN, status="pending")
        assert at.live.complete
        assert PLATFORM.read(at.reader, at.settings, at.traits).me == SELF


def test_the_state_is_read_in_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment of the database, whatever the size; no page is asked for."""
    world_of_many = World(
        sites=tuple(WorldSite(name=f"s{n}", domain=f"s{n}.example.org") for n in range(50)),
        grants=tuple(WorldGrant(account=ANNA, site=f"s{n}.example.org", role="viewer") for n in range(50)),
    )
    asked: list[str] = []
    real = SqlReader.ask

    def ask(self: SqlReader, sql: str, params: Mapping[str, object] | None = None) -> list[tuple[object, ...]]:
        asked.append(sql)
        return real(self, sql, params)

    monkeypatch.setattr(SqlReader, "ask", ask)
    with plausible(world_of_many, CE) as at:
        asked.clear()
        before = at.reader.requests
        at.read()
        assert (len(asked), at.reader.requests - before) == (1, 0)


def test_the_wish_of_a_member_is_covered_and_their_role_is_no_step() -> None:
    """A member of the team reaches every site; that cannot be declared, and satisfies what is weaker."""
    with plausible(release=CE) as at:
        held = at.live.access[key(OLGA, SHOP)]
        assert isinstance(held, Grant)
        assert at.traits.covers(held, grant(OLGA, SHOP, "editor"))
        role = at.traits.role("site", held.role)
        assert role is not None
        assert not role.declarable


def test_billing_and_viewers_of_the_team_do_not_cover_an_editor() -> None:
    """A weaker role in the team stands in the way, and is not taken for the wish."""
    start = world()
    start = start.model_copy(update={"accounts": (*start.accounts, WorldAccount(login=CARLA, role="viewer"))})
    with plausible(start, CE) as at:
        held = at.live.access[key(CARLA, SHOP)]
        assert isinstance(held, Grant)
        assert at.traits.covers(held, grant(CARLA, SHOP, "viewer"))
        assert not at.traits.covers(held, grant(CARLA, SHOP, "editor"))


def test_what_else_there_is_is_found() -> None:
    """Invitations into the team, sites on their way, public dashboards, links, old names."""
    more = {
        "joining": [{"email": "dora@example.org", "role": "admin"}],
        "transfers": [{"site": SHOP, "email": "next@other.test"}],
        "public": [BLOG],
    }
    with plausible(world(more), CE) as at:
        fake = at.fake
        assert isinstance(fake, CommunityFake)
        site = fake.state.site(SHOP)
        assert site is not None
        site.slugs["Board"], site.previous = "slug", "old-shop.example.org"
        fake.tables.write(fake.state)
        codes = {finding.code for finding in at.read().findings}
        assert codes == {"team-invitation", "site-transfer", "public-dashboard", "shared-link", "site-renamed"}
        opened = {scope.name: [said.code for said in told] for scope, told in at.live.open.items()}
        assert opened == {BLOG: ["public-dashboard"], SHOP: ["shared-link"]}
        facts = at.live.facts[account_key("dora@example.org")]
        assert facts["team"] == "invited as admin"


def test_one_owner_is_too_few() -> None:
    """MAPPING.md section 5: without an owner the team cannot be managed."""
    with plausible(World(sites=(WorldSite(name="a", domain=SHOP),)), CE) as at:
        assert "single-owner" in {finding.code for finding in at.live.findings}


def test_who_never_came_back_was_never_seen() -> None:
    """MAPPING.md section 7: the column begins with the moment the account was made."""
    with plausible(release=CE) as at:
        fake = at.fake
        assert isinstance(fake, CommunityFake)
        assert "last_seen" not in at.live.facts.get(account_key(ANNA), {})
        change(fake, f"UPDATE users SET last_seen = inserted_at + interval '90 days' WHERE email = '{ANNA}'")
        assert at.read().facts[account_key(ANNA)]["last_seen"] == "2027-02-20T12:00Z"


def test_the_frozen_tables_of_before_are_never_read() -> None:
    """`site_memberships` and `invitations` are still there, with what was true once."""
    fake = community()
    change(fake, "INSERT INTO site_memberships VALUES (1, 1, 1, 'admin')")
    change(fake, "INSERT INTO invitations VALUES (1, 'ghost@example.org', 'admin')")
    with plausible(fake=fake) as at:
        assert account_key("ghost@example.org") not in at.live.access


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        ("DROP TABLE guest_memberships, team_memberships CASCADE", NotThePlatformError, "before 3.0"),
        ("ALTER TABLE sites RENAME COLUMN public TO visible", ForbiddenError, "sites (public)"),
        ("REVOKE SELECT ON guest_invitations FROM CURRENT_USER", None, ""),
        ("UPDATE schema_migrations SET version = 20240901000000", NotThePlatformError, "before Plausible 3.0"),
        ("DELETE FROM schema_migrations", NotThePlatformError, "before Plausible 3.0"),
    ],
)
def test_the_tables_are_looked_at_before_they_are_read(
    statement: str, kind: type[PlatformError] | None, words: str
) -> None:
    """Another shape is said, and never taken for emptiness."""
    fake = community()
    change(fake, statement)
    if kind is None:
        with plausible(fake=fake) as at:
            assert at.live.complete
        return
    with pytest.raises(kind) as caught, plausible(fake=fake):
        pass
    assert words in f"{caught.value} {caught.value.hint}"


def test_a_grant_that_is_missing_is_named() -> None:
    """Column by column: the role sees no more than it needs."""
    fake = community()
    change(fake, f'REVOKE SELECT ON guest_invitations FROM "{fake.tables.schema}"')
    with pytest.raises(ForbiddenError, match="guest_invitations"), plausible(fake=fake):
        pass


def test_the_role_sees_no_password() -> None:
    """The grants that are documented, and no others, are what the stand-in's role has."""
    fake = community()
    rows = SqlReader(Secret(fake.tables.url))
    for statement in ("SELECT password_hash FROM users", "SELECT slug FROM shared_links", "SELECT * FROM invitations"):
        with pytest.raises(ForbiddenError):
            rows.ask(statement)


def test_of_several_teams_one_is_named() -> None:
    """Nothing of another team is seen."""
    fake = community(world({"foreign": ["theirs.example.org"]}))
    with pytest.raises(ForbiddenError, match="not just one team") as caught, plausible(fake=fake):
        pass
    team = next(team.identifier for team in fake.state.teams.values() if team.name == "Example")
    assert team in (caught.value.hint or "")
    with plausible(fake=fake, team=team) as at:
        assert {site.name for site in at.live.sites} == {SHOP, BLOG}
        assert account_key("somebody@elsewhere.test") not in at.live.access


def test_another_edition_behind_the_address_is_told() -> None:
    """JSON 401 without a key: there is a Sites API, and this is no Community Edition."""
    fake = community()
    link = Link(
        url="http://plausible.test",
        transport=httpx.MockTransport(lambda _: httpx.Response(401, json={"error": "Missing API key."})),
        sleep=lambda _: None,
    )
    with (
        PLATFORM.connect(Settings(), secrets_of(fake), link) as doors,
        pytest.raises(ForbiddenError, match="Sites API"),
    ):
        PLATFORM.probe(doors.reader, Settings())


@pytest.mark.parametrize("version", ["v2.1.5", "v1.0.0"])
def test_a_release_of_before_3_is_refused(version: str) -> None:
    """It has other tables and other forms."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/system":
            return httpx.Response(200, json={"build": {"version": version}})
        return httpx.Response(404, text="<html>")

    link = Link(url="http://plausible.test", transport=httpx.MockTransport(answer), sleep=lambda _: None)
    with (
        PLATFORM.connect(Settings(), secrets_of(community()), link) as doors,
        pytest.raises(NotThePlatformError, match=r"before 3\.0"),
    ):
        PLATFORM.probe(doors.reader, Settings())


# -- writing


def test_a_guest_is_invited_changed_in_place_and_removed() -> None:
    """One form each; a role changes without a mail and without a new acceptance."""
    with plausible(release=CE) as at:
        receipt = at.write_one(give(CARLA, BLOG, "viewer"))
        assert (receipt.status, receipt.sends) == ("sent", 1)
        at.fake.accept(CARLA)
        at.fake.state.mails.clear()
        at.read()
        assert at.write_one(turn(CARLA, BLOG, "viewer", "editor")).status == "sent"
        assert at.shown(BLOG) == [f"{CARLA} editor accepted"]
        assert at.fake.state.mails == []
        assert at.refresh(key(CARLA, BLOG)) == {key(CARLA, BLOG): grant(CARLA, BLOG, "editor")}
        assert at.write_one(take(CARLA, BLOG, "editor")).status == "sent"
        assert at.refresh(key(CARLA, BLOG)) == {key(CARLA, BLOG): None}


def test_an_invitation_is_withdrawn_and_another_role_sent_anew() -> None:
    """The form of the invitation, told by its id."""
    with plausible(release=CE) as at:
        assert at.write_one(turn(BEN, SHOP, "viewer", "editor")).sends == 1
        assert f"{BEN} editor invited" in at.shown()
        at.read()
        assert at.write_one(take(BEN, SHOP, "editor")).status == "sent"
        assert at.shown() == [f"{ANNA} viewer accepted"]


def test_a_member_of_the_team_is_refused_and_nothing_is_believed() -> None:
    """The form answers with a page; the database shows that nothing came of it."""
    with plausible(release=CE, team_members=None) as at:
        assert "redundant-grant" in at.errors(give(OLGA, SHOP, "viewer"))
        receipt = at.write_one(give("dora@example.org", SHOP, "viewer"))
        assert receipt.status == "sent"
        at.live = replace(at.live)
        refused = at.write_one(give(OLGA, SHOP, "viewer"))
        assert refused.status == "failed"


def test_a_site_on_its_way_takes_no_invitation_for_its_next_owner() -> None:
    """Redirect and flash look like success: only the database tells."""
    with plausible(world({"transfers": [{"site": SHOP, "email": CARLA}]}), CE) as at:
        assert "site-transfer" in at.errors(give(CARLA, SHOP, "viewer"))
        receipt = at.write_one(give(CARLA, SHOP, "viewer"))
        assert receipt.status == "failed"
        assert "answered 302 and did nothing" in receipt.message


def test_an_account_whose_role_is_too_low_writes_nothing() -> None:
    """Seen before anything is sent."""
    with plausible(world({"self_role": "editor"}), CE) as at:
        (told,) = [
            diagnostic for diagnostic in at.review(give(CARLA, SHOP, "viewer")) if diagnostic.code == "role-too-low"
        ]
        assert told.blocks
        assert told.about is None
        assert "owner or admin" in (at.write_one(give(CARLA, SHOP, "viewer")).hint or "")


def test_the_plan_counts_one_form_a_change() -> None:
    """Two where an invitation is withdrawn first; the login, once, takes three requests. Nothing is paced."""
    with plausible(release=CE) as at:
        forecast, before = PLATFORM.forecast(at.live, at.reader.speed), at.reader.requests
        changes = turn(BEN, SHOP, "viewer", "editor"), give(CARLA, SHOP, "viewer")
        costs = [forecast.write(bundle) for change in changes for bundle in PLATFORM.bundle([change], at.live)]
        assert [(cost.requests, cost.seconds) for cost in costs] == [(5, 0.0), (1, 0.0)]
        at.write(*changes)
        assert at.reader.requests - before == 6
        assert at.reader.speed.least(1000, 1000) == 0


@pytest.mark.parametrize("fault", ["500-after-write", "cut-after-write"])
def test_a_lost_answer_is_settled_in_the_database(fault: str) -> None:
    """It took place; it is not sent again."""
    with plausible(release=CE) as at:
        at.fault(f"{fault}:POST invite")
        receipt = at.write_one(give(CARLA, BLOG, "viewer"))
        assert (receipt.status, receipt.sends) == ("sent", 1)
        assert len(at.writes()) == 1


@pytest.mark.parametrize(
    ("change", "on", "most"),
    [
        (give(CARLA, BLOG, "viewer"), "POST invite", 1),
        (take(ANNA, SHOP, "viewer"), "DELETE memberships", 1),
        (take(BEN, SHOP, "viewer"), "DELETE invitations", 5),
        (turn(ANNA, SHOP, "viewer", "editor"), "PUT role", 5),
    ],
    ids=["invite", "remove", "withdraw", "turn"],
)
def test_only_forms_that_send_no_mail_are_sent_again(change: Change, on: str, most: int) -> None:
    """A proxy that lets nothing through: all stay unknown, and some are tried a few times."""
    with plausible(release=CE) as at:
        at.fault(f"503x0:{on}")
        receipt = at.write_one(change)
        assert (receipt.status, receipt.awaited) == ("unknown", True)
        method, _, path = on.partition(" ")
        assert len([call for call in at.fake.calls if call.method == method and path in call.path]) == most
        at.fake.faults.clear()
        assert at.write_one(change).status == "sent"


# -- the session


def test_reading_needs_no_account() -> None:
    """The database shows all; only who writes logs in, and only then."""
    fake = community()
    url = {"database_url": Secret(fake.tables.url)}
    with PLATFORM.connect(Settings(), Secrets(url), link_of(fake)) as doors:
        traits, seed = PLATFORM.probe(doors.reader, Settings())
        live = PLATFORM.read(doors.reader, Settings(), traits, seed)
        assert live.me is None
        receipts = PLATFORM.write(doors.writer, PLATFORM.bundle([give(CARLA, SHOP, "viewer")], live)[0], live)
        assert receipts[0].status == "failed"
        assert "_EMAIL" in (receipts[0].hint or "")
    assert all("/login" not in call.path for call in fake.calls)


def logged(at: At) -> list[str]:
    return [call for call in at.calls() if call.startswith("POST /login")]


def test_one_login_serves_all_writes() -> None:
    """Five attempts a minute are all there are."""
    with plausible(release=CE) as at:
        for name in "cdefgh":
            assert at.write_one(give(f"{name}@example.org", BLOG, "viewer")).status == "sent"
        assert len(logged(at)) == 1


def test_a_session_that_ended_is_begun_anew() -> None:
    """The form led to the login, so nothing was done: it is sent once more."""
    with plausible(release=CE) as at:
        at.write_one(give(CARLA, BLOG, "viewer"))
        fake = at.fake
        assert isinstance(fake, CommunityFake)
        fake.sessions.clear()
        assert at.write_one(give("dan@example.org", BLOG, "viewer")).status == "sent"
        assert len(logged(at)) == 2


def test_a_token_that_is_stale_is_fetched_anew() -> None:
    """403 says "forged": nothing was done."""
    with plausible(release=CE) as at:
        at.write_one(give(CARLA, BLOG, "viewer"))
        fake = at.fake
        assert isinstance(fake, CommunityFake)
        for session in fake.sessions.values():
            session.token = "another"
        assert at.write_one(give("dan@example.org", BLOG, "viewer")).status == "sent"


def test_a_second_factor_is_given() -> None:
    """By the server's clock, which is the one that counts."""
    with plausible(world({"totp": "JBSWY3DPEHPK3PXP"}), CE) as at:
        assert at.write_one(give(CARLA, BLOG, "viewer")).status == "sent"


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"password": "wrong-word"}, "did not accept the e-mail and password"),
        ({"totp_secret": "AAAAAAAAAAAAAAAA"}, "did not accept the second factor"),
        ({"totp_secret": "0189"}, "not valid base32"),
    ],
)
def test_credentials_that_open_nothing_are_told(others: dict[str, str], words: str) -> None:
    """Without a word of them."""
    fake = community(world({"totp": "JBSWY3DPEHPK3PXP"}))
    with PLATFORM.connect(Settings(), secrets_of(fake, **others), link_of(fake)) as doors:
        with pytest.raises(UnauthenticatedError, match=words) as caught:
            doors.writer.command("POST", f"/sites/{SHOP}/memberships/invite", form={}, redirects=True)
        assert not any(other in str(caught.value) for other in others.values())


@pytest.mark.parametrize(
    ("others", "logins"),
    [
        ({"password": "wrong-word"}, 1),
        ({"totp_secret": "AAAAAAAAAAAAAAAA"}, 2),
    ],
)
def test_a_password_that_was_refused_is_not_sent_again(others: dict[str, str], logins: int) -> None:
    """Five attempts a minute are all there are; but the next code of a second factor may be good."""
    fake = community(world({"totp": "JBSWY3DPEHPK3PXP"}))
    with PLATFORM.connect(Settings(), secrets_of(fake, **others), link_of(fake)) as doors:
        for _ in range(2):
            with pytest.raises(UnauthenticatedError):
                doors.writer.command("POST", f"/sites/{SHOP}/memberships/invite", form={}, redirects=True)
    assert [(call.method, call.path) for call in fake.calls].count(("POST", "/login")) == logins


def test_a_second_factor_nobody_gave_is_asked_for() -> None:
    """With the name of the field."""
    fake = community(world({"totp": "JBSWY3DPEHPK3PXP"}))
    del fake.credentials["totp_secret"]
    with (
        PLATFORM.connect(Settings(), secrets_of(fake), link_of(fake)) as doors,
        pytest.raises(UnauthenticatedError, match="second factor") as caught,
    ):
        doors.writer.command("POST", f"/sites/{SHOP}/memberships/invite", form={}, redirects=True)
    assert "TOTP_SECRET" in (caught.value.hint or "")


@pytest.mark.parametrize("place", ["/activate", "/2fa/setup/force-initiate"])
def test_an_account_that_is_led_elsewhere_is_told(place: str) -> None:
    """MAPPING.md section 5: a forced second factor, or an address nobody has confirmed."""
    with plausible(release=CE) as at:
        fake = at.fake
        assert isinstance(fake, CommunityFake)
        fake.closed = place
        receipt = at.write_one(give(CARLA, BLOG, "viewer"))
        assert receipt.status == "failed"
        assert place in receipt.message


def test_too_many_logins_are_waited_for() -> None:
    """The sixth attempt in a minute is turned away; the next minute is another."""
    clock = Clock()
    fake = fake_of(None, CE, clock)
    assert isinstance(fake, CommunityFake)
    clock.passed = 30
    fake.attempts[SELF, int(fake.clock().timestamp()) // 60] = 5
    with plausible(fake=fake, clock=clock) as at:
        assert at.write_one(give(CARLA, BLOG, "viewer")).status == "sent"
        assert clock.passed == 60.5


def test_a_page_that_is_none_of_plausibles_is_told() -> None:
    """A proxy's login before it, for example."""
    fake = community()
    page = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>Intranet</html>"))
    link = Link(url="http://plausible.test", transport=page, sleep=lambda _: None)
    with (
        PLATFORM.connect(Settings(), secrets_of(fake), link) as doors,
        pytest.raises(GateError, match="shows a page for people") as told,
    ):
        doors.writer.command("POST", "/sites/a/memberships/invite", form={}, redirects=True)
    assert "_HEADERS" in (told.value.hint or "")


def test_a_login_page_elsewhere_is_told_with_where_it_leads() -> None:
    """The usual mistake, http instead of https: the hint names what to correct."""
    fake = community()
    away = httpx.Response(301, headers={"Location": "https://plausible.test:8443/login?x=s3cret"})
    link = Link(url="http://plausible.test", transport=httpx.MockTransport(lambda _: away), sleep=lambda _: None)
    with (
        PLATFORM.connect(Settings(), secrets_of(fake), link) as doors,
        pytest.raises(NotThePlatformError, match="redirects /login to") as told,
    ):
        doors.writer.command("POST", "/sites/a/memberships/invite", form={}, redirects=True)
    assert "to https://plausible.test:8443/login; nothing was sent there" in str(told.value)


def test_the_doctor_says_whose_account_it_is() -> None:
    """And what it may do there."""
    with plausible(release=CE) as at:
        reach = PLATFORM.reach(at.reader, at.settings, at.traits)
        assert (reach.account, reach.role) == (SELF, "team admin")
        assert "invite, change and remove guests" in reach.may


@pytest.mark.parametrize(
    "place",
    [
        "https://sso.test/login",
        "https://plausible.test/login",
        "http://plausible.test/stats2/login",
        "/login",
        "//sso.test/login",
    ],
)
def test_a_redirect_to_a_login_elsewhere_is_none_of_plausibles(place: str) -> None:
    """Another host, scheme or path, whatever its page is called: the session is not over, and nothing is sent again."""
    fake = community()
    seen: list[str] = []

    def before(request: httpx.Request) -> httpx.Response:
        if "/memberships/" in request.url.path:
            seen.append(request.url.path)
            return httpx.Response(302, headers={"Location": place})
        inner = httpx.Request(
            request.method,
            request.url.copy_with(raw_path=request.url.raw_path.removeprefix(b"/stats")),
            headers=request.headers,
            stream=request.stream,
        )
        answer = in_process(fake).handle_request(inner)
        if "location" in answer.headers:
            answer.headers["location"] = f"/stats{answer.headers['location']}"
        return answer

    link = Link(url="http://plausible.test/stats", transport=httpx.MockTransport(before), sleep=lambda _: None)
    with (
        PLATFORM.connect(Settings(), secrets_of(fake), link) as doors,
        pytest.raises(RedirectedError, match="nothing was sent there"),
    ):
        doors.writer.command("POST", "/sites/a/memberships/invite", form={}, redirects=True)
    assert len(seen) == 1
