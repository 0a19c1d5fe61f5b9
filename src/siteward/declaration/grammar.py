"""The check of data against the grammar: a row, or a diagnostic for each misfit; and recovery of the rest of a file.

pydantic alone decides, from the core schemas that `compile` made of the rows. Its errors are explained here: of the
alternatives of a value only the one it was meant for is mentioned, and terms of the schema become words for people.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pydantic_core
from msgspec import Struct, ValidationError, convert

from siteward.access.diagnostic import problem
from siteward.declaration.secret_texts import LEAKED, names_secret
from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.source import Path, Source, Value


NAMED = ("sites", "users", "groups", "roles", "instances", "directories")
NUMBERED = ("grants", "include")
Numbers: TypeAlias = "Mapping[str, Sequence[int]]"


class Recovered(Struct, frozen=True):
    """The data of a file without its misfits.

    `dropped` are the section and name of each entry that was left out. `numbers` hold, by list, the positions in the
    file of the items that are left.
    """

    data: dict[str, Any]
    dropped: frozenset[tuple[str, str]]
    numbers: Numbers


def recovered(source: Source, misfits: Iterable[Misfit]) -> Recovered:
    """Return a file's data without its misfits, and without rows in which the YAML reader refused a value."""
    gone = {hole[:2] for hole in source.holes if hole[0] in (*NAMED, *NUMBERED)} | {
        _smallest_part(misfit) for misfit in misfits
    }
    around = {path[:depth] for path in gone for depth in range(len(path))}
    data = {} if () in gone else _without(source.data, gone, around, ())
    return Recovered(
        data=data,
        dropped=frozenset((str(path[0]), str(path[1])) for path in gone if len(path) == 2 and path[0] in NAMED),
        numbers={key: _positions_left(source.data[key], key, gone) if key in data else () for key in NUMBERED},
    )


def pared(source: Source, misfits: Iterable[Misfit]) -> dict[str, Any]:
    """Return a file's data with as much of each refused row as may fit: without the refused keys alone.

    No item of a list is left out, so that all others keep their places. What is left of a row is good for a look at the
    other words in it, and for nothing else.
    """
    paths = {*source.holes, *(misfit.path for misfit in misfits)}
    gone = {path[:3] for path in paths if len(path) > 2}
    around = {path[:depth] for path in gone for depth in range(len(path))}
    data = _without(source.data, gone, around, ())
    return data if isinstance(data, dict) else {}


def misspelt(source: Source, misfits: Iterable[Misfit]) -> dict[Path, str]:
    """Return the likely names of unknown keys, by path, where the name is free."""
    meant: dict[Path, str] = {}
    taken: set[Path] = set()
    for misfit in misfits:
        diagnostic = misfit.diagnostic
        if diagnostic is None or diagnostic.code != "unknown-key" or diagnostic.suggestion is None:
            continue
        path = (*misfit.path[:-1], diagnostic.suggestion)
        if path not in taken and not source.has(path):
            meant[misfit.path] = diagnostic.suggestion
            taken.add(path)
    return meant


def _smallest_part(misfit: Misfit) -> Path:
    """Return the path of the smallest part that can be left out alone: an unknown key, or else a whole row."""
    path, diagnostic = misfit.path, misfit.diagnostic
    if diagnostic is not None and diagnostic.code == "unknown-key":
        return path
    return path[: 2 if path[:1] and path[0] in (*NAMED, *NUMBERED, "policy") else 1]


def _without(value: Any, gone: set[Path], around: set[Path], at: Path) -> Any:
    """Return a value without the paths in `gone`; `around` are the paths that lead to one of them."""
    if at not in around:
        return value
    if isinstance(value, Table):
        rest = ((key, inner) for key, inner in value.items() if (*at, key) not in gone)
        return {key: _without(inner, gone, around, (*at, key)) for key, inner in rest}
    if isinstance(value, Items):
        left = ((number, item) for number, item in enumerate(value) if (*at, number) not in gone)
        return [_without(item, gone, around, (*at, number)) for number, item in left]
    return value


def _positions_left(items: Value, key: str, gone: set[Path]) -> Sequence[int]:
    """Return the positions of the items of a list that are not left out."""
    return [number for number in range(len(items)) if (key, number) not in gone] if isinstance(items, Items) else ()


R = TypeVar("R", bound=Struct)
Node: TypeAlias = "Mapping[str, Any]"
Errors: TypeAlias = "list[tuple[tuple[str | int, ...], ErrorDetails]]"

# the names of kinds of values for people
_KINDS: Mapping[str, str] = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list",
    "dict": "keys and values",
    "typed-dict": "keys and values",
}
_OF_ANOTHER_KIND = frozenset({"string_type", "int_type", "bool_type", "list_type", "dict_type"})


class Misfit(Struct, frozen=True):
    """A path at which data does not fit; without a diagnostic where the YAML reader reported that place already."""

    path: Path
    diagnostic: Diagnostic | None = None


