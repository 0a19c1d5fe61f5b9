"""Entries of a directory, of an export or of a server, and what people and groups they are.

A member of a group is found by its name, in whatever spelling, and groups inside groups are walked through.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.directory.listing import MAX_TEXT, Listing, ListingError, Person, collect, malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span

IDS = ("entryuuid", "objectguid", "nsuniqueid", "ipauniqueid")
"""The attributes that stay of an entry for good, by server: OpenLDAP, Active Directory, 389 DS, FreeIPA."""

HANDLES = ("uid", "samaccountname")
NAMES = ("displayname", "cn")
STATES = ("useraccountcontrol", "accountexpires", "pwdaccountlockedtime")
"""The attributes that tell whether an account is disabled, and until when it lasts."""

GROUP_CLASSES = frozenset({"groupofnames", "groupofuniquenames", "posixgroup", "group"})
MEMBERS = ("member", "uniquemember")
_LOCKED_FOR_GOOD = "000001010000Z"
"""OpenLDAP's word for an account that an administrator has locked; any other time is a lock that runs out."""

_AD_DISABLED = 0x2
_AD_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
"""What `accountExpires` of Active Directory holds where there is no end: either of the two."""


class Attributes(Struct, frozen=True, kw_only=True):
    """The attributes that hold what a person needs, in small letters; the first one that is there counts."""

    ids: tuple[str, ...] = IDS
    handles: tuple[str, ...] = HANDLES
    emails: tuple[str, ...] = ("mail",)
    names: tuple[str, ...] = NAMES


class Entry(Struct, frozen=True, kw_only=True):
    """An entry: its name, its values by attribute in small letters and without options, and its place in the export."""

    dn: str
    values: Mapping[str, Sequence[bytes]]
    at: Span

    def text(self, *names: str) -> str | None:
        """Return the first value of the first of these attributes that is there; raises `UnicodeDecodeError`."""
        found = next((self.values[name] for name in names if self.values.get(name)), None)
        return found[0].decode("utf-8") if found else None

    @property
    def is_group(self) -> bool:
        """True for an entry of a class that has members."""
        classes = {value.decode("utf-8", "replace").casefold() for value in self.values.get("objectclass", ())}
        return bool(classes & GROUP_CLASSES)


def to_listing(
    persons: Iterable[Entry], groups: Sequence[Entry], attributes: Attributes, told: tuple[str, ...] = ()
) -> Listing:
    """Return the listing of the entries of people and groups; raises `ListingError` with all that is wrong with them."""
    faults: list[Diagnostic] = []
    people, by_name, by_login = list[Person](), dict[str, str](), dict[str, str]()
    for entry in persons:
        try:
            person = _read_person(entry, attributes)
        except ListingError as wrong:
            faults += wrong.diagnostics
            continue
        people.append(person)
        by_name[dn_key(entry.dn)] = person.id
        if person.handle is not None:
            by_login[person.handle] = person.id
    members = _Members(groups, by_name, by_login)
    found = {name: members.of(entry) for entry in groups if (name := entry.text("cn"))}
    return Listing(
        people=collect(people, faults),
        groups=MappingProxyType({name: tuple(ids) for name, (ids, _) in found.items()}),
        strays=MappingProxyType({name: tuple(strays) for name, (_, strays) in found.items() if strays}),
        told=told,
    )


def _read_person(entry: Entry, attributes: Attributes) -> Person:
    """Return the person of an entry; raises `ListingError` for one without an id, or with an unreadable value."""
    at = entry.at
    read = (*attributes.emails, *attributes.handles, *attributes.names)
    try:
        if any(len(value) > MAX_TEXT for name in read for value in entry.values.get(name, ())):
            raise ListingError(malformed(f"a value of more than {MAX_TEXT:,} bytes", at))
        return Person(
            id=read_id(entry, attributes.ids),
            handle=entry.text(*attributes.handles),
            login=entry.text(*attributes.handles),
            email=_choose_address([value.decode("utf-8") for value in _find(entry, attributes.emails)]),
            name=entry.text(*attributes.names),
            active=not _is_disabled(entry),
            until=_read_end(entry),
            at=at,
        )
    except (UnicodeDecodeError, ValueError) as wrong:
        raise ListingError(malformed("a value that is no UTF-8 text or number", at)) from wrong


