"""The reading of LDIF exports (RFC 2849) of OpenLDAP, 389 DS, FreeIPA and Active Directory.

A saved LDIF does not say whether it is whole: a search that was cut by a limit leaves a file that looks complete
(seen with ldapsearch 2.5.13). What a file does say of it, in comments or at its end, is believed; the rest is for
`shrink` and `expects` of the directory.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Span
from siteward.directory.entries import Attributes, Entry, to_listing
from siteward.directory.listing import Listing, ListingError, incomplete, malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESULT = re.compile(r"^result: (?P<code>\d+)\b")
_REFERENCE = re.compile(r"^(?:# search reference|ref: )", re.MULTILINE)


def read_ldif(called: str, text: str) -> Listing:
    """Return the listing of an LDIF export; raises `ListingError` for one that is cut or malformed.

    People are the entries with a login or an address, groups those of a known class.
    """
    _refuse_cuts(text, Span(called, 1, 1))
    told = "a saved LDIF does not say whether it is whole: `expects` and `shrink` of the directory judge it"
    attributes, entries = Attributes(), list(_parse(called, text))
    known_by = {*attributes.emails, *attributes.handles}
    people = [entry for entry in entries if not entry.is_group and not known_by.isdisjoint(entry.values)]
    return to_listing(people, [entry for entry in entries if entry.is_group], attributes, (told,))


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


def _parse(called: str, text: str) -> Iterator[Entry]:
    """Yield the entries of a text; raises `ListingError` for what is no listing: changes, files named by address."""
    entry: tuple[str, dict[str, list[bytes]], Span] | None = None
    for line, number in _unfold(text):
        at = Span(called, number, 1)
        if not line:
            if entry is not None:
                yield Entry(dn=entry[0], values=entry[1], at=entry[2])
            entry = None
            continue
        name, value = _split_line(line, at)
        if entry is None:
            if name == "dn":
                entry = value.decode("utf-8", "replace"), {}, at
            elif name not in {"version", "search", "result"}:
                raise ListingError(malformed("an entry begins with `dn:`", at))
        elif name == "changetype":
            raise ListingError(malformed("this holds changes, not entries", at, hint="export the entries"))
        else:
            entry[1].setdefault(name.partition(";")[0], []).append(value)


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
