"""Umami 3.3 and 3.4 as they were read about, never driven: what each adds, served over a socket, and what comes of it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from platforms.umami.at import BLOG, PASSWORD, SHOP, clock, fake_of, grant, power, umami, world
from rig import Axe, Rig, part
from siteward.access.change import Change
from siteward.access.model import Account, Power, account_key
from siteward.platforms import fakery
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.instance import Instance
from siteward.platforms.umami.fake import FAKE, UmamiFake
from siteward.platforms.umami.fake.factor import code_of
from siteward.platforms.umami.fake.worlds import lower_names
from siteward.platforms.umami.platform import PLATFORM
from siteward.platforms.umami.settings import Settings
from siteward.transport.errors import ForbiddenError, IncompleteError, UnauthenticatedError
from siteward.transport.http import Link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEWER = ("3.3", "3.4")
SETTINGS = Settings(layout="per-site")
OWN_FACTOR = {"two_factor": ["siteward"]}


class Place:
    """A sandbox on a socket, the adapter's instance at it, and people with browsers."""

    def __init__(self, fake: UmamiFake, url: str) -> None:
        self.fake, self.url = fake, url
        env = {f"SITEWARD_IT_{name.upper()}": value for name, value in fake.credentials.items()}
        link = Link(url=url, sleep=lambda _: None)
        self.instance = Instance(name="it", platform=PLATFORM, settings=SETTINGS, link=link, env=env)

    def browser(self, name: str = "siteward", password: str = "sandbox-siteward") -> httpx.Client:
        told = httpx.post(f"{self.url}/api/auth/login", json={"username": name, "password": password}).json()
        return self.with_token(told["token"])

    def with_token(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {token}"})

    def id_of(self, name: str) -> str:
        return self.fake.state.names[name].id

    def paths(self) -> list[str]:
        return [call.path for call in self.fake.calls]


@contextmanager
def at(release: str, more: dict[str, Any] | None = None, start: World | None = None) -> Iterator[Place]:
    fake = fake_of(start or world(more), release)
    with fakery.serve(fake) as served:
        yield Place(fake, served.url)


def probe(place: Place) -> Any:
    with place.instance.reading() as reader:
        return PLATFORM.probe(reader, SETTINGS)[0]


def notes(place: Place) -> str:
    with place.instance.reading() as reader:
        traits, _ = PLATFORM.probe(reader, SETTINGS)
        return " ".join(PLATFORM.reach(reader, SETTINGS, traits).notes)


# --- which release ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "asked"),
    [("3.2", ["/api/2fa/status"]), *((new, ["/api/2fa/status", "/api/me/api-keys"]) for new in NEWER)],
)
def test_a_release_is_told_by_what_it_has(release: str, asked: list[str]) -> None:
    """Nothing says a version; one request tells 3.2 from later ones, two tell 3.3 from 3.4."""
    with at(release) as place:
        assert probe(place).version == release
        assert [path for path in place.paths() if path in asked or "2fa" in path or "api-keys" in path] == asked


def test_a_question_that_is_refused_is_taken_for_the_newer_release() -> None:
    """Whatever stands before it and refuses: no blind spot is missed for that."""
    with umami(release="3.4") as open_:
        open_.page("GET /api/me/api-keys", status=401, content=b'{"error":{"message":"Unauthorized"}}')
        assert PLATFORM.probe(open_.reader, SETTINGS)[0].version == "3.4"


# --- 3.3: two-factor login --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", NEWER)
def test_a_second_factor_of_our_account_is_refused_after_one_request(release: str) -> None:
    with at(release, OWN_FACTOR) as place:
        with pytest.raises(UnauthenticatedError, match="second factor"):
            probe(place)
        assert place.paths() == ["/api/auth/login"]


@pytest.mark.parametrize("release", NEWER)
def test_a_server_without_its_key_is_not_waited_for(release: str) -> None:
    """It answers 503 until somebody gives it the key again; its own words are passed on."""
    with at(release, {**OWN_FACTOR, "two_factor_key": False}) as place:
        with pytest.raises(UnauthenticatedError, match="TWO_FACTOR_ENCRYPTION_KEY is not set") as caught:
            probe(place)
        assert "64 hex digits" in (caught.value.hint or "")
        assert place.paths() == ["/api/auth/login"]


def test_only_accounts_with_a_second_factor_need_the_key() -> None:
    with at("3.3", {"two_factor": ["anna"], "two_factor_key": False}) as place:
        assert probe(place).version == "3.3"


