"""Lines that nobody changes unseen: each is sealed, and each names the seal of the one before.

A line is canonical JSON (RFC 8785) and ends with a line feed. Its `seal` covers the rest of it: HMAC-SHA256
under the journal key, plain SHA-256 without one, which finds accidents and no more. A chain may begin without
a key and go on with one, never the other way. What stands after the last line feed is a line that a crash
cut off: no accident with a finished line looks like that, so it is told apart and not held against the file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from siteward.access.codec import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siteward.transport.secrets import Secret

KEYED = "hmac-sha256:"
PLAIN = "sha256:"


class JournalBroken(Exception):  # noqa: N818 — it is a state of the file, found by reading it
    """The journal is not what was written: `line` counts from 1 (0: the file as a whole), `why` is for people."""

    code = "journal-broken"
    hint = "restore the journal from a copy, or move it away to begin a new one; nothing is written over it"

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}" if line else f"{path}: {why}")
        self.path = path
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A verified chain: its entries without their seals, the last seal, and the bytes that are good.

    `torn` are the bytes after the last whole line; `closed` is false when just the last line feed is missing.
    """

    entries: tuple[Mapping[str, object], ...] = ()
    head: str = ""
    size: int = 0
    torn: int = 0
    closed: bool = True


def link(entry: Mapping[str, object], head: str, key: Secret | None) -> tuple[bytes, str]:
    """Return the line that adds `entry` to the chain that ends in `head`, and the new head."""
    chained = {**entry, "prev": head}
    seal = _seal(chained, key)
    return canonical({**chained, "seal": seal}) + b"\n", seal


def follow(path: Path, key: Secret | None) -> Chain:
    """Read and verify a whole file; one that is not there is an empty chain. Raises `JournalBroken`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Chain()
    *lines, rest = data.split(b"\n")
    entries: list[Mapping[str, object]] = []
    head = ""
    for number, line in enumerate(lines, start=1):
        entry, head, why = _check(line, head, key)
        if why or entry is None:
            raise JournalBroken(path, number, why)
        entries.append(entry)
    last, sealed, why = _check(rest, head, key) if rest else (None, head, "")
    if last is not None and not why:
        return Chain(entries=(*entries, last), head=sealed, size=len(data), closed=False)
    return Chain(entries=tuple(entries), head=head, size=len(data) - len(rest), torn=len(rest))


def _seal(chained: Mapping[str, object], key: Secret | None) -> str:
    data = canonical(chained)
    if key is not None:
        return KEYED + hmac.new(key.reveal().encode(), data, hashlib.sha256).hexdigest()
    return PLAIN + hashlib.sha256(data).hexdigest()


def _check(line: bytes, head: str, key: Secret | None) -> tuple[Mapping[str, object] | None, str, str]:
    """Return the entry of a line with its seal, or why it cannot follow the line that ended in `head`."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None, head, "this is no JSON"
    if not isinstance(entry, dict) or not isinstance(seal := entry.pop("seal", None), str):
        return None, head, "this line has no seal"
    keyed = seal.startswith(KEYED)
    if keyed and key is None:
        return None, head, "this line is sealed with SITEWARD_JOURNAL_KEY, which is not given here"
    if head.startswith(KEYED) and not keyed:
        return None, head, "this line is sealed without the key that sealed the line before"
    if entry.get("prev") != head:
        return None, head, "this line does not follow the line before: lines were removed, added or reordered"
    try:
        fits = hmac.compare_digest(seal.encode(), _seal(entry, key if keyed else None).encode())
        same = canonical({**entry, "seal": seal}) == line
    except ValueError:
        return None, head, "the line holds what no journal writes"
    if not fits:
        return None, head, "the seal does not fit: the line was changed, or another key sealed it"
    if not same:
        return None, head, "the line was written over in another form"
    del entry["prev"]
    return entry, seal, ""
