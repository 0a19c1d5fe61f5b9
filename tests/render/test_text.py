"""Text for people: danger first, whole lines, the same words with and without colour."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from render import reports
from render.reports import REPORTS, five_thousand, plan_everything
from siteward.access.diagnostic import Severity, Span
from siteward.access.model import EVERYWHERE, Account, Grant, Power, Subject
from siteward.access.plan import UnmanagedAccount
from siteward.access.report import DriftItem, Report
from siteward.access.state import Listing
from siteward.render import Options, render
from siteward.render.safe import cells, excerpt
from siteward.render.view import REPORTED, Band, sections

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def text(report: Report, **options: object) -> str:
    return render("text", report, replace(Options(), **options))


@pytest.mark.parametrize("name", REPORTS)
def test_colour_changes_nothing_but_colour(name: str) -> None:
    report = REPORTS[name]()
    assert ESCAPES.sub("", text(report, color=True)) == text(report)


def test_danger_comes_first() -> None:
    shown = text(plan_everything())
    at = [shown.index(f"\n{band.heading}\n") for band in Band if band is not Band.RISKY]
    assert at == sorted(at)
    assert at[-1] < shown.index(f"\n{REPORTED}\n")


def test_bands_are_about_the_step_and_what_a_new_account_gets_stays_with_it() -> None:
    whole = (reports.instance(*reports.everything_steps()),)
    found = {section.band: [item.step.id for item in section.steps] for section in sections(whole)}
    assert found[Band.BLOCKED] == ["s9"]
    assert found[Band.RAISED] == ["s5", "s4"]
    assert found[Band.REMOVED] == ["s7", "s6", "s8"]
    assert found[Band.EXTERNAL] == ["s10"]
    assert found[Band.CREATED] == ["s1", "s2", "s3"]


def test_every_step_is_in_exactly_one_band() -> None:
    steps = reports.everything_steps()
    found = sections((reports.instance(*steps),))
    assert sorted(item.step.id for section in found for item in section.steps) == sorted(step.id for step in steps)


def test_every_line_has_its_cause() -> None:
    shown = text(plan_everything())
    assert "access.yaml:40 · IAM-1" in shown
    assert "teams/shop.yaml:31 · via group shop-leads · OPS-812" in shown
    assert "access.yaml:13 · expired · external" in shown
    assert "not in the file" in shown


@pytest.mark.parametrize("width", [None, 20, 60, 200])
def test_no_width_cuts_a_name(width: int | None) -> None:
    long = "x" * 200
    step = reports.step(
        1, None, reports.grant(long, reports.site(long + ".example.org"), "team-member"), person="p" * 90
    )
    shown = text(Report(command="plan", plan=reports.plan(reports.instance(step))), width=width)
    for name in (long, long + ".example.org", "p" * 90, "team-member"):
        assert name in shown


def test_columns_line_up_also_under_wide_characters() -> None:
    steps = [
        reports.step(at, None, reports.grant(name, reports.site("a.example.org"), f"role{at}"), risk="medium")
        for at, name in enumerate(["漢字", "anna", "émile"])
    ]
    shown = text(Report(command="plan", plan=reports.plan(reports.instance(*steps))))
    lines = [line for line in shown.splitlines() if "a.example.org" in line]
    assert len(lines) == 3
    assert len({cells(line[: line.index("a.example.org")]) for line in lines}) == 1


def test_one_long_name_does_not_push_the_others_away() -> None:
    steps = [
        reports.step(at, None, reports.grant(name, reports.site("a.example.org"), "view"), risk="medium")
        for at, name in enumerate(["n" * 300, "anna"])
    ]
    shown = text(Report(command="plan", plan=reports.plan(reports.instance(*steps))))
    line = next(line for line in shown.splitlines() if "anna" in line)
    assert len(line) < 60


def test_quiet_keeps_danger_and_numbers() -> None:
    shown = text(plan_everything(), quiet=True)
    for phrase in ("Blocked", "Privilege increased", "Access taken or lowered", "Plan: ", "exit "):
        assert phrase in shown
    for word in ("Routine", "New accounts", "old-agency", "sends an invitation"):
        assert word not in shown


def test_verbose_lists_what_is_folded() -> None:
    assert "editor-11" not in text(plan_everything())
    assert "12 grants, 12 people on wiki.example.org" in text(plan_everything())
    assert "editor-11" in text(plan_everything(), verbose=True)


def test_plain_text_has_words_for_every_sign() -> None:
    shown = text(plan_everything(), plain=True) + text(REPORTS["apply-partial"](), plain=True)
    assert shown.isascii()
    for phrase in (
        "BLOCKED revoke",
        "HIGH RISK change",
        "team-view-only to team-manager",
        "undeclared",
        "skipped",
        "FAILED",
    ):
        assert phrase in shown


def test_five_thousand_steps_stay_readable_and_whole() -> None:
    report = five_thousand()
    shown = text(report)
    lines = shown.splitlines()
    assert len(lines) < 700
    assert report.plan is not None
    for step in report.plan.instances[0].steps:
        if step.raises or step.change.after is None:
            who, where = step.change.key[2], step.change.key[4]
            assert any(who in line and where in line for line in lines)
            break


def test_a_world_not_read_is_never_in_sync() -> None:
    assert "equals the declaration" in text(REPORTS["plan-empty"]())
    shown = text(REPORTS["plan-unread"]())
    assert "equals the declaration" not in shown
    assert "not read: teams: 500" in shown
    half = Listing(name="users", rows=10, complete=False, proof="")
    assert "equals the declaration" not in text(
        Report(command="plan", plan=reports.plan(reports.instance(listings=(half,))))
    )


def test_a_hint_knows_the_digest_of_its_plan() -> None:
    assert f"--accept removals={reports.DIGEST}" in text(REPORTS["plan-over-budget"]())


@pytest.mark.parametrize("name", REPORTS)
def test_no_exit_but_nought_leaves_people_without_a_way_on(name: str) -> None:
    shown = text(REPORTS[name]())
    assert re.search(r"(?m)^exit 0|^next: .", shown)


def test_a_stale_plan_shows_reviewed_now_and_wanted() -> None:
    shown = text(REPORTS["apply-stale"]())
    assert "reviewed team-view-only   now team-member   wanted team-manager" in shown
    assert "nothing was changed" in shown


@pytest.mark.parametrize("command", ["evidence", "journal", "review"])
def test_what_was_not_checked_is_no_stale_plan(command: str) -> None:
    """No planned changes are spoken of where there is no plan, and the way on is not one."""
    shown = text(Report(command=command, stale=True))
    assert "planned change" not in shown
    assert f"next: see to what is named above, then siteward {command}\nexit 4" in shown


def test_what_applying_takes_is_told_beside_what_was_read() -> None:
    """Groups are read too; a time that nobody waits for is not told, and a long one in minutes or hours."""
    groups = Listing(name="groups", rows=3, complete=True, proof="p")
    for seconds, time in ((0.0, ""), (40.0, ", and 40 s"), (1020.0, ", and 17 min"), (7300.0, ", and 2 h")):
        part = reports.instance(requests=31, seconds=seconds, listings=(groups,))
        (told,) = (
            line for line in text(Report(command="plan", plan=reports.plan(part))).splitlines() if "applying" in line
        )
        assert " grants, 3 groups · " in told
        assert told.endswith(f"applying takes about 31 requests, reading included{time}")


def test_powerful_unmanaged_accounts_are_always_named() -> None:
    weak = tuple(UnmanagedAccount(name=f"guest{at}", grants=1) for at in range(50))
    seen = {"last_seen": "2026-10-28 23:59:01", "created": "2021-04-01"}
    strong = tuple(UnmanagedAccount(name=f"boss{at}", power=Power.ADMIN, ignored=True, facts=seen) for at in range(20))
    shown = text(Report(command="plan", plan=reports.plan(reports.instance(unmanaged=weak + strong))))
    assert all(f"boss{at} " in shown for at in range(20))
    assert shown.count("created 2021-04-01 · last seen 2026-10-28\n") == 20
    assert "and 50 more without high privileges, listed with -v" in shown


@pytest.mark.parametrize(
    ("line", "span", "under"),
    [
        ("  role: veiw", Span("f", 1, 9, 1, 13), "veiw"),
        ("\trole: veiw", Span("f", 1, 8, 1, 12), "veiw"),
        ("漢字: veiw", Span("f", 1, 5, 1, 9), "veiw"),
        ("a: \u202eveiw", Span("f", 1, 5, 1, 9), "veiw"),
        ("one: two", Span("f", 1, 6, 4, 2), "two"),
        ("one: two", Span("f", 1, 6), "t"),
    ],
)
def test_the_caret_stands_under_what_is_meant(line: str, span: Span, under: str) -> None:
    found = excerpt(span, {"f": (line,)})
    assert found
    shown = found.lines[-1][1]
    column = next(at for at in range(len(shown) + 1) if cells(shown[:at]) == found.start)
    assert shown[column:].startswith(under)
    assert found.length == cells(under)


@pytest.mark.parametrize("span", [Span("f", 9, 1), Span("g", 1, 1), Span("f", 0, 0), Span("f", 1, 99, 1, 120)])
def test_a_place_outside_the_text_is_no_crash(span: Span) -> None:
    said = reports.said("rule", Severity.ERROR, "here", at=span)
    assert "error rule: here" in text(Report(command="validate", diagnostics=(said,), texts={"f": ("one line",)}))


def test_a_shared_consequence_is_told_once() -> None:
    moved = reports.said("moves-site", Severity.NOTE, "moves the site into a team", effect="moves")
    steps = [
        reports.step(
            at, None, reports.grant(f"u{at}", reports.site("a.example.org"), "view"), risk="medium", said=(moved,)
        )
        for at in range(5)
    ]
    report = Report(command="plan", plan=reports.plan(reports.instance(*steps)))
    for form in ("text", "markdown", "html"):
        assert render(form, report).count("moves the site into a team") == 1


def test_what_an_unmanaged_account_came_to_hold_is_told_as_drift() -> None:
    """An admin whom nobody declared and who was not there at the last apply is listed among what changed."""
    base = reports.drift()
    came = Grant(Subject("account", "intruder"), EVERYWHERE, "admin")
    item = DriftItem(instance="stats", kind="changed-since", live=came, note="no declared user has this account")
    known = UnmanagedAccount(name="intruder", power=Power.ADMIN, grants=1)
    plan = plan_everything().plan
    assert plan is not None
    seen = replace(plan, instances=(replace(plan.instances[0], instance="stats", unmanaged=(known,)),))
    told = text(replace(base, plan=seen, drift=(item,)))
    since = told.partition("changed since the last apply")[2]
    assert "intruder" in since.partition("Drift:")[0]


@pytest.mark.parametrize("form", ["text", "markdown", "html", "github", "junit"])
def test_nothing_to_do_is_said_only_where_it_is_known(form: str) -> None:
    for name, said in (
        ("plan-unreachable", "1 instance not read"),
        ("plan-unread", "nothing to do in what was read, 1 listing not read"),
        ("plan-observed", "nothing to do in this mode, 3 skipped"),
    ):
        assert said in render(form, REPORTS[name]())
        assert "Access plan: nothing to do\n" not in render(form, REPORTS[name]())


def test_drift_of_what_was_not_read_is_not_known() -> None:
    report = replace(REPORTS["plan-unreachable"](), command="drift")
    assert "Drift: 1 instance not read." in text(report)


def test_live_is_not_said_to_equal_what_it_does_not() -> None:
    held = text(REPORTS["plan-observed"]())
    assert "no changes in mode observe: 3 skipped" in held
    assert "equals the declaration" not in held
    wrong = reports.said("x", Severity.ERROR, "no", about=("account", "li"))
    blocked = reports.plan(reports.instance(diagnostics=(wrong,)))
    assert "equals the declaration" not in text(Report(command="plan", plan=blocked))
    strange = reports.plan(
        reports.instance(unmanaged=(UnmanagedAccount(name="x"), UnmanagedAccount(name="y", ignored=True)))
    )
    assert "equals the declaration, but for 1 unmanaged account" in text(Report(command="plan", plan=strange))


def test_quiet_keeps_warnings_and_drops_notes() -> None:
    shown = text(plan_everything(), quiet=True)
    assert "warning no-end: a contractor without an end date" in shown
    assert "warning existing-account" in shown
    assert "note " not in text(plan_everything(), quiet=True, verbose=True)


def test_a_refused_step_is_told_as_it_was_looked_at() -> None:
    shown = text(REPORTS["apply-vetoed"]())
    assert "reviewed exists   now exists   wanted none" in shown
    assert "reviewed none   now none   wanted li@example.org" in shown


@pytest.mark.parametrize("form", ["text", "markdown", "html", "github"])
def test_no_text_names_a_step_by_an_id_that_it_never_shows(form: str) -> None:
    needs = reports.said("depends-on-blocked", Severity.ERROR, "this needs s1, which cannot be done")
    first = reports.step(1, None, Account("li"), said=(reports.said("x", Severity.ERROR, "no"),))
    second = reports.step(
        2, None, reports.grant("li", reports.site("a.test"), "view"), depends_on=("s1",), said=(needs,)
    )
    shown = render(form, Report(command="plan", plan=reports.plan(reports.instance(first, second))))
    for page in (shown, render(form, REPORTS["apply-vetoed"]())):
        assert not re.search(r"\bs\d+\b", re.sub("sha256:\\w+", "", page))
        assert "new account" in page


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_files_that_are_not_committed_are_said_to_be(form: str) -> None:
    assert "with changes not committed" in render(form, REPORTS["plan-unreachable"]())
    assert "not committed" not in render(form, REPORTS["plan-empty"]())
