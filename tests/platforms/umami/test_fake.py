"""The Umami stand-in beyond its recordings: the worlds it starts with, its faults, and the traps in other shapes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite, in_process, serve
from siteward.platforms.umami.fake import FAKE, UmamiFake

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
GHOST = "55555555-5555-4555-8555-555555555555"
THREE = ("3.2", "3.1")
PAGE = {"pageSize": "100000"}


class Person:
    """Somebody with a token."""

    def __init__(self, fake: UmamiFake, username: str, password: str) -> None:
        self.fake = fake
        self.client = httpx.Client(transport=in_process(fake), base_url=fake.url)
        self.signed = self.client.post("/api/auth/login", json={"username": username, "password": password})
        self.client.headers["authorization"] = f"Bearer {self.signed.json().get('token')}"

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.client.get(path, params=query)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, json=body)

    def delete(self, path: str) -> httpx.Response:
        return self.client.delete(path)

    def every(self, what: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/api/admin/{what}", **(query or PAGE)).json()["data"]
        return found

    def new(self, username: str, role: str = "user", password: str = "Passw0rd!") -> str:
        return str(self.post("/api/users", username=username, password=password, role=role).json()["id"])


def fresh(release: str = "3.2") -> UmamiFake:
    return FAKE.fresh(release, clock=lambda: NOW)


def admin(fake: UmamiFake) -> Person:
    return Person(fake, "admin", "umami")


@pytest.fixture(params=FAKE.releases)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def boss(release: str) -> Iterator[Person]:
    made = admin(fresh(release))
    yield made
    made.client.close()


def test_a_fresh_server_is_the_products_own(boss: Person) -> None:
    """admin/umami with the seeded id, and nothing else."""
    assert [(row["id"], row["username"], row["role"]) for row in boss.every("users")] == [
        ("41e2b680-648e-4b09-bcd7-3e2b10c06264", "admin", "admin")
    ]
    assert boss.fake.credentials == {"username": "admin", "password": "umami"}
    assert not boss.fake.state.teams
    assert not boss.fake.state.websites


def test_the_demo_is_lived_in(release: str) -> None:
    """30 users, 12 sites, an ex-contractor still inside, an extra admin, an orphan, a ghost, a public link."""
    fake = FAKE.lived_in(release, clock=lambda: NOW)
    me = Person(fake, **fake.credentials)
    state = fake.state
    assert (len(state.users), len(state.websites), me.signed.status_code) == (30, 12, 200)
    admins = {user.username for user in state.users.values() if user.role == "admin"}
    assert admins == {"admin", "siteward", "anna", "ben", "breakglass-1", "tmp-agency"}
    old_ed = state.names["old-ed"].id
    assert sum(row.user == old_ed for rows in state.members.values() for row in rows) == 3
    owners = Counter("nobody" if not (website.user or website.team) else "team" if website.team else
                     state.users[str(website.user)].username for website in state.websites.values())  # fmt: skip
    assert owners == {"team": 8, "siteward": 2, "petra": 1, "nobody": 1}
    assert sum(row.user not in state.users for rows in state.members.values() for row in rows) == 1
    assert len(state.shares) == 1


def test_the_same_world_is_the_same_server() -> None:
    """Ids come from the world, so that what is shown of it can be checked in; tokens open one server alone."""
    first, second = (FAKE.lived_in("3.2", clock=lambda: NOW) for _ in range(2))
    assert list(first.state.users) == list(second.state.users)
    unmanaged_account = Person(second, **second.credentials)
    unmanaged_account.client._transport = in_process(first)
    assert unmanaged_account.get("/api/me").status_code == 401


def test_a_world_becomes_teams() -> None:
    """One team a site, the service admin its owner; owned and orphaned sites have none."""
    world = World(
        accounts=(WorldAccount(login="anna", role="user"), WorldAccount(login="ben")),
        sites=(
            WorldSite(name="Shop", domain="shop.example.org"),
            WorldSite(name="Lab", domain="lab.example.org", owner="anna"),
            WorldSite(name="Left", domain="left.example.org"),
            WorldSite(name="A", domain="a.example.org", group="Shared"),
            WorldSite(name="B", domain="b.example.org", group="Shared"),
        ),
        grants=(WorldGrant(account="ben", site="shop.example.org", role="team-view-only"),),
        more={
            "orphans": ["left.example.org"],
            "teams": [{"name": "Shared", "owner": "anna", "members": [{"account": "ben", "role": "team-member"}]}],
            "rows": [{"site": "shop.example.org", "account": "ben", "role": "team-member"}],
            "shares": [{"site": "lab.example.org", "slug": "lab-for-all"}],
            "redis": True,
        },
    )
    fake = FAKE.of(world, "3.2", clock=lambda: NOW)
    me = Person(fake, **fake.credentials)
    teams = {row["name"]: row for row in me.every("teams")}
    shown = {name: [(row["user"]["username"], row["role"]) for row in team["members"]] for name, team in teams.items()}
    assert shown == {
        "acl:shop.example.org": [("siteward", "team-owner"), ("ben", "team-view-only"), ("ben", "team-member")],
        "Shared": [("anna", "team-owner"), ("ben", "team-member")],
    }
    sites = {row["domain"]: row for row in me.every("websites")}
    assert sites["lab.example.org"]["user"]["username"] == "anna"
    assert sites["lab.example.org"]["shareId"] == "lab-for-all"
    assert (sites["left.example.org"]["userId"], sites["left.example.org"]["teamId"]) == (None, None)
    assert sites["a.example.org"]["teamId"] == sites["b.example.org"]["teamId"] == teams["Shared"]["id"]
    assert {user.role for user in fake.state.users.values()} == {"admin", "user", "view-only"}
    assert fake.redis


@pytest.mark.parametrize(
    "wrong",
    [
        {"grants": [{"account": "nobody", "site": "shop.example.org", "role": "team-member"}]},
        {"grants": [{"account": "siteward", "site": "no.example.org", "role": "team-member"}]},
        {"sites": [{"name": "A", "domain": "a.example.org", "group": "none"}]},
        {"sites": [{"name": "A", "domain": "a.example.org", "owner": "nobody"}]},
        {"more": {"unknown": 1}},
    ],
)
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """A grant to nobody, or on a site without a team, is said and not dropped."""
    world = {"sites": [{"name": "Shop", "domain": "shop.example.org"}], **wrong}
    with pytest.raises(ValueError, match=r".+"):
        FAKE.of(World.model_validate(world), "3.2", clock=lambda: NOW)


def test_rows_of_one_instant_get_lost_between_pages(boss: Person) -> None:
    """Ties have no order: pages lose some and double others, while one big page has them all."""
    for number in range(45):
        boss.new(f"list{number:02d}")
    for user in boss.fake.state.users.values():
        user.created = "2026-01-01T00:00:00.000Z"
    walked = [row["id"] for at in range(1, 8) for row in boss.every("users", page=str(at), pageSize="7")]
    assert len(walked) == 46
    assert len(set(walked)) < 46
    assert len({row["id"] for row in boss.every("users")}) == 46


def test_parallel_adds_make_duplicates_on_a_socket() -> None:
    """Nothing makes a pair unique; a role change then hits one row, and a removal all of them."""
    fake = fresh()
    boss = admin(fake)
    team = boss.post("/api/teams", name="Race").json()[0]["id"]
    anna = boss.new("anna")
    body = {"username": "same", "password": "Passw0rd!", "role": "user"}
    token = boss.client.headers["authorization"]
    path, row = f"/api/teams/{team}/users", {"userId": anna, "role": "team-member"}
    fake.race = 0.05
    with (
        serve(fake) as box,
        httpx.Client(base_url=box.url, headers={"authorization": token}) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        added = [response.status_code for response in pool.map(lambda _: client.post(path, json=row), range(8))]
        rows = [row for row in client.get(path).json()["data"] if row["userId"] == anna]
        assert len(rows) == added.count(200) > 1
        client.post(f"{path}/{anna}", json={"role": "team-view-only"})
        roles = Counter(row["role"] for row in client.get(path).json()["data"] if row["userId"] == anna)
        assert roles["team-view-only"] == 1
        assert client.delete(f"{path}/{anna}").json() == {"ok": True}
        assert client.get(path).json()["count"] == 1
        names = pool.map(lambda _: client.post("/api/users", json=body).status_code, range(8))
        assert Counter(names)[200] == 1
        assert len(client.get("/api/admin/users").json()["data"]) == 3


@pytest.mark.parametrize("release", THREE)
def test_nothing_is_looked_up_when_rows_are_tied_together(boss: Person) -> None:
    """Unknown users, owners and teams are taken with 200, shown, and not counted."""
    team = boss.post("/api/teams", name="T").json()[0]["id"]
    assert boss.post(f"/api/teams/{team}/users", userId=GHOST, role="team-member").status_code == 200
    assert boss.post("/api/teams", name="Ghost's", ownerId=GHOST).json()[1]["userId"] == GHOST
    assert boss.post("/api/websites", name="W", domain="w", teamId=GHOST).json()["teamId"] == GHOST
    shown = {row["name"]: row for row in boss.every("teams")}
    assert [row["user"] is None for row in shown["T"]["members"]] == [False, True]
    assert shown["T"]["_count"]["members"] == 1
    assert shown["Ghost's"]["_count"]["members"] == 0
    assert boss.every("websites")[0]["team"] is None


def test_deleting_an_owner_takes_teams_along_and_orphans_sites(boss: Person) -> None:
    """What API.md section 4 lists, on every release."""
    anna = boss.new("anna")
    her = Person(boss.fake, "anna", "Passw0rd!")
    own = her.post("/api/websites", name="own", domain="own").json()["id"]
    team = her.post("/api/teams", name="hers").json()[0]["id"]
    site = her.post("/api/websites", name="team's", domain="t", teamId=team).json()["id"]
    assert boss.delete(f"/api/users/{anna}").status_code == 200
    assert her.get("/api/me").status_code == 401
    assert boss.get(f"/api/websites/{own}").text == "null"
    left = boss.get(f"/api/websites/{site}").json()
    assert (left["userId"], left["teamId"], left["createdBy"]) == (None, None, None)
    assert boss.post(f"/api/websites/{site}/transfer", userId=boss.signed.json()["user"]["id"]).status_code == 401
    assert team not in boss.fake.state.members


def test_what_hangs_on_a_site_keeps_its_owner(boss: Person) -> None:
    """A segment or a revenue blocks the deletion with an empty 500; without them the way is free."""
    anna = boss.new("anna")
    her = Person(boss.fake, "anna", "Passw0rd!")
    site = her.post("/api/websites", name="s", domain="s").json()["id"]
    sale = {"website": site, "name": "buy", "data": {"revenue": 5, "currency": "USD"}}
    assert boss.post("/api/send", type="event", payload=sale).status_code == 200
    blocked = boss.delete(f"/api/users/{anna}")
    assert (blocked.status_code, blocked.content) == (500, b"")
    assert her.post(f"/api/websites/{site}/reset").json() == {"ok": True}
    made = her.post(f"/api/websites/{site}/segments", type="segment", name="g", parameters={"filters": []}).json()
    assert boss.delete(f"/api/users/{anna}").status_code == 500
    assert her.delete(f"/api/websites/{site}/segments/{made['id']}").json() == {"ok": True}
    assert boss.delete(f"/api/users/{anna}").json() == {"ok": True}


@pytest.mark.parametrize(("release", "left"), [("3.2", 0), ("3.1", 3)])
def test_boards_links_and_pixels_of_the_deleted(boss: Person, left: int) -> None:
    """3.2 takes them along, 3.1 leaves them without an owner."""
    anna = boss.new("anna")
    her = Person(boss.fake, "anna", "Passw0rd!")
    her.post("/api/boards", type="mixed", name="b", description="d")
    her.post("/api/links", name="l", url="https://x.example", slug="slug-of-l")
    her.post("/api/pixels", name="p", slug="slug-of-p")
    assert [her.get(f"/api/{kind}").json()["count"] for kind in ("boards", "links", "pixels")] == [1, 1, 1]
    boss.delete(f"/api/users/{anna}")
    assert [thing.user for thing in boss.fake.state.things.values()] == [None] * left


def test_a_token_is_as_good_as_its_account(boss: Person) -> None:
    """Role and existence are read on every call; a new password ends old tokens in 3.2 alone."""
    anna = boss.new("anna")
    her = Person(boss.fake, "anna", "Passw0rd!")
    assert her.get("/api/admin/users").status_code == 401
    boss.post(f"/api/users/{anna}", username="anna", role="admin")
    assert her.get("/api/admin/users").status_code == 200
    boss.post(f"/api/users/{anna}", username="anna", password="An0ther-one")
    assert her.get("/api/me").status_code == (401 if boss.fake.new else 200)
    boss.delete(f"/api/users/{anna}")
    assert her.get("/api/me").status_code == 401


def test_with_redis_a_token_lasts_an_hour(release: str) -> None:
    """Use does not renew it, and logging out ends it in 3.2 alone."""
    clock = [NOW]
    fake = FAKE.fresh(release, clock=lambda: clock[0])
    fake.redis = True
    boss = admin(fake)
    clock[0] += timedelta(minutes=59)
    assert boss.get("/api/me").json()["authKey"].startswith("auth:")
    clock[0] += timedelta(minutes=1)
    assert boss.get("/api/me").status_code == 401
    boss = admin(fake)
    day = boss.post("/api/auth/sso").json()["token"]
    assert boss.post("/api/auth/logout").json() == {"ok": True}
    assert boss.get("/api/me").status_code == (401 if fake.new else 200)
    clock[0] += timedelta(hours=23)
    boss.client.headers["authorization"] = f"x {day}"
    assert boss.get("/api/me").status_code == 200


@pytest.mark.parametrize(("release", "stored"), [("3.2", "anna.b"), ("3.1", "Anna.B"), ("2.20", "Anna.B")])
def test_names_are_folded_by_3_2_alone(boss: Person, stored: str) -> None:
    """On create, rename and login; the reply to a login echoes what was typed."""
    made = boss.post("/api/users", username="Anna.B", password="Passw0rd!", role="user").json()
    assert made["username"] == stored
    again = Person(boss.fake, "ANNA.B", "Passw0rd!").signed
    assert again.status_code == (200 if stored == "anna.b" else 401)
    if again.status_code == 200:
        assert again.json()["user"]["username"] == "ANNA.B"


def test_passwords_end_at_72_bytes_not_letters(boss: Person) -> None:
    """bcrypt looks no further, and counts bytes."""
    boss.new("anna", password="ü" * 40)
    assert Person(boss.fake, "anna", "ü" * 36).signed.status_code == 200
    assert Person(boss.fake, "anna", "ü" * 35).signed.status_code == 401


@pytest.mark.parametrize("release", THREE)
@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"username": "😀" * 128}, "username", "Too big: expected string to have <=255 characters"),
        ({"username": ["a"]}, "username", "Invalid input: expected string, received array"),
        ({"username": True}, "username", "Invalid input: expected string, received boolean"),
        ({"password": None}, "password", "Invalid input: expected string, received null"),
        ({"role": 1}, "role", 'Invalid option: expected one of "admin"|"user"|"view-only"'),
        ({"id": "11111111-1111-9111-8111-111111111111"}, "id", "Invalid UUID"),
        ({"id": None}, "id", "Invalid input: expected string, received null"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_in_a_tree(
    boss: Person, body: dict[str, Any], field: str, words: str
) -> None:
    """3.x names each field and what it expected, before it asks who is there."""
    boss.client.headers.pop("authorization")
    answer = boss.post("/api/users", **{"username": "a", "password": "Passw0rd!", "role": "user", **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["properties"] == {field: {"errors": [words]}}


@pytest.mark.parametrize("release", ["2.20"])
@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/users", {"username": 1, "role": "user"}, ["username: Expected string, received number", "password: Required"]),
        ("/api/users", {"username": "u" * 256, "password": "", "role": "user"}, ["username: String must contain at most 255 character(s)"]),
        ("/api/users", {"id": "x", "username": "u", "password": "", "role": "user"}, ["id: Invalid uuid"]),
        ("/api/me/password", {"currentPassword": "umami", "newPassword": "short"}, ["newPassword: String must contain at least 8 character(s)"]),
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_is_refused_in_a_list(
    boss: Person, path: str, body: dict[str, Any], words: list[str]
) -> None:
    """2.x says it flat."""
    answer = boss.post(path, **body)
    assert (answer.status_code, answer.json()) == (400, {"error": words})


def test_texts_that_no_database_takes(boss: Person) -> None:
    """NUL breaks the server; half a character becomes a whole one."""
    assert boss.post("/api/teams", name="a\0b").status_code == 500
    assert boss.get("/api/admin/users", search="\0").status_code == 500
    sent = boss.client.post("/api/teams", content=b'{"name": "a\\ud800b"}')
    assert sent.json()[0]["name"] == "a\ufffdb"
    assert boss.client.post("/api/teams", content=b"[" * 100_000).status_code == 400


def test_ids_are_read_as_the_database_reads_them(boss: Person) -> None:
    """Any spelling of a UUID will do in a path; anything else makes the server break."""
    mine = boss.signed.json()["user"]["id"]
    assert boss.get(f"/api/users/{mine.upper()}").json()["id"] == mine
    assert boss.get("/api/users/1").status_code == 500
    assert boss.get(f"/api/users/{GHOST}").text == "null"


@pytest.mark.parametrize(
    ("release", "first", "told"), [("3.2", "admin", "username"), ("3.1", "zoe", "createdAt"), ("2.20", "zoe", "username")]
)  # fmt: skip
def test_only_some_releases_sort(boss: Person, first: str, told: str) -> None:
    """3.1 drops the wish, 3.2 heeds it, and 2.x only ever sorts accounts downwards."""
    boss.new("zoe")
    answer = boss.get("/api/admin/users", orderBy="username").json()
    assert (answer["data"][0]["username"], answer["orderBy"]) == (first, told)
    unknown = boss.get("/api/admin/users", orderBy="password").status_code
    assert unknown == (500 if boss.fake.old else 200)


@pytest.mark.parametrize("release", THREE)
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"page": " "}, "Too small: expected number to be >0"),
        ({"page": "Infinity"}, "Invalid input: expected number, received Infinity"),
        ({"page": "-0x1"}, "Invalid input: expected number, received NaN"),
        ({"page": "1e3.5"}, "Invalid input: expected number, received NaN"),
    ],
)
def test_numbers_in_a_query_are_javascripts(boss: Person, query: dict[str, str], words: str) -> None:
    """A page is what `Number` makes of it, and then has to be whole and above zero."""
    assert boss.get("/api/admin/users", **query).json()["error"]["properties"] == {"page": {"errors": [words]}}
    assert boss.get("/api/admin/users", page="0x1", pageSize="1e1").json()["pageSize"] == 10


@pytest.mark.parametrize("release", THREE)
def test_a_share_outlives_its_link(boss: Person) -> None:
    """Who has the pass reads on after the link is gone; it reads that site and nothing else."""
    site, other = (boss.post("/api/websites", name=letter, domain=letter).json()["id"] for letter in "ab")
    slug = boss.post(f"/api/websites/{site}/shares", name="public").json()["slug"]
    with httpx.Client(transport=in_process(boss.fake), base_url=boss.fake.url) as anybody:
        passed = anybody.get(f"/api/share/{slug}").json()["token"]
        anybody.headers.update({"x-umami-share-token": passed, "x-umami-share-context": "1"})
        boss.post(f"/api/websites/{site}", shareId=None)
        assert anybody.get(f"/api/share/{slug}").status_code == 404
        assert anybody.get(f"/api/websites/{site}").json()["id"] == site
        when = {"startAt": 0, "endAt": 1}
        assert anybody.get(f"/api/websites/{site}/stats", params=when).status_code == 200
        assert anybody.get(f"/api/websites/{other}").status_code == 401
        assert anybody.post(f"/api/websites/{site}", json={"name": "x"}).status_code == 401


def test_2_x_has_one_link_a_site() -> None:
    """It stands among the site's columns and needs no context header."""
    boss = admin(fresh("2.20"))
    site = boss.post("/api/websites", name="a", domain="a", shareId="slug1234").json()
    assert (site["shareId"], boss.post("/api/websites", name="b", domain="b", shareId="slug1234").status_code) == (
        "slug1234",
        500,
    )
    with httpx.Client(transport=in_process(boss.fake), base_url=boss.fake.url) as anybody:
        passed = anybody.get("/api/share/slug1234").json()
        anybody.headers["x-umami-share-token"] = passed["token"]
        assert anybody.get(f"/api/websites/{site['id']}").status_code == 200
    assert boss.get("/api/config").status_code == boss.get("/api/boards").status_code == 404


