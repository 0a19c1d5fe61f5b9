"""What the recipes promise as texts: who has which key, what is pinned, when what runs, and that no shell stands twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cli.conftest import ROOT
from cli.forge import CI, INSTALL, gitlab_file, gitlab_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

PATH = os.environ["PATH"]
WORKFLOWS = sorted((CI / ".github" / "workflows").glob("*.yml"))
ACTION = CI / ".github" / "actions" / "siteward" / "action.yml"
SCRIPTS = sorted((CI / "ci").glob("*.sh"))
SPEAKS = {"plan", "apply", "delete", "dates", "record", "drift"}
"""The tasks that speak with a server, and so have its credentials."""
FETCHES = {"proposal", "journal", "push", "comment", "approvals", "issue"}
"""The tasks that speak with the forge, and so have its token."""
ENVIRONMENTS = {
    "siteward-plan/plan": "access-plan", "siteward-plan/comment": "access-plan", "siteward-apply/plan": "access-plan",
    "siteward-apply/apply": "access-apply", "siteward-apply/delete": "access-delete", "siteward-dates/dates": "access-dates",
    "siteward-record/record": "access-record", "siteward-drift/drift": "access-plan",
}  # fmt: skip
JOBS = {
    "plan-merge-request": "access-plan", "comment-merge-request": "access-plan", "plan": "access-plan", "apply": "access-apply",
    "delete": "access-delete", "dates": "access-dates", "record": "access-record", "drift": "access-plan",
}  # fmt: skip


def jobs_of(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text())["jobs"])


def steps_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step of a workflow with the name of its job."""
    for name, job in jobs_of(path).items():
        yield from ((name, step) for step in job.get("steps", ()))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_keys_are_only_where_they_are_needed(path: Path) -> None:
    """Credentials where a server is spoken with, the token where the forge is, the plans' key where they are sealed."""
    for name, step in steps_of(path):
        task, text = step.get("with", {}).get("do"), json.dumps(step)
        assert ("secrets.SITEWARD_STATS" in text) == (task in SPEAKS), (name, step)
        assert ("SITEWARD_STATS_HEADERS" in text) == (task in SPEAKS), "a gate stands before every request"
        assert ("secrets.SITEWARD_JOURNAL_KEY" in text) == (task in SPEAKS)
        assert ("github.token" in text) == (task in FETCHES)
        assert ("secrets.SITEWARD_PLAN_KEY" in text) == (task in {"seal", "open"})
        for value in step.get("env", {}).values():
            assert "secrets.SITEWARD_STATS" not in value or ".instance == 'stats' && " in value, (
                "of its own instance alone"
            )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_kind_of_job_has_an_environment_of_its_own(path: Path) -> None:
    """What may be approved apart is kept apart, and a workflow that forks start has none."""
    for name, job in jobs_of(path).items():
        assert job.get("environment") == ENVIRONMENTS.get(f"{path.stem}/{name}")
        pushes = any(step.get("with", {}).get("do") == "push" for step in job.get("steps", ()))
        assert not pushes or job["permissions"]["contents"] == "write"
        assert ("concurrency" in job) == pushes, "what only reads waits for no approval"
        if pushes:
            assert job["concurrency"]["group"].startswith("siteward-${{")
            assert job["concurrency"]["queue"] == "max", "an hourly run would throw out an apply that waits"
            (push,) = (step for step in job["steps"] if step.get("with", {}).get("do") == "push")
            assert push["if"] == "always() && steps.journal.outcome == 'success'"
        assert "max-parallel" not in job.get("strategy", {}), "several jobs at once are what the script is made for"
    text = path.read_text()
    if "pull_request" in yaml.safe_load(text)[True]:  # YAML 1.1 reads `on` as a truth
        assert "secrets" not in text
    assert "ref:" not in text, "no other revision is checked out"
    assert yaml.safe_load(text)["permissions"] in ({}, {"contents": "read"})


