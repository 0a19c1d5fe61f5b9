"""Text to data with places: the same data as the parser that edits, and the place of every key and value."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from declaration.tables import read as load
from declaration.tables import read_text
from siteward.declaration import yaml_reader as compose
from siteward.declaration.source import Items, Source, Table, split_lines
from siteward.declaration.yaml_reader import MAX_ALIASED, read, slow_events

if TYPE_CHECKING:
    from siteward.declaration.source import Path as Steps
    from siteward.declaration.source import Value

WORDS = st.one_of(
    st.sampled_from(
        ["no", "on", "yes", "012", "0o7", "1.5", "2027-03-31", "12:30", "true", "False", "null-ish", "*.x.org", "!x",
         "tag:acme", "https://x.org/a?b#c", "a: b", "a #b", "- a", "# a", "{", "[a", "%x", "@x", "`x", "&x", "é ü", "🦄",
         " lead", "trail ", "", "'", '"', "\\", "a\tb", "-", "?", "?x", ":x", "|", ">", "~x", "=", "<<", "1_000", "0x1F", "-5", "7"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\x85\u2028\u2029\ufeff"), max_size=12),
)  # fmt: skip
NUMBERS = st.integers(-(10**9), 10**9)
LEAVES: st.SearchStrategy[Any] = st.one_of(WORDS, NUMBERS, st.booleans())
TREES: st.SearchStrategy[Any] = st.dictionaries(
    WORDS.filter(bool),
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS.filter(bool), inner, max_size=4)),
        max_leaves=12,
    ),
    max_size=5,
)


def _composed(text: str) -> Source:
    source, faults = read("f.yaml", text)
    assert not faults, faults
    assert source is not None
    return source


def _texts(value: Any) -> list[str]:
    """Return all texts of a tree, keys too."""
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in _texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _plain(value: Any) -> Any:
    """Return ruamel's data as built-ins; keys are always text to us."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool):
        return bool(value)
    return int(value) if isinstance(value, int) else str(value)


@pytest.mark.parametrize("flow", [True, False, None])
@given(tree=TREES)
@example(tree={"no": [], "on": "0:?"})
@example(tree={"no": ".5e3"})
def test_we_read_what_the_editing_parser_writes_and_reads(*, flow: bool | None, tree: Any) -> None:
    """Our reader and ruamel's round-trip parser cannot disagree about a file (within what the grammar needs)."""
    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = flow
    yaml.width = 60
    stream = io.StringIO()
    yaml.dump(tree, stream)
    text = stream.getvalue()
    source, faults = read("f.yaml", text)
    if any(re.fullmatch(r"[-+]?\.[0-9]+[eE][-+]?[0-9]+", text) for text in _texts(tree)):
        assert faults  # which ruamel writes without quotes, and YAML 1.2 calls a number
        return
    if faults:  # libyaml takes `:` and `?` in brackets for more than text; a refusal is no disagreement
        assert flow is not False
        assert any(sign in text for text in _texts(tree) for sign in ":?"), faults
        return
    assert source is not None
    assert source.data == tree
    assert _plain(YAML(typ="rt", pure=True).load(text)) == _plain(tree)


@given(TREES)
def test_json_is_read_as_it_is(tree: Any) -> None:
    """JSON is YAML: quoted text stays text, whatever it looks like."""
    assert _composed(json.dumps(tree, ensure_ascii=False).replace("\x7f", "\\u007f")).data == tree


@given(TREES)
def test_the_parser_in_python_gives_the_same(tree: Any) -> None:
    """Where libyaml's extension is missing, the data and all places are the same."""
    text = json.dumps(tree, ensure_ascii=False, indent=1).replace("\x7f", "\\u007f")
    fast = _composed(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "open_events", slow_events)
        slow = _composed(text)
    assert slow.data == fast.data
    for path, _ in _walk(fast.data):
        assert slow.at(path) == fast.at(path)


def _walk(value: Value, path: Steps = ()) -> list[tuple[Steps, Value]]:
    found = [(path, value)]
    if isinstance(value, Table):
        for key, item in value.items():
            found += _walk(item, (*path, key))
    elif isinstance(value, Items):
        for number, member in enumerate(value):
            found += _walk(member, (*path, number))
    return found


@given(TREES)
def test_every_key_and_value_is_where_it_is_said_to_be(tree: Any) -> None:
    """At each place stands just what was read from there."""
    text = json.dumps(tree, ensure_ascii=False, indent=1).replace("\x7f", "\\u007f")
    source = _composed(text)
    for path, value in _walk(source.data):
        at = source.at(path)
        line = split_lines(source.text)[at.line - 1]
        if isinstance(value, str | int):
            assert json.loads(line[at.column - 1 : at.end_column - 1]) == value
        if path and isinstance(path[-1], str):
            key = source.key_at(path)
            assert json.loads(split_lines(source.text)[key.line - 1][key.column - 1 : key.end_column - 1]) == path[-1]


