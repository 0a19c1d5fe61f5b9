"""The edit of the files by which somebody leaves: the state of their row, and every line that still names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.declaration.edited import Edit, EditedFiles, GrantsFile
from siteward.declaration.references import names_of
from siteward.declaration.rewrite import remove_member
from siteward.declaration.splice import directory_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.declaration.declared import Declaration, Group
    from siteward.declaration.references import Names


def depart(declaration: Declaration, handle: str, row: Mapping[str, str]) -> Edit:
    """Return the edit after which a user has the values of `row` and stands in no grant and no group.

    The file of a directory stays, which `people refresh` writes: there the directory suspends. A group that takes people
    in by itself (`from`) may still take them in; it gives nothing to whom the row suspends.
    """
    files = EditedFiles(declaration)
    user, names = declaration.users[handle], names_of(declaration)
    if directory_of(user.source) is None:
        files.row(user.location).update(row)
    for group in declaration.groups.values():
        if _lists(group, handle) and directory_of(group.source) is None:
            groups = files.open(group.source).data["groups"]
            remove_member(groups, str(group.location.path[1]), handle, names)
    for grant in declaration.grants or ():
        if handle in grant.to:
            _take_out_of_grant(files.open(grant.source), grant.number, handle, names)
    return files.edit()


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
