"""HTTP to one instance: a `Reader` that can only ask, a `Writer` that can also command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How to reach one instance."""


class Reader:
    """Asks; has no method that writes."""


class Writer(Reader):
    """Commands, once."""


class Doors:
    """The reader and the writer of one instance."""
