"""Fleets: the instances as rows for jobs that work side by side, and their plans as one picture."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from cli.conftest import start
from siteward.platforms.fakery import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

DECLARATION = """version: 1
instances:
  stats: {{platform: umami, url: "{stats}", self: siteward, layout: per-site, accept_blind: [board-links],
          manages: [shop.example.org, events.example.org]}}
  shop-eu: {{platform: umami, url: "{other}", self: siteward, layout: per-site, accept_blind: [board-links],
          manages: [shop.example.org, events.example.org]}}
users: {{imp: {{}}, kay: {{}}}}
grants:
  - {{to: imp, role: manage, on: stats, sites: events.example.org}}
  - {{to: [imp, kay], role: view, on: shop-eu, sites: shop.example.org}}
policy: {{admins: {{min: 1}}}}
"""
ROWS = [{"instance": "stats", "prefix": "SITEWARD_STATS"}, {"instance": "shop-eu", "prefix": "SITEWARD_SHOP_EU"}]


@pytest.fixture
def fleet(program: Program) -> Iterator[Program]:
    """One declaration of two instances."""
    with serve(start("umami")) as stats, serve(start("umami")) as other:
        for prefix, sandbox in (("STATS", stats), ("SHOP_EU", other)):
            program.env |= {
                f"SITEWARD_{prefix}_{name.upper()}": value for name, value in sandbox.fake.credentials.items()
            }
        program.write(DECLARATION.format(stats=stats.url, other=other.url))
        yield program


def saved(fleet: Program, *names: str) -> None:
    for name in names:
        assert fleet("plan", "--instance", name, "--out", f"{name}.json").code == 2


def test_the_instances_are_rows_for_a_matrix(program: Program) -> None:
    """For each forge in its own form, in the order of the file; nothing is contacted."""
    program.write(DECLARATION.format(stats="http://127.0.0.1:1", other="http://127.0.0.1:2"))
    assert program("instances", "--format", "json").json() == ROWS
    matrix = program("instances", "--format", "github-matrix").out
    assert matrix.count("\n") == 1
    assert json.loads(matrix) == {"include": ROWS}
    (job,) = program("instances", "--format", "gitlab-parallel").json().values()
    assert job["parallel"]["matrix"] == [{key.upper(): value for key, value in row.items()} for row in ROWS]
    assert program("instances").out.splitlines() == ["stats    SITEWARD_STATS_…", "shop-eu  SITEWARD_SHOP_EU_…"]
    assert program("instances", "--instance", "shop-eu", "--format", "json").json() == ROWS[1:]


def test_what_is_no_declaration_gives_no_rows(program: Program) -> None:
    """An empty matrix would read as a fleet on which nothing is to be done."""
    program.write("version: 1\ninstances: {stats: {platform: nope, url: x}}\n")
    told = program("instances", "--format", "github-matrix")
    assert told.code == 1
    assert "include" not in told.out
    program.write(DECLARATION.format(stats="http://127.0.0.1:1", other="http://127.0.0.1:2"))
    unknown = program("instances", "--instance", "shop")
    assert (unknown.code, unknown.out) == (1, "")
    assert "no instance 'shop'" in unknown.err


def test_several_plans_are_shown_as_one(fleet: Program) -> None:
    """What each job planned, as if one had planned all: the same numbers, order and exit code, in every format."""
    saved(fleet, "shop-eu", "stats")
    names = ("shop-eu.json", "stats.json")
    whole = fleet("plan", "--format", "json").json()
    shown = fleet("show", *names, "--format", "json")
    assert shown.code == 2
    joined = shown.json()
    assert joined["summary"] == whole["summary"]
    assert [part["instance"] for part in joined["plan"]["instances"]] == ["shop-eu", "stats"]
    assert joined["plan"]["needs"] == whole["plan"]["needs"]
    rows = csv.DictReader(fleet("show", *names, "--format", "csv").out.lstrip("\ufeff").splitlines())
    assert {row["instance"] for row in rows} == {"stats", "shop-eu"}
    for form in ("text", "markdown", "html", "github", "sarif", "junit", "gitlab", "gitlab-plan"):
        told = fleet("show", *names, "--format", form)
        assert told.code == 2, told.err
        assert form == "gitlab-plan" or ("shop-eu" in told.out and "stats" in told.out)
    widget = fleet("show", *names, "--format", "gitlab-plan").json()
    assert widget["create"] == sum(whole["summary"][name] for name in ("creates",))


def test_one_plan_is_shown_as_ever(fleet: Program) -> None:
    """Its digest stays the one that apply takes."""
    saved(fleet, "stats")
    shown = fleet("show", "stats.json", "--format", "json").json()["plan"]
    assert shown["digest"] == json.loads((fleet.folder / "stats.json").read_text(encoding="utf-8"))["digest"]


def test_a_broken_plan_is_told_beside_the_others(fleet: Program) -> None:
    """The job of one instance failed: the picture shows the rest, and is an error."""
    saved(fleet, "stats")
    (fleet.folder / "broken.json").write_text('{"format":"siteward.plan/2"', encoding="utf-8")
    told = fleet("show", "stats.json", "broken.json", "gone.json")
    assert told.code == 1
    assert "broken.json" in told.out
    assert "cannot read gone.json" in told.out
    assert "events.example.org" in told.out
    alone = fleet("show", "broken.json")
    assert alone.code == 1


def test_one_instance_is_not_counted_twice(fleet: Program) -> None:
    """Two plans of one instance are no picture of anything."""
    saved(fleet, "stats")
    (fleet.folder / "again.json").write_bytes((fleet.folder / "stats.json").read_bytes())
    told = fleet("show", "stats.json", "again.json")
    assert told.code == 1
    assert "joined-twice" in told.out
    assert fleet("show", "stats.json", "stats.json").code == 1


def test_plans_of_different_checkouts_are_told_apart(fleet: Program) -> None:
    """A job that was repeated after another merge."""
    saved(fleet, "stats")
    path = fleet.folder / "access.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# later\n", encoding="utf-8")
    saved(fleet, "shop-eu")
    told = fleet("show", "stats.json", "shop-eu.json")
    assert told.code == 2
    assert "joined-differ" in told.out
    assert "different files" in told.out


def test_nothing_shown_is_written_over(fleet: Program) -> None:
    """An output may not replace one of the plans that are shown."""
    saved(fleet, "stats", "shop-eu")
    before = (fleet.folder / "shop-eu.json").read_bytes()
    told = fleet("show", "stats.json", "shop-eu.json", "-o", "json:shop-eu.json")
    assert told.code == 1
    assert (fleet.folder / "shop-eu.json").read_bytes() == before
