"""The schema that editors use: it takes what the grammar takes, and refuses what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from declaration.tables import SETTINGS, read
from siteward.declaration.schema import access_schema
from siteward.declaration.yaml_reader import read as compose
from siteward.reconcile.project import settings_models

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VALIDATOR = Draft202012Validator(access_schema(SETTINGS))
OF_THE_GRAMMAR = ("unknown-key", "missing-key", "wrong-type", "unknown-value", "out-of-range")


def _data(path: Path) -> Any:
    source, _ = compose(path.name, path.read_text(encoding="utf-8"))
    assert source is not None
    return source.data


def test_the_file_in_the_tree_is_the_grammar() -> None:
    """`make schemas` writes it; whoever changes the grammar runs that."""
    kept = json.loads((ROOT / "schemas" / "access.schema.json").read_text(encoding="utf-8"))
    assert kept == access_schema(settings_models()), "run `make schemas`"


def test_the_schema_is_one() -> None:
    """It follows its own dialect, refers only to what is in it, and explains every key."""
    schema = access_schema(SETTINGS)
    Draft202012Validator.check_schema(schema)
    for name, definition in {"": schema, **schema["$defs"]}.items():
        for key, member in definition.get("properties", {}).items():
            own = name in {"UmamiInstance", "PlausibleInstance"} and key in {"layout", "team", "team_members", "url"}
            assert "description" in member or "$ref" in member or own, f"{name}.{key}"


def test_everything_the_design_shows_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole grammar in one file: it loads without a word, and editors have no complaint."""
    monkeypatch.chdir(HERE)
    loaded = read(Path("whole.yaml"))
    assert [diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks] == []
    assert loaded.declaration is not None
    assert loaded.files == 2
    assert list(VALIDATOR.iter_errors(_data(HERE / "whole.yaml"))) == []


def test_the_example_is_right() -> None:
    """The file the demo runs passes the schema that its first line names."""
    validator = Draft202012Validator(access_schema(settings_models()))
    assert list(validator.iter_errors(_data(ROOT / "access.example.yaml"))) == []


BROKEN = sorted(path for path in (HERE / "cases").glob("*.yaml") if path.stem.partition("--")[0] in OF_THE_GRAMMAR)


@pytest.mark.parametrize("case", BROKEN, ids=lambda path: path.stem)
def test_what_the_grammar_refuses_editors_mark(case: Path) -> None:
    """A file that breaks the grammar breaks the schema too."""
    assert list(VALIDATOR.iter_errors(_data(case)))


PLACES: tuple[tuple[str | int, ...], ...] = (
    (), ("include", 0), ("journal",), ("instances", "stats"), ("instances", "matomo-eu", "policy"),
    ("sites", "shop"), ("users", "anna"), ("groups", "editors"), ("groups", "analysts", 1), ("groups", "leads", "from", 0),
    ("grants", 0),
    ("roles", "implementer", "matomo"), ("policy",), ("policy", "admins"), ("policy", "limits"),
    ("policy", "limits", "removals"), ("policy", "wildcards"), ("policy", "rules", 0), ("policy", "rules", 0, "match"),
    ("policy", "managers"), ("policy", "rules", 3, "not_with"),
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_table_takes_an_unknown_key(place: tuple[str | int, ...], tmp_path: Path) -> None:
    """A key nobody knows is refused wherever it stands, by the grammar and by the schema."""
    data = json.loads(json.dumps(_data(HERE / "whole.yaml")))
    data["include"] = []
    if place[:1] == ("include",):
        data["include"] = [{"path": "none.yaml"}]
    declared_user = data
    for step in place:
        declared_user = declared_user[step]
    declared_user["colour"] = "red"
    assert list(VALIDATOR.iter_errors(data))
    path = tmp_path / "access.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    found = [diagnostic for diagnostic in read(path).diagnostics if diagnostic.code in {"unknown-key", "unknown-value"}]
    assert len(found) == 1
    assert found[0].allowed
