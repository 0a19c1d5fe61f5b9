"""The grammar of the file in two other forms: pydantic's core schemas, and JSON Schema for editors.

Rows of the grammar become typed dictionaries (`typed`), from which pydantic makes both. `make grammar` runs this module
and writes the core schemas as literals to `_grammar.py` (`text`), so that checking a file loads no more than
`pydantic_core`. `access_schema` and `included_schema` are the JSON Schemas that `siteward schema` prints.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
from functools import cache
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import pydantic_core
from annotated_types import Ge, Le, MinLen
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields
from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from siteward.declaration.document import DirectoryFile, Document, Included, InstanceRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import GetJsonSchemaHandler


Node: TypeAlias = dict[str, Any]
Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TARGET = Path(__file__).with_name("_grammar.py")
_HEAD = '''"""The grammar as pydantic compiled it. `make grammar` writes this file; nobody edits it."""

# fmt: off
from typing import Any

'''


class _Hint(Struct, frozen=True):
    """A hint on how to write a value, for messages; kept as metadata of its core schema."""

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Node]) -> Node:
        schema = handler(source)
        return {**schema, "metadata": {**schema.get("metadata", {}), "hint": self.words}}


@cache
def typed(kind: type[Struct]) -> TypeAdapter[Any]:
    """Return pydantic's adapter for a kind of row."""
    return TypeAdapter(_make_typed_dict(kind))


@cache
def compiled(kind: type[Struct]) -> Node:
    """Return the core schema of a kind of row, made of literals alone."""
    return cast("Node", _to_literals(typed(kind).core_schema))


@cache
def _make_typed_dict(kind: type[Struct]) -> Any:
    """Return a kind of row as a typed dictionary with the keys that files write."""
    hints = get_type_hints(kind, include_extras=True)
    keys = {
        field.encode_name: (Required if field.required else NotRequired)[_to_pydantic(hints[field.name])]
        for field in fields(kind)
    }
    notes = {field.encode_name: _describe_key(field, hints[field.name]) for field in fields(kind)}
    row = cast("Any", TypedDict)(kind.__name__, keys)
    row.__module__, row.__qualname__ = kind.__module__, kind.__qualname__
    row.__doc__ = kind.__doc__
    closed = kind.__struct_config__.forbid_unknown_fields
    row.__pydantic_config__ = ConfigDict(extra="forbid" if closed else "ignore", regex_engine="python-re")

    def to_json_schema(_row: Any, core: Any, handler: GetJsonSchemaHandler) -> Node:
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema)["properties"]
        properties |= {name: {**properties[name], **more} for name, more in notes.items()}
        return schema

    row.__get_pydantic_json_schema__ = classmethod(to_json_schema)
    return row


def _describe_key(field: FieldInfo, hint: Any) -> Node:
    """Return the parts of a key's JSON Schema beside its type: its default, description and stricter patterns."""
    notes: Node = {} if field.required or not isinstance(field.default, str | int) else {"default": field.default}
    for meta in reversed(list(_find_metas(hint))):
        notes |= {"description": meta.description} if meta.description else {}
        notes |= meta.extra_json_schema or {}
    return notes


def _find_metas(hint: Any) -> Iterator[Meta]:
    """Yield the `Meta` of an annotation as a whole, the outermost first; null beside one other type is passed over."""
    if get_origin(hint) is Annotated:
        yield from (meta for meta in hint.__metadata__ if isinstance(meta, Meta))
        yield from _find_metas(get_args(hint)[0])
    elif get_origin(hint) in {Union, types.UnionType}:
        options = [arg for arg in get_args(hint) if arg is not type(None)]
        yield from _find_metas(options[0]) if len(options) == 1 else ()


