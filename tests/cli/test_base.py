"""A change is judged by the rules it finds, not by those it brings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import AS_OF
from cli.repo import commit, edit, git

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Program, Result

ALLOWED = (*AS_OF, "--allow-delete", "--passwords-out", "passwords.txt")
ADMINS = "      admins: {min: 2, max: 4}"
ROOMY = "      admins: {min: 2, max: 6}"


@pytest.fixture
def applied(checkout: Program) -> Program:
    """The example in a repository, carried out."""
    edit(checkout, (ADMINS, ROOMY))
    commit(checkout)
    assert checkout("apply", *ALLOWED, "--yes").code == 0
    return checkout


def plan(program: Program, *arguments: str, **env: str) -> Any:
    return program("plan", *ALLOWED, *arguments, "--format", "json", **env).json()


def steps(data: Any) -> list[Any]:
    return [step for instance in data["plan"]["instances"] for step in instance["steps"]]


def said(data: Any) -> dict[str, str]:
    """Every diagnostic by code, wherever it stands."""
    plan = data["plan"] or {"instances": []}
    found = [*data["diagnostics"], *plan.get("diagnostics", ())]
    for instance in plan["instances"]:
        found += instance.get("diagnostics", ())
        for step in instance["steps"]:
            found += step.get("diagnostics", ())
    return {diagnostic["code"]: diagnostic["message"] for diagnostic in found}


def test_a_weaker_rule_does_not_help_the_change_that_brings_it(applied: Program) -> None:
    """The rule is relaxed and used in one change: by itself it would pass, against its base it is blocked."""
    edit(
        applied,
        ("match: {power: admin}, require: [ticket, reason]}", "match: {power: admin}, require: [ticket]}"),
        ("grants:\n", "grants:\n  - {to: rosa, role: admin, on: stats, ticket: X-1}\n"),
    )
    alone = plan(applied)
    assert alone["exit_code"] == 2
    judged = plan(applied, "--base", "main")
    assert judged["exit_code"] == 3
    assert [step["blocked"] for step in steps(judged)] == [True]
    assert "the rule admin-needs-ticket of main" in said(judged)["admin-needs-ticket"]
    assert "admin-needs-ticket" in said(judged)["policy-changed"]
    broken = [
        refusal for step in steps(judged) for refusal in step["diagnostics"] if refusal["code"] == "admin-needs-ticket"
    ]
    assert not any(refusal.get("related") for refusal in broken), "no line of the checkout is the base's rule"
    assert applied("validate", "--base", "main").code == 1
    assert applied("validate").code == 0


def test_budgets_and_admins_are_the_stricter_of_both(applied: Program) -> None:
    """More admins than the base allows are too many, whatever the change says."""
    edit(
        applied,
        (ROOMY, "      admins: {min: 1, max: 9}"),
        (
            "grants:\n",
            "grants:\n  - {to: [rosa, lena, omar], role: admin, on: stats, ticket: X-1, reason: because}\n",
        ),
    )
    assert "too-many-admins" not in said(plan(applied))
    assert "too-many-admins" in said(plan(applied, "--base", "main"))


def test_a_kind_that_is_changed_still_counts(applied: Program) -> None:
    """A client who is made a person to get more is judged as the client of the base."""
    edit(
        applied,
        ("kind: client, until", "until"),
        ("role: view, sites: shop.example.org", "role: edit, sites: shop.example.org"),
        name="examples/teams/shop.yaml",
    )
    assert plan(applied)["exit_code"] == 2
    judged = plan(applied, "--base", "main")
    assert judged["exit_code"] == 3
    assert "clients-only-view" in said(judged)
    assert said(judged)["kind-changed"] == "tessa: kind was client and becomes person"


def test_a_site_that_was_not_looked_at(applied: Program) -> None:
    """A wider `manages` is merged first; what it reaches is blocked until then."""
    wide, narrow = '"!legacy.example.org"]', '"!legacy.example.org", "!internal.example.org"]'
    edit(applied, (wide, narrow))
    commit(applied)
    edit(applied, (narrow, wide), ("grants:\n", "grants:\n  - {to: lena, role: view, sites: internal.example.org}\n"))
    assert not any(step["blocked"] for step in steps(plan(applied)))
    judged = plan(applied, "--base", "main")
    assert all(step["blocked"] for step in steps(judged))
    assert "not-managed-before" in said(judged)
    assert "manages was" in said(judged)["instance-changed"]


def test_a_mode_that_is_opened_holds_for_the_next_change(checkout: Program) -> None:
    """Add-only at the base is add-only for the change that ends it."""
    edit(checkout, ("    mode: full ", "    mode: add-only "))
    commit(checkout)
    edit(checkout, ("    mode: add-only ", "    mode: full "))
    alone, judged = plan(checkout), plan(checkout, "--base", "main")
    assert judged["summary"]["held_back"] > alone["summary"]["held_back"] == 0
    assert "mode was add-only and becomes full" in said(judged)["policy-changed"]


def test_who_left_since_the_base_is_suspended(checkout: Program) -> None:
    """No journal knows them, the base does: whoever is no longer declared loses access, named as having left."""
    commit(checkout)
    edit(checkout, ("  marco: {email: marco@example.org}\n", ""), ("writers: [newsroom, marco]", "writers: [newsroom]"))
    edit(checkout, ("[marco, lena]", "lena"))
    assert not [step for step in steps(plan(checkout)) if step["cause"] == "left"]
    judged = [step for step in steps(plan(checkout, "--base", "main")) if step["person"] == "marco"]
    assert judged
    assert {step["cause"] for step in judged} == {"left"}


def test_who_grants_themselves_is_named(applied: Program) -> None:
    """The forge's actor is found by `users.*.forge`; the git author is nobody's proof."""
    edit(applied, ("grants:\n", "grants:\n  - {to: rosa, role: edit, sites: shop}\n"))
    edit(applied, ("rosa: {email: rosa@example.org}", "rosa: {email: rosa@example.org, forge: {github: Rosa-R}}"))
    git(applied, "config", "user.name", "rosa-r")
    assert "grants-oneself" not in said(plan(applied))
    assert "grants-oneself" not in said(plan(applied, GITLAB_USER_LOGIN="rosa-r"))
    named = plan(applied, GITHUB_ACTOR="rosa-r")
    assert said(named)["grants-oneself"].startswith("rosa, who asks for this change")
    (step,) = steps(named)
    assert step["risk"] == "high"
    assert "self-grant" in step["risks"]


def test_a_changed_login_does_not_hide_who_asks(applied: Program) -> None:
    """Whoever strikes out their own name on the forge is still known by the base."""
    edit(applied, ("rosa: {email: rosa@example.org}", "rosa: {email: rosa@example.org, forge: {github: rosa-r}}"))
    commit(applied)
    edit(
        applied, (", forge: {github: rosa-r}", ""), ("grants:\n", "grants:\n  - {to: rosa, role: edit, sites: shop}\n")
    )
    found = said(plan(applied, "--base", "main", GITHUB_ACTOR="rosa-r"))
    assert "grants-oneself" in found
    assert "identity-changed" in found


def test_who_only_gains_time_is_named_too(applied: Program) -> None:
    """A later end is no step, and is told."""
    edit(
        applied, ("kind: contractor, until: 2027-03-31", "kind: contractor, forge: {github: jonas}, until: 2027-03-31")
    )
    commit(applied)
    edit(applied, ("{user: jonas, until: 2027-02-28}", "{user: jonas, until: 2027-03-31}"))
    found = plan(applied, "--base", "main", GITHUB_ACTOR="jonas")
    assert not steps(found)
    assert "extends-own-end" in said(found)


def test_the_base_comes_by_itself_in_jobs_about_a_change(applied: Program, tmp_path: Path) -> None:
    """GitHub and GitLab name the target branch before a merge, and the commit before after it."""
    before = commit(applied)
    git(applied, "update-ref", "refs/remotes/origin/main", before)
    edit(applied, (ROOMY, "      admins: {min: 1, max: 9}"))
    commit(applied)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"before": before}))
    for env in (
        {"GITHUB_BASE_REF": "main"},
        {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"},
        {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event)},
        {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BEFORE_SHA": before},
        {"SITEWARD_BASE": "HEAD~1"},
    ):
        for verb in ("plan", "drift", "validate"):
            assert "policy-changed" in codes(applied(verb, "--format", "json", **env)), (verb, env)
    assert "policy-changed" not in codes(
        applied("validate", "--format", "json", GITHUB_BASE_REF="main", SITEWARD_BASE="none")
    )


def codes(result: Result) -> set[str]:
    return set(said({"plan": None, **result.json()}))


def test_apply_is_judged_by_the_base_too(applied: Program) -> None:
    """A plan that was made without the base is still refused where apply knows it."""
    edit(
        applied,
        ("match: {power: admin}, require: [ticket, reason]}", "match: {power: admin}, require: [ticket]}"),
        ("grants:\n", "grants:\n  - {to: rosa, role: admin, on: stats, ticket: X-1}\n"),
    )
    applied("plan", *ALLOWED, "--out", "plan.json")
    result = applied("apply", "plan.json", *ALLOWED, "--yes", "--base", "main")
    assert result.code == 4, result.out
    assert "blocked since it was reviewed, admin-needs-ticket" in result.out
    assert applied("apply", "plan.json", *ALLOWED, "--yes").code == 0


def test_a_base_that_cannot_be_read_stops_the_run(applied: Program) -> None:
    """Nothing is judged by less than was asked for."""
    result = applied("plan", "--base", "origin/nowhere")
    assert result.code == 1
    assert "fetch-depth" in result.out
    edit(applied, ("version: 1", "version: 2"))
    commit(applied)
    edit(applied, ("version: 2", "version: 1"))
    result = applied("plan", "--base", "main", "--format", "json")
    assert result.code == 1
    assert result.json()["diagnostics"][0]["code"] == "base-not-valid"


def test_a_base_without_the_file_is_told(checkout: Program) -> None:
    """Where the base has no such file nothing judges beside the checkout, and that is said."""
    commit(checkout)
    checkout.write((checkout.folder / "access.yaml").read_text(), "new.yaml")
    assert "base-without-file" in codes(
        checkout("validate", "--config", "new.yaml", "--base", "main", "--format", "json")
    )
