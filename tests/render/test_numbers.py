"""The numbers of every output are the summary's, and the exit code is the report's."""

from __future__ import annotations

import json
import re
from html import unescape
from xml.etree import ElementTree as ET

import pytest

from render.reports import REPORTS, five_thousand, plan_everything
from siteward.access.report import Report, Summary, exit_code, summarize
from siteward.render import Options, render

# How each number is told in words; what is zero is not told.
TOLD = {
    "accounts_created": r"(\d+) accounts? to create",
    "accounts_deleted": r"(\d+) accounts? to delete",
    "grants_added": r"(\d+) grants? to add",
    "grants_raised": r"(\d+) to raise",
    "grants_lowered": r"(\d+) to lower",
    "grants_revoked": r"(\d+) to revoke",
    "other_changes": r"(\d+) other changes?",
    "blocked": r"(\d+) blocked",
    "people": r"(\d+) (?:person|people) and",
    "sites": r"and (\d+) sites? affected",
    "powers_raised": r"(\d+) privileges? increased",
    "admins_gained": r"(\d+) admins? gained",
    "admins_lost": r"(\d+) admins? lost",
    "losing_everything": r"(\d+) (?:person|people) losing all access",
    "mails": r"(\d+) mails? to be sent",
    "held_back": r"(\d+) (?:skipped|held back)",
    "waiting": r"(\d+) waiting for",
    "unmanaged": r"(\d+) unmanaged accounts?",
    "unmanaged_admins": r"(\d+) admins? among them",
    "ignored": r"(\d+) accounts? ignored",
    "unread": r"(\d+) instances? not read",
    "unreadable": r"(\d+) listings? not read",
    "blind": r"(\d+) blind spots?",
}
HEADLINE = (
    "accounts_created",
    "grants_added",
    "grants_raised",
    "grants_lowered",
    "grants_revoked",
    "other_changes",
    "blocked",
    "unread",
)
PLANS = ["plan-everything", "plan-empty", "plan-unread", "plan-unreachable", "plan-observed", "plan-over-budget"]


def told(text: str, names: tuple[str, ...] = tuple(TOLD)) -> dict[str, int]:
    found = {name: re.search(TOLD[name], text) for name in names}
    return {name: int(match.group(1)) if match else 0 for name, match in found.items()}


def wanted(summary: Summary, names: tuple[str, ...] = tuple(TOLD)) -> dict[str, int]:
    return {name: getattr(summary, name) for name in names}


def total(form: str, text: str) -> str:
    """The part of an output that speaks of the whole."""
    match form:
        case "text":
            return text[text.rindex("Plan:") :]
        case "markdown":
            return text[text.index("### Access") : text.find("\n- `")]
        case _:
            return unescape(text[text.index("<header>") : text.index("</header>")])


@pytest.mark.parametrize("privacy", ["full", "handles", "counts"])
@pytest.mark.parametrize("form", ["text", "markdown", "html"])
@pytest.mark.parametrize("name", PLANS)
def test_outputs_for_people_tell_the_numbers_of_the_summary(name: str, form: str, privacy: str) -> None:
    report = REPORTS[name]()
    text = total(form, render(form, report, Options(privacy=privacy)))  # type: ignore[arg-type]  # the parameters are the literal's
    assert told(text) == wanted(summarize(report))


@pytest.mark.parametrize("privacy", ["full", "handles", "counts"])
@pytest.mark.parametrize("report", [build() for build in REPORTS.values()], ids=REPORTS)
def test_outputs_for_machines_carry_the_summary_itself(report: Report, privacy: str) -> None:
    options = Options(privacy=privacy)  # type: ignore[arg-type]  # the parameters are the literal's
    summary = {name: getattr(summarize(report), name) for name in Summary.__struct_fields__}
    numbers = json.loads(
        json.dumps({**summary, "drift": dict(summary["drift"]), "outcomes": dict(summary["outcomes"])})
    )
    document = json.loads(render("json", report, options))
    assert document["summary"] == numbers
    assert (
        document["plan"] is None or privacy == "counts" or document["plan"]["summary"]["creates"] == numbers["creates"]
    )
    assert document["exit_code"] == exit_code(report)
    run = json.loads(render("sarif", report, options))["runs"][0]
    assert run["properties"] == {"exitCode": exit_code(report), "summary": numbers, "omitted": 0}


@pytest.mark.parametrize("name", PLANS)
def test_logs_and_widgets_tell_the_headline(name: str) -> None:
    report = REPORTS[name]()
    summary = summarize(report)
    assert told(render("github", report), HEADLINE) == wanted(summary, HEADLINE)
    suite = ET.fromstring(render("junit", report))
    properties = {element.get("name"): element.get("value") for element in suite.iter("property")}
    assert told(properties["plan"] or "", HEADLINE) == wanted(summary, HEADLINE)
    assert properties["exit_code"] == str(exit_code(report))
    widget = json.loads(render("gitlab-plan", report))
    assert widget == {"create": summary.creates, "update": summary.updates, "delete": summary.deletes}


@pytest.mark.parametrize("form", ["text", "markdown", "html", "junit", "github"])
def test_results_and_drift_tell_the_numbers_of_the_summary(form: str) -> None:
    for name, field in (("apply-partial", "outcomes"), ("drift", "drift")):
        report = REPORTS[name]()
        text = render(form, report)
        counts = getattr(summarize(report), field)
        words = {"done": "applied", "already": "already as wanted"} if field == "outcomes" else {}
        for kind, count in counts.items():
            said = f"{words.get(kind, kind)} {count}" if field == "outcomes" else f"{count} {DRIFT[kind]}"
            assert said in unescape(text), said


DRIFT = {
    "changed-since": "changed since the last apply",
    "undeclared": "live and not in the file",
    "unapplied": "declared and not applied yet",
}


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_errors_and_warnings_are_counted_once(form: str) -> None:
    report = REPORTS["validate-errors"]()
    assert "3 errors, 1 warning" in render(form, report)


def test_each_instance_tells_its_own_numbers() -> None:
    report = plan_everything()
    text = render("text", report)
    first, second = text.split("\nmatomo-eu  ")
    assert told(first, HEADLINE) == wanted(summarize(report), HEADLINE)
    assert "no changes" in second[: second.index("\n\n")]


def test_five_thousand_changes_are_counted_the_same_everywhere() -> None:
    report = five_thousand()
    for form in ("text", "markdown", "html"):
        assert told(total(form, render(form, report))) == wanted(summarize(report))
