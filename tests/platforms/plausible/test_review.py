"""What a reviewer is told: one test for each hazard of MAPPING.md section 5, and for each consequence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from platforms.plausible.at import (
    ANNA,
    BEN,
    BLOG,
    CARLA,
    NOW,
    SELF,
    SHOP,
    give,
    grant,
    key,
    plausible,
    take,
    turn,
    world,
)
from siteward.access.model import Access
from siteward.access.state import Memory
from siteward.platforms.fakery import WorldGrant


def sent(times: int, hours: float, name: str = CARLA) -> Memory:
    return Memory(sends={key(name, SHOP): (times, NOW - timedelta(hours=hours))})


def test_the_keys_own_account_is_never_changed() -> None:
    """Its role decides what the key may do."""
    with plausible() as at:
        assert "own-account" in at.errors(give(SELF.upper(), SHOP, "viewer"))


def test_without_self_nothing_is_written() -> None:
    """The API cannot tell whose key it is (API.md section 14)."""
    with plausible() as at:
        at.live = replace(at.live, me=None)
        (unknown,) = [
            diagnostic for diagnostic in at.review(give(CARLA, SHOP, "viewer")) if diagnostic.code == "self-unknown"
        ]
        assert unknown.blocks
        assert unknown.about is None
        assert "self:" in (unknown.hint or "")


def test_a_member_of_the_team_is_no_guest() -> None:
    """Redundant, and a 500; or the end of an invitation as admin."""
    with plausible(team_members={"Olga@example.org": "owner"}) as at:
        assert "redundant-grant" in at.errors(give("olga@example.org", SHOP, "editor"))
        assert "redundant-grant" not in at.errors(give(CARLA, SHOP, "editor"))


def test_a_team_that_nobody_has_spoken_of_is_warned_about() -> None:
    """MAPPING.md section 3, rule 5: what would be destroyed cannot be seen."""
    with plausible(team_members=None) as at:
        assert "team-members-unstated" in at.codes(give(CARLA, SHOP, "viewer"))
        assert "team-members-unstated" not in at.codes(take(ANNA, SHOP, "viewer"))
    with plausible(team_members={}) as at:
        assert "team-members-unstated" not in at.codes(give(CARLA, SHOP, "viewer"))


@pytest.mark.parametrize(
    "name", ["not-an-address", "two@at@example.org", "", "a b@example.org", "x@localhost", "x@a.b,c@d.e"]
)
def test_what_is_no_address_is_not_invited(name: str) -> None:
    """Plausible checks no format: a typing error mails a stranger, or nobody."""
    with plausible() as at:
        assert "no-address" in at.errors(give(name, SHOP, "viewer"))


def test_a_role_of_somebody_who_accepted_is_changed_by_hand() -> None:
    """The default: told, blocked, with the way to do it."""
    with plausible() as at:
        (told,) = [
            diagnostic
            for diagnostic in at.review(turn(ANNA, SHOP, "viewer", "editor"))
            if diagnostic.effect == "manual"
        ]
        assert told.blocks
        assert "reinvite" in (told.hint or "")


def test_reinviting_tells_the_gap_and_the_mails() -> None:
    """By choice, and with everything that comes of it."""
    with plausible(role_change="reinvite") as at:
        said = at.review(turn(ANNA, SHOP, "viewer", "editor"))
        assert not [diagnostic for diagnostic in said if diagnostic.blocks]
        assert {diagnostic.effect for diagnostic in said if diagnostic.effect} == {"gap", "mail", "destroys"}
        assert sum(diagnostic.count for diagnostic in said if diagnostic.effect == "mail") == 2


def test_a_pending_role_changes_without_a_gap() -> None:
    """Nobody loses anything, one mail goes out."""
    with plausible() as at:
        said = at.review(turn(BEN, SHOP, "viewer", "editor"))
        assert [diagnostic.effect for diagnostic in said if diagnostic.effect] == ["mail"]


def test_an_invitation_and_a_removal_mail_somebody_and_a_withdrawal_does_not() -> None:
    """API.md section 6."""
    with plausible() as at:
        said = at.review(give(CARLA, SHOP, "viewer"), take(ANNA, SHOP, "viewer"), take(BEN, SHOP, "viewer"))
        assert [diagnostic.who for diagnostic in said if diagnostic.effect == "mail"] == [CARLA, ANNA]
        assert {diagnostic.code for diagnostic in said if diagnostic.about == key(BEN, SHOP)} == {"withdraws"}


def test_what_a_removal_destroys_is_told() -> None:
    """Personal segments are gone, and access does not come back by itself (MAPPING.md section 6)."""
    with plausible() as at:
        effects = {diagnostic.effect for diagnostic in at.review(take(ANNA, SHOP, "viewer"))}
        assert {"destroys", "irreversible"} <= effects


def test_after_so_many_invitations_it_ends_with_a_finding() -> None:
    """The live state cannot tell "never invited" from "never accepted"; the journal can."""
    with plausible(invitations={"max_sends": 2}) as at:
        change = give(CARLA, SHOP, "viewer")
        assert "did-not-accept" in at.errors(change, memory=sent(2, 200))
        assert at.errors(change, memory=sent(1, 200)) == []
        assert at.errors(change, memory=sent(2, 200, ANNA)) == []


def test_an_invitation_is_not_repeated_before_its_time() -> None:
    """A scheduled apply would mail people day by day."""
    with plausible(invitations={"resend_after": "3d"}) as at:
        change = give(CARLA, SHOP, "viewer")
        assert "invited-recently" in at.errors(change, memory=sent(1, 71))
        assert at.errors(change, memory=sent(1, 73)) == []


def test_the_journals_spelling_of_an_address_is_nothing() -> None:
    """Letter case is lost when somebody is gone and comes back."""
    with plausible() as at:
        memory = Memory(sends={key("Carla@Example.org", SHOP): (5, NOW - timedelta(days=9))})
        assert "did-not-accept" in at.errors(give(CARLA, SHOP, "viewer"), memory=memory)


def test_a_second_invitation_inherits_the_age_of_the_first() -> None:
    """API.md section 8: all of one address hang on one parent."""
    with plausible() as at:
        assert "inherits-age" in at.codes(give(BEN, BLOG, "viewer"))
        assert "inherits-age" not in at.codes(give(ANNA, BLOG, "viewer"))


def test_a_site_that_is_gone_is_told() -> None:
    """Renamed, handed over or deleted: after 72 hours anybody may take an old name."""
    with plausible() as at:
        memory = Memory(last=Access([grant(ANNA, "old-shop.example.org", "viewer"), grant(ANNA, SHOP, "viewer")]))
        gone = [diagnostic.message for diagnostic in at.review(memory=memory) if diagnostic.code == "site-gone"]
        assert len(gone) == 1
        assert "old-shop.example.org" in gone[0]


def test_expired_people_do_not_stand_in_the_way_of_others() -> None:
    """Nothing is said of a plan without invitations."""
    with plausible(world(extra=[WorldGrant(account=CARLA, site=BLOG, role="viewer")])) as at:
        assert at.errors(take(CARLA, BLOG, "viewer"), memory=sent(9, 1)) == []
