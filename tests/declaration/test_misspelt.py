"""A misspelt key is told with the one that was likely meant, and what stands under it is judged as if it were right."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declaration.tables import HEAD, read_text, told
from declaration.test_grammar import VALUES, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = ("version", "instances", "include", "journal", "roles", "policy", "sites", "users", "groups", "grants")
INCLUDED = ("sites", "users", "groups", "grants")
TABLES = {
    "version": "1",
    "instances": "{stats: {platform: umami, url: 'https://stats.example.org', self: siteward, layout: per-site}}",
    "include": "[]",
    "journal": "{dir: records}",
    "roles": "{analyst: {umami: view}}",
    "policy": "{timezone: UTC}",
    "sites": "{shop: {domain: shop.example.org}}",
    "users": "{anna: {}, ben: {emial: ben@example.org}}",
    "groups": "{team: [anna]}",
    "grants": "[{to: [anna, team], role: analyst, sites: shop}, {to: ben, role: view, sites: shop}]",
}


def _edits(word: str) -> Iterator[str]:
    """Yield the words that are one edit away: a letter left out, put in, replaced or changed with the next one."""
    letters = "asexz-_"
    for at in range(len(word) + 1):
        before, after = word[:at], word[at:]
        yield from (before + letter + after for letter in letters)
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in letters)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]


def _text(tables: dict[str, str]) -> str:
    return "".join(f"{name}: {written}\n" for name, written in tables.items())


@pytest.mark.parametrize("key", ROOT)
def test_a_misspelt_section_of_the_root_is_read_as_the_one_that_was_meant(key: str, tmp_path: Path) -> None:
    """It is one mistake: the rest of the file, and what stands in the section itself, is judged as ever."""
    right = [told(diagnostic) for diagnostic in read_text(tmp_path, _text(TABLES)).diagnostics]
    for word in {*_edits(key)} - {*ROOT, ""}:
        loaded = read_text(tmp_path, _text({(word if name == key else name): each for name, each in TABLES.items()}))
        unknown = [diagnostic for diagnostic in loaded.diagnostics if diagnostic.message == f"unknown key `{word}`"]
        assert [(diagnostic.code, diagnostic.suggestion) for diagnostic in unknown] == [("unknown-key", key)], word
        rest = [told(diagnostic) for diagnostic in loaded.diagnostics if diagnostic not in unknown]
        assert [each.partition(" ")[2] for each in rest] == [each.partition(" ")[2] for each in right], word
        assert len(loaded.diagnostics) == 2


@pytest.mark.parametrize("key", INCLUDED)
def test_so_is_one_of_an_included_file(key: str, tmp_path: Path) -> None:
    """The place is that file's."""
    team = {name: TABLES[name] for name in INCLUDED}
    root = HEAD + "include: [team.yaml]\nroles: {analyst: {umami: view}}\n"
    for word in {*_edits(key)} - {*INCLUDED, ""}:
        text = _text({(word if name == key else name): each for name, each in team.items()})
        unknown, inner = sorted(
            read_text(tmp_path, root, team=text).diagnostics, key=lambda each: each.message != f"unknown key `{word}`"
        )
        assert (unknown.code, unknown.suggestion) == ("unknown-key", key), word
        assert unknown.at is not None
        assert Path(unknown.at.file).name == "team.yaml"
        assert inner.message == "unknown key `emial`"


def test_a_section_beside_the_one_that_is_meant_is_only_unknown(tmp_path: Path) -> None:
    """Which of the two counts is plain: the one whose name is right."""
    loaded = read_text(tmp_path, HEAD + "users: {anna: {}}\nuser: {anna: {emial: x}}\nuserz: {ben: {}}\n")
    assert [diagnostic.message for diagnostic in loaded.diagnostics] == ["unknown key `user`", "unknown key `userz`"]


def test_a_value_that_was_refused_under_a_misspelt_name_is_told_once(tmp_path: Path) -> None:
    """A hole keeps its place under the new name."""
    loaded = read_text(
        tmp_path, HEAD + "user: {anna: , ben: {}}\ngrants: [{to: [anna, ben], role: view, sites: x.org}]\n"
    )
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["unknown-key", "null"]


def _tables(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all keys of a file."""
    for key, each in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        if isinstance(data, dict):
            yield (*path, key)
        yield from _tables(each, (*path, key))


KEPT = "the value that stood there"
PATHS = sorted(_tables(WRITTEN), key=str)


@given(st.sampled_from(PATHS), st.integers(0, 200), VALUES | st.none() | st.just(KEPT))
def test_no_misspelt_key_of_any_kind_of_value_breaks_the_reader(
    path: tuple[str | int, ...], number: int, value: Any
) -> None:
    """On every level of the file, with every kind of value, there is an answer with a rule and a place."""
    data = json.loads(json.dumps(WRITTEN))
    data.pop("include", None)
    declared_user = data
    try:
        for step in path[:-1]:
            declared_user = declared_user[step]
    except KeyError:
        return
    edits = list(_edits(str(path[-1])))
    changed = {
        (edits[number % len(edits)] if key == path[-1] else key): (value if key == path[-1] and value != KEPT else each)
        for key, each in declared_user.items()
    }
    declared_user.clear()
    declared_user |= changed
    with TemporaryDirectory() as folder:
        loaded = read_text(Path(folder), json.dumps(data))
    for diagnostic in loaded.diagnostics:
        assert diagnostic.at is not None
        assert diagnostic.code
        assert diagnostic.message
