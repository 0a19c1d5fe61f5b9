"""Reading: what it costs, what proves that nothing is missing, and what Umami's rows mean."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.proxy import Proxy
from platforms.umami.at import BLOG, RELEASES, SHOP, At, fake_of, grant, power, umami, world
from siteward.access.model import Grant, Scope, Subject, account_key
from siteward.platforms import fakery
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldSite
from siteward.platforms.umami.platform import PLATFORM
from siteward.platforms.umami.settings import Settings
from siteward.transport.errors import IncompleteError, NotThePlatformError, RefusedError
from siteward.transport.http import Link
from siteward.transport.secrets import Secret, Secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.access.diagnostic import Diagnostic
    from siteward.platforms.umami.fake import UmamiFake

LISTINGS = {"GET /api/admin/users", "GET /api/admin/teams", "GET /api/admin/websites"}


def found(at: At, code: str) -> list[Diagnostic]:
    return [finding for finding in at.live.findings if finding.code == code]


@pytest.mark.parametrize("release", ["3.2", "3.1"])
@pytest.mark.parametrize("size", [1, 60])
def test_reading_costs_a_login_and_three_requests_for_any_size(release: str, size: int) -> None:
    """API.md section 8."""
    users = [f"user{number}" for number in range(size)]
    with umami(world(users=("anna", "ben", *users)), release) as at:
        begun = len(at.fake.calls)
        at.read()
        assert set(at.calls(begun)) == LISTINGS
        assert len(at.calls(begun)) == 3
        assert at.live.complete
        assert {listing.name: listing.rows for listing in at.live.listings} == {
            "accounts": size + 3,
            "teams": 1,
            "sites": 2,
        }
        assert at.fake.writes == 0


def test_2_20_is_read_account_by_account() -> None:
    """One list and two requests an account (API.md section 9), with the same result as from 3.x."""
    with umami(world(), "2.20") as old, umami(world(), "3.2") as new:
        begun = len(old.fake.calls)
        old.read()
        assert len(old.calls(begun)) == 1 + 2 * 4
        assert dict(old.live.access) == dict(new.live.access)


@pytest.mark.parametrize("release", RELEASES)
def test_grants_are_owners_members_and_account_roles(release: str) -> None:
    """A personal site's owner, a team's members, admins; `view-only` grants nothing."""
    with umami(world(), release) as at:
        assert set(at.live.access.grants()) == {
            power("siteward", "admin"),
            grant("siteward", SHOP, "owner"),
            grant("siteward", BLOG, "owner"),
            grant("anna", SHOP, "team-view-only"),
            grant("ben", SHOP, "team-member"),
        }
        assert at.live.me == "siteward"
        assert at.live.ids[account_key("anna")] in at.fake.state.users


TEAMS = {
    "teams": [
        {"name": "Both", "members": [{"account": "carla", "role": "team-manager"}]},
        {"name": "Idle", "members": [{"account": "anna", "role": "team-view-only"}]},
    ]
}


def with_teams() -> World:
    first, second = (WorldSite(name=name, domain=f"{name}.test", group="Both") for name in ("one", "two"))
    return world(TEAMS).model_copy(update={"sites": (*world().sites, first, second)})


def test_a_team_of_several_sites_grants_on_each_and_one_without_any_is_a_scope() -> None:
    """Whoever is in a team sees all of its sites; an idle team is still something people are in."""
    with umami(with_teams(), layout="existing") as at:
        assert {grant for grant in at.live.access.grants() if grant.subject.name == "carla"} == {
            grant("carla", "one.test", "team-manager"),
            grant("carla", "two.test", "team-manager"),
        }
        idle = Grant(Subject("account", "anna"), Scope("team", "Idle"), "team-view-only")
        assert idle in set(at.live.access.grants())


def test_what_does_not_fit_the_layout_is_told() -> None:
    """MAPPING.md section 2: a managed team has one site and is ours."""
    with umami(with_teams()) as at:
        assert "one.test, two.test" in found(at, "shared-team")[0].message
    with umami(with_teams(), layout="existing") as at:
        assert not found(at, "shared-team")


def test_sites_of_others_are_matched_by_id_alone() -> None:
    """Anybody may make a site of any domain, so a foreign one never bears a bare domain, nor takes ours away."""
    bait = WorldSite(name="Bait", domain=SHOP, owner="carla", id="00000000-0000-4000-8000-000000000001")
    with umami(world().model_copy(update={"sites": (bait, *world().sites)})) as at:
        ours, foreign = at.live.sites[Scope("site", SHOP)], at.live.sites[Scope("site", f"{SHOP}#{bait.id}")]
        assert not ours.by_id_only
        assert foreign.by_id_only
        assert foreign.owner == "carla"
        assert grant("anna", SHOP, "team-view-only") in set(at.live.access.grants())
        assert "carla" in found(at, "site-owned-by-account")[0].message


def test_two_sites_of_ours_with_one_domain_carry_their_ids() -> None:
    """Neither gets the bare name; a grant on it would be ambiguous."""
    twin = WorldSite(name="Twin", domain=BLOG, owner="siteward")
    with umami(world().model_copy(update={"sites": (*world().sites, twin)})) as at:
        labels = {site.name for site in at.live.sites}
        assert len([label for label in labels if label.startswith(f"{BLOG}#")]) == 2
        assert BLOG not in labels


@pytest.mark.parametrize(
    ("domain", "label"),
    [
        ("HTTPS://Shop.Example.org/x", "shop.example.org"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("a.test.", "a.test"),
    ],
)
def test_a_domain_is_compared_as_a_host(domain: str, label: str) -> None:
    """Umami validates nothing, so an address, capitals and umlauts arrive here."""
    start = World(sites=(WorldSite(name="S", domain=domain, owner="siteward"),))
    with umami(start) as at:
        (site,) = at.live.sites.values()
        assert site.label == label
        assert site.domains == (label,)


def test_a_site_without_a_domain_is_named_by_its_id() -> None:
    """An empty domain is accepted by Umami (recording 06_websites_transfer_shares)."""
    with umami(World(sites=(WorldSite(name="S", domain="", owner="siteward"),))) as at:
        (site,) = at.live.sites.values()
        assert site.label == f"#{site.id}"
        assert site.domains == ()


def test_a_site_that_belongs_to_nobody_is_found() -> None:
    """An orphan, and a site whose team does not exist; both prove nothing about whose they are."""
    fake = fake_of(
        World(sites=(WorldSite(name="B", domain=BLOG), WorldSite(name="S", domain=SHOP)), more={"orphans": [BLOG]})
    )
    next(
        website for website in fake.state.websites.values() if website.domain == SHOP
    ).team = "66666666-6666-4666-8666-666666666666"
    fake.state.teams.clear()
    with umami(fake=fake) as at:
        assert len(found(at, "orphan-site")) == 2
        assert all(site.by_id_only and site.owner is None for site in at.live.sites.values())
        assert at.live.complete


def test_a_public_link_is_found() -> None:
    """MAPPING.md hazard 10: an access that no user list shows."""
    with umami(world({"shares": [{"site": BLOG, "slug": "public-slug-1"}]})) as at:
        (told,) = found(at, "public-share-link")
        assert BLOG in told.message
        assert "public-slug-1" not in repr(at.live.findings)


@pytest.mark.parametrize("release", RELEASES)
def test_ghosts_grant_nothing_and_are_found(release: str) -> None:
    """MAPPING.md hazard 7: memberships of accounts that do not exist."""
    with umami(world({"rows": [{"site": SHOP, "account": "gone", "role": "team-manager"}]}), release) as at:
        assert "1 membership" in found(at, "ghost-member")[0].message
        assert len([grant for grant in at.live.access.grants() if grant.scope.name == SHOP]) == 3


@pytest.mark.parametrize("release", RELEASES)
def test_of_duplicates_the_strongest_counts(release: str) -> None:
    """MAPPING.md hazard 8: any of the rows may be the one that Umami looks at."""
    rows = [
        {"site": SHOP, "account": "anna", "role": "team-manager"},
        {"site": SHOP, "account": "anna", "role": "team-member"},
    ]
    with umami(world({"rows": rows}), release) as at:
        assert grant("anna", SHOP, "team-manager") in set(at.live.access.grants())
        assert "3 times" in found(at, "duplicate-member")[0].message


def test_a_team_without_an_owner_is_found() -> None:
    """Only admins can manage it."""
    with umami(world({"teams": [{"name": "Lost", "owner": None}]})) as at:
        assert "Lost" in found(at, "team-without-owner")[0].message


def test_a_team_of_somebody_else_is_used_and_told() -> None:
    """MAPPING.md section 4: such a team is adopted in place."""
    start = world({"teams": [{"name": "Hers", "owner": "carla"}]})
    site = WorldSite(name="T", domain="t.test", group="Hers")
    with umami(start.model_copy(update={"sites": (*start.sites, site)})) as at:
        assert "owned by carla" in found(at, "managed-team-not-ours")[0].message
        assert grant("carla", "t.test", "owner") in set(at.live.access.grants())


def test_logins_that_differ_only_in_case_are_found() -> None:
    """MAPPING.md section 3: after an upgrade to 3.2 only one of them can log in."""
    with umami(world(users=("anna", "ben", "Carla", "carla", "Dora")), "3.1") as at:
        assert {diagnostic.about for diagnostic in found(at, "login-clash")} == {
            ("account", "Carla"),
            ("account", "carla"),
        }
        assert [diagnostic.about for diagnostic in found(at, "mixed-case-login")] == [("account", "Dora")]


def test_roles_that_do_not_exist_are_found() -> None:
    """2.20 stores what its patterns let through (API.md section 9); Umami gives such an account nothing."""
    start = World(accounts=(WorldAccount(login="weird", role="superuser"),))
    with umami(start, "2.20") as at:
        assert "superuser" in found(at, "role-unknown")[0].message
        assert power("weird", "superuser") in set(at.live.access.grants())


def test_facts_tell_what_an_account_owns() -> None:
    """What a reviewer wants to see beside a stranger."""
    with umami(world({"teams": [{"name": "Hers", "owner": "carla"}]})) as at:
        assert at.live.facts[account_key("carla")]["owns"] == "team Hers"
        assert at.live.facts[account_key("carla")]["created"].startswith("20")


def test_neither_hashes_nor_codes_are_kept() -> None:
    """2.20 sends bcrypt hashes (API.md section 9), every release access codes; neither leaves the parser."""
    with umami(world(), "2.20") as at:
        kept = repr(at.live)
        assert at.code() not in kept
        assert not any(user.password in kept for user in at.fake.state.users.values())


# What is marked as deleted


def _with_deleted(*names: str) -> World:
    more = {"teams": [{"name": "Old", "members": [{"account": "ben", "role": "team-member"}]}], "deleted": names}
    two = WorldSite(name="Two", domain="two.test", group="Old")
    return world(more).model_copy(update={"sites": (*world().sites, two)})


@pytest.mark.parametrize("release", RELEASES)
def test_an_account_that_is_marked_as_deleted_is_a_ghost(release: str) -> None:
    """REAL-2026-11.md, F10: neither a contradiction nor alive, where a server once ran in cloud mode."""
    with umami(_with_deleted("anna"), release) as at:
        assert at.live.complete
        assert "anna" not in {account.name for account in at.live.access.accounts()}
        assert not [grant for grant in at.live.access.grants() if grant.subject.name == "anna"]
        ghosts = [finding.message for finding in at.live.findings if finding.code == "ghost-member"]
        assert len(ghosts) == 1
        assert "marked as deleted" in ghosts[0]


@pytest.mark.parametrize("release", ["3.2", "3.1"])
def test_a_team_that_is_marked_as_deleted_is_not_there(release: str) -> None:
    """Its site is nobody's, and nobody has access by it."""
    with umami(_with_deleted("Old"), release) as at:
        assert at.live.complete
        assert not [grant for grant in at.live.access.grants() if "two.test" in grant.scope.name]
        assert not [grant for grant in at.live.access.grants() if grant.scope.kind == "team"]
        assert [finding.code for finding in at.live.findings if finding.code == "orphan-site"] == ["orphan-site"]


