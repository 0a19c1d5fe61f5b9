"""What people hire the program for, each from the declaration to the report; every number the same everywhere."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import AS_OF
from cli.repo import commit, edit
from documents import steps_within

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program

ALLOWED = (*AS_OF, "--allow-delete", "--passwords-out", "passwords.txt")


@pytest.fixture
def company(checkout: Program) -> Program:
    """A company whose access is as declared, in a repository."""
    checkout.write(".siteward/\npasswords.txt\nreview.*\n", ".gitignore")
    edit(checkout, ("      admins: {min: 2, max: 4}", "      admins: {min: 2, max: 6}"))
    commit(checkout)
    assert checkout("apply", *ALLOWED, "--yes").code == 0
    return checkout


def plan(program: Program, *arguments: str) -> Any:
    """Plan in three forms, hold their numbers against each other and against the steps, and return the data."""
    files = ("--output=json:x.json", "--output=markdown:x.md", "--output=text:x.txt", "--output=csv:x.csv")
    program("plan", *(arguments or ALLOWED), "--out", "plan.json", *files)
    data = json.loads((program.folder / "x.json").read_text())
    of, found = data["summary"], steps(data)
    done = sum(of[name] for name in ("creates", "updates", "deletes"))
    assert done + of["blocked"] == len(found)
    kinds = (
        "accounts_created",
        "accounts_deleted",
        "grants_added",
        "grants_raised",
        "grants_lowered",
        "grants_revoked",
    )
    assert sum(of[name] for name in (*kinds, "other_changes")) == done
    headline = (program.folder / "x.md").read_text().splitlines()[1].removeprefix("### Access plan: ")
    assert headline in (program.folder / "x.txt").read_text()
    for name, word in (("grants_added", "to add"), ("grants_revoked", "to revoke"), ("blocked", "blocked")):
        assert (word in headline) == bool(of[name])
    assert len(list(csv.DictReader(StringIO((program.folder / "x.csv").read_text())))) == len(found)
    return data


def steps(data: Any) -> list[Any]:
    return steps_within(data["plan"])


def moves(data: Any) -> set[tuple[str, str, str | None, str | None]]:
    """Who moves where, from which role to which; accounts are told as such."""
    found = set()
    for step in steps(data):
        before, after = step["change"]["before"] or {}, step["change"]["after"] or {}
        scope = (after or before).get("scope")
        where = "account" if scope is None else scope.get("name") or scope["kind"]
        found.add((step["person"], where, before.get("role"), after.get("role")))
    return found


def apply(program: Program, *arguments: str) -> Any:
    result = program("apply", "plan.json", *(arguments or ALLOWED), "--yes", "--format", "json")
    data = result.json()
    assert result.code == 0, result.out
    assert data["summary"]["outcomes"] == {"done": len(data["outcomes"])}
    return data


def test_onboarding(company: Program) -> None:
    """A newcomer is a line under users and a name in a group; the password goes to its file, the rest follows."""
    edit(
        company,
        ("users:\n", "users:\n  nora: {email: nora@example.org}\n"),
        ("newsroom: [julia, ivan]", "newsroom: [julia, ivan, nora]"),
    )
    data = plan(company)
    assert moves(data) == {
        ("nora", "account", None, None),
        ("nora", "blog.example.org", None, "team-member"),
        ("nora", "docs.example.org", None, "team-view-only"),
    }
    apply(company)
    assert '"login": "nora"' in (company.folder / "passwords.txt").read_text()
    told = company("explain", "nora", "blog", *AS_OF).out
    assert "newsroom" in told
    assert "team-member" in told
    assert not steps(plan(company))


def test_a_client_with_one_site(company: Program) -> None:
    """A client sees one site until the contract ends; more than seeing is refused before anything is asked."""
    edit(
        company,
        ("users:\n", "users:\n  cleo: {email: cleo@client.test, kind: client, until: 2027-03-31}\n"),
        ("grants:\n", "grants:\n  - {to: cleo, role: view, sites: events.example.org, ticket: CRM-7}\n"),
    )
    data = plan(company)
    assert moves(data) == {("cleo", "account", None, None), ("cleo", "events.example.org", None, "team-view-only")}
    assert all(step["external"] for step in steps(data))
    apply(company)
    held = company("matrix", *AS_OF, "--format", "json").json()["holdings"]
    assert {holding["where"] for holding in held if holding["person"] == "cleo"} == {"events.example.org"}
    edit(company, ("{to: cleo, role: view", "{to: cleo, role: edit"))
    refused = company("plan", *ALLOWED)
    assert refused.code == 1
    assert "clients-only-view" in refused.out


def test_a_contractor_whose_time_is_over(company: Program) -> None:
    """The day after the end the grants are gone by themselves, and nothing else is done with them."""
    later = ("--as-of", "2027-03-01", "--allow-delete", "--passwords-out", "passwords.txt")
    edit(company, ("{to: kofi-mensah, role: view", "{to: kofi-mensah, role: edit"))
    data = plan(company, *later)
    ended = {move for move in moves(data) if move[0] == "jonas"}
    assert ended
    assert {step["cause"] for step in steps(data) if step["person"] == "jonas"} == {"expired"}
    result = company("apply", *later, "--only", "expiries", "--yes", "--format", "json")
    assert result.code == 0, result.out
    done = result.json()
    assert {outcome["person"] for outcome in done["outcomes"]} == {"jonas"}
    assert done["summary"]["outcomes"] == {"done": len(ended)}
    assert {move[0] for move in moves(plan(company, *later))} == {"kofi-mensah"}


def test_a_promotion_needs_a_reason(company: Program) -> None:
    """Without ticket and reason the rule refuses it; with them it is an escalation that the journal and review know."""
    edit(company, ("[anna, ben], role: admin, on: stats, ticket: IAM-1, reason: platform owners}",
                   "[anna, ben], role: admin, on: stats, ticket: IAM-1, reason: platform owners}\n  - {to: rosa, role: admin, on: stats}"))  # fmt: skip
    assert "admin-needs-ticket" in company("plan", *ALLOWED).out
    edit(
        company,
        ("{to: rosa, role: admin, on: stats}", "{to: rosa, role: admin, on: stats, ticket: IAM-9, reason: deputy}"),
    )
    data = plan(company)
    assert moves(data) == {("rosa", "instance", "user", "admin")}
    assert (data["summary"]["admins_gained"], data["summary"]["powers_raised"]) == (1, 1)
    assert "access:admin" in data["labels"]
    apply(company)
    commit(company)
    items = company("review", *AS_OF, "--format", "json").json()["items"]
    (found,) = (item for item in items if item["person"] == "rosa" and item["where"] == "whole instance")
    assert (found["ticket"], found["reason"]) == ("IAM-9", "deputy")


def test_a_new_site_joins_by_itself(company: Program, admin: httpx.Client) -> None:
    """Analysts of `*.example.org` get a site that was made today, told with the pattern that took it in."""
    assert not steps(plan(company))
    assert admin.post("/api/websites", json={"name": "Fresh", "domain": "fresh.example.org"}).status_code == 200
    data = plan(company)
    joined = {move for move in moves(data) if move[1] == "fresh.example.org"}
    assert {holding[0] for holding in joined} >= {"carla", "dmitri", "jonas"}
    assert all("pattern *.example.org" in step["origin"]["via"] for step in steps(data))
    apply(company)
    assert not steps(plan(company))


def test_a_service_account(company: Program) -> None:
    """A service has somebody who answers for it, never counts as an admin to mend things, and stands apart in reviews."""
    edit(
        company,
        ("users:\n", "users:\n  exporter: {kind: service, owner: ben, email: bi2@example.org}\n"),
        ("grants:\n", "grants:\n  - {to: exporter, role: view, sites: [shop, blog], reason: nightly export}\n"),
    )
    data = plan(company)
    assert data["summary"]["accounts_created"] == 1
    assert data["summary"]["grants_added"] == 2
    apply(company)
    items = company("review", *AS_OF, "--format", "json").json()["items"]
    mine = [item for item in items if item["person"] == "exporter" and "service" in item["flags"]]
    assert {holding["where"] for holding in mine} >= {"shop.example.org", "blog.example.org"}
    assert {holding["owner"] for holding in mine} == {"ben"}


def test_the_quarterly_review_of_admins(company: Program) -> None:
    """Admins are listed, one is revoked, and the decision goes through the file, a plan and an apply."""
    edit(company, ("[anna, ben], role: admin", "[anna, ben, rosa], role: admin"))
    plan(company)
    apply(company)
    commit(company)
    data = company("review", *AS_OF, "--format", "json").json()
    admins = {item["person"] for item in data["items"] if "admin" in item["flags"] and item["person"]}
    assert admins == {"anna", "ben", "rosa"}
    for row in data["items"]:
        if row["person"] in admins and row["where"] == "whole instance":
            row["decision"] = "revoke" if row["person"] == "rosa" else "keep"
    (company.folder / "review.json").write_text(json.dumps(data))
    assert company("review", *AS_OF, "--decisions", "review.json", "--write").code == 0
    told = company("diff", "HEAD", *AS_OF, "--format", "json").json()
    assert [(movement["kind"], movement["person"]) for movement in told["movements"]] == [("lost", "rosa")]
    changed = plan(company)
    assert {move[0] for move in moves(changed)} == {"rosa"}
    assert changed["summary"]["admins_lost"] == 1
    apply(company)
    after = company("review", *AS_OF, "--format", "json").json()
    assert {item["person"] for item in after["items"] if "admin" in item["flags"] and item["person"]} == {"anna", "ben"}


def test_evidence_before_and_after(company: Program) -> None:
    """Two matrices differ by exactly what the plan's summary counted, and the journal names the plan."""
    edit(
        company,
        ("{to: kofi-mensah, role: view, sites: docs}", "{to: kofi-mensah, role: edit, sites: [docs, blog]}"),
        (
            "{to: [elif, omar], role: edit, sites: staging.example.org}",
            "{to: omar, role: edit, sites: staging.example.org}",
        ),
    )
    before = holdings(company)
    data = plan(company)
    done = apply(company)
    after = holdings(company)
    of = data["summary"]
    both = before.keys() & after.keys()
    assert len(after.keys() - before.keys()) == of["grants_added"] == 1
    assert len(before.keys() - after.keys()) == of["grants_revoked"] == 1
    assert sum(before[name] != after[name] for name in both) == of["grants_raised"] == 1
    assert re.fullmatch("[0-9a-f]{64}", done["journal_head"])
    assert data["plan"]["digest"] in (company.folder / ".siteward" / "stats.jsonl").read_text()


def holdings(program: Program) -> dict[tuple[str, str], str]:
    """What is live, by account and site, as the evidence is kept: in a CSV file."""
    rows = csv.DictReader(StringIO(program("matrix", *AS_OF, "--format", "csv").out))
    return {(row["account"], row["where"]): row["live"] for row in rows if row["live"] not in {"", "none"}}
