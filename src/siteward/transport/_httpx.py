"""The import of httpx without its command line.

Importing httpx also imports click, rich and pygments where they are installed, for a command that is not used here;
that is half of its start-up time. httpx leaves its command out where its module `_main` has no `main`.
"""

from __future__ import annotations

import sys
from types import ModuleType

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = ModuleType("httpx._main")

import httpx

__all__ = ["httpx"]
