"""Who has committed to a change, by the addresses in its commits, of a merge, of one commit, and where they are not there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, declared
from siteward.reconcile.revisions.committers import committers_of, handles_of

if TYPE_CHECKING:
    from pathlib import Path

TRAILER = "More\n\nCo-authored-by: Zoe <77+Zoe-Z@users.noreply.github.com>\nCo-authored-by: Eve <eve@x.org>"


def git(folder: Path, *arguments: str, author: str = "anna", committer: str = "anna") -> str:
    who = {
        f"GIT_{role}_{what}": value
        for role, name in (("AUTHOR", author), ("COMMITTER", committer))
        for what, value in (("NAME", name), ("EMAIL", f"{name}@x.org"))
    }
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | who | settings, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A main branch of one commit, and a branch beside it with two, of ben and cem, and of dora with two co-authors."""
    folder = tmp_path / "there"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "First", author="fay", committer="fay")
    git(folder, "checkout", "-q", "-b", "change")
    git(folder, "commit", "-q", "--allow-empty", "-m", "One", author="BEN", committer="cem")
    git(folder, "commit", "-q", "--allow-empty", "-m", TRAILER, author="dora", committer="dora")
    return folder


def test_of_a_merge_they_are_those_of_its_branch(repository: Path) -> None:
    """Authors, committers and co-authors, folded; neither who was there before nor who merged."""
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "Merge", "change")
    merged = git(repository, "rev-parse", "HEAD")
    addresses = committers_of(repository, merged)
    assert addresses is not None
    assert set(addresses) == {"ben@x.org", "cem@x.org", "dora@x.org", "eve@x.org", "77+zoe-z@users.noreply.github.com"}
    users = "users: {ben: {email: Ben@x.org}, zora: {forge: {github: zoe-z}}, yan: {forge: {gitlab: zoe-z}}, gil: {email: gil@x.org}}\n"
    assert handles_of(addresses, declared(repository, HEAD + users), "github") == {"ben", "zora"}


def test_of_one_commit_they_are_its_author_and_co_authors(repository: Path) -> None:
    """A forge that squashes puts who merges in the committer's place."""
    git(repository, "commit", "-q", "--amend", "--allow-empty", "--no-edit", committer="merger")
    found = committers_of(repository, git(repository, "rev-parse", "HEAD"))
    assert found is not None
    assert set(found) == {"dora@x.org", "eve@x.org", "77+zoe-z@users.noreply.github.com"}


def test_what_is_not_there_is_not_known(repository: Path, tmp_path: Path) -> None:
    """No such commit, a name that is no commit's, no repository, or a copy without the commits of the branch."""
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "Merge", "change")
    merged = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    assert committers_of(repository, "0" * 40) is None
    assert committers_of(repository, "--all") is None
    (tmp_path / "empty").mkdir()
    assert committers_of(tmp_path / "empty", merged) is None
    assert committers_of(tmp_path / "shallow", merged) is None
