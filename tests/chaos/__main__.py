"""Play random stories of faulted applies: `python -m chaos --runs 500 --first 0`, or one of them: `--seed 17`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from chaos.story import Ended, play, release_of


def run(seed: int) -> Ended:
    """Play one story; what it raises is wrong too."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        try:
            return play(seed, Path(folder))
        except Exception:  # noqa: BLE001 — whatever a story raises belongs into its report
            return Ended(seed, *release_of(seed), wrong=[traceback.format_exc()])


def main() -> int:
    """Play the stories that the command line asks for; return 1 where one of them is wrong."""
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--release", default="")
    asked = parser.parse_args()
    seeds = [asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.runs)
    played, wrong, writes, since = Counter[str](), list[int](), 0, time.monotonic()
    try:
        for seed in seeds:
            if asked.release and asked.release not in release_of(seed):
                continue
            ended = run(seed)
            played[f"{ended.platform} {ended.release}"] += 1
            writes += ended.writes
            if ended.wrong or asked.seed is not None:
                wrong += [seed] if ended.wrong else []
                say(ended, whole=asked.seed is not None)
    except KeyboardInterrupt:
        print("interrupted")
    print(
        f"{sum(played.values())} runs, {writes} writes, {time.monotonic() - since:.0f} s: {dict(sorted(played.items()))}"
    )
    print(f"wrong: {wrong}" if wrong else "nothing wrong")
    return bool(wrong)


def again(seed: int) -> str:
    """Return the command that plays a story again."""
    return f"again: make chaos SEED={seed}"


def say(ended: Ended, *, whole: bool) -> None:
    """Print what is wrong with a story, and how to play it again."""
    print(f"seed {ended.seed} ({ended.platform} {ended.release}): {', '.join(map(str, ended.blows))}")
    for words in [*(ended.told if whole else ()), *(f"WRONG {words}" for words in ended.wrong)]:
        print(f"  {words}")
    print(f"  {again(ended.seed)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
