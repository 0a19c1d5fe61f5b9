"""Verifying a bundle of evidence, which may be an enemy's: names, kinds and sizes first, then sums, seals, signature.

Nothing of it is run or opened, and nothing outside its folder is read. A zip is read in place.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from siteward import platforms
from siteward.access.codec import encode_resource
from siteward.access.diagnostic import Diagnostic, error, note, plural, warning
from siteward.access.documents import Evidence, read_document
from siteward.access.event import Ran, describe_review
from siteward.access.serialize import CodecError
from siteward.reconcile.events import events_of
from siteward.reconcile.evidence import MANIFEST, NEVER_PROVEN, SIGNATURE, find_access, journal_name
from siteward.reconcile.journal.chain import JournalBrokenError, broken_by, verify
from siteward.reconcile.journal.entries import JournalContinued, RunStarted
from siteward.reconcile.journal.records import Known, join

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.access.documents import Extract
    from siteward.access.event import Event
    from siteward.reconcile.journal.chain import Chain, Record
    from siteward.reconcile.journal.entries import Entry
    from siteward.transport.secrets import Secret

_BAD_STREAMS: Final = (zlib.error, lzma.LZMAError)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
MOST_FILES: Final = 10_000
MOST_BYTES: Final = 1024 * 1024 * 1024


class BadBundleError(Exception):
    """What is given is no bundle that can be verified; the message says why."""

    code = "bad-bundle"
    hint = "nothing of it can be relied on: ask whoever sent it for another one"


def check(path: Path, key: Secret | None) -> tuple[tuple[Diagnostic, ...], Mapping[str, bytes]]:
    """Return what can be said of a bundle, folder or zip, and its files, for whoever checks its signature too."""
    try:
        files = _read_zip(path) if path.is_file() else _read_folder(path)
        manifest = _read_manifest(files)
        _check_sums(files, manifest)
    except BadBundleError as problem:
        return (error(problem.code, f"{path}: {problem}", hint=problem.hint),), {}
    told = note("evidence-consistent", f"{path}: {plural(len(manifest.files), 'file')}, every one as the manifest says")
    return (told, *_check_journals(files, manifest, key), *_tell_limits(manifest)), files


def _read_folder(path: Path) -> Mapping[str, bytes]:
    try:
        entries = sorted(path.iterdir())
        if len(entries) > MOST_FILES:
            raise BadBundleError(f"it has more than {MOST_FILES} files")
        sizes = {entry: _measure(entry) for entry in entries}
        if sum(sizes.values()) > MOST_BYTES:
            raise BadBundleError(f"it has more than {MOST_BYTES} bytes")
        return {entry.name: _read_bounded(entry, size) for entry, size in sizes.items()}
    except OSError as problem:
        raise BadBundleError(f"it cannot be read: {problem.strerror}") from None


def _measure(entry: Path) -> int:
    """Return the size of a regular file of a plain name. Raises `BadBundleError` for anything else."""
    status = entry.lstat()
    if not _NAME.fullmatch(entry.name):
        raise BadBundleError(f"{entry.name!r} is no name of a file in a bundle")
    if not stat.S_ISREG(status.st_mode):
        raise BadBundleError(f"{entry.name} is no regular file")
    return status.st_size


def _read_bounded(entry: Path, size: int) -> bytes:
    with entry.open("rb") as file:
        content = file.read(size + 1)
    if len(content) != size:
        raise BadBundleError(f"{entry.name} changes while it is read")
    return content


def _read_zip(path: Path) -> Mapping[str, bytes]:
    files: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_FILES:
                raise BadBundleError(f"it has more than {MOST_FILES} files")
            for member in members:
                if not _NAME.fullmatch(member.filename) or member.filename in files:
                    raise BadBundleError(f"{member.filename!r} is no name of a file in a bundle, or is there twice")
                with archive.open(member) as file:
                    content = file.read(left + 1)  # the size that the archive names may be a lie
                left -= len(content)
                if left < 0:
                    raise BadBundleError(f"it has more than {MOST_BYTES} bytes")
                files[member.filename] = content
    except (
        OSError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        *_BAD_STREAMS,
    ) as problem:
        raise BadBundleError(f"it cannot be read as a zip: {problem}") from None
    return files


def _read_manifest(files: Mapping[str, bytes]) -> Evidence:
    if MANIFEST not in files:
        raise BadBundleError(f"it has no {MANIFEST}")
    try:
        return read_document(files[MANIFEST], Evidence)
    except CodecError as problem:
        raise BadBundleError(f"{MANIFEST}: {problem}") from None


def _check_sums(files: Mapping[str, bytes], manifest: Evidence) -> None:
    """Raise `BadBundleError` where the files are not exactly those of the manifest."""
    there = files.keys() - {MANIFEST, SIGNATURE}
    for name in sorted(there ^ manifest.files.keys()):
        raise BadBundleError(f"{name} is {'not in the manifest' if name in there else 'missing'}")
    for name, digest in manifest.files.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise BadBundleError(f"{name} is not what the manifest says")
    if not manifest.instances:
        raise BadBundleError("it has no extract of a journal, so that nothing of it is proven")
    for instance in manifest.instances:
        if journal_name(instance) not in manifest.files:
            raise BadBundleError(f"the extract of the journal of {instance} is missing")


def _check_journals(files: Mapping[str, bytes], manifest: Evidence, key: Secret | None) -> Iterator[Diagnostic]:
    for instance, extract in manifest.instances.items():
        name = journal_name(instance)
        try:
            chain = verify(Path(name), files[name], key)
            _check_extract(name, chain, extract)
            _check_answer(files, instance, chain)
        except (JournalBrokenError, BadBundleError) as problem:
            yield error("bad-bundle", str(problem), hint=BadBundleError.hint, instance=instance)
            continue
        words = f"{name}: records 1 to {extract.last}, head {extract.head}; history and access are as it tells them"
        yield note("journal-verified", words, instance=instance)
        yield _tell_seals(
            name, instance, keyed=all(record.is_keyed for record in chain.records), checked=key is not None
        )


def _check_extract(name: str, chain: Chain, extract: Extract) -> None:
    """Raise `BadBundleError` where an extract is empty, or is not what the manifest says of it."""
    told = (extract.first, extract.last, extract.head)
    if not chain.records or chain.truncated or told != (1, len(chain.records), chain.head):
        raise BadBundleError(
            f"{name} ends with record {len(chain.records)} and the head {chain.head}, and the manifest says otherwise"
        )


def _check_answer(files: Mapping[str, bytes], instance: str, chain: Chain) -> None:
    """Raise `BadBundleError` where history or access say what the extract of the journal does not."""
    path, known = Path(journal_name(instance)), Known()
    entries = [_read_entry(path, record, known) for record in chain.records]
    begun = next((entry for entry in entries if isinstance(entry, RunStarted)), None)
    older = entries[0].lines if isinstance(entries[0], JournalContinued) else 0
    if begun is None or begun.platform not in platforms.names():
        raise BadBundleError(f"{path.name} does not say of what platform it is")
    marked = [(entry, record.is_keyed) for entry, record in zip(entries, chain.records, strict=True)]
    traits = platforms.load(begun.platform).widest
    events = [
        replace(event, number=event.number + older)
        for event in events_of(path, marked, chain.records, instance, traits)
    ]
    told = [item for item in _items(files) if item.get("instance") == instance and _number(item) > older]
    proven = {_essence(event): event for event in events}
    wrong = [item for item in told if _essence_of(item) not in proven]
    if wrong:
        raise BadBundleError(f"history.json has an event of record {_number(wrong[0])} that {path.name} does not have")
    shown = [proven[_essence_of(item)] for item in told]
    if shown and not any(_number(item) <= older for item in _items(files) if item.get("instance") == instance):
        access = _load(files, f"access-{instance}.json")
        if access != find_access(path, chain.records, older, shown):
            raise BadBundleError(f"access-{instance}.json is not what {path.name} tells")


def _read_entry(path: Path, record: Record, known: Known) -> Entry:
    try:
        return join(record, known)
    except CodecError as problem:
        raise broken_by(path, record.line, problem) from None


def _items(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    data = _load(files, "history.json")
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadBundleError("history.json is no history")
    return items


def _load(files: Mapping[str, bytes], name: str) -> Any:
    if name not in files:
        raise BadBundleError(f"{name} is missing")
    try:
        return msgspec.json.decode(files[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadBundleError(f"{name} is not valid JSON") from None


def _number(item: Mapping[str, Any]) -> int:
    number = item.get("record")
    return number if isinstance(number, int) else 0


def _essence(event: Event) -> str:
    """Return what of an event its record proves."""
    ran = event.ran or Ran(run="", plan="")
    before, after = (
        None if side is None else encode_resource(side) for side in (event.change.before, event.change.after)
    )
    told = (
        event.number, event.account, before, after, event.status, event.by_others, ran.run or None, ran.plan or None,
        ran.commit, ran.actor, list(ran.approvers), describe_review(event.review),
    )  # fmt: skip
    return msgspec.json.encode(told, order="deterministic").decode()


def _essence_of(item: Mapping[str, Any]) -> str:
    names = (
        "record",
        "account",
        "before",
        "after",
        "status",
        "by_others",
        "run",
        "plan",
        "commit",
        "actor",
        "approvers",
        "review",
    )
    values = [item.get(name) for name in names]
    told = [None if name in {"run", "plan"} and not value else value for name, value in zip(names, values, strict=True)]
    return msgspec.json.encode(told, order="deterministic").decode()


def _tell_seals(name: str, instance: str, *, keyed: bool, checked: bool) -> Diagnostic:
    if not keyed:
        return warning(
            "evidence-not-sealed",
            f"{name} has records without a seal: anybody can have written them",
            instance=instance,
        )
    if not checked:
        words = f"the seals (HMAC) of {name} are not checked: SITEWARD_JOURNAL_KEY is not set"
        return warning("seals-not-checked", words, instance=instance)
    return note("evidence-sealed", f"{name}: every record has the seal of the key", instance=instance)


def _tell_limits(manifest: Evidence) -> Iterator[Diagnostic]:
    """Yield what no bundle can prove, and what this one says of itself."""
    limits = ", ".join(dict.fromkeys((*NEVER_PROVEN, *manifest.cannot_prove)))
    yield note("cannot-prove", f"what it cannot prove: {limits}", hint="docs/evidence.md tells each")