def read_id(entry: Entry, names: Iterable[str]) -> str:
    """Return what stays of an entry; Active Directory's is a number whose first fields are little-endian.

    Raises `ListingError` for an entry without.
    """
    for name in names:
        for value in entry.values.get(name, ()):
            if name == "objectguid" and len(value) == 16:
                return str(uuid.UUID(bytes_le=value))
            return value.decode("utf-8").lower()
    hint = "ask for it by name (`entryUUID`), or for all operational attributes (`+`)"
    raise ListingError(malformed("the entry has no id that stays", entry.at, hint=hint))


def _find(entry: Entry, names: Iterable[str]) -> Sequence[bytes]:
    """Return the values of the first of these attributes that is there."""
    return next((entry.values[name] for name in names if entry.values.get(name)), ())


def _choose_address(addresses: Sequence[str]) -> str | None:
    """Return the address that counts: the shortest, then the first by letters; the order of values is not promised."""
    return min(addresses, key=lambda address: (len(address), address), default=None)


def _is_disabled(entry: Entry) -> bool:
    """Return whether an account is disabled for good; one that is locked for a while is there."""
    control = entry.text("useraccountcontrol")
    return entry.text("pwdaccountlockedtime") == _LOCKED_FOR_GOOD or bool(control and int(control) & _AD_DISABLED)


def _read_end(entry: Entry) -> str | None:
    """Return the last day of an account of Active Directory, which counts 100 ns since 1601."""
    expires = entry.text("accountexpires")
    if expires is None or int(expires) in _AD_NEVER:
        return None
    ends = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(expires) // 10)
    return (ends - timedelta(microseconds=1)).date().isoformat()


class _Members:
    """The members of groups, those of groups inside included."""

    def __init__(self, groups: Sequence[Entry], by_name: Mapping[str, str], by_login: Mapping[str, str]) -> None:
        self._groups = {dn_key(entry.dn): entry for entry in groups}
        self._by_name, self._by_login = by_name, by_login

    def of(self, group: Entry) -> tuple[list[str], list[str]]:
        """Return the ids of a group's people, and its members who are nobody, as they are written."""
        found, strays, seen, waiting = dict[str, None](), list[str](), set[str](), [group]
        while waiting:
            entry = waiting.pop()
            if entry.dn in seen:
                continue  # a group may contain itself
            seen.add(entry.dn)
            for written in (
                value.decode("utf-8", "replace") for name in MEMBERS for value in entry.values.get(name, ())
            ):
                key = dn_key(written)
                if key in self._groups:
                    waiting.append(self._groups[key])
                elif key in self._by_name:
                    found[self._by_name[key]] = None
                else:
                    strays.append(written)
            for login in (value.decode("utf-8", "replace") for value in entry.values.get("memberuid", ())):
                if login in self._by_login:
                    found[self._by_login[login]] = None
                else:
                    strays.append(login)
        return list(found), strays


_ESCAPE = re.compile(rb"\\([0-9a-fA-F]{2})|\\(.)", re.DOTALL)


def dn_key(dn: str) -> str:
    """Return a key that is equal for all spellings of a name (RFC 4514): for comparing, never for showing.

    Types and values lose their case, escapes and outer spaces; the parts of a name with several are sorted.
    """
    return ",".join("+".join(sorted(_part_key(part) for part in _split(rdn, "+"))) for rdn in _split(dn, ","))


def _split(text: str, separator: str) -> list[str]:
    """Split a name at a character that is not escaped."""
    return re.findall(rf"(?:\\.|[^\\{re.escape(separator)}])+", text)


def _part_key(part: str) -> str:
    """Return the key of one `type=value`."""
    kind, _, value = part.partition("=")
    plain = _ESCAPE.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], value.strip().encode()
    )
    text = unicodedata.normalize("NFC", plain.decode("utf-8", "replace")).casefold()
    shown = re.sub(r"([\\,+])", r"\\\1", " ".join(text.split()))
    return f"{kind.strip().casefold()}={shown}"
