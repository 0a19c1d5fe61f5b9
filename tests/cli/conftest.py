"""A program, a checkout and a sandbox: what a user has in front of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.loaded import SECONDS, Ended, Loaded, loaded
from siteward import platforms
from siteward.platforms.fakery import Fake, Sandbox, serve

ROOT = Path(__file__).parents[2]
AS_OF = ("--as-of", "2026-12-01")


@dataclass
class Result:
    """What a run left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Program:
    """Runs verbs as processes of their own, in a folder, with an environment and without a terminal.

    With `moment` it is that time for them. A verb that asks who has what is run at the date of its `--as-of`, which may
    not be past for it, so that tests stay true when that date is.
    """

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    moment: str = ""

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> Result:
        moment = self.moment
        if not moment and "--as-of" in arguments and arguments[0] in {"who-can", "explain", "matrix", "review"}:
            moment = f"{arguments[arguments.index('--as-of') + 1][:10]}T00:00:00+00:00"
        env = base_environment() | self.env | env
        process = forks()
        if process.suits(env):
            done = process.call(arguments, self.folder, env, stdin=stdin, moment=moment)
        else:
            done = self.start(arguments, env, stdin=stdin, moment=moment)
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, arguments: tuple[str, ...], env: dict[str, str], *, stdin: str, moment: str) -> Ended:
        """Run a verb in an interpreter of its own."""
        program = ["cli.clocked", moment] if moment else ["siteward"]
        done = subprocess.run(
            [sys.executable, "-m", *program, *arguments],
            cwd=self.folder, env=env, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def write(self, text: str, name: str = "access.yaml") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def base_environment() -> dict[str, str]:
    """The environment without anything that would change what the program does."""
    dropped = ("CI", "NO_COLOR", "FORCE_COLOR", "GITHUB_", "GITLAB_", "PYTEST_", "SITEWARD_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}", "COLUMNS": "120", "TERM": "dumb"}


def forks() -> Loaded:
    """Return the process that has loaded the program, for forks of it."""
    return loaded(base_environment())


def start(
    platform: str, kind: str = "lived_in", release: str | None = None, clock: Callable[[], datetime] | None = None
) -> Fake:
    factory = platforms.fake(platform)
    make: Callable[..., Fake] = getattr(factory, kind)
    return make(release or factory.releases[0], clock=clock or (lambda: datetime.now(UTC)))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def umami() -> Iterator[Sandbox]:
    with serve(start("umami")) as sandbox:
        yield sandbox


@pytest.fixture
def checkout(program: Program, umami: Sandbox) -> Program:
    """A lived-in declaration, its `url` pointed at a sandbox of its own, with that sandbox's credentials at hand."""
    text = (Path(__file__).parent / "access.yaml").read_text(encoding="utf-8")
    program.write(text.replace("https://stats.example.org", umami.url))
    for path in (ROOT / "examples").rglob("*.yaml"):
        program.write(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    return program


@pytest.fixture
def admin(umami: Sandbox) -> Iterator[httpx.Client]:
    """Somebody who changes things in the web interface."""
    with httpx.Client(base_url=umami.url) as http:
        token = http.post("/api/auth/login", json=umami.fake.credentials).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http
