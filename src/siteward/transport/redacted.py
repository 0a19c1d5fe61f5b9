"""Structs that keep their content out of tracebacks, logs and terminals."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Redacted(Struct, frozen=True):
    """A struct that holds secrets, or what a server said: only its kind is ever shown."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich asks a struct for this, and not for its repr
        return []
