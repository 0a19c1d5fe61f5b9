"""The numbers of a run and its exit code: the worst of several in the order 130, 1, 5, 4, 3, 2, 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from access.worlds import BLOG, OPEN, SHOP, admin, declared_user, grant, key, live, planned, proposed, wish
from siteward.access.diagnostic import Diagnostic, Severity, error, warning
from siteward.access.model import Account, Grant, Power, account_of
from siteward.access.plan import InstancePlan, Plan
from siteward.access.report import DriftItem, Missing, Outcome, OutcomeStatus, Report, exit_code, missing, summarize
from siteward.access.state import Listing
from strategies import NOW, PLAUSIBLE

if TYPE_CHECKING:
    from siteward.access.plan import Step


def reported(*parts: InstancePlan, command: str = "plan", **said: object) -> Report:
    plan = Plan(tool="0", created=NOW, as_of=NOW, instances=parts)
    return replace(Report(command=command, plan=plan), **said)


SAME = planned(proposed(live(admin("ben")), wish(admin("ben"))))
DIFFERS = planned(proposed(live(admin("ben")), wish(admin("ben"), grant("li", "team-member"))))
BLOCKED = planned(proposed(live(admin("ben")), wish(admin("ben"), grant("li", "owner"))))
STEP: Step = DIFFERS.steps[1]


def outcomes(*statuses: OutcomeStatus, step: Step = STEP) -> tuple[Outcome, ...]:
    return tuple(Outcome(instance="stats", step=step, status=status) for status in statuses)


def applied(*statuses: OutcomeStatus, plan: InstancePlan = DIFFERS, **said: object) -> int:
    return exit_code(reported(plan, command="apply", applied=True, outcomes=outcomes(*statuses), **said))


def test_nothing_differs_is_0_and_differences_are_2() -> None:
    """One instance that differs is enough."""
    assert exit_code(reported(SAME)) == 0
    assert exit_code(reported(SAME, DIFFERS)) == 2
    assert exit_code(Report(command="validate")) == 0


def test_an_apply_never_says_2() -> None:
    """Done, already so, or declined at the prompt."""
    assert applied("done", "already") == 0
    assert applied() == 0
    assert exit_code(reported(DIFFERS, command="apply")) == 0


def test_errors_in_file_use_or_reachability_are_1() -> None:
    """In the report or the plan as a whole; a file that asks for what is not there as well."""
    assert exit_code(Report(command="validate", diagnostics=(error("x", "no"),))) == 1
    assert exit_code(Report(command="validate", diagnostics=(warning("x", "hm"),))) == 0
    report = reported(DIFFERS)
    assert report.plan is not None
    unreachable = replace(report, plan=replace(report.plan, diagnostics=(error("unreachable", "no"),)))
    assert exit_code(unreachable) == 1
    assert exit_code(reported(replace(DIFFERS, flawed=True))) == 1


def test_blocked_is_3() -> None:
    """A step, an instance, or something that is no step; also after the rest went on."""
    assert exit_code(reported(BLOCKED)) == 3
    assert exit_code(reported(replace(SAME, diagnostics=(error("limit-mails", "no"),)))) == 3
    assert exit_code(reported(replace(SAME, diagnostics=(error("identity-mismatch", "no", about=key("a")),)))) == 3
    assert applied("done", "blocked") == 3
    assert applied("done", plan=BLOCKED) == 3
    skipped = exit_code(
        reported(BLOCKED, command="apply", applied=True, outcomes=outcomes("skipped", step=BLOCKED.steps[1]))
    )
    assert skipped == 3


def test_stale_or_unread_is_4() -> None:
    """Promise 12: never in sync when something was not read that could be, or is never shown and not accepted."""
    assert exit_code(reported(SAME, stale=True)) == 4
    assert exit_code(reported(replace(SAME, unreadable=("sites",)))) == 4
    assert (
        exit_code(reported(replace(SAME, listings=(Listing(name="users", rows=1, complete=False, proof="cut"),)))) == 4
    )
    blind = planned(proposed(live(table=PLAUSIBLE), wish(), table=PLAUSIBLE))
    assert exit_code(reported(blind)) == 4
    assert exit_code(reported(replace(blind, accepted_blind=blind.blind_spots))) == 0
    assert applied("refused", "already") == 4
    assert exit_code(reported(replace(BLOCKED, unreadable=("sites",)))) == 4


@pytest.mark.parametrize("status", ["failed", "unknown", "refused", "skipped"])
def test_partly_applied_is_5(status: OutcomeStatus) -> None:
    """Something was done, and something else was not."""
    assert applied("done", status) == 5


def test_what_was_tried_and_failed_is_5_too() -> None:
    """Something may have been written."""
    assert applied("failed") == 5
    assert applied("unknown") == 5


def test_the_worst_of_several_decides() -> None:
    """130, 1, 5, 4, 3, 2, 0."""
    everything = reported(
        replace(BLOCKED, unreadable=("sites",)),
        command="apply",
        applied=True,
        outcomes=outcomes("done", "failed"),
        diagnostics=(error("x", "no"),),
        interrupted=True,
    )
    assert exit_code(everything) == 130
    assert exit_code(replace(everything, interrupted=False)) == 1
    assert exit_code(replace(everything, interrupted=False, diagnostics=())) == 5
    assert exit_code(replace(everything, interrupted=False, diagnostics=(), outcomes=())) == 4


def test_waiting_unmanaged_and_held_back_are_0() -> None:
    """Counted, and no difference."""
    plan = replace(
        SAME,
        waiting=(key("li"),),
        held_back=DIFFERS.steps,
        unmanaged=planned(proposed(live(grant("old", "team-member")), wish())).unmanaged,
    )
    report = reported(plan)
    assert exit_code(report) == 0
    total = summarize(report)
    assert (total.waiting, total.held_back, total.unmanaged, total.unmanaged_admins) == (1, 2, 1, 0)


def test_drift_is_2_unless_it_is_only_reported() -> None:
    """An account that policy leaves alone is no difference until something of it changes."""
    item = DriftItem(instance="stats", kind="undeclared", live=grant("old", "team-member"))
    assert exit_code(reported(SAME, command="drift", drift=(item,))) == 0
    assert exit_code(reported(SAME, command="drift", drift=(replace(item, step=STEP),))) == 2
    assert exit_code(reported(SAME, command="drift", drift=(replace(item, kind="changed-since"),))) == 2
    assert summarize(reported(SAME, drift=(item, item))).drift == {"undeclared": 2}


def test_the_numbers_of_a_plan() -> None:
    """Each from one place."""
    world = live(
        admin("ben"),
        admin("cem"),
        admin("agency"),
        grant("anna", "team-view-only"),
        grant("dora", "team-manager"),
        grant("eva", "team-member"),
        grant("sso-x", "team-member"),
        Account("ed"),
    )
    desired = wish(
        admin("ben"),
        admin("li"),
        grant("anna", "team-manager"),
        grant("dora", "team-view-only"),
        grant("li", "team-member", BLOG),
        Account("dora", renamed="theodora"),
        declared=[declared_user("cem"), declared_user("eva"), declared_user("ed", ending="absent")],
    )
    found = proposed(world, desired, replace(OPEN, ignore=("sso-*",)))
    mail = Diagnostic(code="mail", severity=Severity.NOTE, message="", about=("account", "li"), effect="mail", count=2)
    total = summarize(reported(planned(found, mail)))
    assert (total.creates, total.updates, total.deletes) == (3, 3, 2)
    assert (total.accounts_created, total.accounts_deleted) == (1, 0)
    assert (total.grants_added, total.grants_raised, total.grants_lowered, total.grants_revoked) == (2, 1, 1, 2)
    assert total.other_changes == 1
    assert (total.powers_raised, total.losing_everything) == (2, 2)
    assert (total.admins_gained, total.admins_lost) == (1, 1)
    assert (total.people, total.sites, total.mails) == (5, 2, 2)
    assert (total.blocked, total.errors) == (1, 1)
    assert (total.unmanaged, total.unmanaged_admins, total.ignored) == (1, 1, 1)
    everybody = Diagnostic(code="mail", severity=Severity.NOTE, message="", effect="mail", count=3)
    assert summarize(reported(planned(found, mail, everybody))).mails == 5
    blocked = summarize(reported(planned(found, mail, error("budget", "no"))))
    assert (blocked.blocked, blocked.creates, blocked.people, blocked.mails) == (9, 0, 0, 0)


def test_raised_and_lowered_are_told_by_power_and_rights() -> None:
    """A right more is a raise, a right less a lowering, and one for the other neither."""
    base = DIFFERS.steps[1]

    def counted(before: Grant, after: Grant) -> tuple[int, int, int]:
        step = replace(
            base,
            change=replace(base.change, before=before, after=after),
            before_power=Power.VIEW,
            after_power=Power.VIEW,
        )
        total = summarize(reported(replace(DIFFERS, steps=(step,))))
        return total.grants_raised, total.grants_lowered, total.other_changes

    bare, more, other = grant("li", "view"), grant("li", "view", SHOP, "a"), grant("li", "view", SHOP, "b")
    assert [counted(bare, more), counted(more, bare), counted(more, other)] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_what_was_said_is_counted_wherever_it_hangs() -> None:
    """On the report, the plan, the instance and the steps."""
    report = reported(replace(BLOCKED, diagnostics=(warning("x", ""),)), diagnostics=(warning("y", ""), error("z", "")))
    total = summarize(report)
    assert total.warnings == 2
    assert total.errors == 1 + sum(
        diagnostic.severity is Severity.ERROR for step in BLOCKED.steps for diagnostic in step.diagnostics
    )
    assert summarize(reported(SAME, outcomes=outcomes("done", "done", "failed"))).outcomes == {"done": 2, "failed": 1}


def test_who_loses_everything_is_a_person_once() -> None:
    """Two accounts of one person are one; an account behind which nobody is known counts for itself."""
    known = replace(STEP, person="li")
    name = account_of(STEP.change.key) or ""
    first = replace(DIFFERS, steps=(known,), emptied=(name,))
    second = replace(first, instance="other", emptied=(name, "stranger"))
    assert summarize(reported(first, second)).losing_everything == 2


def test_an_instance_that_was_not_read_is_counted_and_named() -> None:
    """What is said of one that was read is no reason to call it missing."""
    report = reported(SAME)
    assert report.plan is not None
    said = (
        replace(error("unreachable", "no answer"), instance="other"),
        replace(error("x", "no"), instance=SAME.instance),
        error("y", "no"),
    )
    gone = replace(report, plan=replace(report.plan, diagnostics=said))
    assert missing(gone) == (Missing(instance="other", why="no answer"),)
    assert summarize(gone).unread == 1
