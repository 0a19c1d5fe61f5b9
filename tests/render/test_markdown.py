"""The review comment: always short enough, and never without what must not be missed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from render import reports
from render.reports import five_thousand, plan_everything
from siteward.access.diagnostic import Severity
from siteward.access.model import EVERYWHERE, Power
from siteward.access.report import Report
from siteward.render import render
from siteward.render.fitting import Block, fit
from siteward.render.markdown_escape import prose
from siteward.render.view import DANGER, planned

if TYPE_CHECKING:
    from siteward.access.plan import Step

LIMIT = 60_000


def in_comment(comment: str, step: Step) -> bool:
    """Tell whether a line outside every fold names both who and where."""
    open_ = re.sub(r"(?s)<details>.*?</details>", "", comment)
    who, where = step.change.key[2], step.change.key[4]
    return any(
        re.search(rf"\b{who}\b", line) and re.search(rf"\b{re.escape(where)}\b", line) for line in open_.splitlines()
    )


def steps(report: Report) -> tuple[Step, ...]:
    assert report.plan is not None
    return report.plan.instances[0].steps


def test_five_thousand_changes_fit_with_every_removal_and_escalation() -> None:
    report = five_thousand()
    comment = render("markdown", report)
    assert len(comment) <= LIMIT
    assert report.plan is not None
    danger = [item.step for item in planned(report.plan.instances) if item.band in DANGER]
    assert len(danger) > 500
    missing = [step.id for step in danger if not in_comment(comment, step)]
    assert not missing


def test_five_thousand_removals_fit_too() -> None:
    gone = tuple(
        reports.step(at, reports.grant(f"user{at % 1000}", reports.site(f"s{at // 1000}.example.org"), "team-member"), None,
                     cause="silence", person=f"user{at % 1000}", powers=(Power.EDIT, Power.NONE))
        for at in range(5000)
    )  # fmt: skip
    report = Report(command="plan", plan=reports.plan(reports.instance(*gone)))
    comment = render("markdown", report)
    assert len(comment) <= LIMIT
    assert all(in_comment(comment, step) for step in gone[::97])


def test_what_cannot_fit_is_said_to_be_missing() -> None:
    gone = tuple(
        reports.step(at, reports.grant(f"{at}{'n' * 200}", reports.site(f"{at}.example.org"), "team-member"), None, cause="silence",
                     powers=(Power.EDIT, Power.NONE))
        for at in range(2000)
    )  # fmt: skip
    comment = render(
        "markdown", Report(command="plan", plan=reports.plan(reports.instance(*gone)), next="siteward plan")
    )
    assert len(comment) <= LIMIT
    mark, hidden, notice, *_ = comment.splitlines()
    assert mark.startswith("<!-- siteward:plan ")
    assert hidden == "<!-- siteward:not-everything-fits -->"
    named = comment.count("`team-member → none`")
    assert named > 100
    assert notice.startswith(f"**Not everything fits: {2000 - named} changes of privileges and removals are not named")
    assert f"and {2000 - named} more changes, in the full report" in comment
    assert comment.rstrip().endswith("next: `siteward plan`")
    assert comment.count("<details>") == comment.count("</details>")


def test_what_is_blocked_gives_way_to_what_is_done() -> None:
    """However much is blocked before it, whoever becomes admin is named; the blocked lines that are missing are counted."""
    no = reports.said("protected", Severity.ERROR, "somebody else is asked first, as the policy says")
    stopped = tuple(
        reports.step(at, reports.grant(f"user{at}{'n' * 60}", reports.site(f"{at}.example.org"), "team-member"), None,
                     cause="silence", powers=(Power.EDIT, Power.NONE), at=reports.origin(at),
                     said=(replace(no, message=f"{no.message} {at}"),))
        for at in range(700)
    )  # fmt: skip
    boss = reports.step(
        1, None, reports.grant("zoe", EVERYWHERE, "admin"), person="zoe", raises=True, risk="high",
        powers=reports.ADMIN, at=reports.origin(3),
    )  # fmt: skip
    plan = reports.plan(reports.instance(*stopped), reports.instance(boss, instance="tags"))
    comment = render("markdown", Report(command="plan", plan=plan))
    assert len(comment) <= LIMIT
    assert "not-everything-fits" not in comment
    assert comment.index("`zoe`") < comment.index("⊘ Blocked")
    shown = comment.count("| ⊘ ")
    assert 100 < shown < 700
    assert f"and {700 - shown} more changes, in the full report" in comment


def test_a_small_plan_is_told_whole() -> None:
    comment = render("markdown", plan_everything())
    assert "in the full plan" not in comment
    for step in steps(plan_everything()):
        assert step.change.key[-1] in comment or step.change.key[1] in comment


def test_routine_is_folded_and_danger_is_not() -> None:
    comment = render("markdown", plan_everything())
    open_ = re.sub(r"(?s)<details>.*?</details>", "", comment)
    assert "editor-0" not in open_
    for phrase in ("root", "e.berg", "jonas", "old-agency", "**⊘ Blocked**"):
        assert phrase in open_


def test_the_mark_finds_the_comment_again() -> None:
    first = render("markdown", plan_everything())
    assert first.startswith("<!-- siteward:plan stats matomo-eu ")
    assert render("markdown", Report(command="validate")).startswith("<!-- siteward:validate -->")
    assert render("markdown", reports.drift()).startswith("<!-- siteward:drift")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("name a file with `--passwords-out FILE`", "name a file with <code>&#45;&#45;passwords&#45;out FILE</code>"),
        ("`siteward who-can` shows who; `native: true`", "`siteward who-can` shows who; `native: true`"),
        ("one ` alone", "one <code>&#96;</code> alone"),
        ("an empty pair ``", "an empty pair <code>&#96;&#96;</code>"),
        ("`@all` and @all", "<code>&#64;all</code> and <code>&#64;all</code>"),
    ],
)
def test_what_stands_in_backquotes_is_one_piece_of_code(text: str, shown: str) -> None:
    """Without the backquotes, which a reader would see otherwise."""
    assert prose(text) == shown


@pytest.mark.parametrize("cell", ["a|b", "`x`", "a\\|b", "<b>"])
def test_a_name_does_not_break_its_table(cell: str) -> None:
    step = reports.step(1, None, reports.grant(cell, reports.site(cell), cell), risk="high", raises=True)
    comment = render("markdown", Report(command="plan", plan=reports.plan(reports.instance(step))))
    rows = [line for line in comment.splitlines() if line.startswith("| ❗")]
    assert len(rows) == 1
    assert rows[0].count("|") == 6


def test_blocks_give_way_by_rank_and_take_back_what_room_is_left() -> None:
    blocks = (Block(("head",)), Block(("a" * 50, "a" * 20, "a"), 0), Block(("b" * 50, "b"), 3))
    assert fit(blocks, 1000).text == f"head\n\n{'a' * 50}\n\n{'b' * 50}"
    assert fit(blocks, 90).text == f"head\n\n{'a' * 20}\n\n{'b' * 50}"
    assert fit(blocks, 40).text == f"head\n\n{'a' * 20}\n\nb"
    assert fit(blocks, 5).text == "head\n\na\n\nb"
    assert fit((replace(blocks[1], forms=("x", "")), blocks[0]), 8).text == "head"
