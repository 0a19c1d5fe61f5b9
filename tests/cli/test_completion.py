"""The completion scripts, in a real shell: verbs, options, values, and the names of the file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.conftest import base_environment

if TYPE_CHECKING:
    from cli.conftest import Program

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
ASK = """
source completion.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1))
_siteward_completion ./siteward "${COMP_WORDS[$COMP_CWORD]}" "" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("pl",), "plan"),
        (("plan", "--allow"), "--allow-delete"),
        (("plan", "--format", "mark"), "markdown"),
        (("plan", "--instance", ""), "stats"),
        (("explain", "kof"), "kofi-mensah"),
        (("explain", "anna", "sho"), "shop"),
        (("who-can", "view", "blog.e"), "blog.example.org"),
        (("grant", "kof"), "kofi-mensah"),
        (("grant", "analy"), "analysts"),
        (("elevate", "anna", "adm"), "admin"),
        (("revoke", "anna", "sho"), "shop"),
        (("revoke", "anna", "stat"), "stats"),
    ],
)
def test_bash_completes(words: tuple[str, ...], answer: str, checkout: Program) -> None:
    """What is begun is finished, also with names that only the file knows."""
    checkout.write(checkout("completion", "bash").out, "completion.bash")
    starter = checkout.write(f'#!/bin/sh\nexec "{sys.executable}" -m siteward "$@"\n', "siteward")
    starter.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "siteward", *words],
        cwd=checkout.folder, env=base_environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert answer in done.stdout.split(), done.stderr
