"""Five hundred stories with fixed seeds, so that a run of the tests is the same each time: `make chaos` plays others."""

from __future__ import annotations

from collections import Counter

import pytest

from chaos.__main__ import again, run
from chaos.story import CYCLE, release_of
from platforms.plausible.at import needs_postgres
from siteward import platforms

STORIES = 500
COMMUNITY = range(CYCLE - 1, STORIES, CYCLE)
"""The seeds about Community Edition, whose stand-in needs a database."""


def play(seed: int) -> list[str]:
    return [f"{words} ({again(seed)})" for words in run(seed).wrong]


@pytest.mark.parametrize("first", range(0, STORIES, CYCLE))
def test_bad_weather_breaks_no_promise(first: int) -> None:
    """Nothing unjournalled, nothing lost, nobody else touched, enough admins, and the same end or a reason."""
    assert [words for seed in range(first, first + CYCLE) if seed not in COMMUNITY for words in play(seed)] == []


@pytest.mark.parametrize("first", range(0, STORIES, 4 * CYCLE))
def test_bad_weather_breaks_no_promise_of_community_edition(first: int) -> None:
    """The same, by forms and a database."""
    needs_postgres()
    assert [words for seed in COMMUNITY[first // CYCLE : first // CYCLE + 4] for words in play(seed)] == []


def test_every_release_has_its_stories() -> None:
    """Twenty at least of the five hundred are about each release that has a stand-in."""
    counts = Counter(map(release_of, range(STORIES)))
    for name in platforms.names():
        for release in platforms.fake(name).releases:
            assert counts[name, release] >= 20, (name, release)
