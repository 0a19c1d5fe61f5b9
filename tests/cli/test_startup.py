"""What starting up does without: whoever asks for help or checks a file waits for nothing else to load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from siteward.cli.startup import keep

SOURCES = Path(__file__).parents[2] / "src"
JOURNAL = Path(__file__).parents[1] / "reconcile" / "journal-1"
FILE = """\
version: 1
instances:
  stats: {platform: umami, url: https://stats.example.org, self: siteward, layout: per-site}
users:
  anna: {email: anna@example.org}
grants:
  - {to: anna, role: view, sites: shop.example.org}
"""
HEAVY = (
    "asyncio",
    "deepdiff",
    "filelock",
    "httpx",
    "idna",
    "jinja2",
    "pydantic",
    "rich",
    "ruamel",
    "ssl",
    "waitress",
    "werkzeug",
)
CODE = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from siteward.__main__ import main; main()"


def loaded(folder: Path, *arguments: str, leaves_with: int = 0) -> set[str]:
    """Return the modules that a whole process has imported when it leaves."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB", "GITLAB"))}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env={**env, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == leaves_with, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "access.yaml").write_text(FILE, encoding="utf-8")
    return tmp_path


def test_help_imports_click_and_nothing_else_of_weight(folder: Path) -> None:
    """`--help` imports nothing it does not need."""
    modules = loaded(folder, "--help")
    assert "click" in modules
    assert modules.isdisjoint(
        (*HEAVY, "msgspec", "pathlib", "pydantic_core", "yaml", "siteward.access.model", "siteward.reconcile.project")
    )


def test_what_is_left_at_the_end_is_not_collected() -> None:
    """Python's last collection would go over all objects, and the memory is given back with the process anyway."""
    code = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 100)); "
        "from siteward.cli.startup import keep, trim_startup; trim_startup()\n"
        "class Told:\n"
        "    def __del__(self, write=__import__('os').write): write(1, b'taken apart')\n"
        "keep(Told())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "True"]


def test_a_process_that_goes_on_holds_nothing_for_its_end() -> None:
    """Such as that of these tests, which has not begun as the program does."""
    held = {"held"}
    seen = weakref.ref(held)
    keep(held)
    del held
    assert seen() is None


def test_checking_a_file_imports_no_client_no_server_and_no_page(folder: Path) -> None:
    """Neither does `validate`."""
    modules = loaded(folder, "validate")
    assert {"msgspec", "pydantic_core", "yaml"} <= modules
    assert modules.isdisjoint((*HEAVY, "zoneinfo"))


def test_checking_a_file_imports_nothing_that_plans_reads_or_writes(folder: Path) -> None:
    """It needs the grammar, the platforms' settings and what they can do at their best, and the text of findings."""
    modules = loaded(folder, "validate")
    ours = {module for module in modules if module.startswith("siteward.")}
    rooms = {
        "access": {
            "hosts", "model", "diagnostic", "lookalikes", "patterns", "policy", "state", "traits", "report", "window",
            "api_key", "known_names", "secret_looks", "step_counts",
        },
        "platforms": {"umami"},
        "platforms.umami": {"settings", "roles"},
        "reconcile": {"project"},
        "transport": {"errors", "redacted"},
    }  # fmt: skip
    for room, needed in rooms.items():
        inside = {our.removeprefix(f"siteward.{room}.").partition(".")[0] for our in ours if f"siteward.{room}." in our}
        assert inside <= needed, f"{room}: {sorted(inside - needed)}"
    assert ours.isdisjoint({"siteward.render.text_plan", "siteward.render.privacy"})


def test_nothing_is_asked_of_the_installed_distributions() -> None:
    """pydantic would look for plugins in all of them, and run what it finds where credentials are."""
    code = (
        "import sys; from siteward.cli.startup import trim_startup; trim_startup(); import siteward.declaration.schema"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.split()
    assert "pydantic" in modules
    assert "importlib.metadata" not in modules


def test_only_a_run_with_a_base_compares_settings(folder: Path) -> None:
    """deepdiff takes a tenth of a second to load; importing what uses it is not enough to load it."""
    code = (
        "import sys; from siteward.reconcile.revisions import base_policy, policy_changes as changes; "
        "before = 'deepdiff' in sys.modules; list(changes.differences({}, {})); print(before, 'deepdiff' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("arguments", [("plan",), ("apply", "--yes"), ("doctor",)], ids=" ".join)
def test_reading_a_journal_loads_no_pydantic(folder: Path, arguments: tuple[str, ...]) -> None:
    """Its lines are structs: a verb that reads them has `pydantic_core`, which judges the file, and no more of it."""
    shutil.copytree(JOURNAL, folder / ".siteward")
    modules = loaded(folder, *arguments, leaves_with=1)  # the credentials are missing
    assert {"pydantic_core", "siteward.reconcile.journal.entries"} <= modules
    assert modules.isdisjoint({"pydantic", "filelock"})
