"""The grammar of the file as JSON Schema, for editors that complete and check while one writes."""

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

from siteward.declaration.document import Document, Included, InstanceRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import GetJsonSchemaHandler


Node: TypeAlias = dict[str, Any]

TARGET = Path(__file__).with_name("_grammar.py")
_HEAD = '''"""The grammar as pydantic compiled it. `make grammar` writes this file; nobody edits it."""

# fmt: off
from typing import Any

'''


class _Hint(Struct, frozen=True):
    """How a value is written, in words; kept beside its core schema."""

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Node]) -> Node:
        found = handler(source)
        return {**found, "metadata": {**found.get("metadata", {}), "hint": self.words}}


@cache
def typed(kind: type[Struct]) -> TypeAdapter[Any]:
    """Return what pydantic makes of a row."""
    return TypeAdapter(_row(kind))


@cache
def compiled(kind: type[Struct]) -> Node:
    """Return the core schema of a row, in literals alone."""
    return cast("Node", _plain(typed(kind).core_schema))


@cache
def _row(kind: type[Struct]) -> Any:
    """Return a row as a typed dictionary with the keys that files write."""
    hints = get_type_hints(kind, include_extras=True)
    keys = {
        field.encode_name: (Required if field.required else NotRequired)[_kind(hints[field.name])]
        for field in fields(kind)
    }
    told = {field.encode_name: _for_editors(field, hints[field.name]) for field in fields(kind)}
    row = cast("Any", TypedDict)(kind.__name__, keys)
    row.__module__, row.__qualname__ = kind.__module__, kind.__qualname__
    row.__doc__ = kind.__doc__
    closed = kind.__struct_config__.forbid_unknown_fields
    row.__pydantic_config__ = ConfigDict(extra="forbid" if closed else "ignore", regex_engine="python-re")

    def schema(_row: Any, core: Any, handler: GetJsonSchemaHandler) -> Node:
        found = handler(core)
        properties = handler.resolve_ref_schema(found)["properties"]
        properties |= {name: {**properties[name], **more} for name, more in told.items()}
        return found

    row.__get_pydantic_json_schema__ = classmethod(schema)
    return row


def _for_editors(field: FieldInfo, hint: Any) -> Node:
    """Return what a key's schema says beside its type: a description, what holds without it, a stricter form."""
    found: Node = {} if field.required or not isinstance(field.default, str | int) else {"default": field.default}
    for meta in reversed(list(_metas(hint))):
        found |= {"description": meta.description} if meta.description else {}
        found |= meta.extra_json_schema or {}
    return found


def _metas(hint: Any) -> Iterator[Meta]:
    """Yield what is said of an annotation as a whole, the outermost first."""
    if get_origin(hint) is Annotated:
        yield from (meta for meta in hint.__metadata__ if isinstance(meta, Meta))
        yield from _metas(get_args(hint)[0])
    elif get_origin(hint) in {Union, types.UnionType}:
        options = [arg for arg in get_args(hint) if arg is not type(None)]
        yield from _metas(options[0]) if len(options) == 1 else ()


def _kind(hint: Any) -> Any:
    """Return an annotation of a row as pydantic reads it, without null, which no file can say."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        metas = [meta for meta in hint.__metadata__ if isinstance(meta, Meta)]
        found = tuple(constraint for meta in metas for constraint in _constraints(meta))
        return Annotated[(_kind(arguments[0]), *found)] if found else _kind(arguments[0])
    if origin in {Union, types.UnionType}:
        return Union[tuple(_kind(argument) for argument in arguments if argument is not type(None))]  # noqa: UP007 — made of parts
    if origin in {list, dict}:
        return origin[tuple(map(_kind, arguments))]
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _row(hint)
    return hint


def _constraints(meta: Meta) -> Iterator[Any]:
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


def _plain(node: Any) -> Any:
    """Return a core schema without what only pydantic needs, and with numbers for the names of alternatives."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _plain(value) for key, value in node.items() if key not in {"metadata", "cls", "config", "ref"}}
    if "ref" in node and "type" in node:
        found["ref"] = _named(node["ref"])
    if node.get("type") == "definition-ref":
        found["schema_ref"] = _named(node["schema_ref"])
    if "hint" in node.get("metadata", {}):
        found["metadata"] = {"hint": node["metadata"]["hint"]}
    if node.get("type") == "typed-dict":
        found["extra_behavior"] = node.get("config", {}).get("extra_fields_behavior", "ignore")
    if node.get("type") == "str" and "pattern" in node:
        found["regex_engine"] = "python-re"
    if node.get("type") == "union":
        found["choices"] = [(choice, str(number)) for number, choice in enumerate(found["choices"])]
    if found.get("type") == "literal" and all(isinstance(value, int) for value in found["expected"]):
        return {"type": "chain", "steps": [{"type": "int"}, found]}  # or `true` would be 1
    return found


