"""The GitLab recipe, really run by gitlab-ci-local, where it and Node 22 are at hand: from a merge to the end of an offboarding."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from cli.test_recipe_people import GRANTS, USER, logins
from cli.test_recipes import LAB, edit, steps
from cli.test_recipes import forge as forge  # noqa: PLC0414 — a fixture
from cli.test_recipes import lab as lab  # noqa: PLC0414
from cli.test_recipes import pytestmark as pytestmark  # noqa: PLC0414

if TYPE_CHECKING:
    import httpx

    from cli.forge import Forge

ADDRESS = "git@gitlab.test:group/access.git"
GIVEN_BY_IT = {"CI_DEFAULT_BRANCH", "CI_PROJECT_PATH", "CI_SERVER_HOST"}


def at_hand() -> str:
    """Return the path of gitlab-ci-local; skip, in words, without it or with a Node under which it does not start."""
    found, node = shutil.which("gitlab-ci-local"), shutil.which("node")
    if found is None or node is None or shutil.which("rsync") is None:
        pytest.skip("gitlab-ci-local is not installed: npm install gitlab-ci-local, with Node 22 or later, and rsync")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", told)[0]) < 22:
        pytest.skip(f"gitlab-ci-local does not start under Node {told.strip()}; it needs 22 or later")
    return found


def run(lab: Forge, program: str, job: str, source: str, **variables: str) -> str:
    """Run a job of every instance in the work folder, as it is committed; return its log."""
    lab.git("remote", "set-url", "origin", ADDRESS)
    given = {name: value for name, value in LAB.items() if name not in GIVEN_BY_IT} | lab.secrets | variables
    given |= {"CI_PIPELINE_SOURCE": source}
    words = [word for name, value in given.items() for word in ("--variable", f"{name}={value}")]
    around = lab.environment(lab.work, {"GCL_IGNORE_PREDEFINED_VARS": ",".join(given), "GITLAB_CI": "true"})
    done = subprocess.run(
        [program, job, "--force-shell-executor", "--no-shell-isolation", *words], cwd=lab.work, env=around,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(lab: Forge, message: str) -> dict[str, str]:
    """Push what lies in the work folder; return what a push pipeline knows of it."""
    lab.git("remote", "set-url", "origin", str(lab.origin))
    before, after = lab.push(message)
    return {"CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": after}


@pytest.mark.slow
def test_the_recipe_runs_in_gitlab_ci_local(lab: Forge, admin: httpx.Client) -> None:
    """A merge is planned and applied, somebody leaves, dates and record run; include, extends, rules, needs, dotenv hold."""
    program = at_hand()
    (lab.work / "ci" / "install.sh").write_text("# siteward is here already\n")
    (lab.work / ".gitignore").write_text(".siteward/\n.gitlab-ci-local/\n*.sealed\n*.json\n*.md\n*.env\n")
    pushed = commit(lab, "Begin")
    for job in ("plan", "apply"):
        run(lab, program, job, "push", **pushed)
    assert not steps(lab)
    edit(lab, GRANTS, "")
    edit(lab, USER, "  omar: {email: omar@example.org, state: absent}\n")
    pushed = commit(lab, "Omar leaves")
    for job in ("plan", "apply"):
        run(lab, program, job, "push", **pushed)
    assert "omar" in logins(admin)
    assert "1 account to delete" in run(lab, program, "delete", "push", **pushed)
    assert "omar" not in logins(admin)
    for task in ("dates", "record", "drift"):
        run(lab, program, task, "schedule", TASK=task)
    told = lab.git("log", "--format=%s", "siteward-journal", at=lab.origin)
    assert re.search(r"delete.*, pipeline", told)