def fitted(
    data: object, kind: type[R], source: Source, prefix: Path = (), also: Sequence[str] = ()
) -> R | tuple[Misfit, ...]:
    """Return `data` as a row of `kind`, or its misfits.

    `prefix` is the path of the data in the file. `also` are keys that may stand beside the row's own and are checked
    elsewhere.
    """
    found = tuple(misfits(data, kind, source, prefix, also))
    if found:
        return found
    try:
        return convert(data, kind)
    except ValidationError as refused:  # by the row's own code
        return (Misfit(prefix, problem("wrong-value", str(refused), source.at(prefix))),)


def misfits(
    data: object, kind: type[Struct], source: Source, prefix: Path = (), also: Sequence[str] = ()
) -> Iterator[Misfit]:
    """Yield the misfits of data as a row of `kind`; the arguments are those of `fitted`."""
    try:
        _validator(kind).validate_python(data, strict=True)
    except pydantic_core.ValidationError as refused:
        schema = schema_of(kind)
        known = {definition["ref"]: definition for definition in schema.get("definitions", ())}
        errors: Errors = [(error["loc"], error) for error in refused.errors(include_url=False, include_context=False)]
        yield from _Explainer(source, prefix, also, known).explain(errors, schema, data, prefix)


@cache
def _validator(kind: type[Struct]) -> pydantic_core.SchemaValidator:
    return pydantic_core.SchemaValidator(schema_of(kind))


def schema_of(kind: type[Struct]) -> dict[str, Any]:
    """Return the core schema of a row: the one that was compiled, if this `pydantic_core` is the one that it is for."""
    from siteward.declaration import _grammar  # noqa: PLC0415 — a program that reads no file has no use for it

    found: dict[str, Any] | None = _grammar.SCHEMAS.get(f"{kind.__module__}.{kind.__qualname__}")
    if found is not None and pydantic_core.__version__ == _grammar.VERSION:
        return found
    from siteward.declaration.schema import compiled  # noqa: PLC0415 — it loads all of pydantic

    return compiled(kind)


def said(found: Iterable[Misfit]) -> list[Diagnostic]:
    """Return the diagnostics of misfits, where they have one."""
    return [misfit.diagnostic for misfit in found if misfit.diagnostic is not None]


def unknown_key(source: Source, path: Path, allowed: Sequence[str], known: Iterable[str] = ()) -> Diagnostic:
    """Return an error about a key that is not allowed; `allowed` are listed, `known` are more that may be meant."""
    name = str(path[-1])
    if names_secret(path):
        message = f"credentials never stand in a file, and `{name}` is called as one"
        return problem("secret-in-file", message, source.pair_at(path), hint=LEAKED, allowed=allowed)
    hint = "YAML's merge keys are not read; write the keys out" if name == "<<" else None
    message = f"unknown key `{name}`"
    return problem("unknown-key", message, source.key_at(path), hint=hint, allowed=allowed, word=name, known=known)


def keys_of(kind: type[Struct]) -> tuple[str, ...]:
    """Return the keys of a row, as files write them, in the order of the grammar."""
    return kind.__struct_encode_fields__


