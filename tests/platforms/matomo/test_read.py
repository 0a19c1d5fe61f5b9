"""Reading a whole Matomo: the traps of API.md section 0, each release in its own shapes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from platforms.matomo.rig import BLOG, NOW, RELEASES, SHOP, MatomoRig, grant, top, world
from platforms.proxy import Page
from siteward.access.model import Account, Power, Scope, account_key
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.matomo.fake.php import collate
from siteward.platforms.matomo.fake.state import Site
from siteward.platforms.matomo.platform import PLATFORM
from siteward.transport.errors import IncompleteError, NotThePlatformError, ReadOnlyError

PEOPLE = (
    WorldAccount(login="anna", email="Anna@example.org", role="superuser"),
    WorldAccount(login="ben", email="ben@example.org"),
    WorldAccount(login="12345", email="number@example.org"),
)
GRANTS = (
    WorldGrant(account="ben", site=SHOP, role="view"),
    WorldGrant(account="ben", site=BLOG, role="admin"),
    WorldGrant(account="12345", site=SHOP, role="view"),
)


@pytest.mark.parametrize("release", RELEASES)
def test_everything_is_read_in_one_request_after_the_preflight(release: str) -> None:
    rig = MatomoRig.of(release, world(PEOPLE, GRANTS))
    live = rig.read()
    assert rig.requests == 2
    assert live.me == "root"
    assert live.complete
    assert set(live.access.grants()) == {
        top("root"), top("anna"), grant("ben", SHOP, "view"), grant("ben", BLOG, "admin"), grant("12345", SHOP, "view"),
    }  # fmt: skip
    assert live.access[account_key("anna")] == Account("anna", "Anna@example.org")
    assert {site.label for site in live.sites.values()} == {SHOP, BLOG, "staging.example.org"}


def test_the_reading_side_cannot_write_whatever_is_asked_of_it() -> None:
    rig = MatomoRig.of("5.3")
    reader = rig.doors.reader
    query = {"module": "API", "method": "API.getBulkRequest", "format": "JSON", "filter_limit": "-1", "language": "en"}
    reading = "method=UsersManager.getUsers"
    writing = "method=UsersManager.deleteUser&userLogin=anna"
    for params, form in (
        ({**query, "method": "UsersManager.deleteUser"}, {"urls[0]": reading}),
        (query, {"urls[0]": writing}),
        (query, {"urls[0]": reading, "urls[1]": writing}),
        (query, {"urls[0]": f"{reading}&{writing}"}),
        (query, {"urls[0]": reading, "method": "UsersManager.deleteUser", "userLogin": "anna"}),
        (query, {}),
    ):
        with pytest.raises(ReadOnlyError):
            reader.call("/index.php", params=params, form=form)
    with pytest.raises(ReadOnlyError):
        reader.query("/index.php", query)
    assert rig.requests == 0


def test_the_token_is_the_first_field_of_the_body_and_never_in_the_address() -> None:
    rig = MatomoRig.of("5.3")
    seen: list[tuple[str, bytes]] = []
    answer = rig.fake.answer

    def listening(request):  # type: ignore[no-untyped-def]
        seen.append((request.query_string.decode(), request.get_data()))
        return answer(request)

    rig.fake.answer = listening  # type: ignore[method-assign]
    rig.read()
    assert len(seen) == 2
    assert all(body.startswith(b"token_auth=") and "token_auth" not in query for query, body in seen)
    assert all("filter_limit=-1" in query and "language=en" in query for query, _ in seen)


def test_2_x_is_not_asked_for_its_passwords_and_tokens() -> None:
    rig = MatomoRig.of("2.18", world(PEOPLE))
    bodies: list[bytes] = []
    answer = rig.fake.answer

    def listening(request):  # type: ignore[no-untyped-def]
        response = answer(request)
        bodies.append(response.get_data())
        return response

    rig.fake.answer = listening  # type: ignore[method-assign]
    live = rig.read()
    secrets = [value for user in rig.fake.state.users.values() for value in (user.password, user.token) if value]
    assert secrets
    assert not any(secret.encode() in body for secret in secrets for body in bodies)
    assert not any(secret in repr(live) for secret in secrets)


@pytest.mark.parametrize("release", ["5.3", "4.16", "3.14"])
@pytest.mark.parametrize("people", [99, 100, 101])
def test_a_list_of_a_hundred_is_asked_for_what_is_behind_it(release: str, people: int) -> None:
    many = [WorldAccount(login=f"u{at:03}") for at in range(people - 2)]  # beside root and anonymous
    rig = MatomoRig.of(release, world(many))
    live = rig.read()
    assert len(list(live.access.accounts())) == people
    assert rig.requests == (3 if people == 100 else 2)


def test_a_server_that_cuts_lists_to_a_hundred_is_found_out() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login=f"u{at:03}") for at in range(150)]))
    traits = rig.probe()
    rig.fake.faults.append(Fault("lying-total", times=0))
    with pytest.raises(IncompleteError, match="exactly 100 rows and has more behind"):
        PLATFORM.read(rig.doors.reader, rig.settings, traits)


def test_numeric_logins_keep_their_names() -> None:
    people = [WorldAccount(login=str(12300 + at)) for at in range(100)]
    grants = [WorldGrant(account=person.login, site=SHOP, role="view") for person in people]
    live = MatomoRig.of("5.3", world(people, grants)).read()
    assert sum(grant.subject.name.isdigit() for grant in live.access.grants()) == 100


def test_sites_of_one_domain_and_of_none_are_told_apart_by_id() -> None:
    twins = (WorldSite(name="A", domain="Shop.example.org/a"), WorldSite(name="B", domain="shop.example.org/b"))
    live = MatomoRig.of("5.3", World(sites=(*twins, WorldSite(name="C", domain="")))).read()
    assert set(live.sites) == {
        Scope("site", "shop.example.org#1"),
        Scope("site", "shop.example.org#2"),
        Scope("site", "#3"),
    }
    assert [site.id for site in live.sites.values()] == ["1", "2", "3"]


def test_groups_names_and_international_domains_are_kept_for_selectors() -> None:
    site = WorldSite(name='<b>"Laden" & mehr', domain="bücher.example", group=" Team A ")
    (found,) = MatomoRig.of("5.3", World(sites=(site,))).read().sites.values()
    assert (found.name, found.label, found.group) == ('<b>"Laden" & mehr', "xn--bcher-kva.example", "Team A")


def test_capabilities_come_with_their_role_and_those_in_the_role_do_not() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login="ben")]))
    rig.fake.state.add_rows("ben", "write", [1, 2])
    rig.fake.state.add_rows("ben", "tagmanager_write", [1])
    rig.fake.state.add_rows("ben", "tagmanager_publish_live_container", [2])
    grants = set(rig.read().access.grants()) - {top("root")}
    assert grants == {grant("ben", SHOP, "write"), grant("ben", BLOG, "write", "tagmanager_publish_live_container")}


def test_a_capability_that_is_called_as_a_role_is_no_crash() -> None:
    """A plugin may have done that; the server has one list of that name, and the roles are read as ever."""
    rig = MatomoRig.of("5.3", world([WorldAccount(login="ben")]))
    rig.fake.state.add_rows("ben", "write", [1])
    traits = rig.probe()
    odd = replace(traits, extras={**traits.extras, "view": Power.VIEW})
    found = PLATFORM.read(rig.doors.reader, rig.settings, odd)
    assert grant("ben", SHOP, "write") in set(found.access.grants())


def test_invitations_are_states_and_their_grants_wait() -> None:
    people = [
        WorldAccount(login="ivy", status="pending"), WorldAccount(login="late", status="expired"),
        WorldAccount(login="boss", status="pending", role="superuser"),
    ]  # fmt: skip
    live = MatomoRig.of("5.3", world(people, [WorldGrant(account="ivy", site=SHOP, role="view")])).read()
    statuses = {account.name: account.status for account in live.access.accounts()}
    assert statuses == {
        "ivy": "pending", "late": "expired", "boss": "pending", "root": "active", "anonymous": "active",
    }  # fmt: skip
    assert {account_key("ivy"), grant("ivy", SHOP, "view").key, top("boss").key} <= live.pending
    assert live.facts[account_key("ivy")]["invited_by"] == "root"
    codes = {finding.code: finding.about for finding in live.findings}
    assert codes == {"pending-superuser": account_key("boss")}


def test_last_seen_is_a_fact_and_its_absence_too() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login="ben")]))
    rig.fake.state.last_seen[collate("root")] = NOW
    facts = rig.read().facts
    assert facts[account_key("root")]["last_seen"] == "2026-11-22 03:00:00"
    assert "last_seen" not in facts[account_key("ben")]
    assert facts[account_key("ben")]["two_factor"] == "no"


def test_rows_under_another_letter_case_count_for_the_person() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login="bob")]))
    rig.fake.state.add_rows("BOB", "admin", [1])
    live = rig.read()
    assert grant("bob", SHOP, "admin") in set(live.access.grants())
    assert [finding.code for finding in live.findings] == ["stray-spelling"]


def test_grants_that_hang_in_the_air_are_findings() -> None:
    rig = MatomoRig.of("5.3", world([WorldAccount(login="bob"), WorldAccount(login="anna", role="superuser")]))
    rig.fake.state.add_rows("bob", "view", [999])
    rig.fake.state.add_rows("ghost", "view", [1])
    rig.fake.state.add_rows("ANNA", "view", [1])
    live = rig.read()
    assert set(live.access.grants()) == {top("root"), top("anna")}
    assert sorted(finding.code for finding in live.findings) == [
        "orphan-grant", "orphan-grant", "stray-grants", "stray-spelling",
    ]  # fmt: skip
    messages = "\n".join(finding.message for finding in live.findings)
    assert [word for word in ("1 grants", "1 logins", "1 superusers") if word in messages] == []
    for words in ("1 grant on sites that do not exist", "for 1 login that", "1 superuser with grants on sites"):
        assert words in messages


def test_public_access_is_a_grant_of_everybody() -> None:
    live = MatomoRig.of("5.3", world(grants=[WorldGrant(account="anonymous", site=SHOP, role="view")])).read()
    assert grant("anonymous", SHOP, "view") in set(live.access.grants())


def test_self_that_is_no_superuser_is_not_taken_for_the_owner_of_the_token() -> None:
    assert MatomoRig.of("5.3", world([WorldAccount(login="ben")]), own_login="ben").read().me is None
    assert MatomoRig.of("5.3", own_login="nobody").read().me is None
    assert MatomoRig.of("5.3", own_login="ROOT").read().me == "root"


def test_an_answer_of_another_length_is_refused() -> None:
    rig = MatomoRig.of("5.3")
    traits = rig.probe()
    rig.fake.state.sites[7] = Site(7, "x", ["http://x.example"], NOW)
    answer = rig.fake.answer

    def short(request):  # type: ignore[no-untyped-def]
        response = answer(request)
        response.set_data(b"[[]]")
        return response

    rig.fake.answer = short  # type: ignore[method-assign]
    with pytest.raises(NotThePlatformError, match="11 results"):
        PLATFORM.read(rig.doors.reader, rig.settings, traits)


@pytest.mark.parametrize("release", RELEASES)
def test_looking_again_tells_presence_absence_and_change(release: str) -> None:
    rig = MatomoRig.of(release, world(PEOPLE, GRANTS))
    live = rig.read()
    there, gone = grant("ben", SHOP, "view"), grant("ben", "staging.example.org", "view")
    rig.fake.state.delete_rows("ben", [2])
    seen = rig.refresh(there.key, gone.key, grant("ben", BLOG, "admin").key, account_key("nobody"), live=live)
    assert seen == {
        there.key: there,
        gone.key: None,
        grant("ben", BLOG, "admin").key: None,
        account_key("nobody"): None,
    }


@pytest.mark.parametrize("release", RELEASES)
def test_looking_again_at_anything_tells_what_reading_all_tells(release: str) -> None:
    """It builds only what it is asked for; also where rows are kept under another spelling, or for nobody."""
    rig = MatomoRig.of(release, world(PEOPLE, GRANTS))
    for login in ("BEN", "bén", "ghost"):
        rig.fake.state.add_rows(login, "view", [3])
    live = rig.read()
    assert grant("ben", "staging.example.org", "view") in live.access.values()
    keys = [*live.access, account_key("nobody"), grant("nobody", SHOP, "view").key]
    for some in (keys, keys[::2], keys[:1], []):
        assert rig.refresh(*some, live=live) == {key: live.access.get(key) for key in some}


@pytest.mark.parametrize("release", RELEASES)
def test_a_login_that_is_empty_is_not_matomos(release: str) -> None:
    """Nobody could be told apart by it."""
    rig = MatomoRig.of(release, world(PEOPLE, GRANTS))
    user = rig.fake.state.user("ben")
    assert user is not None
    user.login = ""
    with pytest.raises(NotThePlatformError, match="the answer to getUsers is not what Matomo gives"):
        rig.read()


@pytest.mark.parametrize("status", [204, 500])
def test_an_answer_that_says_nothing_comes_with_what_to_do(status: int) -> None:
    """The reason stands in a log."""
    rig = MatomoRig.of("5.3", world(PEOPLE, GRANTS))
    rig.proxy.pages.append(Page("POST /index.php", times=0, status=status, content=b""))
    with pytest.raises(NotThePlatformError, match=f"answered {status} with something that is not valid JSON") as caught:
        rig.read()
    assert "log" in (caught.value.hint or "")
