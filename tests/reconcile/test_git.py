"""How git is started: where it is told to look, what it may see, and what of a repository it does not obey."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siteward.reconcile.project import commit_of
from siteward.reconcile.revisions import git
from siteward.reconcile.revisions.git import GitError, ask, ask_about_files, is_tracked, repository_of

REAL = shutil.which("git") or ""
pytestmark = pytest.mark.skipif(not REAL, reason="git is not installed")
WHO = {
    "GIT_AUTHOR_NAME": "Somebody", "GIT_AUTHOR_EMAIL": "somebody@example.org", "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
}  # fmt: skip
TEXT = "version: 1\n"


def plain(folder: Path, *arguments: str) -> str:
    """Run git as anybody would."""
    done = subprocess.run(
        [REAL, *arguments], cwd=folder, env=os.environ | WHO, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one commit of one file."""
    folder = tmp_path / "repo"
    folder.mkdir()
    plain(folder, "init", "-q", "-b", "main")
    (folder / "access.yaml").write_text(TEXT)
    plain(folder, "add", "-A")
    plain(folder, "commit", "-q", "-m", "Begin")
    return folder


def stand_in(folder: Path, lines: str) -> Path:
    """Write an executable shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / "git"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


# -- where it looks


def test_the_repository_is_found_by_walking_up(repo: Path) -> None:
    """Also from a folder below, through a link to it, and not from above."""
    below = repo / "teams" / "shop"
    below.mkdir(parents=True)
    (repo.parent / "link").symlink_to(below)
    for folder in (repo, below, repo.parent / "link"):
        found = repository_of(folder)
        assert found is not None
        assert (found.top, found.git_dir) == (repo, repo / ".git")
    assert repository_of(repo.parent) is None


def test_a_worktree_and_a_submodule_are_followed(repo: Path) -> None:
    """Their `.git` is a file that says where git keeps them."""
    plain(repo, "worktree", "add", "-q", "../other", "-b", "other")
    plain(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repo), "inner")
    for folder, kept in ((repo.parent / "other", "worktrees/other"), (repo / "inner", "modules/inner")):
        found = repository_of(folder)
        assert found is not None
        assert (found.top, found.git_dir) == (folder, repo / ".git" / kept)
        assert ask(folder, "rev-parse", "HEAD").decode().strip() == plain(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize("text", ["", "gitdir:", "gitdir: \n", "gitdir: nowhere\n", "words\n", "gitdir: a\0b\n", "gitdir: ..\n"])  # fmt: skip
def test_a_pointer_that_leads_nowhere_is_refused(repo: Path, text: str) -> None:
    """The repository above is not taken in its place."""
    below = repo / "below"
    below.mkdir()
    (below / ".git").write_text(text)
    with pytest.raises(GitError):
        ask(below, "rev-parse", "HEAD")
    assert commit_of(below) is None


def test_a_git_that_is_nothing_is_passed_by(repo: Path) -> None:
    """An empty folder, or a link in a circle: git goes on above as well."""
    below = repo / "below"
    below.mkdir()
    (below / ".git").mkdir()
    found = repository_of(below)
    assert found is not None
    assert found.top == repo
    (below / ".git").rmdir()
    (below / ".git").symlink_to(".git")
    assert repository_of(below) == found


def test_a_folder_that_looks_like_a_repository_is_passed_by(repo: Path) -> None:
    """What a branch can bring along is no repository, though git by itself would take it for one."""
    below = like_a_repository(repo / "below")
    assert plain(below, "rev-parse", "HEAD") == "1" * 40
    assert ask(below, "rev-parse", "HEAD").decode().strip() == plain(repo, "rev-parse", "HEAD")
    commit = commit_of(below)
    assert commit is not None
    assert commit.id == plain(repo, "rev-parse", "HEAD")


def like_a_repository(folder: Path) -> Path:
    """Lay out what git takes for a bare repository; its HEAD is a commit that is nowhere."""
    for part in ("objects", "refs/heads"):
        (folder / part).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/marker\n")
    (folder / "refs" / "heads" / "marker").write_text("1" * 40 + "\n")
    (folder / "config").write_text("[core]\n\tworktree = /nowhere\n[alias]\n\tstatus = !echo marker\n")
    return folder


# -- what it is started with


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that writes down how it was started, first on PATH; what the environment holds is what it must not get."""
    folder = tmp_path / "seen"
    folder.mkdir()
    script = stand_in(
        tmp_path / "bin",
        f'n=$(ls "{folder}" | wc -l)\nenv -0 > "{folder}/$n.env"\nprintf "%s\\0" "$@" > "{folder}/$n.args"\n'
        f'exec "{REAL}" "$@"',
    )
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in {
        "SITEWARD_STATS_PASSWORD": "s3cret", "SITEWARD_JOURNAL_KEY": "s3cret", "GITHUB_TOKEN": "s3cret",
        "GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "GIT_EXTERNAL_DIFF": "false",
        "GIT_CONFIG_PARAMETERS": "'alias.status'='!echo marker'", "GIT_CONFIG_COUNT": "1", "GIT_EXEC_PATH": "/nowhere",
        "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": "false", "GIT_SSH_COMMAND": "false",
        "GIT_ALLOW_PROTOCOL": "file", "XDG_CONFIG_HOME": "/nowhere", "LD_PRELOAD": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return folder


def started(seen: Path) -> list[tuple[list[str], dict[str, str]]]:
    """How git was started, each time: arguments and environment."""
    return [
        (
            (seen / f"{path.stem}.args").read_text().split("\0")[:-1],
            dict(part.split("=", 1) for part in path.read_text().split("\0")[:-1]),
        )
        for path in sorted(seen.glob("*.env"))
    ]


def test_git_is_told_everything_and_sees_little(repo: Path, seen: Path) -> None:
    """Each call names the repository, switches off what could start a program, and gets no credential."""
    ask(repo, "rev-parse", "HEAD")
    ask_about_files(repo, "blame", "--porcelain", "--", "access.yaml")
    assert commit_of(repo) is not None
    calls = started(seen)
    assert len(calls) == 5
    for arguments, env in calls:
        given = arguments[: next(at for at, argument in enumerate(arguments) if argument in {"rev-parse", "blame", "config", "status"})]  # fmt: skip
        assert {f"--git-dir={repo / '.git'}", f"--work-tree={repo}", "--no-pager", "--no-optional-locks",
                "--no-replace-objects"} <= set(given)  # fmt: skip
        settings = {given[at + 1] for at, argument in enumerate(given) if argument == "-c"}
        assert {"safe.bareRepository=explicit", "protocol.allow=never", f"core.hooksPath={os.devnull}",
                "core.fsmonitor=", "core.sshCommand=", "credential.helper=", "diff.external="} <= settings  # fmt: skip
        by_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
        assert env.keys() - by_shell == {"HOME", "PATH", *git._ENVIRONMENT}
        assert {name: env[name] for name in git._ENVIRONMENT} == dict(git._ENVIRONMENT)
        assert env["GIT_CONFIG_GLOBAL"] == os.devnull
        assert env["GIT_NO_LAZY_FETCH"] == env["GIT_ATTR_NOSYSTEM"] == env["GIT_CONFIG_NOSYSTEM"] == "1"
        assert env["GIT_TERMINAL_PROMPT"] == env["GIT_OPTIONAL_LOCKS"] == "0"
        assert "s3cret" not in " ".join((*arguments, *env.values()))


@pytest.mark.parametrize("first", ["", ".", "bin", "./bin"])
def test_git_is_not_taken_from_the_working_directory(first: str, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch that brings a program of that name is not run, whatever PATH says."""
    marker = repo / "marker"
    for folder in (repo, repo / "bin"):
        stand_in(folder, f'touch "{marker}"\nexit 1')
    monkeypatch.chdir(repo)
    monkeypatch.setenv("PATH", os.pathsep.join((first, str(Path(REAL).parent))))
    assert ask(repo, "rev-parse", "HEAD")
    assert not marker.exists()


def test_what_can_go_wrong_is_one_kind_of_failure(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No git, no repository, no answer, a refusal: each in words."""
    with pytest.raises(GitError, match="in no git repository"):
        ask(tmp_path, "rev-parse", "HEAD")
    with pytest.raises(GitError, match="Needed a single revision") as refusal:
        ask(repo, "rev-parse", "--verify", "nowhere")
    assert refusal.value.refused
    slow = stand_in(tmp_path / "slow", "exec sleep 20")
    monkeypatch.setattr(git, "SECONDS", 0.2)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(GitError, match=r"no answer within 0\.2 s"):
        ask(repo, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="not installed") as missing:
        ask(repo, "rev-parse", "HEAD")
    assert not missing.value.refused
    assert commit_of(repo) is None


# -- what it does not obey


def marking(tmp_path: Path, then: str) -> tuple[Path, str]:
    """Return a marker, and a command that leaves it."""
    marker = tmp_path / "marker"
    script = tmp_path / "mark"
    script.write_text(f'#!/bin/sh\ntouch "{marker}"\n{then}\n')
    script.chmod(0o755)
    return marker, str(script)


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.some.clean", "filter.so.me.clean", "filter.some.process"])
def test_nothing_that_a_repository_configures_is_run(repo: Path, tmp_path: Path, key: str) -> None:
    """Neither a monitor nor a filter that a branch's attributes choose; git by itself would run it."""
    marker, command = marking(tmp_path, "cat" if key.endswith("clean") else "exit 1")
    name = key.removeprefix("filter.").rpartition(".")[0]
    (repo / ".gitattributes").write_text(f"*.yaml filter={name}\n")
    plain(repo, "add", "-A")
    plain(repo, "commit", "-q", "-m", "Attributes")
    plain(repo, "config", key, command)
    marker.unlink(missing_ok=True)

    def touched() -> None:
        os.utime(repo / "access.yaml", (1, 1))

    touched()
    subprocess.run([REAL, "status"], cwd=repo, env=os.environ | WHO, capture_output=True, check=False)
    assert marker.exists(), "the control: so git does by itself"
    marker.unlink()
    touched()
    commit = commit_of(repo)
    assert commit is not None
    assert not commit.dirty
    assert b"access.yaml" in ask_about_files(repo, "blame", "--porcelain", "--", "access.yaml")
    assert not marker.exists()


def test_a_filter_that_no_option_can_name_is_a_failure(repo: Path) -> None:
    """What cannot be switched off is not asked."""
    plain(repo, "config", "filter.a=b.clean", "cat")
    with pytest.raises(GitError, match="cannot be switched off"):
        ask_about_files(repo, "status")
    assert commit_of(repo) is None


def test_replaced_objects_are_not_taken(repo: Path) -> None:
    """A commit is what its name says, not what the repository puts in its place."""
    first = plain(repo, "rev-parse", "HEAD")
    (repo / "access.yaml").write_text("version: 2\n")
    plain(repo, "commit", "-q", "-a", "-m", "Other")
    plain(repo, "replace", first, "HEAD")
    assert plain(repo, "show", f"{first}:access.yaml") == "version: 2"
    assert ask(repo, "cat-file", "blob", f"{first}:access.yaml") == TEXT.encode()


def test_nothing_is_fetched_while_reading(repo: Path, tmp_path: Path) -> None:
    """A partial clone says what it lacks, also where its configuration allows every protocol."""
    (repo / "access.yaml").write_text("version: 2\n")
    plain(repo, "commit", "-q", "-a", "-m", "Other")
    plain(repo, "config", "uploadpack.allowFilter", "true")
    plain(repo, "config", "uploadpack.allowAnySHA1InWant", "true")
    plain(tmp_path, "clone", "-q", "--filter=blob:none", repo.as_uri(), "part")
    part = tmp_path / "part"
    plain(part, "config", "protocol.file.allow", "always")
    missing = plain(part, "rev-list", "--objects", "--missing=print", "HEAD~1").splitlines()[-1]
    assert missing.startswith("?")
    with pytest.raises(GitError):
        ask(part, "cat-file", "blob", "HEAD~1:access.yaml")
    assert plain(part, "rev-list", "--objects", "--missing=print", "HEAD~1").splitlines()[-1] == missing


def test_whose_checkout_it_is_does_not_matter(repo: Path, tmp_path: Path) -> None:
    """CI runs as another user than the owner, and no `safe.directory` is asked for."""
    code = (
        "import sys, pathlib; from siteward.reconcile.project import commit_of;"
        "print(commit_of(pathlib.Path(sys.argv[1])).id)"
    )
    if os.getuid() != 0:
        pytest.skip("only root can give a checkout to somebody else")
    for path in (repo, *repo.rglob("*")):
        os.chown(path, 1234, 1234)
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "GIT_CONFIG_GLOBAL": ""}
    theirs = subprocess.run([REAL, "status"], cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert "dubious ownership" in theirs.stderr
    done = subprocess.run([sys.executable, "-c", code, str(repo)], env=env, capture_output=True, text=True, check=False)
    assert len(done.stdout.strip()) == 40, done.stderr


# -- what it tells


def test_a_commit_and_whether_files_differ(repo: Path, tmp_path: Path) -> None:
    """Changed, staged and deleted files count, others lying about do not; before a first commit there is none."""

    def dirty() -> bool:
        commit = commit_of(repo)
        assert commit is not None
        assert commit.id == plain(repo, "rev-parse", "HEAD")
        return commit.dirty

    assert not dirty()
    (repo / "other").write_text("")
    assert not dirty()
    plain(repo, "add", "other")
    assert dirty()
    plain(repo, "commit", "-q", "-m", "Other")
    (repo / "access.yaml").write_text("version: 3\n")
    assert dirty()
    (repo / "access.yaml").unlink()
    assert dirty()
    plain(tmp_path, "init", "-q", "empty")
    assert commit_of(tmp_path / "empty") is None


def test_a_tracked_file_is_known_in_any_case(repo: Path, tmp_path: Path) -> None:
    """On some disks `.ENV` is read as `.env`; a name is no pattern."""
    (repo / ".ENV").write_text("")
    assert not is_tracked(repo / ".env")
    plain(repo, "add", "-f", ".ENV")
    assert is_tracked(repo / ".env")
    assert not is_tracked(repo / ".en?")
    assert is_tracked(repo / "access.yaml")
    assert not is_tracked(tmp_path / ".env")
