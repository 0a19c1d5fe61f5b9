"""`--only`: a part of a plan, by date, person or site; what it leaves out is counted, named, and never called done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.repo import commit, edit

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

HEAD = """version: 1
instances:
  stats: {{platform: umami, url: "{url}", self: siteward, layout: per-site, accept_blind: [board-links],
          manages: [shop.example.org, events.example.org]}}
journal: {{dir: journal}}
policy: {{admins: {{min: 1}}}}
"""
PHASES = """users: {imp: {kind: contractor, until: 2027-06-30}}
grants:
  - {to: imp, role: manage, sites: events.example.org, until: 2027-01-31}
  - {to: imp, role: view, sites: events.example.org}
"""
NIGHT = ("--as-of", "2027-02-01")


@pytest.fixture
def place(program: Program, umami: Sandbox) -> Program:
    """An own declaration beside a sandbox."""
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.env["SANDBOX"] = umami.url
    return program


def declare(place: Program, body: str) -> None:
    place.write(HEAD.format(url=place.env["SANDBOX"]) + body)


def settle(place: Program) -> None:
    """Plan and apply everything, for the time before the dates."""
    done = place("apply", "--passwords-out", "p", "--yes", "--as-of", "2026-12-01")
    assert done.code == 0, done.out + done.err


def plan(place: Program, *words: str) -> Any:
    return place("plan", "--passwords-out", "p", *words, "--format", "json").json()


def test_the_night_job_steps_down_to_what_remains(place: Program) -> None:
    """Manage until the end of January, view for good: after that night it is view."""
    declare(place, PHASES)
    settle(place)
    done = place("apply", "--only", "expiries", *NIGHT, "--yes")
    assert done.code == 0, done.out
    assert "applied 1" in done.out
    assert plan(place, *NIGHT)["summary"]["grants_lowered"] == 0


def test_what_only_leaves_out_is_named_and_never_called_done(place: Program) -> None:
    """A pending grant beside the end: it is not done, and the last line does not say that all is."""
    declare(place, PHASES)
    settle(place)
    declare(place, PHASES + "  - {to: imp, role: edit, sites: shop.example.org}\n")
    done = place("apply", "--only", "dates", *NIGHT, "--yes", "-o", "markdown:summary.md")
    assert done.code == 0, done.out
    assert "all is done" not in done.out
    assert "left out: 1 step" in (place.folder / "summary.md").read_text(encoding="utf-8").replace("`", "")
    assert "left out: 1 step (1 to add): imp" in done.out
    shown = place("plan", "--only", "dates", *NIGHT)
    assert "no changes in this part of the plan; 1 step left out by --only" in shown.out
    assert "equals the declaration" not in shown.out
    again = place("apply", "--only", "dates", *NIGHT, "--yes")
    assert (again.code, "all is done" in again.out) == (0, False)
    assert "left out: 1 step (1 to add): imp" in again.out
    left = plan(place, *NIGHT)
    assert [step["change"]["after"]["role"] for step in left["plan"]["instances"][0]["steps"]] == ["team-member"]


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    ("word", "meant"), [("user:impp", "user:imp"), ("site:event.example.org", "site:events.example.org")]
)
def test_a_name_that_is_nowhere_is_an_error(verb: str, word: str, meant: str, place: Program) -> None:
    """In an incident, a typo must not read as done."""
    declare(place, PHASES)
    told = place(verb, "--only", word, "--passwords-out", "p", *(("--yes",) if verb == "apply" else ()))
    assert told.code == 1, told.out
    assert f"--only {meant}" in told.out + told.err


def test_a_name_that_is_nowhere_is_an_error_for_a_saved_plan_too(place: Program) -> None:
    declare(place, PHASES)
    place("plan", "--out", "plan.json", "--passwords-out", "p")
    told = place("apply", "plan.json", "--only", "user:impp", "--passwords-out", "p", "--yes")
    assert told.code == 1, told.out
    assert "user:imp" in told.out + told.err


@pytest.mark.parametrize("word", ["expirys", "user:", "users:anna", "expiries:x"])
def test_a_selection_that_does_not_exist_is_a_usage_error(word: str, place: Program) -> None:
    declare(place, PHASES)
    told = place("plan", "--only", word)
    assert told.code == 1
    assert "write expiries, dates, deletions, no-deletions, user:HANDLE or site:DOMAIN" in told.err


@pytest.mark.parametrize("name", ["text", "markdown", "json", "csv", "html", "github", "sarif", "junit", "gitlab"])
def test_a_part_of_a_plan_is_marked_in_every_format(name: str, place: Program) -> None:
    """Nobody takes it for the whole."""
    declare(place, PHASES)
    settle(place)
    declare(place, PHASES + "  - {to: imp, role: edit, sites: shop.example.org}\n")
    told = place("plan", "--only", "dates", *NIGHT, "--passwords-out", "p", "--format", name)
    assert told.code == 2, told.err
    assert "PARTIAL" in told.out or "partial" in told.out
    whole = place("plan", *NIGHT, "--passwords-out", "p", "--format", name)
    assert "PARTIAL" not in whole.out


def test_a_saved_part_applies_its_part(place: Program) -> None:
    """The plan file holds the part alone; what it left out is as it was."""
    declare(place, PHASES)
    settle(place)
    declare(place, PHASES + "  - {to: imp, role: edit, sites: shop.example.org}\n")
    saved = place("plan", "--only", "dates", *NIGHT, "--out", "plan.json", "--format", "json").json()
    assert (saved["plan"]["only"], saved["summary"]["left_out"]) == (["dates"], 1)
    done = place("apply", "plan.json", *NIGHT, "--yes", "--format", "json").json()
    assert done["summary"]["outcomes"] == {"done": 1}
    assert done["summary"]["left_out"] == 1
    assert plan(place, *NIGHT)["summary"]["creates"] == 1


def test_a_start_is_agreed_to_by_the_commit_of_the_last_apply(place: Program) -> None:
    """Another merge came since and was not applied: the file of the last apply is read from its commit."""
    declare(place, PHASES + "  - {to: imp, role: view, sites: shop.example.org, from: 2027-02-01}\n")
    commit(place, "A start to come")
    settle(place)
    edit(place, ("kind: contractor, until", "kind: contractor, ticket: OPS-1, until"))
    commit(place, "Something else")
    done = place("apply", "--only", "dates", "--as-of", "2027-02-02", "--yes", "--format", "json").json()
    assert {outcome["key"][-1] for outcome in done["outcomes"]} == {"events.example.org", "shop.example.org"}
    assert done["summary"]["outcomes"] == {"done": 2}


def test_a_start_of_a_merge_that_was_not_applied_waits(place: Program) -> None:
    """The commit of the last apply does not have it: it is named, and the exit is 3."""
    declare(place, PHASES)
    commit(place)
    settle(place)
    declare(place, PHASES + "  - {to: imp, role: view, sites: shop.example.org, from: 2027-02-01}\n")
    commit(place, "Not applied")
    done = place("apply", "--only", "dates", "--as-of", "2027-02-02", "--yes")
    assert done.code == 3, done.out
    assert "applied 1" in done.out
    assert "waits-for-plan" in done.out
    left = plan(place, "--as-of", "2027-02-02")
    assert [step["due"] for step in left["plan"]["instances"][0]["steps"]] == ["start"]


def test_a_moment_behind_the_record_gives_nothing(place: Program) -> None:
    """It is shown as a rehearsal, and an apply blocks it."""
    declare(place, PHASES.replace("view, sites: events", "view, sites: shop"))
    settle(place)
    assert place("apply", "--only", "dates", *NIGHT, "--yes").code == 0
    back = ("--as-of", "2026-12-24")
    shown = place("plan", *back)
    assert (shown.code, "REHEARSAL" in shown.out) == (2, True)
    done = place("apply", *back, "--yes")
    assert done.code == 3, done.out
    assert "as-of-behind-record" in done.out
    assert plan(place, *NIGHT)["exit_code"] == 0


def test_a_step_that_needs_one_left_out_says_so(place: Program) -> None:
    """The grant on the site needs the account, which is on no site."""
    declare(place, PHASES)
    told = place("plan", "--only", "site:events.example.org", "--passwords-out", "p")
    assert told.code == 3, told.out
    assert "needs-left-out" in told.out


def test_a_saved_whole_plan_can_be_confined(place: Program) -> None:
    """Its digest stays the one that was reviewed; what the run leaves out is counted and named."""
    declare(place, PHASES)
    settle(place)
    declare(place, PHASES + "  - {to: imp, role: edit, sites: shop.example.org}\n")
    place("plan", *NIGHT, "--out", "plan.json")
    done = place("apply", "plan.json", *NIGHT, "--only", "dates", "--yes", "--format", "json", "-o", "text:told")
    assert done.code == 0, done.out
    assert done.json()["summary"]["left_out"] == 1
    told = (place.folder / "told").read_text(encoding="utf-8")
    assert "left out: 1 step (1 to add): imp" in told
    assert "all is done" not in told
    (place.folder / "report.json").write_text(done.out, encoding="utf-8")
    assert place("show", "report.json").code == 2
