"""Every sample of the pages runs: a page is walked through as `docs/walk.py` says; what it does not walk, `test_blocks.py` does.

By day the pages of the start, the README and a few others are walked; at night all (`AT_NIGHT` in tests/conftest.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs.walk import PAGES, ROOT, Block, Walk, do_block, is_like, is_part_of, load_yaml, read_shortened, walk_through

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    walk_through(text, tmp_path)


def test_there_are_pages_whose_samples_run() -> None:
    """The walk itself would pass over pages that name no sandbox."""
    wanted = {page for room in ("start", "how-to") for page in (ROOT / "docs" / room).glob("*.md")}
    assert wanted <= set(PAGES)
    assert {page.name for page in wanted} >= {"umami.md", "matomo.md", "piwik-pro.md", "plausible.md"}


FILE = "# access.yaml\nversion: 1\ninstances: {stats: {platform: umami, url: https://stats.example.org, layout: per-site}}\n"


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("```sh\nsiteward validate   # leaves with 2\n```", "siteward validate"),
        ("```sh\nsiteward schema\n```\n\n```text\nnothing\n```", "the page says"),
        ("```sh\ncurl https://stats.example.org\n```", "a sample calls curl"),
        ("```sh\nexport SITEWARD_STATS_TOKEN=…\n```", "no credential"),
        ("```sh\nexport SITEWARD_STATS_USERNAME=…\nsiteward doctor\n```", "nothing says .*SITEWARD_STATS_URL"),
        ("```sh\nsiteward grant anna 'edit\n```", "a quote has no end"),
        ("```yaml\nversion: 1\n```", "names no file"),
        ("```console\n$ siteward plan\n```", "a block of console"),
        ("```\nsiteward plan\n```", "a block of no kind"),
        ("```text\nPlan: nothing to do.\n```", "no command stands above"),
        ("```sh\nsiteward schema\n```\n\n```text\n…\n```", "nothing is said"),
        ("- step\n\n  ```sh\n  siteward plan\n  ```", "an indented block"),
    ],
)
def test_a_page_that_says_what_is_not_so_is_found(sample: str, said: str, tmp_path: Path) -> None:
    """The walk is strict: a wrong exit code, output, command, credential or kind of block fails."""
    text = f"# Page\n\n<!-- sandbox: umami -->\n\n```yaml\n{FILE}```\n\n{sample}\n"
    with pytest.raises(AssertionError, match=said):
        walk_through(text, tmp_path)


def test_an_output_may_vary_only_where_the_page_says_so() -> None:
    printed = "stats  umami 3.2\n  read 4 accounts\n\nPlan: nothing to do.\n"
    assert is_like("stats  umami …\n…\nPlan: nothing to do.\n", printed)
    assert is_like("…\nPlan: nothing to do.\n", printed)
    assert not is_like("Plan: nothing to do.\n", printed)
    assert not is_like("…\n  read 4 accounts\n", printed)
    assert not is_like("stats  umami …\n…\nPlan: 1 to add.\n", printed)


def test_a_document_may_be_shortened_only_where_the_page_says_so() -> None:
    whole = {"a": "x", "z": 0, "b": [{"c": 2, "d": 3}, {"c": 4}]}
    assert is_part_of(read_shortened('{"a":…,"b":[{"c":1,…},…]}'), whole)
    assert not is_part_of(read_shortened('{"b":[…],"a":"x"}'), whole)
    assert not is_part_of(read_shortened('{"a":…,"q":…}'), whole)
    assert not is_part_of(read_shortened('{"b":[{"c":"1"}]}'), whole)


def test_what_is_added_to_a_file_stands_beside_what_was_there(tmp_path: Path) -> None:
    walk = Walk(tmp_path, {})
    do_block(walk, Block("yaml", "# a.yaml\nusers: {anna: {email: a@example.org}}\ngrants: [{to: anna}]\n"))
    do_block(walk, Block("yaml", "# a.yaml, added\nusers: {anna: {until: 2027-06-30}, ben: {}}\ngrants: [{to: ben}]\n"))
    assert load_yaml((tmp_path / "a.yaml").read_text(encoding="utf-8")) == {
        "users": {"anna": {"email": "a@example.org", "until": "2027-06-30"}, "ben": {}},
        "grants": [{"to": "anna"}, {"to": "ben"}],
    }
