"""The first format of the journal, `siteward.journal/1`, which is read and never written.

A line is canonical JSON (RFC 8785) with the seal of the line before as `prev`. Its `seal` covers the rest of it:
HMAC-SHA256 under the journal key, plain SHA-256 without one. Without the key nobody can tell whether a line that it has
sealed was changed, only whether lines are missing or were reordered.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from siteward.access.codec import canonical
from siteward.access.serialize import CodecError, UnknownMemberError
from siteward.reconcile.journal.chain import JournalBrokenError, broken_by
from siteward.reconcile.journal.entries import decode_entry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siteward.reconcile.journal.entries import Entry
    from siteward.transport.secrets import Secret

FIRST_FORMAT: Final = "siteward.journal/1"
KEYED: Final = "hmac-sha256:"
PLAIN: Final = "sha256:"


class FirstChain(Struct, frozen=True, kw_only=True):
    """A verified file of the first format: its entries, the last seal (`head`), and what a crash cut off, in bytes.

    `heads` are the seals of all lines, each of which was the last once.
    `sealed_since` is the number of the first line that a key has sealed, or 0; `checked` is true where all these seals
    were checked.
    """

    entries: tuple[Entry, ...] = ()
    head: str = ""
    heads: frozenset[str] = frozenset()
    truncated: int = 0
    sealed_since: int = 0
    checked: bool = True


def verify_first(path: Path, data: bytes, key: Secret | None) -> FirstChain:
    """Verify a file of the first format and return its entries. Raises `JournalBrokenError`."""
    *lines, rest = data.split(b"\n")
    read: list[Mapping[str, object]] = []
    head, heads, since = "", set(), 0
    for number, line in enumerate(lines, start=1):
        try:
            members, head = _unseal(line, head, key)
        except _WrongLineError as problem:
            raise JournalBrokenError(path, number, str(problem)) from None
        read.append(members)
        heads.add(head)
        since = since or (number if head.startswith(KEYED) else 0)
    truncated = len(rest)
    try:
        members, head = _unseal(rest, head, key)
    except _WrongLineError:
        pass  # what a crash cut off is no line
    else:
        read.append(members)
        heads.add(head)
        truncated = 0
        since = since or (len(read) if head.startswith(KEYED) else 0)
    entries = tuple(_decode(path, number, members) for number, members in enumerate(read, start=1))
    return FirstChain(
        entries=entries,
        head=head,
        heads=frozenset(heads),
        truncated=truncated,
        sealed_since=since,
        checked=key is not None or not since,
    )


def _decode(path: Path, number: int, members: Mapping[str, object]) -> Entry:
    """Return the entry of a line. Raises `JournalBrokenError`."""
    try:
        return decode_entry(_translate(dict(members)))
    except CodecError as problem:
        raise broken_by(path, number, problem) from None


def _translate(data: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a line as entries have them now. Raises `CodecError`."""
    if (name := data.pop("format", FIRST_FORMAT)) != FIRST_FORMAT:
        raise UnknownMemberError("/format", f"{name} is not known")
    if data.get("kind") != "end":
        return data
    snapshot = data.pop("snapshot", None)
    if not isinstance(snapshot, str):
        raise CodecError("/snapshot", "is missing" if snapshot is None else "should be string")
    return {**data, "last": snapshot.removeprefix(PLAIN)}


class _WrongLineError(Exception):
    """A line does not continue the chain; the message says why."""


def compute_seal(chained: Mapping[str, object], key: Secret | None) -> str:
    """Return the seal of an entry with its `prev`."""
    data = canonical(chained)
    if key is not None:
        return KEYED + hmac.new(key.reveal().encode(), data, hashlib.sha256).hexdigest()
    return PLAIN + hashlib.sha256(data).hexdigest()


def _unseal(line: bytes, head: str, key: Secret | None) -> tuple[Mapping[str, object], str]:
    """Return the entry of a line that follows the line sealed `head`, and its own seal. Raises `_WrongLineError`."""
    entry, seal = _split_seal(line)
    keyed = seal.startswith(KEYED)
    if head.startswith(KEYED) and not keyed:
        raise _WrongLineError("this line is hashed without the key (HMAC) that hashed the line before")
    if entry.get("prev") != head:
        raise _WrongLineError("this line does not follow the line before: lines were removed, added or reordered")
    try:
        unknown = keyed and key is None
        fits = unknown or hmac.compare_digest(seal.encode(), compute_seal(entry, key if keyed else None).encode())
        same = canonical({**entry, "seal": seal}) == line
    except ValueError:
        raise _WrongLineError("this line holds what no journal writes") from None
    if not fits:
        raise _WrongLineError("the hash does not match: the line was changed, or hashed with another key")
    if not same:
        raise _WrongLineError("the line was written over in another form")
    return {name: member for name, member in entry.items() if name != "prev"}, seal


def _split_seal(line: bytes) -> tuple[dict[str, object], str]:
    """Return a line's entry without its seal, and the seal."""
    try:
        entry = json.loads(line)
    except ValueError:
        raise _WrongLineError("this is not valid JSON") from None
    if not isinstance(entry, dict) or not isinstance(seal := entry.pop("seal", None), str):
        raise _WrongLineError("this line has no hash")
    return entry, seal