def test_an_account_that_comes_and_goes_is_a_contradiction() -> None:
    """Only what is told in two rounds in a row is believed; here somebody else is hidden each time."""
    rounds = iter(("anna", "ben", "anna", "ben"))
    hidden: list[str] = []

    def hide(path: str, body: dict[str, object]) -> None:
        rows = body["data"]
        assert isinstance(rows, list)
        if path.endswith("users"):
            body["data"] = [row for row in rows if row["username"] != hidden[-1]]
            body["count"] = len(rows) - 1
        for team in rows if path.endswith("teams") else ():
            people = {member["user"]["username"] for member in team["members"] if member["user"]}
            team["_count"]["members"] = len(people - {hidden[-1]})

    def next_round(path: str, body: dict[str, object]) -> None:
        with lock:
            if len(seen) % 3 == 0:
                hidden.append(next(rounds))
            seen.append(path)
        hide(path, body)

    lock, seen = threading.Lock(), list[str]()
    with pytest.raises(IncompleteError, match="comes and goes"):
        served(fake_of(), next_round)


# Proof of completeness


def test_a_passing_contradiction_is_read_again() -> None:
    """The listings are not one snapshot; what moved in between is settled by a second look."""
    with umami() as at:
        at.fault("lying-total:GET /api/admin/users")
        begun = len(at.fake.calls)
        at.read()
        assert len(at.calls(begun)) == 6
        assert at.live.complete


