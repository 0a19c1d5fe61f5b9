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
NAMED = ("-c", "user.name=x", "-c", "user.email=x@example.org")
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
        (("who-can", "adm"), "admin"),
        (("adopt", "us"), "user:"),
        (("grant", "kof"), "kofi-mensah"),
        (("grant", "analy"), "analysts"),
        (("elevate", "anna", "adm"), "admin"),
        (("revoke", "anna", "sho"), "shop"),
        (("revoke", "anna", "stat"), "stats"),
        (("-C", "..", "plan", "--instance", ""), ""),
        (("-C", "beside", "plan", "--instance", ""), "other"),
        (("plan", "-C", "beside", "--instance", ""), "other"),
        (("diff", "ma"), "main"),
        (("diff", "main", "HE"), "HEAD"),
        (("plan", "--base", "ma"), "main"),
        (("import", "--same", "kof"), "kofi-mensah"),
    ],
)
def test_bash_completes(words: tuple[str, ...], answer: str, checkout: Program) -> None:
    """What is begun is finished, also with names that only the file knows."""
    checkout.write(checkout("completion", "bash").out, "completion.bash")
    checkout.write(
        "version: 1\ninstances: {other: {platform: umami, url: 'http://127.0.0.1:1', layout: existing}}\n",
        "beside/access.yaml",
    )
    for words_of_git in (("init", "-q", "-b", "main"), ("add", "access.yaml"), ("commit", "-qm", "Begin")):
        subprocess.run(["git", *NAMED, *words_of_git], cwd=checkout.folder, check=True)
    starter = checkout.write(f'#!/bin/sh\nexec "{sys.executable}" -m siteward "$@"\n', "siteward")
    starter.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "siteward", *words],
        cwd=checkout.folder, env=base_environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert answer in (done.stdout.split() or [""]), done.stderr


@pytest.mark.parametrize(
    ("words", "kind"),
    [(("-C", "bes"), "dir"), (("plan", "-C", "bes"), "dir"), (("-c", "acc"), "file"), (("plan", "-c", "acc"), "file"),
     (("apply", "pla"), "file"), (("import", "--out", "acc"), "file"), (("plan", "-o", "pag"), "file")],
)  # fmt: skip
def test_paths_are_left_to_the_shell(words: tuple[str, ...], kind: str, program: Program) -> None:
    """It knows best which files and folders there are."""
    asked = {
        "_SITEWARD_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("siteward", *words)),
        "COMP_CWORD": str(len(words)),
    }
    assert program(**asked).out == f"{kind},{words[-1]}\n"
