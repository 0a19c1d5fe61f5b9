"""Fits the parts of a document into a limit of characters: what matters least gives way first, and the number is said."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "\n\n"


class Block(Struct, frozen=True):
    """A part of a document in all its forms, longest first; parts of the lowest `rank` are shortened first."""

    forms: tuple[str, ...]
    rank: int = 9

    @property
    def last(self) -> int:
        """The index of the shortest form."""
        return len(self.forms) - 1

    def form(self, number: int) -> str:
        """Return a form; the longest is number 0."""
        return self.forms[number]

    def size(self, number: int) -> int:
        """Return the number of characters of a form."""
        return len(self.forms[number])

    def lacks(self, _number: int) -> int:
        """Return how many things that are needed a form does not name: none."""
        return 0


class Lines(Struct, frozen=True, kw_only=True):
    """A part of a document that gives way line by line, from its end, and says how much is missing.

    `weights` are the numbers of things that each line names, one without them; `needed` is true where a document that
    misses one of them is not whole.
    """

    head: str
    lines: tuple[str, ...]
    tail: str = ""
    noun: tuple[str, str] = ("line", "lines")
    weights: tuple[int, ...] = ()
    needed: bool = False
    rank: int = 9

    @property
    def last(self) -> int:
        """The index of the shortest form, which has no line."""
        return len(self.lines)

    def form(self, number: int) -> str:
        """Return the part without its last `number` lines."""
        kept = self.lines[: len(self.lines) - number]
        more = f"\n\n{self._missing(number)}" if number else ""
        return "\n".join((self.head, *kept)) + more + self.tail

    def size(self, number: int) -> int:
        """Return the number of characters of a form."""
        kept = self.lines[: len(self.lines) - number]
        more = len(self._missing(number)) + 2 if number else 0
        return len(self.head) + sum(len(line) + 1 for line in kept) + more + len(self.tail)

    def lacks(self, number: int) -> int:
        """Return how many things that are needed a form does not name."""
        return self._count(number) if self.needed else 0

    def _count(self, number: int) -> int:
        return sum(self.weights[len(self.lines) - number :]) if self.weights else number

    def _missing(self, number: int) -> str:
        count, (one, several) = self._count(number), self.noun
        return f"and {count} more {one if count == 1 else several}, in the full report"


class Chain(Struct, frozen=True):
    """A part of a document that takes the forms of several parts, one after the other."""

    parts: tuple[Block | Lines, ...]
    rank: int = 9

    @property
    def last(self) -> int:
        """The index of the shortest form."""
        return sum(part.last + 1 for part in self.parts) - 1

    def form(self, number: int) -> str:
        """Return a form; the longest is number 0."""
        part, own = self._find(number)
        return part.form(own)

    def size(self, number: int) -> int:
        """Return the number of characters of a form."""
        part, own = self._find(number)
        return part.size(own)

    def lacks(self, number: int) -> int:
        """Return how many things that are needed a form does not name."""
        part, own = self._find(number)
        return part.lacks(own)

    def _find(self, number: int) -> tuple[Block | Lines, int]:
        for part in self.parts[:-1]:
            if number <= part.last:
                return part, number
            number -= part.last + 1
        return self.parts[-1], number


Part: TypeAlias = "Block | Lines | Chain"


class Fitted(Struct, frozen=True):
    """A text, and how many things that are needed it does not name."""

    text: str
    lacks: int


def fit(parts: Sequence[Part], limit: int) -> Fitted:
    """Return the parts in order, each as long as the limit allows; empty ones leave no gap.

    `limit` is in characters; the result is longer only if every part is in its shortest form already. Parts of the
    lowest rank give way first, and of these the last.
    """
    chosen = [0] * len(parts)
    for index in sorted(range(len(parts)), key=lambda index: (parts[index].rank, -index)):
        if (over := _size(parts, chosen) - limit) <= 0:
            break
        chosen[index] = _shorten(parts[index], over)
    _lengthen(parts, chosen, limit)
    forms = list(zip(parts, chosen, strict=True))
    text = GAP.join(filter(None, (part.form(form) for part, form in forms)))
    return Fitted(text, sum(part.lacks(form) for part, form in forms))


def _shorten(part: Part, over: int) -> int:
    """Return the first form that is shorter by `over` characters, else the shortest."""
    whole = part.size(0)
    return bisect_left(range(part.last), True, key=lambda form: whole - part.size(form) >= over)


def _lengthen(parts: Sequence[Part], chosen: list[int], limit: int) -> None:
    """Choose longer forms again where shortening a large part left room, highest rank first."""
    for index in sorted(range(len(parts)), key=lambda index: -parts[index].rank):
        room = limit - _size(parts, chosen) + parts[index].size(chosen[index])
        part = parts[index]
        chosen[index] = bisect_left(range(chosen[index]), True, key=lambda form: part.size(form) <= room)


def _size(parts: Sequence[Part], chosen: Sequence[int]) -> int:
    return sum(part.size(form) + len(GAP) for part, form in zip(parts, chosen, strict=True))
