"""An instance below a path, as a user meets it: the address is shown whole, and its credentials are bound to it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from cli.conftest import AS_OF, ROOT, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

BOND = "SITEWARD_STATS_URL"


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 — the name is werkzeug's
        """Log nothing."""


@pytest.fixture
def place(program: Program) -> Iterator[str]:
    """The address of a sandbox below `/stats`, which the file of the program names; its host has nothing else."""
    fake = start("umami")
    app = DispatcherMiddleware(NotFound(), {"/stats": fake})
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/stats"
    text = (Path(__file__).parent / "access.yaml").read_text(encoding="utf-8")
    program.write(text.replace("https://stats.example.org", f"{address}/"))
    for path in (ROOT / "examples").rglob("*.yaml"):
        program.write(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in fake.credentials.items()}
    yield address
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.mark.parametrize("verb", [("plan", *AS_OF), ("drift",), ("doctor",), ("matrix",)])
def test_the_address_is_shown_whole(verb: tuple[str, ...], program: Program, place: str) -> None:
    """With its path, and without a final slash."""
    shown = program(*verb).out
    assert f"stats  {place}" in shown
    assert f"{place}/" not in shown


@pytest.mark.parametrize("verb", [("plan", *AS_OF), ("drift",), ("doctor",)])
def test_an_address_without_a_path_is_warned_of(verb: tuple[str, ...], program: Program, place: str) -> None:
    """The value to set is named; set, there is no warning, and another path of the host gets nothing."""
    host = place.removesuffix("/stats")
    told = program(*verb, **{BOND: host}).out
    assert "path-not-bound" in told
    assert f"set {BOND}={place}" in told
    assert "path-not-bound" not in program(*verb, **{BOND: place}).out
    told = program(*verb, **{BOND: f"{host}/stats2"}).out
    assert "origin-mismatch" in told
    assert f"to {place}, but they are for {host}/stats2" in " ".join(told.split())
