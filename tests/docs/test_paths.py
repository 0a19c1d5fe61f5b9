"""The paths that pages and docstrings name are there, so that a module that moves takes its mentions along."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from test_house import FLOORS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "siteward"
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})
MODULES = sorted((ROOT / "src").rglob("*.py"))
FOLDERS = ("src", "tests", "docs", "examples", "schemas", "benchmarks")
FOLDER = "|".join((*FOLDERS, *FLOORS))
PATH = re.compile(rf"(?<![\w/.<-])(?:{FOLDER})/[\w./-]*\w")
IN_ROOM = re.compile(rf"`((?:{'|'.join(FLOORS)})(?:/\w+)*)`: ([^|]*)")
MODULE = re.compile(r"`(\w+(?:\.py|/))`")


def is_there(path: str) -> bool:
    """Return whether a path leads somewhere, from the root of the repository or, for a room's, from the package."""
    return any((base / path).exists() for base in (ROOT, SOURCES))


def docstrings(path: Path) -> str:
    """Return the docstrings of a module, and the texts that stand below an assignment as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return "\n".join(
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_on_a_page_is_there(page: Path) -> None:
    """A page names files from the root of the repository, or from their room."""
    assert [path for path in PATH.findall(page.read_text(encoding="utf-8")) if not is_there(path)] == []


def test_every_path_in_a_docstring_is_there() -> None:
    """So does a docstring."""
    named = {(path.relative_to(ROOT), name) for path in MODULES for name in PATH.findall(docstrings(path))}
    assert [(str(path), name) for path, name in sorted(named) if not is_there(name)] == []


def test_every_module_that_the_architecture_lists_is_in_its_room() -> None:
    """The table that leads from questions to modules names a room first, and then modules in it."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = [f"{room}/{module}" for room, cell in IN_ROOM.findall(page) for module in MODULE.findall(cell)]
    assert len(named) >= 10
    assert [path for path in named if not (SOURCES / path).exists()] == []


def test_the_files_of_a_new_platform_are_those_of_the_template() -> None:
    """The table of files is whole, and `_template` has each."""
    page = (ROOT / "docs" / "add-a-platform.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+\.py)` \|", page, re.MULTILINE))
    assert listed == {path.name for path in (SOURCES / "platforms" / "_template").glob("*.py")} - {"__init__.py"}


def test_a_path_that_is_gone_is_seen() -> None:
    """A scan that finds nothing would pass: it finds paths in backticks and in prose, and knows which are there."""
    found = PATH.findall(
        "`access/guards.py`, docs/ci.md and `src/siteward/nowhere.py`, but no https://x.example/docs/a"
    )
    assert found == ["access/guards.py", "docs/ci.md", "src/siteward/nowhere.py"]
    assert [is_there(path) for path in found] == [True, True, False]
