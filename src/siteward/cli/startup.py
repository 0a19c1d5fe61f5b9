"""Start and end of a short-lived process: switches off costly parts of Python and pydantic that it has no use for."""

from __future__ import annotations

import atexit
import gc
import sys
from types import ModuleType

_KEPT: list[object] = []
"""What `keep` was given. Once it holds itself, nothing of it is taken apart when Python ends, since no collector looks."""


def trim_startup() -> None:
    """Turn off garbage collection and pydantic's search for plugins; call this before anything large is imported.

    Collecting garbage costs a fifth of a plan and frees nothing that it needs. At the end of a process Python collects
    once more, all that is left, although the memory goes with the process: a sixth of `--help`. What is frozen by then
    is passed over; files that are open are closed all the same. pydantic reads the worlds of a sandbox,
    and compiles the grammar anew for another `pydantic_core`. It searches every installed distribution for plugins,
    which takes as long as starting Python, and a plugin would run where credentials are. So its loader is replaced by
    one that has none.
    """
    gc.disable()
    atexit.register(gc.freeze)
    _KEPT.append(_KEPT)
    loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)


def keep(*data: object) -> None:
    """Hold what a verb has read and made until the process ends, and its memory with it, all at once.

    To take it apart object by object as the verb returns costs 0.2 s of a million rights. It must be data: nothing that is
    closed or written out when it is given up. In a process that goes on, as of a test, nothing is held.
    """
    if _KEPT:
        _KEPT.extend(data)
