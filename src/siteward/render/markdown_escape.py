"""Builds Markdown in which foreign text is inert: no mention, reference, link, emphasis, HTML or table border.

Names are written as code, in which forges look for no mentions or references; names with more than letters, digits and
harmless punctuation are written in character references. Words of sentences that a forge could interpret become code.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from siteward.render.safe import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_KNOWN = 4096
"""The texts of which the escaped form is kept: the lines of a table name few people, places and reasons many times."""
_TAME = re.compile(r"[A-Za-z0-9](?:[\w .,:@/()+=%→-]*[\w)%+-])?", re.ASCII)
_MAIL = re.compile(r"[^\s`<>|@]+@[^\s`<>|@]+")
"""An address: as references it would still become a link to write to it."""
_QUOTED = re.compile(r"`([^`]+)`")
_WORD = re.compile(r"(?![:/])[\w.,;:'\"()%=?→…/·-]*")
_CLOCK = re.compile(r"\d\d:\d\d[+-]\d\d:\d\d[;,.]?", re.ASCII)
_LIVELY = re.compile(r"_|://|www\.|\bGH-\d|\b[0-9a-f]{7,40}\b|:\w+:", re.IGNORECASE)


def code(text: str) -> str:
    """Return a name, a role or a command as code."""
    return _code(show(text))


@lru_cache(maxsize=_KNOWN)
def _code(shown: str) -> str:
    if not shown:
        return ""
    if _TAME.fullmatch(shown) or _MAIL.fullmatch(shown):
        return f"`{shown}`"
    return f"<code>{''.join(_reference(char) for char in shown)}</code>"


def _reference(char: str) -> str:
    return char if char.isalnum() or char == " " else f"&#{ord(char)};"


def prose(text: str) -> str:
    """Return a sentence in which what stands in backquotes, and each word that a forge could interpret, becomes code."""
    pieces = _QUOTED.split(show(text))  # what is quoted stands at the odd places
    return "".join(_code(piece) if number % 2 else _escape_words(piece) for number, piece in enumerate(pieces))


def _escape_words(text: str) -> str:
    return " ".join(_escape_word(word) for word in text.split(" "))


@lru_cache(maxsize=_KNOWN)
def _escape_word(word: str) -> str:
    if not word or _CLOCK.fullmatch(word) or (_WORD.fullmatch(word) and not _LIVELY.search(word)):
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
