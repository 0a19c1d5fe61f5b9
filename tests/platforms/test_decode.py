"""Answers are decoded by many threads at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RACE = """
import sys
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-6)
from siteward.platforms.decode import converted, decoded
from siteward.platforms.piwikpro.rows import (
    GroupAccess, GroupLevel, MemberOf, Named, OpenModules, Page, PersonLevel, Rows, Switch, User, UserGroup
)
body = b'{"meta": {"total": 0}, "data": []}'
kinds = [kind[each] for each in (GroupAccess, GroupLevel, MemberOf, Named, PersonLevel, User, UserGroup)
         for kind in (Page, Rows)]
with ThreadPoolExecutor(8) as crew:
    for each in list(crew.map(lambda kind: decoded(kind, body), kinds * 4)):
        assert each.data == ()
    list(crew.map(lambda kind: converted(kind, {"data": []}), [Rows[OpenModules], Rows[Switch]] * 8))
print("whole")
"""


def test_many_threads_may_decode_a_kind_that_none_has_decoded_before() -> None:
    """In a process of its own, several times over: a race here ends the process and not the test."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", RACE], env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "whole"), done.stderr[-500:]
