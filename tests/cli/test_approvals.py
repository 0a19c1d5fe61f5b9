"""Approvals that the owners' rules want: told by `plan`, wanted by `apply`, counted as the forge told them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import start
from cli.repo import commit, git
from siteward.platforms.fakery import Sandbox, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import Program, Result

RULE = "policy: {rules: [{id: asked, match: {power: edit}, require: [approval]}]}\n"
USERS = """users:
  annika: {email: annika@example.org, forge: {github: anna-berg, gitlab: anna.berg}}
  benno: {email: benno@example.org, forge: {github: Ben-Cole, gitlab: ben.cole}}
  cemal: {email: cemal@example.org, forge: {github: cem-x}}
  dorina: {email: dorina@example.org}
  zora: {email: zora@example.org, forge: {github: zoe-z}}
"""
OWNED = "sites: {shop: {domain: shop.example.org, owner: [benno, dorina]}}\n"
GRANTS = "grants:\n  - {to: zora, role: edit, sites: shop}\n"
REST = {"umami": "layout: per-site, accept_blind: [board-links]", "matomo": "onboarding: password"}

SELF = {"umami": "siteward", "matomo": "root"}


@pytest.fixture(params=["umami", "matomo"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sandbox]]:
    with serve(start(request.param)) as sandbox:
        yield request.param, sandbox


@pytest.fixture
def stats(program: Program, server: tuple[str, Sandbox]) -> Program:
    """A folder with the credentials of a sandbox at hand."""
    platform, sandbox = server
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
    program.env |= {"SITEWARD_STATS_SELF": SELF[platform]}
    head = f"version: 1\ninstances:\n  stats: {{platform: {platform}, url: {sandbox.url}, self: {SELF[platform]}, {REST[platform]}}}\n"
    program.env["HEAD"] = head
    return program


def declare(stats: Program, text: str) -> str:
    """Write the declaration below its head, and commit it."""
    stats.write(".siteward/\njournal/\nplan.json\npw.txt\n", ".gitignore")
    stats.write(stats.env["HEAD"] + text)
    return commit(stats)


def told(path: Path, head: str, by: str = "ben-cole", **changed: Any) -> dict[str, str]:
    """Write what the forge told of approvals, where its job would; return the environment that names it."""
    approval = {"by": by, "at": "2026-11-01T09:00:00Z", "commit": changed.pop("commit", head)}
    document = {
        "format": "siteward.approvals/1", "forge": "github", "change": "https://forge.test/pull/12", "head": head,
        "merged": head, "author": "zed", "merged_by": by, "approvals": [approval], "told_at": "2026-11-01T10:00:00Z",
        **changed,
    }  # fmt: skip
    file = path.parent / f"{path.name}-approvals.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    file.chmod(0o600)
    return {"SITEWARD_APPROVALS": str(file)}


def plan(stats: Program, *options: str, **env: str) -> Any:
    done = stats("plan", "--passwords-out", "pw.txt", "--out", "plan.json", "--format", "json", *options, **env)
    assert done.code == 2, done.out + done.err
    return done.json()["plan"]


def apply(stats: Program, *options: str, **env: str) -> Result:
    return stats("apply", "plan.json", "--yes", "--passwords-out", "pw.txt", *options, **env)


def needs(document: Any) -> list[Any]:
    return [need for need in document["needs"] if need["need"] == "approval"]


def test_a_plan_says_once_whose_approval_is_needed_and_blocks_nothing(stats: Program) -> None:
    """By an owner of the site; the step is a change as any other, and exit 2 says that there is something to do."""
    declare(stats, OWNED + USERS + GRANTS + RULE)
    document = plan(stats)
    assert needs(document) == [{"need": "approval", "by": ["benno", "dorina"], "steps": 1}]
    shown = stats("plan", "--passwords-out", "pw.txt")
    assert shown.code == 2, shown.out
    assert shown.out.count("approval by benno or dorina for 1 step") == 1


def test_an_apply_without_approvals_leaves_the_step_and_says_the_way_out(stats: Program) -> None:
    """By hand at a terminal there is no file of the forge: blocked in words; the rest is done."""
    declare(stats, OWNED + USERS + GRANTS + RULE)
    plan(stats)
    done = apply(stats)
    assert done.code == 3, done.out
    assert "approval-needed: this needs approval by benno or dorina, by the rule asked" in done.out
    assert "SITEWARD_APPROVALS" in done.out
    assert needs(plan(stats))


def test_an_approval_that_counts_carries_the_steps_out(stats: Program) -> None:
    """Whatever its letter case; it is told as the forge's word, and the journal keeps it."""
    head = declare(stats, OWNED + USERS + GRANTS + RULE)
    plan(stats)
    done = apply(stats, **told(stats.folder, head))
    assert done.code == 0, done.out
    assert "approved by benno, as the forge told it: https://forge.test/pull/12" in done.out
    assert '"by":"ben-cole"' in (stats.folder / ".siteward" / "stats.jsonl").read_text(encoding="utf-8")
    assert stats("plan").code == 0


