"""The lines of a journal and their hash chain: what they are, how one is added, and how a whole file is verified.

A record is one header line, and before it a line for each of its parts. Only parts hold logins, names and addresses:

    {"part":"anna","salt":"<32 hex>", …}
    {…,"n":7,"parts":["<SHA-256 of each part line>"],"prev":"<sum before>","sum":"<SHA-256>","seal":"<HMAC-SHA256>"}

The `sum` covers the bytes of its header before `,"sum":`, so that everybody can verify a file; `seal` is the HMAC of the
sum under the journal key, where there is one. A part may be erased later: its line then says which sum it had, and the
chain still verifies. A journal may begin without a key and go on with one, never the other way. Lines after the last
header are what a crash cut off: damage to a finished line never looks like that, so they are reported apart.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from siteward.access.serialize import CodecError, UnknownMemberError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from siteward.transport.secrets import Secret

FORMAT: Final = "siteward.journal/2"
RESTORE: Final = "restore the journal from a copy, or move it away to begin a new one; nothing is written over it"
NEWER: Final = "use the release that wrote the journal, or a later one; nothing is written to it"
NEEDS_KEY: Final = "set SITEWARD_JOURNAL_KEY to the key that sealed the journal"
ERASED: Final = "erased"
Part: TypeAlias = "dict[str, Any]"
"""The members of a part; `part` is the account it concerns, or an empty text, `salt` keeps its sum from being guessed."""
_TAIL: Final = re.compile(rb',"sum":"([0-9a-f]{64})"(?:,"seal":"([0-9a-f]{64})")?\}\Z')
_GONE: Final = re.compile(rb'\{"part":"erased","sum":"([0-9a-f]{64})"\}\Z')


class JournalBrokenError(Exception):
    """The journal is not what was written: `line` counts from 1 (0: the file as a whole), `why` is for people."""

    code = "journal-broken"

    def __init__(self, path: Path, line: int, why: str, *, hint: str = RESTORE) -> None:
        super().__init__(f"{path}:{line}: {why}" if line else f"{path}: {why}")
        self.path = path
        self.line = line
        self.why = why
        self.hint = hint


class Record(Struct, frozen=True, kw_only=True):
    """One verified record: its header without what only the chain needs, its part lines, and the `line` of its header.

    `is_keyed` is true where it has a seal, and `sum` is the one that the next record names.
    """

    line: int
    header: Mapping[str, Any]
    parts: tuple[bytes, ...]
    sum: str
    is_keyed: bool

    def read_parts(self) -> Iterator[Part]:
        """Yield the parts, without their salts and without those that were erased."""
        return (part for _, part in self.number_parts())

    def number_parts(self) -> Iterator[tuple[int, Part]]:
        """Yield the parts as `read_parts` does, each with its place in the record, from 0."""
        for number, line in enumerate(self.parts):
            if _GONE.match(line) is None:
                part = msgspec.json.decode(line, type=dict[str, Any])
                part.pop("salt", None)
                yield number, part


class Chain(Struct, frozen=True, kw_only=True):
    """A verified chain: its records, and the last sum (`head`).

    `size` is the length of the good part and `truncated` that of what a crash cut off after it, in bytes; `closed` is
    false when just the last line feed is missing. `sealed_since` is the number of the first record that a key has
    sealed, or 0; `checked` is true where all these seals were checked.
    """

    records: tuple[Record, ...] = ()
    head: str = ""
    size: int = 0
    truncated: int = 0
    closed: bool = True
    sealed_since: int = 0
    checked: bool = True


def link(
    header: Mapping[str, Any], parts: Iterable[Part], *, number: int, head: str, key: Secret | None
) -> tuple[bytes, str]:
    """Return the lines of a record, and its sum; `number` counts it from 1, and `head` is the sum before.

    Raises `CodecError` for a text that has no UTF-8 form.
    """
    lines, sums = BytesIO(), list[str]()
    for part in parts:
        line = _encode({**part, "salt": secrets.token_hex(16)})
        sums.append(hash_line(line))
        lines.write(line)
        lines.write(b"\n")
    chained = {"format": FORMAT, "n": number, "parts": sums, "prev": head}
    body = _encode({**header, **chained})[:-1]
    digest = hash_line(body)
    seal = f',"seal":"{_compute_seal(digest, key)}"' if key is not None else ""
    lines.write(body + f',"sum":"{digest}"{seal}}}\n'.encode())
    return lines.getvalue(), digest


def follow(path: Path, key: Secret | None) -> Chain:
    """Read and verify a whole file; a missing file is an empty chain. Raises `JournalBrokenError`."""
    data = read_bytes(path)
    return Chain() if data is None else verify(path, data, key)


def verify(path: Path, data: bytes, key: Secret | None, *, first: int = 1) -> Chain:
    """Verify the content of a file, or of an extract that begins with the record of the number `first`.

    Raises `JournalBrokenError` with the line and the reason.
    """
    *lines, rest = data.split(b"\n")
    reading = _Reading(path, key, first)
    for number, line in enumerate(lines, start=1):
        reading.take(number, line)
    size, closed = reading.size, True
    if rest and reading.would_end_with(rest):
        reading.take(len(lines) + 1, rest)
        size, closed = len(data), False
    return Chain(
        records=tuple(reading.records), head=reading.head, size=size, truncated=len(data) - size, closed=closed,
        sealed_since=reading.sealed_since, checked=key is not None or not reading.sealed_since,
    )  # fmt: skip


def erase_parts(data: bytes, lines: Iterable[int]) -> bytes:
    """Return the content of a journal with the part lines of these numbers erased; every sum still holds."""
    written = data.split(b"\n")
    for number in lines:
        digest = hash_line(written[number - 1])
        written[number - 1] = f'{{"part":"{ERASED}","sum":"{digest}"}}'.encode()
    return b"\n".join(written)


def hash_line(line: bytes) -> str:
    """Return the SHA-256 of a line in hexadecimal digits."""
    return hashlib.sha256(line).hexdigest()


def read_bytes(path: Path) -> bytes | None:
    """Return the content of a file, `None` without one. Raises `JournalBrokenError` where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise JournalBrokenError(path, 0, f"it cannot be read: {problem.strerror}") from None


