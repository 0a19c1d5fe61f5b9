"""A merge of three texts by lines, as a revert of a commit needs it; without git, which a repository may configure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Hunk: TypeAlias = "tuple[int, int, tuple[str, ...]]"
"""A change of a text: the first line it replaces, counted from 0, the line after the last, and the new lines."""


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Return `ours` with the changes that lead from `base` to `theirs`; `None` where both changed the same lines.

    Changes that touch each other are taken for changes of the same lines, as git does, unless they are equal.
    """
    lines = base.splitlines(keepends=True)
    own, other = (list(_find_hunks(lines, text.splitlines(keepends=True))) for text in (ours, theirs))
    if any(_meet(mine, yours) for mine in own for yours in other):
        return None
    merged: list[str] = []
    at = 0
    for begin, end, new in sorted({*own, *other}):
        merged += [*lines[at:begin], *new]
        at = end
    return "".join([*merged, *lines[at:]])


def _meet(mine: Hunk, yours: Hunk) -> bool:
    return mine != yours and max(mine[0], yours[0]) <= min(mine[1], yours[1])


def _find_hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[Hunk]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, begin, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            yield begin, end, tuple(after[first:last])