def test_a_lasting_contradiction_is_no_state() -> None:
    """Promise 3: nothing may be concluded from a listing that lies about its end."""
    with umami() as at:
        at.fault("lying-totalx0:GET /api/admin/users")
        begun = len(at.fake.calls)
        with pytest.raises(IncompleteError, match="users announced"):
            at.read()
        assert len(at.calls(begun)) == 9


@pytest.mark.parametrize("fault", ["shift-rows", "lying-total"])
def test_a_read_back_that_does_not_add_up_is_asked_again(fault: str) -> None:
    """A row that a listing hides is not gone: API.md section 2 asks for as many rows as it counts."""
    with umami() as at:
        keys = [held.key for held in at.live.access.grants() if held.scope == Scope("site", SHOP)]
        assert len(keys) >= 2
        at.fault(f"{fault}:GET /api/teams/.*/users")
        assert at.refresh(*keys) == {key: at.live.access[key] for key in keys}
        at.fault(f"{fault}x0:GET /api/teams/.*/users")
        with pytest.raises(IncompleteError, match="as many rows as it counts"):
            at.refresh(*keys)


@pytest.mark.parametrize("fault", ["shift-rows", "lying-total"])
def test_more_than_a_few_accounts_are_not_taken_from_a_list_that_does_not_add_up(fault: str) -> None:
    """Nor is one that is looked for by its login."""
    users = [f"user{number}" for number in range(6)]
    with umami(world(users=("anna", "ben", *users))) as at:
        keys = [account_key(user) for user in users]
        at.fault(f"{fault}:GET /api/admin/users")
        assert at.refresh(*keys) == {key: at.live.access[key] for key in keys}
        at.fault(f"{fault}x0:GET /api/admin/users")
        with pytest.raises(IncompleteError):
            at.refresh(*keys)
        with pytest.raises(IncompleteError):
            at.refresh(account_key("user"))  # the search finds all that begin so


