"""Credentials: where they are found, what they are bound to, and how they stay unseen."""

from __future__ import annotations


class Secret:
    """A value that no `str`, `repr`, format, pickle or log shows; `reveal()` is the one way to it."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the value, to be handed to the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(•••)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


class Secrets:
    """The credentials of one instance, by field name, lower-cased (`username`, `token`, …)."""
