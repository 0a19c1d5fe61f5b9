"""Bundles of evidence: what the journals say about a ticket, a person or a time, with what proves it.

A bundle is a flat folder: the history, the access before and after, steps, commits and approvals, and of each journal
an extract with every header of a stretch, so that its chain closes, and only the parts that concern the question. The
manifest has the SHA-256 of each file. Nothing is contacted.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from siteward import __version__
from siteward.access.codec import encode_resource
from siteward.access.diagnostic import warning
from siteward.access.documents import Evidence, Extract, Query, write_document
from siteward.access.model import account_of
from siteward.reconcile.events import Filter, histories, names_of
from siteward.reconcile.journal.chain import erase_parts
from siteward.reconcile.journal.entries import RunStarted
from siteward.reconcile.journal.files import write_flushed
from siteward.reconcile.journal.reading import STATES, path_of, read
from siteward.reconcile.journal.recorded import TELLING, state_before
from siteward.reconcile.journal.records import ACTOR, NOBODY
from siteward.reconcile.revisions.git import GitError, ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.event import Event
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.journal.chain import Part, Record
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.reconcile.project import Project

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = f"{MANIFEST}.sig"
NEVER_PROVEN: Final = ("cut-end", "approvals-as-told", "actor-as-told", "access-between-records")
_SEPARATOR, _FIELDS = "\x1f", ("commit", "author", "authored", "committer", "committed", "subject")


class Collected(Struct, frozen=True, kw_only=True):
    """What was found for a question: `files` by name, the `events` it is about, and what is said of the journals.

    `extracts` are those of the journals, by instance.
    """

    question: Question
    files: Mapping[str, bytes]
    extracts: Mapping[str, Extract]
    events: tuple[Event, ...]
    said: tuple[Diagnostic, ...]


class Question(Struct, frozen=True, kw_only=True):
    """What a bundle is to answer: a ticket, a user, or a time from `since` to `until`; `made` is now."""

    ticket: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    made: datetime

    def filter(self, declaration: Declaration) -> Filter:
        """Return the events that are asked for, of a user by all names that the file has."""
        users = names_of(declaration, self.user) if self.user is not None else None
        return Filter(ticket=self.ticket, users=users, since=self.since, until=self.until)


def collect(project: Project, journals: Journals, instances: Sequence[Instance], question: Question) -> Collected:
    """Return what there is to a question; no events where the journals have none.

    A journal that is broken is an error in `said`, and nothing of it is in the files.
    """
    found = histories(journals, instances, question.filter(project.declaration))
    events, said = found.events, found.said
    broken = {told.instance for told in said if told.blocks}
    readable = (instance.name for instance in instances if instance.name not in broken)
    contents = {name: read(path_of(journals.folder, name), journals.key) for name in readable}
    files: dict[str, bytes] = {}
    extracts: dict[str, Extract] = {}
    for name, content in contents.items():
        own = [event for event in events if event.instance == name]
        if own:
            extract = _Extracting(content, own)
            if any(event.number <= content.older for event in own):
                said = (*said, _tell_older(name))
            files[journal_name(name)] = extract.content
            files[f"access-{name}.json"] = _write_json(extract.access)
            extracts[name] = extract.described
    files["approvals.json"] = _write_json(_find_approvals(contents, events))
    files["commits.json"] = _write_json(_find_commits(project.path.parent, events))
    return Collected(question=question, files=files, extracts=extracts, events=events, said=said)


def bundle(found: Collected, more: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return the files of a bundle by name: what was found, `more` files, and the manifest of all."""
    files, question = {**found.files, **more}, found.question
    manifest = Evidence(
        made=question.made, tool=__version__, privacy="full", instances=found.extracts,
        query=Query(ticket=question.ticket, user=question.user, since=question.since, until=question.until),
        files={name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        cannot_prove=tuple(_list_unproven(found)),
    )  # fmt: skip
    return {**files, MANIFEST: write_document(manifest)}


def journal_name(instance: str) -> str:
    """Return the name of the file with the extract of an instance's journal."""
    return f"journal-{instance}.jsonl"


def _tell_older(instance: str) -> Diagnostic:
    words = "some of this is told by the older file of the journal alone, which no extract proves"
    return warning("older-not-proven", words, hint="give that file on as it is: <instance>.1.jsonl", instance=instance)


def _list_unproven(found: Collected) -> Iterator[str]:
    yield from NEVER_PROVEN
    extracts = found.extracts
    if any(said.code == "older-not-proven" for said in found.said):
        yield "what-the-older-file-says"
    if any(not extract.sealed for extract in extracts.values()):
        yield "who-wrote-unsealed-records"
    if any(extract.unread for extract in extracts.values()):
        yield "what-was-not-read"


class _Extracting:
    """The extract of one journal for some events: every header, and the parts that concern them.

    `access` is the access of the accounts concerned before and after; `described` is what the manifest says.
    """

    def __init__(self, content: JournalContent, events: Sequence[Event]) -> None:
        names = {event.account for event in events} | {event.person for event in events if event.person}
        gone = [
            record.line - len(record.parts) + place
            for record in content.chain.records
            for place, part in record.number_parts()
            if not _belongs(part, names)
        ]
        self.content = erase_parts(content.data[: content.chain.size], gone)
        self.access = find_access(content.standing.path, content.chain.records, content.older, events)
        unread = sorted({name for entry in content.entries if isinstance(entry, STATES) for name in entry.unread})
        self.described = Extract(
            first=1, last=len(content.chain.records), head=content.chain.head,
            sealed=all(record.is_keyed for record in content.chain.records), unread=tuple(unread),
        )  # fmt: skip


def _belongs(part: Part, names: set[str]) -> bool:
    """Return whether a part is one of these accounts', says who ran something, or tells of groups; else it is left out."""
    if part["part"] == NOBODY:
        return not part.keys().isdisjoint({"steps", "state", "ours", "others"})
    return part["part"] in names or part["part"] == ACTOR


def find_access(path: Path, records: Sequence[Record], older: int, events: Sequence[Event]) -> dict[str, Any]:
    """Return the access of the accounts concerned as recorded before the first event and after the last.

    `None` stands where there is no record of it; `older` is the number of entries before the first of the records.
    """
    names = {event.account for event in events}
    first, last = min(event.number for event in events) - older, max(event.number for event in events) - older
    states = [place for place, record in enumerate(records, start=1) if record.header["kind"] in TELLING]
    before = max((place for place in states if place < first), default=None)
    after = min((place for place in states if place >= max(last, 1)), default=None)
    return {name: _hold(path, records, place, names) for name, place in (("before", before), ("after", after))}


def _hold(path: Path, records: Sequence[Record], place: int | None, names: set[str]) -> list[Any] | None:
    if place is None:
        return None
    state = state_before(path, records, place)
    return [encode_resource(state[key]) for key in sorted(state) if account_of(key) in names]


def _find_approvals(contents: Mapping[str, JournalContent], events: Sequence[Event]) -> list[Any]:
    """Return who ran and approved the runs concerned, as told."""
    runs = {event.ran.run for event in events if event.ran is not None}
    found = []
    for name, content in contents.items():
        for entry in content.entries:
            if isinstance(entry, RunStarted) and entry.run in runs and entry.actor is not None:
                told = entry.actor
                approvals = json.loads(write_document(told.approvals)) if told.approvals is not None else None
                found.append(
                    {"instance": name, "run": entry.run, "actor": told.actor, "how": told.how,
                     "triggered_by": told.triggered_by, "run_url": told.run_url, "approvals": approvals}
                )  # fmt: skip
    return found


def _find_commits(folder: Path, events: Sequence[Event]) -> list[dict[str, str]]:
    """Return the commits of the runs concerned, as git has them; signatures are not checked."""
    found = []
    for commit in dict.fromkeys(event.ran.commit for event in events if event.ran is not None and event.ran.commit):
        told = {"commit": commit, "signature": "not checked"}
        try:
            shown = ask(
                folder,
                "show",
                "-s",
                "--no-show-signature",
                "--format=%H%x1f%an <%ae>%x1f%aI%x1f%cn <%ce>%x1f%cI%x1f%s",
                commit,
            )
        except GitError as problem:
            told["problem"] = str(problem)
        else:
            told |= dict(zip(_FIELDS, shown.decode(errors="replace").strip("\n").split(_SEPARATOR), strict=False))
        found.append(told)
    return found


def _write_json(data: object) -> bytes:
    return json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle into a new folder, 0700 with files 0600. Raises `OSError`, also where it is there already."""
    out.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        write_flushed(out / name, content)


def write_zip(out: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle into a new zip, 0600. Raises `OSError`, also where it is there already."""
    with out.open("xb") as file:
        out.chmod(0o600)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
