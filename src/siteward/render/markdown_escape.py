"""Builds Markdown in which foreign text is inert: no mention, reference, link, emphasis, HTML or table border.

Names are written as code, in which forges look for no mentions or references; names with more than letters, digits and
harmless punctuation are written in character references. Words of sentences that a forge could interpret become code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.render.safe import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_TAME = re.compile(r"[A-Za-z0-9](?:[\w .,:@/()+=%→-]*[\w)%+-])?", re.ASCII)
_WORD = re.compile(r"(?![:/])[\w.,;:'\"()%=?→…/·-]*")
_LIVELY = re.compile(r"_|://|www\.|\bGH-\d|\b[0-9a-f]{7,40}\b|:\w+:", re.IGNORECASE)


def code(text: str) -> str:
    """Return a name, a role or a command as code."""
    return _code(show(text))


def _code(shown: str) -> str:
    if not shown:
        return ""
    if _TAME.fullmatch(shown):
        return f"`{shown}`"
    return f"<code>{''.join(_reference(char) for char in shown)}</code>"


def _reference(char: str) -> str:
    return char if char.isalnum() or char == " " else f"&#{ord(char)};"


def prose(text: str) -> str:
    """Return a sentence in which each word that a forge could interpret becomes code."""
    return " ".join(_escape_word(word) for word in show(text).split(" "))


def _escape_word(word: str) -> str:
    if not word or (_WORD.fullmatch(word) and not _LIVELY.search(word)):
        return word
    return _code(word)


def names(texts: Iterable[str]) -> str:
    """Return names as briefly as possible: in one piece of code if none has a space, a comma or needs references."""
    every = list(texts)
    if all(_TAME.fullmatch(name) and " " not in name and "," not in name for name in every):
        return f"`{' '.join(every)}`"
    return ", ".join(map(code, every))


def comment(parts: Iterable[str]) -> str:
    """Return a hidden comment of harmless words, by which a later run finds its own comment."""
    return f"<!-- {' '.join(re.sub(r'[^A-Za-z0-9._:]+', '-', part) for part in parts if part)} -->"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the cells are escaped already."""
    lines = (f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))
    return "\n".join(lines)


def details(title: str, body: str) -> str:
    """Return `body` folded away under `title`."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


GAP = "\n\n"


class Block(Struct, frozen=True):
    """A part of a document in all its forms, longest first; parts of the lowest `rank` are shortened first."""

    forms: tuple[str, ...]
    rank: int = 9

    @property
    def last(self) -> int:
        """The index of the shortest form."""
        return len(self.forms) - 1


def fit(blocks: Sequence[Block], limit: int) -> str:
    """Return the blocks in order, each in the longest form that the limit allows; empty forms leave no gap.

    `limit` is in characters; the result is longer only if every block is in its shortest form already.
    """
    chosen = [0] * len(blocks)
    for rank in sorted({block.rank for block in blocks}):
        ranked = [index for index, block in enumerate(blocks) if block.rank == rank]
        for form in range(1, max(blocks[index].last for index in ranked) + 1):
            if _size(blocks, chosen) <= limit:
                break
            for index in ranked:
                chosen[index] = min(form, blocks[index].last)
    _lengthen(blocks, chosen, limit)
    return GAP.join(filter(None, (block.forms[form] for block, form in zip(blocks, chosen, strict=True))))


def _lengthen(blocks: Sequence[Block], chosen: list[int], limit: int) -> None:
    """Choose longer forms again where shortening a large block left room, highest rank first."""
    for index in sorted(range(len(blocks)), key=lambda index: -blocks[index].rank):
        for form in range(chosen[index]):
            if _size(blocks, [*chosen[:index], form, *chosen[index + 1 :]]) <= limit:
                chosen[index] = form
                break


def _size(blocks: Sequence[Block], chosen: Sequence[int]) -> int:
    return sum(len(block.forms[form]) + len(GAP) for block, form in zip(blocks, chosen, strict=True))
