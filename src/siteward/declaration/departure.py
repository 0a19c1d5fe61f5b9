"""The edit of the files by which somebody leaves: the state of their row, and every line that still names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siteward.declaration.references import names_of
from siteward.declaration.rewrite import GrantsFile, remove_member
from siteward.declaration.splice import directory_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.declaration.declared import Declaration, Group
    from siteward.declaration.references import Names
    from siteward.declaration.source import Source


def depart(declaration: Declaration, handle: str, row: Mapping[str, str]) -> Mapping[str, str]:
    """Return the new texts, by file, in which a user has the values of `row` and stands in no grant and no group.

    The file of a directory stays, which `people refresh` writes: there the directory suspends. A group that takes people in by itself (`from`) may still take them in; it gives nothing to whom the row suspends.
    """
    files = _Files()
    user, names = declaration.users[handle], names_of(declaration)
    if directory_of(user.location.source) is None:
        entry = _find(files.open(user.location.source).data, user.location.path)
        for key, value in row.items():
            entry[key] = value
    for group in declaration.groups.values():
        if _lists(group, handle) and directory_of(group.location.source) is None:
            groups = files.open(group.location.source).data["groups"]
            remove_member(groups, str(group.location.path[1]), handle, names)
    for grant in declaration.grants or ():
        if handle in grant.to:
            _take_out_of_grant(files.open(grant.location.source), int(grant.location.path[1]), handle, names)
    return files.texts()


class _Files:
    """The files that are edited, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, GrantsFile] = {}

    def open(self, source: Source) -> GrantsFile:
        """Return a file, once for all its edits."""
        return self._by_name.setdefault(source.file, GrantsFile(source))

    def texts(self) -> Mapping[str, str]:
        """Return the texts of the files that change."""
        return {name: text for name, file in self._by_name.items() if (text := file.text()) != file.before}


def _find(data: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def _lists(group: Group, handle: str) -> bool:
    """Return whether a group names somebody as a member, and does not only take them in."""
    return any(member.name == handle and not member.excludes and member.by is None for member in group.members)


def _take_out_of_grant(file: GrantsFile, number: int, handle: str, names: Names) -> None:
    entry = file.entries[number]
    written = entry["to"] if isinstance(entry["to"], list) else [entry["to"]]
    kept = [name for name in written if names.find(str(name)) != handle]
    if kept:
        entry["to"] = kept
    else:
        file.gone.add(number)