class _WrongLineError(Exception):
    """A line does not continue the chain; the message says why. `at` is the number of another line that is to blame."""

    def __init__(self, why: str, at: int = 0, hint: str = RESTORE) -> None:
        super().__init__(why)
        self.at = at
        self.hint = hint


class _Reading:
    """The progress of verifying a file: its records so far, and the part lines that no header has counted yet."""

    def __init__(self, path: Path, key: Secret | None, first: int) -> None:
        self.records: list[Record] = []
        self._before = first - 1
        self.head = ""
        self.sealed_since = 0
        self.size = 0
        self._path = path
        self._key = key
        self._parts: list[tuple[int, bytes]] = []
        self._pending = 0

    def take(self, number: int, line: bytes) -> None:
        """Take the next line. Raises `JournalBrokenError`."""
        self._pending += len(line) + 1
        try:
            if _GONE.match(line) or (tail := _TAIL.search(line)) is None:
                _check_part(line)
                self._parts.append((number, line))
                return
            self._end_record(number, line, tail)
        except _WrongLineError as problem:
            raise JournalBrokenError(self._path, problem.at or number, str(problem), hint=problem.hint) from None
        self.size += self._pending
        self._pending = 0
        self._parts = []

    def would_end_with(self, line: bytes) -> bool:
        """Return whether a line without its line feed is a whole header."""
        tail = _TAIL.search(line)
        return tail is not None and hash_line(line[: tail.start()]) == tail[1].decode()

    def _end_record(self, number: int, line: bytes, tail: re.Match[bytes]) -> None:
        """Add the record that a header line ends. Raises `_WrongLineError`."""
        digest = tail[1].decode()
        if hash_line(line[: tail.start()]) != digest:
            raise _WrongLineError("the sum does not match: the line was changed")
        header = _decode_header(line[: tail.start()] + b"}")
        self._check_place(header)
        self._check_parts(header["parts"])
        self._check_seal(digest, tail[2])
        self.head = digest
        named = {name: member for name, member in header.items() if name not in {"n", "parts", "prev", "format"}}
        self.records.append(
            Record(
                line=number, header=named, parts=tuple(part for _, part in self._parts), sum=digest,
                is_keyed=tail[2] is not None,
            )
        )  # fmt: skip

    def _check_place(self, header: Mapping[str, Any]) -> None:
        expected = self._before + len(self.records) + 1
        known = bool(self.records) or self._before == 0  # of an extract the first record names one that is not in it
        if (known and header["prev"] != self.head) or header["n"] != expected:
            raise _WrongLineError(
                f"this is record {header['n']}, and {expected} should be here: lines were removed, added or reordered"
            )

    def _check_parts(self, sums: list[str]) -> None:
        for (number, line), digest in zip(self._parts, sums, strict=False):
            if digest != _sum_of_part(line):
                raise _WrongLineError("the sum of this part does not match: the line was changed or reordered", number)
        if len(self._parts) > len(sums):
            raise _WrongLineError("the record does not count this part: it was added", self._parts[len(sums)][0])
        if len(self._parts) < len(sums):
            raise _WrongLineError("a part of this record is missing before this line")

    def _check_seal(self, digest: str, seal: bytes | None) -> None:
        if seal is None:
            if self.sealed_since:
                raise _WrongLineError("this line is not sealed with the key (HMAC) that sealed the lines before")
            return
        self.sealed_since = self.sealed_since or len(self.records) + 1
        if self._key is not None and not hmac.compare_digest(seal.decode(), _compute_seal(digest, self._key)):
            raise _WrongLineError("the seal does not match: the line was sealed with another key")


