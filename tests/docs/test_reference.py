"""The pages of the reference name what the program knows: variables, exit codes and formats, each and no other."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import click
import pytest

from docs.test_blocks import OPTIONS
from docs.test_verify_journal import path
from docs.walk import is_part_of, list_blocks, read_shortened
from siteward import platforms
from siteward.access.report import EXITS
from siteward.cli.app import main
from siteward.transport.secrets import HEADERS

__all__ = ["path"]  # a sealed journal

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
MODULES = sorted((ROOT / "src").rglob("*.py"))
WHOLE = re.compile(r"SITEWARD_[A-Z_]+")
FORMAT = re.compile(r"siteward\.[a-z-]+/\d+")
READ = re.compile(r"\benv(?:iron(?:ment)?)?(?:\.get\(|\[)f?[\"']([A-Z][A-Z_]+)[\"']")
LIBRARIES = {
    "ALL_PROXY", "COLUMNS", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE",
}  # fmt: skip
PLUMBING = {"SITEWARD_COMPLETE"}
"""What click reads when a shell asks for completions."""


@cache
def texts() -> list[str]:
    """Return every text of the program that is no docstring; one with values inside has `<X>` in their place."""
    found = []
    for module in MODULES:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        joined = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "<X>" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | joined:
                found.append(node.value)
    return found


def of_instances(name: str) -> bool:
    """Return whether a variable is of one instance, as in an example: its name or one of its fields is in it."""
    return bool(re.match(r"SITEWARD_(STATS|MATOMO|EU|NAME)(_|$)", name))


def test_the_page_of_the_environment_names_every_variable_and_no_other() -> None:
    page = (REFERENCE / "environment.md").read_text(encoding="utf-8")
    known = {text for text in texts() if WHOLE.fullmatch(text) and not text.endswith("_")} - PLUMBING
    known = {name for name in known if not of_instances(name)}
    assert len(known) >= 8
    said = {name for name in WHOLE.findall(page) if not name.endswith("_") and not of_instances(name)}
    assert said == known


def test_the_page_of_the_environment_names_what_is_read_of_others() -> None:
    """The variables of forges and terminals too, each that the code asks for; what libraries ask for stands beside them."""
    page = (REFERENCE / "environment.md").read_text(encoding="utf-8").partition("## What others set")[2]
    rows = [row.split(" | ")[0] for row in page.splitlines() if row.startswith("| `")]
    said = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    read = {name for module in MODULES for name in READ.findall(module.read_text(encoding="utf-8"))} | {"NO_COLOR"}
    assert said - LIBRARIES == {name for name in read if not name.startswith("SITEWARD_")}


def test_the_page_of_the_environment_names_what_an_instance_may_have() -> None:
    """What the program asks for beside the fields of a platform, each by its own name and by what stands behind it."""
    page = (REFERENCE / "environment.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`SITEWARD_<X>_([A-Z_]+)`", page))
    behind = set(re.findall(r"`SITEWARD_<X>_<FIELD>_([A-Z_]+)`", page))
    asked = {
        str(node.args[1].value).upper()
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "variable" and len(node.args) == 2
        if isinstance(node.args[1], ast.Constant)
    } | {HEADERS.upper()}
    fields = {field.upper() for name in platforms.names() for field in platforms.load(name).optional_fields}
    assert said - fields == asked
    assert behind == {found[1] for text in texts() if (found := re.fullmatch(r"<X>_([A-Z]+)", text))}


def test_the_page_of_exit_codes_has_those_of_the_help() -> None:
    """The page, `--help` and the table that decides have the same codes, and the page tells the order of the table."""
    page = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    rows = [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    help_text = main.get_help(click.Context(main, info_name="siteward"))
    helped = re.findall(r"^    (\d+) +\S", help_text.partition("Exit codes:")[2].partition("Options:")[0], re.MULTILINE)
    assert rows == [int(code) for code in helped] == [0, *sorted(code for code, _ in EXITS)]
    order = re.search(r"the first of ([\d, ]+) counts", page)
    assert order is not None
    assert [int(code) for code in order[1].split(", ")] == [code for code, _ in EXITS]


@pytest.mark.parametrize("page", [ROOT / "docs" / "formats.md"], ids=["formats.md"])
def test_the_page_of_formats_names_every_format_and_no_other(page: Path) -> None:
    """A document that the program writes or reads stands there; one of an earlier release is named by its number."""
    text = page.read_text(encoding="utf-8")
    known = {name for literal in texts() for name in FORMAT.findall(literal)}
    said = set(FORMAT.findall(text)) | {f"siteward.{name}" for name in re.findall(r"`([a-z]+/\d+)`: ", text)}
    assert said == known


def test_the_page_of_formats_says_which_documents_have_a_schema() -> None:
    """`siteward schema` prints those that the page names."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    said = re.search(r"`siteward schema ([a-z |]+)`", text)
    assert said is not None
    shown = main.get_command(click.Context(main), "schema")
    assert shown is not None
    kinds = next(param.type for param in shown.params if isinstance(param, click.Argument))
    assert isinstance(kinds, click.Choice)
    assert set(said[1].split(" | ")) == set(kinds.choices)


def test_the_journal_that_the_page_of_formats_shows_is_one(path: Path) -> None:
    """The part and the header have these members in this order, in a journal that is sealed."""
    blocks = list_blocks((ROOT / "docs" / "formats.md").read_text(encoding="utf-8"))
    (shown,) = (block.text.splitlines() for block in blocks if block.kind == "json")
    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(shown) == 2
    for line in shown:
        assert any(is_part_of(read_shortened(line), record) for record in written), line


def test_the_page_of_formats_names_every_format_of_an_option() -> None:
    """What `-f` and `-o` take, of any command, stands between backticks."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    kinds = (option.type for option in OPTIONS if "--format" in option.opts)
    taken = {choice for kind in kinds if isinstance(kind, click.Choice) for choice in kind.choices}
    assert taken >= {"text", "sarif", "xlsx"}
    assert {name for name in taken if f"`{name}`" not in text} == set()
