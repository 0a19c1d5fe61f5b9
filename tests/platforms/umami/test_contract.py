"""The stand-in against what real Umami servers answered, exchange by exchange.

`SITEWARD_RECORDINGS=DIR` replays the recordings of another folder too (laid out as ours: 3.2 on top, other releases
in folders of their names).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from platforms.replay import Outcome, load, replay, unexpected
from platforms.umami.hooks import UmamiHooks

HERE = Path(__file__).parent / "recordings"
ELSEWHERE = Path(os.environ["SITEWARD_RECORDINGS"]) if "SITEWARD_RECORDINGS" in os.environ else None
FILES = [(HERE, path) for path in sorted(HERE.rglob("*.jsonl"))]
FILES += [(ELSEWHERE, path) for path in sorted(ELSEWHERE.rglob("*.jsonl"))] if ELSEWHERE else []

_DEV = "dev-2026-05-18/01_dev_tour.jsonl"
_COLUMN = "this build, between the releases, still calls the column replayEnabled; we stand in for the releases"
OUT_OF_REACH = {
    f"{_DEV}:22": _COLUMN,
    f"{_DEV}:23": _COLUMN,
    f"{_DEV}:26": _COLUMN,
    f"{_DEV}:38": "this build does not yet tie tokens to the password; 3.2.0 does",
    f"{_DEV}:40": _COLUMN,
    f"{_DEV}:41": "this build still tells currentVersion; 3.2.0 does not",
}


def _label(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


@pytest.mark.parametrize(("root", "path"), FILES, ids=lambda path: "/".join(path.with_suffix("").parts[-2:]))
def test_every_recorded_exchange_is_answered_as_recorded(root: Path, path: Path) -> None:
    """Status, keys, types, lengths and words are those of the real server; what is out of reach is listed."""
    wrong = unexpected(replay(path, UmamiHooks(), _label(root, path)), OUT_OF_REACH)
    assert not wrong, "\n".join(wrong)


def test_the_recordings_are_all_there() -> None:
    """Nothing is skipped for want of a file: so many exchanges were recorded, on so many builds."""
    found = [load(path, UmamiHooks(), _label(HERE, path)) for path in sorted(HERE.rglob("*.jsonl"))]
    assert (len(found), sum(map(len, found))) == (31, 1551)


def test_an_exception_that_is_not_needed_is_told() -> None:
    """A table of exceptions cannot outlive what it excuses, nor excuse what was never recorded."""
    matched = [Outcome(exchange, ()) for exchange in load(HERE / "12_scale_big_sql_seeded.jsonl", UmamiHooks())]
    listed = {"12_scale_big_sql_seeded.jsonl:1": "why", "12_scale_big_sql_seeded.jsonl:99": "why", "other:1": "why"}
    assert [difference.split(" is listed")[0] for difference in unexpected(matched, listed)] == [
        "12_scale_big_sql_seeded.jsonl:1",
        "12_scale_big_sql_seeded.jsonl:99",
    ]
    assert unexpected([Outcome(matched[0].exchange, ("status",))], {}) != []
