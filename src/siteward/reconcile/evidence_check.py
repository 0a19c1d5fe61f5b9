"""Verifying a bundle of evidence, which may be an enemy's: names, kinds and sizes first, then sums, seals, signature.

Nothing of it is run or opened, and nothing outside its folder is read. A zip is read in place.
"""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from siteward.access.diagnostic import Diagnostic, error, note, plural, warning
from siteward.access.documents import Evidence, read_document
from siteward.access.serialize import CodecError
from siteward.reconcile.evidence import MANIFEST, SIGNATURE, journal_name
from siteward.reconcile.journal.chain import JournalBrokenError, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.transport.secrets import Secret

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
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError) as problem:
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
    for instance in manifest.instances:
        if journal_name(instance) not in manifest.files:
            raise BadBundleError(f"the extract of the journal of {instance} is missing")


def _check_journals(files: Mapping[str, bytes], manifest: Evidence, key: Secret | None) -> Iterator[Diagnostic]:
    for instance, extract in manifest.instances.items():
        name = journal_name(instance)
        try:
            chain = verify(Path(name), files[name], key, first=extract.first)
        except JournalBrokenError as problem:
            yield error("bad-bundle", str(problem), hint=BadBundleError.hint, instance=instance)
            continue
        last = extract.first - 1 + len(chain.records)
        if (chain.head, last) != (extract.head, extract.last) or chain.truncated:
            words = f"{name} ends with record {last} and the head {chain.head}, and the manifest says otherwise"
            yield error("bad-bundle", words, hint=BadBundleError.hint, instance=instance)
            continue
        words = f"records {extract.first} to {extract.last}, head {extract.head}"
        yield note("journal-verified", f"{name}: {words}", instance=instance)
        yield _tell_seals(
            name, instance, keyed=all(record.is_keyed for record in chain.records), checked=key is not None
        )


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
    """Yield what a bundle cannot prove by its own word."""
    if manifest.cannot_prove:
        yield note(
            "cannot-prove",
            f"what it cannot prove: {', '.join(manifest.cannot_prove)}",
            hint="docs/evidence.md tells each",
        )
