"""Who is who, from the command line: journals that begin without a change, and accounts that are confirmed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from cli.conftest import start
from siteward.platforms.fakery import serve
from siteward.reconcile.journal.entries import BlockWaived
from siteward.reconcile.journal.reading import read

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

FILE = """
version: 1
instances:
  stats: {platform: umami, url: 'URL', self: siteward, layout: existing, accept_blind: [board-links]}
users: {anna: {}, ben: {}}
grants:
  - {to: [anna, ben], role: admin, on: stats}
policy: {admins: {min: 1}}
"""


@pytest.fixture
def company(program: Program, umami: Sandbox) -> Program:
    """A file about two admins of the lived-in sandbox, which says what is live already."""
    program.write(FILE.replace("URL", umami.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    return program


def remade(admin: httpx.Client, name: str) -> None:
    """Delete an account by hand and make another of its name."""
    users = admin.get("/api/admin/users", params={"pageSize": 100}).json()["data"]
    (old,) = (user["id"] for user in users if user["username"] == name)
    admin.delete(f"/api/users/{old}").raise_for_status()
    body = {"username": name, "password": "a password of hers", "role": "view-only"}
    admin.post("/api/users", json=body).raise_for_status()


def test_an_apply_without_changes_begins_the_journal(company: Program, umami: Sandbox) -> None:
    """So who is taken out of the file after it has left; a second such apply adds nothing."""
    said = company("plan")
    assert "warning leavers-unknown" in said.out
    applied = company("apply", "--yes", "-v")
    assert applied.code == 0, applied.out
    assert "journal-begun" in applied.out
    path = company.folder / ".siteward" / "stats.jsonl"
    before = path.read_bytes()
    assert company("apply", "--yes").code == 0
    assert path.read_bytes() == before
    assert umami.fake.writes == 0
    text = (company.folder / "access.yaml").read_text()
    company.write(text.replace("users: {anna: {}, ben: {}}", "users: {anna: {}}").replace("[anna, ben]", "anna"))
    steps = company("plan", "--format", "json").json()["plan"]["instances"][0]["steps"]
    assert {(step["person"], step["cause"]) for step in steps} == {("ben", "left")}


def test_a_blocked_or_refused_apply_begins_nothing(company: Program) -> None:
    """The plan after it says what the plan before it said."""
    text = FILE.replace("[anna, ben]", "[anna, ben, jonas]").replace("ben: {}}", "ben: {}, jonas: {}}")
    url = re.findall("url: '(.*?)'", (company.folder / "access.yaml").read_text())[0]
    company.write(text.replace("URL", url).replace("{min: 1}", "{min: 1, max: 2}"))
    before = company("plan", "--out", "plan.json", "--format", "json").json()["plan"]["instances"]
    assert before[0]["steps"]
    assert company("apply", "plan.json", "--yes").code == 3
    after = company("plan", "--format", "json").json()["plan"]["instances"]
    for plan in (*before, *after):  # they differ in nothing but the time that reading took
        for listing in plan["listings"]:
            listing.pop("seconds", None)
    assert after == before


def test_one_account_is_accepted_by_name(company: Program, admin: httpx.Client) -> None:
    """With the digest of the reviewed plan and a reason; the journal has it as a waiver."""
    assert company("apply", "--yes").code == 0
    remade(admin, "anna")
    planned = company("plan", "--out", "plan.json")
    assert planned.code == 3, planned.out
    assert "identity-mismatch" in planned.out
    assert "--accept identity:anna@stats=DIGEST" in planned.out
    digest = json.loads((company.folder / "plan.json").read_text())["digest"].removeprefix("sha256:")[:16]
    for accept, said in (
        (f"identity:anna={digest}", "identity:LOGIN@INSTANCE"),
        ("identity:anna@stats", "with the digest"),
        (f"identity:anna@stats={digest[:8]}", "accept-other-plan"),
    ):
        refused = company("apply", "plan.json", "--yes", "--accept", accept, "--reason", "made anew for her")
        assert refused.code == 1, refused.out
        assert said in refused.out + refused.err
    company("apply", "plan.json", "--yes")
    assert company("plan").code == 3
    consent = ("--accept", f"identity:anna@stats={digest}", "--reason", "made anew for her")
    applied = company("apply", "plan.json", "--yes", *consent)
    assert applied.code == 0, applied.out
    assert company("plan").code == 0
    path = company.folder / ".siteward" / "stats.jsonl"
    assert [entry.name for entry in read(path, None).entries if isinstance(entry, BlockWaived)] == [
        "identity:anna@stats"
    ]


def test_a_renamed_account_in_every_reading_verb(company: Program, admin: httpx.Client) -> None:
    """One person under two names, wherever it is asked for."""
    assert company("apply", "--yes").code == 0
    users = admin.get("/api/admin/users", params={"pageSize": 100}).json()["data"]
    (anna,) = (user["id"] for user in users if user["username"] == "anna")
    admin.post(f"/api/users/{anna}", json={"username": "anna.berg", "role": "admin"}).raise_for_status()
    planned = company("plan")
    assert planned.code == 0, planned.out
    assert "renamed-account" in planned.out
    assert "logins: {stats: anna.berg}" in planned.out
    drift = company("drift")
    assert drift.code == 2, drift.out
    assert "anna.berg" in drift.out
    held = company("matrix", "--format", "json").json()["holdings"]
    assert {holding["person"] for holding in held if "anna" in json.dumps(holding)} == {"anna"}
    told = company("explain", "anna", "shop.example.org")
    assert told.code == 0, told.out
    assert "anna (login anna.berg) on stats" in told.out


def test_an_account_of_another_platform(program: Program) -> None:
    """On Matomo it is the moment of registration that is named."""
    with serve(start("matomo")) as sandbox:
        program.env |= {f"SITEWARD_IT_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        done = program("import", "--instance", "it", "--platform", "matomo", "--url", sandbox.url, "--self", "root")
        assert done.code == 0, done.err
        memory = json.loads((program.folder / ".siteward" / "it.last.json").read_text())["memory"]
        assert all(id_[4] == "-" and ":" in id_ for id_ in memory["identities"].values())
