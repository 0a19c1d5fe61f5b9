"""What is the same but for whom or where is said once, in every format for people and for forges."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from render import reports
from siteward.access.diagnostic import Diagnostic, Severity, Span
from siteward.access.plan import InstancePlan, Step
from siteward.access.report import Outcome, Report
from siteward.render import render
from siteward.render.repeats import Occurrence, Told, tell_once
from siteward.render.view import REPORTED, Band

SHOP = reports.site("shop.example.org")
PEOPLE = tuple(f"user{number:02}" for number in range(33))


def met(number: int, name: str) -> Step:
    """A step with a warning that many others have too."""
    known = reports.said(
        "existing-account", Severity.WARNING, f"{name} is an existing account", hint=f"ask {name}",
        about=("grant", "account", name, "site", SHOP.name),
    )  # fmt: skip
    return reports.step(number, None, reports.grant(name, SHOP, "view"), person=name, said=(known,))


def planned(*instances: InstancePlan) -> Report:
    return Report(command="plan", plan=reports.plan(*instances))


def crowd() -> Report:
    return planned(reports.instance(*(met(number, name) for number, name in enumerate(PEOPLE))))


@pytest.mark.parametrize("form", ["text", "markdown", "html", "github", "gitlab", "sarif", "junit"])
def test_a_warning_of_many_people_is_said_once(form: str) -> None:
    """With their number, ten names and the number of the others."""
    shown = render(form, crowd())
    assert len(re.findall(r"user\d\d(</code>|`)? is an existing account", shown)) == 1
    assert "33 in all" in shown
    assert "user08, user09 and 23 more" in shown.replace("`", "").replace("<code>", "").replace("</code>", "")


def test_with_v_every_name_and_place_is_listed() -> None:
    """The other names stand nowhere else in a first plan."""
    groups = tuple(
        reports.said("unused-group", Severity.WARNING, f"nothing uses the group `g{at}`", at=Span("access.yaml", at, 3))
        for at in range(20)
    )
    report = Report(command="validate", diagnostics=groups)
    assert "g19" not in render("text", report)
    shown = render("text", report, reports.VERBOSE)
    assert "20 in all: g0, g1, " in shown
    assert "g19" in shown
    assert "access.yaml:19:3" in shown


def test_the_same_on_several_instances_is_said_once_for_all() -> None:
    """Each instance is named before it."""
    lost = reports.said("leavers-unknown", Severity.WARNING, "leavers cannot be distinguished")
    report = planned(*(reports.instance(instance=name, diagnostics=(lost,)) for name in ("stats", "tags", "web")))
    for form in ("text", "markdown", "html"):
        assert render(form, report).count("stats, tags, web: leavers cannot be distinguished") == 1


def test_where_one_person_is_meant_each_time_the_sites_are_named() -> None:
    """A name alone would hide what else it is about."""
    said = tuple(
        reports.said("rule", Severity.WARNING, f"anna owns {site}", about=("grant", "account", "anna", "site", site))
        for site in ("a.test", "b.test")
    )
    (told,) = tell(said)
    assert told.in_all() == "2 in all: a.test, b.test"


def test_what_differs_in_more_than_a_name_is_said_each_time() -> None:
    """A role, a number, another hint; and an error in the file has to be mended at each of its places."""
    said = (
        reports.said("rule", Severity.WARNING, "anna has edit", about=("account", "anna")),
        reports.said("rule", Severity.WARNING, "ben has view", about=("account", "ben")),
        reports.said("rule", Severity.WARNING, "carl has view", about=("account", "carl"), hint="take it away"),
        reports.said("unknown-role", Severity.ERROR, "there is no role `veiw`", at=Span("access.yaml", 3, 1)),
        reports.said("unknown-role", Severity.ERROR, "there is no role `veiw`", at=Span("access.yaml", 9, 1)),
    )
    assert [told.count for told in tell(said)] == [1, 1, 1, 1, 1]


def test_a_name_inside_of_a_word_is_no_name() -> None:
    """An account `a` does not make two sentences equal, nor unequal."""
    said = tuple(
        reports.said("rule", Severity.WARNING, f"{name} has an area", about=("account", name)) for name in ("a", "re")
    )
    assert [(told.count, told.about) for told in tell(said)] == [(2, ("a", "re"))]


def tell(said: tuple[Diagnostic, ...]) -> tuple[Told, ...]:
    return tell_once(map(Occurrence, said))


BUDGET = "limit-revocations: 199 grants would be taken, and 40 are allowed"


def blocked_apply() -> Report:
    gone = tuple(
        reports.step(at, reports.grant(f"user{at:03}", SHOP, "view"), None, person=f"user{at:03}") for at in range(199)
    )
    outcomes = tuple(
        Outcome(instance="stats", step=step, status="blocked", message=BUDGET, hint="accept it") for step in gone
    )
    return Report(command="apply", plan=reports.plan(reports.instance(*gone)), outcomes=outcomes, applied=True)


@pytest.mark.parametrize("form", ["text", "markdown", "html", "github", "sarif", "junit"])
def test_a_blocked_apply_gives_its_reason_once(form: str) -> None:
    """A budget is one reason, whatever the number of steps."""
    assert render(form, blocked_apply()).count("199 grants would be taken") == (2 if form == "junit" else 1)


def test_a_blocked_apply_is_short() -> None:
    """Ten of the steps, and how many there are."""
    shown = render("text", blocked_apply())
    assert len(shown.splitlines()) < 25
    assert "and 189 more, listed with -v" in shown
    assert "user198" in render("text", blocked_apply(), reports.VERBOSE)


def test_danger_is_ordered_over_all_instances() -> None:
    """A reviewer of four instances reads one list, and what is not done stands at its end."""
    raised = reports.step(
        1, None, reports.grant("zoe", SHOP, "admin"), person="zoe", raises=True, risk="high", powers=reports.ADMIN
    )
    no = reports.said("protected", Severity.ERROR, "nobody touches root")
    stopped = reports.step(1, reports.grant("root", SHOP, "view"), None, person="root", said=(no,))
    seen = reports.said("orphan-site", Severity.WARNING, "a site belongs to nobody")
    first = reports.instance(stopped, met(2, "anna"), diagnostics=(seen,))
    for form in ("text", "markdown", "html"):
        shown = render(form, planned(first, reports.instance(raised, instance="tags")))
        titles = (Band.RAISED.heading, "zoe", Band.ROUTINE.heading, Band.BLOCKED.heading, "nobody touches", REPORTED)
        at = [shown.index(phrase) for phrase in (*titles, "belongs to nobody")]
        assert at == sorted(at), form


def test_what_an_error_on_its_instance_stops_stands_with_what_is_blocked() -> None:
    """It is not going to be done, so it is no danger."""
    shown = render("text", reports.plan_over_budget())
    assert "Access taken" not in shown
    assert shown.index("Blocked") < shown.index("removals-limit") < shown.index("31 people")


def test_drift_stands_before_what_is_only_reported() -> None:
    """The one thing that changed is not to be looked for at the end of a page."""
    unmanaged = reports.plan_everything().plan
    report = replace(reports.drift(), plan=unmanaged)
    for form in ("text", "markdown", "html"):
        shown = render(form, report)
        assert shown.lower().index("changed since the last apply", 200) < shown.index(REPORTED)
        assert "Privilege increased" not in shown


def test_a_finding_of_many_keeps_its_name_for_forges_when_one_more_comes() -> None:
    """A test tab would show a new failure otherwise."""
    two, three = (
        planned(reports.instance(*(met(number, name) for number, name in enumerate(PEOPLE[:count]))))
        for count in (2, 3)
    )
    names = [
        {case.get("name") for case in ET.fromstring(render("junit", report)).iter("testcase")}
        for report in (two, three)
    ]
    assert names[0] == names[1]
    prints = [
        {
            result["partialFingerprints"]["siteward/v1"]
            for result in json.loads(render("sarif", report))["runs"][0]["results"]
        }
        for report in (two, three)
    ]
    assert prints[0] == prints[1]


def test_drift_is_ordered_over_all_instances() -> None:
    """What others changed on the last instance stands before what waits on the first."""
    items = {item.kind: item for item in reports.drift().drift}
    mixed = (items["unapplied"], replace(items["changed-since"], instance="web"))
    shown = render("text", Report(command="drift", drift=mixed))
    assert shown.index("changed since") < shown.index("web") < shown.index("declared and not applied")
