"""Where the program meets what it does not own: disks, pipes, locales, folders, other people's files."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from cli.conftest import base_environment
from siteward.access.report import Report
from siteward.cli.session import Session, find_config

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.render import Options

AS_OF = ("--as-of", "2026-12-01")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")


def piped(program: Program, *arguments: str, to: str = "", **env: str) -> tuple[int, str]:
    """Run with stdout going to a shell's redirection or pipe; return the exit code and what stderr got."""
    line = f'set -o pipefail; "$0" -m siteward "$@" {to}'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, *arguments],
        cwd=program.folder, env=base_environment() | program.env | env,
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stderr.decode()


@needs_full
@pytest.mark.parametrize(
    "arguments", [("plan", *AS_OF), ("schema",), ("--version",), ("completion", "bash"), ("validate",)]
)
def test_a_full_disk_behind_stdout_is_said(arguments: tuple[str, ...], checkout: Program) -> None:
    """What cannot be written down has not been told: that is an error, in one line."""
    code, said = piped(checkout, *arguments, to="> /dev/full")
    assert code == 1
    assert "No space left" in said


@needs_full
@pytest.mark.parametrize("option", ["--out=/dev/full", "-o=json:/dev/full"])
def test_a_full_disk_behind_a_file_is_said(option: str, checkout: Program) -> None:
    """So is a file that cannot be written."""
    name, _, path = option.partition("=")
    result = checkout("plan", *AS_OF, name, path)
    assert result.code == 1
    assert "No space left" in result.out + result.err


def test_a_closed_pipe_is_no_error_to_speak_of(checkout: Program) -> None:
    """`| head` ends the program without a word, as with other filters."""
    code, said = piped(checkout, "plan", *AS_OF, "-v", to="| head -n 1")
    assert code in {0, 2, 3, 141}
    assert said == ""


def test_any_locale_will_do(checkout: Program) -> None:
    """A locale without UTF-8 neither stops the program nor changes its verdict."""
    usual = checkout("plan", *AS_OF)
    bare = checkout("plan", *AS_OF, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert bare.code == usual.code
    assert bare.out.count("\n") == usual.out.count("\n")


def test_line_ends_of_windows_are_line_ends(checkout: Program) -> None:
    """A file with CRLF means the same and keeps its places."""
    before = checkout("validate", "--format", "json").json()
    for path in checkout.folder.rglob("*.yaml"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert checkout("validate", "--format", "json").json() == before
    path = checkout.folder / "access.yaml"
    path.write_bytes(path.read_bytes().replace(b"role: analyst,", b"role: analist,", 1))
    wrong = checkout("validate", "--format", "json").json()["diagnostics"][0]
    assert "analist" in (checkout.folder / "access.yaml").read_text().splitlines()[wrong["at"]["line"] - 1]


def test_another_directory_is_worked_in_whole(checkout: Program, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With -C every file named on the command line is meant from there, before the verb as after it."""
    elsewhere = type(checkout)(tmp_path_factory.mktemp("elsewhere"), checkout.env)
    there = str(checkout.folder)
    assert elsewhere("-C", there, "plan", *AS_OF, "--out", "plan.json", "-o", "plan.md").code == 2
    assert (checkout.folder / "plan.json").exists()
    assert (checkout.folder / "plan.md").exists()
    assert elsewhere("show", "-C", there, "plan.json").code == 2
    assert list(elsewhere.folder.iterdir()) == []
    assert elsewhere("validate", SITEWARD_CONFIG=f"{there}/access.yaml").code == 0
    assert elsewhere("-c", f"{there}/access.yaml", "validate").code == 0
    gone = elsewhere("-C", "not-there", "validate")
    assert gone.code == 1
    assert "not-there" in gone.err


def test_a_dotenv_that_is_no_text_is_refused(checkout: Program) -> None:
    """A `.env` of another encoding is an error in words."""
    path = checkout.folder / ".env"
    path.write_bytes(b"\xff\xfeA=1\n")
    path.chmod(0o600)
    result = checkout("plan", *AS_OF)
    assert result.code == 1
    assert ".env" in result.out


def test_a_journal_folder_that_is_none_is_told(checkout: Program) -> None:
    """A file where the journals should be stops planning and applying with a message, before anything is sent."""
    (checkout.folder / ".siteward").write_text("")
    for verb in (("plan",), ("apply", "--yes"), ("doctor",)):
        result = checkout(*verb)
        assert result.code == 1, result.out
        assert "journal" in result.out


def test_a_keyring_that_cannot_be_asked_is_told(checkout: Program) -> None:
    """A system without a keyring says so, for the credential it was asked for."""
    pytest.importorskip("keyring")
    del checkout.env["SITEWARD_STATS_PASSWORD"]
    result = checkout("plan", SITEWARD_KEYRING="1", PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    assert result.code == 1
    assert "keyring" in result.out


def test_text_is_laid_out_for_the_terminal_it_is_printed_on() -> None:
    """A narrow terminal is asked for its columns; a pipe or a file has none, and lines are as long as they need to be."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    seen: list[int | None] = []

    def rendered(_: str, options: Options) -> str:
        seen.append(options.width)
        return ""

    with os.fdopen(theirs, "w") as terminal, Path(os.devnull).open("w", encoding="utf-8") as file:
        for stream in (terminal, file):
            with redirect_stdout(stream):
                Session().answer(rendered, Report(command="diff"))
    os.close(ours)
    assert seen == [60, None]


def test_the_file_is_looked_for_up_to_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository ends the way up; a `.git` that git would not take for one does not, whoever put it there."""
    monkeypatch.delenv("SITEWARD_CONFIG", raising=False)
    top = tmp_path / "checkout"
    folder = top / "teams" / "shop"
    (folder / ".git").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    monkeypatch.chdir(folder)
    (tmp_path / "access.yaml").touch()
    with pytest.raises(click.ClickException, match=r"no access\.yaml in"):
        find_config(Session())
    (top / "access.yaml").touch()
    assert find_config(Session()).resolve() == top / "access.yaml"
    (folder / "access.yaml").touch()
    assert find_config(Session()) == Path("access.yaml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--out", "-"), ("plan", "--passwords-out", "-"), ("plan", "-o", "json:-"), ("plan", "--save-snapshot", "-"),
        ("apply", "--yes", "--passwords-out", "-"), ("import", "--instance", "new", "--out", "-"), ("init", "--out", "-"),
        ("evidence", "make", "--to", "-"), ("undo", "x", "--out", "-"), ("demo", "--keep", "-"),
    ],
)  # fmt: skip
def test_a_dash_is_no_file(arguments: tuple[str, ...], checkout: Program) -> None:
    """Who writes `-` means standard output; a file that is called so helps nobody."""
    result = checkout(*arguments)
    assert result.code == 1
    assert "`-` names no file" in result.err
    assert not (checkout.folder / "-").exists()
