"""Names that people cannot tell apart by eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from access.worlds import grant, live, proposed, wish
from declaration.tables import HEAD
from siteward.access.lookalikes import mixes_scripts, skeleton
from siteward.access.model import Account
from siteward.reconcile.project import read

if TYPE_CHECKING:
    from pathlib import Path

LATIN, CYRILLIC, MIXED = "anna", "\u0430\u043d\u043d\u0430", "\u0430nna"


def said(folder: Path, users: str) -> list[tuple[str, str]]:
    """Return what is said of a file with these users: rule and severity."""
    path = folder / "access.yaml"
    path.write_text(f"{HEAD}users: {{{users}}}\n", encoding="utf-8")
    found = read(path).diagnostics
    names = {"looks-like", "not-composed"}
    return [(diagnostic.code, diagnostic.severity.word) for diagnostic in found if diagnostic.code in names]


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (f"{CYRILLIC}: {{}}", []),
        ("müller: {}, zoë: {}, 李: {}, 田中: {}, γιώργος: {}", []),
        (f"{MIXED}: {{}}", [("looks-like", "warning")]),
        (f"{LATIN}: {{}}, {MIXED}: {{}}", [("looks-like", "warning")] * 2),
        ("ann\u0131: {}, anni: {}", [("looks-like", "warning")]),
        ("zoe\u0308: {}", [("not-composed", "error")]),
        ("zo\u00eb: {}, zoe\u0308: {}", [("looks-like", "error"), ("not-composed", "error")]),
        ("anna2: {}, anna\u00b2: {}", [("looks-like", "error")]),
        ("ann1: {}, annl: {}", []),
    ],
    ids=[
        "another script",
        "many scripts",
        "mixed",
        "alike",
        "a dotless i",
        "decomposed",
        "both",
        "compatible",
        "ascii",
    ],
)
def test_what_is_said_of_names(users: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    """A name wholly in another script is fine; two spellings of one name are an error, what looks alike a warning."""
    assert sorted(said(tmp_path, users)) == sorted(expected)


def test_a_group_and_a_login_are_names_too(tmp_path: Path) -> None:
    """Reviewers read them all."""
    path = tmp_path / "access.yaml"
    text = f"{HEAD}users: {{anna: {{logins: {{stats: {MIXED}}}}}}}\ngroups: {{zoe\u0308: [anna]}}\n"
    path.write_text(text, encoding="utf-8")
    codes = {diagnostic.code for diagnostic in read(path).diagnostics}
    assert {"looks-like", "not-composed"} <= codes


def test_an_unmanaged_account_that_looks_like_a_declared_one_is_told() -> None:
    """Whoever is called like somebody else may have been made for that."""
    there = live(grant(LATIN, "team-member"), Account(MIXED))
    found = proposed(there, wish(grant(LATIN, "team-member")))
    assert [diagnostic.code for diagnostic in found.diagnostics if diagnostic.code == "looks-like"] == ["looks-like"]


def test_skeletons_and_scripts() -> None:
    """The same look for the same letters, whatever the script; Japanese writes three scripts in one word."""
    assert skeleton(MIXED) == skeleton(LATIN) == LATIN
    assert not mixes_scripts("東京タワー")
    assert mixes_scripts(MIXED)
