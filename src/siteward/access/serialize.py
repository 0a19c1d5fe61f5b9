"""Conversion of frozen structs to plain data and back, and the JSON Schema of that data, by their annotations.

Fields at their default are left out, except of `WithDefaults`. Powers and severities are words, times are UTC with
`Z`, sets are sorted lists, mappings with text keys are objects and others lists of pairs. A resource has its kind as
`type`. Decoding is strict: a missing, unknown or wrongly typed member is an error with the path to it.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache, cached_property
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from siteward.access.model import KEY_LENGTHS, Access, Account, Grant, Group, Key, Member

Data: TypeAlias = Any  # plain JSON data: None, bool, int, float, str, list and dict of these
Encode: TypeAlias = Callable[[Any], Data]
Decode: TypeAlias = Callable[[Data, str], Any]
RESOURCES: Mapping[str, type] = {"account": Account, "group": Group, "member": Member, "grant": Grant}
BIGGEST = 2**53 - 1


class CodecError(ValueError):
    """Plain data is invalid at `path` (a JSON pointer), or a value has no plain form."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class UnknownMemberError(CodecError):
    """Plain data has a member, or is of a kind, that this version does not know: a newer one may have written it."""


class WithDefaults(Struct, frozen=True, kw_only=True):
    """A struct whose fields are written even at their default, for lines of files that are kept for years."""


class Serializer:
    """The functions that encode, decode and describe (JSON Schema) the values of one type.

    `decode` takes the data and its path, and raises `CodecError`; `schema` takes the definitions, to which it adds.
    """

    def __init__(self, encode: Encode, decode: Decode, schema: Callable[[dict[str, Data]], Data]) -> None:
        self.encode = encode
        self.decode = decode
        self.schema = schema


def shape(kind: Any) -> Serializer:
    """Return the serializer of an annotated type. Raises `TypeError` for an unsupported one."""
    return _make_serializer(kind)


@cache
def _make_serializer(kind: Any) -> Serializer:  # noqa: PLR0911 — one for each kind of type
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind is Access:
        return _make_access_serializer()
    if origin is Literal:
        return _make_words_serializer(arguments)
    if origin in {Union, types.UnionType}:
        return _make_union_serializer(arguments)
    if origin is tuple:
        return (
            _make_list_serializer(_make_serializer(arguments[0]), tuple, ordered=True)
            if arguments[-1] is ...
            else _make_fixed_serializer(arguments)
        )
    if origin is frozenset:
        return _make_list_serializer(_make_serializer(arguments[0]), frozenset, ordered=False)
    if origin is not None and issubclass(origin, Mapping):
        return (_make_object_serializer if _is_text(arguments[0]) else _make_pairs_serializer)(
            *map(_make_serializer, arguments)
        )
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return _make_ranks_serializer(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _make_record_serializer(kind)
    raise TypeError(f"no shape for {kind}")


def _is_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Literal) or (get_origin(kind) in {Union, types.UnionType})


def _as_it_is(value: Data) -> Data:
    """Return a value that is plain data already."""
    return value


def _make_scalar_serializer(kind: type, word: str) -> Serializer:
    def decode(data: Data, path: str) -> Any:
        if type(data) is not kind:
            raise CodecError(path, f"should be {word}")
        return data

    return Serializer(_as_it_is, decode, lambda _: {"type": word})


def _make_number_serializer() -> Serializer:
    def encode(value: float) -> Data:
        if not math.isfinite(value):
            raise CodecError("", f"{value} is not a number that JSON can express")
        return value

    def decode(data: Data, path: str) -> float:
        if type(data) not in {int, float} or not math.isfinite(data):
            raise CodecError(path, "should be a number")
        return float(data)

    return Serializer(encode, decode, lambda _: {"type": "number"})


def _make_moment_serializer() -> Serializer:
    def encode(value: datetime) -> Data:
        if value.utcoffset() is None:
            raise CodecError("", f"{value} has no offset")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def decode(data: Data, path: str) -> datetime:
        try:
            value = datetime.fromisoformat(data)
        except (TypeError, ValueError):
            raise CodecError(path, "should be a time") from None
        if value.utcoffset() is None:
            raise CodecError(path, "should have an offset")
        return value

    return Serializer(encode, decode, lambda _: {"type": "string", "format": "date-time"})


def _make_words_serializer(allowed: tuple[str, ...]) -> Serializer:
    def decode(data: Data, path: str) -> str:
        if not isinstance(data, str) or data not in allowed:
            raise CodecError(path, f"should be one of {', '.join(allowed)}")
        return data

    return Serializer(_as_it_is, decode, lambda _: {"enum": list(allowed)})


def _make_ranks_serializer(kind: type[IntEnum]) -> Serializer:
    words = {member.name.lower(): member for member in kind}
    text = _make_words_serializer(tuple(words))
    return Serializer(lambda value: value.name.lower(), lambda data, path: words[text.decode(data, path)], text.schema)