def test_a_database_that_is_away_for_a_moment_is_waited_for() -> None:
    """The other 503 that a newer Umami says itself."""
    with umami(release="3.3") as open_:
        open_.fault("expire-token")
        open_.page(
            "POST /api/auth/login", status=503, content=b'{"error":{"code":"database-unavailable","message":"Down"}}'
        )
        assert open_.reader.query("/api/admin/users").ok


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "not required of this account"),
        ({"two_factor_global": True}, "required of everybody"),
        ({"two_factor_required": ["siteward"]}, "required of this account"),
        ({"two_factor_required": [f"acl:{SHOP}"]}, "required of a team it is in"),
    ],
    ids=["nobody", "global", "user", "team"],
)
def test_doctor_says_whether_a_second_factor_is_required_of_us(more: dict[str, Any], said: str) -> None:
    with at("3.3", more) as place:
        assert said in notes(place)
    with at("3.2") as place:
        assert "two-factor" not in notes(place)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"two_factor_required": ["siteward"]}, ["by the account itself"]),
        ({"two_factor_required": [f"acl:{SHOP}", "anna"]}, [f"by team acl:{SHOP}"]),
        ({"two_factor_required": ["anna"]}, []),
    ],
)
def test_a_plan_warns_where_a_second_factor_is_required_of_us(more: dict[str, Any], why: list[str]) -> None:
    """The rows that are read anyway say it of accounts and teams."""
    with umami(world(more), "3.3") as open_:
        found = [finding.message for finding in open_.live.findings if finding.code == "two-factor-required"]
        assert [message.partition(", ")[2].partition(";")[0] for message in found] == why


def test_a_refusal_after_a_good_login_names_two_factor_as_a_cause() -> None:
    """Whether one without a factor is shut out by 401 or 403 was never driven."""
    refused = b'{"error":{"message":"Forbidden","code":"forbidden","status":403}}'
    for status in (401, 403):
        with umami(release="3.3") as open_:
            open_.page("GET /api/admin/users", status=status, content=refused, times=0)
            with pytest.raises(ForbiddenError) as caught:
                PLATFORM.read(open_.reader, SETTINGS, open_.traits)
            assert "two-factor" in (caught.value.hint or "")


@pytest.mark.parametrize("release", ["3.2", *NEWER])
def test_reviews_say_of_admins_whether_a_second_factor_protects_them(release: str) -> None:
    """One request for each admin but ourselves, where the release has it; nothing is changed by it."""
    people = [WorldAccount(login=login, role="admin") for login in ("boss", "chief")]
    more = {"two_factor": ["boss"]} if release in NEWER else {}
    with umami(World(accounts=(*people, WorldAccount(login="anna")), more=more), release) as open_:
        told = {login: open_.live.facts[account_key(login)].get("two_factor") for login in ("boss", "chief", "anna")}
        asked = [call for call in open_.calls() if call.endswith("/2fa")]
    new = release in NEWER
    assert told == {"boss": "yes" if new else None, "chief": "no" if new else None, "anna": None}
    assert len(asked) == (2 if new else 0)
    assert all(call.startswith("GET ") for call in asked)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_fact_that_is_not_answered_stops_no_plan(status: int) -> None:
    with umami(World(accounts=(WorldAccount(login="boss", role="admin"),)), "3.3") as open_:
        before = open_.live
        open_.page("GET /2fa$", status=status, content=b"<html>" if status == 404 else b"{}", times=0)
        assert open_.read().access == before.access
        assert "two_factor" not in open_.live.facts[account_key("boss")]


def _second(place: Place, name: str, **body: str) -> httpx.Response:
    first = httpx.post(f"{place.url}/api/auth/login", json={"username": name, "password": "sandbox-password"}).json()
    head = {"authorization": f"Bearer {first['partialToken']}"}
    return httpx.post(f"{place.url}/api/2fa/verify", json=body, headers=head)


