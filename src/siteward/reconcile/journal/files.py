"""Private files: created 0600 in folders created 0700, and flushed to the disk (fsync) before they count."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BUFFER: Final = 2**16
"""The bytes that are written at a time where a file is written in pieces."""


class UnsafeFileError(Exception):
    """A file is readable by others, is a link, or is no regular file; nothing is written to it."""


def make_private(folder: Path) -> None:
    """Create a folder with mode 0700, unless it is there already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def append_only(path: Path) -> int:
    """Open a file to append to, created 0600 where there is none; return the descriptor.

    Raises `UnsafeFileError` for a link, for what is not a regular file, for a file that others may read or write, and
    for one of another user; `OSError` otherwise.
    """
    new = not os.path.lexists(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        if path.is_symlink():
            raise UnsafeFileError(f"{path} is a link") from problem
        raise
    if why := _describe_danger(os.fstat(handle)):
        os.close(handle)
        raise UnsafeFileError(f"{path} {why}")
    if new:
        flush_folder(path.parent)
    return handle


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data` and flush it to the disk."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)


def write_flushed(path: Path, data: bytes) -> None:
    """Write a whole file, 0600, over what may be there, and flush it to the disk. Raises `OSError`, also for a link."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
        write_all(handle, data)
    finally:
        os.close(handle)


def write_pieces(path: Path, pieces: Iterable[bytes]) -> str:
    """Write a whole file as `write_flushed` does, without ever holding all of it; return its SHA-256 in hexadecimal digits."""
    covered = hashlib.sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "wb", buffering=_BUFFER) as file:  # noqa: PTH123 — it is open already
        os.fchmod(handle, 0o600)
        for piece in pieces:
            covered.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(handle)
    return covered.hexdigest()


def replace_file(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Replace a file atomically, by bytes or pieces: a reader sees the old or the new content, also after a crash."""
    fresh = path.with_name(f"{path.name}.new")
    write_pieces(fresh, [data] if isinstance(data, bytes) else data)
    move_flushed(fresh, path)


def move_flushed(fresh: Path, path: Path) -> None:
    """Rename `fresh` to `path` and flush the folder that names them."""
    fresh.replace(path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def describe_mode(mode: int) -> str:
    """Return what others may do with a file of this mode, or an empty text where that is nothing."""
    if not mode & 0o077:
        return ""
    return f"may be {'changed' if mode & 0o022 else 'read'} by others (mode {stat.S_IMODE(mode):04o}, wanted 0600)"


def _describe_danger(status: os.stat_result) -> str:
    """Return why a file is not safe to write to, or an empty text."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if why := describe_mode(status.st_mode):
        return why
    return "" if status.st_uid == os.geteuid() else "belongs to another user"
