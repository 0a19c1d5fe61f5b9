"""Half a year of two platforms under CI, and the questions of `docs/history.md`, each answered by the command there."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import ROOT, Program
from cli.repo import commit, edit
from cli.test_history import APPROVED, CI
from siteward import platforms
from siteward.platforms.fakery import Sandbox, World, WorldAccount, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Result

FILE = """\
version: 1
instances:
  stats: {platform: umami, url: "UMAMI", self: siteward, layout: per-site, accept_blind: [board-links]}
  eu: {platform: matomo, url: "MATOMO", self: root}
sites:
  shop: {domain: shop.example.org}
users:
  anna: {email: anna@example.org}
  cleo: {email: cleo@example.org}
grants:
  - {to: cleo, role: admin, on: stats, ticket: OPS-1}
  - {to: cleo, role: admin, on: eu, ticket: OPS-1}
  - {to: anna, role: view, sites: shop, ticket: OPS-7}
"""
PAGE = (ROOT / "docs" / "history.md").read_text(encoding="utf-8")
QUESTIONS = {
    question: shlex.split(command) for question, command in re.findall(r"^\| (.+?\?) \| `siteward (.+?)`", PAGE, re.MULTILINE)
}  # fmt: skip
"""The commands of the page's table, by question."""


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Sandbox]]:
    """An Umami and a Matomo with the same people and the same shop."""
    world = World(
        accounts=tuple(WorldAccount(login=name, email=f"{name}@example.org") for name in ("anna", "cleo", "eve")),
        sites=(WorldSite(name="shop", domain="shop.example.org"),),
    )
    fakes = (platforms.fake(name) for name in ("umami", "matomo"))
    umami, matomo = (fake.of(world, fake.releases[0], clock=lambda: datetime.now(UTC)) for fake in fakes)
    with serve(umami) as stats, serve(matomo) as eu:
        yield {"stats": stats, "eu": eu}


@pytest.fixture(scope="module")
def half_a_year(servers: dict[str, Sandbox], tmp_path_factory: pytest.TempPathFactory) -> Program:
    """March: the first apply. April: eve makes herself admin. May: OPS-9. May and June: an admin by dates."""
    folder = tmp_path_factory.mktemp("company")
    program = Program(folder / "repo", moment="2026-03-01T12:00:00+00:00", env={"SITEWARD_EU_SELF": "root", **CI})
    program.folder.mkdir()
    program.write(FILE.replace("UMAMI", servers["stats"].url).replace("MATOMO", servers["eu"].url))
    for name, server in servers.items():
        program.env |= {f"SITEWARD_{name.upper()}_{field.upper()}": value for field, value in server.fake.credentials.items()}  # fmt: skip
    commit(program, "Begin")
    merge(program, folder, "12")
    program.moment = "2026-04-10T03:00:00+00:00"
    meddle(servers)
    said = program("drift", "--record", "-f", "json").json()["diagnostics"]
    assert {told["instance"] for told in said if told["code"] == "state-recorded"} == {"stats", "eu"}
    program.moment = "2026-05-05T12:00:00+00:00"
    until = ", until: 2026-06-01, ticket: OPS-9}\n  - {to: anna, role: edit, sites: shop, ticket: OPS-9}"
    edit(program, ("{to: anna, role: view, sites: shop, ticket: OPS-7}", "{to: anna, role: admin, on: eu, from: 2026-05-20" + until))  # fmt: skip
    commit(program, "Let anna edit, and stand in for cleo")
    merge(program, folder, "13")
    for night in ("2026-05-21", "2026-06-03"):
        program.moment = f"{night}T03:00:00+00:00"
        said = program("apply", "--only", "dates", "--yes")
        assert said.code == 0, said.out + said.err
    program.moment = "2026-07-01T12:00:00+00:00"
    return program


def merge(program: Program, folder: Path, change: str) -> None:
    """Let the job of a change make the plan, and the job after its merge carry that out, as the forge says it was approved."""
    approvals = folder / "approvals.json"
    approvals.write_text(json.dumps({**APPROVED, "change": f"https://forge.test/acme/access/pull/{change}"}))
    approvals.chmod(0o600)
    planned = program("plan", "--out", str(folder / "plan.json"))
    assert planned.code == 2, planned.out + planned.err
    said = program("apply", str(folder / "plan.json"), "--yes", SITEWARD_APPROVALS=str(approvals))
    assert said.code == 0, said.out + said.err


