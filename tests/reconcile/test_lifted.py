"""What a report says of a block that whoever applied has lifted: a warning, and no longer an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconcile.small_world import (
    delete_only_if_allowed,
    few_removals,
    grant,
    one_instance,
    statuses,
)
from siteward.access.diagnostic import Severity, error, note
from siteward.access.model import Account
from siteward.access.report import exit_code
from siteward.reconcile.apply.consent import allowed
from siteward.reconcile.apply.target import Acceptance

if TYPE_CHECKING:
    from pathlib import Path


THREE = [grant("ann", site, "view") for site in ("a.test", "b.test", "c.test")]


def test_a_lifted_limit_is_a_warning_in_the_report(tmp_path: Path) -> None:
    """An error that is about a whole instance, accepted for this plan, is told and blocks nothing."""
    rig, _, _ = one_instance(tmp_path, THREE, [Account("ann")], few_removals)
    plan = rig.plan()
    assert [diagnostic.severity for diagnostic in plan.instances[0].diagnostics] == [Severity.ERROR]
    report = rig.apply(plan, accept={"removals": Acceptance(digest=plan.digest, reason="OPS-900")})
    assert statuses(report) == ["done"] * 3
    assert report.plan is not None
    (part,) = report.plan.instances
    assert [(told.code, told.severity) for told in part.diagnostics] == [("limit-removals", Severity.WARNING)]
    assert exit_code(report) == 0


def test_a_limit_that_nobody_lifted_stays_an_error(tmp_path: Path) -> None:
    """And the whole instance is blocked."""
    rig, _, _ = one_instance(tmp_path, THREE, [Account("ann")], few_removals)
    report = rig.apply()
    assert statuses(report) == ["blocked"] * 3
    assert report.plan is not None
    assert report.plan.instances[0].blocked


def test_only_the_lifted_step_is_lowered(tmp_path: Path) -> None:
    """What stands at other steps, or is about something else on the instance, stays as it was reviewed."""
    rig, _, _ = one_instance(tmp_path, [Account("ann"), Account("bob")], [], delete_only_if_allowed)
    (reviewed,) = rig.plan().instances
    ann, bob = reviewed.steps
    whole = error("limit-removals", "too many")
    other = error("unknown-account", "who is that", about=("account", "cleo"))
    word = note("first-meeting", "a word")
    reviewed = replace(reviewed, diagnostics=(whole, other, word))
    lowered = allowed(reviewed, [ann.id])
    assert [told.severity for told in lowered.diagnostics] == [Severity.WARNING, Severity.ERROR, word.severity]
    assert [step.blocked for step in lowered.steps] == [False, True]
    assert lowered.steps[1] == bob
    assert allowed(reviewed, []) == reviewed


def test_a_need_that_was_given_is_no_warning(tmp_path: Path) -> None:
    """A file for passwords, and what waited for it: nothing is left to be warned of."""
    rig, _, _ = one_instance(tmp_path, [], [Account("ann")])
    (reviewed,) = rig.plan().instances
    (step,) = reviewed.steps
    key = step.change.key
    said = (
        error("no-password-destination", "nowhere", about=key),
        error("depends-on-blocked", "this needs s1", about=key),
    )
    lowered = allowed(
        replace(reviewed, steps=(replace(step, diagnostics=(*said, note("mail", "a mail", about=key))),)), [step.id]
    )
    assert [told.code for told in lowered.steps[0].diagnostics] == ["mail"]
