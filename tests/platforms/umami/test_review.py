"""What Umami cannot do is an error before anything is sent; what it does besides is announced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from platforms.umami.at import BLOG, SHOP, At, grant, power, umami, world
from siteward.access.change import Change
from siteward.access.model import Access, Account, Grant, Scope, Subject
from siteward.access.renames import touched
from siteward.access.state import Memory
from siteward.platforms.fakery import World, WorldAccount, WorldSite
from siteward.platforms.umami.platform import PLATFORM

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic

VIEW, EDIT, MANAGE = "team-view-only", "team-member", "team-manager"


def shared(*, members: str = "carla") -> World:
    """Two sites in one team."""
    teams = [{"name": "Both", "members": [{"account": members, "role": VIEW}]}]
    sites = [WorldSite(name=name, domain=f"{name}.test", group="Both") for name in ("one", "two")]
    return world({"teams": teams}).model_copy(update={"sites": (*world().sites, *sites)})


def by_code(diagnostics: tuple[Diagnostic, ...], code: str) -> Diagnostic:
    return next(diagnostic for diagnostic in diagnostics if diagnostic.code == code)


def test_a_plain_grant_has_nothing_to_say() -> None:
    """A new viewer in a managed team."""
    with umami() as at:
        assert at.review(Change(None, grant("carla", SHOP, VIEW))) == ()


def test_the_first_grant_on_a_site_of_ours_makes_a_team_and_moves_the_site() -> None:
    """Side effects greater than the grant are announced on every step that may be the first."""
    with umami() as at:
        told = at.review(Change(None, grant("carla", BLOG, VIEW)))
        assert {diagnostic.effect for diagnostic in told} == {"creates", "moves"}
        assert not any(diagnostic.blocks for diagnostic in told)
        assert f"acl:{BLOG}" in by_code(told, "creates-team").message


def test_layout_existing_makes_no_team() -> None:
    """There the site has to be put into a team by hand."""
    with umami(layout="existing") as at:
        assert at.errors(Change(None, grant("carla", BLOG, VIEW))) == ["site-without-team"]


def test_a_site_of_somebody_else_cannot_be_moved_and_the_ways_are_named() -> None:
    """Promise 14: a blocked step with the manual ways (MAPPING.md section 4)."""
    site = WorldSite(name="Hers", domain="hers.test", owner="carla", id="00000000-0000-4000-8000-000000000001")
    with umami(world().model_copy(update={"sites": (*world().sites, site)})) as at:
        (told,) = at.review(Change(None, grant("anna", f"hers.test#{site.id}", VIEW)))
        assert told.blocks
        assert told.code == "site-cannot-be-moved"
        assert told.effect == "manual"
        assert "belongs to carla" in told.message
        for way in ("its owner moves it", "logs in as the owner", "SQL update"):
            assert way in (told.hint or "")


def test_an_orphan_has_no_way_but_sql() -> None:
    """Nobody can hand over what nobody owns."""
    start = World(
        sites=(WorldSite(name="B", domain=BLOG, id="00000000-0000-4000-8000-000000000002"),), more={"orphans": [BLOG]}
    )
    with umami(start) as at:
        label = next(iter(at.live.sites)).name
        (told,) = at.review(Change(None, grant("siteward-2", label, VIEW)))
        assert told.code == "site-cannot-be-moved"
        assert "SQL" in (told.hint or "")


@pytest.mark.parametrize("layout", ["per-site", "existing"])
def test_a_shared_team_refuses_a_grant_on_one_of_its_sites(layout: str) -> None:
    """The error names the other sites that the grant would open."""
    with umami(shared(), layout=layout) as at:  # type: ignore[arg-type]
        told = at.review(Change(None, grant("anna", "one.test", EDIT)))
        assert by_code(told, "shared-team").blocks
        assert "would also open two.test for anna" in by_code(told, "shared-team").message


def test_a_shared_team_refuses_to_close_one_of_its_sites() -> None:
    """Closing one would close the other."""
    with umami(shared(), layout="existing") as at:
        told = at.review(Change(grant("carla", "one.test", VIEW), None))
        assert "would also close two.test for carla" in by_code(told, "shared-team").message


def test_a_shared_team_refuses_two_roles() -> None:
    """An account has one role in a team, so what is wanted on its sites must agree."""
    with umami(shared(), layout="existing") as at:
        changes = (Change(None, grant("anna", "one.test", EDIT)), Change(None, grant("anna", "two.test", VIEW)))
        assert at.errors(*changes) == ["shared-team", "shared-team"]


def test_a_shared_team_takes_what_is_the_same_on_all_its_sites() -> None:
    """That is what a team can express."""
    with umami(shared(), layout="existing") as at:
        opened = [Change(None, grant("anna", f"{name}.test", VIEW)) for name in ("one", "two")]
        closed = [Change(grant("carla", f"{name}.test", VIEW), None) for name in ("one", "two")]
        assert at.errors(*opened, *closed) == []


def test_owning_is_never_changed() -> None:
    """Promise 14: there is no way back to owner, so nothing is taken from one."""
    with umami(world({"teams": [{"name": "Hers", "owner": "carla"}]})) as at:
        team = Grant(Subject("account", "carla"), Scope("team", "Hers"), "owner")
        assert at.errors(Change(team, None)) == ["owner-stays"]
        assert at.errors(Change(grant("siteward", BLOG, "owner"), None)) == ["own-account", "owner-stays"]
        assert "owner-stays" in at.errors(Change(None, grant("anna", SHOP, "owner")))


@pytest.mark.parametrize(
    ("change", "besides"),
    [
        (Change(power("siteward", "admin"), None), set()),
        (Change(power("siteward", "admin"), power("siteward", "user")), set()),
        (Change(Account("siteward"), None), {"owns-sites", "owns-teams"}),
        (Change(Account("siteward"), Account("siteward", renamed="other")), set()),
        (Change(grant("siteward", SHOP, "owner"), None), {"owner-stays"}),
    ],
    ids=["revoke", "demote", "delete", "rename", "leave"],
)
def test_our_own_account_is_never_changed(change: Change, besides: set[str]) -> None:
    """MAPPING.md hazards 1 and 4: it owns all managed teams, and without it nobody is at the wheel."""
    with umami() as at:
        assert sorted(at.errors(change)) == sorted({"own-account"} | besides)
        told = by_code(at.review(change), "own-account")
        assert (told.about, told.blocks) == (change.key, True)
        somebody = Change(power("anna", "admin"), None)
        assert "own-account" not in at.errors(somebody)


def test_whoever_owns_a_team_is_not_deleted() -> None:
    """MAPPING.md hazard 1: the team would go for everyone, and its sites would belong to nobody."""
    start = world({"teams": [{"name": "Hers", "owner": "carla"}]})
    site = WorldSite(name="T", domain="t.test", group="Hers")
    with umami(start.model_copy(update={"sites": (*start.sites, site)})) as at:
        told = by_code(at.review(Change(Account("carla"), None)), "owns-teams")
        assert told.blocks
        assert told.effect == "destroys"
        assert "destroy team Hers for all its members and leave t.test to nobody" in told.message


def test_whoever_owns_a_site_is_not_deleted() -> None:
    """MAPPING.md hazard 3: the site would go with all its statistics."""
    start = world().model_copy(
        update={"sites": (*world().sites, WorldSite(name="H", domain="hers.test", owner="carla"))}
    )
    with umami(start) as at:
        told = by_code(at.review(Change(Account("carla"), None)), "owns-sites")
        assert told.blocks
        assert "all statistics" in told.message


def test_a_deletion_says_what_goes_with_it_and_that_it_is_for_good() -> None:
    """Promise 7: shown, even where it is allowed."""
    with umami() as at:
        told = at.review(Change(Account("carla"), None))
        assert not any(diagnostic.blocks for diagnostic in told)
        assert {diagnostic.effect for diagnostic in told} == {"destroys", "irreversible"}


def test_a_revocation_announces_the_new_access_code() -> None:
    """MAPPING.md hazard 5: the old code would let the person in again."""
    with umami() as at:
        assert at.codes(Change(grant("anna", SHOP, VIEW), None)) == ["new-access-code"]
        assert at.codes(Change(grant("ben", SHOP, EDIT), grant("ben", SHOP, VIEW))) == ["new-access-code"]
        assert "new-access-code" not in at.codes(Change(grant("anna", SHOP, VIEW), grant("anna", SHOP, EDIT)))


def test_editing_is_announced_as_what_it_is() -> None:
    """MAPPING.md hazard 6: team-member may delete the site."""
    with umami() as at:
        (told,) = at.review(Change(grant("anna", SHOP, VIEW), grant("anna", SHOP, EDIT)))
        assert "reset and delete" in told.message


def test_duplicates_are_replaced_with_a_gap() -> None:
    """MAPPING.md hazard 8: a role change hits one of the rows, so all are removed first."""
    rows = [{"site": SHOP, "account": "anna", "role": VIEW}]
    with umami(world({"rows": rows})) as at:
        told = at.review(Change(grant("anna", SHOP, VIEW), grant("anna", SHOP, EDIT)))
        assert by_code(told, "replaces-duplicates").effect == "gap"


def test_logins_that_clash_are_left_alone() -> None:
    """Which of the two is meant cannot be told."""
    with umami(world(users=("anna", "ben", "Carla", "carla")), "3.1") as at:
        assert at.errors(Change(None, grant("carla", SHOP, VIEW))) == ["login-clash"]
        assert at.errors(Change(Account("Carla"), None)) == ["login-clash"]


@pytest.mark.parametrize(
    ("login", "code"),
    [
        ("", "login-impossible"),
        ("x" * 256, "login-impossible"),
        ("a\0b", "login-impossible"),
        ("Dora", "login-not-folded"),
        ("anna", "login-taken"),
    ],
)
def test_a_login_that_umami_would_not_take_as_it_is_is_refused(login: str, code: str) -> None:
    """API.md section 4, before anything is sent."""
    with umami() as at:
        if login != "anna":
            assert at.errors(Change(None, Account(login))) == [code]
        assert at.errors(Change(Account("carla"), Account("carla", renamed=login or None))) in ([code], [])


def test_an_old_login_with_capitals_may_keep_them() -> None:
    """Only what is new has to be lower case."""
    with umami(world(users=("anna", "ben", "Dora")), "3.1") as at:
        assert at.errors(Change(None, grant("Dora", SHOP, VIEW))) == []
        assert at.errors(Change(Account("Dora"), Account("Dora", renamed="dora"))) == []


def test_a_role_that_umami_lacks_is_refused() -> None:
    """Roles are not made up on the way."""
    with umami() as at:
        assert at.errors(Change(None, grant("carla", SHOP, "team-king"))) == ["role-unknown"]


def test_nobody_is_put_into_a_team_without_sites() -> None:
    """There is nothing to see in it."""
    with umami(world({"teams": [{"name": "Idle"}]})) as at:
        idle = Grant(Subject("account", "carla"), Scope("team", "Idle"), VIEW)
        assert at.errors(Change(None, idle)) == ["team-without-site"]
        assert at.errors(Change(idle, None)) == []


def test_bundles_are_made_of_what_shares_a_sequence() -> None:
    """Openings of a site, closings of a team, an account with its role; and each says what it costs."""
    with umami() as at:
        changes = (
            Change(None, Account("dora")),
            Change(None, power("dora", "admin")),
            Change(None, grant("carla", BLOG, VIEW)),
            Change(None, grant("anna", BLOG, EDIT)),
            Change(grant("anna", SHOP, VIEW), None),
            Change(grant("ben", SHOP, EDIT), grant("ben", SHOP, VIEW)),
            Change(None, grant("carla", SHOP, VIEW)),
            Change(None, power("carla", "user")),
        )
        bundles = PLATFORM.bundle(changes, at.live)
        assert [tuple(changes.index(change) for change in bundle.changes) for bundle in bundles] == [
            (0, 1), (2, 3), (4, 5), (6,), (7,)
        ]  # fmt: skip
        forecast = PLATFORM.forecast(at.live, at.reader.speed)
        for number, bundle in enumerate(bundles):
            begun = len(at.fake.calls)
            keys = {key for change in bundle.changes for key in touched(change)}
            at.write(*bundle.changes)
            at.refresh(*keys)
            ahead = [change for later in bundles[number + 1 :] for change in later.changes]
            expected = forecast.write(replace(bundle, ahead=lambda _, ahead=ahead: ahead)) + forecast.refresh(keys)
            assert len(at.calls(begun)) == expected.requests, bundle


def test_reviewing_asks_nothing() -> None:
    """Judging is done on what was read."""
    with umami() as at:
        begun = len(at.fake.calls)
        at.review(Change(Account("carla"), None), Change(None, grant("carla", BLOG, VIEW)))
        assert at.calls(begun) == []


# --- public links to boards -------------------------------------------------------------------------------------------


def _remembered(*grants: Grant) -> Memory:
    return Memory(accounts=frozenset({"anna"}), last=Access((Account("anna"), *grants)))


def _board_links(at: At, memory: Memory | None, *changes: Change) -> list[str]:
    return [
        diagnostic.message
        for diagnostic in PLATFORM.review(changes, at.live, memory)
        if diagnostic.code == "keeps-board-links"
    ]


def _closing() -> tuple[Change, ...]:
    return (Change(grant("anna", SHOP, VIEW), None),)


def _of_role(role: str) -> World:
    people = (WorldAccount(login="anna", role=role), WorldAccount(login="ben"), WorldAccount(login="carla"))
    return world().model_copy(update={"accounts": people})


@pytest.mark.parametrize("role", ["user", "admin"])
def test_who_loses_access_may_hold_a_board_link(role: str) -> None:
    """REAL-2026-11.md, F1: one note for each account, whose role now lets it share boards."""
    with umami(_of_role(role)) as at:
        (told,) = _board_links(at, None, *_closing(), Change(power("anna", role), None))
        assert f"anna has the role {role}" in told


def test_who_had_the_role_before_may_hold_one_too() -> None:
    """Only the journal knows that; a view-only account of which it knows nothing else is not accused."""
    with umami() as at:
        assert _board_links(at, None, *_closing()) == []
        assert _board_links(at, _remembered(), *_closing()) == []
        (told,) = _board_links(at, _remembered(power("anna", "user")), *_closing())
        assert "anna had the role user" in told


@pytest.mark.parametrize("release", ["3.1", "2.20"])
def test_boards_came_with_3_1(release: str) -> None:
    """2.20 has none, so there is nothing to say."""
    with umami(_of_role("user"), release) as at:
        assert len(_board_links(at, None, *_closing())) == (release == "3.1")


def test_a_deletion_is_a_loss_and_a_raise_is_none() -> None:
    """What the note is about is access that ends."""
    with umami(_of_role("user")) as at:
        assert len(_board_links(at, None, Change(Account("anna"), None))) == 1
        assert _board_links(at, None, Change(grant("anna", SHOP, VIEW), grant("anna", SHOP, EDIT))) == []


def test_whoever_gets_a_role_of_the_instance_may_share_boards() -> None:
    """Umami's default for new accounts is `user`; ours is view-only, which cannot."""
    with umami() as at:
        assert "may-share-boards" in at.codes(Change(None, power("carla", "user")))
    with umami(release="2.20") as at:
        assert "may-share-boards" not in at.codes(Change(None, power("carla", "user")))
