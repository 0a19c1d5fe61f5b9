"""What an end date or a start causes: which steps it is, on every platform, and that nothing else stands in its way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from rig import NOW, Rig, part
from siteward import platforms
from siteward.access.model import EVERYWHERE
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siteward.access.plan import Step
    from siteward.access.report import Report

SHOP, BLOG = "shop.example.org", "blog.example.org"
ENDED = "2026-12-31"
LATER = datetime(2027, 1, 1, 3, tzinfo=UTC)
"""The night after the end."""
PLATFORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "umami": ("3.2", {"self": "siteward", "layout": "per-site", "accept_blind": ["board-links"]}),
    "matomo": ("5.3", {"self": "root"}),
}
ADMIN = {"umami": ("admin", "admin"), "matomo": ("superuser", "admin")}
HIGH = {"umami": "team-manager", "matomo": "admin"}
LOW = {"umami": "team-view-only", "matomo": "view"}


class Confirmed(Rig):
    """A rig on which more than the file says whose the credentials are."""

    def declare(self, document: Mapping[str, Any]) -> None:
        super().declare(document)
        own = self.project.declaration.instances["it"].self_account or ""
        env = {**self.instance.env, "SITEWARD_IT_SELF": own}
        self.instance = replace(self.instance, env=env, self_account=own)


def document(platform: str, *grants: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a file about anna and ben, with wide limits."""
    limits = dict.fromkeys(("removals", "revocations", "escalations", "expiries"), {"count": 99, "percent": 100})
    return {
        "version": 1,
        "instances": {"it": {"platform": platform, "url": "http://127.0.0.1:1"} | PLATFORMS[platform][1]},
        "users": {name: {"email": f"{name}@example.org"} for name in ("anna", "ben")},
        "policy": {"admins": {"min": 2}, "limits": limits},
        "grants": list(grants),
        **more,
    }


def rig_of(folder: Path, declared: dict[str, Any], *, admins: tuple[str, ...] = (), sites: tuple[str, ...] = ()) -> Rig:
    """Return a rig whose server has anna and ben, some of them admins, and nothing else."""
    platform = declared["instances"]["it"]["platform"]
    top = {"umami": "admin", "matomo": "superuser"}[platform]
    start = World(
        accounts=tuple(
            WorldAccount(login=name, email=f"{name}@example.org", role=top if name in admins else None)
            if name in admins
            else WorldAccount(login=name, email=f"{name}@example.org")
            for name in ("anna", "ben")
        ),
        sites=tuple(WorldSite(name=site, domain=site) for site in (SHOP, BLOG)),
        grants=tuple(WorldGrant(account=name, site=SHOP, role=HIGH[platform]) for name in sites),
    )
    fake = platforms.fake(platform).of(start, PLATFORMS[platform][0], clock=lambda: NOW)
    return Confirmed(folder, fake, declared)


def settle(rig: Rig) -> None:
    """Apply what the file asks for now."""
    report = rig.plan()
    assert report.plan is not None
    done = rig.apply(report.plan)
    assert {outcome.status for outcome in done.outcomes} <= {"done", "already"}, done.outcomes


def due(report: Report) -> dict[str, str | None]:
    """Return why by a date each step is due, by person and place."""
    return {f"{step.person} {step.change.key[-1]}": step.due for step in part(report).steps}


def only(report: Report) -> Step:
    (found,) = part(report).steps
    return found


MANAGE = {"to": "anna", "role": "manage", "sites": SHOP}
VIEW = {"to": "anna", "role": "view", "sites": SHOP}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_lowering_to_what_remains_is_due_by_the_end(platform: str, tmp_path: Path) -> None:
    """Manage until the end of the year and view for good: the step down is the end's doing."""
    rig = rig_of(tmp_path, document(platform, MANAGE | {"until": ENDED}, VIEW))
    settle(rig)
    step = only(rig.plan(as_of=LATER))
    assert (step.due, step.waits, step.blocked) == ("end", False, False)
    assert step.change.after is not None


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("where", ["grant", "user", "membership"])
def test_a_time_boxed_admin_ends_though_no_other_is_declared(where: str, platform: str, tmp_path: Path) -> None:
    """Who has ended never counted towards `admins.min`; that too few are left is a warning."""
    grant: dict[str, Any] = {"to": "anna", "role": "admin", "on": "it"}
    users: dict[str, Any] = {name: {"email": f"{name}@example.org"} for name in ("anna", "ben")}
    groups: dict[str, Any] = {"bosses": ["ben"]}
    if where == "grant":
        grant["until"] = ENDED
    elif where == "user":
        users["anna"]["until"] = ENDED
    else:
        grant["to"], groups = "bosses", {"bosses": [{"user": "anna", "until": ENDED}]}
    rig = rig_of(tmp_path, document(platform, grant, users=users, groups=groups), admins=("anna",))
    settle(rig)
    report = rig.plan(as_of=LATER)
    top = next(step for step in part(report).steps if step.change.key[-2:] == (EVERYWHERE.kind, EVERYWHERE.name))
    assert (top.due, top.blocked) == ("end", False), top.diagnostics
    codes = {diagnostic.code for diagnostic in part(report).diagnostics if not diagnostic.blocks}
    assert "below-min-admins" in codes
    assert not any(diagnostic.blocks for diagnostic in part(report).diagnostics)
