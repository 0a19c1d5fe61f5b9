"""A checkout that a branch has prepared: folders that look like a repository, and a `.env` brought along."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import pytest

from cli.conftest import AS_OF, Program
from cli.repo import commit, git

ALLOWED = (*AS_OF, "--allow-delete", "--passwords-out", "passwords.txt")


@pytest.fixture
def inner(checkout: Program) -> Program:
    """A declaration in a folder of a repository."""
    found = Program(checkout.folder / "declared", checkout.env)
    found.folder.mkdir()
    for name in ("access.yaml", "examples"):
        shutil.move(checkout.folder / name, found.folder / name)
    commit(checkout)
    checkout.write("more\n", "README")
    commit(checkout)
    return found


def looks_like_a_repository(program: Program) -> None:
    """Lay out what git takes for a bare repository; its commit is nowhere, and what it configures only names marks."""
    for name, text in {
        "HEAD": "ref: refs/heads/mark\n",
        "refs/heads/mark": "1" * 40 + "\n",
        "refs/heads/main": "1" * 40 + "\n",
        "objects/keep": "",
        "config": "[core]\n\tworktree = /nowhere\n[alias]\n\tstatus = !echo mark\n\tblame = !echo mark\n",
    }.items():
        program.write(text, name)


def verbs(program: Program) -> dict[str, Any]:
    """What the verbs say that ask git for something."""
    calls = {
        "validate": ("validate",),
        "validate --base": ("validate", "--base", "main~1"),
        "plan": ("plan", *ALLOWED),
        "plan --base": ("plan", *ALLOWED, "--base", "main~1"),
        "diff": ("diff", "main~1", *AS_OF),
        "review": ("review", *AS_OF),
    }
    return {name: program(*call, "--format", "json").json() for name, call in calls.items()}


def timeless(told: Any) -> Any:
    """Leave out when a plan was made, and what is counted or hashed from it."""
    if isinstance(told, dict):
        return {key: timeless(value) for key, value in told.items() if key not in {"created", "digest", "requests", "seconds"}}  # fmt: skip
    return [timeless(value) for value in told] if isinstance(told, list) else told


def test_a_folder_that_looks_like_a_repository_changes_nothing(inner: Program, checkout: Program) -> None:
    """Beside the declaration, where any branch can bring it: every verb answers as without it."""
    before = verbs(inner)
    head = git(checkout, "rev-parse", "HEAD")
    looks_like_a_repository(inner)
    assert git(inner, "rev-parse", "HEAD") == "1" * 40, "the control: git by itself takes it for one"
    after = verbs(inner)
    for name, told in before.items():
        assert timeless(after[name]) == timeless(told), name
    assert after["plan"]["plan"]["commit"] == head
    assert not after["plan"]["plan"].get("dirty")
    first = git(checkout, "rev-parse", "HEAD~1")
    assert {item["commit"][:12] for item in after["review"]["items"] if item["commit"]} == {first[:12]}
    assert "mark" not in json.dumps({name: after[name] for name in ("validate", "diff")})


def test_git_gets_no_credential_from_any_verb(inner: Program) -> None:
    """Each verb starts git with the repository named, and with nothing of the environment that is not its own."""
    seen, script, real = inner.folder.parent / "seen", inner.folder.parent / "bin" / "git", shutil.which("git")
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nenv >> "{seen}"\nprintf "ARGUMENT %s\\n" "$@" >> "{seen}"\nexec "{real}" "$@"\n')
    script.chmod(0o755)
    inner.env |= {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "GIT_DIR": "/nowhere"}
    for verb in ("validate --base main", "plan --base main", "drift", "diff main", "review", "matrix", "apply --yes"):
        seen.unlink(missing_ok=True)
        inner(*verb.split(), *(() if verb.startswith("validate") else AS_OF))
        text = seen.read_text()
        assert f"ARGUMENT --git-dir={inner.folder.parent / '.git'}\n" in text, verb
        assert "SITEWARD" not in text, verb
        assert "GIT_DIR" not in text, verb
        assert not any(value in text for value in inner.env.values() if "sandbox" in value), verb


def test_a_base_is_not_left_out_where_git_is_not_installed(checkout: Program) -> None:
    """A job about a change names its base by itself; without a git to ask for it nothing is judged by less."""
    commit(checkout)
    result = checkout("validate", "--format", "json", GITHUB_BASE_REF="main", PATH=str(checkout.folder))
    assert result.code == 1
    (told,) = result.json()["diagnostics"]
    assert told["code"] == "base-unreadable"
    assert "git is not installed" in told["message"]


# -- the .env beside the declaration


def dotenv(program: Program, text: str = "OTHER=1\n") -> None:
    program.write(text, ".env").chmod(0o600)


def test_a_dotenv_that_git_tracks_is_refused(checkout: Program) -> None:
    """What a branch can bring along chooses no credentials; taken out of git it is read again."""
    commit(checkout)
    dotenv(checkout)
    assert checkout("plan", *AS_OF).code == 2
    git(checkout, "add", "-f", ".env")
    for verb in ("plan", "drift", "doctor", "review"):
        result = checkout(verb)
        assert result.code == 1, result.out
        told = " ".join((result.out + result.err).split())
        assert ".env is tracked by git" in told
        assert "git rm --cached .env" in told
    git(checkout, "rm", "-q", "--cached", ".env")
    assert checkout("plan", *AS_OF).code == 2


def test_a_dotenv_is_refused_where_git_cannot_tell(checkout: Program) -> None:
    """A repository without a git to ask."""
    commit(checkout)
    dotenv(checkout)
    result = checkout("plan", *AS_OF, PATH=str(checkout.folder))
    assert result.code == 1
    assert "git is not installed" in result.out


def test_a_dotenv_that_is_a_link_is_refused(checkout: Program) -> None:
    """Also one that leads to a file which nobody else can read, or to nothing."""
    path = checkout.write("OTHER=1\n", "elsewhere")
    path.chmod(0o600)
    for target in ("elsewhere", "nothing"):
        (checkout.folder / ".env").symlink_to(target)
        result = checkout("plan", *AS_OF)
        assert result.code == 1
        assert ".env is a symbolic link" in result.out
        (checkout.folder / ".env").unlink()


@pytest.mark.parametrize("name", ["SITEWARD_STATS_PASSWORD_FILE", "SITEWARD_STATS_INSECURE", "X_COMMAND"])
def test_a_dotenv_holds_values_alone(checkout: Program, name: str) -> None:
    """The place and what to do are told."""
    dotenv(checkout, f"OTHER=1\n{name}=1\n")
    result = checkout("plan", *AS_OF)
    assert result.code == 1
    assert ".env:2: a .env file may" in result.out
    assert "set it in the environment" in result.out
