"""The registry of platforms, which is this folder.

A package in this folder is a platform when it has the modules `settings`, `roles` and `platform`, and its settings give
`NAME`, the name that files use (`piwik-pro` lives in `piwikpro`). A folder that begins with `_` is none: `_template` is
the one to copy. The settings of an instance (`settings.Settings`) and the widest traits (`roles.WIDEST`) have modules
of their own, because checking a file needs nothing else of a platform.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from msgspec import Struct

    from siteward.access.traits import Traits
    from siteward.platforms.interface import FakeFactory, Platform

PARTS = ("__init__", "settings", "roles", "platform")
# Read as text, because importing all settings would cost every start.
_NAME = re.compile(r'^NAME = "([a-z0-9]+(?:-[a-z0-9]+)*)"$', re.MULTILINE)


def names() -> tuple[str, ...]:
    """Return the names of all platforms, as files write them, without importing any of them."""
    return tuple(sorted(_find_platforms()[0]))


def unfinished() -> Mapping[str, str]:
    """Return the folders that are no platform yet, each with what it lacks, in words."""
    return _find_platforms()[1]


def folder_of(name: str) -> str:
    """Return the folder of the platform of that name; raises `KeyError` for an unknown name."""
    return _find_platforms()[0][name]


def load(name: str) -> Platform:
    """Return the platform of that name; raises `KeyError` for an unknown name."""
    platform: Platform = _import_part(name, "platform").PLATFORM
    return platform


def settings_of(name: str) -> type[Struct]:
    """Return the settings struct of that platform's instances, without importing the rest of the platform."""
    model: type[Struct] = _import_part(name, "settings").Settings
    return model


def widest_of(name: str) -> Traits:
    """Return the traits of all releases of that platform together, without importing the rest of it."""
    widest: Traits = _import_part(name, "roles").WIDEST
    return widest


def fake(name: str) -> FakeFactory:
    """Return the factory of a platform's stand-in servers; needs the `sandbox` extra."""
    factory: FakeFactory = _import_part(name, "fake").FAKE
    return factory


def _import_part(name: str, part: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{folder_of(name)}.{part}")


@cache
def _find_platforms() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the folder of each platform by its name, and what each other folder lacks, by folder."""
    named: dict[str, str] = {}
    lacking: dict[str, str] = {}
    for folder in _list_folders():
        name, lacks = _read_name(folder)
        if name in named:
            lacks = f"its settings.py gives the name `{name}`, as that of {named[name]} does"
        if lacks:
            lacking[folder.name] = lacks
        else:
            named[name] = folder.name
    return named, lacking


def _list_folders() -> Iterator[Path]:
    for base in __path__:
        for path in sorted(Path(base).iterdir()):
            if path.name.isidentifier() and not path.name.startswith("_") and any(path.glob("*.py")):
                yield path


def _read_name(folder: Path) -> tuple[str, str]:
    """Return the name that a folder's settings give, and what the folder lacks; one of them is empty."""
    missing = [f"{part}.py" for part in PARTS if not (folder / f"{part}.py").is_file()]
    if missing:
        return "", f"it has no {' and no '.join(missing)}"
    found = _NAME.search((folder / "settings.py").read_text(encoding="utf-8"))
    return (found[1], "") if found else ("", 'its settings.py has no line `NAME = "…"` with a name in small letters')
