"""The reader of plans of the former format, `siteward.plan/1`, so that they can still be shown.

The digest of such a plan is that of its canonical form (RFC 8785) without the digest. Nothing is applied from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from siteward.access.canonical import canonical
from siteward.access.plan import InstancePlan, Plan, Step
from siteward.access.rows import checked
from siteward.access.serialize import CodecError, Data, shape

FORMAT: Final = "siteward.plan/1"
_LISTS: Final = ("steps", "held_back", "left_out")
_DERIVED: Final = frozenset({"action", "blocked", "mails", "destroys", "reversible"})
_RENAMED: Final[Mapping[str, str]] = {"strangers": "unmanaged", "outsider": "external"}


def decode(data: Mapping[str, Data]) -> Plan:
    """Return the plan of plain data in the former format. Raises `CodecError` for an invalid or a changed one."""
    covered = canonical({name: value for name, value in data.items() if name != "digest"})
    if data.get("digest") != f"sha256:{hashlib.sha256(covered).hexdigest()}":
        raise CodecError("/digest", "the plan was changed after it was made: its digest does not fit")
    rest = {name: value for name, value in data.items() if name not in {"format", "instances", "summary"}}
    plan: Plan = shape(Plan).decode(rest, "")
    instances = enumerate(_items(data, "instances", ""))
    return replace(plan, instances=tuple(_decode_instance(instance, f"/instances/{at}") for at, instance in instances))


def _decode_instance(data: Data, path: str) -> InstancePlan:
    plan: InstancePlan = shape(InstancePlan).decode(_rename(data, path, {*_LISTS, "blocked"}), path)
    steps, held_back, left_out = (
        tuple(_decode_step(step, f"{path}/{name}/{at}") for at, step in enumerate(_items(data, name, path)))
        for name in _LISTS
    )
    return replace(plan, steps=steps, held_back=held_back, left_out=left_out)


def _decode_step(data: Data, path: str) -> Step:
    step: Step = shape(Step).decode(_rename(data, path, _DERIVED), path)
    checked(step.change, f"{path}/change")
    return replace(step, risks=tuple(_RENAMED.get(risk, risk) for risk in step.risks))


def _rename(data: Data, path: str, without: frozenset[str] | set[str]) -> dict[str, Data]:
    """Return the members of an object under their names of now, but for some."""
    if not isinstance(data, dict):
        raise CodecError(path, "should be an object")
    return {_RENAMED.get(name, name): value for name, value in data.items() if name not in without}


def _items(data: Mapping[str, Data], name: str, path: str) -> list[Data]:
    items = data.get(name, [])
    if not isinstance(items, list):
        raise CodecError(f"{path}/{name}", "should be a list")
    return items
