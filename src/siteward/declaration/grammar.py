"""Whether data fits the grammar; and where it does not, all that is wrong with it, in our words and at its place.

msgspec alone decides, from the types of the rows, and stops at the first thing that is wrong. Where it refuses, the
same types are walked here to tell everything at once. Should the walk find nothing, msgspec's own words are told: what
was refused is never taken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, ValidationError, convert, inspect

from siteward.declaration.complain import problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.source import Path, Source

R = TypeVar("R", bound=Struct)

# what YAML can say of each kind of type, and its name for people
_KINDS: Mapping[type[inspect.Type], tuple[type, str]] = {
    inspect.StrType: (str, "text"),
    inspect.IntType: (int, "a whole number"),
    inspect.BoolType: (bool, "true or false"),
    inspect.ListType: (list, "a list"),
    inspect.DictType: (dict, "keys and values"),
    inspect.StructType: (dict, "keys and values"),
}


class Misfit(Struct, frozen=True):
    """Something wrong at a path of the file; without a diagnostic where something better was said already."""

    path: Path
    diagnostic: Diagnostic | None = None


def fitted(
    data: object, kind: type[R], source: Source, prefix: Path = (), also: Sequence[str] = ()
) -> R | tuple[Misfit, ...]:
    """Return `data` as a row of `kind`, or all that is wrong with it.

    `prefix` is where the data stands in the file. `also` are keys that may stand beside the row's own, and that
    somebody else judges.
    """
    try:
        return convert(data, kind)
    except ValidationError as refused:
        found = tuple(misfits(data, kind, source, prefix, also))
        return found or (Misfit(prefix, problem("wrong-value", str(refused), source.at(prefix))),)


def misfits(
    data: object, kind: type[Struct], source: Source, prefix: Path = (), also: Sequence[str] = ()
) -> Iterator[Misfit]:
    """Yield all that is wrong with data as a row of `kind`; the rest is as for `fitted`."""
    yield from _Walk(source, prefix, also).walk(data, inspect.type_info(kind), prefix)


def said(found: Iterable[Misfit]) -> list[Diagnostic]:
    """Return what is to be told of misfits."""
    return [each.diagnostic for each in found if each.diagnostic is not None]


def unknown_key(source: Source, path: Path, allowed: Sequence[str], known: Iterable[str] = ()) -> Diagnostic:
    """Return the word on a key that may not stand where it stands; `known` are more that may have been meant."""
    name = str(path[-1])
    hint = "YAML's merge keys are not read; write the keys out" if name == "<<" else None
    told = f"unknown key `{name}`"
    return problem("unknown-key", told, source.key_at(path), hint=hint, allowed=allowed, word=name, known=known)


def keys_of(kind: type[Struct]) -> tuple[str, ...]:
    """Return the keys of a row, as files write them, in the order of the grammar."""
    return kind.__struct_encode_fields__


class _Walk(Struct):
    """A walk along data and types that tells where they part."""

    source: Source
    start: Path
    also: Sequence[str]

    def walk(self, value: Any, kind: inspect.Type, path: Path) -> Iterator[Misfit]:
        """Yield what is wrong with a value and with all that is in it."""
        meant = _meant(value, kind)
        match meant:
            case None:
                yield self._of_another_kind(value, kind, path)
            case inspect.StructType():
                yield from self._in_row(value, meant, path)
            case inspect.DictType():
                yield from self._in_table(value, meant, path)
            case inspect.ListType():
                for number, each in enumerate(value):
                    yield from self.walk(each, meant.item_type, (*path, number))
            case inspect.LiteralType() if not _among(value, meant.values):
                yield self._not_possible(value, meant.values, path, self.source.at(path))
            case inspect.IntType() if wanted := _bounds(value, meant):
                yield self._said("out-of-range", path, f"must be {wanted}, found {value}")
            case inspect.StrType(min_length=least) if least and len(value) < least:
                yield self._said("wrong-value", path, "must not be empty")
            case inspect.StrType(pattern=pattern) if pattern and not re.search(pattern, value):
                said, hint = f"must look like `{pattern}`, found {_found(value)}", _hint(kind)
                yield self._said("wrong-value", path, f"cannot be {_found(value)}" if hint else said, hint)

    def _in_row(self, row: Mapping[str, Any], kind: inspect.StructType, path: Path) -> Iterator[Misfit]:
        fields = {each.encode_name: each for each in kind.fields}
        for name, field in fields.items():
            at = (*path, name)
            if name in row:
                yield from self.walk(row[name], field.type, at)
            elif field.required:
                yield Misfit(at, None if at in self.source.holes else self._missing(at))
        if kind.forbid_unknown_fields:
            yield from (self._unknown(name, tuple(fields), path) for name in row if name not in fields)

    def _in_table(self, table: Mapping[str, Any], kind: inspect.DictType, path: Path) -> Iterator[Misfit]:
        for name, each in table.items():
            at = (*path, name)
            if isinstance(kind.key_type, inspect.LiteralType) and name not in kind.key_type.values:
                yield self._not_possible(name, kind.key_type.values, at, self.source.key_at(at))
            yield from self.walk(each, kind.value_type, at)

    def _missing(self, path: Path) -> Diagnostic:
        return problem("missing-key", f"`{path[-1]}` is missing", self.source.key_at(path[:-1]))

    def _unknown(self, name: str, keys: Sequence[str], path: Path) -> Misfit:
        at, also = (*path, name), self.also if path == self.start else ()
        allowed = tuple(dict.fromkeys((*also, *keys)))
        return Misfit(at, unknown_key(self.source, at, allowed))

    def _not_possible(self, value: object, allowed: Sequence[object], path: Path, at: Span) -> Misfit:
        said = f"`{value}`" if isinstance(value, str) else _found(value)
        word = value if isinstance(value, str) else None
        words = tuple(map(str, allowed))
        hint = "write it without quotes" if word in words and word not in allowed else None
        told = problem("unknown-value", f"{said} is not possible here", at, hint=hint, allowed=words, word=word)
        return Misfit(path, told)

    def _of_another_kind(self, value: object, kind: inspect.Type, path: Path) -> Misfit:
        wanted = list(dict.fromkeys(map(_named, _alternatives(kind))))
        hint = _hint(kind) or ("quote it" if "text" in wanted and isinstance(value, int) else None)
        return self._said("wrong-type", path, f"must be {' or '.join(wanted)}, found {_found(value)}", hint)

    def _said(self, code: str, path: Path, message: str, hint: str | None = None) -> Misfit:
        return Misfit(path, problem(code, f"{_about(path)} {message}", self.source.at(path), hint=hint))


def _alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the types that a value may be of; null, which no file can say, is none of them."""
    match kind:
        case inspect.Metadata(type=inner):
            return _alternatives(inner)
        case inspect.UnionType(types=types):
            return tuple(each for option in types for each in _alternatives(option))
        case inspect.NoneType():
            return ()
        case _:
            return (kind,)


