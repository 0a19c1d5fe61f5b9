"""Plans as documents (`siteward.plan/2`), and live states, memories and resources as plain data.

The document of a plan is one line of JSON in UTF-8 without blanks. Members are sorted, but for three of the outermost
object: `format` is the first, then come the `tables` that steps refer to by place, and `digest` is the last: the SHA-256
of all bytes before it. It is checked before anything is parsed. A plan has one document, so what is read and would be
written differently is refused; as is what was cut, edited, or is of another format.

It is written and read a few steps at a time, and its digest is taken as it is written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from msgspec import MsgspecError, Raw, to_builtins
from msgspec.json import Decoder, Encoder
from msgspec.json import format as indent_json
from msgspec.structs import replace

from siteward.access.canonical import canonical
from siteward.access.diagnostic import Diagnostic
from siteward.access.model import Key, Resource
from siteward.access.plan import InstancePlan, Plan, Step
from siteward.access.report import Report, Summary, summarize
from siteward.access.rows import ReadTables, StepRow, TableRows, Tables
from siteward.access.serialize import CodecError, Data, shape
from siteward.access.state import Live, Memory, Origin

__all__ = [
    "FORMAT",
    "CodecError",
    "Writing",
    "canonical",
    "copied",
    "decode",
    "decode_data",
    "decode_live",
    "decode_memory",
    "decode_resource",
    "digest",
    "encode",
    "encode_live",
    "encode_memory",
    "encode_resource",
    "encode_summary",
    "in_lines",
    "plan_schema",
    "seal",
]

FORMAT: Final = "siteward.plan/2"
LIVE_FORMAT: Final = "siteward.live/1"
_START: Final = b'{"format":"%b","tables":' % FORMAT.encode()
_END: Final = re.compile(rb',"digest":"(sha256:[0-9a-f]{64})"}')
_END_LENGTH: Final = len(',"digest":"sha256:"}') + 64
_ANY_FORMAT: Final = re.compile(rb'\s*\{\s*"format"\s*:\s*"(siteward\.plan/\d{1,9})"')
_LISTS: Final = ("held_back", "left_out", "steps")
_AT_ONCE: Final = 256
"""The steps that are encoded at once: few enough for the memory not to be felt."""
_INDENT: Final = 2
"""The blanks by which each level of a document in lines is indented."""
_ALWAYS: Final[Mapping[str, Data]] = {"needs": [], "waived": []}
_DERIVED: Final = frozenset({"format", "tables", "instances", "summary", "digest"})
_write: Final = Encoder(order="sorted").encode
_SEALED: Final[WeakValueDictionary[str, Plan]] = WeakValueDictionary()
"""The plans that were sealed or read, by digest: nothing in a plan changes, and its document takes long to write."""
_T = TypeVar("_T")


class Writing:
    """The document of a plan as it is written: pieces, to be gone through once, then `plan` with the digest of them.

    Raises `CodecError` for a text or a number that has no form in JSON.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __iter__(self) -> Iterator[bytes]:
        covered = hashlib.sha256()
        for piece in _pieces(self.plan):
            covered.update(piece)
            yield piece
        found = covered.hexdigest()
        if self.plan.digest != f"sha256:{found}":
            self.plan = replace(self.plan, digest=f"sha256:{found}")
        _note_sealed(self.plan)
        yield b',"digest":"sha256:%b"}' % found.encode()


def encode(plan: Plan) -> Iterator[bytes]:
    """Yield the document of a plan in pieces, with the digest that it has as it is; raises as `Writing` does."""
    return iter(Writing(plan))


def digest(plan: Plan) -> str:
    """Return the SHA-256 digest of a plan, over everything in it except the digest itself."""
    return plan.digest if _SEALED.get(plan.digest) is plan else seal(plan).digest


def seal(plan: Plan) -> Plan:
    """Return the plan with its digest; where it is to be written too, `Writing` gives both at once."""
    writing = Writing(plan)
    for _ in writing:
        pass
    return writing.plan


