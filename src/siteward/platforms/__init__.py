"""The platforms: the folder is the registry.

A package in this folder is a platform when its `platform` module holds `PLATFORM`; its name in files is the
one that `PLATFORM` gives (`piwik-pro` lives in `piwikpro`). What a file may say of it and what it can do at its best
stand apart, in `settings.Settings` and `roles.WIDEST`, because that is all that checking a file needs.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from msgspec import Struct

    from siteward.access.traits import Traits
    from siteward.platforms.interface import FakeFactory, Platform


@cache
def names() -> tuple[str, ...]:
    """Return the names of all platforms, as files write them, without importing any of them."""
    return tuple(sorted(_written(each.name) for each in pkgutil.iter_modules(__path__) if each.ispkg))


@cache
def load(name: str) -> Platform:
    """Return the platform of that name; raises `KeyError` for one that has no folder."""
    platform: Platform = _module(name, "platform").PLATFORM
    return platform


def settings_of(name: str) -> type[Struct]:
    """Return what an instance of that platform may say in the file, without importing the rest of the platform."""
    model: type[Struct] = _module(name, "settings").Settings
    return model


def widest_of(name: str) -> Traits:
    """Return what that platform can do at its best, without importing the rest of it."""
    widest: Traits = _module(name, "roles").WIDEST
    return widest


def fake(name: str) -> FakeFactory:
    """Return what makes the stand-in servers of a platform; needs the `sandbox` extra."""
    factory: FakeFactory = _module(name, "fake").FAKE
    return factory


def _module(name: str, part: str) -> ModuleType:
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{_folder(name)}.{part}")


def _folder(name: str) -> str:
    return name.replace("-", "")


def _written(folder: str) -> str:
    return {"piwikpro": "piwik-pro"}.get(folder, folder)
