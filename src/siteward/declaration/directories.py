"""The directories of the root file, and the files that their people are written to."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import to_builtins
from msgspec.structs import replace

from siteward.access.diagnostic import problem
from siteward.access.hosts import LDAP, AddressError, address_of
from siteward.access.policy import Limit
from siteward.declaration.build import listed
from siteward.declaration.declared import Directory, Ldap, Location
from siteward.declaration.document import GroupRow, Included, UserRow
from siteward.declaration.instances import NAME_HINT, can_name, variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.declared import Instance, User
    from siteward.declaration.document import DirectoryFile, DirectoryRow, IncludeRow
    from siteward.declaration.source import Source

SUFFIXES = (".csv", ".json", ".ldif")
"""The endings of the files that a directory may be exported to."""


def build_directories(
    rows: Mapping[str, DirectoryRow], source: Source, diagnostics: list[Diagnostic], written: Mapping[str, str]
) -> dict[str, Directory]:
    """Return the directories of the root file by name; what is wrong with them is added to `diagnostics`.

    `written` are the paths of the files that their people are written to.
    """
    built: dict[str, Directory] = {}
    for name, row in rows.items():
        location = Location(source, ("directories", name))
        diagnostics += _check(name, row, location)
        shrink, expects, ldap = row.shrink, row.expects, row.ldap
        built[name] = Directory(
            name=name,
            file=row.file,
            written=written.get(name),
            ldap=Ldap(url=ldap.url, base=ldap.base, filter=ldap.filter, map=to_builtins(ldap.map)) if ldap else None,
            shrink=Limit(count=shrink.count, percent=shrink.percent, at=location.at("shrink")) if shrink else None,
            at_least=expects.at_least if expects else None,
            witnesses=listed(expects.people) if expects else (),
            at=location.key(),
            location=location,
        )
    return built


def _check(name: str, row: DirectoryRow, location: Location) -> Iterator[Diagnostic]:
    """Yield what is wrong with a directory: its name, a source too many or too few, a path or address of no use."""
    if not can_name(name):
        yield problem("instance-name", f"`{name}` cannot name a directory", location.key(), hint=NAME_HINT)
    if (row.file is None) == (row.ldap is None):
        message = f"`{name}` is read from a `file` or by `ldap`, and from one of them"
        yield problem("wrong-value", message, location.key(), hint="give exactly one of the two")
    if row.file is not None and not _is_export(row.file):
        message = f"`{row.file}` is no file that a directory can be read from"
        hint = f"name one of {', '.join(SUFFIXES)}, by its path relative to this file, with /"
        yield problem("wrong-value", message, location.at("file"), hint=hint)
    if row.ldap is not None:
        yield from _check_address(name, row.ldap.url, location)


def _check_address(name: str, url: str, location: Location) -> Iterator[Diagnostic]:
    """Yield what is wrong with the address of a server: no form of one, credentials in it."""
    at = location.at("ldap", "url")
    try:
        address_of(url, LDAP)
    except AddressError as wrong:
        given = (
            f"give them as {variable(name)}_BIND_DN and {variable(name)}_BIND_PASSWORD; a file is no place for secrets"
        )
        yield problem(wrong.code, str(wrong), at, hint=given if wrong.code == "secret-in-file" else wrong.hint)


def _is_export(written: str) -> bool:
    """Return whether a path names a file of a known kind that stays under the root file's folder."""
    path = PurePosixPath(written)
    return path.suffix in SUFFIXES and not path.is_absolute() and ".." not in path.parts and "\\" not in written


def check_include(row: IncludeRow, known: Mapping[str, Directory], location: Location) -> Iterator[Diagnostic]:
    """Yield what is wrong with an entry of `include` that names a directory."""
    if row.directory not in known:
        message = f"there is no directory `{row.directory}`"
        at = location.at("directory")
        yield problem("unknown-directory", message, at, word=row.directory, allowed=tuple(known))
    for key, value in (("sites", row.sites), ("at_most", row.at_most)):
        if value is not None:
            message = f"`{key}` bounds what a file may grant, and a directory's file grants nothing"
            yield problem("wrong-value", message, location.at(key), hint=f"take `{key}` out")


def check_file(file: DirectoryFile, directory: str, source: Source) -> Iterator[Diagnostic]:
    """Yield an error about a file that is not the written one of that directory."""
    if file.directory != directory or next(iter(source.data)) != "directory":
        message = f"the file of the directory `{directory}` begins with `directory: {directory}`"
        hint = "nobody edits it: have it written anew"
        yield problem("wrong-value", message, source.at(("directory",)), hint=hint)


def to_included(file: DirectoryFile) -> Included:
    """Return the people and groups of a directory as those of a file that is included."""
    return Included(
        users={
            handle: UserRow(id=row.id, email=row.email, name=row.name, state=row.state, until=row.until)
            for handle, row in file.users.items()
        },
        groups={name: GroupRow(members=[*row.members]) for name, row in file.groups.items()},
    )


def with_listed_logins(
    users: Mapping[str, User], logins: Mapping[str, str], instances: Mapping[str, Instance]
) -> dict[str, User]:
    """Return the users, each with the login that its directory gives, by the instances whose accounts a directory makes.

    `logins` are those by handle. Accounts that Siteward makes are called by the handle.
    """
    found = dict(users)
    for handle, login in logins.items():
        if handle in found:
            managed = [name for name, here in instances.items() if found[handle].manager(here) == "directory"]
            found[handle] = replace(found[handle], listed_logins=dict.fromkeys(managed, login))
    return found


def group_name(directory: str, group: str) -> str:
    """Return the name that a directory's group has in the file its people are written to."""
    return f"{directory}-{slug(group)}"


def slug(text: str) -> str:
    """Return a text as a name of a file: small letters, digits, dots and dashes, without accents; it may be empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")
