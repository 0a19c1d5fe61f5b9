"""Answers are decoded by many threads at once, and decoders are made one thread at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from siteward.platforms import decode

if TYPE_CHECKING:
    import pytest


class Maker:
    """A stand-in for what makes decoders: counts who is inside, and takes its time there."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.made: list[object] = []
        self._count = threading.Lock()

    def __call__(self, kind: object) -> Any:
        with self._count:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.002)
        with self._count:
            self.inside -= 1
            self.made.append(kind)
        return Made(kind)


class Made:
    """A decoder that answers with its kind."""

    def __init__(self, kind: object) -> None:
        self.kind = kind

    def decode(self, _: bytes) -> object:
        return self.kind


def test_many_threads_make_each_decoder_once_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that want six kinds at once never meet in the maker, and no kind is made twice."""
    maker = Maker()
    monkeypatch.setattr(decode, "Decoder", maker)
    monkeypatch.setattr(decode, "_DECODERS", {})
    kinds = [list[item] for item in (int, str, bool, float, bytes, object)]  # type: ignore[valid-type]  # chosen at run time
    start = threading.Barrier(8)

    def work(first: int) -> list[object]:
        start.wait()
        return [decode.decoded(kinds[(first + at) % len(kinds)], b"[]") for at in range(len(kinds))]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert maker.most == 1
    assert sorted(map(str, maker.made)) == sorted(map(str, kinds))
    assert all(sorted(map(str, answers)) == sorted(map(str, kinds)) for answers in found)


def test_data_is_converted_only_once_the_decoder_of_its_kind_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Converting looks at the same types as decoding, so it waits for the same maker."""
    maker = Maker()
    monkeypatch.setattr(decode, "Decoder", maker)
    monkeypatch.setattr(decode, "_DECODERS", {})
    assert decode.converted(list[int], [1, 2]) == [1, 2]
    assert decode.converted(list[int], [3]) == [3]
    assert maker.made == [list[int]]
