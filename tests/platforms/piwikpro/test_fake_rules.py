"""What the stand-in does that no single recorded exchange shows: limits, tokens, pages, sleeping levels, faults."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from platforms.piwikpro.clocks import FastClock
from platforms.piwikpro.held import held
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.piwikpro.fake import FAKE, PiwikPro

JSON_API = "application/vnd.api+json"


class Account:
    """An owner's session with a stand-in."""

    def __init__(self, fake: PiwikPro) -> None:
        self.fake = fake
        self._client = httpx.Client(transport=held(fake), base_url="https://acme.piwik.pro")
        self.sign_in()

    def sign_in(self) -> None:
        answer = self._client.post("/auth/token", json={"grant_type": "client_credentials", **self.fake.credentials})
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **query: object) -> httpx.Response:
        return self._client.get(path, params={name: str(value) for name, value in query.items()})

    def send(self, method: str, path: str, data: object = None) -> httpx.Response:
        return self._client.request(method, path, json={"data": data}, headers={"Content-Type": JSON_API})

    def level(self, app: str, person: str) -> str | None:
        rows = self.get(f"/api/access-control/v2/app/{app}/permission/user", limit=1000).json()["data"]
        found: list[str] = [row["attributes"]["permission"] for row in rows if row["id"] == person]
        return found[0] if found else None


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
def account(clock: FastClock) -> Account:
    return Account(FAKE.lived_in("current", clock=clock))


def _id(account: Account, email: str) -> str:
    person = account.fake.state.named(email)
    assert person is not None
    return person.id


def _app(account: Account, name: str) -> str:
    return next(app.id for app in account.fake.state.apps.values() if app.name == name)


def _crowd(people: int) -> World:
    return World(
        accounts=(
            WorldAccount(login="owner@example.org", role="owner"),
            *(WorldAccount(login=f"p{number:05}@example.org") for number in range(people)),
        ),
        sites=(WorldSite(name="shop.example.org", domain="shop.example.org"),),
        grants=(WorldGrant(account="p00000@example.org", site="shop.example.org", role="edit"),),
    )


def _role(ident: str, role: str) -> dict[str, Any]:
    return {"id": ident, "type": "ppms/user", "attributes": {"role": role}}


def test_a_fresh_account_has_one_owner_and_one_app(clock: FastClock) -> None:
    """The product's first state."""
    account = Account(FAKE.fresh("current", clock=clock))

    users, apps = account.get("/api/users/v2").json(), account.get("/api/apps/v2").json()

    assert [user["attributes"]["role"] for user in users["data"]] == ["OWNER"]
    assert apps["meta"]["total"] == 1
    assert account.get("/api/users/v2/me").json()["data"]["id"] == users["data"][0]["id"]


def test_two_sandboxes_of_one_world_are_alike(clock: FastClock) -> None:
    """Ids come from the world and not from chance, so a demo can be told twice."""
    first, second = (FAKE.lived_in("current", clock=clock).state for _ in range(2))

    assert first.people.keys() == second.people.keys()
    assert first.levels == second.levels


def test_the_sixty_first_write_of_a_minute_is_refused(account: Account, clock: FastClock) -> None:
    """60 calls that are no GET, then 429 with the seconds to wait; waiting them out is enough."""
    path = f"/api/access-control/v2/app/{_app(account, 'shop.example.org')}/permission/user/"
    data = {"type": "app/permission/user", "attributes": {"permission": "view"}}
    answers = []
    for _ in range(61):
        answers.append(account.send("POST", path + _id(account, "mia@example.org"), data))
        clock.sleep(0.5)

    assert [answer.status_code for answer in answers] == [204] * 60 + [429]
    clock.sleep(int(answers[-1].headers["Retry-After"]))
    assert account.send("POST", path + _id(account, "mia@example.org"), data).status_code == 204


def test_reads_have_a_limit_of_their_own(account: Account) -> None:
    """600 GET a minute, and a write still passes when they are spent."""
    assert [account.get("/api/users/v2/me").status_code for _ in range(601)][-2:] == [200, 429]
    edit = {"id": _id(account, "mia@example.org"), "type": "ppms/user", "attributes": {"language": "de-DE"}}
    assert account.send("PATCH", f"/api/users/v2/{edit['id']}", edit).status_code == 204


