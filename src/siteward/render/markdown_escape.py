"""Markdown in which foreign text is inert: no mention, reference, link, emphasis, HTML or table border comes alive.

Names stand in code, which no forge looks into for mentions or references; one that has more than letters, digits and
tame punctuation is written in character references. Sentences are taken apart into words for the same reason.
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
    """Return a sentence; each word in it that could mean something to a forge becomes code."""
    return " ".join(_plain(part) for part in show(text).split(" "))


def _plain(word: str) -> str:
    if not word or (_WORD.fullmatch(word) and not _LIVELY.search(word)):
        return word
    return _code(word)


def names(texts: Iterable[str]) -> str:
    """Return many names as briefly as may be: in one piece of code, if none of them has a space or needs references."""
    every = list(texts)
    if all(_TAME.fullmatch(name) and " " not in name and "," not in name for name in every):
        return f"`{' '.join(every)}`"
    return ", ".join(map(code, every))


def comment(parts: Iterable[str]) -> str:
    """Return a hidden mark of harmless words, by which a later run finds its own comment."""
    return f"<!-- {' '.join(re.sub(r'[^A-Za-z0-9._:]+', '-', part) for part in parts if part)} -->"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of finished cells."""
    lines = (f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))
    return "\n".join(lines)


def details(title: str, body: str) -> str:
    """Return `body` folded away under `title`."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


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
    for rank in sorted({block.rank for block in blocks}):
        same = [at for at, block in enumerate(blocks) if block.rank == rank]
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
