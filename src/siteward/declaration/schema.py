"""The grammar of the file as JSON Schema, for editors that complete and check while one writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from siteward.declaration.compile import typed
from siteward.declaration.document import Document, Included, InstanceRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Struct

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