def test_a_token_lives_for_thirty_minutes(account: Account, clock: FastClock) -> None:
    """1,800 seconds by the stand-in's clock, then 401 until a new token is fetched."""
    clock.sleep(1799)
    assert account.get("/api/users/v2/me").status_code == 200
    clock.sleep(1)
    assert account.get("/api/users/v2/me").status_code == 401
    account.sign_in()
    assert account.get("/api/users/v2/me").status_code == 200


def test_lists_page_by_ten_unless_asked(clock: FastClock) -> None:
    """The trap: forgetting `limit` shows ten rows of many, with the true total."""
    account = Account(FAKE.of(_crowd(25), "current", clock=clock))

    short, whole = account.get("/api/users/v2").json(), account.get("/api/users/v2", limit=1000).json()

    assert (len(short["data"]), short["meta"]["total"]) == (10, 26)
    assert len(whole["data"]) == 26


def test_rows_can_shift_between_pages(clock: FastClock) -> None:
    """A row that was on the first page comes again, and one is missed, while the total stays."""
    fake = FAKE.of(_crowd(25), "current", clock=clock)
    fake.faults.append(Fault.parse("shift-rows:GET /api/users/v2$"))
    account = Account(fake)

    pages = [account.get("/api/users/v2", sort="email", limit=20, offset=offset).json() for offset in (0, 20)]

    ids = [user["id"] for page in pages for user in page["data"]]
    assert len(ids) == pages[0]["meta"]["total"] == 26
    assert len(set(ids)) == 25


def test_a_total_can_lie(account: Account) -> None:
    """One row more is promised than there is."""
    account.fake.faults.append(Fault.parse("lying-total:GET /api/apps/v2"))

    page = account.get("/api/apps/v2", limit=1000).json()

    assert page["meta"]["total"] == len(page["data"]) + 1


def test_levels_of_an_owner_sleep_and_wake(account: Account) -> None:
    """Promotion hides a person's rows everywhere; demotion brings the old levels back (inferred, MAPPING.md 2)."""
    app, ed = _app(account, "shop.example.org"), _id(account, "ed@example.org")
    assert account.level(app, ed) == "manage"

    account.send("PATCH", f"/api/users/v2/{ed}/change-role", _role(ed, "OWNER"))
    assert account.level(app, ed) is None

    account.send("PATCH", f"/api/users/v2/{ed}/change-role", _role(ed, "USER"))
    assert account.level(app, ed) == "manage"


def test_own_and_group_levels_combine_by_maximum(account: Account) -> None:
    """The row shows the own level, and beside it the highest of the groups with their names."""
    app, ben = _app(account, "shop.example.org"), _id(account, "carla@example.org")
    rows = account.get(f"/api/access-control/v2/app/{app}/permission/user", search="carla@").json()["data"]

    assert rows[0]["attributes"] == {
        "email": "carla@example.org",
        "permission": "view",
        "group_permissions": {"group_names": ["analysts"], "permission": "edit"},
    }
    assert account.fake.state.effective("app", app, account.fake.state.people[ben]) == "edit"


def test_adding_a_present_member_fails(account: Account) -> None:
    """The stern reading of what the facts leave open: the whole call is refused and nobody is added."""
    group = next(group for group in account.fake.state.groups.values() if group.name == "analysts")
    both = [{"type": "ppms/user", "id": _id(account, email)} for email in ("mia@example.org", "carla@example.org")]
    path = f"/api/user-groups/v1/{group.id}/relationships/users"

    assert account.send("POST", path, both).status_code == 400
    assert account.send("POST", path, both[:1]).status_code == 204
    assert account.send("DELETE", path, both).status_code == 204
    assert both[0]["id"] not in group.members


def test_deleting_a_person_takes_everything_along(account: Account) -> None:
    """Levels, memberships and API keys go with the account; inviting the address again gives another id."""
    ben = _id(account, "carla@example.org")
    assert account.send("DELETE", f"/api/users/v2/{ben}", None).status_code == 204

    data = {"type": "ppms/user", "attributes": {"email": "carla@example.org"}}
    again = account.send("POST", "/api/users/v2/invite", data)

    assert again.status_code == 201
    assert again.json()["data"]["id"] != ben
    assert account.fake.state.mails == ["carla@example.org"]
    assert not [key for key in account.fake.state.levels if key[3] == ben]


