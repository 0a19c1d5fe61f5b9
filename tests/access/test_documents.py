"""The documents beside the journal: what is written is read, and what is none of them is refused in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteward.access.documents import (
    DOCUMENTS,
    Approvals,
    Evidence,
    ReviewRound,
    document_schema,
    read_document,
    write_document,
)
from siteward.access.serialize import CodecError

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLD: Mapping[str, dict[str, Any]] = {
    "approvals": {
        "format": "siteward.approvals/1", "forge": "github", "change": "https://forge.test/pull/12", "head": "ab",
        "merged": "cd", "author": "ben-cole", "merged_by": "anna-berg", "told_at": "2026-12-01T09:00:00Z",
        "approvals": [{"by": "anna-berg", "at": "2026-12-01T09:00:00Z", "commit": None}], "run": "https://forge.test/1",
    },
    "evidence": {
        "format": "siteward.evidence/1", "made": "2026-12-01T09:00:00Z", "tool": "0.2.0", "query": {"ticket": "OPS-2"},
        "privacy": "full", "cannot_prove": ["cut-end", "approvals-as-told"], "files": {"history.csv": "ab"},
        "instances": {"stats": {"first": 17, "last": 418, "head": "ef", "sealed": True, "unread": []}},
    },
    "review": {
        "format": "siteward.review-round/1", "name": "q1", "made": "2026-12-01T09:00:00Z", "due": "2027-01-31", "digest": "ab",
        "sheets": [{"reviewer": "anna", "file": "anna.csv", "items": 212, "sha256": "cd"}],
    },
}  # fmt: skip
KINDS: Mapping[str, Any] = {name: kind for name, (kind, _) in DOCUMENTS.items()}


@pytest.mark.parametrize("name", TOLD)
def test_a_document_is_read_written_and_described(name: str) -> None:
    """Its schema takes it, and what is written again is the same."""
    data = TOLD[name]
    jsonschema.validate(data, document_schema(name))
    document: Approvals | Evidence | ReviewRound = read_document(json.dumps(data).encode(), KINDS[name])
    assert json.loads(write_document(document)) == data
    assert read_document(write_document(document), KINDS[name]) == document


@pytest.mark.parametrize("name", TOLD)
def test_what_is_no_such_document_is_refused(name: str) -> None:
    """By its schema and by its reader: another format, a member too many or too few."""
    data = TOLD[name]
    newer = {**data, "format": data["format"].replace("/1", "/2")}
    more = {**data, "mood": "good"}
    less = [{key: value for key, value in data.items() if key != gone} for gone in document_schema(name)["required"]]
    for wrong in (newer, more, *less, [data], "text"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, document_schema(name))
        with pytest.raises(CodecError):
            read_document(json.dumps(wrong).encode(), KINDS[name])
    with pytest.raises(CodecError, match="not valid JSON"):
        read_document(b"{", KINDS[name])


@given(st.sampled_from(sorted(TOLD)), st.data())
def test_reader_and_schema_agree(name: str, data: st.DataObject) -> None:
    """Law: what the reader takes, the schema takes too."""
    wrong = dict(TOLD[name])
    member = data.draw(st.sampled_from(sorted(wrong)))
    wrong[member] = data.draw(st.sampled_from([None, 1, "x", [], {}, [{}], {"stats": {}}]))
    try:
        read_document(json.dumps(wrong).encode(), KINDS[name])
    except CodecError:
        return
    jsonschema.validate(wrong, document_schema(name))
