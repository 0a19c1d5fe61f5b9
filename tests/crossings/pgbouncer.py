"""A real PgBouncer before the stand-in's PostgreSQL; skipped in words where Debian's pgbouncer is not installed."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from crossings.programs import lend, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """\
[databases]
plausible = host=127.0.0.1 port={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
default_pool_size = 1
pool_mode = {mode}
{more}
"""


@contextmanager
def pooled(folder: Path, url: str, *, mode: str = "transaction", more: str = "") -> Iterator[str]:
    """Stand before the database at `url`, with one session for all; yield the address through the pooler."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: pgbouncer)")
    parts = urlsplit(url)
    folder.mkdir()
    (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')

    def command_for(port: int) -> list[str]:
        config = CONFIG.format(database=parts.port, port=port, folder=folder, mode=mode, more=more)
        (folder / "pgbouncer.ini").write_text(config)
        lend(folder)
        return [program, "-q", str(folder / "pgbouncer.ini")]

    with listening(command_for, folder / "log", user=lend(folder)) as port:
        yield url.replace(f":{parts.port}/", f":{port}/")
