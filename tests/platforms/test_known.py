"""What each adapter states of its releases: how known, from what, when; and what `doctor` says of the one at hand."""

from __future__ import annotations

import re
from datetime import date

import pytest
from msgspec.structs import replace

from platforms.every import RELEASES, instance_of, lived_in
from siteward import platforms
from siteward.platforms.fakery import in_process, serve
from siteward.platforms.known import known_as

# Of these, and no others, the real server was driven and what it answered is replayed (`test_contract.py`).
DRIVEN = {"matomo": {"5.3", "4.16", "3.14", "2.18"}, "umami": {"3.2", "3.1", "2.20"}}


@pytest.mark.parametrize("name", platforms.names())
def test_what_is_known_has_a_source_and_a_date(name: str) -> None:
    table = platforms.load(name)
    assert {known.release for known in table.known if known.is_driven} == DRIVEN.get(name, set())
    for known in table.known:
        assert known.source
        assert date.fromisoformat(known.date) <= date(2026, 11, 29)
        assert known.is_driven == ("recorded" in known.how)


@pytest.mark.parametrize("name", platforms.names())
def test_sandboxes_begin_with_the_newest_that_was_driven(name: str) -> None:
    """It is what `sandbox` and `demo` take where nobody says."""
    releases = platforms.fake(name).releases
    assert platforms.load(name).releases == releases
    assert not DRIVEN.get(name) or set(releases[: len(DRIVEN[name])]) == DRIVEN[name]


@pytest.mark.parametrize(("name", "release"), RELEASES)
def test_a_release_at_hand_is_told_as_it_is_known(name: str, release: str) -> None:
    """Found out over a socket as `doctor` does."""
    fake = lived_in(name, release)
    with serve(fake) as served:
        instance = instance_of(fake, served.url, None)
        with instance.reading() as reader:
            traits, _ = instance.platform.probe(reader, instance.settings)
    told = known_as(instance.platform.known, traits)
    if release in DRIVEN.get(name, ()):
        assert re.search(r": driven live and recorded \(.+; 2026-11-2\d\)$", told), told
    else:
        assert re.search(r": read \(.+; 2026-11-28\), never driven live\. Please report what differs$", told), told


def test_a_release_that_nobody_has_read_about_is_told_as_such() -> None:
    fake = lived_in("matomo", "5.3")
    instance = instance_of(fake, "http://127.0.0.1:1", in_process(fake))
    with instance.reading() as reader:
        traits, _ = instance.platform.probe(reader, instance.settings)
    for version in ("6.1.0", "4.5.0"):
        told = known_as(instance.platform.known, replace(traits, version=version))
        assert told.startswith(f"release {version}: neither driven live nor read about; driven live were 5.3, 4.16")
    assert "neither" in known_as((), traits)
