"""The apply of a first plan of 100,000 steps, and the answers to 100,000 grants, on a Matomo sandbox beside an earlier revision.

1,276 people, in four groups, come to have a role on each of 78 sites. Each revision plans and applies to a sandbox of the
earlier one, in a process of its own, so that the server's own time is the same for both. Then `matrix`, `review` and
`import` are asked of one sandbox that holds as many grants. The earlier revision is a checkout in the folder that the
variable `REFERENCE` names.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grants import REFERENCE
from measure import CPU, MEMORY, Command, Cost, once

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PEOPLE, SITES, GROUPS = 1_276, 78, 4
EARLIER = REFERENCE or Path("earlier")
"""The folder with the earlier revision that everything is divided by."""
PROJECT = Path(__file__).resolve().parent.parent
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "matrix": ("matrix",),
    "review": ("review",),
    "import": ("import", "--instance", "stats", "--out", "imported.yaml"),
}
_MOST = 220
_LEFT = (0, 2, 4)
"""The exit codes of a verb that did its work: nothing to do, differences, or something that was not read."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying cost one revision, and what the sandbox took for it, in processor seconds."""

    apply: Cost
    server: float


def names() -> tuple[list[str], list[str]]:
    """Return the handles of the people, and the domains of the sites."""
    return [f"p{at:05d}" for at in range(PEOPLE)], [f"www{at}.example.org" for at in range(SITES)]


def world(*, granted: bool) -> dict[str, Any]:
    """Return the world that the sandbox starts with: the sites alone, or with everything `granted`."""
    people, sites = names()
    roles = ("view", "write", "admin")
    everybody = [{"login": login, "email": f"{login}@example.org"} for login in people]
    grants = [
        {"account": login, "site": site, "role": roles[(at + place) % len(roles)]}
        for at, login in enumerate(people)
        for place, site in enumerate(sites)
    ]
    tops = [{"login": login, "email": f"{login}@example.org", "role": "superuser"} for login in ("root", "olga")]
    return {
        "accounts": [*tops, *(everybody if granted else [])],
        "sites": [{"name": site, "domain": site} for site in sites],
        "grants": grants if granted else [],
    }


def declaration(url: str, *, granting: bool) -> str:
    """Return the file of these people; with `granting` it gives each a role on each site, by groups."""
    people, sites = names()
    limits = ", ".join(f"{name}: {{count: 200000}}" for name in ("mails", "escalations"))
    lines = [
        "version: 1",
        f'instances: {{stats: {{platform: matomo, url: "{url}", self: root}}}}',
        f"policy: {{admins: {{min: 1}}, limits: {{{limits}}}}}",
        "users:",
        *(f"  {login}: {{email: {login}@example.org}}" for login in ("olga", *people)),
        "groups:",
        *(f"  g{at}: [{', '.join(people[at::GROUPS])}]" for at in range(GROUPS)),
        "grants:",
        "  - {to: olga, role: admin, on: stats}",
    ]
    for at in range(GROUPS if granting else 0):
        for place, role in enumerate(("view", "edit", "manage")):
            lines.append(f"  - {{to: g{at}, role: {role}, sites: [{', '.join(sites[place::3])}]}}")
    return "\n".join(lines) + "\n"


@contextmanager
def sandbox(folder: Path, *, granted: bool) -> Iterator[tuple[dict[str, Any], int]]:
    """Serve that world by the earlier revision for as long as it is needed; give what it says of itself, and its process."""
    path = folder / "world.json"
    path.write_text(json.dumps(world(granted=granted)), encoding="utf-8")
    command = [sys.executable, "-m", "siteward", "sandbox", "matomo", "--world", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **_path(EARLIER)}) as served:
        try:
            assert served.stdout is not None
            yield json.loads(served.stdout.readline()), served.pid
        finally:
            served.terminate()


def first_apply(folder: Path, revision: Path) -> Applied:
    """Return what the apply of a first plan costs a revision."""
    work = _emptied(folder / "work")
    with sandbox(folder, granted=False) as (ready, process):
        (work / "access.yaml").write_text(declaration(ready["url"], granting=True), encoding="utf-8")
        _run(revision, work, ready, "plan", "--out", "plan.json")
        before = _processor_seconds(process)
        apply = _run(revision, work, ready, "apply", "plan.json", "--yes")
        return Applied(apply, _processor_seconds(process) - before)


def answers(folder: Path, rounds: int) -> dict[str, list[tuple[Cost, Cost]]]:
    """Return what each answer cost the earlier revision and this one, round by round."""
    work, costs = _emptied(folder / "answers"), {name: [] for name in ANSWERS}
    with sandbox(folder, granted=True) as (ready, _):
        (work / "access.yaml").write_text(declaration(ready["url"], granting=False), encoding="utf-8")
        for _ in range(rounds):
            for name, words in ANSWERS.items():
                pair = []
                for revision in (EARLIER, PROJECT):
                    (work / "imported.yaml").unlink(missing_ok=True)
                    pair.append(_run(revision, work, ready, *words))
                costs[name].append((pair[0], pair[1]))
    return costs


def measure(cache: Path, rounds: int) -> Iterator[tuple[str, str, float, float]]:
    """Yield each row of the table: what it is, the figures in words, the ratio and the most it should be.

    Raises `FileNotFoundError` without an earlier revision.
    """
    if not (EARLIER / "src" / "siteward").is_dir():
        raise FileNotFoundError(f"no earlier revision at {EARLIER}")
    folder = cache / "first-apply"
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(first_apply(folder, EARLIER), first_apply(folder, PROJECT)) for _ in range(rounds)]
    steps = f"{PEOPLE * (SITES + 1):,} steps"
    sides = [(before.apply, now.apply) for before, now in pairs]
    yield (f"apply of a first plan, {steps} / earlier", *_beside(sides), 1 / 6)
    peak = statistics.median(now.memory for _, now in sides) / 1e6
    yield f"  peak memory / {_MOST} MB", f"{peak:.0f} MB", peak / _MOST, 1.0
    own = statistics.median(now.apply.cpu for _, now in pairs)
    server = statistics.median(earlier.server for earlier, _ in pairs)
    yield "  our own / the earlier server's", f"{own:.1f} s of {server:.1f} s", own / server, 1.3
    for name, sides in answers(folder, rounds).items():
        yield (f"{name} of {PEOPLE * SITES:,} grants / earlier", *_beside(sides), 1 / 3)


def _beside(sides: list[tuple[Cost, Cost]]) -> tuple[str, float]:
    before, now = (statistics.median(map(CPU, side)) for side in zip(*sides, strict=True))
    peaks = [statistics.median(map(MEMORY, side)) / 1e6 for side in zip(*sides, strict=True)]
    told = f"{now:.1f} s of {before:.1f} s; {peaks[1]:.0f} MB of {peaks[0]:.0f} MB"
    return told, statistics.median(ours.cpu / theirs.cpu for theirs, ours in sides)


def _run(revision: Path, folder: Path, ready: Mapping[str, Any], *words: str) -> Cost:
    secrets = {f"SITEWARD_STATS_{name.upper()}": value for name, value in ready["credentials"].items()}
    command = [sys.executable, "-m", "siteward", *words]
    return once(Command(arguments=command, folder=folder, environment={**secrets, **_path(revision)}, leaves=_LEFT))


def _path(revision: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(revision / "src")}


def _processor_seconds(process: int) -> float:
    """Return the processor time of another process so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
