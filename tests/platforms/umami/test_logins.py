"""Logins as Umami tells them apart, on the whole way of a file: lower-cased, nothing more (recording 20_questions)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from platforms.umami.at import SHOP, fake_of, umami
from rig import Rig
from siteward.access.model import Account
from siteward.declaration.generate import first_file
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.report import Report


def _world(*logins: str) -> World:
    return World(
        accounts=tuple(WorldAccount(login=login) for login in logins),
        sites=(WorldSite(name=SHOP, domain=SHOP),),
        grants=(WorldGrant(account=logins[0], site=SHOP, role="team-view-only"),),
    )


def _rig(folder: Path, world: World, users: dict[str, Any], release: str = "3.2") -> Rig:
    block = {
        "platform": "umami", "url": "http://127.0.0.1:1", "self": "siteward",
        "layout": "per-site", "accept_blind": ["board-links"],
    }  # fmt: skip
    document = {
        "version": 1,
        "instances": {"it": block},
        "users": users,
        "policy": {"admins": {"min": 1}},
        "grants": [{"to": list(users), "role": "view", "sites": SHOP}],
    }
    return Rig(folder, fake_of(world, release), document)


def _said(report: Report) -> list[str]:
    assert report.plan is not None, [diagnostic.message for diagnostic in report.diagnostics]
    return [str(step.change.key) for instance in report.plan.instances for step in instance.steps]


def test_a_login_never_means_another_account(tmp_path: Path) -> None:
    """REAL-2026-11.md, F3: `strasse` is made, and `straße`, who is live, keeps nothing of it."""
    rig = _rig(tmp_path, _world("straße"), {"strasse": {}})
    plan = rig.plan().plan
    assert plan is not None
    rig.apply(plan)
    names = {account.name for account in rig.access().accounts()}
    assert names == {"siteward", "straße", "strasse"}
    held = {grant.subject.name for grant in rig.access().grants() if grant.scope.name == SHOP}
    assert "strasse" in held


def test_two_logins_that_the_server_keeps_apart_may_both_be_declared(tmp_path: Path) -> None:
    """No `account-twice`: they are two people."""
    rig = _rig(tmp_path, _world("straße", "strasse"), {"a": {"logins": {"it": "straße"}}, "strasse": {}})
    assert _said(rig.plan()) == ["('grant', 'account', 'strasse', 'site', 'shop.example.org')"]


@pytest.mark.parametrize("typed", ["İstanbul", "ΣΊΣΥΦΟΣ", "STRAẞE", "\u212a"])
def test_what_was_typed_in_capitals_is_the_account_it_was_stored_as(typed: str, tmp_path: Path) -> None:
    """As the server lower-cases, with the last sigma and the dot of a Turkish i."""
    rig = _rig(tmp_path, _world(typed.lower()), {"a": {"logins": {"it": typed}}})
    assert _said(rig.plan()) == []


def test_import_declares_both() -> None:
    """Neither is left for a comment that says what is not so."""
    with umami(_world("straße", "strasse")) as at:
        text = first_file("it", {"platform": "umami"}, at.live, at.traits)
    assert "differs from it only in case" not in text
    assert "straße" in text


@pytest.mark.parametrize("release", ["3.2", "3.1", "2.20"])
def test_a_former_login_that_differs_in_case_is_renamed(release: str, tmp_path: Path) -> None:
    """REAL-2026-11.md, F9: `previously` does what the warning advises, and the plan that follows is empty."""
    rig = _rig(tmp_path, _world("Ben.K"), {"ben.k": {"previously": ["Ben.K"]}}, release)
    report = rig.plan()
    assert _said(report) == ["('account', 'Ben.K')"]
    assert report.plan is not None
    assert {outcome.status for outcome in rig.apply(report.plan).outcomes} == {"done"}
    assert Account("ben.k") in rig.access().accounts()
    assert _said(rig.plan()) == []


def test_a_former_login_is_left_where_the_new_one_is_taken(tmp_path: Path) -> None:
    """There are two accounts then, and which of them is meant cannot be told."""
    rig = _rig(tmp_path, _world("Ben.K", "ben.k"), {"ben.k": {"previously": ["Ben.K"]}}, "3.1")
    report = rig.plan()
    assert report.plan is not None
    codes = {diagnostic.code for part in report.plan.instances for diagnostic in part.diagnostics}
    assert "former-login-remains" in codes
    assert all(step.change.key != ("account", "Ben.K") for part in report.plan.instances for step in part.steps)


@pytest.mark.parametrize(("release", "said"), [("3.2", "nobody can log in"), ("3.1", "before an upgrade to 3.2")])
def test_a_login_with_capitals_says_what_it_means_here(release: str, said: str) -> None:
    """On 3.2 it is not a matter of an upgrade any more."""
    with umami(_world("Ben.K"), release) as at:
        (found,) = [finding for finding in at.live.findings if finding.code == "mixed-case-login"]
        assert said in f"{found.message}; {found.hint}"
        assert "previously: [Ben.K]" in (found.hint or "")
