"""Converting a folder of somebody's access files, and taking it through a sandbox: validate, plan, apply, plan again.

`python benchmarks/real/run.py kubernetes FOLDER umami`; the folder holds the files of that source. What is printed has no
name in it: people, groups, sites, lines, and for each command its exit code, seconds, peak of memory and last words.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from converted import SELF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converted import Converted

SOURCES = ("kubernetes", "rust", "jenkins")
PROGRAM = [sys.executable, "-m", "siteward"]
INSTANCE = "stats"
COUNTED = re.compile(r"^(Plan|Result|valid|.* errors?)\b.*", re.MULTILINE)


def main() -> int:
    """Convert and go the whole way; leave with 1 where the second plan is not empty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("platform", choices=("umami", "matomo"))
    parser.add_argument("--everybody", metavar="PATTERN", help="the sites that every member may view (kubernetes)")
    given = parser.parse_args()
    more = {"everybody": given.everybody} if given.everybody else {}
    made: Converted = importlib.import_module(given.source).convert(given.folder, INSTANCE, **more)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made.write(folder, given.platform, "http://127.0.0.1:9", INSTANCE)
        print(describe(made, folder))
        sandbox = subprocess.Popen(
            [*PROGRAM, "sandbox", given.platform, "--world", str(folder / "world.json")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert sandbox.stdout is not None
            ready = json.loads(sandbox.stdout.readline())
            made.write(folder, given.platform, ready["url"], INSTANCE)
            return go(folder, {**ready["credentials"], "self": SELF[given.platform]})
        finally:
            sandbox.terminate()
            sandbox.wait()


def describe(made: Converted, folder: Path) -> str:
    """Return the size of a declaration, and what its converter noted."""
    included = [rows for _, rows in made.included.values()]
    groups = len(made.groups) + sum(len(rows["groups"]) for rows in included)
    grants = len(made.grants) + sum(len(rows["grants"]) for rows in included)
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in folder.glob("*.yaml"))
    size = f"{len(made.users)} users, {groups} groups, {len(made.sites)} sites, {grants} grants; {lines} lines of YAML"
    return "\n".join([f"{size} in {1 + len(included)} files", *(f"noted: {note}" for note in made.notes)])


def go(folder: Path, credentials: Mapping[str, str]) -> int:
    """Run the commands one after the other; return 1 where one fails, or the second plan is not empty."""
    environment = {f"SITEWARD_{INSTANCE.upper()}_{name.upper()}": value for name, value in credentials.items()}
    codes = [
        timed(folder, environment, *words)
        for words in (
            ("validate",),
            ("plan", "--out", "plan.json"),
            ("apply", "plan.json", "--yes", "--passwords-out", "passwords.txt"),
            ("plan",),
        )
    ]
    return 0 if codes == [0, 2, 0, 0] else 1


def timed(folder: Path, environment: Mapping[str, str], *words: str) -> int:
    """Run a command in a folder and print its exit code, seconds, peak of memory and last words; return the code."""
    begin = time.perf_counter()
    with (folder / "said.txt").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [*PROGRAM, *words],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        told = [found.group(0) for found in COUNTED.finditer(said.read())]
    seconds, memory = time.perf_counter() - begin, used.ru_maxrss // 1024
    print(
        f"{words[0]:9} exit {process.returncode}  {seconds:7.1f} s  {memory:5} MB  {' · '.join(told[-2:])}", flush=True
    )
    return process.returncode


if __name__ == "__main__":
    raise SystemExit(main())
