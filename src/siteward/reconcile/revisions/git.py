"""The one place that starts git.

A branch brings its own files, so nothing of a checkout is obeyed that a branch can bring: no folder that looks like a
repository, no attribute that names a filter. The repository is found by walking up to `.git`, which git keeps out of
every tree, and each call names it. What a repository's own configuration could start (hooks, monitors, filters,
remote helpers, a pager) is switched off for every call, so that it does not matter who owns the checkout: CI often
runs as another user. The configuration of the system and of the user is not read; the environment holds no
credential.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECONDS = 60.0
"""How long git may take for one answer."""

_POINTER = b"gitdir: "
_MOST_POINTER_BYTES = 8192
_KEPT = ("HOME", "SYSTEMROOT")
"""The variables that git gets beside PATH; HOME because a repository may include a file by `~`."""

_ENVIRONMENT = {
    "LANG": "C",
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "none",  # wins over `protocol.*.allow`, and git hands it to what it starts
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": ":",
    "GIT_NO_LAZY_FETCH": "1",  # git 2.44 and newer; before, the protocols that are not allowed have to do
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
}
_SETTINGS = (
    "safe.bareRepository=explicit",
    "protocol.allow=never",
    f"core.hooksPath={os.devnull}",
    f"core.attributesFile={os.devnull}",
    "core.fsmonitor=",
    "core.sshCommand=",
    "core.gitProxy=",
    "credential.helper=",
    "diff.external=",
    "submodule.recurse=false",
    "blame.ignoreRevsFile=",
)
_OPTIONS = ("--no-pager", "--no-optional-locks", "--no-replace-objects")
_FILTER = re.compile(r"filter\.(?P<name>.*)\.(?:clean|smudge|process|required)", re.DOTALL)


class GitError(Exception):
    """Git cannot be asked, or answered with a refusal (`refused`); `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None, *, refused: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.refused = refused


class Repository(Struct, frozen=True, kw_only=True):
    """A repository: the top of its checkout, and the folder in which git keeps it."""

    top: Path
    git_dir: Path


def repository_of(folder: Path) -> Repository | None:
    """Return the repository whose checkout a folder lies in, if any; git is not asked."""
    start = folder.resolve()
    for top in (start, *start.parents):
        git_dir = _git_dir(top / ".git")
        if git_dir is not None:
            return Repository(top=top, git_dir=git_dir)
    return None


def ask(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Return what git answers about the repository of `folder`, from there, with `given` as its input.

    Raises `GitError` where there is no repository, no git, no answer within `SECONDS`, or an answer that is a refusal.
    """
    return _run(folder, arguments, given=given)


def ask_about_files(folder: Path, *arguments: str) -> bytes:
    """Return what git answers to a question for which it reads the files of the checkout; raises `GitError`.

    Git puts what it reads through the filters that `.gitattributes` choose, and those are programs. A branch brings
    the attributes, so each filter that the repository knows is emptied for the call.
    """
    return _run(folder, arguments, settings=_without_filters(_run(folder, ("config", "--list", "--name-only", "-z"))))


def is_tracked(path: Path) -> bool:
    """Return whether git tracks a file, in whatever case its name is written. Raises `GitError`."""
    if repository_of(path.parent) is None:
        return False
    return bool(ask(path.parent, "ls-files", "-z", "--", f":(icase,literal){path.name}"))


def _git_dir(path: Path) -> Path | None:
    """Return the folder that a `.git` is or, as a file of a worktree or a submodule, points to; `None` for neither.

    A pointer that leads nowhere is handed on as it is, for git to refuse: the files above are not its repository.
    """
    try:
        if path.is_file():
            return _pointed_to(path) or path
        found = path.resolve()
        kept = (found / "HEAD").is_file() and (found / "objects").is_dir() and (found / "refs").is_dir()
    except (OSError, RuntimeError):  # not readable, or links in a circle
        return None
    return found if kept else None


def _pointed_to(path: Path) -> Path | None:
    """Return the folder that a `.git` file names, from its own folder on, if it names one."""
    with path.open("rb") as file:
        text = file.read(_MOST_POINTER_BYTES)
    target = text.removeprefix(_POINTER).rstrip(b"\r\n")
    if target == text or not target or b"\0" in target or b"\n" in target:
        return None
    found = (path.parent / os.fsdecode(target)).resolve()
    return found if (found / "HEAD").is_file() else None


def _without_filters(listed: bytes) -> Iterable[str]:
    """Return the settings that empty each filter among the `listed` names."""
    names = {found["name"] for part in listed.split(b"\0") if (found := _FILTER.fullmatch(os.fsdecode(part)))}
    for name in sorted(names):
        if "=" in name:
            raise GitError(f"the filter {name!r} in git's configuration cannot be switched off", "rename it")
        yield from (f"filter.{name}.{key}=" for key in ("clean", "smudge", "process"))
        yield f"filter.{name}.required=false"


def _run(folder: Path, arguments: Iterable[str], *, given: bytes = b"", settings: Iterable[str] = ()) -> bytes:
    repository = repository_of(folder)
    if repository is None:
        raise GitError(f"{folder} is in no git repository")
    import shutil  # noqa: PLC0415 — it loads every kind of archive; most runs ask git nothing

    path = _search_path()
    program = shutil.which("git", path=path)
    if program is None:
        raise GitError("git is not installed", "install git, in a folder that PATH names from the root on")
    command = [program, *_OPTIONS, f"--git-dir={repository.git_dir}", f"--work-tree={repository.top}"]
    for setting in (*_SETTINGS, *settings):
        command += ["-c", setting]
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder.resolve(),
            env=_environment(path),
            input=given,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git gave no answer within {SECONDS:g} s") from None
    except OSError as problem:
        raise GitError(f"git cannot be started: {problem.strerror}") from problem
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(f"git refuses: {said[-1].removeprefix('fatal: ')}" if said else "git refuses", refused=True)
    return done.stdout


def _search_path() -> str:
    """Return PATH without what it names from the working directory on, which may be a branch's own folder."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())


def _environment(path: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_ENVIRONMENT, "PATH": path}
