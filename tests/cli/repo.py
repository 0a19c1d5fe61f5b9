"""A git repository around a program's folder, as a pull request would see it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import Program

WHO = {
    "GIT_AUTHOR_NAME": "Somebody", "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "Somebody", "GIT_COMMITTER_EMAIL": "somebody@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
}  # fmt: skip


def git(program: Program, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=program.folder, env=os.environ | WHO, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(program: Program, message: str = "Change access") -> str:
    """Commit everything that lies in the folder; begin a repository where there is none."""
    if not (program.folder / ".git").exists():
        git(program, "init", "-q", "-b", "main")
        if not (program.folder / ".gitignore").exists():
            program.write(".siteward/\n", ".gitignore")
    git(program, "add", "-A")
    git(program, "commit", "-q", "--allow-empty", "-m", message)
    return git(program, "rev-parse", "HEAD")


def edit(program: Program, *changes: tuple[str, str], name: str = "access.yaml") -> None:
    """Replace texts in a file, each of which must be there."""
    path = program.folder / name
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