def _to_pydantic(hint: Any) -> Any:
    """Return an annotation of a row as pydantic reads it, without null, which the YAML reader refuses."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        metas = [meta for meta in hint.__metadata__ if isinstance(meta, Meta)]
        constraints = tuple(constraint for meta in metas for constraint in _constraints_of(meta))
        return Annotated[(_to_pydantic(arguments[0]), *constraints)] if constraints else _to_pydantic(arguments[0])
    if origin in {Union, types.UnionType}:
        return Union[tuple(_to_pydantic(argument) for argument in arguments if argument is not type(None))]  # noqa: UP007 — made of parts
    if origin in {list, dict}:
        return origin[tuple(map(_to_pydantic, arguments))]
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _make_typed_dict(hint)
    return hint


def _constraints_of(meta: Meta) -> Iterator[Any]:
    if meta.ge is not None:
        yield Ge(meta.ge)
    if meta.le is not None:
        yield Le(meta.le)
    if meta.min_length is not None:
        yield MinLen(meta.min_length)
    if meta.pattern is not None:
        yield Field(pattern=meta.pattern)
    if meta.extra and "hint" in meta.extra:
        yield _Hint(meta.extra["hint"])


def _to_literals(node: Any) -> Any:
    """Return a core schema without classes and other parts that only pydantic needs.

    Alternatives are labelled by their numbers, which become part of the paths of errors.
    """
    if isinstance(node, list):
        return [_to_literals(child) for child in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _to_literals(value) for key, value in node.items() if key not in {"metadata", "cls", "config", "ref"}}
    if "ref" in node and "type" in node:
        plain["ref"] = _strip_number(node["ref"])
    if node.get("type") == "definition-ref":
        plain["schema_ref"] = _strip_number(node["schema_ref"])
    if "hint" in node.get("metadata", {}):
        plain["metadata"] = {"hint": node["metadata"]["hint"]}
    if node.get("type") == "typed-dict":
        plain["extra_behavior"] = node.get("config", {}).get("extra_fields_behavior", "ignore")
    if node.get("type") == "str" and "pattern" in node:
        plain["regex_engine"] = "python-re"
    if node.get("type") == "union":
        plain["choices"] = [(choice, str(number)) for number, choice in enumerate(plain["choices"])]
    if plain.get("type") == "literal" and all(isinstance(value, int) for value in plain["expected"]):
        return {"type": "chain", "steps": [{"type": "int"}, plain]}  # or `true` would be 1
    return plain


def _strip_number(ref: str) -> str:
    """Return a reference without its number, which differs between processes."""
    return ref.partition(":")[0]


def kinds() -> Mapping[str, type[Struct]]:
    """Return the kinds of row that data is checked by, by full name.

    These are the root file, an include, a directory's file, an instance, and the settings of each platform: a platform
    is a folder with a module `settings`; the folders are listed, since this package knows none by name.
    """
    package = importlib.import_module("siteward.platforms")
    folders = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
    settings = [importlib.import_module(f"{package.__name__}.{folder}.settings").Settings for folder in folders]
    return {name_of(setting): setting for setting in (Document, Included, DirectoryFile, InstanceRow, *settings)}


def name_of(kind: type[Struct]) -> str:
    """Return the full name of a kind of row."""
    return f"{kind.__module__}.{kind.__qualname__}"


def text() -> str:
    """Return the text of `_grammar.py`: the version of pydantic_core that it was made with, and the core schemas."""
    schemas = {name: compiled(kind) for name, kind in kinds().items()}
    return f"{_HEAD}VERSION = {pydantic_core.__version__!r}\nSCHEMAS: dict[str, Any] = {_write_literal(schemas)}\n"


def _write_literal(node: Any, depth: int = 0) -> str:
    """Return a literal on one line where it is short, else with one part on each line; `depth` is its indent."""
    line, inside = repr(node), " " * (depth + 1)
    if len(line) + depth <= 110 or not isinstance(node, dict | list | tuple):
        return line
    if isinstance(node, dict):
        parts = (f"{inside}{key!r}: {_write_literal(value, depth + 1)}" for key, value in node.items())
    else:
        parts = (f"{inside}{_write_literal(part, depth + 1)}" for part in node)
    begin, end = {dict: ("{", "}"), list: ("[", "]"), tuple: ("(", ")")}[type(node)]
    return begin + "\n" + ",\n".join(parts) + f",\n{' ' * depth}{end}"


def access_schema(settings: Mapping[str, type[Struct]]) -> Schema:
    """Return the JSON Schema (2020-12) of the root file; `settings` holds the struct of own keys of each platform."""
    schema = _make_schema(Document)
    definitions: Schema = schema.pop("$defs")
    definitions.pop("InstanceRow", None)
    variants = []
    for platform, model in sorted(settings.items()):
        variant, rows = _make_instance(platform, model)
        definitions |= {name: row for name, row in rows.items() if name not in definitions}
        definitions[_name_variant(platform)] = variant
        variants.append({"$ref": f"#/$defs/{_name_variant(platform)}"})
    schema["properties"]["instances"]["additionalProperties"] = {"anyOf": variants}
    schema["properties"]["roles"]["additionalProperties"]["propertyNames"] = {"enum": sorted(settings)}
    return _finish("access.schema.json", "Siteward access declaration", schema, definitions)


def included_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a file that another one includes."""
    schema = _make_schema(Included)
    definitions: Schema = schema.pop("$defs")
    return _finish("included.schema.json", "Siteward access declaration, included by another file", schema, definitions)