@pytest.mark.parametrize(("release", "made", "read"), [("3.2", 400, None), ("3.1", 200, 200)])
def test_a_board_may_show_a_foreign_site_in_3_1(boss: Person, made: int, read: int | None) -> None:
    """The hole that 3.2 closes (API.md section 6)."""
    site = boss.post("/api/websites", name="secret", domain="s").json()["id"]
    boss.new("mallory")
    mallory = Person(boss.fake, "mallory", "Passw0rd!")
    parameters = {"websiteId": site}
    board = mallory.post("/api/boards", type="website", name="b", description="", parameters=parameters)
    assert board.status_code == made
    if read:
        slug = mallory.post(f"/api/boards/{board.json()['id']}/shares", name="s").json()["slug"]
        with httpx.Client(transport=in_process(boss.fake), base_url=boss.fake.url) as anybody:
            passed = anybody.get(f"/api/share/{slug}").json()["token"]
            anybody.headers.update({"x-umami-share-token": passed, "x-umami-share-context": "1"})
            assert anybody.get(f"/api/websites/{site}").status_code == read


def test_codes_open_teams_until_they_are_changed(boss: Person) -> None:
    """Any member reads the code, comes back with it as a member, and is out once it was changed."""
    team = boss.post("/api/teams", name="T").json()[0]
    anna = boss.new("anna", "view-only")
    boss.post(f"/api/teams/{team['id']}/users", userId=anna, role="team-view-only")
    her = Person(boss.fake, "anna", "Passw0rd!")
    code = her.get(f"/api/teams/{team['id']}").json()["accessCode"]
    assert her.delete(f"/api/teams/{team['id']}/users/{anna}").json() == {"ok": True}
    assert her.post("/api/teams/join", accessCode=code).json()["role"] == "team-member"
    boss.delete(f"/api/teams/{team['id']}/users/{anna}")
    boss.post(f"/api/teams/{team['id']}", accessCode="rotated")
    assert her.post("/api/teams/join", accessCode=code).status_code == 404


