"""Moments move to a time zone wherever they stand in data; names, commands and places in it stay as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from render.ledgers import SOON, small
from render.reports import REPORTS
from siteward.access.change import Change
from siteward.access.diagnostic import Span, warning
from siteward.access.event import Event
from siteward.access.model import Account
from siteward.access.state import Origin
from siteward.render import Options, words
from siteward.render.history import render as history
from siteward.render.local_time import localized

BERLIN = "Europe/Berlin"


def test_a_moment_within_is_moved() -> None:
    ledger = localized(small(), BERLIN)
    jonas = next(entry for entry in ledger.entries if entry.handle == "jonas")
    assert jonas.until == SOON
    assert words.moment(jonas.until) == "2026-12-01 01:00+01:00"
    assert jonas.holdings[0].origin is not None
    assert jonas.holdings[0].origin.until == SOON
    assert ledger.entries[0] is small().entries[0] or ledger.entries[0] == small().entries[0]


def test_only_sentences_are_rewritten() -> None:
    """A ticket or a login that looks like a moment stays what it is."""
    text = "2026-12-01 11:00Z"
    origin = Origin(Span("access.yaml", 1, 1), ticket=text, reason=text)
    assert localized(origin, BERLIN) is origin
    said = warning("rule", f"since {text}", hint=f"look at {text}")
    assert localized(said, BERLIN).message == "since 2026-12-01 12:00+01:00"
    assert localized(said, BERLIN).hint == "look at 2026-12-01 12:00+01:00"


@pytest.mark.parametrize("zone", ["UTC", "Mars/Olympus", "../../etc/passwd", "", "/etc/passwd", "a\0b"])
def test_an_unknown_zone_leaves_utc(zone: str) -> None:
    report = REPORTS["plan-everything"]()
    assert localized(report, zone) is report


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_says_the_same_there_and_back(name: str) -> None:
    """No instant changes by being written elsewhere."""
    report = replace(REPORTS[name](), timezone=BERLIN)
    assert localized(localized(report, BERLIN), BERLIN) == localized(report, BERLIN)
    if report.plan:
        there = localized(report.plan, BERLIN)
        assert there.as_of == report.plan.as_of
        assert there.as_of.tzinfo == ZoneInfo(BERLIN)


def test_a_day_says_where_it_is_one() -> None:
    midnight = datetime(2027, 3, 1, tzinfo=UTC)
    assert words.end(midnight) == "2027-02-28 UTC"
    assert words.begin(midnight) == "2027-03-01 UTC"
    local = datetime(2027, 3, 1, tzinfo=ZoneInfo(BERLIN))
    assert words.end(local) == "2027-02-28"
    assert words.begin(local) == "2027-03-01"
    assert words.end(local.replace(hour=9)) == words.begin(local.replace(hour=9)) == "2027-03-01 09:00+01:00"


@pytest.mark.parametrize(
    ("fact", "day"),
    [("2026-11-29 00:39:17", "2026-11-29"), ("2024-01-12T08:00:00", "2024-01-12"), ("2024-03-01", "2024-03-01"), ("never", "never"), ("", "")],
)  # fmt: skip
def test_the_times_of_platforms_are_days(fact: str, day: str) -> None:
    assert words.day(fact) == day


def test_a_history_for_people_is_in_the_zone() -> None:
    """When, since when, and what is said of the journals; for programs all of it stays in UTC."""
    at = datetime(2026, 12, 1, 11, tzinfo=UTC)
    event = Event(
        at=at, since=at, instance="stats", number=1, is_sealed=False, kind="gained", account="anna", person="anna",
        change=Change(None, Account("anna")),
    )  # fmt: skip
    said = [warning("rule", "recorded on 2026-12-01 11:00Z")]
    for form in ("text", "json", "csv", "markdown", "html"):
        told = history([event], form, Options(), said, timezone=BERLIN)
        shown, hidden = ("11:00Z", "12:00+01:00") if form in {"json", "csv"} else ("12:00", "11:00Z")
        assert shown in told
        assert hidden not in told
