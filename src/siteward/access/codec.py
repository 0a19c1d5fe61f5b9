"""Encoding of plans, live states and memories as plain data, their canonical JSON form, and the digest of a plan.

The canonical form is RFC 8785: keys sorted by UTF-16, no spaces, numbers as ECMAScript writes them. Names keep their
Unicode form. A plan that was edited, or is of a newer format, is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final

from msgspec.structs import replace

from siteward.access.model import Key, Resource
from siteward.access.plan import InstancePlan, Plan, Step
from siteward.access.report import Report, Summary, summarize
from siteward.access.serialize import BIGGEST, CodecError, Data, shape
from siteward.access.state import Live, Memory

__all__ = [
    "FORMAT",
    "CodecError",
    "canonical",
    "decode",
    "decode_live",
    "decode_memory",
    "decode_resource",
    "decode_step",
    "digest",
    "encode",
    "encode_live",
    "encode_memory",
    "encode_resource",
    "encode_step",
    "encode_summary",
    "plan_schema",
    "seal",
]

FORMAT: Final = "siteward.plan/1"
LIVE_FORMAT: Final = "siteward.live/1"


def encode(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data, with its format, summary, and members of steps that are derived for readers."""
    data: dict[str, Any] = shape(Plan).encode(replace(plan, instances=(), digest=""))
    data["format"] = FORMAT
    data["instances"] = [_encode_instance(instance) for instance in plan.instances]
    data["summary"] = _summarize_plan(plan)
    data["digest"] = plan.digest or _compute_digest(data)
    return data


def _summarize_plan(plan: Plan) -> dict[str, Any]:
    """Return the numbers of a plan; `left_out` came later, and whole plans are written as before."""
    data = encode_summary(summarize(Report(command="plan", plan=plan)))
    return {name: value for name, value in data.items() if value or name != "left_out"}


def _encode_instance(plan: InstancePlan) -> Data:
    data = shape(InstancePlan).encode(replace(plan, steps=(), held_back=(), left_out=()))
    data["steps"] = [encode_step(step) for step in plan.steps]
    data["held_back"] = [encode_step(step) for step in plan.held_back]
    if plan.left_out:
        data["left_out"] = [encode_step(step) for step in plan.left_out]
    data["blocked"] = plan.blocked
    return data


def encode_step(step: Step) -> dict[str, Any]:
    """Return a step as plain data, with its action and consequences as further members."""
    data: dict[str, Any] = shape(Step).encode(step)
    return data | _derive_members(step)


def _derive_members(step: Step) -> dict[str, Any]:
    return {
        "action": step.change.action,
        "blocked": step.blocked,
        "mails": sum(effect.count for effect in step.effects("mail")),
        "destroys": [effect.message for effect in step.effects("destroys")],
        "reversible": not step.effects("irreversible") and not step.effects("destroys"),
    }


def encode_summary(summary: Summary) -> dict[str, Any]:
    """Return the numbers of a run as plain data, zeros included."""
    data: dict[str, Any] = {name: getattr(summary, name) for name in Summary.__struct_fields__}
    return data | {"drift": dict(summary.drift), "outcomes": dict(summary.outcomes)}


def decode(data: object, *, verify: bool = True) -> Plan:
    """Return the plan of plain data.

    Raises `CodecError` where the format is another, a member is invalid, or, unless `verify` is false, where the digest
    does not match because the plan was changed.
    """
    if not isinstance(data, dict):
        raise CodecError("", "this is not a valid plan")
    if data.get("format") != FORMAT:
        raise CodecError("/format", f"this reads {FORMAT}; the plan may have been made by a newer version")
    if verify and data.get("digest") != _compute_digest(data):
        raise CodecError("/digest", "the plan was changed after it was made: its digest does not fit")
    instances = data.get("instances", [])
    if not isinstance(instances, list):
        raise CodecError("/instances", "should be a list")
    rest = {name: value for name, value in data.items() if name not in {"format", "instances", "summary"}}
    plan: Plan = shape(Plan).decode(rest, "")
    plan = replace(
        plan, instances=tuple(_decode_instance(instance, f"/instances/{at}") for at, instance in enumerate(instances))
    )
    if data.get("summary") != _summarize_plan(plan):
        raise CodecError("/summary", "the numbers are not those of the plan")
    return plan


