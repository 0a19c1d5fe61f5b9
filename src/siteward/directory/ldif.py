"""The reading of LDIF exports (RFC 2849) of OpenLDAP, 389 DS, FreeIPA and Active Directory.

A saved LDIF does not say whether it is whole: a search that was cut by a limit leaves a file that looks complete
(seen with ldapsearch 2.5.13). What a file does say of it, in comments or at its end, is believed; the rest is for
`shrink` and `expects` of the directory.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from siteward.access.diagnostic import Diagnostic, Span
from siteward.directory.listing import MAX_TEXT, Listing, ListingError, Person, collect, incomplete, malformed

IDS = ("entryuuid", "objectguid", "nsuniqueid", "ipauniqueid")
"""The attributes that stay of an entry for good, by server: OpenLDAP, Active Directory, 389 DS, FreeIPA."""

_HANDLES = ("uid", "samaccountname")
_NAMES = ("displayname", "cn")
_GROUPS = frozenset({"groupofnames", "groupofuniquenames", "posixgroup", "group"})
_MEMBERS = ("member", "uniquemember")
_LOCKED_FOR_GOOD = "000001010000Z"
"""OpenLDAP's word for an account that an administrator has locked; any other time is a lock that runs out."""

_AD_DISABLED = 0x2
_AD_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
"""What `accountExpires` of Active Directory holds where there is no end: either of the two."""

_RESULT = re.compile(r"^result: (?P<code>\d+)\b")
_REFERENCE = re.compile(r"^(?:# search reference|ref: )", re.MULTILINE)

Values = Mapping[str, Sequence[bytes]]
"""The values of an entry by attribute, in small letters and without options."""


class Entry:
    """An entry: its name, values, and the line that it begins on."""

    def __init__(self, dn: str, line: int) -> None:
        self.dn, self.line = dn, line
        self.values: dict[str, list[bytes]] = {}

    def text(self, *names: str) -> str | None:
        """Return the first value of the first of these attributes that is there; raises `UnicodeDecodeError`."""
        found = next((self.values[name] for name in names if self.values.get(name)), None)
        return found[0].decode("utf-8") if found else None


def read_ldif(called: str, text: str) -> Listing:
    """Return the listing of an LDIF export; raises `ListingError` for one that is cut or malformed.

    People are the entries with an id and an address or login, groups those of a known class.
    """
    start = Span(called, 1, 1)
    _refuse_cuts(text, start)
    entries, faults = list(_parse(called, text)), list[Diagnostic]()
    groups = [entry for entry in entries if _classes(entry) & _GROUPS]
    people, by_name, by_login = list[Person](), dict[str, str](), dict[str, str]()
    for entry in entries:
        if entry in groups or not (entry.values.keys() & {"mail", *_HANDLES}):
            continue
        try:
            person = _read_person(entry, Span(called, entry.line, 1))
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
        told=("a saved LDIF does not say whether it is whole: `expects` and `shrink` of the directory judge it",),
    )


def _refuse_cuts(text: str, start: Span) -> None:
    """Raise `ListingError` where the text says of itself that a limit cut it, or that more is elsewhere."""
    for line in text.splitlines():
        result = _RESULT.match(line)
        if result is not None and result["code"] != "0":
            raise ListingError(
                incomplete(f"the search ended with result {result['code']}", start, hint="lift the limit")
            )
    if _REFERENCE.search(text):
        hint = "export the other server too, or take a base without references"
        raise ListingError(incomplete("it refers to another server for the rest", start, hint=hint))


def _read_person(entry: Entry, at: Span) -> Person:
    """Return the person of an entry; raises `ListingError` for one without an id, or with an unreadable value."""
    try:
        if any(len(value) > MAX_TEXT for name in ("mail", *_HANDLES, *_NAMES) for value in entry.values.get(name, ())):
            raise ListingError(malformed(f"a value of more than {MAX_TEXT:,} bytes", at))
        return Person(
            id=_read_id(entry, at),
            handle=entry.text(*_HANDLES),
            email=_choose_address([value.decode("utf-8") for value in entry.values.get("mail", ())]),
            name=entry.text(*_NAMES),
            active=not _is_disabled(entry),
            until=_read_end(entry),
            at=at,
        )
    except (UnicodeDecodeError, ValueError) as wrong:
        raise ListingError(malformed("a value that is no UTF-8 text or number", at)) from wrong


def _read_id(entry: Entry, at: Span) -> str:
    """Return what stays of an entry; Active Directory's is a number whose first fields are little-endian."""
    for name in IDS:
        for value in entry.values.get(name, ()):
            if name == "objectguid" and len(value) == 16:
                return str(uuid.UUID(bytes_le=value))
            return value.decode("utf-8").lower()
    hint = "ask for it by name (`entryUUID`), or for all operational attributes (`+`)"
    raise ListingError(malformed("the entry has no id that stays", at, hint=hint))


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
                value.decode("utf-8", "replace") for name in _MEMBERS for value in entry.values.get(name, ())
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


def _parse(called: str, text: str) -> Iterator[Entry]:
    """Yield the entries of a text; raises `ListingError` for what is no listing: changes, files named by address."""
    entry: Entry | None = None
    for line, number in _unfold(text):
        at = Span(called, number, 1)
        if not line:
            if entry is not None:
                yield entry
            entry = None
            continue
        name, value = _split_line(line, at)
        if entry is None:
            if name == "dn":
                entry = Entry(value.decode("utf-8", "replace"), number)
            elif name not in {"version", "search", "result"}:
                raise ListingError(malformed("an entry begins with `dn:`", at))
        elif name == "changetype":
            raise ListingError(malformed("this holds changes, not entries", at, hint="export the entries"))
        else:
            entry.values.setdefault(name.partition(";")[0], []).append(value)
    if entry is not None:
        yield entry


def _unfold(text: str) -> Iterator[tuple[str, int]]:
    """Yield the lines without comments, folded ones in one piece, each with its number; an empty one ends."""
    folded, start = "", 1
    for number, line in enumerate([*text.split("\n"), ""], 1):
        line = line.removesuffix("\r")  # noqa: PLW2901 — files of Windows end their lines with both
        if line.startswith(" ") and folded:
            folded += line[1:]
            continue
        if folded and not folded.startswith("#"):
            yield folded, start
        folded, start = line, number
        if not line:
            yield "", number


def _split_line(line: str, at: Span) -> tuple[str, bytes]:
    """Return the attribute of a line, in small letters, and its value; raises `ListingError` for a broken line."""
    name, colon, value = line.partition(":")
    if not colon or not name:
        raise ListingError(malformed("a line without `:`", at))
    if value.startswith("<"):
        raise ListingError(malformed("a value that is read from elsewhere", at, hint="export the values themselves"))
    if not value.startswith(":"):
        return name.casefold(), value.strip(" ").encode()
    try:
        return name.casefold(), base64.b64decode(value[1:].strip(), validate=True)
    except binascii.Error as wrong:
        raise ListingError(malformed(f"the value of `{name}` is no base64", at)) from wrong


def _classes(entry: Entry) -> set[str]:
    """Return the classes of an entry, in small letters."""
    return {value.decode("utf-8", "replace").casefold() for value in entry.values.get("objectclass", ())}