def test_a_token_may_expire_in_mid_run(boss: Person) -> None:
    """The fault ends the token that it hits, and signing in again opens the door."""
    boss.fake.faults.append(Fault.parse("expire-token@1:/api/admin"))
    assert [boss.get("/api/admin/users", **PAGE).status_code for _ in range(3)] == [200, 401, 401]
    assert admin(boss.fake).get("/api/admin/users").status_code == 200


def test_lists_may_lie(boss: Person) -> None:
    """Rows shift under a reader and totals are wrong; both can be told from what is listed."""
    for number in range(5):
        boss.new(f"u{number}")
    boss.fake.faults += [Fault.parse("shift-rows"), Fault.parse("lying-total@1")]
    shifted = boss.get("/api/admin/users", **PAGE).json()
    assert (len(shifted["data"]), len({row["id"] for row in shifted["data"]}), shifted["count"]) == (6, 5, 6)
    lying = boss.get("/api/admin/users", **PAGE).json()
    assert (len(lying["data"]), lying["count"]) == (6, 13)
    honest = boss.get("/api/admin/users", **PAGE).json()
    assert (len({row["id"] for row in honest["data"]}), honest["count"]) == (6, 6)


def test_rows_shift_between_pages(boss: Person) -> None:
    """On a later page the fault shows a row twice and leaves one out."""
    for number in range(5):
        boss.new(f"u{number}")
    boss.fake.faults.append(Fault.parse("shift-rows@1"))
    seen = [row["username"] for at in ("1", "2") for row in boss.every("users", page=at, pageSize="3")]
    assert (len(seen), len(set(seen))) == (6, 5)


def test_a_large_list_is_never_stale(boss: Person) -> None:
    """What is kept to answer quickly is forgotten with the next write, and kept for nobody else."""
    for number in range(120):
        boss.new(f"user{number:03d}")
    assert len(boss.every("users")) == len(boss.every("users")) == 121
    assert boss.fake.pages
    boss.new("one-more")
    assert len(boss.every("users")) == 122
    Person(boss.fake, "one-more", "Passw0rd!")
    assert Person(boss.fake, "one-more", "Passw0rd!").get("/api/admin/users", **PAGE).status_code == 401


def test_what_the_server_says_of_its_paths(boss: Person) -> None:
    """OPTIONS names the methods, a slash at the end is redirected with its query, an unknown path is a page."""
    assert boss.client.options("/api/websites").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    moved = boss.get("/api/admin/users/", page="2")
    assert (moved.status_code, moved.headers["location"]) == (308, "/api/admin/users?page=2")
    lost = boss.get("/nowhere")
    assert (lost.status_code, lost.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert boss.client.head("/api/me").status_code == 200
    assert boss.client.put("/api/me").content == b""
