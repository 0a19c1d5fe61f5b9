"""The verifier in JavaScript takes what Siteward writes, and names the line of what was changed since."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from reconcile.one_of_each import CHANGES
from reconcile.small_world import Clock
from siteward.access.model import Access
from siteward.access.plan import Plan
from siteward.access.state import Live, Memory
from siteward.reconcile.journal.chain import erase_parts
from siteward.reconcile.journal.entries import Result
from siteward.reconcile.journal.journal import opened
from siteward.reconcile.journal.reading import path_of, recall
from siteward.transport.secrets import Secret

NODE = shutil.which("node")
VERIFIER = Path(__file__).parents[2] / "docs" / "verify-journal.mjs"
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node here")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sealed journal of one run, with names that are not ASCII."""
    clock, live = Clock(), Live(access=Access([]))
    plan = Plan(tool="", created=clock(), as_of=clock(), digest="sha256:0")
    with opened(tmp_path, "stats", key=Secret("a key that is long enough"), clock=clock) as journal:
        journal.begin(
            plan, live=live, platform="small", origin="", users={"ann": "ann"}, accounts=(), sites=1, grants=1
        )
        journal.intend(CHANGES)
        journal.record([Result(step=step, status="failed", message="Ünïon: “no”") for step in CHANGES])
        journal.end({"failed": 5}, Memory(last=live.access), live)
    return path_of(tmp_path, "stats")


def verified(path: Path, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        [NODE or "node", str(VERIFIER), str(path), *more], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_it_takes_what_is_written_also_after_parts_were_erased(path: Path) -> None:
    """And says the head that Siteward says."""
    head = recall(path).standing.head
    assert verified(path) == (0, f"5 records, head {head}\n")
    data = path.read_bytes()
    numbers = [number for number, line in enumerate(data.splitlines(), start=1) if b'"part":' in line]
    path.write_bytes(erase_parts(data, numbers))
    assert verified(path, head) == (0, f"5 records, head {head}\n")


def test_it_names_the_line_of_an_edit_a_gap_and_a_move(path: Path) -> None:
    """By its number, as Siteward does."""
    lines = path.read_bytes().splitlines(keepends=True)
    for at, line in enumerate(lines):
        middle = len(line) // 2
        edited = line[:middle] + bytes([line[middle] ^ 1]) + line[middle + 1 :]
        path.write_bytes(b"".join([*lines[:at], edited, *lines[at + 1 :]]))
        code, said = verified(path)
        assert (code, said.partition(": ")[0]) == (1, f"{path}:{at + 1}"), said
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert verified(path)[0] == 1
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    assert verified(path)[0] == 1


def test_a_cut_end_is_told_by_the_head_alone(path: Path) -> None:
    """A shorter journal is a valid one: only who knows a later head can tell."""
    head = recall(path).standing.head
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert verified(path)[0] == 0
    code, said = verified(path, head)
    assert (code, "no record has the sum" in said) == (1, True)


def test_it_stays_short() -> None:
    """At most 40 lines, so that anybody can read it before running it."""
    assert len(VERIFIER.read_text().splitlines()) <= 40
