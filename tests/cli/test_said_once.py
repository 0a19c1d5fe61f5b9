"""What a reviewer sees: each thing once, the dangerous first, and nothing that is another verb's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

HEAD = """\
version: 1
instances:
  stats: {{platform: umami, url: {url}, self: siteward, layout: per-site, accept_blind: [board-links]}}
"""


@pytest.fixture
def stats(program: Program, umami: Sandbox) -> Program:
    """A folder with the credentials of a sandbox at hand."""
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.env |= {"SITEWARD_STATS_URL": umami.url}
    return program


@pytest.mark.parametrize("verb", ["plan", "apply", "drift"])
def test_what_has_no_effect_in_the_file_is_told_by_validate_alone(stats: Program, umami: Sandbox, verb: str) -> None:
    """Whoever edits the file looks there; whoever reviews a plan has something else to look at."""
    rule = "policy: {rules: [{id: zoe-ends, match: {user: zoe}, require: [until]}]}\n"
    stats.write(HEAD.format(url=umami.url) + "users: {anna: {}}\ngroups: {spare: [anna]}\n" + rule)
    checked = stats("validate").out
    assert "unused-group" in checked
    assert "rule-of-nobody" in checked
    shown = stats(verb).out
    assert "unused-group" not in shown
    assert "rule-of-nobody" not in shown
