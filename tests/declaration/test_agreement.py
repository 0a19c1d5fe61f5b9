"""Editors and `validate` agree: what the one refuses of a file's structure the other refuses, and at the same place.

Both are given the data that our reader of YAML makes of a file; what it refuses itself (tags, null, `1.20`) no schema
can see. Names that are declared nowhere, dates of no calendar and the like are `validate`'s alone.
"""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from declaration.test_grammar import files
from siteward.declaration.build import Builder
from siteward.declaration.document import MATCHES, Document, Included
from siteward.declaration.grammar import misfits
from siteward.declaration.instances import Instances
from siteward.declaration.schema import access_schema, included_schema
from siteward.declaration.source import Source, Table
from siteward.declaration.window import BadDateError, moment
from siteward.declaration.yaml_reader import read as compose
from siteward.reconcile.project import settings_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import ValidationError

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "cases").rglob("*.yaml") if path.is_file())
SETTINGS = settings_models()
ROOT = Draft202012Validator(access_schema(SETTINGS))
INCLUDED = Draft202012Validator(included_schema())


def _source(path: Path) -> Source | None:
    source, _ = compose(path.name, path.read_text(encoding="utf-8"))
    return source


def _of_validate(source: Source, kind: type[Included]) -> set[tuple[int, int]]:
    """Return the places at which `validate` refuses the structure of a file."""
    told = [misfit.diagnostic for misfit in misfits(source.data, kind, source)]
    if kind is Document:
        instances = Instances(Builder(source, UTC), SETTINGS.get, tuple(SETTINGS))
        instances.judge_the_rest({})
        told += instances.builder.diagnostics
    return {
        (diagnostic.at.line, diagnostic.at.column)
        for diagnostic in told
        if diagnostic is not None and diagnostic.at is not None
    }


def _of_schema(source: Source, validator: Draft202012Validator) -> set[tuple[int, int]]:
    """Return the places that an editor marks."""
    return {place for error in validator.iter_errors(source.data) for place in _places(source, error, ())}


def _places(source: Source, error: Any, before: tuple[str | int, ...]) -> Iterator[tuple[int, int]]:
    path = (*before, *error.relative_path)
    if error.validator == "anyOf":
        yield from _meant(source, error, path)
    elif error.validator == "additionalProperties":
        allowed = error.schema["properties"]
        for key in error.instance:
            if key not in allowed:
                at = source.key_at((*path, key))
                yield at.line, at.column
    elif "propertyNames" in list(error.relative_schema_path)[-2:]:
        at = source.key_at((*path, error.instance))
        yield at.line, at.column
    else:
        at = source.key_at(path) if error.validator == "required" else source.at(path)
        yield at.line, at.column


def _meant(source: Source, error: Any, path: tuple[str | int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the places of the alternative that was meant: the platform's, or the one of the value's kind."""
    branches: dict[Any, list[ValidationError]] = {}
    for suberror in error.context or ():
        branches.setdefault(suberror.relative_schema_path[0], []).append(suberror)
    for inside in branches.values():
        if not any(_is_another(validation_error) for validation_error in inside):
            yield from (place for validation_error in inside for place in _places(source, validation_error, path))
            return
    at = source.at(path)
    yield at.line, at.column


def _is_another(error: ValidationError) -> bool:
    if error.validator == "const" and list(error.relative_path) == ["platform"]:
        return True
    here = not error.relative_path
    return here and (error.validator == "type" or (error.validator == "enum" and not isinstance(error.instance, str)))


def _platforms_are_told(source: Source) -> bool:
    """Tell whether each instance says which platform it is; if not, each schema misses something else in it."""
    instances = source.data.get("instances")
    tables = (
        [instance for instance in instances.values() if isinstance(instance, Table)]
        if isinstance(instances, Table)
        else []
    )
    return all(isinstance(name := table.get("platform"), str) and name in SETTINGS for table in tables)


def _of_meaning(source: Source) -> set[tuple[int, int]]:
    """Return the places of dates, of words of rules and of platforms of roles that `validate` refuses later, in better words."""
    found = {
        source.at(path)
        for path, value in _texts(source.data)
        if ((path[-1] in {"from", "until", "since"} or path[-2:-1] == ("attests",)) and not _is_moment(value))
        or (path[-2:-1] == ("match",) and value not in MATCHES.get(str(path[-1]), (value,)))
    }
    roles = source.data.get("roles")
    for name, role in roles.items() if isinstance(roles, Table) else ():
        platforms = role if isinstance(role, Table) else ()
        found |= {source.key_at(("roles", name, platform)) for platform in platforms if platform not in SETTINGS}
    return {(at.line, at.column) for at in found}


def _texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _texts(item, (*path, key))


def _is_moment(text: str) -> bool:
    try:
        moment(text, UTC, "from")
    except BadDateError:
        return False
    return True


def _compare(source: Source, kind: type[Included]) -> None:
    ours, theirs = _of_validate(source, kind), _of_schema(source, ROOT if kind is Document else INCLUDED)
    if kind is Document and not _platforms_are_told(source):
        assert theirs
        return
    assert ours <= theirs
    assert theirs <= ours | _of_meaning(source)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(HERE / "cases")))
def test_of_every_case(case: Path) -> None:
    """The files that break each rule."""
    source = _source(case)
    if source is None or source.holes:
        pytest.skip("no YAML that a schema could see")
    _compare(source, Included if case.parent != HERE / "cases" and case.name != "access.yaml" else Document)


@given(files())
def test_of_files_that_somebody_changed(data: Any) -> None:
    """A file that was right, with keys and values changed, added and taken away."""
    source, _ = compose("access.yaml", json.dumps(data))
    assert source is not None
    _compare(source, Document)


@given(files())
def test_of_included_files(data: Any) -> None:
    """The same for what a file may say that another one includes."""
    source, _ = compose("team.yaml", json.dumps({key: data[key] for key in data if key in Included.__struct_fields__}))
    assert source is not None
    _compare(source, Included)


DATE = st.from_regex(
    r"\A(2027|0000|1999|2x27)-(0[0-9]|1[0-4])-([0-2][0-9]|3[0-2])([T ](0|1|2)[0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?(Z|[+-][0-2][0-9]:?[0-9]{2}|\+02| ?\+01:00)?)?\Z"
)


@given(DATE)
def test_of_dates(text: str) -> None:
    """Editors mark every date that is none, but for days that only some months have."""
    refused = not _is_moment(text)
    data = {"users": {"anna": {"from": text}}}
    marked = bool(list(INCLUDED.iter_errors(data)))
    assert refused or not marked
    assert marked or not refused or text[8:10] in {"29", "30", "31"}