def _make_list_serializer(inner: Serializer, make: Callable[[Any], Any], *, ordered: bool) -> Serializer:
    def encode(value: Any) -> Data:
        encoded = [inner.encode(item) for item in value]
        return encoded if ordered else sorted(encoded)

    def decode(data: Data, path: str) -> Any:
        if not isinstance(data, list):
            raise CodecError(path, "should be a list")
        if inner is _TEXT and _ONLY_TEXTS.issuperset(map(type, data)):  # nothing can be wrong, so nothing needs a place
            return make(data)
        return make(inner.decode(item, f"{path}/{at}") for at, item in enumerate(data))

    return Serializer(encode, decode, lambda defs: {"type": "array", "items": inner.schema(defs)})


def _make_key_serializer() -> Serializer:
    """Return the serializer of keys, which refuses what is none: others take a key apart without looking."""
    texts = _make_list_serializer(_TEXT, tuple, ordered=True)

    def decode(data: Data, path: str) -> Any:
        key = texts.decode(data, path)
        if not key or len(key) != KEY_LENGTHS.get(key[0]):
            raise CodecError(path, "should be the key of a resource")
        return key

    return Serializer(texts.encode, decode, texts.schema)


def _make_fixed_serializer(arguments: tuple[Any, ...]) -> Serializer:
    inner = [_make_serializer(argument) for argument in arguments]

    def decode(data: Data, path: str) -> Any:
        if not isinstance(data, list) or len(data) != len(inner):
            raise CodecError(path, f"should be a list of {len(inner)}")
        return tuple(
            serializer.decode(item, f"{path}/{at}")
            for at, (serializer, item) in enumerate(zip(inner, data, strict=True))
        )

    def schema(defs: dict[str, Data]) -> Data:
        return {
            "type": "array",
            "prefixItems": [serializer.schema(defs) for serializer in inner],
            "minItems": len(inner),
            "items": False,
        }

    return Serializer(
        lambda value: [serializer.encode(item) for serializer, item in zip(inner, value, strict=True)], decode, schema
    )


def _make_object_serializer(key: Serializer, inner: Serializer) -> Serializer:
    is_plain = key is _TEXT and inner is _TEXT

    def decode(data: Data, path: str) -> Any:
        if not isinstance(data, dict):
            raise CodecError(path, "should be an object")
        if is_plain and _ONLY_TEXTS.issuperset(map(type, data.values())):  # as above
            return types.MappingProxyType(dict(data))
        members = {name: f"{path}/{name}" for name in data}
        return types.MappingProxyType(
            {key.decode(name, at): inner.decode(data[name], at) for name, at in members.items()}
        )

    def schema(defs: dict[str, Data]) -> Data:
        return {"type": "object", "additionalProperties": inner.schema(defs)}

    return Serializer(lambda value: {name: inner.encode(value[name]) for name in sorted(value)}, decode, schema)


def _make_pairs_serializer(key: Serializer, value: Serializer) -> Serializer:
    def encode(mapping: Mapping[Any, Any]) -> Data:
        return [[key.encode(name), value.encode(mapping[name])] for name in sorted(mapping)]

    def decode(data: Data, path: str) -> Any:
        if not isinstance(data, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in data):
            raise CodecError(path, "should be a list of pairs")
        pairs = ((key.decode(a, f"{path}/{at}/0"), value.decode(b, f"{path}/{at}/1")) for at, (a, b) in enumerate(data))
        return types.MappingProxyType(dict(pairs))

    def schema(defs: dict[str, Data]) -> Data:
        pair = {"type": "array", "prefixItems": [key.schema(defs), value.schema(defs)], "minItems": 2, "items": False}
        return {"type": "array", "items": pair}

    return Serializer(encode, decode, schema)


def _make_union_serializer(arguments: tuple[Any, ...]) -> Serializer:
    some = tuple(argument for argument in arguments if argument is not type(None))
    if set(some) == set(RESOURCES.values()):
        inner = _make_tagged_serializer(RESOURCES)
    elif all(isinstance(kind, type) and issubclass(kind, Struct) and kind.__struct_config__.tag for kind in some):
        inner = _make_tagged_serializer({kind.__struct_config__.tag: kind for kind in some})
    elif all(get_origin(kind) is Literal for kind in some):
        inner = _make_words_serializer(tuple(word for kind in some for word in get_args(kind)))
    elif len(some) == 1:
        inner = _make_serializer(some[0])
    else:
        raise TypeError(f"no shape for a union of {some}")
    return inner if len(some) == len(arguments) else _make_optional_serializer(inner)


def _make_optional_serializer(inner: Serializer) -> Serializer:
    return Serializer(
        lambda value: None if value is None else inner.encode(value),
        lambda data, path: None if data is None else inner.decode(data, path),
        lambda defs: {"anyOf": [inner.schema(defs), {"type": "null"}]},
    )


