"""People who come, change and go by the recipes' own shell, on both forges, to the end on a sandbox; and what is told."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import start
from cli.test_recipes import KNOWN, LAB, RUN, delete, edit, merged, proposed, pushed, sealed, steps
from cli.test_recipes import forge as forge  # noqa: PLC0414 — a fixture
from cli.test_recipes import lab as lab  # noqa: PLC0414
from cli.test_recipes import pytestmark as pytestmark  # noqa: PLC0414
from siteward.platforms.fakery import serve
from siteward.reconcile.journal.chain import hash_line
from siteward.render.markdown import NOT_WHOLE

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from cli.forge import Forge, Ran
    from siteward.platforms.fakery import Sandbox

ADMINS = "  - {to: [anna, ben], role: admin, on: stats}\n"
USER = "  omar: {email: omar@example.org}\n"
GRANTS = """  - {to: omar, role: view, sites: docs.example.org}
  - {to: omar, role: edit, sites: staging.example.org}
"""


def logins(admin: httpx.Client) -> set[str]:
    return {user["username"] for user in admin.get("/api/admin/users?pageSize=1000").json()["data"]}


def begin(forge: Forge, which: str) -> None:
    """Apply the declaration as it is."""
    plan, done = merged(forge, "Begin") if which == "github" else pushed(forge, "Begin")
    assert done is not None, plan.log
    assert done.ok, done.log


def change(forge: Forge, which: str, message: str) -> tuple[Ran, Ran]:
    """Merge what lies in the work folder; return its plan and its apply."""
    plan, apply = merged(forge, message) if which == "github" else pushed(forge, message)
    assert plan.ok, plan.log
    assert apply is not None
    return plan, apply


def delete_on(forge: Forge, which: str, plan: Ran) -> Ran:
    if which == "github":
        return delete(forge, plan)
    env = LAB | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_SHA": forge.git("rev-parse", "HEAD")}
    return forge.gitlab("delete", env | plan.outputs, files=sealed(plan))


@pytest.mark.parametrize("which", ["github", "gitlab"])
def test_somebody_comes(which: str, lab: Forge, admin: httpx.Client) -> None:
    """A new account and its password for the key of its owner, who is told where it is and opens it."""
    pyrage = pytest.importorskip("pyrage")
    begin(lab, which)
    identity = pyrage.x25519.Identity.generate()
    edit(lab, USER, f"{USER}  nora: {{email: nora@example.org, age: {identity.to_public()}}}\n")
    edit(lab, GRANTS, f"{GRANTS}  - {{to: nora, role: view, sites: docs.example.org}}\n")
    _, apply = change(lab, which, "Nora comes")
    assert apply.ok, apply.log
    assert "nora" in logins(admin)
    assert "password-delivered" in apply.log
    assert "git show FETCH_HEAD:passwords/INSTANCE-LOGIN.age | age --decrypt --identity KEY" in apply.log
    if which == "github":
        assert "New passwords are on the branch `siteward-journal`" in apply.summary
    lab.git("fetch", "-q", "origin", "siteward-journal")
    written = subprocess.run(
        ["git", "show", "FETCH_HEAD:passwords/stats-nora.age"], cwd=lab.work, capture_output=True, check=True
    ).stdout
    opened = json.loads(pyrage.decrypt(written, [identity]))
    assert admin.post("/api/auth/login", json={"username": "nora", "password": opened["password"]}).status_code == 200
    assert opened["password"] not in apply.log + apply.summary + json.dumps(lab.told())
    assert not steps(lab)


@pytest.mark.parametrize("which", ["github", "gitlab"])
def test_somebody_leaves(which: str, lab: Forge, admin: httpx.Client) -> None:
    """Access goes with the merge; the account goes in a job of its own, which says how many and whose, and keeps why."""
    begin(lab, which)
    edit(lab, GRANTS, "")
    edit(lab, USER, "  omar: {email: omar@example.org, state: absent}\n")
    plan, apply = change(lab, which, "Omar leaves")
    assert plan.outputs["deletions" if which == "github" else "SITEWARD_STATS_deletions"] == "1"
    assert "PARTIAL, only deletions" in plan.log
    assert "1 account to delete" in (plan.summary if which == "github" else plan.log)
    assert apply.ok, apply.log
    assert "omar" in logins(admin)
    assert [step["change"]["before"]["type"] for step in steps(lab)] == ["account"]
    done = delete_on(lab, which, plan)
    assert done.ok, done.log
    assert "omar" not in logins(admin)
    assert not steps(lab)
    if which == "github":
        assert "1 account to delete" in done.summary
        assert "`omar`" in done.summary
    shown = lab.git("show", "siteward-journal:stats.jsonl", at=lab.origin)
    assert '"kind":"waiver"' in shown
    assert "after an approval for access-delete" in shown


def test_no_consent_is_for_another_plan(lab: Forge, admin: httpx.Client) -> None:
    """An approval for one plan deletes nobody of another one."""
    begin(lab, "github")
    edit(lab, GRANTS, "")
    edit(lab, USER, "  omar: {email: omar@example.org, state: absent}\n")
    plan, _ = change(lab, "github", "Omar leaves")
    plan.outputs["digest"] = "sha256:" + "0" * 64
    done = delete(lab, plan)
    assert not done.ok
    assert "omar" in logins(admin)


def test_a_plan_that_deletes_nobody_needs_no_second_approval(lab: Forge) -> None:
    """On GitHub there is no such job then, on GitLab it does nothing."""
    begin(lab, "gitlab")
    edit(lab, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    plan, apply = change(lab, "gitlab", "Rosa manages")
    assert apply.ok, apply.log
    assert plan.outputs["SITEWARD_STATS_deletions"] == "0"
    done = delete_on(lab, "gitlab", plan)
    assert done.ok, done.log
    assert "this plan deletes nobody" in done.log


# -- proposals


@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_is_taken_away_is_gone_in_the_plan(forge: Forge, *, named: bool) -> None:
    """A deleted include takes its access with it, or is an error where it is still named; the base's does not fill in."""
    include = "include: [teams/shop.yaml]\n"
    edit(forge, "version: 1\n", f"version: 1\n{include}")
    edit(forge, GRANTS, "")
    team = forge.work / "teams" / "shop.yaml"
    team.parent.mkdir()
    team.write_text(f"grants:\n{GRANTS}")
    begin(forge, "github")
    team.unlink()
    if not named:
        edit(forge, include, "")
    _, told = proposed(forge)
    body = forge.told()["comments"][0]["body"]
    if named:
        assert not told.ok
        assert "plan-stats.json" in told.log
    else:
        assert told.ok, told.log
        assert "omar" in body


