"""The edit that puts a second instance into the files of a declaration, with everything on it that can be declared.

Grants without `on` that would reach the new instance are kept to those that they reached, so that nobody gains or loses
anything. The caller has to prove that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from siteward.declaration.edited import Edit, EditedFiles
from siteward.declaration.generate import block_of
from siteward.declaration.groups import expand
from siteward.declaration.inventory import rows_of
from siteward.declaration.meeting import Meeting
from siteward.declaration.roles import PORTABLE
from siteward.declaration.selector import parse
from siteward.declaration.selectors import Scopes
from siteward.declaration.splice import directory_of
from siteward.declaration.subjects import login_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, Grant, Location
    from siteward.declaration.inventory import Rows


class Merged(Struct, frozen=True, kw_only=True):
    """A merge: the edit, whom and what was found or is new, what only people can tell, and what is in no row."""

    edit: Edit
    rows: Rows
    met: Mapping[str, str]
    flagged: tuple[str, ...]


def merge(
    declaration: Declaration,
    instance: str,
    block: Mapping[str, object],
    live: Live,
    traits: Traits,
    same: frozenset[str] = frozenset(),
    *,
    widest: Mapping[str, Traits],
) -> Merged:
    """Return the edit that declares `instance`, which no file names yet, and what is live on it.

    `block` are the keys of the instance, in order; `same` are users who are known to have an equal login there (`*`: all);
    `widest` is the most that any server of the platform can do, by declared instance.
    """
    own = block.get("self")
    meeting = Meeting(
        declaration=declaration,
        instance=instance,
        traits=traits,
        live=live,
        same=same,
        me=own if isinstance(own, str) else None,
    )
    rows = rows_of(instance, own, live, traits, meeting)
    files = EditedFiles(declaration)
    _put_new(files, instance, block_of(block, traits, native=rows.native), rows)
    for handle, login in meeting.logins().items():
        _put(files, declaration.users[handle].location, "logins", instance, login)
    _put_addresses(files, meeting, widest)
    for handle, pin in meeting.pins.items():
        _put(files, declaration.sites[handle].location, "on", instance, pin)
    for handle, opened in meeting.opened.items():
        _open(files.row(declaration.sites[handle].location), declaration, instance, opened=opened)
    for grant in declaration.grants or ():
        native = rows.native and any(name in declaration.groups for name in grant.to)  # it would be made a group there
        if grant.on is None and (native or _may_reach(grant, declaration, live)):
            files.row(grant.location)["on"] = _one_or_all(_instances_with_logins(grant, declaration, widest))
    return Merged(
        edit=files.edit(),
        rows=rows,
        met=meeting.met,
        flagged=tuple(meeting.flagged),
    )


def _put_new(files: EditedFiles, instance: str, block: Mapping[str, object], rows: Rows) -> None:
    """Put the instance and its new rows at the end of the root file's sections."""
    sections: tuple[tuple[str, Mapping[str, object]], ...] = (
        ("instances", {instance: block}),
        ("sites", rows.sites),
        ("users", rows.users),
        ("groups", rows.groups),
    )
    data = files.root().data
    for name, new in sections:
        if not new:
            continue
        if not isinstance(data.get(name), dict):
            data[name] = {}
        for key, value in new.items():
            data[name][key] = value
    if rows.grants:
        if not isinstance(data.get("grants"), list):
            data["grants"] = []
        data["grants"].extend(row for row in rows.grants)


def _put(files: EditedFiles, location: Location, table: str, key: str, value: str) -> None:
    """Put a key into a table of a row, which is made where it is not there."""
    row = files.row(location)
    if not isinstance(row.get(table), dict):
        row[table] = {}
    row[table][key] = value


def _put_addresses(files: EditedFiles, meeting: Meeting, widest: Mapping[str, Traits]) -> None:
    """Write the e-mails of users who had none, where no other instance of the file would take them for its own."""
    others = sorted(name for name, traits in widest.items() if traits.keeps_email or traits.login == "email")
    for handle, email in meeting.addresses.items():
        location = meeting.declaration.users[handle].location
        if others:
            where = ", ".join(others)
            meeting.flagged.append(
                f"{handle} has the e-mail {email} on {meeting.instance}: it would count on {where} too"
            )
        elif directory_of(location.source) is None:
            files.row(location)["email"] = email


def _open(row: Any, declaration: Declaration, instance: str, *, opened: bool) -> None:
    """Say of a site whether everybody may look at it on an instance; what one word said of all is said of each."""
    if not isinstance(row.get("public"), dict):
        word = row.get("public")
        row["public"] = {} if word is None else dict.fromkeys(declaration.instances, word)
    row["public"][instance] = opened


def _may_reach(grant: Grant, declaration: Declaration, live: Live) -> bool:
    """Return whether a grant without `on` could mean something on a new instance, now or one day.

    A portable role on a plain name that is no live site there does not; patterns, tags and groups of sites always may.
    """
    if grant.role not in PORTABLE or grant.extras is not None:
        return True
    scopes = Scopes(declaration.sites, "", live, "site")
    words = [parse(word) for word in (*grant.sites, *grant.metasites) if not parse(word).excludes]
    plain = all(word.kind == "name" for word in words) and not grant.metasites
    return not plain or bool(scopes.choose(tuple(word.written for word in words), None).scopes)


def _instances_with_logins(grant: Grant, declaration: Declaration, widest: Mapping[str, Traits]) -> list[str]:
    """Return the declared instances on which everybody whom a grant names has a login, or all where there is no such one.

    A grant without `on` gives nothing where somebody has none: it would be an error there. Named, it is one in any case.
    """
    groups = expand(declaration.groups)
    handles = {handle for name in grant.to for handle in groups.get(name, (name,))}
    users = [declaration.users[handle] for handle in handles if handle in declaration.users]
    with_logins = [
        name for name in declaration.instances if all(login_of(user, name, widest[name]) is not None for user in users)
    ]
    return with_logins or list(declaration.instances)


def _one_or_all(names: list[str]) -> str | list[str]:
    return names[0] if len(names) == 1 else names