def directory_schema() -> Schema:
    """Return the JSON Schema (2020-12) of the file that a directory's people and groups are written to."""
    schema = _make_schema(DirectoryFile)
    definitions: Schema = schema.pop("$defs")
    return _finish("directory.schema.json", "Siteward people and groups of a directory", schema, definitions)


def _finish(identity: str, title: str, schema: Schema, definitions: Schema) -> Schema:
    """Return a whole JSON Schema, tidy, with its head and sorted definitions."""
    return {
        "$schema": DIALECT,
        "$id": identity,
        "title": title,
        **_tidy(schema),
        "$defs": {name: _tidy(definitions[name]) for name in sorted(definitions)},
    }


def _make_instance(platform: str, model: type[Struct]) -> tuple[Schema, Schema]:
    """Return the schema of an instance of one platform, which has the common keys and its own, and the rows in it."""
    common, own = _make_schema(InstanceRow), _make_schema(model)
    required = [*common.get("required", ()), *(key for key in own.get("required", ()) if key != "url")]
    properties = {**common["properties"], **own.get("properties", {})}
    properties["platform"] = {"const": platform, "description": "What kind of analytics software this is."}
    variant = {
        "type": "object",
        "description": f"An installation or account of {platform}.",
        "properties": properties,
        "required": list(dict.fromkeys(required)),
        "additionalProperties": False,
    }
    return variant, {**common.get("$defs", {}), **own.get("$defs", {})}


def _make_schema(kind: type[Struct]) -> Schema:
    """Return the JSON Schema of a kind of row, with those of the rows in it as its `$defs`."""
    schema: Schema = typed(kind).json_schema()
    return {"$defs": {}, **schema}


def _name_variant(platform: str) -> str:
    return "".join(part.capitalize() for part in platform.split("-")) + "Instance"


def _tidy(node: Any, *, named: bool = False) -> Any:
    """Return a schema without generated titles, empty parts and null; `named` marks a table of names to schemas."""
    if isinstance(node, list):
        return [_tidy(child) for child in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {name: _tidy(schema) for name, schema in node.items()}
    kept = {key: value for key, value in _drop_null(node).items() if not _is_noise(key, value)}
    return {key: _tidy(value, named=key in {"properties", "$defs"}) for key, value in kept.items()}


def _drop_null(node: Schema) -> Schema:
    """Return a schema without the alternative null, which no file can hold."""
    if "anyOf" not in node:
        return node
    options = [option for option in node["anyOf"] if option != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {"anyOf": options, **rest}


def _is_noise(key: str, value: Any) -> bool:
    """Return whether a key of a schema tells editors nothing: a title, an empty list, a default that is a row."""
    return key == "title" or (
        key in {"default", "required"} and (not value or isinstance(value, dict)) and value is not False
    )


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
