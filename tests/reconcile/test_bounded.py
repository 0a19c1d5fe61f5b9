"""A file with bounds that declares an account others have given access: run after run, and when the row is gone again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from rig import NOW, Rig
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.matomo.fake import FAKE
from siteward.reconcile.revisions.base_policy import BasePolicy

if TYPE_CHECKING:
    from pathlib import Path

SITES = ("shop.example.org", "news.example.org")
WORLD = World(
    accounts=(WorldAccount(login="rosa", email="rosa@example.org"),),
    sites=tuple(WorldSite(name=site, domain=site) for site in SITES),
    grants=(WorldGrant(account="rosa", site="news.example.org", role="admin"),),
)
DOCUMENT: dict[str, Any] = {
    "version": 1,
    "instances": {"it": {"platform": "matomo", "url": "http://127.0.0.1:1", "self": "root"}},
    "include": [{"path": "team.yaml", "sites": ["shop.*"], "at_most": "edit"}],
    "policy": {"limits": {"removals": {"count": 9}, "revocations": {"count": 9}}},
    "grants": [],
}
NEWS = {"to": "zoe", "role": "manage", "sites": "news.example.org"}
TEAM = "users: {zoe: {logins: {it: rosa}}}\ngrants: [{to: zoe, role: view, sites: shop.example.org}]\n"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "team.yaml").write_text(TEAM, encoding="utf-8")
    return Rig(tmp_path, FAKE.of(WORLD, FAKE.releases[0], clock=lambda: NOW), DOCUMENT)


def run(rig: Rig, team: str) -> list[tuple[str, str]]:
    """Plan and apply with these lines of the team; return what became of each step, and on which site."""
    (rig.folder / "team.yaml").write_text(team, encoding="utf-8")
    rig.declare(DOCUMENT)
    plan = rig.plan().plan
    assert plan is not None
    return sorted((outcome.status, outcome.step.change.key[-1]) for outcome in rig.apply(plan).outcomes)


def holds(rig: Rig, site: str) -> bool:
    return ("grant", "account", "rosa", "site", site) in rig.access()


def test_what_is_within_the_bounds_is_given_and_the_rest_is_never_taken(rig: Rig) -> None:
    """The run that gives something does not make the account the file's; nor does a row that is gone end all it had."""
    assert run(rig, TEAM) == [("blocked", "news.example.org"), ("done", "shop.example.org")]
    assert run(rig, TEAM) == [("blocked", "news.example.org")]
    suspended = run(rig, "users: {zoe: {logins: {it: rosa}, state: suspended}}\n")
    assert ("blocked", "news.example.org") in suspended
    assert ("done", "shop.example.org") in suspended
    run(rig, "users: {}\n")
    assert holds(rig, "news.example.org")


@pytest.mark.parametrize(("grants", "taken"), [(DOCUMENT["grants"], []), ([NEWS], ["news.example.org"])])
def test_compared_with_a_base_a_row_that_is_gone_ends_no_more(rig: Rig, grants: list[Any], taken: list[str]) -> None:
    """Nor without a journal, where the base alone knows who left; what the root file gave ends with the row."""
    rig.declare({**DOCUMENT, "grants": grants})
    base = rig.project.declaration
    (rig.folder / "team.yaml").write_text("users: {}\n", encoding="utf-8")
    rig.declare(DOCUMENT)
    policy = BasePolicy(head=rig.project.declaration, ref="main", base=base)
    rig.project = replace(rig.project, base_policy=policy)
    plan = rig.plan().plan
    assert plan is not None
    assert [step.change.key[-1] for step in plan.instances[0].steps] == taken


def test_once_nothing_is_left_beyond_them_the_account_is_met(rig: Rig) -> None:
    """Declared by the root file, which then takes it like any other right of a user."""
    rig.declare({**DOCUMENT, "grants": [NEWS]})
    plan = rig.plan().plan
    assert plan is not None
    assert {outcome.status for outcome in rig.apply(plan).outcomes} == {"done"}
    assert run(rig, TEAM) == [("done", "news.example.org")]
    assert not holds(rig, "news.example.org")
