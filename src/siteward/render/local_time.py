"""Writes moments in the time zone of the policy, for people; programs get them in UTC.

Messages are sentences, in which moments stand as `2026-12-01 11:00Z`. A moment within a command has a `T`, and stays.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Span
from siteward.access.model import Account, Grant, Group, Member, Scope
from siteward.render.words import moment

if TYPE_CHECKING:
    from datetime import tzinfo

    from siteward.access.report import Report

_T = TypeVar("_T")
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?Z\b")
_SENTENCES = frozenset({"message", "hint", "note", "why", "why_not", "why_kept"})
"""The members that hold sentences of ours, in which moments stand."""
_TIMELESS = (Account, Grant, Group, Member, Scope, Span)


def in_zone(report: Report) -> Report:
    """Return a report with its moments in the time zone that it names."""
    return localized(report, report.timezone)


def localized(data: _T, timezone: str) -> _T:
    """Return data with every moment in it, and in its sentences, in a time zone; in UTC where no such zone is known.

    Data is any structure of structs and tuples; what is in mappings stays.
    """
    if timezone == "UTC":
        return data
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 — it asks for the build's configuration

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a plan of elsewhere may name one that is not known here
        return data
    moved: _T = _move(data, zone)
    return moved


def _move(value: Any, zone: tzinfo) -> Any:
    """Return a value with its moments in a time zone; the very same where it has none."""
    if isinstance(value, datetime):
        return value.astimezone(zone)
    if isinstance(value, tuple):
        items = [_move(item, zone) for item in value]
        same = all(item is former for item, former in zip(items, value, strict=True))
        return value if same else type(value)._make(items) if hasattr(value, "_make") else tuple(items)
    if not isinstance(value, Struct) or isinstance(value, _TIMELESS):
        return value
    changed = {}
    for name in value.__struct_fields__:
        former = getattr(value, name)
        now = _text(former, zone) if name in _SENTENCES and isinstance(former, str) else _move(former, zone)
        if now is not former:
            changed[name] = now
    return replace(value, **changed) if changed else value


def _text(text: str, zone: tzinfo) -> str:
    """Return a sentence with its moments in a time zone."""

    def write(found: re.Match[str]) -> str:
        at = datetime.fromisoformat(found.group().removesuffix("Z")).replace(tzinfo=UTC)
        return moment(at.astimezone(zone))

    return _MOMENT.sub(write, text) if "Z" in text else text
