"""Fitting a text into a limit: each block has several forms, and the least important gets shorter first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "\n\n"


class Block(Struct, frozen=True):
    """A piece of a document in all its forms, longest first; `rank` says how early it may be shortened (0 first)."""

    forms: tuple[str, ...]
    rank: int = 9

    @property
    def last(self) -> int:
        """The index of the shortest form."""
        return len(self.forms) - 1


def fit(blocks: Sequence[Block], limit: int) -> str:
    """Return the blocks in their order, each as long as the limit allows; empty forms leave no gap.

    The result is longer than `limit` only where every block is in its shortest form.
    """
    chosen = [0] * len(blocks)
    for rank in sorted({each.rank for each in blocks}):
        same = [at for at, each in enumerate(blocks) if each.rank == rank]
        for form in range(1, max(blocks[at].last for at in same) + 1):
            if _size(blocks, chosen) <= limit:
                break
            for at in same:
                chosen[at] = min(form, blocks[at].last)
    _lengthen(blocks, chosen, limit)
    return GAP.join(filter(None, (block.forms[form] for block, form in zip(blocks, chosen, strict=True))))


def _lengthen(blocks: Sequence[Block], chosen: list[int], limit: int) -> None:
    """Use up the room that shortening a large block left: the most important first."""
    for at in sorted(range(len(blocks)), key=lambda at: -blocks[at].rank):
        for form in range(chosen[at]):
            if _size(blocks, [*chosen[:at], form, *chosen[at + 1 :]]) <= limit:
                chosen[at] = form
                break


def _size(blocks: Sequence[Block], chosen: Sequence[int]) -> int:
    return sum(len(block.forms[form]) + len(GAP) for block, form in zip(blocks, chosen, strict=True))