def _decode_instance(data: Data, path: str) -> InstancePlan:
    if not isinstance(data, dict):
        raise CodecError(path, "should be an object")
    derived = {"steps", "held_back", "left_out", "blocked"}
    plan: InstancePlan = shape(InstancePlan).decode(
        {name: value for name, value in data.items() if name not in derived}, path
    )
    steps, held_back = (_decode_steps(data.get(name), f"{path}/{name}") for name in ("steps", "held_back"))
    left_out = _decode_steps(data.get("left_out", []), f"{path}/left_out")
    plan = replace(plan, steps=steps, held_back=held_back, left_out=left_out)
    _refuse_repeated(plan, path)
    if data.get("blocked") is not plan.blocked:
        raise CodecError(f"{path}/blocked", "is not what the diagnostics say")
    return plan


def _refuse_repeated(plan: InstancePlan, path: str) -> None:
    """Raise `CodecError` where two steps have one id or change one thing, or a step depends on none before it."""
    ids: set[str] = set()
    keys: set[Key] = set()
    for name, steps in (("steps", plan.steps), ("held_back", plan.held_back), ("left_out", plan.left_out)):
        for at, step in enumerate(steps):
            if step.id in ids:
                raise CodecError(f"{path}/{name}/{at}/id", f"{step.id} is the id of another step too")
            if step.change.key in keys:
                raise CodecError(f"{path}/{name}/{at}/change", "another step changes the same thing")
            if unknown := sorted(set(step.depends_on) - ids):
                raise CodecError(f"{path}/{name}/{at}/depends_on", f"no step before it is {unknown[0]}")
            ids.add(step.id)
            keys.add(step.change.key)


def _decode_steps(data: Data, path: str) -> tuple[Step, ...]:
    if not isinstance(data, list):
        raise CodecError(path, "should be a list")
    return tuple(decode_step(step, f"{path}/{at}") for at, step in enumerate(data))


def decode_step(data: object, path: str = "") -> Step:
    """Return the step of plain data. Raises `CodecError` where it is invalid or contradicts itself."""
    if not isinstance(data, dict):
        raise CodecError(path, "should be an object")
    derived = {"action", "blocked", "mails", "destroys", "reversible"}
    step: Step = shape(Step).decode({name: value for name, value in data.items() if name not in derived}, path)
    before, after = step.change.before, step.change.after
    if before is None and after is None:
        raise CodecError(f"{path}/change", "has neither side")
    if before is not None and after is not None and before.key != after.key:
        raise CodecError(f"{path}/change", "turns one thing into another")
    for name, value in _derive_members(step).items():
        if name not in data or data[name] != value or type(data[name]) is not type(value):
            raise CodecError(f"{path}/{name}", f"should be {value!r}")
    return step


def encode_live(live: Live) -> dict[str, Any]:
    """Return a live state as plain data, without the adapter's own (`native`)."""
    data: dict[str, Any] = shape(Live).encode(live)
    return data | {"format": LIVE_FORMAT}


def decode_live(data: object) -> Live:
    """Return the live state of plain data. Raises `CodecError`."""
    if not isinstance(data, dict) or data.get("format") != LIVE_FORMAT:
        raise CodecError("/format", f"this reads {LIVE_FORMAT}")
    live: Live = shape(Live).decode({name: value for name, value in data.items() if name != "format"}, "")
    return live


def encode_memory(memory: Memory) -> dict[str, Any]:
    """Return a memory as plain data."""
    data: dict[str, Any] = shape(Memory).encode(memory)
    return data


def decode_memory(data: object) -> Memory:
    """Return the memory of plain data. Raises `CodecError`."""
    memory: Memory = shape(Memory).decode(data, "")
    return memory


def encode_resource(resource: Resource) -> dict[str, Any]:
    """Return a resource as plain data."""
    data: dict[str, Any] = shape(Resource).encode(resource)
    return data


