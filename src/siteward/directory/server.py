"""The listing of an LDAP server: asked twice, groups by their own members, and each who is missing asked for by id."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from siteward.directory.entries import MEMBERS, STATES, Attributes, Entry, dn_key, read_id, to_listing
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Span
    from siteward.declaration.declared import Ldap
    from siteward.directory.listing import Listing
    from siteward.transport.ldap import LdapEntry, LdapReader

_GROUPS = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group))"
_RANGE = re.compile(r"(?P<name>[a-z]+);range=(?P<first>\d+)-(?P<last>\d+|\*)")
"""How Active Directory names a part of a long list of members; the plain attribute is empty beside it."""

_AT_ONCE = 100
"""The ids that one question asks for."""


def read_server(reader: LdapReader, ldap: Ldap, at: Span) -> Listing:
    """Return whom a server lists below the base; `at` is the place of the directory in the file.

    Two passes must agree on the ids, one of which may be repeated once. Raises `IncompleteError` where they do not, what
    `LdapReader` raises, and `ListingError` for entries without an id or with unreadable values.
    """
    attributes = _attributes_of(ldap)
    wanted = (*attributes.ids, *attributes.handles, *attributes.emails, *attributes.names, *STATES)
    people = _list_entries(reader, ldap.base, ldap.filter, wanted, at)
    groups = [
        _with_all_members(reader, entry)
        for entry in _list_entries(reader, ldap.base, _GROUPS, ("cn", "objectClass", *MEMBERS, "memberUid"), at)
    ]
    for _ in range(2):
        again = _list_entries(reader, ldap.base, ldap.filter, attributes.ids, at)
        if _ids_of(again, attributes) == _ids_of(people, attributes):
            return to_listing(people, groups, attributes)
        people = _list_entries(reader, ldap.base, ldap.filter, wanted, at)
    raise IncompleteError(f"the people of {ldap.base} changed while they were listed", hint="try again")


def explain_absences(reader: LdapReader, ldap: Ldap, missing: Sequence[str], at: Span) -> Mapping[str, str]:
    """Return for each id that a listing lacks why: it is asked for over the whole directory, without the filter."""
    attributes = _attributes_of(ldap)
    suffix, found = reader.suffix_of(ldap.base), dict[str, str]()
    for start in range(0, len(missing), _AT_ONCE):
        asked = "".join(
            f"({attributes.ids[0]}={_escape(id_, attributes.ids[0])})" for id_ in missing[start : start + _AT_ONCE]
        )
        for entry in _list_entries(reader, suffix, f"(|{asked})", attributes.ids, at):
            inside = f",{dn_key(entry.dn)}".endswith(f",{dn_key(ldap.base)}")
            found[read_id(entry, attributes.ids)] = "left out by the filter" if inside else f"moved out of {ldap.base}"
    return {id_: found.get(id_, "gone from the directory") for id_ in missing}


def _attributes_of(ldap: Ldap) -> Attributes:
    """Return the attributes that hold what a person needs, as the file maps them."""
    names = {key: (name.casefold(),) for key, name in ldap.map.items()}
    return Attributes(ids=names["id"], handles=names["handle"], emails=names["email"], names=names["name"])


def _list_entries(reader: LdapReader, base: str, filter_: str, wanted: Sequence[str], at: Span) -> list[Entry]:
    """Return all entries below a base that match."""
    return [_to_entry(entry, at) for entry in reader.list_all(base, filter_, wanted)]


def _to_entry(entry: LdapEntry, at: Span) -> Entry:
    return Entry(dn=entry.dn, values=entry.values, at=at)


def _ids_of(entries: Iterable[Entry], attributes: Attributes) -> set[str]:
    """Return the ids of entries."""
    return {read_id(entry, attributes.ids) for entry in entries}


def _with_all_members(reader: LdapReader, entry: Entry) -> Entry:
    """Return a group with the rest of its members, where the server hands them out in parts.

    Raises `IncompleteError` for a group that has both forms with values, or a part that does not come.
    """
    parts = list(_ranges_in(entry.values))
    if not parts:
        return entry
    values = dict(entry.values)
    for name, key, last in parts:
        if values.get(name):
            raise IncompleteError(f"the members of {entry.dn} come whole and in parts")
        values[name] = [*values.pop(key), *_read_rest(reader, entry.dn, name, last)]
    return Entry(dn=entry.dn, values=values, at=entry.at)


def _read_rest(reader: LdapReader, dn: str, name: str, last: str) -> Iterator[bytes]:
    """Yield the values of an attribute behind the number `last`, part by part."""
    end = last
    while end != "*":
        more = reader.read_one(dn, (f"{name};range={int(end) + 1}-*",))
        step = next(_ranges_in(more.values), None) if more is not None else None
        if more is None or step is None:
            raise IncompleteError(f"the members of {dn} end after {int(end) + 1:,}")
        yield from more.values[step[1]]
        end = step[2]


def _ranges_in(values: Mapping[str, Sequence[bytes]]) -> Iterator[tuple[str, str, str]]:
    """Yield the attribute, the whole name and the last number of each part in the values of an entry."""
    for key in values:
        found = _RANGE.fullmatch(key)
        if found is not None:
            yield found["name"], key, found["last"]


def _escape(id_: str, attribute: str) -> str:
    """Return an id as it stands in a filter; Active Directory wants each byte of its own written out."""
    if attribute == "objectguid":
        return "".join(f"\\{byte:02x}" for byte in uuid.UUID(id_).bytes_le)
    return "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:02x}" for byte in id_.encode()
    )
