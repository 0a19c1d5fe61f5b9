"""Every figure, as a ratio to a yardstick measured in the same run, in one table.

    python benchmarks/run.py [--rounds N] [--only NAME ...] [--laws] [--cache DIR]

No figure fails a run: a machine at work is no place for a timed test.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
sys.path[:0] = [str(PROJECT / "src"), str(HERE)]

import first_plan  # noqa: E402
import grants  # noqa: E402
import peers  # noqa: E402
from measure import CPU, MEMORY, WALL, Command, Cost, in_turn, median, ratio  # noqa: E402

SIZES = (1_000, 10_000, 100_000)
SMALL = """\
version: 1
instances:
  stats: {platform: umami, url: https://stats.example.org, self: siteward, layout: per-site}
sites:
  shop: {domain: shop.example.org, tags: [acme]}
  blog: {domain: blog.example.org}
users:
  anna: {email: anna@example.org, name: Anna Berg}
  ben: {email: ben@example.org}
  jonas: {email: jonas@partner.test, kind: contractor, until: 2027-03-31}
groups:
  analysts:
    - anna
    - ben
grants:
  - {to: analysts, role: view, sites: "tag:acme"}
  - {to: jonas, role: edit, sites: blog}
  - {to: anna, role: admin, on: stats}
policy:
  timezone: Europe/Berlin
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what was measured, the figures in words, the ratio, and the most or least it should be."""

    what: str
    told: str
    ratio: float | None = None
    goal: float | None = None
    least: float | None = None

    def __str__(self) -> str:
        if self.ratio is None:
            return f"{self.what:<58} {'':>7} {'':>7}  {self.told}"
        goal = f"≤ {self.goal:.2f}" if self.goal else f"≥ {self.least:.1f}" if self.least else ""
        missed = "  MISSED" if self.ratio > (self.goal or self.ratio) or self.ratio < (self.least or 0) else ""
        return f"{self.what:<58} {self.ratio:>7.2f} {goal:>7}  {self.told}{missed}"


def startup(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield what it takes to begin, beside importing click."""
    file = cache / "small.yaml"
    file.write_text(SMALL, encoding="utf-8")
    siteward = [sys.executable, "-m", "siteward"]
    costs = in_turn(
        {
            "click": Command(arguments=[sys.executable, "-c", "import click"]),
            "help": Command(arguments=[*siteward, "--help"]),
            "validate": Command(arguments=[*siteward, "validate", "-c", file]),
            "least": Command(
                arguments=[sys.executable, "-c", "import click, yaml, msgspec; msgspec.defstruct('M', [('a', int, 0)])"]
            ),
        },
        rounds * 3,
    )
    base = costs["click"]
    yield _beside("siteward --help / import click", costs["help"], base, 1.15)
    yield _beside("siteward validate, 20 lines / import click", costs["validate"], base, 2.7)
    yield _beside("  for scale: click, yaml and one struct / same", costs["least"], base)


def offline(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield the offline pipeline beside the reference and beside other tools."""
    commands = {f"own {size}": _pipeline(cache, size) for size in SIZES}
    commands |= {f"ref {size}": _reference(cache, size) for size in SIZES[1:]}
    costs = in_turn(commands, rounds)
    for size in SIZES[1:]:
        own, base = costs[f"own {size}"], costs[f"ref {size}"]
        goal = 1.2 if size == 10_000 else 1.6
        yield _beside(f"offline plan, {size:,} grants / reference", own, base, goal)
        told = f"{median(own, MEMORY) / 1e6:.0f} MB of {median(base, MEMORY) / 1e6:.0f} MB"
        yield Row(what="  peak memory / reference", told=told, ratio=ratio(own, base, MEMORY), goal=1.2)
    yield _linear(costs)


def first(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield a first plan beside that of an earlier revision, and octoDNS creating as many records beside it."""
    sources = {"own": PROJECT / "src", "reference": _earlier() / "src"}
    what = f"first plan, {first_plan.STEPS:,} steps"
    with first_plan.commands(cache, sources) as commands:
        costs = in_turn(commands, rounds)
        yield from _against(what, costs["own"], costs["reference"], goal=1 / 6, most=200)
        data = cache / "theirs-all"
        if not data.exists():
            script = grants.YARDSTICKS / "gen.py"
            subprocess.run([sys.executable, script, "--n", "100000", "--out", data], check=True, capture_output=True)
        zone = data / "100000" / "octodns"
        for live in (zone / "target").glob("*.yaml"):
            live.write_text("---\n{}\n", encoding="utf-8")
        costs = in_turn({"own": commands["own"], "octodns": peers.octodns(cache / "peers", data / "100000")}, rounds)
    yield _beside("  octoDNS, 100,000 records to create / ours", costs["octodns"], costs["own"], least=10)


def million(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield the offline plan of a million effective rights beside that of an earlier revision."""
    kept = cache / "million"
    if not (kept / "access.yaml").exists():
        script = grants.YARDSTICKS / "million.py"
        subprocess.run([sys.executable, script, kept, "20000", "200", "400", "50"], check=True, capture_output=True)
        # A small parent, or its memory would count as its children's.
        subprocess.run([sys.executable, HERE / "grants.py", "change", kept, cache / "million-changed"], check=True)
    earlier = _earlier()
    commands = {
        "own": _offline(PROJECT, kept),
        "reference": _offline(earlier, kept),
        "changed": _offline(PROJECT, cache / "million-changed"),
    }
    costs = in_turn(commands, rounds)
    yield from _against("1,000,000 rights, unchanged", costs["own"], costs["reference"], goal=0.5, most=700)
    yield _beside("  1 % of them changed / unchanged", costs["changed"], costs["own"], 1.3)


def others(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield octoDNS and ldap2pg beside our pipeline."""
    for size, least in ((10_000, 16), (100_000, 30)):
        commands = {"own": _pipeline(cache, size), "octodns": peers.octodns(cache / "peers", _theirs(cache, size))}
        costs = in_turn(commands, rounds)
        yield _beside(f"octoDNS plan, {size:,} records / ours", costs["octodns"], costs["own"], least=least)
    with peers.ldap2pg(cache / "peers", _theirs(cache, 10_000)) as command:
        costs = in_turn({"own": _pipeline(cache, 10_000), "ldap2pg": command}, rounds)
    yield _beside("ldap2pg --dry, 10,000 memberships / ours", costs["ldap2pg"], costs["own"], least=3.9)


def socket(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield reading a large Umami beside its four bare requests."""
    import reading  # noqa: PLC0415 — a small parent, or its memory would count as its children's

    raw, own, times = reading.measure(cache, rounds * 3)
    what = f"read {reading.USERS:,} users, {reading.SITES:,} teams, {reading.SITES:,} sites / four requests"
    yield Row(what=what, told=f"{own * 1000:.0f} ms of {raw * 1000:.0f} ms, wall", ratio=times, goal=0.85)


def matomo(_cache: Path, _rounds: int) -> Iterator[Row]:
    """Yield reading and rebuilding a Matomo of 300 users and 200 sites, in requests and beside the server's own time."""
    import matomo as large  # noqa: PLC0415 — a small parent, or its memory would count as its children's

    for what, leg, most in zip(("read", "14,700 rows rebuilt"), large.measure(), (3, 30), strict=True):
        named = f"Matomo, {large.USERS} users, {large.SITES} sites: {what}"
        yield Row(
            what=f"{named}, requests",
            told=f"{leg.requests} requests, at most {most}",
            ratio=leg.requests / most,
            goal=1.0,
        )
        told = f"{leg.seconds * 1000:.0f} ms of {leg.server * 1000:.0f} ms, wall"
        yield Row(what=f"{named}, time / the server's", told=told, ratio=leg.seconds / leg.server)


def apply(cache: Path, rounds: int) -> Iterator[Row]:
    """Yield the apply of a first plan of 100,000 steps, and the answers to as many grants, beside an earlier revision."""
    import first_apply  # noqa: PLC0415 — a small parent, or its memory would count as its children's

    for what, told, figure, goal in first_apply.measure(cache, _earlier(), rounds):
        yield Row(what=what, told=told, ratio=figure, goal=goal)


def matrix(cache: Path, _rounds: int) -> Iterator[Row]:
    """Yield what a browser has to do for the matrix of 2,000 people on 500 sites."""
    import pages  # noqa: PLC0415 — a small parent, or its memory would count as its children's

    seen = pages.measure(cache)
    named = f"matrix page, {pages.PEOPLE:,} people on {pages.SITES} sites"
    yield Row(
        what=f"{named}: rows in it, at most",
        told=f"{seen.rows} rows; {seen.size / 1e6:.1f} MB",
        ratio=seen.rows / 300,
        goal=1.0,
    )
    for what, tasks in (("opening", seen.opening), ("scrolling", seen.scrolling)):
        told = f"{len(tasks)} long tasks, {sum(tasks):.0f} ms together, the longest {max(tasks, default=0):.0f} ms"
        yield Row(what=f"{named}: {what}", told=told)


def laws(_cache: Path, _rounds: int) -> Iterator[Row]:
    """Yield how long the laws take on 1,000 random worlds each."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "tests/spine", "tests/laws"]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, "HYPOTHESIS_PROFILE": "thorough"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stdout.strip().splitlines() or ["nothing was run"])[-1].strip("= ")
    yield Row(what="the laws on 1,000 random worlds", told=f"{time.monotonic() - begin:.0f} s: {last}")


PARTS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    "startup": startup,
    "offline": offline,
    "first": first,
    "apply": apply,
    "million": million,
    "others": others,
    "socket": socket,
    "matomo": matomo,
    "matrix": matrix,
    "laws": laws,
}


def _beside(
    what: str, own: list[Cost], base: list[Cost], goal: float | None = None, *, least: float | None = None
) -> Row:
    """Return a row on processor time, which other work on the machine moves least; wall time is told beside it."""
    told = f"{median(own, CPU) * 1000:.0f} ms of {median(base, CPU) * 1000:.0f} ms; wall ratio {ratio(own, base, WALL):.2f}"
    return Row(what=what, told=told, ratio=ratio(own, base, CPU), goal=goal, least=least)


def _against(what: str, own: list[Cost], base: list[Cost], *, goal: float, most: int) -> Iterator[Row]:
    """Yield the rows of processor time beside an earlier revision's, and of peak memory beside the most it should be."""
    yield _beside(f"{what} / earlier revision", own, base, goal)
    told = f"{median(own, MEMORY) / 1e6:.0f} MB, at most {most} MB; {median(base, MEMORY) / 1e6:.0f} MB before"
    yield Row(what="  peak memory / the most", told=told, ratio=median(own, MEMORY) / 1e6 / most, goal=1.0)


def _earlier() -> Path:
    """Return the checkout of an earlier revision; raises `FileNotFoundError` where the variable names none."""
    if grants.REFERENCE is None or not (grants.REFERENCE / "src").is_dir():
        raise FileNotFoundError("REFERENCE names no checkout of an earlier revision")
    return grants.REFERENCE


def _offline(checkout: Path, folder: Path) -> Command:
    script = checkout / "benchmarks" / "offline_plan.py"
    return Command(arguments=[sys.executable, script, folder], environment={"PYTHONPATH": str(checkout / "src")})


def _linear(costs: dict[str, list[Cost]]) -> Row:
    """Return how the price of one more grant grows beyond 10,000 of them."""
    times = [median(costs[f"own {size}"], CPU) for size in SIZES]
    first, second = (
        (after - before) / (more - fewer) * 1e6
        for before, after, fewer, more in zip(times, times[1:], SIZES, SIZES[1:], strict=False)
    )
    told = f"{second:.1f} µs a grant up to 100,000, {first:.1f} µs up to 10,000"
    return Row(what="  one more grant at 100,000 / at 10,000", told=told, ratio=second / first, goal=1.2)


def _pipeline(cache: Path, size: int) -> Command:
    folder = cache / "own" / str(size)
    grants.gen()
    if not (folder / "access.yaml").exists():
        subprocess.run([sys.executable, HERE / "grants.py", folder, str(size)], check=True)
    return Command(arguments=[sys.executable, HERE / "offline_plan.py", folder])


def _reference(cache: Path, size: int) -> Command:
    script = grants.YARDSTICKS / "ref_plan.py"
    return Command(arguments=[sys.executable, script, "--variant", "own", "--dir", _theirs(cache, size)])


def _theirs(cache: Path, size: int) -> Path:
    """Return the folder with the same grants in everybody else's formats."""
    folder = cache / "theirs"
    if not (folder / str(size)).exists():
        script = grants.YARDSTICKS / "gen.py"
        subprocess.run([sys.executable, script, "--n", str(size), "--out", folder], check=True, capture_output=True)
    return folder / str(size)


def _rows(name: str, cache: Path, rounds: int) -> Iterator[Row]:
    try:
        yield from PARTS[name](cache, rounds)
    except (FileNotFoundError, peers.AbsentError) as missing:
        yield Row(what=f"({name})", told=f"left out: {missing}")


def main() -> None:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=None)
    parser.add_argument("--laws", action="store_true", help="also the laws on 1,000 random worlds, which take minutes")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "siteward-benchmarks")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    # An installed program has its byte code; ours gets it in the first round, which is not counted.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ |= {"PYTHONPATH": str(PROJECT / "src"), "PYTHONPYCACHEPREFIX": str(given.cache / "bytecode")}
    print(f"{'':<58} {'ratio':>7} {'goal':>7}  processor time unless it says wall, medians of {given.rounds} rounds")
    wanted = given.only or [part for part in PARTS if part != "laws" or given.laws]
    for name in (part for part in PARTS if part in wanted):
        for row in _rows(name, given.cache, given.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()
