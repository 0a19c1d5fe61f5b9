"""People whose accounts a directory or sign-on makes (`managed_by`): their grants are ours, their accounts are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconcile.asked import looked_at
from reconcile.three_people import BLOG, EVERY, SHOP, about, apply, document, login, moves, recreate, rename, rig_of
from rig import Rig, part
from siteward.access.report import exit_code
from siteward.reconcile.explain import explain
from siteward.render import render
from siteward.render.context import Options

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.model import Account

SSO = {"managed_by": "sso"}
WORDS: dict[str, dict[str, Any]] = {
    "of the user": {"anna": SSO},
    "of the user on it": {"anna": {"managed_by": {"it": "directory"}}},
    "of the instance": {"instance": {"managed_by": "directory"}},
}


def without_anna(folder: Path, platform: str, **changed: Any) -> Rig:
    """Return a rig on whose server everybody but anna has an account and the grants of the file."""
    return rig_of(folder, platform, there=("ben", "dora"), known=False, **changed)


def accounts(rig: Rig) -> dict[str, Account]:
    return {account.name: account for account in rig.access().accounts()}


def sites_of(rig: Rig, name: str = "anna") -> list[str]:
    own = login(rig.instance.platform.name, name)
    return [
        grant.scope.name for grant in rig.access().grants() if grant.subject.name == own and grant.scope.kind == "site"
    ]


def why_not(rig: Rig, site: str) -> str:
    found = looked_at(rig)
    (explanation,) = explain(found.declaration, found.survey, found.plan, "anna", site)
    return explanation.why_not or ""


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("platform", EVERY)
def test_no_account_is_made(platform: str, word: str, tmp_path: Path) -> None:
    """Nothing is made or given where there is no account, which is told once; it is no "no changes"."""
    grants = [{"to": ["anna", "ben", "dora"], "role": "view", "sites": site} for site in (SHOP, BLOG)]
    rig = without_anna(tmp_path, platform, **WORDS[word], grants=grants)
    report = rig.plan()
    assert len(about(report, "account-not-there")) == 1
    assert not [key for key, _, _ in moves(report) if login(platform, "anna") in key]
    assert len(moves(report)) == 2
    assert exit_code(report) == 2
    apply(rig)
    assert login(platform, "anna") not in accounts(rig)
    after = rig.plan()
    assert exit_code(after) == exit_code(rig.drift()) == 2
    assert "next: siteward plan, once the accounts" in render("text", after, Options())
    rig.declare(
        document(platform, grants=[{"to": ["ben", "dora"], "role": "view", "sites": [SHOP, BLOG]}], **WORDS[word])
    )
    assert about(rig.plan(), "account-not-there") == []


def test_an_account_asked_for_without_a_grant_is_awaited_too(tmp_path: Path) -> None:
    grants = [{"to": ["ben", "dora"], "role": "view", "sites": SHOP}]
    rig = without_anna(tmp_path, "matomo", anna=SSO | {"accounts": ["it"]}, grants=grants)
    report = rig.plan()
    assert moves(report) == []
    assert len(about(report, "account-not-there")) == 1


@pytest.mark.parametrize("native", [True, False])
def test_explain_says_that_a_grant_waits(tmp_path: Path, *, native: bool) -> None:
    """A grant, a role on the whole instance and a membership of a group wait, each with its place; what is not granted does not."""
    groups = {"team": ["anna", "ben", "dora"]}
    grants = [{"to": "team", "role": "view", "sites": SHOP}]
    rig = without_anna(tmp_path, "piwik-pro", anna=SSO, instance={"native": native}, groups=groups, grants=grants)
    assert "waits for the account" in why_not(rig, SHOP)
    assert "no grant" in why_not(rig, BLOG)
    rig.declare({**rig.document, "grants": [*grants, {"to": "anna", "role": "admin", "on": "it"}]})
    assert "waits for the account" in why_not(rig, BLOG)


def test_the_word_of_the_user_comes_first(tmp_path: Path) -> None:
    rig = without_anna(tmp_path, "matomo", anna=SSO, instance={"managed_by": "directory"})
    (told,) = about(rig.plan(), "account-not-there")
    assert "sign-in" in told.hint


def test_on_another_instance_it_is_made(tmp_path: Path) -> None:
    """What `managed_by` says of another instance is not said of this one."""
    changed = document("matomo", anna={"managed_by": {"other": "sso"}})
    changed["instances"]["other"] = changed["instances"]["it"] | {"url": "http://127.0.0.1:2"}
    rig = without_anna(tmp_path, "matomo")
    rig.declare(changed)
    assert "account anna" in [key for key, _, _ in moves(rig.plan())]


def test_modules_and_groups_wait_for_the_account(tmp_path: Path) -> None:
    """A membership of a group of the platform and module switches wait like a grant."""
    groups = {"team": ["anna", "ben", "dora"]}
    grants = [{"to": "team", "role": "view", "sites": SHOP}]
    anna = SSO | {"modules": {"it": ["analytics"]}}
    rig = without_anna(tmp_path, "piwik-pro", anna=anna, instance={"native": True}, groups=groups, grants=grants)
    report = rig.plan()
    assert len(about(report, "account-not-there")) == 1
    assert not [key for key, _, _ in moves(report) if "anna" in key]
    assert [key for key, _, _ in moves(report) if key.startswith("member team ben")]


@pytest.mark.parametrize("platform", EVERY)
def test_the_grants_of_a_live_account_are_given_and_taken(platform: str, tmp_path: Path) -> None:
    rig = rig_of(tmp_path, platform, anna=SSO)
    grants = [
        {"to": ["anna", "ben", "dora"], "role": "view", "sites": SHOP},
        {"to": "anna", "role": "view", "sites": BLOG},
    ]
    rig.declare(document(platform, anna=SSO, grants=grants))
    apply(rig)
    assert sorted(sites_of(rig)) == [BLOG, SHOP]
    rig.declare(
        document(platform, anna=SSO, grants=[*grants[1:], {"to": ["ben", "dora"], "role": "view", "sites": SHOP}])
    )
    apply(rig)
    assert sites_of(rig) == [BLOG]


def test_an_e_mail_is_not_changed(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, "matomo")
    rig.declare(document("matomo", anna={"email": "new@example.org"}))
    assert [key for key, _, _ in moves(rig.plan())] == ["account anna"]
    rig.declare(document("matomo", anna=SSO | {"email": "new@example.org"}))
    assert moves(rig.plan()) == []
    assert exit_code(rig.plan()) == 0


def test_a_language_is_not_changed(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, "piwik-pro")
    rig.declare(document("piwik-pro", anna={"language": "de-DE"}))
    assert [key for key, _, _ in moves(rig.plan())] == ["account anna@example.org"]
    rig.declare(document("piwik-pro", anna=SSO | {"language": "de-DE"}))
    assert moves(rig.plan()) == []


def test_nobody_is_renamed(tmp_path: Path) -> None:
    """A former name leads to the account, to which grants are given as it is called."""
    rig = rig_of(tmp_path, "umami")
    rename(rig, "ann")
    anna = {"previously": ["ann"]}
    rig.declare(document("umami", anna=anna))
    assert [cause for _, _, cause in moves(rig.plan())] == ["renamed"]
    rig.declare(document("umami", anna=anna | SSO))
    report = rig.plan()
    assert moves(report) == []
    assert about(report, "account-not-there") == []
    rig.declare(document("umami", anna=SSO))
    (told,) = about(rig.plan(), "renamed-account")
    assert "previously" not in told.hint


@pytest.mark.parametrize("platform", EVERY)
def test_who_is_absent_keeps_the_account_alone(platform: str, tmp_path: Path) -> None:
    rig = rig_of(tmp_path, platform)
    rig.declare(document(platform, anna={"state": "absent"}))
    assert any(key.startswith("account ") for key, _, _ in moves(rig.plan()))
    rig.declare(document(platform, anna=SSO | {"state": "absent"}))
    report = rig.plan()
    assert {(blocked, cause) for _, blocked, cause in moves(report)} == {(False, "absent")}
    assert not [key for key, _, _ in moves(report) if key.startswith("account ")]
    assert len(about(report, "managed-account-stays")) == 1
    apply(rig)
    assert login(platform, "anna") in accounts(rig)
    assert sites_of(rig) == []
    assert exit_code(rig.plan()) == 0


@pytest.mark.parametrize("access", [True, False])
@pytest.mark.parametrize("platform", EVERY)
def test_an_account_made_anew_is_warned_of(platform: str, tmp_path: Path, *, access: bool) -> None:
    """The directory makes accounts anew: a warning, no block, until an apply has met it."""
    rig = rig_of(tmp_path, platform, anna=SSO)
    recreate(rig, access=access)
    report = rig.plan()
    assert [diagnostic.blocks for diagnostic in about(report, "identity-mismatch")] == [False]
    assert [blocked for _, blocked, _ in moves(report)] == ([] if access else [False])
    assert all(step.risk == "high" for step in part(report).steps)
    apply(rig)
    assert sites_of(rig) == [SHOP]
    after = rig.plan()
    assert about(after, "identity-mismatch") == []
    assert exit_code(after) == 0


@pytest.mark.parametrize("platform", EVERY)
def test_an_id_in_the_file_still_names_the_account(platform: str, tmp_path: Path) -> None:
    """Whoever gives the id says which account it is, and another one is blocked."""
    rig = rig_of(tmp_path, platform)
    recreate(rig)
    rig.declare(document(platform, anna=SSO | {"ids": {"it": "2020-01-01 00:00:00"}}))
    assert all(diagnostic.blocks for diagnostic in about(rig.plan(), "identity-mismatch"))
    assert all(blocked for _, blocked, _ in moves(rig.plan()))


def test_another_address_at_the_first_meeting_is_warned_of(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, "matomo", known=False, anna={"email": "other@example.org"})
    assert [diagnostic.blocks for diagnostic in about(rig.plan(), "identity-mismatch")] == [True]
    rig.declare(document("matomo", anna=SSO | {"email": "other@example.org"}))
    report = rig.plan()
    assert [diagnostic.blocks for diagnostic in about(report, "identity-mismatch")] == [False]
    apply(rig)
    assert about(rig.plan(), "identity-mismatch") == []
