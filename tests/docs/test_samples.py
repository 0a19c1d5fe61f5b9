"""Every sample of the pages for newcomers runs: the files are written, the commands called, the exit codes compared.

A page that names a sandbox in its first comment (`<!-- sandbox: umami -->`) is walked through from top to bottom, in an
empty folder with the credentials of that sandbox at hand. A block of YAML whose first line is `# name.yaml` is written to
that file; each line of a block `sh` is a command. `# leaves with 2` behind one is its exit code, 0 without. A line that
ends in `\\` goes on. Blocks of any other kind are shown and not run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.conftest import base_environment, start
from siteward.platforms.fakery import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
_SANDBOX = re.compile(r"^<!-- sandbox: (?P<names>[a-z0-9=, -]+) -->$", re.MULTILINE)
_BLOCK = re.compile(r"^```(?P<kind>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"\s+# leaves with (?P<code>\d+).*$")
_FILE = re.compile(r"^# (?P<name>[\w./-]+\.(?:ya?ml|csv))\b.*\n")
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if _SANDBOX.search(page.read_text(encoding="utf-8"))]
QUIET = frozenset({"cd", "export", "git", "cat", "mkdir", "cp", "mv", "rm", "echo", "age-keygen", "pip", "test"})
"""What a sample may call beside siteward."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    env = dict(base_environment())
    with ExitStack() as stack:
        urls = {}
        for name, platform in _list_sandboxes(text):
            fake = start(platform)
            urls[name] = stack.enter_context(serve(fake)).url
            prefix = f"SITEWARD_{name}_".upper().replace("-", "_")
            env |= {f"{prefix}{field.upper()}": value for field, value in fake.credentials.items()}
        for kind, block in _list_blocks(text):
            _run_block(kind, _with_addresses(block, urls), tmp_path, env)


def _list_sandboxes(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each instance that a page speaks of, and its platform: `stats=umami`, or `umami` for `stats`."""
    found = _SANDBOX.search(text)
    for entry in found["names"].split(",") if found else ():
        name, _, platform = entry.strip().rpartition("=")
        yield name or "stats", platform


def _list_blocks(text: str) -> Iterator[tuple[str, str]]:
    yield from ((found["kind"], found["text"]) for found in _BLOCK.finditer(text))


def _with_addresses(block: str, urls: Mapping[str, str]) -> str:
    """Return a block with the address of the sandbox in place of the one that is printed (`https://stats.example.org`)."""
    for name, url in urls.items():
        block = block.replace(f"https://{name}.example.org", url)
    return block


def _run_block(kind: str, block: str, folder: Path, env: dict[str, str]) -> None:
    """Write the file that a block holds, or call its commands."""
    named = _FILE.match(block)
    if kind in {"yaml", "csv"} and named is not None:
        path = folder / named["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block[named.end() :] if kind == "csv" else block, encoding="utf-8")
    elif kind == "sh":
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                _call(line, folder, env)


def _call(line: str, folder: Path, env: dict[str, str]) -> None:
    """Call one command and compare its exit code; `export NAME=VALUE` counts for those that follow."""
    expected = int(found["code"]) if (found := _CODE.search(line)) else 0
    command = _CODE.sub("", line).strip()
    word = next(iter(shlex.split(command, comments=True)))
    assert word == "siteward" or word in QUIET, f"a sample calls {word}"
    if word == "export":
        name, _, value = shlex.split(command)[1].partition("=")
        env[name] = value
        return
    shell = f'siteward() {{ {shlex.quote(sys.executable)} -m siteward "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr


def test_there_are_pages_whose_samples_run() -> None:
    """The walk itself would pass over pages that name no sandbox."""
    assert {page.relative_to(ROOT / "docs").as_posix() for page in PAGES} >= {
        f"start/{name}.md" for name in ("umami", "matomo", "piwik-pro", "plausible")
    }
