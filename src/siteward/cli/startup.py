"""What a short-lived command does without."""

from __future__ import annotations

import gc
import sys
from types import ModuleType


def trim_startup() -> None:
    """Spare this process what it has no use for; to be called before anything large is imported.

    Collecting garbage costs a fifth of a plan and frees nothing it needs. pydantic, which reads the worlds of a
    sandbox and compiles the grammar anew for another `pydantic_core`, looks into every installed distribution for plugins
    of its own, which takes as long as starting Python, and a plugin would run where credentials are; it finds none where
    its loader has none to give.
    """
    gc.disable()
    loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)
