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
from pathlib import Path
from typing import Any

import yaml

from cli.conftest import ROOT, base_environment
from cli.repo import WHO

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
    text = json.dumps(data)
    if "--jq" in options:
        text = subprocess.run(["jq", "-r", options["--jq"]], input=text, capture_output=True, text=True, check=True).stdout
    print(text, end="")
def body():
    return pathlib.Path(options["--body-file"]).read_text()
fields, method = options.get("fields", {{}}), options.get("--method", "GET")
match plain:
    case ["api", path] if path.endswith(("/comments", "/notes")) and method == "GET":
        out(state["comments"])
    case ["api", path] if path.endswith(("/comments", "/notes")):
        who = {{"user": {{"login": "github-actions[bot]"}}, "author": {{"username": "siteward-bot"}}}}
        state["comments"].append({{"id": len(state["comments"]) + 7, "body": fields["body"], **who}})
    case ["api", path] if "/comments/" in path or "/notes/" in path:
        next(each for each in state["comments"] if str(each["id"]) == path.rpartition("/")[2])["body"] = fields["body"]
    case ["api", path] if "/issues" in path and method == "GET":
        out([each for each in state["issues"] if each["state"] == "open"])
    case ["api", path] if path.endswith("/issues"):
        number = len(state["issues"]) + 1
        state["issues"].append({{"iid": number, "number": number, "state": "open", "body": fields["description"]}})
    case ["api", path] if "/issues/" in path:
        issue = next(each for each in state["issues"] if str(each["iid"]) == path.rpartition("/")[2])
        issue["state"] = "closed" if fields.get("state_event") == "close" else issue["state"]
        issue["body"] = fields.get("description", issue["body"])
    case ["issue", "list"]:
        out([each for each in state["issues"] if each["state"] == "open"])
    case ["issue", "create"]:
        state["issues"].append({{"iid": 1, "number": len(state["issues"]) + 1, "state": "open", "body": body()}})
    case ["issue", verb, number]:
        issue = next(each for each in state["issues"] if str(each["number"]) == number)
        issue["state"] = "closed" if verb == "close" else issue["state"]
        issue["body"] = body() if verb == "edit" else issue["body"]
    case ["label", "create", _]:
        pass
    case _:
        sys.exit(f"the stub does not know {{plain}}")
file.write_text(json.dumps(state))
'''


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
    runs: int = 0

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.state = self.folder / "state.json"
        self.state.write_text(json.dumps({"comments": [], "issues": [], "calls": []}))
        for name in ("gh", "glab"):
            self._tool(name, STUB.format(python=sys.executable, state=str(self.state)))
        self._tool("siteward", f'#!/bin/sh\nexec "{sys.executable}" -m siteward "$@"\n')
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
        self.runs += 1
        place = self.folder / f"runner-{self.runs}"
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
        known.setdefault("vars.SITEWARD_STATS_URL", "")
        outputs, failed, log, summary = {}, False, "", place.parent / f"{place.name}.summary"
        summary.write_text("")
        for step in described["steps"]:
            if step.get("name") == "Install Siteward" or not self._goes(step.get("if", ""), known, failed=failed):
                continue
            if "run" not in step:
                self._action(step, place, known)
                continue
            written = place.parent / f"{place.name}.output"
            written.write_text("")
            given = {
                key: self._value(each, known)
                for part in (described.get("env", {}), step.get("env", {}))
                for key, each in part.items()
            }
            files = {"GITHUB_OUTPUT": str(written), "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
            assert "${{" not in step["run"], "an expression in a shell is a way in"
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=place, env=self.environment(place, env | files | given),
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            log += f"== {step['name']} ({done.returncode})\n{done.stdout}{done.stderr}"
            failed = failed or done.returncode != 0
            for line in written.read_text().splitlines():
                key, _, value = line.partition("=")
                known[f"steps.{step['id']}.outputs.{key}"] = value
            if step.get("id"):
                known[f"steps.{step['id']}.outcome"] = "failure" if done.returncode else "success"
        for key, each in described.get("outputs", {}).items():
            outputs[key] = self._value(each, known)
        return Ran(not failed, outputs, summary.read_text(), log, place)

    def _goes(self, condition: str, known: dict[str, str], *, failed: bool) -> bool:
        """Tell whether a step is run: conditions that are all to hold, and not after a failure unless always."""
        parts = [part for part in condition.split(" && ") if part]
        for part in parts:
            if part == "always()":
                continue
            found = re.fullmatch(r"(steps\.\w+\.outcome) == '(\w+)'", part)
            assert found, part
            if known.get(found[1], "skipped") != found[2]:
                return False
        return "always()" in parts or not failed

    def _value(self, text: str, known: dict[str, str]) -> str:
        return _EXPRESSION.sub(
            lambda found: known[found[1]] if not found[1].startswith("steps.") else known.get(found[1], ""), str(text)
        )

    def _action(self, step: dict[str, Any], place: Path, known: dict[str, str]) -> None:
        name = step["uses"].partition("@")[0]
        options = {key: self._value(each, known) for key, each in step.get("with", {}).items()}
        match name:
            case "actions/upload-artifact":
                path = place / options["path"]
                files = (each for each in path.rglob("*") if each.is_file())
                self.artifacts |= (
                    {f"{options['name']}/{file.relative_to(path)}": file.read_bytes() for file in files}
                    if path.is_dir()
                    else {options["name"]: path.read_bytes()}
                )
            case "actions/download-artifact":
                (place / "plan.sealed").write_bytes(self.artifacts[options["name"]])
            case "actions/checkout" | "actions/setup-python":
                pass
            case _:
                raise AssertionError(name)

    # -- GitLab

    def gitlab(self, job: str, env: dict[str, str], ref: str = "main", files: dict[str, bytes] | None = None) -> Ran:
        """Run one job: its before_script and script in one shell, its after_script in another."""
        described = yaml.safe_load((self.work / ".gitlab-ci.yml").read_text())[job]
        place = self.clone(ref)
        for name, content in (files or {}).items():
            (place / name).write_bytes(content)
        own = {key: re.sub(r"\$(\w+)", lambda found: env.get(found[1], self.secrets.get(found[1], "")), str(each))
               for key, each in described.get("variables", {}).items()}  # fmt: skip
        around = self.environment(place, self.secrets | {"GITLAB_CI": "true"} | env | own)
        lines = [*described.get("before_script", []), *described["script"]]
        done = self._shell(lines, place, around)
        after = self._shell(described["after_script"], place, around) if "after_script" in described else done
        for path in described.get("artifacts", {}).get("paths", ()):
            for each in (place / path).rglob("*"):
                if each.is_file():
                    self.artifacts[f"{job}/{each.relative_to(place)}"] = each.read_bytes()
        variables = place / described.get("artifacts", {}).get("reports", {}).get("dotenv", "none")
        outputs = dict(line.split("=", 1) for line in variables.read_text().splitlines()) if variables.is_file() else {}
        log = f"{done.stdout}{done.stderr}{after.stderr}"
        return Ran(ok=done.returncode == 0, outputs=outputs, summary="", log=log, folder=place)

    def _shell(self, lines: list[str], place: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(lines)], cwd=place, env=env,
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