def _note_sealed(plan: Plan) -> Plan:
    """Return a plan of which it is known that its digest fits, which holds for as long as the object is there."""
    _SEALED[plan.digest] = plan
    return plan


def in_lines(plan: Plan, depth: int = 0) -> Iterator[bytes]:
    """Yield the document of a plan with each member on a line of its own, as it stands within objects of that depth.

    It has the order of the document, and the digest that the plan was given, if any.
    """
    tables, inner = Tables(_list_steps(plan)), depth + 1
    members = {**_plan_members(plan), "instances": _instances(plan, tables, inner)}
    first, last = {"format": FORMAT, "tables": tables.rows()}, {"digest": plan.digest or digest(plan)}
    yield b"{"
    yield from _members({**first, **dict(sorted(members.items())), **last}, inner)
    yield _break(depth) + b"}"


def _pieces(plan: Plan) -> Iterator[bytes]:
    """Yield all of a document that its digest covers."""
    tables = Tables(_list_steps(plan))
    try:
        yield _START + _write(tables.rows()) + b","
        yield from _members(dict(sorted({**_plan_members(plan), "instances": _instances(plan, tables)}.items())))
    except UnicodeEncodeError:
        raise CodecError("", "a text holds half a character, which has no form in UTF-8") from None


def _list_steps(plan: Plan) -> Iterator[Step]:
    return (step for part in plan.instances for name in _LISTS for step in getattr(part, name))


def _plan_members(plan: Plan) -> dict[str, Data]:
    """Return the members of a plan, but for its tables, instances and digest, as plain data."""
    members = shape(Plan).encode(replace(plan, instances=(), digest=""))
    return {**_ALWAYS, **members, "summary": encode_summary(summarize(Report(command="plan", plan=plan)))}


def _part_members(part: InstancePlan) -> dict[str, Data]:
    """Return the members of an instance's plan, but for its steps, as plain data."""
    members = shape(InstancePlan).encode(replace(part, steps=(), held_back=(), left_out=()))
    return {**members, "blocked": part.blocked}


_Depth: TypeAlias = int | None
"""How deep something stands in a document in lines; `None` in one that is a single line."""


def _instances(plan: Plan, tables: Tables, depth: _Depth = None) -> Iterator[bytes]:
    outer, inner = (None, None) if depth is None else (depth + 1, depth + 2)
    yield b"["
    for at, part in enumerate(plan.instances):
        yield (b"," if at else b"") + _break(outer) + b"{"
        lists = {name: _steps(getattr(part, name), tables, inner) for name in _LISTS}
        yield from _members(dict(sorted({**_part_members(part), **lists}.items())), inner)
        yield _break(outer) + b"}"
    yield (_break(depth) if plan.instances else b"") + b"]"


def _steps(steps: Sequence[Step], tables: Tables, depth: _Depth = None) -> Iterator[bytes]:
    """Yield the rows of steps as a list, many at a time: each call of the encoder and each piece has a price."""
    yield b"["
    for first in range(0, len(steps), _AT_ONCE):
        rows = _laid_out([tables.row(step) for step in steps[first : first + _AT_ONCE]], depth)
        yield (b"," if first else b"") + rows[1 : -len(_break(depth)) - 1]
    yield (_break(depth) if steps else b"") + b"]"


def _members(members: Mapping[str, Data], depth: _Depth = None) -> Iterator[bytes]:
    """Yield the members of an object; those that are iterators are given as bytes already."""
    start, colon = _break(depth) + b'"', b'":' if depth is None else b'": '
    for at, (name, content) in enumerate(members.items()):
        yield (b"," if at else b"") + start + name.encode() + colon
        if isinstance(content, Iterator):
            yield from content
        else:
            yield _laid_out(content, depth)


