"""The bounds of every input: no traceback, ten seconds, one GiB, and no file outside the folder."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 10
MEMORY = 1 << 30
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
}


class TooSlowError(Exception):
    """An input took more than its time."""


@dataclass
class _Guard:
    """The folder in which files may be written now, and what was written outside; `None`: nobody looks."""

    folder: str | None = None
    outside: list[str] = field(default_factory=list)
    hooked: bool = False

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note every file that is opened to be written, made, moved or removed outside the folder."""
        if self.folder is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in (mode or "") for letter in "wax+") or bool((flags or 0) & _WRITING)
            paths = [path] if writes else []
        else:
            paths = list(arguments[: _CHANGING.get(event, 0)])
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and not self._is_inside(os.fsdecode(path)):
                self.outside.append(f"{event} {os.fsdecode(path)}")

    def _is_inside(self, path: str) -> bool:
        if path == os.devnull:
            return True
        return f"{os.path.realpath(path)}/".startswith(f"{self.folder}/")


_GUARD = _Guard()


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """Watch the files that are written; temporary ones are made in the folder too."""
    if not _GUARD.hooked:
        sys.addaudithook(_GUARD.audit)
        _GUARD.hooked = True
    # Python's own compiled files are none that an input made; in a fresh tree some module is imported here first.
    compiles, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    _GUARD.folder, _GUARD.outside = os.path.realpath(folder), []
    try:
        yield
    finally:
        _GUARD.folder, tempfile.tempdir = None, before
        sys.dont_write_bytecode = compiles


@contextmanager
def _timed() -> Iterator[None]:
    """Interrupt what takes more than its time on the processor, or six times that on the clock."""

    def stop(*_: object) -> None:
        raise TooSlowError(f"more than {SECONDS} seconds")

    former = {kind: signal.signal(kind, stop) for kind in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for kind, handler in former.items():
            signal.signal(kind, handler)


def check(folder: Path, action: Callable[[Path], str | None]) -> list[str]:
    """Run one input in a folder; return what breaks a bound, and what the action itself finds wrong."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    wrong = []
    with _watched(folder), _timed():
        try:
            found = action(folder)
            wrong += [found] if found else []
        except Exception:  # noqa: BLE001 — every exception that a user would see is a finding
            wrong.append(traceback.format_exc())
    wrong += [f"outside the folder: {path}" for path in _GUARD.outside]
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 > MEMORY:
        wrong.append("more than 1 GiB")
    if time.process_time() - begun > SECONDS:
        wrong.append(f"more than {SECONDS} seconds")
    return wrong
