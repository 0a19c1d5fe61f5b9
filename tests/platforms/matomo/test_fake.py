"""The stand-in where no recording speaks: scale, time, faults, the browser's side, and the worlds it starts from."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest

from platforms.matomo.recorded import FORM, Clock, Server
from platforms.matomo.rig import NOW, RELEASES
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite, in_process, serve
from siteward.platforms.matomo.fake import FAKE
from siteward.platforms.matomo.fake.php import export, xml


def _scale() -> Server:
    """Return a 4.16 with 300 people and 200 sites, as recording 13 had."""
    server = Server("4.16")
    for number in range(199):
        server.ask("SitesManager.addSite", siteName=f"S{number}")
    for number in range(300):
        server.state.add_user(f"user{number:03}", f"u{number}@example.test", "")
    return server


def _bulk(server: Server, count: int, **query: str) -> list[object]:
    entries = [("urls[]", "method=API.getMatomoVersion")] * count
    body = urlencode([("token_auth", server.tokens["root"]), *entries])
    params = {"module": "API", "method": "API.getBulkRequest", "format": "JSON", **query}
    answer: list[object] = server.client.post("/", params=params, content=body, headers=FORM).json()
    return answer


def _bare(server: Server, method: str, **params: str) -> httpx.Response:
    """Call without `filter_limit`."""
    query = {"module": "API", "method": method, "format": "JSON", **params}
    return server.client.post("/index.php", params=query, data={"token_auth": server.tokens["root"]})


def test_scale() -> None:
    """Recording 13: every list is cut to 100 without a word, bulks too, and PHP drops fields after the thousandth."""
    server = _scale()
    for method, whole in (("UsersManager.getUsers", 302), ("UsersManager.getUsersLogin", 302),
                          ("SitesManager.getAllSites", 200), ("SitesManager.getAllSitesId", 200)):  # fmt: skip
        assert len(_bare(server, method).json()) == 100
        assert len(_bare(server, method, filter_limit="-1").json()) == whole
    assert len(_bulk(server, 150)) == 100
    assert len(_bulk(server, 150, filter_limit="-1")) == 150
    assert len(_bulk(server, 1100, filter_limit="-1")) == 1000
    paged = _bare(server, "UsersManager.getUsersPlusRole", idSite="1", limit="150")
    assert (len(paged.json()), paged.headers["x-matomo-total-results"]) == (100, "302")


def test_sites_named_one_by_one_are_lost_after_the_thousandth_field() -> None:
    """Recording 13#60-63: an array of 1,100 ids arrives as 998, a comma list of 3,000 whole."""
    server = Server("4.16")
    server.add_user("ben")
    server.ask(
        "UsersManager.setUserAccess", userLogin="ben", access="view", idSites=[str(at + 1) for at in range(1100)]
    )
    assert len(server.state.rows_of("ben")) == 998
    server.ask(
        "UsersManager.setUserAccess",
        userLogin="ben",
        access="view",
        idSites=",".join(str(at + 1) for at in range(3000)),
    )
    assert len(server.state.rows_of("ben")) == 3000


@pytest.mark.parametrize("release", RELEASES)
def test_a_fresh_server_is_as_the_installer_leaves_it(release: str) -> None:
    server = Server(release)
    users = server.ask("UsersManager.getUsers")
    assert isinstance(users, list)
    assert [user["login"] for user in users] == ["anonymous", "root"]
    assert [user["email"] for user in users] == ["anonymous@example.org", "root@example.test"]
    sites = server.ask("SitesManager.getSitesWithAtLeastViewAccess")
    assert isinstance(sites, list)
    assert [site["name"] for site in sites] == ["Site One"]
    assert set(server.fake.credentials) == {"token", "password"}


def test_the_token_of_piwik_2_is_made_of_login_and_password() -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    assert Server("2.18").fake.credentials["token"] == md5("root" + md5("root-pass-1234"))


@pytest.mark.parametrize("release", RELEASES)
def test_the_demo_has_the_people_of_the_other_platforms(release: str) -> None:
    fake = FAKE.lived_in(release, clock=lambda: NOW)
    people = {user.login for user in fake.state.users.values()}
    assert {"anna", "ben", "jonas", "mia", "reports", "old-ed", "hana", "breakglass-1"} <= people
    assert {superuser.login for superuser in fake.state.superusers()} == {
        "root",
        "anna",
        "ben",
        "breakglass-1",
        "tmp-agency",
    }
    pending = {user.login for user in fake.state.users.values() if user.pending}
    assert pending == ({"sven", "tess"} if fake.state.release.since(4, 11) else set())