def test_no_recipe_lets_everything_be_deleted() -> None:
    """Deletions are consented to by the digest of one plan, in one task, whose job comes last and only where there are any."""
    texts = {path: path.read_text() for path in CI.rglob("*") if path.is_file()}
    assert not [path for path, text in texts.items() if "--allow-delete" in text]
    assert [path.name for path, text in texts.items() if "--accept" in text] == ["siteward.sh"]
    assert texts[CI / "ci" / "siteward.sh"].count('--accept "deletions=$DIGEST" --reason "$REASON"') == 1
    job = jobs_of(CI / ".github" / "workflows" / "siteward-apply.yml")["delete"]
    assert job["needs"] == ["plan", "apply"]
    assert job["if"] == "needs.plan.outputs.deletions != '0'"
    assert gitlab_job(CI, "delete")["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "push"', "when": "manual"}]


def test_when_what_runs() -> None:
    """Dates by the hour, drift and record by the day, each in a workflow of its own."""
    crons = {}
    for path in WORKFLOWS:
        started = yaml.safe_load(path.read_text())[True]
        if "schedule" in started:
            ((when,),) = (row.values() for row in started["schedule"])
            crons[path.stem] = when
    assert re.fullmatch(r"\d+ \* \* \* \*", crons.pop("siteward-dates"))
    assert crons.keys() == {"siteward-drift", "siteward-record"}
    assert all(re.fullmatch(r"\d+ \d+ \* \* \*", when) for when in crons.values())
    for path in WORKFLOWS:
        tasks = {step["with"]["do"] for _, step in steps_of(path) if "with" in step and "do" in step["with"]}
        assert ("record" in tasks) == (path.stem == "siteward-record")


def test_what_a_job_runs_is_pinned() -> None:
    """Actions by commit, packages by hash; and no checkout leaves the token where a later step could read it."""
    for path in (*WORKFLOWS, ACTION):
        text = path.read_text()
        for used, release in re.findall(r"uses: (\S+)(.*)", text):
            assert used.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", used), used
            assert used.startswith("./") or re.fullmatch(r" # v\d+\.\d+\.\d+", release), used
        assert text.count("actions/checkout@") == text.count("persist-credentials: false")
        assert "pip install" not in text
    (install,) = (line for path in SCRIPTS for line in path.read_text().splitlines() if "pip install" in line)
    assert "--require-hashes --only-binary :all: -r" in install


def test_no_shell_stands_twice() -> None:
    """Workflows have none, the action picks a script, and a job on GitLab names scripts of the same folder."""
    for path in WORKFLOWS:
        assert not [step for _, step in steps_of(path) if "run" in step]
    (run,) = (step for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if "run" in step)
    assert "${{" not in run["run"], "an expression in a shell is a way in"
    lines = {
        line
        for name in JOBS
        for part in ("before_script", "script", "after_script")
        for line in gitlab_job(CI, name).get(part, ())
    }
    others = {line for line in lines if not re.match(r"sh ci/[a-z]+\.sh", line)}
    assert len(others) == 2
    assert all(line.startswith(("git remote set-url", "git config credential.helper")) for line in others)
    used = set(re.findall(r"ci/(\w+\.sh)", " ".join(lines) + run["run"])) | {
        f"{name}.sh" for name in ("install", "comment", "issue", "approvals")
    }
    assert used == {path.name for path in SCRIPTS} - {"lock.sh"}


def test_what_writes_is_one_at_a_time_on_gitlab() -> None:
    """For each instance; and every job that has a key says in which environment."""
    for name, environment in JOBS.items():
        job = gitlab_job(CI, name)
        named = job["environment"] if isinstance(job["environment"], str) else job["environment"]["name"]
        assert named == environment
        pushes = any("journal.sh push" in line for line in job["script"])
        assert ("after_script" in job) == pushes
        assert not pushes or job["artifacts"]["paths"] == ["journal-not-pushed"]
        assert name == "comment-merge-request" or job["resource_group"] == "siteward-$INSTANCE"
        assert job["before_script"][0] == INSTALL
    assert gitlab_job(CI, "apply")["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "push"', "when": "manual"}]
    assert "environment" not in gitlab_job(CI, "check")


def test_the_instances_of_gitlab_are_those_of_the_verb(program: Program) -> None:
    """The file that jobs extend is what `siteward instances` prints, for the instance of the recipes."""
    program.write(
        'version: 1\ninstances: {stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site}}\n'
    )
    assert program("instances", "--format", "gitlab-parallel").out == (CI / "ci" / "instances.yml").read_text()
    assert ".siteward-instances" in gitlab_file(CI)


# -- installing


def install(folder: Path, python: str = "3.12") -> subprocess.CompletedProcess[str]:
    """Run the script in a folder where Python is a stub that writes down what it is asked to install."""
    stub = folder / "bin" / "python3"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(f'#!/bin/sh\n[ "$1" != -c ] || {{ echo {python}; exit; }}\necho "$@" >installed\n')
    stub.chmod(0o755)
    env = {"PATH": f"{stub.parent}{os.pathsep}{PATH}"}
    return subprocess.run(["sh", "ci/install.sh"], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_the_recipes_install_one_wheel_by_hash_or_nothing(tmp_path: Path) -> None:
    """While the placeholder stands there, without a lock, or with that of another wheel or Python, nothing is installed."""
    shutil.copytree(CI / "ci", tmp_path / "ci")
    done = install(tmp_path)
    assert done.returncode == 1
    assert "placeholder" in done.stderr
    wheel = "https://wheels.example.org/siteward-0.1.0-py3-none-any.whl"
    (tmp_path / "ci" / "wheel").write_text(f"# Ours.\n{wheel}\n")
    assert "there is no ci/requirements-3.12.txt" in install(tmp_path).stderr
    locked = tmp_path / "ci" / "requirements-3.12.txt"
    locked.write_text(f"siteward @ {wheel}.other \\\n    --hash=sha256:00\n")
    assert "for another wheel" in install(tmp_path).stderr
    assert not (tmp_path / "installed").exists()
    locked.write_text(f"siteward @ {wheel} \\\n    --hash=sha256:00\n")
    assert install(tmp_path).returncode == 0
    asked = (tmp_path / "installed").read_text().split()
    assert {"--require-hashes", "--only-binary", "ci/requirements-3.12.txt"} <= set(asked)
    assert "there is no ci/requirements-3.13.txt" in install(tmp_path, "3.13").stderr


def test_where_siteward_lies_is_named_once() -> None:
    """One line of one file, which says in words what to put there; no recipe asks an index for the name."""
    named = [path.name for path in CI.rglob("*") if path.is_file() and re.search(r"https://\S+\.whl", path.read_text())]
    assert named == ["wheel"]
    for path in CI.rglob("*"):
        assert not path.is_file() or not re.search(r"(pip|uv) install [^$]*siteward|siteward==", path.read_text()), path


# -- checks of other programs


def test_scripts_are_small_and_plain() -> None:
    """They pass a shell's own check, and stop at the first error."""
    for path in SCRIPTS:
        assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
        assert "set -eu" in path.read_text()
        assert not path.stat().st_mode & stat.S_IWOTH


def tool(name: str) -> str:
    """Return the path of a program beside this Python or in the path; skip the test, in words, where there is none."""
    found = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), PATH)))
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {name}-py, or of the distribution")
    return found


def told(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_shellcheck_finds_nothing() -> None:
    assert told(tool("shellcheck"), *map(str, SCRIPTS)) == ""


def test_zizmor_finds_nothing() -> None:
    """Without network; what it is told not to say is explained beside the line, or in its own file."""
    config = CI / ".github" / "zizmor.yml"
    assert told(tool("zizmor"), "--offline", "--quiet", "--config", str(config), str(CI)) == ""
    assert told(tool("zizmor"), "--offline", "--quiet", str(ROOT / ".github")) == ""


def test_actionlint_finds_nothing() -> None:
    assert told(tool("actionlint"), "-ignore", 'key "queue"', *map(str, WORKFLOWS)) == ""


def test_the_pre_commit_hook_runs_always() -> None:
    """A commit that only takes an included file away is checked too; no file name is handed over."""
    config, hooks = CI / ".pre-commit-config.yaml", ROOT / ".pre-commit-hooks.yaml"
    for described in (yaml.safe_load(config.read_text())["repos"][0]["hooks"][0], yaml.safe_load(hooks.read_text())[0]):
        assert described["pass_filenames"] is False
        assert described["always_run"] is True
        assert "files" not in described
        assert described["entry"] == "siteward validate"