def meddle(servers: dict[str, Sandbox]) -> None:
    """Make eve an admin in both web interfaces."""
    umami: Any = servers["stats"].fake
    umami.state.names["eve"].role = "admin"
    matomo: Any = servers["eu"].fake
    matomo.state.user("eve").superuser = True


def asked(program: Program, words: str, *more: str) -> Result:
    """Run the command of the question that begins so."""
    (command,) = (command for question, command in QUESTIONS.items() if question.startswith(words))
    return program(*command, *more)


def test_who_had_admin(half_a_year: Program) -> None:
    """On both platforms, and nobody who came later."""
    said = asked(half_a_year, "Who had `admin` on the shop", "-f", "json")
    assert said.code == 0, said.out + said.err
    held = {(item["instance"], item["account"]) for item in said.json()["items"]}
    assert {("stats", "cleo"), ("eu", "cleo")} <= held
    assert not {("stats", "eve"), ("eu", "eve"), ("eu", "anna")} & held


def test_why(half_a_year: Program) -> None:
    """By the line of the file of that day, with its ticket."""
    said = asked(half_a_year, "Why did anna")
    assert said.code == 0, said.out + said.err
    assert said.out.count("OPS-7") >= 2  # on either platform
    assert "OPS-9" not in said.out


def test_since_when(half_a_year: Program) -> None:
    """From the first grant to the end by date, on both."""
    events = asked(half_a_year, "Since when", "-f", "json").json()["items"]
    kinds = [(event["at"][:10], event["instance"], event["kind"]) for event in events]
    for instance in ("stats", "eu"):
        assert ("2026-03-01", instance, "gained") in kinds
        assert ("2026-05-05", instance, "raised") in kinds


def test_who_applied_and_who_approved(half_a_year: Program) -> None:
    """As the environment and the forge told; the same command answers both, in two columns."""
    for words in ("Who applied it", "Who approved it"):
        said = asked(half_a_year, words)
        assert "anna-berg (GITHUB_TRIGGERING_ACTOR)" in said.out or "anna-berg (GITHUB_ACTOR)" in said.out
        assert "approved by cleo (as told)" in said.out


def test_what_a_ticket_changed(half_a_year: Program) -> None:
    """On both platforms, also what its dates caused weeks later."""
    said = asked(half_a_year, "What did ticket OPS-9 change", "-f", "json")
    assert said.code == 0, said.out + said.err
    events = {(event["at"][:10], event["instance"]) for event in said.json()["items"]}
    assert {("2026-05-05", "stats"), ("2026-05-05", "eu"), ("2026-05-21", "eu"), ("2026-06-03", "eu")} <= events


def test_what_others_changed(half_a_year: Program) -> None:
    """Both times it was eve, and the gap in which it happened is told."""
    said = asked(half_a_year, "What did others change", "-f", "json")
    events = said.json()["items"]
    assert {(event["instance"], event["account"], event["kind"]) for event in events} >= {
        ("stats", "eve", "gained"), ("eu", "eve", "gained"),
    }  # fmt: skip
    assert {event["since"][:10] for event in events} == {"2026-03-01"}


@pytest.mark.parametrize("instance", ["stats", "eu"])
def test_whether_anything_is_missing(instance: str, half_a_year: Program) -> None:
    """With the head of an earlier moment; a line that is gone since is told, and where nothing can tell, that is said."""
    (command,) = (command for question, command in QUESTIONS.items() if question.startswith("Is anything missing"))
    path = half_a_year.folder / ".siteward" / f"{instance}.jsonl"
    heads = re.findall(r'"sum":"([0-9a-f]{64})"', path.read_text())
    then = [heads[len(heads) // 2] if word == "SUM" else instance if word == "stats" else word for word in command]
    assert half_a_year(*then).code == 0
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if at > len(lines) // 2 and b'"part":' not in line)
    kept = path.read_bytes()
    try:
        path.write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
        said = half_a_year(*then)
        assert (said.code, "journal-broken" in said.out) == (1, True), said.out
        for question in ("Who had `admin` on the shop", "Since when", "What did others change"):
            told = asked(half_a_year, question)
            assert told.code == 1, told.out
            assert "journal-broken" in told.out + told.err
    finally:
        path.write_bytes(kept)
