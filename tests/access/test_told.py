"""What is told of a step, a run and a comparison, where a single word decides what a reader does next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from access.worlds import BLOG, SHOP, admin, grant, judged, key, live, planned, proposed, whole, wish
from siteward.access.change import Change, patch
from siteward.access.diff import Revision, compare
from siteward.access.effective import reach, reach_after
from siteward.access.model import Access, Account, Grant, Group, Scope
from siteward.access.plan import Plan
from siteward.access.report import Outcome, OutcomeStatus, Report, exit_code
from siteward.access.state import Desired
from strategies import MATOMO, NOW, PIWIKPRO

MOMENT = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_gap_is_told_by_its_rule() -> None:
    """Somebody is without a role for a moment: the reader can look up what that means."""
    found = proposed(
        live(admin("anna", "superuser"), admin("ben", "superuser"), table=MATOMO),
        wish(grant("anna", "view"), admin("ben", "superuser")),
        table=MATOMO,
    )
    (step,) = [step for step in planned(found).steps if step.effects("gap")]
    assert step.change.key == key("anna")
    assert [told.code for told in step.diagnostics if told.effect == "gap"] == ["gap"]


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("blocked", 3)])
def test_a_confined_run_is_blocked_only_by_its_own_steps(status: OutcomeStatus, code: int) -> None:
    """What is blocked elsewhere in the plan does not count for a run of some steps."""
    blocked = planned(
        proposed(live(admin("ben")), wish(admin("ben"), grant("li", "owner"), grant("mo", "team-member")))
    )
    free = next(step for step in blocked.steps if not step.blocked)
    (outcome,) = (Outcome(instance="stats", step=free, status=status),)
    plan = Plan(tool="0", created=NOW, as_of=NOW, instances=(blocked,))
    report = Report(command="apply", plan=plan, applied=True, outcomes=(outcome,), confined=True)
    assert exit_code(report) == code
    assert exit_code(replace(report, confined=False)) == 3


def test_what_a_group_of_unknown_members_gains_or_loses_power_by_is_told() -> None:
    """A group of a directory stands for its members: raised and lowered are told by power, as for a person."""

    def revision(role: str) -> Revision:
        access = Access((Group("analysts", external="idp"), grant("group:analysts", role)))
        return Revision(traits=PIWIKPRO, wished={MOMENT: Desired(access=access)})

    (raised,) = compare("stats", revision("view"), revision("manage"))
    assert (raised.person, raised.scope, raised.kind, raised.raises) == ("group analysts", SHOP, "raised", True)
    (lowered,) = compare("stats", revision("manage"), revision("view"))
    assert (lowered.kind, lowered.raises) == ("lowered", False)


def test_a_role_that_cannot_be_given_is_told_with_those_that_can() -> None:
    """In words as in the list; also where nothing can be given on such a place."""
    (told,) = [found for found in judged(proposed(live(), wish(grant("anna", "owner")))) if found.blocks]
    assert told.message.endswith("there are: team-view-only, team-member, team-manager")
    place = Scope("module", "tag-manager")
    (told,) = [found for found in judged(proposed(live(), wish(grant("anna", "on", place)))) if found.blocks]
    assert (told.code, told.allowed) == ("role-not-available", ())
    assert told.message.endswith("none")


def test_a_movement_has_both_sides() -> None:
    """What somebody had and what they are to have."""

    def revision(*held: Grant) -> Revision:
        access = Access((Account("anna"), *held))
        return Revision(traits=MATOMO, wished={MOMENT: Desired(access=access)})

    view, write = grant("anna", "view"), grant("anna", "write")
    (movement,) = compare("stats", revision(view), revision(write))
    assert movement.before is not None
    assert movement.after is not None
    assert (movement.before.grant, movement.after.grant) == (view, write)
    (lost,) = compare("stats", revision(view), revision())
    assert lost.before is not None
    assert (lost.before.grant, lost.after) == (view, None)


@pytest.mark.parametrize("change", [Change(None, grant("anna", "view")), Change(grant("anna", "view"), None)])
@pytest.mark.parametrize("kept", [(), (grant("anna", "view", BLOG),)])
def test_who_has_access_after_a_change_is_who_reading_would_show(change: Change, kept: tuple[Grant, ...]) -> None:
    """One place more or less, the last one among them; and none where a role is merely another."""
    before = whole((Account("anna"), *kept, *([change.before] if change.before else [])))
    after = reach_after(reach(before, MATOMO), [change])
    assert after.has_access("anna") == reach(patch(before, [change]), MATOMO).has_access("anna")
    assert after.has_access("anna") == bool(kept or change.after)
    raised = [Change(held, grant("anna", "write", BLOG)) for held in kept]
    assert reach_after(reach(before, MATOMO), raised).has_access("anna") == bool(kept or change.before)
