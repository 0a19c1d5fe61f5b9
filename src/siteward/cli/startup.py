"""Start-up of a short-lived process: switches off costly parts of Python and pydantic that it has no use for."""

from __future__ import annotations

import gc
import sys
from types import ModuleType


def trim_startup() -> None:
    """Turn off garbage collection and pydantic's search for plugins; call this before anything large is imported.

    Collecting garbage costs a fifth of a plan and frees nothing that it needs. pydantic reads the worlds of a sandbox,
    and compiles the grammar anew for another `pydantic_core`. It searches every installed distribution for plugins,
    which takes as long as starting Python, and a plugin would run where credentials are. So its loader is replaced by
    one that has none.
    """
    gc.disable()
    loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)
