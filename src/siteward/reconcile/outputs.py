"""Output files: written whole or not at all, and never through a link that a branch may have brought along."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PRIVATE = 0o600
_USUAL = 0o666
"""The mode of a new file, of which the system takes away what `umask` says."""


def write_output(path: Path, data: bytes | Iterator[bytes], *, mode: int = _USUAL) -> None:
    """Write an output file, whose data may come in pieces.

    A file that is there is replaced as a whole and keeps its mode, unless `mode` is stricter; a link is replaced by the
    file, and what it leads to stays as it is. Devices and pipes are written to. Raises `OSError`, also where a folder
    on the way is a link that leads out of the working directory.
    """
    _refuse_detour(path)
    pieces = (data,) if isinstance(data, bytes) else data
    status = path.lstat() if os.path.lexists(path) else None
    if _is_device(path, status):
        with path.open("wb") as file:
            file.writelines(pieces)
        return
    kept = stat.S_IMODE(status.st_mode) if status is not None and stat.S_ISREG(status.st_mode) else None
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except PermissionError:
        if kept is None:
            raise
        _overwrite(path, pieces)  # a file that may be written in a folder that may not
        return
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 — a descriptor has no path
            if kept is not None:
                os.fchmod(handle, kept & mode)
            file.writelines(pieces)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def make_output_folder(folder: Path) -> None:
    """Create a folder for output files; raises `OSError` where a link would lead it out of the working directory."""
    _refuse_detour(folder / "file")
    folder.mkdir(parents=True, exist_ok=True)


def _refuse_detour(path: Path) -> None:
    """Refuse a relative path on which a folder is a link that leads out of the working directory."""
    if path.is_absolute() or ".." in path.parts:
        return  # the command line says so
    here = path.cwd().resolve()
    if not path.parent.resolve().is_relative_to(here):
        raise OSError(errno.ELOOP, f"{path.parent} is a link that leads out of this folder", str(path))


def _is_device(path: Path, status: os.stat_result | None) -> bool:
    """Return whether a path is written to as it is: a device, a pipe, or one of the links that a system keeps in /dev."""
    if path.is_absolute() and path.parts[:2] == ("/", "dev"):
        return True
    return status is not None and not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode)


def _overwrite(path: Path, pieces: Iterable[bytes]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(handle, "wb") as file:  # noqa: PTH123 — a descriptor has no path
        file.writelines(pieces)
