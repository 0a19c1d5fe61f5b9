"""Feed mutated inputs to the program: `python -m fuzz --inputs 10000`, or one of them: `--driver answers --seed 17`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fuzz import answers, declarations, stored
from fuzz.bounds import check

DRIVERS: dict[str, Callable[[int, Path], str | None]] = {
    "declarations": declarations.play,
    "stored": stored.play,
    "answers": answers.play,
}


def run(driver: str, seed: int) -> list[str]:
    """Feed one input; return what is wrong."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        return check(Path(folder), lambda inside: DRIVERS[driver](seed, inside))


def again(driver: str, seed: int) -> str:
    """Return the command that feeds an input again."""
    return f"again: make fuzz DRIVER={driver} SEED={seed}"


def main() -> int:
    """Feed the inputs that the command line asks for; return 1 where one of them is wrong."""
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--driver", choices=sorted(DRIVERS))
    asked = parser.parse_args()
    sys.dont_write_bytecode = True
    failed = False
    for driver in [asked.driver] if asked.driver else DRIVERS:
        seeds = [asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.inputs)
        wrong, since = [], time.monotonic()
        for seed in seeds:
            if found := run(driver, seed):
                wrong.append(seed)
                print(f"{driver}, seed {seed}:", *found, again(driver, seed), sep="\n  ", flush=True)
        print(f"{driver}: {len(seeds)} inputs, {time.monotonic() - since:.0f} s, wrong: {wrong or 'none'}", flush=True)
        failed = failed or bool(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
