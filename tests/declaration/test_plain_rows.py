"""Rows that are read without the parser of YAML: the same data, places and faults as the parser gives, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteward.declaration import plain_rows, yaml_reader
from siteward.declaration.source import Items, Table
from siteward.declaration.yaml_reader import MAX_ALIASED, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.source import Path, Source, Value

TABLE = [
    "  anna: {email: anna@example.org, name: Anna Berg, until: 2027-03-31}",
    "  ben:\n    email: ben@example.org\n    tags: [a, \"b c\", 'd']\n    until: 2027-03-31",
    "  cy.d@x: {}",
    '  dora:\n    name: "a, b: c # d"\n    url: https://example.org:8443/a',
    "  anna: {email: twice@example.org}",
    "  emil: {a: x, a: y}",
    "  fritz:\n      deep: er",
    "  gerd: {sites: [one], more: [two, 'th ree'], last: \"} ]\"}",
]
LIST = [
    "  - to: anna\n    role: view\n    sites: [shop, blog]",
    '  - {to: anna, role: view, sites: "tag:acme"}',
    "  - to: [a, b]",
    "  - {to: x, sites: ['*', \"!a\"]}",
    "  - {}",
    "  - to: ''\n    note: it-s tag:acme here",
]
ODD = [
    "", "# a comment", "  # one with a margin", "      # a deep one", "      more: deep", "    more: x", "    - item", "  - item",
    "  numbered: {a: 1}", "  truth: {a: true, b: x}", "  void: {a: null}", "  hex: {a: 0x1F}", "  word: plain", '  quoted: "a"',
    "  anchored: &x {a: b}", "  again: *x", "  tagged: !t {a: b}", "  &y", "  text: |", "  folded: >", '  long: "begins', '  ends"',
    "  plain long", "  spaced:  {a: b}", "  trailing: {a: b} ", "  a: b: c", "  ? asked", "- a: b", "x:", "x: [", "]", "x: {", "}",
    "---", "...", "%YAML 1.1", "  - - a: b", "\t- a: b", "  'k': {a: b}", '  "": ""', '  - ""', "  : x", "  -", "  e:", "  1: {a: b}",
    "  n: {é: ü, ß: Ö Ä}", "  date: {a: 2027-03-31 12}", "  dash: {a: b - c, d: e-}", "  colon: {a: b:c}", "  colons:\n    a: b:c d:e",
    "  odd:\n    a: True", "  odds: {a: [b, Null]}", "  name: {a: nullable, b: trueish, c: False x}",
]  # fmt: skip


def _paths(value: Value, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, Table):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, Items):
        for number, inner in enumerate(value):
            yield from _paths(inner, (*path, number))


def _read_both(text: str) -> tuple[Source | None, Source | None, tuple[Diagnostic, ...]]:
    """Return what is read with rows taken out, if it is; and what the parser alone reads, with its faults."""
    with patch.object(plain_rows, "FEWEST", 1), patch.object(yaml_reader, "LARGE", 0):
        taken = yaml_reader._read_large("f.yaml", text)
    return taken, *read("f.yaml", text)


def _check(text: str) -> bool:
    """Check that both ways agree about a text, and return whether rows were taken out of it."""
    taken, parsed, faults = _read_both(text)
    if taken is None:
        return False
    assert not faults
    assert parsed is not None
    assert taken.data == parsed.data
    for path in _paths(parsed.data):
        assert (taken.at(path), taken.key_at(path)) == (parsed.at(path), parsed.key_at(path)), path
        if path:
            assert taken.pair_at(path) == parsed.pair_at(path), path
    return True


@given(
    st.lists(st.sampled_from([*TABLE, *LIST, *ODD]), max_size=9), st.sampled_from(["", "x:\n", "x:\n  y:\n", "a: [\n"])
)
@example(TABLE[:2], "x: {\n")
@example([*TABLE[:2], "}"], "x: {\n")
@example([*LIST[:2], "]"], "x: [\n")
@example(LIST[:2], "text: |\n")
@example([*LIST[:2], '  "'], 'text: "\n')
@example([*TABLE[:2], "# end"], "x: &x\n")
@example([TABLE[0], "      more: deep"], "x:\n")
@example([TABLE[1], "", "    more: deep"], "x:\n")
@example([TABLE[1], "# a comment", "    more: deep"], "x:\n")
@example([TABLE[0], "  again: *x"], "x:\n  &x\n")
def test_the_parser_agrees_about_any_lines(lines: list[str], begin: str) -> None:
    """Whatever stands around rows, they are read as the parser reads them, each in its place, or left to it."""
    _check(begin + "\n".join(lines) + "\n")


@given(
    st.lists(st.sampled_from([*TABLE[:4], TABLE[6], TABLE[7], "", "# a comment"]), min_size=1, unique=True),
    st.lists(st.sampled_from([*LIST, "", "  # a comment"]), min_size=1, max_size=8),
)
def test_plain_rows_between_comments_and_blank_lines_are_taken_out(users: list[str], grants: list[str]) -> None:
    """A file of sections as people write them is read the fast way, as far as its rows are plain."""
    text = "\n".join(["users:", *users, "grants:", *grants, "version: 1"]) + "\n"
    empty = not any(row in TABLE for row in users) or not any(row in LIST for row in grants)
    assert _check(text) or empty


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("users:\n", "  u{}: {{email: u{}@example.org}}\n"),
        ("users:\n", "  u{}:\n    email: u{}@example.org\n    until: 2027-03-31\n"),
        ("grants:\n", "  - {{to: u{}, role: view, sites: [a, u{}]}}\n"),
        ("grants:\n", '- to: u{}\n  role: view\n  sites: ["tag:u{}"]\n'),
        ("sites:\n", '    s-{}: {{domain: www{}.example.org, name: "A & B", tags: [x, y]}}\n'),
    ],
)
def test_the_usual_rows_of_a_large_file_never_reach_the_parser(head: str, row: str) -> None:
    """Of a file whose rows are plain, the parser sees a few lines."""
    text = head + "".join(row.format(number, number) for number in range(3000))
    assert len(text) >= yaml_reader.LARGE
    shortened, runs = plain_rows.take_out(text, {})
    assert len(shortened.strip()) < 50
    assert sum(len(run.rows) for run in runs.values()) == 3000
    assert _check(text)


def test_a_fault_far_into_a_large_file_is_told_where_it_is() -> None:
    """A key given twice, a null and a fault of YAML itself are found by the parser, which reads the file again."""
    rows = "".join(f"  u{number}:\n    email: u{number}@example.org\n" for number in range(4000))
    _, twice = read("f.yaml", f"users:\n{rows}  u17:\n    email: x@example.org\n  v18:\n")
    assert [(fault.code, str(fault.at)) for fault in twice] == [
        ("duplicate-key", "f.yaml:8002:3"),
        ("null", "f.yaml:8004:7"),
    ]
    source, broken = read("f.yaml", f"users:\n{rows}  u: {{a: b\nx: y\n")
    assert source is None
    assert [fault.code for fault in broken] == ["yaml"]


def test_what_aliases_repeat_is_counted_in_rows_too() -> None:
    """An alias of a section weighs as much as when the parser reads all of it."""
    rows = "".join(f"  - {{to: u{number}, sites: [a, b]}}\n" for number in range(4000))
    weight = 4000 * 5 + 1
    text = f"grants: &all\n{rows}"
    most = MAX_ALIASED // weight
    fine, _ = read("f.yaml", text + "".join(f"x{number}: *all\n" for number in range(most)))
    assert fine is not None
    _, faults = read("f.yaml", text + "".join(f"x{number}: *all\n" for number in range(most + 1)))
    assert [fault.code for fault in faults] == ["alias-bomb"]
