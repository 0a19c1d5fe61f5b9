"""What a plan tells of each step: order, reasons, risk, who is of another house, and what is pinned."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from access.worlds import BLOG, OPEN, SHOP, admin, declared_user, grant, key, live, planned, proposed, subject, wish
from siteward.access.diagnostic import Diagnostic, Severity, error
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Power
from siteward.access.plan import InstancePlan, Step
from siteward.access.policy import Policy
from siteward.access.state import DeclaredUser, Memory
from strategies import MATOMO, PIWIKPRO, PLAUSIBLE, UMAMI

KNOWN = Memory(accounts=frozenset({"anna", "ben"}))


def only(plan: InstancePlan) -> Step:
    assert len(plan.steps) == 1
    return plan.steps[0]


def test_an_empty_world_and_wish_make_an_empty_plan() -> None:
    """Nothing differs, and what was read is counted."""
    plan = planned(proposed(live(), wish()))
    assert (plan.steps, plan.held_back, plan.unmanaged, plan.blocked, plan.runnable) == ((), (), (), False, ())
    assert (plan.platform, plan.version, plan.me, plan.sites, plan.accounts) == ("umami", "3.2", "siteward", 2, 0)


def test_a_plan_counts_what_is_managed() -> None:
    """Accounts and grants of declared people; of strangers only where policy manages them."""
    world = live(grant("anna", "team-member"), grant("old", "team-member"), grant("old", "team-member", BLOG))
    desired = wish(grant("anna", "team-member"))
    reported = planned(proposed(world, desired))
    assert (reported.accounts, reported.grants) == (1, 1)
    revoked = planned(proposed(world, desired, replace(OPEN, unmanaged="revoke")))
    assert (revoked.accounts, revoked.grants) == (2, 3)


def test_admins_are_counted_before_and_after_but_for_ourselves() -> None:
    """What will not be done does not count."""
    desired = wish(admin("anna"), admin("ben"), declared=[declared_user("cem")])
    world = live(admin("anna"), admin("cem"))
    done = planned(proposed(world, desired))
    assert (done.admins_before, done.admins_after) == (2, 2)
    refused = planned(proposed(world, desired), error("cannot", "no", about=key("cem", EVERYWHERE)))
    assert refused.admins_after == 3
    blocked = planned(proposed(world, desired), error("budget", "no"))
    assert blocked.admins_after == 2
    gone = planned(
        proposed(
            live(admin("anna"), admin("cem")), wish(admin("anna"), declared=[declared_user("cem", ending="absent")])
        ),
    )
    assert gone.admins_after == 1


def test_a_step_pins_the_ids_of_what_it_touches() -> None:
    """The account's, the site's and its own, so that a thing made anew is not taken for the old one."""
    world = replace(
        live(grant("anna", "team-view-only")),
        ids={("account", "anna"): "a1", key("anna"): "row-9", ("account", "ben"): "b2"},
    )
    step = only(planned(proposed(world, wish(grant("anna", "team-member")))))
    assert step.ids == {("account", "anna"): "a1", key("anna"): "row-9", ("scope", "site", SHOP.name): "shop"}
    group = replace(live(Group("g"), table=PIWIKPRO), ids={("group", "g"): "g1"})
    step = planned(proposed(group, wish(Group("g"), grant("group:g", "view")), table=PIWIKPRO)).steps[0]
    assert step.ids == {("group", "g"): "g1", ("scope", "site", SHOP.name): "shop"}


def test_what_depends_on_what_is_blocked_says_what_it_waits_for() -> None:
    """The grant of an account that cannot be made."""
    plan = planned(
        proposed(live(), wish(grant("li", "team-member"))),
        error("no-way", "no password can be sent", about=("account", "li")),
    )
    assert [diagnostic.code for diagnostic in plan.steps[1].diagnostics] == ["depends-on-blocked"]
    assert "s1" in plan.steps[1].diagnostics[0].message
    assert plan.runnable == ()


def test_an_error_about_the_instance_blocks_everything() -> None:
    """And one about something that is no step blocks nothing."""
    found = proposed(live(), wish(grant("li", "team-member")))
    assert planned(found, error("budget", "no")).runnable == ()
    other = planned(found, error("ambiguous-site", "two sites", about=key("anna")))
    assert len(other.runnable) == 2
    assert [diagnostic.code for diagnostic in other.diagnostics] == ["ambiguous-site", "below-min-admins"]


def test_what_the_file_asks_for_and_is_not_there_stops_the_instance() -> None:
    """Its wish is not known, so silence means nothing."""
    desired = replace(
        wish(declared=[declared_user("anna")]),
        flawed=True,
        diagnostics=(error("unknown-site", "no site is called shpo"),),
    )
    plan = planned(proposed(live(grant("anna", "team-member")), desired))
    assert plan.flawed
    assert plan.runnable == ()
    named = replace(desired, flawed=False, diagnostics=(error("ambiguous-site", "two sites", about=key("anna")),))
    plan = planned(proposed(live(grant("anna", "team-member")), named))
    assert not plan.flawed
    assert only(plan).blocked


RISKS = [
    (Grant(subject("anna"), EVERYWHERE, "admin"), None, "high", {"becomes-admin", "gains-power"}),
    (None, Grant(subject("anna"), EVERYWHERE, "admin"), "medium", {"loses-admin", "loses-access"}),
    (grant("anna", "team-manager"), None, "high", {"gains-power"}),
    (grant("anna", "team-manager"), grant("anna", "team-member"), "high", {"gains-power"}),
    (grant("anna", "team-member"), None, "low", set()),
    (grant("anna", "team-member"), grant("anna", "team-view-only"), "low", set()),
    (grant("anna", "team-view-only"), grant("anna", "team-member"), "medium", {"lowered"}),
    (None, grant("anna", "team-member"), "medium", {"loses-access"}),
]


@pytest.mark.parametrize(("after", "before", "risk", "reasons"), RISKS)
def test_risk_has_its_reasons(after: Grant | None, before: Grant | None, risk: str, reasons: set[str]) -> None:
    """Danger first: what makes an admin, gains power, takes away."""
    other = grant("anna", "team-view-only", BLOG)
    world = live(other, admin("ben"), *([before] if before else []))
    desired = wish(other, admin("ben"), *([after] if after else []))
    step = only(planned(proposed(world, desired, memory=KNOWN)))
    assert (step.risk, set(step.risks)) == (risk, reasons)
    assert step.raises == ("gains-power" in reasons)
    assert (step.before_power, step.after_power) == tuple(UMAMI.power(role) for role in (before, after))


def test_losing_the_last_grant_is_losing_everything() -> None:
    """Also when what is left only lingers; not when something of it is blocked."""
    world = live(
        grant("anna", "team-member"), grant("anna", "team-member", BLOG), Grant(subject("anna"), EVERYWHERE, "user")
    )
    found = proposed(world, wish(declared=[declared_user("anna")]))
    assert [step.risk for step in planned(found).steps] == ["high", "high"]
    assert all("loses-everything" in step.risks for step in planned(found).steps)
    kept = planned(found, error("cannot", "no", about=key("anna", BLOG)))
    assert not any("loses-everything" in step.risks for step in kept.steps)


def test_whoever_loses_everything_through_a_group_is_counted() -> None:
    """One step, and as many accounts as are left with nothing."""
    world = live(
        grant("group:g", "edit"), Member("g", "anna"), Member("g", "ben"), grant("ben", "view"), table=PIWIKPRO
    )
    plan = planned(
        proposed(world, wish(Group("g"), Member("g", "anna"), Member("g", "ben"), grant("ben", "view")), table=PIWIKPRO)
    )
    assert (plan.emptied, only(plan).risks) == (("anna",), ("loses-access", "loses-everything", "wide-reach"))


def test_consequences_make_risk() -> None:
    """What the platform announces for a step weighs with it."""
    found = proposed(live(Account("ed")), wish(declared=[declared_user("ed", ending="absent")]))
    remark = Diagnostic(
        code="owns", severity=Severity.WARNING, message="3 sites", about=("account", "ed"), effect="destroys"
    )
    step = only(planned(found, remark, allow_delete=True))
    assert (step.risk, set(step.risks)) == ("high", {"deletes-account", "destroys-data"})
    assert [effect.message for effect in step.effects("destroys")] == ["3 sites"]


def test_deleting_shows_the_power_that_goes_with_the_account() -> None:
    """The greatest it holds now."""
    found = proposed(live(grant("ed", "team-manager")), wish(declared=[declared_user("ed", ending="absent")]))
    assert [(step.before_power, step.after_power) for step in planned(found).steps] == [(Power.MANAGE, Power.NONE)] * 2


def test_joining_a_group_shows_what_the_group_gives() -> None:
    """Its greatest power, and a raise where that is great."""
    world = live(grant("group:editors", "manage"), Account("anna"), table=PIWIKPRO)
    desired = wish(grant("group:editors", "manage"), Member("editors", "anna"))
    step = only(planned(proposed(world, desired, table=PIWIKPRO)))
    assert (step.before_power, step.after_power, step.raises) == (Power.NONE, Power.MANAGE, True)


def externals(people: dict[str, DeclaredUser], *, policy: Policy = OPEN) -> set[str | None]:
    desired = wish(*(grant(name, "viewer") for name in people))
    plan = planned(proposed(live(table=PLAUSIBLE), replace(desired, declared_users=people), policy, table=PLAUSIBLE))
    return {step.person for step in plan.steps if step.external}


def test_who_is_of_another_house() -> None:
    """By kind, or by a domain that is neither the most frequent one of the people nor one of their larger ones."""
    people = {f"p{number}": declared_user(f"p{number}", email=f"p{number}@example.org") for number in range(7)}
    people |= {f"q{number}": declared_user(f"q{number}", email=f"q{number}@Example.COM") for number in range(2)}
    assert externals(people) == set()
    people["x"] = declared_user("x", email="x@partner.test")
    assert externals(people) == {"x"}
    people["y"] = declared_user("y", kind="contractor", email="y@example.org")
    people["z"] = declared_user("z", kind="service", email="bi@partner.test")
    people["none"] = declared_user("none")
    assert externals(people) == {"x", "y", "z"}


def test_an_external_who_gains_is_a_risk() -> None:
    """Not one who loses."""
    people = {"y": declared_user("y", kind="vendor")}
    desired = replace(wish(grant("y", "viewer")), declared_users=people)
    assert only(planned(proposed(live(table=PLAUSIBLE), desired, table=PLAUSIBLE))).risks == ("external",)
    gone = replace(wish(), declared_users=people)
    leaving = only(planned(proposed(live(grant("y", "viewer"), table=PLAUSIBLE), gone, table=PLAUSIBLE)))
    assert "external" not in leaving.risks


def test_blind_spots_are_in_the_plan_until_accepted() -> None:
    """Promise 12: what a platform can never show."""
    plan = planned(proposed(live(table=PLAUSIBLE), wish(), table=PLAUSIBLE))
    assert (plan.blind_spots, plan.accepted_blind) == (("team-members",), ())
    accepting = replace(OPEN, accept_blind=frozenset({"team-members", "other"}))
    plan = planned(proposed(live(table=PLAUSIBLE), wish(), accepting, table=PLAUSIBLE))
    assert plan.accepted_blind == ("team-members",)


def test_an_e_mail_that_changes_is_a_medium_risk() -> None:
    """Whoever has the e-mail has the account."""
    world = live(Account("anna", "a@example.org"), table=MATOMO)
    step = only(planned(proposed(world, wish(Account("anna", "b@example.org")), table=MATOMO, memory=KNOWN)))
    assert (step.risk, step.risks) == ("medium", ("changes-account",))
