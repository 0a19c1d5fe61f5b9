"""The documents that stand beside the journal: who approved a change, what a bundle of evidence holds, who reviews what.

Each is JSON with its `format`, and is read strictly: another format, or a member that is not known, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from siteward.access.serialize import CodecError, Data, UnknownMemberError, WithDefaults, shape


class Approval(WithDefaults, frozen=True, kw_only=True):
    """One approval, as the forge told it: by whom, when, and of which commit where the forge says so."""

    by: str
    at: datetime
    commit: str | None = None


class Approvals(WithDefaults, frozen=True, kw_only=True):
    """The approvals of one change, as the forge told them (`SITEWARD_APPROVALS`); nothing of it is proven."""

    format: Literal["siteward.approvals/1"] = "siteward.approvals/1"
    forge: Literal["github", "gitlab"]
    change: str
    head: str
    merged: str | None = None
    author: str | None = None
    merged_by: str | None = None
    approvals: tuple[Approval, ...]
    told_at: datetime
    run: str | None = None


class Query(Struct, frozen=True, kw_only=True):
    """The question that a bundle of evidence answers; what was not asked for is left out."""

    ticket: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Extract(WithDefaults, frozen=True, kw_only=True):
    """The part of one instance's journal in a bundle: its first and last record, its head, and what was not read."""

    first: int
    last: int
    head: str
    sealed: bool
    unread: tuple[str, ...] = ()


class Evidence(WithDefaults, frozen=True, kw_only=True):
    """The manifest of a bundle of evidence: what was asked, the SHA-256 of each file, and what it cannot prove."""

    format: Literal["siteward.evidence/1"] = "siteward.evidence/1"
    made: datetime
    tool: str
    query: Query
    privacy: Literal["full", "handles", "counts"]
    instances: Mapping[str, Extract]
    files: Mapping[str, str]
    cannot_prove: tuple[str, ...] = ()


class Assignment(WithDefaults, frozen=True, kw_only=True):
    """The sheet of one reviewer: its file, the number of items on it, and its SHA-256."""

    reviewer: str
    file: str
    items: int
    sha256: str


class ReviewRound(WithDefaults, frozen=True, kw_only=True):
    """One round of an access review: until when it is due, of which state (`digest`), and its sheets."""

    format: Literal["siteward.review-round/1"] = "siteward.review-round/1"
    name: str
    made: datetime
    due: str
    digest: str
    sheets: tuple[Assignment, ...]


DOCUMENTS: Final[Mapping[str, tuple[type, str]]] = {
    "approvals": (Approvals, "The approvals of a change, as the forge told them"),
    "evidence": (Evidence, "The manifest of a bundle of evidence"),
    "review": (ReviewRound, "A round of an access review"),
}
"""The documents by name, each with the title of its schema."""
_Document = TypeVar("_Document", Approvals, Evidence, ReviewRound)


def write_document(document: Approvals | Evidence | ReviewRound) -> bytes:
    """Return a document as JSON with sorted members and a line feed at its end."""
    return msgspec.json.encode(shape(type(document)).encode(document), order="deterministic") + b"\n"


def read_document(content: bytes, kind: type[_Document]) -> _Document:
    """Return the document that some bytes hold.

    Raises `UnknownMemberError` for another format or a member that this version does not know, and `CodecError` for
    what is no such document.
    """
    try:
        data: Data = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CodecError("", "this is not valid JSON") from None
    wanted = msgspec.structs.fields(kind)[0].default
    name = data.get("format") if isinstance(data, dict) else None
    if name != wanted:
        raise UnknownMemberError("/format", f"should be {wanted}, and is {name}")
    document: _Document = shape(kind).decode(data, "")
    return document


def document_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document of `DOCUMENTS`."""
    kind, title = DOCUMENTS[name]
    defs: dict[str, Data] = {}
    shape(kind).schema(defs)
    record = defs.pop(kind.__name__)
    record["properties"]["format"] = {"const": msgspec.structs.fields(kind)[0].default}
    record["required"] = ["format", *record["required"]]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **record}
    return schema | ({"$defs": dict(sorted(defs.items()))} if defs else {})
