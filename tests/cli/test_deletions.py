"""Deletions: consented to for one plan, done apart from the rest; and where new passwords are, in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.test_only import declare

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

BEFORE = """users: {imp: {}, kay: {}}
grants:
  - {to: imp, role: manage, sites: events.example.org}
  - {to: kay, role: view, sites: events.example.org}
"""
AFTER = """users: {imp: {state: absent}, kay: {}}
grants:
  - {to: kay, role: edit, sites: events.example.org}
"""
REASON = ("--reason", "HR-9")


@pytest.fixture
def place(program: Program, umami: Sandbox) -> Program:
    """A declaration by which two people came, and then one of them is to be deleted and the other raised."""
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.env["SANDBOX"] = umami.url
    declare(program, BEFORE)
    done = program("apply", "--passwords-out", "p", "--yes")
    assert done.code == 0, done.out + done.err
    declare(program, AFTER)
    return program


def save(place: Program) -> str:
    """Save the plan; return its digest."""
    assert place("plan", "--out", "plan.json").code == 2
    return str(json.loads((place.folder / "plan.json").read_text(encoding="utf-8"))["digest"])


def test_a_deletion_is_consented_to_for_one_plan(place: Program) -> None:
    """By its digest and with a reason, which the journal keeps; neither another plan nor no reason will do."""
    digest = save(place)
    other = place("apply", "plan.json", "--yes", "--accept", f"deletions=sha256:{'0' * 64}", *REASON)
    assert other.code == 1
    assert "accept-other-plan" in other.out
    assert "--reason" in place("apply", "plan.json", "--yes", "--accept", f"deletions={digest}").err
    done = place("apply", "plan.json", "--yes", "--accept", f"deletions={digest}", *REASON)
    assert done.code == 0, done.out
    waived = [json.loads(line) for line in (place.folder / "journal" / "stats.jsonl").read_text().splitlines()]
    (waiver,) = (line for line in waived if line.get("kind") == "waiver")
    assert waiver["name"] == "deletions"
    assert place("plan").code == 0


def test_the_rest_goes_on_without_the_deletions_and_they_after_it(place: Program) -> None:
    """One plan in two runs: what is left out is named, and what the first one did is not missing in the second."""
    digest = save(place)
    first = place("apply", "plan.json", "--yes", "--only", "no-deletions", "--expect", digest)
    assert first.code == 0, first.out
    assert "left out: 1 step (1 to revoke): imp" in first.out
    left = place("plan", "--format", "json").json()["plan"]["instances"][0]["steps"]
    assert [step["change"]["before"]["type"] for step in left] == ["account"]
    unasked = place("apply", "plan.json", "--yes", "--only", "deletions", "--expect", digest)
    assert unasked.code == 3
    assert "deletion-needs-consent" in unasked.out
    second = place("apply", "plan.json", "--yes", "--only", "deletions", "--accept", f"deletions={digest}", *REASON)
    assert second.code == 0, second.out
    assert place("plan").code == 0


def test_the_deletions_of_a_plan_are_shown_alone(place: Program) -> None:
    """How many and whose, under the digest that the consent is for."""
    digest = save(place)
    told = place("show", "plan.json", "--only", "deletions", "--format", "markdown")
    assert told.code == 2
    assert "1 account to delete" in told.out
    assert "`imp`" in told.out
    assert "kay" not in told.out.partition("left out")[0]
    assert digest in told.out


def test_deletions_before_the_rest_are_not_done(place: Program) -> None:
    """An account keeps its access until that is taken: nothing is deleted with what it still holds."""
    digest = save(place)
    early = place("apply", "plan.json", "--yes", "--only", "deletions", "--accept", f"deletions={digest}", *REASON)
    assert early.code not in {0, 2}, early.out
    assert "not part of what was reviewed and chosen" in early.out
    assert place("plan", "--format", "json").json()["summary"]["deletes"] >= 1


def test_a_plan_says_what_apply_needs_only_where_it_was_not_given(place: Program) -> None:
    """The command to run next repeats the consent with the digest of the plan that was saved."""
    told = place("plan", "--out", "plan.json", "--accept", "deletions", *REASON)
    digest = json.loads((place.folder / "plan.json").read_text(encoding="utf-8"))["digest"]
    assert f"--accept deletions={digest} --reason HR-9" in told.out
    assert "--allow-delete" not in told.out.splitlines()[-1]


def test_a_run_says_where_new_passwords_are(place: Program) -> None:
    """In the folder of the journal for an age key, with the command that opens them; else in the file that was named."""
    pyrage = pytest.importorskip("pyrage")
    identity = pyrage.x25519.Identity.generate()
    body = AFTER.replace("kay: {}", f"kay: {{}}, lou: {{age: {identity.to_public()}}}, max: {{}}")
    declare(place, body + "  - {to: [lou, max], role: view, sites: events.example.org}\n")
    one = place("apply", "--yes", "--only", "user:lou")
    assert one.code == 0, one.out
    assert "password-delivered" in one.out
    assert "1 new password is in" in one.out
    assert "age --decrypt --identity KEY" in one.out
    sealed = (place.folder / "journal" / "passwords" / "stats-lou.age").read_bytes()
    opened = json.loads(pyrage.decrypt(sealed, [identity]))
    assert opened["login"] == "lou"
    assert opened["password"] not in one.out + one.err
    other = place("apply", "--yes", "--only", "user:max", "--passwords-out", "p", "--format", "json").json()
    (said,) = (found for found in other["diagnostics"] if found["code"] == "password-delivered")
    assert said["message"].endswith("in clear: max")


@pytest.mark.parametrize("privacy", ["handles", "counts"])
def test_where_passwords_are_names_no_login_in_public(privacy: str, place: Program) -> None:
    """Handles stand for logins, and counts for both."""
    body = AFTER.replace("kay: {}", "kay: {}, max: {logins: {stats: m.mustermann}}")
    declare(place, body + "  - {to: max, role: view, sites: events.example.org}\n")
    told = place("apply", "--yes", "--only", "user:max", "--passwords-out", "p", "--privacy", privacy)
    assert told.code == 0, told.out
    assert "mustermann" not in told.out + told.err
    assert ("1 new password is in p, in clear: max" in told.out) == (privacy == "handles")
    assert ("max" in told.out) == (privacy == "handles")