def test_the_sandbox_takes_each_code_once_and_locks_after_five_failures() -> None:
    with at("3.3", {"two_factor": ["anna"]}) as place:
        factor = place.fake.state.factors[place.id_of("anna")]
        right = code_of(factor.secret, clock())
        assert _second(place, "anna", token=right).json()["user"]["username"] == "anna"
        assert _second(place, "anna", token=right).json()["error"]["code"] == "two-factor-error-code-used"
        wrong = f"{(int(right) + 1) % 1_000_000:06d}"
        answers = [_second(place, "anna", token=wrong) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [400] * 5 + [429]
        assert "lockedUntil" in answers[4].json()["error"]
        assert "retry-after" not in answers[5].headers
        locked = datetime.fromisoformat(answers[5].json()["error"]["lockedUntil"])
        assert locked == clock() + timedelta(minutes=15)


def test_the_sandbox_lets_only_an_admin_ask_for_a_second_factor() -> None:
    with at("3.3") as place:
        team = next(iter(place.fake.state.teams))
        with place.browser() as boss, place.browser("anna", "sandbox-password") as anna:
            assert anna.post(f"/api/admin/teams/{team}/2fa", json={"required": True}).status_code == 401
            told = boss.post(f"/api/admin/teams/{team}/2fa", json={"required": True}).json()
            assert told == {"ok": True, "teamId": team, "twoFactorRequired": True}
            assert anna.get("/api/2fa/status").json()["requiredReason"] == "team"
            (row,) = [row for row in boss.get("/api/admin/teams").json()["data"] if row["id"] == team]
            assert row["twoFactorRequired"] is True
            assert boss.get("/api/admin/2fa/global").status_code == 405
            assert boss.post("/api/admin/2fa/global", json={"required": True}).json() == {"ok": True, "required": True}
            assert anna.get("/api/2fa/status").json()["globalRequired"] is True


def test_disabling_a_required_factor_is_the_one_call_that_says_403() -> None:
    with at("3.3", {"two_factor_required": ["anna"]}) as place, place.browser("anna", "sandbox-password") as anna:
        secret = anna.post("/api/2fa/setup/initiate").json()["secret"]
        assert (
            len(anna.post("/api/2fa/setup/confirm", json={"token": code_of(secret, clock())}).json()["backupCodes"])
            == 10
        )
        place.fake.state.factors[place.id_of("anna")].used.clear()
        off = {"password": "sandbox-password", "token": code_of(secret, clock())}
        answer = anna.post("/api/2fa/disable", json=off)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "two-factor-error-disable-not-allowed")


# --- 3.3: rows, lists, names ------------------------------------------------------------------------------------------


def test_a_list_that_the_server_cut_is_never_taken_for_the_whole() -> None:
    """It may cut the count with it, so that nothing else shows what is missing."""
    cut = b'{"data":[],"count":0,"page":1,"pageSize":1000000,"isCapped":true}'
    for kind in ("users", "teams", "websites"):
        with umami(release="3.3") as open_:
            open_.page(f"GET /api/admin/{kind}", content=cut, times=0)
            with pytest.raises(IncompleteError, match="isCapped"):
                PLATFORM.read(open_.reader, SETTINGS, open_.traits)


def test_rows_of_six_fields_are_enough() -> None:
    """The contract of 3.3.1 names no more of an account."""
    with umami(release="3.3") as open_:
        rows = [
            {"id": user.id, "username": user.username, "role": user.role, "createdAt": user.created,
             "twoFactorRequired": False, "_count": {"websites": 0}}
            for user in open_.fake.state.users.values()
        ]  # fmt: skip
        before = open_.live.access
        body = httpx.Response(200, json={"data": rows, "count": len(rows), "page": 1, "pageSize": 1_000_000}).content
        open_.page("GET /api/admin/users", content=body, times=0)
        assert open_.read().access == before


def _named(*logins: str) -> World:
    return World(
        accounts=tuple(WorldAccount(login=login) for login in logins), sites=(WorldSite(name="S", domain=SHOP),)
    )


@pytest.mark.parametrize("release", NEWER)
def test_names_are_lower_case_but_where_two_collide(release: str) -> None:
    """What still has capitals there says that another row has its lower-case form, and no upgrade is spoken of."""
    with umami(_named("Anna.B", "Ben", "ben"), release) as open_:
        names = {account.name for account in open_.live.access.accounts()}
        assert names == {"siteward", "anna.b", "Ben", "ben"}
        said = {finding.about: finding.message for finding in open_.live.findings if finding.code == "login-clash"}
        assert "only the lower-case one can log in" in said[account_key("Ben")]


def test_a_name_that_a_deleted_row_keeps_in_capitals_is_told_as_such() -> None:
    with umami(release="3.3") as open_:
        ben = open_.fake.state.names["ben"]
        open_.fake.state.rename(ben, "Ben")
        open_.fake.touch()
        (found,) = [finding for finding in open_.read().findings if finding.code == "mixed-case-login"]
        assert "nobody can log in" in found.message
        assert "marked as deleted" in found.message
        assert "upgrade" not in f"{found.message}{found.hint}"