def _hint(kind: inspect.Type) -> str | None:
    """Return what the grammar says of how to write a value, where it says something (`Meta(extra={"hint": …})`)."""
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return (extra or {}).get("hint") or _hint(inner)
        case inspect.UnionType(types=types):
            return next(filter(None, map(_hint, types)), None)
        case _:
            return None


def _meant(value: object, kind: inspect.Type) -> inspect.Type | None:
    """Return the alternative that a value must have been meant for, if any is of its kind."""
    options = _alternatives(kind)
    for each in options:
        if isinstance(each, inspect.LiteralType):
            if len(options) == 1 or isinstance(value, str):
                return each
        elif type(each) not in _KINDS:
            return each  # nothing is known of it here: msgspec's own words are told
        elif isinstance(value, wanted := _KINDS[type(each)][0]) and isinstance(value, bool) == (wanted is bool):
            return each
    return None


def _named(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return f"one of {', '.join(map(str, kind.values))}"
    return _KINDS[type(kind)][1]


def _among(value: object, allowed: Sequence[object]) -> bool:
    """Tell whether a word or number is one of those allowed; `true` is not 1."""
    return any(value == each and type(value) is type(each) for each in allowed)


def _bounds(value: int, kind: inspect.IntType) -> str:
    """Return the bound that a number breaks, in words; nothing where it lies within."""
    if kind.ge is not None and value < kind.ge:
        return f"at least {kind.ge}"
    if kind.le is not None and value > kind.le:
        return f"at most {kind.le}"
    return ""


def _about(path: Path) -> str:
    named = next((each for each in reversed(path) if isinstance(each, str)), "the file")
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
        case _:
            return "keys and values"
