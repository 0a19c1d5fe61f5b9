"""A PostgreSQL of one's own for as long as this process lives: on loopback, in a folder that goes with it.

Needs the programs `initdb` and `postgres`, on the PATH or where Debian puts them (`apt-get install postgresql`), with
the extension citext. They refuse to run as root, so root lends them another user.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import psycopg
from psycopg import sql

from siteward.platforms.fakery import CannotStandInError

DATABASE = "plausible"
DEBIAN = Path("/usr/lib/postgresql")
_ADMIN = "postgres"
_LENDERS = ("postgres", "nobody")
_START_SECONDS = 60.0
_PORTS = 5
_NO_PORT = "could not create any TCP/IP sockets"
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=40")
# The shell waits for its input to end, which it does when this process goes, however it goes; then all is taken down.
_KEEPER = 'dir=$1; shift; "$@" >"$dir/log" 2>&1 & child=$!; cat >/dev/null; kill -INT $child 2>/dev/null; wait $child; rm -rf "$dir"'


class Lent(TypedDict, total=False):
    """What `subprocess` is told of another user."""

    user: int
    group: int
    extra_groups: list[int]


class PostgresMissingError(CannotStandInError):
    """There is no PostgreSQL on this machine that could be started."""


class _PortTakenError(PostgresMissingError):
    """Another program took the port before PostgreSQL did."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server that runs. `admin` connects as its owner, through a socket that only this user can reach."""

    folder: Path
    port: int
    keeper: subprocess.Popen[bytes]

    def admin(self, database: str = DATABASE) -> psycopg.Connection:
        """Return a connection that may do everything."""
        return psycopg.connect(host=str(self.folder), port=self.port, user=_ADMIN, dbname=database, autocommit=True)

    def url(self, role: str, password: str) -> str:
        """Return the address of the database for a role."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def said(self) -> str:
        """What the server wrote into its log so far."""
        log = self.folder / "log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def stop(self) -> None:
        """Stop the server and remove its folder; stopping twice does nothing."""
        if self.keeper.stdin and not self.keeper.stdin.closed:
            self.keeper.stdin.close()
        self.keeper.wait(timeout=_START_SECONDS)
        cluster.cache_clear()


@cache
def cluster() -> Cluster:
    """Return this process's server, started at the first call; raises `PostgresMissingError`."""
    for _ in range(_PORTS - 1):
        try:
            return _start()
        except _PortTakenError:
            continue
    return _start()


def _start() -> Cluster:
    programs = _programs()
    lent = _lent()
    folder = Path(tempfile.mkdtemp(prefix="siteward-pg-"))
    if lent:
        os.chown(folder, lent["user"], lent["group"])
    data = folder / "data"
    _initialize(programs / "initdb", data, lent)
    (data / "pg_hba.conf").write_text(
        f"local all {_ADMIN} trust\nhost {DATABASE} all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8"
    )
    port = _free_port()
    options = [
        word
        for setting in (*_QUICK, "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}")
        for word in ("-c", setting)
    ]
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", _KEEPER, "sh", folder, programs / "postgres", "-D", data, "-p", str(port), *options],
        stdin=subprocess.PIPE, start_new_session=True, **lent,
    )  # fmt: skip
    made = Cluster(folder, port, keeper)
    _prepare(made)
    atexit.register(made.stop)
    return made


def _programs() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(DEBIAN.glob("*/bin"), key=lambda folder_: _number(folder_.parent.name), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise PostgresMissingError(
        "there is no PostgreSQL on this machine: apt-get install postgresql, or put initdb on the PATH"
    )


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0


def _lent() -> Lent:
    """Return the user that the server runs as where this one is root; nothing where it is not."""
    if os.geteuid() != 0:
        return {}
    known = {user.pw_name: user for user in pwd.getpwall()}
    found = next((known[lender] for lender in _LENDERS if lender in known), None)
    if found is None:
        raise PostgresMissingError("PostgreSQL does not run as root, and there is no other user to run it")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def _initialize(program: Path, data: Path, lent: Lent) -> None:
    done = subprocess.run(
        [program, "-D", data, "-U", _ADMIN, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd="/", **lent,
    )  # fmt: skip
    if done.returncode:
        raise PostgresMissingError(f"PostgreSQL did not begin: {done.stderr.decode(errors='replace').strip()}")


def _prepare(made: Cluster) -> None:
    """Wait for the server, and make the database with the extension that addresses need."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with made.admin("postgres") as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
                break
        except psycopg.OperationalError as error:
            taken = _NO_PORT in made.said
            if taken or time.monotonic() > deadline or made.keeper.poll() is not None:
                made.stop()
                problem = _PortTakenError if taken else PostgresMissingError
                raise problem(f"PostgreSQL did not come up: {type(error).__name__}") from error
            time.sleep(0.05)
    try:
        with made.admin() as connection:
            connection.execute("CREATE EXTENSION citext")
    except psycopg.Error as error:
        made.stop()
        raise PostgresMissingError("this PostgreSQL has no extension citext: apt-get install postgresql") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