def test_places_in_a_file_as_people_write_it() -> None:
    """Lines and columns count from 1; a bracket reaches to its partner, a block to the end of its line."""
    source = _composed(
        "users:   # all\n  anna: {email: a@x.org, tags: [\"a, b\", 'c''d']}\n  ben:\n    email: b@x.org # new\n"
    )
    assert str(source.at(("users", "anna"))) == "f.yaml:2:9"
    assert source.at(("users", "anna")).end_column == 49
    assert source.at(("users", "anna", "tags", 1)).column == 41
    assert source.at(("users", "anna", "tags", 1)).end_column == 47
    assert source.key_at(("users", "ben")).end_column == 6
    assert source.at(("users", "ben", "email")).end_column == 19
    assert source.at(("users", "ben", "phone")) == source.at(("users", "ben"))
    assert source.key_at(("nobody", 7)) == source.at(())


SCALARS = [
    ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("0", 0), ("-7", -7), ("1_000", "1_000"), ("12:30:45", "12:30:45"),
    ("2027-03-31", "2027-03-31"), ("true", True), ("TRUE", True), ("false", False), ("tRUE", "tRUE"), ("nULL", "nULL"),
    ("'true'", "true"), ('"7"', "7"), ("99999999999999999999", "99999999999999999999"), ("<<", "<<"), ("=", "="),
    ("'012'", "012"), ('"1.20"', "1.20"), ("1.2.3", "1.2.3"), ("+", "+"), (".", "."), ("0x", "0x"), ("1e", "1e"), (".git", ".git"),
]  # fmt: skip
ODD_NUMBERS = ("012", "+7", "1.0", "1.20", "1e3", "5E-1", "-.5", ".inf", "-.INF", ".nan", "0x1F", "0o17", "1.", "00")


@pytest.mark.parametrize("written", ODD_NUMBERS)
def test_a_number_that_is_not_read_as_it_is_written_is_refused(written: str) -> None:
    """What an editor or another tool makes of it would not be what stands there; quoted, it is text."""
    _, faults = read("f.yaml", f"a: {written}\nb: [{written}]\n")
    assert [(fault.code, str(fault.at), fault.suggestion) for fault in faults] == [
        ("unquoted", "f.yaml:1:4", f'"{written}"'),
        ("unquoted", "f.yaml:2:5", f'"{written}"'),
    ]
    assert _composed(f"a: '{written}'\n").data["a"] == written


@pytest.mark.parametrize(("written", "meant"), SCALARS)
def test_scalars_are_those_of_yaml_1_2(written: str, meant: str | int) -> None:
    """Only true, false and whole numbers are no text."""
    value = _composed(f"a: {written}\n").data["a"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize("text", ["{a: 1, ?b: 2}\n", "? a\n: 1\n", "x: [?a : 1]\n", "x:\n  ? a\n"])
def test_the_long_way_to_write_a_key_is_refused(text: str) -> None:
    """Readers of YAML disagree about `?x` in brackets, so we do not guess."""
    _, faults = read("f.yaml", text)
    assert [fault.code for fault in faults] == ["unquoted"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("&a b: 1\n", ["unquoted"]), ("a: &x 1\n*x : 2\n", ["unquoted"]), ("!x b: 1\n", ["unquoted"]), ("'': 1\n", ["key-not-text"]),
        ("{a: 1}: 2\n", ["key-not-text"]), ("a: *b\nc: [*d]\n", ["unquoted", "unquoted"]), ("a: !!str\nb: !x {}\n", ["tag", "tag"]),
        ("%TAG ! x:\n--- \na: 1\n", []), ("a: 'x\n", ["yaml"]), ("a: [1\nb: 2\n", ["yaml"]), ("a: 1\n b: 2\n", ["yaml"]),
    ],
)  # fmt: skip
def test_what_is_not_in_our_subset(text: str, codes: list[str]) -> None:
    """Each is told; what can be read over is."""
    assert [diagnostic.code for diagnostic in read("f.yaml", text)[1]] == codes


def test_a_question_mark_in_a_text_is_nothing_special() -> None:
    """Only where a key begins it would be."""
    assert _composed("a: why?\nb: {c: really?, d: x?y}\n").data == {"a": "why?", "b": {"c": "really?", "d": "x?y"}}


def test_keys_are_text() -> None:
    """What a key looks like is nothing to us."""
    assert list(_composed("1: a\ntrue: b\nnull: c\n2027-01-01: d\n").data) == ["1", "true", "null", "2027-01-01"]