def served(fake: UmamiFake, change: Callable[[str, dict[str, object]], None]) -> At:
    """Read from a server whose listings `change` has its hands on."""
    inner = fakery.in_process(fake)

    def answer(request: httpx.Request) -> httpx.Response:
        response = inner.handle_request(request)
        if not request.url.path.startswith("/api/admin/"):
            return response
        body = json.loads(response.read())
        change(request.url.path, body)
        return httpx.Response(200, json=body)

    settings = Settings(layout="per-site")
    secrets = Secrets({name: Secret(value) for name, value in fake.credentials.items()})
    proxy = Proxy(httpx.MockTransport(answer))
    link = Link(url="http://umami.test", transport=proxy, sleep=lambda _: None)
    with PLATFORM.connect(settings, secrets, link) as doors:
        traits, seed = PLATFORM.probe(doors.reader, settings)
        live = PLATFORM.read(doors.reader, settings, traits, seed)
        return At(fake, doors.reader, doors.writer, settings, traits, live, proxy)


def test_a_row_told_twice_is_a_contradiction() -> None:
    """Equal creation times lose and double rows between pages (API.md section 2); the count alone would not tell."""

    def double(path: str, body: dict[str, object]) -> None:
        rows = body["data"]
        assert isinstance(rows, list)
        if path.endswith("users"):
            rows[0] = rows[1]

    with pytest.raises(IncompleteError, match=r"4 users announced, 3 received"):
        served(fake_of(), double)


