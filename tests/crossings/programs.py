"""What the tests with real programs share: a port to listen on, a user to run as, and the wait until a program answers."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_SECONDS = 60.0
_PORTS = 5


@contextmanager
def listening(command_for: Callable[[int], Sequence[str]], log: Path, **options: Any) -> Iterator[int]:
    """Run a program until the end of the block, and yield the port that it listens on; what it says goes into `log`.

    `command_for` gets the program ready for a port and returns its command. A port that was free may be somebody else's
    by the time the program takes it: then it ends, and gets another one.
    """
    for _ in range(_PORTS):
        port = _free_port()
        with log.open("ab") as said, subprocess.Popen(command_for(port), stdout=said, stderr=said, **options) as server:
            try:
                if _answers(port, server):
                    yield port
                    return
                assert server.poll() is not None, f"it does not answer: {log.read_text(errors='replace')}"
            finally:
                server.terminate()
    raise AssertionError(f"it does not begin: {log.read_text(errors='replace')}")


def _free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def lend(folder: Path) -> str | None:
    """Give a folder to the user `nobody`, where this process is root and the program refuses that; return the name."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("nobody")
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, user.pw_uid, user.pw_gid)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and len(parent.parts) > 2:
            parent.chmod(parent.stat().st_mode | 0o011)
    return user.pw_name


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait until a program takes connections, and return whether it does; false where it has ended."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server.poll() is None
        time.sleep(0.02)
    return False
