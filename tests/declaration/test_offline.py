"""What selectors mean while no server was asked: a declared site by its domain and its pin, all else as written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, declared
from siteward.declaration.resolve import resolve
from strategies import NOW, UMAMI

if TYPE_CHECKING:
    from pathlib import Path

TEXT = f"""\
{HEAD}  eu: {{platform: matomo, url: "https://m.example.org", self: root}}
sites:
  till: {{domain: Shop.example.org, tags: [acme], on: {{stats: 7}}}}
  blog: {{domain: blog.example.org, tags: [acme]}}
  away: {{domain: away.example.org, tags: [acme], only: [eu]}}
users:
  anna: {{email: anna@example.org}}
"""


@pytest.mark.parametrize(
    ("written", "reached"),
    [
        ("till", {"shop.example.org#7"}),
        ("blog", {"blog.example.org"}),
        ("away", set()),  # a site of another instance
        ("Docs.example.org", {"docs.example.org"}),  # the file knows no such name
        ('"tag:acme"', {"shop.example.org#7", "blog.example.org"}),
        ('"tag:acme", "!till"', {"blog.example.org"}),
        ('"tag:acme", "!shop.*"', {"blog.example.org"}),
        ('till, "!tag:acme"', set()),
    ],
)
def test_a_declared_site_stands_by_its_domain(tmp_path: Path, written: str, reached: set[str]) -> None:
    """By name or by tag, with what is left out of it."""
    text = f"{TEXT}grants: [{{to: anna, role: view, sites: [{written}]}}]\n"
    desired = resolve(declared(tmp_path, text), "stats", UMAMI, None, as_of=NOW, memory=None)
    assert {grant.scope.name for grant in desired.access.grants()} == reached
