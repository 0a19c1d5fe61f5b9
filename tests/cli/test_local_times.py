"""People read moments and days in the policy's time zone, in every answer; programs read them in UTC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cli.conftest import AS_OF

if TYPE_CHECKING:
    from cli.conftest import Program

IN_UTC = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z|\d{4}-\d\d-\d\d UTC")
FORMS = {
    ("matrix", *AS_OF): ("text", "html"),
    ("review", *AS_OF): ("text", "html"),
    ("explain", "jonas", "staging.example.org", *AS_OF): ("text",),
    ("explain", "vera", "staging.example.org", *AS_OF): ("text",),
    ("who-can", "view", "staging.example.org", *AS_OF): ("text",),
    ("plan", *AS_OF): ("text", "markdown", "html"),
    ("drift", *AS_OF): ("text", "markdown", "html"),
    ("offboard", "jonas"): ("markdown",),
}


@pytest.mark.parametrize("verb", FORMS, ids=lambda verb: " ".join(verb[:2]))
def test_no_answer_for_people_has_a_moment_in_utc(verb: tuple[str, ...], checkout: Program) -> None:
    for form in FORMS[verb]:
        out = checkout(*verb, "-v", "-f", form).out
        assert out
        assert not IN_UTC.search(out), (form, IN_UTC.search(out))


@pytest.mark.parametrize("verb", ["matrix", "review"])
def test_the_moment_has_the_offset_of_the_zone(verb: str, checkout: Program) -> None:
    assert "2026-12-01 12:00+01:00" in checkout(verb, *AS_OF, "-f", "html").out


def test_an_end_is_the_day_in_the_file(checkout: Program) -> None:
    """The last day on which something holds, and not the midnight after it."""
    for verb in ("matrix", "review"):
        out = checkout(verb, *AS_OF, "-v").out
        assert "ends 2027-02-28" in out
        assert "2027-03-01" not in out
    assert "until 2027-02-28" in checkout("explain", "jonas", "staging.example.org", *AS_OF).out


def test_programs_read_utc(checkout: Program) -> None:
    """The moments of JSON and CSV end in Z, whatever the zone."""
    for verb in ("matrix", "review"):
        data = checkout(verb, *AS_OF, "-f", "json").json()
        assert data["as_of"] == "2026-12-01 11:00Z"
        table = checkout(verb, *AS_OF, "-f", "csv").out
        assert "2027-02-28 23:00Z" in table
        assert "+01:00" not in table


def test_without_a_zone_a_day_says_that_it_is_one_in_utc(checkout: Program) -> None:
    path = checkout.folder / "access.yaml"
    text = path.read_text(encoding="utf-8")
    assert "  timezone: Europe/Berlin\n" in text
    path.write_text(text.replace("  timezone: Europe/Berlin\n", ""), encoding="utf-8")
    assert "ends 2027-02-28 UTC" in checkout("matrix", *AS_OF).out
    assert "until 2027-02-28 UTC" in checkout("explain", "jonas", "staging.example.org", *AS_OF).out


def test_a_saved_plan_is_shown_in_the_zone_it_was_made_in(checkout: Program) -> None:
    """Also where there is no declaration; a zone that is not known there leaves UTC."""
    checkout("plan", *AS_OF, "--out", "plan.json")
    (checkout.folder / "access.yaml").unlink()
    shown = checkout("show", "plan.json", "-v")
    assert shown.code == 2
    assert "as of 2026-12-01 12:00+01:00" in shown.out
    assert not IN_UTC.search(shown.out)