def test_a_member_that_is_missing_is_a_contradiction() -> None:
    """The server counts a team's members beside listing them."""

    def forget(path: str, body: dict[str, object]) -> None:
        if path.endswith("teams"):
            body["data"][0]["members"].pop()  # type: ignore[index]

    with pytest.raises(IncompleteError, match="announces 3 members and shows 2"):
        served(fake_of(), forget)


def test_a_member_who_is_no_user_is_a_contradiction() -> None:
    """A user list that lacks somebody who is in a team is not whole."""

    def forget(path: str, body: dict[str, object]) -> None:
        if path.endswith("users"):
            rows = body["data"]
            assert isinstance(rows, list)
            body["data"] = [row for row in rows if row["username"] != "anna"]
            body["count"] = len(rows) - 1

    with pytest.raises(IncompleteError, match="not among the users"):
        served(fake_of(), forget)


def test_a_listing_without_ourselves_is_refused() -> None:
    """Promise 3: an account list without `self` is none."""

    def forget(path: str, body: dict[str, object]) -> None:
        body["data"], body["count"] = [], 0

    with pytest.raises(IncompleteError, match="logged in is not among the users"):
        served(fake_of(), forget)


@pytest.mark.parametrize("spoilt", [{"data": None, "count": 0}, {"count": 3}, {"data": [{"id": 7}], "count": 1}, {}])
def test_a_strange_shape_is_not_umami(spoilt: dict[str, object]) -> None:
    """Never a KeyError: the place is named, the body is not quoted."""

    def spoil(path: str, body: dict[str, object]) -> None:
        if path.endswith("websites"):
            body.clear()
            body.update(spoilt)

    with pytest.raises(NotThePlatformError, match="/api/admin/websites did not answer as Umami does"):
        served(fake_of(), spoil)


@pytest.mark.parametrize(
    "where",
    [
        ("users", "id"), ("teams", "id"), ("websites", "id"), ("websites", "userId"), ("teams", "members", 0, "userId"),
    ],
    ids=str,
)  # fmt: skip
def test_an_id_that_is_empty_is_not_umamis(where: tuple[str | int, ...]) -> None:
    """Nothing could be told apart by it."""
    listing, *way, last = where

    def spoil(path: str, body: dict[str, object]) -> None:
        rows: Any = body["data"]
        if path.endswith(f"/{listing}"):
            row = next(row for row in rows if row.get("userId", True))
            for step in way:
                row = row[step]
            row[last] = ""

    with pytest.raises(NotThePlatformError, match=f"/api/admin/{listing} did not answer as Umami does"):
        served(fake_of(), spoil)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("status", [204, 500])
def test_an_answer_that_says_nothing_comes_with_what_to_do(status: int, release: str) -> None:
    """The reason stands in a log, here or in a proxy."""
    with umami(release=release) as at:
        at.page("GET ^/api/admin/users", times=0, status=status, content=b"")
        with pytest.raises(RefusedError, match=f"/api/admin/users was answered {status}") as caught:
            at.read()
        assert "log" in (caught.value.hint or "")


@pytest.mark.parametrize("fault", ["cut", "html", "429", "cutx3:GET /api/admin/teams", "htmlx2:GET /api/admin"])
def test_passing_faults_are_outlived(fault: str) -> None:
    """Reading is repeated where that is safe, which it always is."""
    with umami() as at:
        before = at.live
        at.fake.faults.append(Fault.parse(fault))
        assert dict(at.read().access) == dict(before.access)


HOSTILE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)


@given(st.lists(HOSTILE, max_size=6, unique_by=lambda name: name.lower()), HOSTILE, st.sampled_from(RELEASES))
def test_any_names_are_read(logins: list[str], domain: str, release: str) -> None:
    """Escapes, marks, blanks: all of it is data, none of it breaks reading."""
    taken = {"siteward"}
    users = [login for login in logins if login.lower() not in taken and login.lower().lower() == login.lower()]
    start = World(
        accounts=tuple(WorldAccount(login=user) for user in users),
        sites=(WorldSite(name="S", domain=domain, owner="siteward"),),
    )
    with umami(start, release) as at:
        kept = {user.lower() for user in users} if at.fake.factored else set(users)
        assert {account.name for account in at.live.access.accounts()} == {*kept, "siteward"}
        assert len(at.live.sites) == 1
