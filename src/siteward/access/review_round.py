"""The standing of rounds of an access review: how far each reviewer is, and whether the round is overdue."""

from __future__ import annotations

from msgspec import Struct


class SheetStanding(Struct, frozen=True, kw_only=True):
    """How far the sheet of one reviewer is: its items, those decided on it, and those whose decision was taken.

    `missing` counts rows that were taken out of the sheet: nobody can decide on them. `problem` says why it is not read.
    """

    reviewer: str
    file: str
    items: int
    decided: int = 0
    taken: int = 0
    missing: int = 0
    problem: str = ""

    @property
    def open(self) -> int:
        """The number of items that nothing was taken on yet."""
        return self.items - self.taken

    @property
    def waits(self) -> bool:
        """True where the reviewer has still to decide."""
        return self.decided < self.items and self.open > 0


class RoundStanding(Struct, frozen=True, kw_only=True):
    """How far a round is; `overdue` where it is past its day and something is still open."""

    name: str
    due: str
    overdue: bool
    folder: str
    sheets: tuple[SheetStanding, ...]

    @property
    def open(self) -> int:
        """The number of items that nothing was taken on yet."""
        return sum(sheet.open for sheet in self.sheets)
