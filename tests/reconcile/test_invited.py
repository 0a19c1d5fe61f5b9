"""Expired invitations: to send one again is no advice on somebody whom the file wants no account or access for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconcile.test_public import MATOMO, SITES, rig_of
from rig import part
from siteward.platforms.fakery import World, WorldAccount

if TYPE_CHECKING:
    from pathlib import Path

LATE = WorldAccount(login="gon", email="gon@example.org", status="expired")


def hints(folder: Path, users: dict[str, Any], **instance: Any) -> list[str]:
    rig = rig_of(folder, {**MATOMO, **instance}, World(accounts=(LATE,), sites=SITES), users=users)
    found = part(rig.plan())
    everything = [*found.diagnostics, *(said for step in found.steps for said in step.diagnostics)]
    return [said.hint or "" for said in everything if said.code == "invitation-expired"]


@pytest.mark.parametrize("mode", ["full", "add-only", "observe"])
@pytest.mark.parametrize(
    "row", [{"state": "absent"}, {"state": "suspended"}, {"until": "2026-01-31"}, {"from": "2027-01-31"}]
)
def test_who_is_to_have_nothing_is_not_invited_again(tmp_path: Path, mode: str, row: dict[str, Any]) -> None:
    assert hints(tmp_path, {"gon": {"email": "gon@example.org", **row}}, mode=mode) == []


def test_who_is_wanted_is_invited_again(tmp_path: Path) -> None:
    (hint,) = hints(tmp_path, {"gon": {"email": "gon@example.org", "accounts": "it"}})
    assert "siteward apply --resend gon@it" in hint


def test_who_is_not_declared_may_be(tmp_path: Path) -> None:
    """The file says nothing of them, and somebody invited them."""
    (hint,) = hints(tmp_path, {})
    assert "siteward apply --resend gon@it" in hint
