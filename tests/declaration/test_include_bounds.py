"""What an included file may grant on: what is beyond is told where it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import read_text

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
version: 1
instances:
  pp: {platform: piwik-pro, url: "https://acme.piwik.pro", native: true}
users:
  anna: {email: anna@example.org}
include:
  - {path: team.yaml, sites: ["shop.*"]}
"""


@pytest.mark.parametrize("key", ["sites", "metasites"])
def test_a_grant_beyond_an_includes_bounds_is_told_at_its_place(tmp_path: Path, key: str) -> None:
    """At the very entry, on sites and on metasites, and with what is allowed."""
    team = f"grants:\n  - to: anna\n    role: view\n    {key}:\n      - shop.example.org\n      - blog.example.org\n"
    loaded = read_text(tmp_path, TEXT, team=team)
    beyond = [found for found in loaded.diagnostics if found.code == "beyond-include"]
    assert [(found.at.line, found.at.column) for found in beyond if found.at] == [(6, 9)]
    assert beyond[0].allowed == ("shop.*",)
