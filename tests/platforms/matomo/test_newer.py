"""Matomo 5.14 and 6.0 as they were read about, never driven: what each changes, served over a socket, and what comes of it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec import convert

from platforms.matomo.rig import NOW, SHOP, SITES, MatomoRig, given, grant, taken, top, world
from siteward.access.model import Account
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve
from siteward.platforms.instance import Instance
from siteward.platforms.matomo.fake import FAKE, MatomoFake
from siteward.platforms.matomo.fake.state import Session
from siteward.platforms.matomo.platform import PLATFORM
from siteward.platforms.matomo.rpc import Call as ReadCall
from siteward.platforms.matomo.rpc import ask
from siteward.platforms.matomo.settings import Settings
from siteward.transport.errors import GateError
from siteward.transport.http import Link
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWER = ("5.14", "6.0")
SETTINGS = convert({"self": "root"}, Settings)
PASSWORD = "root-pass-1234"
BEN = WorldAccount(login="ben", email="ben@example.org", password="bens-own-password")


class Place:
    """A sandbox on a socket, and calls to it as any client would make them."""

    def __init__(self, fake: MatomoFake, url: str) -> None:
        self.fake, self.url = fake, url
        self.token = fake.credentials["token"]

    def ask(
        self, method: str, *, query: dict[str, str] | None = None, header: str = "", **fields: Any
    ) -> httpx.Response:
        """Call with the token in the body, or with another authentication in `query`, `header` or `fields`."""
        asked = {"module": "API", "method": method, "format": "JSON", "filter_limit": "-1", **(query or {})}
        body = {"token_auth": self.token, **fields}
        headers = {"Authorization": header} if header else {}
        return httpx.post(
            f"{self.url}/index.php",
            params=asked,
            data={name: value for name, value in body.items() if value is not None},
            headers=headers,
        )

    def bulk(self, *entries: str, **fields: Any) -> httpx.Response:
        urls: dict[str, Any] = {f"urls[{at}]": entry for at, entry in enumerate(entries)}
        return self.ask("API.getBulkRequest", **urls, **fields)

    def instance(self) -> Instance:
        env = {f"SITEWARD_IT_{name.upper()}": value for name, value in self.fake.credentials.items()}
        link = Link(url=self.url, sleep=lambda _: None, tries=2)
        return Instance(name="it", platform=PLATFORM, settings=SETTINGS, link=link, env=env)


@contextmanager
def at(release: str, start: World | None = None) -> Iterator[Place]:
    fake = FAKE.of(
        start or world([BEN], [WorldGrant(account="ben", site=SHOP, role="view")]), release, clock=lambda: NOW
    )
    with serve(fake) as served:
        yield Place(fake, served.url)


@pytest.mark.parametrize("release", NEWER)
def test_it_is_read_and_written_over_a_socket(release: str) -> None:
    """What the product sends fits all that is refused there."""
    with at(release) as place, place.instance().reading() as reader:
        traits, seed = PLATFORM.probe(reader, SETTINGS)
        live = PLATFORM.read(reader, SETTINGS, traits, seed)
        assert traits.version == {"5.14": "5.14.1", "6.0": "6.0.0-b1"}[release]
        assert grant("ben", SHOP, "view") in set(live.access.grants())
    rig = MatomoRig.of(release, world([BEN], [WorldGrant(account="ben", site=SHOP, role="view")]))
    made = rig.write(given(Account("new", "new@example.org")), given(grant("new", SHOP, "admin")), given(top("ben")))
    assert {receipt.status for receipt in made} == {"sent"}


@pytest.mark.parametrize(("release", "accepted"), [("5.3", False), ("5.14", True), ("6.0", True)])
def test_5_4_takes_the_token_from_the_header(release: str, *, accepted: bool) -> None:
    """The product goes on to send it in the body, which works everywhere."""
    with at(release) as place:
        told = place.ask("UsersManager.hasSuperUserAccess", token_auth=None, header=f"Bearer {place.token}").json()
        assert (told == {"value": True}) is accepted


@pytest.mark.parametrize(
    ("method", "plugins", "status"),
    [
        ("UsersManager.setUserAccess", {}, 400),
        ("UsersManager.nonsense", {}, 404),
        ("GroupPermissions.getAllGroups", {}, 404),
        ("GroupPermissions.getAllGroups", {"GroupPermissions": False}, 403),
    ],
)
def test_5_7_tells_the_faults_of_a_client_by_status(method: str, plugins: dict[str, bool], status: int) -> None:
    """At the top; inside a bulk, where the product asks, all stays 200, and a plugin that is off is no gate."""
    start = World(sites=(WorldSite(name="Shop", domain=SHOP),), more={"plugins": plugins})
    with at("5.14", start) as place:
        assert place.ask(method).status_code == status
        inner = place.bulk(f"method={method}")
        assert (inner.status_code, inner.json()[0]["result"]) == (200, "error")
        with place.instance().reading() as reader:
            assert PLATFORM.probe(reader, SETTINGS)[0].blind_spots == ()


@pytest.mark.parametrize(("release", "status"), [("5.3", 200), ("5.14", 400)])
def test_5_7_1_takes_no_site_that_is_no_number(release: str, status: int) -> None:
    with at(release) as place:
        told = place.ask("UsersManager.setUserAccess", userLogin="ben", access="write", idSites="1,abc")
        assert told.status_code == status
        assert [row.access for row in place.fake.state.rows_of("ben")] == (["write"] if status == 200 else ["view"])


@pytest.mark.parametrize(("release", "status"), [("5.3", 200), ("5.14", 400)])
def test_5_8_refuses_two_tokens_that_differ(release: str, status: int) -> None:
    """Before, the one in the body went first. The product has one place for it."""
    with at(release) as place:
        asked = place.ask("UsersManager.hasSuperUserAccess", query={"token_auth": "another"})
        assert asked.status_code == status
    with at("5.14") as place:
        query = {"force_api_session": "1"}
        assert place.ask("UsersManager.hasSuperUserAccess", query=query, force_api_session="0").status_code == 400


@pytest.mark.parametrize(("limit", "most"), [(None, 10), (5, 5), (80, 10)])
def test_5_8_bounds_the_bulks_of_nobody(limit: int | None, most: int) -> None:
    start = World(sites=(WorldSite(name="Shop", domain=SHOP),), more={} if limit is None else {"bulk_limit": limit})
    with at("5.14", start) as place:
        entries = ["method=API.getPiwikVersion"] * (most + 1)
        assert place.bulk(*entries, token_auth=None).status_code == 400
        assert place.bulk(*entries[1:], token_auth=None).status_code == 200


@pytest.mark.parametrize("limit", [1, 3, 5, 8])
def test_5_8_may_bound_ours_and_all_is_read_all_the_same(limit: int) -> None:
    start = world([BEN], [WorldGrant(account="ben", site=SHOP, role="view")])
    with (
        at("5.14", start.model_copy(update={"more": {"bulk_limit": limit}})) as place,
        place.instance().reading() as reader,
    ):
        traits, seed = PLATFORM.probe(reader, SETTINGS)
        assert grant("ben", SHOP, "view") in set(PLATFORM.read(reader, SETTINGS, traits, seed).access.grants())


def test_5_9_ends_web_sessions_of_who_loses_all_and_keeps_tokens() -> None:
    rig = MatomoRig.of("5.14", world([BEN], [WorldGrant(account="ben", site=SHOP, role="view")]))
    rig.fake.state.sessions["s"] = Session("ben", "s")
    tokens = dict(rig.fake.state.tokens)
    rig.write(taken(grant("ben", SHOP, "view")))
    assert rig.fake.state.sessions == {}
    assert rig.fake.state.tokens == tokens


@pytest.mark.parametrize(("release", "days"), [("5.3", 7), ("5.14", 30)])
def test_5_9_lets_the_operator_say_how_long_invitations_last(release: str, days: int) -> None:
    """The product counts no days of its own: it tells the end that the server gives."""
    start = World(sites=SITES, more={"invite_days": 30})
    rig = MatomoRig.of(release, start, onboarding="invite")
    anna = Account("anna", "anna@example.org")
    assert {receipt.status for receipt in rig.write(given(anna), given(grant("anna", SHOP, "view")))} == {"sent"}
    user = rig.fake.state.user("anna")
    assert user is not None
    assert user.expires == NOW + timedelta(days=days)


def test_5_11_shows_a_description_that_the_product_neither_needs_nor_sends() -> None:
    with at("5.14") as place:
        assert place.ask("SitesManager.updateSite", idSite="1", description="x" * 255).status_code == 200
        assert place.ask("SitesManager.getSiteFromId", idSite="1").json()["description"] == "x" * 255
        assert place.ask("SitesManager.updateSite", idSite="1", description="x" * 256).status_code == 400
        with place.instance().reading() as reader:
            traits, seed = PLATFORM.probe(reader, SETTINGS)
            assert len(PLATFORM.read(reader, SETTINGS, traits, seed).sites) == 3


@pytest.mark.parametrize(("release", "made"), [("5.3", True), ("5.14", False)])
def test_5_13_makes_a_token_for_oneself_alone(release: str, *, made: bool) -> None:
    method = "UsersManager.createAppSpecificTokenAuth"
    mine: dict[str, Any] = {"userLogin": "root", "passwordConfirmation": PASSWORD}
    hers: dict[str, Any] = {"userLogin": "ben", "passwordConfirmation": "bens-own-password"}
    with at(release) as place:
        assert ("value" in place.ask(method, **hers, description="x").json()) is made
        assert "value" in place.ask(method, **mine, description="x").json()
        assert "value" in place.ask(method, **hers, description="x", token_auth=None).json()
        entry = f"method={method}&userLogin=root&passwordConfirmation={PASSWORD}&description=x"
        (nested,) = place.bulk(entry).json()
        assert ("value" in nested) is made


@pytest.mark.parametrize(("release", "status"), [("5.3", 200), ("5.14", 400)])
def test_5_13_refuses_a_bulk_whole_for_an_entry_with_another_session_flag(release: str, status: int) -> None:
    with at(release) as place:
        entries = ("method=API.getPiwikVersion", "method=API.getPiwikVersion&force_api_session=1")
        assert place.bulk(*entries).status_code == status


@pytest.mark.parametrize(("release", "asks"), [("5.3", False), ("5.14", True)])
def test_5_13_asks_a_session_for_the_password_before_it_makes_an_admin(release: str, *, asks: bool) -> None:
    """A token is not asked, so the product needs no password for it."""
    with at(release) as place:
        place.fake.state.sessions["web"] = Session("root", "cookie")
        call: dict[str, Any] = {"userLogin": "ben", "access": "admin", "idSites": "1"}
        told = httpx.post(
            f"{place.url}/index.php?module=API&method=UsersManager.setUserAccess&format=JSON",
            data={"token_auth": "web", "force_api_session": "1", **call},
            cookies={"MATOMO_SESSID": "cookie"},
        ).json()
        assert (told["result"] == "error") is asks
        assert place.ask("UsersManager.setUserAccess", **call).json()["result"] == "success"
    rig = MatomoRig.of(release, world([BEN]), password=None)
    assert {receipt.status for receipt in rig.write(given(grant("ben", SHOP, "admin")))} == {"sent"}


def test_5_14_answers_with_headers_for_browsers() -> None:
    with at("5.3") as old, at("5.14") as new:
        assert "content-security-policy" not in old.ask("API.getPiwikVersion").headers
        assert new.ask("API.getPiwikVersion").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("release", "trims"), [("5.14", True), ("6.0", False)])
def test_6_0_trims_no_login_and_a_plan_refuses_one_with_blanks(release: str, *, trims: bool) -> None:
    """That it is refused there is a guess; the product sends none on any release."""
    with at(release) as place:
        told = place.ask("UsersManager.setUserAccess", userLogin=" ben ", access="write", idSites="1").json()
        assert (told["result"] == "success") is trims
    rig = MatomoRig.of(release)
    assert "login-form" in rig.codes(given(Account(" lead", "lead@example.org")))


@pytest.mark.parametrize(("release", "status"), [("5.14", 200), ("6.0", 400)])
@pytest.mark.parametrize(
    "wrong", [{"userLogin[]": "ben", "hasSuperUserAccess": "1"}, {"userLogin": "ben", "hasSuperUserAccess": "yes"}]
)
def test_6_0_refuses_what_is_not_of_the_declared_type(release: str, status: int, wrong: dict[str, Any]) -> None:
    with at(release) as place:
        told = place.ask("UsersManager.setSuperUserAccess", passwordConfirmation=PASSWORD, **wrong)
        assert told.status_code == status


def test_6_0_has_lost_a_method_and_renamed_its_space() -> None:
    with at("5.14") as before, at("6.0") as now:
        assert before.ask("API.getSettings").status_code == 200
        gone = now.ask("API.getSettings")
        assert gone.status_code == 404
        assert "Matomo\\Plugins\\API" in gone.json()["message"]


def test_6_0_behind_a_proxy_that_it_does_not_trust_is_told_as_such() -> None:
    """Its warning page is a page where JSON was expected; the words name the setting."""
    with at("6.0", World(more={"untrusted_host": True})) as place, place.instance().reading() as reader:
        with pytest.raises(GateError) as caught:
            PLATFORM.probe(reader, SETTINGS)
        assert "trusted_hosts" in (caught.value.hint or "")


def test_another_gate_is_not_taken_for_that_warning() -> None:
    with at("6.0") as place:
        place.fake.state.settings["maintenance_mode"] = "1"
        with place.instance().reading() as reader, pytest.raises(Exception, match="503") as caught:
            PLATFORM.probe(reader, SETTINGS)
        assert "trusted_hosts" not in f"{caught.value}{getattr(caught.value, 'hint', '')}"


@pytest.mark.parametrize(("host", "paces"), [("acme.matomo.cloud", True), ("stats.example.org", False)])
def test_the_cloud_is_asked_no_faster_than_it_lets_one(host: str, *, paces: bool) -> None:
    """5 requests a second, and so fewer than 350 in a minute."""
    waits: list[float] = []
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[{"value": 1}]))
    link = Link(url=f"https://{host}", transport=transport, sleep=waits.append, clock=lambda: 0.0)
    secrets = Secrets({"token": Secret("t" * 32)}, instance="it")
    with PLATFORM.connect(SETTINGS, secrets, link) as doors:
        for _ in range(12):
            assert ask(doors.reader, [ReadCall("API.getPiwikVersion")]) == [{"value": 1}]
    assert bool(waits) is paces
