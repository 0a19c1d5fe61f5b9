"""The schema of a file that another one includes."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from siteward.declaration.schema import included_schema

ROOT = Path(__file__).parents[2]


def test_the_included_schema_in_the_tree_is_the_grammar() -> None:
    """`make schemas` writes it; whoever changes the grammar runs that."""
    kept = json.loads((ROOT / "schemas" / "included.schema.json").read_text(encoding="utf-8"))
    assert kept == included_schema(), "run `make schemas`"
    Draft202012Validator.check_schema(kept)