def test_who_is_lower_cased_by_an_upgrade_is_the_same_person(tmp_path: Path) -> None:
    """The id stays, so nothing is planned, nobody is new, and no drift is told, whatever the file calls them."""
    start = World(
        accounts=(WorldAccount(login="Anna.B"),),
        sites=(WorldSite(name="S", domain=SHOP),),
        grants=(WorldGrant(account="Anna.B", site=SHOP, role="team-view-only"),),
    )
    before = fake_of(start, "3.1")
    rig = Rig(tmp_path, before, _declaring("Anna.B"))
    plan = rig.plan().plan
    assert plan is not None
    assert {outcome.status for outcome in rig.apply(plan).outcomes} == {"done"}
    after = UmamiFake("umami", "3.3", before.credentials, before.clock, state=before.state)
    lower_names(after.state)
    rig.fake = after
    for login in ("Anna.B", "anna.b"):
        rig.axe = Axe(after)
        rig.declare(_declaring(login))
        found = part(rig.plan())
        assert found.steps == ()
        assert "existing-account" not in {diagnostic.code for diagnostic in found.diagnostics}
        assert rig.drift().drift == ()


def _declaring(login: str) -> dict[str, Any]:
    block = {
        "platform": "umami", "url": "http://127.0.0.1:1", "self": "siteward", "layout": "per-site",
        "accept_blind": ["board-links", "api-keys"],
    }  # fmt: skip
    return {
        "version": 1,
        "instances": {"it": block},
        "users": {"anna": {"email": "anna@example.org", "logins": {"it": login}}},
        "policy": {"admins": {"min": 1}},
        "grants": [{"to": "anna", "role": "edit", "sites": SHOP}],
    }


# --- 3.4: API keys ----------------------------------------------------------------------------------------------------

KEYED = {"api_keys": [{"account": "anna", "name": "laptop"}]}


@pytest.mark.parametrize(("release", "blind"), [("3.2", False), ("3.3", False), ("3.4", True)])
def test_api_keys_are_a_blind_spot_from_3_4_on(release: str, *, blind: bool) -> None:
    with at(release) as place:
        assert ("api-keys" in probe(place).blind_spots) is blind
        assert ("API keys" in notes(place)) is blind


def test_an_api_key_as_the_password_is_refused_before_anything_is_sent() -> None:
    with at("3.4") as place:
        key = "umami_" + "a1B2" * 8
        place.fake.credentials["password"] = key
        instance = Place(place.fake, place.url).instance
        with pytest.raises(ForbiddenError, match="API key") as caught, instance.reading() as reader:
            PLATFORM.probe(reader, SETTINGS)
        assert key not in f"{caught.value}{caught.value.hint}"
        assert place.paths() == []


def test_a_password_that_only_begins_like_a_key_is_tried() -> None:
    with at("3.4") as place:
        place.fake.credentials["password"] = "umami_is-nice"
        instance = Place(place.fake, place.url).instance
        with pytest.raises(UnauthenticatedError, match="did not accept"), instance.reading() as reader:
            PLATFORM.probe(reader, SETTINGS)


def test_the_sandbox_lets_a_key_outlive_a_new_password_and_not_its_account() -> None:
    with at("3.4") as place, place.browser() as boss, place.browser("ben", "sandbox-password") as ben:
        made = ben.post("/api/me/api-keys", json={"name": "laptop"}).json()
        assert made["key"].startswith(made["keyPrefix"])
        assert len(made["key"]) == 38
        (listed,) = ben.get("/api/me/api-keys").json()
        assert "key" not in listed
        with place.with_token(made["key"]) as key:
            user = place.id_of("ben")
            boss.post(f"/api/users/{user}", json={"password": PASSWORD})
            assert ben.get("/api/me").status_code == 401
            told = key.get("/api/me").json()
            assert (told["authType"], told["user"]["username"]) == ("api-key", "ben")
            for path in ("/api/me/api-keys", "/api/2fa/status", "/api/users/x", "/api/admin/users"):
                assert key.get(path).status_code == 401
            assert key.get("/api/me/teams").json()["count"] == 1
            team = next(iter(place.fake.state.teams))
            boss.delete(f"/api/teams/{team}/users/{user}")
            assert key.get("/api/me/teams").json()["count"] == 0
            boss.delete(f"/api/users/{user}")
            assert key.get("/api/me").status_code == 401


def _taken(name: str, site: str, role: str) -> Change:
    return Change(grant(name, site, role), None)


@pytest.mark.parametrize(("release", "said"), [("3.2", 0), ("3.3", 0), ("3.4", 1)])
def test_a_plan_that_takes_all_says_that_keys_stay(release: str, said: int) -> None:
    with umami(release=release) as open_:
        codes = open_.codes(_taken("anna", SHOP, "team-view-only"))
        assert codes.count("keeps-api-keys") == said