def _laid_out(content: Data, depth: _Depth) -> bytes:
    """Return plain data or rows as JSON, as it stands at a depth."""
    if depth is None:
        return _write(content)
    try:
        written = indent_json(_write(content), indent=_INDENT)
    except UnicodeEncodeError:  # half a character has a form in JSON, but none in UTF-8
        written = json.dumps(to_builtins(content, order="sorted"), indent=_INDENT).encode()
    return written.replace(b"\n", _break(depth))


def _break(depth: _Depth) -> bytes:
    """Return what begins a line at a depth; nothing where all is one line."""
    return b"" if depth is None else b"\n" + b" " * (_INDENT * depth)


def encode_summary(summary: Summary) -> dict[str, Any]:
    """Return the numbers of a run as plain data, zeros included."""
    data: dict[str, Any] = {name: getattr(summary, name) for name in Summary.__struct_fields__}
    return data | {"drift": dict(summary.drift), "outcomes": dict(summary.outcomes)}


def decode(document: bytes) -> Plan:
    """Return the plan of a document.

    Raises `CodecError` where the format is another, the digest does not match, a member is invalid, or the document is
    not the one that the plan has.
    """
    _verify(document)
    try:
        plan = _parse(document)
        _refuse_other_form(plan, document)
    except RecursionError:
        raise CodecError("", "it is nested too deeply") from None
    return _note_sealed(plan)


def decode_data(data: object) -> Plan:
    """Return the plan of a document that was parsed and kept its order, as within a report; raises as `decode` does."""
    try:
        document = _write_as_is(data)
    except UnicodeEncodeError:
        raise CodecError("", "a text holds half a character, which has no form in UTF-8") from None
    return decode(document)


def _verify(document: bytes) -> None:
    """Raise `CodecError` where bytes are no document of this format, or not all of one, or were changed."""
    if not document.startswith(_START):
        found = _ANY_FORMAT.match(document)
        if found is None or found[1] == FORMAT.encode():
            raise CodecError("", f"this is no {FORMAT}, byte for byte as it was written")
        raise CodecError("/format", f"this reads {FORMAT}; {found[1].decode()} may be of a newer version")
    end = _END.fullmatch(document, len(document) - _END_LENGTH)
    if end is None:
        raise CodecError("/digest", "the document does not end with its digest: it was cut, or something was added")
    if hashlib.sha256(memoryview(document)[: end.start()]).hexdigest().encode() != end[1].removeprefix(b"sha256:"):
        raise CodecError("/digest", "the plan was changed after it was made: its digest does not fit")