def _compute_seal(digest: str, key: Secret) -> str:
    return hmac.new(key.reveal().encode(), digest.encode(), hashlib.sha256).hexdigest()


def _sum_of_part(line: bytes) -> str:
    gone = _GONE.match(line)
    return gone[1].decode() if gone is not None else hash_line(line)


def _check_part(line: bytes) -> None:
    try:
        msgspec.json.decode(line, type=_PartLine)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _WrongLineError("this is no line of a journal: it was changed or cut") from None


class _PartLine(Struct):
    """What tells a part from other lines."""

    part: str


class _HeaderLine(Struct):
    """The members by which a header belongs to its chain."""

    format: str
    n: int
    parts: list[str]
    prev: str


def _decode_header(body: bytes) -> dict[str, Any]:
    """Return the members of a header. Raises `_WrongLineError`."""
    try:
        chained = msgspec.json.decode(body, type=_HeaderLine)
        header = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _WrongLineError("this is no line of a journal: it was changed or cut") from None
    if chained.format != FORMAT:
        raise _WrongLineError(
            f"a newer release wrote this ({chained.format}), and this version reads {FORMAT}", hint=NEWER
        )
    return header


def broken_by(path: Path, line: int, problem: CodecError) -> JournalBrokenError:
    """Return the error for a line (0: the whole file) that this version cannot decode."""
    if isinstance(problem, UnknownMemberError):
        why = f"a newer release wrote this, and this version cannot read it ({problem})"
        return JournalBrokenError(path, line, why, hint=NEWER)
    return JournalBrokenError(path, line, f"this is not an entry that this version writes ({problem})")


def _encode(data: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(data, order="deterministic")
    except UnicodeEncodeError:
        raise CodecError("", "a text holds half a character, which has no form in UTF-8") from None
