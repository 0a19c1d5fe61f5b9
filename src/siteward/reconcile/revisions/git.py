"""Calls of git (the only ones in this program), and the files of a declaration as they stood at a commit.

A branch brings its own files, so nothing of a checkout is obeyed that a branch can bring: no folder that looks like a
repository, no attribute that names a filter. The repository is found by walking up to `.git`, which git keeps out of
every tree, and each call names it. What a repository's own configuration could start (hooks, monitors, filters,
remote helpers, a pager) is switched off for every call, so that it does not matter who owns the checkout: CI often
runs as another user. The configuration of the system and of the user is not read; the environment holds no
credential. Old revisions are written out from git's objects (`ls-tree`, `cat-file`), never checked out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.declaration.load import MAX_BYTES, SUFFIXES
from siteward.reconcile.project import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.declaration.load import Loaded


SECONDS = 60.0
"""The time that git may take for one answer."""

_POINTER = b"gitdir: "
_MOST_POINTER_BYTES = 8192
_KEPT_VARIABLES = ("HOME", "SYSTEMROOT")
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


_LINK = "120000"
_FILES = ("100644", "100755", "100664", _LINK)
_ENDINGS = tuple(suffix.encode() for suffix in SUFFIXES)
_MOST_NAME_BYTES = 255
_MOST_LINK_BYTES = 4096
_MOST_BYTES = 10 * MAX_BYTES
"""The most that is written out of one commit: a small repository can unpack to very much."""


class GitError(Exception):
    """Git cannot be asked, or answered with a refusal (`refused`); `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None, *, refused: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.refused = refused


class NoSuchRevisionError(Exception):
    """A revision cannot be read; `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class _OddTreeError(Exception):
    """A commit's tree is as no checkout could have made it; `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Repository(Struct, frozen=True, kw_only=True):
    """A repository: the top of its checkout, and the folder in which git keeps it."""

    top: Path
    git_dir: Path


class _Entry(Struct, frozen=True, kw_only=True):
    """One YAML file, or link of such a name, in a commit's tree."""

    mode: str
    object: str
    name: str


def repository_of(folder: Path) -> Repository | None:
    """Return the repository whose checkout a folder lies in, if any; git is not asked."""
    start = folder.resolve()
    for top in (start, *start.parents):
        git_dir = _find_git_dir(top / ".git")
        if git_dir is not None:
            return Repository(top=top, git_dir=git_dir)
    return None


