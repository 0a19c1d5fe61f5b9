"""Bodies that come packed: unpacked in pieces, so that the bound on an answer holds for what is unpacked."""

from __future__ import annotations

import zlib

ACCEPTED = "gzip"
"""The coding that is asked for, and the only one taken; without it answers of 10,000 grants travel ten times longer."""
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})


class UnreadableError(Exception):
    """A body that is coded otherwise than was asked for, damaged, or cut off."""


class ExcessError(Exception):
    """A body that is longer than is taken."""


class Body:
    """Collects one body, piece by piece; `coding` is its Content-Encoding, `limit` the most bytes it may have."""

    def __init__(self, coding: str, limit: int) -> None:
        """Raise `UnreadableError` for any coding but gzip, once."""
        coding = coding.strip().lower()
        if coding not in _GZIP | _PLAIN:
            raise UnreadableError("it is coded otherwise than was asked for")
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._packed = 0
        self._unpacker = _gunzip() if coding in _GZIP else None

    def take(self, part: bytes) -> None:
        """Add the next piece as it came; raises `ExcessError` or `UnreadableError` and then is of no more use."""
        if self._unpacker is None:
            self._add(part)
            return
        self._packed += len(part)
        if self._packed > self._limit:
            raise ExcessError
        while part:
            if self._unpacker.eof:  # RFC 1952 section 2.2: a file may have several members, one after another
                self._unpacker = _gunzip()
            try:
                self._add(self._unpacker.decompress(part, self._limit - self._size + 1))
            except zlib.error:
                raise UnreadableError("it is damaged") from None
            part = self._unpacker.unused_data

    def whole(self) -> bytes:
        """Return the body; raises `UnreadableError` where its end is missing. Nothing at all is an empty body."""
        if self._unpacker is not None and self._packed and not self._unpacker.eof:
            raise UnreadableError("its end is missing")
        return b"".join(self._parts)

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise ExcessError
        self._parts.append(part)


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
