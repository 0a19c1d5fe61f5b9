"""Other tools on the same grants: octoDNS, whose zone has one record a grant, and ldap2pg, one membership a grant.

Each is installed from PyPI into an environment of its own. ldap2pg compares with a PostgreSQL, which is made below the
same folder and taken down again; where the machine has none, that row is left out and said to be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from measure import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT = "15533"
# ldap2pg imports python-ldap, which has to be compiled, even where no directory is asked; this is all it looks for.
NO_LDAP = {
    "__init__.py": "SCOPE_BASE, SCOPE_ONELEVEL, SCOPE_SUBTREE, SCOPE_SUBORDINATE = range(4)\n__version__ = '0'\n"
    "class LDAPError(Exception): ...\n",
    "dn.py": "def str2dn(*_, **__): raise NotImplementedError\n",
    "sasl.py": "",
}


class AbsentError(Exception):
    """A peer cannot be run on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL of our own; `user` is who runs it where we are root, which it refuses to run as."""

    folder: Path
    user: str | None

    def run(self, tool: str, *arguments: str | Path) -> None:
        """Run one of PostgreSQL's tools; raises `Absent` with its last words where it fails."""
        done = subprocess.run(
            [_tool(tool), *arguments], user=self.user, capture_output=True, text=True, check=False, cwd=self.folder
        )
        if done.returncode:
            raise AbsentError(f"{tool}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need to find it."""
        return {"PGHOST": str(self.folder), "PGPORT": PORT, "PGUSER": "postgres", "PGDATABASE": "postgres"}


def octodns(cache: Path, data: Path) -> Command:
    """Return octoDNS's plan of the zone that `gen.py` wrote."""
    tool = _installed(cache / "octodns", "octodns", "octodns-sync", "octodns")
    return Command(arguments=[tool, "--config-file", "config.yaml"], folder=data / "octodns")


@contextmanager
def ldap2pg(cache: Path, data: Path) -> Iterator[Command]:
    """Give ldap2pg's plan of the memberships that `gen.py` wrote, against a database that holds the live ones."""
    tool = _installed(cache / "ldap2pg", "ldap2pg", "ldap2pg", "--no-deps", "ldap2pg<6", "psycopg2-binary", "pyyaml")
    _without_ldap(cache / "ldap2pg")
    with _database(cache / "postgres") as database:
        _loaded(database, data / "ldap2pg" / "live.sql")
        arguments: list[str | Path] = [tool, "-c", "ldap2pg.yml", "-n", "--no-color"]
        yield Command(arguments=arguments, folder=data / "ldap2pg", environment=database.environment)


def _installed(environment: Path, name: str, tool: str, *requirements: str) -> Path:
    path = environment / "bin" / tool
    if not path.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *requirements]
        if subprocess.run(pip, capture_output=True, check=False).returncode or not path.exists():
            shutil.rmtree(environment)
            raise AbsentError(f"{name} could not be installed from PyPI")
    return path


def _without_ldap(environment: Path) -> None:
    folder = next(environment.glob("lib/python*/site-packages")) / "ldap"
    folder.mkdir(exist_ok=True)
    for name, text in NO_LDAP.items():
        (folder / name).write_text(text, encoding="utf-8")


@contextmanager
def _database(folder: Path) -> Iterator[Database]:
    user = "postgres" if os.geteuid() == 0 else None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if user:
        shutil.chown(folder, user)
    database = Database(folder, user)
    database.run("initdb", "-D", folder / "data", "-U", "postgres", "--auth", "trust", "--no-sync")
    options = f"-c listen_addresses= -c port={PORT} -c unix_socket_directories={folder} -c fsync=off"
    database.run("pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "-o", options, "start")
    try:
        yield database
    finally:
        database.run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")


def _loaded(database: Database, script: Path) -> None:
    command = [_tool("psql"), "-q", "-f", str(script)]
    done = subprocess.run(command, env={**os.environ, **database.environment}, capture_output=True, check=False)
    if done.returncode:
        raise AbsentError("psql could not load what is live")


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise AbsentError(f"this machine has no PostgreSQL ({name} is not on PATH)")
    return found
