"""Whose change a step is: this one of the files, an earlier one that was never applied, or somebody's outside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from cli.repo import commit, edit

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program

FILE = """version: 1
instances:
  stats: {platform: umami, url: 'URL', self: siteward, layout: existing, accept_blind: [board-links]}
users:
  anna: {}
  ben: {}
  mia: {}
  omar: {}
grants:
  - {to: [anna, ben], role: admin, on: stats}
  - {to: mia, role: edit, sites: blog.example.org}
policy: {limits: {revocations: {percent: 100}}}
"""
FORMS = ("text", "markdown", "html", "github")


@pytest.fixture
def company(program: Program, umami: Any) -> Program:
    program.write(FILE.replace("URL", umami.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    return program


def steps(program: Program, *arguments: str) -> dict[str, Any]:
    (part,) = program("plan", "-f", "json", *arguments).json()["plan"]["instances"]
    return {f"{step['person']} {step['id']} {step['after_power']}": step for step in part["steps"]}


def test_a_change_is_told_apart_from_what_was_pending(company: Program) -> None:
    """Two plans over one reading: what the base asks for as well was pending, and stands after what is new."""
    commit(company)
    edit(company, ("  - {to: mia", "  - {to: omar, role: manage, sites: blog.example.org}\n  - {to: mia"))
    alone = steps(company)
    assert not any("pending" in step for step in alone.values())
    found = steps(company, "--base", "HEAD")
    (new,) = (name for name in found if name not in pending(found))
    assert re.fullmatch(r"omar s\d+ manage", new)
    assert found[new]["pending"] is False
    assert pending(found)
    for form in FORMS:
        out = company("plan", "--base", "HEAD", "-f", form).out
        assert "because of this change" in out, form
        assert "was pending before" in out, form
    text = company("plan", "--base", "HEAD").out
    counts = re.findall(r"(\d+) steps? because of this change, (\d+) pending before", text)
    assert counts == [("1", str(len(pending(found))))]
    commit(company)
    assert set(pending(steps(company, "--base", "HEAD"))) == set(found)


def pending(found: dict[str, Any]) -> dict[str, bool]:
    return {name: True for name, step in found.items() if step.get("pending")}


def test_what_was_changed_outside_is_told_as_undone(company: Program, admin: httpx.Client) -> None:
    """An apply knows what it left; who took it away or gave more did it elsewhere, and the plan says so."""
    edit(company, ("  - {to: mia, role: edit, sites: blog.example.org}\n", ""))
    applied = company("apply", "--yes")
    assert applied.code == 0, applied.out
    users = admin.get("/api/admin/users", params={"pageSize": 100}).json()["data"]
    (omar,) = (user["id"] for user in users if user["username"] == "omar")
    admin.post(f"/api/users/{omar}", json={"role": "admin"}).raise_for_status()
    edit(company, ("  mia: {}\n", "  mia: {state: suspended}\n"))
    found = steps(company)
    undone = {name for name, step in found.items() if step.get("undoes")}
    assert undone
    assert all(name.startswith("omar") for name in undone)
    for form in FORMS:
        assert "undoes a change made outside" in company("plan", "-f", form).out, form
    saved = company("plan", "--out", "plan.json")
    assert "undoes a change made outside" in company("show", "plan.json").out
    assert saved.code == 2
