"""A server that is silent when it matters, and a verb that gets a signal just then."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx

from cli.conftest import base_environment

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

    from cli.conftest import Program


class Silence:
    """A server that passes requests on, but for those of which `holds` is true: it answers those once `late` is set, if ever."""

    def __init__(self, behind: str, holds: Callable[[str, str], bool]) -> None:
        self.held, self.over, self.late = threading.Event(), threading.Event(), threading.Event()
        self.client = httpx.Client(verify=False)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if holds(self.command, self.path) and not outer.over.is_set():
                    outer.held.set()
                    outer.over.wait()
                    if not outer.late.is_set():
                        self.close_connection = True
                        return
                headers = {name: value for name, value in self.headers.items() if name != "Host"}
                answer = outer.client.request(self.command, behind + self.path, headers=headers, content=body)
                with suppress(OSError):  # whoever asked may have gone
                    self.send_response(answer.status_code)
                    self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
                    self.send_header("Content-Length", str(len(answer.content)))
                    self.end_headers()
                    self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 — names of the standard library

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def silent(behind: str, holds: Callable[[str, str], bool]) -> Iterator[Silence]:
    silence = Silence(behind, holds)
    threading.Thread(target=silence.server.serve_forever, daemon=True).start()
    try:
        yield silence
    finally:
        silence.over.set()
        silence.server.shutdown()
        silence.server.server_close()
        silence.client.close()


def stopped(
    program: Program, silence: Silence, number: signal.Signals, *arguments: str,
    start_by: tuple[str, str] = ("-m", "siteward"), answers: bool = False,
) -> tuple[int, float, dict[str, Any]]:  # fmt: skip
    """Send a signal to a verb once a request is held; return its exit code, the seconds it took then, and its report.

    The request is held until the verb has ended, however long that takes, or with `answers` for a moment after the signal.
    """
    with subprocess.Popen(
        [sys.executable, *start_by, *arguments, "--format", "json"],
        cwd=program.folder, env=base_environment() | program.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        try:
            assert silence.held.wait(60)
            begun = time.monotonic()
            running.send_signal(number)
            if answers:
                time.sleep(0.5)
                silence.late.set()
                silence.over.set()
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert b"Traceback" not in err, err.decode()
    return running.returncode, time.monotonic() - begun, json.loads(out)
