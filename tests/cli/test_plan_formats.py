"""Saved plans of other formats than today's, and today's in other clothes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.conftest import AS_OF, Program
from siteward.platforms.fakery import Sandbox

FORMER = Path(__file__).parents[1] / "access" / "plan-1.json"


def test_a_plan_of_the_former_format_is_shown(program: Program) -> None:
    """In any format, with the digest by which it was reviewed."""
    shutil.copy(FORMER, program.folder / "plan.json")
    digest = json.loads(FORMER.read_text())["digest"]
    text = program("show", "plan.json")
    assert (text.code, digest in text.out, "jonas" in text.out) == (3, True, True)
    assert program("show", "plan.json", "--format", "json").json()["plan"]["digest"] == digest


def test_a_plan_of_the_former_format_is_not_applied(checkout: Program, umami: Sandbox) -> None:
    """It is said what to do instead, and nothing is written, to the server or here."""
    shutil.copy(FORMER, checkout.folder / "plan.json")
    before = sorted(checkout.folder.rglob("*"))
    refused = checkout("apply", "plan.json", *AS_OF, "--yes")
    assert refused.code == 1
    assert "siteward.plan/1 is the former format" in refused.out
    assert "plan again: siteward plan --out plan.json" in refused.out
    assert umami.fake.writes == 0
    assert sorted(checkout.folder.rglob("*")) == before


@pytest.mark.parametrize("verb", ["show", "apply"])
@pytest.mark.parametrize("text", ['{"format":"siteward.plan/3","tables":{}}', '{ "format": "siteward.plan/3" }'])
def test_a_plan_of_a_newer_format_is_refused_in_words(text: str, verb: str, checkout: Program) -> None:
    """It is the program that is too old, not the plan."""
    checkout.write(text, "plan.json")
    refused = checkout(verb, "plan.json")
    assert refused.code == 1
    assert "siteward.plan/3 may be of a newer version" in refused.out


def test_a_plan_that_was_written_anew_is_refused(checkout: Program) -> None:
    """By an editor or a formatter: the digest is over the bytes."""
    checkout("plan", *AS_OF, "--out", "plan.json")
    whole = (checkout.folder / "plan.json").read_text()
    for other in (json.dumps(json.loads(whole), indent=2), whole + "\n", json.dumps(json.loads(whole), sort_keys=True)):
        checkout.write(other, "plan.json")
        refused = checkout("show", "plan.json")
        assert (refused.code, "plan-unreadable" in refused.out) == (1, True)


def test_a_plan_within_a_report_is_read(checkout: Program) -> None:
    """As `--format json` gives it; a report of the former format is not."""
    report = checkout("plan", *AS_OF, "--format", "json")
    checkout.write(report.out, "report.json")
    shown = checkout("show", "report.json", "--format", "json")
    assert shown.json()["plan"] == report.json()["plan"]
    checkout.write(report.out.replace("siteward.report/2", "siteward.report/1"), "report.json")
    assert checkout("show", "report.json").code == 1
