"""The program in processes of its own that need not load it: one has done so, and is forked for each call.

Loading takes most of what a verb needs of the processor. A call that is forked has its own folder, environment, arguments
and files, ends as any other, and shares nothing with the next. What an interpreter looks at only when it starts is as
in the process that was forked: whoever sets such a variable gets an interpreter of its own (see `suits`).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ASKING = Path(__file__).with_name("ask.py")
SECONDS = 120.0
"""How long a call may take."""
_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "SSL_", "COVERAGE", "MALLOC", "LD_")
_REST = (
    "ldap3",
    "openpyxl",
    "psycopg",
    "siteward.platforms.fakery",
    "siteward.reconcile.apply",
    "siteward.render.text",
)


@dataclass
class Ended:
    """What a call left behind."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Shell:
    """How a shell runs the program: the words before its own arguments, its environment, and the files to pass on."""

    words: list[str]
    env: Mapping[str, str]
    handles: list[int]


@dataclass
class Loaded:
    """The process that has loaded the program, with the socket to ask it for a fork."""

    process: subprocess.Popen[bytes]
    asking: socket.socket
    at_start: Mapping[str, str]

    def stop(self) -> None:
        """Let the process end."""
        self.asking.close()
        self.process.wait()

    def suits(self, env: Mapping[str, str]) -> bool:
        """Return whether an interpreter with that environment would start as this one has.

        One whose coverage is measured has to end by itself, and tell.
        """
        return _of_start(env) == self.at_start and not any(name.startswith("COVERAGE_") for name in env)

    def call(self, words: Sequence[str], folder: Path, env: Mapping[str, str], *, stdin: str, moment: str) -> Ended:
        """Run the program with these arguments, in a folder, as if it were that moment, where one is given."""
        request = {"words": words, "folder": str(folder), "env": dict(env), "moment": moment}
        with ExitStack() as stack:
            files = [stack.enter_context(TemporaryFile()) for _ in range(4)]
            for file, text in zip(files, (json.dumps(request), stdin), strict=False):
                file.write(text.encode())
                file.seek(0)
            answer, answering = (stack.enter_context(end) for end in socket.socketpair())
            socket.send_fds(self.asking, [b"!"], [*(file.fileno() for file in files), answering.fileno()])
            answering.close()
            return Ended(_wait(answer), *(_text_of(file) for file in files[2:]))

    def shell(self, env: Mapping[str, str], moment: str = "") -> Shell:
        """Return how a shell with that environment runs the program, as if it were that moment, where one is given."""
        if not self.suits(env):
            return Shell([sys.executable, "-m", *(["cli.clocked", moment] if moment else ["siteward"])], env, [])
        handle = self.asking.fileno()
        told = {"LOADED_SOCKET": str(handle), "LOADED_MOMENT": moment}
        return Shell([sys.executable, "-S", "-E", str(ASKING)], {**env, **told}, [handle])


def loaded(env: Mapping[str, str]) -> Loaded:
    """Return this session's process for that environment, started at the first call.

    There is one for each way in which an interpreter starts, and few of those: what a fork gets comes with the call.
    """
    return _start(tuple(sorted(_of_start(env).items())))


@cache
def _start(env: tuple[tuple[str, str], ...]) -> Loaded:
    asking, asked = socket.socketpair()
    with asked:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.loaded", str(asked.fileno())],
            env=dict(env), pass_fds=[asked.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    made = Loaded(process, asking, dict(env))
    atexit.register(made.stop)
    return made


def _of_start(env: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_START)}


def _wait(answer: socket.socket) -> int:
    """Return the exit code of a call, which is negative where a signal ended it; raises `TimeoutExpired`."""
    answer.settimeout(SECONDS)
    with answer.makefile("r") as lines:
        process = int(lines.readline())
        try:
            return int(lines.readline())
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise subprocess.TimeoutExpired("siteward", SECONDS) from None


def _text_of(file: IO[bytes]) -> str:
    """Return what was written into a file, with the line ends that a pipe of text gives."""
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n").replace("\r", "\n")


# -- in the process that has loaded the program


def main() -> None:
    """Load the program, fork for whoever asks, and be the program in the fork."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    _load()
    gc.freeze()  # a fork has no use for looking at all that again
    _fork_for_each(asked)


_MOMENT: list[datetime] = []
"""The moment that it is for a fork, where one was given."""


def _now() -> datetime:
    return _MOMENT[0] if _MOMENT else datetime.now(UTC)


def _load() -> None:
    from siteward import platforms
    from siteward.cli.startup import trim_startup

    trim_startup()
    from siteward.cli import app, session

    session.now = _now  # before the other modules take it from there
    for path in sorted(Path(app.__file__).parent.glob("*.py")):
        import_module(f"siteward.cli.{path.stem}")
    for name in platforms.names():
        platforms.load(name)
    for name in _REST:
        with suppress(ImportError):
            import_module(name)


def _fork_for_each(asked: socket.socket) -> None:
    """Serve until nobody can ask any more: with files for the request, the three streams and the answer."""
    while True:
        byte, handles, _, _ = socket.recv_fds(asked, 1, 5)
        if not byte:
            return
        if os.fork() == 0:
            asked.close()
            _be_kept(*handles)
            os._exit(0)
        for handle in handles:
            os.close(handle)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _be_kept(request: int, stdin: int, stdout: int, stderr: int, answer: int) -> None:
    """Be the program in one more fork, wait for its end, and tell of it."""
    for handle, place in ((stdout, 1), (stderr, 2)):
        os.dup2(handle, place)
        os.close(handle)
    with os.fdopen(request, "rb") as file:
        process = get_context("fork").Process(target=_become, args=[json.load(file), stdin])
    with socket.socket(fileno=answer) as answering:
        process.start()
        answering.sendall(f"{process.pid}\n".encode())
        process.join()
        answering.sendall(f"{process.exitcode}\n".encode())


def _become(request: dict[str, Any], stdin: int) -> None:
    """Be the program that was asked for; it leaves as it does anywhere."""
    from siteward import __main__ as program

    os.dup2(stdin, sys.stdin.fileno())  # which `multiprocessing` has led to nowhere
    os.close(stdin)
    for name, place, buffering in (("stdout", 1, -1), ("stderr", 2, 1)):  # anew, as these files may be of another kind
        before = getattr(sys, name)
        setattr(sys, name, open(place, "w", buffering, before.encoding, before.errors, closefd=False))  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [str(program.__file__), *request["words"]]
    sys.path[0] = request["folder"]
    if request["moment"]:
        _MOMENT.append(datetime.fromisoformat(request["moment"]).astimezone(UTC))
    program.main()


if __name__ == "__main__":
    main()
