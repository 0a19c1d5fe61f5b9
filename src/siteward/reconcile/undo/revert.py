"""The revert of a commit, as a merge of three texts of each file: without git's own, which a repository may configure."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.reconcile.project import Project

Texts: TypeAlias = "Mapping[str, str]"
"""The new texts of the files that change, by name."""
Hunk: TypeAlias = "tuple[int, int, tuple[str, ...]]"
"""A change of a text: the first line it replaces, counted from 0, the line after the last, and the new lines."""


class NotProvenError(Exception):
    """An edit means something else than what is to be undone, or is not valid; the message says what."""


def revert(project: Project, commit: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file that the revert of a commit changes. Raises `NotProvenError`."""
    try:
        parent = commit_at(project.path.parent, f"{commit_at(project.path.parent, commit)}^1")
        for name in project.loaded.texts:
            path = Path(name)
            then, before = text_at(path, commit), text_at(path, parent)
            if then == before:
                continue
            now = _read(path)
            merged = merge(then, now, before) if then is not None and before is not None else None
            if merged is None:
                raise NotProvenError(f"commit {commit[:12]} does not revert cleanly: {name} was changed there since")
            if merged != now:
                yield name, merged
    except NoSuchRevisionError as problem:
        raise NotProvenError(f"commit {commit[:12]} cannot be reverted: {problem}") from problem


def _read(path: Path) -> str:
    """Return the text of a file with its line ends as they are."""
    return path.read_bytes().decode("utf-8")


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
