"""Files and the diagnostics they give: one pair for each rule, and no rule without one."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from declaration.tables import read, told
from siteward import declaration
from siteward.access.catalog import FILE_RULES as RULES
from siteward.access.state import Ending
from siteward.declaration import yaml_reader as compose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Golden

CASES = Path(__file__).parent / "cases"
NAMES = sorted({path.stem if path.is_file() else path.name for path in CASES.iterdir()})
ROOM = Path(declaration.__file__).parent
SOURCES = [*sorted(ROOM.rglob("*.py")), ROOM.parent / "access" / "hosts.py"]

# These need bytes that no checked-in text should hold, a server, or a moment; each has a test of that name, or is one
# of `ALIASES`.
ELSEWHERE = {
    "alias-bomb", "alias-loop",
    "too-large", "not-utf-8", "byte-order-mark", "bad-character",
    "unknown-site", "ambiguous-site", "matches-nothing", "skips-sites", "not-managed", "incomparable-roles", "external-group",
    "former-login-remains", "former-group-remains", "renamed-account", "no-account-ids", "dead-line", "edit-brings-tags", "account-not-there",
    "key-overdue", "key-made-later",
    "waiver-too-long", "waiver-ended",
}  # fmt: skip


# Aliases that repeat too much, with the bound lowered to four values, and one that repeats what holds it.
ALIASES = {
    "alias-bomb": "version: 1\ngroups:\n  a: &a [x, y]\n  b: [*a, *a]\n",
    "alias-loop": "version: 1\nusers: &all {anna: *all}\n",
}


@pytest.fixture(autouse=True)
def _at_the_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say file names as somebody who stands beside the files does."""
    monkeypatch.chdir(CASES)


def _case(name: str) -> Path:
    return Path(name, "access.yaml") if Path(name).is_dir() else Path(f"{name}.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_its_diagnostics(name: str, golden: Golden) -> None:
    """What people read about a bad file changes only on purpose, and names the rule the file is here for."""
    loaded = read(_case(name))
    text = "\n".join(map(told, loaded.diagnostics)) + "\n"
    rule = name.partition("--")[0]
    assert rule not in RULES or rule in {diagnostic.code for diagnostic in loaded.diagnostics}, text
    assert loaded.declaration is None or not any(diagnostic.blocks for diagnostic in loaded.diagnostics)
    golden(f"declaration/{name}.txt", text)


@pytest.mark.parametrize("name", NAMES)
def test_every_diagnostic_stands_inside_its_file(name: str) -> None:
    """A place that is pointed at is there."""
    loaded = read(_case(name))
    for found in loaded.diagnostics:
        for at in (found.at, *found.related):
            if at is not None and at.file in loaded.texts:
                lines = loaded.texts[at.file]
                assert 1 <= at.line <= len(lines)
                assert 1 <= at.column <= len(lines[at.line - 1]) + 1
                assert at.end_line in {0, at.line}
                assert at.end_line == 0 or at.column <= at.end_column <= len(lines[at.line - 1]) + 1


@pytest.mark.parametrize("rule", ALIASES)
def test_aliases_are_bounded(rule: str, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people read about an alias that is refused names the rule, and a place inside the file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compose, "MAX_ALIASED", 4)
    path = Path(f"{rule}.yaml")
    path.write_text(ALIASES[rule], encoding="utf-8")
    loaded = read(path)
    assert rule in {diagnostic.code for diagnostic in loaded.diagnostics}
    assert loaded.declaration is None
    lines = ALIASES[rule].splitlines()
    for found in loaded.diagnostics:
        assert found.at is not None
        assert 1 <= found.at.column <= found.at.end_column <= len(lines[found.at.line - 1]) + 1
    golden(f"declaration/{rule}.txt", "\n".join(map(told, loaded.diagnostics)) + "\n")


def test_every_rule_has_its_pair() -> None:
    """No rule is without an example, and no exception from that is forgotten."""
    shown = {name.partition("--")[0] for name in NAMES}
    assert RULES.keys() - shown == ELSEWHERE
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in RULES.values())


def test_every_code_is_a_rule() -> None:
    """What the sources call a rule is in the table, and the table has nothing else."""
    used = {code for path in SOURCES for code in _codes(path)}
    assert used == RULES.keys()


MAKERS = {
    "problem",
    "error",
    "warning",
    "note",
    "_say",
    "_fault",
    "_report",
    "_refuse_name",
    "_error_at",
    "_misfit",
    "_RefusedError",
    "_said",
    "BadDateError",
    "Lack",
    "Diagnostic",
    "AddressError",
}


def _codes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            given = [
                *node.args[:1],
                *node.args[2:3],
                *(keyword.value for keyword in node.keywords if keyword.arg == "code"),
            ]
            yield from (_text(argument) for argument in given if name in MAKERS and _is_code(argument))
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            codes = (_text(elt) for elt in node.value.elts[:1] if _is_code(elt))
            yield from (code for code in codes if code not in {*get_args(Ending), "row", "new"})
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "code" and node.value is not None:
            yield _text(node.value)


def _is_code(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and bool(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", node.value))
    )


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)
