"""`<instance>.last.json`: what the last ended run left, beside the journal whose last end names it by its digest.

    written beside, `<instance>.last.json.new` ─ the journal names its digest ─ moved to its place

So a crash leaves the old file with the old end, or the new one beside its place with the new end, and either is found
by its digest.
"""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from siteward.access.canonical import canonical_pieces
from siteward.access.model import Access
from siteward.access.serialize import CodecError
from siteward.reconcile.journal.chain import JournalBrokenError, broken_by, hash_line, read_bytes
from siteward.reconcile.journal.entries import LastApplied, decode_last, encode_entry
from siteward.reconcile.journal.files import move_flushed, write_pieces
from siteward.reconcile.journal.recorded import write_resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def path_beside(path: Path, suffix: str) -> Path:
    """Return the path of a file beside a journal, such as `stats.last.json`."""
    return path.with_name(path.name.removesuffix(".jsonl") + suffix)


def read_last(path: Path, digest: str) -> tuple[bytes, bool]:
    """Return what the last run left, by its digest, for the journal at `path`, and whether a crash kept it from its place.

    Raises `JournalBrokenError` where no file has that digest.
    """
    for suffix, half_moved in ((".last.json", False), (".last.json.new", True)):
        data = read_bytes(path_beside(path, suffix))
        if data is not None and hash_line(data) == digest:
            return data, half_moved
    why = "what the last run left is not what its end names: lines are missing, or it was changed"
    raise JournalBrokenError(path, 0, why)


def decode_left(path: Path, data: bytes) -> LastApplied:
    """Return what the last run left, of the content of its file. Raises `JournalBrokenError` naming that file."""
    own = path_beside(path, ".last.json")
    try:
        return decode_last(msgspec.json.decode(data))
    except CodecError as problem:
        raise broken_by(own, 0, problem) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise JournalBrokenError(own, 0, "this is not valid JSON") from None


@contextlib.contextmanager
def leave(path: Path, last: LastApplied) -> Iterator[str]:
    """Write what a run leaves, yield its digest for the entry that is written within, and move it to its place after that.

    Raises `OSError`.
    """
    yield write_pieces(path_beside(path, ".last.json.new"), canonical_pieces(_encode_last(last)))
    finish_move(path)


def _encode_last(last: LastApplied) -> dict[str, Any]:
    """Return plain data in which the access, of which there may be much, is an iterator of its canonical form."""
    access = last.memory.last
    if access is None:
        return encode_entry(last)
    data = encode_entry(replace(last, memory=replace(last.memory, last=Access())))
    data["memory"]["last"] = (write_resource(resource) for resource in sorted(access.values(), key=attrgetter("key")))
    return data


@contextlib.contextmanager
def leave_if_any(path: Path, last: LastApplied | None) -> Iterator[str | None]:
    """Do as `leave`; without anything to leave nothing is written, and `None` is yielded."""
    if last is None:
        yield None
        return
    with leave(path, last) as digest:
        yield digest


def finish_move(path: Path) -> None:
    """Move what was written beside its place to it, as a crash may have prevented. Raises `OSError`."""
    move_flushed(path_beside(path, ".last.json.new"), path_beside(path, ".last.json"))
