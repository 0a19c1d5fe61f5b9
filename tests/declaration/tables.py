"""Platforms as the declaration's tests know them: what an instance may say, and what each can do at its best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.declaration.load import Declaration, Loaded, load
from strategies import ALL_TRAITS

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.traits import Traits

HEAD = """\
version: 1
instances:
  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site}
"""
TRAITS = {traits.platform: traits for traits in ALL_TRAITS}


class Umami(Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings with a key that must be given."""

    layout: Literal["per-site", "existing"]


class Plain(Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings with nothing of their own."""


class Plausible(Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings with a nested table, and with a common key that the platform wants to see too."""

    team: str | None = None
    url: str
    team_members: dict[str, str] = {}


SETTINGS: dict[str, type[Struct]] = {
    "umami": Umami, "matomo": Plain, "piwik-pro": Plain, "plausible": Plausible,
}  # fmt: skip


def widest_of(platform: str) -> Traits | None:
    return TRAITS.get(platform)


def read(path: Path, as_of: datetime | None = None) -> Loaded:
    """Load a file with these platforms, judged at a moment or without one."""
    moment = None if as_of is None else lambda _: as_of
    return load(path, settings_of=SETTINGS.get, widest_of=widest_of, platforms=tuple(TRAITS), as_of=moment)


def read_text(folder: Path, text: str, **others: str) -> Loaded:
    """Load a text as `access.yaml` in a folder; `others` are files beside it, by name without `.yaml`."""
    for name, content in others.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    path = folder / "access.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def declared(folder: Path, text: str, **others: str) -> Declaration:
    """Load a text that must be right."""
    loaded = read_text(folder, text, **others)
    assert loaded.declaration is not None, "\n".join(map(told, loaded.diagnostics))
    return loaded.declaration


def told(found: Diagnostic) -> str:
    """Return a diagnostic as the golden files hold it."""
    where = "-"
    if found.at is not None:
        end = f"-{found.at.end_column}" if found.at.end_line else ""
        where = f"{Path(found.at.file).name}:{found.at.line}:{found.at.column}{end}"
    lines = [f"{where} {found.severity.word} {found.code}: {found.message}"]
    if found.hint:
        lines.append(f"    hint: {found.hint}")
    if found.allowed:
        lines.append(f"    allowed: {', '.join(found.allowed)}")
    if found.suggestion:
        lines.append(f"    suggestion: {found.suggestion}")
    lines += [f"    see {Path(place.file).name}:{place.line}:{place.column}" for place in found.related]
    return "\n".join(lines)