NOT_COUNTED: dict[str, dict[str, Any]] = {
    "the author": {"author": "BEN-cole"},
    "an earlier commit": {"commit": "0" * 40},
    "a commit that is gone": {"commit": None},
    "no user with that account": {"by": "somebody"},
    "who gains it": {"by": "zoe-z"},
    "a user who owns nothing here": {"by": "cem-x"},
    "another commit": {"merged": "1" * 40},
    "another forge": {"forge": "gitlab"},
    "no author known": {"author": None},
}


@pytest.mark.parametrize("why", NOT_COUNTED)
def test_an_approval_does_not_count(stats: Program, why: str) -> None:
    """Of another commit, or by author, gainer, a stranger, or one who is no owner: the step is blocked."""
    head = declare(stats, OWNED + USERS + GRANTS + RULE)
    plan(stats)
    done = apply(stats, **told(stats.folder, head, **NOT_COUNTED[why]))
    assert done.code == 3, done.out
    assert "approval-needed" in done.out
    assert "as the forge told it" not in done.out


def test_who_has_pushed_approves_nothing_and_who_has_merged_may(stats: Program) -> None:
    """The actor of a push to the branch, by the forge's own word, unless they are who pressed merge."""
    head = declare(stats, OWNED + USERS + GRANTS + RULE)
    plan(stats)
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ben-cole"}
    pushed = apply(stats, "--base", "none", **ci, **told(stats.folder, head, merged_by="zed"))
    assert pushed.code == 3, pushed.out
    assert "benno has pushed what is applied" in pushed.out
    plan(stats)
    assert apply(stats, "--base", "none", **ci, **told(stats.folder, head)).code == 0


def test_who_has_committed_to_the_change_approves_nothing_of_it(stats: Program) -> None:
    """As a co-author of what was squashed, by the address that the forge gives the account."""
    declare(stats, OWNED + USERS + GRANTS + RULE)
    head = commit(stats, "Change access\n\nCo-authored-by: Ben <123+ben-cole@users.noreply.github.com>")
    plan(stats)
    done = apply(stats, **told(stats.folder, head))
    assert done.code == 3, done.out
    assert "benno has committed to the change, by an address in it" in done.out
    plan(stats)
    assert apply(stats, **told(stats.folder, commit(stats, "Another"))).code == 0


def test_files_that_differ_from_the_commit_were_approved_by_nobody(stats: Program) -> None:
    head = declare(stats, OWNED + USERS + GRANTS + RULE)
    stats.write(stats.env["HEAD"] + OWNED + USERS + GRANTS + RULE + "# more\n")
    plan(stats)
    done = apply(stats, **told(stats.folder, head))
    assert done.code == 3, done.out
    assert "the files differ from the commit that was approved" in done.out


def test_an_owner_in_a_group_counts_and_one_who_is_suspended_does_not(stats: Program) -> None:
    """Owners may be groups; who is not there is nobody's owner."""
    users = USERS.replace("benno: {", "benno: {state: suspended, ")
    sites = "sites: {shop: {domain: shop.example.org, owner: team}}\ngroups: {team: [annika, benno]}\n"
    head = declare(stats, sites + users + GRANTS + RULE)
    assert needs(plan(stats)) == [{"need": "approval", "by": ["annika"], "steps": 1}]
    assert apply(stats, **told(stats.folder, head)).code == 3
    plan(stats)
    assert apply(stats, **told(stats.folder, head, "anna-berg")).code == 0


