"""The grammar's complaints in our words: where it is, what was found, what may stand there, what was likely meant."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from siteward.access.diagnostic import Diagnostic, Severity
from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from siteward.access.diagnostic import Span
    from siteward.declaration.source import Path, Source, Value

_KEY = "[key]"  # what pydantic puts behind the name of a key that is wrong itself
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "dataclass_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "float_type": "a number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the one of the known words that was likely meant, if any comes close."""
    import difflib  # noqa: PLC0415 — nobody needs it while all is well

    by_fold = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def problem(  # noqa: PLR0913 — one keyword for each thing a diagnostic can say
    code: str,
    message: str,
    at: Span | None,
    *,
    hint: str | None = None,
    allowed: Sequence[str] = (),
    word: str | None = None,
    known: Iterable[str] = (),
    related: tuple[Span, ...] = (),
    instance: str | None = None,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    """Return a diagnostic; where `word` is near to one of the `known` (or `allowed`) words, that is suggested."""
    meant = near(word, known or allowed) if word is not None else None
    return Diagnostic(
        code=code,
        severity=severity,
        message=message,
        at=at,
        hint=hint,
        allowed=tuple(allowed),
        related=related,
        suggestion=meant if meant != word else None,
        instance=instance,
    )


def complaint(
    found: ErrorDetails, source: Source, model: type, prefix: Path = (), also: Sequence[str] = ()
) -> Diagnostic | None:
    """Return the diagnostic for one of pydantic's errors; `None` where something better was said already.

    `model` is what was validated and `prefix` where its value stands in the file; `also` are keys that may stand
    beside the model's own.
    """
    path, is_key = _path(found["loc"], source, prefix)
    if found["type"] == "missing":
        said_already = path in source.holes
        return None if said_already else problem("missing-key", f"`{path[-1]}` is missing", source.key_at(path[:-1]))
    if found["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        inner = path[len(prefix) : -1]
        keys = tuple(dict.fromkeys((*(also if not inner else ()), *keys_of(model, inner))))
        return problem(
            "unknown-key", f"unknown key `{path[-1]}`", source.key_at(path), allowed=keys, word=str(path[-1])
        )
    return _wrong_value(found, path, source.key_at(path) if is_key else source.at(path))


def _wrong_value(found: ErrorDetails, path: Path, place: Span) -> Diagnostic:
    kind, given, context = found["type"], found["input"], found.get("ctx", {})
    if kind in {"literal_error", "enum"}:
        return _unknown_value(given, str(context.get("expected", "")), place)
    if kind in _WANTED:
        hint = "quote it" if kind == "string_type" and isinstance(given, int) else None
        return problem("wrong-type", f"{_about(path)} must be {_WANTED[kind]}, found {_found(given)}", place, hint=hint)
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return problem("out-of-range", f"{_about(path)} must be {words} {context.get(key)}, found {given}", place)
    return problem("wrong-value", f"{_about(path)}: {found['msg'].removeprefix('Value error, ')}", place)


def _unknown_value(given: object, expected: str, place: Span) -> Diagnostic:
    allowed = tuple(expected.replace(" or ", ", ").replace("'", "").split(", "))
    said = f"`{given}`" if isinstance(given, str | int) else _found(given)
    return problem(
        "unknown-value",
        f"{said} is not possible here",
        place,
        allowed=allowed,
        word=given if isinstance(given, str) else None,
    )


def _path(loc: Sequence[str | int], source: Source, prefix: Path) -> tuple[Path, bool]:
    """Return the path in the file for pydantic's, and whether it is the key there that is wrong."""
    path: list[str | int] = list(prefix)
    node: Value | None = source.data
    for step in prefix:
        node = _child(node, step)
    for step in loc:
        if step == _KEY and not (isinstance(node, Table) and step in node):
            continue
        path.append(step)
        node = _child(node, step)
    return tuple(path), bool(loc) and loc[-1] == _KEY


def _child(node: Value | None, step: str | int) -> Value | None:
    if isinstance(node, Table):
        return node.get(str(step))
    if isinstance(node, Items) and isinstance(step, int) and step < len(node):
        return node[step]
    return None


def _about(path: Path) -> str:
    named = next((each for each in reversed(path) if isinstance(each, str) and each != "*"), "the file")
    return f"an item of `{named}`" if path and isinstance(path[-1], int) else f"`{named}`"


def _found(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"the number {value}"
        case str():
            return f"the text `{value}`"
        case list():
            return "a list"
        case Mapping():
            return "keys and values"
        case _:
            return "something else"


def keys_of(model: type, path: Path) -> tuple[str, ...]:
    """Return the keys that may stand at `path` under a model, in the order of the grammar."""
    kind: Any = model
    for step in path:
        kind = _under(kind, step)
    return tuple(_fields(kind)) if isinstance(kind, type) else ()


def _fields(kind: type) -> dict[str, Any]:
    """Return the types of a model's or row's keys, as files write them."""
    hints = typing.get_type_hints(kind)
    if issubclass(kind, BaseModel):
        return {each.alias or name: hints.get(name) for name, each in kind.model_fields.items()}
    return {name.rstrip("_"): hint for name, hint in hints.items() if not name.startswith("__")}


def _under(kind: Any, step: str | int) -> Any:
    options = [each for each in _plain(kind) if each is not type(None)]
    for each in options:
        arguments = typing.get_args(each)
        if typing.get_origin(each) is dict:
            return arguments[1]
        if typing.get_origin(each) is list and isinstance(step, int):
            return arguments[0]
        if isinstance(each, type) and str(step) in (known := _fields(each)):
            found = [option for option in _plain(known[str(step)]) if option is not type(None)]
            return found[-1] if found else None
    return None


def _plain(kind: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    if isinstance(kind, type) or typing.get_origin(kind) in {list, dict}:
        return (kind,)
    return tuple(each for option in typing.get_args(kind) for each in _plain(option)) or (kind,)