class _Explainer(Struct):
    """An explainer of pydantic's errors about one row; `known` are the schema's definitions by name."""

    source: Source
    start: Path
    also: Sequence[str]
    known: Mapping[str, Node]

    def explain(self, errors: Errors, node: Node, value: Any, path: Path) -> Iterator[Misfit]:
        """Yield the misfits of a value and of all that is in it; each error comes with the rest of the path to it."""
        node = self._resolved(node)
        if node["type"] == "union":
            yield from self._explain_union(errors, node, value, path)
            return
        own = [error for way, error in errors if not way]
        if own:
            yield self._explain_value(own[0], node, value, path)
        for step, inside in _grouped(errors).items():
            at = (*path, step)
            if node["type"] == "list":
                yield from self.explain(inside, node["items_schema"], value[step], at)
            elif node["type"] == "dict":
                yield from self._explain_table(inside, node, value[step], at)
            else:
                yield from self._explain_row(inside, node, value, at)

    def _explain_row(self, errors: Errors, node: Node, row: Mapping[str, Any], at: Path) -> Iterator[Misfit]:
        name = str(at[-1])
        if name not in node["fields"]:
            also = self.also if at[:-1] == self.start else ()
            yield Misfit(at, unknown_key(self.source, at, tuple(dict.fromkeys((*also, *node["fields"])))))
        elif name not in row:
            yield Misfit(at, None if at in self.source.holes else self._missing(at))
        else:
            yield from self.explain(errors, node["fields"][name]["schema"], row[name], at)

    def _explain_table(self, errors: Errors, node: Node, value: Any, at: Path) -> Iterator[Misfit]:
        keys = node["keys_schema"]
        if keys["type"] == "literal":
            of_key = [error for way, error in errors if way == ("[key]",)]
            errors = [error for error in errors if error[0] != ("[key]",)]
            if of_key:
                yield self._refuse_word(at[-1], keys["expected"], at, self.source.key_at(at))
        yield from self.explain(errors, node["values_schema"], value, at)

    def _explain_union(self, errors: Errors, node: Node, value: Any, path: Path) -> Iterator[Misfit]:
        """Explain the alternative that a value must have been meant for, if one is of its kind."""
        choices = {label: self._resolved(choice) for choice, label in node["choices"]}
        for label, inside in _grouped(errors).items():
            if not any(_is_of_another_kind(error, value) for way, error in inside if not way):
                yield from self.explain(inside, choices[str(label)], value, path)
                return
        if errors:
            yield self._refuse_kind(value, list(choices.values()), path)

    def _explain_value(self, error: ErrorDetails, node: Node, value: Any, path: Path) -> Misfit:
        kind = error["type"]
        if node["type"] == "literal":
            return self._refuse_word(value, node["expected"], path, self.source.at(path))
        if kind in _OF_ANOTHER_KIND:
            return self._refuse_kind(value, [node], path)
        if kind in {"greater_than_equal", "less_than_equal"}:
            bound = f"at least {node['ge']}" if kind == "greater_than_equal" else f"at most {node['le']}"
            return self._misfit("out-of-range", path, f"must be {bound}, found {value}")
        if kind == "string_too_short":
            return self._misfit("wrong-value", path, "must not be empty")
        if kind == "string_pattern_mismatch":
            hint = _hint(node)
            message = f"must look like `{node['pattern']}`, found {_describe_value(value)}"
            return self._misfit("wrong-value", path, f"cannot be {_describe_value(value)}" if hint else message, hint)
        return self._misfit("wrong-value", path, f"is refused: {error['msg']}")

    def _resolved(self, node: Node) -> Node:
        """Return the node behind references and chains: the definition referred to, or the last step."""
        while (kind := node["type"]) in {"definitions", "definition-ref", "chain"}:
            if kind == "definition-ref":
                node = self.known[node["schema_ref"]]
            else:
                node = node["schema"] if kind == "definitions" else node["steps"][-1]
        return node

    def _missing(self, path: Path) -> Diagnostic:
        return problem("missing-key", f"`{path[-1]}` is missing", self.source.key_at(path[:-1]))

    def _refuse_word(self, value: object, allowed: Sequence[object], path: Path, at: Span) -> Misfit:
        shown = f"`{value}`" if isinstance(value, str) else _describe_value(value)
        word = value if isinstance(value, str) else None
        words = tuple(sorted(map(str, allowed)))
        hint = "write it without quotes" if word in words and word not in allowed else None
        message = f"{shown} is not allowed here"
        return Misfit(path, problem("unknown-value", message, at, hint=hint, allowed=words, word=word))

    def _refuse_kind(self, value: object, nodes: Sequence[Node], path: Path) -> Misfit:
        wanted = list(dict.fromkeys(map(_describe_node, nodes)))
        hint = next(filter(None, map(_hint, nodes)), None)
        hint = hint or ("quote it" if "text" in wanted and isinstance(value, int) else None)
        return self._misfit("wrong-type", path, f"must be {' or '.join(wanted)}, found {_describe_value(value)}", hint)

    def _misfit(self, code: str, path: Path, message: str, hint: str | None = None) -> Misfit:
        return Misfit(path, problem(code, f"{_describe_path(path)} {message}", self.source.at(path), hint=hint))


def _grouped(errors: Errors) -> dict[str | int, Errors]:
    """Return the errors by the next step of the path to them."""
    found: dict[str | int, Errors] = {}
    for way, error in errors:
        if way:
            found.setdefault(way[0], []).append((way[1:], error))
    return found


def _is_of_another_kind(error: ErrorDetails, value: object) -> bool:
    """Return whether an alternative is refused for the kind of the value, as a number is no misspelt word."""
    return error["type"] in _OF_ANOTHER_KIND or (error["type"] == "literal_error" and not isinstance(value, str))


def _hint(node: Node) -> str | None:
    """Return the grammar's hint how to write a value, if it has one (`Meta(extra={"hint": …})`)."""
    hint: str | None = node.get("metadata", {}).get("hint")
    return hint


def _describe_node(node: Node) -> str:
    if node["type"] == "literal":
        return f"one of {', '.join(sorted(map(str, node['expected'])))}"
    return _KINDS[node["type"]]


def _describe_path(path: Path) -> str:
    named = next((step for step in reversed(path) if isinstance(step, str)), "the file")
    return f"an item of `{named}`" if path and isinstance(path[-1], int) else f"`{named}`"


def _describe_value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"the number {value}"
        case str():
            return f"the text `{value}`"
        case list():
            return "a list"
        case _:
            return "keys and values"
