"""The program itself, called within this process as a user calls it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from pathlib import Path
from unittest import mock

from siteward.cli import app

CODES = frozenset({0, 1, 2, 3, 4, 5, 130})


def call(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a verb in a folder; return its exit code and what it printed. Whatever it raises beyond that is raised here."""
    out, before = io.StringIO(), Path.cwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SITEWARD_", "GITHUB_", "GITLAB_", "CI"))
    }
    os.chdir(folder)
    try:
        with (
            mock.patch.object(sys, "argv", ["siteward", *arguments]),
            mock.patch.dict(os.environ, kept, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            app.run()
    except SystemExit as left:
        return (left.code if isinstance(left.code, int) else 1), out.getvalue()
    finally:
        os.chdir(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    raise AssertionError("the program did not leave")
