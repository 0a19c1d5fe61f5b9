"""The grammar of the file as JSON Schema, for editors that complete and check while one writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema

from siteward.declaration.document import Document, InstanceRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic_core import core_schema

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTITY = "access.schema.json"


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, without what the file never has: null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        """Return what the value is when it is there."""
        return self.generate_inner(schema["schema"])


def access_schema(settings: Mapping[str, type[BaseModel]]) -> Schema:
    """Return the JSON Schema (2020-12) of the root file; `settings` is what each platform's instances may say."""
    schema = _made(Document)
    definitions: Schema = schema.pop("$defs")
    definitions.pop("InstanceRow", None)
    variants = []
    for platform, model in sorted(settings.items()):
        variant, more = _instance(platform, model)
        definitions |= {name: each for name, each in more.items() if name not in definitions}
        definitions[_title(platform)] = variant
        variants.append({"$ref": f"#/$defs/{_title(platform)}"})
    schema["properties"]["instances"]["additionalProperties"] = {"anyOf": variants}
    return {
        "$schema": DIALECT,
        "$id": IDENTITY,
        "title": "Siteward access declaration",
        **_tidy(schema),
        "$defs": {name: _tidy(definitions[name]) for name in sorted(definitions)},
    }


def _instance(platform: str, model: type[BaseModel]) -> tuple[Schema, Schema]:
    """Return the schema of an instance of one platform: the common keys and its own, and nothing else."""
    common, own = _made(InstanceRow), _made(model)
    required = [*common.get("required", ()), *(each for each in own.get("required", ()) if each != "url")]
    properties = {**common["properties"], **own.get("properties", {})}
    properties |= {name: each for name, each in common["properties"].items() if name in properties}
    properties["platform"] = {"const": platform, "description": "What kind of analytics software this is."}
    variant = {
        "type": "object",
        "description": f"An installation or account of {platform}.",
        "properties": properties,
        "required": list(dict.fromkeys(required)),
        "additionalProperties": False,
    }
    return variant, {**common.get("$defs", {}), **own.get("$defs", {})}


def _made(model: type[BaseModel]) -> Schema:
    return model.model_json_schema(by_alias=True, schema_generator=_Generator)


def _title(platform: str) -> str:
    return "".join(each.capitalize() for each in platform.split("-")) + "Instance"


def _tidy(node: Any, *, named: bool = False) -> Any:
    """Return a schema without generated titles and empty defaults; `named` marks a table of names to schemas."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {name: _tidy(each) for name, each in node.items()}
    kept = {key: each for key, each in node.items() if not _is_noise(key, each)}
    return {key: _tidy(each, named=key in {"properties", "$defs"}) for key, each in kept.items()}


def _is_noise(key: str, value: Any) -> bool:
    return key == "title" or (key == "default" and value in (None, [], {}))