def test_aliases_repeat_within_bounds() -> None:
    """An alias gives the same value again, and points to where it was first written."""
    source = _composed("a: &x {b: 1}\nc: *x\nd: &y z\ne: *y\n")
    assert source.data == {"a": {"b": 1}, "c": {"b": 1}, "d": "z", "e": "z"}
    assert source.at(("c",)).line == 2
    rows = ", ".join(["x"] * 1000)
    fits = ", ".join(["*a"] * (MAX_ALIASED // 1001))
    assert len(_composed(f"a: &a [{rows}]\nb: [{fits}]\n").data["b"]) == MAX_ALIASED // 1001  # type: ignore[arg-type]
    _, faults = read("f.yaml", f"a: &a [{rows}]\nb: [{fits}, *a]\n")
    assert [fault.code for fault in faults] == ["alias-bomb"]


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever the text, there is data or a reason, and never an exception."""
    source, faults = read("f.yaml", text)
    assert source is not None or any(fault.blocks for fault in faults)
    assert all(fault.at is not None for fault in faults)


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                ": ",
                "- ",
                "\n",
                "  ",
                "[",
                "]",
                "{",
                "}",
                ",",
                "!x",
                "*x",
                "&x ",
                "? ",
                '"',
                "'",
                "#",
                "|",
                ">",
                "\t",
                "---\n",
                "null",
                "~",
            ]
        ),
        max_size=25,
    )
)
def test_no_piece_of_yaml_breaks_the_reader(pieces: list[str]) -> None:
    """The same, for texts made of what YAML is made of."""
    test_no_text_breaks_the_reader.hypothesis.inner_test("".join(pieces))  # type: ignore[attr-defined]


# -- files that no editor should have to open


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        (b"\xef\xbb\xbfversion: 1\n", "byte-order-mark", 1, 1),
        ("version: 1\n".encode("utf-16"), "not-utf-8", 1, 1),
        (b"version: 1\nusers: {anna: {name: M\xfcller}}\n", "not-utf-8", 2, 23),
        (b"version: 1\nusers: {anna: {name: '\x1b[31m'}}\n", "bad-character", 2, 23),
        ("version: 1\nusers: {anna: {name: 'a\u2028b'}}\n".encode(), "bad-character", 2, 24),
        ("version: 1\nusers: {anna: {name: 'a\u0085b'}}\n".encode(), "bad-character", 2, 24),
        (b"", "empty-file", 1, 1),
    ],
)
def test_bytes_that_are_no_file_of_ours(tmp_path: Path, content: bytes, code: str, line: int, column: int) -> None:
    """Each has its own message, at its own place."""
    path = tmp_path / "access.yaml"
    path.write_bytes(content)
    loaded = load(path)
    assert loaded.declaration is None
    (found,) = loaded.diagnostics
    assert (found.code, found.at and found.at.line, found.at and found.at.column) == (code, line, column)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """200 MB are told by their size alone, and 20 MB hold for all files together."""
    path = tmp_path / "access.yaml"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    loaded = load(path)
    assert [(diagnostic.code, diagnostic.message.partition(" has ")[2][:6]) for diagnostic in loaded.diagnostics] == [
        ("too-large", "200 MB")
    ]
    (tmp_path / "a.yaml").write_text("# " + "x" * 12_000_000)
    (tmp_path / "b.yaml").write_text("# " + "x" * 12_000_000)
    loaded = read_text(tmp_path, "version: 1\ninstances: {}\ninclude: [a.yaml, b.yaml]\n")
    assert [diagnostic.code for diagnostic in loaded.diagnostics if diagnostic.code != "empty-file"] == ["too-large"]


def test_an_include_that_links_out_is_refused(tmp_path: Path) -> None:
    """A link to a secret is told by where it leads, and its text is never shown."""
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret.yaml").write_text("users: {hunter2: {}}\n")
    (inside / "team.yaml").symlink_to(outside / "secret.yaml")
    (inside / "loop.yaml").symlink_to(inside / "loop.yaml")
    (inside / "notes.txt").write_text("users: {}\n")
    (inside / "notes.yaml").symlink_to(inside / "notes.txt")
    loaded = read_text(inside, "version: 1\ninstances: {}\ninclude: [team.yaml, loop.yaml, notes.yaml]\n")
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == [
        "include-outside",
        "unreadable",
        "include-not-yaml",
    ]
    assert "hunter2" not in str(loaded)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is a diagnostic like any other."""
    assert [diagnostic.code for diagnostic in load(tmp_path / "none.yaml").diagnostics] == ["unreadable"]
    assert [diagnostic.code for diagnostic in load(tmp_path).diagnostics] == ["not-a-file"]


def test_the_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    """It changes with any byte of any file, and with nothing else."""
    text = "version: 1\ninstances: {}\ninclude: [a.yaml]\n"
    first = read_text(tmp_path, text, a="users: {}\n").digest
    assert first.startswith("sha256:")
    assert read_text(tmp_path, text, a="users: {}\n").digest == first
    assert read_text(tmp_path, text, a="users: {} \n").digest != first


@pytest.mark.parametrize(("most", "told"), [(19, []), (18, ["alias-bomb"])])
def test_an_alias_weighs_what_the_aliases_in_it_repeat(
    most: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of 3 weighs 4; two of it in a list weigh 11; all three aliases together repeat 19 values."""
    monkeypatch.setattr(compose, "MAX_ALIASED", most)
    _, faults = read("f.yaml", "a: &a [x, y, z]\nb: &b [*a, *a]\nc: [*b]\n")
    assert [fault.code for fault in faults] == told