def test_a_proposal_without_a_declaration_lays_nothing_over(forge: Forge) -> None:
    """Where it takes every YAML file away, git must not be asked for everything, its scripts among it."""
    begin(forge, "github")
    (forge.work / "access.yaml").unlink()
    (forge.work / "ci" / "journal.sh").write_text("#!/bin/sh\ntouch ../pwned\n")
    _, told = proposed(forge)
    assert not told.ok
    assert not (forge.folder / "pwned").exists()


def test_a_proposal_cannot_change_the_action_of_its_own_job(forge: Forge) -> None:
    """The action is YAML too; it stays the base's, and so do all files of the forge and of the jobs."""
    begin(forge, "github")
    action = forge.work / ".github" / "actions" / "siteward" / "action.yml"
    action.write_text(
        action.read_text().replace("case $DO in", "touch ../pwned-$GITHUB_EVENT_NAME\n        case $DO in")
    )
    instances = forge.work / "ci" / "instances.yml"
    instances.write_text("{}\n")
    edit(forge, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    _, told = proposed(forge)
    assert told.ok, told.log
    assert [path.name for path in forge.folder.glob("pwned*")] == ["pwned-pull_request"], (
        "only where there is no secret"
    )
    assert "team-manager" in forge.told()["comments"][0]["body"]


def test_nothing_is_told_where_nothing_differs(forge: Forge) -> None:
    """No comment, unless there is one that would go on saying what is no longer so; labels come and go."""
    begin(forge, "github")
    (forge.work / "README").write_text("Nothing about access.\n")
    _, quiet = proposed(forge)
    assert quiet.ok, quiet.log
    assert forge.told()["comments"] == []
    forge.tell(labels=["bug"])
    edit(forge, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    _, told = proposed(forge)
    assert told.ok, told.log
    assert forge.told()["labels"] == ["bug", "access:escalation"]
    (comment,) = forge.told()["comments"]
    assert "](<https://github.test/example/access/blob/" in comment["body"]
    assert "[run and artifacts](<https://github.test/example/access/actions/runs/77>)" in comment["body"]
    (forge.work / "README").write_text("Still nothing.\n")
    _, quiet = proposed(forge)
    assert quiet.ok, quiet.log
    (comment,) = forge.told()["comments"]
    assert "team-manager" not in comment["body"]
    assert forge.told()["labels"] == ["bug", "access:unchanged"]


def test_a_plan_that_is_missing_is_told(forge: Forge) -> None:
    """The job of an instance ended without a plan: the comment says so, and its job fails."""
    begin(forge, "github")
    edit(forge, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    proposed(forge)
    forge.artifacts.clear()
    known = KNOWN | {"github.event.pull_request.number": "5", "github.event.pull_request.head.sha": "a" * 40}
    ran = forge.github("siteward-plan", "comment", known, {"GITHUB_EVENT_NAME": "pull_request_target"})
    assert not ran.ok
    assert "plan-stats.json" in forge.told()["comments"][0]["body"].replace("&#45;", "-").replace("&#46;", ".")


@pytest.mark.parametrize("which", ["github", "gitlab"])
def test_a_comment_that_does_not_name_everything_is_refused(which: str, forge: Forge) -> None:
    """What somebody approves by it has to stand in it."""
    (forge.work / "report.json").write_text('{"labels": ["access:differs"]}')
    env = {"CHANGE": "5", "CI_PROJECT_ID": "3", "NOTE_AUTHOR": "siteward-bot", "GITHUB_REPOSITORY": "example/access"}
    env["GITHUB_ACTIONS"] = "true" if which == "github" else ""

    def judge(comment: str, code: str = "2") -> int:
        (forge.work / "plan.md").write_text(comment)
        around = forge.environment(forge.work, env)
        return subprocess.run(["sh", "ci/comment.sh", code], cwd=forge.work, env=around, check=False).returncode

    assert judge("<!-- siteward:plan stats -->\n### Access plan\n") == 0
    assert judge(f"<!-- siteward:plan stats -->\n{NOT_WHOLE}\n**Not everything fits**\n") == 1
    assert judge("<!-- siteward:plan stats -->\n### Access plan\n", "3") == 3
    assert len(forge.told()["comments"]) == 1
    assert forge.told()["labels"] == ["access:differs"]


# -- what is kept

GITHUB_CHANGE = {
    "number": 12, "iid": 12, "html_url": "https://github.test/pull/12", "head": {"sha": "b" * 40}, "user": {"login": "ben-cole"},
    "merged_at": "2026-12-01T09:00:00Z", "merged_by": {"login": "anna-berg"},
}  # fmt: skip
GITHUB_REVIEWS = [
    {
        "user": {"login": "anna-berg"},
        "state": "APPROVED",
        "submitted_at": "2026-12-01T08:00:00Z",
        "commit_id": "b" * 40,
    },
    {
        "user": {"login": "anna-berg"},
        "state": "COMMENTED",
        "submitted_at": "2026-12-01T08:30:00Z",
        "commit_id": "b" * 40,
    },
    {"user": {"login": "rosa"}, "state": "APPROVED", "submitted_at": "2026-12-01T08:00:00Z", "commit_id": "b" * 40},
    {
        "user": {"login": "rosa"},
        "state": "CHANGES_REQUESTED",
        "submitted_at": "2026-12-01T08:40:00Z",
        "commit_id": "b" * 40,
    },
]
GITLAB_CHANGE = {
    "iid": 12, "web_url": "https://gitlab.test/mr/12", "sha": "b" * 40, "author": {"username": "ben-cole"}, "state": "merged",
    "merge_user": {"username": "anna-berg"}, "squash_commit_sha": None,
}  # fmt: skip
GITLAB_REVIEWS = {"approved_by": [{"user": {"username": "anna-berg"}, "approved_at": "2026-12-01T08:00:00Z"}]}


@pytest.mark.parametrize("which", ["github", "gitlab"])
def test_who_approved_is_kept(which: str, lab: Forge) -> None:
    """As the forge tells it, by a file outside of the checkout; who took an approval back gave none."""
    begin(lab, which)
    edit(lab, "role: edit, sites: www.example.org", "role: manage, sites: www.example.org")
    before, after = lab.push("Rosa manages")
    said = (GITHUB_CHANGE, GITHUB_REVIEWS) if which == "github" else (GITLAB_CHANGE, GITLAB_REVIEWS)
    lab.tell(change={**said[0], "merge_commit_sha": after}, reviews=said[1])
    if which == "github":
        plan = lab.github("siteward-apply", "plan", KNOWN, {"GITHUB_EVENT_NAME": "push"})
        done = lab.github("siteward-apply", "apply", KNOWN, {"GITHUB_EVENT_NAME": "push"}, needs={"plan": plan})
    else:
        env = LAB | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": after}
        plan = lab.gitlab("plan", env)
        done = lab.gitlab("apply", env | plan.outputs, files=sealed(plan))
    assert done.ok, done.log
    kept = [json.loads(line) for line in lab.git("show", "siteward-journal:stats.jsonl", at=lab.origin).splitlines()]
    (told,) = (part["approvals"] for part in kept if part.get("part") == "actor" and part.get("approvals"))
    assert [approval["by"] for approval in told["approvals"]] == ["anna-berg"]
    assert (told["author"], told["merged_by"], told["merged"]) == ("ben-cole", "anna-berg", after)
    assert not list(done.folder.rglob("approvals.json"))


@pytest.mark.parametrize("which", ["github", "gitlab"])
def test_an_older_program_writes_nothing_beside_a_newer_journal(which: str, lab: Forge, umami: Sandbox) -> None:
    """A recipe that was not raised after somebody used a newer release: the job fails in words, and sends nothing."""
    begin(lab, which)
    clone = lab.clone()
    lab.git("checkout", "-q", "siteward-journal", at=clone)
    body = b'{"format":"siteward.journal/3","n":1,"parts":[],"prev":""'
    (clone / "stats.jsonl").write_bytes(body + f',"sum":"{hash_line(body)}"}}\n'.encode())
    lab.git("commit", "-q", "-am", "By a newer release", at=clone)
    lab.git("push", "-q", "origin", "HEAD:siteward-journal", at=clone)
    writes = umami.fake.writes
    if which == "github":
        done = lab.github("siteward-dates", "dates", KNOWN, {"GITHUB_EVENT_NAME": "schedule"})
    else:
        done = lab.gitlab("dates", LAB | {"CI_PIPELINE_SOURCE": "schedule"})
    assert not done.ok
    assert "a newer release wrote this" in done.log
    assert umami.fake.writes == writes
    assert "siteward.journal/3" in lab.git("show", "siteward-journal:stats.jsonl", at=lab.origin)


def test_jobs_of_two_instances_at_once_keep_both_journals(tmp_path: Path, forge: Forge) -> None:
    """Both pull, both apply, both push to the one branch, from clones of their own."""
    with serve(start("umami")) as other:
        secrets = {f"SITEWARD_OTHER_{name.upper()}": value for name, value in other.fake.credentials.items()}
        text = (forge.work / "access.yaml").read_text()
        line = next(line for line in text.splitlines() if line.startswith("  stats: "))
        ours = line.replace("  stats: ", "  other: ")
        begin_at = ours.index("url: ") + len("url: ")
        ours = ours[:begin_at] + other.url + ours[ours.index(",", begin_at) :]
        text = text.replace(line, f"{line}\n{ours}").replace(ADMINS, ADMINS + ADMINS.replace("stats", "other"))
        (forge.work / "access.yaml").write_text(text)
        for path in (forge.work / ".github" / "workflows").glob("*.yml"):
            described = path.read_text()
            path.write_text("".join(map(_for_both, described.splitlines(keepends=True))))
        forge.secrets |= secrets
        forge.push("Begin")
        env = {"GITHUB_EVENT_NAME": "schedule"}

        def both(job: str, needs: dict[str, Any]) -> dict[str, Ran]:
            def run(name: str) -> Ran:
                known = KNOWN | {"inputs.instance": name, "matrix.instance": name}
                return forge.github("siteward-apply", job, known, env, needs=needs.get(name))

            with ThreadPoolExecutor() as pool:
                return dict(zip(("stats", "other"), pool.map(run, ("stats", "other")), strict=True))

        plans = both("plan", {})
        assert all(plan.ok for plan in plans.values()), [plan.log for plan in plans.values()]
        done = both("apply", {name: {"plan": plan} for name, plan in plans.items()})
        assert all(apply.ok for apply in done.values()), [apply.log for apply in done.values()]
        names = forge.git("ls-tree", "--name-only", "siteward-journal", at=forge.origin).splitlines()
        assert {"stats.jsonl", "other.jsonl"} <= set(names)
        assert forge.journal() == [RUN, RUN, "Begin the journal"]
        for task, given in forge.seen:
            both_known = {"SITEWARD_STATS_PASSWORD", "SITEWARD_OTHER_PASSWORD"} <= given
            assert not both_known, f"{task} has the credentials of another instance"


def _for_both(line: str) -> str:
    """Fill a line about the credentials of `stats` in for a second instance too."""
    if "SITEWARD_STATS_" not in line:
        return line
    return line + line.replace("SITEWARD_STATS_", "SITEWARD_OTHER_").replace("'stats'", "'other'")
