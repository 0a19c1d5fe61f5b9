"""An edit changes the rows that are meant and no other byte, however a file is written."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from declaration.awkward import AWKWARD
from siteward.declaration import nodes
from siteward.declaration.splice import CannotEditError, Editable, refuse_directory
from siteward.declaration.yaml_reader import read, slow_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def opened(text: str) -> Editable:
    """Return a text to edit."""
    source, _ = read("access.yaml", text)
    assert source is not None
    return Editable(source)


def meaning(text: str) -> Any:
    """Return what another reader makes of a text: all scalars as text, aliases followed."""
    return yaml.load(text, Loader=yaml.CBaseLoader)


def as_text(value: Any) -> Any:
    """Return a value as `meaning` returns it."""
    if isinstance(value, dict):
        return {str(key): as_text(inner) for key, inner in value.items()}
    return [as_text(inner) for inner in value] if isinstance(value, list) else str(value)


# -- the rows of a text, by another parser


def _last(node: yaml.Node) -> int:
    """Return where a node's last scalar or bracket ends."""
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return int(node.start_mark.index)
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        return int(node.end_mark.index)
    inner = node.value[-1]
    return _last(inner[1] if isinstance(inner, tuple) else inner)


def rows_of(text: str, section: str) -> list[tuple[int, int]]:
    """Return the first and last offset of each row of a section."""
    root = yaml.compose(text, Loader=yaml.CLoader)
    assert isinstance(root, yaml.MappingNode)
    value = next((value for key, value in root.value if key.value == section), None)
    assert value is not None
    pairs = [inner if isinstance(inner, tuple) else (inner, inner) for inner in value.value]
    return [(first.start_mark.index, max(_last(last), first.start_mark.index)) for first, last in pairs]


def outside(before: str, rows: list[tuple[int, int]], numbers: set[int]) -> tuple[str, str]:
    """Return what stands before the first and behind the last of some rows, up to the rows beside them."""
    first, last = min(numbers), max(numbers)
    begin = before[: rows[first - 1][1]] if first > 0 else before[: before.index("grants")]
    return begin, before[rows[last + 1][0] :] if last + 1 < len(rows) else ""


# -- random edits


Change = tuple["Callable[[Any], None]", str, "set[int]"]
"""What is done to the data, in which section, and the numbers of the rows that it is about."""
NEW = {"to": "nora", "role": "view", "sites": ["docs.example.org", "!x"], "until": "2027-01-31", "reason": "a: b # c"}


def changes(data: Any, chance: random.Random) -> Iterator[Change]:
    """Yield the edits of one kind each that the rows of a file allow, with other random choices each time."""
    rows = data["grants"]
    after = chance.randrange(len(rows)) if rows else -1
    yield (lambda data: data["grants"].insert(after + 1, dict(NEW))), "grants", {max(after, 0)}
    if rows:
        gone = chance.randrange(len(rows))
        yield (lambda data: data["grants"].pop(gone)), "grants", {gone}
        yield (lambda data: data["grants"].__setitem__(gone, dict(NEW))), "grants", {gone}
        key = chance.choice(list(rows[gone]))
        yield (
            (lambda data: data["grants"][gone].__setitem__(key, chance.choice(["x", ["x", "no"], {"a": "1"}]))),
            "grants",
            {gone},
        )
        yield (lambda data: data["grants"][gone].pop(key)), "grants", {gone}
        yield (lambda data: data["grants"][gone].__setitem__("until", "2027-01-31")), "grants", {gone}
        lists = [key for key, value in rows[gone].items() if isinstance(value, list)]
        if lists:
            name = chance.choice(lists)
            place = chance.randrange(len(rows[gone][name]) + 1)
            yield (lambda data: data["grants"][gone][name].insert(place, "new")), "grants", {gone}
            yield (lambda data: data["grants"][gone].__setitem__(name, rows[gone][name][1:])), "grants", {gone}


