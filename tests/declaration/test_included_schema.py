"""The schemas of a file that another one includes, and of one that a directory is written to."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from siteward.declaration.schema import directory_schema, included_schema

ROOT = Path(__file__).parents[2]


def test_the_included_schema_in_the_tree_is_the_grammar() -> None:
    """`make schemas` writes it; whoever changes the grammar runs that."""
    kept = json.loads((ROOT / "schemas" / "included.schema.json").read_text(encoding="utf-8"))
    assert kept == included_schema(), "run `make schemas`"
    Draft202012Validator.check_schema(kept)


def test_the_schema_of_a_directory_in_the_tree_is_the_grammar() -> None:
    """It takes a written file, and no key of one that people write."""
    kept = json.loads((ROOT / "schemas" / "directory.schema.json").read_text(encoding="utf-8"))
    assert kept == directory_schema(), "run `make schemas`"
    Draft202012Validator.check_schema(kept)
    written = {"directory": "staff", "users": {"anna": {"id": "7f3c", "email": "anna@example.org", "name": "Anna"}}}
    taken = Draft202012Validator(kept)
    assert taken.is_valid({**written, "groups": {"staff-analytics": {"members": ["anna"]}}})
    assert not taken.is_valid({**written, "grants": []})
    assert not taken.is_valid({"users": {}})