def decode_resource(data: object, path: str = "") -> Resource:
    """Return the resource of plain data. Raises `CodecError`."""
    resource: Resource = shape(Resource).decode(data, path)
    return resource


def digest(plan: Plan) -> str:
    """Return the SHA-256 digest of a plan, over everything in it except the digest itself."""
    return _compute_digest(encode(replace(plan, digest="")))


def seal(plan: Plan) -> Plan:
    """Return the plan with its digest."""
    return replace(plan, digest=digest(plan))


def _compute_digest(data: Mapping[str, Data]) -> str:
    covered = canonical({name: value for name, value in data.items() if name != "digest"})
    return f"sha256:{hashlib.sha256(covered).hexdigest()}"


def canonical(data: object) -> bytes:
    """Return plain data in the canonical form of RFC 8785, as UTF-8. Raises `CodecError` for what has none."""
    try:
        return _canonical_text(data).encode()
    except UnicodeEncodeError:
        raise CodecError("", "a text holds half a character, which has no canonical form") from None


def _canonical_text(data: object) -> str:
    if isinstance(data, str):
        return encode_basestring(data)
    if isinstance(data, dict):
        names = tuple(data)
        return f"{{{','.join([f'{name}:{_canonical_text(data[key])}' for key, name in _sort_names(names)])}}}"
    if isinstance(data, list | tuple):
        return f"[{','.join([_canonical_text(item) for item in data])}]"
    return _canonical_scalar(data)


def _canonical_scalar(data: object) -> str:
    match data:
        case None:
            return "null"
        case bool():
            return "true" if data else "false"
        case int() if abs(data) <= BIGGEST:
            return str(data)
        case int():
            raise CodecError("", f"{data} is too big for a number in JSON")
        case float():
            return _canonical_number(data)
        case _:
            raise CodecError("", f"{type(data).__name__} has no canonical form")


@lru_cache(maxsize=4096)
def _sort_names(names: tuple[object, ...]) -> tuple[tuple[str, str], ...]:
    """Return the names of an object, plain and encoded, in the order of their UTF-16 code units."""
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise CodecError("", "the names in an object are texts")
    return tuple((text, encode_basestring(text)) for text in sorted(texts, key=lambda text: text.encode("utf-16-be")))


def _canonical_number(value: float) -> str:
    """Return a number as ECMAScript writes it (RFC 8785, section 3.2.2.3)."""
    if not math.isfinite(value):
        raise CodecError("", f"{value} is not a number that JSON can express")
    if value == 0:
        return "0"
    sign, mantissa = ("-", repr(-value)) if value < 0 else ("", repr(value))
    body, _, exponent = mantissa.partition("e")
    whole, _, fraction = body.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    """Return decimal digits with the point after `point` of them, by the rules of ECMAScript's Number::toString."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a saved plan."""
    defs: dict[str, Data] = {}
    shape(Plan).schema(defs)
    derived = {
        "action": {"enum": ["create", "update", "delete"]},
        "blocked": {"type": "boolean"},
        "mails": {"type": "integer"},
        "destroys": {"type": "array", "items": {"type": "string"}},
        "reversible": {"type": "boolean"},
    }
    _extend(defs["Step"], derived)
    _extend(defs["InstancePlan"], {"blocked": {"type": "boolean"}})
    defs["InstancePlan"]["required"] += ["steps", "held_back"]
    numbers = {name: {"type": "integer"} for name in Summary.__struct_fields__}
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    summary = {"type": "object", "additionalProperties": False}
    required = [name for name in numbers if name != "left_out"]
    defs["Summary"] = summary | {"properties": numbers | {"drift": counts, "outcomes": counts}, "required": required}
    plan = defs.pop("Plan")
    _extend(plan, {"format": {"const": FORMAT}, "summary": {"$ref": "#/$defs/Summary"}})
    plan["required"] += ["instances", "digest"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Siteward plan",
        **plan,
        "$defs": dict(sorted(defs.items())),
    }


def _extend(record: dict[str, Any], properties: Mapping[str, Data]) -> None:
    record["properties"] |= properties
    record["required"] += [*properties]
