"""The grammar: what pydantic refuses is explained, nothing else is, and the rows can hold whatever it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, ValidationError, convert

from declaration.tables import read, read_text, told
from siteward.declaration import _grammar, grammar
from siteward.declaration import schema as compiling
from siteward.declaration.document import Document
from siteward.declaration.grammar import fitted, misfits
from siteward.declaration.source import Source, Table
from siteward.declaration.yaml_reader import read as compose
from siteward.reconcile.project import settings_models

WHOLE = Path(__file__).parent / "whole.yaml"
SCALARS = st.sampled_from(["", "view", "acme", "2027-01-01", "*", "external", -1, 0, 1, 60, 101, True, False])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["view", "user", "path", "kind", "*", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(["user", "from", "sites", "at_most", "tags", "rules", "colour", "stats", "version", "members"])


def _source(data: object) -> Source:
    source, faults = compose("access.yaml", json.dumps(data))
    assert source is not None, faults
    return source


WRITTEN: Any = json.loads(json.dumps(_source(convert(compose("whole.yaml", WHOLE.read_text())[0].data, dict)).data))  # type: ignore[union-attr]
SETTINGS = settings_models()


@st.composite
def files(draw: st.DrawFn) -> Any:
    """Draw a file that was right until somebody changed, added or took away something, a few times."""
    data = deepcopy(WRITTEN)
    for _ in range(draw(st.integers(0, 3))):
        _spoil(draw, data)
    return data


def _spoil(draw: st.DrawFn, data: Any) -> None:
    declared_user, keys = data, list(data)
    while True:
        key = draw(st.sampled_from(keys)) if keys else None
        inside = declared_user[key] if key is not None else None
        if not isinstance(inside, dict | list) or not inside or draw(st.integers(0, 3)) == 0:
            break
        declared_user, keys = inside, list(inside) if isinstance(inside, dict) else list(range(len(inside)))
    how = draw(st.sampled_from(["change", "add", "remove"]))
    if how == "remove" and key is not None:
        del declared_user[key]
    elif how == "add" and isinstance(declared_user, dict):
        declared_user[draw(KEYS)] = draw(VALUES)
    elif key is not None:
        declared_user[key] = draw(VALUES)


def _refused(data: object, kind: type[Struct]) -> bool:
    try:
        convert(data, kind)
    except ValidationError:
        return True
    return False


@given(files())
def test_what_is_refused_is_explained_and_nothing_else(data: Any) -> None:
    """pydantic decides, as the types of the rows say; there is something to tell exactly where it says no."""
    source = _source(data)
    found = tuple(misfits(source.data, Document, source))
    assert bool(found) == _refused(source.data, Document)
    assert isinstance(fitted(source.data, Document, source), tuple) == bool(found)
    for misfit in found:
        assert misfit.diagnostic is not None
        assert misfit.diagnostic.at is not None


@given(st.sampled_from(sorted(SETTINGS)), st.dictionaries(KEYS | st.sampled_from(["layout", "team", "self"]), VALUES))
def test_so_are_the_settings_of_a_platform(platform: str, given_settings: Any) -> None:
    """The same for what platforms ask beside the common keys."""
    source = _source({"version": 1, "instances": {"it": given_settings}})
    data = source.data["instances"]
    assert isinstance(data, Table)
    found = tuple(misfits(data["it"], SETTINGS[platform], source, ("instances", "it")))
    assert bool(found) == _refused(data["it"], SETTINGS[platform])


def test_what_is_in_the_tree_is_what_pydantic_makes_of_the_rows() -> None:
    """`make grammar` writes it; whoever changes a row, a platform's settings or pydantic runs that."""
    assert compiling.TARGET.read_text(encoding="utf-8") == compiling.text(), "run `make grammar`"
    assert pydantic_core.__version__ == _grammar.VERSION


@pytest.fixture
def _another_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the grammar for one that another release of pydantic compiled."""
    monkeypatch.setattr(_grammar, "VERSION", "0.0.0")
    grammar._validator.cache_clear()
    yield
    grammar._validator.cache_clear()


@pytest.mark.usefixtures("_another_core")
@pytest.mark.parametrize("kind", compiling.kinds().values(), ids=compiling.kinds())
def test_under_another_release_of_pydantic_it_is_made_anew(kind: type[Struct], monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower, and never by what somebody else compiled."""
    made: list[type[Struct]] = []
    compiled = compiling.compiled

    def compiled_and_counted(kind: type[Struct]) -> dict[str, Any]:
        made.append(kind)
        return compiled(kind)

    monkeypatch.setattr(compiling, "compiled", compiled_and_counted)
    assert grammar.schema_of(kind) == _grammar.SCHEMAS[compiling.name_of(kind)]
    assert made == [kind]


CASES = sorted((Path(__file__).parent / "cases").rglob("*.yaml"))


def _told(path: Path) -> list[str]:
    return list(map(told, read(path).diagnostics))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(Path(__file__).parent / "cases")))
def test_both_say_the_same_of_every_file(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled grammar and the one that is made anew give the same words at the same places."""
    compiled = _told(case)
    monkeypatch.setattr(_grammar, "VERSION", "0.0.0")
    grammar._validator.cache_clear()
    anew = _told(case)
    grammar._validator.cache_clear()
    assert anew == compiled


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("version: yes", "`yes` is not allowed here"),
        ("version: true", "true is not allowed here"),
        ("version: '1'", "`1` is not allowed here"),
    ],
)
def test_true_is_no_number_and_a_text_is_none_either(tmp_path: Path, written: str, said: str) -> None:
    """What looks alike is not alike."""
    loaded = read_text(tmp_path, f"{written}\ninstances: {{}}\n")
    assert [(diagnostic.code, diagnostic.message) for diagnostic in loaded.diagnostics] == [("unknown-value", said)]
