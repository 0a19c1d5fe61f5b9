"""The reading of an export, whatever its kind: bytes become text within bounds, and the ending says how it is read."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Span, problem
from siteward.directory.ldif import read_ldif
from siteward.directory.listing import Listing, ListingError, malformed
from siteward.directory.scim import read_json
from siteward.directory.table import read_table

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 100_000_000
"""The most bytes of an export."""

_READERS = {".csv": read_table, ".json": read_json, ".ldif": read_ldif}


def read_export(path: Path, called: str) -> Listing:
    """Return the listing of an exported file; raises `ListingError` where it cannot be read or believed.

    `called` is its name in messages. Text is UTF-8, with or without a byte order mark, or UTF-16 with one.
    """
    return _READERS[path.suffix](called, _decode(_read(path, called), called))


def _read(path: Path, called: str) -> bytes:
    """Return the content of a regular file within bounds; raises `ListingError`."""
    at = Span(called, 1, 1)
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(path.stat().st_mode):
                raise ListingError(problem("not-a-file", f"{called} is not a regular file", at))
            content = file.read(MAX_BYTES + 1)
    except OSError as trouble:
        raise ListingError(problem("unreadable", f"{called} cannot be read: {trouble.strerror}", at)) from trouble
    if len(content) > MAX_BYTES:
        raise ListingError(problem("too-large", f"{called} has more than {MAX_BYTES // 1_000_000} MB", at))
    return content


def _decode(content: bytes, called: str) -> str:
    """Return the text of an export; raises `ListingError` for one in another encoding."""
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = content[: wrong.start].count(b"\n") + 1
        hint = "save it as UTF-8"
        raise ListingError(malformed("this is neither UTF-8 nor UTF-16", Span(called, line, 1), hint=hint)) from wrong