def test_without_an_owner_a_declared_admin_approves(stats: Program) -> None:
    """One who is it already: who becomes an admin by this plan approves nothing of it."""
    sites = OWNED.replace(", owner: [benno, dorina]", "")
    admins = GRANTS + "  - {to: annika, role: admin, on: stats}\n"
    declare(stats, sites + USERS + admins + RULE)
    assert needs(plan(stats)) == [{"need": "approval", "steps": 2}]
    declare(stats, sites + USERS + admins)
    plan(stats)
    assert apply(stats).code == 0
    grants = admins.replace("to: zora, role: edit", "to: [zora, cemal], role: manage")
    head = declare(stats, sites + USERS + grants + RULE)
    assert needs(plan(stats)) == [{"need": "approval", "by": ["annika"], "steps": 2}]
    assert apply(stats, **told(stats.folder, head, "anna-berg")).code == 0
    assert stats("plan").code == 0


def test_a_change_names_neither_its_rules_nor_its_approvers(stats: Program) -> None:
    """With a base the rules of both revisions count, and owners and accounts are those of the base."""
    declare(stats, OWNED + USERS + RULE + "grants:\n  - {to: zora, role: view, sites: shop}\n")
    plan(stats)
    assert apply(stats).code == 0
    owned = OWNED.replace("[benno, dorina]", "[cemal]")
    users = USERS.replace("github: Ben-Cole", "github: mallory")
    head = declare(stats, owned + users + GRANTS)
    document = plan(stats, "--base", "HEAD~1")
    assert needs(document) == [{"need": "approval", "by": ["benno", "dorina"], "steps": 1}]
    for by in ("cem-x", "mallory"):
        assert apply(stats, "--base", "HEAD~1", **told(stats.folder, head, by)).code == 3
        plan(stats, "--base", "HEAD~1")
    assert apply(stats, "--base", "HEAD~1", **told(stats.folder, head)).code == 0


def test_a_right_that_is_taken_or_below_the_rule_needs_nobody(stats: Program) -> None:
    declare(stats, OWNED + USERS + RULE + "grants:\n  - {to: zora, role: view, sites: shop}\n")
    assert needs(plan(stats)) == []
    assert apply(stats).code == 0
    declare(stats, OWNED + USERS + RULE + "grants: []\n")
    assert needs(plan(stats, "--accept", "empty")) == []


def test_validate_tells_the_need_and_blocks_nothing(stats: Program) -> None:
    """Once for each rule, with the owners of the sites that the lines name."""
    declare(stats, OWNED + USERS + GRANTS + RULE)
    checked = stats("validate", "--format", "json")
    assert checked.code == 0, checked.out
    (said,) = [said for said in checked.json()["diagnostics"] if said["code"] == "approval-wanted"]
    assert said["severity"] == "note"
    assert "1 line gives what an owner of the site (benno, dorina)" in said["message"]
    assert "approval-wanted" in stats("validate").out
    assert git(stats, "status", "--porcelain") == ""


def test_where_nobody_may_approve_that_is_said(stats: Program) -> None:
    """The only owner gains: another one has to be named."""
    sites = OWNED.replace("[benno, dorina]", "zora")
    declare(stats, sites + USERS + GRANTS + RULE)
    document = plan(stats)
    assert needs(document) == [{"need": "approval", "steps": 1}]
    shown = stats("plan", "--passwords-out", "pw.txt", "-v").out
    assert "approval for 1 step, which nobody there may give: name an `owner` of the site" in shown


def test_gitlab_names_no_commit_and_its_approvals_count(stats: Program) -> None:
    """What the forge does not tell is not held against the approver; the accounts are those of that forge."""
    head = declare(stats, OWNED + USERS + GRANTS + RULE)
    plan(stats)
    done = apply(stats, **told(stats.folder, head, "ben.cole", forge="gitlab", commit=None, merged=None))
    assert done.code == 0, done.out
