"""A whole account is read, in few requests, and no listing counts that has not proven its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from platforms.piwikpro.held import held
from platforms.piwikpro.opened import account, grant, opened, site
from platforms.proxy import Page, Proxy
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Scope, Subject, account_key
from siteward.platforms.decode import decoded
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite, in_process
from siteward.platforms.interface import native
from siteward.platforms.piwikpro import rows
from siteward.platforms.piwikpro.fake.state import Person
from siteward.platforms.piwikpro.native_state import NativeState
from siteward.platforms.piwikpro.platform import PLATFORM
from siteward.transport.errors import IncompleteError, NotThePlatformError, RefusedError

if TYPE_CHECKING:
    from platforms.piwikpro.opened import Opened
    from siteward.platforms.piwikpro.fake import PiwikPro

EUROPE = Scope("metasite", "Europe")


def _company(people: int, groups: int, apps: int, metas: int, owners: int = 10) -> World:
    """Return a world of some size, with a grant here and there."""
    names = [f"p{number:03}@example.org" for number in range(people)]
    sites = [f"s{number:03}.example.org" for number in range(apps)]
    return World(
        accounts=tuple(
            WorldAccount(login=name, role="owner" if at < owners else None) for at, name in enumerate(names)
        ),
        sites=tuple(WorldSite(name=site, domain=site) for site in sites),
        grants=tuple(
            WorldGrant(account=name, site=sites[at % apps], role="view") for at, name in enumerate(names[owners:])
        ),
        more={
            "groups": [
                {"name": f"g{number:02}", "members": names[number::groups], "sites": {sites[number]: "edit"}}
                for number in range(groups)
            ],
            "metasites": [{"name": f"m{number}", "sites": sites[:2]} for number in range(metas)],
        },
    )


class WithoutUs(httpx.BaseTransport):
    """A way to a server whose list of users lacks the account in use, as some rights let it."""

    def __init__(self, fake: PiwikPro) -> None:
        self._inner = held(fake)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        if (request.method, request.url.path) != ("GET", "/api/users/v2"):
            return answer
        data = json.loads(answer.read())
        data["data"] = [row for row in data["data"] if row["attributes"]["email"] != "siteward@example.org"]
        data["meta"]["total"] -= 1
        headers = {"Content-Type": answer.headers["Content-Type"]}
        return httpx.Response(answer.status_code, headers=headers, content=json.dumps(data).encode())


def test_a_list_without_our_own_account_is_no_crash() -> None:
    """It is read as far as it goes; that it cannot be whole is for a guard to say (`self-not-listed`)."""
    live = opened(through=WithoutUs).live()
    assert live.me == "siteward@example.org"
    assert not any(live.is_self(account.name) for account in live.access.accounts())
    assert account_key("anna@example.org") in live.access


def test_everything_that_is_there_is_read() -> None:
    """Accounts with their language, ownership, groups, members, levels of both kinds, and open modules."""
    live = opened().live()
    access = live.access

    assert access[account_key("anna@example.org")] == Account("anna@example.org", "anna@example.org", "de-DE")
    assert access.grant(account("anna@example.org"), EVERYWHERE) == grant("anna@example.org", EVERYWHERE, "owner")
    assert access.grant(account("ed@example.org"), site("shop.example.org")) == grant(
        "ed@example.org", site("shop.example.org"), "manage"
    )
    assert access.grant(account("mia@example.org"), EUROPE) == grant("mia@example.org", EUROPE, "view")
    assert access[("group", "tag-editors")] == Group("tag-editors", "idp-tag-editors")
    assert Member("analysts", "bi@example.org").key in access
    assert access.grant(Subject("group", "analysts"), EUROPE) == Grant(Subject("group", "analysts"), EUROPE, "view")
    modules = {grant.scope.name for grant in access.grants() if grant.subject == account("bi@example.org")}
    assert modules == {"shop.example.org", "analytics"}
    assert live.me == "siteward@example.org"
    assert live.complete
    assert live.facts[account_key("anna@example.org")]["created"].startswith("2024-")


@pytest.mark.parametrize(
    ("native", "said"),
    [
        (False, [("analysts", "groups are not managed here"), ("tag-editors", "groups are not managed here")]),
        (True, [("tag-editors", "come from idp-tag-editors")]),
    ],
)
def test_what_groups_give_beside_the_file_is_told_each_time(native: bool, said: list[tuple[str, str]]) -> None:  # noqa: FBT001 — a parameter of the test
    """Access that no plan here would ever take is in every plan, never passed over as in sync."""
    found = [finding for finding in opened(native=native).live().findings if finding.code == "unmanaged-group"]

    assert len(found) == len(said)
    for diagnostic, (name, why) in zip(found, said, strict=True):
        assert f"through the group {name}" in diagnostic.message
        assert why in diagnostic.message


def test_reading_writes_nothing() -> None:
    """Not one request of probing and reading changed the account."""
    place = opened()
    place.live()

    assert place.fake.writes == 0


def test_levels_that_are_no_access_are_no_grants() -> None:
    """Never granted and revoked look the same, and both are nothing (API.md section 6)."""
    place = opened()
    place.fake.state.levels["app", place.entity(site("docs.example.org")), "user", place.person("mia@example.org")] = (
        "no-access"
    )

    assert place.live().access.grant(account("mia@example.org"), site("docs.example.org")) is None


def test_five_hundred_users_take_at_most_160_requests() -> None:
    """500 users, 20 groups, 100 apps and 5 meta sites; the token is fetched on top, once."""
    place = opened(_company(500, 20, 100, 5), through=in_process)  # 49,000 rows are too many to hold to a schema
    live = place.live()

    asked = [call for call in place.fake.calls if call.path.startswith("/api/")]
    assert len(asked) <= 160
    assert place.doors.reader.requests == len(asked) + 1
    assert len(list(live.access.accounts())) == 500
    assert place.refused() == 0
    assert live.complete


def test_a_thousand_rows_are_asked_for() -> None:
    """The default of ten rows would show ten accounts of many."""
    place = opened(_company(40, 2, 12, 0, owners=2))

    assert len(list(place.live().access.accounts())) == 40


def test_a_row_that_shifts_between_pages_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows add up to the total, but one came twice: the list is read again."""
    monkeypatch.setattr(rows, "PAGE", 10)
    place = opened(_company(25, 1, 1, 0, owners=2))
    place.fake.faults.append(Fault.parse("shift-rows:GET /api/users/v2$"))

    assert len(list(place.live().access.accounts())) == 25


