"""What the tests with real programs share: a free port, a user to run as, and the wait until a program answers."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

_SECONDS = 10.0


def free_port() -> int:
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


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a program takes connections; what it said is shown if it does not."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"the program does not answer: {log.read_text(errors='replace')}")
