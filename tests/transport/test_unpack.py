"""Answers are bounded after unpacking, and whole or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import httpx
import pytest

from siteward.transport.errors import NotThePlatformError, OutcomeUnknownError, UnreachableError
from siteward.transport.http import Doors, open_doors
from transport.servers import READS, link

LIMIT = 10_000
FINE = b'{"fine": true}'


def pieces(body: bytes, size: int = 7) -> Iterator[bytes]:
    """Yield a body as a network does: in pieces that heed nothing."""
    return (body[at : at + size] for at in range(0, len(body), size))


def answering(body: bytes, *codings: str, size: int = 7) -> Doors:
    """Return the doors to a server that answers with these bytes, coded as it says."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers.get_list("accept-encoding") == ["gzip"]
        headers = [("Content-Encoding", coding) for coding in codings]
        return httpx.Response(200, headers=headers, content=pieces(body, size))

    return open_doors(link(handle, size=LIMIT), reads=READS)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZip "])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_packed_answer_is_unpacked(coding: str, size: int) -> None:
    """However it is cut on its way."""
    with answering(gzip.compress(FINE), coding, size=size) as open_:
        answer = open_.reader.query("/api/x")
    assert answer.json() == {"fine": True}
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == str(len(FINE))


def test_members_one_after_another_are_one_body() -> None:
    """RFC 1952 allows it, and half an answer is none."""
    with answering(gzip.compress(FINE[:5]) + gzip.compress(b"") + gzip.compress(FINE[5:]), "gzip") as open_:
        assert open_.reader.query("/api/x").content == FINE


@pytest.mark.parametrize("codings", [(), ("identity",), ("gzip",)])
def test_an_empty_body_is_empty(codings: tuple[str, ...]) -> None:
    """Whatever its headers say."""
    with answering(b"", *codings) as open_:
        assert open_.reader.query("/api/x").content == b""


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(("length", "taken"), [(LIMIT, True), (LIMIT + 1, False), (LIMIT * 20, False)])
def test_the_bound_holds_for_what_is_unpacked(length: int, taken: bool, size: int) -> None:  # noqa: FBT001 — a table
    """A small answer does not become a big one."""
    packed = gzip.compress(bytes(length))
    assert len(packed) < LIMIT
    with answering(packed, "gzip", size=size) as open_:
        if taken:
            assert open_.reader.query("/api/x").content == bytes(length)
        else:
            with pytest.raises(NotThePlatformError, match="longer than 10000 bytes"):
                open_.reader.query("/api/x")
            with pytest.raises(OutcomeUnknownError):
                open_.writer.command("POST", "/api/x")


def test_the_bound_holds_for_many_members_and_for_what_is_packed() -> None:
    """Neither many small ones nor ones of nothing get around it."""
    for body in (gzip.compress(bytes(LIMIT // 2)) * 3, gzip.compress(b"") * LIMIT):
        with answering(body, "gzip", size=4096) as open_, pytest.raises(NotThePlatformError, match="longer"):
            open_.reader.query("/api/x")


WHOLE = gzip.compress(FINE * 20, mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        *(WHOLE[:-cut] for cut in (1, 4, 8, 12, len(WHOLE) - 3)),
        WHOLE[:-8] + bytes(8),
        WHOLE + b"more",
        WHOLE + WHOLE[:-1],
        FINE,
        zlib.compress(FINE),
    ],
    ids=str.split("cut1 cut4 cut8 cut12 head sum more half-member plain zlib"),
)
def test_a_damaged_answer_is_no_answer(body: bytes) -> None:
    """Never a part of it: what is absent from half a list is not absent."""
    with answering(body, "gzip") as open_:
        with pytest.raises(UnreachableError, match="could not be read"):
            open_.reader.query("/api/x")
        with pytest.raises(OutcomeUnknownError, match="was lost"):
            open_.writer.command("POST", "/api/x")


@pytest.mark.parametrize(
    "codings", [("gzip", "gzip"), ("gzip, gzip",), ("deflate",), ("br",), ("gzip, identity",), ("x",)]
)
def test_only_one_coding_is_taken(codings: tuple[str, ...]) -> None:
    """What was not asked for is not unpacked."""
    with answering(gzip.compress(WHOLE), *codings) as open_, pytest.raises(UnreachableError, match="could not be read"):
        open_.reader.query("/api/x")