def test_a_list_that_never_stands_still_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three readings that did not add up nothing is concluded."""
    monkeypatch.setattr(rows, "PAGE", 10)
    place = opened(_company(25, 1, 1, 0, owners=2))
    place.fake.faults.append(Fault.parse("shift-rowsx0:GET /api/users/v2$"))

    with pytest.raises(IncompleteError, match="24 different rows in 25"):
        place.live()


def test_a_total_that_lies_stops_the_reading() -> None:
    """One row fewer than counted could be somebody who is about to be invited again."""
    place = opened()
    place.fake.faults.append(Fault.parse("lying-totalx0:GET /api/apps/v2$"))

    with pytest.raises(IncompleteError, match="did not add up"):
        place.live()


class _Meanwhile(httpx.BaseTransport):
    """Lets somebody sign in through SAML, with a level on the shop, just after the n-th answer to the list of users."""

    def __init__(self, fake: PiwikPro, answers: int) -> None:
        self._fake, self._inner, self._left = fake, held(fake), answers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if request.method == "GET" and request.url.path == "/api/users/v2":
            self._left -= 1
            if self._left == 0:
                self._sign_in()
        return response

    def _sign_in(self) -> None:
        state = self._fake.state
        someone = Person(state.new_id(), "aaa@example.org", "USER", self._fake.clock())
        state.people[someone.id] = someone
        state.levels["app", next(iter(state.apps)), "user", someone.id] = "view"


def test_a_total_that_moves_between_pages_means_reading_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody comes in while the pages are fetched."""
    monkeypatch.setattr(rows, "PAGE", 10)
    place = opened(_company(25, 1, 1, 0, owners=2), through=lambda fake: _Meanwhile(fake, 1))

    assert "aaa@example.org" in {account.name for account in place.live().access.accounts()}


def test_somebody_who_comes_in_while_others_are_read_stops_the_reading() -> None:
    """A level of a person who is in no list of accounts cannot be told of anybody."""
    place = opened(through=lambda fake: _Meanwhile(fake, 1))

    with pytest.raises(IncompleteError, match=r"aaa@example\.org appeared"):
        place.live()


def test_apps_of_one_name_are_told_apart_by_id() -> None:
    """Names of apps need not be unique (API.md section 5)."""
    world = World(
        accounts=(WorldAccount(login="owner@example.org", role="owner"),),
        sites=(
            WorldSite(name="Shop", domain="shop.example.org", id="cc2c171f-99b7-4618-a7a2-55299ad0b9a6"),
            WorldSite(name="Shop", domain="shop.example.com", id="2442d572-7ec0-480a-af1c-a0df0ddb033d"),
            WorldSite(name="WWW.Bücher.example", domain="www.example.org"),
        ),
    )

    by_name = {scope.name for scope in opened(world).live().sites}
    by_address = {scope.name for scope in opened(world, sites_by="address").live().sites}

    assert by_name == {
        "Shop#cc2c171f-99b7-4618-a7a2-55299ad0b9a6",
        "Shop#2442d572-7ec0-480a-af1c-a0df0ddb033d",
        "www.xn--bcher-kva.example",
    }
    assert by_address == {"shop.example.org", "shop.example.com", "www.example.org"}


