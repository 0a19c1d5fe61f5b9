"""The recipes for GitHub and GitLab: their shell runs as it stands against a sandbox; only `gh` and `glab` are stubs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from cli.forge import CI, Forge, Ran

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from siteward.platforms.fakery import Sandbox

PATH = os.environ["PATH"]
NEEDED = ("bash", "git", "jq", "openssl")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason=f"the recipes' shell needs {', '.join(NEEDED)}"
)
WORKFLOWS = sorted((CI / ".github" / "workflows").glob("*.yml"))
YESTERDAY = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
DECLARATION = """version: 1
instances:
  stats: {platform: umami, url: URL, self: siteward, layout: per-site, accept_blind: [board-links]}
users:
  anna: {email: anna@example.org, forge: {github: anna-berg}}
  ben: {email: ben@example.org}
  rosa: {email: rosa@example.org}
  omar: {email: omar@example.org}
grants:
  - {to: [anna, ben], role: admin, on: stats}
  - {to: rosa, role: edit, sites: www.example.org}
  - {to: omar, role: view, sites: docs.example.org}
  - {to: omar, role: edit, sites: staging.example.org}
policy: {limits: {revocations: {percent: 100}}, admins: {min: 2}}
"""


@pytest.fixture
def forge(tmp_path: Path, umami: Sandbox) -> Forge:
    """A repository with the recipes in it, whose main branch declares a little."""
    secrets = {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    secrets |= {"SITEWARD_JOURNAL_KEY": "a journal key", "SITEWARD_PLAN_KEY": "a plan key"}
    made = Forge(tmp_path, secrets)
    (made.work / "access.yaml").write_text(DECLARATION.replace("URL", umami.url))
    (made.work / ".gitignore").write_text(".siteward/\n")
    return made


def edit(forge: Forge, old: str, new: str) -> None:
    path = forge.work / "access.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


# -- GitHub

RUN = "Access, run 77, attempt 1"
KNOWN = {
    "github.repository": "example/access", "github.run_id": "77", "github.run_attempt": "1", "github.token": "token",
    "github.event.repository.visibility": "private", "github.base_ref": "main", "github.workflow": "Access",
    "inputs.instance": "stats", "matrix.instance": "stats",
}  # fmt: skip


def merged(forge: Forge, message: str = "Change access") -> tuple[Ran, Ran | None]:
    """What GitHub does after a push to main: plan, and where something differs, apply."""
    before, _ = forge.push(message)
    event = forge.folder / "push.json"
    event.write_text(json.dumps({"before": before, "repository": {"private": True}}))
    env = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event), "GITHUB_ACTOR": "somebody"}
    plan = forge.github("siteward-apply", "plan", KNOWN, env)
    if not plan.ok or (plan.outputs["code"], plan.outputs["later"]) == ("0", "0"):
        return plan, None
    return plan, forge.github("siteward-apply", "apply", KNOWN, env, needs={"plan": plan})


def delete(forge: Forge, plan: Ran) -> Ran:
    """What GitHub does once somebody has approved for `access-delete`."""
    env = {
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(forge.folder / "push.json"),
        "GITHUB_ACTOR": "somebody",
    }
    return forge.github("siteward-apply", "delete", KNOWN, env, needs={"plan": plan})


def proposed(forge: Forge, number: int = 5, actor: str = "somebody") -> tuple[Ran, Ran]:
    """What GitHub does for a pull request from a branch: check it without secrets, plan it over the base, comment."""
    head = forge.propose(number, "Propose", f"refs/pull/{number}/merge")
    known = KNOWN | {"github.event.pull_request.head.sha": head, "github.event.pull_request.number": str(number)}
    env = {"GITHUB_BASE_REF": "main", "GITHUB_ACTOR": actor}
    kept, forge.secrets = forge.secrets, {}
    try:
        check = forge.github(
            "siteward-check",
            "check",
            known,
            env | {"GITHUB_EVENT_NAME": "pull_request"},
            ref=f"pull/{number}/merge",
        )
    finally:
        forge.secrets = kept
    env |= {"GITHUB_EVENT_NAME": "pull_request_target"}
    forge.artifacts.clear()
    forge.github("siteward-plan", "plan", known, env)
    return check, forge.github("siteward-plan", "comment", known, env)


def test_a_pull_request_is_checked_planned_and_applied(forge: Forge, umami: Sandbox) -> None:
    """From a proposal to live access: a diff without secrets, one comment, an approval's plan, the journal on its branch."""
    plan, apply = merged(forge, "Begin")
    assert plan.ok, plan.log
    assert apply is not None
    assert apply.ok, apply.log
    assert "siteward:apply" in apply.summary
    edit(forge, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    writes = umami.fake.writes
    check, proposal = proposed(forge)
    assert check.ok, check.log
    assert "team-member → team-manager" in check.summary
    assert proposal.ok, proposal.log
    (comment,) = forge.told()["comments"]
    assert comment["body"].startswith("<!-- siteward:show stats")
    assert "team-manager" in comment["body"]
    assert "no journal" not in comment["body"]
    edit(forge, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    wanted = (forge.work / "access.yaml").read_text()
    proposed(forge)
    assert len(forge.told()["comments"]) == 1
    assert umami.fake.writes == writes
    (forge.work / "access.yaml").write_text(wanted)
    plan, apply = merged(forge)
    assert apply is not None
    assert apply.ok, apply.log
    (forge.work / "README").write_text("Nothing about access.\n")
    plan, apply = merged(forge)
    assert plan.ok
    assert apply is None
    assert forge.journal() == [RUN, RUN, "Begin the journal"]


def test_a_proposal_cannot_weaken_the_rule_it_must_pass(forge: Forge) -> None:
    """The base's policy judges in the pull request and after the merge; the comment names the change of the rule."""
    edit(
        forge,
        "admins: {min: 2}}",
        "admins: {min: 2}, rules: [{id: no-more-admins, match: {power: admin}, require: [ticket]}]}",
    )
    edit(forge, "role: admin, on: stats}", "role: admin, on: stats, ticket: T-1}")
    assert merged(forge, "Begin")[1] is not None
    edit(forge, "require: [ticket]}", "require: [email]}")
    edit(forge, "[anna, ben], role: admin, on: stats, ticket: T-1}", "[anna, ben, rosa], role: admin, on: stats}")
    text = (forge.work / "access.yaml").read_text()
    check, proposal = proposed(forge)
    assert not check.ok
    assert not proposal.ok
    body = forge.told()["comments"][0]["body"]
    assert "no-more-admins" in body
    assert "policy-changed" in body
    (forge.work / "access.yaml").write_text(text)
    plan, apply = merged(forge)
    assert plan.outputs["code"] == "3", plan.log
    assert apply is not None
    assert not apply.ok


def test_who_proposes_for_themselves_is_named(forge: Forge) -> None:
    """The actor of the forge is found in the file, and the comment says so."""
    edit(forge, "  - {to: [anna, ben], role: admin, on: stats}\n", "  - {to: ben, role: admin, on: stats}\n")
    edit(forge, "admins: {min: 2}", "admins: {min: 1}")
    forge.push("Begin")
    edit(
        forge,
        "  - {to: ben, role: admin",
        "  - {to: anna, role: manage, sites: shop.example.org}\n  - {to: ben, role: admin",
    )
    proposed(forge, actor="anna-berg")
    assert "grants-oneself" in forge.told()["comments"][0]["body"]


def test_a_proposal_is_data(forge: Forge, umami: Sandbox) -> None:
    """Scripts, links and other files of a proposal are not used where secrets are at hand."""
    merged(forge, "Begin")
    (forge.work / "ci" / "journal.sh").write_text("#!/bin/sh\ntouch ../pwned\n")
    (forge.work / ".env").write_text("SITEWARD_STATS_URL=https://evil.test\n")
    (forge.work / "evil.yaml").symlink_to("/proc/self/environ")
    edit(forge, "version: 1\n", "version: 1\ninclude: [evil.yaml]\n")
    _, proposal = proposed(forge)
    assert not proposal.ok
    assert not (forge.folder / "pwned").exists()
    assert not (proposal.folder / ".env").exists()
    everything = proposal.log + json.dumps(forge.told())
    assert forge.secrets["SITEWARD_STATS_PASSWORD"] not in everything
    assert not (proposal.folder / "evil.yaml").is_symlink()


def test_ends_come_without_a_merge(forge: Forge, umami: Sandbox) -> None:
    """The nightly job takes what has ended and nothing else, and keeps its journal."""
    merged(forge, "Begin")
    edit(
        forge,
        "omar, role: view, sites: docs.example.org}",
        f"omar, role: view, sites: docs.example.org, until: {YESTERDAY}}}",
    )
    edit(forge, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    forge.push("Not applied yet")
    ran = forge.github("siteward-dates", "dates", KNOWN, {"GITHUB_EVENT_NAME": "schedule"})
    assert ran.ok, ran.log
    left = steps(forge)
    assert {account["person"] for account in left} == {"rosa"}
    again = forge.github("siteward-dates", "dates", KNOWN, {"GITHUB_EVENT_NAME": "schedule"})
    assert again.ok, again.log
    assert forge.journal().count(RUN) == 2


def test_starts_to_come_are_recorded_by_an_apply_of_an_empty_plan(forge: Forge) -> None:
    """A merge that brings nothing else is applied too, so that the nightly job may begin them."""
    merged(forge, "Begin")
    edit(
        forge,
        "omar, role: view, sites: docs.example.org}",
        "omar, role: view, sites: docs.example.org}\n  - {to: omar, role: edit, sites: docs.example.org, from: 2999-01-01}",
    )
    plan, apply = merged(forge, "A start to come")
    assert (plan.outputs["code"], plan.outputs["later"]) == ("0", "1"), plan.log
    assert apply is not None
    assert apply.ok, apply.log
    (forge.work / "README").write_text("Again")
    plan, apply = merged(forge, "Again")
    assert (plan.outputs["later"], apply) == ("0", None)


def steps(forge: Forge) -> list[Any]:
    done = subprocess.run(
        ["siteward", "plan", "--format", "json"], cwd=forge.work, capture_output=True, text=True, check=False,
        env=forge.environment(forge.work, forge.secrets), executable=str(forge.bin / "siteward"),
    )  # fmt: skip
    return [step for load in json.loads(done.stdout)["plan"]["instances"] for step in load["steps"]]


def test_the_journal_is_kept_after_a_failure(forge: Forge, umami: Sandbox) -> None:
    """A run that fails in the middle leaves its journal on the branch all the same."""
    forge.push("Begin")
    env = {"GITHUB_EVENT_NAME": "schedule"}
    plan = forge.github("siteward-apply", "plan", KNOWN, env)
    forge.secrets["SITEWARD_STATS_PASSWORD"], right = "wrong", forge.secrets["SITEWARD_STATS_PASSWORD"]
    apply = forge.github("siteward-apply", "apply", KNOWN, env, needs={"plan": plan})
    forge.secrets["SITEWARD_STATS_PASSWORD"] = right
    assert not apply.ok
    assert "== push (0)" in apply.log
    other = forge.github(
        "siteward-apply",
        "apply",
        KNOWN,
        env,
        needs={"plan": Ran(True, plan.outputs | {"digest": "sha256:" + "0" * 64}, "", "", plan.folder)},
    )
    assert not other.ok
    assert "another plan" in other.log or "digest" in other.log


def test_the_journal_of_init_becomes_the_first_of_the_branch_and_no_second(tmp_path: Path) -> None:
    """`push` takes what `siteward init` left where nobody has pushed a journal yet; else it stops, and nothing is moved."""
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "origin"], check=True)
    for name, code in (("first", 0), ("second", 1)):
        subprocess.run(["git", "clone", "-q", tmp_path / "origin", tmp_path / name], check=True, capture_output=True)
        journal = tmp_path / name / ".siteward" / "stats.jsonl"
        journal.parent.mkdir()
        journal.write_text(f"{name}\n")
        shell = ["sh", str(CI / "ci" / "journal.sh"), "push"]
        ran = subprocess.run(shell, cwd=tmp_path / name, capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran.stderr
        assert journal.read_text() == f"{name}\n"
    assert "is there already: move it away" in ran.stderr
    kept = ["git", "-C", str(tmp_path / "origin"), "show", "siteward-journal:stats.jsonl"]
    assert subprocess.check_output(kept, text=True) == "first\n"


def test_drift_is_one_issue(forge: Forge, umami: Sandbox, admin: httpx.Client) -> None:
    """Drift opens an issue, later drift updates it, agreement closes it."""
    merged(forge, "Begin")

    def look() -> list[Any]:
        ran = forge.github("siteward-drift", "drift", KNOWN, {"GITHUB_EVENT_NAME": "schedule"})
        assert ran.ok, ran.log
        return list(forge.told()["issues"])

    assert not look()
    interfere(admin, "rosa", "team-manager")
    (first,) = look()
    assert "team-manager" in first["body"]
    interfere(admin, "rosa", "team-view-only")
    (second,) = look()
    assert second["state"] == "open"
    assert "team-view-only" in second["body"]
    interfere(admin, "rosa", "team-member")
    (third,) = look()
    assert third["state"] == "closed"


def test_what_others_changed_is_recorded_every_day(forge: Forge, umami: Sandbox, admin: httpx.Client) -> None:
    """On both forges, into the journal's branch, without a change of anything; a job of its own has the key."""
    merged(forge, "Begin")
    interfere(admin, "rosa", "team-manager")
    writes = umami.fake.writes
    ran = forge.github("siteward-record", "record", KNOWN, {"GITHUB_EVENT_NAME": "schedule"})
    assert ran.ok, ran.log
    shown = forge.git("show", "siteward-journal:stats.jsonl", at=forge.origin)
    assert shown.count('"kind":"record"') == 1
    assert '"others":[["-"' in shown
    assert umami.fake.writes == writes
    interfere(admin, "rosa", "team-member")


def interfere(admin: httpx.Client, who: str, role: str) -> None:
    users = {user["username"]: user["id"] for user in admin.get("/api/admin/users?pageSize=1000").json()["data"]}
    sites = {website["domain"]: website for website in admin.get("/api/admin/websites?pageSize=1000").json()["data"]}
    team = sites["www.example.org"]["teamId"]
    assert admin.post(f"/api/teams/{team}/users/{users[who]}", json={"role": role}).status_code == 200


def test_a_public_repository_shows_no_names_of_others(forge: Forge) -> None:
    """Where everybody reads, comments and summaries keep to handles, and the plan between jobs is sealed."""
    forge.push("Begin")
    known = KNOWN | {"github.event.repository.visibility": "public"}
    plan = forge.github("siteward-apply", "plan", known, {"GITHUB_EVENT_NAME": "schedule"})
    assert plan.ok, plan.log
    for text in (plan.summary, plan.log):
        assert "petra" not in text
        assert "@example.org" not in text
    assert b"petra" not in forge.artifacts["plan-stats"]


# -- GitLab

LAB = {
    "CI_DEFAULT_BRANCH": "main", "CI_PROJECT_ID": "3", "CI_PROJECT_PATH": "group/access", "CI_SERVER_HOST": "gitlab.test",
    "CI_PIPELINE_ID": "99", "NOTE_TOKEN": "note", "NOTE_AUTHOR": "siteward-bot", "JOURNAL_TOKEN": "journal",
    "CI_PROJECT_VISIBILITY": "private",
}  # fmt: skip


@pytest.fixture
def lab(forge: Forge) -> Forge:
    """The same repository on GitLab, whose address leads to the bare repository."""
    forge.git(
        "config", "--file", str(forge.folder / "gitconfig"),
        f"url.{forge.origin}.insteadOf", "https://journal@gitlab.test/group/access.git",
    )  # fmt: skip
    return forge


def pushed(lab: Forge, message: str) -> tuple[Ran, Ran]:
    before, after = lab.push(message)
    env = LAB | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": after}
    plan = lab.gitlab("plan", env)
    assert plan.ok, plan.log
    return plan, lab.gitlab("apply", env | plan.outputs, files=sealed(plan))


def sealed(plan: Ran) -> dict[str, bytes]:
    """The artifact that a plan hands on."""
    return {"plan-stats.sealed": (plan.folder / "plan-stats.sealed").read_bytes()}


def test_a_merge_request_on_gitlab(lab: Forge, umami: Sandbox) -> None:
    """Checked without secrets, planned on the main branch over the base, told in one note, applied after the merge."""
    _, apply = pushed(lab, "Begin")
    assert apply.ok, apply.log
    edit(lab, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    text = (lab.work / "access.yaml").read_text()
    base = lab.git("rev-parse", "HEAD")
    head = lab.propose(8, "Propose", "refs/merge-requests/8/merge")
    secrets, lab.secrets = lab.secrets, {}
    check = lab.gitlab(
        "check", LAB | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}, ref=head
    )
    lab.secrets = secrets
    assert check.ok, check.log
    assert "team-manager" in (check.folder / "diff.md").read_text()
    assert json.loads((check.folder / "quality.json").read_text()) == []
    asked = LAB | {
        "CI_PIPELINE_SOURCE": "pipeline",
        "PLAN_MERGE_REQUEST": "8",
        "PLAN_HEAD": head,
        "CI_COMMIT_SHA": base,
    }
    for _ in range(2):
        plan = lab.gitlab("plan-merge-request", asked)
        assert plan.ok, plan.log
        ran = lab.gitlab("comment-merge-request", asked | plan.outputs, files=sealed(plan))
        assert ran.ok, ran.log
    (note,) = lab.told()["comments"]
    assert "team-manager" in note["body"]
    assert json.loads((ran.folder / "widget.json").read_text())["update"] == 1
    (lab.work / "access.yaml").write_text(text)
    _, apply = pushed(lab, "Merge")
    assert apply.ok, apply.log
    assert not steps(lab)
    assert lab.journal() == ["apply, pipeline 99", "apply, pipeline 99", "Begin the journal"]


def test_schedules_on_gitlab(lab: Forge, umami: Sandbox, admin: httpx.Client) -> None:
    """Ends come without a merge, and drift is one issue that closes."""
    pushed(lab, "Begin")
    interfere(admin, "rosa", "team-manager")
    env = LAB | {"CI_PIPELINE_SOURCE": "schedule"}
    assert lab.gitlab("drift", env).ok
    (issue,) = lab.told()["issues"]
    assert "team-manager" in issue["body"]
    interfere(admin, "rosa", "team-member")
    assert lab.gitlab("drift", env).ok
    assert [issue["state"] for issue in lab.told()["issues"]] == ["closed"]
    recorded = lab.gitlab("record", env)
    assert recorded.ok, recorded.log
    assert '"kind":"record"' in lab.git("show", "siteward-journal:stats.jsonl", at=lab.origin)
    edit(
        lab,
        "omar, role: view, sites: docs.example.org}",
        f"omar, role: view, sites: docs.example.org, until: {YESTERDAY}}}",
    )
    lab.push("An end")
    ran = lab.gitlab("dates", env)
    assert ran.ok, ran.log
    assert not steps(lab)


def test_a_refused_journal_is_an_artifact(forge: Forge, umami: Sandbox) -> None:
    """The recipes of both forges keep what could not be pushed, and the job fails."""
    forge.git(
        "config", "--file", str(forge.folder / "gitconfig"),
        f"url.{forge.origin}.insteadOf", "https://journal@gitlab.test/group/access.git",
    )  # fmt: skip
    merged(forge, "Begin")
    assert not [name for name in forge.artifacts if "not-pushed" in name]
    for line in ("role: view, sites: docs.example.org", "role: edit, sites: staging.example.org"):
        edit(forge, line, f"{line}, until: {YESTERDAY}")
        forge.push("An end")
        hook = forge.refuse()
        if "docs" in line:
            ran = forge.github("siteward-dates", "dates", KNOWN, {"GITHUB_EVENT_NAME": "schedule"})
            kept = forge.artifacts["journal-not-pushed-stats/stats.jsonl"]
        else:
            ran = forge.gitlab("dates", LAB | {"CI_PIPELINE_SOURCE": "schedule"})
            kept = forge.artifacts["dates/journal-not-pushed/stats.jsonl"]
        assert not ran.ok
        assert b"omar" in kept
        assert kept == (ran.folder / ".siteward" / "stats.jsonl").read_bytes()
        hook.unlink()
    assert not [step for step in steps(forge) if step["person"] == "omar"]
