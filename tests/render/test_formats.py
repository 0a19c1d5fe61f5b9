"""Machine formats hold to what their readers publish: fields, limits, escapes."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64encode
from hashlib import sha256
from importlib import import_module
from io import StringIO
from pathlib import Path
from subprocess import run
from sys import executable
from xml.etree import ElementTree as ET

import click
import jsonschema
import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from render import reports
from render.reports import REPORTS
from siteward.access.codec import decode_data, seal
from siteward.access.diagnostic import Severity, Span
from siteward.access.report import DriftItem, Report, exit_code
from siteward.cli.app import main
from siteward.render import FORMATS, SERVES, SUFFIXES, Options, Privacy, formats_of, render
from siteward.render.schema import report_schema

# The parts of sarif-schema-2.1.0.json that a log like ours can break, with GitHub's own demands on top: each result
# has a rule, a message and one location; lines and columns count from 1 (docs.github.com, SARIF support).
SARIF = {
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "message": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": {"type": "string", "minLength": 1}},
            "additionalProperties": False,
        },
        "run": {
            "type": "object",
            "required": ["tool", "results", "automationDetails"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["driver"],
                    "properties": {
                        "driver": {
                            "type": "object",
                            "required": ["name", "fullName", "version", "informationUri", "rules"],
                            "additionalProperties": False,
                            "properties": {
                                "name": {"type": "string"},
                                "fullName": {"type": "string"},
                                "version": {"type": "string"},
                                "informationUri": {"type": "string", "format": "uri"},
                                "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}},
                            },
                        }
                    },
                },
                "automationDetails": {
                    "type": "object",
                    "required": ["id"],
                    "additionalProperties": False,
                    "properties": {"id": {"type": "string", "pattern": "^siteward/[a-z]+/$"}},
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "originalUriBaseIds": {"type": "object"},
                "properties": {"type": "object"},
                "results": {"type": "array", "maxItems": 25000, "items": {"$ref": "#/$defs/result"}},
            },
        },
        "rule": {
            "type": "object",
            "required": ["id", "name", "shortDescription", "fullDescription", "help", "helpUri"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string", "minLength": 1},
                "shortDescription": {"$ref": "#/$defs/message"},
                "fullDescription": {"$ref": "#/$defs/message"},
                "name": {"type": "string", "pattern": "^[A-Z][A-Za-z0-9]*$"},
                "help": {"$ref": "#/$defs/message"},
                "helpUri": {"type": "string", "format": "uri"},
                "deprecatedIds": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
            },
        },
        "result": {
            "type": "object",
            "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "partialFingerprints": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "minProperties": 1,
                },
                "locations": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"$ref": "#/$defs/location"}},
                "relatedLocations": {"type": "array", "maxItems": 100, "items": {"$ref": "#/$defs/location"}},
                "occurrenceCount": {"type": "integer", "minimum": 2},
            },
        },
        "location": {
            "type": "object",
            "required": ["physicalLocation"],
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "required": ["artifactLocation", "region"],
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "required": ["uri"],
                            "properties": {
                                "uri": {"type": "string", "pattern": "^[!-~]+$"},
                                "uriBaseId": {"type": "string"},
                            },
                        },
                        "region": {
                            "type": "object",
                            "required": ["startLine"],
                            "additionalProperties": False,
                            "properties": {
                                name: {"type": "integer", "minimum": 1}
                                for name in ("startLine", "startColumn", "endLine", "endColumn")
                            },
                        },
                    },
                }
            },
        },
    },
}
# docs.gitlab.com, code quality report format.
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./|/)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def many(count: int) -> Report:
    said = tuple(
        reports.said("rule", Severity.WARNING, f"finding {at}", at=Span("access.yaml", at + 1, 1))
        for at in range(count)
    )
    return Report(command="validate", diagnostics=said)


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_holds_to_its_schema(name: str) -> None:
    log = json.loads(render("sarif", REPORTS[name]()))
    jsonschema.validate(log, SARIF)
    run_ = log["runs"][0]
    rules = [rule["id"] for rule in run_["tool"]["driver"]["rules"]]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run_["results"])
    prints = [tuple(result["partialFingerprints"].items()) for result in run_["results"]]
    assert len(set(prints)) == len(prints)


def test_lines_are_sorted_as_numbers() -> None:
    """The ten that GitHub shows are the first ten."""
    wrong = [reports.said("r", Severity.ERROR, f"wrong {at}", at=Span("access.yaml", at, 1)) for at in range(7, 21)]
    report = Report(command="validate", diagnostics=tuple(reversed(wrong)))
    lines = [int(found) for found in re.findall(r"line=(\d+)", render("github", report))]
    assert lines == list(range(7, 17))
    results = json.loads(render("sarif", report))["runs"][0]["results"]
    starts = [result["locations"][0]["physicalLocation"]["region"]["startLine"] for result in results]
    assert starts == list(range(7, 21))


@pytest.mark.parametrize(
    ("file", "options", "path"),
    [
        ("access.yaml", Options(), "access.yaml"),
        ("access.yaml", Options(top="/repo", below="infra/access"), "infra/access/access.yaml"),
        ("../teams/shop.yaml", Options(top="/repo", below="infra/access"), "infra/teams/shop.yaml"),
        ("/repo/infra/access.yaml", Options(top="/repo", below="."), "infra/access.yaml"),
        ("/elsewhere/access.yaml", Options(top="/repo", below="."), "/elsewhere/access.yaml"),
        ("/repository/access.yaml", Options(top="/repo", below="."), "/repository/access.yaml"),
    ],
)
@pytest.mark.parametrize("form", ["github", "sarif", "junit"])
def test_forges_find_files_from_the_top_of_the_repository(form: str, file: str, options: Options, path: str) -> None:
    """Wherever in it the program was started."""
    wrong = reports.said("rule", Severity.ERROR, "wrong", at=Span(file, 3, 1))
    shown = render(form, Report(command="validate", diagnostics=(wrong,)), options)
    assert f"{path}:3" in shown or f"file={path}," in shown or f'"uri": "{path}"' in shown


def test_sarif_tells_the_other_places_of_equal_findings() -> None:
    """As many as a reader can use; the number is of all."""
    spare = [
        reports.said("unused-group", Severity.WARNING, f"`g{at}`", at=Span("a.yaml", at + 1, 1)) for at in range(150)
    ]
    (result,) = json.loads(render("sarif", Report(command="validate", diagnostics=tuple(spare))))["runs"][0]["results"]
    assert result["occurrenceCount"] == 150
    assert len(result["relatedLocations"]) == 100


def test_sarif_keeps_its_fingerprints_when_lines_move() -> None:
    report = REPORTS["validate-errors"]()
    moved = replace(
        report,
        diagnostics=tuple(
            replace(diagnostic, at=diagnostic.at and replace(diagnostic.at, line=diagnostic.at.line + 7))
            for diagnostic in report.diagnostics
        ),
    )
    assert _prints(report) == _prints(moved)


def _prints(report: Report) -> set[str]:
    results = json.loads(render("sarif", report))["runs"][0]["results"]
    return {result["partialFingerprints"]["siteward/v1"] for result in results}


def test_sarif_stays_within_what_a_run_may_hold() -> None:
    run_ = json.loads(render("sarif", many(25_010)))["runs"][0]
    assert len(run_["results"]) == 25_000
    assert run_["properties"]["omitted"] == 10


def test_sarif_puts_the_worst_first() -> None:
    levels = [load["level"] for load in json.loads(render("sarif", REPORTS["plan-everything"]()))["runs"][0]["results"]]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)


def test_sarif_texts_hold_no_links_or_placeholders() -> None:
    report = Report(command="validate", diagnostics=(reports.said("rule", Severity.ERROR, "[a](b) {0}"),))
    text = json.loads(render("sarif", report))["runs"][0]["results"][0]["message"]["text"]
    assert text == r"\[a\](b) {{0}}"


def test_github_shows_ten_of_a_kind_and_says_how_many_more() -> None:
    lines = render("github", many(25)).splitlines()
    assert sum(line.startswith("::warning ") for line in lines) == 10
    assert "siteward: 15 more of kind warning: see the whole report" in lines


@pytest.mark.parametrize("form", ["github", "gitlab", "junit", "sarif"])
def test_what_is_said_of_many_steps_is_annotated_once(form: str) -> None:
    site, at = reports.site("a.test"), Span("access.yaml", 3, 5)
    said = reports.said("identity-mismatch", Severity.ERROR, "li is somebody else", at=at)
    steps = (
        reports.step(
            number, None, reports.grant("li", site, f"role{number}"), said=(replace(said, about=("x", str(number))),)
        )
        for number in range(4)
    )
    shown = render(form, Report(command="plan", plan=reports.plan(reports.instance(*steps))))
    assert shown.count("li is somebody else") == (3 if form == "junit" else 1)


def test_github_escapes_values_and_properties() -> None:
    odd = reports.said("a,b:c", Severity.ERROR, "50% off\n::error::x", at=Span("a,b:c%.yaml", 3, 1), hint="two\nlines")
    line = render("github", Report(command="validate", diagnostics=(odd,))).splitlines()[0]
    assert line == (
        r"::error file=a%2Cb%3Ac%25.yaml,line=3,col=1,title=a%2Cb%3Ac::50%25 off\x0a::error::x%0Atwo\x0alines"
    )


def test_github_gives_no_columns_over_several_lines() -> None:
    long = reports.said("rule", Severity.ERROR, "x", at=Span("a.yaml", 3, 5, 9, 2))
    line = render("github", Report(command="validate", diagnostics=(long,))).splitlines()[0]
    assert line == "::error file=a.yaml,line=3,endLine=9,title=rule::x"


@pytest.mark.parametrize("name", REPORTS)
def test_gitlab_code_quality_holds_to_its_fields(name: str) -> None:
    issues = json.loads(render("gitlab", REPORTS[name]()))
    jsonschema.validate(issues, GITLAB)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)


@pytest.mark.parametrize("name", REPORTS)
def test_junit_counts_what_it_lists(name: str) -> None:
    root = ET.fromstring(render("junit", REPORTS[name]()))
    suite = root.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(sum(case.find("failure") is not None for case in cases))
    assert all(case.get("name") and case.get("classname") for case in cases)


# What both common schemas ask for and allow: junit-10.xsd of Jenkins' xUnit plugin, and Ant's JUnit.xsd by windyroad. Of each
# element: the attributes it must have, those it may have, and its children in their order.
JUNIT: dict[str, tuple[set[str], set[str], str]] = {
    "testsuites": (set(), set(), r"(testsuite )*"),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "timestamp", "hostname", "package", "id"},
        {"skipped"},
        r"properties (testcase )*system-out system-err ",
    ),
    "properties": (set(), set(), r"(property )*"),
    "property": ({"name", "value"}, set(), ""),
    "testcase": ({"name", "classname", "time"}, set(), r"(failure )?"),
    "failure": ({"type"}, {"message"}, ""),
    "system-out": (set(), set(), ""),
    "system-err": (set(), set(), ""),
}
JUNIT_VALUES = {
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", "time": r"[0-9]{1,3}(\.[0-9]+)?",
    "id": "[0-9]+", "tests": "[0-9]+", "failures": "[0-9]+", "errors": "[0-9]+", "skipped": "[0-9]+",
    "hostname": r"\S+", "package": r"\S+", "name": r"(?s).*\S.*",
}  # fmt: skip


@pytest.mark.parametrize("name", [*REPORTS, "hostile"])
def test_junit_is_valid_by_both_common_schemas(name: str) -> None:
    """Every element has what either demands, and nothing that either lacks."""
    report = reports.hostile() if name == "hostile" else REPORTS[name]()
    root = ET.fromstring(render("junit", report, Options(moment=reports.NOW)))
    assert root.tag == "testsuites"
    for element in root.iter():
        must, may, children = JUNIT[element.tag]
        assert must <= set(element.attrib) <= must | may, element.tag
        assert re.fullmatch(children, "".join(f"{child.tag} " for child in element)), element.tag
        for attribute, value in element.attrib.items():
            assert re.fullmatch(JUNIT_VALUES.get(attribute, r"(?s).*"), value), (element.tag, attribute)


def test_junit_tells_what_is_no_failure_in_the_output_of_the_suite() -> None:
    """A warning passes, and its place and its advice are there to read."""
    said = reports.said("rule", Severity.WARNING, "look at this", hint="do that", at=Span("a.yaml", 3, 1))
    suite = ET.fromstring(render("junit", Report(command="validate", diagnostics=(said,)))).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "0"
    assert suite.findtext("system-out") == "warning rule\na.yaml:3\nlook at this\ndo that"


def test_junit_has_no_two_cases_of_one_name() -> None:
    """GitLab and Jenkins take them for one."""
    said = reports.said("rule", Severity.ERROR, "the same", at=Span("a.yaml", 1, 1))
    twice = Report(command="validate", diagnostics=(said, replace(said, at=Span("a.yaml", 2, 1))))
    names = [case.get("name") for case in ET.fromstring(render("junit", twice)).iter("testcase")]
    assert names == ["the same", "the same (2)"]


def failures_in(report: Report) -> str | None:
    suite = ET.fromstring(render("junit", report)).find("testsuite")
    return None if suite is None else suite.get("failures")


def test_junit_fails_for_drift_and_passes_without() -> None:
    assert failures_in(REPORTS["drift"]()) == "2"
    assert failures_in(Report(command="drift")) == "0"


def test_csv_has_a_row_a_step() -> None:
    report = REPORTS["plan-everything"]()
    rows = list(csv.DictReader(StringIO(render("csv", report))))
    assert report.plan is not None
    assert [row["step"] for row in rows] == [step.id for step in report.plan.instances[0].steps]
    assert rows[3]["before"] == "team-view-only"
    assert rows[3]["ticket"] == "OPS-812"


@pytest.mark.parametrize("name", ["=cmd", "+1", "-2", "@x", "\t=1", " =1", "\uff1d1"])
def test_csv_defuses_formulas(name: str) -> None:
    item = DriftItem(instance=name, kind="undeclared", live=reports.grant(name, reports.site("s"), name))
    rows = list(csv.reader(StringIO(render("csv", Report(command="drift", drift=(item,))))))
    assert rows[1][0][0] in "'\\"
    assert rows[1][2] == rows[1][0]


def test_json_can_be_planned_from() -> None:
    report = REPORTS["plan-everything"]()
    assert report.plan is not None
    plan = seal(report.plan)
    document = json.loads(render("json", replace(report, plan=plan)))
    assert decode_data(document["plan"]) == plan


@pytest.mark.parametrize("name", REPORTS)
def test_json_has_every_key_for_every_report(name: str) -> None:
    document = json.loads(render("json", REPORTS[name]()))
    assert set(document) == set(json.loads(render("json", REPORTS["validate-clean"]())))
    for diagnostic in document["diagnostics"]:
        assert set(diagnostic) == {
            "code", "formerly", "severity", "message", "at", "about", "instance", "hint", "suggestion", "allowed", "related",
            "effect", "count", "who", "thing", "seen", "waived",
        }  # fmt: skip


def test_the_page_allows_itself_its_own_style_and_nothing_else() -> None:
    page = render("html", REPORTS["plan-everything"]())
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style
    digest = b64encode(sha256(style.group(1).encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'content="{policy}"' in page
    assert not re.search(r"(?i)<script|\son\w+=|src=|@import|url\(|style=", page)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_a_function(form: str) -> None:
    module, _, function = FORMATS[form].partition(":")
    assert callable(getattr(import_module(module), function or "render"))
    assert SERVES[form]


def test_text_and_json_load_no_template_engine() -> None:
    code = (
        "import sys; from siteward.render import render; from siteward.access.report import Report;"
        "[render(each, Report(command='validate')) for each in ('text', 'json')];"
        "print([each for each in ('jinja2', 'xml.etree', 'csv') if each in sys.modules])"
    )
    done = run([executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src"})
    assert done.stdout.strip() == "[]"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(KeyError):
        render("pdf", REPORTS["drift"]())


@pytest.mark.parametrize("privacy", ["full", "handles", "counts"])
@pytest.mark.parametrize("name", REPORTS)
def test_json_holds_to_its_published_schema(name: str, privacy: Privacy) -> None:
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "report.schema.json").read_text(encoding="utf-8"))
    assert schema == report_schema(), "run `make schemas`"
    document = json.loads(render("json", REPORTS[name](), Options(privacy=privacy)))
    Draft202012Validator(schema).validate(document)


def test_labels_are_by_risk() -> None:
    labels = json.loads(render("json", REPORTS["plan-everything"]()))["labels"]
    assert labels == ["access:blocked", "access:admin", "access:escalation", "access:removal", "access:new-account"]
    assert json.loads(render("json", REPORTS["plan-empty"]()))["labels"] == ["access:unchanged"]


def test_a_diagnostic_names_its_instance() -> None:
    down = replace(reports.said("unreachable", Severity.ERROR, "no answer"), instance="stats")
    report = Report(command="plan", diagnostics=(down,))
    for form in ("text", "markdown", "html", "github", "sarif", "gitlab", "junit"):
        assert "stats: no answer" in render(form, report)


def test_an_account_that_is_only_reported_fails_no_case() -> None:
    item = DriftItem(instance="stats", kind="undeclared", live=reports.grant("x", reports.site("s"), "view"))
    assert exit_code(Report(command="drift", drift=(item,))) == 0
    assert failures_in(Report(command="drift", drift=(item,))) == "0"


@pytest.mark.parametrize("verb", ["validate", "plan", "show", "apply", "drift"])
def test_the_program_offers_the_formats_that_serve_a_verb(verb: str) -> None:
    """One table decides; a file's name asks for one of them or for none."""
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    offered = next(param.type for param in command.params if param.name == "formats")
    assert isinstance(offered, click.Choice)
    assert tuple(offered.choices) == formats_of(verb)
    assert set(SUFFIXES.values()) <= {*FORMATS, "xlsx"}  # a sheet, which `review` alone writes


@pytest.mark.parametrize("name", [*REPORTS, "hostile"])
def test_sarif_says_what_readers_ask_of_a_tool_and_its_rules(name: str) -> None:
    """As SARIF 2.1.0's own validation, GitHub's and Azure DevOps' ask: names, help, addresses, and what kind of run it was."""
    report = reports.hostile() if name == "hostile" else REPORTS[name]()
    run_ = json.loads(render("sarif", report))["runs"][0]
    driver = run_["tool"]["driver"]
    assert driver["fullName"] == f"{driver['name']} {driver['version']}"
    assert re.match(r"[a-z]+:\S+$", driver["informationUri"])
    assert re.fullmatch(r"siteward/[a-z]+/", run_["automationDetails"]["id"])  # ends as a category does: no single run
    for rule in driver["rules"]:
        assert re.fullmatch(r"[A-Za-z0-9]+", rule["name"])
        assert rule["name"].casefold() != rule["id"].casefold()
        assert rule["help"]["text"].startswith("Next: ")
        assert rule["helpUri"].startswith(driver["informationUri"])
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
    for result in run_["results"]:
        assert result["ruleId"] == driver["rules"][result["ruleIndex"]]["id"]
        assert result["message"]["text"]