def test_a_group_list_that_is_one_object_is_a_list_too() -> None:
    """The description types the levels of a group as one object, its paging as many (API.md section 5)."""
    body = b'{"meta":{"total":1},"data":{"type":"x","id":"a","attributes":{"access":"view"}}}'

    assert decoded(rows.Page[rows.GroupAccess], body).rows[0].attributes.access == "view"


def test_an_unknown_level_is_not_taken_for_none() -> None:
    """A level nobody knows is no answer to conclude anything from."""
    place = opened()
    place.fake.state.levels["app", place.entity(site("docs.example.org")), "user", place.person("mia@example.org")] = (
        "delete"
    )
    plain = opened(through=lambda _: in_process(place.fake))

    with pytest.raises(NotThePlatformError):
        plain.live()


@pytest.mark.parametrize("fault", ["429", "cut", "500-after-write"])
def test_reading_outlives_a_hiccup(fault: str) -> None:
    """What a busy server or a cut connection stood in the way of is asked again."""
    place = opened()
    calm = place.live()
    place.fake.faults.append(Fault.parse(f"{fault}@2:GET /api/access-control"))

    assert place.live().access == calm.access


def test_a_token_that_dies_in_mid_read_is_renewed() -> None:
    """A 401 means that the thirty minutes are over, and nothing else."""
    place = opened()
    calm = place.live()
    place.fake.faults.append(Fault.parse("expire-token@1:GET /api/access-control"))

    assert place.live().access == calm.access


class TestWithoutAnOwnersKey:
    """A key acts as the person who made it, so a mere user's key sees and does little (MAPPING.md section 3)."""

    @staticmethod
    def _demoted(**levels: str) -> Opened:
        place = opened()
        me = place.person("siteward@example.org")
        place.fake.state.people[me].role = "USER"
        for name, level in levels.items():
            place.fake.state.levels["app", place.entity(site(f"{name}.example.org")), "user", me] = level
        return place

    def test_only_what_it_manages_is_read(self) -> None:
        place = self._demoted(shop="manage", blog="edit")
        traits, live = place.traits(), place.live()

        assert (traits.edition, traits.accounts_listed, traits.manages) == ("per-app", False, frozenset({"grant"}))
        assert "owners" in traits.blind_spots
        assert set(live.sites) == {site("shop.example.org")}
        assert live.access.grant(account("ed@example.org"), site("shop.example.org")) is not None
        assert not native(live, NativeState).whole
        assert [finding.code for finding in live.findings] == ["key-of-no-owner"]
        assert "only the 1 site it manages can be read" in live.findings[0].message

    def test_with_nothing_to_manage_it_is_for_reading_alone(self) -> None:
        place = self._demoted(blog="view")
        traits, live = place.traits(), place.live()

        assert (traits.edition, traits.manages) == ("read-only", frozenset())
        assert not live.sites
        assert "nothing can be changed" in live.findings[0].message

    def test_doctor_says_so(self) -> None:
        place = self._demoted(shop="manage")
        reach = PLATFORM.reach(place.doors.reader, place.settings, place.traits())

        assert (reach.account, reach.role) == ("siteward@example.org", "user")
        assert reach.may == ("read and set levels on the sites it manages",)


def test_doctor_names_the_owner_behind_the_key() -> None:
    """And warns that the key dies with that account."""
    place = opened()
    reach = PLATFORM.reach(place.doors.reader, place.settings, place.traits())

    assert (reach.account, reach.role) == ("siteward@example.org", "owner")
    assert any("dies with that account" in note for note in reach.notes)


@pytest.mark.parametrize(
    ("at", "attributes"),
    [("", {"email": "mia@example.org", "role": "USER"}), ("1", {"email": "", "role": "USER"})],
    ids=["id", "email"],
)
def test_an_id_or_address_that_is_empty_is_not_piwik_pros(at: str, attributes: dict[str, str]) -> None:
    """Nothing could be told apart by it."""
    row = {"type": "ppms/user", "id": at, "attributes": attributes}
    page = Page("GET /api/users/v2$", times=0, content=json.dumps({"meta": {"total": 1}, "data": [row]}).encode())
    place = opened(through=lambda fake: Proxy(in_process(fake), [page]))

    with pytest.raises(NotThePlatformError, match="did not answer as Piwik PRO does"):
        place.live()


@pytest.mark.parametrize("status", [204, 500])
def test_an_answer_that_says_nothing_comes_with_what_to_do(status: int) -> None:
    """The reason is not in it."""
    page = Page("GET /api/users/v2$", times=0, status=status, content=b"")
    place = opened(through=lambda fake: Proxy(in_process(fake), [page]))

    with pytest.raises(RefusedError, match=f"was answered {status}") as told:
        place.live()

    assert "try again" in (told.value.hint or "")
