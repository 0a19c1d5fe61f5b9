"""The name of the platform in files, and the settings of an instance beyond the common keys."""

from __future__ import annotations

from msgspec import Struct

NAME = "toy"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of `instances.<name>` that is this platform's own: nothing yet."""
