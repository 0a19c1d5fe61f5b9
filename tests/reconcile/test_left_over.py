"""Steps that cannot be done alone: what a platform says of the rest of a plan once the blocked steps are taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconcile.test_public import MATOMO, SITES, rig_of
from rig import codes, part
from siteward.access.model import account_key
from siteward.platforms.fakery import World, WorldAccount

if TYPE_CHECKING:
    from pathlib import Path

USERS = {
    "boss": {"email": "boss@example.org"},
    "gon": {"email": "gon@example.org"},
    "hal": {"email": "hal@example.org"},
}


def test_an_invitation_whose_only_site_is_blocked_is_blocked_too(tmp_path: Path) -> None:
    """Matomo invites to a site; a superuser is invited to any, and a second one is more than the file allows."""
    world = World(accounts=(WorldAccount(login="boss", email="boss@example.org", role="superuser"),), sites=SITES)
    grants = [
        {"to": ["boss", "gon"], "role": "admin", "on": "it"},
        {"to": "hal", "role": "view", "sites": "shop"},
    ]
    rig = rig_of(tmp_path, MATOMO, world, users=USERS, grants=grants, policy={"admins": {"min": 1, "max": 1}})
    steps = {step.change.key: step for step in part(rig.plan()).steps}
    assert "too-many-admins" in {code for step in steps.values() for code in codes(step)}
    assert codes(steps[account_key("gon")]) == {"invitation-needs-site"}
    assert not steps[account_key("hal")].blocked
