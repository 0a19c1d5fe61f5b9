"""The base of structs whose content stays out of tracebacks, logs and terminals."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Redacted(Struct, frozen=True):
    """A struct that holds secrets or an answer of a server; its `repr` shows the name of its class only."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich prefers this to the repr
        return []