def _make_tagged_serializer(kinds: Mapping[str, type]) -> Serializer:
    """Return the serializer of several structs that are told apart by `type`."""
    inner = {word: _make_record_serializer(kind, tag=word) for word, kind in kinds.items()}
    words = {kind: word for word, kind in kinds.items()}

    def decode(data: Data, path: str) -> Any:
        word = data.get("type") if isinstance(data, dict) else None
        if not isinstance(word, str) or word not in inner:
            raise CodecError(f"{path}/type", f"should be one of {', '.join(inner)}")
        return inner[word].decode(data, path)

    return Serializer(
        lambda value: inner[words[type(value)]].encode(value),
        decode,
        lambda defs: {"anyOf": [serializer.schema(defs) for serializer in inner.values()]},
    )


def _make_access_serializer() -> Serializer:
    resources = _make_list_serializer(_make_tagged_serializer(RESOURCES), list, ordered=True)

    def decode(data: Data, path: str) -> Access:
        try:
            return Access(resources.decode(data, path))
        except CodecError:
            raise
        except ValueError as problem:
            raise CodecError(path, str(problem)) from None

    return Serializer(lambda value: resources.encode([value[key] for key in sorted(value)]), decode, resources.schema)


class _Record:
    """The serializer of a struct; `tag` is the `type` in its data. Fields are resolved on first use (recursion)."""

    def __init__(self, kind: type, tag: str | None = None) -> None:
        self.kind = kind
        self.tag = tag
        self.writes_defaults = issubclass(kind, WithDefaults)

    @cached_property
    def parts(self) -> Mapping[str, tuple[FieldInfo, Serializer]]:
        hints = get_type_hints(self.kind, include_extras=True)
        return {
            field.encode_name: (field, _make_serializer(hints[field.name]))
            for field in fields(self.kind)
            if hints[field.name] is not object
        }

    @cached_property
    def writers(self) -> tuple[tuple[str, str, Any, FieldInfo, Encode | None], ...]:
        """For each field its name in the data, its own, its default, what it is, and its `encode`; `None` for what is written as it is."""
        return tuple(
            (name, part.name, part.default, part, None if inner.encode is _as_it_is else inner.encode)
            for name, (part, inner) in self.parts.items()
        )

    @cached_property
    def needed(self) -> tuple[str, ...]:
        return tuple(name for name, (part, _) in self.parts.items() if part.required)

    def encode(self, value: Any) -> Data:
        data: dict[str, Data] = {} if self.tag is None else {"type": self.tag}
        whole = self.writes_defaults
        for name, attribute, default, part, encode in self.writers:
            content = getattr(value, attribute)
            if not whole and (content is default or _is_default(part, content)):
                continue
            data[name] = content if encode is None else encode(content)
        return data

    def decode(self, data: Data, path: str) -> Any:
        if not isinstance(data, dict):
            raise CodecError(path, "should be an object")
        members = {name: value for name, value in data.items() if name != "type" or self.tag is None}
        for name in members:
            if name not in self.parts:
                raise UnknownMemberError(f"{path}/{name}", "is not known")
        for name in self.needed:
            if name not in members:
                raise CodecError(f"{path}/{name}", "is missing")
        return self.kind(
            **{
                field.name: inner.decode(members[name], f"{path}/{name}")
                for name, (field, inner) in self.parts.items()
                if name in members
            }
        )

    def schema(self, defs: dict[str, Data]) -> Data:
        name = self.kind.__name__
        if name not in defs:
            defs[name] = {}
            defs[name] |= self._describe(defs)
        return {"$ref": f"#/$defs/{name}"}

    def _describe(self, defs: dict[str, Data]) -> dict[str, Data]:
        tag = {} if self.tag is None else {"type": {"const": self.tag}}
        return {
            "type": "object",
            "description": (self.kind.__doc__ or "").partition("\n")[0],
            "properties": tag | {name: inner.schema(defs) for name, (_, inner) in self.parts.items()},
            "required": [*tag, *self.needed],
            "additionalProperties": False,
        }


def _make_record_serializer(kind: type, tag: str | None = None) -> Serializer:
    record = _Record(kind, tag)
    return Serializer(record.encode, record.decode, record.schema)


def _is_default(part: FieldInfo, value: Any) -> bool:
    if part.default is not NODEFAULT:
        return bool(value == part.default) and isinstance(value, bool) == isinstance(part.default, bool)
    return part.default_factory is not NODEFAULT and not value


_TEXT = _make_scalar_serializer(str, "string")
_ONLY_TEXTS = frozenset({str})
_SCALARS: Mapping[Any, Serializer] = {
    Any: Serializer(_as_it_is, lambda data, _: data, lambda _: {}),
    str: _TEXT,
    bool: _make_scalar_serializer(bool, "boolean"),
    int: _make_scalar_serializer(int, "integer"),
    float: _make_number_serializer(),
    datetime: _make_moment_serializer(),
    Key: _make_key_serializer(),
}
