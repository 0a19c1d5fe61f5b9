"""A code forge on one disk: a bare repository, jobs whose shell runs as it stands, and stubs for `gh` and `glab`.

What a forge does itself (checkout, artifacts, expressions, conditions) is done here by hand; every line of shell is the
recipe's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cli.conftest import ROOT, base_environment, forks
from cli.loaded import ASKING
from cli.repo import WHO

if TYPE_CHECKING:
    from collections.abc import Iterator

CI = ROOT / "examples" / "ci"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
STUB = '''#!{python}
"""Stands in for gh and glab: keeps comments and issues in a file, and answers as their API does."""
import json, pathlib, subprocess, sys
file = pathlib.Path({state!r})
state = json.loads(file.read_text())
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
options, plain = {{}}, []
while words:
    word = words.pop(0)
    if word in {{"--paginate", "--force"}}:
        options[word] = True
    elif word in {{"--field", "--raw-field"}}:
        key, _, value = words.pop(0).partition("=")
        is_file = word == "--field" and value.startswith("@")
        options.setdefault("fields", {{}})[key] = pathlib.Path(value[1:]).read_text() if is_file else value
    elif word.startswith("--"):
        options[word] = words.pop(0)
    else:
        plain.append(word)
state["calls"].append([name, *plain, options.get("--method", "GET")])
def out(data):
    print(json.dumps(data), end="")
def find(rows, number):
    return next(row for row in rows if str(row["number"]) == number)
fields, method = options.get("fields", {{}}), options.get("--method", "GET")
path, _, asked = plain[1].partition("?")
parts = path.split("/")
match [method, *parts[-2:]]:
    case ["GET", _, "comments" | "notes"]:
        half = len(state["comments"]) // 2  # as two pages
        out(state["comments"][:half])
        out(state["comments"][half:])
    case ["POST", _, "comments" | "notes"]:
        who = {{"user": {{"login": "github-actions[bot]"}}, "author": {{"username": "siteward-bot"}}}}
        state["comments"].append({{"id": len(state["comments"]) + 7, "body": fields["body"], **who}})
    case ["PATCH" | "PUT", "comments" | "notes", number]:
        next(each for each in state["comments"] if str(each["id"]) == number)["body"] = fields["body"]
    case ["GET", _, "labels"]:
        out([{{"name": name}} for name in state["labels"]])
    case ["POST", _, "labels"]:
        state["labels"].append(fields["labels[]"])
    case ["DELETE", "labels", name]:
        state["labels"].remove(name)
    case ["GET", "merge_requests", _] if "labels" in state and not state["change"]:
        out({{"labels": state["labels"]}})
    case ["PUT", "merge_requests", _]:
        state["labels"] = [name for name in state["labels"] if name != fields.get("remove_labels")]
        state["labels"] += [fields["add_labels"]] if "add_labels" in fields else []
    case ["GET", _, "pulls" | "merge_requests"] if "commits" in parts:
        change = state["change"]
        out([change] if change and parts[-2] == change["merge_commit_sha"] else [])
    case ["GET", "pulls" | "merge_requests", _]:
        out(state["change"] | {{"labels": state["labels"]}})
    case ["GET", _, "reviews" | "approvals"]:
        out(state["reviews"])
    case ["GET", _, "issues"]:
        out([each for each in state["issues"] if each["state"] == "open"])
    case ["POST", _, "issues"]:
        number = len(state["issues"]) + 1
        body = fields.get("description", fields.get("body"))
        labels = fields.get("labels", fields.get("labels[]"))
        state["issues"].append(
            {{"iid": number, "number": number, "state": "open", "title": fields["title"], "body": body, "labels": labels}}
        )
    case ["PATCH" | "PUT", "issues", number]:
        issue = find(state["issues"], number)
        closes = fields.get("state_event") == "close" or fields.get("state") == "closed"
        issue["state"] = "closed" if closes else issue["state"]
        issue["body"] = fields.get("description", fields.get("body", issue["body"]))
    case _:
        sys.exit(f"the stub does not know {{plain}}")
file.write_text(json.dumps(state))
'''

EMPTY: dict[str, Any] = {"comments": [], "issues": [], "labels": [], "change": None, "reviews": [], "calls": []}
GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "example/access", "GITHUB_SERVER_URL": "https://github.test", "GITHUB_RUN_ID": "77",
}  # fmt: skip
PROGRAM = """\
#!/bin/sh
[ -z "$LOADED_SOCKET" ] || exec "{python}" -S -E "{asking}" "$@"
exec "{python}" -m siteward "$@"
"""
ACTION = "./.github/actions/siteward"


@dataclass
class Ran:
    """What one job left behind."""

    ok: bool
    outputs: dict[str, str]
    summary: str
    log: str
    folder: Path


@dataclass
class Forge:
    """One repository on a forge, and what its jobs know."""

    folder: Path
    secrets: dict[str, str]
    artifacts: dict[str, bytes] = field(default_factory=dict)
    runs: Iterator[int] = field(default_factory=lambda: count(1))  # jobs may begin at once
    seen: list[tuple[str, set[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.state = self.folder / "state.json"
        self.state.write_text(json.dumps(EMPTY))
        for name in ("gh", "glab"):
            self._tool(name, STUB.format(python=sys.executable, state=str(self.state)))
        self._tool("siteward", PROGRAM.format(python=sys.executable, asking=ASKING))
        (self.bin / "python3").symlink_to(sys.executable)
        self.origin, self.work = self.folder / "origin.git", self.folder / "work"
        self.git("init", "-q", "--bare", "-b", "main", str(self.origin), at=self.folder)
        self.git("clone", "-q", str(self.origin), str(self.work), at=self.folder)
        self.git("checkout", "-q", "-b", "main")
        shutil.copytree(CI, self.work, dirs_exist_ok=True)

    def _tool(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.work, env=os.environ | WHO, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def push(self, message: str, branch: str = "main") -> tuple[str, str]:
        """Commit what lies in the work folder and push it; return the commits before and after."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        listed = self.git("ls-remote", "origin", branch)
        self.git("push", "-q", "origin", f"HEAD:{branch}")
        return listed.partition("\t")[0] or "0" * 40, self.git("rev-parse", "HEAD")

    def propose(self, number: int, message: str, ref: str) -> str:
        """Push a branch from what lies in the work folder, and the merge that a forge makes of it; return the head."""
        self.git("checkout", "-q", "-b", f"proposal-{number}")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        head = self.git("rev-parse", "HEAD")
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", "Merge", head)
        self.git("push", "-q", "-f", "origin", f"HEAD:{ref}", f"{head}:refs/heads/proposal-{number}")
        self.git("reset", "-q", "--hard", "HEAD~1")
        self.git("branch", "-q", "-D", f"proposal-{number}")
        return head

    def told(self) -> Any:
        """What the forge keeps: comments, issues, and the calls that were made."""
        return json.loads(self.state.read_text())

    def tell(self, **news: Any) -> None:
        """Let the forge say something of a change that its jobs ask about."""
        self.state.write_text(json.dumps(self.told() | news))

    def journal(self) -> list[str]:
        """The runs that the journal's branch tells of, the last one first."""
        self.git("fetch", "-q", "origin")
        return self.git("log", "--format=%s", "origin/siteward-journal").splitlines()

    def refuse(self) -> Path:
        """Let the repository refuse every push of the journal; return what has to go for it to take them again."""
        hook = self.origin / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/siteward-journal ]\n')
        hook.chmod(0o755)
        return hook

    def clone(self, ref: str = "main") -> Path:
        """Return a fresh checkout, as a runner has it."""
        place = self.folder / f"runner-{next(self.runs)}"
        self.git("clone", "-q", str(self.origin), str(place), at=self.folder)
        self.git("fetch", "-q", "origin", "+refs/pull/*:refs/remotes/pull/*", at=place)
        self.git("checkout", "-q", ref, at=place)
        return place

    def environment(self, place: Path, more: dict[str, str]) -> dict[str, str]:
        path = os.pathsep.join((str(self.bin), os.environ["PATH"]))
        config = {"GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"), "GIT_CONFIG_SYSTEM": os.devnull}
        return base_environment() | {"CI": "true", "PATH": path, "HOME": str(place)} | config | more

    # -- GitHub

    def github(
        self, workflow: str, job: str, known: dict[str, str], env: dict[str, str], ref: str = "main", needs: Any = None
    ) -> Ran:
        """Run one job of a workflow: `known` are the expressions it may use, `env` what GitHub itself sets."""
        described = yaml.safe_load((self.work / ".github" / "workflows" / f"{workflow}.yml").read_text())["jobs"][job]
        place = self.clone(ref)
        known = known | {f"secrets.{name}": value for name, value in self.secrets.items()}
        known |= {
            f"needs.{name}.outputs.{key}": value
            for name, ran in (needs or {}).items()
            for key, value in ran.outputs.items()
        }
        known["runner.temp"] = str(place.parent / f"{place.name}.temp")
        env = GITHUB | {"GITHUB_SHA": self.git("rev-parse", "HEAD", at=place)} | env
        going = _Job(place, known, env, place.parent / f"{place.name}.summary")
        going.summary.write_text("")
        self._run_steps(described["steps"], going, described.get("env", {}))
        outputs = {key: _value(text, going.known) for key, text in described.get("outputs", {}).items()}
        return Ran(not going.failed, outputs, going.summary.read_text(), going.log, place)

    def _run_steps(self, steps: list[dict[str, Any]], job: _Job, env: dict[str, Any]) -> None:
        """Run the steps of a job or of an action, each unless its condition says no or one before it has failed."""
        for step in steps:
            if not _goes(step.get("if", ""), job):
                continue
            given = env | {key: _value(value, job.known) for key, value in step.get("env", {}).items()}
            if "run" in step:
                failed = self._shell_step(step, job, given)
            elif step["uses"] == ACTION:
                failed = self._own_action(step, job, given)
            else:
                failed = False
                self._action(step, job)
            job.failed = job.failed or failed
            if step.get("id"):
                job.known[f"steps.{step['id']}.outcome"] = "failure" if failed else "success"

    def _shell_step(self, step: dict[str, Any], job: _Job, env: dict[str, Any]) -> bool:
        written = job.place.parent / f"{job.place.name}.output"
        written.write_text("")
        files = {"GITHUB_OUTPUT": str(written), "GITHUB_STEP_SUMMARY": str(job.summary)}
        assert "${{" not in step["run"], "an expression in a shell is a way in"
        text = {key: _value(value, job.known) for key, value in env.items()}
        self.seen.append((job.known.get("inputs.do", ""), set(filter(text.get, text))))
        shell = forks().shell(self.environment(job.place, job.env | files | text))
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=job.place, env=shell.env, pass_fds=shell.handles,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        job.log += f"== {job.known.get('inputs.do', step.get('name'))} ({done.returncode})\n{done.stdout}{done.stderr}"
        for line in written.read_text().splitlines():
            key, _, value = line.partition("=")
            job.known[f"steps.{step['id']}.outputs.{key}"] = value
        return done.returncode != 0

    def _own_action(self, step: dict[str, Any], job: _Job, env: dict[str, Any]) -> bool:
        """Run the action of the checkout as it lies there now; return whether it failed."""
        described = yaml.safe_load((job.place / ACTION / "action.yml").read_text())
        given = {key: _value(value, job.known) for key, value in step["with"].items()}
        assert given.keys() <= described["inputs"].keys(), given.keys() - described["inputs"].keys()
        if given["do"] == "install":
            return False
        inputs = {f"inputs.{key}": str(value.get("default", "")) for key, value in described["inputs"].items()}
        inputs |= {f"inputs.{key}": value for key, value in given.items()}
        outer = {key: value for key, value in job.known.items() if key.startswith(("github.", "runner."))}
        inner = _Job(job.place, outer | inputs, job.env, job.summary)
        self._run_steps(described["runs"]["steps"], inner, env)
        job.log += inner.log
        for key, output in described["outputs"].items():
            job.known[f"steps.{step.get('id')}.outputs.{key}"] = _value(output["value"], inner.known)
        return inner.failed

    def _action(self, step: dict[str, Any], job: _Job) -> None:
        name = step["uses"].partition("@")[0]
        options = {key: _value(value, job.known) for key, value in step.get("with", {}).items()}
        match name:
            case "actions/upload-artifact":
                path = job.place / options["path"]
                files = (entry for entry in path.rglob("*") if entry.is_file())
                self.artifacts |= (
                    {f"{options['name']}/{file.relative_to(path)}": file.read_bytes() for file in files}
                    if path.is_dir()
                    else {options["name"]: path.read_bytes()}
                )
            case "actions/download-artifact":
                for made, content in self.artifacts.items():
                    if fnmatch(made, options["pattern"]) and "/" not in made:
                        (job.place / f"{made}.sealed").write_bytes(content)
            case "actions/checkout" | "actions/setup-python":
                pass
            case _:
                raise AssertionError(name)

    # -- GitLab

    def gitlab(self, job: str, env: dict[str, str], ref: str = "main", files: dict[str, bytes] | None = None) -> Ran:
        """Run one job: its before_script and script in one shell, its after_script in another."""
        described = gitlab_job(self.work, job)
        place = self.clone(ref)
        for name, content in (files or {}).items():
            (place / name).write_bytes(content)
        row = described.get("parallel", {}).get("matrix", [{}])[0]
        env = {"CI_PROJECT_DIR": str(place), "CI_JOB_NAME": job, "CI_JOB_URL": "https://gitlab.test/jobs/1"} | row | env
        own: dict[str, str] = {}
        for key, value in (gitlab_file(self.work).get("variables", {}) | described.get("variables", {})).items():
            known = self.secrets | env | own
            own[key] = re.sub(r"\$(\w+)", lambda found: known.get(found[1], ""), str(value))  # noqa: B023 — called at once
        around = self.environment(place, self.secrets | {"GITLAB_CI": "true"} | env | own)
        lines = [line for line in (*described.get("before_script", []), *described["script"]) if line != INSTALL]
        done = self._shell(lines, place, around)
        after = self._shell(described["after_script"], place, around) if "after_script" in described else done
        for pattern in described.get("artifacts", {}).get("paths", ()):
            for entry in (found for top in place.glob(pattern) for found in (top, *top.rglob("*"))):
                if entry.is_file():
                    self.artifacts[f"{job}/{entry.relative_to(place)}"] = entry.read_bytes()
        variables = place / described.get("artifacts", {}).get("reports", {}).get("dotenv", "none")
        outputs = dict(line.split("=", 1) for line in variables.read_text().splitlines()) if variables.is_file() else {}
        log = f"{done.stdout}{done.stderr}{after.stderr}"
        return Ran(ok=done.returncode == 0, outputs=outputs, summary="", log=log, folder=place)

    def _shell(self, lines: list[str], place: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        shell = forks().shell(env)
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(lines)], cwd=place, env=shell.env, pass_fds=shell.handles,
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip


