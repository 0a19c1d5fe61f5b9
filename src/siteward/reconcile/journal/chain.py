"""Hash chain of journal lines: each line holds the seal of the line before, so that no change goes unnoticed.

A line is canonical JSON (RFC 8785) and ends with a line feed. Its `seal` covers the rest of it: HMAC-SHA256
under the journal key, plain SHA-256 without one, which finds accidents and no more. A chain may begin without
a key and go on with one, never the other way. Bytes after the last line feed are a line that a crash cut off: damage
to a finished line never looks like that, so they are reported apart and are no error.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.codec import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siteward.transport.secrets import Secret

KEYED = "hmac-sha256:"
PLAIN = "sha256:"
RESTORE = "restore the journal from a copy, or move it away to begin a new one; nothing is written over it"


class JournalBrokenError(Exception):
    """The journal is not what was written: `line` counts from 1 (0: the file as a whole), `why` is for people."""

    code = "journal-broken"

    def __init__(self, path: Path, line: int, why: str, *, hint: str = RESTORE) -> None:
        super().__init__(f"{path}:{line}: {why}" if line else f"{path}: {why}")
        self.path = path
        self.line = line
        self.why = why
        self.hint = hint


class Chain(Struct, frozen=True, kw_only=True):
    """A verified chain: its entries without their seals, and the last seal (`head`).

    `size` is the length of the good part and `truncated` that of the cut-off line after it, in bytes; `closed` is false
    when just the last line feed is missing. `sealed_since` is the number of the first line that a key has sealed, or 0.
    """

    entries: tuple[Mapping[str, object], ...] = ()
    head: str = ""
    size: int = 0
    truncated: int = 0
    closed: bool = True
    sealed_since: int = 0


def link(entry: Mapping[str, object], head: str, key: Secret | None) -> tuple[bytes, str]:
    """Return the line that adds `entry` to the chain that ends in `head`, and its seal, the new head."""
    chained = {**entry, "prev": head}
    seal = _compute_seal(chained, key)
    return canonical({**chained, "seal": seal}) + b"\n", seal


def follow(path: Path, key: Secret | None) -> Chain:
    """Read and verify a whole file; a missing file is an empty chain. Raises `JournalBrokenError`."""
    data = read_bytes(path)
    if data is None:
        return Chain()
    *lines, rest = data.split(b"\n")
    entries: list[Mapping[str, object]] = []
    head, since = "", 0
    for number, line in enumerate(lines, start=1):
        try:
            entry, head = _unseal(line, head, key)
        except _WrongLineError as problem:
            raise JournalBrokenError(path, number, str(problem)) from None
        entries.append(entry)
        since = since or _number_if_keyed(head, number)
    try:
        entry, last = _unseal(rest, head, key)
    except _WrongLineError:
        size, truncated = len(data) - len(rest), len(rest)
        return Chain(entries=tuple(entries), head=head, size=size, truncated=truncated, sealed_since=since)
    since = since or _number_if_keyed(last, len(entries) + 1)
    return Chain(entries=(*entries, entry), head=last, size=len(data), closed=False, sealed_since=since)


def read_bytes(path: Path) -> bytes | None:
    """Return the content of a file, `None` without one. Raises `JournalBrokenError` where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise JournalBrokenError(path, 0, f"it cannot be read: {problem.strerror}") from None


def _number_if_keyed(seal: str, number: int) -> int:
    """Return the number of a line that the key has sealed, or 0."""
    return number if seal.startswith(KEYED) else 0


class _WrongLineError(Exception):
    """A line does not continue the chain; the message says why."""


def _compute_seal(chained: Mapping[str, object], key: Secret | None) -> str:
    """Return the seal of an entry with its `prev`."""
    data = canonical(chained)
    if key is not None:
        return KEYED + hmac.new(key.reveal().encode(), data, hashlib.sha256).hexdigest()
    return PLAIN + hashlib.sha256(data).hexdigest()


def _unseal(line: bytes, head: str, key: Secret | None) -> tuple[Mapping[str, object], str]:
    """Return the entry of a line that follows the line sealed `head`, and its own seal. Raises `_WrongLineError`."""
    entry, seal = _split_seal(line)
    keyed = seal.startswith(KEYED)
    if keyed and key is None:
        raise _WrongLineError("the hash of this line (HMAC) needs SITEWARD_JOURNAL_KEY, which is not given here")
    if head.startswith(KEYED) and not keyed:
        raise _WrongLineError("this line is hashed without the key (HMAC) that hashed the line before")
    if entry.get("prev") != head:
        raise _WrongLineError("this line does not follow the line before: lines were removed, added or reordered")
    try:
        fits = hmac.compare_digest(seal.encode(), _compute_seal(entry, key if keyed else None).encode())
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
