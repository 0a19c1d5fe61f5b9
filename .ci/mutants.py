"""Puts single faults into the core and says how many of them its own tests notice.

mutmut makes all mutants of `access`, `declaration` and `reconcile` (about twenty-five thousand, more than a night can try),
and this script tries a random sample of them. Survivors that are no fault are listed with a reason in
`.ci/survivors.toml`. It ends with 1 where fewer than `--least` percent of the others were noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MUTANTS = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = {1, 3, 24, 36, 152, 255, -24, -11, -9}
"""Exit codes of a mutant whose tests failed, ran for ever or crashed."""
SURVIVED = 0


def run(*arguments: str) -> None:
    """Run mutmut, whose spinner goes to a file.

    Property tests draw few examples, since a survivor waits for all tests that reach it: what is noticed so is noticed
    by the whole suite too.
    """
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "quick"}
    with (ROOT / "mutants.log").open("w", encoding="utf-8") as log:
        subprocess.run([MUTMUT, "run", *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log, check=False)


def results() -> dict[str, int | None]:
    """Return the exit code of every mutant; `None` for one that was not tried."""
    found: dict[str, int | None] = {}
    for path in MUTANTS.rglob("*.meta"):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def difference(mutant: str) -> tuple[str, str]:
    """Return the lines that a mutant takes out and those that it puts in."""
    shown = subprocess.run([MUTMUT, "show", mutant], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if not line.startswith(("---", "+++"))]
    sides = (("\n".join(line[1:].strip() for line in lines if line.startswith(sign))) for sign in "-+")
    before, after = sides
    return before, after


def excused() -> set[tuple[str, str]]:
    """Return the survivors that are no fault."""
    listed = tomllib.loads((ROOT / ".ci" / "survivors.toml").read_text(encoding="utf-8"))["survivor"]
    return {(entry["before"], entry["after"]) for entry in listed}


def main() -> int:
    """Try a sample and report it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=600)
    parser.add_argument("--seed", type=int, default=None, help="the same number draws the same sample")
    parser.add_argument("--least", type=float, default=85.0, help="percent that must be noticed")
    given = parser.parse_args()
    run("no mutant has this name: make them all and try none")
    every = sorted(results())
    if not every:
        print(f"mutmut made no mutants; see {ROOT / 'mutants.log'}")
        return 1
    seed = random.randrange(2**32) if given.seed is None else given.seed  # noqa: S311 — a sample, no secret
    sample = random.Random(seed).sample(every, min(given.sample, len(every)))  # noqa: S311 — a sample, no secret
    run(*sample)
    codes = results()
    noticed = [mutant for mutant in sample if codes[mutant] in NOTICED]
    reasons = excused()
    survivors = {mutant: difference(mutant) for mutant in sample if codes[mutant] == SURVIVED}
    told = {mutant: sides for mutant, sides in survivors.items() if sides not in reasons}
    for mutant, (before, after) in told.items():
        print(f"{mutant}\n  - {before}\n  + {after}")
    for room, count in sorted(Counter(mutant.split(".")[1] for mutant in (*noticed, *told)).items()):
        dead = sum(mutant.split(".")[1] == room for mutant in noticed)
        print(f"{room}: {dead} of {count} noticed")
    tried = len(noticed) + len(told)
    rate = 100 * len(noticed) / tried if tried else 0.0
    print(
        f"seed {seed}: {len(sample)} of {len(every)} drawn, {len(sample) - len(noticed) - len(survivors)} that no test"
        f" of the three rooms runs, {len(survivors) - len(told)} excused; {rate:.1f} % of {tried} noticed"
    )
    return 0 if rate >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