def ask(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run git on the repository of `folder`, in that folder, with `given` as its input; return its output.

    Raises `GitError` where there is no repository, no git, no answer within `SECONDS`, or an answer that is a refusal.
    """
    return _run(folder, arguments, given=given)


def ask_about_files(folder: Path, *arguments: str) -> bytes:
    """Run a git command that reads the files of the checkout (`blame`, `status`); return its output. Raises `GitError`.

    Git puts what it reads through the filters that `.gitattributes` choose, and those are programs. A branch brings
    the attributes, so each filter that the repository knows is emptied for the call.
    """
    return _run(
        folder, arguments, settings=_build_filter_settings(_run(folder, ("config", "--list", "--name-only", "-z")))
    )


def is_tracked(path: Path) -> bool:
    """Return whether git tracks a file, in whatever case its name is written. Raises `GitError`."""
    if repository_of(path.parent) is None:
        return False
    return bool(ask(path.parent, "ls-files", "-z", "--", f":(icase,literal){path.name}"))


def in_repository(folder: Path) -> bool:
    """Return whether a folder lies in a git repository."""
    return repository_of(folder) is not None


def commit_at(folder: Path, ref: str) -> str:
    """Return the commit that a name means in the repository of `folder`. Raises `NoSuchRevisionError`."""
    try:
        commit = ask(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except GitError as problem:
        if not problem.refused:
            raise NoSuchRevisionError(str(problem), problem.hint) from problem
        hint = "fetch it first: `git fetch origin BRANCH`, or check out with the whole history (fetch-depth: 0)"
        raise NoSuchRevisionError(f"there is no revision {ref} in this repository", hint) from problem
    return commit.decode().strip()


def fork_point(folder: Path, commit: str) -> str:
    """Return the merge base of `commit` and the checkout, or `commit` where that history is not here.

    Raises `NoSuchRevisionError` where git cannot be asked.
    """
    try:
        return ask(folder, "merge-base", "--end-of-options", commit, "HEAD").decode().strip()
    except GitError as problem:
        if not problem.refused:
            raise NoSuchRevisionError(str(problem), problem.hint) from problem
        return commit


def read_at(path: Path, commit: str) -> Loaded | None:
    """Load the root file at `path` and its includes as they were at a commit; `None` where there was no such file.

    Places name the files as in the checkout. Raises `NoSuchRevisionError` where the tree cannot be read or written.
    """
    from tempfile import TemporaryDirectory  # noqa: PLC0415 — most runs read no other revision

    folder = path.parent.resolve()
    with TemporaryDirectory(prefix="siteward-") as place:
        root = Path(place).resolve()
        try:
            _write_tree(folder, commit, root)
        except GitError as problem:
            hint = (
                problem.hint
                or "is this the whole repository? A partial clone (--filter) lacks files, and none is fetched"
            )
            raise NoSuchRevisionError(f"the files of {commit} cannot be read: {problem}", hint) from problem
        except _OddTreeError as problem:
            raise NoSuchRevisionError(f"the files of {commit} cannot be read: {problem}", problem.hint) from problem
        except OSError as problem:
            raise NoSuchRevisionError(f"the files of {commit} cannot be laid out: {problem.strerror}") from problem
        return read(root / path.name, called=path) if (root / path.name).exists() else None


def text_at(path: Path, commit: str) -> str | None:
    """Return the text of one file as it was at a commit; `None` where it was not there, or is no text.

    Raises `NoSuchRevisionError` where git cannot be asked.
    """
    try:
        return ask(path.parent, "cat-file", "blob", f"{commit}:./{path.name}").decode("utf-8")
    except UnicodeDecodeError:
        return None
    except GitError as problem:
        if not problem.refused:
            raise NoSuchRevisionError(str(problem), problem.hint) from problem
        return None


def _find_git_dir(path: Path) -> Path | None:
    """Return the folder that a `.git` is or, as a file of a worktree or a submodule, points to; `None` for neither.

    A pointer that leads nowhere is handed on as it is, for git to refuse: the files above are not its repository.
    """
    try:
        if path.is_file():
            return _read_pointer(path) or path
        folder = path.resolve()
        is_repository = (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    except (OSError, RuntimeError):  # not readable, or links in a circle
        return None
    return folder if is_repository else None


def _read_pointer(path: Path) -> Path | None:
    """Return the folder that a `.git` file names, relative to its own folder, if it names one."""
    with path.open("rb") as file:
        text = file.read(_MOST_POINTER_BYTES)
    target = text.removeprefix(_POINTER).rstrip(b"\r\n")
    if target == text or not target or b"\0" in target or b"\n" in target:
        return None
    folder = (path.parent / os.fsdecode(target)).resolve()
    return folder if (folder / "HEAD").is_file() else None


def _build_filter_settings(listed: bytes) -> Iterable[str]:
    """Yield the settings that empty each filter in `listed`, the output of `git config --list --name-only -z`."""
    names = {match["name"] for key in listed.split(b"\0") if (match := _FILTER.fullmatch(os.fsdecode(key)))}
    for name in sorted(names):
        if "=" in name:
            raise GitError(f"the filter {name!r} in git's configuration cannot be switched off", "rename it")
        yield from (f"filter.{name}.{key}=" for key in ("clean", "smudge", "process"))
        yield f"filter.{name}.required=false"


def _run(folder: Path, arguments: Iterable[str], *, given: bytes = b"", settings: Iterable[str] = ()) -> bytes:
    """Run git with everything switched off that a repository could start; return its output. Raises `GitError`."""
    repository = repository_of(folder)
    if repository is None:
        raise GitError(f"{folder} is in no git repository")
    import shutil  # noqa: PLC0415 — it loads every kind of archive; most runs ask git nothing
    import subprocess  # noqa: PLC0415 — the same

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
            env=_build_environment(path),
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
        errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(f"git refuses: {errors[-1].removeprefix('fatal: ')}" if errors else "git refuses", refused=True)
    return done.stdout


def _search_path() -> str:
    """Return PATH without relative folders: the working directory may be a branch's own."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())


def _build_environment(path: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, **_ENVIRONMENT, "PATH": path}


def _write_tree(folder: Path, commit: str, root: Path) -> None:
    """Write the YAML files under `folder` as they were at a commit to `root`.

    Links come last, so that no file is written through one. Raises `GitError`, `_OddTreeError` and `OSError`.
    """
    lines = ask(folder, "ls-tree", "-r", "-z", commit).split(b"\0")
    entries = [entry for line in lines if (entry := _parse_entry(line))]
    _check_names(entries)
    sizes = _read_sizes(folder, entries)
    total = sum(size for entry in entries if (size := sizes[entry.object]) <= MAX_BYTES)
    if total > _MOST_BYTES:
        raise _OddTreeError(
            f"its YAML files have {total / 1e6:.0f} MB together; {_MOST_BYTES / 1e6:.0f} MB are read",
            "keep the declaration in a folder of its own",
        )
    small = [oid for oid, size in sizes.items() if size <= MAX_BYTES]
    contents = dict(zip(small, _read_contents(folder, small), strict=True))
    for entry in entries:
        path = root / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == _LINK:
            continue
        with path.open("xb") as file:
            file.write(contents.get(entry.object, b""))
            if entry.object not in contents:
                file.truncate(MAX_BYTES + 1)  # as long as the reader needs to say that it is too long
    links = [entry for entry in entries if entry.mode == _LINK]
    for entry in links:
        (root / entry.name).symlink_to(_read_target(entry, contents))
    _drop_escaping_links(root, [root / link.name for link in links])


def _parse_entry(line: bytes) -> _Entry | None:
    """Return a file that `ls-tree` lists; `None` for what is no YAML file. Raises `_OddTreeError` for an odd name."""
    about, _, name = line.partition(b"\t")
    mode, kind, oid = (*about.decode().split(), "", "", "")[:3]
    if kind != "blob" or mode not in _FILES or not name.endswith(_ENDINGS):
        return None
    for part in name.split(b"/"):
        if part.lower() in {b"", b".", b"..", b".git"} or len(part) > _MOST_NAME_BYTES:
            raise _OddTreeError(
                f"its tree holds the file {_quote_name(name)}, a name that no checkout can have",
                "nobody's editor makes such a commit; find out who did",
            )
    return _Entry(mode=mode, object=oid, name=os.fsdecode(name))


def _check_names(entries: Iterable[_Entry]) -> None:
    """Check that no name is there twice, nor is both a file and a folder. Raises `_OddTreeError`."""
    names: set[str] = set()
    for entry in entries:
        if entry.name in names:
            raise _OddTreeError(f"its tree holds the file {_quote_name(os.fsencode(entry.name))} twice")
        names.add(entry.name)
    for name in names:
        for folder in PurePosixPath(name).parents:
            if str(folder) in names:
                raise _OddTreeError(f"its tree holds {_quote_name(os.fsencode(folder))} as a file and as a folder")


def _read_sizes(folder: Path, entries: Sequence[_Entry]) -> Mapping[str, int]:
    """Return the size of each object in bytes. Raises `_OddTreeError` for one that is not there."""
    objects = tuple(dict.fromkeys(entry.object for entry in entries))
    answers = ask(folder, "cat-file", "--batch-check", given=_join_lines(objects)).decode().splitlines()
    sizes = {}
    for oid, line in zip(objects, answers, strict=True):
        kind, _, size = line.partition(" ")[2].partition(" ")
        if kind != "blob":
            name = next(entry.name for entry in entries if entry.object == oid)
            raise _OddTreeError(
                f"the content of {_quote_name(os.fsencode(name))} is not here",
                "a partial clone lacks it, and nothing is fetched while reading; clone without `--filter`",
            )
        sizes[oid] = int(size)
    return sizes


def _read_contents(folder: Path, objects: Sequence[str]) -> Iterator[bytes]:
    """Yield the content of each object, in order.

    `cat-file --batch` answers each with a line that ends with the size, the bytes, and a line break.
    """
    answer = ask(folder, "cat-file", "--batch", given=_join_lines(objects)) if objects else b""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        start, size = end + 1, int(answer[at:end].rpartition(b" ")[2])
        yield answer[start : start + size]
        at = start + size + 1


def _join_lines(objects: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in objects).encode()


def _read_target(entry: _Entry, contents: dict[str, bytes]) -> str:
    """Return the target of a link. Raises `_OddTreeError` for what no link can hold."""
    target = contents.get(entry.object, b"")
    if not target or b"\0" in target or len(target) >= _MOST_LINK_BYTES:
        raise _OddTreeError(f"its tree holds the link {_quote_name(os.fsencode(entry.name))}, which leads to no name")
    return os.fsdecode(target)


def _drop_escaping_links(root: Path, links: Iterable[Path]) -> None:
    """Delete each link that leads out of `root`, until none is left: a link may lead out by way of another."""
    inside = {link for link in links if _leads_inside(root, link)}
    for link in set(links) - inside:
        link.unlink()
    if len(inside) < len(set(links)):
        _drop_escaping_links(root, inside)


def _leads_inside(root: Path, link: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # in a circle
        return False


def _quote_name(name: bytes) -> str:
    """Return a name as a message may hold it: quoted, on one line, shortened."""
    text = name.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 80 else f"{text[:60]}…")