@dataclass
class _Job:
    """One job of GitHub, or one action in it, while it runs."""

    place: Path
    known: dict[str, str]
    env: dict[str, str]
    summary: Path
    failed: bool = False
    log: str = ""


def _goes(condition: str, job: _Job) -> bool:
    """Tell whether a step is run: conditions that are all to hold, and not after a failure unless always."""
    parts = [part for part in condition.split(" && ") if part]
    for part in parts:
        if part == "always()":
            continue
        found = re.fullmatch(r"((?:steps\.\w+\.outcome)|inputs\.do) == '(\w+)'", part)
        assert found, part
        if job.known.get(found[1], "skipped") != found[2]:
            return False
    return "always()" in parts or not job.failed


def _value(text: object, known: dict[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: _evaluate(found[1], known), str(text))


def _evaluate(expression: str, known: dict[str, str]) -> str:
    """Return the value of `name`, or of `name == 'text' && name || ''`; what is no secret or output must be known."""
    if chosen := re.fullmatch(r"(\S+) == '([\w-]+)' && (\S+) \|\| ''", expression):
        return _evaluate(chosen[3], known) if _evaluate(chosen[1], known) == chosen[2] else ""
    return known.get(expression, "") if expression.startswith(("steps.", "secrets.", "vars.")) else known[expression]


INSTALL = "sh ci/install.sh"


def gitlab_file(work: Path) -> dict[str, Any]:
    """Return the pipeline with what it includes."""
    described: dict[str, Any] = yaml.safe_load((work / ".gitlab-ci.yml").read_text())
    for included in described.pop("include"):
        described = yaml.safe_load((work / included["local"]).read_text()) | described
    return described


def gitlab_job(work: Path, name: str) -> dict[str, Any]:
    """Return a job with all that it extends: tables are merged, the rest is replaced."""
    every = gitlab_file(work)
    described = dict(every[name])
    extended = described.pop("extends", [])
    merged: dict[str, Any] = {}
    for parent in [extended] if isinstance(extended, str) else extended:
        merged = _merge(merged, gitlab_job(work, parent))
    defaults = {"before_script": every["default"]["before_script"]} if not name.startswith(".") else {}
    return _merge(defaults | merged, described)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in below.keys() & above.keys() if isinstance(below[key], dict) and isinstance(above[key], dict)}
    return below | above | {key: _merge(below[key], above[key]) for key in both}