def test_a_world_may_say_everything_an_instance_holds() -> None:
    world = World(
        accounts=(WorldAccount(login="ivy", status="pending"), WorldAccount(login="root", email="ops@example.org")),
        sites=(WorldSite(name="Shop", domain="shop.example.org", id="7", group="Team"),),
        grants=(WorldGrant(account="ivy", site="shop.example.org", role="view", extras=("tagmanager_write",)),),
    )
    state = FAKE.of(world, "5.3", clock=lambda: NOW).state
    assert state.access_on("ivy", 7) == ["view", "tagmanager_write"]
    assert state.users["ROOT"].email == "ops@example.org"
    assert state.users["IVY"].pending


@pytest.mark.parametrize(
    ("world", "release"),
    [
        (World(accounts=(WorldAccount(login="a", role="owner"),)), "5.3"),
        (World(sites=(WorldSite(name="S", domain="s.example"),),
               grants=(WorldGrant(account="nobody", site="s.example", role="view"),)), "5.3"),
        (World(accounts=(WorldAccount(login="ben"),), sites=(WorldSite(name="S", domain="s.example"),),
               grants=(WorldGrant(account="ben", site="s.example", role="write"),)), "2.18"),
        (World(accounts=(WorldAccount(login="ben", status="pending"),)), "3.14"),
    ],
)  # fmt: skip
def test_a_world_that_cannot_be_is_refused(world: World, release: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FAKE.of(world, release, clock=lambda: NOW)


def test_invitations_that_ran_out_are_deleted_by_the_day_three_days_later() -> None:
    clock = Clock()
    server = Server("5.3", clock)
    server.ask("UsersManager.inviteUser", userLogin="ivy", email="ivy@example.test", initialIdSite=1)
    clock.advance(days=7, seconds=1)
    shown = server.ask("UsersManager.getUser", userLogin="ivy")
    assert isinstance(shown, dict)
    assert shown["invite_status"] == "expired"
    clock.advance(days=3)
    assert server.ask("UsersManager.userExists", userLogin="ivy") == {"value": False}


def test_a_lock_out_ends_within_the_hour() -> None:
    clock = Clock()
    server = Server("5.3", clock)
    server.tokens["bad"] = "0" * 32
    for _ in range(22):
        server.ask("API.getMatomoVersion", token="bad")
    assert "Too many failed logins" in str(server.ask("API.getMatomoVersion"))
    clock.advance(minutes=61)
    assert server.ask("API.getMatomoVersion") == {"value": "5.3.0-alpha"}


def test_the_browser_logs_in_and_is_seen_and_api_calls_are_not() -> None:
    server = Server("5.3")
    page = server.client.get("/index.php?module=Login").text
    nonce = re.search(r'name="form_nonce"[^>]*value="([^"]+)"', page)
    assert nonce
    form = {"form_login": "root", "form_password": "wrong-one", "form_nonce": nonce[1]}
    assert server.client.post("/index.php?module=Login", data=form).status_code == 200
    form["form_password"] = "root-pass-1234"
    assert server.client.post("/index.php?module=Login", data=form).status_code == 302
    assert "last_seen" not in str(server.ask("UsersManager.getUser", userLogin="root"))
    assert "token_auth" in server.client.get("/index.php?module=UsersManager&action=userSettings").text
    assert "last_seen" in str(server.ask("UsersManager.getUser", userLogin="root"))


def test_an_invitation_is_accepted_through_its_link_once() -> None:
    server = Server("5.3")
    server.ask("UsersManager.inviteUser", userLogin="ivy", email="ivy@example.test", initialIdSite=1)
    answer = server.ask("UsersManager.generateInviteLink", userLogin="ivy")
    assert isinstance(answer, dict)
    link = str(answer["value"])
    token = link.rpartition("=")[2]
    form = {"token": token, "password": "Accepted-123", "passwordConfirmation": "Accepted-123", "invitation_form": "1"}
    assert server.client.post(link, data=form).status_code == 302
    shown = server.ask("UsersManager.getUser", userLogin="ivy")
    assert isinstance(shown, dict)
    assert shown["invite_status"] == "active"
    assert "not valid" in server.client.post(link, data=form).text


def test_nothing_is_answered_below_other_paths() -> None:
    assert Server("5.3").client.get("/admin/users").status_code == 404


@pytest.mark.parametrize("release", RELEASES)
def test_faults_strike_and_writes_are_counted(release: str) -> None:
    server = Server(release)
    before = server.fake.writes
    server.ask("UsersManager.getUsers")
    assert server.fake.writes == before
    server.fake.faults.append(Fault("500-after-write"))
    sent = {
        "token_auth": server.tokens["root"],
        "userLogin": "ben",
        "password": "Secret-123",
        "email": "b@example.test",
    }
    query = "/?module=API&method=UsersManager.addUser&format=JSON"
    assert server.client.post(query, data=sent).status_code == 500
    assert server.state.user("ben") is not None
    assert server.fake.writes == before + 1


def test_it_answers_on_a_socket() -> None:
    with serve(FAKE.fresh("3.14", clock=lambda: NOW)) as sandbox:
        token = sandbox.fake.credentials["token"]
        answer = httpx.post(
            f"{sandbox.url}/?module=API&method=API.getPiwikVersion&format=JSON", data={"token_auth": token}
        )
    assert answer.json() == {"value": "3.14.1"}


def test_tokens_run_out() -> None:
    clock = Clock()
    server = Server("5.3", clock)
    made = server.ask("UsersManager.createAppSpecificTokenAuth", token=None, userLogin="root",
                      passwordConfirmation="root-pass-1234", description="x", expireHours=1)  # fmt: skip
    assert isinstance(made, dict)
    server.tokens["hour"] = str(made["value"])
    assert server.ask("API.getMatomoVersion", token="hour") == {"value": "5.3.0-alpha"}
    clock.now += timedelta(hours=2)
    assert "Unable to authenticate" in str(server.ask("API.getMatomoVersion", token="hour"))


def test_values_are_shown_as_php_shows_them() -> None:
    assert export(["a'b", {"k": None, "1": True}]) == (
        "array (\n  0 => 'a\\'b',\n  1 => \n  array (\n    'k' => NULL,\n    1 => true,\n  ),\n)"
    )
    assert xml({"a": [], "b": "<"}).endswith("<result>\n\t<a />\n\t<b>&lt;</b>\n</result>")


def test_in_process_and_socket_are_the_same_server() -> None:
    fake = FAKE.fresh("5.3", clock=lambda: NOW)
    client = httpx.Client(transport=in_process(fake), base_url="http://x.invalid")
    assert client.get("/?module=API&method=API.getMatomoVersion&format=JSON").status_code == 401


def test_a_parameter_of_a_later_release_changes_nothing() -> None:
    """Invitations came with 4.11 and sessions of the API after 2.x: older releases look at neither parameter."""
    old = Server("3.14")
    assert old.ask("UsersManager.getUsersPlusRole", idSite=1, filter_status="pending") == old.ask(
        "UsersManager.getUsersPlusRole", idSite=1
    )
    older = Server("2.18")
    made = older.ask(
        "UsersManager.deleteUser", userLogin="nobody", force_api_session=1, expiryInDays=3, initialIdSite=1
    )
    assert made == older.ask("UsersManager.deleteUser", userLogin="nobody")


def test_a_world_may_say_what_only_matomo_knows() -> None:
    row = {"login": "böb", "site": "a.example.org", "access": "view"}
    more: dict[str, object] = {
        "plugins": {"TagManager": False, "GroupPermissions": True},
        "groups": [{"name": "editors", "members": ["bob"], "access": {"b.example.org": "admin"}}],
        "collation": "utf8mb4_unicode_ci",
        "rows": [row],
        "bulk_limit": 5,
    }
    sites = tuple(WorldSite(name=letter, domain=f"{letter}.example.org") for letter in "ab")
    fake = FAKE.of(World(accounts=(WorldAccount(login="bob"),), sites=sites, more=more), "5.3", clock=lambda: NOW)
    assert (fake.state.sites_with("bob", "admin"), fake.state.sites_with("bob", "view")) == ([2], [1])
    assert fake.state.key("ß") == "SS"
    bad: tuple[dict[str, object], ...] = (
        {"plugin": {}},
        {"plugins": {"Nope": True}},
        {"rows": [{**row, "site": "x"}]},
    )
    for wrong in bad:
        with pytest.raises(ValueError, match=r"plugin|Nope|no site 'x'"):
            FAKE.of(World(sites=sites, more=wrong), "5.3", clock=lambda: NOW)