def _named(ref: str) -> str:
    """Return a reference without the number that it has in this process."""
    return ref.partition(":")[0]


def kinds() -> Mapping[str, type[Struct]]:
    """Return all rows that a file is held against, by their full names: the root's, includes', and each platform's.

    A platform is a folder with a module `settings`; it is looked up, since this room knows none by name.
    """
    package = importlib.import_module("siteward.platforms")
    folders = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
    settings = [importlib.import_module(f"{package.__name__}.{folder}.settings").Settings for folder in folders]
    return {name_of(setting): setting for setting in (Document, Included, InstanceRow, *settings)}


def name_of(kind: type[Struct]) -> str:
    """Return the full name of a row."""
    return f"{kind.__module__}.{kind.__qualname__}"


def text() -> str:
    """Return what `_grammar.py` should hold."""
    schemas = {name: compiled(kind) for name, kind in kinds().items()}
    return f"{_HEAD}VERSION = {pydantic_core.__version__!r}\nSCHEMAS: dict[str, Any] = {_written(schemas)}\n"


def _written(node: Any, depth: int = 0) -> str:
    """Return a literal on one line where it is short, and else with a part on each line."""
    line, inside = repr(node), " " * (depth + 1)
    if len(line) + depth <= 110 or not isinstance(node, dict | list | tuple):
        return line
    if isinstance(node, dict):
        parts = (f"{inside}{key!r}: {_written(value, depth + 1)}" for key, value in node.items())
    else:
        parts = (f"{inside}{_written(item, depth + 1)}" for item in node)
    begin, end = {dict: ("{", "}"), list: ("[", "]"), tuple: ("(", ")")}[type(node)]
    return begin + "\n" + ",\n".join(parts) + f",\n{' ' * depth}{end}"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")


Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def access_schema(settings: Mapping[str, type[Struct]]) -> Schema:
    """Return the JSON Schema (2020-12) of the root file; `settings` is what each platform's instances may say."""
    schema = _made(Document)
    definitions: Schema = schema.pop("$defs")
    definitions.pop("InstanceRow", None)
    variants = []
    for platform, model in sorted(settings.items()):
        variant, more = _instance(platform, model)
        definitions |= {name: schema for name, schema in more.items() if name not in definitions}
        definitions[_title(platform)] = variant
        variants.append({"$ref": f"#/$defs/{_title(platform)}"})
    schema["properties"]["instances"]["additionalProperties"] = {"anyOf": variants}
    schema["properties"]["roles"]["additionalProperties"]["propertyNames"] = {"enum": sorted(settings)}
    return _whole("access.schema.json", "Siteward access declaration", schema, definitions)


def included_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a file that another one includes."""
    schema = _made(Included)
    definitions: Schema = schema.pop("$defs")
    return _whole("included.schema.json", "Siteward access declaration, included by another file", schema, definitions)


def _whole(identity: str, title: str, schema: Schema, definitions: Schema) -> Schema:
    return {
        "$schema": DIALECT,
        "$id": identity,
        "title": title,
        **_tidy(schema),
        "$defs": {name: _tidy(definitions[name]) for name in sorted(definitions)},
    }


def _instance(platform: str, model: type[Struct]) -> tuple[Schema, Schema]:
    """Return the schema of an instance of one platform: the common keys and its own, and nothing else."""
    common, own = _made(InstanceRow), _made(model)
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


def _made(model: type[Struct]) -> Schema:
    """Return the schema of a row, with those of the rows in it as its `$defs`."""
    found: Schema = typed(model).json_schema()
    return {"$defs": {}, **found}


def _title(platform: str) -> str:
    return "".join(part.capitalize() for part in platform.split("-")) + "Instance"


def _tidy(node: Any, *, named: bool = False) -> Any:
    """Return a schema without generated titles, empty parts and null; `named` marks a table of names to schemas."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {name: _tidy(schema) for name, schema in node.items()}
    kept = {key: value for key, value in _sayable(node).items() if not _is_noise(key, value)}
    return {key: _tidy(value, named=key in {"properties", "$defs"}) for key, value in kept.items()}


def _sayable(node: Schema) -> Schema:
    """Return a schema without the alternative null, which the file never has."""
    if "anyOf" not in node:
        return node
    options = [option for option in node["anyOf"] if option != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {"anyOf": options, **rest}


def _is_noise(key: str, value: Any) -> bool:
    return key == "title" or (
        key in {"default", "required"} and (not value or isinstance(value, dict)) and value is not False
    )