def edits_of(groups: dict[str, Any], chance: random.Random) -> Iterator[Callable[[Any], None]]:
    """Yield edits of the groups of a file."""
    yield lambda data: data["groups"].__setitem__("new", ["anna", "!ben"])
    if groups:
        name = chance.choice(list(groups))
        yield lambda data: data["groups"].pop(name)
        yield lambda data: data["groups"].__setitem__(name, ["only"])
        if isinstance(groups[name], list):
            yield lambda data: data["groups"][name].append("last")
            yield lambda data: data["groups"].__setitem__(name, data["groups"][name][:-1])


@pytest.mark.parametrize("name", AWKWARD)
def test_random_edits_change_what_is_meant(name: str) -> None:
    """The new text means just that to another reader, and what stands before and behind the row is the same, byte by byte."""
    before = AWKWARD[name]
    chance = random.Random(name)
    tried = 0
    for _ in range(2):
        wanted = as_text(meaning(before))
        for change, section, numbers in list(changes(opened(before).data, chance)):
            tried += _check(before, change, wanted, section, numbers)
        for edit in edits_of(wanted["groups"], chance):
            tried += _check(before, edit, wanted, "groups", set())
    assert tried >= (4 if name.startswith("empty") else 12)


@pytest.mark.parametrize("name", AWKWARD)
def test_several_edits_at_once_mean_what_they_mean_together(name: str) -> None:
    """Rows that go, come and change beside each other, in one text."""
    before = AWKWARD[name]
    chance = random.Random(name)
    for _ in range(4):
        file = opened(before)
        for _ in range(3):
            groups = as_text(file.data["groups"])
            kinds = [change for change, *_ in changes(file.data, chance)] + list(edits_of(groups, chance))
            chance.choice(kinds)(file.data)
        meant = as_text(file.data)
        try:
            after = file.text()
        except CannotEditError as problem:
            assert "is repeated at" in str(problem)  # noqa: PT017 — most edits are possible
        else:
            assert meaning(after) == meant


@pytest.mark.parametrize("name", ["in lines", "in brackets, CRLF", "long texts", "markers, no last line break"])
def test_the_parser_in_python_leads_to_the_same_edits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extension in C is missing."""
    before = AWKWARD[name]
    fast = [opened(before) for _ in range(8)]
    with monkeypatch.context() as patch:
        patch.setattr(nodes, "open_events", slow_events)
        slow = [opened(before) for _ in range(8)]
    for files in (fast, slow):
        kinds = list(changes(opened(before).data, random.Random(name)))
        for file, (change, *_) in zip(files, kinds, strict=False):
            change(file.data)
    assert [file.text() for file in fast] == [file.text() for file in slow]


def _check(before: str, change: Callable[[Any], None], wanted: Any, section: str, numbers: set[int]) -> int:
    """Carry one edit out and compare; return 0 where an anchor stands against it."""
    file = opened(before)
    change(file.data)
    meant = as_text(file.data)
    try:
        after = file.text()
    except CannotEditError as problem:
        assert "is repeated at" in str(problem), problem  # noqa: PT017 — most edits are possible
        assert "*" in before
        return 0
    assert meaning(after) == meant, after
    assert meaning(before) == wanted
    if section == "grants" and rows_of(before, "grants"):
        begin, end = outside(before, rows_of(before, "grants"), numbers)
        assert after.startswith(begin), after
        assert after.endswith(end), after
    breaks = {"\r\n"} if "\r\n" in before else {"\r"} if "\r" in before else {"\n"}
    assert set(_breaks(after)) <= breaks
    ended = after.endswith(("\n", "\r"))
    assert ended == before.endswith(("\n", "\r")) or "|+" in before
    return 1


def _breaks(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        ended = line.rstrip("\r\n")
        if len(ended) < len(line):
            yield line[len(ended) :]


def test_the_file_of_a_directory_is_never_edited() -> None:
    """Only `people refresh` writes it; a file that speaks of a directory elsewhere is an ordinary one."""
    text = "directory: corp\nusers:\n  anna: {id: a1, email: anna@x.org}\n"
    with pytest.raises(CannotEditError, match="people refresh corp"):
        refuse_directory("people.yaml", text)
    refuse_directory("access.yaml", text.replace("directory: corp", "version: 1\ndirectories: {corp: {file: x.csv}}"))
