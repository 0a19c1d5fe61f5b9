"""Words that the project no longer uses: where one of them comes back as a name, a rule id, a key or an option.

Each has a word of the field instead. Some are said by the names of classes, functions and modules alone: as a noun in
a sentence, or as somebody else's word, they are plain English.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from siteward.access.catalog import RULES
from siteward.cli.app import main

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "siteward"

ANYWHERE = {
    "stranger": "unmanaged account",
    "outsider": "external",
    "census": "classification",
    "stance": "account class",
    "holder": "subject, declared user",
    "bearer": "subject",
    "crew": "members",
    "stuck": "blocked",
    "sift": "revalidate",
    "sifted": "revalidated",
    "recheck": "revalidate",
    "admit": "admission",
    "complain": "diagnostic",
    "flaw": "fault",
    "salvage": "recover",
    "veil": "redact",
    "veiled": "redacted",
    "picture": "state",
    "brake": "cancellation",
    "torn": "truncated",
    "desk": "run, rig",
}
"""Words that no part of a name is, and what is said instead."""

WHOLE = {"each": "the name of the thing", "_each": "a verb and its object"}
"""Words that are no name by themselves; inside of one they are plain English."""

DEFINED = {
    "Board": "functions",
    "Gate": "BasePolicy, ReadOnlyTransport",
    "Course": "RunResult",
    "Began": "RunStarted",
    "Became": "StepsFinished",
    "Intended": "StepsIntended",
    "Work": "Execution",
    "Past": "History",
    "Shape": "Serializer, Schema",
    "Pen": "Style",
    "Sheet": "RenderContext",
    "Spot": "Location",
    "Bearer": "ApiKey",
    "travel_light": "start-up",
}
"""Names that no class or function has."""

MODULES = {
    "ending": "memory",
    "deliver": "passwords",
    "private": "files",
    "compose": "yaml_reader",
    "shape": "serialize, schema",
    "terms": "policy",
    "lean": "startup",
    "marks": "markdown_escape",
    "fold": "to_access",
    "look": "refresh",
    "settle": "confirm",
    "gate": "base_policy",
}
"""Names that no module has."""

PLATFORM_FUNCTIONS = {"fold": "to_access", "look": "refresh"}
"""Names that no function of a platform's interface has."""

STAYS = {
    "BearerAuth": "the HTTP scheme is called so",
    "outsider": "a flag's and a band's name in the JSON of reviews and diffs, and a column of tables; `external` in the code",
}
"""Names that hold such a word all the same, each with its reason."""


def parts(name: str) -> list[str]:
    """Return the words of a name, in lower case, whether it is written with underscores, hyphens or capitals."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def old_word(name: str) -> str | None:
    """Return the word of a name that is not used any more, in the singular; None where there is none."""
    if name in WHOLE:
        return name
    return next((word for part in parts(name) for word in (part, part.removesuffix("s")) if word in ANYWHERE), None)


def names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module binds, reads or imports, with those of attributes and arguments."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case ast.alias(name=name, asname=alias):
                yield from (alias or name).split(".")
            case ast.ImportFrom(module=str(module)):
                yield from module.split(".")
            case _:
                pass


def defined(tree: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Yield every class and function of a module."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef))


def old_names(path: Path, text: str) -> set[str]:
    """Return the names in a module that hold a word which is not used any more; `path` is the module's."""
    tree = ast.parse(text)
    found = {name for name in (*names(tree), path.stem) if old_word(name)}
    found |= {node.name for node in defined(tree) if node.name in DEFINED}
    if "platforms" in path.parts and path.stem != "native_state":
        found |= {node.name for node in defined(tree) if node.name in PLATFORM_FUNCTIONS}
    if path.stem in MODULES:
        found.add(path.stem)
    return found - STAYS.keys()


def modules() -> list[Path]:
    """Return all modules of the program, its tests and its benchmarks, but for this one."""
    folders = (SRC, ROOT / "tests", ROOT / "benchmarks")
    found = (path for folder in folders for path in sorted(folder.rglob("*.py")))
    return [path for path in found if path != Path(__file__).resolve()]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_holds_an_old_word(path: Path) -> None:
    """Modules, classes, functions, arguments, attributes and variables, tests included."""
    place = str(path.relative_to(ROOT))
    found = old_names(path, path.read_text(encoding="utf-8"))
    assert not found, f"{place}: {sorted(found)}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("for each in rows: pass", {"each"}),
        ("def test_each_row(): pass", set()),
        ("def f(strangers_too): pass", {"strangers_too"}),
        ("class Sheet: pass", {"Sheet"}),
        ("sheet = 1", set()),
        ("self.is_outsider", {"is_outsider"}),
        ("from siteward.access.census import x", {"census"}),
        ("BearerAuth()", set()),
        ("def fold(): pass", {"fold"}),
        ("call(stance=1)", {"stance"}),
        ("'a stranger'", set()),
    ],
)
def test_the_search_finds_what_it_is_for(text: str, found: set[str]) -> None:
    """Each kind of name, and nothing in a text."""
    assert old_names(SRC / "platforms" / "x.py", text) == found


def test_an_exception_is_named_as_one() -> None:
    """The linter asks for `Error` at the end; nothing is exempt."""
    told = "N8" + "18"
    exempt = [path for path in modules() if told in path.read_text(encoding="utf-8")]
    assert {str(path.relative_to(ROOT)) for path in exempt} == set()
    assert told not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_no_rule_id_holds_an_old_word() -> None:
    """As they stand in the catalogue, which has all of them."""
    assert [code for code in RULES if old_word(code) and code not in STAYS] == []


def test_no_key_of_a_file_format_holds_an_old_word() -> None:
    """Of the declaration, the plan and the reports, by their schemas."""
    keys: set[str] = set()

    def collect(value: object) -> None:
        for member in value if isinstance(value, list) else ():
            collect(member)
        for key, member in value.items() if isinstance(value, dict) else ():
            if key == "properties" and isinstance(member, dict):
                keys.update(member)
            collect(member)

    for path in sorted((ROOT / "schemas").glob("*.schema.json")):
        collect(json.loads(path.read_text(encoding="utf-8")))
    assert {"users", "steps", "diagnostics"} <= keys
    assert {key for key in keys if old_word(key)} - STAYS.keys() == set()


def test_no_option_holds_an_old_word() -> None:
    """Of any verb; nor has a verb such a name."""
    said = {name for command in _commands(main) for name in _said(command)}
    assert {"plan", "--allow-delete"} <= said
    assert [name for name in sorted(said) if old_word(name)] == []


def _commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from _commands(found)


def _said(command: click.Command) -> Iterator[str]:
    yield command.name or ""
    for parameter in command.params:
        yield from parameter.opts


def test_what_stays_is_there() -> None:
    """A reason without its name leaves the list."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in SRC.rglob("*.py"))
    assert [name for name in STAYS if not re.search(rf"\b{name}\b", sources)] == []