def copied(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield the pieces of a document again; raises `CodecError` after them where they are not that of the digest `name`."""
    covered, tail = hashlib.sha256(), b""
    for piece in pieces:
        tail += piece
        covered.update(memoryview(tail)[:-_END_LENGTH])
        tail = tail[-_END_LENGTH:]
        yield piece
    if tail != b',"digest":"%b"}' % name.encode() or name != f"sha256:{covered.hexdigest()}":
        raise CodecError("/digest", f"this is not the plan {name}")


def _refuse_other_form(plan: Plan, document: bytes) -> None:
    """Raise `CodecError` with the place where a document differs from the one that its plan has."""
    at = 0
    for piece in encode(plan):
        found = document[at : at + len(piece)]
        if found != piece:
            pairs = enumerate(zip(found, piece, strict=False))
            at += next((n for n, (is_there, should_be) in pairs if is_there != should_be), len(found))
            raise CodecError("", f"what follows byte {at} is not what the rest of the plan makes it")
        at += len(piece)


def _parse(document: bytes) -> Plan:
    outer = _read(_OBJECT, document, "")
    tables = ReadTables(_read(_TABLES, outer["tables"], "/tables"))
    instances = _read(_OBJECTS, outer.get("instances", Raw(b"[]")), "/instances")
    parts = tuple(_parse_instance(members, tables, f"/instances/{at}") for at, members in enumerate(instances))
    rest = _read_members(outer, _DERIVED, "")
    plan: Plan = shape(Plan).decode({**rest, "digest": _read(_ANY, outer["digest"], "/digest")}, "")
    return replace(plan, instances=parts)


def _parse_instance(members: Mapping[str, Raw], tables: ReadTables, path: str) -> InstancePlan:
    plan: InstancePlan = shape(InstancePlan).decode(_read_members(members, {*_LISTS, "blocked"}, path), path)
    steps, held_back, left_out = (
        _parse_steps(members.get(name), tables, f"{path}/{name}") for name in ("steps", "held_back", "left_out")
    )
    plan = replace(plan, steps=steps, held_back=held_back, left_out=left_out)
    _refuse_repeated(plan, path)
    return plan


def _parse_steps(steps: Raw | None, tables: ReadTables, path: str) -> tuple[Step, ...]:
    if steps is None:
        raise CodecError(path, "is missing")
    rows, made = _read(_ITEMS, steps, path), list[Step]()
    try:
        for row in rows:
            made.append(tables.step(_read(_STEP, row, "")))
    except CodecError as problem:
        raise type(problem)(f"{path}/{len(made)}{problem.path}", problem.message) from None
    return tuple(made)


_ANY: Final[Decoder[Any]] = Decoder()
_OBJECT: Final = Decoder(dict[str, Raw])
_OBJECTS: Final = Decoder(list[dict[str, Raw]])
_ITEMS: Final = Decoder(list[Raw])
_TABLES: Final = Decoder(TableRows)
_STEP: Final = Decoder(StepRow)
_write_as_is: Final = Encoder().encode


def _read(decoder: Decoder[_T], data: bytes | Raw, path: str) -> _T:
    """Return what some bytes at `path` mean. Raises `CodecError`."""
    try:
        return decoder.decode(data)
    except UnicodeDecodeError:
        raise CodecError(path, "is not valid UTF-8") from None
    except MsgspecError as problem:
        words, _, place = str(problem).partition(" - at ")
        inner = place.strip("`$").replace(".", "/").replace("[", "/").replace("]", "")
        raise CodecError(path + inner, words) from None


def _read_members(members: Mapping[str, Raw], without: Iterable[str], path: str) -> dict[str, Data]:
    """Return the members of an object as plain data, but for some."""
    left = members.keys() - set(without)
    return {name: _read(_ANY, members[name], f"{path}/{name}") for name in left}


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
            if not ids.issuperset(step.depends_on):
                unknown = min(set(step.depends_on) - ids)
                raise CodecError(f"{path}/{name}/{at}/depends_on", f"no step before it is {unknown}")
            ids.add(step.id)
            keys.add(step.change.key)


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


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of the document of a plan."""
    defs: dict[str, Data] = {"Step": {}}
    for kind in (Plan, StepRow, TableRows, Origin, Diagnostic):
        shape(kind).schema(defs)
    defs["Step"] = defs.pop("StepRow")
    defs["Step"]["properties"]["diagnostics"]["items"] = {"$ref": "#/$defs/Diagnostic"}
    defs["Tables"] = defs.pop("TableRows")
    defs["Tables"]["properties"]["origins"]["items"] = {"$ref": "#/$defs/Origin"}
    _require(defs["InstancePlan"], *_LISTS, blocked={"type": "boolean"})
    numbers = {name: {"type": "integer"} for name in Summary.__struct_fields__}
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    summary = {"type": "object", "additionalProperties": False, "required": [*numbers]}
    defs["Summary"] = summary | {"properties": numbers | {"drift": counts, "outcomes": counts}}
    plan = defs.pop("Plan")
    inner = {name: {"$ref": f"#/$defs/{name.capitalize()}"} for name in ("summary", "tables")}
    _require(plan, *_ALWAYS, "instances", "digest", format={"const": FORMAT}, **inner)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Siteward plan",
        **plan,
        "$defs": dict(sorted(defs.items())),
    }


def _require(record: dict[str, Any], *names: str, **properties: Data) -> None:
    """Make members of an object required; those with a schema are new."""
    record["properties"] |= properties
    record["required"] += [*names, *properties]
