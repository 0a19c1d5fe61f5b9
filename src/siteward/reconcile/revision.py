"""The declaration as it stands at a commit: read from git's objects, without touching the checkout.

Nothing of a revision is carried out: no hook, no filter, no attribute of the repository is asked. Its YAML files are
laid into a folder of their own, and links only where they stay inside it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from siteward.declaration.files import MAX_BYTES, SUFFIXES
from siteward.reconcile.project import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.declaration.load import Loaded

_LINK = "120000"
_FILES = ("100644", "100755", _LINK)


class NoSuchRevision(Exception):  # noqa: N818 — it is an answer about a name, and the caller tells it as one
    """A revision cannot be read; `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def in_repository(folder: Path) -> bool:
    """Tell whether a folder lies in a git repository."""
    return _git(folder, "rev-parse", "--git-dir") is not None


def commit_at(folder: Path, ref: str) -> str:
    """Return the commit that a name means in the repository of `folder`. Raises `NoSuchRevision`."""
    if not in_repository(folder):
        raise NoSuchRevision(f"{folder} is in no git repository")
    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found is None:
        hint = "fetch it first: `git fetch origin BRANCH`, or check out with the whole history (fetch-depth: 0)"
        raise NoSuchRevision(f"there is no revision {ref} in this repository", hint)
    return found.decode().strip()


def fork_point(folder: Path, commit: str) -> str:
    """Return the commit from which the checkout went its own way, or `commit` where that history is not here."""
    found = _git(folder, "merge-base", "--end-of-options", commit, "HEAD")
    return found.decode().strip() if found else commit


def read_at(path: Path, commit: str) -> Loaded | None:
    """Return what the root file at `path` and its includes said at a commit; `None` where there was no such file.

    Places name the files as in the checkout. Raises `NoSuchRevision` where git cannot be asked.
    """
    folder = path.parent.resolve()
    with TemporaryDirectory(prefix="siteward-") as place:
        root = Path(place)
        _lay_out(folder, commit, root)
        return read(root / path.name, called=path) if (root / path.name).exists() else None


def _lay_out(folder: Path, commit: str, root: Path) -> None:
    """Write the YAML files under `folder` as they were at a commit."""
    listed = _git(folder, "ls-tree", "-r", "-z", "-l", commit)
    if listed is None:
        raise NoSuchRevision(f"git cannot list {commit}", "is this the whole repository, and git 2.24 or newer?")
    entries = [each for each in map(_entry, listed.split(b"\0")) if each is not None]
    contents = zip(entries, _contents(folder, [oid for _, oid, _ in entries]), strict=True)
    links = []
    for (mode, _, name), content in contents:
        if mode == _LINK:
            links.append((root / name, content))
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path, content in links:
        _link(root, path, PurePosixPath(content.decode("utf-8", "surrogateescape")))


def _link(root: Path, path: Path, target: PurePosixPath) -> None:
    """Make a link, unless it leads out of `root`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        path.unlink()


def _entry(row: bytes) -> tuple[str, str, str] | None:
    """Return mode, object and name of a listed file; `None` for what no declaration is made of."""
    about, _, name = row.partition(b"\t")
    mode, kind, oid, size = (*about.decode().split(), "", "", "", "")[:4]
    if kind != "blob" or mode not in _FILES or not name.endswith(tuple(each.encode() for each in SUFFIXES)):
        return None
    return (mode, oid, name.decode("utf-8", "surrogateescape")) if int(size) <= MAX_BYTES else None


def _contents(folder: Path, objects: Iterable[str]) -> Iterator[bytes]:
    answer = _git(folder, "cat-file", "--batch", given="".join(f"{each}\n" for each in objects).encode())
    if answer is None:
        raise NoSuchRevision("git cannot show the files of that revision")
    return _split(answer)


def _split(answer: bytes) -> Iterator[bytes]:
    """Yield the objects of a batch: a line that ends with the size, the bytes, a line break."""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        start, size = end + 1, int(answer[at:end].rpartition(b" ")[2])
        yield answer[start : start + size]
        at = start + size + 1


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """Return what git says, `None` where it refuses or is not there."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, input=given, capture_output=True, check=False, timeout=120
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