def test_keys_are_not_spoken_of_where_some_access_stays_or_the_account_goes() -> None:
    with umami(release="3.4") as open_:
        lowered = Change(grant("ben", SHOP, "team-member"), grant("ben", SHOP, "team-view-only"))
        assert "keeps-api-keys" not in open_.codes(lowered)
        gone = (_taken("anna", SHOP, "team-view-only"), Change(Account("anna"), None))
        assert "keeps-api-keys" not in open_.codes(*gone)


def test_a_key_of_somebody_who_owns_a_site_goes_on_to_open_it() -> None:
    start = World(
        accounts=(WorldAccount(login="anna", role="user"),),
        sites=(WorldSite(name="Blog", domain=BLOG, owner="anna"),),
        more={"api_keys": [{"account": "anna"}]},
    )
    with umami(start, "3.4") as open_:
        (found,) = [note for note in open_.review(Change(power("anna", "user"), None)) if note.code == "keeps-api-keys"]
        assert BLOG in found.message


def test_of_keys_those_of_our_own_account_are_read_and_no_more() -> None:
    """Without the characters of the secret that the list shows; why those of others are missing is said."""
    with at("3.4") as place, place.browser() as boss:
        made = boss.post("/api/me/api-keys", json={"name": "cron"}).json()
        with place.instance.reading() as reader:
            traits, seed = PLATFORM.probe(reader, SETTINGS)
            live = PLATFORM.read(reader, SETTINGS, traits, seed)
        (key,) = live.keys
        assert (key.account, key.name, key.holds, key.used) == (live.me, "cron", Power.MANAGE, None)
        assert key.made == datetime.fromisoformat(made["createdAt"])
        assert made["keyPrefix"] not in repr(live)
        assert traits.keys_unseen == "API keys are listed to their owner alone"
    with umami(release="3.3") as open_:
        assert "no API keys" in open_.traits.keys_unseen


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_list_of_keys_that_is_not_answered_stops_nothing(status: int) -> None:
    with umami(release="3.4") as open_:
        open_.page("GET /api/me/api-keys", status=status, content=b'{"error":{"message":"no"}}')
        assert PLATFORM.read(open_.reader, open_.settings, open_.traits).keys == ()


# --- of no known release ----------------------------------------------------------------------------------------------


def test_that_admins_may_transfer_is_known_of_no_release_and_not_relied_on() -> None:
    """No call shows it but the transfer itself; the plan refuses and says what is not known."""
    start = World(accounts=(WorldAccount(login="anna"),), sites=(WorldSite(name="B", domain=BLOG, owner="anna"),))
    with umami(start, "3.4") as open_:
        label = next(iter(open_.live.sites)).name
        (found,) = [
            said for said in open_.review(Change(None, grant("anna", label, "team-member")))
            if said.code == "site-cannot-be-moved"
        ]  # fmt: skip
        assert found.blocks
        assert "not known for sure" in found.message


@pytest.mark.parametrize(("admins_may", "status"), [(False, 401), (True, 200)])
def test_the_sandbox_lets_admins_transfer_where_it_is_told_to(status: int, *, admins_may: bool) -> None:
    start = World(
        accounts=(WorldAccount(login="anna"),),
        sites=(WorldSite(name="B", domain=BLOG, owner="anna"), WorldSite(name="S", domain=SHOP)),
        more={"admin_transfers": admins_may},
    )
    with at("3.4", start=start) as place, place.browser() as boss:
        site = next(website.id for website in place.fake.state.websites.values() if website.domain == BLOG)
        team = next(iter(place.fake.state.teams))
        assert boss.post(f"/api/websites/{site}/transfer", json={"teamId": team}).status_code == status


@pytest.mark.parametrize(
    ("release", "more", "came"), [("3.2", OWN_FACTOR, "3.3"), ("3.3", KEYED, "3.4"), ("2.20", KEYED, "3.4")]
)
def test_a_world_says_nothing_that_its_release_does_not_have(release: str, more: dict[str, Any], came: str) -> None:
    with pytest.raises(ValueError, match=f"came with {came}"):
        FAKE.of(world(more), release, clock=lambda: datetime.now(UTC))


@pytest.mark.parametrize("release", NEWER)
def test_a_passing_fault_while_asking_for_the_release_is_outlived(release: str) -> None:
    fake = fake_of(release=release)
    fake.faults.append(Fault.parse("503:GET /api/2fa/status"))
    with fakery.serve(fake) as served:
        assert probe(Place(fake, served.url)).version == release
