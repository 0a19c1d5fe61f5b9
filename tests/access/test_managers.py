"""How many persons may manage each site once a plan is done: a warning names the sites with fewer than asked for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from access.worlds import BLOG, OPEN, SHOP, admin, declared_user, grant, judged, live, proposed, wish
from siteward.access.diagnostic import Severity
from siteward.access.model import Account, Grant, Group, Member, Resource, Subject
from siteward.access.proposal import Proposal
from siteward.access.state import DeclaredUser
from strategies import PIWIKPRO, PLAUSIBLE

ONE = replace(OPEN, managers_min=1)
MANAGES = grant("anna", "team-manager", SHOP), grant("anna", "team-manager", BLOG)


def told(found: Proposal) -> list[str]:
    """Return what is said of managers."""
    return [warning.message for warning in judged(found) if warning.code == "too-few-managers"]


def test_each_site_with_fewer_is_named_in_one_warning() -> None:
    """It blocks nothing; a site where somebody may only edit has no manager."""
    world = live(grant("anna", "team-manager"), grant("ben", "team-member", BLOG))
    found = proposed(world, wish(grant("anna", "team-manager"), grant("ben", "team-member", BLOG)), ONE)
    assert told(found) == ["1 site has fewer than 1 person to manage it: blog.example.org"]
    (warning,) = [said for said in judged(found) if said.code == "too-few-managers"]
    assert (warning.severity, warning.about) == (Severity.WARNING, None)
    two = replace(found, policy=replace(ONE, managers_min=2))
    assert told(two) == ["2 sites have fewer than 2 persons to manage them: blog.example.org, shop.example.org"]
    assert told(replace(found, policy=OPEN)) == []


@pytest.mark.parametrize(
    ("user", "resources"),
    [
        (declared_user("anna", kind="service"), MANAGES),
        (declared_user("anna", ending="suspended"), MANAGES),
        (declared_user("ben"), MANAGES),
        (declared_user("anna"), (*MANAGES, Account("anna", status="pending"))),
    ],
)
def test_who_counts_is_a_declared_person_who_can_use_it(user: DeclaredUser, resources: tuple[Resource, ...]) -> None:
    """No service, nobody whose time is over, no account that nobody declared, no invitation that nobody took up."""
    assert len(told(proposed(live(*resources), wish(declared=[user]), ONE))) == 1


def test_what_the_plan_gives_and_takes_counts() -> None:
    """As far as it will be done."""
    assert told(proposed(live(), wish(*MANAGES), ONE)) == []
    gone = proposed(live(*MANAGES), wish(declared=[declared_user("anna")]), ONE)
    assert len(told(gone)) == 1
    assert told(replace(gone, policy=replace(ONE, protect=("anna",)))) == []


def test_an_admin_manages_every_site_and_a_group_its_members_do() -> None:
    assert told(proposed(live(admin("anna")), wish(admin("anna")), ONE)) == []
    shared = [Grant(Subject("group", "leads"), scope, "manage") for scope in (SHOP, BLOG)]
    resources: tuple[Resource, ...] = (Group("leads"), Member("leads", "anna"), Account("anna"), *shared)
    assert told(proposed(live(*resources, table=PIWIKPRO), wish(*resources), ONE, table=PIWIKPRO)) == []
    fewer: tuple[Resource, ...] = (Group("leads"), *shared)
    assert len(told(proposed(live(*fewer, table=PIWIKPRO), wish(*fewer), ONE, table=PIWIKPRO))) == 1


def test_where_nobody_can_manage_a_site_nobody_is_missed() -> None:
    """Plausible's guests view or edit."""
    assert told(proposed(live(table=PLAUSIBLE), wish(), ONE, table=PLAUSIBLE)) == []
