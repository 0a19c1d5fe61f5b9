"""A first plan of 1,276 people on 78 sites of a Matomo: 100,804 steps, made by the command line against the sandbox.

The sandbox is this checkout's own for every candidate; its work is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from measure import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEOPLE, SITES = 1_276, 78
STEPS = PEOPLE + PEOPLE * SITES
HEAD = """\
version: 1
instances:
  stats: {platform: matomo, url: "URL", self: root}
policy:
  admins: {min: 1}
  limits: {removals: {count: 200000}, revocations: {count: 200000}, escalations: {count: 200000}, mails: {count: 200000}}
"""


def declaration(url: str) -> str:
    """Return the file that gives everybody a view of every site."""
    names = [f"p{at:05d}" for at in range(PEOPLE)]
    users = "".join(f"  {name}: {{email: {name}@example.org}}\n" for name in ("olga", *names))
    grants = '  - {to: olga, role: admin, on: stats}\n  - {to: everybody, role: view, sites: "*"}\n'
    return f"{HEAD.replace('URL', url)}users:\n{users}groups:\n  everybody: [{', '.join(names)}]\ngrants:\n{grants}"


def world() -> dict[str, object]:
    """Return the world that the sandbox starts with: sites, and nobody but a superuser."""
    sites = [{"name": f"Site {at}", "domain": f"www{at}.example.org"} for at in range(SITES)]
    return {"accounts": [{"login": "olga", "role": "superuser"}], "sites": sites}


@contextmanager
def commands(cache: Path, sources: dict[str, Path]) -> Iterator[dict[str, Command]]:
    """Serve that world and give the command that plans it and saves the plan, for the source folder of each candidate."""
    folder = cache / "first"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.json").write_text(json.dumps(world()), encoding="utf-8")
    serve = [sys.executable, "-m", "siteward", "sandbox", "matomo", "--world", str(folder / "world.json")]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as served:
        try:
            assert served.stdout is not None
            ready = json.loads(served.stdout.readline())
            yield {name: _command(folder / name, source, ready) for name, source in sources.items()}
        finally:
            served.terminate()


def _command(folder: Path, source: Path, ready: dict[str, object]) -> Command:
    url, credentials = str(ready["url"]), ready["credentials"]
    assert isinstance(credentials, dict)
    folder.mkdir(exist_ok=True)
    (folder / "access.yaml").write_text(declaration(url), encoding="utf-8")
    known = {f"SITEWARD_STATS_{name.upper()}": str(secret) for name, secret in credentials.items()}
    plan = [sys.executable, "-m", "siteward", "plan", "-c", folder / "access.yaml", "--out", folder / "plan.json"]
    return Command(
        arguments=[*plan, "--passwords-out", folder / "passwords"],
        environment={**known, "SITEWARD_STATS_URL": url, "PYTHONPATH": str(source)},
        leaves=(2,),
    )