def test_an_address_of_another_account_is_taken(clock: FastClock) -> None:
    """An address belongs to one Piwik PRO account in the whole cloud, so it can be taken and not be listed."""
    world = _crowd(1).model_copy(update={"more": {"elsewhere": ["Taken@example.org"]}})
    account = Account(FAKE.of(world, "current", clock=clock))

    answer = account.send(
        "POST", "/api/users/v2/invite", {"type": "ppms/user", "attributes": {"email": "taken@example.org"}}
    )

    assert answer.json()["errors"][0]["code"] == "users.error.user-already-exists"


def test_a_manager_may_not_lower_a_manager(account: Account) -> None:
    """Only owners hold `demote_app_manager` (API.md section 6, inferred)."""
    state, app = account.fake.state, _app(account, "staging.example.org")
    me, ben, jonas = (
        _id(account, email) for email in ("siteward@example.org", "carla@example.org", "jonas@partner.test")
    )
    state.people[me].role = "USER"
    state.levels["app", app, "user", me] = "manage"
    path, data = f"/api/access-control/v2/app/{app}/permission/user/", {"type": "app/permission/user"}

    assert account.send("POST", path + ben, data | {"attributes": {"permission": "edit"}}).status_code == 204
    assert account.send("POST", path + jonas, data | {"attributes": {"permission": "view"}}).status_code == 403
    assert account.get("/api/users/v2").status_code == 403


def test_module_switches_of_groups_stay_effective(account: Account) -> None:
    """A switch that a group holds open cannot be closed from the person's side."""
    ben, analysts = _id(account, "carla@example.org"), next(iter(account.fake.state.groups.values()))
    analysts.modules = {"analytics"}
    path = f"/api/modules/v1/access/user/{ben}"

    account.send("PUT", path, [{"type": "module/access", "id": "analytics", "attributes": {"access": False}}])

    rows = {row["id"]: row["attributes"] for row in account.get(path).json()["data"]}
    assert rows["analytics"] == {"access": False, "group_access": {"group_names": ["analysts"], "access": True}}
    effective = account.send("POST", "/api/modules/v1/by-users", [{"type": "ppms/user", "id": ben}]).json()
    assert "analytics" in effective["data"][0]["attributes"]["modules"]


def test_every_change_is_in_the_audit_log(account: Account, clock: FastClock) -> None:
    """Newest first, a hundred rows at most, by whom and about whom."""
    ben = _id(account, "carla@example.org")
    clock.sleep(60)
    account.send("PATCH", f"/api/users/v2/{ben}/change-role", _role(ben, "OWNER"))

    newest = account.get("/api/audit-log/v1/entries", limit=1, **{"filter[subject_id]": ben}).json()["data"][0]

    assert newest["attributes"]["author_email"] == "siteward@example.org"
    assert newest["attributes"]["created_at"] == "2026-03-02T09:31:00Z"
    assert account.get("/api/audit-log/v1/entries", limit=101).status_code == 400


@pytest.mark.parametrize("kind", ["500-after-write", "cut-after-write"])
def test_an_answer_can_be_lost_after_the_write(account: Account, kind: str) -> None:
    """The write took place and the client cannot know."""
    account.fake.faults.append(Fault.parse(f"{kind}:POST /api/users/v2/invite"))
    data = {"type": "ppms/user", "attributes": {"email": "new@example.org"}}

    if kind == "cut-after-write":
        with pytest.raises(httpx.RemoteProtocolError):
            account.send("POST", "/api/users/v2/invite", data)
    else:
        client = httpx.Client(transport=httpx.WSGITransport(app=account.fake), base_url="https://acme.piwik.pro")
        client.headers.update(account._client.headers)
        sent = client.post("/api/users/v2/invite", json={"data": data}, headers={"Content-Type": JSON_API})
        assert sent.status_code == 500

    assert account.fake.state.named("new@example.org") is not None
