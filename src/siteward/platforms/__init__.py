"""The platforms: the folder is the registry.

A package in this folder is a platform when its `platform` module holds `PLATFORM`; its name in files is the
one that `PLATFORM` gives (`piwik-pro` lives in `piwikpro`).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siteward.platforms.interface import FakeFactory, Platform


@cache
def names() -> tuple[str, ...]:
    """Return the names of all platforms, as files write them, without importing any of them."""
    return tuple(sorted(_written(each.name) for each in pkgutil.iter_modules(__path__) if each.ispkg))


@cache
def load(name: str) -> Platform:
    """Return the platform of that name; raises `KeyError` for one that has no folder."""
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{_folder(name)}.platform")
    platform: Platform = module.PLATFORM
    return platform


def fake(name: str) -> FakeFactory:
    """Return what makes the stand-in servers of a platform; needs the `sandbox` extra."""
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{_folder(name)}.fake")
    factory: FakeFactory = module.FAKE
    return factory


def _folder(name: str) -> str:
    return name.replace("-", "")


def _written(folder: str) -> str:
    return {"piwikpro": "piwik-pro"}.get(folder, folder)
