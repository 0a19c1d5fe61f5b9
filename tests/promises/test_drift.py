"""Drift on a real platform: what it asks for, whom it blames, and where it leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from promises.small import ADMINS, Small, Somebody, edit, made, rig, role, view
from rig import Killed
from siteward.access.report import exit_code
from siteward.reconcile.apply.target import RESUME

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.report import Report

FEW = {"count": 0, "percent": 0}


def said(report: Report) -> set[str]:
    """Return the codes of all errors, wherever they stand."""
    assert report.plan is not None
    (part,) = report.plan.instances
    of_steps = (diagnostic for step in part.steps for diagnostic in step.diagnostics)
    return {diagnostic.code for diagnostic in (*report.diagnostics, *part.diagnostics, *of_steps) if diagnostic.blocks}


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"users": {"dora": {"state": "absent"}}, "grants": [ADMINS, view("carla")]}, id="a tombstone"),
        pytest.param(
            {"users": {"hugo": {}}, "grants": [ADMINS, view(["carla", "hugo"]), edit("dora")]}, id="a newcomer"
        ),
        pytest.param(
            {"grants": [ADMINS], "policy": {"admins": {"min": 1}, "limits": {"revocations": FEW}}}, id="a budget"
        ),
    ],
)
def test_what_needs_a_consent_to_apply_is_a_difference(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Drift has no way to be given a consent, and asks for none."""
    small = rig(tmp_path, **changed)
    report = small.drift()
    assert said(report) == set()
    assert report.drift
    assert exit_code(report) == 2


def settled(folder: Path) -> Small:
    """Return a rig whose declaration was applied in full."""
    small = rig(folder)
    small.apply(made(small))
    assert exit_code(small.drift()) == 0
    return small


def test_an_apply_of_something_else_hides_nobody(tmp_path: Path) -> None:
    """Promise 12: an admin whom nobody declared is told before and after an apply that was confined to others."""
    small = settled(tmp_path)
    Somebody(small.fake).makes("eve", "admin")
    Somebody(small.fake).takes("dora")
    before = small.drift().drift
    assert {drift_item.kind for drift_item in before} == {"changed-since"}
    small.apply(made(small), only=lambda *_: False)
    assert small.drift().drift == before
    small.apply(made(small))
    left = small.drift()
    assert {drift_item.live.key[1:3] for drift_item in left.drift if drift_item.live} == {("eve",), ("account", "eve")}
    assert exit_code(left) == 2


@pytest.mark.parametrize("unmanaged", ["report", "revoke"])
def test_an_undeclared_account_without_access_is_a_count(tmp_path: Path, unmanaged: str) -> None:
    """REAL-2026-11.md, F7: told as drift until an apply has seen it; what it gets later is drift again."""
    small = rig(tmp_path, instance={"unmanaged": unmanaged})
    small.apply(made(small))
    somebody = Somebody(small.fake)
    somebody.makes("mallory", "user")
    assert exit_code(small.drift()) == 2
    small.apply(made(small))
    told = small.drift()
    assert told.drift == ()
    assert exit_code(told) == 0
    assert told.plan is not None
    assert "mallory" in {unmanaged_account.name for unmanaged_account in told.plan.instances[0].unmanaged}
    somebody.adds("mallory", "team-manager")
    assert exit_code(small.drift()) == 2
    small.apply(made(small))
    assert exit_code(small.drift()) == (0 if unmanaged == "revoke" else 2)


def test_an_interrupted_apply_is_not_somebody_else(tmp_path: Path) -> None:
    """What a killed run did is told as its own, and the way on is to finish it."""
    small = settled(tmp_path)
    small.declare({**small.document, "grants": [ADMINS, view("carla"), view("dora")]})
    plan = made(small)
    small.axe.at, small.axe.after = _first_write(tmp_path / "other"), True
    with pytest.raises(Killed):
        small.apply(plan)
    small.axe.at = 0
    report = small.drift()
    assert {drift_item.kind for drift_item in report.drift} == {"unapplied"}
    assert report.next == RESUME
    assert small.plan().next == RESUME
    small.apply(plan, resume=True)
    assert exit_code(small.drift()) == 0
    assert role(small.fake, "dora")


def _first_write(folder: Path) -> int:
    """Return the number of requests, counted from a plan on, up to the first that changes something."""
    other = settled(folder)
    other.declare({**other.document, "grants": [ADMINS, view("carla"), view("dora")]})
    plan = made(other)
    other.axe.wrote.clear()
    other.apply(plan)
    return other.axe.wrote[0]
